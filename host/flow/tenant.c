#include "flow/tenant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/keep.h"
#include "base/log.h"
#include "config/weight.h"
#include "control/audit.h"
#include "flow/tenant_private.h"
#include "plugin/instance_swap.h"

enum { BORROW_WAIT_MS = 10000, AUDIT_WAIT_MS = 1000 };

/* ---- instances ---- */

static status_class complete_config(tenant *t, const char *plugin, const char *name, const json_t *config,
                                    const plugin_entry **entry_out, json_t **config_out, status *st)
{
    const plugin_entry *entry = catalog_find_for(t->parts.flow->catalog, plugin, t->workspace_id, name, st);
    if (!entry)
        return st->class;
    status_class class = plugin_config_complete(entry, config, config_out, st);
    if (class != STATUS_OK)
        plugin_entry_release(entry);
    else
        *entry_out = entry;
    return class;
}

/* Quarantine and the like stand in the audit, beside what people did. */
static void on_instance_event(void *self, const char *name, const char *verb, const char *what)
{
    tenant *t = self;
    connection *c;
    status st;
    char object[JOURNAL_INSTANCE_MAX + 16], deed[40];
    if (pool_borrow(t->parts.flow->control, NULL, AUDIT_WAIT_MS, &c, &st) != STATUS_OK)
        return; /* it stands in the log */
    snprintf(object, sizeof object, "plugin:%s", name);
    snprintf(deed, sizeof deed, "plugin.%s", verb);
    json_t *detail = json_pack("{s:s}", "reason", what);
    if (audit_add(c, t->wid, "host", deed, object, detail, &st) != STATUS_OK)
        log_status(LOG_LEVEL_WARN, "tenant", "an event of a plugin is not in the audit", &st);
    json_decref(detail);
    pool_return(t->parts.flow->control, c);
}

static instance *make_instance(tenant *t, const char *plugin, const char *kind, const char *key,
                               const json_t *config, status *st)
{
    const plugin_entry *entry = NULL;
    json_t *complete = NULL;
    char name[JOURNAL_INSTANCE_MAX];
    snprintf(name, sizeof name, "%s:%s", kind, key);
    if (complete_config(t, plugin, name, config, &entry, &complete, st) != STATUS_OK)
        return NULL;
    instance_settings settings = {.plugin = entry,
                                  .workspace = t->workspace_id,
                                  .workspace_key = t->workspace,
                                  .name = name,
                                  .config = complete,
                                  .given = config,
                                  .secrets = t->parts.flow->secrets,
                                  .watcher = {on_instance_event, t}};
    instance *made = instance_create(t->parts.flow->instances, &settings);
    if (catalog_unloaded(t->parts.flow->catalog, plugin))
        instance_unload(made, true);
    json_decref(complete);
    plugin_entry_release(entry);
    return made;
}

static instance *slot_look(tenant *t, instance **slot)
{
    pthread_mutex_lock(&t->lock);
    instance *there = *slot;
    pthread_mutex_unlock(&t->lock);
    return there;
}

instance *tenant_instance(tenant *t, instance **slot, const char *plugin, const char *kind, const char *key,
                          const json_t *config, status *st)
{
    instance *there = slot_look(t, slot);
    instance *made = there ? NULL : make_instance(t, plugin, kind, key, config, st);
    if (!made)
        return there;
    pthread_mutex_lock(&t->lock);
    if (!*slot) {
        *slot = made;
        made = NULL;
    }
    there = *slot;
    pthread_mutex_unlock(&t->lock);
    instance_free(made); /* somebody else was faster */
    return there;
}

static void make_all(tenant *t, const definition *d, const char *plugin_id)
{
    status st;
    for (uint32_t i = 0; i < d->n_models; i++)
        if (!strcmp(d->models[i].plugin, plugin_id))
            tenant_instance(t, &t->models[i], plugin_id, "model", d->models[i].object.key,
                            d->models[i].config, &st);
    for (uint32_t i = 0; i < d->n_notifiers; i++)
        if (!strcmp(d->notifiers[i].plugin, plugin_id))
            tenant_instance(t, &t->notifiers[i], plugin_id, "notifier", d->notifiers[i].object.key,
                            d->notifiers[i].config, &st);
    for (uint32_t i = 0; i < d->n_metrics; i++)
        if (d->metrics[i].plugin && !strcmp(d->metrics[i].plugin, plugin_id))
            tenant_engine(t, d, d->metrics[i].object.key, &st);
}

