/* Into the column of its name, which is first looked for where the row before had it; else into `_extra`. */
#include "flow/decode_part.h"

#include "base/utc.h"

#define EXPONENT_PLAIN 22 /* beyond it a number is rewritten: jsonb keeps every digit of what it is given */

/* ---- as JSON ---- */

static void add_number(text *to, const line_value *v)
{
    const number_text *n = &v->number;
    if (v->kind != LINE_FLOAT ||
        (n->exact && n->exponent >= -EXPONENT_PLAIN && n->exponent <= EXPONENT_PLAIN))
        text_add_n(to, n->text, n->len);
    else
        text_add_json_number(to, decimal_double(n));
}

static void add_value(text *to, const line_value *v)
{
    if (v->kind == LINE_STRING)
        text_add_json_string(to, v->string.data, v->string.len);
    else if (v->kind == LINE_BOOL)
        text_add(to, v->truth ? "true" : "false");
    else if (v->kind == LINE_NULL)
        text_add(to, "null");
    else
        add_number(to, v);
}

static void add_member(text *to, const line_text *key, const line_value *v)
{
    text_add_char(to, to->len ? ',' : '{');
    text_add_json_string(to, key->data, key->len);
    text_add_char(to, ':');
    add_value(to, v);
}

static const char *value_json(decoder *d, const line_value *v, size_t *len_out)
{
    text_clear(&d->unquoted);
    add_value(&d->unquoted, v);
    *len_out = d->unquoted.len;
    return d->unquoted.data;
}

/* The value as the schema must see it: what the column has made of it. */
static const char *column_json(decoder *d, uint32_t column, const part *p, size_t *len_out)
{
    const column_builder *c = &d->builder->columns[column];
    column_type type = d->plan->types[column];
    if (type == COLUMN_JSON && p->value.kind != LINE_NULL) {
        uint32_t row = d->builder->n_rows;
        *len_out = (size_t)(c->offsets[row + 1] - c->offsets[row]);
        return c->data + c->offsets[row];
    }
    if (p->tag && (type == COLUMN_INTEGER || type == COLUMN_NUMBER || type == COLUMN_BOOLEAN)) {
        *len_out = p->value.string.len;
        return p->value.string.data;
    }
    return value_json(d, &p->value, len_out);
}

static void add_to_whole(decoder *d, int32_t column, const part *p)
{
    size_t len;
    if (column < 0) {
        add_member(&d->whole, &p->key, &p->value);
        return;
    }
    const char *json = column_json(d, (uint32_t)column, p, &len);
    text_add_char(&d->whole, d->whole.len ? ',' : '{');
    text_add_json_string(&d->whole, p->key.data, p->key.len);
    text_add_char(&d->whole, ':');
    text_add_n(&d->whole, json, len);
}

/* ---- into columns ---- */

static void put_json(decoder *d, uint32_t column, const line_value *v)
{
    const plan_column *rule = d->plan->fields[column].rule;
    size_t len;
    if (v->kind == LINE_STRING && !(rule->json_types & JSON_TYPE_STRING)) {
        row_put_document(d, column, v->string.data, v->string.len, v->at);
        return;
    }
    const char *json = value_json(d, v, &len);
    if (row_json_fits(rule, json, len))
        batch_builder_text(d->builder, column, json, len);
    else
        row_fail_reason(d, ROW_TYPE, column, v->at);
}

/* A tag's text for a column of another type. */
static void put_tag_number(decoder *d, uint32_t column, const line_value *v)
{
    number_text number;
    const char *s = v->string.data, *end = s + v->string.len;
    if (v->string.len <= d->plan->options.limits.number_bytes && decimal_read(s, end, &number) == end)
        row_put_number(d, column, &number, v->at);
    else
        row_fail_reason(d, ROW_TYPE, column, v->at);
}

static bool is_word(const line_text *s, const char *word)
{
    return s->len == strlen(word) && memcmp(s->data, word, s->len) == 0;
}

static void put_tag_boolean(decoder *d, uint32_t column, const line_value *v)
{
    bool truth = is_word(&v->string, "true");
    if (truth || is_word(&v->string, "false"))
        row_put_boolean(d, column, truth, v->at);
    else
        row_fail_reason(d, ROW_TYPE, column, v->at);
}

static void put_string(decoder *d, uint32_t column, const line_value *v, bool tag)
{
    switch (d->plan->types[column]) {
    case COLUMN_INTEGER:
    case COLUMN_NUMBER:
        if (tag)
            put_tag_number(d, column, v);
        else
            row_fail_reason(d, ROW_TYPE, column, v->at);
        break;
    case COLUMN_BOOLEAN:
        if (tag)
            put_tag_boolean(d, column, v);
        else
            row_fail_reason(d, ROW_TYPE, column, v->at);
        break;
    default:
        row_put_text(d, column, v->string.data, v->string.len, false, v->at);
    }
}

