/* The live view: what is committed to a store goes to everybody who watches it, row by row, in the order of
 * the commits: from the writers for datastores, from live_stage.h for feature- and inferencestores.
 *
 * A watch has a name: the highest `_seq` below which nothing is still to come (the mark). Who comes back with
 * it misses nothing: he reads the rows behind it from the table and goes on live. Several writers commit side
 * by side, so a row may be shown twice; its `_seq` tells. A watcher holds up nobody: the writer copies a
 * batch once a store and goes on, a lane of the hub's own makes the texts, and who does not take them is told
 * and let go. */
#ifndef PENSTOCK_FLOW_LIVE_H
#define PENSTOCK_FLOW_LIVE_H
#include <stdbool.h>
#include <stdint.h>

#include "flow/journal.h"
#include "flow/metric.h"
#include "flow/write_set.h"
#include "loop/lane.h"

typedef struct live_hub live_hub;
typedef struct live_watch live_watch;

#define LIVE_WATCHES_MAX 128 /* of the host */
#define LIVE_WORKSPACE_WATCHES_MAX 32
#define LIVE_KEY_WATCHES_MAX 16
#define LIVE_WAITING_BYTES (8U << 20) /* of committed rows that were not handed on yet, of one store */
#define LIVE_HELD_BYTES (4U << 20)    /* of events for a watch that still reads the past */
#define LIVE_ID_SIZE 64
#define LIVE_STORE_SIZE (NAME_KEY_MAX + 17)

/* Text of whole events. False: the watcher is gone, or was told why he is let go; it is not called again.
 * Never blocks. */
typedef bool (*live_send)(void *arg, const char *events, size_t len);
/* The last call of a watch. `why` NULL: send had said false; else a word: "too_slow", "restarted", "stopped".
 */
typedef void (*live_end)(void *arg, const char *why);

typedef struct live_filter { /* column = text of the value, as CSV has it */
    const char *column, *text;
} live_filter;

typedef struct live_wish {
    int32_t wid;
    const char *store, *owner;  /* a datastore's key, or "featurestore:key" …; who watches */
    const char *const *columns; /* NULL = all; copied, like the filters */
    uint32_t n_columns;
    const live_filter *filters;
    uint32_t n_filters;
    live_send send;
    live_end end;
} live_wish;

/* `shards`: how many streams a store may have. */
live_hub *live_create(lane_pool *lanes, journal *j, unsigned shards);
/* Ends every watch with "stopped"; new ones are refused. */
void live_stop(live_hub *h);
void live_free(live_hub *h); /* NULL is fine */

/* From now on everything that is committed is kept for the watch; live_go sends it. STATUS_LIMIT. `end` is
 * called once, whatever happens, unless this fails. */
status_class live_open(live_hub *h, const live_wish *wish, live_watch **out, status *st);
/* What `send` and `end` are called with; before live_take or live_cancel. */
void live_attach(live_watch *w, void *arg);
/* What came meanwhile, into `out` (cleared first); false when there is nothing left: the watch is live from
 * here on, or has ended. The handle is the hub's then. */
bool live_take(live_watch *w, text *out);
/* Ends a watch that was not made live. */
void live_cancel(live_watch *w, const char *why);
/* The events of rows out of the table (with their `_seq`), as the watch wants them. Not while it is live. */
void live_events(const live_watch *w, const metric_result *rows, text *out);

/* A writer's thread, after the commit and before the journal is trimmed; cheap when nobody watches. */
void live_push(live_hub *h, const write_record *record);
/* Whether rows of the store are wanted; cheap when nobody watches. `h` may be NULL. */
bool live_watched(live_hub *h, int32_t wid, const char *store);
/* Rows of a store without writers, after their commit. `id`: who has it has all that was committed before;
 * the caller tells one commit after the other. */
void live_tell(live_hub *h, int32_t wid, const char *store, const metric_result *rows, const char *id);
/* What was committed is not known: everybody who watches comes back and reads the table. */
void live_restart(live_hub *h, int32_t wid, const char *store);
/* A commit may still be carried out: the same, and once more when live_settled says that it cannot any more.
 */
void live_unsettled(live_hub *h, int32_t wid, const char *store);
void live_settled(live_hub *h, int32_t wid, const char *store); /* cheap when nothing is in doubt */
/* Now and then: signs of life, so that who is gone is noticed. */
void live_tick(live_hub *h, int64_t now_us);
unsigned live_watches(const live_hub *h);
/* Waits until what was pushed has been handed on. Not on the hub's lane. */
void live_settle(live_hub *h);
#endif