void tenant_make_instances(tenant *t, const char *plugin_id)
{
    const flow_plan *plan = tenant_plan(t, NULL);
    if (plan)
        make_all(t, plan->definition, plugin_id);
    flow_plan_release(plan);
}

instance *tenant_engine(tenant *t, const definition *d, const char *metric, status *st)
{
    const defined_metric *m = definition_metric(d, metric);
    if (!m || !m->plugin)
        return NULL;
    return tenant_instance(t, &t->engines[m - d->metrics], m->plugin, "metric", m->object.key, m->config, st);
}

/* ---- sources ---- */

static void note_problem(tenant *t, uint32_t i, const char *problem)
{
    pthread_mutex_lock(&t->lock);
    free(t->source_problems[i]);
    t->source_problems[i] = problem ? memory_string(problem) : NULL;
    pthread_mutex_unlock(&t->lock);
}

/* Under the lock. */
static bool is_made(const tenant *t, uint32_t i)
{
    return t->sources[i] || t->hooks[i];
}

/* Under the lock. A connector that is read and takes requests is looked at as what is read. */
static bool look_at(const tenant *t, uint32_t i, source_look *out)
{
    if (t->sources[i])
        *out = source_look_at(t->sources[i]);
    else if (t->hooks[i])
        *out = hook_look(t->hooks[i]);
    return is_made(t, i);
}

static const flow_plan *plan_for_source(void *arg, status *st)
{
    return tenant_plan(arg, st);
}

/* What runs for connector i; nothing of it when its plugin cannot be had. */
static bool make_runner(tenant *t, const defined_connector *c, source **source_out, hook **hook_out,
                        status *st)
{
    instance *plugin = NULL;
    if (!tenant_instance(t, &plugin, c->plugin, "connector", c->object.key, c->config, st))
        return false;
    source_parts parts = {t->parts.intake, t->parts.journal,       t->lanes, plan_for_source, t,
                          t->wid,          t->parts.flow->rest_us, plugin};
    bool read = instance_is_source(plugin) || !instance_is_push(plugin);
    *hook_out = instance_is_push(plugin) ? hook_create(&parts, c, read, t->parts.flow->hook_rate) : NULL;
    *source_out = read ? source_create(&parts, c) : NULL;
    return true;
}

static void make_source(tenant *t, const definition *d, uint32_t i)
{
    status st;
    source *made = NULL;
    hook *door = NULL;
    if (!make_runner(t, &d->connectors[i], &made, &door, &st)) {
        note_problem(t, i, st.text);
        log_status(LOG_LEVEL_WARN, "tenant", "a connector cannot run", &st);
        return;
    }
    pthread_mutex_lock(&t->lock);
    bool wanted = !t->stopping && !is_made(t, i);
    if (wanted) {
        t->sources[i] = made;
        t->hooks[i] = door;
    }
    pthread_mutex_unlock(&t->lock);
    if (wanted) {
        note_problem(t, i, NULL);
        return;
    }
    hook_free(door);
    source_free(made);
}

static void make_sources(tenant *t)
{
    const flow_plan *plan = tenant_plan(t, NULL);
    for (uint32_t i = 0; plan && i < t->n_connectors; i++)
        make_source(t, plan->definition, i);
    flow_plan_release(plan);
}

void tenant_retry_sources(tenant *t)
{
    bool missing = false;
    tenant_sinks_start(t);
    pthread_mutex_lock(&t->lock);
    for (uint32_t i = 0; i < t->n_connectors; i++)
        missing = missing || (t->started && !t->stopping && !t->paused && !is_made(t, i));
    pthread_mutex_unlock(&t->lock);
    if (missing)
        make_sources(t);
}

void tenant_renew_sources(tenant *t)
{
    pthread_mutex_lock(&t->lock);
    for (uint32_t i = 0; i < t->n_connectors; i++)
        if (t->sources[i])
            source_renew(t->sources[i]);
    tenant_sinks_renew(t);
    pthread_mutex_unlock(&t->lock);
}

