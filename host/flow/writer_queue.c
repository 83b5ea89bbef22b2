#include "flow/writer_queue.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/fault.h"
#include "base/keep.h"

enum { SLOTS_FIRST = 64, BUCKETS_FIRST = 16 };

void writer_queue_free(writer_queue *q)
{
    turns_free(&q->turns);
    for (uint32_t i = 0; i < q->n_slots; i++)
        keep_free(q->streams[i]);
    for (uint32_t i = 0; i < q->n_buckets; i++)
        for (queue_workspace *w = q->workspaces[i], *next; w; w = next) {
            next = w->next;
            keep_free(w);
        }
    free(q->streams);
    free(q->workspaces);
    *q = (writer_queue){0};
}

/* ---- workspaces ---- */

queue_workspace *writer_queue_workspace(const writer_queue *q, uint32_t wid)
{
    queue_workspace *w = q->n_buckets ? q->workspaces[wid & (q->n_buckets - 1)] : NULL;
    while (w && w->wid != wid)
        w = w->next;
    return w;
}

static void link_workspace(queue_workspace **buckets, uint32_t n_buckets, queue_workspace *w)
{
    queue_workspace **at = &buckets[w->wid & (n_buckets - 1)];
    w->next = *at;
    *at = w;
}

static void double_buckets(writer_queue *q)
{
    uint32_t n_buckets = q->n_buckets ? q->n_buckets * 2 : BUCKETS_FIRST;
    queue_workspace **buckets = memory_zero(n_buckets, sizeof(queue_workspace *));
    for (uint32_t i = 0; i < q->n_buckets; i++)
        for (queue_workspace *w = q->workspaces[i], *next; w; w = next) {
            next = w->next;
            link_workspace(buckets, n_buckets, w);
        }
    free(q->workspaces);
    q->workspaces = buckets;
    q->n_buckets = n_buckets;
}

static queue_workspace *meet_workspace(writer_queue *q, uint32_t wid)
{
    queue_workspace *w = writer_queue_workspace(q, wid);
    if (w)
        return w;
    if (q->n_workspaces >= q->n_buckets)
        double_buckets(q);
    w = keep_zero(1, sizeof *w);
    w->wid = wid;
    w->last[JOURNAL_LIVE] = &w->first[JOURNAL_LIVE];
    w->last[JOURNAL_BACKLOG] = &w->first[JOURNAL_BACKLOG];
    link_workspace(q->workspaces, q->n_buckets, w);
    q->n_workspaces++;
    return w;
}

/* ---- streams ---- */

static stream_state **slot_of(stream_state **streams, uint32_t n_slots, uint32_t id)
{
    uint32_t i = (id * 2654435761U) & (n_slots - 1);
    while (streams[i] && streams[i]->id != id)
        i = (i + 1) & (n_slots - 1);
    return &streams[i];
}

static void double_slots(writer_queue *q)
{
    uint32_t n_slots = q->n_slots ? q->n_slots * 2 : SLOTS_FIRST;
    stream_state **streams = memory_zero(n_slots, sizeof(stream_state *));
    for (uint32_t i = 0; i < q->n_slots; i++)
        if (q->streams[i])
            *slot_of(streams, n_slots, q->streams[i]->id) = q->streams[i];
    free(q->streams);
    q->streams = streams;
    q->n_slots = n_slots;
}

stream_state *writer_queue_stream(const writer_queue *q, uint32_t id)
{
    return q->n_slots ? *slot_of(q->streams, q->n_slots, id) : NULL;
}

stream_state *writer_queue_meet(writer_queue *q, const journal_stream *at)
{
    stream_state *s = writer_queue_stream(q, at->id);
    if (s)
        return s;
    if (q->n_streams * 2 >= q->n_slots)
        double_slots(q);
    s = keep_zero(1, sizeof *s);
    s->id = at->id;
    s->lane = at->lane;
    s->workspace = meet_workspace(q, at->wid);
    *slot_of(q->streams, q->n_slots, s->id) = s;
    q->n_streams++;
    return s;
}

/* ---- turns ---- */

/* The guard taken out: no turns, but the order of arrival. */
static void arrive(writer_queue *q, stream_state *s)
{
    stream_state **last = q->arrivals ? q->last_arrival : &q->arrivals;
    *last = s;
    q->last_arrival = &s->next;
}

static stream_state *first_arrival(writer_queue *q)
{
    stream_state *s = q->arrivals;
    q->arrivals = s->next;
    s->next = NULL;
    s->queued = false;
    return s;
}

void writer_queue_add(writer_queue *q, stream_state *s)
{
    queue_workspace *w = s->workspace;
    if (s->queued || s->stopped)
        return;
    s->queued = true;
    s->next = NULL;
    if (fault_active("turns")) {
        arrive(q, s);
        return;
    }
    *w->last[s->lane] = s;
    w->last[s->lane] = &s->next;
    turns_want(&q->turns, &w->taker);
}

static stream_state *first_of(queue_workspace *w)
{
    journal_lane lane = w->first[JOURNAL_LIVE] ? JOURNAL_LIVE : JOURNAL_BACKLOG;
    stream_state *s = w->first[lane];
    w->first[lane] = s->next;
    if (!s->next)
        w->last[lane] = &w->first[lane];
    s->next = NULL;
    s->queued = false;
    return s;
}

stream_state *writer_queue_next(writer_queue *q)
{
    if (q->arrivals)
        return first_arrival(q);
    queue_workspace *w = (queue_workspace *)turns_next(&q->turns);
    if (!w)
        return NULL;
    stream_state *s = first_of(w);
    if (w->first[JOURNAL_LIVE] || w->first[JOURNAL_BACKLOG])
        turns_want(&q->turns, &w->taker);
    return s;
}

bool writer_queue_withdraw(writer_queue *q, stream_state *s)
{
    queue_workspace *w = s->workspace;
    stream_state **at = &w->first[s->lane];
    while (*at && *at != s)
        at = &(*at)->next;
    if (!*at)
        return false;
    *at = s->next;
    if (!s->next)
        w->last[s->lane] = at;
    s->next = NULL;
    s->queued = false;
    if (!w->first[JOURNAL_LIVE] && !w->first[JOURNAL_BACKLOG])
        turns_leave(&q->turns, &w->taker);
    return true;
}

void writer_queue_charge(writer_queue *q, queue_workspace *w, uint64_t cost)
{
    w->cost += cost;
    turns_charge(&q->turns, &w->taker, cost);
}

unsigned writer_queue_adopt(writer_queue *q)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < q->n_slots; i++) {
        stream_state *s = q->streams[i];
        if (!s || !s->stopped)
            continue;
        s->stopped = false;
        s->adopted = true;
        writer_queue_add(q, s);
        n++;
    }
    return n;
}

unsigned writer_queue_stopped(const writer_queue *q, uint32_t wid)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < q->n_slots; i++)
        n += q->streams[i] && q->streams[i]->stopped && q->streams[i]->workspace->wid == wid;
    return n;
}
