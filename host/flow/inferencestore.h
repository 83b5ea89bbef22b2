/* Inferencestores: rows that a model scored.
 *
 * A step claims dirty keys of the model's feature rows, and for each entity scores from its first dirty
 * bucket on: the dirty rows, what lies between them and the next W rows, since a late row is in their
 * context, too (W = the model's context). Score is a function of (artifact, the W rows before, the row), so
 * scoring a row again gives the same value and order of arrival does not matter. Old rows of the range go and
 * new ones come in one transaction on the workspace's own login. Every row carries _model, _version, _run and
 * _features. A row that kills the plugin has no score, until it or the plugin's file changes; it lies in the
 * dead letters. */
#ifndef PENSTOCK_FLOW_INFERENCESTORE_H
#define PENSTOCK_FLOW_INFERENCESTORE_H
#include "flow/live.h"
#include "flow/plan.h"
#include "flow/poison.h"
#include "store/connection.h"

#define INFERENCE_KEYS_A_STEP 20000

/* The model version that scores now. */
typedef struct champion {
    const void *artifact;
    size_t artifact_len;
    int64_t version;
    uint32_t context; /* W */
} champion;

typedef struct inference_result {
    uint64_t keys, rows;
    bool more;       /* keys that were dirty when it began may be left */
    uint64_t poison; /* rows that killed the plugin and were put aside */
    /* no row in a bucket before this was written, also where that failed; INT64_MAX: none at all */
    int64_t oldest_us;
    /* after a failure: when the plugin may be tried again; 0 = the caller's choice */
    uint32_t retry_after_ms;
} inference_result;

/* One step; keys == 0: nothing was dirty. `run` is the id under which the rows are recorded. One at a time a
 * model. `live` may be NULL. */
status_class inferencestore_step(const model_plan *m, const champion *best, const poison_place *place,
                                 live_hub *live, connection *c, const char *run, inference_result *out,
                                 status *st);
/* Marks every feature row for scoring: a first version, or a re-score. */
status_class inferencestore_mark_all(const model_plan *m, connection *c, status *st);
#endif
