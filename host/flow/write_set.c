/* Few rows go with the positions, in one round trip; many by COPY or, into a keyed store, by the statements
 * of store/upsert. When PostgreSQL refuses a row the writer calls again, `careful`: then each record is
 * halved until the refused rows stand alone. */
#include "flow/write_set.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/batch_builder.h"
#include "base/batch_json.h"
#include "base/fault.h"
#include "flow/dead_letter.h"
#include "flow/dirty_marks.h"
#include "flow/ledger.h"
#include "flow/rejected.h"
#include "flow/stream_position.h"
#include "store/batch_key.h"
#include "store/copy.h"
#include "store/insert.h"

struct write_set {
    uint8_t incarnation[16];
    text buffer; /* COPY bytes */
    dirty_marks *marks;
    ledger_book *ledger;
    letter_book *letters;
    arena *arena; /* of one transaction */
    journal *journal;
    uint64_t follows; /* the journal's commit that comes before ours; 0 = none */
};

enum { SET_ARENA_BYTES = 65536, FEW_ROWS = 24 };

write_set *write_set_create(const uint8_t incarnation[16], unsigned writer, const letter_limits *letters)
{
    write_set *w = memory_zero(1, sizeof *w);
    memcpy(w->incarnation, incarnation, sizeof w->incarnation);
    w->marks = dirty_marks_create();
    w->ledger = ledger_book_create(LEDGER_WRITERS + writer);
    w->letters = letter_book_create(letters);
    w->arena = arena_create(SET_ARENA_BYTES);
    return w;
}

void write_set_free(write_set *w)
{
    if (!w)
        return;
    text_free(&w->buffer);
    dirty_marks_free(w->marks);
    ledger_book_free(w->ledger);
    letter_book_free(w->letters);
    arena_free(w->arena);
    free(w);
}

/* Writes part of a record's rows; `first_seq` is the _seq of the part's first row. */
static status_class write_rows(write_set *w, connection *c, write_record *r, const batch *rows,
                               int64_t first_seq, status *st)
{
    if (r->store->upsert) {
        upsert_counts counts;
        status_class class =
            upsert_write(c, r->store->upsert, rows, first_seq, r->record->received_us, &counts, st);
        if (class == STATUS_OK) {
            r->stored += (uint64_t)(counts.stored + counts.updated);
            r->updated += (uint64_t)counts.updated;
            r->duplicate += (uint64_t)counts.duplicate;
        }
        return class;
    }
    int64_t stored;
    copy_rows how = {.system = true, .first_seq = first_seq, .received_us = r->record->received_us};
    copy_encode(&w->buffer, rows, &how);
    status_class class = copy_send(c, r->store->copy_sql, &w->buffer, &stored, st);
    if (class == STATUS_OK)
        r->stored += (uint64_t)stored;
    return class;
}

/* A row that was refused: a new dead letter, or the one that it was before. */
static status_class bury(write_set *w, connection *c, write_record *r, const rejected_row *row, status *st)
{
    letter_ref ref;
    r->dead++;
    if (dead_letter_ref(r->record, &ref))
        return dead_letter_return(c, (int32_t)r->record->wid, &ref, row, st);
    dead_letter letter = dead_letter_of(r->record, row);
    return dead_letter_write(w->letters, c, w->ledger, &letter, st);
}

static status_class bury_row(write_set *w, connection *c, write_record *r, uint32_t row, const status *why,
                             status *st)
{
    text json = {0};
    batch_row_json(&json, &r->rows, write_record_names(r, w->arena), row);
    rejected_row dead = {.row = row,
                         .code = "not_storable",
                         .pointer = "",
                         .detail = why->text,
                         .bytes = json.data,
                         .len = json.len,
                         .form = REJECTED_JSON};
    status_class class = bury(w, c, r, &dead, st);
    text_free(&json);
    return class;
}

