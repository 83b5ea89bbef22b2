/* A columnar batch: how rows travel through the host from the moment they are decoded.
 *
 * Buffers have the layout of the Arrow columnar format (little-endian, bitmaps least-significant bit first,
 * text as int32 offsets plus bytes), so a batch out of a plugin's arena is a matter of pointers. A batch is
 * plain data; whoever filled it says who owns the buffers (batch_builder owns its own; a decoded journal
 * record borrows). */
#ifndef PENSTOCK_BASE_BATCH_H
#define PENSTOCK_BASE_BATCH_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum column_type {
    COLUMN_BOOLEAN = 1, /* values: bitmap */
    COLUMN_INTEGER,     /* int64_t */
    COLUMN_NUMBER,      /* double */
    COLUMN_TIMESTAMP,   /* int64_t, microseconds since 1970 UTC */
    COLUMN_DATE,        /* int32_t, days since 1970-01-01 */
    COLUMN_UUID,        /* 16 bytes */
    COLUMN_TEXT,        /* offsets + data, UTF-8 without U+0000 */
    COLUMN_JSON,        /* offsets + data, compact JSON text without \u0000 */
} column_type;

typedef struct column {
    column_type type;
    const uint8_t *valid;   /* bitmap, 1 = not null; NULL = no nulls */
    const uint8_t *present; /* bitmap, 1 = the field stood in the input (null or not); NULL = all did */
    const void *values;     /* fixed-width values or the boolean bitmap */
    const int32_t *offsets; /* n_rows + 1, text and JSON only */
    const char *data;
} column;

typedef struct batch {
    uint32_t n_rows, n_columns;
    const column *columns;
} batch;

static inline bool bitmap_get(const uint8_t *bits, uint32_t i)
{
    return bits[i >> 3] >> (i & 7) & 1;
}
static inline bool column_is_null(const column *c, uint32_t row)
{
    return c->valid && !bitmap_get(c->valid, row);
}
static inline bool column_is_present(const column *c, uint32_t row)
{
    return !c->present || bitmap_get(c->present, row);
}
/* Bytes of one fixed-width value; 0 for booleans, text and JSON. */
static inline size_t column_width(column_type type)
{
    switch (type) {
    case COLUMN_INTEGER:
    case COLUMN_NUMBER:
    case COLUMN_TIMESTAMP:
        return 8;
    case COLUMN_DATE:
        return 4;
    case COLUMN_UUID:
        return 16;
    default:
        return 0;
    }
}
#endif
