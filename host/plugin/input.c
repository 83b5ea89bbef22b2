/* One copy, from the host's buffers into the arena. Text offsets are rebased, since a view of a larger batch
 * need not begin at 0. */
#include "plugin/input.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "base/utc.h"
#include "penstock/batch.h"

enum { UUID_TEXT = 36 };

static pst_type sent_type(column_type type)
{
    static const pst_type types[] = {
        [COLUMN_BOOLEAN] = PST_BOOLEAN, [COLUMN_INTEGER] = PST_INTEGER, [COLUMN_NUMBER] = PST_NUMBER,
        [COLUMN_TIMESTAMP] = PST_TIME,  [COLUMN_DATE] = PST_DATE,       [COLUMN_UUID] = PST_UUID,
        [COLUMN_TEXT] = PST_TEXT,       [COLUMN_JSON] = PST_JSON,
    };
    return types[type];
}

static void put_text(frame_writer *w, const column *c, uint32_t n)
{
    static const int32_t no_rows;
    const int32_t *from = n ? c->offsets : &no_rows;
    int32_t base = from[0];
    size_t bytes = ((size_t)n + 1) * sizeof *from;
    int32_t *offsets = frame_room(w, FRAME_VALUES, 0, bytes);
    if (offsets && base == 0)
        frame_copy(offsets, from, bytes);
    for (uint32_t i = 0; offsets && base && i <= n; i++)
        offsets[i] = from[i] - base;
    frame_put(w, FRAME_DATA, 0, c->data ? c->data + base : NULL, (size_t)(from[n] - base));
}

static size_t format_uuid(const uint8_t *u, char *out)
{
    static const char digits[] = "0123456789abcdef";
    size_t n = 0;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            out[n++] = '-';
        out[n++] = digits[u[i] >> 4];
        out[n++] = digits[u[i] & 15];
    }
    return n;
}

static size_t format_one(const column *c, uint32_t row, char out[UUID_TEXT + 1])
{
    if (c->type == COLUMN_UUID)
        return format_uuid((const uint8_t *)c->values + 16 * (size_t)row, out);
    return utc_format_date(((const int32_t *)c->values)[row], out);
}

static void put_formatted(frame_writer *w, const column *c, uint32_t n)
{
    text all = {0};
    int32_t *offsets = memory_alloc(((size_t)n + 1) * sizeof *offsets);
    for (uint32_t i = 0; i < n; i++) {
        char one[UUID_TEXT + 1];
        offsets[i] = (int32_t)all.len;
        if (!column_is_null(c, i))
            text_add_n(&all, one, format_one(c, i, one));
    }
    offsets[n] = (int32_t)all.len;
    frame_put(w, FRAME_VALUES, 0, offsets, ((size_t)n + 1) * sizeof *offsets);
    frame_put(w, FRAME_DATA, 0, all.data, all.len);
    free(offsets);
    text_free(&all);
}

static void put_column(frame_writer *w, const char *name, const column *c, uint32_t n)
{
    size_t bits = ((size_t)n + 7) / 8;
    frame_put(w, FRAME_COLUMN, (uint32_t)sent_type(c->type), name, strlen(name) + 1);
    frame_put(w, FRAME_VALID, 0, c->valid, c->valid ? bits : 0);
    if (c->type == COLUMN_TEXT || c->type == COLUMN_JSON)
        put_text(w, c, n);
    else if (c->type == COLUMN_DATE || c->type == COLUMN_UUID)
        put_formatted(w, c, n);
    else
        frame_put(w, FRAME_VALUES, 0, c->values,
                  c->type == COLUMN_BOOLEAN ? bits : n * column_width(c->type));
}

void input_write(frame_writer *w, const instance_input *inputs, size_t n_inputs)
{
    for (size_t k = 0; k < n_inputs; k++) {
        const instance_input *in = &inputs[k];
        frame_batch shape = {.n_rows = in->rows->n_rows, .n_columns = in->rows->n_columns};
        size_t name_len = strlen(in->name) + 1;
        char *head = frame_room(w, FRAME_BATCH, 0, sizeof shape + name_len);
        if (!head)
            return;
        memcpy(head, &shape, sizeof shape);
        memcpy(head + sizeof shape, in->name, name_len);
        for (uint32_t i = 0; i < shape.n_columns; i++)
            put_column(w, in->columns[i], &in->rows->columns[i], shape.n_rows);
    }
}
