#include "flow/metric.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/batch_json.h"
#include "base/name.h"
#include "base/utc.h"
#include "control/relative_time.h"
#include "flow/feature_rows.h"
#include "flow/metric_engine.h"

/* ---- parameters ---- */

static status_class unfit(const metric_parameter *p, const char *what, status *st)
{
    char where[80];
    snprintf(where, sizeof where, "/%s", p->name);
    return status_at(st, STATUS_INVALID, where, "parameter %s: %s", p->name, what);
}

static bool parse_integer(const char *s, int64_t *out)
{
    char *end;
    *out = strtoll(s, &end, 10);
    return end != s && *end == '\0';
}

static bool parse_number(const char *s, double *out)
{
    char *end;
    *out = strtod(s, &end);
    return end != s && *end == '\0';
}

static status_class integer_value(const metric_parameter *p, const json_t *v, value *out, status *st)
{
    int64_t n;
    if (json_is_integer(v))
        *out = value_integer(json_integer_value(v));
    else if (json_is_string(v) && parse_integer(json_string_value(v), &n))
        *out = value_integer(n);
    else
        return unfit(p, "must be an integer", st);
    return STATUS_OK;
}

static status_class number_value(const metric_parameter *p, const json_t *v, value *out, status *st)
{
    double n;
    if (json_is_number(v))
        *out = value_number(json_number_value(v));
    else if (json_is_string(v) && parse_number(json_string_value(v), &n))
        *out = value_number(n);
    else
        return unfit(p, "must be a number", st);
    return STATUS_OK;
}

static status_class boolean_value(const metric_parameter *p, const json_t *v, value *out, status *st)
{
    const char *s = json_string_value(v);
    bool yes = json_is_true(v) || (s && strcmp(s, "true") == 0),
         no = json_is_false(v) || (s && strcmp(s, "false") == 0);
    if (!yes && !no)
        return unfit(p, "must be true or false", st);
    *out = value_boolean(yes);
    return STATUS_OK;
}

static status_class timed_value(const metric_parameter *p, const json_t *v, int64_t now_us, arena *a,
                                value *out, status *st)
{
    const char *s = json_string_value(v);
    int64_t us;
    if (p->type == PARAMETER_DURATION) {
        if (!s || !duration_parse(s, strlen(s), &us))
            return unfit(p, "must be a duration such as 10m", st);
        *out = value_text(arena_printf(a, "%lld microseconds", (long long)us));
        return STATUS_OK;
    }
    if (!s || !relative_time_parse(s, now_us, &us))
        return unfit(p, "must be a time: RFC 3339, now, now-24h", st);
    *out = value_time_us(us);
    return STATUS_OK;
}

static bool is_choice(const metric_parameter *p, const json_t *v)
{
    size_t i;
    const json_t *choice;
    if (!p->choices)
        return true;
    json_array_foreach(p->choices, i, choice) if (json_equal(choice, v)) return true;
    return false;
}

/* The value of one parameter as it is bound. STATUS_INVALID with where = "/name". */
static status_class metric_parameter_value(const metric_parameter *p, const json_t *given, int64_t now_us,
                                           arena *a, value *out, status *st)
{
    const json_t *v = given ? given : p->value;
    if (!v)
        return unfit(p, "must be given", st);
    if (json_is_null(v)) {
        *out = value_null();
        return STATUS_OK;
    }
    if (!is_choice(p, v))
        return unfit(p, "is none of its choices", st);
    switch (p->type) {
    case PARAMETER_INTEGER:
        return integer_value(p, v, out, st);
    case PARAMETER_NUMBER:
        return number_value(p, v, out, st);
    case PARAMETER_BOOLEAN:
        return boolean_value(p, v, out, st);
    case PARAMETER_TIMESTAMP:
    case PARAMETER_DURATION:
        return timed_value(p, v, now_us, a, out, st);
    case PARAMETER_TEXT:
        break;
    }
    if (!json_is_string(v))
        return unfit(p, "must be a text", st);
    if (strlen(json_string_value(v)) != json_string_length(v))
        return unfit(p, "must not hold U+0000", st);
    *out = value_text(json_string_value(v));
    return STATUS_OK;
}

static const metric_parameter *parameter_find(const defined_metric *d, const char *name)
{
    for (uint32_t i = 0; i < d->n_params; i++)
        if (strcmp(d->params[i].name, name) == 0)
            return &d->params[i];
    return NULL;
}

