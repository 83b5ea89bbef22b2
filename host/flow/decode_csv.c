/* Rows out of CSV (RFC 4180): records end at a newline outside quotes, a quoted cell may hold separators,
 * newlines and doubled quotes, an empty cell is no value (empty text, if it is quoted and the column is
 * text).
 *
 * A record that breaks the rules is one rejected row, and reading goes on behind its *first* line: an
 * unclosed quote costs its own line and not all that follow. A line is read at most twice for it, because two
 * unclosed quotes close each other. Cells of a number column may be NaN or infinite, `null` is null but in
 * text; blanks around anything but text do not count. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "base/utc.h"
#include "flow/decode_row.h"

#define CSV_EXTRA (-1)
#define CSV_PASSED (-2)

typedef struct csv_record {
    size_t n_cells;
    const char *end, *next; /* behind the last byte of the record; first byte of the next */
    const char *fault, *at; /* NULL: good */
} csv_record;

static void need_cell(decoder *d, size_t n)
{
    if (n < d->cap_cells)
        return;
    d->cap_cells = d->cap_cells ? d->cap_cells * 2 : 64;
    d->cells = memory_grow(d->cells, d->cap_cells * sizeof *d->cells);
}

/* ---- records ---- */

/* At the opening quote. Returns what stands behind the closing one, NULL if there is none. Cells with doubled
 * quotes are rewritten when they are used. */
static const char *quoted_cell(const char *p, const char *end, csv_cell *cell)
{
    const char *start = ++p;
    while ((p = memchr(p, '"', (size_t)(end - p)))) {
        if (p + 1 == end || p[1] != '"') {
            *cell = (csv_cell){start, (size_t)(p - start), true};
            return p + 1;
        }
        p += 2;
    }
    return NULL;
}

static const char *plain_cell(const char *p, const char *end, char separator, csv_cell *cell)
{
    const char *start = p;
    while (p < end && *p != separator && *p != '\n' && *p != '"')
        p++;
    *cell = (csv_cell){start, (size_t)(p - start), false};
    if (p < end && *p == '\n' && cell->len && p[-1] == '\r')
        cell->len--;
    return p;
}

static csv_record bad_record(decoder *d, const char *from, const char *at, const char *fault)
{
    assert(from);
    const char *newline = memchr(from, '\n', (size_t)(d->body_end - from));
    const char *end = newline ? newline : d->body_end;
    return (csv_record){.end = end, .next = newline ? newline + 1 : end, .fault = fault, .at = at};
}

static csv_record read_record(decoder *d, const char *from)
{
    char separator = d->plan->options.separator;
    const char *p = from, *end = d->body_end;
    csv_record record = {0};
    for (;;) {
        need_cell(d, record.n_cells);
        csv_cell *cell = &d->cells[record.n_cells++];
        const char *cell_at = p;
        p = p < end && *p == '"' ? quoted_cell(p, end, cell) : plain_cell(p, end, separator, cell);
        if (!p)
            return bad_record(d, from, cell_at, "the quote is not closed");
        if ((size_t)(p - from) > d->plan->options.limits.row_bytes)
            return bad_record(d, from, from, "the row is longer than the limit");
        record.end = p;
        if (cell->quoted && end - p >= 2 && p[0] == '\r' && p[1] == '\n')
            p++;
        if (p == end || *p == '\n') {
            record.next = p == end ? p : p + 1;
            return record;
        }
        if (*p != separator)
            return bad_record(
                d, from, p, *p == '"' ? "a quote inside an unquoted cell" : "text behind the closing quote");
        p++;
    }
}

/* The cell's text with doubled quotes made single; lives until the next call. */
static void cell_text(decoder *d, const csv_cell *cell, const char **data_out, size_t *len_out)
{
    *data_out = cell->data;
    *len_out = cell->len;
    if (!cell->quoted || !memchr(cell->data, '"', cell->len))
        return;
    text_clear(&d->unquoted);
    for (size_t i = 0; i < cell->len; i++) {
        text_add_char(&d->unquoted, cell->data[i]);
        i += cell->data[i] == '"';
    }
    *data_out = d->unquoted.data;
    *len_out = d->unquoted.len;
}

