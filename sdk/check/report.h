/* What the results look like: lines of a test runner, or one JSON document. */
#ifndef PENSTOCK_CHECK_REPORT_H
#define PENSTOCK_CHECK_REPORT_H
#include <stdio.h>

#include "check/runner.h"

typedef struct report {
    const subject *subject;
    bool json;
    json_t *cases;
    unsigned n, counts[OUTCOME_UNNEEDED + 1];
} report;

void report_begin(report *r, const subject *s, bool json);
void report_add(report *r, const result *one);
/* Prints the end; true if nothing failed. */
bool report_end(report *r);
#endif
