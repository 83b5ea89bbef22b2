/* CSV read record by record (RFC 4180, any one-character separator), as texts: where a store decides what
 * columns mean, flow/decode reads it. */
#ifndef PENSTOCK_BASE_CSV_H
#define PENSTOCK_BASE_CSV_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/status.h"
#include "base/text.h"

#define CSV_COLUMNS_MAX 1000
#define CSV_RECORD_MAX (1U << 20) /* bytes of one record */

typedef struct csv_reader {
    FILE *from;
    char separator;
    text bytes; /* the record's cells, each NUL-terminated */
    size_t starts[CSV_COLUMNS_MAX];
    size_t n_cells;
    uint64_t line; /* where the record began, from 1 */
    uint64_t next_line;
} csv_reader;

void csv_start(csv_reader *r, FILE *from, char separator);
void csv_release(csv_reader *r);
/* The next record that is not an empty line; *more_out false at the end. STATUS_INVALID names the line. */
status_class csv_next(csv_reader *r, bool *more_out, status *st);
/* Cells live until the next record. "" for one that is not there. */
const char *csv_cell(const csv_reader *r, size_t i);
/* Position of a name in the current record, or -1. */
int csv_find(const csv_reader *r, const char *name);
#endif
