/* The inside of a writer, shared by writer.c (its life, whose turn it is), writer_take.c (records into a
 * turn) and writer_commit.c (a turn into the database). */
#ifndef PENSTOCK_FLOW_WRITER_PRIVATE_H
#define PENSTOCK_FLOW_WRITER_PRIVATE_H
#include <pthread.h>

#include "flow/writer.h"
#include "flow/writer_queue.h"

enum {
    TURN_RECORDS = 4096,
    TURN_US = 400000, /* how long a transaction may take, about: so long the others wait */
};

struct writer {
    writer_parts parts;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake, turned;
    bool stop;
    uint64_t turns_begun, turns_ended;
    writer_queue queue;
    stream_state *resting; /* their workspaces cannot be written now; tried again at rest_until_us */
    int64_t rest_until_us;
    /* of the thread alone */
    write_set *set;
    arena *arena;
    connection *connection;
    uint64_t rate;  /* cost a second that the database takes; 0 = not known yet */
    minute busy_us; /* under the lock, as the rest */
    writer_figures figures;
    unsigned back_off_ms;
};

typedef struct turn {
    write_record *records;
    uint32_t n;
    stream_state **streams; /* that were looked at, in that order; one may stand there again */
    queue_workspace **workspaces;
    uint32_t n_streams, n_workspaces;
    size_t bytes;
    uint64_t cost;
    uint64_t journal_commit; /* from which some of it was read ahead of its sync; 0 = none */
} turn;

/* ---- writer.c: the streams, each call under the lock by itself ---- */
stream_state *writer_stream(writer *w, uint32_t id);
stream_state writer_stream_copy(writer *w, const stream_state *s);
/* The database stands there. */
void writer_stream_known(writer *w, stream_state *s, uint64_t committed_seq);
void writer_stream_stop(writer *w, stream_state *s, const journal_record *r, uint64_t position);
void writer_requeue(writer *w, stream_state *s);
void writer_requeue_if_waiting(writer *w, stream_state *s, uint64_t seq); /* more was there than was taken */
/* Its workspace cannot be written now: the others do not wait for it. */
void writer_rest(writer *w, stream_state *s, const char *store);
void writer_charge(writer *w, uint32_t wid, uint64_t cost);

/* ---- writer_take.c ---- */
/* Reads what one stream has waiting, or a part of it, into the turn. */
status_class writer_take(writer *w, turn *t, stream_state *stream, size_t budget, status *st);

/* ---- writer_commit.c ---- */
status_class writer_connect(writer *w, status *st);
status_class writer_commit(writer *w, turn *t, status *st);
#endif
