/* Connectors and notifiers, and the objects that are only listed: alert rules, dashboards and reports. */
#include <string.h>

#include "control/delivery.h"
#include "serve/auth.h"
#include "serve/problem.h"
#include "serve/resource.h"
#include "serve/resources.h"
#include "serve/workspace_form.h"

/* ---- connectors ---- */

/* As the workspace's status tells of it, with what the definition knows. */
static json_t *connector_json(const defined_connector *c, const json_t *status)
{
    size_t i;
    json_t *known,
        *v = json_pack("{s:s,s:s,s:s,s:s,s:n,s:n,s:n}", "key", c->object.key, "title", c->object.title,
                       "plugin", c->plugin, "state", "paused", "rows", "lag", "error");
    json_array_foreach(json_object_get(status, "connectors"), i, known)
    {
        const char *key = json_string_value(json_object_get(known, "key"));
        if (!key || strcmp(key, c->object.key) != 0)
            continue;
        json_object_update(v, known);
        json_object_set(v, "error", json_object_get(known, "problem"));
        json_object_del(v, "problem");
    }
    return v;
}

static void connectors_list(http_request *r)
{
    const flow_plan *plan = resource_plan(r);
    if (!plan)
        return;
    json_t *status = workspace_form_status(r->services, plan->wid), *items = json_array();
    for (uint32_t i = 0; i < plan->definition->n_connectors; i++)
        json_array_append_new(items, connector_json(&plan->definition->connectors[i], status));
    json_decref(status);
    flow_plan_release(plan);
    resource_list(r, items, "key");
}

static void connector_show(http_request *r)
{
    const char *key = http_request_param(r, "k");
    const flow_plan *plan = resource_plan(r);
    if (!plan)
        return;
    const defined_connector *c = definition_connector(plan->definition, key);
    if (c) {
        json_t *status = workspace_form_status(r->services, plan->wid), *v = connector_json(c, status);
        json_object_set(v, "definition", c->object.body);
        json_decref(status);
        resource_answer(r, 200, v);
    } else {
        resource_missing(r, "connector", key);
    }
    flow_plan_release(plan);
}

static void connector_set_paused(http_request *r)
{
    status st;
    const bool *paused = r->route->data;
    const char *key = http_request_param(r, "k");
    if (flow_source_pause(r->services->flow, (int32_t)r->wid, key, *paused, &st) == STATUS_OK)
        resource_answer(r, 200, json_pack("{s:s,s:s}", "key", key, "state", *paused ? "paused" : "starting"));
    else
        problem_answer(r, &st);
}

/* ---- notifiers ---- */

enum { DELIVERIES_LOOKED_AT = 500 };

/* How many wait, and why the newest one that failed did. */
static json_t *notifier_json(const defined_notifier *n, const delivery *deliveries, uint32_t n_deliveries)
{
    json_int_t waiting = 0;
    const delivery *failed = NULL, *sent = NULL;
    for (uint32_t i = 0; i < n_deliveries; i++) {
        const delivery *d = &deliveries[i];
        if (strcmp(d->notifier, n->object.key) != 0)
            continue;
        waiting += strcmp(d->state, "ready") == 0 || strcmp(d->state, "claimed") == 0;
        if (!failed && !sent && d->error)
            failed = d;
        if (!sent && strcmp(d->state, "sent") == 0)
            sent = d;
    }
    return json_pack("{s:s,s:s,s:s,s:s,s:I,s:s?}", "key", n->object.key, "title", n->object.title, "plugin",
                     n->plugin, "state", failed ? "failing" : "ok", "waiting", waiting, "error",
                     failed ? failed->error : NULL);
}

static void answer_notifiers(http_request *r, const flow_plan *plan, connection *c)
{
    delivery *found;
    uint32_t n;
    status st;
    status_class class = deliveries_list(c, plan->wid, DELIVERIES_LOOKED_AT, r->arena, &found, &n, &st);
    if (class != STATUS_OK) {
        problem_answer(r, &st);
        return;
    }
    json_t *items = json_array();
    for (uint32_t i = 0; i < plan->definition->n_notifiers; i++)
        json_array_append_new(items, notifier_json(&plan->definition->notifiers[i], found, n));
    resource_list(r, items, "key");
}

