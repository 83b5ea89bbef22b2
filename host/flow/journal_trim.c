/* Trimming: what the data plane has committed is deleted by later commits, a budget of pages each. */
#include <assert.h>

#include "base/clock.h"
#include "flow/journal_state.h"

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
        if (j->n_trims == 1)
            pthread_cond_signal(&j->wake);
    }
    pthread_mutex_unlock(&j->lock);
}

/* Deletes whole records up to trim_upto while the budget lasts; the cursor then stands behind them. */
static int delete_records(const journal_store *store, MDB_cursor *c, stream_state *s, uint64_t upto,
                          uint64_t *budget, bool *done, uint64_t *n)
{
    record_key want = {.stream = s->at.id, .lane = (uint8_t)s->at.lane, .seq = s->at.trimmed_seq + 1}, key;
    uint8_t bytes[RECORD_KEY_BYTES];
    record_key_write(&want, bytes);
    MDB_val k = {sizeof bytes, bytes}, v;
    int code = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
    *done = true;
    for (; code == 0; code = mdb_cursor_get(c, &k, &v, MDB_NEXT)) {
        if (!record_key_read(&k, &key) || key.stream != s->at.id || key.lane != s->at.lane || key.seq > upto)
            break;
        if (key.part == 0 && *budget == 0) {
            *done = false;
            break;
        }
        *n += key.part == 0;
        s->new_trimmed_seq = key.seq;
        *budget -= *budget > 0;
        int deleted = store_part_is_sound(store, &v) ? mdb_cursor_del(c, 0) : MDB_CORRUPTED;
        if (deleted)
            return deleted;
    }
    if (*done)
        s->new_trimmed_seq = upto;
    return code == MDB_NOTFOUND ? 0 : code;
}

/* What has gone in all: known from the first record that is left, else it is everything. */
static void count_trimmed(MDB_cursor *c, stream_state *s)
{
    record_key key;
    record_head head;
    bool ok = false;
    s->new_trimmed_rows = s->new_rows;
    s->new_trimmed_bytes = s->new_bytes;
    s->new_oldest_us = 0;
    for (uint64_t seq = s->new_trimmed_seq + 1; record_seek(c, s, seq, &key, &head, &ok); seq = key.seq + 1) {
        if (!ok)
            continue;
        s->new_trimmed_rows = head.rows_before;
        s->new_trimmed_bytes = head.bytes_before;
        s->new_oldest_us = head.received_us;
        return;
    }
}

static int trim_stream(journal *j, MDB_txn *txn, MDB_cursor *c, stream_state *s, uint64_t upto,
                       uint64_t *budget, uint64_t *n)
{
    bool done;
    stream_touch(j, s);
    s->new_trimmed_seq = s->at.trimmed_seq;
    int code = delete_records(&j->store, c, s, upto, budget, &done, n);
    if (code)
        return code;
    count_trimmed(c, s);
    s->trimmed = true;
    return stream_row_put(j, txn, s, s->new_trimmed_seq, s->new_trimmed_rows, s->new_trimmed_bytes);
}

/* As many streams as the budget allows, in the order they asked. */
int trims_write(journal *j, MDB_txn *txn, MDB_cursor *c, uint64_t budget, uint64_t *n)
{
    int code = 0;
    for (size_t i = 0; code == 0 && budget > 0 && !j->doubts; i++) {
        pthread_mutex_lock(&j->lock);
        stream_state *s = i < j->n_trims ? j->streams[j->trims[i]] : NULL;
        uint64_t upto = s ? s->trim_upto : 0;
        pthread_mutex_unlock(&j->lock);
        if (!s)
            break;
        code = trim_stream(j, txn, c, s, upto, &budget, n);
    }
    return code;
}

void trims_drop_done(journal *j)
{
    size_t kept = 0;
    for (size_t i = 0; i < j->n_trims; i++) {
        stream_state *s = j->streams[j->trims[i]];
        s->trim_queued = s->trim_upto > s->at.trimmed_seq;
        if (s->trim_queued)
            j->trims[kept++] = s->at.id;
    }
    j->n_trims = kept;
}
