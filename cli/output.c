/* Tables, JSON, NDJSON and CSV from JSON values. Tables are collected first, because alignment needs every
 * width. */
#include "output.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/name.h"
#include "json_text.h"

typedef struct grid {
    text *cells; /* n_rows × n_columns */
    size_t n_rows, n_columns;
    char **names;
} grid;

static status_class format_parse(const char *word, output_format *out, status *st)
{
    static const char *const words[] = {"table", "json", "ndjson", "csv"};
    for (size_t i = 0; i < 4; i++) {
        if (strcmp(word, words[i]) == 0) {
            *out = (output_format)i;
            return STATUS_OK;
        }
    }
    status_set(st, STATUS_INVALID, "-o knows table, json, ndjson and csv, not `%s`", word);
    const char *near = name_suggest(word, words, 4);
    return near ? status_hint(st, "did you mean -o %s?", near) : STATUS_INVALID;
}

static bool color_wanted(const invocation *inv, bool terminal)
{
    const char *when = flag_text(inv, "color", "auto"), *term = getenv("TERM"), *no = getenv("NO_COLOR");
    if (strcmp(when, "always") == 0)
        return true;
    bool dumb = !term || strcmp(term, "dumb") == 0;
    return terminal && !dumb && !(no && *no) && strcmp(when, "never") != 0;
}

status_class output_make(const invocation *inv, output *out, status *st)
{
    bool terminal = isatty(STDOUT_FILENO);
    *out = (output){.to = stdout,
                    .headers = !flag_given(inv, "no-headers"),
                    .names_only = flag_given(inv, "quiet"),
                    .aligned = terminal,
                    .color = color_wanted(inv, terminal),
                    .columns = flag_text(inv, "columns", NULL)};
    return format_parse(flag_text(inv, "output", "table"), &out->format, st);
}

static void cell_clean(text *cell)
{
    for (size_t i = 0; i < cell->len; i++) {
        unsigned char c = (unsigned char)cell->data[i];
        if (c < 0x20 || c == 0x7F)
            cell->data[i] = ' ';
        else if (c == 0xC2 && i + 1 < cell->len && (unsigned char)cell->data[i + 1] < 0xA0)
            cell->data[i] = cell->data[i + 1] = ' '; /* C1 controls: terminals obey them too */
    }
}

static void csv_quote(text *cell)
{
    if (!cell->data || !strpbrk(cell->data, ",\"\r\n"))
        return;
    text quoted = {0};
    text_add_char(&quoted, '"');
    for (const char *s = cell->data; *s; s++) {
        if (*s == '"')
            text_add_char(&quoted, '"');
        text_add_char(&quoted, *s);
    }
    text_add_char(&quoted, '"');
    text_free(cell);
    *cell = quoted;
}

static void value_add(text *cell, const json_t *value)
{
    if (!value || json_is_null(value))
        return;
    if (json_is_string(value))
        text_add(cell, json_string_value(value));
    else
        json_text_add(cell, value, false);
}

/* One value as a cell of a table or of CSV. */
/* What people want to see of a list: its words, or the names of what it holds. */
static void list_add(text *cell, const json_t *list)
{
    size_t i;
    json_t *item;
    json_array_foreach((json_t *)list, i, item)
    {
        const json_t *name = json_object_get(item, "name");
        text_add(cell, i ? ", " : "");
        value_add(cell, name ? name : item);
    }
}

static void cell_finish(const output *out, text *cell)
{
    if (out->format == OUTPUT_CSV)
        csv_quote(cell);
    else
        cell_clean(cell);
}

/* A member of an object; values of rows are data and stay as they are. */
static void member_cell(const output *out, const json_t *value, text *cell)
{
    if (out->format == OUTPUT_TABLE && json_is_array(value))
        list_add(cell, value);
    else
        value_add(cell, value);
    cell_finish(out, cell);
}

/* "a.b" inside an object. */
static const json_t *member(const json_t *object, const char *path)
{
    const json_t *whole = json_object_get(object, path);
    if (whole)
        return whole;
    char name[128];
    const char *dot = strchr(path, '.');
    if (!dot || (size_t)(dot - path) >= sizeof name)
        return NULL;
    snprintf(name, sizeof name, "%.*s", (int)(dot - path), path);
    return member(json_object_get(object, name), dot + 1);
}

static grid grid_make(size_t n_rows, size_t n_columns)
{
    return (grid){memory_zero(n_rows * n_columns + 1, sizeof(text)), n_rows, n_columns,
                  memory_zero(n_columns + 1, sizeof(char *))};
}

