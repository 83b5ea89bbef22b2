/* Reading: short transactions that copy out, and what state there is when a journal is opened. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/disk.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/random.h"
#include "flow/journal_crc.h"
#include "flow/journal_state.h"

#define DAMAGED_FILES_MAX 256U
#define READ_RECORDS_MAX 4096U

/* ---- one record ---- */

static bool same_stream(const record_key *k, const stream_state *s)
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
    if (mdb_cursor_get(c, &k, &v, MDB_SET_RANGE) != 0 || !record_key_read(&k, key_out) ||
        !same_stream(key_out, s))
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
    MDB_val k, v;
    int code = mdb_cursor_get(c, &k, &v, MDB_GET_CURRENT);
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
    int code = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
    for (; code == 0 && record_key_read(&k, &key) && same_stream(&key, s) && key.seq == seq;
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

/* Also its last record of which the outcome is known: the file shows a commit some moments before that. */
static stream_state *stream_by_id(journal *j, uint32_t stream, uint64_t *last_seq_out)
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
    journal_end_read(j, txn);
    if (code)
        return store_status(st, code, "read");
    journal_record *records = arena_zero(a, n + 1, sizeof *records);
    decode_all(j, s, raw, a, records);
    *records_out = records;
    *n_out = n;
    return STATUS_OK;
}

/* ---- cursors and keys ---- */

static size_t named(uint8_t out[4 + JOURNAL_KEY_MAX + 1], uint32_t wid, const char *name)
{
    size_t len = strlen(name);
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(wid >> (24 - 8 * i));
    memcpy(out + 4, name, len + 1);
    return 4 + len;
}

static int get_copy(journal *j, bool of_keys, uint32_t wid, const char *name, arena *a, const void **data_out,
                    size_t *len_out, status *st)
{
    uint8_t key[4 + JOURNAL_KEY_MAX + 1];
    MDB_txn *txn = NULL;
    const void *data;
    size_t len;
    if (strlen(name) > JOURNAL_KEY_MAX)
        return MDB_NOTFOUND;
    if (journal_begin_read(j, &txn, st) != STATUS_OK)
        return MDB_PANIC;
    int code =
        store_get(txn, of_keys ? j->store.keys : j->store.cursors, key, named(key, wid, name), &data, &len);
    if (code == 0) {
        *data_out = arena_copy(a, data, len);
        *len_out = len;
    }
    journal_end_read(j, txn);
    if (code)
        store_status(st, code, of_keys ? "Idempotency-Key" : "cursor");
    return code;
}

status_class journal_cursor_get(journal *j, uint32_t wid, const char *instance, arena *a,
                                const void **data_out, size_t *len_out, status *st)
{
    int code = get_copy(j, false, wid, instance, a, data_out, len_out, st);
    if (code == MDB_NOTFOUND)
        return status_set(st, STATUS_NOT_FOUND, "journal: no cursor of %s", instance);
    return code ? st->class : STATUS_OK;
}

status_class journal_idempotency_find(journal *j, uint32_t wid, const char *key, arena *a,
                                      const void **verdict_out, size_t *len_out, status *st)
{
    const void *data;
    size_t len;
    int64_t created_us;
    int code = get_copy(j, true, wid, key, a, &data, &len, st);
    if (code && code != MDB_NOTFOUND)
        return st->class;
    if (code == 0 && len >= sizeof created_us) {
        memcpy(&created_us, data, sizeof created_us);
        if (clock_wall_us() - created_us < JOURNAL_KEY_LIFE_US) {
            *verdict_out = (const char *)data + sizeof created_us;
            *len_out = len - sizeof created_us;
            return STATUS_OK;
        }
    }
    return status_set(st, STATUS_NOT_FOUND,
                      "journal: this Idempotency-Key has not been used in the last 24 h");
}

/* ---- what is on disk ---- */

static int read_meta(journal *j, MDB_txn *txn)
{
    const void *data;
    size_t len;
    meta_row meta;
    int code = store_get(txn, j->store.main, "penstock", 8, &data, &len);
    if (code)
        return code;
    if (len < sizeof meta)
        return MDB_CORRUPTED;
    memcpy(&meta, data, sizeof meta);
    if (meta.format != META_FORMAT)
        return MDB_VERSION_MISMATCH;
    memcpy(j->incarnation, meta.incarnation, sizeof j->incarnation);
    j->era = meta.era;
    code = store_get(txn, j->store.main, "next_row", 8, &data, &len);
    if (code || len != sizeof j->next_row)
        return code ? code : MDB_CORRUPTED;
    memcpy(&j->next_row, data, sizeof j->next_row);
    return 0;
}

