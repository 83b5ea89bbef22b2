/* Where the numbers of rows are settled. A record gets its rows' numbers in the transaction that makes it
 * durable, and stays until the data plane is known to have committed it. So in one snapshot of the file: what
 * comes later counts from `next_row` on, and what waits begins at the first record of each of the store's
 * streams. */
#include <string.h>

#include "base/batch_split.h"
#include "base/fault.h"
#include "flow/journal_state.h"

enum { LANES = JOURNAL_BACKLOG + 1, STREAMS_MAX = LANES * BATCH_SHARDS_MAX };

typedef struct open_stream {
    const stream_state *stream;
    uint64_t settled; /* the last record that the data plane is known to have */
} open_stream;

/* Every stream of which the snapshot may hold a record: it was begun before that, so the list comes later. */
static unsigned list_streams(journal *j, uint32_t wid, const char *store, open_stream *out)
{
    unsigned n = 0;
    pthread_mutex_lock(&j->lock);
    for (int lane = 0; lane < LANES; lane++)
        for (uint16_t shard = 0; shard < BATCH_SHARDS_MAX; shard++) {
            const stream_state *s = stream_find_locked(j, wid, store, (journal_lane)lane, shard);
            if (s)
                out[n++] =
                    (open_stream){s, s->trim_upto > s->at.trimmed_seq ? s->trim_upto : s->at.trimmed_seq};
        }
    pthread_mutex_unlock(&j->lock);
    return n;
}

/* The first record behind `settled`; a damaged one gives no rows. */
static bool first_waiting(MDB_cursor *c, const open_stream *at, int64_t *first_row_out)
{
    record_key key;
    record_head head;
    bool ok;
    for (uint64_t seq = at->settled + 1; record_seek(c, at->stream, seq, &key, &head, &ok);
         seq = key.seq + 1) {
        if (!ok)
            continue;
        *first_row_out = head.first_row;
        return true;
    }
    return false;
}

static void look(journal *j, MDB_cursor *c, uint32_t wid, const char *store, journal_settled *out)
{
    open_stream streams[STREAMS_MAX];
    unsigned n = list_streams(j, wid, store, streams);
    for (unsigned i = 0; i < n; i++) {
        int64_t first;
        if (!first_waiting(c, &streams[i], &first))
            continue;
        out->waiting = true;
        if ((uint64_t)first < out->below && !fault_active("floor"))
            out->below = (uint64_t)first;
    }
}

status_class journal_settled_get(journal *j, uint32_t wid, const char *store, journal_settled *out,
                                 status *st)
{
    MDB_txn *txn = NULL;
    MDB_cursor *c;
    const void *data;
    size_t len;
    int64_t next_row;
    if (journal_begin_read(j, &txn, st) != STATUS_OK)
        return st->class;
    int code = store_get(txn, j->store.main, "next_row", 8, &data, &len);
    if (code == 0 && len != sizeof next_row)
        code = MDB_CORRUPTED;
    if (code == 0)
        code = mdb_cursor_open(txn, j->store.records, &c);
    if (code == 0) {
        memcpy(&next_row, data, sizeof next_row);
        *out = (journal_settled){.below = (uint64_t)next_row};
        look(j, c, wid, store, out);
        mdb_cursor_close(c);
    }
    status_class hurt = journal_look_hurt(j, st);
    journal_end_read(j, txn);
    return code ? store_status(st, code, "read") : hurt;
}
