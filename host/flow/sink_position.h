/* Where a sink stands in its store: penstock.sink on the data plane. A position is moved by compare-and-set,
 * so that whoever lost touch with it (a second host, an answer that never came) finds out and reads it anew.
 * Blocks: on a lane, with a connection of the service's login. */
#ifndef PENSTOCK_FLOW_SINK_POSITION_H
#define PENSTOCK_FLOW_SINK_POSITION_H
#include <stdbool.h>
#include <stdint.h>

#include "flow/dead_letter.h"
#include "store/connection.h"
#include "store/table.h"

typedef struct sink_position {
    int32_t wid;
    const char *sink; /* its key */
    const store_table *store;
    uint64_t seq;    /* every row up to here was delivered, or is a dead letter */
    uint64_t trying; /* where the batch ends that is under way; 0 = none is */
    uint64_t delivered, refused;
    uint32_t rewound; /* how often it was set back */
} sink_position;

/* Fills in what is there. A sink that is new begins before the store's oldest row, but not behind `settled`,
 * up to where no row can come any more; there, if it wants only the `newest`. */
status_class sink_position_load(connection *c, sink_position *at, uint64_t settled, bool newest, status *st);
/* A batch up to `upto` is about to be handed over: after a crash the same rows go under the same id.
 * STATUS_CONFLICT: it is not where it was; load it. */
status_class sink_position_try(connection *c, sink_position *at, uint64_t upto, status *st);

#define SINK_REWIND_ALL INT64_MIN
/* Back to before the first row that was received at `since_us` or later (SINK_REWIND_ALL: the oldest one),
 * whatever is under way, which then cannot move it any more; never forward. A sink that has not begun begins
 * there. at->seq is where it stands then; *was_out, where it stood, 0 = nowhere. */
status_class sink_position_rewind(connection *c, sink_position *at, uint64_t settled, int64_t since_us,
                                  uint64_t *was_out, status *st);

/* A row that the far side does not take. */
typedef struct sink_refused {
    const char *reason;
    const char *row; /* JSON */
    size_t len;
    int64_t received_us;
} sink_refused;
/* The batch that was tried is settled: `delivered` rows are on the far side, and those in `letters` become
 * dead letters of the sink; one transaction. STATUS_CONFLICT as above. */
status_class sink_position_move(connection *c, sink_position *at, uint64_t delivered, const char *batch_id,
                                const letter_limits *limits, const sink_refused *letters, uint32_t n,
                                status *st);

/* Another journal than this one may still bring rows to the store, whose numbers nobody here knows. */
status_class sink_position_alone(connection *c, const sink_position *at, const uint8_t incarnation[16],
                                 bool *alone_out, status *st);
#endif
