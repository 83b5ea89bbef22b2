/* A whole API server over sockets with a few routes of the test's own: who may what, problems, formats,
 * pages, idempotency, documents made from the table. */
#include "support/check.h"

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>

#include "raw_client.h"
#include "serve/negotiate.h"
#include "serve/problem.h"
#include "serve/router.h"

#define GOOD "psk_0123456789ABCDEFGHJKMNPQRS"
#define READER "psk_READER56789ABCDEFGHJKMNPQRS"

typedef struct fixture {
    loop *loop;
    lane_pool *pool;
    route_table *table;
    router *router;
    uint16_t port, admin_port;
    pthread_t thread;
    atomic_uint verified, created;
    atomic_bool away, ready;
    char stored_key[64], stored_body[256];
    uint8_t stored_hash[32];
    int stored_status;
} fixture;
static fixture f;

static status_class verify(void *self, const char *key, principal *who, status *st)
{
    (void)self;
    f.verified++;
    if (f.away)
        return status_set(st, STATUS_UNAVAILABLE, "keys: the control plane is away");
    if (strcmp(key, GOOD) == 0)
        *who = (principal){.kind = "key", .id = "key_good", .n_scopes = 1, .scopes = {{.verbs = VERB_ALL}}};
    else if (strcmp(key, READER) == 0)
        *who = (principal){.kind = "key",
                           .id = "key_reader",
                           .n_scopes = 1,
                           .scopes = {{.wid = 1, .verbs = VERB_READ, .reference = "datastore:*"}}};
    else
        return status_set(st, STATUS_DENIED, "no such key");
    return STATUS_OK;
}

static status_class find(void *self, const char *name, int64_t *wid, status *st)
{
    (void)self;
    *wid = strcmp(name, "one") == 0 ? 1 : strcmp(name, "two") == 0 ? 2 : 0;
    return *wid ? STATUS_OK : status_set(st, STATUS_NOT_FOUND, "workspace %s", name);
}

static status_class begin(void *self, const char *who, const char *key, const uint8_t hash[32],
                          idempotency_verdict *verdict, int *code, text *body, status *st)
{
    (void)self, (void)who, (void)st;
    if (strcmp(f.stored_key, key) != 0) {
        snprintf(f.stored_key, sizeof f.stored_key, "%s", key);
        memcpy(f.stored_hash, hash, 32);
        f.stored_status = 0;
        *verdict = IDEMPOTENCY_NEW;
    } else if (memcmp(f.stored_hash, hash, 32) != 0) {
        *verdict = IDEMPOTENCY_OTHER;
    } else if (!f.stored_status) {
        *verdict = IDEMPOTENCY_RUNNING;
    } else {
        *verdict = IDEMPOTENCY_REPLAY;
        *code = f.stored_status;
        text_add(body, f.stored_body);
    }
    return STATUS_OK;
}

static status_class finish(void *self, const char *who, const char *key, int code, const char *body,
                           size_t len, status *st)
{
    (void)self, (void)who, (void)key, (void)st;
    f.stored_status = code;
    snprintf(f.stored_body, sizeof f.stored_body, "%.*s", (int)len, body);
    return STATUS_OK;
}

static void rows_read(http_request *r)
{
    page_request page;
    if (!page_request_read(r, &page))
        return;
    const char *next = page_next(r, page.after ? "second" : "first");
    text body = {0};
    text_printf(&body, "{\"ws\":%d,\"k\":\"%s\",\"limit\":%u,\"after\":\"%s\",\"next\":\"%s\"}", (int)r->wid,
                http_request_param(r, "k"), page.limit, page.after ? page.after : "", next);
    http_answer(r, 200, "application/json", &body);
}

static void rows_write(http_request *r)
{
    text body = {0};
    text_printf(&body, "{\"bytes\":%zu,\"by\":\"%s\",\"on\":\"%s\"}", r->body_len, r->who->id,
                pthread_equal(pthread_self(), f.thread) ? "loop" : "lane");
    http_answer(r, 202, "application/json", &body);
}

static bool rows_are_quick(http_request *r)
{
    return r->body_len < 5;
}

static void thing_make(http_request *r)
{
    text body = {0};
    text_printf(&body, "{\"number\":%u}", ++f.created);
    http_answer(r, 201, "application/json", &body);
}

static void thing_change(http_request *r)
{
    char tag[32];
    etag_make("1", 1, tag);
    if (etag_check(r, tag))
        http_answer(r, 204, NULL, NULL);
}

