/* Alerts that were ever looked at, and what was told to whom. */
#include <string.h>

#include "control/delivery.h"
#include "serve/alert_form.h"
#include "serve/auth.h"
#include "serve/problem.h"
#include "serve/resource.h"
#include "serve/resources.h"

enum { DELIVERIES_SHOWN = 500 };

/* ---- deliveries ---- */

static json_t *delivery_json(const delivery *d)
{
    json_t *labels = json_loads(d->labels, 0, NULL);
    json_t *v =
        json_pack("{s:s,s:s,s:o,s:s,s:s,s:s,s:I,s:s?,s:s?}", "id", d->id, "rule", d->alert, "labels",
                  labels ? labels : json_object(), "event", d->event, "notifier", d->notifier, "state",
                  d->state, "attempt", (json_int_t)d->attempt, "error", d->error, "external", d->external);
    json_object_set_new(v, "due", resource_time_json(d->due_us));
    return v;
}

/* Those of one alert, or all (`rule` NULL). NULL = answered. */
static json_t *deliveries_of(http_request *r, connection *c, const char *rule, const char *labels)
{
    delivery *found;
    uint32_t n;
    status st;
    if (deliveries_list(c, (int32_t)r->wid, DELIVERIES_SHOWN, r->arena, &found, &n, &st) != STATUS_OK) {
        problem_answer(r, &st);
        return NULL;
    }
    json_t *items = json_array();
    for (uint32_t i = 0; i < n; i++)
        if (!rule || (strcmp(found[i].alert, rule) == 0 && strcmp(found[i].labels, labels) == 0))
            json_array_append_new(items, delivery_json(&found[i]));
    return items;
}

static void deliveries_show(http_request *r)
{
    pool *p = r->services->control->control;
    connection *c = resource_control(r);
    if (!c)
        return;
    json_t *items = deliveries_of(r, c, NULL, NULL);
    pool_return(p, c);
    if (items)
        resource_list(r, items, "id");
}

/* ---- alerts ---- */

static void alerts_list(http_request *r)
{
    json_t *items = NULL;
    status st;
    const flow_plan *plan = resource_plan(r);
    connection *c = plan ? resource_control(r) : NULL;
    if (c) {
        status_class class = alert_forms(c, (int32_t)r->wid, plan->definition, false, &items, &st);
        pool_return(r->services->control->control, c);
        if (class == STATUS_OK)
            resource_list(r, items, "id");
        else
            problem_answer(r, &st);
    }
    flow_plan_release(plan);
}

/* The record behind {a}, in the request's arena; NULL = answered. */
static const alert_record *find_alert(http_request *r, connection *c)
{
    alert_record *found;
    uint32_t n;
    status st;
    char id[ALERT_ID_SIZE];
    if (alert_states_read(c, (int32_t)r->wid, NULL, r->arena, &found, &n, &st) != STATUS_OK) {
        problem_answer(r, &st);
        return NULL;
    }
    for (uint32_t i = 0; i < n; i++) {
        alert_form_id(found[i].alert, found[i].labels, id);
        if (strcmp(id, http_request_param(r, "a")) == 0)
            return &found[i];
    }
    problem_answer_text(r, 404, "there is no such alert in this workspace");
    return NULL;
}

static void answer_alert(http_request *r, connection *c, const flow_plan *plan, const alert_record *found)
{
    json_t *told = deliveries_of(r, c, found->alert, found->labels);
    if (!told)
        return;
    json_t *v = alert_form(found, plan->definition);
    json_object_set_new(v, "episode", resource_time_json(found->episode_us));
    json_object_set_new(v, "last", resource_time_json(found->last_us));
    json_object_set_new(v, "deliveries", told);
    resource_answer(r, 200, v);
}

static void alert_show(http_request *r)
{
    pool *p = r->services->control->control;
    const flow_plan *plan = resource_plan(r);
    connection *c = plan ? resource_control(r) : NULL;
    const alert_record *found = c ? find_alert(r, c) : NULL;
    if (found)
        answer_alert(r, c, plan, found);
    pool_return(p, c);
    flow_plan_release(plan);
}

static void acknowledge(http_request *r, connection *c, const flow_plan *plan, const alert_record *found)
{
    status st;
    alert_record now = *found;
    now.acked_by = resource_actor(r);
    if (alert_state_ack(c, (int32_t)r->wid, found->alert, found->labels, now.acked_by, &st) == STATUS_OK)
        resource_answer(r, 200, alert_form(&now, plan->definition));
    else
        problem_answer(r, &st);
}

