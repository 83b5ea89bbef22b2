/* The host and its plugins. */
#include <string.h>

#include "base/clock.h"
#include "serve/auth.h"
#include "serve/problem.h"
#include "serve/resource.h"
#include "serve/resources.h"

/* ---- the host ---- */

static void system_show(http_request *r)
{
    status st;
    const services *s = r->services;
    bool ready = flow_ready(s->flow, &st);
    json_t *v = flow_host_status(s->flow);
    json_object_set_new(v, "state", json_string(ready ? "ready" : "degraded"));
    if (!ready)
        json_object_set_new(v, "problem", json_string(st.text));
    json_object_set_new(v, "version", json_string(s->version));
    json_object_set_new(v, "host", json_string(s->host_name));
    json_object_set_new(v, "stack", json_string(s->control->stack_id));
    json_object_set_new(v, "uptime_seconds", json_integer((clock_monotonic_us() - s->started_us) / 1000000));
    resource_answer(r, 200, v);
}

/* ---- plugins ---- */

static json_t *texts_of(const char *const *texts, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_string(texts[i]));
    return list;
}

static json_t *plugin_json(const plugin_entry *e)
{
    return json_pack("{s:s,s:s?,s:s?,s:s?,s:s,s:s,s:s?,s:s?}", "id", e->id ? e->id : e->file, "kind",
                     e->broken ? NULL : plugin_kind_name(e->kind), "version", e->version, "title", e->title,
                     "state", e->broken ? "broken" : "ok", "file", e->file, "hash", e->hash, "error",
                     e->broken);
}

static void add_plugin(const plugin_entry *e, void *arg)
{
    json_array_append_new(arg, plugin_json(e));
}

static void plugins_list(http_request *r)
{
    json_t *items = json_array();
    catalog_list(r->services->catalog, add_plugin, items);
    resource_list(r, items, "id");
}

static void plugin_show(http_request *r)
{
    status st;
    const plugin_entry *e = catalog_find(r->services->catalog, http_request_param(r, "id"), &st);
    if (!e) {
        st.class = STATUS_NOT_FOUND;
        problem_answer(r, &st);
        return;
    }
    json_t *v = plugin_json(e);
    json_object_set_new(v, "licence", e->licence ? json_string(e->licence) : json_null());
    json_object_set_new(v, "interfaces", texts_of(e->interfaces, e->n_interfaces));
    json_object_set(v, "config_schema", e->config_schema ? (json_t *)e->config_schema : json_null());
    plugin_entry_release(e);
    resource_answer(r, 200, v);
}

/* ---- the table ---- */

#define PLUGIN_MEMBERS                                                                                      \
    "\"id\":" RESOURCE_TEXT ",\"kind\":" RESOURCE_TEXT_OR_NULL ",\"version\":" RESOURCE_TEXT_OR_NULL        \
    ",\"title\":" RESOURCE_TEXT_OR_NULL ",\"state\":{\"enum\":[\"ok\",\"broken\"]},\"file\":" RESOURCE_TEXT \
    ",\"hash\":" RESOURCE_TEXT_OR_NULL ",\"error\":" RESOURCE_TEXT_OR_NULL

static const route table[] = {
    {.method = HTTP_GET,
     .path = "/api/v1/system",
     .name = "system",
     .tag = "system",
     .summary = "How this host is: journal, writers, plugin instances",
     .verb = VERB_READ,
     .reference = "platform:system",
     .where = ROUTE_ON_LANE,
     .response_schema =
         "{\"type\":\"object\",\"required\":[\"state\",\"version\",\"uptime_seconds\"],\"properties\":{"
         "\"state\":{\"enum\":[\"ready\",\"degraded\"]},\"problem\":" RESOURCE_TEXT
         ",\"version\":" RESOURCE_TEXT ",\"host\":" RESOURCE_TEXT ",\"stack\":" RESOURCE_TEXT
         ",\"uptime_seconds\":" RESOURCE_INTEGER ",\"journal\":{\"type\":\"object\"},\"writers\":{"
         "\"type\":\"object\"},\"workspaces\":" RESOURCE_INTEGER ",\"instances\":{\"type\":\"array\"}}}",
     .success = 200,
     .handler = system_show},
    {.method = HTTP_GET,
     .path = "/api/v1/plugins",
     .name = "plugins",
     .tag = "system",
     .summary = "The plugins that the host has found, broken ones too",
     .verb = VERB_READ,
     .reference = "platform:plugins",
     .flags = ROUTE_LIST,
     .where = ROUTE_ON_LANE,
     .response_schema = RESOURCE_LIST_SCHEMA(
         "{\"type\":\"object\",\"required\":[\"id\",\"state\",\"file\"],\"properties\":{" PLUGIN_MEMBERS
         "}}"),
     .success = 200,
     .handler = plugins_list},
    {.method = HTTP_GET,
     .path = "/api/v1/plugins/{id}",
     .name = "plugin",
     .tag = "system",
     .summary = "One plugin with the schema of its configuration",
     .verb = VERB_READ,
     .reference = "platform:plugins",
     .where = ROUTE_ON_LANE,
     .response_schema =
         "{\"type\":\"object\",\"required\":[\"id\",\"state\",\"config_schema\"],\"properties\":"
         "{" PLUGIN_MEMBERS ",\"licence\":" RESOURCE_TEXT_OR_NULL
         ",\"interfaces\":{\"type\":\"array\",\"items\":" RESOURCE_TEXT "},\"config_schema\":{}}}",
     .success = 200,
     .handler = plugin_show},
};

void routes_system(route_table *t)
{
    route_table_add(t, table, sizeof table / sizeof *table);
}
