/* The host. */
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

/* ---- the table ---- */

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
};

void routes_system(route_table *t)
{
    route_table_add(t, table, sizeof table / sizeof *table);
}
