/* The registry of streams, in memory, and what is asked about them. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/keep.h"
#include "flow/journal_state.h"

static uint64_t stream_hash(uint32_t wid, const char *store, journal_lane lane, uint16_t shard)
{
    return name_hash(store, strlen(store)) ^ ((uint64_t)wid * 0x9E3779B97F4A7C15U) ^
           ((uint64_t)shard << 8 | (uint64_t)lane) * 0xC2B2AE3D27D4EB4FU;
}

static bool is_stream(const stream_state *s, uint32_t wid, const char *store, journal_lane lane,
                      uint16_t shard)
{
    return s->at.wid == wid && s->at.lane == lane && s->at.shard == shard && strcmp(s->at.store, store) == 0;
}

stream_state *stream_find_locked(journal *j, uint32_t wid, const char *store, journal_lane lane,
                                 uint16_t shard)
{
    if (j->n_buckets == 0)
        return NULL;
    stream_state *s = j->buckets[stream_hash(wid, store, lane, shard) & (j->n_buckets - 1)];
    while (s && !is_stream(s, wid, store, lane, shard))
        s = s->next;
    return s;
}

static void grow_registry(journal *j)
{
    if (j->n_streams + 1 >= j->cap_streams) {
        j->cap_streams = j->cap_streams ? j->cap_streams * 2 : 64;
        j->streams = memory_grow(j->streams, j->cap_streams * sizeof(stream_state *));
        j->streams[0] = NULL;
    }
    if (j->n_streams < j->n_buckets)
        return;
    uint32_t n = j->n_buckets ? j->n_buckets * 2 : 64;
    free(j->buckets);
    j->buckets = memory_zero(n, sizeof(stream_state *));
    j->n_buckets = n;
    for (uint32_t i = 1; i <= j->n_streams; i++) {
        stream_state *s = j->streams[i];
        uint64_t at = stream_hash(s->at.wid, s->at.store, s->at.lane, s->at.shard) & (n - 1);
        s->next = j->buckets[at];
        j->buckets[at] = s;
    }
}

journal_usage *stream_usage_locked(journal *j, uint32_t wid, const char *store)
{
    journal_usage **at = &j->usages[stream_hash(wid, store, 0, 0) % JOURNAL_USAGE_BUCKETS];
    for (journal_usage *u = *at; u; u = u->next)
        if (u->wid == wid && strcmp(u->store, store) == 0)
            return u;
    journal_usage *u = keep_zero(1, sizeof *u);
    u->wid = wid;
    memcpy(u->store, store, strlen(store) + 1);
    u->next = *at;
    return *at = u;
}

stream_state *stream_make_locked(journal *j, uint32_t wid, const char *store, journal_lane lane,
                                 uint16_t shard)
{
    assert(strlen(store) <= NAME_KEY_MAX);
    grow_registry(j);
    stream_state *s = keep_zero(1, sizeof *s);
    uint64_t from = (uint64_t)j->era << JOURNAL_ERA_SHIFT;
    s->at = (journal_stream){.id = ++j->n_streams,
                             .wid = wid,
                             .lane = lane,
                             .shard = shard,
                             .last_seq = from,
                             .trimmed_seq = from,
                             .opened_seq = from};
    memcpy(s->at.store, store, strlen(store) + 1);
    s->usage = stream_usage_locked(j, wid, store);
    j->streams[s->at.id] = s;
    uint64_t at = stream_hash(wid, store, lane, shard) & (j->n_buckets - 1);
    s->next = j->buckets[at];
    j->buckets[at] = s;
    return s;
}

void streams_free(journal *j)
{
    for (uint32_t i = 1; i <= j->n_streams; i++)
        keep_free(j->streams[i]);
    free(j->streams);
    free(j->buckets);
    for (uint32_t i = 0; i < JOURNAL_USAGE_BUCKETS; i++)
        for (journal_usage *u = j->usages[i], *next; u; u = next) {
            next = u->next;
            keep_free(u);
        }
    free(j->usages);
}

/* ---- asking ---- */

static void describe(const stream_state *s, journal_stream *out)
{
    *out = s->at;
    if (s->trim_upto > out->trimmed_seq)
        out->trimmed_seq = s->trim_upto;
}

bool journal_stream_get(journal *j, uint32_t stream, journal_stream *out)
{
    pthread_mutex_lock(&j->lock);
    bool found = stream >= 1 && stream <= j->n_streams;
    if (found)
        describe(j->streams[stream], out);
    pthread_mutex_unlock(&j->lock);
    return found;
}

bool journal_stream_find(journal *j, uint32_t wid, const char *store, journal_lane lane, uint16_t shard,
                         journal_stream *out)
{
    pthread_mutex_lock(&j->lock);
    const stream_state *s = stream_find_locked(j, wid, store, lane, shard);
    if (s)
        describe(s, out);
    pthread_mutex_unlock(&j->lock);
    return s != NULL;
}

size_t journal_streams(journal *j, bool only_pending, arena *a, const journal_stream **out)
{
    size_t n = 0;
    pthread_mutex_lock(&j->lock);
    journal_stream *list = arena_alloc(a, (j->n_streams + 1) * sizeof *list);
    for (int lane = JOURNAL_LIVE; lane <= JOURNAL_BACKLOG; lane++)
        for (uint32_t i = 1; i <= j->n_streams; i++) {
            describe(j->streams[i], &list[n]);
            bool pending = list[n].last_seq > list[n].trimmed_seq;
            n += (int)list[n].lane == lane && (pending || !only_pending);
        }
    pthread_mutex_unlock(&j->lock);
    *out = list;
    return n;
}

static uint64_t lost_locked(const journal *j, uint32_t wid, const char *store)
{
    uint64_t lost = 0;
    for (uint32_t i = 0; i < JOURNAL_USAGE_BUCKETS; i++)
        for (const journal_usage *u = j->usages[i]; u; u = u->next)
            if ((!wid || u->wid == wid) && (!store || strcmp(u->store, store) == 0))
                lost += u->lost;
    return lost;
}

journal_backlog journal_backlog_get(journal *j, uint32_t wid, const char *store)
{
    journal_backlog total = {0};
    pthread_mutex_lock(&j->lock);
    for (uint32_t i = 1; i <= j->n_streams; i++) {
        const journal_stream *s = &j->streams[i]->at;
        if ((wid && s->wid != wid) || (store && strcmp(s->store, store) != 0))
            continue;
        total.rows += s->rows;
        total.bytes += s->bytes;
        if (s->oldest_received_us &&
            (!total.oldest_received_us || s->oldest_received_us < total.oldest_received_us))
            total.oldest_received_us = s->oldest_received_us;
    }
    total.records_lost = lost_locked(j, wid, store);
    pthread_mutex_unlock(&j->lock);
    return total;
}
