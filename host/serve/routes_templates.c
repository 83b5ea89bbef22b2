/* Templates and plans. A version is stored by POST /templates, or by planning it and applying the plan; the
 * latter may bring workspaces along. YAML is taken wherever a template is the whole body. */
#include <string.h>

#include "config/yaml_tree.h"
#include "serve/auth.h"
#include "serve/negotiate.h"
#include "serve/plan_form.h"
#include "serve/problem.h"
#include "serve/resource.h"
#include "serve/resources.h"

/* ---- list and show ---- */

/* Keys of the workspaces that are made from the template. */
static json_t *workspaces_of(const json_t *all, const char *template)
{
    size_t i;
    json_t *w, *keys = json_array();
    json_array_foreach(all, i, w)
    {
        const char *from = json_string_value(json_object_get(w, "template"));
        if (from && strcmp(from, template) == 0)
            json_array_append(keys, json_object_get(w, "key"));
    }
    return keys;
}

static void templates_list(http_request *r)
{
    json_t *items = NULL, *all = NULL, *t;
    size_t i;
    status st;
    control *c = r->services->control;
    if (template_list(c, NULL, &items, &st) || workspace_list(c, &all, &st)) {
        json_decref(items);
        problem_answer(r, &st);
        return;
    }
    json_array_foreach(items, i, t)
    {
        const char *key = json_string_value(json_object_get(t, "key"));
        json_t *keys = workspaces_of(all, key ? key : "");
        json_object_set_new(t, "workspaces", json_integer((json_int_t)json_array_size(keys)));
        json_decref(keys);
    }
    json_decref(all);
    resource_list(r, items, "key");
}

static void template_show(http_request *r)
{
    json_t *versions = NULL, *all = NULL;
    status st;
    control *c = r->services->control;
    const char *key = http_request_param(r, "t");
    if (template_list(c, key, &versions, &st) || workspace_list(c, &all, &st)) {
        problem_answer(r, &st);
    } else if (json_array_size(versions) == 0) {
        problem_answer_text(r, 404, "there is no template %.80s", key);
    } else {
        const json_t *newest = json_array_get(versions, 0);
        resource_answer(r, 200,
                        json_pack("{s:s,s:O,s:O,s:O,s:o}", "key", key, "version",
                                  json_object_get(newest, "version"), "title",
                                  json_object_get(newest, "title"), "versions", versions, "workspaces",
                                  workspaces_of(all, key)));
    }
    json_decref(versions);
    json_decref(all);
}

static void versions_list(http_request *r)
{
    json_t *versions = NULL;
    status st;
    const char *key = http_request_param(r, "t");
    if (template_list(r->services->control, key, &versions, &st)) {
        problem_answer(r, &st);
        return;
    }
    if (json_array_size(versions)) {
        resource_list(r, versions, "version");
        return;
    }
    json_decref(versions);
    problem_answer_text(r, 404, "there is no template %.80s", key);
}

static void version_show(http_request *r)
{
    const char *version;
    json_t *body = NULL;
    status st;
    const char *key = http_request_param(r, "t");
    if (template_get(r->services->control, key, http_request_param(r, "v"), r->arena, &version, &body, &st))
        problem_answer(r, &st);
    else
        resource_answer(r, 200, json_pack("{s:s,s:s,s:o}", "key", key, "version", version, "template", body));
}

/* ---- check and store ---- */

/* The body as a tree with places (YAML; JSON is YAML's own subset, but keeps its own reader) or as a
 * document. One of the two is set, else it was answered. */
typedef struct sent_template {
    yaml_tree *tree;
    json_t *body; /* borrowed from the tree when there is one */
} sent_template;

static bool read_template(http_request *r, sent_template *out)
{
    const char *type = http_request_header(r, "Content-Type");
    status st;
    *out = (sent_template){0};
    if (!type || !negotiate_takes(type, "application/yaml")) {
        out->body = resource_body(r);
        return out->body != NULL;
    }
    if (yaml_tree_parse("template.yaml", r->body, r->body_len, &out->tree, &st) != STATUS_OK) {
        problem_answer_as(r, st.class == STATUS_LIMIT ? 413 : 400, &st);
        return false;
    }
    out->body = yaml_tree_root(out->tree);
    return true;
}

