/* How far long work is, on standard error: nothing in the first 400 ms, then one line that is written over on
 * a terminal, one line every 10 s elsewhere, JSON lines with --progress=json. */
#ifndef PENSTOCK_CLI_PROGRESS_H
#define PENSTOCK_CLI_PROGRESS_H
#include <stdbool.h>
#include <stdint.h>

#include "command.h"

typedef struct progress {
    const char *unit; /* "rows" */
    int64_t started_us, shown_us;
    bool terminal, json, silent, open; /* open: a line stands unfinished on the terminal */
} progress;

void progress_start(progress *p, const invocation *inv, const char *unit);
/* `total` 0 = not known; `what` may be NULL. */
void progress_show(progress *p, int64_t done, int64_t total, const char *what);
/* Ends an open line. */
void progress_end(progress *p);
#endif
