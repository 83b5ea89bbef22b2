/* A few rows into an append-only store by one prepared INSERT … SELECT unnest(binary arrays), which travels
 * with other statements: a COPY is two round trips of its own, and parsed each time. For many rows COPY is
 * cheaper (store/copy.h). */
#ifndef PENSTOCK_STORE_INSERT_H
#define PENSTOCK_STORE_INSERT_H
#include "base/arena.h"
#include "base/batch.h"
#include "store/connection.h"
#include "store/table.h"

typedef struct insert_part { /* rows that came together: their _seq is first_seq + row number */
    const batch *rows;
    int64_t first_seq, received_us;
} insert_part;

/* The statement and its parameters for the rows of all parts, which have the table's columns (and _extra) in
 * order. Both live in `a`; `n` > 0. For datastores. */
statement insert_rows(arena *a, const store_table *table, const insert_part *parts, uint32_t n,
                      value **params_out, unsigned *n_params_out);
#endif