static void alert_ack(http_request *r)
{
    pool *p = r->services->control->control;
    const flow_plan *plan = resource_plan(r);
    connection *c = plan ? resource_control(r) : NULL;
    const alert_record *found = c ? find_alert(r, c) : NULL;
    if (found)
        acknowledge(r, c, plan, found);
    pool_return(p, c);
    flow_plan_release(plan);
}

/* ---- the table ---- */

#define ALERT_MEMBERS                                                                               \
    "\"id\":" RESOURCE_TEXT ",\"rule\":" RESOURCE_TEXT ",\"title\":" RESOURCE_TEXT                  \
    ",\"labels\":{\"type\":\"object\"},\"state\":" RESOURCE_TEXT                                    \
    ",\"severity\":{\"enum\":[\"info\",\"warning\",\"critical\"]},\"value\":{\"type\":[\"number\"," \
    "\"null\"]},\"since\":" RESOURCE_TIME_OR_NULL ",\"acked_by\":" RESOURCE_TEXT_OR_NULL
#define ALERT_SCHEMA                                                                           \
    "{\"type\":\"object\",\"required\":[\"id\",\"rule\",\"labels\",\"state\"],\"properties\":" \
    "{" ALERT_MEMBERS "}}"
#define DELIVERY_SCHEMA                                                                              \
    "{\"type\":\"object\",\"required\":[\"id\",\"rule\",\"notifier\",\"state\"],\"properties\":{"    \
    "\"id\":" RESOURCE_TEXT ",\"rule\":" RESOURCE_TEXT                                               \
    ",\"labels\":{\"type\":\"object\"},\"event\":" RESOURCE_TEXT ",\"notifier\":" RESOURCE_TEXT      \
    ",\"state\":" RESOURCE_TEXT ",\"attempt\":" RESOURCE_INTEGER ",\"error\":" RESOURCE_TEXT_OR_NULL \
    ",\"external\":" RESOURCE_TEXT_OR_NULL ",\"due\":" RESOURCE_TIME_OR_NULL "}}"

static const route table[] = {
    {.method = HTTP_GET,
     .path = "/api/v1/workspaces/{ws}/alerts",
     .name = "alerts",
     .tag = "alerts",
     .summary = "Alerts, one for each rule and label set, last change first",
     .verb = VERB_READ,
     .reference = "alert:*",
     .flags = ROUTE_LIST,
     .where = ROUTE_ON_LANE,
     .response_schema = RESOURCE_LIST_SCHEMA(ALERT_SCHEMA),
     .success = 200,
     .handler = alerts_list},
    {.method = HTTP_GET,
     .path = "/api/v1/workspaces/{ws}/alerts/{a}",
     .name = "alert",
     .tag = "alerts",
     .summary = "One alert with what it told to whom",
     .verb = VERB_READ,
     .reference = "alert:*",
     .where = ROUTE_ON_LANE,
     .response_schema =
         "{\"type\":\"object\",\"required\":[\"id\",\"rule\",\"state\",\"deliveries\"],\"properties\":"
         "{" ALERT_MEMBERS ",\"episode\":" RESOURCE_TIME_OR_NULL ",\"last\":" RESOURCE_TIME_OR_NULL
         ",\"deliveries\":{\"type\":\"array\",\"items\":" DELIVERY_SCHEMA "}}}",
     .success = 200,
     .handler = alert_show},
    {.method = HTTP_POST,
     .path = "/api/v1/workspaces/{ws}/alerts/{a}:ack",
     .name = "alert_ack",
     .tag = "alerts",
     .summary = "Say that somebody has seen it",
     .verb = VERB_ACK,
     .reference = "alert:*",
     .where = ROUTE_ON_LANE,
     .response_schema = ALERT_SCHEMA,
     .success = 200,
     .handler = alert_ack},
    {.method = HTTP_GET,
     .path = "/api/v1/workspaces/{ws}/deliveries",
     .name = "deliveries",
     .tag = "alerts",
     .summary = "The newest 500 deliveries of the workspace's notifiers",
     .verb = VERB_READ,
     .reference = "notifier:*",
     .flags = ROUTE_LIST,
     .where = ROUTE_ON_LANE,
     .response_schema = RESOURCE_LIST_SCHEMA(DELIVERY_SCHEMA),
     .success = 200,
     .handler = deliveries_show},
};

void routes_alerts(route_table *t)
{
    route_table_add(t, table, sizeof table / sizeof *table);
}
