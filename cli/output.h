/* Results on standard output, in the form that was asked for.
 *
 * A terminal gets an aligned table, anything else a table with tabs; -o json is one document, exactly what
 * the server said; -o ndjson one object a line; -o csv RFC 4180. Cells of tables never carry control
 * characters. */
#ifndef PENSTOCK_CLI_OUTPUT_H
#define PENSTOCK_CLI_OUTPUT_H
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/status.h"
#include "base/text.h"
#include "command.h"

#define OUTPUT_COLUMNS_MAX 1024

typedef enum output_format { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_NDJSON, OUTPUT_CSV } output_format;

typedef struct output {
    FILE *to;
    output_format format;
    bool headers, names_only, aligned, color;
    const char *columns; /* chosen by the user, or NULL */
} output;

/* From the flags, the environment and what standard output is. STATUS_INVALID for an unknown format. */
status_class output_make(const invocation *inv, output *out, status *st);

/* Objects with the columns "key,title,state". A dot reaches inside: "progress.lag_seconds", whose header is
 * "lag seconds" in a table. `document` is what -o json prints, NULL = {"items": …}. STATUS_INVALID if
 * --columns names one that no object has. */
status_class output_items(const output *out, const char *columns, const json_t *items, const json_t *document,
                          status *st);
/* One object, a line a member. */
void output_object(const output *out, const json_t *object);
/* Rows as arrays under named columns (metrics, stores). */
status_class output_rows(const output *out, const json_t *names, const json_t *rows, const json_t *document,
                         status *st);
#endif