/* A value for a parameter that the metric does not have is a mistake worth telling. */
static status_class check_names(const defined_metric *d, const json_t *given, status *st)
{
    const char *name;
    json_t *v;
    json_object_foreach((json_t *)given, name, v)
    {
        if (parameter_find(d, name))
            continue;
        char where[128];
        const char *known[SQL_GUARD_PARAMS_MAX];
        uint32_t n = d->n_params < SQL_GUARD_PARAMS_MAX ? d->n_params : SQL_GUARD_PARAMS_MAX;
        for (uint32_t i = 0; i < n; i++)
            known[i] = d->params[i].name;
        const char *near = name_suggest(name, known, n);
        snprintf(where, sizeof where, "/%.100s", name);
        status_at(st, STATUS_INVALID, where, "metric %s has no parameter %.60s", d->object.key, name);
        if (near)
            status_hint(st, "did you mean %s?", near);
        return st->class;
    }
    return STATUS_OK;
}

static status_class bind_values(const defined_metric *d, const sql_statement *s, const metric_request *q,
                                arena *a, value *out, status *st)
{
    for (uint32_t i = 0; i < s->n_params; i++) {
        const metric_parameter *p = parameter_find(d, s->params[i]);
        status_class class = metric_parameter_value(p, q->params ? json_object_get(q->params, p->name) : NULL,
                                                    q->now_us, a, &out[i], st);
        if (class != STATUS_OK)
            return class;
    }
    return STATUS_OK;
}

/* ---- running ---- */

typedef struct fetched {
    batch_builder *builder;
    batch rows;
    const char *const *names;
    bool cut;
} fetched;

static void take_rows(const rows *found, uint32_t most, arena *a, fetched *out)
{
    uint32_t n = rows_columns(found);
    const char **names = arena_zero(a, n, sizeof *names);
    column_type *types = arena_zero(a, n, sizeof *types);
    for (uint32_t i = 0; i < n; i++) {
        names[i] = arena_string(a, rows_name(found, i));
        types[i] = rows_type(found, i);
    }
    out->builder = rows_to_batch(found, types, n);
    out->rows = batch_builder_freeze(out->builder);
    out->names = names;
    out->cut = out->rows.n_rows > most;
    if (out->cut)
        out->rows.n_rows = most;
}

static status_class run_sql(const metric_plan *m, const sql_statement *s, connection *c,
                            const metric_request *q, arena *a, fetched *out, status *st)
{
    value params[SQL_GUARD_PARAMS_MAX + 1];
    unsigned n = s->n_params;
    uint32_t most = q->rows_max ? q->rows_max : METRIC_ROWS_MAX;
    rows *found;
    status_class class = bind_values(m->defined, s, q, a, params, st);
    if (class != STATUS_OK)
        return class;
    if (q->as_of_us)
        params[n++] = value_time_us(q->as_of_us);
    const char *sql =
        arena_printf(a, "SELECT * FROM (%s) capped LIMIT %u", q->as_of_us ? m->as_of_sql : s->sql, most + 1);
    statement run = {m->defined->object.key, sql};
    class = connection_run(c, &run, params, n, &found, st);
    if (class != STATUS_OK)
        return status_wrap(st, "metric %s", m->defined->object.key);
    take_rows(found, most, a, out);
    rows_free(found);
    return STATUS_OK;
}

/* "$name" stands for a parameter of the metric that is asked. */
static json_t *input_params(const metric_plan *m, const metric_input *input, const metric_request *q)
{
    json_t *out = json_object();
    const char *name;
    json_t *v;
    json_object_foreach(input->params, name, v)
    {
        const char *s = json_string_value(v);
        const metric_parameter *p = s && s[0] == '$' ? parameter_find(m->defined, s + 1) : NULL;
        json_t *given = p && q->params ? json_object_get(q->params, p->name) : NULL;
        json_object_set(out, name, p ? (given ? given : p->value) : v);
    }
    return out;
}

static status_class fetch_input(const metric_plan *m, uint32_t i, connection *c, const metric_request *q,
                                arena *a, fetched *out, status *st)
{
    const metric_input *input = &m->defined->inputs[i];
    if (input->sql)
        return run_sql(m, m->inputs[i], c, q, a, out, st);
    const metric_plan *other = flow_plan_metric(m->plan, input->metric);
    if (!other || !other->statement)
        return status_set(st, STATUS_INVALID, "input %s: %s is not a metric in SQL", input->name,
                          input->metric);
    metric_request inner = *q;
    json_t *params = input_params(m, input, q);
    inner.params = params;
    status_class class = run_sql(other, other->statement, c, &inner, a, out, st);
    json_decref(params);
    return class;
}