/* Rows lo … hi-1, each refused one set aside: half and half again until it stands alone. */
static status_class write_rows_careful(write_set *w, connection *c, write_record *r, uint32_t lo, uint32_t hi,
                                       status *st)
{
    uint32_t *order = arena_zero(w->arena, hi - lo, sizeof *order);
    column_type *types = arena_zero(w->arena, r->rows.n_columns, sizeof *types);
    for (uint32_t i = lo; i < hi; i++)
        order[i - lo] = i;
    for (uint32_t i = 0; i < r->rows.n_columns; i++)
        types[i] = r->rows.columns[i].type;
    batch_builder *part = batch_builder_create(types, r->rows.n_columns);
    batch_builder_copy_rows(part, &r->rows, order, hi - lo);
    batch rows = batch_builder_freeze(part);
    status_class class = connection_exec(c, "SAVEPOINT careful", NULL, 0, NULL, st);
    if (class == STATUS_OK)
        class = write_rows(w, c, r, &rows, r->record->first_row + lo, st);
    batch_builder_free(part);
    if (class == STATUS_OK)
        return connection_exec(c, "RELEASE SAVEPOINT careful", NULL, 0, NULL, st);
    if (!connection_row_refused(c))
        return class;
    status why = *st;
    class = connection_exec(c, "ROLLBACK TO SAVEPOINT careful", NULL, 0, NULL, st);
    if (class != STATUS_OK)
        return class;
    if (hi - lo == 1)
        return bury_row(w, c, r, lo, &why, st);
    uint32_t middle = lo + (hi - lo) / 2;
    class = write_rows_careful(w, c, r, lo, middle, st);
    return class == STATUS_OK ? write_rows_careful(w, c, r, middle, hi, st) : class;
}

static status_class write_rejected(write_set *w, connection *c, write_record *r, status *st)
{
    rejected_row row;
    size_t at = 0;
    status_class class = STATUS_OK;
    while (class == STATUS_OK && rejected_unpack(r->record->payload, r->record->payload_len, &at, &row))
        class = bury(w, c, r, &row, st);
    return class;
}

static bool holds_rows(const write_record *r)
{
    return r->record->kind == JOURNAL_ROWS && !r->record->damaged;
}

/* What is written together with others: not a dead letter that was sent again, which is settled by itself. */
static bool holds_new_rows(const write_record *r)
{
    return holds_rows(r) && !r->is_letter;
}

/* Rows that are too late for a dependant are stored, but not computed: that is booked under its name. */
static void mark_dirty(write_set *w, const write_record *r)
{
    const datastore_plan *s = r->store;
    uint32_t *too_late = arena_zero(w->arena, s->n_dependants + 1, sizeof *too_late);
    dirty_marks_add(w->marks, s->plan->wid, s->dependants, s->n_dependants, &r->rows, r->record->first_row,
                    r->record->received_us, too_late);
    for (uint32_t i = 0; i < s->n_dependants; i++)
        if (too_late[i])
            ledger_book_add(w->ledger, s->plan->wid, s->dependants[i].name, r->record->received_us,
                            &(ledger_counts){.too_late = too_late[i]});
}

static status_class write_careful(write_set *w, connection *c, write_record *r, status *st)
{
    status_class class = write_rows_careful(w, c, r, 0, r->rows.n_rows, st);
    if (class == STATUS_OK && r->stored + r->duplicate > 0)
        mark_dirty(w, r);
    return class;
}

/* The letter is taken in the transaction that stores its row; one that is not there in the state that was
 * sent has been dealt with, and its row is not stored. */
static status_class write_letter(write_set *w, connection *c, write_record *r, status *st)
{
    letter_ref ref;
    letter_claim claim;
    int32_t wid = (int32_t)r->record->wid;
    dead_letter_ref(r->record, &ref);
    status_class class = dead_letter_claim(c, wid, &ref, &claim, st);
    if (class == STATUS_OK && !claim.there)
        r->rows.n_rows = 0;
    if (class != STATUS_OK || !claim.there)
        return class;
    class = r->record->kind == JOURNAL_REJECTED ? write_rejected(w, c, r, st) : write_careful(w, c, r, st);
    if (class != STATUS_OK || r->dead)
        return class;
    ledger_counts settled = {
        .stored = (int64_t)r->stored, .updated = (int64_t)r->updated, .duplicate = (int64_t)r->duplicate};
    return dead_letter_settle(c, w->ledger, wid, r->record->store, &ref, &claim, &settled, st);
}