static void thing_fail(http_request *r)
{
    status st;
    status_at(&st, STATUS_INTERNAL, "secret.c:1", "password=hunter2");
    problem_answer(r, &st);
}

static const route rows[] = {
    {.method = HTTP_GET,
     .path = "/api/v1/workspaces/{ws}/datastores/{k}/rows",
     .name = "rows_read",
     .tag = "rows",
     .summary = "Read rows",
     .verb = VERB_READ,
     .reference = "datastore:{k}",
     .flags = ROUTE_LIST,
     .success = 200,
     .response_schema = "{\"type\":\"object\"}",
     .handler = rows_read},
    {.method = HTTP_POST,
     .path = "/api/v1/workspaces/{ws}/datastores/{k}/rows",
     .name = "rows_write",
     .tag = "rows",
     .summary = "Write rows <&>",
     .verb = VERB_WRITE,
     .reference = "datastore:{k}",
     .where = ROUTE_ON_LANE,
     .body_limit = 1000,
     .request_types = "application/json,text/csv",
     .request_schema = "{\"type\":\"array\"}",
     .response_schema = "{\"type\":\"object\"}",
     .success = 202,
     .handler = rows_write,
     .quick = rows_are_quick},
    {.method = HTTP_POST,
     .path = "/things",
     .name = "thing_make",
     .tag = "things",
     .summary = "Make",
     .verb = VERB_ADMIN,
     .reference = "platform:*",
     .flags = ROUTE_IDEMPOTENT,
     .where = ROUTE_ON_LANE,
     .request_schema = "{\"type\":\"object\"}",
     .response_schema = "{\"type\":\"object\"}",
     .success = 201,
     .handler = thing_make},
    {.method = HTTP_PUT,
     .path = "/things/{t}",
     .name = "thing_change",
     .tag = "things",
     .summary = "Change",
     .verb = VERB_ADMIN,
     .reference = "platform:*",
     .flags = ROUTE_IF_MATCH,
     .request_schema = "{\"type\":\"object\"}",
     .success = 204,
     .handler = thing_change},
    {.method = HTTP_GET,
     .path = "/fail",
     .name = "fail",
     .tag = "things",
     .summary = "Fail",
     .success = 200,
     .handler = thing_fail},
};

static bool is_ready(void *arg, status *st)
{
    (void)arg;
    if (!f.ready)
        status_set(st, STATUS_UNAVAILABLE, "the database is away");
    return f.ready;
}

static void *run_loop(void *arg)
{
    loop_run(arg);
    return NULL;
}

static int setup(void **state)
{
    (void)state;
    memset(&f, 0, sizeof f);
    f.loop = loop_create();
    f.pool = lane_pool_create(2);
    f.table = route_table_create();
    routes_home(f.table);
    routes_health(f.table);
    routes_metrics(f.table);
    routes_openapi(f.table);
    route_table_add(f.table, rows, sizeof rows / sizeof *rows);
    router_config config = {.loop = f.loop,
                            .lanes = f.pool,
                            .table = f.table,
                            .auth = {.key_verify = verify, .workspace_find = find},
                            .idempotency = {.begin = begin, .finish = finish},
                            .version = "1.2.3"};
    status st;
    if (router_create(&config, &f.router, &st) ||
        router_listen(f.router, &(http_listener){0}, false, &f.port, &st) ||
        router_listen(f.router, &(http_listener){0}, true, &f.admin_port, &st)) {
        fprintf(stderr, "%s\n", st.text);
        return -1;
    }
    router_ready_when(f.router, "database", is_ready, NULL);
    return pthread_create(&f.thread, NULL, run_loop, f.loop);
}

static void on_drained(void *arg)
{
    router_free(f.router);
    loop_stop(arg);
}

static void drain(void *arg)
{
    router_drain(f.router, 300, on_drained, arg);
}

static int teardown(void **state)
{
    (void)state;
    loop_post(f.loop, drain, f.loop);
    pthread_join(f.thread, NULL);
    lane_pool_free(f.pool);
    loop_free(f.loop);
    route_table_free(f.table);
    return 0;
}

