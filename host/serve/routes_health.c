/* /healthz and /api/v1/health say that the loop turns; /readyz asks every registered part whether it can do
 * its work, and why not. */
#include <string.h>

#include "serve/router_private.h"

#define STATE_SCHEMA \
    "{\"type\":\"object\",\"required\":[\"status\"],\"properties\":{\"status\":{\"type\":\"string\"}"

static void healthz(http_request *r)
{
    static const char body[] = "{\"status\":\"ok\"}\n";
    http_answer_static(r, 200, "application/json", body, sizeof body - 1);
}

static bool add_check(text *out, const char *name, bool ready, const status *st)
{
    text_add(out, out->data[out->len - 1] == '[' ? "{\"name\":" : ",{\"name\":");
    text_add_json_string(out, name, strlen(name));
    text_printf(out, ",\"ready\":%s", ready ? "true" : "false");
    if (!ready && st->text[0]) {
        text_add(out, ",\"reason\":");
        text_add_json_string(out, st->text, strlen(st->text));
    }
    if (!ready && st->hint[0]) {
        text_add(out, ",\"hint\":");
        text_add_json_string(out, st->hint, strlen(st->hint));
    }
    text_add_char(out, '}');
    return ready;
}

static void readyz(http_request *r)
{
    router *rt = router_of(r);
    text checks = {0}, body = {0};
    text_add(&checks, "[");
    bool ready = !rt->draining;
    for (unsigned i = 0; i < rt->n_ready; i++) {
        status st = {0};
        bool fine = rt->ready[i].check(rt->ready[i].arg, &st);
        ready = add_check(&checks, rt->ready[i].name, fine, &st) && ready;
    }
    text_printf(&body, "{\"status\":\"%s\",\"checks\":%s]}\n",
                rt->draining ? "draining"
                : ready      ? "ready"
                             : "not_ready",
                checks.data);
    text_free(&checks);
    http_header(r, "Cache-Control", "no-store");
    http_answer(r, ready ? 200 : 503, "application/json", &body);
}

static const route table[] = {
    {.method = HTTP_GET,
     .path = "/healthz",
     .name = "health",
     .tag = "about",
     .summary = "The process runs",
     .success = 200,
     .handler = healthz,
     .response_schema = STATE_SCHEMA "}}"},
    {.method = HTTP_GET, /* for those who reach the API only */
     .path = "/api/v1/health",
     .name = "api_health",
     .tag = "about",
     .summary = "The process runs",
     .success = 200,
     .handler = healthz,
     .response_schema = STATE_SCHEMA "}}"},
    {.method = HTTP_GET,
     .path = "/readyz",
     .name = "ready",
     .tag = "about",
     .summary = "Every part can do its work (503 with the reasons when not)",
     .success = 200,
     .handler = readyz,
     .response_schema = STATE_SCHEMA
     ",\"checks\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":"
     "[\"name\",\"ready\"],\"properties\":{\"name\":{\"type\":\"string\"},\"ready\":{\"type\":"
     "\"boolean\"},\"reason\":{\"type\":\"string\"},\"hint\":{\"type\":\"string\"}}}}}}"},
};

void routes_health(route_table *t)
{
    route_table_add(t, table, sizeof table / sizeof *table);
}