static void release_template(sent_template *t)
{
    if (!t->tree)
        json_decref(t->body);
    yaml_tree_free(t->tree);
}

static void validate(http_request *r)
{
    sent_template t;
    if (!read_template(r, &t))
        return;
    const control *c = r->services->control;
    const template_options options = {.plugins = c->plugins.config_schema ? &c->plugins : NULL};
    template_report *report = template_check(t.tree, t.body, &options);
    json_t *v = template_report_json(report);
    json_object_set_new(v, "valid", json_boolean(report->n_problems == 0));
    template_report_free(report);
    release_template(&t);
    resource_answer(r, 200, v);
}

static void publish(http_request *r)
{
    sent_template t;
    template_report *report = NULL;
    status st;
    if (!read_template(r, &t))
        return;
    if (template_put(r->services->control, t.body, resource_actor(r), &report, &st) != STATUS_OK) {
        plan_form_refuse(r, "", report, &st);
    } else {
        const json_t *m = json_object_get(t.body, "metadata");
        const json_t *key = json_object_get(m, "key"), *version = json_object_get(m, "version");
        http_header_printf(r, "Location", "/api/v1/templates/%s/versions/%s", json_string_value(key),
                           json_string_value(version));
        resource_answer(r, 201, json_pack("{s:O,s:O}", "key", key, "version", version));
    }
    template_report_free(report);
    release_template(&t);
}

/* ---- plans ---- */

/* {t} and {v} must be what the document says of itself. */
static bool identity_fits(http_request *r, const json_t *template)
{
    static const char *const params[] = {"t", "v"}, *const members[] = {"key", "version"};
    const json_t *metadata = json_object_get(template, "metadata");
    for (int i = 0; i < 2; i++) {
        const char *said = json_string_value(json_object_get(metadata, members[i]));
        if (said && strcmp(said, http_request_param(r, params[i])) == 0)
            continue;
        resource_refuse(r, i ? "/template/metadata/version" : "/template/metadata/key",
                        "the template's %s is not the one of the path", members[i]);
        return false;
    }
    return true;
}

static void plan_template(http_request *r, const json_t *body)
{
    publication plan = {0};
    template_report *report = NULL;
    status st;
    publication_request q = {.body = json_object_get(body, "template"),
                             .all = json_is_true(json_object_get(body, "all"))};
    if (!json_is_object(q.body)) {
        resource_refuse(r, "/template", "template must be given: the whole document");
        return;
    }
    if (!resource_text(r, body, "workspace", false, &q.workspace) || !identity_fits(r, q.body))
        return;
    if (publication_plan(r->services->control, &q, r->arena, &plan, &report, &st) == STATUS_OK)
        resource_answer(r, 200, plan_form_publication(&plan));
    else
        plan_form_refuse(r, "/template", report, &st);
    json_decref(plan.changes);
    template_report_free(report);
}

static void version_plan(http_request *r)
{
    json_t *body = resource_body(r);
    if (body)
        plan_template(r, body);
    json_decref(body);
}

static bool is_publication(const char *id)
{
    return strncmp(id, PUBLICATION_ID_PREFIX, sizeof PUBLICATION_ID_PREFIX - 1) == 0;
}

static void plan_show(http_request *r)
{
    const char *id = http_request_param(r, "p");
    publication whole = {0};
    stored_plan one = {0};
    status st;
    control *c = r->services->control;
    status_class class = is_publication(id) ? publication_load(c, id, r->arena, &whole, &st)
                                            : plan_load(c, id, r->arena, &one, &st);
    json_t *changes = is_publication(id) ? whole.changes : one.changes;
    if (class != STATUS_OK)
        problem_answer(r, &st);
    else
        resource_answer(r, 200, is_publication(id) ? plan_form_publication(&whole) : plan_form(&one));
    json_decref(changes);
}

