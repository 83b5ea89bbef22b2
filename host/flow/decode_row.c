/* One row: conversion and checks of its values, and the verdict at its end. */
#include "flow/decode_row.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/utc.h"
#include "flow/local_time.h"
#include "schema/document.h"

void row_begin(decoder *d, const char *at)
{
    d->row_at = at;
    d->failed = false;
    d->n_input++;
    if (d->extra.len)
        text_clear(&d->extra);
}

bool row_wants_detail(const decoder *d)
{
    return d->n_rejects < DECODE_DETAILS_MAX;
}

void row_fail(decoder *d, const char *code, const char *pointer, const char *at, const char *detail)
{
    if (d->failed)
        return;
    d->failed = true;
    d->code = code;
    d->pointer = pointer;
    d->at = at;
    d->detail = detail ? detail : code;
}

void row_fail_reason(decoder *d, row_reason reason, uint32_t column, const char *at)
{
    const decode_field *f = &d->plan->fields[column];
    char sentence[256];
    const char *detail = NULL;
    if (!d->failed && row_wants_detail(d)) {
        row_reason_sentence(reason, f->rule, sentence, sizeof sentence);
        detail = arena_string(d->details, sentence);
    }
    row_fail(d, row_reason_name(reason), f->pointer, at, detail);
}

/* ---- places ---- */

/* Counts the newlines of [from, to); *line_at becomes the byte behind the last one. */
static void count_lines(const char *from, const char *to, uint64_t *line, const char **line_at)
{
    const char *newline;
    while (from < to && (newline = memchr(from, '\n', (size_t)(to - from)))) {
        from = *line_at = newline + 1;
        (*line)++;
    }
}

void row_place(decoder *d, const char *at, uint64_t *line_out, uint32_t *column_out)
{
    /* No byte before row_at is looked at twice, also when the body is one long line. */
    count_lines(d->counted, d->row_at, &d->line, &d->line_at);
    d->counted = d->row_at;
    const char *line_at = d->line_at;
    *line_out = d->line;
    count_lines(d->row_at, at, line_out, &line_at);
    *column_out = (uint32_t)(at - line_at) + 1;
}

/* ---- values ---- */

static void fail_window(decoder *d, uint32_t column, int64_t us, const char *at)
{
    const char *detail = NULL;
    if (!d->failed && row_wants_detail(d)) {
        char when[UTC_TEXT_SIZE], now[UTC_TEXT_SIZE];
        utc_format(us, when);
        utc_format(d->now_us, now);
        detail =
            arena_printf(d->details, "%s is outside the time that this store accepts (now %s)", when, now);
    }
    row_fail(d, "time_out_of_window", d->plan->fields[column].pointer, at, detail);
}

void row_put_time(decoder *d, uint32_t column, int64_t us, const char *at)
{
    if ((int32_t)column == d->plan->time_column) {
        if (__builtin_add_overflow(us, d->shift_us, &us) || us < UTC_MIN_US || us > UTC_MAX_US) {
            row_fail_reason(d, ROW_NOT_STORABLE, column, at);
            return;
        }
        if (us < d->oldest_us || us > d->newest_us) {
            fail_window(d, column, us, at);
            return;
        }
    }
    batch_builder_int64(d->builder, column, us);
}

static inline int two_digits(const char *p)
{
    unsigned a = (unsigned)(p[0] - '0'), b = (unsigned)(p[1] - '0');
    return a <= 9 && b <= 9 ? (int)(a * 10 + b) : 99;
}

/* "….123456789Z" behind the seconds; -1 = leave it to utc_parse. */
static int64_t fraction_us(const char *p, const char *end)
{
    int64_t us = 0, unit = 100000;
    if (p + 1 == end)
        return *p == 'Z' ? 0 : -1;
    if (*p++ != '.' || p + 1 == end || end[-1] != 'Z')
        return -1;
    for (; p + 1 < end; p++, unit /= 10) {
        unsigned digit = (unsigned)(*p - '0');
        if (digit > 9)
            return -1;
        us += digit * unit;
    }
    return us;
}

