/* Reads no more than the rows that the engine looks at. */
#include "schema/infer_text.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/csv.h"
#include "schema/document.h"

/* The candidate that is most frequent in the first line. */
static char separator_guess(FILE *from)
{
    static const char candidates[] = ",;\t|";
    size_t counts[sizeof candidates] = {0}, best = 0;
    for (int c; (c = getc(from)) != EOF && c != '\n';) {
        const char *at = c ? strchr(candidates, c) : NULL;
        if (at)
            counts[at - candidates]++;
    }
    rewind(from);
    for (size_t i = 0; candidates[i]; i++)
        best = counts[i] > counts[best] ? i : best;
    return candidates[best];
}

static status_class row_keep(const csv_reader *r, size_t n_columns, arena *a, const char **cells)
{
    for (size_t i = 0; i < n_columns; i++)
        cells[i] = arena_string(a, csv_cell(r, i));
    return STATUS_OK;
}

static status_class infer_csv(const char *key, FILE *from, char separator, arena *a, text *out, status *st)
{
    csv_reader r;
    bool more = false;
    size_t n_rows = 0;
    csv_start(&r, from, separator);
    status_class class = csv_next(&r, &more, st);
    size_t n = r.n_cells;
    if (class == STATUS_OK && (!more || n == 0))
        class = status_set(st, STATUS_INVALID, "the file is empty");
    const char **header = arena_zero(a, n + 1, sizeof *header);
    const char **cells = arena_zero(a, n * INFER_ROWS_MAX + 1, sizeof *cells);
    if (class == STATUS_OK)
        class = row_keep(&r, n, a, header);
    while (class == STATUS_OK && n_rows < INFER_ROWS_MAX) {
        class = csv_next(&r, &more, st);
        if (class != STATUS_OK || !more)
            break;
        row_keep(&r, n, a, cells + n_rows++ * n);
    }
    if (class == STATUS_OK)
        class = schema_infer_cells(key, header, n, cells, n_rows, out, st);
    csv_release(&r);
    return class;
}

/* One object a line; a last line without its end is fine. */
static status_class lines_read(FILE *from, json_t *rows, status *st)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t len;
    status_class class = STATUS_OK;
    while (class == STATUS_OK && json_array_size(rows) < INFER_ROWS_MAX &&
           (len = getline(&line, &size, from)) > 0) {
        if (strspn(line, " \t\r\n") == (size_t)len)
            continue;
        json_t *row = document_parse(line, (size_t)len, st);
        class = row ? STATUS_OK : st->class;
        if (row)
            json_array_append_new(rows, row);
    }
    free(line);
    return class;
}

static status_class array_read(FILE *from, json_t **rows_out, status *st)
{
    text all = {0};
    char piece[16384];
    for (size_t n; all.len <= DOCUMENT_BYTES_MAX && (n = fread(piece, 1, sizeof piece, from)) > 0;)
        text_add_n(&all, piece, n);
    *rows_out = document_parse(text_or_empty(&all), all.len, st);
    text_free(&all);
    return *rows_out ? STATUS_OK : st->class;
}

static status_class infer_json(const char *key, bool array, FILE *from, text *out, status *st)
{
    json_t *rows = array ? NULL : json_array();
    status_class class = array ? array_read(from, &rows, st) : lines_read(from, rows, st);
    if (class == STATUS_OK)
        class = schema_infer_rows(key, rows, out, st);
    json_decref(rows);
    return class;
}

status_class schema_infer_text(const char *key, FILE *from, char separator, text *yaml_out, status *st)
{
    int first = getc(from);
    rewind(from);
    if (first == '[' || first == '{')
        return infer_json(key, first == '[', from, yaml_out, st);
    arena *a = arena_create(0);
    status_class class = infer_csv(key, from, separator ? separator : separator_guess(from), a, yaml_out, st);
    arena_free(a);
    return class;
}
