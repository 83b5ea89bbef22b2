/* Data time is stepped per entity where the metric's labels are the entity of the store that moves it, else
 * for the store as a whole. Steps of several entities at one moment share one evaluation of the metric. */
#include "flow/alert.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/batch_json.h"
#include "base/log.h"
#include "base/text.h"
#include "base/utc.h"
#include "control/definition_table.h"
#include "flow/alert_lives.h"
#include "flow/alert_message.h"
#include "flow/metric.h"

enum { RAW_STEP_US = 60000000, RAW_QUIET_US = 60000000 };

typedef struct evaluation {
    const alert_parts *parts;
    const metric_plan *metric;
    arena *arena;
    alert_lives *lives;
    alert_result *result;
    int64_t width_us; /* of a step */
    bool by_entity;
} evaluation;

/* ---- the metric's answer ---- */

static int column_index(const metric_result *r, const char *name)
{
    for (uint32_t i = 0; i < r->rows.n_columns; i++)
        if (strcmp(r->names[i], name) == 0)
            return (int)i;
    return -1;
}

static const char *row_labels(const evaluation *e, const metric_result *r, uint32_t row)
{
    text out = {0};
    text_list labels = e->metric->defined->labels;
    text_add_char(&out, '{');
    for (uint32_t i = 0; i < labels.n; i++) {
        int at = column_index(r, labels.items[i]);
        text_add(&out, i ? "," : "");
        text_add_json_string(&out, labels.items[i], strlen(labels.items[i]));
        text_add_char(&out, ':');
        if (at >= 0)
            batch_value_json(&out, &r->rows.columns[at], row);
        else
            text_add(&out, "null");
    }
    text_add_char(&out, '}');
    const char *copy = arena_string_n(e->arena, out.data, out.len);
    text_free(&out);
    return copy;
}

static double row_value(const column *c, uint32_t row)
{
    if (column_is_null(c, row))
        return NAN;
    switch (c->type) {
    case COLUMN_NUMBER:
        return ((const double *)c->values)[row];
    case COLUMN_INTEGER:
        return (double)((const int64_t *)c->values)[row];
    case COLUMN_BOOLEAN:
        return bitmap_get(c->values, row);
    default:
        return NAN;
    }
}

/* Asks the metric and gives each row to `on_row`. */
typedef void (*row_function)(evaluation *e, const char *labels, double value, void *arg);

static status_class ask(evaluation *e, int64_t as_of_us, row_function on_row, void *arg, status *st)
{
    const defined_metric *d = e->metric->defined;
    metric_result r = {0};
    metric_request q = {.params = e->parts->rule->params,
                        .now_us = e->parts->now_us,
                        .as_of_us = as_of_us,
                        .ward = e->parts->ward};
    status_class class = metric_run(e->metric, e->parts->data, e->parts->engine, &q, e->arena, &r, st);
    if (class != STATUS_OK)
        return class;
    int at = column_index(&r, d->value ? d->value : "value");
    if (at < 0)
        class = status_set(st, STATUS_INVALID, "metric %s gives no column %s", d->object.key,
                           d->value ? d->value : "value");
    for (uint32_t row = 0; row < r.rows.n_rows && at >= 0; row++)
        on_row(e, row_labels(e, &r, row), row_value(&r.rows.columns[at], row), arg);
    metric_result_free(&r);
    return class;
}

static void feed(evaluation *e, const char *labels, int64_t at_us, double value)
{
    if (isnan(value))
        return; /* nothing is known: silence, not a value */
    e->result->points++;
    if (!alert_lives_feed(e->lives, labels, at_us, value, e->parts->now_us))
        log_warn("alert", "an alert has too many label sets; new ones are not watched",
                 LOG_TEXT("alert", e->parts->rule->object.key));
}

static void on_wall_row(evaluation *e, const char *labels, double value, void *arg)
{
    (void)arg;
    feed(e, labels, e->parts->now_us, value);
}

