/* Submitting: a record is encoded and copied by whoever hands it over, then admitted if there is room, and
 * queued for the commit thread. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "flow/journal_state.h"

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
    uint8_t *key = memory_alloc(STORE_NAME_BYTES + strlen(name) + 1);
    *len_out = store_name_key(key, wid, name);
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
    s->company = from->company;
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
        if (j->waiting.n >= j->wanted || j->pending_bytes >= JOURNAL_GROUP_ENOUGH)
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
