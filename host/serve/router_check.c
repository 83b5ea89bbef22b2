/* The checks in order: path, method, formats, preconditions, who asks, may they. Each refusal is a problem. A
 * key that is not remembered is verified on a lane while the request waits; the permission is then judged on
 * the loop, because it asks for the workspace. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "serve/negotiate.h"
#include "serve/problem.h"
#include "serve/router_private.h"

static const char *const method_names[] = {
    [HTTP_GET] = "GET",     [HTTP_HEAD] = "HEAD",     [HTTP_POST] = "POST",      [HTTP_PUT] = "PUT",
    [HTTP_PATCH] = "PATCH", [HTTP_DELETE] = "DELETE", [HTTP_OPTIONS] = "OPTIONS"};

static void answer_methods(http_request *r, unsigned allowed)
{
    char list[64] = "OPTIONS";
    for (unsigned m = HTTP_GET; m < HTTP_OPTIONS; m++)
        if (allowed & (1U << m)) {
            size_t at = strlen(list);
            snprintf(list + at, sizeof list - at, ", %s", method_names[m]);
        }
    http_header(r, "Allow", list);
    if (r->method == HTTP_OPTIONS)
        http_answer(r, 204, NULL, NULL);
    else
        problem_answer_text(r, 405, "%s is not one of this path's methods: %s", r->method_text, list);
}

static bool is_admin(const router *rt, const http_request *r)
{
    return rt->admin_listeners & (1U << r->listener);
}

static bool find_route(router *rt, http_request *r)
{
    route_match match;
    route_table_match(rt->config.table, r->method, r->raw_path, r->arena, &match);
    if (!match.route) {
        if (match.allowed)
            answer_methods(r, match.allowed);
        else
            problem_answer_text(r, 404, "there is nothing at this path");
        return false;
    }
    r->route = match.route;
    r->route_row = match.row;
    r->params = arena_copy(r->arena, match.params, sizeof match.params);
    r->n_params = match.n_params;
    return true;
}

static bool formats_fit(http_request *r)
{
    const route *route = r->route;
    const char *offered = route->response_types ? route->response_types : "application/json";
    const char *accept = http_request_header(r, "Accept");
    if (route->response_schema && accept && !negotiate_type(accept, offered, r->arena)) {
        problem_answer_text(r, 406, "offered: %s", offered);
        return false;
    }
    const char *type = http_request_header(r, "Content-Type");
    const char *taken = route->request_types ? route->request_types : "application/json";
    if (route->request_schema && type && !negotiate_takes(type, taken)) {
        problem_answer_text(r, 415, "taken: %s", taken);
        return false;
    }
    return true;
}

static bool preconditions_fit(http_request *r)
{
    unsigned flags = r->route->flags;
    const char *key = http_request_header(r, "Idempotency-Key");
    if ((flags & ROUTE_IDEMPOTENT) && !key) {
        problem_answer_text(
            r, 400, "an Idempotency-Key header is needed: a UUID of your own, the same on every retry");
        return false;
    }
    if ((flags & (ROUTE_IDEMPOTENT | ROUTE_IDEMPOTENT_OPTIONAL)) && key && (!*key || strlen(key) > 100)) {
        problem_answer_text(r, 400, "Idempotency-Key is 1 to 100 characters");
        return false;
    }
    if ((flags & ROUTE_IF_MATCH) && !http_request_header(r, "If-Match")) {
        problem_answer_text(r, 428, "an If-Match header with the object's ETag is needed");
        return false;
    }
    return true;
}

/* ---- who, and may they ---- */

static void ask_for_key(http_request *r, const char *why)
{
    http_header(r, "WWW-Authenticate", "Bearer realm=\"penstock\"");
    if (r->route &&
        (r->route->flags & ROUTE_ROWS)) /* collectors send a password only where it is asked for */
        http_header(r, "WWW-Authenticate", "Basic realm=\"penstock\"");
    problem_answer_text(r, 401, "%s", why);
}

static void fill_reference(const http_request *r, char *out, size_t size)
{
    size_t n = 0;
    for (const char *at = r->route->reference; *at && n + 1 < size;) {
        if (*at != '{') {
            out[n++] = *at++;
            continue;
        }
        char name[64];
        size_t len = strcspn(at + 1, "}");
        snprintf(name, sizeof name, "%.*s", (int)len, at + 1);
        const char *value = http_request_param(r, name);
        n += (size_t)snprintf(out + n, size - n, "%s", value ? value : "");
        n = n < size ? n : size - 1;
        at += len + 2;
    }
    out[n] = 0;
}

static void refuse_permission(http_request *r, const char *reference)
{
    char detail[256];
    snprintf(detail, sizeof detail, "the key has no scope that allows %s on %s", verb_name(r->route->verb),
             reference);
    status st;
    status_set(&st, STATUS_DENIED, "%s", detail);
    status_hint(&st, "penstock key list shows what a key may do");
    problem_answer_as(r, 403, &st);
}