static void grid_free(grid *g)
{
    for (size_t i = 0; i < g->n_rows * g->n_columns; i++)
        text_free(&g->cells[i]);
    for (size_t i = 0; i < g->n_columns; i++)
        free(g->names[i]);
    free(g->cells);
    free(g->names);
}

static size_t utf8_width(const text *cell)
{
    size_t width = 0;
    for (size_t i = 0; i < cell->len; i++)
        width += ((unsigned char)cell->data[i] & 0xC0) != 0x80;
    return width;
}

static size_t column_width_of(const grid *g, size_t column, bool headers)
{
    size_t widest = headers ? strlen(g->names[column]) : 0;
    for (size_t row = 0; row < g->n_rows; row++) {
        size_t width = utf8_width(&g->cells[row * g->n_columns + column]);
        widest = width > widest ? width : widest;
    }
    return widest;
}

static void cell_print(const output *out, const char *data, size_t width, size_t wide, bool last)
{
    fputs(data, out->to);
    if (last) {
        fputc('\n', out->to);
    } else if (out->format == OUTPUT_CSV) {
        fputc(',', out->to);
    } else if (!out->aligned) {
        fputc('\t', out->to);
    } else {
        fprintf(out->to, "%*s", (int)(wide - width + 2), "");
    }
}

/* What stands above the column "use.lag_seconds": in a table "lag seconds", unless the user wrote the name.
 */
static char *column_header(const output *out, const char *name)
{
    if (out->format == OUTPUT_CSV || out->columns)
        return memory_string(name);
    const char *dot = strrchr(name, '.');
    char *header = memory_string(dot ? dot + 1 : name);
    for (char *c = header; *c; c++)
        *c = *c == '_' ? ' ' : *c;
    return header;
}

static void grid_print(const output *out, const grid *g)
{
    size_t *widths = memory_zero(g->n_columns + 1, sizeof *widths);
    for (size_t c = 0; c < g->n_columns && out->aligned; c++)
        widths[c] = column_width_of(g, c, out->headers);
    bool bold = out->color && out->format == OUTPUT_TABLE;
    if (out->headers && !out->names_only) {
        fputs(bold ? "\033[1m" : "", out->to);
        for (size_t c = 0; c < g->n_columns; c++)
            cell_print(out, g->names[c], strlen(g->names[c]), widths[c], c + 1 == g->n_columns);
        fputs(bold ? "\033[0m" : "", out->to);
    }
    for (size_t i = 0; i < g->n_rows * g->n_columns; i++) {
        size_t c = i % g->n_columns;
        cell_print(out, text_or_empty(&g->cells[i]), utf8_width(&g->cells[i]), widths[c],
                   c + 1 == g->n_columns);
    }
    free(widths);
}

static size_t names_split(const char *list, char **names)
{
    size_t n = 0;
    while (list && *list && n < OUTPUT_COLUMNS_MAX) {
        size_t len = strcspn(list, ",");
        names[n] = memory_alloc(len + 1);
        memcpy(names[n], list, len);
        names[n++][len] = '\0';
        list += len + (list[len] == ',');
    }
    return n;
}

static void json_print(const output *out, const json_t *value, bool pretty)
{
    text line = {0};
    json_text_add(&line, value, pretty);
    fputs(line.data, out->to);
    fputc('\n', out->to);
    text_free(&line);
}

static void lines_print(const output *out, const json_t *items)
{
    size_t i;
    json_t *item;
    json_array_foreach((json_t *)items, i, item)
    {
        json_print(out, item, false);
    }
}

static bool column_exists(const json_t *items, const char *name)
{
    size_t i;
    json_t *item;
    json_array_foreach((json_t *)items, i, item)
    {
        if (member(item, name))
            return true;
    }
    return json_array_size(items) == 0;
}

static status_class columns_check(const output *out, char **names, size_t n, const json_t *items, status *st)
{
    for (size_t c = 0; out->columns && c < n; c++) {
        if (!column_exists(items, names[c]))
            return status_set(st, STATUS_INVALID, "there is no column `%s`", names[c]);
    }
    return STATUS_OK;
}

