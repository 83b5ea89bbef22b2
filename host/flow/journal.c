/* Opening, the registry of streams, submitting and asking. Committing is in journal_commit.c, reading in
 * journal_read.c. */
#include "flow/journal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/disk.h"
#include "base/fault.h"
#include "base/log.h"
#include "flow/journal_mend.h"
#include "flow/journal_state.h"

#define SIZE_MIN ((uint64_t)1 << 20)
#define SIZE_DEFAULT ((uint64_t)8 << 30)

/* ---- streams ---- */

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

static journal_usage *usage_of(journal *j, uint32_t wid, const char *store)
{
    journal_usage **at = &j->usages[stream_hash(wid, store, 0, 0) % JOURNAL_USAGE_BUCKETS];
    for (journal_usage *u = *at; u; u = u->next)
        if (u->wid == wid && strcmp(u->store, store) == 0)
            return u;
    journal_usage *u = memory_zero(1, sizeof *u);
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
    stream_state *s = memory_zero(1, sizeof *s);
    uint64_t from = (uint64_t)j->era << JOURNAL_ERA_SHIFT;
    s->at = (journal_stream){.id = ++j->n_streams,
                             .wid = wid,
                             .lane = lane,
                             .shard = shard,
                             .last_seq = from,
                             .trimmed_seq = from,
                             .opened_seq = from};
    memcpy(s->at.store, store, strlen(store) + 1);
    s->usage = usage_of(j, wid, store);
    j->streams[s->at.id] = s;
    uint64_t at = stream_hash(wid, store, lane, shard) & (j->n_buckets - 1);
    s->next = j->buckets[at];
    j->buckets[at] = s;
    return s;
}

/* ---- opening ---- */

static status_class own_folder(journal *j, status *st)
{
    text path = {0};
    if (disk_make_folder(j->folder, 0700, st) != STATUS_OK)
        return status_wrap(st, "journal");
    text_printf(&path, "%s/owner.lock", j->folder);
    j->lock_fd = open(path.data, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (j->lock_fd < 0)
        status_errno(st, errno, "journal: cannot open owner.lock");
    else if (flock(j->lock_fd, LOCK_EX | LOCK_NB) != 0 && !fault_active("owner"))
        status_set(st, STATUS_CONFLICT, "journal: %s is open in another process", j->folder);
    else
        st->class = STATUS_OK;
    text_free(&path);
    return st->class;
}

static uint64_t choose_size(const journal_settings *s)
{
    uint64_t size = s->size_bytes;
    int64_t free_bytes = disk_free_bytes(s->folder, NULL);
    if (size == 0) {
        size = SIZE_DEFAULT;
        if (free_bytes >= 0 && (uint64_t)free_bytes / 10 < size)
            size = (uint64_t)free_bytes / 10;
    }
    size = size < SIZE_MIN ? SIZE_MIN : size;
    return size - size % JOURNAL_PAGE;
}

static void take_settings(journal *j, const journal_settings *s)
{
    j->size_bytes = choose_size(s);
    j->store_bytes = s->store_bytes ? s->store_bytes : j->size_bytes / 4;
    j->window_us = s->window_us ? s->window_us : 2000;
    if (j->window_us > JOURNAL_WINDOW_MAX_US)
        j->window_us = JOURNAL_WINDOW_MAX_US;
    j->keep_free = s->keep_free;
    j->on_appended = s->on_appended;
    j->arg = s->arg;
}

static void free_registry(journal *j)
{
    for (uint32_t i = 1; i <= j->n_streams; i++)
        free(j->streams[i]);
    free(j->streams);
    free(j->buckets);
    for (uint32_t i = 0; i < JOURNAL_USAGE_BUCKETS; i++)
        for (journal_usage *u = j->usages[i], *next; u; u = next) {
            next = u->next;
            free(u);
        }
    free(j->usages);
    turn_queue_free(&j->waiting);
    free(j->trims);
    free(j->touched);
}

static void destroy(journal *j)
{
    store_close(&j->store);
    if (j->lock_fd >= 0)
        close(j->lock_fd);
    free_registry(j);
    pthread_cond_destroy(&j->wake);
    pthread_mutex_destroy(&j->lock);
    pthread_rwlock_destroy(&j->env_lock);
    free(j->folder);
    free(j);
}

static void take_losses(journal *j, const journal_losses *losses)
{
    for (size_t i = 0; i < losses->n; i++) {
        const journal_loss *l = &losses->items[i];
        usage_of(j, l->wid, l->store)->lost += l->records;
        j->stats.damaged_records += l->records;
    }
}

status_class journal_load(journal *j, bool deep, status *st)
{
    journal_losses losses;
    status_class class = journal_mend(j->folder, j->size_bytes, deep, &losses, st);
    if (class == STATUS_OK)
        class = store_open(&j->store, j->folder, j->size_bytes, st);
    if (class == STATUS_OK) {
        pthread_mutex_lock(&j->lock);
        class = state_load(j, st);
        take_losses(j, &losses);
        pthread_mutex_unlock(&j->lock);
    }
    if (class == STATUS_OK)
        store_find_map(&j->store);
    else
        store_close(&j->store);
    free(losses.items);
    return class;
}

static journal *make(const journal_settings *settings)
{
    journal *j = memory_zero(1, sizeof *j);
    pthread_condattr_t monotonic;
    j->lock_fd = -1;
    j->folder = memory_string(settings->folder);
    j->usages = memory_zero(JOURNAL_USAGE_BUCKETS, sizeof(journal_usage *));
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&j->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&j->lock, NULL);
    pthread_rwlock_init(&j->env_lock, NULL);
    return j;
}

