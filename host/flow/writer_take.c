/* Records into a turn: where each stream stands, what of it is in the database already, what comes next. */
#include <string.h>

#include "base/arena.h"
#include "base/fault.h"
#include "base/log.h"
#include "flow/stream_position.h"
#include "flow/writer_private.h"

/* The plan stays with the workspace until the turn ends. */
static const flow_plan *turn_plan(writer *w, queue_workspace *of, writer_plan *state_out)
{
    *state_out = WRITER_PLAN_READY;
    if (!of->plan)
        *state_out = w->parts.plan_of(w->parts.arg, of->wid, &of->plan);
    if (of->plan)
        of->taker.weight = of->plan->weight; /* read when a turn is charged, on this thread */
    return of->plan;
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
static status_class find_position(writer *w, stream_state *stream, const journal_record *first,
                                  uint64_t *seq_out, status *st)
{
    stream_state s = writer_stream_copy(w, stream);
    *seq_out = s.committed_seq;
    if (s.known)
        return STATUS_OK;
    status_class class = writer_connect(w, st);
    if (class == STATUS_OK)
        class =
            stream_position_read(journal_incarnation(w->parts.journal), w->connection, first, seq_out, st);
    if (class == STATUS_OK)
        writer_stream_known(w, stream, *seq_out);
    return class;
}

/* `consent`: a gap before the first record may be passed. */
static void add_records(writer *w, turn *t, stream_state *stream, const journal_record *records, size_t n,
                        uint64_t position, bool consent)
{
    const flow_plan *plan = stream->workspace->plan;
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
            out->rows = write_record_arrange(store, r, w->arena);
        position = r->seq;
        t->bytes += r->payload_len;
        stream->taken_seq = position;
    }
}

static void drop_stream(writer *w, const turn *t, stream_state *stream, const journal_record *records,
                        size_t n)
{
    status st;
    log_warn("writer", "records of a deleted workspace are dropped", LOG_NUMBER("wid", records[0].wid),
             LOG_NUMBER("records", n));
    if (journal_await(w->parts.journal, t->journal_commit, &st) == STATUS_OK)
        journal_trim(w->parts.journal, records[0].stream, records[n - 1].seq);
    writer_requeue(w, stream);
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

/* Its first records in this turn: where does the database stand? `records` and `n` become those behind. */
static status_class begin_stream(writer *w, stream_state *stream, const journal_record **records, size_t *n,
                                 uint64_t *position_out, bool *consent_out, status *st)
{
    stream_state s = writer_stream_copy(w, stream);
    status_class class = find_position(w, stream, *records, position_out, st);
    if (class != STATUS_OK)
        return class;
    uint64_t position = *position_out, settled = settled_seq(w, &s, position);
    settle_old(w, *records, *n, settled);
    while (*n > 0 && (*records)->seq <= settled)
        (*records)++, (*n)--;
    *consent_out = s.adopted;
    if (*n == 0) {
        writer_requeue_if_waiting(w, stream, position);
    } else if (!s.adopted && (settled != position || !journal_record_follows(*records, position))) {
        writer_stream_stop(w, stream, *records, position);
        *n = 0;
    }
    return STATUS_OK;
}

/* Reads what one stream has waiting, or a part of it, into the turn. */
status_class writer_take(writer *w, turn *t, stream_state *stream, size_t budget, status *st)
{
    const journal_record *records;
    size_t n;
    bool consent = false;
    writer_plan state;
    stream_state s = writer_stream_copy(w, stream);
    uint64_t position = s.taken_seq ? s.taken_seq : s.known ? s.committed_seq : 0;
    status_class class = journal_read_ahead(w->parts.journal, s.id, position, budget, w->arena, &records, &n,
                                            &t->journal_commit, st);
    if (class == STATUS_OK && n > 0 && !s.taken_seq)
        class = begin_stream(w, stream, &records, &n, &position, &consent, st);
    if (class != STATUS_OK || n == 0)
        return class;
    const flow_plan *plan = turn_plan(w, s.workspace, &state);
    if (state == WRITER_PLAN_GONE) {
        drop_stream(w, t, stream, records, n);
        return STATUS_OK;
    }
    if (state == WRITER_PLAN_LATER || !takes_store(plan, records[0].store)) {
        writer_rest(w, stream, records[0].store);
        return STATUS_OK;
    }
    add_records(w, t, stream, records, n, position, consent);
    if (stream->taken_seq)
        writer_requeue_if_waiting(w, stream, stream->taken_seq);
    return STATUS_OK;
}
