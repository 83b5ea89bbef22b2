/* Line protocol for several stores: one body, one journal submission, so all stores are durable or none. */
#include <string.h>

#include "base/clock.h"
#include "flow/intake_private.h"

enum { STORES_MAX = 256 };

/* As many as fit one submission: records of every shard and one of rejected rows each, and one of strays. */
static uint32_t stores_max(const intake *in)
{
    uint32_t n = (JOURNAL_ENTRIES_MAX - 1) / (in->shards + 1);
    return n < STORES_MAX ? n : STORES_MAX;
}

static size_t pack(worker *w, const decode_reject *rejects, size_t n, const char *body, rejected_form form)
{
    size_t from = w->rejected.len;
    for (size_t i = 0; i < n; i++)
        intake_pack_reject(&w->rejected, &rejects[i], body, form);
    return w->rejected.len - from;
}

/* The list of one part; behind the last one the strays. */
static const decode_reject *rejects_of(const line_routed *routed, uint32_t i, size_t *n_out)
{
    bool stray = i == routed->n_parts;
    *n_out = stray ? routed->n_strays : routed->parts[i].result.n_rejects;
    return stray ? routed->strays : routed->parts[i].result.rejects;
}

/* The first rejects of the body, whatever store they are of. */
static void show_rejects(ticket *t, const line_routed *routed)
{
    size_t *at = arena_zero(t->arena, routed->n_parts + 1, sizeof *at), n;
    for (unsigned shown = 0; shown < INTAKE_REJECTS_SHOWN; shown++) {
        const decode_reject *first = NULL;
        uint32_t from = 0;
        for (uint32_t i = 0; i <= routed->n_parts; i++) {
            const decode_reject *list = rejects_of(routed, i, &n);
            if (at[i] < n && (!first || list[at[i]].row < first->row)) {
                first = &list[at[i]];
                from = i;
            }
        }
        if (!first)
            return;
        at[from]++;
        intake_add_reject(t, &(intake_reject){first->row, first->line, first->column, first->code,
                                              first->pointer, first->detail});
    }
}

static void count(ticket *t, const line_routed *routed)
{
    t->verdict.rejected = routed->n_strays;
    for (uint32_t i = 0; i < routed->n_parts; i++) {
        t->verdict.accepted += routed->parts[i].result.rows.n_rows;
        t->verdict.rejected += routed->parts[i].result.n_rejects;
    }
    t->verdict.received = t->verdict.accepted + t->verdict.rejected;
    if (t->verdict.rejected)
        show_rejects(t, routed);
}

/* Everything is packed first: the buffer may move while it grows. */
static void add_parts(parcel *p, ticket *t, worker *w, const intake_order *order, const line_routed *routed,
                      const char *body)
{
    uint32_t n = routed->n_parts;
    size_t *lengths = arena_zero(t->arena, n + 1, sizeof *lengths), at = 0, n_rejects;
    for (uint32_t i = 0; i <= n; i++) {
        const decode_reject *list = rejects_of(routed, i, &n_rejects);
        lengths[i] = pack(w, list, n_rejects, body, rejected_form_of(DECODE_LINES, order->precision));
    }
    for (uint32_t i = 0; i <= n; i++) {
        const line_part *part = i < n ? &routed->parts[i] : NULL;
        if (part && part->result.rows.n_rows)
            parcel_add_rows(p, order, part->store, &part->result.rows, t->in->shards, t->arena);
        rejects_of(routed, i, &n_rejects);
        const reject_bundle refused = {
            .packed = text_or_empty(&w->rejected) + at, .len = lengths[i], .n = (uint32_t)n_rejects};
        parcel_add_rejected(p, order, part ? part->store->table.key : JOURNAL_STORE_UNKNOWN, &refused,
                            t->arena);
        at += lengths[i];
    }
}

void intake_lines(intake *in, const intake_order *order, const char *body, size_t len)
{
    ticket *t = intake_ticket_create(in, order);
    worker *w = intake_worker_take(in);
    decode_context context = {.now_us = clock_wall_us(),
                              .time_shift_us = order->time_shift_us,
                              .rows = order->rows_max,
                              .precision = order->precision};
    line_routed routed;
    parcel p;
    status st;
    if (line_router_body(w->router, order->find, order->find_arg, stores_max(in), &context, body, len,
                         &routed, &st) != STATUS_OK) {
        intake_worker_return(in, w);
        intake_ticket_refuse(t, &st);
        return;
    }
    count(t, &routed);
    if (!intake_letter_is_one(t, order)) {
        intake_worker_return(in, w);
        return;
    }
    parcel_init(&p, t->arena, routed.n_parts * (in->shards + 1) + 1);
    add_parts(&p, t, w, order, &routed, body);
    intake_send(t, order, &p);
    intake_worker_return(in, w);
}
