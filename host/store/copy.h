/* Encodes a columnar batch as the bytes of COPY … (FORMAT binary): the hot path of storing rows.
 * One pass, no allocation a row, into a buffer that the caller keeps and reuses. Types as table.h says; JSON
 * goes as jsonb. text buffer = {0}; copy_encode(&buffer, batch, &(copy_rows){.system = true, .first_seq = …,
 * .received_us = …}); copy_send(connection, sql, &buffer, &stored, st); */
#ifndef PENSTOCK_STORE_COPY_H
#define PENSTOCK_STORE_COPY_H
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/batch.h"
#include "base/text.h"
#include "store/connection.h"
#include "store/table.h"

typedef struct copy_rows {
    const uint32_t *order; /* rows to send, in this order; NULL = all, as they stand */
    uint32_t n_rows;       /* of `order`; ignored when it is NULL */
    bool system;           /* append _seq = first_seq + row number and _received = received_us */
    int64_t first_seq;
    int64_t received_us;
} copy_rows;

/* Replaces what is in `out` by header, rows and trailer. Columns go in the batch's order. */
void copy_encode(text *out, const batch *b, const copy_rows *rows);
/* The same in parts, for several batches in one COPY: begin, add …, finish. */
void copy_begin(text *out);
void copy_add(text *out, const batch *b, const copy_rows *rows);
void copy_finish(text *out);
/* COPY "schema"."relation" ("a", "b", …) FROM STDIN (FORMAT binary): for a batch whose columns are those of
 * the table (and _extra when it has one) in order. */
void copy_statement(text *out, const store_table *table);
status_class copy_send(connection *c, const char *sql, const text *bytes, int64_t *stored_out, status *st);

/* One column of a batch as a binary PostgreSQL array, for unnest(). Appends to `out`. */
void copy_encode_array(text *out, const column *c, const copy_rows *rows, uint32_t batch_rows);
/* Microseconds since 1970 as a parameter of the type timestamptz[]; its bytes lie in the arena. */
value copy_times_value(arena *a, const int64_t *times, uint32_t n);
/* Presence of one column as boolean[]. */
void copy_encode_presence(text *out, const column *c, const copy_rows *rows, uint32_t batch_rows);
#endif
