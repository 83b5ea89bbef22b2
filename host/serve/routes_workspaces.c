/* Workspaces: made, shown, paused, changed by a plan, deleted. What is done in the control plane is taken
 * into the flow before the answer, so that who reads 201 finds it running. */
#include <string.h>

#include "config/yaml_tree.h"
#include "serve/auth.h"
#include "serve/negotiate.h"
#include "serve/plan_form.h"
#include "serve/problem.h"
#include "serve/resource.h"
#include "serve/resources.h"
#include "serve/workspace_form.h"

/* ---- list, show, status ---- */

static void workspaces_list(http_request *r)
{
    json_t *found = NULL, *w, *items = json_array();
    size_t i;
    status st;
    if (workspace_list(r->services->control, &found, &st) != STATUS_OK) {
        json_decref(items);
        problem_answer(r, &st);
        return;
    }
    json_array_foreach(found, i, w)
    {
        if (!auth_sees(r->who, json_integer_value(json_object_get(w, "wid"))))
            continue;
        const char *state = json_string_value(json_object_get(w, "state"));
        bool paused = json_is_true(json_object_get(w, "paused"));
        json_object_set_new(w, "state", json_string(workspace_form_state(state ? state : "", paused)));
        json_object_del(w, "wid");
        json_object_del(w, "paused");
        json_array_append(items, w);
    }
    json_decref(found);
    resource_list(r, items, "key");
}

/* NULL = answered. */
static workspace *load(http_request *r)
{
    workspace *w = NULL;
    status st;
    if (workspace_load(r->services->control, (int32_t)r->wid, NULL, &w, &st) == STATUS_OK)
        return w;
    problem_answer(r, &st);
    return NULL;
}

static void workspace_show(http_request *r)
{
    workspace *w = load(r);
    if (!w)
        return;
    json_t *v = workspace_form(w);
    workspace_free(w);
    resource_answer(r, 200, v);
}

static void workspace_status(http_request *r)
{
    json_t *v = workspace_form_status(r->services, (int32_t)r->wid);
    if (v)
        resource_answer(r, 200, v);
    else
        problem_answer_text(r, 404, "the workspace does not run on this host");
}

static bool asker_sees(void *who, int32_t wid)
{
    return auth_sees(who, wid);
}

static void workspace_why_slow(http_request *r)
{
    json_t *v = flow_why_slow(r->services->flow, (int32_t)r->wid, asker_sees, (void *)r->who);
    if (v)
        resource_answer(r, 200, v);
    else
        problem_answer_text(r, 404, "the workspace does not run on this host");
}

/* ---- create, pause, delete ---- */

/* Takes the change into the flow, then answers with the workspace. Frees it. */
static void answer_changed(http_request *r, int http_status, workspace *w)
{
    status st;
    json_t *v = workspace_form(w);
    if (services_load(r->services, w->wid, &st) == STATUS_OK) {
        http_header_printf(r, "Location", "/api/v1/workspaces/%s", w->key);
        resource_answer(r, http_status, v);
    } else {
        json_decref(v);
        status_wrap(&st, "the workspace is there, but cannot run");
        problem_answer(r, &st);
    }
    workspace_free(w);
}

static void workspace_make(http_request *r)
{
    workspace *w = NULL;
    workspace_request q = {0};
    status st;
    json_t *body = resource_body(r);
    if (!body)
        return;
    q.parameters = json_object_get(body, "parameters");
    q.local = json_object_get(body, "local");
    bool read = resource_text(r, body, "key", true, &q.key) &&
                resource_text(r, body, "template", true, &q.template) &&
                resource_text(r, body, "version", false, &q.version) &&
                resource_text(r, body, "title", false, &q.title);
    if (read && workspace_create(r->services->control, &q, resource_actor(r), &w, &st) == STATUS_OK)
        answer_changed(r, 201, w);
    else if (read && st.class == STATUS_NOT_FOUND)
        resource_refuse(r, "/template", "%s", st.text);
    else if (read)
        resource_failed(r, "", &st);
    json_decref(body);
}

static void workspace_set_paused(http_request *r)
{
    status st;
    const bool *paused = r->route->data;
    if (workspace_pause(r->services->control, (int32_t)r->wid, *paused, resource_actor(r), &st) !=
        STATUS_OK) {
        problem_answer(r, &st);
        return;
    }
    workspace *w = load(r);
    if (w)
        answer_changed(r, 200, w);
}

