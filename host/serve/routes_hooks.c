/* Hooks: requests from outside that go to a connector, and the tokens in their addresses. The token is all
 * the permission that a sender needs to be heard; whether it is believed is the plugin's matter. It is a
 * secret: no log and no problem shows it (problem_path). */
#include <ctype.h>
#include <sodium.h>
#include <string.h>

#include "base/clock.h"
#include "control/audit.h"
#include "serve/problem.h"
#include "serve/resource.h"
#include "serve/resources.h"
#include "serve/router_private.h"

#define HOOK_BODY_BYTES (4 << 20)

/* ---- a request ---- */

static const char *lower(arena *a, const char *s)
{
    char *copy = arena_string(a, s);
    for (char *p = copy; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    return copy;
}

/* Cookies are of browsers, and may be of people who are logged in here. */
static void copy_headers(const http_request *r, instance_request *q)
{
    instance_header *headers = arena_zero(r->arena, r->n_headers + 1, sizeof *headers);
    for (unsigned i = 0; i < r->n_headers; i++) {
        const char *name = lower(r->arena, r->headers[i].name);
        if (strcmp(name, "cookie") != 0)
            headers[q->n_headers++] = (instance_header){name, r->headers[i].value};
    }
    q->headers = headers;
}

static const instance_request *request_for_plugin(const http_request *r)
{
    instance_request *q = arena_zero(r->arena, 1, sizeof *q);
    const char *rest = http_request_param(r, "rest"), *query = strchr(r->target, '?');
    *q = (instance_request){.method = r->method_text,
                            .path = arena_printf(r->arena, "/%s", rest ? rest : ""),
                            .query = query ? query + 1 : "",
                            .body = r->body,
                            .body_len = r->body_len};
    copy_headers(r, q);
    return q;
}

/* Why is ours to know, and stands in the connector's state; a limit is the sender's to keep. */
static void refuse_sender(http_request *r, int http_status, const status *why)
{
    limit met;
    status st;
    status_set(&st, why->class, "nothing was taken; send it again later");
    if (limit_get(why, &met))
        limit_put(&st, &met);
    problem_answer_as(r, http_status, &st);
}

/* On any thread. What the plugin says must not become a page of ours. */
static void on_answer(void *arg, const hook_answer *answer)
{
    http_request *r = arg;
    text body = {0};
    if (answer->refused) {
        refuse_sender(r, answer->http_status, answer->refused);
        return;
    }
    http_header(r, "Cache-Control", "no-store");
    http_header(r, "X-Content-Type-Options", "nosniff");
    http_header(r, "Content-Security-Policy", "sandbox; default-src 'none'");
    if (answer->len && answer->content_type[0])
        http_header(r, "Content-Type", answer->content_type);
    text_add_n(&body, answer->body, answer->len);
    http_answer(r, answer->http_status, NULL, answer->len ? &body : NULL);
    text_free(&body);
}

static void hook_take(http_request *r)
{
    hook_token token;
    status st;
    services *s = r->services;
    status_class class =
        hook_book_find(s->hooks, http_request_param(r, "token"), clock_wall_us(), &token, &st);
    if (class == STATUS_OK &&
        flow_hook(s->flow, token.wid, token.connector, request_for_plugin(r), on_answer, r, &st) == STATUS_OK)
        return;
    if (class == STATUS_NOT_FOUND)
        problem_answer_text(r, 404, "there is no such hook");
    else if (class != STATUS_OK)
        problem_answer_text(r, 503, "nothing was taken; send it again later: %s", st.text);
    else /* there is one, so whatever it lacks now may come */
        problem_answer_text(r, 503, "nothing was taken; send it again later");
}

/* ---- tokens ---- */

/* Retained plan; NULL = answered. */
static const flow_plan *plan_with(http_request *r, const char *key)
{
    const flow_plan *plan = resource_plan(r);
    if (plan && !definition_connector(plan->definition, key)) {
        resource_missing(r, "connector", key);
        flow_plan_release(plan);
        return NULL;
    }
    return plan;
}

static void answer_hook(http_request *r, const char *key, connection *c)
{
    hook_token *tokens;
    uint32_t n;
    status st;
    if (hook_token_list(c, (int32_t)r->wid, r->arena, &tokens, &n, &st) != STATUS_OK) {
        problem_answer(r, &st);
        return;
    }
    json_t *list = json_array();
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(tokens[i].connector, key) == 0)
            json_array_append_new(list,
                                  json_pack("{s:o,s:o}", "created", resource_time_json(tokens[i].created_us),
                                            "expires", resource_time_json(tokens[i].expires_us)));
    resource_answer(r, 200, json_pack("{s:s,s:o}", "connector", key, "tokens", list));
}

static void hook_show(http_request *r)
{
    const char *key = http_request_param(r, "k");
    const flow_plan *plan = plan_with(r, key);
    connection *c = plan ? resource_control(r) : NULL;
    if (c)
        answer_hook(r, key, c);
    pool_return(r->services->control->control, c);
    flow_plan_release(plan);
}

static bool read_overlap(http_request *r, const json_t *body, int64_t *us_out)
{
    const json_t *v = json_object_get(body, "keep_old_seconds");
    int64_t seconds = json_integer_value(v);
    *us_out = clock_wall_us() + seconds * 1000000;
    if (!v || (json_is_integer(v) && seconds >= 0 && seconds <= HOOK_OVERLAP_MAX_S))
        return true;
    resource_refuse(r, "/keep_old_seconds", "keep_old_seconds is 0 to %d", HOOK_OVERLAP_MAX_S);
    return false;
}