/* ---- steps of data time ---- */

typedef struct step {
    int64_t at_us;      /* start of the bucket */
    const char *labels; /* NULL = the store as a whole */
} step;

typedef struct steps {
    step *items;
    uint32_t n;
} steps;

/* Labels of the metric as columns of the driver: the same set in either order. */
static bool labels_are_entity(const evaluation *e)
{
    const store_table *t = e->metric->driver;
    text_list labels = e->metric->defined->labels;
    if (labels.n != t->n_entity || labels.n == 0)
        return false;
    for (uint32_t i = 0; i < labels.n; i++) {
        int32_t at = table_column_find(t, labels.items[i]);
        bool found = false;
        for (uint32_t k = 0; k < t->n_entity; k++)
            found = found || (int32_t)t->entity[k] == at;
        if (!found)
            return false;
    }
    return true;
}

/* The start of the step that a row of the driver belongs to. */
static void add_step_start(text *sql, const evaluation *e)
{
    const store_table *t = e->metric->driver;
    const char *time = t->columns[t->time_column].name;
    if (e->metric->driver_width_us) {
        sql_identifier(sql, time);
        return;
    }
    text_printf(sql, "date_bin('%" PRId64 " microseconds', ", e->width_us);
    sql_identifier(sql, time);
    text_add(sql, ", 'epoch')");
}

static void add_label_columns(text *sql, const evaluation *e)
{
    for (uint32_t i = 0; i < e->metric->defined->labels.n && e->by_entity; i++) {
        text_add(sql, ", ");
        sql_identifier(sql, e->metric->defined->labels.items[i]);
    }
}

/* Raw rows have no bucket to complete: the newest step counts once nothing came for the entity for a minute.
 */
static void add_raw_newest(text *sql, const evaluation *e)
{
    text_add(sql, "max(");
    add_step_start(sql, e);
    text_printf(sql,
                ") + CASE WHEN max(_received) < $1 THEN '%" PRId64 " microseconds'::interval ELSE '0' END",
                e->width_us);
}

/* Newest step of each entity: what lies before it is complete. */
static status_class read_newest(evaluation *e, metric_result *out, status *st)
{
    char label[TABLE_LABEL_SIZE];
    text sql = {0};
    rows *found;
    bool raw = e->metric->driver->class == STORE_DATASTORE;
    value quiet = value_time_us(e->parts->now_us - RAW_QUIET_US);
    table_label(label, e->metric->driver);
    text_add(&sql, "SELECT ");
    if (raw) {
        add_raw_newest(&sql, e);
    } else {
        text_add(&sql, "max(");
        add_step_start(&sql, e);
        text_add_char(&sql, ')');
    }
    text_add(&sql, " AS newest");
    add_label_columns(&sql, e);
    text_printf(&sql, " FROM %s", label);
    for (uint32_t i = 0; i < e->metric->defined->labels.n && e->by_entity; i++) {
        text_add(&sql, i ? ", " : " GROUP BY ");
        sql_identifier(&sql, e->metric->defined->labels.items[i]);
    }
    statement newest = {"find the newest steps", sql.data};
    status_class class = connection_run(e->parts->data, &newest, &quiet, raw ? 1 : 0, &found, st);
    text_free(&sql);
    if (class != STATUS_OK)
        return class;
    metric_result_of_rows(found, e->arena, out);
    rows_free(found);
    return STATUS_OK;
}