static void notifiers_list(http_request *r)
{
    pool *p = r->services->control->control;
    const flow_plan *plan = resource_plan(r);
    connection *c = plan ? resource_control(r) : NULL;
    if (c)
        answer_notifiers(r, plan, c);
    pool_return(p, c);
    flow_plan_release(plan);
}

/* ---- objects that are only listed ---- */

typedef struct object_list {
    object_class class;
    bool served;
    json_t *items;
} object_list;

static json_t *object_json(const defined_object *o, bool served)
{
    json_t *v = json_pack("{s:s,s:s,s:s,s:b}", "key", o->key, "title", o->title, "origin",
                          o->origin == ORIGIN_LOCAL ? "local" : "template", "served", served);
    if (!served)
        json_object_set_new(v, "note", json_string("not served yet"));
    return v;
}

static bool add_object(void *arg, const defined_object *o)
{
    object_list *list = arg;
    if (o->class == list->class)
        json_array_append_new(list->items, object_json(o, list->served));
    return true;
}

static bool is_served(object_class class)
{
    return class != CLASS_DASHBOARD && class != CLASS_REPORT;
}

static void objects_list(http_request *r)
{
    const object_class *class = r->route->data;
    const flow_plan *plan = resource_plan(r);
    if (!plan)
        return;
    object_list list = {*class, is_served(*class), json_array()};
    definition_each(plan->definition, add_object, &list);
    flow_plan_release(plan);
    resource_list(r, list.items, "key");
}

static void object_show(http_request *r)
{
    const object_class *class = r->route->data;
    const char *key = http_request_param(r, "k");
    const flow_plan *plan = resource_plan(r);
    if (!plan)
        return;
    const defined_object *o = definition_object(plan->definition, *class, key);
    if (o) {
        json_t *v = object_json(o, is_served(*class));
        json_object_set(v, "definition", o->body);
        resource_answer(r, 200, v);
    } else {
        resource_missing(r, class_name(*class), key);
    }
    flow_plan_release(plan);
}

/* ---- the table ---- */

static const bool yes = true, no = false;
static const object_class dashboard = CLASS_DASHBOARD, report = CLASS_REPORT, alert_rule = CLASS_ALERT;

#define CONNECTOR_MEMBERS                                                                  \
    "\"key\":" RESOURCE_TEXT ",\"title\":" RESOURCE_TEXT ",\"plugin\":" RESOURCE_TEXT      \
    ",\"state\":" RESOURCE_TEXT ",\"rows\":" RESOURCE_INTEGER_OR_NULL                      \
    ",\"rows_rejected\":" RESOURCE_INTEGER_OR_NULL ",\"last_rows\":" RESOURCE_TIME_OR_NULL \
    ",\"lag\":{\"type\":[\"number\",\"null\"]},\"error\":" RESOURCE_TEXT_OR_NULL
#define CONNECTOR_SCHEMA \
    "{\"type\":\"object\",\"required\":[\"key\",\"plugin\",\"state\"],\"properties\":{" CONNECTOR_MEMBERS "}}"
#define PAUSED_SCHEMA                                                                              \
    "{\"type\":\"object\",\"required\":[\"key\",\"state\"],\"properties\":{\"key\":" RESOURCE_TEXT \
    ",\"state\":" RESOURCE_TEXT "}}"
#define OBJECT_MEMBERS                                                                \
    "\"key\":" RESOURCE_TEXT ",\"title\":" RESOURCE_TEXT ",\"origin\":" RESOURCE_TEXT \
    ",\"served\":{\"type\":\"boolean\"},\"note\":" RESOURCE_TEXT
#define OBJECT_SCHEMA \
    "{\"type\":\"object\",\"required\":[\"key\",\"title\",\"served\"],\"properties\":{" OBJECT_MEMBERS "}}"
#define OBJECT_SHOWN_SCHEMA                                                                      \
    "{\"type\":\"object\",\"required\":[\"key\",\"definition\"],\"properties\":{" OBJECT_MEMBERS \
    ",\"definition\":{\"type\":\"object\"}}}"

