/* Plans and decoders; the formats are read in decode_json.c and decode_csv.c. */
#include "flow/decode.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow/decode_row.h"

static const char *const formats[] = {"json", "ndjson", "csv", "lp", "collectd-json", "putval"};
static const char *const times[] = {"iso", "iso_utc", "unix_s", "unix_ms", "unix_us", "unix_ns"};

static int word_index(const char *word, const char *const *words, int n)
{
    for (int i = 0; i < n; i++)
        if (strcmp(word, words[i]) == 0)
            return i;
    return -1;
}

bool decode_format_parse(const char *word, decode_format *out)
{
    int i = word_index(word, formats, (int)(sizeof formats / sizeof *formats));
    if (i >= 0)
        *out = (decode_format)(DECODE_JSON + i);
    return i >= 0;
}

const char *decode_format_name(decode_format format)
{
    return formats[format ? format - DECODE_JSON : 0];
}

bool decode_time_parse(const char *word, decode_time *out)
{
    int i = word_index(word, times, 6);
    if (i >= 0)
        *out = (decode_time)i;
    return i >= 0;
}

/* ---- the plan ---- */

static void default_limit(size_t *value, size_t normal)
{
    if (*value == 0)
        *value = normal;
}

static void default_limit32(uint32_t *value, uint32_t normal)
{
    if (*value == 0)
        *value = normal;
}

static status_class fill_limits(decode_limits *l, status *st)
{
    default_limit(&l->body_bytes, 64U << 20);
    default_limit(&l->row_bytes, 1U << 20);
    default_limit32(&l->rows, 1000000);
    default_limit32(&l->depth, 32);
    default_limit32(&l->members, 4096);
    default_limit32(&l->text_bytes, (uint32_t)l->row_bytes);
    default_limit32(&l->number_bytes, 1024);
    if (l->body_bytes > DECODE_BODY_MAX || l->row_bytes > DECODE_BODY_MAX)
        return status_set(st, STATUS_INVALID, "decode limits: bodies and rows are at most %u bytes",
                          DECODE_BODY_MAX);
    if (l->depth > DECODE_DEPTH_MAX)
        return status_set(st, STATUS_INVALID, "decode limits: depth is at most %d", DECODE_DEPTH_MAX);
    return STATUS_OK;
}

static int32_t column_by_name(const row_plan *rows, const char *name)
{
    uint32_t hint = 0;
    return row_plan_find(rows, name, strlen(name), &hint);
}

static char *pointer_to(arena *a, const char *name)
{
    text t = {0};
    text_add_char(&t, '/');
    for (; *name; name++) {
        if (*name == '~')
            text_add(&t, "~0");
        else if (*name == '/')
            text_add(&t, "~1");
        else
            text_add_char(&t, *name);
    }
    char *copy = arena_string(a, t.data);
    text_free(&t);
    return copy;
}

static void make_fields(decode_plan *p)
{
    const row_plan *rows = p->rows;
    p->n_fields = rows->n_columns;
    p->n_columns = rows->n_columns + (rows->additional == ROW_PLAN_KEEP);
    p->extra = rows->additional == ROW_PLAN_KEEP ? (int32_t)rows->n_columns : -1;
    p->n_words = (p->n_columns + 63) / 64;
    p->fields = arena_zero(p->a, p->n_fields + 1, sizeof *p->fields);
    p->types = arena_zero(p->a, p->n_columns + 1, sizeof *p->types);
    p->required = arena_zero(p->a, p->n_words + 1, sizeof *p->required);
    for (uint32_t i = 0; i < p->n_fields; i++) {
        const plan_column *c = &rows->columns[i];
        p->fields[i] = (decode_field){.rule = c, .name = c->name, .name_len = c->name_len};
        p->types[i] = c->type;
        if (c->required)
            p->required[i / 64] |= UINT64_C(1) << (i % 64);
    }
    if (p->extra >= 0)
        p->types[p->extra] = COLUMN_JSON;
}

static status_class map_field(decode_plan *p, const decode_map *m, status *st)
{
    int32_t i = column_by_name(p->rows, m->column);
    if (i < 0)
        return status_at(st, STATUS_INVALID, m->column, "decode map: the store has no column %s", m->column);
    decode_field *f = &p->fields[i];
    bool numeric = f->rule->type == COLUMN_INTEGER || f->rule->type == COLUMN_NUMBER;
    double factor = m->scale == 0 ? 1 : m->scale;
    f->scaled = factor != 1 || m->offset != 0;
    if (f->scaled && (!numeric || !isfinite(factor) || !isfinite(m->offset)))
        return status_at(st, STATUS_INVALID, m->column,
                         "decode map: scale and offset of %s: only for numbers", m->column);
    bool timed = m->time != DECODE_TIME_ISO || m->pattern || m->zone;
    if (timed && f->rule->type != COLUMN_TIMESTAMP)
        return status_at(st, STATUS_INVALID, m->column, "decode map: %s is not a time", m->column);
    f->scale = factor;
    f->offset = m->offset;
    f->time = m->time;
    f->pattern = arena_string(p->a, m->pattern);
    f->zone = m->zone;
    if (m->from) {
        f->name = arena_string(p->a, m->from);
        f->name_len = (uint32_t)strlen(m->from);
    }
    return STATUS_OK;
}