static status_class items_table(const output *out, const char *columns, const json_t *items, status *st)
{
    char *names[OUTPUT_COLUMNS_MAX];
    size_t n = names_split(out->columns ? out->columns : columns, names);
    status_class class = columns_check(out, names, n, items, st);
    grid g = grid_make(json_array_size(items), out->names_only ? 1 : n);
    for (size_t c = 0; c < n; c++) {
        if (c < g.n_columns)
            g.names[c] = names[c];
        else
            free(names[c]);
    }
    for (size_t i = 0; class == STATUS_OK && i < g.n_rows * g.n_columns; i++)
        member_cell(out, member(json_array_get(items, i / g.n_columns), g.names[i % g.n_columns]),
                    &g.cells[i]);
    for (size_t c = 0; c < g.n_columns; c++) {
        char *header = column_header(out, g.names[c]);
        free(g.names[c]);
        g.names[c] = header;
    }
    if (class == STATUS_OK)
        grid_print(out, &g);
    grid_free(&g);
    return class;
}

status_class output_items(const output *out, const char *columns, const json_t *items, const json_t *document,
                          status *st)
{
    if (out->format == OUTPUT_JSON && !out->names_only) {
        json_t *made = document ? json_incref((json_t *)document) : json_pack("{s:O}", "items", items);
        json_print(out, made, true);
        json_decref(made);
        return STATUS_OK;
    }
    if (out->format == OUTPUT_NDJSON && !out->names_only) {
        lines_print(out, items);
        return STATUS_OK;
    }
    return items_table(out, columns, items, st);
}

void output_object(const output *out, const json_t *object)
{
    if (out->format == OUTPUT_JSON || out->format == OUTPUT_NDJSON || !json_is_object(object)) {
        json_print(out, object, out->format != OUTPUT_NDJSON);
        return;
    }
    output lines = *out;
    lines.headers = false;
    grid g = grid_make(json_object_size(object), 2);
    g.names[0] = memory_string("field");
    g.names[1] = memory_string("value");
    const char *key;
    json_t *value;
    size_t row = 0;
    json_object_foreach((json_t *)object, key, value)
    {
        text_add(&g.cells[2 * row], key);
        member_cell(out, value, &g.cells[2 * row++ + 1]);
    }
    grid_print(&lines, &g);
    grid_free(&g);
}

/* Rows as objects, for NDJSON. */
static void rows_lines(const output *out, const json_t *names, const json_t *rows)
{
    size_t i, c;
    json_t *row, *name;
    json_array_foreach((json_t *)rows, i, row)
    {
        json_t *object = json_object();
        json_array_foreach((json_t *)names, c, name)
        {
            json_object_set(object, json_string_value(name), json_array_get(row, c));
        }
        json_print(out, object, false);
        json_decref(object);
    }
}

/* Position of a column by name, or -1. */
static int column_at(const json_t *names, const char *name)
{
    for (size_t i = 0; i < json_array_size(names); i++) {
        if (strcmp(json_string_value(json_array_get(names, i)), name) == 0)
            return (int)i;
    }
    return -1;
}

/* Fills `at` with the positions to show; 0 and a status if --columns names an unknown one. */
static size_t positions(const output *out, const json_t *names, int *at, status *st)
{
    size_t n = json_array_size(names);
    if (n > OUTPUT_COLUMNS_MAX)
        n = OUTPUT_COLUMNS_MAX;
    for (size_t i = 0; i < n; i++)
        at[i] = (int)i;
    if (!out->columns)
        return n;
    char *chosen[OUTPUT_COLUMNS_MAX];
    n = names_split(out->columns, chosen);
    bool known = true;
    for (size_t i = 0; i < n; i++) {
        at[i] = column_at(names, chosen[i]);
        if (at[i] < 0 && known) {
            status_set(st, STATUS_INVALID, "there is no column `%s`", chosen[i]);
            known = false;
        }
        free(chosen[i]);
    }
    return known ? n : 0;
}

status_class output_rows(const output *out, const json_t *names, const json_t *rows, const json_t *document,
                         status *st)
{
    if (out->format == OUTPUT_JSON) {
        json_print(out, document, true);
        return STATUS_OK;
    }
    if (out->format == OUTPUT_NDJSON) {
        rows_lines(out, names, rows);
        return STATUS_OK;
    }
    int at[OUTPUT_COLUMNS_MAX];
    size_t n = positions(out, names, at, st);
    if (n == 0)
        return json_array_size(names) ? st->class : STATUS_OK;
    grid g = grid_make(json_array_size(rows), n);
    for (size_t c = 0; c < n; c++)
        g.names[c] = memory_string(json_string_value(json_array_get(names, (size_t)at[c])));
    for (size_t i = 0; i < g.n_rows * n; i++) {
        value_add(&g.cells[i], json_array_get(json_array_get(rows, i / n), (size_t)at[i % n]));
        cell_finish(out, &g.cells[i]);
    }
    grid_print(out, &g);
    grid_free(&g);
    return STATUS_OK;
}