/* Workspaces that one may not see do not exist. */
static bool find_workspace(router *rt, http_request *r)
{
    const char *name = http_request_param(r, "ws");
    if (!name || (r->route->flags & ROUTE_ANY_WORKSPACE))
        return true;
    const auth_source *auth = &rt->config.auth;
    status st;
    status_class class =
        auth->workspace_find ? auth->workspace_find(auth->self, name, &r->wid, &st) : STATUS_NOT_FOUND;
    if (!class && (!r->who || auth_sees(r->who, r->wid)))
        return true;
    if (class && class != STATUS_NOT_FOUND)
        problem_answer(r, &st);
    else
        problem_answer_text(r, 404, "there is no workspace of this name");
    return false;
}

static bool permitted(router *rt, http_request *r)
{
    if (!find_workspace(rt, r))
        return false;
    if (r->route->verb == VERB_NONE || (r->route->flags & ROUTE_ANY_KEY))
        return true;
    char reference[256];
    fill_reference(r, reference, sizeof reference);
    if (auth_permits(r->who, r->route->verb, reference, r->wid))
        return true;
    refuse_permission(r, reference);
    return false;
}

typedef struct asked {
    router *router;
    http_request *request;
    char *key; /* in the request's arena; our own without a request */
    principal who;
    status_class class;
    status st;
} asked;

static bool is_no_key(status_class class)
{
    return class == STATUS_DENIED || class == STATUS_NOT_FOUND;
}

/* Asks the control plane and tells the cache. When nobody can tell, what was known shortly before holds.
 * [lane] */
static void ask(asked *a)
{
    const auth_source *auth = &a->router->config.auth;
    auth_cache *keys = a->router->keys;
    a->class = auth->key_verify(auth->self, a->key, &a->who, &a->st);
    if (a->class == STATUS_OK)
        auth_cache_put(keys, a->key, &a->who);
    else if (is_no_key(a->class))
        auth_cache_drop(keys, a->key);
    else if (auth_cache_hold(keys, a->key, &a->who))
        a->class = STATUS_OK;
}

/* A key in use, asked for again beside its requests. */
static void verify_again(void *arg)
{
    asked *a = arg;
    ask(a);
    sodium_memzero(a->key, strlen(a->key));
    free(a->key);
    free(a);
}

static void on_known(void *arg)
{
    asked *a = arg;
    http_request *r = a->request;
    if (a->class == STATUS_OK) {
        r->who = arena_copy(r->arena, &a->who, sizeof a->who);
        if (permitted(a->router, r))
            http_continue(r);
    } else if (is_no_key(a->class)) {
        ask_for_key(r, "this key is not known, has expired or was revoked");
    } else {
        problem_answer(r, &a->st);
    }
    free(a);
}

static void verify_key(void *arg)
{
    asked *a = arg;
    ask(a);
    loop_post(a->router->config.loop, on_known, a);
}

static http_step authenticate(router *rt, http_request *r)
{
    status st;
    if (rt->config.auth.admits && !rt->config.auth.admits(rt->config.auth.self, r->route->flags, &st)) {
        problem_answer(r, &st);
        return HTTP_STEP_ANSWERED;
    }
    char *key = auth_key_of(http_request_header(r, "Authorization"), r->arena);
    if (!key || !rt->config.auth.key_verify) {
        ask_for_key(r, "an API key is needed: Authorization: Bearer psk_…");
        return HTTP_STEP_ANSWERED;
    }
    principal *who = arena_alloc(r->arena, sizeof *who);
    auth_known known = auth_cache_find(rt->keys, key, who);
    if (known == AUTH_KNOWN_ASK) {
        asked *again = memory_zero(1, sizeof *again);
        *again = (asked){.router = rt, .key = memory_string(key)};
        lane_post(rt->asking, verify_again, again);
    }
    if (known) {
        r->who = who;
        return permitted(rt, r) ? HTTP_STEP_GO : HTTP_STEP_ANSWERED;
    }
    asked *a = memory_zero(1, sizeof *a);
    *a = (asked){.router = rt, .request = r, .key = key};
    lane_post(rt->asking, verify_key, a);
    return HTTP_STEP_WAIT;
}

http_step router_check(router *rt, http_request *r, size_t *body_limit)
{
    if (!find_route(rt, r) || !formats_fit(r) || !preconditions_fit(r))
        return HTTP_STEP_ANSWERED;
    if ((r->route->flags & ROUTE_ROWS) && rt->config.rows_body)
        *body_limit = rt->config.rows_body;
    else if (r->route->request_schema && r->route->body_limit)
        *body_limit = r->route->body_limit;
    else if (!r->route->request_schema)
        *body_limit = 64 << 10; /* not looked at */
    bool trusted = (r->route->flags & ROUTE_ADMIN_LISTENER) && is_admin(rt, r);
    if (r->route->verb != VERB_NONE && !trusted)
        return authenticate(rt, r);
    if (trusted)
        return HTTP_STEP_GO;
    return permitted(rt, r) ? HTTP_STEP_GO : HTTP_STEP_ANSWERED;
}