static status_class index_names(decode_plan *p, status *st)
{
    uint32_t n = 8;
    while (n < p->n_fields * 2 + 2)
        n *= 2;
    p->slot_mask = n - 1;
    p->slots = arena_zero(p->a, n, sizeof *p->slots);
    for (uint32_t i = 0; i < p->n_fields; i++) {
        decode_field *f = &p->fields[i];
        f->pointer = pointer_to(p->a, f->name);
        f->foretold = p->rows->flat && f->name_len <= p->options.limits.text_bytes &&
                      strcspn(f->name, ", =\\\n") == f->name_len;
        if (decode_plan_find(p, f->name, f->name_len, UINT32_MAX) >= 0)
            return status_at(st, STATUS_INVALID, f->rule->name, "decode map: two columns are read from %s",
                             f->name);
        uint32_t slot = (uint32_t)name_hash(f->name, f->name_len) & p->slot_mask;
        while (p->slots[slot])
            slot = (slot + 1) & p->slot_mask;
        p->slots[slot] = i + 1;
    }
    return STATUS_OK;
}

int32_t decode_plan_find(const decode_plan *p, const char *name, size_t len, uint32_t hint)
{
    if (hint < p->n_fields && p->fields[hint].name_len == len && memcmp(p->fields[hint].name, name, len) == 0)
        return (int32_t)hint;
    for (uint32_t slot = (uint32_t)name_hash(name, len) & p->slot_mask; p->slots[slot];
         slot = (slot + 1) & p->slot_mask) {
        const decode_field *f = &p->fields[p->slots[slot] - 1];
        if (f->name_len == len && memcmp(f->name, name, len) == 0)
            return (int32_t)p->slots[slot] - 1;
    }
    return -1;
}

static status_class choose_time(decode_plan *p, const decode_options *o, status *st)
{
    p->time_column = -1;
    if (!o->time_column)
        return STATUS_OK;
    p->time_column = column_by_name(p->rows, o->time_column);
    if (p->time_column < 0 || p->types[p->time_column] != COLUMN_TIMESTAMP)
        return status_at(st, STATUS_INVALID, o->time_column,
                         "the event time %s is not a column of format date-time", o->time_column);
    return STATUS_OK;
}

static status_class copy_csv(decode_plan *p, const decode_options *o, status *st)
{
    decode_options *c = &p->options;
    const char **names = arena_zero(p->a, o->n_csv_columns + 1, sizeof *names);
    for (size_t i = 0; i < o->n_csv_columns; i++)
        names[i] = arena_string(p->a, o->csv_columns[i]);
    c->csv_columns = o->n_csv_columns ? names : NULL;
    if (c->separator == 0)
        c->separator = ',';
    if (strchr("\"\r\n", c->separator) || (c->decimal_comma && c->separator == ','))
        return status_set(st, STATUS_INVALID,
                          "csv: the separator cannot be the quote, a line end or the decimal mark");
    return STATUS_OK;
}

static status_class check_whole(const decode_plan *p, status *st)
{
    for (uint32_t i = 0; i < p->n_fields; i++) {
        const decode_field *f = &p->fields[i];
        bool mapped =
            f->scaled || f->name != f->rule->name || f->time >= DECODE_TIME_UNIX_S || f->pattern || f->zone;
        if (mapped && (!p->rows->flat || f->rule->deep))
            return status_at(st, STATUS_UNSUPPORTED, f->rule->name,
                             "decode map: %s has rules that see the row as it stands in the input",
                             f->rule->name);
    }
    return STATUS_OK;
}

decode_plan *decode_plan_create(const row_plan *rows, const decode_options *options, status *st)
{
    arena *a = arena_create(0);
    decode_plan *p = arena_zero(a, 1, sizeof *p);
    p->a = a;
    p->rows = rows;
    p->options = *options;
    p->options.map = NULL;
    make_fields(p);
    status_class class = fill_limits(&p->options.limits, st);
    for (size_t i = 0; class == STATUS_OK && i < options->n_map; i++)
        class = map_field(p, &options->map[i], st);
    if (class == STATUS_OK)
        class = index_names(p, st);
    if (class == STATUS_OK)
        class = choose_time(p, options, st);
    if (class == STATUS_OK)
        class = copy_csv(p, options, st);
    if (class == STATUS_OK)
        class = check_whole(p, st);
    if (class == STATUS_OK)
        return p;
    arena_free(a);
    return NULL;
}