/* One request on a connection of its own; `head` are further header lines. Returns the status. */
static int ask_at(uint16_t port, const char *line, const char *head, const char *body, text *out)
{
    int fd = raw_connect(port);
    text request = {0};
    text_printf(&request, "%s HTTP/1.1\r\nHost: a\r\n%s", line, head);
    if (body)
        text_printf(&request, "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
    else
        text_add(&request, "\r\n");
    raw_send(fd, request.data, request.len);
    int code = raw_answer(fd, out, 5000);
    close(fd);
    text_free(&request);
    return code;
}

static int ask(const char *line, const char *head, const char *body, text *out)
{
    return ask_at(f.port, line, head, body, out);
}

#define ROWS "/api/v1/workspaces/one/datastores/sensor/rows"
#define KEY "Authorization: Bearer " GOOD "\r\n"
#define WEAK "Authorization: Token " READER "\r\n"

static void quick_requests_stay_on_the_loop(void **state)
{
    (void)state;
    text out = {0};
    for (int i = 0; i < 2; i++) { /* with a key that is asked for first, and with a remembered one */
        assert_int_equal(ask("POST " ROWS, KEY "Content-Type: application/json\r\n", "[1]", &out), 202);
        assert_non_null(strstr(out.data, "\"on\":\"loop\""));
        assert_int_equal(ask("POST " ROWS, KEY "Content-Type: application/json\r\n", "[1,2]", &out), 202);
        assert_non_null(strstr(out.data, "\"on\":\"lane\""));
    }
    text_free(&out);
}

static void keys_open_what_they_may(void **state)
{
    (void)state;
    text out = {0};
    assert_int_equal(ask("GET " ROWS, "", NULL, &out), 401);
    assert_non_null(strstr(out.data, "WWW-Authenticate: Bearer"));
    assert_int_equal(ask("GET " ROWS, "Authorization: Bearer psk_WRONG56789ABCDEFGHJKMNPQRS\r\n", NULL, &out),
                     401);
    assert_int_equal(ask("GET " ROWS, KEY, NULL, &out), 200);
    assert_int_equal(ask("GET " ROWS, WEAK, NULL, &out), 200);
    unsigned before = f.verified;
    assert_int_equal(ask("GET " ROWS, KEY, NULL, &out), 200);
    assert_int_equal(f.verified, before); /* remembered */
    assert_int_equal(ask("POST " ROWS, KEY, "[]", &out), 202);
    assert_string_equal(raw_body(&out), "{\"bytes\":2,\"by\":\"key_good\",\"on\":\"loop\"}");
    assert_int_equal(ask("POST " ROWS, WEAK, "[]", &out), 403);
    assert_int_equal(ask("GET /api/v1/workspaces/two/datastores/sensor/rows", WEAK, NULL, &out),
                     404); /* another's */
    assert_int_equal(ask("GET /api/v1/workspaces/two/datastores/sensor/rows", KEY, NULL, &out), 200);
    assert_int_equal(ask("GET /api/v1/workspaces/three/datastores/sensor/rows", KEY, NULL, &out), 404);
    text_free(&out);
}

static void a_revoked_key_is_forgotten_when_told(void **state)
{
    (void)state;
    text out = {0};
    assert_int_equal(ask("GET " ROWS, KEY, NULL, &out), 200);
    f.away = true;
    assert_int_equal(ask("GET " ROWS, KEY, NULL, &out), 200);
    router_forget_keys(f.router);
    assert_int_equal(ask("GET " ROWS, KEY, NULL, &out), 503); /* cannot tell: not "denied" */
    assert_non_null(strstr(out.data, "Retry-After: "));
    text_free(&out);
}

static void problems_are_complete(void **state)
{
    (void)state;
    text out = {0};
    assert_int_equal(ask("GET /nowhere?x=1", "", NULL, &out), 404);
    assert_non_null(strstr(out.data, "Content-Type: application/problem+json"));
    json_t *p = json_loads(raw_body(&out), 0, NULL);
    assert_non_null(p);
    const char *id = json_string_value(json_object_get(p, "request_id"));
    assert_int_equal(json_integer_value(json_object_get(p, "status")), 404);
    assert_string_equal(json_string_value(json_object_get(p, "instance")), "/nowhere");
    assert_non_null(strstr(json_string_value(json_object_get(p, "type")), "/problems/not-found"));
    assert_non_null(json_object_get(p, "title"));
    assert_non_null(json_object_get(p, "detail"));
    assert_int_equal(strlen(id), 26);
    assert_non_null(strstr(out.data, id)); /* the same in X-Request-Id */
    json_decref(p);
    assert_int_equal(ask("GET /fail", "", NULL, &out), 500);
    assert_null(strstr(out.data, "hunter2"));
    assert_null(strstr(out.data, "secret.c"));
    text_free(&out);
}

static void requests_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    text out = {0};
    assert_int_equal(ask("DELETE " ROWS, KEY, NULL, &out), 405);
    assert_non_null(strstr(out.data, "Allow: OPTIONS, GET, HEAD, POST\r\n"));
    assert_int_equal(ask("OPTIONS " ROWS, "", NULL, &out), 204);
    assert_int_equal(ask("BREW " ROWS, KEY, NULL, &out), 501);
    assert_int_equal(ask("GET " ROWS, KEY "Accept: text/html\r\n", NULL, &out), 406);
    assert_int_equal(ask("GET " ROWS, KEY "Accept: text/html, */*;q=0.1\r\n", NULL, &out), 200);
    assert_int_equal(ask("GET " ROWS, KEY "Accept: application/json;q=0, */*\r\n", NULL, &out), 406);
    assert_int_equal(ask("POST " ROWS, KEY "Content-Type: text/xml\r\n", "[]", &out), 415);
    assert_int_equal(ask("POST " ROWS, KEY "Content-Type: text/csv; header=present\r\n", "[]", &out), 202);
    char body[1002] = {0};
    memset(body, 'x', 1001);
    assert_int_equal(ask("POST " ROWS, KEY, body, &out), 413);
    assert_non_null(strstr(out.data, "\"limit\":{\"name\":\"body\",\"value\":1000,\"set_by\":\"fixed\"}"));
    assert_null(strstr(out.data, "Retry-After"));
    assert_int_equal(ask("POST " ROWS, KEY, body + 1, &out), 202);
    assert_int_equal(ask("POST " ROWS, KEY, body + 2, &out), 202);
    assert_int_equal(ask("PUT /things/1", KEY, "{}", &out), 428);
    assert_int_equal(ask("PUT /things/1", KEY "If-Match: \"x\"\r\n", "{}", &out), 412);
    char tag[32], head[256];
    etag_make("1", 1, tag);
    snprintf(head, sizeof head, KEY "If-Match: \"x\", %s\r\n", tag);
    assert_int_equal(ask("PUT /things/1", head, "{}", &out), 204);
    text_free(&out);
}