static void rotate(http_request *r, const char *key, int64_t old_until_us)
{
    char token[KEY_TEXT_SIZE];
    status st;
    services *s = r->services;
    const char *base = router_of(r)->config.public_url;
    connection *c = resource_control(r);
    if (!c)
        return;
    status_class class = hook_token_rotate(c, (int32_t)r->wid, key, old_until_us, token, &st);
    if (class == STATUS_OK)
        class = audit_add(c, (int32_t)r->wid, resource_actor(r), "connector.rotate_hook",
                          arena_printf(r->arena, "connector:%s", key), NULL, &st);
    if (class == STATUS_OK)
        class = hook_book_load(s->hooks, c, (int32_t)r->wid, &st);
    pool_return(s->control->control, c);
    if (class != STATUS_OK) {
        problem_answer(r, &st);
        return;
    }
    http_header(r, "Cache-Control", "no-store");
    const char *path = arena_printf(r->arena, "/hooks/%s", token);
    resource_answer(r, 201,
                    json_pack("{s:s,s:s,s:s,s:s?}", "connector", key, "token", token, "path", path, "url",
                              base ? arena_printf(r->arena, "%s%s", base, path) : NULL));
    sodium_memzero(token, sizeof token);
}

static void hook_rotate(http_request *r)
{
    const char *key = http_request_param(r, "k");
    int64_t old_until_us;
    const flow_plan *plan = plan_with(r, key);
    json_t *body = !plan ? NULL : r->body_len ? resource_body(r) : json_object();
    if (body && read_overlap(r, body, &old_until_us))
        rotate(r, key, old_until_us);
    json_decref(body);
    flow_plan_release(plan);
}

/* ---- the table ---- */

#define HOOK_ROUTE(verb_method, address, word, more)                                                    \
    {                                                                                                   \
        .method = (verb_method), .path = (address), .name = (word), .tag = "hooks",                     \
        .summary = "What a sender posts to a connector",                                                \
        .description = "Also below this path. The answer is the plugin's; it goes out when what the "   \
                       "request held is durable. 429 "                                                  \
                       "and 503: nothing was taken, send it again.",                                    \
        .flags = (more), .where = ROUTE_ON_LANE, .body_limit = HOOK_BODY_BYTES, .request_types = "*/*", \
        .request_schema = (verb_method) == HTTP_GET ? NULL : "{\"type\":\"string\"}", .success = 204,   \
        .handler = hook_take                                                                            \
    }

static const route table[] = {
    HOOK_ROUTE(HTTP_GET, "/hooks/{token}", "hook_get", 0),
    HOOK_ROUTE(HTTP_POST, "/hooks/{token}", "hook_post", 0),
    HOOK_ROUTE(HTTP_PUT, "/hooks/{token}", "hook_put", 0),
    HOOK_ROUTE(HTTP_GET, "/hooks/{token}/{rest*}", "hook_get_below", ROUTE_HIDDEN),
    HOOK_ROUTE(HTTP_POST, "/hooks/{token}/{rest*}", "hook_post_below", ROUTE_HIDDEN),
    HOOK_ROUTE(HTTP_PUT, "/hooks/{token}/{rest*}", "hook_put_below", ROUTE_HIDDEN),
    {.method = HTTP_GET,
     .path = "/api/v1/workspaces/{ws}/connectors/{k}/hook",
     .name = "connector_hook",
     .tag = "connectors",
     .summary = "Since when a connector's hook has its tokens, and until when",
     .verb = VERB_READ,
     .reference = "connector:{k}",
     .where = ROUTE_ON_LANE,
     .response_schema = "{\"type\":\"object\",\"required\":[\"connector\",\"tokens\"],\"properties\":{"
                        "\"connector\":" RESOURCE_TEXT
                        ",\"tokens\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{"
                        "\"created\":" RESOURCE_TIME_OR_NULL ",\"expires\":" RESOURCE_TIME_OR_NULL "}}}}}",
     .success = 200,
     .handler = hook_show},
    {.method = HTTP_POST,
     .path = "/api/v1/workspaces/{ws}/connectors/{k}:rotate-hook",
     .name = "connector_rotate_hook",
     .tag = "connectors",
     .summary = "A new address for a connector's hook; its token is in this answer only",
     .description = "The token before it works for keep_old_seconds more (default 0, at most 7 days).",
     .verb = VERB_WRITE,
     .reference = "connector:{k}",
     .where = ROUTE_ON_LANE,
     .request_schema = "{\"type\":\"object\",\"properties\":{\"keep_old_seconds\":" RESOURCE_INTEGER "}}",
     .response_schema = "{\"type\":\"object\",\"required\":[\"connector\",\"token\",\"path\"],\"properties\":"
                        "{\"connector\":" RESOURCE_TEXT ",\"token\":" RESOURCE_TEXT ",\"path\":" RESOURCE_TEXT
                        ",\"url\":" RESOURCE_TEXT_OR_NULL "}}",
     .success = 201,
     .handler = hook_rotate},
};

void routes_hooks(route_table *t)
{
    route_table_add(t, table, sizeof table / sizeof *table);
}
