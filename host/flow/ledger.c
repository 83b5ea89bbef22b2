#include "flow/ledger.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/name.h"
#include "flow/dirty.h"

typedef struct line {
    int32_t wid;
    char store[NAME_KEY_MAX + 24]; /* a datastore's key, or class:key of a dependant */
    int64_t minute_us;
    ledger_counts counts;
} line;

struct ledger_book {
    line *lines;
    uint32_t n, cap;
    unsigned keeper;
    arena *arena; /* of what is being written */
};

static const int64_t minute = 60000000;

ledger_book *ledger_book_create(unsigned keeper)
{
    ledger_book *b = memory_zero(1, sizeof *b);
    b->keeper = keeper;
    b->arena = arena_create(0);
    return b;
}

void ledger_book_free(ledger_book *b)
{
    if (!b)
        return;
    arena_free(b->arena);
    free(b->lines);
    free(b);
}

void ledger_book_clear(ledger_book *b)
{
    b->n = 0;
}

static line *line_of(ledger_book *b, int32_t wid, const char *store, int64_t minute_us)
{
    for (uint32_t i = 0; i < b->n; i++)
        if (b->lines[i].wid == wid && b->lines[i].minute_us == minute_us &&
            strcmp(b->lines[i].store, store) == 0)
            return &b->lines[i];
    if (b->n == b->cap) {
        b->cap = b->cap ? b->cap * 2 : 16;
        b->lines = memory_grow(b->lines, b->cap * sizeof *b->lines);
    }
    line *l = &b->lines[b->n++];
    *l = (line){.wid = wid, .minute_us = minute_us};
    snprintf(l->store, sizeof l->store, "%s", store);
    return l;
}

/* The columns in the order of their names in the statement. */
static const size_t members[] = {offsetof(ledger_counts, received), offsetof(ledger_counts, stored),
                                 offsetof(ledger_counts, updated),  offsetof(ledger_counts, duplicate),
                                 offsetof(ledger_counts, rejected), offsetof(ledger_counts, dropped),
                                 offsetof(ledger_counts, too_late), offsetof(ledger_counts, expired),
                                 offsetof(ledger_counts, letters),  offsetof(ledger_counts, letter_bytes),
                                 offsetof(ledger_counts, unkept),   offsetof(ledger_counts, purged)};
static const char *const names[] = {"received", "stored",  "updated", "duplicate",    "rejected", "dropped",
                                    "too_late", "expired", "letters", "letter_bytes", "unkept",   "purged"};
enum { MEMBERS = sizeof members / sizeof *members };

static int64_t *member(ledger_counts *counts, size_t i)
{
    return (int64_t *)((char *)counts + members[i]);
}

void ledger_book_add(ledger_book *b, int32_t wid, const char *store, int64_t received_us,
                     const ledger_counts *counts)
{
    ledger_counts *sum = &line_of(b, wid, store, bucket_floor(received_us, minute))->counts, more = *counts;
    for (size_t i = 0; i < MEMBERS; i++)
        *member(sum, i) += *member(&more, i);
}

enum { LINE_PARAMS = 3 + MEMBERS, LINES_A_TRIP = 32 };

static const char *line_sql(arena *a, int32_t wid)
{
    text sql = {0};
    text_printf(&sql, "INSERT INTO penstock.ledger_wid%d AS l (store, minute, keeper", (int)wid);
    for (size_t i = 0; i < MEMBERS; i++)
        text_printf(&sql, ", %s", names[i]);
    text_add(&sql, ") VALUES ($1, $2, $3::smallint");
    for (size_t i = 0; i < MEMBERS; i++)
        text_printf(&sql, ", $%zu", i + 4);
    text_add(&sql, ") ON CONFLICT (store, minute, keeper) DO UPDATE SET ");
    for (size_t i = 0; i < MEMBERS; i++)
        text_printf(&sql, "%s%s = l.%s + excluded.%s", i ? ", " : "", names[i], names[i], names[i]);
    const char *copy = arena_string_n(a, sql.data, sql.len);
    text_free(&sql);
    return copy;
}

static statement_call line_call(ledger_book *b, line *l)
{
    statement *add = arena_zero(b->arena, 1, sizeof *add);
    value *params = arena_zero(b->arena, LINE_PARAMS, sizeof *params);
    *add = (statement){"book the ledger", line_sql(b->arena, l->wid)};
    params[0] = value_text(l->store);
    params[1] = value_time_us(l->minute_us);
    params[2] = value_integer(b->keeper);
    for (size_t i = 0; i < MEMBERS; i++)
        params[i + 3] = value_integer(*member(&l->counts, i));
    return (statement_call){add, params, LINE_PARAMS, NULL};
}

/* Several may book as one keeper; one order of locking keeps them from a deadlock. */
static int compare_lines(const void *left, const void *right)
{
    const line *a = left, *b = right;
    if (a->wid != b->wid)
        return a->wid < b->wid ? -1 : 1;
    int order = strcmp(a->store, b->store);
    return order ? order : a->minute_us < b->minute_us ? -1 : a->minute_us > b->minute_us;
}

static unsigned take_calls(ledger_book *b, uint32_t *at, statement_call *calls, unsigned most)
{
    unsigned n = 0;
    arena_reset(b->arena);
    while (*at < b->n && n < most)
        calls[n++] = line_call(b, &b->lines[(*at)++]);
    return n;
}

unsigned ledger_book_calls(ledger_book *b, statement_call *calls, unsigned most)
{
    uint32_t at = 0;
    if (b->n > most)
        return 0;
    if (b->n > 1)
        qsort(b->lines, b->n, sizeof *b->lines, compare_lines);
    unsigned n = take_calls(b, &at, calls, most);
    b->n = 0;
    return n;
}

/* Many lines in one round trip: a turn may book for many workspaces. */
status_class ledger_book_write(ledger_book *b, connection *c, status *st)
{
    statement_call calls[LINES_A_TRIP];
    status_class class = STATUS_OK;
    if (b->n > 1)
        qsort(b->lines, b->n, sizeof *b->lines, compare_lines);
    for (uint32_t at = 0; at < b->n && class == STATUS_OK;) {
        unsigned n = take_calls(b, &at, calls, LINES_A_TRIP);
        class = connection_pipeline(c, calls, n, NULL, st);
        for (unsigned i = 0; i < n; i++)
            rows_free(calls[i].result);
    }
    return class;
}
