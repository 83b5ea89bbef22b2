/* One order makes one journal submission: a record of rows for each shard that has any, one of rejected rows,
 * the source's cursor, the Idempotency-Key. */
#include "flow/intake_private.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/batch_json.h"
#include "base/batch_split.h"
#include "base/clock.h"
#include "flow/rejected.h"

enum { WORKERS_KEPT = 16, HEADER_MAX = 60000 };

/* The answer that an Idempotency-Key repeats. */
typedef struct kept_verdict {
    uint64_t received, accepted, rejected;
} kept_verdict;

intake *intake_create(journal *j, waiter_table *waiters, unsigned shards)
{
    intake *in = memory_zero(1, sizeof *in);
    in->journal = j;
    in->waiters = waiters;
    in->shards = shards;
    pthread_mutex_init(&in->lock, NULL);
    return in;
}

static void worker_free(worker *w)
{
    decoder_free(w->decoder);
    validator_free(w->validator);
    line_router_free(w->router);
    text_free(&w->rejected);
    free(w);
}

void intake_free(intake *in)
{
    if (!in)
        return;
    while (in->idle) {
        worker *w = in->idle;
        in->idle = w->next;
        worker_free(w);
    }
    while (in->n_spare)
        arena_free(in->spare[--in->n_spare]);
    pthread_mutex_destroy(&in->lock);
    free(in);
}

worker *intake_worker_take(intake *in)
{
    pthread_mutex_lock(&in->lock);
    worker *w = in->idle;
    if (w) {
        in->idle = w->next;
        in->n_idle--;
    }
    pthread_mutex_unlock(&in->lock);
    if (!w) {
        w = memory_zero(1, sizeof *w);
        w->decoder = decoder_create();
        w->validator = validator_create();
        w->router = line_router_create();
    }
    text_clear(&w->rejected);
    return w;
}

void intake_worker_return(intake *in, worker *w)
{
    pthread_mutex_lock(&in->lock);
    bool keep = in->n_idle < WORKERS_KEPT;
    if (keep) {
        w->next = in->idle;
        in->idle = w;
        in->n_idle++;
    }
    pthread_mutex_unlock(&in->lock);
    if (!keep)
        worker_free(w);
}

/* ---- answers ---- */

static void on_stored(void *arg, const waiter_result *result)
{
    ticket *t = arg;
    t->verdict.stored = result->class == STATUS_OK;
    t->verdict.new_rows = result->stored;
    t->verdict.duplicates = result->duplicate;
    t->verdict.dead = result->dead;
    if (result->class == STATUS_UNAVAILABLE)
        status_set(&t->verdict.st, STATUS_UNAVAILABLE,
                   "the host stopped before the rows were in the table; they are kept");
    intake_ticket_answer(t);
}

/* The key was used before: its verdict is the answer. */
static void answer_repeated(ticket *t, const status *why)
{
    const void *kept;
    size_t len;
    status st;
    kept_verdict old;
    if (journal_idempotency_find(t->in->journal, t->wid, t->key, t->arena, &kept, &len, &st) != STATUS_OK ||
        len != sizeof old) {
        intake_ticket_refuse(t, why);
        return;
    }
    memcpy(&old, kept, sizeof old);
    t->verdict = (intake_verdict){
        .received = old.received, .accepted = old.accepted, .rejected = old.rejected, .repeated = true};
    intake_ticket_answer(t);
}

static void on_journal(void *arg, status_class class, const status *st)
{
    ticket *t = arg;
    bool waits = t->wait_stored;
    if (class == STATUS_OK) {
        if (waits)
            intake_ticket_drop(t); /* the writer's report is the answer */
        else
            intake_ticket_answer(t);
        return;
    }
    if (waits && !waiter_remove(t->in->waiters, t->id)) {
        intake_ticket_drop(t);
        return; /* answered meanwhile */
    }
    if (waits)
        intake_ticket_drop(t);
    if (class == STATUS_CONFLICT && t->key[0])
        answer_repeated(t, st);
    else
        intake_ticket_refuse(t, st);
}

/* ---- the submission ---- */

static journal_entry *parcel_add(parcel *p, const intake_order *order, const char *store, journal_kind kind)
{
    const flow_plan *plan = intake_order_plan(order);
    assert(p->n < p->cap);
    p->entries[p->n] = (journal_entry){.kind = kind,
                                       .wid = (uint32_t)plan->wid,
                                       .store = store,
                                       .lane = order->lane,
                                       .generation = (uint64_t)plan->definition->generation,
                                       .origin = order->origin,
                                       .request_id = order->request_id,
                                       .received_us = clock_wall_us()};
    return &p->entries[p->n++];
}

