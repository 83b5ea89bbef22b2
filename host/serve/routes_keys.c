/* API keys and secrets. A key's text is in the answer that made it and nowhere else, so that route's answers
 * are not kept for Idempotency-Keys; a secret's value is in no answer at all. */
#include <sodium.h>
#include <string.h>

#include "base/clock.h"
#include "control/key.h"
#include "control/relative_time.h"
#include "serve/access.h"
#include "serve/problem.h"
#include "serve/resource.h"
#include "serve/resources.h"

/* ---- API keys ---- */

/* The one of `items` whose member is that word, or NULL. Takes the list. */
static json_t *take_one(json_t *items, const char *member, const char *wanted)
{
    json_t *one, *found = NULL;
    size_t i;
    json_array_foreach(items, i, one)
    {
        const char *word = json_string_value(json_object_get(one, member));
        if (word && strcmp(word, wanted) == 0 && !found)
            found = json_incref(one);
    }
    json_decref(items);
    return found;
}

static json_t *keys_read(http_request *r)
{
    json_t *keys = NULL;
    status st;
    pool *p = r->services->control->control;
    connection *c = resource_control(r);
    if (!c)
        return NULL;
    if (key_list(c, &keys, &st) != STATUS_OK)
        problem_answer(r, &st);
    pool_return(p, c);
    return keys;
}

static void keys_list(http_request *r)
{
    json_t *keys = keys_read(r);
    if (keys)
        resource_list(r, keys, "id");
}

static void key_show(http_request *r)
{
    json_t *keys = keys_read(r);
    if (!keys)
        return;
    json_t *found = take_one(keys, "id", http_request_param(r, "id"));
    if (found)
        resource_answer(r, 200, found);
    else
        problem_answer_text(r, 404, "there is no such API key");
}

static bool read_scopes(http_request *r, const json_t *words, int32_t wid, json_t **out)
{
    json_t *scopes = json_array();
    for (size_t i = 0; i < json_array_size(words); i++) {
        const char *word = json_string_value(json_array_get(words, i));
        json_t *one = word ? access_scope_parse(word, wid) : NULL;
        if (!one) {
            resource_refuse(r, arena_printf(r->arena, "/scopes/%zu", i),
                            "a scope is verb[,verb]:reference, e.g. write:datastore:sensor_data");
            json_decref(scopes);
            return false;
        }
        json_array_append_new(scopes, one);
    }
    *out = scopes;
    return true;
}

typedef struct key_order {
    const char *name;
    json_t *scopes;
    int64_t expires_us;
} key_order;

static bool read_key_order(http_request *r, const json_t *body, key_order *out)
{
    const char *workspace, *expires;
    int32_t wid = 0;
    *out = (key_order){0};
    if (!resource_text(r, body, "name", true, &out->name) ||
        !resource_text(r, body, "workspace", false, &workspace) ||
        !resource_text(r, body, "expires", false, &expires))
        return false;
    if (workspace && !(wid = directory_find(r->services->directory, workspace))) {
        resource_refuse(r, "/workspace", "there is no workspace %.60s", workspace);
        return false;
    }
    if (expires && (!relative_time_parse(expires, clock_wall_us(), &out->expires_us) ||
                    out->expires_us <= clock_wall_us())) {
        resource_refuse(r, "/expires", "expires is a time to come: 2030-01-02T03:04:05Z, now+90d");
        return false;
    }
    return read_scopes(r, json_object_get(body, "scopes"), wid, &out->scopes);
}

static void make_key(http_request *r, const key_order *order)
{
    char key[KEY_TEXT_SIZE], id[32];
    status st;
    connection *c = resource_control(r);
    if (!c)
        return;
    status_class class = key_create(c, order->name, order->scopes, order->expires_us, key, id, &st);
    pool_return(r->services->control->control, c);
    if (class != STATUS_OK) {
        resource_failed(r, "", &st);
        return;
    }
    services_changed(r->services);
    http_header_printf(r, "Location", "/api/v1/api-keys/%s", id);
    http_header(r, "Cache-Control", "no-store");
    resource_answer(
        r, 201,
        json_pack("{s:s,s:s,s:s,s:O}", "id", id, "name", order->name, "key", key, "scopes", order->scopes));
    sodium_memzero(key, sizeof key);
}