static status_class apply(http_request *r, const char *id, bool destroy, status *st)
{
    control *c = r->services->control;
    if (!is_publication(id)) {
        workspace *w = NULL;
        status_class class = plan_apply(c, id, destroy, resource_actor(r), &w, st);
        if (class == STATUS_OK)
            class = services_load(r->services, w->wid, st);
        workspace_free(w);
        return class;
    }
    int32_t *wids = NULL;
    uint32_t n = 0;
    status loading;
    status_class class = publication_apply(c, id, destroy, resource_actor(r), r->arena, &wids, &n, st);
    for (uint32_t i = 0; i < n; i++)
        if (services_load(r->services, wids[i], &loading) != STATUS_OK && class == STATUS_OK) {
            *st = loading;
            class = st->class;
        }
    return class;
}

static void plan_run(http_request *r)
{
    const char *id = http_request_param(r, "p"), *destroy = http_request_query(r, "destroy");
    status st;
    if (apply(r, id, destroy && strcmp(destroy, "true") == 0, &st) == STATUS_OK)
        resource_answer(r, 200, json_pack("{s:s,s:b}", "id", id, "applied", 1));
    else
        resource_failed(r, "", &st);
}

/* ---- the table ---- */

#define TEMPLATE_SCHEMA                                                                              \
    "{\"type\":\"object\",\"required\":[\"key\",\"version\"],\"properties\":{\"key\":" RESOURCE_TEXT \
    ",\"version\":" RESOURCE_TEXT ",\"title\":" RESOURCE_TEXT ",\"versions\":" RESOURCE_INTEGER      \
    ",\"created\":" RESOURCE_TIME_OR_NULL ",\"workspaces\":" RESOURCE_INTEGER "}}"
#define VERSION_SCHEMA                                                                           \
    "{\"type\":\"object\",\"required\":[\"version\"],\"properties\":{\"version\":" RESOURCE_TEXT \
    ",\"title\":" RESOURCE_TEXT ",\"hash\":" RESOURCE_TEXT ",\"created\":" RESOURCE_TIME_OR_NULL "}}"
#define TEMPLATE_TYPES "application/json,application/yaml"
enum { TEMPLATE_MAX = 4 << 20 };

static const route_parameter apply_parameters[] = {
    {"destroy", "{\"type\":\"boolean\",\"default\":false}", "Also what takes rows with it"}};

