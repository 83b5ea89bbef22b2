/* Reading: short transactions that copy out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/disk.h"
#include "base/fault.h"
#include "base/log.h"
#include "flow/journal_state.h"

#define DAMAGED_FILES_MAX 256U

/* ---- one record ---- */

bool record_is_of(const record_key *k, const stream_state *s)
{
    return k->stream == s->at.id && k->lane == s->at.lane;
}

bool record_seek(MDB_cursor *c, const stream_state *s, uint64_t seq, record_key *key_out,
                 record_head *head_out, bool *ok)
{
    record_key want = {.stream = s->at.id, .lane = (uint8_t)s->at.lane, .seq = seq};
    uint8_t bytes[RECORD_KEY_BYTES];
    const void *data;
    size_t len;
    record_key_write(&want, bytes);
    MDB_val k = {sizeof bytes, bytes}, v;
    if (!store_may_touch(c, &want, &want) || mdb_cursor_get(c, &k, &v, MDB_SET_RANGE) != 0 ||
        !record_key_read(&k, key_out) || !record_is_of(key_out, s))
        return false;
    *ok = key_out->part == 0 && store_check(&k, &v, &data, &len) && record_head_read(data, len, head_out) &&
          head_out->seq == key_out->seq;
    return true;
}

typedef struct raw_record { /* copied out of a page, not yet decoded */
    struct raw_record *next;
    uint64_t seq, len;
    char *data;        /* NULL = damaged */
    record_head *head; /* of a damaged one, if that can be read */
} raw_record;

/* Copies the parts of the record that the cursor stands on; NULL if one is missing or damaged. */
static char *copy_record(MDB_cursor *c, const record_key *first, uint64_t total, arena *a)
{
    char *out = arena_alloc(a, total + 1);
    uint64_t done = 0;
    record_key last = *first;
    MDB_val k, v;
    last.part = UINT16_MAX;
    int code = store_may_touch(c, first, &last) ? mdb_cursor_get(c, &k, &v, MDB_GET_CURRENT) : MDB_CORRUPTED;
    for (uint32_t part = 0; code == 0; part++) {
        record_key key;
        const void *data;
        size_t len;
        if (!record_key_read(&k, &key) || key.seq != first->seq || key.stream != first->stream ||
            key.part != part || !store_check(&k, &v, &data, &len) || len > total - done)
            return NULL;
        memcpy(out + done, data, len);
        done += len;
        if (done == total)
            return out;
        code = mdb_cursor_get(c, &k, &v, MDB_NEXT);
    }
    return NULL;
}

static size_t collect(MDB_cursor *c, const stream_state *s, uint64_t after_seq, uint64_t last_seq,
                      size_t max_bytes, arena *a, raw_record **first)
{
    size_t n = 0;
    uint64_t bytes = 0;
    record_key key;
    record_head head;
    bool ok;
    raw_record **last = first;
    *first = NULL;
    while (n < READ_RECORDS_MAX && record_seek(c, s, after_seq + 1, &key, &head, &ok)) {
        if (key.seq > last_seq || (n > 0 && ok && bytes + head.total_bytes > max_bytes))
            break;
        raw_record *r = arena_zero(a, 1, sizeof *r);
        r->seq = key.seq;
        if (ok) {
            r->len = head.total_bytes;
            r->data = copy_record(c, &key, head.total_bytes, a);
            if (!r->data) {
                r->head = arena_alloc(a, sizeof head);
                *r->head = head;
            }
            bytes += r->len;
        }
        *last = r;
        last = &r->next;
        after_seq = key.seq;
        n++;
    }
    return n;
}

/* ---- damage ---- */

static void save_parts(MDB_cursor *c, const stream_state *s, uint64_t seq, text *out)
{
    record_key want = {.stream = s->at.id, .lane = (uint8_t)s->at.lane, .seq = seq}, key;
    uint8_t bytes[RECORD_KEY_BYTES];
    record_key_write(&want, bytes);
    MDB_val k = {sizeof bytes, bytes}, v;
    record_key last = want;
    last.part = UINT16_MAX;
    int code = store_may_touch(c, &want, &last) ? mdb_cursor_get(c, &k, &v, MDB_SET_RANGE) : MDB_CORRUPTED;
    for (; code == 0 && record_key_read(&k, &key) && record_is_of(&key, s) && key.seq == seq;
         code = mdb_cursor_get(c, &k, &v, MDB_NEXT)) {
        uint32_t len = (uint32_t)v.mv_size;
        text_add_n(out, k.mv_data, k.mv_size);
        text_add_n(out, &len, sizeof len);
        text_add_n(out, v.mv_data, v.mv_size);
    }
}

/* Counts a damaged record once; true if it is the first time. */
static bool count_damage(journal *j, stream_state *s, uint64_t seq)
{
    pthread_mutex_lock(&j->lock);
    bool first = seq > s->damaged_upto;
    if (first) {
        s->damaged_upto = seq;
        s->usage->lost++;
        j->stats.damaged_records++;
        first = j->damaged_files++ < DAMAGED_FILES_MAX;
    }
    pthread_mutex_unlock(&j->lock);
    return first;
}

