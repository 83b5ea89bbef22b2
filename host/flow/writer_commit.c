/* A turn into the database: one transaction; when a row is refused, one for each workspace, then one for each
 * record of those that it concerns. Only what is committed is told, and trimmed from the journal. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "flow/writer_private.h"

enum {
    BORROW_WAIT_MS = 5000,
    STATEMENTS_MAX = 4096, /* about three a store: some 25 KiB each in the session */
};

status_class writer_connect(writer *w, status *st)
{
    if (w->connection && connection_broken(w->connection)) {
        pool_return(w->parts.data, w->connection);
        w->connection = NULL;
    }
    if (w->connection)
        return STATUS_OK;
    status_class class = pool_borrow(w->parts.data, NULL, BORROW_WAIT_MS, &w->connection, st);
    if (class == STATUS_OK)
        class = connection_repeat(w->connection, STATEMENTS_MAX, st);
    if (class != STATUS_OK) {
        pool_return(w->parts.data, w->connection);
        w->connection = NULL;
    }
    return class;
}

/* Stores of one transaction are written in one order by every writer, so that two never wait for each other.
 */
static int compare_records(const void *left, const void *right)
{
    const journal_record *a = ((const write_record *)left)->record,
                         *b = ((const write_record *)right)->record;
    if (a->wid != b->wid)
        return a->wid < b->wid ? -1 : 1;
    int order = strcmp(a->store, b->store);
    if (order)
        return order;
    if (a->stream != b->stream)
        return a->stream < b->stream ? -1 : 1;
    return a->seq < b->seq ? -1 : a->seq > b->seq;
}

static status_class ensure_partitions(writer *w, const turn *t, status *st)
{
    for (uint32_t i = 0; i < t->n; i++) {
        const write_record *r = &t->records[i];
        if (r->rows.n_rows == 0 || r->store->table.partition == PARTITION_NONE)
            continue;
        const int64_t *times = r->rows.columns[r->store->table.time_column].values;
        status_class class = partitions_ensure(w->parts.partitions, w->connection, &r->store->table, times,
                                               r->rows.n_rows, st);
        if (class != STATUS_OK)
            return class;
    }
    return STATUS_OK;
}

/* How long a stream's oldest record of this turn has waited; of several streams the last one counts. */
static void note_commit(writer *w, queue_workspace *of, int64_t *oldest_us)
{
    int64_t now_us = clock_wall_us();
    pthread_mutex_lock(&w->lock);
    of->committed_us = now_us;
    of->latency_us = now_us > *oldest_us ? now_us - *oldest_us : 0;
    pthread_mutex_unlock(&w->lock);
    *oldest_us = INT64_MAX;
}

/* One behind the other, so that whoever passes the answers on is woken once for many. */
static void answer(writer *w, const write_record *records, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const write_record *r = &records[i];
        waiter_report(w->parts.waiters, r->record->request_id, r->stored, r->duplicate,
                      r->record->kind == JOURNAL_ROWS ? r->dead : 0);
    }
}

/* The commit is known to have happened: only now may the journal forget and the waiters hear. */
static void settle(writer *w, const write_record *records, uint32_t n)
{
    uint64_t stored = 0, duplicate = 0, dead = 0;
    int64_t oldest_us = INT64_MAX; /* received, of a stream's records */
    for (uint32_t i = 0; i < n; i++) {
        const write_record *r = &records[i];
        bool last = i + 1 == n || records[i + 1].record->stream != r->record->stream;
        stored += r->stored, duplicate += r->duplicate, dead += r->dead;
        if (w->parts.on_committed)
            w->parts.on_committed(w->parts.arg, r);
        if (r->record->received_us < oldest_us)
            oldest_us = r->record->received_us;
        if (last) {
            stream_state *stream = writer_stream(w, r->record->stream);
            writer_stream_known(w, stream, r->record->seq);
            journal_trim(w->parts.journal, r->record->stream, r->record->seq);
            writer_requeue_if_waiting(w, stream, r->record->seq);
            note_commit(w, stream->workspace, &oldest_us);
        }
    }
    answer(w, records, n);
    pthread_mutex_lock(&w->lock);
    w->figures.transactions++;
    w->figures.records += n;
    w->figures.rows_stored += stored;
    w->figures.rows_duplicate += duplicate;
    w->figures.rows_dead += dead;
    pthread_mutex_unlock(&w->lock);
}

/* The faults "stored_answer" and "trim": waiters hear, and the journal forgets, before the commit. */
static void settle_too_early(writer *w, const turn *t)
{
    status st;
    bool trim = fault_active("trim") && journal_await(w->parts.journal, t->journal_commit, &st) == STATUS_OK;
    for (uint32_t i = 0; i < t->n && fault_active("stored_answer"); i++)
        waiter_report(w->parts.waiters, t->records[i].record->request_id, t->records[i].record->n_rows, 0, 0);
    for (uint32_t i = 0; i < t->n && trim; i++)
        journal_trim(w->parts.journal, t->records[i].record->stream, t->records[i].record->seq);
}

/* A row is refused: each record goes alone, the one with the row by halves. What that takes is its
 * workspace's turn; when it has taken long enough the rest waits for the next one. */
static status_class commit_one_by_one(writer *w, write_record *records, uint32_t n, status *st)
{
    status_class class = STATUS_OK;
    int64_t began_us = clock_monotonic_us();
    for (uint32_t i = 0; i < n && class == STATUS_OK && clock_monotonic_us() - began_us < TURN_US; i++) {
        class = write_set_commit(w->set, w->connection, &records[i], 1, false, st);
        if (class == STATUS_INVALID) {
            log_status(LOG_LEVEL_WARN, "writer", "a row cannot be stored, looking for it", st);
            class = write_set_commit(w->set, w->connection, &records[i], 1, true, st);
        }
        if (class == STATUS_OK)
            settle(w, &records[i], 1);
    }
    return class;
}

/* Records stand by workspace: each gets a transaction of its own, so that one whose rows are refused holds up
 * only itself. */
static status_class commit_by_workspace(writer *w, write_record *records, uint32_t n, status *st)
{
    status_class class = STATUS_OK;
    for (uint32_t i = 0, end; i < n && class == STATUS_OK; i = end) {
        int64_t began_us = clock_monotonic_us();
        for (end = i + 1; end < n && records[end].record->wid == records[i].record->wid; end++)
            ;
        class = end - i < n ? write_set_commit(w->set, w->connection, &records[i], end - i, false, st)
                            : STATUS_INVALID;
        if (class == STATUS_OK)
            settle(w, &records[i], end - i);
        else if (class == STATUS_INVALID)
            class = commit_one_by_one(w, &records[i], end - i, st);
        uint64_t took_us = (uint64_t)(clock_monotonic_us() - began_us);
        writer_charge(w, records[i].record->wid, w->rate * took_us / 1000000);
    }
    return class;
}

status_class writer_commit(writer *w, turn *t, status *st)
{
    status_class class = writer_connect(w, st);
    qsort(t->records, t->n, sizeof *t->records, compare_records);
    if (class == STATUS_OK)
        class = ensure_partitions(w, t, st);
    if (class != STATUS_OK)
        return class;
    settle_too_early(w, t);
    write_set_follow(w->set, w->parts.journal, t->journal_commit);
    class = write_set_commit(w->set, w->connection, t->records, t->n, false, st);
    if (class == STATUS_OK)
        settle(w, t->records, t->n);
    else if (class == STATUS_INVALID)
        class = commit_by_workspace(w, t->records, t->n, st);
    return class;
}
