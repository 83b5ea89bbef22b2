/* Metrics: which there are, and running one. POST takes {params: {name: value or text}}, GET takes every
 * query parameter that is not one of its own as one of the metric's. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "serve/auth.h"
#include "serve/negotiate.h"
#include "serve/problem.h"
#include "serve/resource.h"
#include "serve/resources.h"
#include "serve/result.h"

/* ---- which there are ---- */

static const char *parameter_type_word(parameter_type type)
{
    static const char *const words[] = {
        [PARAMETER_TEXT] = "string",         [PARAMETER_INTEGER] = "integer",
        [PARAMETER_NUMBER] = "number",       [PARAMETER_BOOLEAN] = "boolean",
        [PARAMETER_TIMESTAMP] = "timestamp", [PARAMETER_DURATION] = "duration"};
    return words[type];
}

static json_t *parameters_json(const defined_metric *m)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < m->n_params; i++) {
        const metric_parameter *p = &m->params[i];
        json_t *v = json_pack("{s:s,s:s,s:b}", "name", p->name, "type", parameter_type_word(p->type),
                              "required", p->value == NULL);
        if (p->value)
            json_object_set(v, "default", p->value);
        if (p->choices)
            json_object_set(v, "choices", p->choices);
        json_array_append_new(list, v);
    }
    return list;
}

static json_t *metric_json(const metric_plan *m)
{
    const defined_metric *d = m->defined;
    json_t *v = json_pack("{s:s,s:s,s:s?,s:o,s:s,s:s?}", "key", d->object.key, "title", d->object.title,
                          "unit", d->unit, "params", parameters_json(d), "engine", d->sql ? "sql" : d->plugin,
                          "problem", m->problem);
    json_object_set_new(v, "origin", json_string(d->object.origin == ORIGIN_LOCAL ? "local" : "template"));
    return v;
}

static void metrics_list(http_request *r)
{
    const flow_plan *plan = resource_plan(r);
    if (!plan)
        return;
    json_t *items = json_array();
    for (uint32_t i = 0; i < plan->definition->n_metrics; i++)
        json_array_append_new(items, metric_json(&plan->metrics[i]));
    flow_plan_release(plan);
    resource_list(r, items, "key");
}

static void metric_show(http_request *r)
{
    const char *key = http_request_param(r, "k");
    const flow_plan *plan = resource_plan(r);
    if (!plan)
        return;
    const metric_plan *m = flow_plan_metric(plan, key);
    if (m) {
        json_t *v = metric_json(m);
        json_object_set(v, "definition", m->defined->object.body);
        resource_answer(r, 200, v);
    } else {
        resource_missing(r, "metric", key);
    }
    flow_plan_release(plan);
}

/* ---- running one ---- */

/* Pointers of metric_run are "/name"; in a POST's body the parameters lie under /params. */
static void answer_failure(http_request *r, status *st)
{
    char where[sizeof st->where];
    if (st->class == STATUS_INVALID && st->where[0] == '/' && r->method == HTTP_POST) {
        snprintf(where, sizeof where, "/params%s", st->where);
        memcpy(st->where, where, sizeof where);
    }
    if (st->class == STATUS_INVALID)
        problem_answer_as(r, 422, st);
    else
        problem_answer(r, st);
}

static void answer_result(http_request *r, const metric_result *found, const defined_metric *d)
{
    const char *type = negotiate_type(http_request_header(r, "Accept"), RESULT_TYPES, r->arena);
    result_form form = result_form_of(type);
    text body = {0};
    if (form != RESULT_JSON) {
        result_lines(&body, found, form, true);
        if (found->cut)
            http_header(r, "Penstock-Truncated", "true");
        http_answer(r, 200, form == RESULT_CSV ? "text/csv" : "application/x-ndjson", &body);
        return;
    }
    text_add(&body, "{\"metric\":");
    text_add_json_string(&body, d->object.key, strlen(d->object.key));
    if (d->unit) {
        text_add(&body, ",\"unit\":");
        text_add_json_string(&body, d->unit, strlen(d->unit));
    }
    text_add_char(&body, ',');
    result_members(&body, found, negotiate_int64_as_text(r));
    text_printf(&body, ",\"truncated\":%s,\"notes\":[]}\n", found->cut ? "true" : "false");
    http_answer(r, 200, "application/json", &body);
}

static void run(http_request *r, const json_t *params)
{
    metric_request q = {.params = params, .now_us = clock_wall_us()};
    metric_result found = {0};
    const defined_metric *d = NULL;
    const flow_plan *plan = NULL;
    status st;
    const char *key = http_request_param(r, "k");
    if (flow_metric_run(r->services->flow, (int32_t)r->wid, key, &q, r->arena, &found, &d, &plan, &st)) {
        answer_failure(r, &st);
        return;
    }
    /* Names lie in the request's arena: everything is read before the answer is given. */
    answer_result(r, &found, d);
    metric_result_free(&found);
    flow_plan_release(plan);
}

