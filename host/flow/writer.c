#include "flow/writer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "flow/write_set.h"

enum {
    TURN_BYTES = 16 << 20, /* of journal records in one transaction */
    TURN_RECORDS = 4096,
    STREAM_BYTES_LEAST = 1 << 20,
    BACK_OFF_FIRST_MS = 50,
    BACK_OFF_LAST_MS = 2000,
    BORROW_WAIT_MS = 5000,
    STREAM_SLOTS_FIRST = 64,
    TURN_ARENA_BYTES = 1 << 20,
};

/* What this writer knows of a stream. */
typedef struct stream_state {
    uint32_t id;
    bool met;     /* its position was looked at since the start */
    bool known;   /* committed_seq was read from the data plane, or moved there by us */
    bool stopped; /* a gap: needs a person */
    bool adopted; /* who has said that it may be passed */
    bool queued;
    uint64_t committed_seq;
} stream_state;

struct writer {
    writer_parts parts;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake, turned;
    bool stop;
    uint64_t turns_begun, turns_ended;
    uint32_t *queue; /* stream ids, each once */
    uint32_t n_queue, cap_queue;
    stream_state *streams; /* open addressing by id; id 0 = free */
    uint32_t n_streams, n_slots;
    /* of the thread alone */
    write_set *set;
    arena *arena;
    connection *connection;
    writer_figures figures; /* under the lock */
    unsigned back_off_ms;
};

/* ---- streams and the queue, under the lock ---- */

static stream_state *slot_of(stream_state *streams, uint32_t n_slots, uint32_t id)
{
    uint32_t i = (id * 2654435761U) & (n_slots - 1);
    while (streams[i].id && streams[i].id != id)
        i = (i + 1) & (n_slots - 1);
    return &streams[i];
}

static void streams_double(writer *w)
{
    uint32_t n_slots = w->n_slots ? w->n_slots * 2 : STREAM_SLOTS_FIRST;
    stream_state *streams = memory_zero(n_slots, sizeof *streams);
    for (uint32_t i = 0; i < w->n_slots; i++)
        if (w->streams[i].id)
            *slot_of(streams, n_slots, w->streams[i].id) = w->streams[i];
    free(w->streams);
    w->streams = streams;
    w->n_slots = n_slots;
}

static stream_state *stream_of(writer *w, uint32_t id)
{
    if (w->n_streams * 2 >= w->n_slots)
        streams_double(w);
    stream_state *s = slot_of(w->streams, w->n_slots, id);
    if (!s->id) {
        s->id = id;
        w->n_streams++;
    }
    return s;
}

static void queue_add(writer *w, uint32_t id)
{
    stream_state *s = stream_of(w, id);
    if (s->queued || s->stopped)
        return;
    s->queued = true;
    if (w->n_queue == w->cap_queue) {
        w->cap_queue = w->cap_queue ? w->cap_queue * 2 : 64;
        w->queue = memory_grow(w->queue, w->cap_queue * sizeof *w->queue);
    }
    w->queue[w->n_queue++] = id;
}

