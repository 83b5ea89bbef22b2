/* What a case found. It lies in memory shared with the forked process that runs the case, so that it survives
 * whatever the plugin does there. A case is straight-line code: the first verdict ends its process. */
#ifndef PENSTOCK_CHECK_VERDICT_H
#define PENSTOCK_CHECK_VERDICT_H
#include <stdbool.h>

typedef enum verdict_state { VERDICT_NONE, VERDICT_PASSED, VERDICT_FAILED, VERDICT_SKIPPED } verdict_state;

typedef struct verdict {
    verdict_state state;
    char where[160], why[640];
    char hint[320];     /* what to try; "" = the case's own */
    char measured[160]; /* shown behind a pass */
    char doing[120];    /* which call the plugin is in: named when it dies there */
} verdict;

/* Parent: shared memory for one run. */
verdict *verdict_create(void);
void verdict_reset(verdict *v);
/* Child: the verdict that the functions below write to. */
void verdict_use(verdict *v);

__attribute__((noreturn)) void verdict_pass(void);
__attribute__((noreturn, format(printf, 1, 2))) void verdict_skip(const char *why, ...);
/* `where` may be NULL. */
__attribute__((noreturn, format(printf, 2, 3))) void verdict_fail(const char *where, const char *why, ...);
__attribute__((format(printf, 1, 2))) void verdict_hint(const char *what, ...);     /* before verdict_fail */
__attribute__((format(printf, 1, 2))) void verdict_measured(const char *what, ...); /* before the pass */
__attribute__((format(printf, 1, 2))) void verdict_doing(const char *what, ...);
#endif