/* ---- cells ---- */

static void trim(const char **s, size_t *len)
{
    while (*len && (**s == ' ' || **s == '\t')) {
        (*s)++;
        (*len)--;
    }
    while (*len && ((*s)[*len - 1] == ' ' || (*s)[*len - 1] == '\t'))
        (*len)--;
}

static bool word_is(const char *s, size_t len, const char *word)
{
    return strlen(word) == len && strncasecmp(s, word, len) == 0;
}

static bool special_number(const char *s, size_t len, double *out)
{
    bool minus = len && *s == '-';
    if (len && (*s == '-' || *s == '+')) {
        s++;
        len--;
    }
    if (word_is(s, len, "nan"))
        *out = NAN;
    else if (word_is(s, len, "inf") || word_is(s, len, "infinity"))
        *out = minus ? -INFINITY : INFINITY;
    else
        return false;
    return true;
}

static void put_number_cell(decoder *d, uint32_t column, const char *s, size_t len, const char *at)
{
    char copy[64];
    number_text value;
    double special;
    const plan_column *rule = d->plan->fields[column].rule;
    if (d->plan->options.decimal_comma && len < sizeof copy && memchr(s, ',', len)) {
        memcpy(copy, s, len);
        *(char *)memchr(copy, ',', len) = '.';
        s = copy;
    }
    if (rule->type == COLUMN_NUMBER && special_number(s, len, &special)) {
        row_put_double(d, column, special, at);
        return;
    }
    if (len > 1 && *s == '+') {
        s++;
        len--;
    }
    if (len > d->plan->options.limits.number_bytes)
        row_fail(d, "too_long", d->plan->fields[column].pointer, at, "the number is longer than the limit");
    else if (decimal_read(s, s + len, &value) != s + len)
        row_fail_reason(d, ROW_TYPE, column, at);
    else
        row_put_number(d, column, &value, at);
}

static void put_boolean_cell(decoder *d, uint32_t column, const char *s, size_t len, const char *at)
{
    if (word_is(s, len, "true") || word_is(s, len, "1"))
        row_put_boolean(d, column, true, at);
    else if (word_is(s, len, "false") || word_is(s, len, "0"))
        row_put_boolean(d, column, false, at);
    else
        row_fail_reason(d, ROW_TYPE, column, at);
}

static void put_cell(decoder *d, uint32_t column, const char *s, size_t len, const char *at)
{
    const decode_field *f = &d->plan->fields[column];
    if (f->rule->type != COLUMN_TEXT)
        trim(&s, &len);
    if (f->rule->type != COLUMN_TEXT && word_is(s, len, "null")) {
        row_put_null(d, column, at);
        return;
    }
    switch (f->rule->type) {
    case COLUMN_INTEGER:
    case COLUMN_NUMBER:
        put_number_cell(d, column, s, len, at);
        break;
    case COLUMN_BOOLEAN:
        put_boolean_cell(d, column, s, len, at);
        break;
    case COLUMN_JSON:
        row_put_document(d, column, s, len, at);
        break;
    default:
        if (f->time >= DECODE_TIME_UNIX_S)
            put_number_cell(d, column, s, len, at);
        else
            row_put_text(d, column, s, len, memchr(s, '\0', len) != NULL, at);
    }
}

static void put_extra_cell(decoder *d, const char *name, const char *s, size_t len, const char *at)
{
    text quoted = {0};
    if (memchr(s, '\0', len)) {
        row_fail(d, row_reason_name(ROW_NOT_STORABLE), "", at, "U+0000 cannot be stored");
        return;
    }
    text_add_json_string(&quoted, name, strlen(name));
    row_extra_name(d, quoted.data, quoted.len);
    text_free(&quoted);
    text_add_json_string(&d->extra, s, len);
}

