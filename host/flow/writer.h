/* Writers: the threads that carry records from the journal into the datastores. A stream has one writer at a
 * time (flow/crew.h says which). Each works in turns: take what waits (small records of many
 * requests and stores coalesce by themselves while the last transaction runs), make partitions, commit one
 * transaction, trim the journal, report to the waiters.
 *
 * A COMMIT whose answer was lost is a retry: the position tells whether it happened. A position that is not
 * where the journal expects it (a restored database, a lost journal) stops that stream with an alarm; nothing
 * is skipped silently. PostgreSQL away: the writer backs off, the journal holds the rows. */
#ifndef PENSTOCK_FLOW_WRITER_H
#define PENSTOCK_FLOW_WRITER_H
#include <stdbool.h>
#include <stdint.h>

#include "flow/journal.h"
#include "flow/plan.h"
#include "flow/waiter.h"
#include "flow/write_set.h"
#include "store/partitions.h"
#include "store/pool.h"

typedef struct writer writer;

typedef enum writer_plan { WRITER_PLAN_READY, WRITER_PLAN_LATER, WRITER_PLAN_GONE } writer_plan;

typedef struct writer_parts {
    journal *journal;
    pool *data;
    partition_cache *partitions;
    waiter_table *waiters;
    /* The plan of a workspace, retained; LATER = it exists but cannot be used now, GONE = it was deleted.
     * [any] */
    writer_plan (*plan_of)(void *arg, uint32_t wid, const flow_plan **plan_out);
    /* After a commit and before the journal is trimmed, once a record; without a store: the record had been
     * committed before. May be NULL. On the writer's thread, must not block. */
    void (*on_committed)(void *arg, const write_record *record);
    void *arg;
    letter_limits letters;
    unsigned number, of; /* its shards, to begin with: shard % of == number */
} writer_parts;

typedef struct writer_figures {
    uint64_t transactions, records, rows_stored, rows_duplicate, rows_dead, retries;
    uint32_t streams_stopped;
    bool away; /* PostgreSQL cannot be reached */
} writer_figures;

/* One workspace's part of a writer, in the last minute. */
typedef struct writer_share {
    int64_t busy_us, all_us; /* the writer's time that went to it, and to everybody */
    uint32_t neighbour;      /* wid of whom else most of it went to; 0 = nobody */
    int64_t neighbour_us;
    int64_t committed_us; /* wall time of its latest commit; 0 = none yet */
    int64_t latency_us;   /* then: since the oldest of its records was received */
    uint32_t streams_stopped;
    bool resting; /* some of its records cannot be written now */
} writer_share;

/* Starts with what the journal has waiting. */
writer *writer_start(const writer_parts *parts);
/* A stream got records. [any], must be cheap: it runs on the journal's thread. */
void writer_wake(writer *w, const journal_stream *stream);
/* What a writer knows of a stream, handed to the one that goes on with it. */
typedef struct writer_place {
    bool met, known, adopted;
    uint64_t committed_seq;
} writer_place;
/* Gives a stream up, unless some of it is in the turn under way, or it is stopped or rests: then false. */
bool writer_give(writer *w, uint32_t stream, writer_place *place_out);
/* Goes on with a stream that another writer has given up. */
void writer_receive(writer *w, const journal_stream *stream, const writer_place *place);
/* Waits until the turn that is under way has ended: later ones use the plans of now. Not on the writer's
 * thread. */
void writer_barrier(writer *w);
/* Streams that stopped at a gap go on behind it, because somebody has accepted the loss; returns how many.
 * [any] */
unsigned writer_adopt(writer *w);
/* Finishes the turn at hand and ends the thread; what waits stays in the journal. NULL is fine. */
void writer_stop(writer *w);
writer_figures writer_look(writer *w);
writer_share writer_look_at(writer *w, uint32_t wid); /* [any] */
#endif
