/* The live view of feature- and inferencestores, whose rows are deleted and written anew by key.
 *
 * Nothing is kept for it. After a commit, and only when somebody watches, the rows of the keys that were
 * computed are read back by their key and told. For a return PostgreSQL's own bookkeeping serves: every row
 * carries the transaction that wrote it (xmin). An id is the oldest transaction that was under way when it
 * was given, so everything before it was there to see; who comes back with it gets every row that this
 * transaction or a later one wrote, in its newest form. Rows that went away are not told.
 *
 * An id names the database cluster and its timeline, too: with one of another cluster (a restored dump), or
 * from before the table was changed or replaced, every row is new. */
#ifndef PENSTOCK_FLOW_LIVE_STAGE_H
#define PENSTOCK_FLOW_LIVE_STAGE_H
#include "flow/live.h"
#include "flow/store_rows.h"

#define LIVE_STAGE_ROWS_MAX 50000 /* told of one commit; more are read from the table, after "restarted" */

typedef struct live_place {
    char id[LIVE_ID_SIZE]; /* what is committed now */
    bool whole;            /* every row counts as new */
    char since[16];        /* else the xid for store_query.since */
} live_place;

/* What the hub knows a store as. */
void live_stage_name(char out[LIVE_STORE_SIZE], const store_table *table);
/* Whether a text can be such an id. */
bool live_stage_is_id(const char *id);
/* Where the store is now, and what is new since `id` (NULL = only what comes). */
status_class live_stage_place(connection *c, const store_table *table, const char *id, live_place *out,
                              status *st);
/* `h` may be NULL everywhere. */
bool live_stage_watched(live_hub *h, const store_table *table);
/* After a commit on `c`, by the one that computes this store, before the next one's: the rows in the ranges.
 * What cannot be read ends the watches with "restarted". */
void live_stage_tell(live_hub *h, connection *c, const store_table *table, const store_ranges *ranges);
/* All of it is new. */
void live_stage_restart(live_hub *h, const store_table *table);
/* It is not known whether a commit was, or will be, carried out; a later transaction that computed this store
 * has had to wait for it. */
void live_stage_unsettled(live_hub *h, const store_table *table);
void live_stage_settled(live_hub *h, const store_table *table);
#endif
