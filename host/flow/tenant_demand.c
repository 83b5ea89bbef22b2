/* What people ask of a workspace's featurestores and of its retention: written down on the data plane, done
 * by the lane. */
#include "base/clock.h"
#include "base/utc.h"
#include "flow/retention.h"
#include "flow/tenant_private.h"

enum { SERVICE_WAIT_MS = 10000 };

/* The lane looks at its builds, and at retention, at once. */
static void wake(tenant *t)
{
    pthread_mutex_lock(&t->lock);
    t->look_at_builds = true;
    t->expiry.due_us = 0;
    t->next_look_us = 0;
    pthread_mutex_unlock(&t->lock);
}

static status_class show_retention(const retention_parts *p, json_t **out, status *st)
{
    arena *a = arena_create(0);
    retention_store *stores;
    uint32_t n = 0;
    status_class class = retention_preview(p, a, &stores, &n, st);
    if (class == STATUS_OK)
        *out = retention_json(stores, n);
    arena_free(a);
    return class;
}

static status_class show_build(const tenant *t, const featurestore_plan *f, connection *c, json_t **out,
                               status *st)
{
    build_progress now;
    status_class class = build_read_progress(f, c, &now, st);
    if (class != STATUS_OK)
        return class;
    json_t *b = build_json(&now, clock_wall_us());
    *out = json_pack("{s:s, s:o}", "key", f->defined->object.key, "build", b ? b : json_null());
    (void)t;
    return STATUS_OK;
}

static status_class demand_of_store(tenant *t, const flow_demand *d, connection *c, json_t **out, status *st)
{
    const featurestore_plan *f = flow_plan_featurestore(t->plan, d->featurestore);
    status_class class;
    if (!f)
        return status_set(st, STATUS_NOT_FOUND, "there is no featurestore %.60s", d->featurestore);
    if (d->kind == DEMAND_BACKFILL)
        class = build_backfill(f, c, d->from_us ? d->from_us : UTC_MIN_US,
                               d->to_us ? d->to_us : clock_wall_us(), st);
    else
        class = build_pause(f, c, d->kind == DEMAND_PAUSE_BUILD, st);
    return class == STATUS_OK ? show_build(t, f, c, out, st) : class;
}

status_class tenant_demand(tenant *t, const flow_demand *d, json_t **out, status *st)
{
    connection *c;
    const flow_plan *plan = tenant_plan(t, st);
    if (!plan)
        return st->class;
    status_class class = pool_borrow(t->parts.flow->data, NULL, SERVICE_WAIT_MS, &c, st);
    if (class != STATUS_OK) {
        flow_plan_release(plan);
        return class;
    }
    journal_backlog waiting = journal_backlog_get(t->parts.journal, (uint32_t)t->wid, NULL);
    retention_parts parts = {.plan = plan,
                             .c = c,
                             .partitions = t->parts.partitions,
                             .host = t->parts.flow->host_name,
                             .now_us = clock_wall_us(),
                             .waiting_us = waiting.rows ? waiting.oldest_received_us : 0};
    *out = NULL;
    if (d->kind == DEMAND_RETENTION)
        class = show_retention(&parts, out, st);
    else if (d->kind == DEMAND_EXPIRE)
        class = retention_ask(&parts, st);
    else
        class = demand_of_store(t, d, c, out, st);
    pool_return(t->parts.flow->data, c);
    flow_plan_release(plan);
    if (class == STATUS_OK && d->kind != DEMAND_RETENTION)
        wake(t);
    return class;
}
