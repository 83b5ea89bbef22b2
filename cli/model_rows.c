/* Reads with cli/csv.h. */
#include "model_rows.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "base/utc.h"
#include "complaint.h"

#define ENTITY "file"

typedef struct reading {
    csv_reader csv;
    int time_at, at[MODEL_COLUMNS_MAX];
    int64_t last_us;
    model_rows *out;
} reading;

/* "a,b" into names after _entity and _time. */
static status_class names_split(const char *list, model_rows *out, status *st)
{
    out->names = arena_zero(out->arena, MODEL_COLUMNS_MAX + 2, sizeof *out->names);
    out->names[0] = "_entity";
    out->names[1] = "_time";
    out->n_columns = 2;
    while (*list) {
        size_t len = strcspn(list, ",");
        if (len == 0)
            return status_set(st, STATUS_INVALID, "--columns has an empty name");
        if (out->n_columns == MODEL_COLUMNS_MAX + 2)
            return status_set(st, STATUS_LIMIT, "more than %u columns", MODEL_COLUMNS_MAX);
        out->names[out->n_columns++] = arena_string_n(out->arena, list, len);
        list += len + (list[len] == ',');
    }
    return STATUS_OK;
}

static status_class column_missing(const reading *r, const char *name, status *st)
{
    text have = {0};
    for (size_t i = 0; i < r->csv.n_cells; i++)
        text_printf(&have, "%s%s", i ? ", " : "", csv_cell(&r->csv, i));
    status_set(st, STATUS_INVALID, "the file has no column `%s`", name);
    status_hint(st, "it has %s", text_or_empty(&have));
    text_free(&have);
    return STATUS_INVALID;
}

static status_class header_read(reading *r, const char *time, status *st)
{
    bool more;
    if (csv_next(&r->csv, &more, st) != STATUS_OK)
        return st->class;
    r->time_at = csv_find(&r->csv, time);
    if (r->time_at < 0)
        return column_missing(r, time, st);
    for (uint32_t i = 2; i < r->out->n_columns; i++) {
        r->at[i - 2] = csv_find(&r->csv, r->out->names[i]);
        if (r->at[i - 2] < 0)
            return column_missing(r, r->out->names[i], st);
    }
    return STATUS_OK;
}

static status_class cell_wrong(const reading *r, const char *what, const char *cell, status *st)
{
    char where[40];
    snprintf(where, sizeof where, "line %llu", (unsigned long long)r->csv.line);
    return status_at(st, STATUS_INVALID, where, "`%.60s` is no %s", cell, what);
}

static status_class time_read(reading *r, int64_t *us_out, status *st)
{
    char with_zone[64];
    const char *cell = csv_cell(&r->csv, (size_t)r->time_at);
    if (utc_parse(cell, strlen(cell), us_out))
        return STATUS_OK;
    int len = snprintf(with_zone, sizeof with_zone, "%.50sZ", cell);
    if (utc_parse(with_zone, (size_t)len, us_out))
        return STATUS_OK;
    return cell_wrong(r, "point in time", cell, st);
}

static status_class number_read(const reading *r, uint32_t column, batch_builder *b, status *st)
{
    const char *cell = csv_cell(&r->csv, (size_t)r->at[column - 2]);
    if (!*cell)
        return STATUS_OK; /* stays null */
    char *end;
    double value = strtod(cell, &end);
    if (*end || end == cell)
        return cell_wrong(r, "number", cell, st);
    batch_builder_number(b, column, value);
    return STATUS_OK;
}

static void time_keep(model_rows *out, const char *cell)
{
    if (out->n == out->cap) {
        out->cap = out->cap ? out->cap * 2 : 4096;
        out->times = memory_grow(out->times, out->cap * sizeof *out->times);
    }
    out->times[out->n++] = arena_string(out->arena, cell);
}

static status_class row_read(reading *r, status *st)
{
    model_rows *out = r->out;
    int64_t us = 0;
    if (out->n == MODEL_ROWS_MAX)
        return status_set(st, STATUS_LIMIT, "the file has more than %u rows", MODEL_ROWS_MAX);
    if (time_read(r, &us, st) != STATUS_OK)
        return st->class;
    if (out->n > 0 && us < r->last_us) {
        out->backwards++;
        us = r->last_us;
    }
    r->last_us = us;
    batch_builder_text(out->builder, 0, ENTITY, sizeof ENTITY - 1);
    batch_builder_int64(out->builder, 1, us);
    for (uint32_t i = 2; i < out->n_columns; i++) {
        if (number_read(r, i, out->builder, st) != STATUS_OK)
            return st->class;
    }
    batch_builder_end_row(out->builder);
    time_keep(out, csv_cell(&r->csv, (size_t)r->time_at));
    return STATUS_OK;
}

static status_class rows_read(reading *r, status *st)
{
    bool more = true;
    for (;;) {
        if (csv_next(&r->csv, &more, st) != STATUS_OK)
            return st->class;
        if (!more)
            return STATUS_OK;
        if (row_read(r, st) != STATUS_OK)
            return st->class;
    }
}

static void builder_make(model_rows *out)
{
    out->types = arena_zero(out->arena, out->n_columns, sizeof *out->types);
    for (uint32_t i = 0; i < out->n_columns; i++)
        out->types[i] = i == 0 ? COLUMN_TEXT : i == 1 ? COLUMN_TIMESTAMP : COLUMN_NUMBER;
    out->builder = batch_builder_create(out->types, out->n_columns);
}

status_class model_rows_read(const model_rows_source *source, model_rows *out, status *st)
{
    memset(out, 0, sizeof *out);
    FILE *from = fopen(source->file, "re");
    if (!from)
        return status_errno(st, errno, source->file);
    reading r = {.out = out};
    out->arena = arena_create(1U << 16);
    csv_start(&r.csv, from, source->separator);
    status_class class = names_split(source->columns, out, st);
    if (class == STATUS_OK)
        class = header_read(&r, source->time, st);
    if (class == STATUS_OK) {
        builder_make(out);
        class = rows_read(&r, st);
    }
    if (class == STATUS_OK)
        out->all = batch_builder_freeze(out->builder);
    if (out->backwards)
        say("note: %u rows step back in time; they are taken in the order of the file", out->backwards);
    csv_release(&r.csv);
    fclose(from);
    return class;
}

batch_builder *model_rows_part(const model_rows *r, uint32_t from, uint32_t to)
{
    batch_builder *part = batch_builder_create(r->types, r->n_columns);
    uint32_t *rows = memory_alloc((to - from + 1) * sizeof *rows);
    for (uint32_t i = from; i < to; i++)
        rows[i - from] = i;
    batch_builder_copy_rows(part, &r->all, rows, to - from);
    free(rows);
    return part;
}

void model_rows_free(model_rows *r)
{
    batch_builder_free(r->builder);
    arena_free(r->arena);
    free(r->times);
    memset(r, 0, sizeof *r);
}