/* Its bytes go into a file of their own, for somebody to look at. */
static void set_aside(journal *j, const stream_state *s, uint64_t seq, const text *parts)
{
    text path = {0};
    status st;
    text_printf(&path, "%s/damaged", j->folder);
    status_class class = disk_make_folder(path.data, 0700, &st);
    text_printf(&path, "/%u-%llu.parts", s->at.id, (unsigned long long)seq);
    if (class == STATUS_OK)
        class = disk_write(path.data, text_or_empty(parts), parts->len, 0600, &st);
    log_error("journal", "damaged record set aside", LOG_NUMBER("wid", s->at.wid),
              LOG_TEXT("store", s->at.store), LOG_NUMBER("seq", seq),
              LOG_TEXT("file", class == STATUS_OK ? path.data : st.text));
    text_free(&path);
}

static void damaged(journal *j, stream_state *s, uint64_t seq)
{
    MDB_txn *txn;
    MDB_cursor *c;
    text parts = {0};
    if (!count_damage(j, s, seq))
        return;
    pthread_rwlock_rdlock(&j->env_lock);
    if (j->store.env && mdb_txn_begin(j->store.env, NULL, MDB_RDONLY, &txn) == 0) {
        if (mdb_cursor_open(txn, j->store.records, &c) == 0) {
            save_parts(c, s, seq, &parts);
            mdb_cursor_close(c);
        }
        mdb_txn_abort(txn);
    }
    pthread_rwlock_unlock(&j->env_lock);
    set_aside(j, s, seq, &parts);
    text_free(&parts);
}

/* ---- journal_read ---- */

status_class journal_begin_read(journal *j, MDB_txn **txn, status *st)
{
    pthread_rwlock_rdlock(&j->env_lock);
    int code = j->store.env ? mdb_txn_begin(j->store.env, NULL, MDB_RDONLY, txn) : MDB_PANIC;
    if (code == 0)
        return STATUS_OK;
    pthread_rwlock_unlock(&j->env_lock);
    return store_status(st, code, "read");
}

void journal_end_read(journal *j, MDB_txn *txn)
{
    mdb_txn_abort(txn);
    pthread_rwlock_unlock(&j->env_lock);
}

status_class journal_look_hurt(journal *j, status *st)
{
    if (!j->doubts || journal_doubts_state(j->doubts) != DOUBTS_DAMAGED)
        return STATUS_OK;
    journal_wake(j);
    return status_set(st, STATUS_UNAVAILABLE, "journal: a damaged page was found, it is being mended");
}

/* What is known of a damaged record: its rows count as received and dropped. */
static journal_record describe_damaged(const raw_record *raw)
{
    journal_record r = {.damaged = true, .origin = "", .request_id = "", .prev_seq = raw->seq - 1};
    const record_head *head = raw->head;
    if (!head)
        return r;
    r.prev_seq = head->prev_seq;
    r.received_us = head->received_us;
    r.count_received = head->count_received;
    r.count_dropped = head->count_received;
    return r;
}

static void decode_all(journal *j, stream_state *s, const raw_record *raw, arena *a, journal_record *out)
{
    for (; raw; raw = raw->next, out++) {
        bool good = raw->data && record_decode(raw->data, raw->len, a, out);
        if (!good) {
            *out = describe_damaged(raw);
            damaged(j, s, raw->seq);
        }
        out->stream = s->at.id;
        out->seq = raw->seq;
        if (good)
            continue;
        out->wid = s->at.wid;
        out->lane = s->at.lane;
        out->shard = s->at.shard;
        memcpy(out->store, s->at.store, sizeof out->store);
    }
}

bool journal_record_follows(const journal_record *r, uint64_t position)
{
    if (r->prev_seq == position || fault_active("gap"))
        return true;
    if (position >= r->seq)
        return false;
    bool loss = r->kind == JOURNAL_MARKER && r->flags & JOURNAL_LOSS && r->prev_seq <= position;
    return loss || (r->prev_seq == 0 && r->seq >> JOURNAL_ERA_SHIFT > 0);
}

stream_state *stream_by_id(journal *j, uint32_t stream, uint64_t *last_seq_out)
{
    pthread_mutex_lock(&j->lock);
    stream_state *s = stream >= 1 && stream <= j->n_streams ? j->streams[stream] : NULL;
    *last_seq_out = s && !fault_active("told") ? s->at.last_seq : UINT64_MAX;
    pthread_mutex_unlock(&j->lock);
    return s;
}

status_class journal_read(journal *j, uint32_t stream, uint64_t after_seq, size_t max_bytes, arena *a,
                          const journal_record **records_out, size_t *n_out, status *st)
{
    uint64_t last_seq;
    stream_state *s = stream_by_id(j, stream, &last_seq);
    MDB_txn *txn = NULL;
    MDB_cursor *c;
    raw_record *raw = NULL;
    size_t n = 0;
    if (!s)
        return status_set(st, STATUS_NOT_FOUND, "journal: no stream %u", stream);
    if (journal_begin_read(j, &txn, st) != STATUS_OK)
        return st->class;
    int code = mdb_cursor_open(txn, j->store.records, &c);
    if (code == 0) {
        n = collect(c, s, after_seq, last_seq, max_bytes, a, &raw);
        mdb_cursor_close(c);
    }
    status_class hurt = journal_look_hurt(j, st);
    journal_end_read(j, txn);
    if (code || hurt != STATUS_OK)
        return code ? store_status(st, code, "read") : hurt;
    journal_record *records = arena_zero(a, n + 1, sizeof *records);
    decode_all(j, s, raw, a, records);
    *records_out = records;
    *n_out = n;
    return STATUS_OK;
}
