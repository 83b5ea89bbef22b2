/* Reads no more than the rows that the engine looks at. */
#include "schema_infer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/name.h"
#include "complaint.h"
#include "csv.h"
#include "exit_code.h"
#include "schema/document.h"
#include "schema/infer.h"

const flag schema_infer_flags[] = {
    {"key", 0, "KEY", "the datastore's key; default from the file's name"},
    {"sep", 0, "CHAR", "the separator of a CSV file; default: the likeliest of , ; tab |"},
    {0},
};

/* "/data/Pump rows 1.csv" → "pump_rows_1". */
static void key_guess(const char *file, char key[NAME_KEY_MAX + 1])
{
    const char *name = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
    name_key_from(name, strcspn(name, "."), "rows", key);
}

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

static status_class infer_json(const char *key, const char *file, FILE *from, text *out, status *st)
{
    int first = getc(from);
    json_t *rows = NULL;
    rewind(from);
    status_class class = STATUS_OK;
    if (first == '[') {
        rows = document_read(file, st);
        class = rows ? STATUS_OK : st->class;
    } else {
        rows = json_array();
        class = lines_read(from, rows, st);
    }
    if (class == STATUS_OK)
        class = schema_infer_rows(key, rows, out, st);
    json_decref(rows);
    return class;
}

int schema_infer_run(invocation *inv)
{
    status st;
    text yaml = {0};
    char guessed[NAME_KEY_MAX + 1];
    const char *file = argument(inv, 0);
    key_guess(file, guessed);
    const char *key = flag_text(inv, "key", guessed), *separator = flag_text(inv, "sep", NULL);
    FILE *from = fopen(file, "re");
    if (!from) {
        status_errno(&st, errno, file);
        return complain("the rows cannot be read", &st);
    }
    arena *a = arena_create(0);
    int first = getc(from);
    rewind(from);
    status_class class =
        first == '[' || first == '{'
            ? infer_json(key, file, from, &yaml, &st)
            : infer_csv(key, from, separator ? *separator : separator_guess(from), a, &yaml, &st);
    if (class == STATUS_OK)
        fputs(text_or_empty(&yaml), stdout);
    arena_free(a);
    fclose(from);
    text_free(&yaml);
    return class == STATUS_OK ? EXIT_DONE : complain("no datastore can be proposed", &st);
}