/* Steps of one entity in (after, newest), oldest first. */
static status_class read_steps(evaluation *e, const metric_result *newest, uint32_t row, int64_t after_us,
                               const char *labels, steps *out, status *st)
{
    char label[TABLE_LABEL_SIZE];
    text sql = {0};
    rows *found;
    const store_table *t = e->metric->driver;
    text_list names = e->metric->defined->labels;
    value params[TABLE_KEY_COLUMNS_MAX + 3] = {
        value_time_us(after_us), value_time_us(((const int64_t *)newest->rows.columns[0].values)[row]),
        value_integer(ALERT_STEPS_A_TURN + 1 - out->n)};
    unsigned n = 3;
    table_label(label, t);
    text_add(&sql, "SELECT DISTINCT ");
    add_step_start(&sql, e);
    text_printf(&sql, " FROM %s WHERE ", label);
    sql_identifier(&sql, t->columns[t->time_column].name);
    text_printf(&sql, " >= $1::timestamptz + '%" PRId64 " microseconds'::interval AND ",
                e->metric->driver_width_us ? 1 : e->width_us);
    sql_identifier(&sql, t->columns[t->time_column].name);
    text_add(&sql, " < $2");
    for (uint32_t i = 0; i < names.n && e->by_entity; i++) {
        text plain = {0};
        const column *c = &newest->rows.columns[i + 1];
        batch_value_text(&plain, c, row);
        text_add(&sql, " AND ");
        sql_identifier(&sql, names.items[i]);
        text_printf(&sql, " = $%u::%s", n + 1, column_sql_type(c->type));
        params[n++] = value_text(arena_string(e->arena, text_or_empty(&plain)));
        text_free(&plain);
    }
    text_add(&sql, " ORDER BY 1 LIMIT $3");
    statement read = {"find steps", sql.data};
    status_class class = connection_run(e->parts->data, &read, params, n, &found, st);
    text_free(&sql);
    if (class != STATUS_OK)
        return class;
    for (uint32_t i = 0; i < rows_count(found) && out->n <= ALERT_STEPS_A_TURN; i++)
        out->items[out->n++] = (step){rows_time_us(found, i, 0), labels};
    rows_free(found);
    return STATUS_OK;
}

static int compare_steps(const void *left, const void *right)
{
    const step *a = left, *b = right;
    return a->at_us < b->at_us ? -1 : a->at_us > b->at_us;
}

static status_class collect_steps(evaluation *e, steps *out, status *st)
{
    metric_result newest = {0};
    out->items = arena_zero(e->arena, ALERT_STEPS_A_TURN + 2, sizeof *out->items);
    status_class class = read_newest(e, &newest, st);
    for (uint32_t row = 0; class == STATUS_OK && row < newest.rows.n_rows && out->n <= ALERT_STEPS_A_TURN;
         row++) {
        if (column_is_null(&newest.rows.columns[0], row))
            continue;
        const char *labels = e->by_entity ? row_labels(e, &newest, row) : NULL;
        int64_t last_us = alert_lives_last(e->lives, labels ? labels : "{}");
        const bucket_rule *b = e->metric->driver_bucket;
        int64_t after_us = last_us == INT64_MIN ? UTC_MIN_US
                           : b                  ? bucket_start(b, last_us - 1)
                                                : last_us - e->width_us;
        class = read_steps(e, &newest, row, after_us, labels, out, st);
    }
    metric_result_free(&newest);
    e->result->more = out->n > ALERT_STEPS_A_TURN;
    qsort(out->items, out->n, sizeof *out->items, compare_steps);
    return class;
}

/* The entities that have a row of their own at this moment. */
typedef struct moment {
    const step *first;
    uint32_t n;
    int64_t end_us;
} moment;

static void on_data_row(evaluation *e, const char *labels, double value, void *arg)
{
    const moment *m = arg;
    for (uint32_t i = 0; i < m->n; i++)
        if (!m->first[i].labels || strcmp(m->first[i].labels, labels) == 0) {
            feed(e, labels, m->end_us, value);
            return;
        }
}

/* Steps of a derived store are its buckets, which by the calendar differ in length. */
static int64_t step_end(const evaluation *e, int64_t at_us)
{
    const bucket_rule *b = e->metric->driver_bucket;
    return b ? bucket_end(b, at_us) : at_us + e->width_us;
}