/* Times of the day seen last, in UTC: most rows of a body. */
static bool same_day(const decoder *d, const char *s, size_t len, int64_t *us_out)
{
    if (len < 20 || memcmp(s, d->day, sizeof d->day) != 0 || s[13] != ':' || s[16] != ':')
        return false;
    int hour = two_digits(s + 11), minute = two_digits(s + 14), second = two_digits(s + 17);
    int64_t fraction = fraction_us(s + 19, s + len);
    if (hour > 23 || minute > 59 || second > 59 || fraction < 0)
        return false;
    *us_out = d->day_us + ((int64_t)hour * 3600 + minute * 60 + second) * UTC_SECOND_US + fraction;
    return true;
}

/* With an offset, or without one on the clock that the field names. */
static bool parse_any(const decode_field *f, const char *s, size_t len, int64_t *us_out)
{
    if (f->pattern)
        return local_time_read(f->pattern, f->zone, s, len, us_out);
    if (utc_parse(s, len, us_out))
        return true;
    return (f->zone || f->time == DECODE_TIME_ISO_UTC) && local_time_iso(f->zone, s, len, us_out);
}

static bool parse_time(decoder *d, const decode_field *f, const char *s, size_t len, int64_t *us_out)
{
    int32_t days;
    if (!f->pattern && same_day(d, s, len, us_out))
        return true;
    if (!parse_any(f, s, len, us_out))
        return false;
    if (len >= 20 && s[10] == 'T' && !f->pattern && utc_parse_date(s, 10, &days)) {
        memcpy(d->day, s, sizeof d->day);
        d->day_us = days * UTC_DAY_US;
    }
    return true;
}

static row_reason convert_text(decoder *d, uint32_t column, const char *s, size_t len, const char *at)
{
    const decode_field *f = &d->plan->fields[column];
    int64_t us;
    int32_t days;
    uint8_t uuid[16];
    switch (f->rule->type) {
    case COLUMN_TEXT:
        batch_builder_text(d->builder, column, s, len);
        return ROW_OK;
    case COLUMN_TIMESTAMP:
        if (!parse_time(d, f, s, len, &us))
            return ROW_FORMAT;
        row_put_time(d, column, us, at);
        return ROW_OK;
    case COLUMN_DATE:
        if (!utc_parse_date(s, len, &days))
            return ROW_FORMAT;
        batch_builder_date(d->builder, column, days);
        return ROW_OK;
    case COLUMN_UUID:
        if (!format_uuid_parse(s, len, uuid))
            return ROW_FORMAT;
        batch_builder_uuid(d->builder, column, uuid);
        return ROW_OK;
    default:
        return ROW_TYPE;
    }
}

void row_put_text(decoder *d, uint32_t column, const char *s, size_t len, bool has_nul, const char *at)
{
    const plan_column *rule = d->plan->fields[column].rule;
    row_reason reason = has_nul ? ROW_NOT_STORABLE : row_plan_check_text(rule, s, len);
    if (reason == ROW_OK)
        reason = convert_text(d, column, s, len, at);
    if (reason != ROW_OK)
        row_fail_reason(d, reason, column, at);
}

static row_reason put_integer(decoder *d, uint32_t column, int64_t value)
{
    row_reason reason = row_plan_check_integer(d->plan->fields[column].rule, value);
    if (reason == ROW_OK)
        batch_builder_int64(d->builder, column, value);
    return reason;
}

static inline row_reason put_double(decoder *d, uint32_t column, double value)
{
    const decode_field *f = &d->plan->fields[column];
    if (f->scaled)
        value = value * f->scale + f->offset;
    if (f->rule->type == COLUMN_INTEGER) {
        if (!isfinite(value) || value < -9223372036854775808.0 || value >= 9223372036854775808.0)
            return ROW_NOT_STORABLE;
        return value == floor(value) ? put_integer(d, column, (int64_t)value) : ROW_TYPE;
    }
    row_reason reason = row_plan_check_number(f->rule, value);
    if (reason == ROW_OK)
        batch_builder_number(d->builder, column, value);
    return reason;
}