#define OBJECT_ROUTES(section, word, class_word, class_of, what)                                        \
    {.method = HTTP_GET,                                                                                \
     .path = "/api/v1/workspaces/{ws}/" section,                                                        \
     .name = word "s",                                                                                  \
     .tag = "objects",                                                                                  \
     .summary = "The " what " of a workspace",                                                          \
     .verb = VERB_READ,                                                                                 \
     .reference = class_word ":*",                                                                      \
     .flags = ROUTE_LIST,                                                                               \
     .where = ROUTE_ON_LANE,                                                                            \
     .response_schema = RESOURCE_LIST_SCHEMA(OBJECT_SCHEMA),                                            \
     .success = 200,                                                                                    \
     .data = &(class_of),                                                                               \
     .handler = objects_list},                                                                          \
    {                                                                                                   \
        .method = HTTP_GET, .path = "/api/v1/workspaces/{ws}/" section "/{k}", .name = (word),          \
        .tag = "objects", .summary = "One of the " what ", as it is defined", .verb = VERB_READ,        \
        .reference = class_word ":{k}", .where = ROUTE_ON_LANE, .response_schema = OBJECT_SHOWN_SCHEMA, \
        .success = 200, .data = &(class_of), .handler = object_show                                     \
    }

static const route table[] = {
    {.method = HTTP_GET,
     .path = "/api/v1/workspaces/{ws}/connectors",
     .name = "connectors",
     .tag = "connectors",
     .summary = "The connectors of a workspace and how they are",
     .verb = VERB_READ,
     .reference = "connector:*",
     .flags = ROUTE_LIST,
     .where = ROUTE_ON_LANE,
     .response_schema = RESOURCE_LIST_SCHEMA(CONNECTOR_SCHEMA),
     .success = 200,
     .handler = connectors_list},
    {.method = HTTP_GET,
     .path = "/api/v1/workspaces/{ws}/connectors/{k}",
     .name = "connector",
     .tag = "connectors",
     .summary = "One connector with its definition",
     .verb = VERB_READ,
     .reference = "connector:{k}",
     .where = ROUTE_ON_LANE,
     .response_schema =
         "{\"type\":\"object\",\"required\":[\"key\",\"plugin\",\"state\",\"definition\"],\"properties\":"
         "{" CONNECTOR_MEMBERS ",\"definition\":{\"type\":\"object\"}}}",
     .success = 200,
     .handler = connector_show},
    {.method = HTTP_POST,
     .path = "/api/v1/workspaces/{ws}/connectors/{k}:pause",
     .name = "connector_pause",
     .tag = "connectors",
     .summary = "Stop reading, until it is resumed or the host starts again",
     .verb = VERB_RUN,
     .reference = "connector:{k}",
     .where = ROUTE_ON_LANE,
     .response_schema = PAUSED_SCHEMA,
     .success = 200,
     .data = &yes,
     .handler = connector_set_paused},
    {.method = HTTP_POST,
     .path = "/api/v1/workspaces/{ws}/connectors/{k}:resume",
     .name = "connector_resume",
     .tag = "connectors",
     .summary = "Read on where it stopped",
     .verb = VERB_RUN,
     .reference = "connector:{k}",
     .where = ROUTE_ON_LANE,
     .response_schema = PAUSED_SCHEMA,
     .success = 200,
     .data = &no,
     .handler = connector_set_paused},
    {.method = HTTP_GET,
     .path = "/api/v1/workspaces/{ws}/notifiers",
     .name = "notifiers",
     .tag = "notifiers",
     .summary = "The notifiers of a workspace and what waits in them",
     .verb = VERB_READ,
     .reference = "notifier:*",
     .flags = ROUTE_LIST,
     .where = ROUTE_ON_LANE,
     .response_schema = RESOURCE_LIST_SCHEMA(
         "{\"type\":\"object\",\"required\":[\"key\",\"plugin\",\"state\",\"waiting\"],\"properties\":{"
         "\"key\":" RESOURCE_TEXT ",\"title\":" RESOURCE_TEXT ",\"plugin\":" RESOURCE_TEXT
         ",\"state\":" RESOURCE_TEXT ",\"waiting\":" RESOURCE_INTEGER ",\"error\":" RESOURCE_TEXT_OR_NULL
         "}}"),
     .success = 200,
     .handler = notifiers_list},
    OBJECT_ROUTES("alert-rules", "alert_rule", "alert", alert_rule, "alert rules"),
    OBJECT_ROUTES("dashboards", "dashboard", "dashboard", dashboard, "dashboards (not served yet)"),
    OBJECT_ROUTES("reports", "report", "report", report, "reports (not served yet)"),
};

void routes_sources(route_table *t)
{
    route_table_add(t, table, sizeof table / sizeof *table);
}
