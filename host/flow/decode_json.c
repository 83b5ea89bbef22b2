/* Rows out of JSON: lines (NDJSON) or the elements of one array. The member loop is the hot path of intake: a
 * name is first looked for where the row before had it, its value goes straight into the column.
 *
 * A fault of content (type, rule, window) fails the row and the reader goes on behind it. Broken text ends
 * the line; in an array it ends the body, because nobody can say where the next row begins. */
#include <stdio.h>

#include "flow/decode_row.h"

static const char *error_code(json_error error)
{
    switch (error) {
    case JSON_DEPTH:
        return "too_deep";
    case JSON_TEXT_LONG:
    case JSON_NUMBER_LONG:
    case JSON_VALUE_LONG:
        return "too_long";
    case JSON_MEMBERS:
        return "too_many_members";
    default:
        return "json";
    }
}

/* ---- one value ---- */

static void note_facts(decoder *d, const char *pointer, const char *at)
{
    const json_reader *r = &d->reader;
    if (r->duplicate)
        row_fail(d, "duplicate_key", pointer, r->duplicate_at, "a member stands twice in one object");
    else if (r->has_nul || r->huge_number)
        row_fail(d, row_reason_name(ROW_NOT_STORABLE), pointer, at,
                 r->has_nul ? "U+0000 cannot be stored" : "the number cannot be stored");
}

static bool read_json_column(decoder *d, uint32_t column)
{
    json_reader *r = &d->reader;
    const decode_field *f = &d->plan->fields[column];
    size_t rest = (size_t)(r->end - r->p), limit = d->plan->options.limits.row_bytes;
    json_sink sink = {.cap = rest < limit ? rest : limit};
    sink.data = batch_builder_text_room(d->builder, column, sink.cap + 1);
    const char *at = r->p;
    if (!json_reader_value(r, 1, &sink))
        return false;
    note_facts(d, f->pointer, at);
    if (!row_json_fits(f->rule, at, (size_t)(r->p - at)))
        row_fail_reason(d, ROW_TYPE, column, at);
    if (!d->failed)
        batch_builder_text_end(d->builder, column, sink.len);
    return true;
}

static bool wrong_type(decoder *d, uint32_t column)
{
    row_fail_reason(d, ROW_TYPE, column, d->reader.p);
    return json_reader_value(&d->reader, 1, NULL);
}

static bool read_text(decoder *d, uint32_t column)
{
    const decode_field *f = &d->plan->fields[column];
    const char *at = d->reader.p;
    json_text value;
    bool textual = f->rule->type >= COLUMN_TIMESTAMP && f->rule->type <= COLUMN_TEXT;
    if (!textual || f->time >= DECODE_TIME_UNIX_S)
        return wrong_type(d, column);
    if (!json_reader_string(&d->reader, &value))
        return false;
    row_put_text(d, column, value.data, value.len, value.has_nul, at);
    return true;
}

static bool read_literal(decoder *d, uint32_t column, char c)
{
    const char *at = d->reader.p;
    if (c == 'n') {
        if (!json_reader_literal(&d->reader, "null", 4))
            return false;
        row_put_null(d, column, at);
        return true;
    }
    if (!json_reader_literal(&d->reader, c == 't' ? "true" : "false", c == 't' ? 4 : 5))
        return false;
    row_put_boolean(d, column, c == 't', at);
    return true;
}

static bool read_number(decoder *d, uint32_t column)
{
    const char *at = d->reader.p;
    number_text value;
    if (!json_reader_number(&d->reader, &value))
        return false;
    row_put_number(d, column, &value, at);
    return true;
}

static inline bool read_plain(decoder *d, uint32_t column)
{
    char c = *d->reader.p;
    switch (c) {
    case '"':
        return read_text(d, column);
    case 'n':
    case 't':
    case 'f':
        return read_literal(d, column, c);
    case '{':
    case '[':
        return wrong_type(d, column);
    default:
        return read_number(d, column);
    }
}

/* False: the text is broken. A row that is bad only in content is failed and read on. */
static inline bool read_column(decoder *d, uint32_t column)
{
    json_reader *r = &d->reader;
    const plan_column *rule = d->plan->fields[column].rule;
    const char *at = r->p;
    if (d->failed)
        return json_reader_value(r, 1, NULL);
    bool ok = rule->type == COLUMN_JSON && *at != 'n' ? read_json_column(d, column) : read_plain(d, column);
    if (ok && rule->deep)
        row_check_deep(d, column, at, (size_t)(r->p - at), at);
    return ok;
}

