/* One batch of a sink on its way: rows of a store, handed to the plugin until each is on the far side,
 * refused, or known to kill the plugin. A batch that the plugin calls bad goes in halves until single rows
 * are left; a batch over which it died is hunted through (poison.h). Rows go in the order of `_seq`. On a
 * lane: blocks. */
#ifndef PENSTOCK_FLOW_SINK_BATCH_H
#define PENSTOCK_FLOW_SINK_BATCH_H
#include "flow/metric.h"
#include "flow/poison.h"
#include "plugin/instance_out.h"

#define SINK_ID_SIZE 160
#define SINK_ALONE_MAX 3 /* rows refused by themselves, and none taken: it is not the rows */

typedef struct sink_batch {
    const metric_result *rows;    /* with `_seq` and `_received` */
    uint32_t n_rows;              /* of them, from the first on */
    const char *store;            /* "datastore:key" */
    const char *scope;            /* begins every id: "ws_…/key" */
    uint32_t rewound;             /* how often the sink was set back: ends every id, unless 0 */
    uint64_t first_seq, last_seq; /* what the whole batch stands for */
    bool again;
    poison_place place;
    arena *arena;
    /* out */
    instance_call call; /* the last failure */
    instance_refused *refused;
    uint32_t n_refused, cap_refused, n_poison;
    /* private */
    bool *known; /* rows that kill the plugin, by row; NULL = none */
    unsigned alone;
    bool taken;
} sink_batch;

/* STATUS_OK: every row is settled; else nothing counts, and `call` says what to do. */
status_class sink_batch_deliver(sink_batch *b, status *st);
void sink_batch_free(sink_batch *b); /* what deliver has made; zeroed is fine */
/* "<scope>/<first>-<last>", and "~<rewound>": what goes again because somebody wants it to has ids that the
 * far side does not know. */
void sink_batch_id(char out[SINK_ID_SIZE], const sink_batch *b, uint64_t first, uint64_t last);
#endif