static const route table[] = {
    {.method = HTTP_GET,
     .path = "/api/v1/templates",
     .name = "templates",
     .tag = "templates",
     .summary = "The stored templates, newest version of each",
     .verb = VERB_READ,
     .reference = "platform:templates",
     .flags = ROUTE_LIST,
     .where = ROUTE_ON_LANE,
     .response_schema = RESOURCE_LIST_SCHEMA(TEMPLATE_SCHEMA),
     .success = 200,
     .handler = templates_list},
    {.method = HTTP_POST,
     .path = "/api/v1/templates",
     .name = "template_publish",
     .tag = "templates",
     .summary = "Store a version; the same again is fine, another one under its number is not",
     .verb = VERB_ADMIN,
     .reference = "platform:templates",
     .where = ROUTE_ON_LANE,
     .body_limit = TEMPLATE_MAX,
     .request_types = TEMPLATE_TYPES,
     .request_schema = "{\"type\":\"object\"}",
     .response_schema =
         "{\"type\":\"object\",\"required\":[\"key\",\"version\"],\"properties\":{\"key\":" RESOURCE_TEXT
         ",\"version\":" RESOURCE_TEXT "}}",
     .success = 201,
     .handler = publish},
    {.method = HTTP_POST,
     .path = "/api/v1/templates:validate",
     .name = "template_validate",
     .tag = "templates",
     .summary = "Check a template against this host's plugins; every problem with its place",
     .verb = VERB_READ,
     .reference = "platform:templates",
     .where = ROUTE_ON_LANE,
     .body_limit = TEMPLATE_MAX,
     .request_types = TEMPLATE_TYPES,
     .request_schema = "{\"type\":\"object\"}",
     .response_schema = "{\"type\":\"object\",\"required\":[\"valid\",\"problems\"],\"properties\":{"
                        "\"valid\":{\"type\":\"boolean\"},\"problems\":{\"type\":\"array\"},\"decode\":{"
                        "\"type\":\"array\"},\"left_off\":{\"type\":\"integer\"}}}",
     .success = 200,
     .handler = validate},
    {.method = HTTP_GET,
     .path = "/api/v1/templates/{t}",
     .name = "template",
     .tag = "templates",
     .summary = "One template with its versions and workspaces",
     .verb = VERB_READ,
     .reference = "platform:templates",
     .where = ROUTE_ON_LANE,
     .response_schema =
         "{\"type\":\"object\",\"required\":[\"key\",\"version\",\"versions\"],\"properties\":{"
         "\"key\":" RESOURCE_TEXT ",\"version\":" RESOURCE_TEXT ",\"title\":" RESOURCE_TEXT
         ",\"versions\":{\"type\":\"array\",\"items\":" VERSION_SCHEMA
         "},\"workspaces\":{\"type\":\"array\",\"items\":" RESOURCE_TEXT "}}}",
     .success = 200,
     .handler = template_show},
    {.method = HTTP_GET,
     .path = "/api/v1/templates/{t}/versions",
     .name = "template_versions",
     .tag = "templates",
     .summary = "The versions of a template, newest first",
     .verb = VERB_READ,
     .reference = "platform:templates",
     .flags = ROUTE_LIST,
     .where = ROUTE_ON_LANE,
     .response_schema = RESOURCE_LIST_SCHEMA(VERSION_SCHEMA),
     .success = 200,
     .handler = versions_list},
    {.method = HTTP_GET,
     .path = "/api/v1/templates/{t}/versions/{v}",
     .name = "template_version",
     .tag = "templates",
     .summary = "One version with its document",
     .verb = VERB_READ,
     .reference = "platform:templates",
     .where = ROUTE_ON_LANE,
     .response_schema =
         "{\"type\":\"object\",\"required\":[\"key\",\"version\",\"template\"],\"properties\":{"
         "\"key\":" RESOURCE_TEXT ",\"version\":" RESOURCE_TEXT ",\"template\":{\"type\":\"object\"}}}",
     .success = 200,
     .handler = version_show},
    {.method = HTTP_POST,
     .path = "/api/v1/templates/{t}/versions/{v}:plan",
     .name = "template_plan",
     .tag = "templates",
     .summary = "What storing this version, and bringing workspaces to it, would change; kept for an hour",
     .verb = VERB_ADMIN,
     .reference = "platform:templates",
     .where = ROUTE_ON_LANE,
     .body_limit = TEMPLATE_MAX,
     .request_schema = "{\"type\":\"object\",\"required\":[\"template\"],\"properties\":{\"template\":{"
                       "\"type\":\"object\"}"
                       ",\"all\":{\"type\":\"boolean\"},\"workspace\":" RESOURCE_TEXT_OR_NULL "}}",
     .response_schema = PLAN_SCHEMA,
     .success = 200,
     .handler = version_plan},
    {.method = HTTP_GET,
     .path = "/api/v1/plans/{p}",
     .name = "plan",
     .tag = "templates",
     .summary = "A plan that was made",
     .verb = VERB_ADMIN,
     .reference = "platform:templates",
     .where = ROUTE_ON_LANE,
     .response_schema = PLAN_SCHEMA,
     .success = 200,
     .handler = plan_show},
    {.method = HTTP_POST,
     .path = "/api/v1/plans/{p}:apply",
     .name = "plan_apply",
     .tag = "templates",
     .summary = "Do exactly what the plan says; 409 when something has changed since",
     .verb = VERB_ADMIN,
     .reference = "platform:templates",
     .flags = ROUTE_IDEMPOTENT,
     .where = ROUTE_ON_LANE,
     .response_schema =
         "{\"type\":\"object\",\"required\":[\"id\",\"applied\"],\"properties\":{\"id\":" RESOURCE_TEXT
         ",\"applied\":{\"type\":\"boolean\"}}}",
     .success = 200,
     .parameters = apply_parameters,
     .n_parameters = 1,
     .handler = plan_run},
};

void routes_templates(route_table *t)
{
    route_table_add(t, table, sizeof table / sizeof *table);
}
