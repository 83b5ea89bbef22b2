#include "flow/metric_sql.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "control/definition_table.h"

typedef struct resolve_context {
    const flow_plan *plan;
    arena *arena;
} resolve_context;

static const store_table *referenced(const flow_plan *plan, const char *section, const char *key, status *st)
{
    const store_table *t = flow_plan_table(plan, class_parse(section, strlen(section)), key);
    if (!t)
        status_set(st, STATUS_NOT_FOUND, "there is no %s named %s, or its columns are not known", section,
                   key);
    return t;
}

static status_class on_table(void *arg, const char *section, const char *key, sql_target *out, status *st)
{
    resolve_context *r = arg;
    const store_table *t = referenced(r->plan, section, key, st);
    if (!t)
        return st->class;
    char *name = arena_alloc(r->arena, TABLE_NAME_SIZE);
    table_name(name, t->key, NULL, t->wid);
    *out = (sql_target){store_class_schema(t->class), name};
    return STATUS_OK;
}

static status_class on_wrapped(void *arg, const char *section, const char *key, sql_target *out, status *st)
{
    resolve_context *r = arg;
    if (!referenced(r->plan, section, key, st))
        return st->class;
    *out = (sql_target){.relation = arena_printf(r->arena, "%s:%s", section, key)};
    return STATUS_OK;
}

/* " <= the newest time whose bucket has ended": $moment less the width, or by the calendar the start of the
 * bucket before the one that $moment is in (or begins). */
static void add_complete(text *sql, const bucket_rule *b, unsigned moment)
{
    char interval[BUCKET_INTERVAL_SIZE];
    if (!b || b->width_us)
        text_printf(sql, " <= $%u::timestamptz - '%" PRId64 " microseconds'::interval", moment,
                    b ? b->width_us : 0);
    else {
        text_printf(sql, " < penstock.time_bucket('%s'::interval, $%u::timestamptz, ",
                    bucket_interval(b, interval), moment);
        sql_literal(sql, zone_name(b->zone));
        text_add_char(sql, ')');
    }
}

typedef struct as_of {
    const flow_plan *plan;
    const sql_statement *wrapped;
    const text_list *labels; /* of one step: the rows of these labels, nothing before it; NULL = all rows */
} as_of;

/* The key's index has the entity first: given its values, a step is found whatever lies before it. */
static void add_step(text *sql, const as_of *o, const store_table *t, unsigned from)
{
    text_add(sql, " AND ");
    sql_identifier(sql, t->columns[t->time_column].name);
    text_printf(sql, " >= $%u::timestamptz", from);
    for (uint32_t i = 0; i < o->labels->n; i++) {
        const table_column *c = &t->columns[table_column_find(t, o->labels->items[i])];
        text_add(sql, " AND ");
        sql_identifier(sql, c->name);
        text_printf(sql, " = ANY ($%u::text[]::%s[])", from + 1 + i, column_sql_type(c->type));
    }
}

static void add_as_of_store(text *sql, const as_of *o, const sql_reference *reference)
{
    status st;
    char label[TABLE_LABEL_SIZE], name[TABLE_NAME_SIZE + 20];
    const store_table *t = referenced(o->plan, reference->store_class, reference->key, &st);
    unsigned moment = o->wrapped->n_params + 1;
    table_label(label, t);
    snprintf(name, sizeof name, "%s:%s", reference->store_class, reference->key);
    sql_identifier(sql, name);
    text_printf(sql, " AS NOT MATERIALIZED (SELECT * FROM %s", label);
    if (t->time_column >= 0) {
        text_add(sql, " WHERE ");
        sql_identifier(sql, t->columns[t->time_column].name);
        add_complete(sql, flow_plan_bucket(o->plan, t), moment);
    }
    if (o->labels)
        add_step(sql, o, t, moment + 1);
    text_add_char(sql, ')');
}

