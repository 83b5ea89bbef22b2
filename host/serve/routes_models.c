/* Models: their versions, training a new one (the answer comes when it is trained), making one the champion.
 */
#include <stdlib.h>
#include <string.h>

#include "control/model_version.h"
#include "serve/auth.h"
#include "serve/job_desk.h"
#include "serve/problem.h"
#include "serve/resource.h"
#include "serve/resources.h"

static json_t *version_json(const model_version *v)
{
    json_t *training = v->training ? json_loads(v->training, 0, NULL) : NULL;
    return json_pack("{s:I,s:s,s:s,s:I,s:o,s:o}", "version", (json_int_t)v->version, "state", v->state,
                     "artifact", v->artifact, "bytes", (json_int_t)v->bytes, "training",
                     training ? training : json_null(), "created", resource_time_json(v->created_us));
}

typedef struct version_list {
    model_version *all;
    uint32_t n;
} version_list;

static bool read_versions(http_request *r, const char *model, version_list *out)
{
    status st;
    connection *c = resource_control(r);
    if (!c)
        return false;
    status_class class = model_versions_list(c, (int32_t)r->wid, model, r->arena, &out->all, &out->n, &st);
    pool_return(r->services->control->control, c);
    if (class != STATUS_OK)
        problem_answer(r, &st);
    return class == STATUS_OK;
}

/* With the champion's number, or null and "untrained". */
static json_t *model_json(const defined_model *m, const version_list *versions)
{
    const model_version *best = NULL;
    for (uint32_t i = 0; i < versions->n; i++)
        if (strcmp(versions->all[i].model, m->object.key) == 0 &&
            strcmp(versions->all[i].state, "champion") == 0)
            best = &versions->all[i];
    json_t *v = json_pack("{s:s,s:s,s:s,s:s}", "key", m->object.key, "title", m->object.title, "plugin",
                          m->plugin, "state", best ? "champion" : "untrained");
    json_object_set_new(v, "version", best ? json_integer(best->version) : json_null());
    json_object_set_new(v, "trained", resource_time_json(best ? best->created_us : 0));
    return v;
}

static void models_list(http_request *r)
{
    version_list versions;
    const flow_plan *plan = resource_plan(r);
    if (!plan)
        return;
    if (read_versions(r, NULL, &versions)) {
        json_t *items = json_array();
        for (uint32_t i = 0; i < plan->definition->n_models; i++)
            json_array_append_new(items, model_json(&plan->definition->models[i], &versions));
        resource_list(r, items, "key");
    }
    flow_plan_release(plan);
}

static json_t *versions_json(const version_list *versions)
{
    json_t *items = json_array();
    for (uint32_t i = 0; i < versions->n; i++)
        json_array_append_new(items, version_json(&versions->all[i]));
    return items;
}

/* Both: the model with its versions, and the versions as a list. */
static void model_show(http_request *r)
{
    version_list versions;
    const bool *as_list = r->route->data;
    const char *key = http_request_param(r, "k");
    const flow_plan *plan = resource_plan(r);
    if (!plan)
        return;
    const defined_model *m = definition_model(plan->definition, key);
    if (!m) {
        resource_missing(r, "model", key);
    } else if (read_versions(r, key, &versions)) {
        json_t *list = versions_json(&versions);
        if (*as_list) {
            resource_list(r, list, "version");
        } else {
            json_t *v = model_json(m, &versions);
            json_object_set_new(v, "versions", list);
            json_object_set(v, "definition", m->object.body);
            resource_answer(r, 200, v);
        }
    }
    flow_plan_release(plan);
}

static void on_trained(void *arg, const json_t *result, const status *st)
{
    http_request *r = arg;
    if (result)
        resource_answer(r, 200, json_deep_copy(result));
    else
        problem_answer(r, st);
}

static void on_made(void *arg, const char *id, const status *st)
{
    http_request *r = arg;
    if (!id) {
        problem_answer(r, st);
        return;
    }
    http_header_printf(r, "Location", "/api/v1/jobs/%s", id);
    resource_answer(r, 202, json_pack("{s:s}", "id", id));
}

/* Whoever prefers not to wait gets the job's address (RFC 7240). */
static void model_train_now(http_request *r)
{
    const char *prefer = http_request_header(r, "Prefer"), *model = http_request_param(r, "k");
    bool leaves = prefer && strstr(prefer, "respond-async");
    const flow_plan *plan = resource_plan(r);
    if (!plan)
        return;
    bool known = flow_plan_model(plan, model) != NULL;
    flow_plan_release(plan);
    if (leaves && !known) { /* who waits hears it from the job */
        problem_answer_text(r, 404, "there is no model %s", model);
        return;
    }
    job_wish wish = {.wid = (int32_t)r->wid, .model = model, .actor = resource_actor(r), .arg = r};
    wish.made = leaves ? on_made : NULL;
    wish.ended = leaves ? NULL : on_trained;
    job_desk_train(r->services->jobs, &wish);
}

