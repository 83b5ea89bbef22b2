/* The commit thread. It takes what waits, writes it in one transaction, syncs, and answers.
 *
 *   wait ──▶ group ──▶ write ──▶ sync ──▶ publish ──▶ answer ──▶ wait
 *                        │         └─ failed: answer "unavailable", close, reopen, read the state again
 *                        └─ no room: give the transaction up, try one by one
 *
 * While one commit runs the next group gathers. When the last group had more than one member, the next waits
 * (at most window_us after its oldest) until as many are there again, because the same clients are about to
 * come back. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/disk.h"
#include "base/fault.h"
#include "base/log.h"
#include "flow/journal_state.h"

/* ---- the ack rule ---- */

/* The one place where a submission is answered. STATUS_OK is an ack, and an ack means durable. */
static void answer(journal *j, submission *s, status_class class, const status *st)
{
    if (class == STATUS_OK) {
        assert(s->commit != 0);
        assert(s->commit <= j->durable_number);
    }
    if (s->on_done)
        s->on_done(s->arg, class, st);
    submission_free(s);
}

/* The guard taken out, for the test that shows it matters: whoever asks hears "durable" before anything is.
 */
static void answer_too_early(submission *group)
{
    for (submission *s = group; s; s = s->next) {
        if (s->on_done)
            s->on_done(s->arg, STATUS_OK, NULL);
        s->on_done = NULL;
    }
}

/* ---- writing ---- */

static void touch(journal *j, stream_state *s)
{
    if (s->touched)
        return;
    s->touched = true;
    s->trimmed = false;
    s->new_seq = s->at.last_seq;
    s->new_rows = s->total_rows;
    s->new_bytes = s->total_bytes;
    s->new_oldest_us = -1;
    if (j->n_touched == j->cap_touched) {
        j->cap_touched = j->cap_touched ? j->cap_touched * 2 : 64;
        j->touched = memory_grow(j->touched, j->cap_touched * sizeof *j->touched);
    }
    j->touched[j->n_touched++] = s->at.id;
}

static int put_stream_row(journal *j, MDB_txn *txn, stream_state *s, uint64_t trimmed_seq, uint64_t rows,
                          uint64_t bytes)
{
    uint32_t id = s->at.id;
    uint8_t key[4] = {(uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id};
    stream_row row = {.wid = s->at.wid,
                      .lane = (uint8_t)s->at.lane,
                      .store_len = (uint8_t)strlen(s->at.store),
                      .shard = s->at.shard,
                      .trimmed_seq = trimmed_seq,
                      .trimmed_rows = rows,
                      .trimmed_bytes = bytes};
    memcpy(row.store, s->at.store, row.store_len);
    return store_put(txn, j->store.streams, key, sizeof key, &row, sizeof row, NULL, 0);
}

static int write_record(journal *j, MDB_cursor *records, MDB_txn *txn, pending_record *r, int64_t *next_row)
{
    stream_state *s = r->stream;
    record_head *head = r->data;
    touch(j, s);
    if (!s->stored) {
        int code = put_stream_row(j, txn, s, s->at.trimmed_seq, 0, 0);
        if (code)
            return code;
    }
    bool first = !s->stored && s->new_seq == s->at.trimmed_seq;
    head->prev_seq = first ? 0 : s->new_seq;
    head->seq = ++s->new_seq;
    head->first_row = *next_row;
    head->rows_before = s->new_rows;
    head->bytes_before = s->new_bytes;
    if (head->kind == JOURNAL_ROWS)
        *next_row += head->n_rows;
    s->new_rows += head->n_rows;
    s->new_bytes += store_record_cost(r->len);
    if (s->new_oldest_us == -1 && s->at.oldest_received_us == 0)
        s->new_oldest_us = head->received_us;
    record_key key = {.stream = s->at.id, .lane = (uint8_t)s->at.lane, .seq = head->seq};
    return store_put_record(records, key, r->data, r->len);
}

/* ---- idempotency keys ---- */

#define EXPIRY_KEY_MAX (8 + 4 + JOURNAL_KEY_MAX)

static size_t expiry_key(uint8_t out[EXPIRY_KEY_MAX], int64_t created_us, const uint8_t *key, size_t len)
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)((uint64_t)created_us >> (56 - 8 * i));
    memcpy(out + 8, key, len);
    return 8 + len;
}

