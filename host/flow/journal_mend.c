/* Copies table by table: first the newest snapshot, then, for what that could not give, the one before it.
 * Values carry their own CRC, so only what was written goes over. Then each stream is gone through for
 * missing numbers. */
#include "flow/journal_mend.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/disk.h"
#include "base/log.h"
#include "base/random.h"
#include "flow/journal_pages.h"
#include "flow/journal_state.h"

#define COMMIT_BYTES (16U << 20)
/* How far a stream's numbers jump where it is not known how many were given out. */
static const uint64_t OPEN_END_JUMP = (uint64_t)1 << 32;

typedef struct lost_range { /* of keys in `records`; a length of 0 = no bound */
    uint8_t from[RECORD_KEY_BYTES], to[RECORD_KEY_BYTES];
    size_t from_len, to_len;
} lost_range;

typedef struct mending {
    journal_store to;
    MDB_txn *txn;
    size_t put_bytes;
    int code; /* the first failure of LMDB */
    unsigned snapshot;
    bool streams_hurt;
    lost_range *ranges;
    size_t n_ranges, cap_ranges;
    stream_row row; /* of the stream `row_of`, as copied */
    uint32_t row_of;
    bool row_known;
    journal_losses *losses;
} mending;

/* ---- writing ---- */

static void begin(mending *m)
{
    if (m->code == 0 && !m->txn)
        m->code = mdb_txn_begin(m->to.env, NULL, 0, &m->txn);
    m->put_bytes = 0;
}

static void commit(mending *m)
{
    if (m->txn && m->code == 0)
        m->code = mdb_txn_commit(m->txn);
    else if (m->txn)
        mdb_txn_abort(m->txn);
    m->txn = NULL;
}

static void put(mending *m, MDB_dbi table, page_bytes key, page_bytes value)
{
    MDB_val k = {key.len, (void *)key.data}, v = {value.len, (void *)value.data};
    if (m->code)
        return;
    int code = mdb_put(m->txn, table, &k, &v, MDB_NOOVERWRITE);
    m->code = code == MDB_KEYEXIST ? 0 : code;
    m->put_bytes += key.len + value.len;
    if (m->put_bytes >= COMMIT_BYTES) {
        commit(m);
        begin(m);
    }
}

/* ---- copying ---- */

static const stream_row *row_of(mending *m, uint32_t stream)
{
    uint8_t key[4] = {(uint8_t)(stream >> 24), (uint8_t)(stream >> 16), (uint8_t)(stream >> 8),
                      (uint8_t)stream};
    const void *data;
    size_t len;
    if (m->row_of != stream) {
        m->row_of = stream;
        m->row_known =
            store_get(m->txn, m->to.streams, key, sizeof key, &data, &len) == 0 && len == sizeof m->row;
        if (m->row_known)
            memcpy(&m->row, data, sizeof m->row);
    }
    return m->row_known ? &m->row : NULL;
}

/* The older snapshot still has what the newest commit has trimmed. */
static bool is_trimmed(mending *m, const MDB_val *key)
{
    record_key k;
    const stream_row *row = record_key_read(key, &k) ? row_of(m, k.stream) : NULL;
    return row && k.seq <= row->trimmed_seq;
}

static bool table_of(const mending *m, const char *name, MDB_dbi *out)
{
    const struct {
        const char *name;
        MDB_dbi table;
    } tables[] = {{"", m->to.main},           {"records", m->to.records}, {"streams", m->to.streams},
                  {"cursors", m->to.cursors}, {"keys", m->to.keys},       {"expiry", m->to.expiry}};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        if (strcmp(tables[i].name, name) == 0) {
            *out = tables[i].table;
            return true;
        }
    return false;
}

static void on_entry(void *arg, const char *table, page_bytes key, page_bytes value)
{
    mending *m = arg;
    MDB_dbi to;
    const void *data;
    size_t len;
    MDB_val k = {key.len, (void *)key.data}, v = {value.len, (void *)value.data};
    bool streams = strcmp(table, "streams") == 0;
    if (m->code || !table_of(m, table, &to))
        return;
    if (!store_check(&k, &v, &data, &len))
        m->streams_hurt = m->streams_hurt || streams;
    else if (m->snapshot == 0 || to != m->to.records || !is_trimmed(m, &k))
        put(m, to, key, value);
}

static void keep_key(page_bytes key, uint8_t out[RECORD_KEY_BYTES], size_t *len_out)
{
    *len_out = key.len == RECORD_KEY_BYTES ? key.len : 0;
    if (*len_out)
        memcpy(out, key.data, key.len);
}

