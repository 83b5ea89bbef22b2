/* Columns that grow by doubling. Bitmaps are all ones where nothing was said, so that the usual row (every
 * value there) touches no bitmap; null and absent clear a bit, dropping the row sets it again. */
#include "base/batch_builder.h"

#include <stdlib.h>

#define FIRST_ROWS 64U

static bool is_text(column_type type)
{
    return type == COLUMN_TEXT || type == COLUMN_JSON;
}

static size_t value_bytes(column_type type, uint32_t n_rows)
{
    return type == COLUMN_BOOLEAN ? ((size_t)n_rows + 7) / 8 : column_width(type) * n_rows;
}

/* Room for one row more than `cap`: offsets have an end, and the open row lies behind the last one. */
static void grow_column(column_builder *c, uint32_t old_cap, uint32_t cap)
{
    size_t old_bits = old_cap / 8, bits = cap / 8;
    c->valid = memory_grow(c->valid, bits);
    c->present = memory_grow(c->present, bits);
    memset(c->valid + old_bits, 0xff, bits - old_bits);
    memset(c->present + old_bits, 0xff, bits - old_bits);
    if (is_text(c->type)) {
        c->offsets = memory_grow(c->offsets, ((size_t)cap + 1) * sizeof *c->offsets);
        c->offsets[0] = 0;
    } else {
        size_t old_size = value_bytes(c->type, old_cap), size = value_bytes(c->type, cap);
        c->values = memory_grow(c->values, size);
        memset((char *)c->values + old_size, 0, size - old_size);
    }
}

static void grow_rows(batch_builder *b)
{
    assert(b->cap_rows <= UINT32_MAX / 2);
    uint32_t cap = b->cap_rows ? b->cap_rows * 2 : FIRST_ROWS;
    for (uint32_t i = 0; i < b->n_columns; i++)
        grow_column(&b->columns[i], b->cap_rows, cap);
    b->cap_rows = cap;
}

void batch_builder_grow_data(column_builder *c, size_t more)
{
    size_t cap = c->data_cap ? c->data_cap : 256;
    while (cap - c->data_len < more)
        cap *= 2;
    c->data = memory_grow(c->data, cap);
    c->data_cap = cap;
}

static void free_columns(batch_builder *b)
{
    for (uint32_t i = 0; i < b->n_columns; i++) {
        column_builder *c = &b->columns[i];
        free(c->valid);
        free(c->present);
        free(c->values);
        free(c->offsets);
        free(c->data);
    }
    free(b->columns);
    free(b->set);
    free(b->frozen);
}

static void make_columns(batch_builder *b, const column_type *types, uint32_t n_columns)
{
    *b = (batch_builder){.n_columns = n_columns, .n_words = (n_columns + 63) / 64};
    b->columns = memory_zero(n_columns + 1, sizeof *b->columns);
    b->set = memory_zero(b->n_words + 1, sizeof *b->set);
    b->frozen = memory_zero(n_columns + 1, sizeof *b->frozen);
    for (uint32_t i = 0; i < n_columns; i++)
        b->columns[i].type = types[i];
    grow_rows(b);
}

batch_builder *batch_builder_create(const column_type *types, uint32_t n_columns)
{
    batch_builder *b = memory_alloc(sizeof *b);
    make_columns(b, types, n_columns);
    return b;
}

void batch_builder_free(batch_builder *b)
{
    if (!b)
        return;
    free_columns(b);
    free(b);
}

static bool same_types(const batch_builder *b, const column_type *types, uint32_t n_columns)
{
    if (b->n_columns != n_columns)
        return false;
    for (uint32_t i = 0; i < n_columns; i++)
        if (b->columns[i].type != types[i])
            return false;
    return true;
}

void batch_builder_retype(batch_builder *b, const column_type *types, uint32_t n_columns)
{
    if (same_types(b, types, n_columns)) {
        batch_builder_reset(b);
        return;
    }
    free_columns(b);
    make_columns(b, types, n_columns);
}

void batch_builder_reset(batch_builder *b)
{
    size_t used = (size_t)b->n_rows / 8 + 1;
    for (uint32_t i = 0; i < b->n_columns; i++) {
        column_builder *c = &b->columns[i];
        if (c->has_null)
            memset(c->valid, 0xff, used);
        if (c->has_absent)
            memset(c->present, 0xff, used);
        c->has_null = c->has_absent = false;
        c->data_len = 0;
    }
    b->n_rows = 0;
    memset(b->set, 0, b->n_words * sizeof *b->set);
}

void batch_builder_null(batch_builder *b, uint32_t col)
{
    column_builder *c = &b->columns[col];
    uint32_t row = b->n_rows;
    c->has_null = true;
    c->valid[row >> 3] &= (uint8_t) ~(1U << (row & 7));
    if (is_text(c->type))
        c->offsets[row + 1] = (int32_t)c->data_len;
    else if (c->type == COLUMN_BOOLEAN)
        ((uint8_t *)c->values)[row >> 3] &= (uint8_t) ~(1U << (row & 7));
    else
        memset((char *)c->values + column_width(c->type) * row, 0, column_width(c->type));
    batch_builder_mark(b, col);
}

