/* Sinks: where rows of a store go to. */
#include <string.h>

#include "base/clock.h"
#include "control/relative_time.h"
#include "flow/sink_position.h"
#include "serve/problem.h"
#include "serve/resource.h"
#include "serve/resources.h"

static json_t *sink_json(http_request *r, const defined_sink *d, bool with_definition)
{
    json_t *from = json_pack("s+++", class_name(d->from.class), ":", d->from.key, "");
    json_t *v = json_pack("{s:s,s:s,s:s,s:o,s:s,s:I,s:I,s:I,s:f,s:n,s:n,s:n}", "key", d->object.key, "title",
                          d->object.title, "plugin", d->plugin, "from", from, "state", "paused", "delivered",
                          (json_int_t)0, "refused", (json_int_t)0, "position", (json_int_t)0, "lag_seconds",
                          0.0, "waiting_since", "last_delivery", "error");
    json_t *now = flow_sink_status(r->services->flow, (int32_t)r->wid, d->object.key);
    json_object_update(v, now);
    json_object_set(v, "error",
                    json_object_get(now, "problem") ? json_object_get(now, "problem") : json_null());
    json_object_del(v, "problem");
    if (with_definition)
        json_object_set(v, "definition", d->object.body);
    json_decref(now);
    return v;
}

static void sinks_list(http_request *r)
{
    const flow_plan *plan = resource_plan(r);
    if (!plan)
        return;
    json_t *items = json_array();
    for (uint32_t i = 0; i < plan->definition->n_sinks; i++)
        json_array_append_new(items, sink_json(r, &plan->definition->sinks[i], false));
    flow_plan_release(plan);
    resource_list(r, items, "key");
}

static void sink_show(http_request *r)
{
    const char *key = http_request_param(r, "k");
    const flow_plan *plan = resource_plan(r);
    if (!plan)
        return;
    const defined_sink *d = definition_sink(plan->definition, key);
    if (d)
        resource_answer(r, 200, sink_json(r, d, true));
    else
        resource_missing(r, "sink", key);
    flow_plan_release(plan);
}

static void sink_set_paused(http_request *r)
{
    status st;
    const bool *paused = r->route->data;
    const char *key = http_request_param(r, "k");
    if (flow_sink_pause(r->services->flow, (int32_t)r->wid, key, *paused, &st) == STATUS_OK)
        resource_answer(r, 200, json_pack("{s:s,s:s}", "key", key, "state", *paused ? "paused" : "starting"));
    else
        problem_answer(r, &st);
}

static bool read_to(http_request *r, const json_t *body, int64_t *since_us_out)
{
    const char *to;
    *since_us_out = SINK_REWIND_ALL;
    if (!resource_text(r, body, "to", true, &to))
        return false;
    if (!strcmp(to, "beginning") || relative_time_parse(to, clock_wall_us(), since_us_out))
        return true;
    resource_refuse(r, "/to", "to is \"beginning\" or a time: 2026-01-02T03:04:05Z, now-24h");
    return false;
}

static void sink_rewind(http_request *r)
{
    status st;
    int64_t since_us;
    sink_rewound done;
    const char *key = http_request_param(r, "k");
    json_t *body = resource_body(r);
    if (!body || !read_to(r, body, &since_us))
        goto out;
    if (flow_sink_rewind(r->services->flow, (int32_t)r->wid, key, since_us, &done, &st) != STATUS_OK) {
        problem_answer(r, &st);
        goto out;
    }
    json_t *told = json_pack("{s:s,s:I,s:I}", "key", key, "was", (json_int_t)done.was, "position",
                             (json_int_t)done.position);
    resource_audit(r, "sink.rewind", arena_printf(r->arena, "sink:%s", key),
                   json_pack("{s:O,s:O}", "to", json_object_get(body, "to"), "done", told));
    resource_answer(r, 200, told);
out:
    json_decref(body);
}

/* ---- the table ---- */

static const bool yes = true, no = false;