void writer_wake(writer *w, uint32_t stream)
{
    pthread_mutex_lock(&w->lock);
    queue_add(w, stream);
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

/* Takes the whole queue; waits for the first one. False when it is time to end. */
static bool queue_take(writer *w, uint32_t **ids_out, uint32_t *n_out)
{
    pthread_mutex_lock(&w->lock);
    while (w->n_queue == 0 && !w->stop)
        pthread_cond_wait(&w->wake, &w->lock);
    *n_out = w->n_queue;
    *ids_out = arena_copy(w->arena, w->queue, w->n_queue * sizeof *w->queue);
    for (uint32_t i = 0; i < w->n_queue; i++)
        stream_of(w, w->queue[i])->queued = false;
    w->n_queue = 0;
    bool go_on = !w->stop;
    w->turns_begun += go_on;
    pthread_mutex_unlock(&w->lock);
    return go_on;
}

static void requeue(writer *w, uint32_t id)
{
    pthread_mutex_lock(&w->lock);
    queue_add(w, id);
    pthread_mutex_unlock(&w->lock);
}

/* More was there than one turn takes. */
static void requeue_if_waiting(writer *w, uint32_t id, uint64_t committed)
{
    journal_stream s;
    if (journal_stream_get(w->parts.journal, id, &s) && s.last_seq > committed)
        requeue(w, id);
}

static stream_state stream_get(writer *w, uint32_t id)
{
    pthread_mutex_lock(&w->lock);
    stream_state s = *stream_of(w, id);
    pthread_mutex_unlock(&w->lock);
    return s;
}

static void stream_put(writer *w, uint32_t id, bool known, uint64_t committed_seq)
{
    pthread_mutex_lock(&w->lock);
    stream_state *s = stream_of(w, id);
    s->adopted = s->adopted && (!known || s->committed_seq == committed_seq);
    s->met = s->met || known;
    s->known = known;
    s->committed_seq = committed_seq;
    pthread_mutex_unlock(&w->lock);
}

static void stream_stop(writer *w, const journal_record *r, uint64_t position)
{
    pthread_mutex_lock(&w->lock);
    stream_of(w, r->stream)->stopped = true;
    w->figures.streams_stopped++;
    pthread_mutex_unlock(&w->lock);
    log_error("writer", "a stream is stopped: the data plane's position does not fit the journal",
              LOG_NUMBER("wid", r->wid), LOG_TEXT("store", r->store), LOG_NUMBER("shard", r->shard),
              LOG_NUMBER("position", position), LOG_NUMBER("expected", r->prev_seq));
}

unsigned writer_adopt(writer *w)
{
    unsigned n = 0;
    pthread_mutex_lock(&w->lock);
    for (uint32_t i = 0; i < w->n_slots; i++) {
        stream_state *s = &w->streams[i];
        if (!s->id || !s->stopped)
            continue;
        s->stopped = false;
        s->adopted = true;
        n++;
    }
    w->figures.streams_stopped = 0;
    for (uint32_t i = 0; n && i < w->n_slots; i++)
        if (w->streams[i].id && w->streams[i].adopted)
            queue_add(w, w->streams[i].id);
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    return n;
}

/* ---- one turn ---- */

typedef struct turn {
    write_record *records;
    uint32_t n;
    const flow_plan **plans; /* retained */
    uint32_t n_plans;
    size_t bytes;
} turn;

static const flow_plan *turn_plan(writer *w, turn *t, uint32_t wid, writer_plan *state_out)
{
    *state_out = WRITER_PLAN_READY;
    for (uint32_t i = 0; i < t->n_plans; i++)
        if ((uint32_t)t->plans[i]->wid == wid)
            return t->plans[i];
    const flow_plan *plan = NULL;
    *state_out = w->parts.plan_of(w->parts.arg, wid, &plan);
    if (*state_out == WRITER_PLAN_READY)
        t->plans[t->n_plans++] = plan;
    return plan;
}

static status_class ensure_connection(writer *w, status *st)
{
    if (w->connection && connection_broken(w->connection)) {
        pool_return(w->parts.data, w->connection);
        w->connection = NULL;
    }
    if (w->connection)
        return STATUS_OK;
    return pool_borrow(w->parts.data, NULL, BORROW_WAIT_MS, &w->connection, st);
}

/* Records up to `seq` are in the database already: the COMMIT's answer was lost, or the trim. */
static void settle_old(writer *w, const journal_record *records, size_t n, uint64_t seq)
{
    uint64_t upto = 0;
    for (size_t i = 0; i < n && records[i].seq <= seq; i++) {
        if (w->parts.on_committed)
            w->parts.on_committed(w->parts.arg, &(write_record){.record = &records[i]});
        waiter_report(w->parts.waiters, records[i].request_id, records[i].n_rows, 0, 0);
        upto = records[i].seq;
    }
    if (upto)
        journal_trim(w->parts.journal, records[0].stream, upto);
}

/* Where the stream stands in the database; false = not now (st) or stopped. */
static status_class find_position(writer *w, const journal_record *first, uint64_t *seq_out, status *st)
{
    stream_state s = stream_get(w, first->stream);
    *seq_out = s.committed_seq;
    if (s.known)
        return STATUS_OK;
    status_class class = ensure_connection(w, st);
    if (class == STATUS_OK)
        class = write_position_read(journal_incarnation(w->parts.journal), w->connection, first, seq_out, st);
    if (class == STATUS_OK)
        stream_put(w, first->stream, true, *seq_out);
    return class;
}

/* `consent`: a gap before the first record may be passed. */
static void add_records(writer *w, turn *t, const flow_plan *plan, const journal_record *records, size_t n,
                        uint64_t position, bool consent)
{
    const datastore_plan *store = flow_plan_datastore(plan, records[0].store);
    for (size_t i = 0; i < n && t->n < TURN_RECORDS; i++) {
        const journal_record *r = &records[i];
        if (!journal_record_follows(r, position) && !(consent && i == 0))
            return; /* the next turn finds it first */
        write_record *out = &t->records[t->n++];
        *out = (write_record){.record = r,
                              .store = store,
                              .is_letter = journal_record_field(r, JOURNAL_FIELD_LETTER) != NULL,
                              .expected_seq = position};
        if (r->kind == JOURNAL_ROWS && !r->damaged)
            out->rows = write_rows_arrange(store, r, w->arena);
        position = r->seq;
        t->bytes += r->payload_len;
    }
}

static void drop_stream(writer *w, const journal_record *records, size_t n)
{
    log_warn("writer", "records of a deleted workspace are dropped", LOG_NUMBER("wid", records[0].wid),
             LOG_NUMBER("records", n));
    journal_trim(w->parts.journal, records[0].stream, records[n - 1].seq);
    requeue(w, records[0].stream);
}

/* Up to where the stream's records are in the database already. When this process meets a stream, the
 * database cannot stand behind the last record that the journal had when it was opened, unless the journal is
 * an older copy: what came since must not be taken for stored. */
static uint64_t settled_seq(writer *w, const stream_state *before, uint64_t position)
{
    journal_stream at;
    bool first_time = !before->met || before->adopted;
    if (!first_time || !journal_stream_get(w->parts.journal, before->id, &at) || position <= at.opened_seq ||
        fault_active("older_journal"))
        return position;
    return at.opened_seq;
}

/* Rejected rows without a store are buried like others. */
static bool takes_store(const flow_plan *plan, const char *store)
{
    return flow_plan_datastore(plan, store) || strcmp(store, JOURNAL_STORE_UNKNOWN) == 0;
}

/* Reads what one stream has waiting into the turn. */
static status_class take_stream(writer *w, turn *t, uint32_t id, size_t budget, status *st)
{
    const journal_record *records;
    size_t n;
    uint64_t position = 0;
    writer_plan state;
    stream_state s = stream_get(w, id);
    if (s.stopped)
        return STATUS_OK;
    status_class class =
        journal_read(w->parts.journal, id, s.known ? s.committed_seq : 0, budget, w->arena, &records, &n, st);
    if (class != STATUS_OK || n == 0)
        return class;
    class = find_position(w, &records[0], &position, st);
    if (class != STATUS_OK)
        return class;
    uint64_t settled = settled_seq(w, &s, position);
    settle_old(w, records, n, settled);
    size_t first = 0;
    while (first < n && records[first].seq <= settled)
        first++;
    if (first == n) {
        requeue_if_waiting(w, id, position);
        return STATUS_OK;
    }
    if (!s.adopted && (settled != position || !journal_record_follows(&records[first], position))) {
        stream_stop(w, &records[first], position);
        return STATUS_OK;
    }
    const flow_plan *plan = turn_plan(w, t, records[0].wid, &state);
    if (state == WRITER_PLAN_GONE)
        drop_stream(w, records + first, n - first);
    else if (state == WRITER_PLAN_LATER || !takes_store(plan, records[0].store))
        return status_set(st, STATUS_UNAVAILABLE, "workspace %u cannot be written now", records[0].wid);
    else
        add_records(w, t, plan, records + first, n - first, position, s.adopted);
    return STATUS_OK;
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

/* The commit is known to have happened: only now may the journal forget and the waiters hear. */
static void settle(writer *w, const write_record *records, uint32_t n)
{
    uint64_t stored = 0, duplicate = 0, dead = 0;
    for (uint32_t i = 0; i < n; i++) {
        const write_record *r = &records[i];
        bool last = i + 1 == n || records[i + 1].record->stream != r->record->stream;
        stored += r->stored, duplicate += r->duplicate, dead += r->dead;
        if (w->parts.on_committed)
            w->parts.on_committed(w->parts.arg, r);
        waiter_report(w->parts.waiters, r->record->request_id, r->stored, r->duplicate,
                      r->record->kind == JOURNAL_ROWS ? r->dead : 0);
        if (last) {
            stream_put(w, r->record->stream, true, r->record->seq);
            journal_trim(w->parts.journal, r->record->stream, r->record->seq);
            requeue_if_waiting(w, r->record->stream, r->record->seq);
        }
    }
    pthread_mutex_lock(&w->lock);
    w->figures.transactions++;
    w->figures.records += n;
    w->figures.rows_stored += stored;
    w->figures.rows_duplicate += duplicate;
    w->figures.rows_dead += dead;
    pthread_mutex_unlock(&w->lock);
}

/* The faults "stored_answer" and "trim": waiters hear, and the journal forgets, before the commit. */
static void settle_too_early(writer *w, const write_record *records, uint32_t n)
{
    for (uint32_t i = 0; i < n && fault_active("stored_answer"); i++)
        waiter_report(w->parts.waiters, records[i].record->request_id, records[i].record->n_rows, 0, 0);
    for (uint32_t i = 0; i < n && fault_active("trim"); i++)
        journal_trim(w->parts.journal, records[i].record->stream, records[i].record->seq);
}

/* A row is refused: each record goes alone, the one with the row by halves. */
static status_class commit_one_by_one(writer *w, write_record *records, uint32_t n, status *st)
{
    status_class class = STATUS_OK;
    for (uint32_t i = 0; i < n && class == STATUS_OK; i++) {
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

static status_class commit_turn(writer *w, turn *t, status *st)
{
    status_class class = ensure_connection(w, st);
    qsort(t->records, t->n, sizeof *t->records, compare_records);
    if (class == STATUS_OK)
        class = ensure_partitions(w, t, st);
    if (class != STATUS_OK)
        return class;
    settle_too_early(w, t->records, t->n);
    class = write_set_commit(w->set, w->connection, t->records, t->n, false, st);
    if (class == STATUS_OK)
        settle(w, t->records, t->n);
    else if (class == STATUS_INVALID)
        class = commit_one_by_one(w, t->records, t->n, st);
    return class;
}

/* After a failure nothing is known about positions; the streams come back into the queue and the thread waits
 * a while. */
static void back_off(writer *w, const uint32_t *ids, uint32_t n, const status *st)
{
    struct timespec until;
    pthread_mutex_lock(&w->lock);
    if (!w->figures.away)
        log_status(LOG_LEVEL_WARN, "writer", "rows wait in the journal", st);
    w->figures.away = st->class == STATUS_UNAVAILABLE || st->class == STATUS_TIMEOUT;
    w->figures.retries++;
    for (uint32_t i = 0; i < n; i++) {
        stream_of(w, ids[i])->known = fault_active("reread");
        queue_add(w, ids[i]);
    }
    w->back_off_ms = w->back_off_ms ? w->back_off_ms * 2 : BACK_OFF_FIRST_MS;
    w->back_off_ms = w->back_off_ms > BACK_OFF_LAST_MS ? BACK_OFF_LAST_MS : w->back_off_ms;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += (long)w->back_off_ms * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    while (!w->stop && pthread_cond_timedwait(&w->wake, &w->lock, &until) == 0)
        ;
    pthread_mutex_unlock(&w->lock);
}

static void note_success(writer *w)
{
    pthread_mutex_lock(&w->lock);
    if (w->figures.away)
        log_info("writer", "the data plane is back");
    w->figures.away = false;
    w->back_off_ms = 0;
    pthread_mutex_unlock(&w->lock);
}

static void run_turn(writer *w, const uint32_t *ids, uint32_t n)
{
    turn t = {.records = arena_alloc(w->arena, TURN_RECORDS * sizeof(write_record)), /* filled one by one */
              .plans = arena_zero(w->arena, n, sizeof(flow_plan *))};
    status_class class = STATUS_OK;
    status st;
    size_t budget = TURN_BYTES / n > STREAM_BYTES_LEAST ? TURN_BYTES / n : STREAM_BYTES_LEAST;
    for (uint32_t i = 0; i < n; i++) {
        if (t.n == TURN_RECORDS || t.bytes >= TURN_BYTES) {
            requeue(w, ids[i]);
            continue;
        }
        status_class one = take_stream(w, &t, ids[i], budget, &st);
        class = one != STATUS_OK ? one : class;
    }
    if (t.n > 0 && class == STATUS_OK)
        class = commit_turn(w, &t, &st);
    if (class == STATUS_OK)
        note_success(w);
    else
        back_off(w, ids, n, &st);
    for (uint32_t i = 0; i < t.n_plans; i++)
        flow_plan_release(t.plans[i]);
}

static void *thread_main(void *arg)
{
    writer *w = arg;
    uint32_t *ids, n;
    while (queue_take(w, &ids, &n)) {
        run_turn(w, ids, n);
        arena_reset(w->arena);
        pthread_mutex_lock(&w->lock);
        w->turns_ended = w->turns_begun;
        pthread_cond_broadcast(&w->turned);
        pthread_mutex_unlock(&w->lock);
    }
    return NULL;
}

/* ---- life ---- */

static void queue_waiting(writer *w)
{
    const journal_stream *streams;
    size_t n = journal_streams(w->parts.journal, true, w->arena, &streams);
    for (size_t i = 0; i < n; i++)
        if (streams[i].shard % w->parts.of == w->parts.number)
            queue_add(w, streams[i].id);
    arena_reset(w->arena);
}

writer *writer_start(const writer_parts *parts)
{
    writer *w = memory_zero(1, sizeof *w);
    w->parts = *parts;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, NULL);
    pthread_cond_init(&w->turned, NULL);
    w->set = write_set_create(journal_incarnation(parts->journal), parts->number, &parts->letters);
    w->arena = arena_create(TURN_ARENA_BYTES);
    queue_waiting(w);
    int rc = pthread_create(&w->thread, NULL, thread_main, w);
    if (rc != 0)
        abort();
    return w;
}

void writer_barrier(writer *w)
{
    pthread_mutex_lock(&w->lock);
    uint64_t turn = w->turns_begun;
    while (w->turns_ended < turn && !w->stop)
        pthread_cond_wait(&w->turned, &w->lock);
    pthread_mutex_unlock(&w->lock);
}

void writer_stop(writer *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_broadcast(&w->wake);
    pthread_cond_broadcast(&w->turned);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    pool_return(w->parts.data, w->connection);
    write_set_free(w->set);
    arena_free(w->arena);
    free(w->queue);
    free(w->streams);
    pthread_cond_destroy(&w->wake);
    pthread_cond_destroy(&w->turned);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

writer_figures writer_look(writer *w)
{
    pthread_mutex_lock(&w->lock);
    writer_figures figures = w->figures;
    pthread_mutex_unlock(&w->lock);
    return figures;
}