static void read_cell(decoder *d, size_t i)
{
    const csv_cell *cell = &d->cells[i];
    const char *s;
    size_t len;
    int32_t column = d->csv_columns[i];
    if (column == CSV_PASSED)
        return;
    cell_text(d, cell, &s, &len);
    if (len > d->plan->options.limits.text_bytes)
        row_fail(d, "too_long", "", cell->data, "the cell is longer than the limit");
    else if (!utf8_valid(s, len))
        row_fail(d, "csv", "", cell->data, "not UTF-8");
    else if (column == CSV_EXTRA && len)
        put_extra_cell(d, d->csv_names[i], s, len, cell->data);
    else if (column >= 0 && (len || (cell->quoted && d->plan->types[column] == COLUMN_TEXT)))
        put_cell(d, (uint32_t)column, s, len, cell->data);
    else if (column >= 0 && d->plan->fields[column].rule->nullable)
        batch_builder_null(d->builder, (uint32_t)column);
}

/* ---- rules that jansson must see ---- */

static json_t *cell_json(decoder *d, const csv_cell *cell, uint32_t column)
{
    const column_builder *c = &d->builder->columns[column];
    uint32_t row = d->builder->n_rows;
    const char *s;
    size_t len;
    if (!batch_builder_is_set(d->builder, column))
        return NULL;
    if (!bitmap_get(c->valid, row))
        return json_null();
    cell_text(d, cell, &s, &len);
    switch (c->type) {
    case COLUMN_BOOLEAN:
        return json_boolean(bitmap_get(c->values, row));
    case COLUMN_INTEGER:
        return json_integer(((const int64_t *)c->values)[row]);
    case COLUMN_NUMBER:
        return isfinite(((const double *)c->values)[row]) ? json_real(((const double *)c->values)[row])
                                                          : json_null();
    case COLUMN_JSON:
        return json_loadb(c->data + c->offsets[row], (size_t)(c->offsets[row + 1] - c->offsets[row]),
                          JSON_DECODE_ANY, NULL);
    default:
        if (c->type != COLUMN_TEXT)
            trim(&s, &len);
        return json_stringn(s, len);
    }
}

static void fail_checked(decoder *d, row_reason reason, const status *st, const char *pointer, const char *at)
{
    if (reason == ROW_OK)
        return;
    bool wanted = row_wants_detail(d);
    row_fail(d, row_reason_name(reason),
             pointer  ? pointer
             : wanted ? arena_string(d->details, st->where)
                      : "",
             at, wanted ? arena_string(d->details, st->text) : NULL);
}

static void check_deep_cells(decoder *d)
{
    status st = {0};
    for (size_t i = 0; i < d->n_csv_columns && !d->failed; i++) {
        int32_t column = d->csv_columns[i];
        if (column < 0 || !d->plan->fields[column].rule->deep)
            continue;
        json_t *value = cell_json(d, &d->cells[i], (uint32_t)column);
        if (value)
            fail_checked(d, row_plan_check_json(d->plan->fields[column].rule, value, &st), &st,
                         d->plan->fields[column].pointer, d->cells[i].data);
        json_decref(value);
    }
}

static void check_whole_record(decoder *d)
{
    status st = {0};
    json_t *row = json_object();
    for (size_t i = 0; i < d->n_csv_columns; i++) {
        int32_t column = d->csv_columns[i];
        json_t *value = NULL;
        const char *s;
        size_t len;
        if (column >= 0) {
            value = cell_json(d, &d->cells[i], (uint32_t)column);
        } else if (column == CSV_EXTRA && d->cells[i].len) {
            cell_text(d, &d->cells[i], &s, &len);
            value = json_stringn(s, len);
        }
        if (value)
            json_object_set_new(row, d->csv_names[i], value);
    }
    fail_checked(d, row_plan_check_row(d->plan->rows, row, NULL, &st), &st, NULL, d->row_at);
    json_decref(row);
}

/* ---- the header ---- */

static status_class header_name(decoder *d, size_t i, const char *name, size_t len, status *st)
{
    const decode_plan *p = d->plan;
    int32_t column = decode_plan_find(p, name, len, (uint32_t)i);
    for (size_t k = 0; k < i; k++)
        if (strlen(d->csv_names[k]) == len && memcmp(d->csv_names[k], name, len) == 0)
            return status_at(st, STATUS_INVALID, "1:1", "csv: the header names %.*s twice", (int)len, name);
    if (column < 0 && p->options.keep_unmapped)
        column = CSV_PASSED;
    else if (column < 0 && p->extra >= 0)
        column = CSV_EXTRA;
    else if (column < 0)
        return status_at(st, STATUS_INVALID, "1:1", "csv: the store has no column %.*s", (int)len, name);
    d->csv_columns[i] = column;
    d->csv_names[i] = arena_string_n(d->details, name, len);
    return STATUS_OK;
}

