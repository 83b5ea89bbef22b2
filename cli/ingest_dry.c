/* Line protocol is shown as its reader sees it, before any store; the other formats go through the decoder of
 * a store without columns, which keeps every member. */
#include "ingest_dry.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "flow/json_names.h"
#include "schema/compile.h"
#include "schema/document.h"

enum { READ_BYTES = 1 << 16 };

static status_class read_all(FILE *from, text *out, status *st)
{
    size_t n;
    do {
        text_reserve(out, READ_BYTES);
        n = fread(out->data + out->len, 1, READ_BYTES - 1, from);
        out->len += n;
        out->data[out->len] = '\0';
        if (out->len > DECODE_BODY_MAX)
            return status_set(st, STATUS_LIMIT, "input: more than %u bytes", DECODE_BODY_MAX);
    } while (n > 0);
    return ferror(from) ? status_set(st, STATUS_UNAVAILABLE, "input: it cannot be read") : STATUS_OK;
}

static void print_line(FILE *to, json_t *o)
{
    char *line = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17));
    fprintf(to, "%s\n", line ? line : "null");
    free(line);
    json_decref(o);
}

static void print_error(FILE *to, const char *code, uint64_t line, uint32_t column, const char *detail)
{
    json_t *o =
        json_pack("{s:s, s:I, s:I}", "error", code, "line", (json_int_t)line, "column", (json_int_t)column);
    json_t *sentence = json_string(detail);
    json_object_set_new(o, "detail", sentence ? sentence : json_string(code));
    print_line(to, o);
}

/* ---- line protocol ---- */

typedef struct lines {
    line_reader reader;
    json_names *names;
    const char *counted, *line_at; /* newlines before `counted` are in `line` */
    uint64_t line;
    dry_counts *counts;
    FILE *to;
} lines;

static void count_to(lines *l, const char *at)
{
    const char *newline;
    while (l->counted < at && (newline = memchr(l->counted, '\n', (size_t)(at - l->counted)))) {
        l->line++;
        l->counted = l->line_at = newline + 1;
    }
}

static json_t *value_json(const line_value *v)
{
    static const char *const kinds[] = {"float", "int", "uint", "bool", "string"};
    json_t *value = v->kind == LINE_FLOAT    ? json_real(decimal_double(&v->number))
                    : v->kind == LINE_BOOL   ? json_boolean(v->truth)
                    : v->kind == LINE_STRING ? json_stringn(v->string.data, v->string.len)
                                             : json_stringn(v->number.text, v->number.len);
    return json_pack("{s:s, s:o*}", "type", kinds[v->kind], "value", value);
}

static bool fail_twice(line_reader *r, const char *code, const char *detail)
{
    r->code = code;
    r->at = r->part_at;
    r->detail = detail;
    return false;
}

static bool read_tags(lines *l, json_t *tags)
{
    line_text key, value;
    line_step step;
    while ((step = line_reader_tag(&l->reader, &key, &value)) == LINE_GOT) {
        if (json_names_add(l->names, 0, key.data, key.len))
            return fail_twice(&l->reader, "duplicate_tag", "the line has two tags of this name");
        json_object_setn_new(tags, key.data, key.len, json_stringn(value.data, value.len));
    }
    return step == LINE_NONE;
}

static bool read_fields(lines *l, json_t *fields)
{
    line_text key;
    line_value value;
    line_step step;
    while ((step = line_reader_field(&l->reader, &key, &value)) == LINE_GOT) {
        if (json_names_add(l->names, 1, key.data, key.len))
            return fail_twice(&l->reader, "duplicate_field", "the line has two fields of this name");
        json_object_setn_new(fields, key.data, key.len, value_json(&value));
    }
    return step == LINE_NONE;
}

static bool read_point(lines *l, line_precision precision, json_t *point)
{
    line_text name;
    char time[24];
    int64_t ns = 0;
    json_t *tags = json_object(), *fields = json_object();
    json_object_set_new(point, "tags", tags);
    json_object_set_new(point, "fields", fields);
    if (!line_reader_measurement(&l->reader, &name))
        return false;
    json_object_set_new(point, "measurement", json_stringn(name.data, name.len));
    if (!read_tags(l, tags) || !read_fields(l, fields))
        return false;
    line_step step = line_reader_time(&l->reader, precision, &ns);
    snprintf(time, sizeof time, "%" PRId64, ns);
    json_object_set_new(point, "time_ns", step == LINE_GOT ? json_string(time) : json_null());
    return step != LINE_BAD;
}

