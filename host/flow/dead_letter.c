#include "flow/dead_letter.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/random.h"
#include "flow/intake.h"

enum { DETAIL_SIZE = 600 };

/* ---- how full a workspace is ---- */

typedef struct fill {
    int32_t wid;
    int64_t letters, bytes, unkept;
} fill;

struct letter_book {
    letter_limits limits;
    fill *fills;
    uint32_t n, cap;
};

letter_book *letter_book_create(const letter_limits *limits)
{
    letter_book *b = memory_zero(1, sizeof *b);
    b->limits = limits ? *limits : (letter_limits){0};
    b->limits.letters = b->limits.letters ? b->limits.letters : LETTER_COUNT_MAX;
    b->limits.bytes = b->limits.bytes ? b->limits.bytes : LETTER_BYTES_MAX;
    return b;
}

void letter_book_free(letter_book *b)
{
    if (!b)
        return;
    free(b->fills);
    free(b);
}

void letter_book_clear(letter_book *b)
{
    b->n = 0;
}

static status_class fill_of(letter_book *b, connection *c, int32_t wid, fill **out, status *st)
{
    char sql[160];
    rows *sums;
    for (uint32_t i = 0; i < b->n; i++)
        if (b->fills[i].wid == wid) {
            *out = &b->fills[i];
            return STATUS_OK;
        }
    snprintf(sql, sizeof sql,
             "SELECT sum(letters)::bigint, sum(letter_bytes)::bigint, sum(unkept)::bigint FROM "
             "penstock.ledger_wid%d",
             (int)wid);
    statement ask = {"count dead letters", sql};
    status_class class = connection_run(c, &ask, NULL, 0, &sums, st);
    if (class != STATUS_OK)
        return class;
    if (b->n == b->cap) {
        b->cap = b->cap ? b->cap * 2 : 4;
        b->fills = memory_grow(b->fills, b->cap * sizeof *b->fills);
    }
    fill *f = &b->fills[b->n++];
    *f = (fill){wid, rows_integer(sums, 0, 0), rows_integer(sums, 0, 1), rows_integer(sums, 0, 2)};
    rows_free(sums);
    *out = f;
    return STATUS_OK;
}

static bool is_kept(const letter_book *b, const fill *f, size_t len)
{
    bool room = f->letters < b->limits.letters && f->bytes + (int64_t)len <= b->limits.bytes;
    return room || (f->letters + f->unkept) % LETTER_SAMPLE == 0;
}

/* ---- writing ---- */

dead_letter dead_letter_of(const journal_record *from, const rejected_row *row)
{
    const journal_field *header = journal_record_field(from, JOURNAL_FIELD_HEADER);
    return (dead_letter){.wid = (int32_t)from->wid,
                         .store = from->store,
                         .origin = from->origin,
                         .request = from->request_id,
                         .received_us = from->received_us,
                         .header = header && row->form == REJECTED_CSV ? header->data : NULL,
                         .header_len = header && row->form == REJECTED_CSV ? header->len : 0,
                         .row = *row};
}

static void say_detail(char out[DETAIL_SIZE], const rejected_row *row)
{
    if (row->line)
        snprintf(out, DETAIL_SIZE, "line %llu: %s", (unsigned long long)row->line, row->detail);
    else
        snprintf(out, DETAIL_SIZE, "%s", row->detail);
}

static status_class insert(connection *c, const dead_letter *letter, status *st)
{
    char id[LETTER_ID_SIZE], detail[DETAIL_SIZE], sql[360];
    const rejected_row *row = &letter->row;
    ulid_make(id);
    say_detail(detail, row);
    snprintf(sql, sizeof sql,
             "INSERT INTO penstock.dead_letter_wid%d (id, store, received, origin, request, code, pointer, "
             "detail, body, form, header, attempts, signal)"
             " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12::int, $13)",
             (int)letter->wid);
    statement bury = {"bury a row", sql};
    value params[] = {value_text(id),
                      value_text(letter->store),
                      value_time_us(letter->received_us),
                      value_text(letter->origin),
                      value_text(letter->request),
                      value_text(row->code),
                      value_text(row->pointer),
                      value_text(detail),
                      value_bytes(row->bytes, row->len),
                      value_text(rejected_form_name(row->form)),
                      letter->header ? value_bytes(letter->header, letter->header_len) : value_null(),
                      value_integer(row->attempts),
                      value_text(row->signal && row->signal[0] ? row->signal : NULL)};
    return connection_run(c, &bury, params, sizeof params / sizeof *params, NULL, st);
}