static void pages_lead_on(void **state)
{
    (void)state;
    text out = {0};
    assert_int_equal(ask("GET " ROWS "?limit=500&sort=x", KEY, NULL, &out), 200);
    json_t *page = json_loads(raw_body(&out), 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(page, "limit")), 500);
    char line[512];
    snprintf(line, sizeof line, "GET " ROWS "?cursor=%s", json_string_value(json_object_get(page, "next")));
    assert_non_null(strstr(out.data, "&limit=500&sort=x>; rel=\"next\""));
    json_decref(page);
    assert_int_equal(ask(line, KEY, NULL, &out), 200);
    assert_non_null(strstr(out.data, "\"after\":\"first\""));
    line[strlen(line) - 1] ^= 1;
    assert_int_equal(ask(line, KEY, NULL, &out), 400);
    assert_int_equal(ask("GET " ROWS "?cursor=", KEY, NULL, &out), 400);
    assert_int_equal(ask("GET " ROWS "?limit=501", KEY, NULL, &out), 400);
    assert_int_equal(ask("GET " ROWS "?limit=0", KEY, NULL, &out), 400);
    assert_int_equal(ask("GET " ROWS "?limit=1x", KEY, NULL, &out), 400);
    text_free(&out);
}

static void an_idempotency_key_runs_once(void **state)
{
    (void)state;
    text out = {0};
    assert_int_equal(ask("POST /things", KEY, "{}", &out), 400);
    assert_int_equal(ask("POST /things", KEY "Idempotency-Key: k1\r\n", "{}", &out), 201);
    assert_string_equal(raw_body(&out), "{\"number\":1}");
    assert_int_equal(ask("POST /things", KEY "Idempotency-Key: k1\r\n", "{}", &out), 201);
    assert_string_equal(raw_body(&out), "{\"number\":1}");
    assert_non_null(strstr(out.data, "Idempotency-Replayed: true"));
    assert_int_equal(ask("POST /things", KEY "Idempotency-Key: k1\r\n", "{\"a\":1}", &out), 422);
    f.stored_status = 0;
    assert_int_equal(ask("POST /things", KEY "Idempotency-Key: k1\r\n", "{}", &out), 409);
    assert_int_equal(f.created, 1);
    text_free(&out);
}

