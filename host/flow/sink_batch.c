#include "flow/sink_batch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/batch_json.h"
#include "base/clock.h"

void sink_batch_id(char out[SINK_ID_SIZE], const sink_batch *b, uint64_t first, uint64_t last)
{
    int n = snprintf(out, SINK_ID_SIZE, "%.100s/%" PRIu64 "-%" PRIu64, b->scope, first, last);
    if (b->rewound)
        snprintf(out + n, SINK_ID_SIZE - (size_t)n, "~%" PRIu32, b->rewound);
}

static const int64_t *seqs_of(const sink_batch *b)
{
    const batch *rows = &b->rows->rows;
    return rows->columns[rows->n_columns - 2].values; /* `_seq`, `_received` are the last ones */
}

/* ---- rows that are known to kill the plugin ---- */

static void find_known(sink_batch *b)
{
    text json = {0};
    if (!poison_any(&b->place))
        return;
    bool *known = arena_zero(b->arena, b->n_rows, sizeof *known);
    for (uint32_t i = 0; i < b->n_rows; i++) {
        text_clear(&json);
        batch_row_json(&json, &b->rows->rows, b->rows->names, i);
        known[i] = poison_is(&b->place, json.data, json.len);
        b->n_poison += known[i];
    }
    text_free(&json);
    b->known = b->n_poison ? known : NULL;
}

/* ---- one call ---- */

static void refuse(sink_batch *b, uint32_t row, const char *reason)
{
    if (b->n_refused == b->cap_refused) {
        b->cap_refused = b->cap_refused ? b->cap_refused * 2 : 16;
        b->refused = memory_grow(b->refused, b->cap_refused * sizeof *b->refused);
    }
    instance_refused *r = &b->refused[b->n_refused++];
    r->row = row;
    snprintf(r->reason, sizeof r->reason, "%s", reason);
}

/* Hands over the rows in `order`, which is ascending. */
static status_class hand_over(sink_batch *b, const batch *rows, const uint32_t *order, uint32_t n,
                              uint64_t first, uint64_t last, instance_call *call, status *st)
{
    char id[SINK_ID_SIZE];
    instance_written written;
    sink_batch_id(id, b, first, last);
    call->work_id = id;
    const instance_outgoing out = {.store = b->store,
                                   .batch_id = id,
                                   .again = b->again,
                                   .first_seq = first,
                                   .last_seq = last,
                                   .rows = {.name = "rows", .columns = b->rows->names, .rows = rows}};
    status_class class = instance_write(b->place.plugin, call, &out, &written, st);
    call->work_id = NULL;
    for (size_t i = 0; class == STATUS_OK && i < written.n_refused; i++)
        refuse(b, order[written.refused[i].row], written.refused[i].reason);
    if (class == STATUS_OK) {
        b->taken = b->taken || written.n_refused < n;
        instance_written_free(&written);
    }
    return class;
}

/* Rows lo … hi-1 without those that are known; the whole batch keeps its own bounds. */
static status_class write_range(sink_batch *b, uint32_t lo, uint32_t hi, instance_call *call, status *st)
{
    const batch *all = &b->rows->rows;
    bool whole = lo == 0 && hi == b->n_rows;
    uint32_t n = 0, *order = arena_zero(b->arena, hi - lo + 1, sizeof *order);
    for (uint32_t i = lo; i < hi; i++)
        if (!b->known || !b->known[i])
            order[n++] = i;
    if (n == 0)
        return STATUS_OK;
    uint64_t first = whole ? b->first_seq : (uint64_t)seqs_of(b)[order[0]];
    uint64_t last = whole ? b->last_seq : (uint64_t)seqs_of(b)[order[n - 1]];
    if (n == all->n_rows)
        return hand_over(b, all, order, n, first, last, call, st);
    column_type *types = arena_zero(b->arena, all->n_columns, sizeof *types);
    for (uint32_t i = 0; i < all->n_columns; i++)
        types[i] = all->columns[i].type;
    batch_builder *part = batch_builder_create(types, all->n_columns);
    batch_builder_copy_rows(part, all, order, n);
    batch rows = batch_builder_freeze(part);
    status_class class = hand_over(b, &rows, order, n, first, last, call, st);
    batch_builder_free(part);
    return class;
}

/* ---- halves ---- */

/* When the first rows are all refused one by one, the last one tells whether others would be taken. */
static status_class doubt(sink_batch *b, uint32_t row, instance_call *call, status *st)
{
    status why = *st;
    bool other = row + 1 < b->n_rows;
    if (b->taken || ++b->alone < SINK_ALONE_MAX)
        return STATUS_OK;
    status_class class = other ? write_range(b, b->n_rows - 1, b->n_rows, call, st) : STATUS_INVALID;
    if (class == STATUS_OK && b->taken)
        return STATUS_OK;
    if (class != STATUS_OK && call->fault != PLUGIN_FAULT_DATA && call->fault != PLUGIN_FAULT_NONE)
        return class;
    call->fault = PLUGIN_FAULT_AWAY;
    return status_set(st, STATUS_UNAVAILABLE, "the far side refuses whatever rows it is given: %.300s",
                      why.text);
}

static status_class write_halves(sink_batch *b, uint32_t lo, uint32_t hi, instance_call *call, status *st)
{
    status_class class = write_range(b, lo, hi, call, st);
    if (class == STATUS_OK || call->fault != PLUGIN_FAULT_DATA)
        return class;
    if (hi - lo == 1) {
        char reason[sizeof b->refused->reason];
        snprintf(reason, sizeof reason, "%s", st->text);
        class = doubt(b, lo, call, st);
        if (class == STATUS_OK)
            refuse(b, lo, reason);
        return class;
    }
    uint32_t middle = lo + (hi - lo) / 2;
    class = write_halves(b, lo, middle, call, st);
    return class == STATUS_OK ? write_halves(b, middle, hi, call, st) : class;
}

/* ---- the hunt ---- */

static status_class hunt_run(void *arg, uint32_t first, uint32_t n, instance_call *call, status *st)
{
    return write_halves(arg, first, first + n, call, st);
}

static void hunt_poison(void *arg, uint32_t row, text *json_out)
{
    sink_batch *b = arg;
    batch_row_json(json_out, &b->rows->rows, b->rows->names, row);
}

static status_class hunt(sink_batch *b, int64_t took_us, status *st)
{
    poison_hunt find = {
        .place = b->place, .n_rows = b->n_rows, .run = hunt_run, .on_poison = hunt_poison, .arg = b};
    b->n_refused = 0;
    b->again = true;
    status_class class = poison_hunt_run(&find, &b->call, took_us, st);
    b->n_poison += find.n_poison;
    return class;
}

status_class sink_batch_deliver(sink_batch *b, status *st)
{
    find_known(b);
    int64_t began_us = clock_monotonic_us();
    status_class class = write_halves(b, 0, b->n_rows, &b->call, st);
    if (class != STATUS_OK && instance_call_suspicious(&b->call))
        class = hunt(b, clock_monotonic_us() - began_us, st);
    return class;
}

void sink_batch_free(sink_batch *b)
{
    free(b->refused);
    b->refused = NULL;
    b->n_refused = b->cap_refused = 0;
}
