/* What is asked of one workspace: its tenant is held as long as the answer takes. */
#include <stdatomic.h>

#include "base/clock.h"
#include "base/utc.h"
#include "flow/flow_private.h"
#include "flow/store_rows.h"
#include "flow/trial.h"
#include "flow/why_slow.h"

/* A workspace and its plan, for one question. */
typedef struct visit {
    tenant *t;
    const flow_plan *plan;
} visit;

/* False with the reason: it does not run here, or cannot be woken. */
static bool visit_begin(visit *v, flow *f, int32_t wid, status *st)
{
    v->t = flow_tenant(f, wid, st);
    v->plan = v->t ? tenant_plan(v->t, st) : NULL;
    if (v->t && !v->plan)
        tenant_release(v->t);
    return v->plan != NULL;
}

static void visit_end(const visit *v)
{
    flow_plan_release(v->plan);
    tenant_release(v->t);
}

status_class flow_store_rows(flow *f, int32_t wid, const store_query *q, arena *a, metric_result *out,
                             const char **next_out, status *st)
{
    connection *c = NULL;
    *out = (metric_result){0};
    *next_out = NULL;
    visit v;
    if (!visit_begin(&v, f, wid, st))
        return st->class;
    const store_table *table = flow_plan_table(v.plan, q->class, q->key);
    status_class class =
        table ? tenant_borrow(v.t, &c, st)
              : status_set(st, STATUS_NOT_FOUND, "there is no %s %s", class_name(q->class), q->key);
    if (class == STATUS_OK)
        class = store_rows_read(table, c, q, a, out, next_out, st);
    pool_return(f->parts.data, c);
    visit_end(&v);
    return class;
}

status_class flow_store_since(flow *f, int32_t wid, const char *store, uint64_t seq, uint32_t limit, arena *a,
                              metric_result *out, uint64_t *last_out, status *st)
{
    connection *c = NULL;
    *out = (metric_result){0};
    visit v;
    if (!visit_begin(&v, f, wid, st))
        return st->class;
    const datastore_plan *d = flow_plan_datastore(v.plan, store);
    status_class class =
        d ? tenant_borrow(v.t, &c, st) : status_set(st, STATUS_NOT_FOUND, "there is no datastore %s", store);
    if (class == STATUS_OK)
        class = store_rows_since(&d->table, c, seq, limit, a, out, last_out, st);
    pool_return(f->parts.data, c);
    visit_end(&v);
    return class;
}

status_class flow_store_place(flow *f, int32_t wid, object_class class, const char *key, const char *id,
                              live_place *out, status *st)
{
    connection *c = NULL;
    visit v;
    if (!visit_begin(&v, f, wid, st))
        return st->class;
    const store_table *table = flow_plan_table(v.plan, class, key);
    status_class ret = table ? tenant_borrow(v.t, &c, st)
                             : status_set(st, STATUS_NOT_FOUND, "there is no %s %s", class_name(class), key);
    if (ret == STATUS_OK)
        ret = live_stage_place(c, table, id, out, st);
    pool_return(f->parts.data, c);
    visit_end(&v);
    return ret;
}

void flow_letters_purged(flow *f, int32_t wid)
{
    tenant *t = flow_tenant(f, wid, NULL);
    if (t)
        poison_ward_forget(tenant_ward(t));
    tenant_release(t);
}

static status_class run_metric(flow *f, const visit *v, const metric_plan *m, const metric_request *q,
                               arena *a, metric_result *out, status *st)
{
    connection *c;
    instance *engine =
        m->defined->plugin ? tenant_engine(v->t, v->plan->definition, m->defined->object.key, st) : NULL;
    if (m->defined->plugin && !engine)
        return st->class;
    status_class class = tenant_borrow(v->t, &c, st);
    if (class != STATUS_OK)
        return class;
    metric_request limited = *q;
    limited.rows_max = f->parts.query_rows;
    limited.ward = tenant_ward(v->t);
    class = connection_set_timeout(
        c, f->parts.query_timeout_ms ? f->parts.query_timeout_ms : METRIC_TIMEOUT_MS, st);
    if (class == STATUS_OK)
        class = metric_run(m, c, engine, &limited, a, out, st);
    pool_return(f->parts.data, c);
    return class;
}

status_class flow_metric_run(flow *f, int32_t wid, const char *metric, const metric_request *q, arena *a,
                             metric_result *out, const defined_metric **defined_out,
                             const flow_plan **plan_out, status *st)
{
    *out = (metric_result){0};
    visit v;
    if (!visit_begin(&v, f, wid, st))
        return st->class;
    const metric_plan *m = flow_plan_metric(v.plan, metric);
    status_class class = m ? run_metric(f, &v, m, q, a, out, st)
                           : status_set(st, STATUS_NOT_FOUND, "there is no metric %.60s", metric);
    if (class == STATUS_OK && m) {
        *defined_out = m->defined;
        *plan_out = flow_plan_retain(v.plan);
    }
    visit_end(&v);
    return class;
}

static json_t *ledger_status(flow *f, int32_t wid)
{
    char minute[UTC_TEXT_SIZE];
    ledger_finding found;
    if (!ledger_watch_find(f->ledgers, wid, &found))
        return json_pack("{s:b}", "balanced", 1);
    utc_format(found.minute_us, minute);
    return json_pack("{s:b, s:I, s:s, s:s, s:I}", "balanced", 0, "minutes", (json_int_t)found.minutes,
                     "store", found.store, "minute", minute, "difference", (json_int_t)found.difference);
}