static void workspace_remove(http_request *r)
{
    status st, again;
    char tag[32];
    int32_t wid = (int32_t)r->wid;
    workspace *w = load(r);
    if (!w)
        return;
    json_t *v = workspace_form(w);
    workspace_free(w);
    resource_tag(v, tag);
    json_decref(v);
    if (!etag_check(r, tag))
        return;
    services_unload(r->services, wid);
    if (workspace_delete(r->services->control, wid, resource_actor(r), &st) == STATUS_OK) {
        http_answer(r, 204, NULL, NULL);
        return;
    }
    services_load(r->services, wid, &again); /* as far as it is still there */
    problem_answer(r, &st);
}

/* ---- plan, local layer ---- */

/* A JSON body, or a YAML one; 400 with line:column. */
static json_t *read_layer(http_request *r)
{
    const char *type = http_request_header(r, "Content-Type");
    yaml_tree *tree = NULL;
    status st;
    if (!type || !negotiate_takes(type, "application/yaml"))
        return resource_body(r);
    if (yaml_tree_parse("body", r->body, r->body_len, &tree, &st) != STATUS_OK) {
        problem_answer_as(r, 400, &st);
        return NULL;
    }
    json_t *root = json_incref(yaml_tree_root(tree));
    yaml_tree_free(tree);
    return root;
}

static void workspace_plan_change(http_request *r)
{
    stored_plan plan = {0};
    template_report *report = NULL;
    status st;
    json_t *body = resource_body(r);
    if (!body)
        return;
    plan_request q = {.parameters = json_object_get(body, "parameters"),
                      .local = json_object_get(body, "local")};
    if (resource_text(r, body, "version", false, &q.version)) {
        status_class class =
            workspace_plan(r->services->control, (int32_t)r->wid, &q, r->arena, &plan, &report, &st);
        if (class == STATUS_OK)
            resource_answer(r, 200, plan_form(&plan));
        else
            plan_form_refuse(r, "/local", report, &st);
        json_decref(plan.changes);
    }
    template_report_free(report);
    json_decref(body);
}

static json_t *local_layer(const workspace *w)
{
    json_t *document = definition_to_json(w->definition), *local = json_object_get(document, "local");
    json_t *v = json_is_object(local) ? json_incref(local) : json_object();
    json_decref(document);
    return v;
}

static void local_show(http_request *r)
{
    workspace *w = load(r);
    if (!w)
        return;
    json_t *v = local_layer(w);
    workspace_free(w);
    resource_answer(r, 200, v);
}

/* Plans the new layer and applies that plan: refused changes and lost rows are refused. */
static void put_layer(http_request *r, json_t *layer)
{
    stored_plan plan = {0};
    template_report *report = NULL;
    workspace *w = NULL;
    status st;
    control *c = r->services->control;
    const plan_request q = {.local = json_object_size(layer) ? layer : json_null()};
    status_class class = workspace_plan(c, (int32_t)r->wid, &q, r->arena, &plan, &report, &st);
    if (class == STATUS_OK)
        class = plan_apply(c, plan.id, false, resource_actor(r), &w, &st);
    if (class == STATUS_OK)
        answer_changed(r, 200, w);
    else
        plan_form_refuse(r, "", report, &st);
    json_decref(plan.changes);
    template_report_free(report);
}

static void local_put(http_request *r)
{
    char tag[32];
    json_t *layer = read_layer(r);
    workspace *w = layer ? load(r) : NULL;
    if (w) {
        json_t *old = local_layer(w);
        resource_tag(old, tag);
        json_decref(old);
        workspace_free(w);
        if (etag_check(r, tag))
            put_layer(r, layer);
    }
    json_decref(layer);
}

/* ---- refresh ---- */

/* On the workspace's lane. */
static void on_refreshed(void *arg, const json_t *result, const status *st)
{
    http_request *r = arg;
    if (result)
        resource_answer(r, 200, json_deep_copy(result));
    else
        problem_answer(r, st);
}

static void workspace_refresh(http_request *r)
{
    status st;
    if (flow_refresh(r->services->flow, (int32_t)r->wid, on_refreshed, r, &st) != STATUS_OK)
        problem_answer(r, &st);
}

/* ---- the table ---- */

static const bool yes = true, no = false;

