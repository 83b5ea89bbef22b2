/* Featurestores: derived rows, recomputed for exactly the keys that are dirty.
 *
 * A step is one READ COMMITTED transaction on the workspace's own login: claim marks (delete, first
 * statement), delete the keys' rows, compute them anew from what is committed now (a later statement, whose
 * snapshot therefore holds every row whose mark was claimed), mark what depends on them. After a crash at any
 * point the marks are still there. */
#ifndef PENSTOCK_FLOW_FEATURESTORE_H
#define PENSTOCK_FLOW_FEATURESTORE_H
#include "flow/live.h"
#include "flow/plan.h"
#include "store/connection.h"

#define FEATURESTORE_KEYS_A_STEP 5000

/* What a step computes: the rows that people see, and those of a changed definition that is built beside them
 * (build.h). One of the two may be NULL; both are of one featurestore. */
typedef struct refresh_order {
    const featurestore_plan *serving, *beside;
    int64_t oldest_us; /* the sources are complete from here on; INT64_MIN = whole */
    live_hub *live;    /* NULL = nobody is told */
} refresh_order;

typedef struct refresh_result {
    uint64_t keys, rows;
    bool more;         /* keys that were dirty when it began may be left */
    int64_t oldest_us; /* no row in a bucket before this was written, also where that failed; INT64_MAX: none
                          at all */
    uint64_t too_late; /* keys that stay as they are: rows that they are made of are not kept any more */
} refresh_result;

/* One step; keys == 0: nothing was dirty. One refresher a featurestore at a time. */
status_class featurestore_step(const refresh_order *o, connection *c, refresh_result *out, status *st);
/* Computes every key of the buckets in [lower, upper), which are borders of buckets, in a transaction of its
 * own. Dependants are not marked. */
status_class featurestore_range(const featurestore_plan *f, connection *c, int64_t lower_us, int64_t upper_us,
                                uint64_t *rows_out, status *st);
#endif
