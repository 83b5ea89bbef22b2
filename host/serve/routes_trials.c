/* "Test connection" and what streams there are: a connector's configuration is tried in a cell of its own,
 * saved or not. What is not saved may name any secret and any address, so it asks for the right to change the
 * workspace. */
#include <string.h>

#include "serve/problem.h"
#include "serve/resource.h"
#include "serve/resources.h"

typedef status_class (*trial_way)(flow *f, int32_t wid, const defined_connector *connector, json_t **out,
                                  status *st);

static void run(http_request *r, const defined_connector *c)
{
    const trial_way *way = r->route->data;
    json_t *out = NULL;
    status st;
    status_class class = (*way)(r->services->flow, (int32_t)r->wid, c, &out, &st);
    if (class == STATUS_OK)
        resource_answer(r, 200, out);
    else if (class == STATUS_INTERNAL || class == STATUS_LIMIT)
        problem_answer(r, &st);
    else
        problem_answer_as(r, 422, &st); /* also "away" and "refused": that is what was asked for */
}

static void try_saved(http_request *r)
{
    const char *key = http_request_param(r, "k");
    const flow_plan *plan = resource_plan(r);
    if (!plan)
        return;
    const defined_connector *c = definition_connector(plan->definition, key);
    if (c)
        run(r, c);
    else
        resource_missing(r, "connector", key);
    flow_plan_release(plan);
}

/* A sink is tried like a connector that nothing is read from. */
static void try_sink(http_request *r)
{
    const char *key = http_request_param(r, "k");
    const flow_plan *plan = resource_plan(r);
    if (!plan)
        return;
    const defined_sink *d = definition_sink(plan->definition, key);
    if (d)
        run(r, &(defined_connector){.object = d->object, .plugin = d->plugin, .config = d->config});
    else
        resource_missing(r, "sink", key);
    flow_plan_release(plan);
}

/* ---- one that is not saved ---- */

static bool read_target(http_request *r, const char *stream, const json_t *store, connector_target *out)
{
    const char *reference = json_string_value(store);
    static const char class[] = "datastore:";
    if (!reference || strncmp(reference, class, sizeof class - 1) != 0) {
        resource_refuse(r, "/into", "into names datastores, datastore:readings");
        return false;
    }
    *out = (connector_target){.stream = stream,
                              .store = {.class = CLASS_DATASTORE, .key = reference + sizeof class - 1}};
    return true;
}

static bool read_into(http_request *r, json_t *into, defined_connector *c)
{
    const char *stream;
    json_t *store;
    size_t n = json_is_object(into) ? json_object_size(into) : into ? 1 : 0;
    connector_target *targets = arena_zero(r->arena, n + 1, sizeof *targets);
    c->into = targets;
    if (into && !json_is_object(into))
        return read_target(r, NULL, into, &targets[c->n_into++]);
    json_object_foreach(into, stream, store)
    {
        if (!read_target(r, stream, store, &targets[c->n_into++]))
            return false;
    }
    return true;
}

static bool read_connector(http_request *r, json_t *body, defined_connector *c)
{
    json_t *config = json_object_get(body, "config"), *decode = json_object_get(body, "decode");
    *c = (defined_connector){.object = {.class = CLASS_CONNECTOR, .key = "trial", .body = body}};
    if (!resource_text(r, body, "plugin", true, &c->plugin) ||
        !resource_text(r, body, "format", false, &c->format) ||
        !read_into(r, json_object_get(body, "into"), c))
        return false;
    if ((config && !json_is_object(config)) || (decode && !json_is_object(decode))) {
        resource_refuse(r, config && !json_is_object(config) ? "/config" : "/decode",
                        "an object was expected");
        return false;
    }
    if (!config)
        json_object_set_new(body, "config", json_object());
    if (!decode)
        json_object_set_new(body, "decode", json_object());
    c->config = json_object_get(body, "config");
    c->decode = json_object_get(body, "decode");
    return true;
}

static void try_given(http_request *r)
{
    defined_connector c;
    json_t *body = resource_body(r);
    if (body && read_connector(r, body, &c))
        run(r, &c);
    json_decref(body);
}

/* ---- the table ---- */

static const trial_way check = flow_check, discover = flow_discover;

#define GIVEN_SCHEMA                                                                                   \
    "{\"type\":\"object\",\"required\":[\"plugin\"],\"properties\":{\"plugin\":" RESOURCE_TEXT         \
    ",\"config\":{\"type\":\"object\"},\"format\":" RESOURCE_TEXT ",\"decode\":{\"type\":\"object\"}," \
    "\"into\":{\"type\":[\"string\",\"object\"]}}}"
