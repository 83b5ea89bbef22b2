#include "flow/validate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/batch_builder.h"
#include "base/utc.h"

struct validator {
    batch_builder *builder;
    column_type *types;
    int32_t *targets; /* store's column of each input column; -1 = unknown, -2 = passed over */
    uint32_t cap_types, cap_targets, n_rejects, cap_rejects;
    validate_reject *rejects;
};

typedef struct check {
    const datastore_plan *store;
    const batch *rows;
    const char *const *names;
    int64_t earliest_us, latest_us, shift_us;
    uint32_t row;
    row_reason reason;
    const char *column;
    const plan_column *rule;
} check;

validator *validator_create(void)
{
    return memory_zero(1, sizeof(validator));
}

void validator_free(validator *v)
{
    if (!v)
        return;
    batch_builder_free(v->builder);
    free(v->types);
    free(v->targets);
    free(v->rejects);
    free(v);
}

static void prepare_builder(validator *v, const datastore_plan *store)
{
    if (v->cap_types < store->n_columns) {
        v->types = memory_grow(v->types, store->n_columns * sizeof *v->types);
        v->cap_types = store->n_columns;
    }
    for (uint32_t i = 0; i < store->table.n_columns; i++)
        v->types[i] = store->table.columns[i].type;
    if (store->table.has_extra)
        v->types[store->table.n_columns] = COLUMN_JSON;
    if (v->builder)
        batch_builder_retype(v->builder, v->types, store->n_columns);
    else
        v->builder = batch_builder_create(v->types, store->n_columns);
}

static void find_targets(validator *v, const check *c)
{
    if (v->cap_targets < c->rows->n_columns) {
        v->targets = memory_grow(v->targets, c->rows->n_columns * sizeof *v->targets);
        v->cap_targets = c->rows->n_columns;
    }
    for (uint32_t i = 0; i < c->rows->n_columns; i++) {
        uint32_t hint = i;
        const char *name = c->names[i];
        v->targets[i] = name[0] == '_' ? -2 : row_plan_find(c->store->rows, name, strlen(name), &hint);
    }
}

static row_reason put_integer(batch_builder *b, uint32_t at, const plan_column *rule, int64_t value)
{
    row_reason reason;
    if (rule->type == COLUMN_NUMBER) {
        reason = row_plan_check_number(rule, (double)value);
        if (reason == ROW_OK)
            batch_builder_number(b, at, (double)value);
        return reason;
    }
    reason = rule->type == COLUMN_INTEGER ? row_plan_check_integer(rule, value) : ROW_TYPE;
    if (reason == ROW_OK)
        batch_builder_int64(b, at, value);
    return reason;
}

static row_reason put_number(batch_builder *b, uint32_t at, const plan_column *rule, double value)
{
    row_reason reason = rule->type == COLUMN_NUMBER ? row_plan_check_number(rule, value) : ROW_TYPE;
    if (rule->type == COLUMN_INTEGER && value >= -9007199254740992.0 && value <= 9007199254740992.0 &&
        value == floor(value))
        return put_integer(b, at, rule, (int64_t)value);
    if (reason == ROW_OK)
        batch_builder_number(b, at, value);
    return reason;
}

static row_reason put_text(batch_builder *b, uint32_t at, const plan_column *rule, const char *s, size_t len)
{
    int64_t us;
    if (rule->type == COLUMN_TIMESTAMP) {
        if (!utc_parse(s, len, &us))
            return ROW_FORMAT;
        batch_builder_int64(b, at, us);
        return ROW_OK;
    }
    if (rule->type != COLUMN_TEXT)
        return ROW_TYPE;
    if (memchr(s, '\0', len))
        return ROW_NOT_STORABLE;
    row_reason reason = row_plan_check_text(rule, s, len);
    if (reason == ROW_OK)
        batch_builder_text(b, at, s, len);
    return reason;
}