static int connector_index(const tenant *t, const char *key)
{
    for (uint32_t i = 0; i < t->n_connectors; i++)
        if (strcmp(t->connector_keys[i], key) == 0)
            return (int)i;
    return -1;
}

static json_t *look_json(const source_look *look)
{
    return json_pack("{s:s, s:I, s:I, s:I, s:s?}", "state", source_state_name(look->state), "rows_read",
                     (json_int_t)look->rows_read, "rows_rejected", (json_int_t)look->rows_rejected,
                     "last_rows_us", (json_int_t)look->last_rows_us, "problem",
                     look->problem[0] ? look->problem : NULL);
}

json_t *tenant_source_status(tenant *t, const char *connector)
{
    int i = connector_index(t, connector);
    source_look look = {.state = SOURCE_PAUSED};
    if (i < 0)
        return NULL;
    pthread_mutex_lock(&t->lock); /* sources go away under it */
    bool there = look_at(t, (uint32_t)i, &look), wanted = t->started && !t->paused;
    json_t *missing = there ? NULL
                            : json_pack("{s:s, s:s?}", "state", wanted ? "needs_you" : "paused", "problem",
                                        t->source_problems[i]);
    pthread_mutex_unlock(&t->lock);
    return there ? look_json(&look) : missing;
}

void tenant_each_source(tenant *t,
                        void (*visit)(void *arg, const char *workspace, const char *connector,
                                      source_state state),
                        void *arg)
{
    pthread_mutex_lock(&t->lock); /* sources go away under it */
    for (uint32_t i = 0; i < t->n_connectors; i++) {
        source_look look = {.state = t->started && !t->paused ? SOURCE_NEEDS_YOU : SOURCE_PAUSED};
        look_at(t, i, &look);
        visit(arg, t->workspace, t->connector_keys[i], look.state);
    }
    pthread_mutex_unlock(&t->lock);
}

status_class tenant_source_pause(tenant *t, const char *connector, bool paused, status *st)
{
    int i = connector_index(t, connector);
    if (i < 0)
        return status_set(st, STATUS_NOT_FOUND, "there is no connector %s", connector);
    pthread_mutex_lock(&t->lock);
    bool there = is_made(t, (uint32_t)i);
    if (t->sources[i])
        source_pause(t->sources[i], paused);
    if (t->hooks[i])
        hook_pause(t->hooks[i], paused);
    pthread_mutex_unlock(&t->lock);
    return there ? STATUS_OK : status_set(st, STATUS_CONFLICT, "connector %s does not run", connector);
}

hook *tenant_hook(tenant *t, const char *connector, status *st)
{
    int i = connector_index(t, connector);
    pthread_mutex_lock(&t->lock);
    hook *h = i >= 0 && t->hooks[i] ? hook_retain(t->hooks[i]) : NULL;
    pthread_mutex_unlock(&t->lock);
    if (!h)
        status_set(st, i < 0 ? STATUS_NOT_FOUND : STATUS_UNAVAILABLE,
                   i < 0 ? "there is no connector %s" : "connector %s does not run", connector);
    return h;
}

/* ---- life ---- */

static char *name_of(const char *kind, const char *key)
{
    char name[JOURNAL_INSTANCE_MAX];
    snprintf(name, sizeof name, "%s:%s", kind, key);
    return keep_string(name);
}

/* What it must know of its definition while it has none. */
static void remember(tenant *t, const definition *d)
{
    t->wid = d->wid;
    t->workspace = keep_string(d->workspace);
    t->workspace_id = keep_string(d->workspace_id);
    t->seed = definition_seed_take(d);
    t->n_connectors = d->n_connectors;
    t->n_sinks = d->n_sinks;
    t->n_models = d->n_models;
    t->n_notifiers = d->n_notifiers;
    t->n_metrics = d->n_metrics;
    t->n_featurestores = d->n_featurestores;
    t->n_alerts = d->n_alerts;
    t->connector_keys = keep_zero(d->n_connectors, sizeof *t->connector_keys);
    for (uint32_t i = 0; i < d->n_connectors; i++)
        t->connector_keys[i] = keep_string(d->connectors[i].object.key);
    t->model_stages = keep_zero(d->n_models, sizeof *t->model_stages);
    for (uint32_t i = 0; i < d->n_models; i++)
        t->model_stages[i] = name_of("model", d->models[i].object.key);
}

