/* Builds a `batch` row by row without an allocation a row: columns grow by doubling and keep their memory
 * over reset.
 *
 * A row is open from the start and after every batch_builder_end_row. Values of the open row are set in any
 * order, each column at most once (ask batch_builder_is_set); columns that were not set become null and
 * absent at the end of the row; batch_builder_drop_row forgets the open row. Whoever created the builder owns
 * it; a frozen batch borrows the builder's buffers until the next set, reset or free. Not thread-safe. Text
 * and JSON columns hold at most BATCH_TEXT_MAX bytes together: callers bound their input below that. */
#ifndef PENSTOCK_BASE_BATCH_BUILDER_H
#define PENSTOCK_BASE_BATCH_BUILDER_H
#include <assert.h>
#include <string.h>

#include "base/arena.h"
#include "base/batch.h"

#define BATCH_TEXT_MAX INT32_MAX

typedef struct column_builder {
    column_type type;
    bool has_null, has_absent;
    uint8_t *valid, *present; /* all ones until a row is null or absent */
    void *values;
    int32_t *offsets;
    char *data;
    size_t data_len, data_cap;
} column_builder;

typedef struct batch_builder {
    uint32_t n_rows, cap_rows, n_columns, n_words;
    uint64_t *set; /* one bit a column: set in the open row */
    column_builder *columns;
    column *frozen;
} batch_builder;

batch_builder *batch_builder_create(const column_type *types, uint32_t n_columns);
void batch_builder_free(batch_builder *b); /* NULL is fine */
/* Gives the builder other columns and no rows; keeps what memory it can. */
void batch_builder_retype(batch_builder *b, const column_type *types, uint32_t n_columns);
void batch_builder_reset(batch_builder *b); /* no rows; keeps the memory */
/* Closes the open row. */
void batch_builder_end_row(batch_builder *b);
/* Forgets what was set in the open row. */
void batch_builder_drop_row(batch_builder *b);
/* Appends the rows in that order, column by column. */
void batch_builder_copy_rows(batch_builder *b, const batch *from, const uint32_t *rows, uint32_t n);
batch batch_builder_freeze(batch_builder *b);
size_t batch_builder_bytes(const batch_builder *b); /* memory held */

/* For the inline functions only. */
void batch_builder_grow_data(column_builder *c, size_t more);

static inline bool batch_builder_is_set(const batch_builder *b, uint32_t col)
{
    return b->set[col >> 6] >> (col & 63) & 1;
}
static inline void batch_builder_mark(batch_builder *b, uint32_t col)
{
    b->set[col >> 6] |= UINT64_C(1) << (col & 63);
}
/* An explicit null: present, not valid. */
void batch_builder_null(batch_builder *b, uint32_t col);

/* What the row before has there; there must be one. */
void batch_builder_repeat(batch_builder *b, uint32_t col);

static inline void batch_builder_boolean(batch_builder *b, uint32_t col, bool value)
{
    uint8_t *bits = (uint8_t *)b->columns[col].values, mask = (uint8_t)(1U << (b->n_rows & 7));
    if (value)
        bits[b->n_rows >> 3] |= mask;
    else
        bits[b->n_rows >> 3] &= (uint8_t)~mask;
    batch_builder_mark(b, col);
}
/* Integers and timestamps. */
static inline void batch_builder_int64(batch_builder *b, uint32_t col, int64_t value)
{
    ((int64_t *)b->columns[col].values)[b->n_rows] = value;
    batch_builder_mark(b, col);
}
static inline void batch_builder_number(batch_builder *b, uint32_t col, double value)
{
    ((double *)b->columns[col].values)[b->n_rows] = value;
    batch_builder_mark(b, col);
}
static inline void batch_builder_date(batch_builder *b, uint32_t col, int32_t days)
{
    ((int32_t *)b->columns[col].values)[b->n_rows] = days;
    batch_builder_mark(b, col);
}
static inline void batch_builder_uuid(batch_builder *b, uint32_t col, const uint8_t value[16])
{
    memcpy((uint8_t *)b->columns[col].values + (size_t)b->n_rows * 16, value, 16);
    batch_builder_mark(b, col);
}
/* Room for `len` bytes of a text or JSON value of the open row; write them, then batch_builder_text_end with
 * the length used. Nothing else may be appended to this column in between; without the end nothing has
 * happened. */
static inline char *batch_builder_text_room(batch_builder *b, uint32_t col, size_t len)
{
    column_builder *c = &b->columns[col];
    if (c->data_cap - c->data_len < len)
        batch_builder_grow_data(c, len);
    return c->data + c->data_len;
}
static inline void batch_builder_text_end(batch_builder *b, uint32_t col, size_t len)
{
    column_builder *c = &b->columns[col];
    c->data_len += len;
    assert(c->data_len <= BATCH_TEXT_MAX);
    c->offsets[b->n_rows + 1] = (int32_t)c->data_len;
    batch_builder_mark(b, col);
}
static inline void batch_builder_text(batch_builder *b, uint32_t col, const char *data, size_t len)
{
    memcpy(batch_builder_text_room(b, col, len + 1), data, len);
    batch_builder_text_end(b, col, len);
}
#endif
