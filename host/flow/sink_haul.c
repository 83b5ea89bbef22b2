#include "flow/sink_haul.h"

#include "control/definition.h"
#include "flow/store_rows.h"

enum { SPAN_FIRST = 65536, SPAN_GROWS = 8, SPAN_BATCHES = 2 };

void sink_search_begin(sink_search *s, uint64_t seq)
{
    s->seen = seq;
    s->span = SPAN_FIRST;
}

static const int64_t *from_behind(const metric_result *r, uint32_t n)
{
    return r->rows.columns[r->rows.n_columns - n].values;
}

const int64_t *sink_haul_seqs(const metric_result *rows)
{
    return from_behind(rows, 2);
}

const int64_t *sink_haul_received(const metric_result *rows)
{
    return from_behind(rows, 1);
}

static size_t cell_bytes(const column *c, uint32_t row)
{
    size_t width = column_width(c->type);
    return width ? width : c->offsets ? (size_t)(c->offsets[row + 1] - c->offsets[row]) + 4 : 1;
}

/* How many rows make a batch by their bytes; at least one. */
static uint32_t rows_that_fit(const batch *rows, size_t most)
{
    size_t bytes = 0;
    for (uint32_t row = 0; row < rows->n_rows; row++) {
        for (uint32_t i = 0; i < rows->n_columns; i++)
            bytes += cell_bytes(&rows->columns[i], row);
        if (bytes > most && row > 0)
            return row;
    }
    return rows->n_rows;
}

static void measure(const sink_search *s, sink_haul *h, uint64_t upto)
{
    h->n = rows_that_fit(&h->rows.rows, s->bytes_max);
    h->full = h->n < h->rows.rows.n_rows || h->n == s->rows_max;
    h->last = h->n && h->full ? (uint64_t)sink_haul_seqs(&h->rows)[h->n - 1] : upto;
    h->oldest_us = h->n ? sink_haul_received(&h->rows)[0] : 0;
}

/* As far as a few batches like this one reach. */
static uint64_t span_after(const sink_search *s, uint64_t last)
{
    uint64_t reach = (last - s->seen) * SPAN_BATCHES;
    return reach > s->rows_max ? reach : s->rows_max;
}

status_class sink_search_next(sink_search *s, connection *c, uint64_t limit, arena *a, sink_haul *out,
                              status *st)
{
    bool tree = s->table->n_unique > 0;
    while (s->seen < limit) {
        uint64_t upto = tree || limit - s->seen <= s->span ? limit : s->seen + s->span, last;
        metric_result_free(&out->rows);
        status_class class =
            store_rows_between(s->table, c, s->seen, upto, s->rows_max, a, &out->rows, &last, st);
        if (class != STATUS_OK)
            return class;
        uint32_t n = out->rows.rows.n_rows;
        if (n == s->rows_max || (n && upto == limit)) {
            s->span = n == s->rows_max ? span_after(s, last) : s->span;
            measure(s, out, upto);
            return STATUS_OK;
        }
        s->span = upto < limit ? s->span * SPAN_GROWS : s->span;
        s->seen = n ? s->seen : upto;
    }
    return STATUS_OK;
}

status_class sink_search_noted(const sink_search *s, connection *c, uint64_t seq, uint64_t upto, arena *a,
                               sink_haul *out, status *st)
{
    uint64_t last;
    status_class class =
        store_rows_between(s->table, c, seq, upto, SINK_BATCH_ROWS_MAX, a, &out->rows, &last, st);
    if (class != STATUS_OK)
        return class;
    measure(s, out, upto);
    out->n = out->rows.rows.n_rows;
    out->last = upto;
    out->full = true;
    return STATUS_OK;
}