/* ---- members that are no columns ---- */

static const char *unknown_pointer(decoder *d, const json_text *name)
{
    text t = {0};
    if (!row_wants_detail(d))
        return "";
    text_add_char(&t, '/');
    for (size_t i = 0; i < name->len && i < 256; i++) {
        if (name->data[i] == '~' || name->data[i] == '/')
            text_add(&t, name->data[i] == '~' ? "~0" : "~1");
        else
            text_add_char(&t, name->data[i]);
    }
    const char *copy = arena_string(d->details, t.data);
    text_free(&t);
    return copy;
}

static bool read_extra(decoder *d, const char *name_at, size_t name_len)
{
    json_reader *r = &d->reader;
    size_t rest = (size_t)(r->end - r->p), limit = d->plan->options.limits.row_bytes;
    row_extra_name(d, name_at, name_len);
    json_sink sink = {.cap = rest < limit ? rest : limit};
    text_reserve(&d->extra, sink.cap + 1);
    sink.data = d->extra.data + d->extra.len;
    const char *at = r->p;
    if (!json_reader_value(r, 1, &sink))
        return false;
    d->extra.len += sink.len;
    d->extra.data[d->extra.len] = '\0';
    note_facts(d, "", at);
    return true;
}

static void fail_duplicate(decoder *d, const json_text *name, const char *at)
{
    row_fail(d, "duplicate_key", unknown_pointer(d, name), at, "a member stands twice in one object");
}

/* `name_at` is the name with its quotes as it stands in the input. */
static bool read_unknown(decoder *d, const json_text *name, const char *name_at, size_t name_len)
{
    json_reader *r = &d->reader;
    if (!d->failed) {
        if (json_reader_seen(r, 0, name->data, name->len))
            fail_duplicate(d, name, name_at);
        else if (d->plan->extra < 0)
            row_fail(d, row_reason_name(ROW_ADDITIONAL), unknown_pointer(d, name), name_at,
                     "the store has no such column and takes no additional ones");
        else if (name->has_nul)
            row_fail(d, row_reason_name(ROW_NOT_STORABLE), "", name_at, "U+0000 cannot be stored");
    }
    if (!json_reader_take(r, ':'))
        return false;
    json_reader_space(r);
    return d->failed ? json_reader_value(r, 1, NULL) : read_extra(d, name_at, name_len);
}

/* ---- one row ---- */

static bool read_member(decoder *d, uint32_t index)
{
    json_reader *r = &d->reader;
    const char *name_at = r->p;
    json_text name;
    if (!json_reader_string(r, &name))
        return false;
    if (++r->members > r->members_max)
        return json_reader_fail(r, JSON_MEMBERS, name_at);
    uint32_t hint = index < d->plan->n_fields ? d->order[index] : UINT32_MAX;
    int32_t column = decode_plan_find(d->plan, name.data, name.len, hint);
    if (column < 0)
        return read_unknown(d, &name, name_at, (size_t)(r->p - name_at));
    if (index < d->plan->n_fields)
        d->order[index] = (uint32_t)column;
    if (!d->failed && batch_builder_is_set(d->builder, (uint32_t)column))
        fail_duplicate(d, &name, name_at);
    if (!json_reader_take(r, ':'))
        return false;
    json_reader_space(r);
    if (r->p >= r->end)
        return json_reader_fail(r, JSON_SYNTAX, r->p);
    return read_column(d, (uint32_t)column);
}

/* The members behind the opening brace, to behind the closing one. */
static bool read_members(decoder *d)
{
    json_reader *r = &d->reader;
    json_reader_space(r);
    if (r->p < r->end && *r->p == '}') {
        r->p++;
        return true;
    }
    for (uint32_t index = 0;; index++) {
        json_reader_space(r);
        if (r->p >= r->end || *r->p != '"')
            return json_reader_fail(r, JSON_SYNTAX, r->p);
        if (!read_member(d, index))
            return false;
        json_reader_space(r);
        if (r->p < r->end && *r->p == '}') {
            r->p++;
            return true;
        }
        if (!json_reader_take(r, ','))
            return false;
    }
}