/* A record by itself: rejected rows, a dead letter, or rows of which PostgreSQL refuses some. */
static status_class write_alone(write_set *w, connection *c, write_record *r, status *st)
{
    r->stored = r->updated = r->duplicate = r->dead = 0;
    if (r->record->damaged)
        return STATUS_OK;
    if (r->is_letter)
        return write_letter(w, c, r, st);
    if (r->record->kind == JOURNAL_REJECTED)
        return write_rejected(w, c, r, st);
    return holds_rows(r) ? write_careful(w, c, r, st) : STATUS_OK;
}

/* Records of one keyed store that follow one another go into one statement. Returns how many were taken. */
static status_class write_keyed(write_set *w, connection *c, write_record *records, uint32_t n,
                                uint32_t *taken_out, status *st)
{
    const datastore_plan *store = records[0].store;
    uint32_t taken = 0;
    while (taken < n && records[taken].store == store && holds_new_rows(&records[taken]))
        mark_dirty(w, &records[taken++]);
    upsert_part *parts = arena_zero(w->arena, taken, sizeof *parts);
    for (uint32_t i = 0; i < taken; i++)
        parts[i] = (upsert_part){.rows = &records[i].rows,
                                 .first_seq = records[i].record->first_row,
                                 .received_us = records[i].record->received_us,
                                 .owner = &records[i]};
    *taken_out = taken;
    status_class class = upsert_write_parts(c, store->upsert, parts, taken, st);
    for (uint32_t i = 0; i < taken && class == STATUS_OK; i++) {
        write_record *r = parts[i].owner;
        const upsert_counts *counts = &parts[i].counts;
        r->stored = (uint64_t)(counts->stored + counts->updated);
        r->updated = (uint64_t)counts->updated;
        r->duplicate = (uint64_t)counts->duplicate;
        r->dead = 0;
    }
    return class;
}

/* Records of one append-only store that follow one another go into one COPY, each batch sorted by entity and
 * time so that the index is filled page by page. Returns how many records were taken. */
static status_class write_plain(write_set *w, connection *c, write_record *records, uint32_t n,
                                uint32_t *taken_out, status *st)
{
    const datastore_plan *store = records[0].store;
    uint32_t taken = 0;
    int64_t stored;
    copy_begin(&w->buffer);
    for (; taken < n && records[taken].store == store && holds_new_rows(&records[taken]); taken++) {
        write_record *r = &records[taken];
        copy_rows how = {.order = batch_order(w->arena, &r->rows, store->order, store->n_order),
                         .n_rows = r->rows.n_rows,
                         .system = true,
                         .first_seq = r->record->first_row,
                         .received_us = r->record->received_us};
        copy_add(&w->buffer, &r->rows, &how);
        r->stored = r->rows.n_rows;
        r->updated = r->duplicate = r->dead = 0;
        mark_dirty(w, r);
    }
    copy_finish(&w->buffer);
    *taken_out = taken;
    return copy_send(c, store->copy_sql, &w->buffer, &stored, st);
}

/* Rows of one append-only store, and few of them: they go with the positions, and what is booked of them with
 * both, which spares a COPY's round trips and the ledger's. */
static bool are_few(const write_record *records, uint32_t n)
{
    uint32_t rows = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (!holds_new_rows(&records[i]) || records[i].store->upsert || records[i].store != records[0].store)
            return false;
        rows += records[i].rows.n_rows;
        if (rows > FEW_ROWS)
            return false;
    }
    return rows > 0 && !fault_active("position_inside") && !fault_active("marks_inside") &&
           !fault_active("books_inside");
}

