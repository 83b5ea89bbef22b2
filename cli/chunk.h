/* Cuts a long stream of rows into requests at the ends of records, without looking into the rows.
 *
 * NDJSON is cut at newlines, line protocol at newlines outside a field's quotes, CSV at newlines outside
 * quotes (its header stands before every piece), a JSON array between its elements (every piece is an array
 * again). A JSON text that is no array is one piece. */
#ifndef PENSTOCK_CLI_CHUNK_H
#define PENSTOCK_CLI_CHUNK_H
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/status.h"
#include "base/text.h"

#define CHUNK_BYTES (8U << 20)       /* a piece ends at the last record end before this */
#define CHUNK_RECORD_MAX (15U << 20) /* one record; the server takes bodies of up to 16 MiB */

typedef enum chunk_format { CHUNK_NDJSON, CHUNK_JSON, CHUNK_CSV, CHUNK_LINES } chunk_format;

typedef struct chunk_reader {
    FILE *from;
    chunk_format format;
    size_t target; /* CHUNK_BYTES; tests take less */
    text pending, header;
    size_t scanned, cut; /* cut: end of the last whole record in `pending` */
    uint32_t depth;
    bool quoted, escaped, started, begun, array, array_ended, closed, ended, header_known;
    uint64_t bytes; /* read so far */
} chunk_reader;

void chunk_reader_start(chunk_reader *c, FILE *from, chunk_format format);
void chunk_reader_release(chunk_reader *c);
/* The next piece into `out` (cleared first); *more_out false after the last one. STATUS_LIMIT for a record
 * that is too long, STATUS_INVALID for text after the end of a list. */
status_class chunk_next(chunk_reader *c, text *out, bool *more_out, status *st);
#endif