status_class journal_open(const journal_settings *settings, journal **out, status *st)
{
    journal *j = make(settings);
    status_class class = own_folder(j, st);
    if (class == STATUS_OK) {
        take_settings(j, settings);
        class = journal_load(j, false, st);
    }
    for (uint32_t i = 1; class == STATUS_OK && i <= j->n_streams; i++)
        j->streams[i]->at.opened_seq = j->streams[i]->at.last_seq;
    if (class != STATUS_OK) {
        destroy(j);
        return class;
    }
    if (pthread_create(&j->thread, NULL, commit_thread, j) != 0) {
        destroy(j);
        return status_set(st, STATUS_INTERNAL, "journal: cannot start its thread");
    }
    log_info("journal", j->is_new ? "made" : "opened", LOG_TEXT("folder", j->folder),
             LOG_NUMBER("size_bytes", j->size_bytes), LOG_NUMBER("streams", j->n_streams));
    *out = j;
    return STATUS_OK;
}

void journal_close(journal *j)
{
    if (!j)
        return;
    pthread_mutex_lock(&j->lock);
    j->closing = true;
    pthread_cond_broadcast(&j->wake);
    pthread_mutex_unlock(&j->lock);
    pthread_join(j->thread, NULL);
    assert(j->waiting.n == 0);
    destroy(j);
}

const uint8_t *journal_incarnation(const journal *j)
{
    return j->incarnation;
}

bool journal_is_new(const journal *j)
{
    return j->is_new;
}

/* ---- submitting ---- */

void submission_free(submission *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n_records; i++)
        free(s->records[i].data);
    free(s->records);
    free(s->cursor_key);
    free(s->cursor);
    free(s->idem_key);
    free(s->verdict);
    free(s);
}

static uint8_t *named_key(uint32_t wid, const char *name, size_t *len_out)
{
    size_t len = strlen(name);
    uint8_t *key = memory_alloc(4 + len + 1);
    for (int i = 0; i < 4; i++)
        key[i] = (uint8_t)(wid >> (24 - 8 * i));
    memcpy(key + 4, name, len + 1);
    *len_out = 4 + len;
    return key;
}

static void *copy_bytes(const void *data, size_t len)
{
    void *copy = memory_alloc(len + 1);
    if (len)
        memcpy(copy, data, len);
    return copy;
}

static status_class copy_cursor(submission *s, const journal_cursor *c, status *st)
{
    size_t len = strlen(c->instance);
    if (len == 0 || len > JOURNAL_INSTANCE_MAX)
        return status_set(st, STATUS_INVALID, "journal: an instance's name has 1 to %d bytes",
                          JOURNAL_INSTANCE_MAX);
    if (c->len > JOURNAL_CURSOR_MAX)
        return status_set(st, STATUS_LIMIT, "journal: a cursor of %zu bytes is more than the limit of %d",
                          c->len, JOURNAL_CURSOR_MAX);
    s->cursor_key = named_key(c->wid, c->instance, &s->cursor_key_len);
    s->cursor = copy_bytes(c->data, c->len);
    s->cursor_len = c->len;
    s->cost += store_record_cost(c->len);
    return STATUS_OK;
}