#define WORKSPACE_SCHEMA                                                                                     \
    "{\"type\":\"object\",\"required\":[\"key\",\"id\",\"template\",\"version\",\"state\"],\"properties\":{" \
    "\"key\":" RESOURCE_TEXT ",\"id\":" RESOURCE_TEXT ",\"title\":" RESOURCE_TEXT                            \
    ",\"template\":" RESOURCE_TEXT ",\"version\":" RESOURCE_TEXT                                             \
    ",\"state\":{\"enum\":[\"active\",\"paused\",\"creating\",\"deleting\"]},"                               \
    "\"generation\":" RESOURCE_INTEGER ",\"created\":" RESOURCE_TIME_OR_NULL                                 \
    ",\"parameters\":{\"type\":\"object\"}}}"
#define LAYER_SCHEMA "{\"type\":\"object\"}"

#define WHY_SLOW_SCHEMA                                                                                     \
    "{\"type\":\"object\",\"required\":[\"workspace\",\"verdict\",\"reasons\",\"waiting\",\"writers\"],"    \
    "\"properties\":{\"workspace\":" RESOURCE_TEXT ",\"verdict\":" RESOURCE_TEXT                            \
    ",\"reasons\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":[\"reason\",\"detail\"]," \
    "\"properties\":"                                                                                       \
    "{\"reason\":" RESOURCE_TEXT ",\"detail\":" RESOURCE_TEXT ",\"neighbour\":" RESOURCE_TEXT               \
    ",\"limit\":{\"type\":\"object\"}}}},\"waiting\":{\"type\":\"object\"},\"writers\":{\"type\":"          \
    "\"object\"}}}"

static const route table[] = {
    {.method = HTTP_GET,
     .path = "/api/v1/workspaces",
     .name = "workspaces",
     .tag = "workspaces",
     .summary = "The workspaces that the key may see",
     .verb = VERB_READ,
     .reference = "workspace:*",
     .flags = ROUTE_LIST | ROUTE_ANY_KEY,
     .where = ROUTE_ON_LANE,
     .response_schema = RESOURCE_LIST_SCHEMA(WORKSPACE_SCHEMA),
     .success = 200,
     .handler = workspaces_list},
    {.method = HTTP_POST,
     .path = "/api/v1/workspaces",
     .name = "workspace_create",
     .tag = "workspaces",
     .summary = "Make a workspace from a template",
     .verb = VERB_ADMIN,
     .reference = "platform:workspaces",
     .flags = ROUTE_IDEMPOTENT,
     .where = ROUTE_ON_LANE,
     .request_schema =
         "{\"type\":\"object\",\"required\":[\"key\",\"template\"],\"properties\":{\"key\":" RESOURCE_TEXT
         ",\"template\":" RESOURCE_TEXT ",\"version\":" RESOURCE_TEXT_OR_NULL
         ",\"title\":" RESOURCE_TEXT_OR_NULL
         ",\"parameters\":{\"type\":\"object\"},\"local\":{\"type\":\"object\"}}}",
     .response_schema = WORKSPACE_SCHEMA,
     .success = 201,
     .handler = workspace_make},
    {.method = HTTP_GET,
     .path = "/api/v1/workspaces/{ws}",
     .name = "workspace",
     .tag = "workspaces",
     .summary = "One workspace",
     .verb = VERB_READ,
     .reference = "workspace:*",
     .where = ROUTE_ON_LANE,
     .response_schema = WORKSPACE_SCHEMA,
     .success = 200,
     .handler = workspace_show},
    {.method = HTTP_DELETE,
     .path = "/api/v1/workspaces/{ws}",
     .name = "workspace_delete",
     .tag = "workspaces",
     .summary = "Delete a workspace and its data",
     .verb = VERB_ADMIN,
     .reference = "workspace:*",
     .flags = ROUTE_IF_MATCH,
     .where = ROUTE_ON_LANE,
     .success = 204,
     .handler = workspace_remove},
    {.method = HTTP_POST,
     .path = "/api/v1/workspaces/{ws}:pause",
     .name = "workspace_pause",
     .tag = "workspaces",
     .summary = "Stop its connectors, refreshes and alerts; rows are refused",
     .verb = VERB_ADMIN,
     .reference = "workspace:*",
     .where = ROUTE_ON_LANE,
     .response_schema = WORKSPACE_SCHEMA,
     .success = 200,
     .data = &yes,
     .handler = workspace_set_paused},
    {.method = HTTP_POST,
     .path = "/api/v1/workspaces/{ws}:resume",
     .name = "workspace_resume",
     .tag = "workspaces",
     .summary = "Let a paused workspace go on",
     .verb = VERB_ADMIN,
     .reference = "workspace:*",
     .where = ROUTE_ON_LANE,
     .response_schema = WORKSPACE_SCHEMA,
     .success = 200,
     .data = &no,
     .handler = workspace_set_paused},
    {.method = HTTP_POST,
     .path = "/api/v1/workspaces/{ws}:refresh",
     .name = "workspace_refresh",
     .tag = "workspaces",
     .summary = "Compute features and scores of what has changed now, whatever the schedule says",
     .verb = VERB_RUN,
     .reference = "workspace:*",
     .where = ROUTE_ON_LANE,
     .response_schema = LAYER_SCHEMA,
     .success = 200,
     .handler = workspace_refresh},
    {.method = HTTP_GET,
     .path = "/api/v1/workspaces/{ws}/status",
     .name = "workspace_status",
     .tag = "workspaces",
     .summary = "How fresh each store is, what waits, what fails, what fires",
     .verb = VERB_READ,
     .reference = "workspace:*",
     .where = ROUTE_ON_LANE,
     .response_schema =
         "{\"type\":\"object\",\"required\":[\"key\",\"state\",\"stores\",\"connectors\",\"alerts\"],"
         "\"properties\":{\"key\":" RESOURCE_TEXT ",\"state\":" RESOURCE_TEXT
         ",\"stores\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}},\"connectors\":{\"type\":"
         "\"array\",\"items\":{\"type\":\"object\"}},\"models\":{\"type\":\"array\",\"items\":{\"type\":"
         "\"object\"}},\"alerts\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}}}}",
     .success = 200,
     .handler = workspace_status},
    {.method = HTTP_GET,
     .path = "/api/v1/workspaces/{ws}/why-slow",
     .name = "workspace_why_slow",
     .tag = "workspaces",
     .summary = "What holds its rows up now: a limit, a neighbour, a lock, the database, a build, a plugin, "
                "or nothing",
     .verb = VERB_READ,
     .reference = "workspace:*",
     .where = ROUTE_ON_LANE,
     .response_schema = WHY_SLOW_SCHEMA,
     .success = 200,
     .handler = workspace_why_slow},
    {.method = HTTP_POST,
     .path = "/api/v1/workspaces/{ws}:plan",
     .name = "workspace_plan",
     .tag = "workspaces",
     .summary = "What another template version, other parameters or another local layer would change",
     .verb = VERB_ADMIN,
     .reference = "workspace:*",
     .where = ROUTE_ON_LANE,
     .body_limit = 4 << 20,
     .request_schema = "{\"type\":\"object\",\"properties\":{\"version\":" RESOURCE_TEXT_OR_NULL
                       ",\"parameters\":{\"type\":\"object\"},\"local\":{\"type\":[\"object\",\"null\"]}}}",
     .response_schema = PLAN_SCHEMA,
     .success = 200,
     .handler = workspace_plan_change},
    {.method = HTTP_GET,
     .path = "/api/v1/workspaces/{ws}/local",
     .name = "workspace_local",
     .tag = "workspaces",
     .summary = "The local layer: what this workspace adds to its template",
     .verb = VERB_READ,
     .reference = "workspace:*",
     .where = ROUTE_ON_LANE,
     .response_schema = LAYER_SCHEMA,
     .success = 200,
     .handler = local_show},
    {.method = HTTP_PUT,
     .path = "/api/v1/workspaces/{ws}/local",
     .name = "workspace_local_put",
     .tag = "workspaces",
     .summary = "Replace the local layer; refused when rows would be lost",
     .verb = VERB_ADMIN,
     .reference = "workspace:*",
     .flags = ROUTE_IF_MATCH,
     .where = ROUTE_ON_LANE,
     .body_limit = 4 << 20,
     .request_types = "application/json,application/yaml",
     .request_schema = LAYER_SCHEMA,
     .response_schema = WORKSPACE_SCHEMA,
     .success = 200,
     .handler = local_put},
};

void routes_workspaces(route_table *t)
{
    route_table_add(t, table, sizeof table / sizeof *table);
}