static int forget_key(journal *j, MDB_txn *txn, int64_t created_us, const uint8_t *key, size_t len)
{
    uint8_t bytes[EXPIRY_KEY_MAX];
    MDB_val k = {expiry_key(bytes, created_us, key, len), bytes};
    int code = mdb_del(txn, j->store.expiry, &k, NULL);
    if (code && code != MDB_NOTFOUND)
        return code;
    k = (MDB_val){len, (void *)key};
    code = mdb_del(txn, j->store.keys, &k, NULL);
    return code == MDB_NOTFOUND ? 0 : code;
}

/* Sets s->key_taken if somebody was first. */
static int write_key(journal *j, MDB_txn *txn, submission *s, int64_t now_us)
{
    const void *data;
    size_t len;
    int64_t created_us;
    int code = store_get(txn, j->store.keys, s->idem_key, s->idem_key_len, &data, &len);
    if (code == 0 && len >= sizeof created_us && !fault_active("key")) {
        memcpy(&created_us, data, sizeof created_us);
        if (now_us - created_us < JOURNAL_KEY_LIFE_US) {
            s->key_taken = true;
            return 0;
        }
        code = forget_key(j, txn, created_us, s->idem_key, s->idem_key_len);
    }
    if (code && code != MDB_NOTFOUND && code != MDB_CORRUPTED)
        return code;
    uint8_t bytes[EXPIRY_KEY_MAX];
    size_t n = expiry_key(bytes, now_us, s->idem_key, s->idem_key_len);
    code = store_put(txn, j->store.expiry, bytes, n, NULL, 0, NULL, 0);
    if (code)
        return code;
    return store_put(txn, j->store.keys, s->idem_key, s->idem_key_len, &now_us, sizeof now_us, s->verdict,
                     s->verdict_len);
}

static int expire_keys(journal *j, MDB_txn *txn, int64_t now_us)
{
    MDB_cursor *c;
    MDB_val k, v;
    int code = mdb_cursor_open(txn, j->store.expiry, &c);
    if (code)
        return code;
    for (unsigned i = 0; i < JOURNAL_EXPIRE_MAX && code == 0; i++) {
        uint8_t bytes[EXPIRY_KEY_MAX];
        int64_t created_us = 0;
        if (mdb_cursor_get(c, &k, &v, MDB_FIRST) != 0 || k.mv_size < 12 || k.mv_size > sizeof bytes)
            break;
        memcpy(bytes, k.mv_data, k.mv_size);
        for (int b = 0; b < 8; b++)
            created_us = created_us << 8 | bytes[b];
        if (now_us - created_us < JOURNAL_KEY_LIFE_US)
            break;
        code = forget_key(j, txn, created_us, bytes + 8, k.mv_size - 8);
    }
    mdb_cursor_close(c);
    return code;
}

/* ---- trimming ---- */

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
    touch(j, s);
    s->new_trimmed_seq = s->at.trimmed_seq;
    int code = delete_records(&j->store, c, s, upto, budget, &done, n);
    if (code)
        return code;
    count_trimmed(c, s);
    s->trimmed = true;
    return put_stream_row(j, txn, s, s->new_trimmed_seq, s->new_trimmed_rows, s->new_trimmed_bytes);
}