static status_class copy_key(submission *s, const journal_key *k, status *st)
{
    size_t len = strlen(k->key);
    if (len == 0 || len > JOURNAL_KEY_MAX)
        return status_set(st, STATUS_INVALID, "Idempotency-Key: has 1 to %d bytes", JOURNAL_KEY_MAX);
    if (k->verdict_len > JOURNAL_VERDICT_MAX)
        return status_set(st, STATUS_LIMIT, "journal: a verdict of %zu bytes is more than the limit of %d",
                          k->verdict_len, JOURNAL_VERDICT_MAX);
    s->idem_key = named_key(k->wid, k->key, &s->idem_key_len);
    s->verdict = copy_bytes(k->verdict, k->verdict_len);
    s->verdict_len = k->verdict_len;
    s->cost += store_record_cost(k->verdict_len);
    return STATUS_OK;
}

static status_class copy_entries(submission *s, const journal_submission *from, status *st)
{
    if (from->n_entries > JOURNAL_ENTRIES_MAX)
        return status_set(st, STATUS_LIMIT, "journal: more than %d records at once", JOURNAL_ENTRIES_MAX);
    s->records = memory_zero(from->n_entries + 1, sizeof *s->records);
    for (size_t i = 0; i < from->n_entries; i++) {
        pending_record *r = &s->records[i];
        if (record_encode(&from->entries[i], &r->data, &r->len, st) != STATUS_OK)
            return st->class;
        s->n_records++;
        s->cost += store_record_cost(r->len);
    }
    return STATUS_OK;
}

/* Bytes that may be in use before input is refused. */
static uint64_t journal_room(const journal *j)
{
    return j->size_bytes / 100 * JOURNAL_FULL_PERCENT;
}

static status_class refuse_full(journal *j, uint64_t too_many, status *st)
{
    unsigned retry_s = drain_wait_s(&j->drain, too_many, clock_monotonic_us());
    j->stats.refused++;
    status_set(st, STATUS_LIMIT, "journal: full");
    status_hint(st, "the database is slower than the input, or away; see journal.size");
    return limit_put(st, &(limit){"journal.size", j->size_bytes, LIMIT_BY_PLATFORM, retry_s});
}

static status_class refuse_share(journal *j, const journal_usage *u, uint64_t too_many, status *st)
{
    unsigned retry_s = drain_wait_s(&u->drain, too_many, clock_monotonic_us());
    j->stats.refused++;
    status_set(st, STATUS_LIMIT, "journal: store %s of workspace %u has its full share waiting", u->store,
               u->wid);
    status_hint(st, "the database is slower than the input, or away; see limits.store_bytes");
    return limit_put(st, &(limit){"limits.store_bytes", j->store_bytes, LIMIT_BY_PLATFORM, retry_s});
}

static stream_state *stream_of(journal *j, const journal_entry *e)
{
    stream_state *s = stream_find_locked(j, e->wid, e->store, e->lane, e->shard);
    if (!s && j->n_streams < JOURNAL_STREAMS_MAX)
        s = stream_make_locked(j, e->wid, e->store, e->lane, e->shard);
    return s;
}

/* The fault "whole_body": what finds no room goes, the rest is taken. */
static void drop_records(submission *s, size_t from)
{
    s->records[from].stream->usage->pending_bytes -= store_record_cost(s->records[from].len);
    for (size_t i = from; i < s->n_records; i++)
        free(s->records[i].data);
    s->n_records = from;
}

/* Is there room? Books the bytes if so. */
static status_class admit(journal *j, submission *s, const journal_submission *from, status *st)
{
    uint64_t needed = j->used_pages * JOURNAL_PAGE + j->pending_bytes + s->cost;
    if (j->failed)
        return status_set(st, STATUS_UNAVAILABLE, "journal: out of service: %s", j->failed_why);
    if (j->closing)
        return status_set(st, STATUS_UNAVAILABLE, "journal: closing");
    if (needed > journal_room(j))
        return refuse_full(j, needed - journal_room(j), st);
    for (size_t i = 0; i < s->n_records; i++) {
        pending_record *r = &s->records[i];
        r->stream = stream_of(j, &from->entries[i]);
        if (!r->stream)
            return status_set(st, STATUS_LIMIT, "journal: more than %d streams", JOURNAL_STREAMS_MAX);
    }
    for (size_t i = 0; i < s->n_records; i++) {
        journal_usage *u = s->records[i].stream->usage;
        u->pending_bytes += store_record_cost(s->records[i].len);
        uint64_t waiting = u->bytes + u->pending_bytes;
        if (waiting <= j->store_bytes)
            continue;
        if (i > 0 && fault_active("whole_body")) {
            drop_records(s, i);
            return STATUS_OK;
        }
        for (size_t k = 0; k <= i; k++)
            s->records[k].stream->usage->pending_bytes -= store_record_cost(s->records[k].len);
        return refuse_share(j, u, waiting - j->store_bytes, st);
    }
    return STATUS_OK;
}

