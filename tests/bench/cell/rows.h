/* The rows of the measurement: `_time`, `_entity`, three numbers and a text; ten entities, sorted by entity
 * and time as a model wants them. The same memory is shown as the host's batch and as Arrow arrays. */
#ifndef PENSTOCK_BENCH_CELL_ROWS_H
#define PENSTOCK_BENCH_CELL_ROWS_H
#include "base/batch.h"
#include "penstock/batch.h"

enum { ROWS_COLUMNS = 6 };

typedef struct rows {
    batch batch;
    column columns[ROWS_COLUMNS];
    struct ArrowSchema schema, fields[ROWS_COLUMNS], *field_of[ROWS_COLUMNS];
    struct ArrowArray array, arrays[ROWS_COLUMNS], *child_of[ROWS_COLUMNS];
    const void *buffers[ROWS_COLUMNS][3], *no_validity[1];
} rows;

extern const char *const rows_names[ROWS_COLUMNS];

rows *rows_make(uint32_t n);
void rows_free(rows *r); /* NULL is fine */
#endif
