/* Builds of featurestores and retention: what people may ask for beside what happens by itself. */
#include "serve/auth.h"
#include "serve/problem.h"
#include "serve/resource.h"
#include "serve/resources.h"

static bool demand(http_request *r, const flow_demand *d, json_t **out)
{
    status st;
    if (flow_ask(r->services->flow, (int32_t)r->wid, d, out, &st) == STATUS_OK)
        return true;
    problem_answer(r, &st);
    return false;
}

static void backfill(http_request *r)
{
    flow_demand d = {.kind = DEMAND_BACKFILL, .featurestore = http_request_param(r, "k")};
    json_t *out;
    if (resource_time(r, "from", &d.from_us) && resource_time(r, "to", &d.to_us) && demand(r, &d, &out))
        resource_answer(r, 202, out);
}

static void build_change(http_request *r)
{
    const demand_kind *kind = r->route->data;
    flow_demand d = {.kind = *kind, .featurestore = http_request_param(r, "k")};
    json_t *out;
    if (demand(r, &d, &out))
        resource_answer(r, 200, out);
}

static void retention_list(http_request *r)
{
    flow_demand d = {.kind = DEMAND_RETENTION};
    json_t *out;
    if (demand(r, &d, &out))
        resource_list(r, out, "store");
}

static void retention_start(http_request *r)
{
    flow_demand d = {.kind = DEMAND_EXPIRE};
    json_t *out;
    if (demand(r, &d, &out))
        resource_answer(r, 202, json_pack("{s:s}", "state", "due"));
}

static const demand_kind pause_kind = DEMAND_PAUSE_BUILD, resume_kind = DEMAND_RESUME_BUILD;
static const route_parameter backfill_parameters[] = {
    {"from", NULL, "First event time; absent = as far back as the sources are complete"},
    {"to", NULL, "Event time before which; absent = now"}};

#define BUILD_SCHEMA                                                                               \
    "{\"type\":\"object\",\"required\":[\"key\",\"build\"],\"properties\":{\"key\":" RESOURCE_TEXT \
    ",\"build\":{\"type\":[\"object\",\"null\"]}}}"

static const route table[] = {
    {.method = HTTP_POST,
     .path = "/api/v1/workspaces/{ws}/featurestores/{k}:backfill",
     .name = "featurestore_backfill",
     .tag = "stores",
     .summary = "Compute a stretch of a featurestore again, newest first, beside the normal refresh",
     .verb = VERB_RUN,
     .reference = "featurestore:{k}",
     .where = ROUTE_ON_LANE,
     .response_schema = BUILD_SCHEMA,
     .success = 202,
     .parameters = backfill_parameters,
     .n_parameters = 2,
     .handler = backfill},
    {.method = HTTP_POST,
     .path = "/api/v1/workspaces/{ws}/featurestores/{k}:pause",
     .name = "featurestore_pause",
     .tag = "stores",
     .summary = "Let the build of a featurestore stand still; refreshes go on",
     .verb = VERB_RUN,
     .reference = "featurestore:{k}",
     .where = ROUTE_ON_LANE,
     .response_schema = BUILD_SCHEMA,
     .success = 200,
     .data = &pause_kind,
     .handler = build_change},
    {.method = HTTP_POST,
     .path = "/api/v1/workspaces/{ws}/featurestores/{k}:resume",
     .name = "featurestore_resume",
     .tag = "stores",
     .summary = "Build on where it was paused",
     .verb = VERB_RUN,
     .reference = "featurestore:{k}",
     .where = ROUTE_ON_LANE,
     .response_schema = BUILD_SCHEMA,
     .success = 200,
     .data = &resume_kind,
     .handler = build_change},
    {.method = HTTP_GET,
     .path = "/api/v1/workspaces/{ws}/retention",
     .name = "retention",
     .tag = "stores",
     .summary = "What retention would remove now, store by store, and what holds it back; changes nothing",
     .verb = VERB_READ,
     .reference = "datastore:*",
     .flags = ROUTE_LIST,
     .where = ROUTE_ON_LANE,
     .response_schema = RESOURCE_LIST_SCHEMA(
         "{\"type\":\"object\",\"required\":[\"store\",\"retention\",\"partitions\",\"rows\"],\"properties\":"
         "{"
         "\"store\":" RESOURCE_TEXT ",\"retention\":" RESOURCE_TEXT ",\"partitions\":" RESOURCE_INTEGER
         ",\"rows\":" RESOURCE_INTEGER ",\"keeps_from\":" RESOURCE_TIME_OR_NULL
         ",\"horizon\":" RESOURCE_TIME_OR_NULL ",\"held_by\":" RESOURCE_TEXT "}}"),
     .success = 200,
     .handler = retention_list},
    {.method = HTTP_POST,
     .path = "/api/v1/workspaces/{ws}/retention:run",
     .name = "retention_run",
     .tag = "stores",
     .summary = "Run retention now instead of within the hour",
     .verb = VERB_DELETE,
     .reference = "datastore:*",
     .where = ROUTE_ON_LANE,
     .response_schema =
         "{\"type\":\"object\",\"required\":[\"state\"],\"properties\":{\"state\":" RESOURCE_TEXT "}}",
     .success = 202,
     .handler = retention_start},
};

void routes_builds(route_table *t)
{
    route_table_add(t, table, sizeof table / sizeof *table);
}