static void on_damage(void *arg, const char *table, page_bytes from, page_bytes to)
{
    mending *m = arg;
    bool records = strcmp(table, "records") == 0, all = *table == '\0';
    m->streams_hurt = m->streams_hurt || all || strcmp(table, "streams") == 0;
    if (!records && !all)
        return;
    if (m->n_ranges == m->cap_ranges) {
        m->cap_ranges = m->cap_ranges ? 2 * m->cap_ranges : 16;
        m->ranges = memory_grow(m->ranges, m->cap_ranges * sizeof *m->ranges);
    }
    lost_range *r = &m->ranges[m->n_ranges++];
    *r = (lost_range){.from_len = 0};
    if (records) {
        keep_key(from, r->from, &r->from_len);
        keep_key(to, r->to, &r->to_len);
    }
}

static void copy(mending *m, page_file *from)
{
    page_visitor v = {.on_entry = on_entry, .on_damage = on_damage, .arg = m};
    page_bytes unbound = {0};
    if (!page_file_newest_known(from)) /* any stream may have had more */
        on_damage(m, "", unbound, unbound);
    for (m->snapshot = 0; m->snapshot < page_file_snapshots(from); m->snapshot++) {
        m->row_of = 0;
        begin(m);
        page_file_visit(from, m->snapshot, &v);
        commit(m);
    }
}

/* ---- what is missing ---- */

static bool may_be_lost(const mending *m, const record_key *k)
{
    uint8_t key[RECORD_KEY_BYTES];
    record_key_write(k, key);
    for (size_t i = 0; i < m->n_ranges; i++) {
        const lost_range *r = &m->ranges[i];
        if ((!r->from_len || memcmp(r->from, key, sizeof key) <= 0) &&
            (!r->to_len || memcmp(key, r->to, sizeof key) < 0))
            return true;
    }
    return false;
}

/* A stream's holes are told together. */
static void tell_loss(const mending *m, size_t before)
{
    const journal_loss *l = m->losses->n > before ? &m->losses->items[before] : NULL;
    if (l)
        log_error("journal", "records are lost to a damaged page", LOG_NUMBER("wid", l->wid),
                  LOG_TEXT("store", l->store), LOG_NUMBER("records", l->records), LOG_NUMBER("rows", l->rows),
                  LOG_NUMBER("or_more", l->open_end));
}

static void count_loss(mending *m, size_t before, const stream_row *row, uint64_t records, uint64_t rows,
                       bool open_end)
{
    journal_losses *l = m->losses;
    if (l->n == before) {
        l->items = memory_grow(l->items, (l->n + 1) * sizeof *l->items);
        l->items[l->n] = (journal_loss){.wid = row->wid};
        memcpy(l->items[l->n++].store, row->store, row->store_len);
    }
    journal_loss *loss = &l->items[before];
    loss->records += records;
    loss->rows += rows;
    loss->open_end = loss->open_end || open_end;
}

/* Stands in for the records after `prev_seq` up to `seq`. */
static void put_marker(mending *m, const record_key *last, const stream_row *row, uint64_t prev_seq,
                       const record_head *totals, uint64_t rows_lost)
{
    char store[NAME_KEY_MAX + 1] = "";
    uint32_t counted = rows_lost < UINT32_MAX ? (uint32_t)rows_lost : UINT32_MAX;
    memcpy(store, row->store, row->store_len);
    journal_entry e = {.kind = JOURNAL_MARKER,
                       .flags = JOURNAL_LOSS,
                       .wid = row->wid,
                       .store = store,
                       .lane = (journal_lane)row->lane,
                       .shard = row->shard,
                       .received_us = clock_wall_us(),
                       .count_received = counted,
                       .count_dropped = counted};
    void *data;
    size_t len;
    status st;
    MDB_cursor *c;
    if (record_encode(&e, &data, &len, &st) != STATUS_OK)
        return;
    record_head *head = data;
    head->prev_seq = prev_seq;
    head->seq = last->seq;
    head->rows_before = totals->rows_before + totals->n_rows;
    head->bytes_before = totals->bytes_before;
    m->code = mdb_cursor_open(m->txn, m->to.records, &c);
    if (m->code == 0) {
        m->code = store_put_record(c, *last, data, len);
        mdb_cursor_close(c);
    }
    free(data);
}

