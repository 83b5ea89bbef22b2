/* The commit thread. It takes what waits, writes it in one transaction, syncs, and answers.
 *
 *   wait ──▶ group ──▶ write ──▶ show ──▶ sync ──▶ publish ──▶ answer ──▶ wait
 *                        │                  └─ failed: answer "unavailable", close, reopen, read the state
 * again └─ no room: give the transaction up, try one by one
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

/* ---- one transaction ---- */

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
    static const struct {
        int code;
        bool gets_there; /* to the disk */
        useconds_t before_us, after_us;
    } faults[] = {[JOURNAL_FAULT_NONE] = {0, true, 0, 0},
                  [JOURNAL_FAULT_SYNC] = {EIO, false, 0, 0},
                  [JOURNAL_FAULT_SYNC_LATE] = {EIO, true, 0, 0},
                  [JOURNAL_FAULT_SYNC_LOST] = {EIO, false, 1000000, 0},
                  [JOURNAL_FAULT_DISK_FULL] = {ENOSPC, false, 0, 0},
                  [JOURNAL_FAULT_MAP_FULL] = {MDB_MAP_FULL, false, 0, 0},
                  [JOURNAL_FAULT_SYNC_SLOW] = {0, true, 100000, 0},
                  [JOURNAL_FAULT_TOLD_LATE] = {0, true, 0, 100000}};
    journal_fault fault = take_fault(j);
    int code = 0;
    usleep(faults[fault].before_us);
    if (faults[fault].gets_there)
        code = mdb_txn_commit(txn);
    else
        mdb_txn_abort(txn);
    usleep(faults[fault].after_us);
    return code ? code : faults[fault].code;
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
    if (!durable) {
        s->ahead_seq = s->at.last_seq;
        return;
    }
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
        trims_drop_done(j);
        count_commit(j, group, us, trimmed);
    } else {
        j->stats.commit_failures++;
    }
    ahead_settle(j, durable);
    pthread_mutex_unlock(&j->lock);
}

/* An LMDB code; 0 = the group is durable. */
static int commit_group(journal *j, submission *group)
{
    MDB_txn *txn;
    int64_t from_us = clock_monotonic_us(), next_row = j->next_row;
    uint64_t trimmed = 0, used_pages = 0;
    j->commit_number++;
    j->n_touched = 0;
    group_write_cursors_ahead(j, group);
    int code = group_make_room(j, group);
    if (code == 0)
        code = mdb_txn_begin(j->store.env, NULL, 0, &txn);
    if (code == 0) {
        code = group_write(j, txn, group, &next_row, &trimmed);
        used_pages = store_used_pages(&j->store, txn);
        if (code) {
            mdb_txn_abort(txn);
        } else {
            ahead_show(j);
            code = commit_txn(j, txn);
        }
    }
    if (code == 0) {
        j->durable_number = j->commit_number;
        j->next_row = next_row;
    }
    settle(j, group, code == 0, clock_monotonic_us() - from_us, trimmed, used_pages);
    ahead_hide(j);
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

static bool is_unread(journal *j, const stream_state *s)
{
    pthread_mutex_lock(&j->lock);
    bool unread = s->ahead_seq < s->at.last_seq;
    pthread_mutex_unlock(&j->lock);
    return unread;
}

/* Those who have read ahead know. */
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
                if (is_unread(j, stream))
                    j->on_appended(j->arg, stream->at.id, stream->usage->group_rows);
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
    journal_forget_doubts(j);
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
    trims_drop_done(j);
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

static bool has_trims(const journal *j)
{
    return j->n_trims > 0 && !j->doubts;
}

static bool doubts_are_over(const journal *j)
{
    return j->doubts && journal_doubts_state(j->doubts) != DOUBTS_OPEN;
}

/* Every page was looked at: on as usual, or mended first. False: the journal is out of service. */
static bool end_doubts(journal *j)
{
    status st;
    if (journal_doubts_state(j->doubts) == DOUBTS_DAMAGED) {
        status_set(&st, STATUS_UNAVAILABLE, "a page of its file is damaged, it is being mended");
        fail(j, &st);
        return reopen(j);
    }
    pthread_rwlock_wrlock(&j->env_lock);
    journal_forget_doubts(j);
    pthread_rwlock_unlock(&j->env_lock);
    log_info("journal", "every page was looked at");
    return true;
}

/* Waits for work, then for company: woken when that is there, not for each that comes. Under the lock. */
static void gather(journal *j)
{
    j->wanted = 1;
    while (!j->waiting.n && !j->closing && !j->failed && !has_trims(j) && !doubts_are_over(j))
        pthread_cond_wait(&j->wake, &j->lock);
    if (!j->waiting.n && !j->closing && !doubts_are_over(j))
        wait_us(j, j->failed ? JOURNAL_REOPEN_US : JOURNAL_TRIM_IDLE_US);
    j->wanted = j->group_before > j->company_before ? j->group_before : j->company_before;
    while (j->waiting.n && !j->closing && j->waiting.n < j->wanted) {
        int64_t left = j->waiting_since_us + j->window_us - clock_monotonic_us();
        if (left <= 0 || j->pending_bytes >= JOURNAL_GROUP_ENOUGH)
            break;
        wait_us(j, left);
    }
    j->wanted = SIZE_MAX;
}

/* Workspace by workspace as their turns come, each in its own order. None while rows find no room and there
 * is something to trim: a refused group takes nothing out, and clients that come back at once would keep it
 * so. */
static submission *take_group(journal *j)
{
    submission *group = NULL, **end = &group, *s;
    uint64_t cost = 0;
    size_t n = 0, company = 0;
    bool trims_first = j->no_room && has_trims(j) && !j->closing && !fault_active("trims_first");
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
        company = s->company;
        n++;
    }
    j->waiting_since_us = clock_monotonic_us();
    if (n) {
        j->group_before = n;
        j->company_before = cost / n <= JOURNAL_SMALL_BYTES ? company : 0;
    }
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
        bool failed = j->failed, trims = has_trims(j), end = j->closing && !group;
        pthread_mutex_unlock(&j->lock);
        if (!failed && doubts_are_over(j))
            failed = !end_doubts(j);
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