static void make_places(tenant *t)
{
    t->sources = keep_zero(t->n_connectors, sizeof *t->sources);
    t->hooks = keep_zero(t->n_connectors, sizeof *t->hooks);
    t->source_problems = keep_zero(t->n_connectors, sizeof *t->source_problems);
    t->models = keep_zero(t->n_models, sizeof *t->models);
    t->loaded = keep_zero(t->n_models, sizeof *t->loaded);
    t->versions_shown = keep_zero(t->n_models, sizeof *t->versions_shown);
    t->builds = keep_zero(t->n_featurestores, sizeof *t->builds);
    t->builds_shown = keep_zero(t->n_featurestores, sizeof *t->builds_shown);
    t->refresh_due_us = keep_zero(t->n_featurestores, sizeof *t->refresh_due_us);
    t->dirty = keep_zero(t->n_featurestores, sizeof *t->dirty);
    t->notifiers = keep_zero(t->n_notifiers, sizeof *t->notifiers);
    t->engines = keep_zero(t->n_metrics, sizeof *t->engines);
    t->features = keep_zero(t->n_featurestores, sizeof *t->features);
    t->scores = keep_zero(t->n_models, sizeof *t->scores);
    t->trainings = keep_zero(t->n_models, sizeof *t->trainings);
    t->alerts = keep_zero(t->n_alerts, sizeof *t->alerts);
    t->alert_from_us = keep_zero(t->n_alerts, sizeof *t->alert_from_us);
    for (uint32_t i = 0; i < t->n_alerts; i++)
        t->alert_from_us[i] = INT64_MIN;
}

status_class tenant_create(const tenant_parts *parts, const flow_workspace *w, tenant **out, status *st)
{
    const flow_plan *plan;
    const definition *d = w->definition;
    uint32_t weight = weight_of(parts->flow->settings, d->workspace);
    status_class class = flow_plan_create(d, weight, &plan, st);
    if (class != STATUS_OK)
        return class;
    tenant *t = keep_zero(1, sizeof *t);
    t->parts = *parts;
    t->plan = plan;
    t->weight = weight;
    t->used_us = clock_monotonic_us();
    t->references = 1;
    t->paused = w->paused;
    t->role = keep_string(w->role);
    t->password = keep_string(w->password);
    t->login = (pool_login){.user = t->role, .password = t->password};
    pthread_mutex_init(&t->lock, NULL);
    t->lanes = lane_group_open(parts->flow->lanes, plan->weight);
    t->lane = lane_open_in(t->lanes, d->workspace);
    t->ward = poison_ward_create(parts->flow->data, d->wid);
    remember(t, d);
    make_places(t);
    tenant_sinks_init(t);
    tenant_set_dirty(t);
    t->changed_us = clock_wall_us();
    for (uint32_t i = 0; i < t->n_featurestores; i++)
        build_init(&t->builds[i], &plan->featurestores[i]);
    *out = t;
    return STATUS_OK;
}

void tenant_start(tenant *t)
{
    if (!t->paused)
        make_sources(t);
    pthread_mutex_lock(&t->lock);
    t->started = true;
    pthread_mutex_unlock(&t->lock);
    tenant_sinks_start(t);
}

static void cancel_calls(tenant *t)
{
    pthread_mutex_lock(&t->lock); /* a new version may just be asking for instances */
    for (uint32_t i = 0; i < t->n_models; i++)
        if (t->models[i])
            instance_cancel(t->models[i]);
    for (uint32_t i = 0; i < t->n_notifiers; i++)
        if (t->notifiers[i])
            instance_cancel(t->notifiers[i]);
    pthread_mutex_unlock(&t->lock);
}

void tenant_stop(tenant *t)
{
    pthread_mutex_lock(&t->lock);
    bool first = !t->stopping;
    t->stopping = true;
    pthread_mutex_unlock(&t->lock);
    if (!first)
        return;
    for (uint32_t i = 0; i < t->n_connectors; i++) {
        pthread_mutex_lock(&t->lock);
        source *s = t->sources[i];
        hook *h = t->hooks[i];
        t->sources[i] = NULL;
        t->hooks[i] = NULL;
        pthread_mutex_unlock(&t->lock);
        hook_free(h); /* before the source, whose plugin it may have been lent */
        source_free(s);
    }
    tenant_sinks_stop(t);
    cancel_calls(t);
    lane_close(t->lane);
    t->lane = NULL;
    tenant_refuse_requests(t);
}