#define SINK_MEMBERS                                                                                      \
    "\"key\":" RESOURCE_TEXT ",\"title\":" RESOURCE_TEXT ",\"plugin\":" RESOURCE_TEXT                     \
    ",\"from\":" RESOURCE_TEXT                                                                            \
    ",\"state\":{\"enum\":[\"starting\",\"ok\",\"degraded\",\"down\",\"needs_you\",\"paused\"]}"          \
    ",\"delivered\":" RESOURCE_INTEGER ",\"refused\":" RESOURCE_INTEGER ",\"position\":" RESOURCE_INTEGER \
    ",\"lag_seconds\":{\"type\":\"number\"},\"waiting_since\":" RESOURCE_TIME_OR_NULL                     \
    ",\"last_delivery\":" RESOURCE_TIME_OR_NULL ",\"error\":" RESOURCE_TEXT_OR_NULL
#define PAUSED_SCHEMA                                                                              \
    "{\"type\":\"object\",\"required\":[\"key\",\"state\"],\"properties\":{\"key\":" RESOURCE_TEXT \
    ",\"state\":" RESOURCE_TEXT "}}"

static const route table[] = {
    {.method = HTTP_GET,
     .path = "/api/v1/workspaces/{ws}/sinks",
     .name = "sinks",
     .tag = "sinks",
     .summary = "The sinks of a workspace, how they are and how far behind",
     .verb = VERB_READ,
     .reference = "sink:*",
     .flags = ROUTE_LIST,
     .where = ROUTE_ON_LANE,
     .response_schema = RESOURCE_LIST_SCHEMA(
         "{\"type\":\"object\",\"required\":[\"key\",\"plugin\",\"state\"],\"properties\":{" SINK_MEMBERS
         "}}"),
     .success = 200,
     .handler = sinks_list},
    {.method = HTTP_GET,
     .path = "/api/v1/workspaces/{ws}/sinks/{k}",
     .name = "sink",
     .tag = "sinks",
     .summary = "One sink with its definition",
     .verb = VERB_READ,
     .reference = "sink:{k}",
     .where = ROUTE_ON_LANE,
     .response_schema = "{\"type\":\"object\",\"required\":[\"key\",\"plugin\",\"state\",\"definition\"],"
                        "\"properties\":{" SINK_MEMBERS ",\"definition\":{\"type\":\"object\"}}}",
     .success = 200,
     .handler = sink_show},
    {.method = HTTP_POST,
     .path = "/api/v1/workspaces/{ws}/sinks/{k}:pause",
     .name = "sink_pause",
     .tag = "sinks",
     .summary = "Stop delivering, until it is resumed or the host starts again; rows stay in their store",
     .verb = VERB_RUN,
     .reference = "sink:{k}",
     .where = ROUTE_ON_LANE,
     .response_schema = PAUSED_SCHEMA,
     .success = 200,
     .data = &yes,
     .handler = sink_set_paused},
    {.method = HTTP_POST,
     .path = "/api/v1/workspaces/{ws}/sinks/{k}:resume",
     .name = "sink_resume",
     .tag = "sinks",
     .summary = "Deliver on from where it stopped; one that backs off tries at once",
     .verb = VERB_RUN,
     .reference = "sink:{k}",
     .where = ROUTE_ON_LANE,
     .response_schema = PAUSED_SCHEMA,
     .success = 200,
     .data = &no,
     .handler = sink_set_paused},
    {.method = HTTP_POST,
     .path = "/api/v1/workspaces/{ws}/sinks/{k}:rewind",
     .name = "sink_rewind",
     .tag = "sinks",
     .summary = "Send rows again: all, or those that were received from a time on",
     .description =
         "to: beginning, or a time (RFC 3339, now-24h). Only back: position is then what it was, if "
         "that is further back. What goes again goes in batches with new ids.",
     .verb = VERB_RUN,
     .reference = "sink:{k}",
     .where = ROUTE_ON_LANE,
     .request_schema =
         "{\"type\":\"object\",\"required\":[\"to\"],\"properties\":{\"to\":" RESOURCE_TEXT "}}",
     .response_schema =
         "{\"type\":\"object\",\"required\":[\"key\",\"was\",\"position\"],\"properties\":{"
         "\"key\":" RESOURCE_TEXT ",\"was\":" RESOURCE_INTEGER ",\"position\":" RESOURCE_INTEGER "}}",
     .success = 200,
     .handler = sink_rewind},
};

void routes_sinks(route_table *t)
{
    route_table_add(t, table, sizeof table / sizeof *table);
}
