/* Dirty marks in the data plane: written with the rows that caused them, claimed by the one refresher of a
 * dependant. penstock.dirty_wid{N}(dependant, bucket, entity, seq) is append-only; a mark may stand there
 * many times. */
#ifndef PENSTOCK_FLOW_DIRTY_MARKS_H
#define PENSTOCK_FLOW_DIRTY_MARKS_H
#include "base/arena.h"
#include "flow/dirty.h"
#include "flow/plan.h"
#include "store/connection.h"

typedef struct dirty_marks dirty_marks;

dirty_marks *dirty_marks_create(void);
void dirty_marks_free(dirty_marks *m);
void dirty_marks_clear(dirty_marks *m);
/* Marks for every dependant of a store: `rows` are rows of its table (only the key columns are read).
 * `received_us` is the time against which a dependant's horizon counts (INT64_MIN = no horizon counts);
 * too_late_out[i], unless NULL, says how many rows came too late for dependants[i]. */
void dirty_marks_add(dirty_marks *m, int32_t wid, const dependant *dependants, uint32_t n, const batch *rows,
                     int64_t seq, int64_t received_us, uint32_t *too_late_out);
/* Inserts what was added; inside the rows' transaction. */
status_class dirty_marks_write(dirty_marks *m, connection *c, status *st);

/* Keys that a refresher took. One entry a distinct (bucket, entity), ordered by entity, then bucket. */
typedef struct dirty_key {
    int64_t bucket_us;
    const char *const *entity; /* n_entity texts */
} dirty_key;

typedef struct dirty_claim {
    dirty_key *keys;
    uint32_t n;
    bool more; /* there may be marks beyond the limit */
} dirty_claim;

/* Deletes about `limit` marks of the dependant that this transaction sees (all of them, if they are fewer)
 * and returns their keys. Must come before the statements that recompute them. */
status_class dirty_marks_claim(connection *c, int32_t wid, const char *name, uint32_t n_entity,
                               uint32_t limit, arena *a, dirty_claim *out, status *st);
#ifdef PENSTOCK_FAULTS
/* With the fault "mark_order" claiming leaves the marks; this removes them after the computation: the wrong
 * way round. */
status_class dirty_marks_remove_late(connection *c, int32_t wid, const char *name, status *st);
#endif
/* One mark for every row of `source` in [from, to], whose own time is the bucket of the dependant. */
status_class dirty_marks_all(connection *c, int32_t wid, const store_table *source, const dependant *d,
                             int64_t from_us, int64_t to_us, status *st);
#endif