/* Rules that need the value as JSON. */
static void check_deep(decoder *d, uint32_t column, const part *p)
{
    size_t len;
    const char *json = column_json(d, column, p, &len);
    row_check_deep(d, column, json, len, p->value.at);
}

void row_put_known(decoder *d, uint32_t column, const part *p)
{
    const line_value *v = &p->value;
    if (v->kind == LINE_NULL)
        row_put_null(d, column, v->at);
    else if (d->plan->types[column] == COLUMN_JSON)
        put_json(d, column, v);
    else if (v->kind == LINE_STRING)
        put_string(d, column, v, p->tag);
    else if (v->kind == LINE_BOOL)
        row_put_boolean(d, column, v->truth, v->at);
    else
        row_put_number(d, column, &v->number, v->at);
    if (d->plan->fields[column].rule->deep && !d->failed)
        check_deep(d, column, p);
}

static void put_column(decoder *d, uint32_t column, const part *p)
{
    if (batch_builder_is_set(d->builder, column))
        row_fail(d, "duplicate_key", d->plan->fields[column].pointer, p->at,
                 "two tags or fields of one line have this name");
    else
        row_put_known(d, column, p);
}

/* ---- what is no column ---- */

static const char *pointer_to(decoder *d, const line_text *key)
{
    if (!row_wants_detail(d))
        return "";
    text_clear(&d->unquoted);
    text_add_char(&d->unquoted, '/');
    for (size_t i = 0; i < key->len && i < 256; i++) {
        if (key->data[i] == '~' || key->data[i] == '/')
            text_add(&d->unquoted, key->data[i] == '~' ? "~0" : "~1");
        else
            text_add_char(&d->unquoted, key->data[i]);
    }
    return arena_string(d->details, d->unquoted.data);
}

static void put_unknown(decoder *d, const part *p)
{
    if (json_reader_seen(&d->reader, 0, p->key.data, p->key.len))
        row_fail(d, "duplicate_key", pointer_to(d, &p->key), p->at,
                 "two tags or fields of one line have this name");
    else if (d->plan->extra < 0)
        row_fail(d, row_reason_name(ROW_ADDITIONAL), pointer_to(d, &p->key), p->at,
                 "the store has no such column and takes no additional ones");
    else
        add_member(&d->extra, &p->key, &p->value);
}

/* ---- one line ---- */

void row_put_part(decoder *d, const part *p, uint32_t index)
{
    if (d->failed)
        return;
    bool kept = index < d->plan->n_fields;
    int32_t column = decode_plan_find(d->plan, p->key.data, p->key.len, kept ? d->order[index] : UINT32_MAX);
    if (column >= 0 && kept)
        d->order[index] = (uint32_t)column;
    if (column >= 0)
        put_column(d, (uint32_t)column, p);
    else
        put_unknown(d, p);
    if (!d->plan->rows->flat && !d->failed)
        add_to_whole(d, column, p);
}

/* The time as the member that a JSON row would have. */
static void put_time_member(decoder *d, const decode_field *f, int64_t us, const char *at, bool store)
{
    char when[UTC_TEXT_SIZE];
    part p = {.key = {"time", 4}, .value = {.kind = LINE_STRING, .at = at}, .at = at};
    p.value.string = (line_text){when, utc_format(us, when)};
    if (f)
        p.key = (line_text){f->name, f->name_len};
    if (store)
        row_put_part(d, &p, UINT32_MAX);
    else
        add_to_whole(d, -1, &p);
}

void row_put_moment(decoder *d, bool given, int64_t us, const char *at)
{
    int32_t column = d->plan->time_column;
    bool set = column >= 0 && batch_builder_is_set(d->builder, (uint32_t)column);
    if (!given && (column < 0 || set))
        return;
    if (!given)
        us = d->now_us - d->shift_us;
    if (column < 0) {
        put_time_member(d, NULL, us, at, true);
        return;
    }
    const decode_field *f = &d->plan->fields[column];
    if (set)
        row_fail(d, "duplicate_key", f->pointer, at,
                 "the line has a time, and a tag or field of the event time's name");
    else
        row_put_time(d, (uint32_t)column, us, at);
    if (!d->plan->rows->flat && !d->failed)
        put_time_member(d, f, us, at, false);
}

void row_begin_parts(decoder *d, const char *at)
{
    row_begin(d, at);
    json_reader_row(&d->reader);
    if (d->whole.len)
        text_clear(&d->whole);
}

void row_end_parts(decoder *d, const char *end)
{
    if (d->whole.len && !d->failed) {
        text_add_char(&d->whole, '}');
        row_check_whole(d, d->whole.data, d->whole.len);
    }
    row_end(d, end);
}
