/* Bytes as a body of rows, through several stores: what the drivers of all formats share. Whatever the bytes,
 * every input is a row or a reject, rejects lie inside the body, and what is stored is text that PostgreSQL
 * takes. */
#ifndef PENSTOCK_TESTS_ROWS_INPUT_H
#define PENSTOCK_TESTS_ROWS_INPUT_H
#include <stddef.h>
#include <stdint.h>

#include "flow/decode.h"

/* Schemas: a column of each type and nothing else; one that keeps additional members; one whose rules need
 * the whole row. */
extern const char rows_typed[], rows_open[], rows_whole[];

typedef struct rows_store {
    const char *schema;
    decode_options options;
    decode_plan *plan; /* made on first use, kept */
} rows_store;

/* Ends the process when anything is not as it must be. `columns`: rejects name a column and are not empty. */
void rows_input(rows_store *stores, size_t n, const decode_context *context, int columns, const uint8_t *data,
                size_t size);
#endif
