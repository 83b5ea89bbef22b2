/* `penstock ingest --dry-run`: reads rows as the server would, without one, and prints a JSON object a row.
 */
#ifndef PENSTOCK_CLI_INGEST_DRY_H
#define PENSTOCK_CLI_INGEST_DRY_H
#include <stdio.h>

#include "flow/decode.h"

typedef struct dry_counts {
    uint64_t rows, rejected;
} dry_counts;

/* {"point": {…}} or {"error": code, "line": n, "column": n, "detail": …} to `to`, in the order of the input.
 * A point of line protocol is {measurement, tags, fields: {name: {type, value}}, time_ns}; of the other
 * formats it is the row. A body that cannot be read as a whole is one error. STATUS_LIMIT: more than
 * DECODE_BODY_MAX bytes. */
status_class ingest_dry(FILE *from, decode_format format, line_precision precision, FILE *to,
                        dry_counts *counts_out, status *st);
#endif