static status_class run_data_clock(evaluation *e, status *st)
{
    steps all = {0};
    status_class class = collect_steps(e, &all, st);
    for (uint32_t i = 0; i < all.n && class == STATUS_OK;) {
        moment m = {&all.items[i], 1, step_end(e, all.items[i].at_us)};
        while (i + m.n < all.n && all.items[i + m.n].at_us == all.items[i].at_us)
            m.n++;
        i += m.n;
        class = ask(e, m.end_us, on_data_row, &m, st);
        for (uint32_t k = 0; k < m.n && class == STATUS_OK; k++)
            alert_lives_pass(e->lives, m.first[k].labels ? m.first[k].labels : "{}", m.end_us);
    }
    return class;
}

/* ---- saving ---- */

static bool still_worth_telling(const evaluation *e, const alert_told *told)
{
    int64_t horizon = e->parts->rule->notify_horizon_us;
    return horizon == DEFINITION_ANY || e->parts->now_us - told->at_us <= horizon;
}

static status_class save_inside(evaluation *e, status *st)
{
    const alert_told *told;
    uint32_t n = alert_lives_told(e->lives, &told);
    status_class class = alert_lives_save(e->lives, e->parts->control, st);
    for (uint32_t i = 0; i < n && class == STATUS_OK; i++) {
        e->result->fired += told[i].event == ALERT_FIRED;
        e->result->resolved += told[i].event == ALERT_RESOLVED;
        log_info("alert", told[i].event == ALERT_FIRED ? "fires" : "is resolved",
                 LOG_TEXT("workspace", e->parts->plan->definition->workspace),
                 LOG_TEXT("alert", e->parts->rule->object.key), LOG_TEXT("labels", told[i].labels));
        if (still_worth_telling(e, &told[i]))
            class = alert_message_queue(e->parts->plan, e->parts->rule, &told[i], e->parts->control, e->arena,
                                        st);
    }
    return class;
}

static status_class save(evaluation *e, status *st)
{
    status_class class = connection_begin(e->parts->control, st);
    if (class != STATUS_OK)
        return class;
    class = save_inside(e, st);
    if (class == STATUS_OK)
        return connection_commit(e->parts->control, st);
    connection_rollback(e->parts->control);
    return class;
}

static status_class evaluate(evaluation *e, status *st)
{
    const alert_parts *p = e->parts;
    const store_table *driver = e->metric->driver;
    bool data = p->rule->clock == CLOCK_DATA && driver && driver->time_column >= 0 && e->metric->as_of_sql;
    status_class class = alert_lives_read(p->control, p->plan->wid, p->rule, e->arena, &e->lives, st);
    if (class != STATUS_OK)
        return class;
    if (data) {
        int64_t every = p->rule->schedule.every_us;
        e->width_us = e->metric->driver_width_us ? e->metric->driver_width_us : every ? every : RAW_STEP_US;
        e->by_entity = labels_are_entity(e);
        class = run_data_clock(e, st);
    } else {
        class = ask(e, 0, on_wall_row, NULL, st);
    }
    if (class != STATUS_OK)
        return class;
    alert_lives_silence(e->lives, p->now_us);
    e->result->on_rows = data;
    e->result->next_silence_us = alert_lives_next_silence(e->lives, p->now_us);
    return save(e, st);
}

status_class alert_evaluate(const alert_parts *parts, alert_result *out, status *st)
{
    evaluation e = {.parts = parts, .result = out, .arena = arena_create(0)};
    *out = (alert_result){0};
    e.metric = flow_plan_metric(parts->plan, parts->rule->metric);
    status_class class = e.metric
                             ? evaluate(&e, st)
                             : status_set(st, STATUS_NOT_FOUND, "there is no metric %s", parts->rule->metric);
    if (class != STATUS_OK)
        status_wrap(st, "alert %s", parts->rule->object.key);
    arena_free(e.arena);
    return class;
}