#define CHECK_SCHEMA                                                                                     \
    "{\"type\":\"object\",\"required\":[\"checked\",\"rows\",\"rejects\"],\"properties\":{\"checked\":{" \
    "\"type\":"                                                                                          \
    "\"boolean\"},\"rows\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{"          \
    "\"store\":" RESOURCE_TEXT                                                                           \
    ",\"row\":{\"type\":\"object\"}}}},\"rejects\":{\"type\":\"array\",\"items\":{\"type\":\"object\","  \
    "\"properties\":{\"code\":" RESOURCE_TEXT ",\"pointer\":" RESOURCE_TEXT ",\"detail\":" RESOURCE_TEXT \
    ",\"payload\":" RESOURCE_TEXT "}}},\"took_ms\":" RESOURCE_INTEGER ",\"note\":" RESOURCE_TEXT_OR_NULL \
    "}}"
#define DISCOVER_SCHEMA                                                                               \
    "{\"type\":\"object\",\"required\":[\"streams\",\"yaml\"],\"properties\":{\"streams\":{\"type\":" \
    "\"array\",\"items\":"                                                                            \
    "{\"type\":\"object\",\"properties\":{\"stream\":" RESOURCE_TEXT_OR_NULL                          \
    ",\"title\":" RESOURCE_TEXT_OR_NULL ",\"key\":" RESOURCE_TEXT                                     \
    ",\"schema\":{\"type\":[\"object\",\"null\"]},\"example\":" RESOURCE_TEXT_OR_NULL                 \
    "}}},\"more\":{\"type\":\"boolean\"},\"yaml\":" RESOURCE_TEXT "}}"
#define CHECK_TEXT                                                                                        \
    "In a cell of its own: the plugin's check, then the first ten rows, decoded as they would be taken. " \
    "Nothing is acknowledged or stored. 422 says what is wrong."
#define DISCOVER_TEXT                                                                                     \
    "A datastore for each stream, by the plugin's schema or guessed from its examples; 422 says what is " \
    "wrong."

#define TRIAL_ROUTES(action, word, way, about, answer_schema)                                                \
    {.method = HTTP_POST,                                                                                    \
     .path = "/api/v1/workspaces/{ws}/connectors/{k}:" action,                                               \
     .name = "connector_" word,                                                                              \
     .tag = "connectors",                                                                                    \
     .summary = "Try a connector: " action,                                                                  \
     .description = (about),                                                                                 \
     .verb = VERB_RUN,                                                                                       \
     .reference = "connector:{k}",                                                                           \
     .where = ROUTE_ON_LANE,                                                                                 \
     .response_schema = (answer_schema),                                                                     \
     .success = 200,                                                                                         \
     .data = &(way),                                                                                         \
     .handler = try_saved},                                                                                  \
    {                                                                                                        \
        .method = HTTP_POST, .path = "/api/v1/workspaces/{ws}/connectors:" action,                           \
        .name = "connectors_" word, .tag = "connectors",                                                     \
        .summary = "Try a connector that is not saved: " action, .description = (about), .verb = VERB_ADMIN, \
        .reference = "connector:*", .where = ROUTE_ON_LANE, .request_schema = GIVEN_SCHEMA,                  \
        .response_schema = (answer_schema), .success = 200, .data = &(way), .handler = try_given             \
    }

static const route table[] = {
    TRIAL_ROUTES("check", "check", check, CHECK_TEXT, CHECK_SCHEMA),
    TRIAL_ROUTES("discover", "discover", discover, DISCOVER_TEXT, DISCOVER_SCHEMA),
    {.method = HTTP_POST,
     .path = "/api/v1/workspaces/{ws}/sinks/{k}:check",
     .name = "sink_check",
     .tag = "sinks",
     .summary = "Try a sink: is its far side there, and does it take us",
     .description =
         "In a cell of its own: the plugin's check, if it has one. Nothing is sent. 422 says what is wrong.",
     .verb = VERB_RUN,
     .reference = "sink:{k}",
     .where = ROUTE_ON_LANE,
     .response_schema = CHECK_SCHEMA,
     .success = 200,
     .data = &check,
     .handler = try_sink},
};

void routes_trials(route_table *t)
{
    route_table_add(t, table, sizeof table / sizeof *table);
}