void parcel_init(parcel *p, arena *a, uint32_t cap)
{
    *p = (parcel){.entries = arena_zero(a, cap, sizeof(journal_entry)), .cap = cap};
}

static journal_field letter_field(const intake_order *order)
{
    return (journal_field){JOURNAL_FIELD_LETTER, sizeof *order->letter, order->letter};
}

void parcel_add_rows(parcel *p, const intake_order *order, const datastore_plan *store, const batch *rows,
                     unsigned shards, arena *a)
{
    batch parts[BATCH_SHARDS_MAX];
    const store_table *table = &store->table;
    unsigned n = table->n_entity ? shards : 1;
    batch_split(rows, table->entity, table->n_entity, n, a, parts);
    const journal_field fields[] = {{JOURNAL_FIELD_COLUMNS, (uint16_t)store->names_len, store->names},
                                    letter_field(order)};
    const journal_field *kept = arena_copy(a, fields, sizeof fields);
    for (unsigned i = 0; i < n; i++) {
        if (parts[i].n_rows == 0)
            continue;
        journal_entry *e = parcel_add(p, order, table->key, JOURNAL_ROWS);
        e->shard = (uint16_t)i;
        e->rows = arena_copy(a, &parts[i], sizeof parts[i]);
        e->count_received = order->letter ? 0 : parts[i].n_rows; /* it was received before */
        e->fields = kept;
        e->n_fields = order->letter ? 2 : 1;
    }
}

void parcel_add_rejected(parcel *p, const intake_order *order, const char *store, const reject_bundle *rows,
                         arena *a)
{
    if (rows->n == 0)
        return;
    journal_entry *e = parcel_add(p, order, store, JOURNAL_REJECTED);
    e->payload = rows->packed;
    e->payload_len = rows->len;
    e->payload_rows = rows->n;
    if (order->letter) {
        journal_field letter = letter_field(order);
        e->fields = arena_copy(a, &letter, sizeof letter);
        e->n_fields = 1;
        return;
    }
    e->count_received = e->count_rejected = rows->n;
    if (rows->header_len > 0 && rows->header_len <= HEADER_MAX) {
        journal_field header = {JOURNAL_FIELD_HEADER, (uint16_t)rows->header_len, rows->header};
        e->fields = arena_copy(a, &header, sizeof header);
        e->n_fields = 1;
    }
}

static void submit(ticket *t, const intake_order *order, const parcel *p)
{
    kept_verdict kept = {t->verdict.received, t->verdict.accepted, t->verdict.rejected};
    journal_key key = {t->wid, t->key, &kept, sizeof kept};
    journal_submission s = {.entries = p->entries,
                            .n_entries = p->n,
                            .cursor = order->cursor,
                            .key = t->key[0] ? &key : NULL,
                            .wid = t->wid,
                            .weight = intake_order_plan(order)->weight,
                            .on_done = on_journal,
                            .arg = t};
    status st;
    t->wait_stored = t->wait_stored && p->n > 0;
    if (t->wait_stored) {
        t->holders = 2;
        s.company = waiter_add(t->in->waiters, t->id, p->n, order->deadline_us, on_stored, t);
    }
    if (journal_submit(t->in->journal, &s, &st) == STATUS_OK)
        return;
    if (t->wait_stored) {
        if (!waiter_remove(t->in->waiters, t->id)) {
            intake_ticket_drop(t);
            return;
        }
        intake_ticket_drop(t);
    }
    intake_ticket_refuse(t, &st);
}

/* With nothing to keep and nothing to move on the answer needs no disk. */
void intake_send(ticket *t, const intake_order *order, const parcel *p)
{
    if (p->n == 0 && !order->cursor && !t->key[0])
        intake_ticket_answer(t);
    else
        submit(t, order, p);
}

/* A letter is one row, so that it is settled as a whole. */
bool intake_letter_is_one(ticket *t, const intake_order *order)
{
    status st;
    if (!order->letter || t->verdict.received == 1)
        return true;
    status_set(&st, STATUS_INVALID, "the bytes of the dead letter are %" PRIu64 " rows, not one",
               t->verdict.received);
    status_hint(&st, "correct it: penstock deadletter fix");
    intake_ticket_refuse(t, &st);
    return false;
}

