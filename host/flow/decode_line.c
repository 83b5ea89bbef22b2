/* Rows out of line protocol: tags and fields are columns of their names, the line's time is the event time.
 *
 * A tag is text and is read into whatever its column is; a field has its own type, and a float may stand in
 * an integer column when it is whole. A string in a column that takes no strings but objects or arrays is
 * read as JSON. A line without a time happened when it was received. In a store without event time the time
 * is a member named `time` like any other. What is no column goes to `_extra`, or costs the row. */
#include <stdio.h>

#include "base/utc.h"
#include "flow/decode_row.h"

#define EXPONENT_PLAIN 22 /* beyond it a number is rewritten: jsonb keeps every digit of what it is given */

/* One tag or field on its way into the row. */
typedef struct part {
    line_text key;
    line_value value;
    bool tag, expected; /* the last: its key is the one that `order` foretells */
    const char *at;     /* of the key */
} part;

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
    if (type == COLUMN_JSON) {
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

static void put_column(decoder *d, uint32_t column, const part *p)
{
    const line_value *v = &p->value;
    if (batch_builder_is_set(d->builder, column))
        row_fail(d, "duplicate_key", d->plan->fields[column].pointer, p->at,
                 "two tags or fields of one line have this name");
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

static void put_part(decoder *d, const part *p, uint32_t index)
{
    if (d->failed)
        return;
    bool kept = index < d->plan->n_fields;
    uint32_t hint = kept ? d->order[index] : UINT32_MAX;
    int32_t column =
        kept && p->expected ? (int32_t)hint : decode_plan_find(d->plan, p->key.data, p->key.len, hint);
    if (column >= 0 && kept)
        d->order[index] = (uint32_t)column;
    if (column >= 0)
        put_column(d, (uint32_t)column, p);
    else
        put_unknown(d, p);
    if (!d->plan->rows->flat && !d->failed)
        add_to_whole(d, column, p);
}

/* The key that the line before had in this place, to be compared before it is read. */
static void expect_key(const decoder *d, line_reader *r, uint32_t index)
{
    const decode_field *f = index < d->plan->n_fields ? &d->plan->fields[d->order[index]] : NULL;
    r->expected = f && f->plain ? (line_text){f->name, f->name_len} : (line_text){NULL, 0};
}

/* False: the line is broken. */
static bool read_parts(decoder *d, line_reader *r)
{
    part p;
    line_step step;
    uint32_t index = 0;
    p.tag = true;
    p.value.kind = LINE_STRING;
    for (;;) {
        expect_key(d, r, index);
        step = line_reader_tag(r, &p.key, &p.value.string);
        if (step != LINE_GOT)
            break;
        p.expected = r->as_expected;
        p.value.at = p.at = r->part_at;
        put_part(d, &p, index++);
    }
    p.tag = false;
    while (step != LINE_BAD) {
        expect_key(d, r, index);
        step = line_reader_field(r, &p.key, &p.value);
        if (step != LINE_GOT)
            break;
        p.expected = r->as_expected;
        p.at = r->part_at;
        put_part(d, &p, index++);
    }
    return step != LINE_BAD;
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
        put_part(d, &p, UINT32_MAX);
    else
        add_to_whole(d, -1, &p);
}

/* `given` false: the moment of receipt, where the store has an event time and no tag or field was it. */
static void put_moment(decoder *d, bool given, int64_t ns, const char *at)
{
    int32_t column = d->plan->time_column;
    bool set = column >= 0 && batch_builder_is_set(d->builder, (uint32_t)column);
    int64_t us = given ? ns / 1000 - (ns % 1000 < 0) : d->now_us - d->shift_us;
    if (!given && (column < 0 || set))
        return;
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

static void fail_line(decoder *d, line_reader *r)
{
    d->failed = false; /* a broken line is the better reason */
    row_fail(d, r->code, "", r->at, r->detail);
    line_reader_skip(r);
}

void decode_line(decoder *d, line_reader *r)
{
    int64_t ns = 0;
    row_begin(d, r->line);
    json_reader_row(&d->reader);
    if (d->whole.len)
        text_clear(&d->whole);
    line_step step = read_parts(d, r) ? LINE_GOT : LINE_BAD;
    if (step == LINE_GOT)
        step = line_reader_time(r, d->precision, &ns);
    if (step == LINE_BAD)
        fail_line(d, r);
    else if (!d->failed)
        put_moment(d, step == LINE_GOT, ns, r->part_at);
    if (d->whole.len && !d->failed) {
        text_add_char(&d->whole, '}');
        row_check_whole(d, d->whole.data, d->whole.len);
    }
    row_end(d, r->line_end);
}

/* ---- a body for one store ---- */

static void refuse_measurement(decoder *d, line_reader *r, const char *code, const char *detail)
{
    row_begin(d, r->line);
    row_fail(d, code, "", r->line, detail);
    line_reader_skip(r);
    row_end(d, r->line_end);
}

void decode_line_limits(const decode_plan *p, line_limits *out)
{
    const decode_limits *l = &p->options.limits;
    *out = (line_limits){l->row_bytes, l->text_bytes, l->number_bytes, l->members};
}

status_class decode_lines(decoder *d, status *st)
{
    line_reader *r = &d->lines;
    line_limits limits;
    line_text name;
    size_t wanted = d->measurement ? strlen(d->measurement) : 0;
    decode_line_limits(d->plan, &limits);
    line_reader_text(r, d->body, (size_t)(d->body_end - d->body), &limits);
    bool plain = wanted && strcspn(d->measurement, ", \\\n") == wanted;
    while (line_reader_next(r)) {
        r->expected = (line_text){d->measurement, plain ? wanted : 0};
        if (d->n_input == d->rows_max)
            return status_set(st, STATUS_LIMIT, "body: more than %u rows", d->rows_max);
        if (!line_reader_measurement(r, &name))
            refuse_measurement(d, r, r->code, r->detail);
        else if (!r->as_expected && d->measurement &&
                 (name.len != wanted || memcmp(name.data, d->measurement, wanted) != 0))
            refuse_measurement(d, r, "unknown_store",
                               "the measurement is not the store that the rows are for");
        else
            decode_line(d, r);
    }
    return STATUS_OK;
}
