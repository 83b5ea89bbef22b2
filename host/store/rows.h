/* What a statement gave back. Values are PostgreSQL's text form; accessors turn them into what the host uses.
 * Owned by the caller, released with rows_free. Row and column numbers out of range are our bug and end the
 * process; a value that cannot be what is asked for (a text read as a number) too. Reads may be made by
 * several threads. */
#ifndef PENSTOCK_STORE_ROWS_H
#define PENSTOCK_STORE_ROWS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/batch.h"

typedef struct rows rows;

uint32_t rows_count(const rows *r);
uint32_t rows_columns(const rows *r);
/* Rows that INSERT, UPDATE, DELETE, COPY touched. */
int64_t rows_affected(const rows *r);
const char *rows_name(const rows *r, uint32_t col);
int rows_find(const rows *r, const char *name); /* column number or -1 */
/* The host's type for a column; numeric is COLUMN_NUMBER, whatever has no counterpart COLUMN_TEXT. */
column_type rows_type(const rows *r, uint32_t col);

bool rows_null(const rows *r, uint32_t row, uint32_t col);
const char *rows_text(const rows *r, uint32_t row, uint32_t col); /* NULL for null */
size_t rows_length(const rows *r, uint32_t row, uint32_t col);
int64_t rows_integer(const rows *r, uint32_t row, uint32_t col); /* 0 for null */
double rows_number(const rows *r, uint32_t row, uint32_t col);   /* NaN for null */
bool rows_boolean(const rows *r, uint32_t row, uint32_t col);    /* false for null */
int64_t rows_time_us(const rows *r, uint32_t row, uint32_t col); /* timestamptz or date; 0 for null */
/* text[] → strings in the arena (NULL elements stay NULL); *n_out 0 and NULL for null. */
char **rows_texts(const rows *r, uint32_t row, uint32_t col, arena *a, uint32_t *n_out);
/* bytea → bytes in the arena. */
uint8_t *rows_bytes(const rows *r, uint32_t row, uint32_t col, arena *a, size_t *len_out);
void rows_free(rows *r); /* NULL is fine */

/* For fakes: rows made of text cells, row by row; NULL = null. Copied. */
rows *rows_make(const char *const *names, uint32_t n_columns, const char *const *cells, uint32_t n_rows,
                int64_t affected);
#endif