static status_class run_engine(const metric_plan *m, connection *c, instance *engine, const metric_request *q,
                               arena *a, metric_result *out, status *st)
{
    const defined_metric *d = m->defined;
    fetched *parts = arena_zero(a, d->n_inputs, sizeof *parts);
    metric_order order = {.place = {q->ward, engine, arena_printf(a, "metric:%s", d->object.key),
                                    arena_printf(a, "metric:%s", d->object.key)},
                          .metric = d,
                          .params = q->params,
                          .inputs = arena_zero(a, d->n_inputs, sizeof *order.inputs)};
    status_class class = STATUS_OK;
    for (uint32_t i = 0; i < d->n_inputs && class == STATUS_OK; i++) {
        class = fetch_input(m, i, c, q, a, &parts[i], st);
        order.inputs[i] = (instance_input){d->inputs[i].name, parts[i].names, &parts[i].rows};
    }
    if (class == STATUS_OK)
        class = metric_evaluate(&order, a, &out->answer, st);
    if (class == STATUS_OK) {
        out->rows = out->answer->rows;
        out->names = out->answer->names;
    }
    for (uint32_t i = 0; i < d->n_inputs; i++)
        batch_builder_free(parts[i].builder);
    return class;
}

status_class metric_run(const metric_plan *m, connection *c, instance *engine, const metric_request *q,
                        arena *a, metric_result *out, status *st)
{
    fetched found = {0};
    *out = (metric_result){0};
    if (m->problem)
        return status_set(st, STATUS_CONFLICT, "metric %s cannot be run: %s", m->defined->object.key,
                          m->problem);
    status_class class = q->params ? check_names(m->defined, q->params, st) : STATUS_OK;
    if (class == STATUS_OK && !m->statement)
        return run_engine(m, c, engine, q, a, out, st);
    if (class == STATUS_OK)
        class = run_sql(m, m->statement, c, q, a, &found, st);
    if (class == STATUS_OK)
        *out = (metric_result){found.rows, found.names, found.cut, found.builder, NULL};
    return class;
}

void metric_result_of_rows(const rows *found, arena *a, metric_result *out)
{
    fetched f = {0};
    take_rows(found, METRIC_ROWS_MAX, a, &f);
    *out = (metric_result){f.rows, f.names, f.cut, f.builder, NULL};
}

int metric_result_find(const metric_result *r, const char *name)
{
    for (uint32_t i = 0; i < r->rows.n_columns; i++)
        if (strcmp(r->names[i], name) == 0)
            return (int)i;
    return -1;
}

void metric_result_free(metric_result *r)
{
    batch_builder_free(r->builder);
    instance_batch_free(r->answer);
    *r = (metric_result){0};
}

/* ---- forms ---- */

static void add_csv_cell(text *out, const char *s, size_t len)
{
    if (!memchr(s, '"', len) && !memchr(s, ',', len) && !memchr(s, '\n', len) && !memchr(s, '\r', len)) {
        text_add_n(out, s, len);
        return;
    }
    text_add_char(out, '"');
    for (size_t i = 0; i < len; i++)
        text_add_n(out, s[i] == '"' ? "\"\"" : s + i, s[i] == '"' ? 2 : 1);
    text_add_char(out, '"');
}

static void add_csv_value(text *out, text *scratch, const column *c, uint32_t row)
{
    if (column_is_null(c, row))
        return;
    text_clear(scratch);
    batch_value_text(scratch, c, row);
    add_csv_cell(out, text_or_empty(scratch), scratch->len);
}

void metric_result_csv(const metric_result *r, text *out)
{
    text scratch = {0};
    for (uint32_t i = 0; i < r->rows.n_columns; i++) {
        text_add(out, i ? "," : "");
        add_csv_cell(out, r->names[i], strlen(r->names[i]));
    }
    text_add(out, "\r\n");
    for (uint32_t row = 0; row < r->rows.n_rows; row++) {
        for (uint32_t i = 0; i < r->rows.n_columns; i++) {
            text_add(out, i ? "," : "");
            add_csv_value(out, &scratch, &r->rows.columns[i], row);
        }
        text_add(out, "\r\n");
    }
    text_free(&scratch);
}

void metric_result_ndjson(const metric_result *r, text *out)
{
    for (uint32_t row = 0; row < r->rows.n_rows; row++) {
        batch_row_json(out, &r->rows, r->names, row);
        text_add_char(out, '\n');
    }
}
