/* What one folder needs of another, as functions: keys for the API, the plugin catalog for templates, secrets for
 * instances, workspaces for the flow. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app_private.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/name.h"
#include "control/key.h"

/* ---- keys ---- */

static unsigned verbs_of(const json_t *list)
{
    unsigned verbs = 0;
    size_t i;
    const json_t *word;
    json_array_foreach(list, i, word)
    {
        verb one;
        const char *text = json_string_value(word);
        if (text && strcmp(text, "*") == 0)
            verbs |= VERB_ALL;
        else if (text && verb_parse(text, &one))
            verbs |= one;
    }
    return verbs;
}

static void principal_of(const key_record *record, principal *out)
{
    size_t i;
    const json_t *s;
    *out = (principal){.kind = "key"};
    snprintf(out->id, sizeof out->id, "%s", record->id);
    json_array_foreach(record->scopes, i, s)
    {
        const char *reference = json_string_value(json_object_get(s, "reference"));
        if (out->n_scopes == PRINCIPAL_SCOPES_MAX)
            break;
        scope *one = &out->scopes[out->n_scopes++];
        one->wid = json_integer_value(json_object_get(s, "wid"));
        one->verbs = verbs_of(json_object_get(s, "verbs"));
        snprintf(one->reference, sizeof one->reference, "%s", reference ? reference : "*");
    }
}

static status_class verify_key(void *self, const char *key, principal *out, status *st)
{
    app *a = self;
    connection *c;
    key_record record;
    if (!atomic_load(&a->ready)) {
        pthread_mutex_lock(&a->lock);
        *st = a->starting;
        pthread_mutex_unlock(&a->lock);
        st->class = STATUS_UNAVAILABLE;
        return STATUS_UNAVAILABLE;
    }
    status_class class = pool_borrow(a->control.control, NULL, CONTROL_WAIT_MS, &c, st);
    if (class != STATUS_OK)
        return class;
    class = key_verify(c, key, &record, st);
    pool_return(a->control.control, c);
    if (class != STATUS_OK)
        return class;
    principal_of(&record, out);
    json_decref(record.scopes);
    return STATUS_OK;
}

static status_class find_workspace(void *self, const char *name, int64_t *wid_out, status *st)
{
    app *a = self;
    *wid_out = directory_find(a->services.directory, name);
    return *wid_out ? STATUS_OK : status_set(st, STATUS_NOT_FOUND, "there is no workspace %.80s", name);
}

auth_source app_auth(app *a)
{
    return (auth_source){.self = a, .key_verify = verify_key, .workspace_find = find_workspace};
}

/* ---- the plugin catalog, for templates ---- */

static const struct {
    object_class class;
    plugin_kind kind;
} kinds[] = {{CLASS_CONNECTOR, PLUGIN_CONNECTOR},
             {CLASS_NOTIFIER, PLUGIN_NOTIFIER},
             {CLASS_METRIC, PLUGIN_METRIC},
             {CLASS_MODEL, PLUGIN_MODEL}};

static json_t *config_schema(void *self, object_class class, const char *id)
{
    app *a = self;
    status st;
    json_t *schema = NULL;
    const plugin_entry *entry = catalog_find(a->catalog, id, &st);
    if (!entry)
        return NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].class == class && kinds[i].kind == entry->kind)
            schema = entry->config_schema ? json_deep_copy(entry->config_schema) : json_null();
    plugin_entry_release(entry);
    return schema;
}

template_plugins app_plugins(app *a)
{
    return (template_plugins){.self = a, .config_schema = config_schema};
}

/* ---- secrets, for instances ---- */

static status_class fetch_secret(void *self, const char *workspace, const char *reference, const char *subject,
                                 text *value_out, status *st)
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

/* ---- workspaces, for the flow ---- */

status_class app_workspace_changed(app *a, int32_t wid, status *st)
{
    workspace *w;
    status_class class = workspace_load(&a->control, wid, NULL, &w, st);
    if (class == STATUS_NOT_FOUND) {
        flow_remove(a->flow, wid);
        directory_remove(a->services.directory, wid);
        return STATUS_OK;
    }
    if (class != STATUS_OK)
        return class;
    flow_workspace fw = {w->definition, w->role, w->password, w->paused};
    directory_put(a->services.directory, &(directory_entry){w->wid, w->key, w->id, w->paused});
    class = flow_put(a->flow, &fw, st);
    workspace_free(w);
    return class;
}

static status_class on_workspace_changed(void *self, int32_t wid, status *st)
{
    return app_workspace_changed(self, wid, st);
}

void app_fill_services(app *a)
{
    if (!a->services.directory)
        a->services.directory = directory_create();
    a->services.flow = a->flow;
    a->services.control = &a->control;
    a->services.data = a->control.data;
    a->services.catalog = a->catalog;
    a->services.host_name = a->host_name;
    a->services.stack_id = a->control.stack_id;
    a->services.workspace_changed = on_workspace_changed;
    a->services.self = a;
    if (!a->services.started_us)
        a->services.started_us = clock_monotonic_us();
}

void app_close_services(app *a)
{
    directory_free(a->services.directory);
}