/* The value that must be a row. False: the text is broken. */
static bool read_row(decoder *d)
{
    json_reader *r = &d->reader;
    const char *from = r->p;
    if (r->p < r->end && *r->p != '{') {
        row_fail(d, row_reason_name(ROW_TYPE), "", from, "a row must be an object");
        return json_reader_value(r, 0, NULL);
    }
    if (!json_reader_take(r, '{') || !read_members(d))
        return false;
    if (!d->plan->rows->flat && !d->failed)
        row_check_whole(d, from, (size_t)(r->p - from));
    return true;
}

/* ---- lines ---- */

static void fail_text(decoder *d)
{
    d->failed = false; /* broken text is the better reason */
    row_fail(d, error_code(d->reader.error), "", d->reader.at, json_error_text(d->reader.error));
}

static void read_line(decoder *d, const char *from, const char *end)
{
    json_reader *r = &d->reader;
    row_begin(d, from);
    if ((size_t)(end - from) > d->plan->options.limits.row_bytes) {
        row_fail(d, "too_long", "", from, "the row is longer than the limit");
        row_end(d, end);
        return;
    }
    json_reader_text(r, from, end, d->body_end);
    bool ok = read_row(d);
    if (ok) {
        json_reader_space(r);
        ok = r->p == end || json_reader_fail(r, JSON_SYNTAX, r->p);
    }
    if (!ok)
        fail_text(d);
    row_end(d, end);
}

static const char *skip_blanks(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\r'))
        p++;
    return p;
}

static status_class too_many_rows(const decoder *d, status *st)
{
    return status_set(st, STATUS_LIMIT, "body: more than %u rows", d->rows_max);
}

static status_class decode_objects(decoder *d, status *st)
{
    for (const char *p = d->body; p < d->body_end;) {
        const char *newline = memchr(p, '\n', (size_t)(d->body_end - p));
        const char *end = newline ? newline : d->body_end;
        const char *from = skip_blanks(p, end);
        if (from < end) {
            if (d->n_input == d->rows_max)
                return too_many_rows(d, st);
            read_line(d, from, end);
        }
        p = end + 1;
    }
    return STATUS_OK;
}

/* ---- one document ---- */

status_class decode_json_broken(decoder *d, status *st)
{
    const json_reader *r = &d->reader;
    char where[64];
    uint64_t line;
    uint32_t column;
    row_place(d, r->at > d->row_at ? r->at : d->row_at, &line, &column);
    snprintf(where, sizeof where, "%llu:%u", (unsigned long long)line, column);
    bool limit = r->error != JSON_SYNTAX && r->error != JSON_UTF8;
    return status_at(st, limit ? STATUS_LIMIT : STATUS_INVALID, where, "body: %s", json_error_text(r->error));
}

static bool read_element(decoder *d)
{
    json_reader *r = &d->reader;
    json_reader_space(r);
    row_begin(d, r->p);
    json_reader_row(r);
    if (!read_row(d))
        return false;
    if ((size_t)(r->p - d->row_at) > d->plan->options.limits.row_bytes)
        row_fail(d, "too_long", "", d->row_at, "the row is longer than the limit");
    row_end(d, r->p);
    return true;
}

static status_class decode_elements(decoder *d, status *st)
{
    json_reader *r = &d->reader;
    json_reader_space(r);
    if (r->p < r->end && *r->p == ']') {
        r->p++;
        return STATUS_OK;
    }
    for (;;) {
        if (d->n_input == d->rows_max)
            return too_many_rows(d, st);
        if (!read_element(d))
            return decode_json_broken(d, st);
        json_reader_space(r);
        if (r->p < r->end && *r->p == ']') {
            r->p++;
            return STATUS_OK;
        }
        if (!json_reader_take(r, ','))
            return decode_json_broken(d, st);
    }
}

static status_class decode_document(decoder *d, status *st)
{
    json_reader *r = &d->reader;
    json_reader_text(r, d->body, d->body_end, d->body_end);
    json_reader_space(r);
    if (r->p < r->end && *r->p == '[') {
        r->p++;
        status_class class = decode_elements(d, st);
        if (class != STATUS_OK)
            return class;
    } else if (!read_element(d)) {
        return decode_json_broken(d, st);
    }
    json_reader_space(r);
    if (r->p == r->end)
        return STATUS_OK;
    json_reader_fail(r, JSON_SYNTAX, r->p);
    return decode_json_broken(d, st);
}

status_class decode_json(decoder *d, bool lines, status *st)
{
    return lines ? decode_objects(d, st) : decode_document(d, st);
}
