/* A group of submissions becomes one transaction of LMDB: room on the disk first, then records, keys and
 * cursors, and what may be trimmed on the way. On the commit thread. */
#include <string.h>

#include "base/clock.h"
#include "base/disk.h"
#include "base/fault.h"
#include "flow/journal_state.h"

/* ---- records ---- */

void stream_touch(journal *j, stream_state *s)
{
    if (s->touched)
        return;
    s->touched = true;
    s->trimmed = false;
    s->new_seq = s->at.last_seq;
    s->new_rows = s->total_rows;
    s->new_bytes = s->total_bytes;
    s->new_oldest_us = -1;
    s->ahead = NULL;
    s->ahead_end = &s->ahead;
    if (j->n_touched == j->cap_touched) {
        j->cap_touched = j->cap_touched ? j->cap_touched * 2 : 64;
        j->touched = memory_grow(j->touched, j->cap_touched * sizeof *j->touched);
    }
    j->touched[j->n_touched++] = s->at.id;
}

int stream_row_put(journal *j, MDB_txn *txn, stream_state *s, uint64_t trimmed_seq, uint64_t rows,
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

static void count_in_group(const journal *j, journal_usage *u, uint32_t rows)
{
    if (u->group != j->commit_number)
        u->group_rows = 0;
    u->group = j->commit_number;
    u->group_rows += rows;
}

static int write_record(journal *j, MDB_cursor *records, MDB_txn *txn, pending_record *r, int64_t *next_row)
{
    stream_state *s = r->stream;
    record_head *head = r->data;
    stream_touch(j, s);
    if (!s->stored) {
        int code = stream_row_put(j, txn, s, s->at.trimmed_seq, 0, 0);
        if (code)
            return code;
    }
    count_in_group(j, s->usage, head->n_rows);
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
    r->next = NULL;
    *s->ahead_end = r;
    s->ahead_end = &r->next;
    record_key key = {.stream = s->at.id, .lane = (uint8_t)s->at.lane, .seq = head->seq};
    return store_put_record(records, key, r->data, r->len);
}

/* ---- one transaction ---- */

static int write_submission(journal *j, MDB_txn *txn, MDB_cursor *records, submission *s, int64_t now_us,
                            int64_t *next_row)
{
    int code = 0;
    s->commit = j->commit_number;
    s->key_taken = false;
    if (s->idem_key)
        code = key_write(j, txn, s, now_us);
    if (s->key_taken)
        return code;
    for (size_t i = 0; i < s->n_records && code == 0; i++)
        code = write_record(j, records, txn, &s->records[i], next_row);
    if (code == 0 && s->cursor_key)
        code = store_put(txn, j->store.cursors, s->cursor_key, s->cursor_key_len, NULL, 0, s->cursor,
                         s->cursor_len);
    return code;
}

int group_write(journal *j, MDB_txn *txn, submission *group, int64_t *next_row, uint64_t *trimmed)
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
        code = trims_write(j, txn, records, budget, trimmed);
    if (code == 0)
        code = keys_expire(j, txn, now_us);
    if (code == 0)
        code = store_put(txn, j->store.main, "next_row", 8, next_row, sizeof *next_row, NULL, 0);
    mdb_cursor_close(records);
    return code;
}

/* ---- before it ---- */

/* The fault "cursor": cursors in a commit of their own, ahead of the rows that they stand behind. */
void group_write_cursors_ahead(journal *j, const submission *group)
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
int group_make_room(journal *j, const submission *group)
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