json_t *flow_status(flow *f, int32_t wid)
{
    tenant *t = flow_tenant(f, wid, NULL);
    json_t *o = t ? tenant_status(t) : NULL;
    if (o)
        json_object_set_new(o, "ledger", ledger_status(f, wid));
    tenant_release(t);
    return o;
}

typedef struct asker {
    flow *flow;
    bool (*sees)(void *arg, int32_t wid);
    void *arg;
    tenant *named; /* whose name was given */
} asker;

static const char *name_for_asker(void *arg, uint32_t wid)
{
    asker *a = arg;
    tenant_release(a->named);
    a->named = a->sees(a->arg, (int32_t)wid) ? flow_tenant(a->flow, (int32_t)wid, NULL) : NULL;
    return a->named ? tenant_workspace(a->named) : NULL;
}

json_t *flow_why_slow(flow *f, int32_t wid, bool (*sees)(void *arg, int32_t wid), void *arg)
{
    visit v;
    if (!visit_begin(&v, f, wid, NULL))
        return NULL;
    asker asking = {f, sees, arg, NULL};
    const why_slow_parts parts = {.tenant = v.t,
                                  .plan = v.plan,
                                  .journal = f->journal,
                                  .writers = f->writers,
                                  .n_writers = f->n_writers,
                                  .held = atomic_load(&f->held),
                                  .data = f->parts.data,
                                  .instances = f->parts.instances,
                                  .name_of = name_for_asker,
                                  .arg = &asking};
    json_t *o = why_slow(&parts);
    tenant_release(asking.named);
    visit_end(&v);
    return o;
}

json_t *flow_sink_status(flow *f, int32_t wid, const char *sink)
{
    tenant *t = flow_tenant(f, wid, NULL);
    json_t *o = t ? tenant_sink_status(t, sink) : NULL;
    tenant_release(t);
    return o;
}

status_class flow_sink_pause(flow *f, int32_t wid, const char *sink, bool paused, status *st)
{
    tenant *t = flow_tenant(f, wid, st);
    status_class class = t ? tenant_sink_pause(t, sink, paused, st) : st->class;
    tenant_release(t);
    return class;
}

status_class flow_sink_rewind(flow *f, int32_t wid, const char *sink, int64_t since_us, sink_rewound *out,
                              status *st)
{
    tenant *t = flow_tenant(f, wid, st);
    status_class class = t ? tenant_sink_rewind(t, sink, since_us, out, st) : st->class;
    tenant_release(t);
    return class;
}

status_class flow_ask(flow *f, int32_t wid, const flow_demand *demand, json_t **out, status *st)
{
    tenant *t = flow_tenant(f, wid, st);
    status_class class = t ? tenant_demand(t, demand, out, st) : st->class;
    tenant_release(t);
    return class;
}

status_class flow_source_pause(flow *f, int32_t wid, const char *connector, bool paused, status *st)
{
    tenant *t = flow_tenant(f, wid, st);
    status_class class = t ? tenant_source_pause(t, connector, paused, st) : st->class;
    tenant_release(t);
    return class;
}

status_class flow_hook(flow *f, int32_t wid, const char *connector, const instance_request *q, hook_done done,
                       void *arg, status *st)
{
    tenant *t = flow_tenant(f, wid, st);
    hook *h = t ? tenant_hook(t, connector, st) : NULL;
    if (h)
        hook_receive(h, q, done, arg);
    hook_release(h);
    tenant_release(t);
    return h ? STATUS_OK : st->class;
}

static status_class try_out(flow *f, int32_t wid, const defined_connector *connector,
                            status_class (*way)(const trial_parts *parts, json_t **out, status *st),
                            json_t **out, status *st)
{
    visit v;
    if (!visit_begin(&v, f, wid, st))
        return st->class;
    trial_parts parts = {&f->parts, v.plan, connector};
    status_class class = way(&parts, out, st);
    visit_end(&v);
    return class;
}

status_class flow_check(flow *f, int32_t wid, const defined_connector *connector, json_t **out, status *st)
{
    return try_out(f, wid, connector, trial_check, out, st);
}

status_class flow_discover(flow *f, int32_t wid, const defined_connector *connector, json_t **out, status *st)
{
    return try_out(f, wid, connector, trial_discover, out, st);
}

/* ---- work that is asked for ---- */

status_class flow_train(flow *f, int32_t wid, const char *model, const char *actor, flow_done done, void *arg,
                        status *st)
{
    visit v;
    if (!visit_begin(&v, f, wid, st))
        return st->class;
    status_class class = flow_plan_model(v.plan, model)
                             ? STATUS_OK
                             : status_set(st, STATUS_NOT_FOUND, "there is no model %.60s", model);
    if (class == STATUS_OK)
        tenant_train(v.t, model, actor, done, arg);
    visit_end(&v);
    return class;
}

status_class flow_refresh(flow *f, int32_t wid, flow_done done, void *arg, status *st)
{
    tenant *t = flow_tenant(f, wid, st);
    if (!t)
        return st->class;
    tenant_refresh(t, done, arg);
    tenant_release(t);
    return STATUS_OK;
}