bool decode_plan_is_plain(const decode_plan *p)
{
    bool plain = p->rows->flat;
    for (uint32_t i = 0; i < p->rows->n_columns && plain; i++)
        plain = !p->rows->columns[i].pattern && !p->rows->columns[i].deep;
    return plain;
}

void decode_plan_free(decode_plan *p)
{
    if (p)
        arena_free(p->a);
}

bool decode_plan_has_extra(const decode_plan *p)
{
    return p->extra >= 0;
}

/* ---- the decoder ---- */

decoder *decoder_create(void)
{
    decoder *d = memory_zero(1, sizeof *d);
    d->details = arena_create(0);
    json_reader_open(&d->reader, 1, 1, 1, 1);
    return d;
}

void decoder_free(decoder *d)
{
    if (!d)
        return;
    batch_builder_free(d->builder);
    json_reader_close(&d->reader);
    text_free(&d->extra);
    text_free(&d->unquoted);
    text_free(&d->whole);
    line_reader_close(&d->lines);
    arena_free(d->details);
    free(d->rejects);
    free(d->order);
    free(d->cells);
    free(d->csv_columns);
    free(d->csv_names);
    free(d);
}

size_t decoder_bytes(const decoder *d)
{
    return sizeof *d + (d->builder ? batch_builder_bytes(d->builder) : 0) + json_reader_bytes(&d->reader) +
           d->extra.cap + d->unquoted.cap + d->whole.cap + line_reader_bytes(&d->lines) +
           arena_bytes(d->details) + d->cap_rejects * sizeof *d->rejects + d->cap_order * sizeof *d->order +
           d->cap_cells * sizeof *d->cells;
}

static int64_t bound(int64_t now_us, int64_t distance, int sign)
{
    int64_t limit = sign < 0 ? INT64_MIN : INT64_MAX, at;
    if (distance == DECODE_ANY || __builtin_add_overflow(now_us, sign * distance, &at))
        return limit;
    return at;
}

void decoder_prepare(decoder *d, const decode_plan *p, const decode_context *context, const char *body,
                     size_t len)
{
    const decode_limits *l = &p->options.limits;
    if (!d->builder)
        d->builder = batch_builder_create(p->types, p->n_columns);
    else
        batch_builder_retype(d->builder, p->types, p->n_columns);
    json_reader_limits(&d->reader, l->depth, l->members, l->text_bytes, l->number_bytes);
    arena_reset(d->details);
    if (d->cap_order < p->n_fields + 1) {
        d->cap_order = p->n_fields + 64;
        d->order = memory_grow(d->order, d->cap_order * sizeof *d->order);
    }
    if (d->plan != p)
        for (uint32_t i = 0; i < d->cap_order; i++)
            d->order[i] = i;
    d->plan = p;
    d->body = d->line_at = d->counted = d->row_at = body;
    d->body_end = body + len;
    d->line = 1;
    d->n_rejects = 0;
    d->n_input = 0;
    d->header = 0;
    d->header_costs_rows = context->header_costs_rows;
    d->header_fault = NULL;
    d->first_us = d->last_us = 0;
    d->now_us = context->now_us;
    d->shift_us = context->time_shift_us;
    d->rows_max = p->options.limits.rows;
    if (context->rows && context->rows < d->rows_max)
        d->rows_max = context->rows;
    d->precision = context->precision;
    d->measurement = context->measurement;
    d->tags.len = 0;
    d->oldest_us = bound(context->now_us, p->options.past_us, -1);
    d->newest_us = bound(context->now_us, p->options.future_us, 1);
}

void decoder_result(decoder *d, decode_result *out)
{
    *out = (decode_result){.rows = batch_builder_freeze(d->builder),
                           .rejects = d->rejects,
                           .n_rejects = d->n_rejects,
                           .n_input = d->builder->n_rows + d->n_rejects,
                           .first_us = d->first_us,
                           .last_us = d->last_us,
                           .header = d->header};
}

static status_class read_body(decoder *d, decode_format format, status *st)
{
    switch (format) {
    case DECODE_CSV:
        return decode_csv(d, st);
    case DECODE_LINES:
        return decode_lines(d, st);
    case DECODE_COLLECTD:
        return decode_collectd(d, st);
    case DECODE_PUTVAL:
        return decode_putval(d, st);
    default:
        return decode_json(d, format == DECODE_NDJSON, st);
    }
}

status_class decode_body(decoder *d, const decode_plan *p, const decode_context *context, const char *body,
                         size_t len, decode_result *out, status *st)
{
    if (len > p->options.limits.body_bytes)
        return status_set(st, STATUS_LIMIT, "body: %zu bytes are more than the limit of %zu", len,
                          p->options.limits.body_bytes);
    decoder_prepare(d, p, context, body, len);
    status_class class = read_body(d, context->format ? context->format : p->options.format, st);
    *out = (decode_result){.n_input = d->n_input};
    if (class != STATUS_OK)
        return class;
    decoder_result(d, out);
    return STATUS_OK;
}
