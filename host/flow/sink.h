/* Sinks: connectors that rows go out through. A sink works in turns on a lane of its own pool:
 *
 *     at rest ──rows were stored──► read ──note what is tried──► write ──move the position──► read …
 *        ▲                           │ nothing is settled           │
 *        └───────────────────────────┘     far side away: back off ─┘
 *
 * It reads its store in the order of `_seq`, behind its position and below what the journal calls settled
 * (journal_settled_get): a row with a lower number that is committed later would otherwise be passed over. So
 * it never holds the journal, and nothing waits for it: rows lie in their store until they are asked for.
 *
 * A batch is noted before it is handed over, so that after a crash the same rows go under the same id; the
 * position moves once the far side has them. At least once. */
#ifndef PENSTOCK_FLOW_SINK_H
#define PENSTOCK_FLOW_SINK_H
#include "flow/dead_letter.h"
#include "flow/journal.h"
#include "flow/plan.h"
#include "flow/poison.h"
#include "flow/source.h"
#include "loop/lane.h"
#include "plugin/instance.h"
#include "store/pool.h"

typedef struct sink sink;

typedef struct sink_look {
    source_state state;          /* never ENDED */
    uint64_t delivered, refused; /* rows, since the sink was made */
    uint64_t position;           /* the last _seq that is settled; 0 = not known yet */
    int64_t last_us;             /* wall time of the last delivery since the start; 0 = none */
    int64_t waiting_since_us;    /* when the oldest row that is not delivered was received; 0 = none waits */
    char problem[256];           /* "" = fine */
} sink_look;

typedef struct sink_rewound {
    uint64_t was, position; /* before the first row that goes out; 0 = it had not begun */
} sink_rewound;

typedef struct sink_parts {
    journal *journal;
    pool *const *data;     /* the service's login */
    lane_group *lanes;     /* of the pool for sinks */
    const flow_plan *plan; /* retained */
    const defined_sink *defined;
    poison_ward *ward;
    letter_limits letters;
    instance *plugin; /* owned by the sink from now on */
} sink_parts;

sink *sink_create(const sink_parts *parts);
/* Cancels the call under way and waits for the end of the turn. NULL is fine. Not on the loop thread. */
void sink_free(sink *s);
/* Runs a turn if one is due at `now_us` (monotonic). [any], cheap. */
void sink_tick(sink *s, int64_t now_us);
/* Rows were stored in the workspace. [any], cheap */
void sink_stored(sink *s);
void sink_pause(sink *s, bool paused); /* [any] */
/* A secret has changed, or a person asks: what it waits for is tried at once. [any] */
void sink_renew(sink *s);
/* Its position was set back to `seq` in the table. [any] */
void sink_moved(sink *s, uint64_t seq);
sink_look sink_look_at(sink *s); /* [any] */
#endif
