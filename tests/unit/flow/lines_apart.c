#include "lines_apart.h"

#include <string.h>

static bool same_value(const column *a, uint32_t i, const column *b)
{
    if (column_is_present(a, i) != column_is_present(b, 0) || column_is_null(a, i) != column_is_null(b, 0))
        return false;
    if (column_is_null(a, i))
        return true;
    if (a->type == COLUMN_BOOLEAN)
        return bitmap_get(a->values, i) == bitmap_get(b->values, 0);
    if (a->type == COLUMN_TEXT || a->type == COLUMN_JSON) {
        size_t len = (size_t)(a->offsets[i + 1] - a->offsets[i]);
        return len == (size_t)b->offsets[1] && memcmp(a->data + a->offsets[i], b->data, len) == 0;
    }
    size_t width = column_width(a->type);
    return memcmp((const char *)a->values + width * i, b->values, width) == 0;
}

static bool same_row(const batch *a, uint32_t i, const batch *b)
{
    for (uint32_t c = 0; c < a->n_columns; c++)
        if (!same_value(&a->columns[c], i, &b->columns[c]))
            return false;
    return true;
}

static bool same_reject(const decode_reject *a, uint64_t line, const decode_reject *b, bool told)
{
    return strcmp(a->code, b->code) == 0 && a->line == line && a->column == b->column &&
           a->length == b->length && (!told || strcmp(a->pointer, b->pointer) == 0);
}

typedef struct apart {
    const decode_plan *plan;
    const decode_context *context;
    decode_result whole;
    uint32_t row;
    size_t reject;
} apart;

static const char *compare(apart *t, const char *from, size_t len, uint64_t line)
{
    decode_result r = {0};
    status st;
    decoder *d = decoder_create();
    const char *differs = NULL;
    if (decode_body(d, t->plan, t->context, from, len, &r, &st) != STATUS_OK || r.n_input > 1)
        differs = "a line alone is no line";
    else if (t->row + r.rows.n_rows > t->whole.rows.n_rows || t->reject + r.n_rejects > t->whole.n_rejects)
        differs = r.n_rejects ? "alone it is refused" : "alone it is taken";
    else if (r.rows.n_rows && !same_row(&t->whole.rows, t->row, &r.rows))
        differs = "another row";
    else if (r.n_rejects &&
             !same_reject(&t->whole.rejects[t->reject], line, r.rejects, t->reject < DECODE_DETAILS_MAX))
        differs = "another reject";
    t->row += r.rows.n_rows;
    t->reject += r.n_rejects;
    decoder_free(d);
    return differs;
}

const char *lines_apart(const decode_plan *plan, const decode_context *context, const char *body, size_t len,
                        uint64_t *line_out)
{
    apart t = {.plan = plan, .context = context};
    status st;
    decoder *d = decoder_create();
    const char *differs = NULL, *end = body + len;
    *line_out = 0;
    if (decode_body(d, plan, context, body, len, &t.whole, &st) == STATUS_OK) {
        for (const char *p = body; p < end && !differs;) {
            const char *newline = memchr(p, '\n', (size_t)(end - p));
            const char *next = newline ? newline + 1 : end;
            differs = compare(&t, p, (size_t)(next - p), ++*line_out);
            p = next;
        }
        if (!differs && (t.row != t.whole.rows.n_rows || t.reject != t.whole.n_rejects))
            differs = "there are more rows in all";
    }
    decoder_free(d);
    return differs;
}