static row_reason put_unix_time(decoder *d, uint32_t column, const number_text *value, const char *at)
{
    static const int shifts[] = {
        [DECODE_TIME_UNIX_S] = 6, [DECODE_TIME_UNIX_MS] = 3, [DECODE_TIME_UNIX_NS] = -3};
    int64_t us;
    if (decimal_scaled(value, shifts[d->plan->fields[column].time], &us) != DECIMAL_FITS || us < UTC_MIN_US ||
        us > UTC_MAX_US)
        return ROW_NOT_STORABLE;
    row_put_time(d, column, us, at);
    return ROW_OK;
}

static inline row_reason convert_number(decoder *d, uint32_t column, const number_text *value, const char *at)
{
    const decode_field *f = &d->plan->fields[column];
    if (f->rule->type == COLUMN_NUMBER || (f->rule->type == COLUMN_INTEGER && f->scaled)) {
        double number = decimal_double(value);
        return isfinite(number) ? put_double(d, column, number) : ROW_NOT_STORABLE;
    }
    if (f->rule->type == COLUMN_INTEGER) {
        int64_t integer;
        decimal_fit fit = decimal_int64(value, &integer);
        return fit == DECIMAL_FITS       ? put_integer(d, column, integer)
               : fit == DECIMAL_FRACTION ? ROW_TYPE
                                         : ROW_NOT_STORABLE;
    }
    if (f->rule->type == COLUMN_TIMESTAMP && f->time >= DECODE_TIME_UNIX_S)
        return put_unix_time(d, column, value, at);
    return ROW_TYPE;
}

void row_put_number(decoder *d, uint32_t column, const number_text *value, const char *at)
{
    row_reason reason = convert_number(d, column, value, at);
    if (reason != ROW_OK)
        row_fail_reason(d, reason, column, at);
}

void row_put_double(decoder *d, uint32_t column, double value, const char *at)
{
    row_reason reason = put_double(d, column, value);
    if (reason != ROW_OK)
        row_fail_reason(d, reason, column, at);
}

void row_put_boolean(decoder *d, uint32_t column, bool value, const char *at)
{
    const plan_column *rule = d->plan->fields[column].rule;
    row_reason reason = rule->type == COLUMN_BOOLEAN ? row_plan_check_boolean(rule, value) : ROW_TYPE;
    if (reason == ROW_OK)
        batch_builder_boolean(d->builder, column, value);
    else
        row_fail_reason(d, reason, column, at);
}

void row_put_null(decoder *d, uint32_t column, const char *at)
{
    if (d->plan->fields[column].rule->nullable)
        batch_builder_null(d->builder, column);
    else
        row_fail_reason(d, ROW_TYPE, column, at);
}

void row_check_deep(decoder *d, uint32_t column, const char *json, size_t len, const char *at)
{
    status st;
    if (d->failed)
        return;
    json_t *value = document_parse(json, len, &st);
    row_reason reason =
        value ? row_plan_check_json(d->plan->fields[column].rule, value, &st) : ROW_NOT_STORABLE;
    if (reason != ROW_OK)
        row_fail(d, row_reason_name(reason), d->plan->fields[column].pointer, at,
                 row_wants_detail(d) ? arena_string(d->details, st.text) : NULL);
    json_decref(value);
}

void row_check_whole(decoder *d, const char *json, size_t len)
{
    status st;
    schema_errors errors = {0};
    json_t *row = document_parse(json, len, &st);
    row_reason reason = row ? row_plan_check_row(d->plan->rows, row, &errors, &st) : ROW_NOT_STORABLE;
    if (reason != ROW_OK) {
        bool wanted = row_wants_detail(d);
        row_fail(d, row_reason_name(reason), wanted ? arena_string(d->details, st.where) : "", d->row_at,
                 wanted ? arena_string(d->details, st.text) : NULL);
    }
    json_decref(row);
}

/* ---- JSON columns ---- */

static unsigned json_kind(char c)
{
    switch (c) {
    case '{':
        return JSON_TYPE_OBJECT;
    case '[':
        return JSON_TYPE_ARRAY;
    case '"':
        return JSON_TYPE_STRING;
    case 't':
    case 'f':
        return JSON_TYPE_BOOLEAN;
    default:
        return JSON_TYPE_NUMBER;
    }
}

