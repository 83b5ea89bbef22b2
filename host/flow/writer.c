#include "flow/writer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "flow/writer_private.h"

enum {
    TURN_BYTES = 16 << 20,        /* of journal records in one transaction */
    TURN_BYTES_LEAST = 256 << 10, /* however slow the database is */
    TURN_BYTES_FIRST = 256 << 10, /* before its speed is known */
    CHUNK_BYTES_LEAST = 64 << 10,
    STREAM_COST = 8 << 10, /* what a stream costs beside its bytes: statements, a position, the ledger */
    RATE_COST_LEAST = 128 << 10, /* smaller turns say nothing about the speed */
    BACK_OFF_FIRST_MS = 50,
    BACK_OFF_LAST_MS = 2000,
    REST_US = 1000000,
    TURN_ARENA_BYTES = 1 << 20,
};

/* ---- the queue, under the lock ---- */

void writer_wake(writer *w, const journal_stream *stream)
{
    pthread_mutex_lock(&w->lock);
    writer_queue_add(&w->queue, writer_queue_meet(&w->queue, stream));
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

static void wake_resting(writer *w)
{
    while (w->resting) {
        stream_state *s = w->resting;
        w->resting = s->next;
        s->queued = false;
        writer_queue_add(&w->queue, s);
    }
}

/* Until woken, or that time of the monotonic clock. */
static int wait_until(writer *w, int64_t us)
{
    struct timespec until = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    return pthread_cond_timedwait(&w->wake, &w->lock, &until);
}

/* Waits until something is there. False when it is time to end. */
static bool wait_for_work(writer *w)
{
    pthread_mutex_lock(&w->lock);
    for (;;) {
        if (w->resting && clock_monotonic_us() >= w->rest_until_us)
            wake_resting(w);
        if (writer_queue_waiting(&w->queue) > 0 || w->stop)
            break;
        if (w->resting)
            wait_until(w, w->rest_until_us);
        else
            pthread_cond_wait(&w->wake, &w->lock);
    }
    bool go_on = !w->stop;
    w->turns_begun += go_on;
    pthread_mutex_unlock(&w->lock);
    return go_on;
}

void writer_requeue(writer *w, stream_state *s)
{
    pthread_mutex_lock(&w->lock);
    writer_queue_add(&w->queue, s);
    pthread_mutex_unlock(&w->lock);
}

/* Its workspace cannot be written now: the others do not wait for it. */
void writer_rest(writer *w, stream_state *s, const char *store)
{
    pthread_mutex_lock(&w->lock);
    if (!w->resting) {
        log_warn("writer", "rows of a workspace that cannot be written now wait in the journal",
                 LOG_NUMBER("wid", s->workspace->wid), LOG_TEXT("store", store));
        w->rest_until_us = clock_monotonic_us() + REST_US;
    }
    if (!s->queued) {
        s->queued = true;
        s->next = w->resting;
        w->resting = s;
    }
    pthread_mutex_unlock(&w->lock);
}

/* More was there than was taken. */
void writer_requeue_if_waiting(writer *w, stream_state *s, uint64_t seq)
{
    journal_stream at;
    if (journal_stream_get(w->parts.journal, s->id, &at) && at.last_seq > seq)
        writer_requeue(w, s);
}

bool writer_give(writer *w, uint32_t stream, writer_place *out)
{
    pthread_mutex_lock(&w->lock);
    stream_state *s = writer_queue_stream(&w->queue, stream);
    bool given = !s || ((!s->in_turn || fault_active("hand_over")) && !s->stopped &&
                        (!s->queued || writer_queue_withdraw(&w->queue, s)));
    *out = (writer_place){0};
    if (s && given) {
        *out = (writer_place){s->met, s->known, s->adopted, s->committed_seq};
        s->known = s->adopted = false;
    }
    pthread_mutex_unlock(&w->lock);
    return given;
}

void writer_receive(writer *w, const journal_stream *stream, const writer_place *place)
{
    pthread_mutex_lock(&w->lock);
    stream_state *s = writer_queue_meet(&w->queue, stream);
    s->met = place->met;
    s->known = place->known;
    s->adopted = place->adopted;
    s->committed_seq = place->committed_seq;
    pthread_mutex_unlock(&w->lock);
}

void writer_charge(writer *w, uint32_t wid, uint64_t cost)
{
    pthread_mutex_lock(&w->lock);
    writer_queue_charge(&w->queue, writer_queue_workspace(&w->queue, wid), cost);
    pthread_mutex_unlock(&w->lock);
}

stream_state *writer_stream(writer *w, uint32_t id)
{
    pthread_mutex_lock(&w->lock);
    stream_state *s = writer_queue_stream(&w->queue, id);
    pthread_mutex_unlock(&w->lock);
    return s;
}

stream_state writer_stream_copy(writer *w, const stream_state *s)
{
    pthread_mutex_lock(&w->lock);
    stream_state copy = *s;
    pthread_mutex_unlock(&w->lock);
    return copy;
}

void writer_stream_known(writer *w, stream_state *s, uint64_t committed_seq)
{
    pthread_mutex_lock(&w->lock);
    s->adopted = s->adopted && s->committed_seq == committed_seq;
    s->met = s->known = true;
    s->committed_seq = committed_seq;
    pthread_mutex_unlock(&w->lock);
}

void writer_stream_stop(writer *w, stream_state *s, const journal_record *r, uint64_t position)
{
    pthread_mutex_lock(&w->lock);
    s->stopped = true;
    w->figures.streams_stopped++;
    pthread_mutex_unlock(&w->lock);
    log_error("writer", "a stream is stopped: the data plane's position does not fit the journal",
              LOG_NUMBER("wid", r->wid), LOG_TEXT("store", r->store), LOG_NUMBER("shard", r->shard),
              LOG_NUMBER("position", position), LOG_NUMBER("expected", r->prev_seq));
}

unsigned writer_adopt(writer *w)
{
    pthread_mutex_lock(&w->lock);
    unsigned n = writer_queue_adopt(&w->queue);
    w->figures.streams_stopped = 0;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    return n;
}

/* ---- one turn ---- */

/* After a failure nothing is known about positions; the streams come back into the queue and the thread waits
 * a while. */
static void back_off(writer *w, const turn *t, const status *st)
{
    pthread_mutex_lock(&w->lock);
    if (!w->figures.away)
        log_status(LOG_LEVEL_WARN, "writer", "rows wait in the journal", st);
    w->figures.away = st->class == STATUS_UNAVAILABLE || st->class == STATUS_TIMEOUT;
    w->figures.retries++;
    for (uint32_t i = 0; i < t->n_streams; i++) {
        t->streams[i]->known = fault_active("reread");
        t->streams[i]->in_turn = false;
        writer_queue_add(&w->queue, t->streams[i]);
    }
    w->back_off_ms = w->back_off_ms ? w->back_off_ms * 2 : BACK_OFF_FIRST_MS;
    w->back_off_ms = w->back_off_ms > BACK_OFF_LAST_MS ? BACK_OFF_LAST_MS : w->back_off_ms;
    int64_t until_us = clock_monotonic_us() + (int64_t)w->back_off_ms * 1000;
    while (!w->stop && wait_until(w, until_us) == 0)
        ;
    pthread_mutex_unlock(&w->lock);
}

static void note_success(writer *w, const turn *t)
{
    pthread_mutex_lock(&w->lock);
    for (uint32_t i = 0; i < t->n_streams; i++)
        t->streams[i]->in_turn = false;
    if (w->figures.away)
        log_info("writer", "the data plane is back");
    w->figures.away = false;
    w->back_off_ms = 0;
    pthread_mutex_unlock(&w->lock);
}

/* How much a turn may cost, so that it takes TURN_US. */
static uint64_t turn_budget(const writer *w)
{
    if (fault_active("turns"))
        return TURN_BYTES;
    uint64_t budget = w->rate ? w->rate * TURN_US / 1000000 : TURN_BYTES_FIRST;
    budget = budget < TURN_BYTES_LEAST ? TURN_BYTES_LEAST : budget;
    return budget > TURN_BYTES ? TURN_BYTES : budget;
}

/* The next stream, and how much of it: whoever is alone takes it all, else the rest is shared. */
static stream_state *next_stream(writer *w, turn *t, uint64_t left, size_t *chunk_out)
{
    pthread_mutex_lock(&w->lock);
    stream_state *s = writer_queue_next(&w->queue);
    if (s)
        s->in_turn = true;
    uint64_t chunk = left / (writer_queue_waiting(&w->queue) + 1);
    pthread_mutex_unlock(&w->lock);
    *chunk_out = chunk < CHUNK_BYTES_LEAST ? CHUNK_BYTES_LEAST : chunk;
    if (!s)
        return NULL;
    t->streams[t->n_streams++] = s;
    if (s->workspace->cost == 0)
        t->workspaces[t->n_workspaces++] = s->workspace;
    return s;
}

/* Fills the turn, workspace by workspace as their turns come. */
static status_class gather(writer *w, turn *t, status *st)
{
    const uint64_t budget = turn_budget(w);
    status_class class = STATUS_OK;
    size_t chunk;
    stream_state *s;
    while (t->n < TURN_RECORDS && t->n_streams < TURN_RECORDS && t->cost < budget &&
           (s = next_stream(w, t, budget - t->cost, &chunk))) {
        size_t before = t->bytes;
        status_class one = writer_take(w, t, s, chunk, st);
        uint64_t cost = t->bytes - before + STREAM_COST;
        t->cost += cost;
        writer_charge(w, s->workspace->wid, cost);
        class = one != STATUS_OK ? one : class;
    }
    return class;
}

/* What the turn has taken of the writer's time, and how fast the database is. */
static void end_turn(writer *w, turn *t, int64_t began_us)
{
    int64_t now_us = clock_monotonic_us(), took_us = now_us - began_us + 1;
    uint64_t all = 0, rate = t->cost * 1000000 / (uint64_t)took_us;
    if (t->cost >= RATE_COST_LEAST)
        w->rate = w->rate ? (w->rate * 3 + rate) / 4 : rate;
    pthread_mutex_lock(&w->lock);
    minute_add(&w->busy_us, now_us, (uint64_t)took_us);
    for (uint32_t i = 0; i < t->n_streams; i++)
        t->streams[i]->taken_seq = 0;
    for (uint32_t i = 0; i < t->n_workspaces; i++)
        all += t->workspaces[i]->cost;
    for (uint32_t i = 0; i < t->n_workspaces; i++) {
        queue_workspace *of = t->workspaces[i];
        minute_add(&of->busy_us, now_us, (uint64_t)((double)of->cost / (double)all * (double)took_us));
        of->cost = 0;
    }
    pthread_mutex_unlock(&w->lock);
    for (uint32_t i = 0; i < t->n_workspaces; i++) {
        flow_plan_release(t->workspaces[i]->plan);
        t->workspaces[i]->plan = NULL;
    }
}

static void run_turn(writer *w)
{
    turn t = {.records = arena_alloc(w->arena, TURN_RECORDS * sizeof(write_record)), /* filled one by one */
              .streams = arena_alloc(w->arena, TURN_RECORDS * sizeof(stream_state *)),
              .workspaces = arena_alloc(w->arena, TURN_RECORDS * sizeof(queue_workspace *))};
    status st;
    int64_t began_us = clock_monotonic_us();
    status_class class = gather(w, &t, &st);
    if (t.n > 0 && class == STATUS_OK)
        class = writer_commit(w, &t, &st);
    end_turn(w, &t, began_us);
    if (class == STATUS_OK)
        note_success(w, &t);
    else
        back_off(w, &t, &st);
}

static void *thread_main(void *arg)
{
    writer *w = arg;
    while (wait_for_work(w)) {
        run_turn(w);
        arena_reset(w->arena);
        pthread_mutex_lock(&w->lock);
        w->turns_ended = w->turns_begun;
        pthread_cond_broadcast(&w->turned);
        pthread_mutex_unlock(&w->lock);
    }
    return NULL;
}

/* ---- life ---- */

static void queue_waiting(writer *w)
{
    const journal_stream *streams;
    size_t n = journal_streams(w->parts.journal, true, w->arena, &streams);
    for (size_t i = 0; i < n; i++)
        if (streams[i].shard % w->parts.of == w->parts.number)
            writer_queue_add(&w->queue, writer_queue_meet(&w->queue, &streams[i]));
    arena_reset(w->arena);
}

writer *writer_start(const writer_parts *parts)
{
    writer *w = memory_zero(1, sizeof *w);
    w->parts = *parts;
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&w->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_cond_init(&w->turned, NULL);
    w->set = write_set_create(journal_incarnation(parts->journal), parts->number, &parts->letters);
    w->arena = arena_create(TURN_ARENA_BYTES);
    queue_waiting(w);
    int rc = pthread_create(&w->thread, NULL, thread_main, w);
    if (rc != 0)
        abort();
    return w;
}

void writer_barrier(writer *w)
{
    pthread_mutex_lock(&w->lock);
    uint64_t turn = w->turns_begun;
    while (w->turns_ended < turn && !w->stop)
        pthread_cond_wait(&w->turned, &w->lock);
    pthread_mutex_unlock(&w->lock);
}

void writer_stop(writer *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_broadcast(&w->wake);
    pthread_cond_broadcast(&w->turned);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    pool_return(w->parts.data, w->connection);
    write_set_free(w->set);
    arena_free(w->arena);
    writer_queue_free(&w->queue);
    pthread_cond_destroy(&w->wake);
    pthread_cond_destroy(&w->turned);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

writer_figures writer_look(writer *w)
{
    pthread_mutex_lock(&w->lock);
    writer_figures figures = w->figures;
    pthread_mutex_unlock(&w->lock);
    return figures;
}

writer_share writer_look_at(writer *w, uint32_t wid)
{
    int64_t now_us = clock_monotonic_us();
    pthread_mutex_lock(&w->lock);
    writer_share share = {.all_us = (int64_t)minute_sum(&w->busy_us, now_us)};
    for (uint32_t i = 0; i < w->queue.n_buckets; i++)
        for (const queue_workspace *of = w->queue.workspaces[i]; of; of = of->next) {
            int64_t busy_us = (int64_t)minute_sum(&of->busy_us, now_us);
            if (of->wid == wid) {
                share.busy_us = busy_us;
                share.committed_us = of->committed_us;
                share.latency_us = of->latency_us;
            } else if (busy_us > share.neighbour_us) {
                share.neighbour = of->wid;
                share.neighbour_us = busy_us;
            }
        }
    share.streams_stopped = writer_queue_stopped(&w->queue, wid);
    for (const stream_state *s = w->resting; s; s = s->next)
        share.resting = share.resting || s->workspace->wid == wid;
    pthread_mutex_unlock(&w->lock);
    return share;
}