static void show_line(lines *l, line_precision precision)
{
    json_t *point = json_object();
    json_names_clear(l->names);
    l->counts->rows++;
    if (read_point(l, precision, point)) {
        print_line(l->to, json_pack("{s:O}", "point", point));
    } else {
        const line_reader *r = &l->reader;
        count_to(l, r->at);
        l->counts->rejected++;
        print_error(l->to, r->code, l->line, (uint32_t)(r->at - l->line_at) + 1, r->detail);
        line_reader_skip(&l->reader);
    }
    json_decref(point);
}

static void show_lines(const text *body, line_precision precision, FILE *to, dry_counts *counts)
{
    static const line_limits limits = LINE_LIMITS_DEFAULT;
    const char *data = text_or_empty(body);
    lines l = {.names = json_names_create(), .counted = data, .line_at = data, .line = 1, .to = to};
    l.counts = counts;
    line_reader_text(&l.reader, data, body->len, &limits);
    while (line_reader_next(&l.reader))
        show_line(&l, precision);
    line_reader_close(&l.reader);
    json_names_free(l.names);
}

/* ---- the other formats ---- */

static void print_row(FILE *to, const batch *rows, uint32_t row)
{
    const column *c = &rows->columns[0]; /* `_extra` */
    if (column_is_null(c, row))
        fprintf(to, "{\"point\":{}}\n");
    else
        fprintf(to, "{\"point\":%.*s}\n", (int)(c->offsets[row + 1] - c->offsets[row]),
                c->data + c->offsets[row]);
}

static void show_result(const decode_result *r, FILE *to)
{
    uint32_t row = 0;
    size_t reject = 0;
    for (uint64_t n = 1; n <= r->n_input; n++)
        if (reject < r->n_rejects && r->rejects[reject].row == n) {
            const decode_reject *e = &r->rejects[reject++];
            print_error(to, e->code, e->line, e->column, e->detail);
        } else {
            print_row(to, &r->rows, row++);
        }
}

static void show_refusal(const status *why, decode_format format, FILE *to)
{
    unsigned long line = 1, column = 1;
    char *end;
    line = strtoul(why->where, &end, 10);
    column = *end == ':' ? strtoul(end + 1, NULL, 10) : 1;
    print_error(to, why->class == STATUS_LIMIT ? "too_long" : decode_format_name(format), line ? line : 1,
                (uint32_t)column, why->text);
}

static status_class show_rows(const text *body, decode_format format, FILE *to, dry_counts *counts,
                              status *st)
{
    static const char any[] = "{\"type\":\"object\"}";
    decode_options options = {.format = format,
                              .past_us = DECODE_ANY,
                              .future_us = DECODE_ANY,
                              .limits = {.body_bytes = DECODE_BODY_MAX, .rows = UINT32_MAX}};
    decode_context context = {.now_us = clock_wall_us()};
    decode_result result;
    json_t *document = document_parse(any, sizeof any - 1, st);
    schema *compiled = document ? schema_compile(document, NULL, st) : NULL;
    row_plan *rows = compiled ? row_plan_make(compiled, st) : NULL;
    decode_plan *plan = rows ? decode_plan_create(rows, &options, st) : NULL;
    decoder *d = decoder_create();
    if (plan && decode_body(d, plan, &context, text_or_empty(body), body->len, &result, st) == STATUS_OK) {
        show_result(&result, to);
        *counts = (dry_counts){result.n_input, result.n_rejects};
    } else if (plan) {
        show_refusal(st, format, to);
        *counts = (dry_counts){1, 1};
    }
    decoder_free(d);
    decode_plan_free(plan);
    row_plan_free(rows);
    json_decref(document);
    return plan ? STATUS_OK : st->class;
}

status_class ingest_dry(FILE *from, decode_format format, line_precision precision, FILE *to,
                        dry_counts *counts_out, status *st)
{
    text body = {0};
    *counts_out = (dry_counts){0};
    status_class class = read_all(from, &body, st);
    if (class == STATUS_OK && format == DECODE_LINES)
        show_lines(&body, precision, to, counts_out);
    else if (class == STATUS_OK)
        class = show_rows(&body, format, to, counts_out, st);
    text_free(&body);
    return class;
}