static void key_make(http_request *r)
{
    key_order order;
    json_t *body = resource_body(r);
    if (!body)
        return;
    if (read_key_order(r, body, &order))
        make_key(r, &order);
    json_decref(order.scopes);
    json_decref(body);
}

static void key_end(http_request *r)
{
    status st;
    router *rt = r->router;
    connection *c = resource_control(r);
    if (!c)
        return;
    status_class class = key_revoke(c, http_request_param(r, "id"), &st);
    pool_return(r->services->control->control, c);
    if (class == STATUS_OK) {
        router_forget_keys(rt);
        services_changed(r->services);
        http_answer(r, 204, NULL, NULL);
    } else {
        problem_answer(r, &st);
    }
}

/* ---- secrets ---- */

static json_t *secrets_read(http_request *r)
{
    json_t *names = NULL;
    status st;
    pool *p = r->services->control->control;
    connection *c = resource_control(r);
    if (!c)
        return NULL;
    if (secret_list(c, (int32_t)r->wid, &names, &st) != STATUS_OK)
        problem_answer(r, &st);
    pool_return(p, c);
    return names;
}

static void secrets_list(http_request *r)
{
    json_t *names = secrets_read(r);
    if (names)
        resource_list(r, names, "name");
}

static void secret_show(http_request *r)
{
    const char *wanted = http_request_param(r, "k");
    json_t *names = secrets_read(r);
    if (!names)
        return;
    json_t *found = take_one(names, "name", wanted);
    if (found)
        resource_answer(r, 200, found);
    else
        resource_missing(r, "secret", wanted);
}

static void secret_put(http_request *r)
{
    status st;
    json_t *body = resource_body(r);
    if (!body)
        return;
    const json_t *v = json_object_get(body, "value");
    connection *c = NULL;
    if (!json_is_string(v))
        resource_refuse(r, "/value", "value must be given, a text");
    else if ((c = resource_control(r))) {
        status_class class =
            secret_set(c, r->services->control->key, (int32_t)r->wid, http_request_param(r, "k"),
                       json_string_value(v), json_string_length(v), &st);
        pool_return(r->services->control->control, c);
        if (class == STATUS_OK) {
            flow_secret_changed(r->services->flow, (int32_t)r->wid);
            http_answer(r, 204, NULL, NULL);
        } else
            resource_failed(r, "", &st);
    }
    if (json_is_string(v)) /* jansson does not wipe what it frees */
        sodium_memzero((char *)json_string_value(v), json_string_length(v));
    json_decref(body);
}

static void secret_remove(http_request *r)
{
    status st;
    connection *c = resource_control(r);
    if (!c)
        return;
    status_class class = secret_delete(c, (int32_t)r->wid, http_request_param(r, "k"), &st);
    pool_return(r->services->control->control, c);
    if (class == STATUS_OK)
        http_answer(r, 204, NULL, NULL);
    else
        problem_answer(r, &st);
}

/* ---- the table ---- */

#define KEY_MEMBERS                                                                       \
    "\"id\":" RESOURCE_TEXT ",\"name\":" RESOURCE_TEXT                                    \
    ",\"scopes\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{"     \
    "\"wid\":" RESOURCE_INTEGER ",\"verbs\":{\"type\":\"array\",\"items\":" RESOURCE_TEXT \
    "},\"reference\":" RESOURCE_TEXT "}}}"
#define KEY_SCHEMA                                                                                \
    "{\"type\":\"object\",\"required\":[\"id\",\"name\",\"scopes\"],\"properties\":{" KEY_MEMBERS \
    ",\"created\":" RESOURCE_TIME_OR_NULL ",\"expires\":" RESOURCE_TIME_OR_NULL                   \
    ",\"revoked\":" RESOURCE_TIME_OR_NULL "}}"
#define SECRET_SCHEMA                                                                                  \
    "{\"type\":\"object\",\"required\":[\"name\",\"updated\"],\"properties\":{\"name\":" RESOURCE_TEXT \
    ",\"updated\":" RESOURCE_TIME_OR_NULL "}}"