static int make_meta(journal *j)
{
    MDB_txn *txn;
    meta_row meta = {.format = META_FORMAT, .created_us = clock_wall_us()};
    random_bytes(meta.incarnation, sizeof meta.incarnation);
    meta.incarnation[6] = (uint8_t)((meta.incarnation[6] & 0x0f) | 0x40); /* a version 4 UUID */
    meta.incarnation[8] = (uint8_t)((meta.incarnation[8] & 0x3f) | 0x80);
    j->next_row = fault_active("row_numbers") ? 1 : meta.created_us;
    int code = mdb_txn_begin(j->store.env, NULL, 0, &txn);
    if (code)
        return code;
    code = store_put(txn, j->store.main, "penstock", 8, &meta, sizeof meta, NULL, 0);
    if (code == 0)
        code = store_put(txn, j->store.main, "next_row", 8, &j->next_row, sizeof j->next_row, NULL, 0);
    if (code) {
        mdb_txn_abort(txn);
        return code;
    }
    memcpy(j->incarnation, meta.incarnation, sizeof j->incarnation);
    j->is_new = true;
    return mdb_txn_commit(txn);
}

/* The newest readable record of the stream says what was appended in all. */
static void load_last(MDB_cursor *c, stream_state *s)
{
    record_key after = {.stream = s->at.id,
                        .lane = (uint8_t)s->at.lane,
                        .seq = UINT64_MAX,
                        .part = UINT16_MAX},
               key;
    uint8_t bytes[RECORD_KEY_BYTES];
    record_head head;
    bool ok = false;
    record_key_write(&after, bytes);
    MDB_val k = {sizeof bytes, bytes}, v;
    int code = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
    code = mdb_cursor_get(c, &k, &v, code == 0 ? MDB_PREV : MDB_LAST);
    if (code || !record_key_read(&k, &key) || !same_stream(&key, s))
        return;
    s->at.last_seq = key.seq;
    for (uint64_t seq = key.seq; seq > s->at.trimmed_seq && !ok; seq--)
        if (record_seek(c, s, seq, &key, &head, &ok) && ok && key.seq == seq) {
            s->total_rows = head.rows_before + head.n_rows;
            s->total_bytes = head.bytes_before + store_record_cost(head.total_bytes);
        }
}

static void load_first(MDB_cursor *c, stream_state *s)
{
    record_key key;
    record_head head;
    bool ok = false;
    s->at.oldest_received_us = 0;
    if (record_seek(c, s, s->at.trimmed_seq + 1, &key, &head, &ok) && ok)
        s->at.oldest_received_us = head.received_us;
}

static void load_stream(journal *j, MDB_cursor *records, uint32_t id, const stream_row *row)
{
    while (j->n_streams < id - 1) /* an id whose row is damaged: keep its number taken */
        stream_make_locked(j, 0, "", JOURNAL_LIVE, (uint16_t)j->n_streams);
    stream_state *s = j->n_streams >= id
                          ? j->streams[id]
                          : stream_make_locked(j, row->wid, row->store, (journal_lane)row->lane, row->shard);
    uint64_t before = s->at.bytes;
    s->stored = true;
    s->at.trimmed_seq = s->at.last_seq = row->trimmed_seq;
    s->total_rows = s->trimmed_rows = row->trimmed_rows;
    s->total_bytes = s->trimmed_bytes = row->trimmed_bytes;
    load_last(records, s);
    load_first(records, s);
    s->at.rows = s->total_rows - s->trimmed_rows;
    s->at.bytes = s->total_bytes - s->trimmed_bytes;
    s->usage->bytes += s->at.bytes - before;
}

static int load_streams(journal *j, MDB_txn *txn)
{
    MDB_cursor *c, *records;
    MDB_val k, v;
    const void *data;
    size_t len;
    int code = mdb_cursor_open(txn, j->store.streams, &c);
    if (code)
        return code;
    code = mdb_cursor_open(txn, j->store.records, &records);
    for (int next = code; next == 0;) {
        next = mdb_cursor_get(c, &k, &v, MDB_NEXT);
        stream_row row;
        if (next || k.mv_size != 4)
            continue;
        const uint8_t *p = k.mv_data;
        uint32_t id = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
        if (!store_check(&k, &v, &data, &len) || len != sizeof row || id == 0 || id > JOURNAL_STREAMS_MAX) {
            j->stats.damaged_records++;
            continue;
        }
        memcpy(&row, data, sizeof row);
        if (row.store_len <= NAME_KEY_MAX && row.store[row.store_len] == '\0')
            load_stream(j, records, id, &row);
    }
    if (code == 0)
        mdb_cursor_close(records);
    mdb_cursor_close(c);
    return code;
}

status_class state_load(journal *j, status *st)
{
    MDB_txn *txn;
    int code = mdb_txn_begin(j->store.env, NULL, MDB_RDONLY, &txn);
    if (code)
        return store_status(st, code, "open");
    code = read_meta(j, txn);
    if (code == 0)
        code = load_streams(j, txn);
    j->used_pages = store_used_pages(&j->store, txn);
    mdb_txn_abort(txn);
    if (code == MDB_NOTFOUND)
        code = make_meta(j);
    if (code == MDB_VERSION_MISMATCH)
        return status_set(st, STATUS_UNSUPPORTED, "journal: written by another version of the format");
    return code ? store_status(st, code, "open") : STATUS_OK;
}