static void health_readiness_and_metrics(void **state)
{
    (void)state;
    text out = {0};
    assert_int_equal(ask("GET /healthz", "", NULL, &out), 200);
    assert_int_equal(ask("GET /readyz", "", NULL, &out), 503);
    assert_non_null(strstr(out.data, "\"reason\":\"the database is away\""));
    f.ready = true;
    assert_int_equal(ask("GET /readyz", "", NULL, &out), 200);
    assert_int_equal(ask("GET /metrics", "", NULL, &out), 401); /* the public listener asks for a key */
    assert_int_equal(ask("GET /metrics", WEAK, NULL, &out), 403);
    assert_int_equal(ask_at(f.admin_port, "GET /metrics", "Accept: text/plain;version=0.0.4\r\n", NULL, &out),
                     200);
    assert_non_null(strstr(out.data, "penstock_http_requests_total{route=\"health\",status=\"2xx\"} "));
    assert_int_equal(ask("GET /", "", NULL, &out), 200);
    assert_non_null(strstr(out.data, "\"version\":\"1.2.3\""));
    text_free(&out);
}

static void every_route_stands_in_openapi(void **state)
{
    (void)state;
    text out = {0};
    assert_int_equal(ask("GET /openapi.json", "", NULL, &out), 200);
    json_t *doc = json_loads(raw_body(&out), 0, NULL);
    assert_non_null(doc);
    assert_string_equal(json_string_value(json_object_get(doc, "openapi")), "3.1.0");
    json_t *paths = json_object_get(doc, "paths");
    for (size_t i = 0; i < route_table_size(f.table); i++) {
        const route *r = route_table_at(f.table, i);
        static const char *const methods[] = {"", "get", "head", "post", "put", "patch", "delete", "options"};
        json_t *op = json_object_get(json_object_get(paths, r->path), methods[r->method]);
        if (r->flags & ROUTE_HIDDEN) {
            assert_null(op);
            continue;
        }
        assert_string_equal(json_string_value(json_object_get(op, "operationId")), r->name);
        json_t *permission = json_object_get(op, "x-permission");
        assert_string_equal(json_string_value(json_object_get(permission, "verb")), verb_name(r->verb));
        assert_int_equal(json_array_size(json_object_get(op, "security")), r->verb == VERB_NONE ? 0 : 1);
        assert_int_equal(json_object_get(op, "requestBody") != NULL, r->request_schema != NULL);
        char code[8];
        snprintf(code, sizeof code, "%d", r->success);
        json_t *answers = json_object_get(op, "responses");
        assert_non_null(json_object_get(answers, code));
        assert_non_null(json_object_get(answers, "default"));
        assert_int_equal(json_object_get(json_object_get(answers, code), "content") != NULL,
                         r->response_schema || r->response_types);
    }
    json_t *rows_op =
        json_object_get(json_object_get(paths, "/api/v1/workspaces/{ws}/datastores/{k}/rows"), "get");
    assert_int_equal(json_array_size(json_object_get(rows_op, "parameters")), 4); /* ws, k, limit, cursor */
    json_decref(doc);
    char *tag = strstr(out.data, "ETag: ");
    assert_non_null(tag);
    char head[128];
    snprintf(head, sizeof head, "If-None-Match: %.*s\r\n", (int)strcspn(tag + 6, "\r"), tag + 6);
    assert_int_equal(ask("GET /openapi.json", head, NULL, &out), 304);
    assert_int_equal(ask("GET /docs", "", NULL, &out), 200);
    assert_non_null(strstr(out.data, "Write rows &lt;&amp;&gt;"));
    assert_null(strstr(out.data, "<script"));
    text_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(quick_requests_stay_on_the_loop, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_open_what_they_may, setup, teardown),
        cmocka_unit_test_setup_teardown(a_revoked_key_is_forgotten_when_told, setup, teardown),
        cmocka_unit_test_setup_teardown(problems_are_complete, setup, teardown),
        cmocka_unit_test_setup_teardown(requests_that_do_not_fit_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(pages_lead_on, setup, teardown),
        cmocka_unit_test_setup_teardown(an_idempotency_key_runs_once, setup, teardown),
        cmocka_unit_test_setup_teardown(health_readiness_and_metrics, setup, teardown),
        cmocka_unit_test_setup_teardown(every_route_stands_in_openapi, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