/* As many streams as the budget allows, in the order they asked. */
static int trim_some(journal *j, MDB_txn *txn, MDB_cursor *c, uint64_t budget, uint64_t *n)
{
    int code = 0;
    for (size_t i = 0; code == 0 && budget > 0; i++) {
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

/* ---- one transaction ---- */

static int write_submission(journal *j, MDB_txn *txn, MDB_cursor *records, submission *s, int64_t now_us,
                            int64_t *next_row)
{
    int code = 0;
    s->commit = j->commit_number;
    s->key_taken = false;
    if (s->idem_key)
        code = write_key(j, txn, s, now_us);
    if (s->key_taken)
        return code;
    for (size_t i = 0; i < s->n_records && code == 0; i++)
        code = write_record(j, records, txn, &s->records[i], next_row);
    if (code == 0 && s->cursor_key)
        code = store_put(txn, j->store.cursors, s->cursor_key, s->cursor_key_len, NULL, 0, s->cursor,
                         s->cursor_len);
    return code;
}

static int write_group(journal *j, MDB_txn *txn, submission *group, int64_t *next_row, uint64_t *trimmed)
{
    MDB_cursor *records;
    int64_t now_us = clock_wall_us();
    uint64_t cost = 0;
    int code = mdb_cursor_open(txn, j->store.records, &records);
    if (code)
        return code;
    for (submission *s = group; s && code == 0; s = s->next) {
        code = write_submission(j, txn, records, s, now_us, next_row);
        cost += s->cost;
    }
    uint64_t budget = group ? 2 * cost / JOURNAL_PAGE + JOURNAL_TRIM_MIN_PAGES : JOURNAL_TRIM_IDLE_PAGES;
    if (code == 0)
        code = trim_some(j, txn, records, budget, trimmed);
    if (code == 0)
        code = expire_keys(j, txn, now_us);
    if (code == 0)
        code = store_put(txn, j->store.main, "next_row", 8, next_row, sizeof *next_row, NULL, 0);
    mdb_cursor_close(records);
    return code;
}

#ifdef PENSTOCK_FAULTS
static journal_fault take_fault(journal *j)
{
    pthread_mutex_lock(&j->lock);
    journal_fault fault = j->fault_times ? j->fault : JOURNAL_FAULT_NONE;
    j->fault_times -= j->fault_times > 0;
    pthread_mutex_unlock(&j->lock);
    return fault;
}

static int commit_txn(journal *j, MDB_txn *txn)
{
    static const int codes[] = {0, EIO, EIO, ENOSPC, MDB_MAP_FULL, 0, 0};
    journal_fault fault = take_fault(j);
    if (fault == JOURNAL_FAULT_SYNC_SLOW)
        usleep(100000);
    if (fault == JOURNAL_FAULT_NONE || fault == JOURNAL_FAULT_SYNC_LATE || fault >= JOURNAL_FAULT_SYNC_SLOW) {
        int code = mdb_txn_commit(txn);
        if (fault == JOURNAL_FAULT_TOLD_LATE)
            usleep(100000);
        return code ? code : codes[fault];
    }
    mdb_txn_abort(txn);
    return codes[fault];
}
#else
static int commit_txn(journal *j, MDB_txn *txn)
{
    (void)j;
    return mdb_txn_commit(txn);
}
#endif

static void publish(journal *j, stream_state *s, bool durable)
{
    s->touched = false;
    if (!durable)
        return;
    uint64_t bytes_before = s->at.bytes;
    s->stored = true;
    s->at.last_seq = s->new_seq;
    s->total_rows = s->new_rows;
    s->total_bytes = s->new_bytes;
    if (s->trimmed) {
        int64_t now_us = clock_monotonic_us();
        drain_note(&j->drain, s->new_trimmed_bytes - s->trimmed_bytes, now_us);
        drain_note(&s->usage->drain, s->new_trimmed_bytes - s->trimmed_bytes, now_us);
        s->at.trimmed_seq = s->new_trimmed_seq;
        s->trimmed_rows = s->new_trimmed_rows;
        s->trimmed_bytes = s->new_trimmed_bytes;
    }
    if (s->new_oldest_us != -1)
        s->at.oldest_received_us = s->new_oldest_us;
    s->at.rows = s->total_rows - s->trimmed_rows;
    s->at.bytes = s->total_bytes - s->trimmed_bytes;
    s->usage->bytes += s->at.bytes - bytes_before;
}

static void drop_done_trims(journal *j)
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

static void count_commit(journal *j, const submission *group, int64_t us, uint64_t trimmed)
{
    journal_stats *t = &j->stats;
    t->commits++;
    t->trimmed_records += trimmed;
    t->commit_us_total += us;
    if (us > t->commit_us_longest)
        t->commit_us_longest = us;
    for (const submission *s = group; s; s = s->next)
        for (size_t i = 0; i < s->n_records && !s->key_taken; i++) {
            t->records++;
            t->rows += ((const record_head *)s->records[i].data)->n_rows;
            t->bytes += s->records[i].len;
        }
}

/* Makes the outcome of a transaction known. */
static void settle(journal *j, submission *group, bool durable, int64_t us, uint64_t trimmed,
                   uint64_t used_pages)
{
    pthread_mutex_lock(&j->lock);
    for (size_t i = 0; i < j->n_touched; i++)
        publish(j, j->streams[j->touched[i]], durable);
    if (durable) {
        j->used_pages = used_pages;
        drop_done_trims(j);
        count_commit(j, group, us, trimmed);
    } else {
        j->stats.commit_failures++;
    }
    pthread_mutex_unlock(&j->lock);
}

/* The fault "cursor": cursors in a commit of their own, ahead of the rows that they stand behind. */
static void write_cursors_ahead(journal *j, const submission *group)
{
    MDB_txn *txn;
    if (!fault_active("cursor") || mdb_txn_begin(j->store.env, NULL, 0, &txn) != 0)
        return;
    for (const submission *s = group; s; s = s->next)
        if (s->cursor_key)
            store_put(txn, j->store.cursors, s->cursor_key, s->cursor_key_len, NULL, 0, s->cursor,
                      s->cursor_len);
    mdb_txn_commit(txn);
}

/* Others live on this disk, too: PostgreSQL ends when it cannot write. */
static bool disk_is_short(const journal *j)
{
    int64_t total, free_bytes = disk_free_bytes(j->folder, &total), least = total / 100 * j->keep_free;
    return free_bytes >= 0 && free_bytes < (least < JOURNAL_KEEP_FREE_MAX ? least : JOURNAL_KEEP_FREE_MAX);
}

/* Space on the disk for what is to be written, before it is: a full disk refuses the group, and never keeps
 * what is there from being trimmed. Twice the cost, because pages are written anew and freed only later. */
static int make_room(journal *j, const submission *group)
{
    uint64_t bytes = j->used_pages * JOURNAL_PAGE + JOURNAL_HEADROOM;
    if (!group)
        return 0;
    if (j->keep_free && disk_is_short(j))
        return STORE_DISK_SHORT;
    for (const submission *s = group; s; s = s->next)
        bytes += 2 * s->cost;
    return store_make_room(&j->store, bytes);
}

/* An LMDB code; 0 = the group is durable. */
static int commit_group(journal *j, submission *group)
{
    MDB_txn *txn;
    int64_t from_us = clock_monotonic_us(), next_row = j->next_row;
    uint64_t trimmed = 0, used_pages = 0;
    j->commit_number++;
    j->n_touched = 0;
    write_cursors_ahead(j, group);
    int code = make_room(j, group);
    if (code == 0)
        code = mdb_txn_begin(j->store.env, NULL, 0, &txn);
    if (code == 0) {
        code = write_group(j, txn, group, &next_row, &trimmed);
        used_pages = store_used_pages(&j->store, txn);
        if (code)
            mdb_txn_abort(txn);
        else
            code = commit_txn(j, txn);
    }
    if (code == 0) {
        j->durable_number = j->commit_number;
        j->next_row = next_row;
    }
    settle(j, group, code == 0, clock_monotonic_us() - from_us, trimmed, used_pages);
    return code;
}

/* ---- after a commit ---- */

static void release(journal *j, submission *group)
{
    pthread_mutex_lock(&j->lock);
    for (submission *s = group; s; s = s->next) {
        j->pending_bytes -= s->cost;
        for (size_t i = 0; i < s->n_records; i++)
            s->records[i].stream->usage->pending_bytes -= store_record_cost(s->records[i].len);
    }
    pthread_mutex_unlock(&j->lock);
}

static void tell_readers(journal *j, const submission *group)
{
    if (!j->on_appended)
        return;
    for (const submission *s = group; s; s = s->next)
        for (size_t i = 0; i < s->n_records && !s->key_taken; i++)
            s->records[i].stream->touched = true;
    for (const submission *s = group; s; s = s->next)
        for (size_t i = 0; i < s->n_records; i++) {
            stream_state *stream = s->records[i].stream;
            if (stream->touched) {
                stream->touched = false;
                j->on_appended(j->arg, stream->at.id);
            }
        }
}

static void answer_all(journal *j, submission *group, const status *failure)
{
    status taken;
    status_set(&taken, STATUS_CONFLICT, "this Idempotency-Key was used before");
    release(j, group);
    if (!failure)
        tell_readers(j, group);
    for (submission *s = group, *next; s; s = next) {
        next = s->next;
        if (failure)
            answer(j, s, failure->class, failure);
        else if (s->key_taken)
            answer(j, s, STATUS_CONFLICT, &taken);
        else
            answer(j, s, STATUS_OK, NULL);
    }
}

/* ---- failure ---- */

static void fail(journal *j, const status *st)
{
    pthread_mutex_lock(&j->lock);
    if (!j->failed)
        log_status(LOG_LEVEL_ERROR, "journal", "out of service", st);
    j->failed = true;
    snprintf(j->failed_why, sizeof j->failed_why, "%s", st->text);
    pthread_mutex_unlock(&j->lock);
}

/* What a failed sync left behind is not known: read everything again from the file. */
static bool reopen(journal *j)
{
    status st;
    uint8_t incarnation[16];
    memcpy(incarnation, j->incarnation, sizeof incarnation);
    pthread_rwlock_wrlock(&j->env_lock);
    store_close(&j->store);
    status_class class = journal_load(j, true, &st);
    pthread_mutex_lock(&j->lock);
    if (class == STATUS_OK && memcmp(incarnation, j->incarnation, sizeof incarnation) != 0) {
        /* The writers know the positions of the old one only. */
        memcpy(j->incarnation, incarnation, sizeof incarnation);
        class = status_set(&st, STATUS_UNAVAILABLE, "its file was lost while the host ran: restart the host");
        store_close(&j->store);
    }
    if (class != STATUS_OK)
        snprintf(j->failed_why, sizeof j->failed_why, "%s", st.text);
    j->failed = class != STATUS_OK;
    j->stats.reopened += class == STATUS_OK;
    drop_done_trims(j);
    pthread_mutex_unlock(&j->lock);
    pthread_rwlock_unlock(&j->env_lock);
    if (class == STATUS_OK)
        log_warn("journal", "reopened after a failed write");
    return class == STATUS_OK;
}

/* Which setting it was that refused the group, where one did: a disk that is full may be so without any. */
static void name_limit(journal *j, int code, status *st)
{
    if (code == STORE_DISK_SHORT)
        limit_put(st, &(limit){"journal.keep_free", j->keep_free, LIMIT_BY_PLATFORM, DRAIN_WAIT_STILL_S});
    if (code != MDB_MAP_FULL)
        return;
    pthread_mutex_lock(&j->lock);
    unsigned retry_s = drain_wait_s(&j->drain, j->pending_bytes, clock_monotonic_us());
    pthread_mutex_unlock(&j->lock);
    limit_put(st, &(limit){"journal.size", j->size_bytes, LIMIT_BY_PLATFORM, retry_s});
}

/* Commits a group and answers it. No room: each alone, so that a large one does not take small ones with it.
 */
static void commit_and_answer(journal *j, submission *group)
{
    status st;
    if (fault_active("ack"))
        answer_too_early(group);
    int code = commit_group(j, group);
    if (code == 0) {
        answer_all(j, group, NULL);
        return;
    }
    store_status(&st, code, "commit");
    name_limit(j, code, &st);
    j->no_room = group && store_code_is_full(code);
    if (store_code_is_full(code) && group && group->next) {
        for (submission *s = group, *next; s; s = next) {
            next = s->next;
            s->next = NULL;
            commit_and_answer(j, s);
        }
        return;
    }
    /* LMDB has written nothing that counts */
    bool known = store_code_is_full(code) || fault_active("sync_error");
    if (!known)
        fail(j, &st);
    answer_all(j, group, &st);
    if (!known)
        reopen(j);
}

/* ---- the thread ---- */

static void wait_us(journal *j, int64_t us)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += us / 1000000;
    until.tv_nsec += us % 1000000 * 1000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&j->wake, &j->lock, &until);
}