status_class journal_submit(journal *j, const journal_submission *from, status *st)
{
    submission *s = memory_zero(1, sizeof *s);
    s->wid = from->wid;
    s->weight = from->weight;
    s->on_done = from->on_done;
    s->arg = from->arg;
    status_class class = copy_entries(s, from, st);
    if (class == STATUS_OK && from->cursor)
        class = copy_cursor(s, from->cursor, st);
    if (class == STATUS_OK && from->key)
        class = copy_key(s, from->key, st);
    if (class != STATUS_OK) {
        submission_free(s);
        return class;
    }
    s->queued_us = clock_monotonic_us();
    pthread_mutex_lock(&j->lock);
    class = admit(j, s, from, st);
    if (class == STATUS_OK) {
        j->pending_bytes += s->cost;
        j->stats.submissions++;
        if (j->waiting.n == 0)
            j->waiting_since_us = s->queued_us;
        turn_queue_add(&j->waiting, s->wid, s->weight, &s->item);
        pthread_cond_signal(&j->wake);
    }
    pthread_mutex_unlock(&j->lock);
    if (class != STATUS_OK)
        submission_free(s);
    return class;
}

typedef struct waiting {
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool is_done;
    status_class class;
    status *st;
} waiting;

static void on_waited(void *arg, status_class class, const status *st)
{
    waiting *w = arg;
    pthread_mutex_lock(&w->lock);
    w->is_done = true;
    w->class = class;
    if (class != STATUS_OK)
        *w->st = *st;
    pthread_cond_signal(&w->done);
    pthread_mutex_unlock(&w->lock);
}

status_class journal_submit_wait(journal *j, const journal_submission *from, status *st)
{
    waiting w = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, STATUS_OK, st};
    journal_submission s = *from;
    assert(!from->on_done);
    s.on_done = on_waited;
    s.arg = &w;
    status_class class = journal_submit(j, &s, st);
    if (class != STATUS_OK)
        return class;
    pthread_mutex_lock(&w.lock);
    while (!w.is_done)
        pthread_cond_wait(&w.done, &w.lock);
    pthread_mutex_unlock(&w.lock);
    return w.class;
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

void journal_trim(journal *j, uint32_t stream, uint64_t upto_seq)
{
    pthread_mutex_lock(&j->lock);
    assert(stream >= 1 && stream <= j->n_streams);
    stream_state *s = j->streams[stream];
    assert(upto_seq <= s->at.last_seq);
    if (upto_seq > s->trim_upto)
        s->trim_upto = upto_seq;
    if (!s->trim_queued && s->trim_upto > s->at.trimmed_seq) {
        if (j->n_trims == j->cap_trims) {
            j->cap_trims = j->cap_trims ? j->cap_trims * 2 : 64;
            j->trims = memory_grow(j->trims, j->cap_trims * sizeof *j->trims);
        }
        s->trim_queued = true;
        j->trims[j->n_trims++] = stream;
        pthread_cond_signal(&j->wake);
    }
    pthread_mutex_unlock(&j->lock);
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

journal_stats journal_stats_get(journal *j)
{
    pthread_mutex_lock(&j->lock);
    journal_stats stats = j->stats;
    stats.size_bytes = j->size_bytes;
    stats.store_bytes = j->store_bytes;
    stats.used_bytes = j->used_pages * JOURNAL_PAGE;
    stats.waiting_submissions = j->waiting.n;
    stats.streams = j->n_streams;
    stats.failed = j->failed;
    j->stats.commit_us_longest = 0;
    pthread_mutex_unlock(&j->lock);
    return stats;
}

#ifdef PENSTOCK_FAULTS
void journal_fault_set(journal *j, journal_fault fault, unsigned times)
{
    pthread_mutex_lock(&j->lock);
    j->fault = fault;
    j->fault_times = times;
    pthread_mutex_unlock(&j->lock);
}
#endif