status_class dead_letter_write(letter_book *b, connection *c, ledger_book *ledger, const dead_letter *letter,
                               status *st)
{
    fill *f;
    status_class class = fill_of(b, c, letter->wid, &f, st);
    if (class != STATUS_OK)
        return class;
    ledger_counts counts = {.unkept = 1};
    if (is_kept(b, f, letter->row.len)) {
        class = insert(c, letter, st);
        counts = (ledger_counts){.letters = 1, .letter_bytes = (int64_t)letter->row.len};
    }
    if (class != STATUS_OK)
        return class;
    f->letters += counts.letters;
    f->bytes += counts.letter_bytes;
    f->unkept += counts.unkept;
    ledger_book_add(ledger, letter->wid, letter->store, letter->received_us, &counts);
    return STATUS_OK;
}

/* ---- sent again ---- */

bool dead_letter_ref(const journal_record *record, letter_ref *out)
{
    const journal_field *f = journal_record_field(record, JOURNAL_FIELD_LETTER);
    if (!f)
        return false;
    assert(f->len == sizeof *out); /* we wrote it */
    memcpy(out, f->data, sizeof *out);
    return true;
}

status_class dead_letter_claim(connection *c, int32_t wid, const letter_ref *ref, letter_claim *out,
                               status *st)
{
    char sql[200];
    rows *found;
    snprintf(sql, sizeof sql,
             "SELECT store, received, octet_length(body)::bigint FROM penstock.dead_letter_wid%d WHERE id = "
             "$1 AND revision = $2 FOR UPDATE",
             (int)wid);
    statement lock = {"take a dead letter", sql};
    const value params[] = {value_text(ref->id), value_integer(ref->revision)};
    *out = (letter_claim){0};
    status_class class = connection_run(c, &lock, params, 2, &found, st);
    if (class != STATUS_OK)
        return class;
    if (rows_count(found)) {
        out->there = true;
        snprintf(out->store, sizeof out->store, "%s", rows_text(found, 0, 0));
        out->received_us = rows_time_us(found, 0, 1);
        out->bytes = rows_integer(found, 0, 2);
    }
    rows_free(found);
    return STATUS_OK;
}

status_class dead_letter_settle(connection *c, ledger_book *ledger, int32_t wid, const char *store,
                                const letter_ref *ref, const letter_claim *claim,
                                const ledger_counts *settled, status *st)
{
    char sql[100];
    snprintf(sql, sizeof sql, "DELETE FROM penstock.dead_letter_wid%d WHERE id = $1", (int)wid);
    statement remove = {"take a dead letter away", sql};
    const value id = value_text(ref->id);
    status_class class = connection_run(c, &remove, &id, 1, NULL, st);
    /* a row that was of no known store is of this one now */
    int64_t moved = strcmp(store, claim->store) != 0;
    ledger_counts here = *settled;
    here.received = moved;
    ledger_book_add(ledger, wid, store, claim->received_us, &here);
    ledger_book_add(
        ledger, wid, claim->store, claim->received_us,
        &(ledger_counts){.received = -moved, .rejected = -1, .letters = -1, .letter_bytes = -claim->bytes});
    return class;
}

status_class dead_letter_return(connection *c, int32_t wid, const letter_ref *ref, const rejected_row *why,
                                status *st)
{
    char sql[220];
    snprintf(
        sql, sizeof sql,
        "UPDATE penstock.dead_letter_wid%d SET code = $3, pointer = $4, detail = $5, attempts = attempts "
        "+ 1, revision = revision + 1, tried = now() WHERE id = $1 AND revision = $2",
        (int)wid);
    statement mark = {"put a dead letter back", sql};
    const value params[] = {value_text(ref->id), value_integer(ref->revision), value_text(why->code),
                            value_text(why->pointer), value_text(why->detail)};
    return connection_run(c, &mark, params, 5, NULL, st);
}
