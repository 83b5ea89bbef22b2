/* Runs cases one after the other, each in a forked process with a time limit. */
#ifndef PENSTOCK_CHECK_RUNNER_H
#define PENSTOCK_CHECK_RUNNER_H
#include <stdint.h>

#include "check/case.h"
#include "check/verdict.h"

typedef enum outcome {
    OUTCOME_PASSED,
    OUTCOME_FAILED,
    OUTCOME_SKIPPED,
    OUTCOME_QUIRK,   /* failed, and quirks.json says why it may */
    OUTCOME_UNNEEDED /* passed, but quirks.json says that it fails */
} outcome;

typedef struct result {
    const check_case *which;
    outcome outcome;
    verdict verdict;
    const char *quirk; /* the declared reason, or NULL */
    int64_t took_us;
} result;

/* Does the case concern this subject? */
bool runner_concerns(const subject *s, const check_case *c);
void runner_run(const subject *s, const check_case *c, verdict *shared, result *out);
#endif
