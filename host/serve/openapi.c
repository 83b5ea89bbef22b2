/* The route table as an OpenAPI 3.1 document, built with jansson once. A schema text that is no JSON is a bug
 * of ours and ends the process at start, before anybody could be misled. */
#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/negotiate.h"
#include "serve/problem.h"
#include "serve/router_private.h"

static json_t *schema_of(const route *r, const char *schema)
{
    json_error_t error;
    json_t *v = json_loads(schema, 0, &error);
    if (!v) {
        fprintf(stderr, "penstock: route %s: schema: %s at %d\n", r->name, error.text, error.position);
        abort();
    }
    return v;
}

static json_t *reference(const char *to)
{
    return json_pack("{s:s}", "$ref", to);
}

static json_t *parameter(const char *where, const char *name, bool required, json_t *schema,
                         const char *summary)
{
    json_t *p =
        json_pack("{s:s,s:s,s:b,s:o}", "name", name, "in", where, "required", required, "schema", schema);
    if (summary)
        json_object_set_new(p, "description", json_string(summary));
    return p;
}

static void add_path_parameters(const route *r, json_t *list)
{
    for (const char *at = r->path; (at = strchr(at, '{')); at++) {
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(at + 1, "*}"), at + 1);
        json_array_append_new(list,
                              parameter("path", name, true, json_pack("{s:s}", "type", "string"), NULL));
    }
}

static json_t *parameters_of(const route *r)
{
    json_t *list = json_array();
    add_path_parameters(r, list);
    for (unsigned i = 0; i < r->n_parameters; i++) {
        const route_parameter *p = &r->parameters[i];
        json_t *schema = p->schema ? schema_of(r, p->schema) : json_pack("{s:s}", "type", "string");
        json_array_append_new(list, parameter("query", p->name, false, schema, p->summary));
    }
    if (r->flags & ROUTE_LIST) {
        json_t *limit = json_pack("{s:s,s:i,s:i,s:i}", "type", "integer", "minimum", 1, "maximum",
                                  PAGE_LIMIT_MAX, "default", PAGE_LIMIT_DEFAULT);
        json_array_append_new(list, parameter("query", "limit", false, limit, "Items on a page"));
        json_array_append_new(list, parameter("query", "cursor", false, json_pack("{s:s}", "type", "string"),
                                              "`next` of the page before"));
    }
    if (r->flags & (ROUTE_IDEMPOTENT | ROUTE_IDEMPOTENT_OPTIONAL))
        json_array_append_new(list, parameter("header", "Idempotency-Key", (r->flags & ROUTE_IDEMPOTENT) != 0,
                                              json_pack("{s:s,s:i}", "type", "string", "maxLength", 100),
                                              "The same on every retry of one request; kept for 24 hours"));
    if (r->flags & ROUTE_IF_MATCH)
        json_array_append_new(list, parameter("header", "If-Match", true,
                                              json_pack("{s:s}", "type", "string"), "The object's ETag"));
    return list;
}

/* JSON types get the schema, others are text. */
static json_t *content_of(const route *r, const char *types, const char *schema)
{
    json_t *content = json_object();
    for (const char *at = types ? types : "application/json"; *at;) {
        char type[96];
        size_t len = strcspn(at, ", ");
        snprintf(type, sizeof type, "%.*s", (int)len, at);
        bool is_json = strcmp(type, "application/json") == 0 || strstr(type, "+json");
        json_t *s = is_json && schema ? schema_of(r, schema) : json_pack("{s:s}", "type", "string");
        json_object_set_new(content, type, json_pack("{s:o}", "schema", s));
        at += len;
        at += strspn(at, ", ");
    }
    return content;
}

static json_t *responses_of(const route *r)
{
    char code[8];
    snprintf(code, sizeof code, "%d", r->success);
    json_t *good = json_pack("{s:s}", "description", r->summary);
    if (r->response_schema || r->response_types)
        json_object_set_new(good, "content", content_of(r, r->response_types, r->response_schema));
    json_t *all = json_object();
    json_object_set_new(all, code, good);
    json_object_set_new(all, "default", reference("#/components/responses/Problem"));
    return all;
}

