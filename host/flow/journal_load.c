/* What state there is on disk when a journal is opened: its head, and each stream with its first and last
 * record. */
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/random.h"
#include "flow/journal_state.h"

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
    if (!store_may_touch(c, &after, &after))
        return;
    int code = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
    code = mdb_cursor_get(c, &k, &v, code == 0 ? MDB_PREV : MDB_LAST);
    if (code || !record_key_read(&k, &key) || !record_is_of(&key, s))
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
