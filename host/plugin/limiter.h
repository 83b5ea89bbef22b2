/* Rates that plugins of all workspaces share, one a provider: behind the service penstock.limit. Nobody waits
 * here: who may not go yet is told when to ask again.
 *
 * A provider has a bucket for all and one for each workspace. The rate of a workspace's bucket is what its
 * plugin asked with last; that of the bucket for all the highest of those that were in use in the last ten
 * minutes. So a wrong rate slows only its own workspace. Who waits is served by start-time fair queuing over
 * the units that workspaces used: one that asks a lot stands behind one that asks little. Within a workspace
 * who came first goes first. Who would have to wait for longer than it can is told when to come again, and
 * its place is kept until then: nobody behind it goes before. One that is late holds up nobody, and goes
 * first when it comes.
 *
 * Thread-safe; no I/O. Times are the clock seam's. Kept in memory: after a restart buckets are full. */
#ifndef PENSTOCK_PLUGIN_LIMITER_H
#define PENSTOCK_PLUGIN_LIMITER_H
#include "base/status.h"

#define LIMITER_PROVIDERS_MAX 1000
#define LIMITER_NAME_MAX 128
#define LIMITER_WAITERS_MAX 1000  /* of one provider */
#define LIMITER_PLACES_MAX 2000   /* of one provider, kept; who comes after begins anew when it comes again */
#define LIMITER_GRACE_US 2000000L /* a waiter that does not come back within it has lost its turn */
#define LIMITER_PLACE_US 10000000L   /* so long after its time a place is kept */
#define LIMITER_MEMORY_US 600000000L /* a workspace that did not ask for so long is forgotten */

typedef struct limiter limiter;

limiter *limiter_create(void);
void limiter_free(limiter *l); /* NULL is fine */

typedef struct limiter_request {
    const char *provider, *workspace;
    const char *instance; /* of the workspace, which asks for one thing at a time; NULL: no place is kept */
    double units, per_second, burst;
    int64_t max_wait_us;
    uint64_t ticket; /* of the answer before; 0 = none */
} limiter_request;

typedef struct limiter_answer {
    int64_t wait_us; /* 0 = go */
    uint64_t ticket; /* 0 while it must wait: that is longer than max_wait_us, its place is kept */
} limiter_answer;

/* INVALID: units or rate make no sense. LIMIT: too many providers or waiters. */
status_class limiter_take(limiter *l, const limiter_request *r, limiter_answer *answer_out, status *st);
void limiter_forget(limiter *l, const char *provider, uint64_t ticket); /* unknown is fine */
#endif