static void book(write_set *w, const write_record *r)
{
    ledger_counts counts = write_record_counts(r);
    ledger_book_add(w->ledger, (int32_t)r->record->wid, r->record->store, r->record->received_us, &counts);
}

static status_class write_few(write_set *w, connection *c, write_record *records, uint32_t n, status *st)
{
    insert_part *parts = arena_alloc(w->arena, n * sizeof *parts);
    value *params;
    unsigned n_params;
    for (uint32_t i = 0; i < n; i++) {
        write_record *r = &records[i];
        parts[i] = (insert_part){&r->rows, r->record->first_row, r->record->received_us};
        r->stored = r->rows.n_rows;
        r->updated = r->duplicate = r->dead = 0;
        mark_dirty(w, r);
        book(w, r);
    }
    statement insert = insert_rows(w->arena, &records[0].store->table, parts, n, &params, &n_params);
    statement_call along[STREAM_POSITIONS_ALONG] = {{&insert, params, n_params, NULL}};
    unsigned books = ledger_book_calls(w->ledger, along + 1, STREAM_POSITIONS_ALONG - 1);
    return stream_positions_move(w->incarnation, c, records, n, along, 1 + books, st);
}

/* The faults "position_inside", "marks_inside" and "books_inside": what should be one transaction is cut in
 * two. */
static status_class cut(connection *c, bool active, status *st)
{
    if (!active)
        return STATUS_OK;
    status_class class = connection_commit(c, st);
    return class == STATUS_OK ? connection_begin(c, st) : class;
}

static status_class write_all(write_set *w, connection *c, write_record *records, uint32_t n, bool careful,
                              status *st)
{
    bool few = !careful && are_few(records, n);
    status_class class = few ? write_few(w, c, records, n, st)
                             : stream_positions_move(w->incarnation, c, records, n, NULL, 0, st);
    if (class == STATUS_OK)
        class = cut(c, fault_active("position_inside"), st);
    for (uint32_t i = few ? n : 0; i < n && class == STATUS_OK;) {
        uint32_t taken = 1;
        if (!careful && holds_new_rows(&records[i]))
            class = records[i].store->upsert ? write_keyed(w, c, &records[i], n - i, &taken, st)
                                             : write_plain(w, c, &records[i], n - i, &taken, st);
        else
            class = write_alone(w, c, &records[i], st);
        for (uint32_t k = 0; k < taken && class == STATUS_OK; k++)
            book(w, &records[i + k]);
        i += taken;
    }
    if (class == STATUS_OK)
        class = cut(c, fault_active("marks_inside"), st);
    if (class == STATUS_OK)
        class = dirty_marks_write(w->marks, c, st);
    if (class == STATUS_OK)
        class = cut(c, fault_active("books_inside"), st);
    if (class == STATUS_OK)
        class = ledger_book_write(w->ledger, c, st);
    return class;
}

void write_set_follow(write_set *w, journal *j, uint64_t commit)
{
    w->journal = j;
    w->follows = commit;
}

/* First the journal, then the database: a position never stands beyond what the journal surely has. */
static status_class commit(write_set *w, connection *c, status *st)
{
    bool first = !fault_active("journal_first");
    if (first && w->follows && journal_await(w->journal, w->follows, st) != STATUS_OK) {
        connection_rollback(c);
        return st->class;
    }
    status_class class = connection_commit(c, st);
    return class == STATUS_OK && !first ? journal_await(w->journal, w->follows, st) : class;
}

status_class write_set_commit(write_set *w, connection *c, write_record *records, uint32_t n, bool careful,
                              status *st)
{
    arena_reset(w->arena);
    dirty_marks_clear(w->marks);
    ledger_book_clear(w->ledger);
    letter_book_clear(w->letters);
    status_class class = write_all(w, c, records, n, careful, st);
    if (class == STATUS_OK)
        return commit(w, c, st);
    /* connection_row_refused must still speak of the failure after the rollback */
    bool refused = connection_row_refused(c);
    connection_rollback(c);
    return refused ? STATUS_INVALID : class == STATUS_INVALID ? STATUS_INTERNAL : class;
}