static const route table[] = {
    {.method = HTTP_GET,
     .path = "/api/v1/api-keys",
     .name = "api_keys",
     .tag = "keys",
     .summary = "The API keys, without their secret part",
     .verb = VERB_ADMIN,
     .reference = "platform:keys",
     .flags = ROUTE_LIST,
     .where = ROUTE_ON_LANE,
     .response_schema = RESOURCE_LIST_SCHEMA(KEY_SCHEMA),
     .success = 200,
     .handler = keys_list},
    {.method = HTTP_POST,
     .path = "/api/v1/api-keys",
     .name = "api_key_create",
     .tag = "keys",
     .summary = "Make an API key; its text is in this answer only",
     .verb = VERB_ADMIN,
     .reference = "platform:keys",
     .where = ROUTE_ON_LANE,
     .request_schema =
         "{\"type\":\"object\",\"required\":[\"name\",\"scopes\"],\"properties\":{\"name\":" RESOURCE_TEXT
         ",\"scopes\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":16,\"items\":" RESOURCE_TEXT
         "},\"workspace\":" RESOURCE_TEXT_OR_NULL ",\"expires\":" RESOURCE_TEXT_OR_NULL "}}",
     .response_schema =
         "{\"type\":\"object\",\"required\":[\"id\",\"name\",\"key\"],\"properties\":{" KEY_MEMBERS
         ",\"key\":" RESOURCE_TEXT "}}",
     .success = 201,
     .handler = key_make},
    {.method = HTTP_GET,
     .path = "/api/v1/api-keys/{id}",
     .name = "api_key",
     .tag = "keys",
     .summary = "One API key",
     .verb = VERB_ADMIN,
     .reference = "platform:keys",
     .where = ROUTE_ON_LANE,
     .response_schema = KEY_SCHEMA,
     .success = 200,
     .handler = key_show},
    {.method = HTTP_DELETE,
     .path = "/api/v1/api-keys/{id}",
     .name = "api_key_revoke",
     .tag = "keys",
     .summary = "End an API key",
     .verb = VERB_ADMIN,
     .reference = "platform:keys",
     .where = ROUTE_ON_LANE,
     .success = 204,
     .handler = key_end},
    {.method = HTTP_GET,
     .path = "/api/v1/workspaces/{ws}/secrets",
     .name = "secrets",
     .tag = "secrets",
     .summary = "The names of a workspace's secrets",
     .verb = VERB_READ,
     .reference = "secret:*",
     .flags = ROUTE_LIST,
     .where = ROUTE_ON_LANE,
     .response_schema = RESOURCE_LIST_SCHEMA(SECRET_SCHEMA),
     .success = 200,
     .handler = secrets_list},
    {.method = HTTP_GET,
     .path = "/api/v1/workspaces/{ws}/secrets/{k}",
     .name = "secret",
     .tag = "secrets",
     .summary = "When a secret was set; never its value",
     .verb = VERB_READ,
     .reference = "secret:{k}",
     .where = ROUTE_ON_LANE,
     .response_schema = SECRET_SCHEMA,
     .success = 200,
     .handler = secret_show},
    {.method = HTTP_PUT,
     .path = "/api/v1/workspaces/{ws}/secrets/{k}",
     .name = "secret_set",
     .tag = "secrets",
     .summary = "Keep a secret, sealed",
     .verb = VERB_ADMIN,
     .reference = "secret:{k}",
     .where = ROUTE_ON_LANE,
     .request_schema =
         "{\"type\":\"object\",\"required\":[\"value\"],\"properties\":{\"value\":" RESOURCE_TEXT "}}",
     .success = 204,
     .handler = secret_put},
    {.method = HTTP_DELETE,
     .path = "/api/v1/workspaces/{ws}/secrets/{k}",
     .name = "secret_delete",
     .tag = "secrets",
     .summary = "Forget a secret",
     .verb = VERB_ADMIN,
     .reference = "secret:{k}",
     .where = ROUTE_ON_LANE,
     .success = 204,
     .handler = secret_remove},
};

void routes_keys(route_table *t)
{
    route_table_add(t, table, sizeof table / sizeof *table);
}