static const char *as_of_text(arena *a, const as_of *o)
{
    text sql = {0};
    for (uint32_t i = 0; i < o->wrapped->n_references; i++) {
        text_add(&sql, i ? ", " : "WITH ");
        add_as_of_store(&sql, o, &o->wrapped->references[i]);
    }
    text_printf(&sql, " SELECT * FROM (%s) q", o->wrapped->sql);
    if (o->wrapped->n_references == 0) /* $n must be used by somebody */
        text_printf(&sql, " WHERE $%u::timestamptz IS NOT NULL", o->wrapped->n_params + 1);
    const char *copy = arena_string_n(a, sql.data, sql.len);
    text_free(&sql);
    return copy;
}

/* The newest row of each label, by the time of the store that moves the metric. */
static bool is_latest_of_labels(const metric_plan *m, const sql_statement *s)
{
    text_list labels = m->defined->labels;
    const store_table *t = m->driver;
    if (!t || t->time_column < 0 || s->n_latest_by == 0 || s->n_latest_by != labels.n ||
        labels.n > TABLE_KEY_COLUMNS_MAX || strcmp(s->latest_time, t->columns[t->time_column].name) != 0)
        return false;
    for (uint32_t i = 0; i < labels.n; i++) {
        bool found = false;
        for (uint32_t k = 0; k < s->n_latest_by && table_column_find(t, labels.items[i]) >= 0; k++)
            found = found || strcmp(labels.items[i], s->latest_by[k]) == 0;
        if (!found)
            return false;
    }
    return true;
}

static status_class make_as_of(arena *a, const flow_plan *plan, metric_plan *m, const sql_guard_options *base,
                               status *st)
{
    resolve_context context = {plan, a};
    sql_guard_options options = *base;
    const sql_statement *wrapped;
    options.resolve = on_wrapped;
    options.arg = &context;
    status_class class = sql_guard_check(a, m->defined->sql, strlen(m->defined->sql), &options, &wrapped, st);
    if (class != STATUS_OK)
        return class;
    m->as_of_sql = as_of_text(a, &(as_of){plan, wrapped, NULL});
    if (is_latest_of_labels(m, wrapped))
        m->step_sql = as_of_text(a, &(as_of){plan, wrapped, &m->defined->labels});
    return STATUS_OK;
}

static const char **parameter_names(arena *a, const defined_metric *d)
{
    const char **names = arena_zero(a, d->n_params + 1, sizeof *names);
    for (uint32_t i = 0; i < d->n_params; i++)
        names[i] = d->params[i].name;
    return names;
}

static void find_driver(const flow_plan *plan, metric_plan *m, const sql_statement *s)
{
    if (m->driver || s->n_references == 0)
        return;
    const sql_reference *r = &s->references[0];
    m->driver = flow_plan_table(plan, class_parse(r->store_class, strlen(r->store_class)), r->key);
    m->driver_bucket = m->driver ? flow_plan_bucket(plan, m->driver) : NULL;
    m->driver_width_us = m->driver_bucket ? bucket_nominal_us(m->driver_bucket) : 0;
}

static status_class make_inputs(arena *a, metric_plan *m, const sql_guard_options *options, status *st)
{
    const defined_metric *d = m->defined;
    m->inputs = arena_zero(a, d->n_inputs, sizeof *m->inputs);
    for (uint32_t i = 0; i < d->n_inputs; i++) {
        if (!d->inputs[i].sql)
            continue;
        status_class class =
            sql_guard_check(a, d->inputs[i].sql, strlen(d->inputs[i].sql), options, &m->inputs[i], st);
        if (class != STATUS_OK)
            return status_wrap(st, "input %s", d->inputs[i].name);
        find_driver(m->plan, m, m->inputs[i]);
    }
    return STATUS_OK;
}

status_class metric_sql_make(arena *a, const flow_plan *plan, metric_plan *m, status *st)
{
    const defined_metric *d = m->defined;
    resolve_context context = {plan, a};
    sql_guard_options options = {on_table, &context, parameter_names(a, d), d->n_params};
    if (!d->sql)
        return make_inputs(a, m, &options, st);
    status_class class = sql_guard_check(a, d->sql, strlen(d->sql), &options, &m->statement, st);
    if (class != STATUS_OK)
        return class;
    find_driver(plan, m, m->statement);
    return make_as_of(a, plan, m, &options, st);
}
