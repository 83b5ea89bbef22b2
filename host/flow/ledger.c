#include "flow/ledger.h"

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
};

static const int64_t minute = 60000000;

ledger_book *ledger_book_create(void)
{
    return memory_zero(1, sizeof(ledger_book));
}

void ledger_book_free(ledger_book *b)
{
    if (!b)
        return;
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

void ledger_book_add(ledger_book *b, int32_t wid, const char *store, int64_t received_us,
                     const ledger_counts *counts)
{
    ledger_counts *sum = &line_of(b, wid, store, bucket_floor(received_us, minute))->counts;
    sum->received += counts->received;
    sum->stored += counts->stored;
    sum->updated += counts->updated;
    sum->duplicate += counts->duplicate;
    sum->rejected += counts->rejected;
    sum->dropped += counts->dropped;
    sum->too_late += counts->too_late;
    sum->expired += counts->expired;
}

static status_class write_line(const line *l, connection *c, status *st)
{
    char sql[800];
    snprintf(sql, sizeof sql,
             "INSERT INTO penstock.ledger_wid%d AS l (store, minute, received, stored, updated, duplicate,"
             " rejected, dropped, too_late, expired) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON "
             "CONFLICT (store, minute) DO "
             "UPDATE SET"
             " received = l.received + excluded.received, stored = l.stored + excluded.stored,"
             " updated = l.updated + excluded.updated, duplicate = l.duplicate + excluded.duplicate,"
             " rejected = l.rejected + excluded.rejected, dropped = l.dropped + excluded.dropped,"
             " too_late = l.too_late + excluded.too_late, expired = l.expired + excluded.expired",
             l->wid);
    statement add = {"book the ledger", sql};
    value params[] = {value_text(l->store),
                      value_time_us(l->minute_us),
                      value_integer((int64_t)l->counts.received),
                      value_integer((int64_t)l->counts.stored),
                      value_integer((int64_t)l->counts.updated),
                      value_integer((int64_t)l->counts.duplicate),
                      value_integer((int64_t)l->counts.rejected),
                      value_integer((int64_t)l->counts.dropped),
                      value_integer((int64_t)l->counts.too_late),
                      value_integer((int64_t)l->counts.expired)};
    return connection_run(c, &add, params, 10, NULL, st);
}

/* Two writers of one store meet on a ledger row; one order of locking keeps them from a deadlock. */
static int compare_lines(const void *left, const void *right)
{
    const line *a = left, *b = right;
    if (a->wid != b->wid)
        return a->wid < b->wid ? -1 : 1;
    int order = strcmp(a->store, b->store);
    return order ? order : a->minute_us < b->minute_us ? -1 : a->minute_us > b->minute_us;
}

status_class ledger_book_write(ledger_book *b, connection *c, status *st)
{
    status_class class = STATUS_OK;
    if (b->n > 1)
        qsort(b->lines, b->n, sizeof *b->lines, compare_lines);
    for (uint32_t i = 0; i < b->n && class == STATUS_OK; i++)
        class = write_line(&b->lines[i], c, st);
    return class;
}