static void need_columns(decoder *d, size_t n)
{
    d->n_csv_columns = n;
    d->csv_columns = memory_grow(d->csv_columns, (n + 1) * sizeof *d->csv_columns);
    d->csv_names = memory_grow(d->csv_names, (n + 1) * sizeof *d->csv_names);
}

static status_class given_header(decoder *d, status *st)
{
    const decode_options *o = &d->plan->options;
    need_columns(d, o->n_csv_columns);
    status_class class = STATUS_OK;
    for (size_t i = 0; i < o->n_csv_columns && class == STATUS_OK; i++)
        class = header_name(d, i, o->csv_columns[i], strlen(o->csv_columns[i]), st);
    return class;
}

static status_class header_names(decoder *d, const csv_record *record, status *st)
{
    if (record->fault)
        return status_at(st, STATUS_INVALID, "1:1", "csv: header: %s", record->fault);
    if (record->n_cells > DECODE_CSV_COLUMNS_MAX)
        return status_at(st, STATUS_LIMIT, "1:1", "csv: more than %d columns", DECODE_CSV_COLUMNS_MAX);
    need_columns(d, record->n_cells);
    status_class class = STATUS_OK;
    for (size_t i = 0; i < record->n_cells && class == STATUS_OK; i++) {
        const char *s;
        size_t len;
        cell_text(d, &d->cells[i], &s, &len);
        trim(&s, &len);
        if (!utf8_valid(s, len) || memchr(s, '\0', len))
            return status_at(st, STATUS_INVALID, "1:1", "csv: the header is not text");
        class = header_name(d, i, s, len, st);
    }
    return class;
}

static status_class read_header(decoder *d, const char **p, status *st)
{
    if (*p == d->body_end)
        return status_set(st, STATUS_INVALID, "csv: the body is empty, a header was expected");
    csv_record record = read_record(d, *p);
    status_class class = header_names(d, &record, st);
    *p = record.next;
    if (class == STATUS_OK || !d->header_costs_rows)
        return class;
    d->header_fault = arena_string(d->details, st->text);
    return STATUS_OK;
}

/* ---- rows ---- */

static void read_row(decoder *d, const csv_record *record)
{
    if (d->header_fault) {
        row_fail(d, "csv", "", d->row_at, d->header_fault);
    } else if (record->fault) {
        row_fail(d, "csv", "", record->at, record->fault);
    } else if (record->n_cells != d->n_csv_columns) {
        row_fail(d, "csv", "", d->row_at,
                 row_wants_detail(d) ? arena_printf(d->details, "%zu cells, the header has %zu",
                                                    record->n_cells, d->n_csv_columns)
                                     : NULL);
    } else {
        for (size_t i = 0; i < record->n_cells && !d->failed; i++)
            read_cell(d, i);
        if (!d->failed && d->plan->rows->flat)
            check_deep_cells(d);
        else if (!d->failed)
            check_whole_record(d);
    }
    row_end(d, record->end);
}

static bool blank_record(const char *from, const csv_record *record)
{
    return !record->fault && (record->end == from || (record->end == from + 1 && *from == '\r'));
}

status_class decode_csv(decoder *d, status *st)
{
    const char *p = d->body;
    if (d->body_end - p >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
        p += 3;
    status_class class = d->plan->options.n_csv_columns ? given_header(d, st) : read_header(d, &p, st);
    d->header = (size_t)(p - d->body);
    while (class == STATUS_OK && p < d->body_end) {
        csv_record record = read_record(d, p);
        if (!blank_record(p, &record)) {
            if (d->n_input == d->rows_max)
                return status_set(st, STATUS_LIMIT, "body: more than %u rows", d->rows_max);
            row_begin(d, p);
            read_row(d, &record);
        }
        p = record.next;
    }
    return class;
}
