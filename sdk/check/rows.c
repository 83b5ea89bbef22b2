/* Types are found in a first pass over all rows, values are set in a second. */
#include "check/rows.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/disk.h"
#include "base/utc.h"

#define FILE_MAX_BYTES (256UL << 20)

typedef struct column_seen {
    const char *name;
    pst_type type; /* 0 = only nulls so far */
    int place;
} column_seen;

typedef struct table {
    json_t *rows; /* an array of objects */
    column_seen columns[PST_COLUMNS_MAX];
    size_t n;
} table;

static status_class parse(const char *path, json_t **rows, status *st)
{
    text content = {0};
    if (disk_read(path, FILE_MAX_BYTES, &content, st) != STATUS_OK)
        return st->class;
    *rows = json_array();
    status_class class = STATUS_OK;
    unsigned line = 0;
    for (const char *at = text_or_empty(&content), *next; *at && class == STATUS_OK; at = next) {
        const char *end = strchr(at, '\n');
        next = end ? end + 1 : at + strlen(at);
        line++;
        if (strspn(at, " \t\r") >= (size_t)((end ? end : next) - at))
            continue;
        json_error_t wrong;
        json_t *row = json_loadb(at, (size_t)((end ? end : next) - at), JSON_REJECT_DUPLICATES, &wrong);
        char where[128];
        snprintf(where, sizeof where, "%.100s:%u", path, line);
        if (!json_is_object(row))
            class = status_at(st, STATUS_INVALID, where, "not a JSON object: %s",
                              row ? "something else" : wrong.text);
        json_array_append_new(*rows, row ? row : json_null());
    }
    text_free(&content);
    return class;
}

static pst_type type_of(const json_t *value)
{
    int64_t us;
    switch (json_typeof(value)) {
    case JSON_TRUE:
    case JSON_FALSE:
        return PST_BOOLEAN;
    case JSON_INTEGER:
        return PST_INTEGER;
    case JSON_REAL:
        return PST_NUMBER;
    case JSON_STRING:
        return utc_parse(json_string_value(value), json_string_length(value), &us) ? PST_TIME : PST_TEXT;
    case JSON_NULL:
        return 0;
    default:
        return PST_JSON;
    }
}

static pst_type type_join(pst_type a, pst_type b)
{
    if (!a || !b || a == b)
        return a ? a : b;
    if ((a == PST_INTEGER && b == PST_NUMBER) || (a == PST_NUMBER && b == PST_INTEGER))
        return PST_NUMBER;
    return (a == PST_TIME || a == PST_TEXT) && (b == PST_TIME || b == PST_TEXT) ? PST_TEXT : PST_JSON;
}

static column_seen *column_of(table *t, const char *name)
{
    for (size_t i = 0; i < t->n; i++)
        if (!strcmp(t->columns[i].name, name))
            return &t->columns[i];
    if (t->n == PST_COLUMNS_MAX)
        return NULL;
    t->columns[t->n] = (column_seen){.name = name};
    return &t->columns[t->n++];
}

static bool types_find(table *t)
{
    size_t i;
    json_t *row, *value;
    const char *key;
    json_array_foreach(t->rows, i, row)
    {
        json_object_foreach(row, key, value)
        {
            column_seen *c = column_of(t, key);
            if (!c)
                return false;
            c->type = type_join(c->type, type_of(value));
        }
    }
    return true;
}

static void cell_set(pst_builder *b, const column_seen *c, const json_t *value)
{
    int64_t us = 0;
    char *dumped;
    if (json_is_null(value))
        return;
    switch (c->type) {
    case PST_BOOLEAN:
        pst_builder_set_flag(b, c->place, json_is_true(value));
        return;
    case PST_INTEGER:
        pst_builder_set_int(b, c->place, json_integer_value(value));
        return;
    case PST_NUMBER:
        pst_builder_set_real(b, c->place, json_number_value(value));
        return;
    case PST_TIME:
        utc_parse(json_string_value(value), json_string_length(value), &us);
        pst_builder_set_int(b, c->place, us);
        return;
    case PST_TEXT:
        pst_builder_set_bytes(b, c->place, json_string_value(value), json_string_length(value));
        return;
    default:
        dumped = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        pst_builder_set_text(b, c->place, dumped);
        free(dumped);
    }
}

static void shuffle(json_t *rows, unsigned seed)
{
    size_t n = json_array_size(rows);
    uint64_t state = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    for (size_t i = n; i > 1; i--) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        size_t k = state % i;
        json_t *a = json_incref(json_array_get(rows, i - 1)), *b = json_incref(json_array_get(rows, k));
        json_array_set_new(rows, i - 1, b);
        json_array_set_new(rows, k, a);
    }
}

static void fill(table *t, unsigned repeat, pst_builder *b)
{
    size_t i;
    json_t *row, *value;
    const char *key;
    for (size_t c = 0; c < t->n; c++)
        t->columns[c].place =
            pst_builder_column(b, t->columns[c].name, t->columns[c].type ? t->columns[c].type : PST_NUMBER);
    for (unsigned n = 0; n < repeat; n++) {
        json_array_foreach(t->rows, i, row)
        {
            json_object_foreach(row, key, value)
            {
                cell_set(b, column_of(t, key), value);
            }
            pst_builder_row(b);
        }
    }
}