static json_t *operation_of(const route *r)
{
    json_t *op = json_pack("{s:s,s:[s],s:s,s:o,s:o}", "operationId", r->name, "tags", r->tag, "summary",
                           r->summary, "parameters", parameters_of(r), "responses", responses_of(r));
    if (r->description)
        json_object_set_new(op, "description", json_string(r->description));
    if (r->request_schema) {
        json_t *content = content_of(r, r->request_types, r->request_schema);
        json_object_set_new(op, "requestBody", json_pack("{s:b,s:o}", "required", 1, "content", content));
    }
    json_object_set_new(op, "security", r->verb == VERB_NONE ? json_array() : json_pack("[{s:[]}]", "key"));
    json_object_set_new(
        op, "x-permission",
        json_pack("{s:s,s:s}", "verb", verb_name(r->verb), "reference", r->reference ? r->reference : ""));
    return op;
}

static json_t *components(void)
{
    static const char problem[] =
        "{\"type\":\"object\",\"required\":[\"type\",\"title\",\"status\","
        "\"request_id\"],\"properties\":{\"type\":"
        "{\"type\":\"string\",\"format\":\"uri\"},\"title\":{\"type\":\"string\"},"
        "\"status\":{\"type\":\"integer\"},"
        "\"detail\":{\"type\":\"string\"},\"instance\":{\"type\":\"string\"},"
        "\"request_id\":{\"type\":\"string\"},"
        "\"hint\":{\"type\":\"string\"},"
        "\"limit\":{\"type\":\"object\",\"required\":[\"name\",\"value\",\"set_by\"],"
        "\"properties\":{\"name\":{\"type\":\"string\"},\"value\":{\"type\":\"integer\"},"
        "\"set_by\":{\"enum\":[\"platform\",\"workspace\",\"fixed\"]}}},\"errors\":{\"type\":\"array\","
        "\"items\":{"
        "\"type\":\"object\",\"required\":"
        "[\"pointer\"],\"properties\":{\"pointer\":{\"type\":\"string\"},\"code\":{"
        "\"type\":\"string\"},\"detail\":"
        "{\"type\":\"string\"}}}}}}";
    json_t *schema = json_loads(problem, 0, NULL);
    assert(schema);
    return json_pack("{s:{s:o},s:{s:{s:s,s:{s:{s:o}}}},s:{s:{s:s,s:s}}}", "schemas", "Problem", schema,
                     "responses", "Problem", "description", "What went wrong", "content",
                     "application/problem+json", "schema", reference("#/components/schemas/Problem"),
                     "securitySchemes", "key", "type", "http", "scheme", "bearer");
}

/* OpenAPI knows no "{name*}". */
static void add_path(json_t *paths, const route *r)
{
    static const char *const methods[] = {
        [HTTP_GET] = "get",     [HTTP_HEAD] = "head",     [HTTP_POST] = "post",      [HTTP_PUT] = "put",
        [HTTP_PATCH] = "patch", [HTTP_DELETE] = "delete", [HTTP_OPTIONS] = "options"};
    text path = {0};
    for (const char *at = r->path; *at; at++)
        if (*at != '*')
            text_add_char(&path, *at);
    json_t *item = json_object_get(paths, path.data);
    if (!item) {
        item = json_object();
        json_object_set_new(paths, path.data, item);
    }
    json_object_set_new(item, methods[r->method], operation_of(r));
    text_free(&path);
}

void openapi_make(const router_config *config, text *out)
{
    json_t *paths = json_object();
    for (size_t i = 0; i < route_table_size(config->table); i++)
        if (!(route_table_at(config->table, i)->flags & ROUTE_HIDDEN))
            add_path(paths, route_table_at(config->table, i));
    json_t *doc =
        json_pack("{s:s,s:{s:s,s:s},s:o,s:o}", "openapi", "3.1.0", "info", "title", "Penstock", "version",
                  config->version ? config->version : "0", "paths", paths, "components", components());
    assert(doc);
    if (config->public_url)
        json_object_set_new(doc, "servers", json_pack("[{s:s}]", "url", config->public_url));
    char *dump = json_dumps(doc, JSON_COMPACT);
    text_add(out, dump);
    free(dump);
    json_decref(doc);
}