static void fill_absent(batch_builder *b, uint32_t word, uint64_t missing)
{
    for (; missing; missing &= missing - 1) {
        uint32_t col = word * 64 + (uint32_t)__builtin_ctzll(missing);
        column_builder *c = &b->columns[col];
        batch_builder_null(b, col);
        c->has_absent = true;
        c->present[b->n_rows >> 3] &= (uint8_t) ~(1U << (b->n_rows & 7));
    }
}

void batch_builder_end_row(batch_builder *b)
{
    for (uint32_t word = 0; word < b->n_words; word++) {
        uint32_t columns = b->n_columns - word * 64;
        uint64_t all = columns >= 64 ? UINT64_MAX : (UINT64_C(1) << columns) - 1;
        if (b->set[word] != all)
            fill_absent(b, word, all & ~b->set[word]);
        b->set[word] = 0;
    }
    if (++b->n_rows == b->cap_rows)
        grow_rows(b);
}

void batch_builder_drop_row(batch_builder *b)
{
    uint8_t bit = (uint8_t)(1U << (b->n_rows & 7));
    for (uint32_t i = 0; i < b->n_columns; i++) {
        column_builder *c = &b->columns[i];
        c->valid[b->n_rows >> 3] |= bit;
        c->present[b->n_rows >> 3] |= bit;
        if (is_text(c->type))
            c->data_len = (size_t)c->offsets[b->n_rows];
    }
    memset(b->set, 0, b->n_words * sizeof *b->set);
}

static void repeat_text(batch_builder *b, uint32_t col)
{
    column_builder *c = &b->columns[col];
    size_t from = (size_t)c->offsets[b->n_rows - 1], len = (size_t)c->offsets[b->n_rows] - from;
    char *room = batch_builder_text_room(b, col, len + 1); /* may move the data */
    memcpy(room, c->data + from, len);
    batch_builder_text_end(b, col, len);
}

void batch_builder_repeat(batch_builder *b, uint32_t col)
{
    const column_builder *c = &b->columns[col];
    uint32_t row = b->n_rows;
    size_t width = column_width(c->type);
    assert(row > 0);
    if (!bitmap_get(c->present, row - 1))
        return;
    if (!bitmap_get(c->valid, row - 1)) {
        batch_builder_null(b, col);
    } else if (is_text(c->type)) {
        repeat_text(b, col);
    } else if (c->type == COLUMN_BOOLEAN) {
        batch_builder_boolean(b, col, bitmap_get(c->values, row - 1));
    } else {
        memcpy((char *)c->values + width * row, (char *)c->values + width * (row - 1), width);
        batch_builder_mark(b, col);
    }
}

static void copy_value(batch_builder *b, uint32_t col, const column *from, uint32_t row)
{
    if (column_is_null(from, row)) {
        batch_builder_null(b, col);
        return;
    }
    size_t width = column_width(from->type);
    if (is_text(from->type)) {
        int32_t start = from->offsets[row];
        batch_builder_text(b, col, from->data + start, (size_t)(from->offsets[row + 1] - start));
    } else if (from->type == COLUMN_BOOLEAN) {
        batch_builder_boolean(b, col, bitmap_get(from->values, row));
    } else {
        memcpy((char *)b->columns[col].values + width * b->n_rows, (const char *)from->values + width * row,
               width);
        batch_builder_mark(b, col);
    }
}

/* Appends row `row` of a batch with the same column types; the open row must be empty. */
static void batch_builder_copy_row(batch_builder *b, const batch *from, uint32_t row)
{
    assert(from->n_columns == b->n_columns);
    for (uint32_t i = 0; i < b->n_columns; i++) {
        assert(from->columns[i].type == b->columns[i].type);
        if (column_is_present(&from->columns[i], row))
            copy_value(b, i, &from->columns[i], row);
    }
    batch_builder_end_row(b);
}

void batch_builder_copy_rows(batch_builder *b, const batch *from, const uint32_t *rows, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        batch_builder_copy_row(b, from, rows[i]);
}

batch batch_builder_freeze(batch_builder *b)
{
    for (uint32_t i = 0; i < b->n_columns; i++) {
        const column_builder *c = &b->columns[i];
        b->frozen[i] = (column){.type = c->type,
                                .valid = c->has_null ? c->valid : NULL,
                                .present = c->has_absent ? c->present : NULL,
                                .values = c->values,
                                .offsets = c->offsets,
                                .data = c->data ? c->data : ""};
    }
    return (batch){.n_rows = b->n_rows, .n_columns = b->n_columns, .columns = b->frozen};
}

size_t batch_builder_bytes(const batch_builder *b)
{
    size_t total = sizeof *b + b->n_columns * (sizeof *b->columns + sizeof *b->frozen);
    for (uint32_t i = 0; i < b->n_columns; i++) {
        const column_builder *c = &b->columns[i];
        total += b->cap_rows / 4 + c->data_cap;
        total += is_text(c->type) ? ((size_t)b->cap_rows + 1) * 4 : value_bytes(c->type, b->cap_rows);
    }
    return total;
}
