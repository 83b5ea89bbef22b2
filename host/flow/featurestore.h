/* Featurestores: derived rows, recomputed for exactly the keys that are dirty.
 *
 * A step is one READ COMMITTED transaction on the workspace's own login: claim marks (delete, first
 * statement), delete the keys' rows, compute them anew from what is committed now (a later statement, whose
 * snapshot therefore holds every row whose mark was claimed), mark what depends on them. After a crash at any
 * point the marks are still there. */
#ifndef PENSTOCK_FLOW_FEATURESTORE_H
#define PENSTOCK_FLOW_FEATURESTORE_H
#include "flow/plan.h"
#include "store/connection.h"

#define FEATURESTORE_KEYS_A_STEP 5000

typedef struct refresh_result {
    uint64_t keys, rows;
} refresh_result;

/* One step; keys == 0: nothing was dirty. One refresher a featurestore at a time. */
status_class featurestore_step(const featurestore_plan *f, connection *c, refresh_result *out, status *st);
/* Makes sure that the rows are those of this definition: when it is new or was changed since the store was
 * built, every key for which the sources hold rows is marked, and the definition's hash is noted, in one
 * transaction. `c` is the service's login. *marked_out says whether it did. */
status_class featurestore_ensure_built(const featurestore_plan *f, connection *c, bool *marked_out,
                                       status *st);
#endif