tenant *tenant_retain(tenant *t)
{
    atomic_fetch_add(&t->references, 1);
    return t;
}

static void free_instances(instance **list, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        instance_free(list[i]);
    keep_free(list);
}

static void tenant_free(tenant *t)
{
    tenant_stop(t);
    free_instances(t->models, t->n_models);
    free_instances(t->notifiers, t->n_notifiers);
    free_instances(t->engines, t->n_metrics);
    for (uint32_t i = 0; i < t->n_models; i++)
        model_loaded_free(&t->loaded[i]);
    for (uint32_t i = 0; i < t->n_connectors; i++) {
        free(t->source_problems[i]);
        keep_free(t->connector_keys[i]);
    }
    keep_free(t->connector_keys);
    for (uint32_t i = 0; i < t->n_models; i++)
        keep_free(t->model_stages[i]);
    keep_free(t->model_stages);
    poison_ward_free(t->ward);
    keep_free(t->loaded);
    keep_free(t->versions_shown);
    for (uint32_t i = 0; i < t->n_featurestores; i++)
        build_release(&t->builds[i]);
    keep_free(t->builds);
    keep_free(t->builds_shown);
    keep_free(t->retention_shown);
    keep_free(t->refresh_due_us);
    keep_free(t->dirty);
    keep_free(t->sources);
    keep_free(t->hooks);
    keep_free(t->source_problems);
    tenant_sinks_free(t);
    keep_free(t->features);
    keep_free(t->scores);
    keep_free(t->trainings);
    keep_free(t->alerts);
    keep_free(t->alert_from_us);
    lane_group_close(t->lanes);
    definition_seed_free(t->seed);
    keep_free(t->workspace);
    keep_free(t->workspace_id);
    keep_free(t->role);
    keep_free(t->password);
    flow_plan_release(t->plan);
    pthread_mutex_destroy(&t->lock);
    keep_free(t);
}

void tenant_release(tenant *t)
{
    if (t && atomic_fetch_sub(&t->references, 1) == 1)
        tenant_free(t);
}

int32_t tenant_wid(const tenant *t)
{
    return t->wid;
}

const char *tenant_workspace(const tenant *t)
{
    return t->workspace;
}

poison_ward *tenant_ward(tenant *t)
{
    return t->ward;
}

bool tenant_paused(const tenant *t)
{
    return t->paused;
}

status_class tenant_borrow(tenant *t, connection **out, status *st)
{
    return pool_borrow(t->parts.flow->data, &t->login, BORROW_WAIT_MS, out, st);
}

/* ---- the tick ---- */

void tenant_stored(tenant *t)
{
    if (t->sink_lanes) {
        pthread_mutex_lock(&t->lock);
        tenant_sinks_stored(t);
        pthread_mutex_unlock(&t->lock);
    }
    if (atomic_exchange(&t->stored, true))
        return;
    pthread_mutex_lock(&t->lock);
    if (!t->working && t->wake_due_us < t->next_look_us)
        t->next_look_us = t->wake_due_us;
    pthread_mutex_unlock(&t->lock);
}

static void tick_sources(tenant *t)
{
    int64_t now_us = clock_monotonic_us();
    for (uint32_t i = 0; i < t->n_connectors; i++) {
        if (t->sources[i])
            source_tick(t->sources[i], now_us);
        if (t->hooks[i])
            hook_tick(t->hooks[i], now_us);
    }
}

void tenant_tick(tenant *t, int64_t now_us, bool read_sources)
{
    pthread_mutex_lock(&t->lock);
    bool here = t->started && !t->stopping, running = here && !t->paused;
    bool go = running && !t->working && (now_us >= t->next_look_us || t->requests);
    bool rest = here && !go && tenant_may_rest(t, now_us);
    t->working = t->working || go || rest;
    if (running && read_sources)
        tick_sources(t);
    if (running)
        tenant_sinks_tick(t, clock_monotonic_us());
    if (go || rest)
        lane_post(t->lane, go ? tenant_work : tenant_rest, t);
    pthread_mutex_unlock(&t->lock);
}
