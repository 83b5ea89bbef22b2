/* The workspaces that run on this host: a table of tenants by wid. A tenant is taken out under the lock and
 * used without it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "flow/flow_private.h"

tenant *flow_find_locked(flow *f, int32_t wid, uint32_t *at_out)
{
    uint32_t low = 0, high = f->n_tenants;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (tenant_wid(f->tenants[middle]) < wid)
            low = middle + 1;
        else
            high = middle;
    }
    *at_out = low;
    return low < f->n_tenants && tenant_wid(f->tenants[low]) == wid ? f->tenants[low] : NULL;
}

tenant *flow_tenant(flow *f, int32_t wid, status *st)
{
    uint32_t at;
    pthread_mutex_lock(&f->lock);
    tenant *t = flow_find_locked(f, wid, &at);
    if (t)
        tenant_retain(t);
    pthread_mutex_unlock(&f->lock);
    if (!t && st)
        status_set(st, STATUS_NOT_FOUND, "workspace %d does not run on this host", wid);
    return t;
}

const flow_plan *flow_plan_of(flow *f, int32_t wid)
{
    tenant *t = flow_tenant(f, wid, NULL);
    const flow_plan *plan = t ? tenant_plan(t, NULL) : NULL;
    tenant_release(t);
    return plan;
}

const flow_plan *flow_plan_awake(flow *f, int32_t wid)
{
    tenant *t = flow_tenant(f, wid, NULL);
    const flow_plan *plan = t ? tenant_plan_awake(t) : NULL;
    tenant_release(t);
    return plan;
}

/* Puts `t` where a tenant of its workspace stood (which is given back) or belongs. */
static tenant *table_put(flow *f, tenant *t)
{
    uint32_t at;
    pthread_mutex_lock(&f->lock);
    tenant *old = flow_find_locked(f, tenant_wid(t), &at);
    if (old) {
        f->tenants[at] = t;
    } else {
        if (f->n_tenants == f->cap_tenants) {
            f->cap_tenants = f->cap_tenants ? f->cap_tenants * 2 : 16;
            f->tenants = memory_grow(f->tenants, f->cap_tenants * sizeof(tenant *));
        }
        memmove(&f->tenants[at + 1], &f->tenants[at], (f->n_tenants++ - at) * sizeof(tenant *));
        f->tenants[at] = t;
    }
    pthread_mutex_unlock(&f->lock);
    return old;
}

status_class flow_put(flow *f, const flow_workspace *w, status *st)
{
    tenant_parts parts = {&f->parts,        f->intake, f->journal,   f->partitions,
                          f->models_folder, f->live,   f->sink_lanes};
    tenant *t, *running = flow_tenant(f, w->definition->wid, NULL);
    status_class class = tenant_create(&parts, w, &t, st);
    if (class != STATUS_OK) {
        tenant_release(running);
        return status_wrap(st, "workspace %s", w->definition->workspace);
    }
    if (running)
        tenant_stop(running); /* its sources are closed before the new ones open */
    tenant_release(running);
    tenant *old = table_put(f, t);
    tenant_release(old);
    for (unsigned i = 0; i < f->n_writers && atomic_load(&f->writing); i++)
        writer_barrier(
            f->writers[i]); /* what was written under the old plan is there before the new one looks */
    if (f->started)
        tenant_start(t);
    return STATUS_OK;
}

void flow_remove(flow *f, int32_t wid)
{
    uint32_t at;
    pthread_mutex_lock(&f->lock);
    tenant *t = flow_find_locked(f, wid, &at);
    if (t)
        memmove(&f->tenants[at], &f->tenants[at + 1], (--f->n_tenants - at) * sizeof(tenant *));
    pthread_mutex_unlock(&f->lock);
    if (t)
        tenant_stop(t);
    tenant_release(t);
}

/* Retained; the caller releases each and frees the list. */
static tenant **all_tenants(flow *f, uint32_t *n_out)
{
    pthread_mutex_lock(&f->lock);
    uint32_t n = f->n_tenants;
    tenant **all = memory_zero(n + 1, sizeof(tenant *));
    for (uint32_t i = 0; i < n; i++)
        all[i] = tenant_retain(f->tenants[i]);
    pthread_mutex_unlock(&f->lock);
    *n_out = n;
    return all;
}

void flow_make_instances(flow *f, const char *plugin_id)
{
    uint32_t n;
    tenant **all = all_tenants(f, &n);
    for (uint32_t i = 0; i < n; i++) {
        tenant_make_instances(all[i], plugin_id);
        tenant_release(all[i]);
    }
    free(all);
}

void flow_retry_sources(flow *f)
{
    uint32_t n;
    tenant **all = all_tenants(f, &n);
    for (uint32_t i = 0; i < n; i++) {
        tenant_retry_sources(all[i]);
        tenant_release(all[i]);
    }
    free(all);
}

void flow_secret_changed(flow *f, int32_t wid)
{
    tenant *t = flow_tenant(f, wid, NULL);
    if (t)
        tenant_renew_sources(t);
    tenant_release(t);
}

/* ---- seen from outside ---- */

ledger_subject *flow_ledger_subjects(void *arg, uint32_t *n_out)
{
    tenant **all = all_tenants(arg, n_out);
    ledger_subject *out = memory_zero(*n_out + 1, sizeof *out);
    for (uint32_t i = 0; i < *n_out; i++) {
        out[i].wid = tenant_wid(all[i]);
        snprintf(out[i].workspace, sizeof out[i].workspace, "%s", tenant_workspace(all[i]));
        tenant_release(all[i]);
    }
    free(all);
    return out;
}

void flow_each_ledger(flow *f,
                      void (*visit)(void *arg, const char *workspace, const ledger_counts *booked,
                                    bool wrong),
                      void *arg)
{
    uint32_t n;
    ledger_finding found;
    ledger_subject *subjects = flow_ledger_subjects(f, &n);
    for (uint32_t i = 0; i < n; i++) {
        ledger_counts booked = ledger_watch_booked(f->ledgers, subjects[i].wid);
        visit(arg, subjects[i].workspace, &booked, ledger_watch_find(f->ledgers, subjects[i].wid, &found));
    }
    free(subjects);
}

uint32_t flow_workspaces(flow *f)
{
    pthread_mutex_lock(&f->lock);
    uint32_t n = f->n_tenants;
    pthread_mutex_unlock(&f->lock);
    return n;
}

uint32_t flow_workspaces_resting(flow *f)
{
    uint32_t n = 0;
    pthread_mutex_lock(&f->lock);
    for (uint32_t i = 0; i < f->n_tenants; i++)
        n += tenant_resting(f->tenants[i]);
    pthread_mutex_unlock(&f->lock);
    return n;
}

void flow_each_source(flow *f,
                      void (*visit)(void *arg, const char *workspace, const char *connector,
                                    source_state state),
                      void *arg)
{
    pthread_mutex_lock(&f->lock);
    for (uint32_t i = 0; i < f->n_tenants; i++)
        tenant_each_source(f->tenants[i], visit, arg);
    pthread_mutex_unlock(&f->lock);
}

void flow_each_sink(flow *f, sink_visit visit, void *arg)
{
    pthread_mutex_lock(&f->lock);
    for (uint32_t i = 0; i < f->n_tenants; i++)
        tenant_each_sink(f->tenants[i], visit, arg);
    pthread_mutex_unlock(&f->lock);
}