static void model_promote(http_request *r)
{
    status st;
    const char *reason = NULL, *word = http_request_param(r, "v");
    char *end;
    long long version = strtoll(word, &end, 10);
    json_t *body = r->body_len ? resource_body(r) : json_object();
    if (!body)
        return;
    connection *c = NULL;
    if (*end || end == word)
        problem_answer_text(r, 404, "a version is a number");
    else if (resource_text(r, body, "reason", false, &reason) && (c = resource_control(r))) {
        status_class class = model_version_promote(c, (int32_t)r->wid, http_request_param(r, "k"), version,
                                                   resource_actor(r), reason ? reason : "", &st);
        pool_return(r->services->control->control, c);
        if (class == STATUS_OK)
            resource_answer(r, 200,
                            json_pack("{s:I,s:s}", "version", (json_int_t)version, "state", "champion"));
        else
            problem_answer(r, &st);
    }
    json_decref(body);
}

/* ---- the table ---- */

static const bool yes = true, no = false;

#define MODEL_MEMBERS                                                                 \
    "\"key\":" RESOURCE_TEXT ",\"title\":" RESOURCE_TEXT ",\"plugin\":" RESOURCE_TEXT \
    ",\"version\":" RESOURCE_INTEGER_OR_NULL ",\"trained\":" RESOURCE_TIME_OR_NULL    \
    ",\"state\":" RESOURCE_TEXT
#define MODEL_SCHEMA                                                                               \
    "{\"type\":\"object\",\"required\":[\"key\",\"plugin\",\"version\",\"state\"],\"properties\":" \
    "{" MODEL_MEMBERS "}}"
#define VERSION_SCHEMA                                                                         \
    "{\"type\":\"object\",\"required\":[\"version\",\"state\"],\"properties\":{"               \
    "\"version\":" RESOURCE_INTEGER ",\"state\":" RESOURCE_TEXT ",\"artifact\":" RESOURCE_TEXT \
    ",\"bytes\":" RESOURCE_INTEGER ",\"training\":{},\"created\":" RESOURCE_TIME_OR_NULL "}}"

static const route table[] = {
    {.method = HTTP_GET,
     .path = "/api/v1/workspaces/{ws}/models",
     .name = "models",
     .tag = "models",
     .summary = "The models of a workspace with the version that scores",
     .verb = VERB_READ,
     .reference = "model:*",
     .flags = ROUTE_LIST,
     .where = ROUTE_ON_LANE,
     .response_schema = RESOURCE_LIST_SCHEMA(MODEL_SCHEMA),
     .success = 200,
     .handler = models_list},
    {.method = HTTP_GET,
     .path = "/api/v1/workspaces/{ws}/models/{k}",
     .name = "model",
     .tag = "models",
     .summary = "One model with its versions",
     .verb = VERB_READ,
     .reference = "model:{k}",
     .where = ROUTE_ON_LANE,
     .response_schema =
         "{\"type\":\"object\",\"required\":[\"key\",\"plugin\",\"version\",\"versions\"],\"properties\":"
         "{" MODEL_MEMBERS ",\"versions\":{\"type\":\"array\",\"items\":" VERSION_SCHEMA
         "},\"definition\":{\"type\":\"object\"}}}",
     .success = 200,
     .data = &no,
     .handler = model_show},
    {.method = HTTP_GET,
     .path = "/api/v1/workspaces/{ws}/models/{k}/versions",
     .name = "model_versions",
     .tag = "models",
     .summary = "The versions of a model, newest first",
     .verb = VERB_READ,
     .reference = "model:{k}",
     .flags = ROUTE_LIST,
     .where = ROUTE_ON_LANE,
     .response_schema = RESOURCE_LIST_SCHEMA(VERSION_SCHEMA),
     .success = 200,
     .data = &yes,
     .handler = model_show},
    {.method = HTTP_POST,
     .path = "/api/v1/workspaces/{ws}/models/{k}:train",
     .name = "model_train",
     .tag = "models",
     .summary =
         "Train a new version and make it the champion; a job: answers when it is done, or at once with "
         "Prefer: respond-async",
     .verb = VERB_RUN,
     .reference = "model:{k}",
     .where = ROUTE_ON_LANE,
     .response_schema = "{\"type\":\"object\"}",
     .success = 200,
     .handler = model_train_now},
    {.method = HTTP_POST,
     .path = "/api/v1/workspaces/{ws}/models/{k}/versions/{v}:promote",
     .name = "model_promote",
     .tag = "models",
     .summary = "Make a version the champion; the former one retires",
     .verb = VERB_APPROVE,
     .reference = "model:{k}",
     .where = ROUTE_ON_LANE,
     .request_schema = "{\"type\":\"object\",\"properties\":{\"reason\":" RESOURCE_TEXT_OR_NULL "}}",
     .response_schema = "{\"type\":\"object\",\"required\":[\"version\",\"state\"],\"properties\":{"
                        "\"version\":" RESOURCE_INTEGER ",\"state\":" RESOURCE_TEXT "}}",
     .success = 200,
     .handler = model_promote},
};

void routes_models(route_table *t)
{
    route_table_add(t, table, sizeof table / sizeof *table);
}