/* Puts a marker into each hole of a stream, and behind its end if that may be missing. */
static void fill_stream(mending *m, uint32_t id, const stream_row *row)
{
    stream_state s = {.at = {.id = id, .lane = (journal_lane)row->lane}};
    record_head head, totals = {.rows_before = row->trimmed_rows, .bytes_before = row->trimmed_bytes};
    record_key key = {.stream = id, .lane = row->lane};
    uint64_t expected = row->trimmed_seq + 1;
    size_t before = m->losses->n;
    bool ok = false;
    MDB_cursor *c;
    if (m->code || (m->code = mdb_cursor_open(m->txn, m->to.records, &c)) != 0)
        return;
    for (; m->code == 0 && record_seek(c, &s, expected, &key, &head, &ok); expected = key.seq + 1) {
        uint64_t seq = key.seq;
        if (seq > expected) {
            uint64_t rows = ok ? head.rows_before - totals.rows_before - totals.n_rows : 0;
            record_key hole = {.stream = id, .lane = row->lane, .seq = seq - 1};
            put_marker(m, &hole, row, expected - 1, &totals, rows);
            count_loss(m, before, row, seq - expected, rows, false);
        }
        if (ok)
            totals = head;
        key.seq = seq;
    }
    mdb_cursor_close(c);
    record_key next = {.stream = id, .lane = row->lane, .seq = expected};
    if (m->code == 0 && may_be_lost(m, &next)) {
        next.seq = expected - 1 + OPEN_END_JUMP;
        put_marker(m, &next, row, expected - 1, &totals, 0);
        count_loss(m, before, row, 1, 0, true);
    }
    tell_loss(m, before);
}

/* The row of a stream out of its first readable record: what came before counts as trimmed. */
static bool row_from_records(MDB_cursor *c, const stream_state *s, stream_row *out)
{
    char store[NAME_KEY_MAX + 1];
    record_key key;
    record_head head;
    bool ok = false;
    MDB_val k, v;
    for (uint64_t seq = 1; record_seek(c, s, seq, &key, &head, &ok); seq = key.seq + 1) {
        if (!ok || mdb_cursor_get(c, &k, &v, MDB_GET_CURRENT) != 0 ||
            !record_store_read((const char *)v.mv_data + 4, v.mv_size - 4, store))
            continue;
        *out = (stream_row){.wid = head.wid,
                            .lane = head.lane,
                            .store_len = (uint8_t)strlen(store),
                            .shard = head.shard,
                            .trimmed_seq = key.seq - 1,
                            .trimmed_rows = head.rows_before,
                            .trimmed_bytes = head.bytes_before};
        memcpy(out->store, store, out->store_len);
        return true;
    }
    return false;
}