static row_reason put_json(batch_builder *b, uint32_t at, const plan_column *rule, const char *s, size_t len)
{
    status st;
    if (rule->type != COLUMN_JSON)
        return ROW_TYPE;
    json_t *value = json_loadb(s, len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    if (!value)
        return ROW_TYPE;
    row_reason reason =
        memmem(s, len, "\\u0000", 6) ? ROW_NOT_STORABLE : row_plan_check_json(rule, value, &st);
    json_decref(value);
    if (reason == ROW_OK)
        batch_builder_text(b, at, s, len);
    return reason;
}

/* Types without rules of their own: the type must be the column's. */
static row_reason put_plain(batch_builder *b, uint32_t at, const plan_column *rule, const column *c,
                            uint32_t row)
{
    if (rule->type != c->type)
        return ROW_TYPE;
    if (c->type == COLUMN_BOOLEAN)
        batch_builder_boolean(b, at, bitmap_get(c->values, row));
    else if (c->type == COLUMN_TIMESTAMP)
        batch_builder_int64(b, at, ((const int64_t *)c->values)[row]);
    else if (c->type == COLUMN_DATE)
        batch_builder_date(b, at, ((const int32_t *)c->values)[row]);
    else
        batch_builder_uuid(b, at, (const uint8_t *)c->values + (size_t)16 * row);
    return ROW_OK;
}

static row_reason put_value(batch_builder *b, uint32_t at, const plan_column *rule, const column *c,
                            uint32_t row)
{
    if (column_is_null(c, row)) {
        if (!rule->nullable)
            return ROW_TYPE;
        batch_builder_null(b, at);
        return ROW_OK;
    }
    switch (c->type) {
    case COLUMN_INTEGER:
        return put_integer(b, at, rule, ((const int64_t *)c->values)[row]);
    case COLUMN_NUMBER:
        return put_number(b, at, rule, ((const double *)c->values)[row]);
    case COLUMN_TEXT:
        return put_text(b, at, rule, c->data + c->offsets[row],
                        (size_t)(c->offsets[row + 1] - c->offsets[row]));
    case COLUMN_JSON:
        return put_json(b, at, rule, c->data + c->offsets[row],
                        (size_t)(c->offsets[row + 1] - c->offsets[row]));
    default:
        return put_plain(b, at, rule, c, row);
    }
}

static bool fail(check *c, row_reason reason, const char *column_name, const plan_column *rule)
{
    c->reason = reason;
    c->column = column_name;
    c->rule = rule;
    return false;
}

static bool put_row(validator *v, check *c)
{
    const row_plan *plan = c->store->rows;
    uint32_t required = 0;
    for (uint32_t i = 0; i < c->rows->n_columns; i++) {
        const column *in = &c->rows->columns[i];
        int32_t at = v->targets[i];
        if (at == -2 || !column_is_present(in, c->row))
            continue;
        if (at < 0) {
            if (column_is_null(in, c->row))
                continue;
            return fail(c, ROW_ADDITIONAL, c->names[i], NULL);
        }
        row_reason reason = put_value(v->builder, (uint32_t)at, &plan->columns[at], in, c->row);
        if (reason != ROW_OK)
            return fail(c, reason, c->names[i], &plan->columns[at]);
        required += plan->columns[at].required;
    }
    return required == plan->n_required || fail(c, ROW_REQUIRED, "", NULL);
}

/* Shifts the event time of the open row and asks the window. */
static bool time_fits(validator *v, check *c)
{
    int32_t at = c->store->table.time_column;
    if (at < 0)
        return true;
    if (!batch_builder_is_set(v->builder, (uint32_t)at))
        return false;
    int64_t us = ((const int64_t *)v->builder->columns[at].values)[v->builder->n_rows] + c->shift_us;
    batch_builder_int64(v->builder, (uint32_t)at, us);
    return us >= c->earliest_us && us <= c->latest_us;
}

static void add_reject(validator *v, const check *c, const char *code)
{
    if (v->n_rejects == v->cap_rejects) {
        v->cap_rejects = v->cap_rejects ? v->cap_rejects * 2 : 64;
        v->rejects = memory_grow(v->rejects, v->cap_rejects * sizeof *v->rejects);
    }
    validate_reject *r = &v->rejects[v->n_rejects++];
    *r = (validate_reject){.row = c->row, .code = code ? code : row_reason_name(c->reason)};
    r->column = code ? c->store->defined->time : c->column;
    if (code)
        snprintf(r->detail, sizeof r->detail, "the event time is outside of what the store accepts");
    else
        row_reason_sentence(c->reason, c->rule, r->detail, sizeof r->detail);
}

static int64_t window_edge(int64_t now_us, int64_t width_us, int sign)
{
    return width_us == DEFINITION_ANY ? (sign < 0 ? INT64_MIN : INT64_MAX) : now_us + sign * width_us;
}

void validate_columns(validator *v, const datastore_plan *store, const batch *rows, const char *const *names,
                      int64_t now_us, int64_t shift_us, validate_result *out)
{
    check c = {.store = store, .rows = rows, .names = names, .shift_us = shift_us};
    c.earliest_us = window_edge(now_us, store->defined->accept_past_us, -1);
    c.latest_us = window_edge(now_us, store->defined->accept_future_us, 1);
    prepare_builder(v, store);
    find_targets(v, &c);
    v->n_rejects = 0;
    for (c.row = 0; c.row < rows->n_rows; c.row++) {
        bool good = put_row(v, &c), in_time = good && time_fits(v, &c);
        if (in_time) {
            batch_builder_end_row(v->builder);
            continue;
        }
        batch_builder_drop_row(v->builder);
        add_reject(v, &c, good ? "time_out_of_window" : NULL);
    }
    *out = (validate_result){batch_builder_freeze(v->builder), v->rejects, v->n_rejects};
}
