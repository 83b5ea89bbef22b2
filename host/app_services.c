/* What one folder needs of another, as functions: keys for the API, the plugin catalog for templates, secrets
 * for instances, workspaces for the flow. */
#include <stdio.h>

#include "app_private.h"
#include "base/log.h"
#include "control/audit.h"
#include "serve/access.h"
#include "serve/job_desk.h"

/* ---- keys: refused with the reason while the host starts ---- */

static bool started(app *a, status *st)
{
    if (atomic_load(&a->ready))
        return true;
    pthread_mutex_lock(&a->lock);
    *st = a->starting;
    pthread_mutex_unlock(&a->lock);
    st->class = STATUS_UNAVAILABLE;
    return false;
}

static status_class verify_key(void *self, const char *key, principal *out, status *st)
{
    app *a = self;
    if (atomic_load(&a->degraded) && !atomic_load(&a->ready))
        return app_snapshot_verify(a, key, out, st);
    return started(a, st) ? a->access.key_verify(a->access.self, key, out, st) : STATUS_UNAVAILABLE;
}

static status_class find_workspace(void *self, const char *name, int64_t *wid_out, status *st)
{
    app *a = self;
    status_class class = a->access.workspace_find(a->access.self, name, wid_out, st);
    if (class == STATUS_NOT_FOUND && atomic_load(&a->degraded)) /* it may have been made since */
        class = status_set(st, STATUS_UNAVAILABLE,
                           "the workspace %.60s is not in the snapshot: PostgreSQL is away", name);
    return class;
}

auth_source app_auth(app *a)
{
    a->access = access_auth(&a->services);
    return (auth_source){
        .self = a, .key_verify = verify_key, .workspace_find = find_workspace, .admits = app_snapshot_admits};
}

/* ---- the plugin catalog, for templates ---- */

static const struct {
    object_class class;
    plugin_kind kind;
    bool is_sink;
} kinds[] = {{CLASS_CONNECTOR, PLUGIN_CONNECTOR, false},
             {CLASS_SINK, PLUGIN_CONNECTOR, true},
             {CLASS_NOTIFIER, PLUGIN_NOTIFIER, false},
             {CLASS_METRIC, PLUGIN_METRIC, false},
             {CLASS_MODEL, PLUGIN_MODEL, false}};

static json_t *config_schema(void *self, object_class class, const char *id)
{
    app *a = self;
    status st;
    json_t *schema = NULL;
    const plugin_entry *entry = catalog_find(a->catalog, id, &st);
    if (!entry)
        return NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].class == class && kinds[i].kind == entry->kind &&
            (!kinds[i].is_sink || plugin_entry_is_sink(entry)))
            schema = entry->config_schema ? json_deep_copy(entry->config_schema) : json_null();
    plugin_entry_release(entry);
    return schema;
}

template_plugins app_plugins(app *a)
{
    return (template_plugins){.self = a, .config_schema = config_schema};
}

/* ---- secrets, for instances ---- */

static status_class fetch_secret(void *self, const char *workspace, const char *reference,
                                 const char *subject, text *value_out, status *st)
{
    app *a = self;
    connection *c;
    (void)subject;
    int32_t wid = directory_find(a->services.directory, workspace);
    status_class class = pool_borrow(a->control.control, NULL, CONTROL_WAIT_MS, &c, st);
    if (class != STATUS_OK)
        return class;
    class = secret_get(c, a->secret_key, wid, reference, value_out, st);
    pool_return(a->control.control, c);
    return class;
}

instance_secrets app_secrets(app *a)
{
    return (instance_secrets){.fetch = fetch_secret, .self = a};
}

/* ---- new versions of plugins ---- */

static void make_instances(void *self, const char *plugin_id)
{
    app *a = self;
    flow_make_instances(a->flow, plugin_id);
}

static void audit_reload(void *self, const char *deed, const char *actor, const reload_result *result)
{
    app *a = self;
    connection *c;
    status st;
    char object[160];
    json_t *detail =
        json_pack("{s:s, s:s, s:i, s:i, s:s}", "version", result->version, "hash", result->hash, "switched",
                  (int)result->switched, "refused", (int)result->refused, "why", result->why);
    snprintf(object, sizeof object, "plugin:%s", result->id);
    status_class class = pool_borrow(a->control.control, NULL, CONTROL_WAIT_MS, &c, &st);
    if (class == STATUS_OK) {
        class = audit_add(c, 0, actor, deed, object, detail, &st);
        pool_return(a->control.control, c);
    }
    if (class != STATUS_OK)
        log_status(LOG_LEVEL_ERROR, "app", "what was done with a plugin is not in the audit", &st);
    json_decref(detail);
    if (result->serves)
        flow_retry_sources(a->flow);
}

reload *app_reload(app *a)
{
    const reload_settings settings = {.catalog = a->catalog,
                                      .instances = a->instances,
                                      .make_instances = make_instances,
                                      .on_event = audit_reload,
                                      .arg = a};
    return reload_create(&settings);
}

/* ---- what the API's handlers work on ---- */

void app_fill_services(app *a)
{
    a->services.flow = a->flow;
    a->services.control = &a->control;
    a->services.catalog = a->catalog;
    a->services.instances = a->instances;
    a->services.reload = a->reload;
    if (!a->services.jobs)
        a->services.jobs = job_desk_create(&a->services, a->lanes);
}
