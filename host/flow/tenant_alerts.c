/* The alerts of one turn. What the turn wrote is known here, so an alert on derived rows looks for new steps
 * from the oldest bucket on that was written since it looked last, and not at all when none was. A host that
 * has just started knows nothing and looks at everything once. */
#include "base/utc.h"
#include "flow/alert.h"
#include "flow/tenant_private.h"

static const int64_t settle_us = 120 * UTC_SECOND_US;

void tenant_touched(tenant *t, const store_table *store, int64_t oldest_us)
{
    for (uint32_t i = 0; i < t->n_alerts; i++) {
        const metric_plan *m = flow_plan_metric(t->plan, t->plan->definition->alerts[i].metric);
        if (m && m->driver == store && oldest_us < t->alert_from_us[i])
            t->alert_from_us[i] = oldest_us;
    }
}

/* On the data clock nothing happens without rows, but for what their silence means; raw rows count once none
 * came for a minute. */
static int64_t alert_next(const work *w, const defined_alert *rule, const alert_result *r)
{
    int64_t next_us = tenant_next_time(w->t, &rule->schedule, w->now_us, TENANT_ALERT_EVERY_US);
    bool settled = w->now_us - w->t->changed_us > settle_us;
    return !r->on_rows || !settled || r->next_silence_us < next_us ? next_us : r->next_silence_us;
}

static void evaluate(work *w, uint32_t i)
{
    tenant *t = w->t;
    const defined_alert *rule = &t->plan->definition->alerts[i];
    alert_result r = {0};
    status st;
    alert_parts parts = {.plan = t->plan,
                         .rule = rule,
                         .data = w->data,
                         .control = w->control,
                         .now_us = w->now_us,
                         .from_us = t->alert_from_us[i],
                         .ward = t->ward};
    status_class class = STATUS_OK;
    parts.engine = tenant_engine(t, t->plan->definition, rule->metric, &st);
    do {
        class = alert_evaluate(&parts, &r, &st);
        w->told = w->told || (class == STATUS_OK && (r.fired || r.resolved));
    } while (class == STATUS_OK && r.more);
    if (class == STATUS_OK)
        t->alert_from_us[i] = INT64_MAX;
    int64_t next = class == STATUS_OK ? alert_next(w, rule, &r) : w->now_us + TENANT_RETRY_US;
    tenant_note(t, &t->alerts[i], next, r.points, class == STATUS_OK ? NULL : &st);
}

void tenant_evaluate_alerts(work *w)
{
    tenant *t = w->t;
    for (uint32_t i = 0; i < t->plan->definition->n_alerts; i++) {
        const metric_plan *metric = flow_plan_metric(t->plan, t->plan->definition->alerts[i].metric);
        bool due = w->changed || w->now_us >= t->alerts[i].due_us;
        if (due && !(metric && tenant_is_incomplete(t, metric->driver)))
            evaluate(w, i);
    }
}
