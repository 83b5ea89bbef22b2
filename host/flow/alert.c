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
#include "flow/alert_steps.h"
#include "flow/metric.h"

enum { RAW_STEP_US = 60000000 };

typedef struct evaluation {
    const alert_parts *parts;
    const metric_plan *metric;
    arena *arena;
    alert_lives *lives;
    alert_result *result;
    int64_t width_us; /* of a step */
} evaluation;

/* ---- the metric's answer ---- */

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

static status_class ask(evaluation *e, int64_t as_of_us, const metric_step *step, row_function on_row,
                        void *arg, status *st)
{
    const defined_metric *d = e->metric->defined;
    metric_result r = {0};
    metric_request q = {.params = e->parts->rule->params,
                        .now_us = e->parts->now_us,
                        .as_of_us = as_of_us,
                        .step = step,
                        .ward = e->parts->ward};
    status_class class = metric_run(e->metric, e->parts->data, e->parts->engine, &q, e->arena, &r, st);
    if (class != STATUS_OK)
        return class;
    int at = metric_result_find(&r, d->value ? d->value : "value");
    if (at < 0)
        class = status_set(st, STATUS_INVALID, "metric %s gives no column %s", d->object.key,
                           d->value ? d->value : "value");
    for (uint32_t row = 0; row < r.rows.n_rows && at >= 0; row++)
        on_row(e, alert_labels(e->metric, &r, row, e->arena), row_value(&r.rows.columns[at], row), arg);
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

/* The entities that have a row of their own at this moment. */
typedef struct moment {
    const alert_moment *first;
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

/* Entities that have rows in the step are asked for, so what is older is not their newest row. */
static status_class ask_moment(evaluation *e, const alert_steps *all, moment *m, status *st)
{
    metric_step step = {.from_us = m->first->at_us, .n = m->n};
    bool by_entity = m->first->labels && e->metric->step_sql;
    for (uint32_t i = 0; by_entity && i < e->metric->defined->labels.n; i++) {
        const char **texts = arena_zero(e->arena, m->n, sizeof *texts);
        for (uint32_t k = 0; k < m->n; k++)
            texts[k] = all->entities[i][m->first[k].entity];
        step.labels[i] = texts;
    }
    return ask(e, m->end_us, by_entity ? &step : NULL, on_data_row, m, st);
}

static status_class run_data_clock(evaluation *e, status *st)
{
    alert_steps all;
    const alert_scan scan = {.metric = e->metric,
                             .data = e->parts->data,
                             .lives = e->lives,
                             .width_us = e->width_us,
                             .now_us = e->parts->now_us,
                             .from_us = e->parts->from_us,
                             .arena = e->arena};
    status_class class = alert_steps_read(&scan, &all, st);
    e->result->more = all.more;
    for (uint32_t i = 0; i < all.n && class == STATUS_OK;) {
        moment m = {&all.items[i], 1, step_end(e, all.items[i].at_us)};
        while (i + m.n < all.n && all.items[i + m.n].at_us == all.items[i].at_us)
            m.n++;
        i += m.n;
        class = ask_moment(e, &all, &m, st);
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
        class = run_data_clock(e, st);
    } else {
        class = ask(e, 0, NULL, on_wall_row, NULL, st);
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
