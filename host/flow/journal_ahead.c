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
            j->on_appended(j->arg, j->touched[i]);
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

/* Copies what is shown of the stream behind after_seq into `a`. Under ahead_lock. */
static size_t copy_shown(const stream_state *s, uint64_t after_seq, size_t max_bytes, arena *a,
                         pending_record *copies)
{
    size_t n = 0, bytes = 0;
    for (const pending_record *r = s->ahead; r && n < READ_RECORDS_MAX; r = r->next) {
        if (((const record_head *)r->data)->seq <= after_seq)
            continue;
        if (n > 0 && bytes + r->len > max_bytes)
            break;
        if (copies)
            copies[n] = (pending_record){.data = arena_copy(a, r->data, r->len), .len = r->len};
        bytes += r->len;
        n++;
    }
    return n;
}

/* False: there is something durable to be read first. */
static bool read_shown(journal *j, stream_state *s, uint64_t after_seq, size_t max_bytes, arena *a,
                       pending_record **copies_out, size_t *n_out, uint64_t *commit)
{
    pthread_rwlock_rdlock(&j->ahead_lock);
    pthread_mutex_lock(&j->lock);
    bool first = s->at.last_seq <= after_seq;
    pthread_mutex_unlock(&j->lock);
    *n_out = 0;
    if (first && j->ahead_commit && (!*commit || *commit == j->ahead_commit)) {
        *n_out = copy_shown(s, after_seq, max_bytes, a, NULL);
        *copies_out = arena_alloc(a, (*n_out + 1) * sizeof **copies_out);
        copy_shown(s, after_seq, max_bytes, a, *copies_out);
    }
    if (*n_out) {
        *commit = j->ahead_commit;
        pthread_mutex_lock(&j->lock);
        s->ahead_seq = ((const record_head *)(*copies_out)[*n_out - 1].data)->seq;
        pthread_mutex_unlock(&j->lock);
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
    for (size_t i = 0; i < n; i++) {
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