/* Waits for work, then for company. Under the lock. False: nothing to commit but trims (or closing). */
static void gather(journal *j)
{
    while (!j->waiting.n && !j->closing && !j->failed && j->n_trims == 0)
        pthread_cond_wait(&j->wake, &j->lock);
    if (!j->waiting.n && !j->closing)
        wait_us(j, j->failed ? JOURNAL_REOPEN_US : JOURNAL_TRIM_IDLE_US);
    while (j->waiting.n && !j->closing && j->waiting.n < j->group_before) {
        int64_t left = j->waiting_since_us + j->window_us - clock_monotonic_us();
        if (left <= 0 || j->pending_bytes >= JOURNAL_GROUP_BYTES / 4)
            return;
        wait_us(j, left);
    }
}

/* Workspace by workspace as their turns come, each in its own order. None while rows find no room and there
 * is something to trim: a refused group takes nothing out, and clients that come back at once would keep it
 * so. */
static submission *take_group(journal *j)
{
    submission *group = NULL, **end = &group, *s;
    uint64_t cost = 0;
    size_t n = 0;
    bool trims_first = j->no_room && j->n_trims > 0 && !j->closing && !fault_active("trims_first");
    j->no_room = false;
    if (trims_first)
        return NULL;
    while ((s = (submission *)turn_queue_peek(&j->waiting)) &&
           (n == 0 || cost + s->cost <= JOURNAL_GROUP_BYTES)) {
        turn_queue_next(&j->waiting);
        turn_queue_charge(&j->waiting, s->item.line, s->cost);
        *end = s;
        end = &s->next;
        cost += s->cost;
        n++;
    }
    j->waiting_since_us = clock_monotonic_us();
    if (n)
        j->group_before = n;
    return group;
}

static void refuse_queue(journal *j, submission *group)
{
    status st;
    pthread_mutex_lock(&j->lock);
    status_set(&st, STATUS_UNAVAILABLE, "journal: out of service: %s", j->failed_why);
    pthread_mutex_unlock(&j->lock);
    answer_all(j, group, &st);
}

void *commit_thread(void *arg)
{
    journal *j = arg;
    for (;;) {
        pthread_mutex_lock(&j->lock);
        gather(j);
        submission *group = take_group(j);
        bool failed = j->failed, trims = j->n_trims > 0, end = j->closing && !group;
        pthread_mutex_unlock(&j->lock);
        if (failed) {
            refuse_queue(j, group);
            if (!reopen(j) && end)
                return NULL;
        } else if (group || trims) {
            commit_and_answer(j, group);
        }
        if (end)
            return NULL;
    }
}
