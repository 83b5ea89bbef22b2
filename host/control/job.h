/* Long work of the platform that people wait for: a row each, taken by whichever host is free. A claim is a
 * lease with a fence: a host that froze and comes back finds its fence too old, and nothing it says counts.
 * Expired leases are taken before due jobs. All functions take a control-plane connection and run on a lane.
 */
#ifndef PENSTOCK_CONTROL_JOB_H
#define PENSTOCK_CONTROL_JOB_H
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "store/connection.h"

typedef struct job_claim {
    char id[32];
    char kind[40];
    int32_t wid;
    int64_t fence;
    int attempt;
    json_t *input; /* a new reference */
} job_claim;

/* `once_key` (NULL = none): while a job of the workspace, kind and key exists, no second one is made and its
 * id is given back. `input` may be NULL. */
status_class job_create(connection *c, int32_t wid, const char *kind, const char *once_key,
                        const json_t *input, char id[32], status *st);
/* Takes one that is due, or whose lease ran out; *ret_found false = there is none. `kind` NULL = any. */
status_class job_take(connection *c, const char *kind, const char *owner, int64_t lease_us, job_claim *ret,
                      bool *ret_found, status *st);
/* Says how far it is and renews the lease. STATUS_CONFLICT: the lease went to somebody else;
 * STATUS_CANCELLED: somebody wants it to end. */
status_class job_progress(connection *c, const job_claim *job, int64_t done, int64_t total, int64_t lease_us,
                          status *st);
/* Ends it, inside the caller's transaction if there is one: `error` NULL = done. STATUS_CONFLICT as above:
 * roll back. */
status_class job_finish(connection *c, const job_claim *job, const json_t *result, const char *error,
                        status *st);
/* STATUS_CONFLICT when it has ended already. */
status_class job_cancel(connection *c, const char *id, status *st);
/* {id, wid, kind, state, done, total, input, result, error, created, finished}; a new reference. */
status_class job_show(connection *c, const char *id, json_t **ret, status *st);
/* The newest of a workspace (0 = of all); a new reference. */
status_class job_list(connection *c, int32_t wid, unsigned limit, json_t **ret, status *st);
#endif