bool row_json_fits(const plan_column *rule, const char *from, size_t len)
{
    unsigned kind = json_kind(*from);
    number_text number;
    int64_t whole;
    if (rule->json_types & kind)
        return true;
    if (kind != JSON_TYPE_NUMBER || !(rule->json_types & JSON_TYPE_INTEGER))
        return false;
    return decimal_read(from, from + len, &number) && decimal_int64(&number, &whole) != DECIMAL_FRACTION;
}

/* The names that the row has so far stay known: nested objects have numbers of their own. */
static bool read_document(json_reader *r, const char *s, size_t len, json_sink *sink)
{
    r->p = s;
    r->end = r->limit = s + len;
    r->error = JSON_OK;
    r->members = 0;
    r->duplicate = r->has_nul = r->huge_number = false;
    json_reader_space(r);
    bool ok = json_reader_value(r, 1, sink);
    json_reader_space(r);
    return ok && r->p == r->end;
}

void row_put_document(decoder *d, uint32_t column, const char *s, size_t len, const char *at)
{
    const json_reader *r = &d->reader;
    const decode_field *f = &d->plan->fields[column];
    json_sink sink = {.data = batch_builder_text_room(d->builder, column, len + 1), .cap = len};
    if (!read_document(&d->reader, s, len, &sink) || !row_json_fits(f->rule, sink.data, sink.len))
        row_fail_reason(d, ROW_TYPE, column, at);
    else if (r->duplicate)
        row_fail(d, "duplicate_key", f->pointer, at, "a member stands twice in one object");
    else if (r->has_nul || r->huge_number)
        row_fail_reason(d, ROW_NOT_STORABLE, column, at);
    else
        batch_builder_text_end(d->builder, column, sink.len);
}

void row_extra_name(decoder *d, const char *name, size_t len)
{
    text_add_char(&d->extra, d->extra.len ? ',' : '{');
    text_add_n(&d->extra, name, len);
    text_add_char(&d->extra, ':');
}

/* ---- the verdict ---- */

static void check_required(decoder *d, const char *at)
{
    for (uint32_t word = 0; word < d->plan->n_words; word++) {
        uint64_t missing = d->plan->required[word] & ~d->builder->set[word];
        if (missing) {
            row_fail_reason(d, ROW_REQUIRED, word * 64 + (uint32_t)__builtin_ctzll(missing), at);
            return;
        }
    }
}

static bool open_value_is_null(const batch_builder *b, uint32_t column)
{
    return !batch_builder_is_set(b, column) || !bitmap_get(b->columns[column].valid, b->n_rows);
}

static void check_event_time(decoder *d, const char *at)
{
    uint32_t column = (uint32_t)d->plan->time_column;
    if (open_value_is_null(d->builder, column)) {
        row_fail_reason(d, ROW_REQUIRED, column, at);
        return;
    }
    int64_t us = ((const int64_t *)d->builder->columns[column].values)[d->builder->n_rows];
    if (d->builder->n_rows == 0 || us < d->first_us)
        d->first_us = us;
    if (d->builder->n_rows == 0 || us > d->last_us)
        d->last_us = us;
}

static void add_reject(decoder *d, const char *end)
{
    if (d->n_rejects == d->cap_rejects) {
        d->cap_rejects = d->cap_rejects ? d->cap_rejects * 2 : 64;
        d->rejects = memory_grow(d->rejects, d->cap_rejects * sizeof *d->rejects);
    }
    decode_reject *r = &d->rejects[d->n_rejects++];
    *r = (decode_reject){.row = d->n_input,
                         .code = d->code,
                         .pointer = d->pointer,
                         .detail = d->detail,
                         .offset = (uint64_t)(d->row_at - d->body),
                         .length = (uint32_t)(end - d->row_at)};
    row_place(d, d->at, &r->line, &r->column);
}

void row_end(decoder *d, const char *end)
{
    if (!d->failed)
        check_required(d, d->row_at);
    if (!d->failed && d->plan->time_column >= 0)
        check_event_time(d, d->row_at);
    if (d->failed) {
        batch_builder_drop_row(d->builder);
        add_reject(d, end);
        return;
    }
    if (d->extra.len) {
        text_add_char(&d->extra, '}');
        batch_builder_text(d->builder, (uint32_t)d->plan->extra, d->extra.data, d->extra.len);
    }
    batch_builder_end_row(d->builder);
}
