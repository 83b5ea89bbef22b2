/* Records ahead of their sync. While a group is being synced its records are still in memory, numbered and
 * whole: readers get copies of them, so that a writer has its transaction ready when the journal is durable,
 * and only its COMMIT waits.
 *
 *   write ──▶ show ──▶ sync ──▶ settle ──▶ hide
 *               └─ readers: journal_read_ahead … journal_await ─┘
 *
 * A sync that fails takes the numbers back: others will get them. So whoever has read ahead asks for the
 * outcome of that very commit, and forgets what he has read if it is not good. */
#include <string.h>

#include "flow/journal_state.h"

#define OUTCOMES_KEPT 64U

void ahead_show(journal *j)
{
    bool any = false;
    for (size_t i = 0; i < j->n_touched && !any; i++)
        any = j->streams[j->touched[i]]->ahead != NULL;
    if (!any || !j->on_appended)
        return;
    pthread_rwlock_wrlock(&j->ahead_lock);
    j->ahead_commit = j->commit_number;
    pthread_rwlock_unlock(&j->ahead_lock);
    for (size_t i = 0; i < j->n_touched; i++)
        if (j->streams[j->touched[i]]->ahead)
            j->on_appended(j->arg, j->touched[i], j->streams[j->touched[i]]->usage->group_rows);
}

void ahead_hide(journal *j)
{
    pthread_rwlock_wrlock(&j->ahead_lock);
    j->ahead_commit = 0;
    for (size_t i = 0; i < j->n_touched; i++)
        j->streams[j->touched[i]]->ahead = NULL;
    pthread_rwlock_unlock(&j->ahead_lock);
}

void ahead_settle(journal *j, bool durable)
{
    j->told_number = j->commit_number;
    j->outcomes = j->outcomes << 1 | durable;
    pthread_cond_broadcast(&j->told);
}

static uint64_t seq_of(const pending_record *r)
{
    return ((const record_head *)r->data)->seq;
}

/* The first that is shown of the stream behind after_seq, and how many from there fit. Under ahead_lock. */
static const pending_record *first_shown(const stream_state *s, uint64_t after_seq, size_t max_bytes,
                                         size_t *n_out)
{
    const pending_record *first = s->ahead;
    size_t bytes = 0;
    *n_out = 0;
    while (first && seq_of(first) <= after_seq)
        first = first->next;
    for (const pending_record *r = first; r && *n_out < READ_RECORDS_MAX; r = r->next) {
        bytes += r->len;
        if (*n_out > 0 && bytes > max_bytes)
            break;
        ++*n_out;
    }
    return first;
}

/* Copies them into `a`. Under ahead_lock. */
static void take_shown(journal *j, stream_state *s, const pending_record *from, size_t n, arena *a,
                       pending_record **copies_out)
{
    pending_record *copies = arena_alloc(a, (n + 1) * sizeof *copies);
    uint64_t last_seq = 0;
    for (size_t i = 0; i < n && from; i++, from = from->next) {
        copies[i] = (pending_record){.data = arena_copy(a, from->data, from->len), .len = from->len};
        last_seq = seq_of(from);
    }
    pthread_mutex_lock(&j->lock);
    s->ahead_seq = last_seq;
    pthread_mutex_unlock(&j->lock);
    *copies_out = copies;
}

/* False: there is something durable to be read first. */
static bool read_shown(journal *j, stream_state *s, uint64_t after_seq, size_t max_bytes, arena *a,
                       pending_record **copies_out, size_t *n_out, uint64_t *commit)
{
    const pending_record *from = NULL;
    pthread_rwlock_rdlock(&j->ahead_lock);
    pthread_mutex_lock(&j->lock);
    bool first = s->at.last_seq <= after_seq;
    pthread_mutex_unlock(&j->lock);
    *n_out = 0;
    if (first && j->ahead_commit && (!*commit || *commit == j->ahead_commit))
        from = first_shown(s, after_seq, max_bytes, n_out);
    if (from) {
        *commit = j->ahead_commit;
        take_shown(j, s, from, *n_out, a, copies_out);
    }
    pthread_rwlock_unlock(&j->ahead_lock);
    return first;
}

status_class journal_read_ahead(journal *j, uint32_t stream, uint64_t after_seq, size_t max_bytes, arena *a,
                                const journal_record **records_out, size_t *n_out, uint64_t *commit,
                                status *st)
{
    uint64_t last_seq;
    pending_record *copies = NULL;
    size_t n;
    stream_state *s = stream_by_id(j, stream, &last_seq);
    if (!s || last_seq > after_seq || !read_shown(j, s, after_seq, max_bytes, a, &copies, &n, commit))
        return journal_read(j, stream, after_seq, max_bytes, a, records_out, n_out, st);
    journal_record *records = arena_zero(a, n + 1, sizeof *records);
    for (size_t i = 0; copies && i < n; i++) {
        if (!record_decode(copies[i].data, copies[i].len, a, &records[i]))
            return status_set(st, STATUS_INTERNAL, "journal: a record that it has written cannot be read");
        records[i].stream = stream;
    }
    *records_out = records;
    *n_out = n;
    return STATUS_OK;
}

status_class journal_await(journal *j, uint64_t commit, status *st)
{
    if (commit == 0)
        return STATUS_OK;
    pthread_mutex_lock(&j->lock);
    while (j->told_number < commit)
        pthread_cond_wait(&j->told, &j->lock);
    uint64_t ago = j->told_number - commit;
    bool durable = ago < OUTCOMES_KEPT && (j->outcomes >> ago & 1);
    pthread_mutex_unlock(&j->lock);
    return durable ? STATUS_OK
                   : status_set(st, STATUS_CONFLICT, "the journal could not sync what was to be written");
}