/* Streams that have records, but whose own row is gone. */
static void recover_rows(mending *m)
{
    MDB_cursor *c;
    MDB_val k, v;
    record_key key = {.stream = 1};
    uint8_t bytes[RECORD_KEY_BYTES];
    if (m->code || (m->code = mdb_cursor_open(m->txn, m->to.records, &c)) != 0)
        return;
    for (; m->code == 0; key = (record_key){.stream = key.stream + 1}) {
        record_key_write(&key, bytes);
        k = (MDB_val){sizeof bytes, bytes};
        if (mdb_cursor_get(c, &k, &v, MDB_SET_RANGE) != 0 || !record_key_read(&k, &key) ||
            key.stream == UINT32_MAX)
            break;
        stream_state s = {.at = {.id = key.stream, .lane = (journal_lane)key.lane}};
        uint32_t id = key.stream;
        uint8_t row_key[4] = {(uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id};
        stream_row row;
        m->row_of = 0;
        if (!row_of(m, id) && row_from_records(c, &s, &row))
            m->code = store_put(m->txn, m->to.streams, row_key, sizeof row_key, &row, sizeof row, NULL, 0);
    }
    mdb_cursor_close(c);
}

static void fill_holes(mending *m)
{
    MDB_cursor *c;
    MDB_val k, v;
    begin(m);
    recover_rows(m);
    if (m->code || (m->code = mdb_cursor_open(m->txn, m->to.streams, &c)) != 0)
        return;
    while (m->code == 0 && mdb_cursor_get(c, &k, &v, MDB_NEXT) == 0) {
        const void *data;
        size_t len;
        stream_row row;
        if (k.mv_size != 4 || !store_check(&k, &v, &data, &len) || len != sizeof row)
            continue;
        memcpy(&row, data, sizeof row);
        const uint8_t *p = k.mv_data;
        if (row.store_len <= NAME_KEY_MAX)
            fill_stream(m, (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3], &row);
    }
    mdb_cursor_close(c);
}

/* Numbers go on above everything that was ever given out. Without its own head the copy is worth nothing:
 * false. */
static bool renew_head(mending *m)
{
    meta_row meta;
    int64_t next_row = 0;
    const void *data;
    size_t len;
    if (m->code || store_get(m->txn, m->to.main, "penstock", 8, &data, &len) != 0 || len < sizeof meta)
        return false;
    memcpy(&meta, data, sizeof meta);
    meta.era += m->streams_hurt;
    if (store_get(m->txn, m->to.main, "next_row", 8, &data, &len) == 0 && len == sizeof next_row)
        memcpy(&next_row, data, len);
    next_row = next_row + COMMIT_BYTES > clock_wall_us() ? next_row + COMMIT_BYTES : clock_wall_us();
    m->code = store_put(m->txn, m->to.main, "penstock", 8, &meta, sizeof meta, NULL, 0);
    if (m->code == 0)
        m->code = store_put(m->txn, m->to.main, "next_row", 8, &next_row, sizeof next_row, NULL, 0);
    return m->code == 0;
}

/* ---- files ---- */

/* The damaged file keeps a name; the copy (if any) takes its place in one step. */
static status_class change_places(const char *folder, const char *copied, text *aside, status *st)
{
    char id[27];
    text file = {0}, lock = {0};
    ulid_make(id);
    text_printf(&file, "%s/data.mdb", folder);
    text_printf(&lock, "%s/lock.mdb", folder);
    text_printf(aside, "%s/damaged", folder);
    status_class class = disk_make_folder(aside->data, 0700, st);
    text_printf(aside, "/data-%s.mdb", id);
    int failed = class != STATUS_OK ? 0
                 : copied           ? link(file.data, aside->data) || rename(copied, file.data)
                                    : rename(file.data, aside->data);
    if (class == STATUS_OK && failed)
        class = status_errno(st, errno, "journal: cannot set the damaged file aside");
    else if (class == STATUS_OK)
        unlink(lock.data);
    text_free(&file);
    text_free(&lock);
    return class;
}

/* Fills <folder>/mending/data.mdb; false: nothing of use. */
static bool make_copy(mending *m, page_file *from, const char *folder, uint64_t size_bytes)
{
    status st;
    bool of_use = false;
    if (disk_remove_tree(folder, &st) != STATUS_OK || disk_make_folder(folder, 0700, &st) != STATUS_OK ||
        store_open(&m->to, folder, size_bytes, &st) != STATUS_OK) {
        log_status(LOG_LEVEL_ERROR, "journal", "cannot make a copy", &st);
        return false;
    }
    copy(m, from);
    fill_holes(m);
    of_use = renew_head(m);
    commit(m);
    if (m->code)
        log_error("journal", "cannot copy the damaged file", LOG_TEXT("cause", mdb_strerror(m->code)));
    store_close(&m->to);
    return of_use && m->code == 0;
}

static status_class mend(page_file *from, const char *folder, uint64_t size_bytes, journal_losses *losses,
                         status *st)
{
    text mending_folder = {0}, copied = {0}, aside = {0};
    status ignored;
    mending m = {.losses = losses};
    text_printf(&mending_folder, "%s/mending", folder);
    text_printf(&copied, "%s/data.mdb", mending_folder.data);
    bool of_use = from && make_copy(&m, from, mending_folder.data, size_bytes);
    status_class class = change_places(folder, of_use ? copied.data : NULL, &aside, st);
    if (class == STATUS_OK)
        log_error(
            "journal",
            of_use
                ? "the file is damaged: what could be read was kept, the old file is set aside"
                : "the file is damaged and nothing of it can be used: it is set aside, an empty one begins",
            LOG_TEXT("aside", aside.data), LOG_NUMBER("streams_with_losses", losses->n));
    disk_remove_tree(mending_folder.data, &ignored);
    free(m.ranges);
    text_free(&mending_folder);
    text_free(&copied);
    text_free(&aside);
    losses->mended = class == STATUS_OK;
    return class;
}

status_class journal_mend(const char *folder, uint64_t size_bytes, bool deep, size_t at_once,
                          journal_losses *losses_out, journal_doubts **doubts_out, status *st)
{
    text path = {0};
    page_file *file;
    page_rest *rest = NULL;
    *losses_out = (journal_losses){0};
    *doubts_out = NULL;
    text_printf(&path, "%s/data.mdb", folder);
    status_class class = page_file_open(path.data, &file, st);
    text_free(&path);
    if (class == STATUS_OK)
        class = page_file_check(file, deep, at_once, &rest, st);
    if (class == STATUS_INVALID) {
        log_status(LOG_LEVEL_ERROR, "journal", "damaged", st);
        class = mend(file, folder, size_bytes, losses_out, st);
    } else if (rest) {
        *doubts_out = journal_doubts_create(file, rest);
        return class;
    }
    page_file_close(file);
    return class == STATUS_NOT_FOUND ? STATUS_OK : class;
}