status_class rows_read(const char *path, unsigned repeat, unsigned seed, pst_batch *out, status *st)
{
    table *t = calloc(1, sizeof *t);
    status_class class = parse(path, &t->rows, st);
    pst_builder *b = pst_builder_create();
    pst_error error = {.struct_size = sizeof error};
    *out = (pst_batch){.struct_size = sizeof *out};
    if (class == STATUS_OK && !types_find(t))
        class = status_set(st, STATUS_INVALID, "%s has more than %d columns", path, PST_COLUMNS_MAX);
    if (class == STATUS_OK && seed)
        shuffle(t->rows, seed);
    if (class == STATUS_OK) {
        fill(t, repeat, b);
        if (pst_builder_finish(b, NULL, (pst_bytes){0}, 0, out, &error) != PST_OK)
            class = status_set(st, STATUS_INVALID, "%s: %s", path, error.message);
    }
    pst_builder_free(b);
    json_decref(t->rows);
    free(t);
    return class;
}

/* ---- Out ---- */

static bool bytes_fit(const pst_column *c, uint32_t row)
{
    return c->offsets[row] >= 0 && c->offsets[row + 1] >= c->offsets[row];
}

/* Not a number and the infinities are no JSON: they go as text, as the host writes them. */
static void number_write(double value, text *out)
{
    if (isfinite(value))
        text_add_json_number(out, value);
    else
        text_add(out, isnan(value) ? "\"NaN\"" : value > 0 ? "\"Infinity\"" : "\"-Infinity\"");
}

static bool cell_write(const pst_column *c, uint32_t row, text *out, char *why, size_t size)
{
    char at[UTC_TEXT_SIZE];
    pst_bytes view;
    if (pst_column_null(c, row)) {
        text_add(out, "null");
        return true;
    }
    switch (c->type) {
    case PST_BOOLEAN:
        text_add(out, pst_column_flag(c, row) ? "true" : "false");
        return true;
    case PST_INT32:
    case PST_INTEGER:
        text_printf(out, "%lld", (long long)pst_column_int(c, row));
        return true;
    case PST_NUMBER:
        number_write(pst_column_real(c, row), out);
        return true;
    case PST_TIME:
        if (pst_column_int(c, row) < UTC_MIN_US || pst_column_int(c, row) > UTC_MAX_US)
            return snprintf(why, size, "column %s, row %u: a time outside the years 1 to 9999", c->name, row),
                   false;
        text_add_json_string(out, at, utc_format(pst_column_int(c, row), at));
        return true;
    default:
        if (!bytes_fit(c, row))
            return snprintf(why, size, "column %s, row %u: its offsets go backwards", c->name, row), false;
        view = pst_column_bytes(c, row);
        if (c->type != PST_BINARY && !utf8_valid(view.data ? view.data : "", view.len))
            return snprintf(why, size, "column %s, row %u: text that is not UTF-8", c->name, row), false;
        if (c->type == PST_JSON)
            text_add_n(out, view.data, view.len);
        else
            text_add_json_string(out, view.data ? view.data : "", view.len);
        return true;
    }
}

static bool columns_check(const pst_batch *b, pst_column *columns, char *why, size_t size)
{
    if (!b->schema.release || !b->array.release)
        return snprintf(why, size, "schema or array has no release callback"), false;
    if (!b->schema.format || strcmp(b->schema.format, "+s") != 0)
        return snprintf(why, size, "the top level is not a struct (+s)"), false;
    if (b->array.offset || b->array.null_count > 0 || b->schema.n_children != b->array.n_children ||
        b->array.n_children > PST_COLUMNS_MAX || b->array.length < 0 || b->array.length > 10000000)
        return snprintf(
                   why, size,
                   "the top-level struct has an offset, nulls, or another number of columns than its schema"),
               false;
    for (int64_t i = 0; i < b->array.n_children; i++) {
        pst_error error = {.struct_size = sizeof error};
        const struct ArrowArray *child = b->array.children[i];
        if (!child || child->offset || child->length != b->array.length)
            return snprintf(why, size, "column %lld has an offset, or another length than the batch",
                            (long long)i),
                   false;
        if (pst_column_at(&b->schema, &b->array, (size_t)i, &columns[i], &error) != PST_OK)
            return snprintf(why, size, "column %lld: %.300s", (long long)i, error.message), false;
        for (int64_t k = 0; k < i; k++)
            if (!strcmp(columns[k].name, columns[i].name))
                return snprintf(why, size, "two columns are called %s", columns[i].name), false;
    }
    return true;
}

bool rows_write(const pst_batch *b, text *out, char *why, size_t why_size)
{
    pst_column *columns = calloc(PST_COLUMNS_MAX, sizeof *columns);
    bool fine = columns_check(b, columns, why, why_size);
    for (uint32_t row = 0; fine && row < b->array.length; row++) {
        for (int64_t i = 0; fine && i < b->array.n_children; i++) {
            text_add_char(out, i ? ',' : '{');
            text_add_json_string(out, columns[i].name, strlen(columns[i].name));
            text_add_char(out, ':');
            fine = cell_write(&columns[i], row, out, why, why_size);
        }
        text_add(out, b->array.n_children ? "}\n" : "{}\n");
    }
    free(columns);
    return fine;
}

void rows_release(pst_batch *b)
{
    if (b->array.release)
        b->array.release(&b->array);
    if (b->schema.release)
        b->schema.release(&b->schema);
    *b = (pst_batch){.struct_size = b->struct_size};
}