static void run_posted(http_request *r)
{
    json_t *body = r->body_len ? resource_body(r) : json_object();
    if (!body)
        return;
    json_t *params = json_object_get(body, "params");
    if (params && !json_is_object(params))
        resource_refuse(r, "/params", "params must be an object");
    else
        run(r, params);
    json_decref(body);
}

static void run_asked(http_request *r)
{
    json_t *params = json_object();
    for (unsigned i = 0; i < r->n_query; i++)
        if (strcmp(r->query[i].name, "int64") != 0)
            json_object_set_new(params, r->query[i].name, json_string(r->query[i].value));
    run(r, params);
    json_decref(params);
}

/* ---- the table ---- */

#define METRIC_MEMBERS                                                                                 \
    "\"key\":" RESOURCE_TEXT ",\"title\":" RESOURCE_TEXT ",\"unit\":" RESOURCE_TEXT_OR_NULL            \
    ",\"engine\":" RESOURCE_TEXT ",\"problem\":" RESOURCE_TEXT_OR_NULL ",\"origin\":" RESOURCE_TEXT    \
    ",\"params\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":[\"name\",\"type\"]," \
    "\"properties\":{\"name\":" RESOURCE_TEXT ",\"type\":" RESOURCE_TEXT                               \
    ",\"required\":{\"type\":\"boolean\"},\"default\":{},\"choices\":{\"type\":\"array\"}}}}"
#define METRIC_SCHEMA \
    "{\"type\":\"object\",\"required\":[\"key\",\"title\",\"params\"],\"properties\":{" METRIC_MEMBERS "}}"
#define METRIC_SHOWN_SCHEMA                                                                           \
    "{\"type\":\"object\",\"required\":[\"key\",\"title\",\"params\",\"definition\"],\"properties\":" \
    "{" METRIC_MEMBERS ",\"definition\":{\"type\":\"object\"}}}"

static const route_parameter run_parameters[] = {
    {"int64", "{\"enum\":[\"number\",\"string\"]}", "How integers are written in JSON"},
};

static const route table[] = {
    {.method = HTTP_GET,
     .path = "/api/v1/workspaces/{ws}/metrics",
     .name = "workspace_metrics",
     .tag = "metrics",
     .summary = "The metrics of a workspace with their parameters",
     .verb = VERB_READ,
     .reference = "metric:*",
     .flags = ROUTE_LIST,
     .where = ROUTE_ON_LANE,
     .response_schema = RESOURCE_LIST_SCHEMA(METRIC_SCHEMA),
     .success = 200,
     .handler = metrics_list},
    {.method = HTTP_GET,
     .path = "/api/v1/workspaces/{ws}/metrics/{k}",
     .name = "workspace_metric",
     .tag = "metrics",
     .summary = "One metric with its definition",
     .verb = VERB_READ,
     .reference = "metric:{k}",
     .where = ROUTE_ON_LANE,
     .response_schema = METRIC_SHOWN_SCHEMA,
     .success = 200,
     .handler = metric_show},
    {.method = HTTP_GET,
     .path = "/api/v1/workspaces/{ws}/metrics/{k}:run",
     .name = "metric_run_asked",
     .tag = "metrics",
     .summary = "Run a metric; every other query parameter is one of the metric's",
     .verb = VERB_READ,
     .reference = "metric:{k}",
     .where = ROUTE_ON_LANE,
     .response_types = RESULT_TYPES,
     .response_schema = RESULT_SCHEMA,
     .success = 200,
     .parameters = run_parameters,
     .n_parameters = 1,
     .handler = run_asked},
    {.method = HTTP_POST,
     .path = "/api/v1/workspaces/{ws}/metrics/{k}:run",
     .name = "metric_run",
     .tag = "metrics",
     .summary = "Run a metric",
     .description = "Texts are converted to the parameter's type; times may be relative (now-24h).",
     .verb = VERB_READ,
     .reference = "metric:{k}",
     .where = ROUTE_ON_LANE,
     .request_schema = "{\"type\":\"object\",\"properties\":{\"params\":{\"type\":\"object\"}}}",
     .response_types = RESULT_TYPES,
     .response_schema = RESULT_SCHEMA,
     .success = 200,
     .parameters = run_parameters,
     .n_parameters = 1,
     .handler = run_posted},
};

void routes_query(route_table *t)
{
    route_table_add(t, table, sizeof table / sizeof *table);
}