static void finish(ticket *t, const intake_order *order, const batch *rows, reject_bundle *refused,
                   text *rejected)
{
    parcel p;
    parcel_init(&p, t->arena, t->in->shards + 1);
    for (uint32_t i = 0; i < order->n_refused; i++) {
        const rejected_row *r = &order->refused[i];
        rejected_pack(rejected, r);
        intake_add_reject(t, &(intake_reject){r->row, r->line, r->column, r->code, r->pointer, r->detail});
    }
    t->verdict.rejected += order->n_refused;
    t->verdict.accepted = rows->n_rows;
    t->verdict.received = rows->n_rows + t->verdict.rejected;
    if (!intake_letter_is_one(t, order))
        return;
    if (rows->n_rows > 0)
        parcel_add_rows(&p, order, order->store, rows, t->in->shards, t->arena);
    refused->packed = text_or_empty(rejected);
    refused->len = rejected->len;
    refused->n = (uint32_t)t->verdict.rejected;
    parcel_add_rejected(&p, order, order->store->table.key, refused, t->arena);
    intake_send(t, order, &p);
}

void intake_pack_reject(text *out, const decode_reject *r, const char *body, rejected_form form)
{
    rejected_pack(out, &(rejected_row){.row = r->row,
                                       .line = r->line,
                                       .column = r->column,
                                       .code = r->code,
                                       .pointer = r->pointer,
                                       .detail = r->detail,
                                       .bytes = body + r->offset,
                                       .len = r->length,
                                       .form = form});
}

void intake_body(intake *in, const intake_order *order, const char *body, size_t len)
{
    ticket *t = intake_ticket_create(in, order);
    worker *w = intake_worker_take(in);
    decode_context context = {
        .now_us = clock_wall_us(),
        .time_shift_us = order->time_shift_us,
        .rows = order->rows_max,
        .format = order->format,
        .precision = order->precision,
        .header_costs_rows = order->header_costs_rows,
        /* of a connector, which has a plan of its own, it does not matter: `into` says where */
        .measurement = order->decode == order->store->decode ? order->store->table.key : NULL};
    decode_result decoded;
    rejected_form form = rejected_form_of(order->format, order->precision);
    status st;
    if (decode_body(w->decoder, order->decode, &context, body, len, &decoded, &st) != STATUS_OK) {
        intake_worker_return(in, w);
        intake_ticket_refuse(t, &st);
        return;
    }
    for (size_t i = 0; i < decoded.n_rejects; i++) {
        const decode_reject *r = &decoded.rejects[i];
        intake_pack_reject(&w->rejected, r, body, form);
        intake_add_reject(t, &(intake_reject){r->row, r->line, r->column, r->code, r->pointer, r->detail});
    }
    t->verdict.rejected = decoded.n_rejects;
    reject_bundle refused = {.header = body, .header_len = decoded.header};
    finish(t, order, &decoded.rows, &refused, &w->rejected);
    intake_worker_return(in, w);
}

static void pack_column_reject(worker *w, ticket *t, const validate_reject *r, const batch *rows,
                               const char *const *names)
{
    char pointer[ROW_PLAN_NAME_MAX + 2];
    text json = {0};
    batch_row_json(&json, rows, names, r->row);
    snprintf(pointer, sizeof pointer, "%s%s", r->column[0] ? "/" : "", r->column);
    rejected_pack(&w->rejected, &(rejected_row){.row = r->row,
                                                .code = r->code,
                                                .pointer = pointer,
                                                .detail = r->detail,
                                                .bytes = json.data,
                                                .len = json.len,
                                                .form = REJECTED_JSON});
    intake_add_reject(t, &(intake_reject){r->row, 0, 0, r->code, pointer, r->detail});
    text_free(&json);
}

void intake_columns(intake *in, const intake_order *order, const batch *rows, const char *const *names)
{
    ticket *t = intake_ticket_create(in, order);
    worker *w = intake_worker_take(in);
    validate_result checked;
    validate_columns(w->validator, order->store, rows, names, clock_wall_us(), order->time_shift_us,
                     &checked);
    for (uint32_t i = 0; i < checked.n_rejects; i++)
        pack_column_reject(w, t, &checked.rejects[i], rows, names);
    t->verdict.rejected = checked.n_rejects;
    finish(t, order, &checked.rows, &(reject_bundle){0}, &w->rejected);
    intake_worker_return(in, w);
}

void intake_cursor(intake *in, const intake_order *order)
{
    ticket *t = intake_ticket_create(in, order);
    worker *w = intake_worker_take(in);
    batch none = {0};
    finish(t, order, &none, &(reject_bundle){0}, &w->rejected);
    intake_worker_return(in, w);
}
