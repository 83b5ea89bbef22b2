/* The writer's queue: which streams have records waiting, by workspace, and whose turn it is. Workspaces take
 * turns (base/turns.h); within one its streams follow one another, live ones before the backlog. Private to
 * the writer; everything is under its lock, unless it says otherwise. Streams and workspaces are kept once
 * met. */
#ifndef PENSTOCK_FLOW_WRITER_QUEUE_H
#define PENSTOCK_FLOW_WRITER_QUEUE_H
#include <stdbool.h>
#include <stdint.h>

#include "base/minute.h"
#include "base/turns.h"
#include "flow/journal.h"
#include "flow/plan.h"

typedef struct stream_state stream_state;

typedef struct queue_workspace {
    turn_taker taker; /* first */
    struct queue_workspace *next;
    uint32_t wid;
    stream_state *first[2], **last[2]; /* those that wait, by lane */
    minute busy_us;                    /* the writer's time that went to its records */
    int64_t latency_us;   /* of the latest commit: since the oldest of its records was received */
    int64_t committed_us; /* when that was, wall time; 0 = not yet */
    /* of the writer's thread, in a turn */
    const flow_plan *plan; /* retained */
    uint64_t cost;
} queue_workspace;

/* What a writer knows of a stream. */
struct stream_state {
    uint32_t id;
    journal_lane lane;
    queue_workspace *workspace;
    stream_state *next;
    bool met;     /* its position was looked at since the start */
    bool known;   /* committed_seq was read from the data plane, or moved there by us */
    bool stopped; /* a gap: needs a person */
    bool adopted; /* who has said that it may be passed */
    bool queued;
    bool in_turn; /* of the turn under way, until its outcome is known */
    uint64_t committed_seq;
    uint64_t taken_seq; /* of the records in the turn under way; 0 = none of it */
};

typedef struct writer_queue {
    turns turns;
    stream_state **streams; /* open addressing by id */
    uint32_t n_streams, n_slots;
    queue_workspace **workspaces; /* buckets by wid */
    uint32_t n_workspaces, n_buckets;
    stream_state *arrivals, **last_arrival; /* the fault "turns": whoever came first, whosever it is */
} writer_queue;

void writer_queue_free(writer_queue *q);
/* Met before or not. */
stream_state *writer_queue_meet(writer_queue *q, const journal_stream *s);
stream_state *writer_queue_stream(const writer_queue *q, uint32_t id); /* NULL = never met */
queue_workspace *writer_queue_workspace(const writer_queue *q, uint32_t wid);
/* It has something waiting; a stopped one is left alone, and asking twice is asking once. */
void writer_queue_add(writer_queue *q, stream_state *s);
/* The stream whose turn it is; NULL = none waits. */
stream_state *writer_queue_next(writer_queue *q);
/* It does not wait any more; false if it did not stand here. */
bool writer_queue_withdraw(writer_queue *q, stream_state *s);
/* Those that were stopped wait again; returns how many. */
unsigned writer_queue_adopt(writer_queue *q);
/* Streams of the workspace that are stopped. */
unsigned writer_queue_stopped(const writer_queue *q, uint32_t wid);
void writer_queue_charge(writer_queue *q, queue_workspace *w, uint64_t cost);
/* Workspaces that have something waiting. */
static inline uint32_t writer_queue_waiting(const writer_queue *q)
{
    return q->arrivals ? 1 : turns_waiting(&q->turns);
}
#endif
