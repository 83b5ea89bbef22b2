/* /openapi.json and /docs, both made from the route table when the router is. */
#include "serve/negotiate.h"
#include "serve/router_private.h"

static void openapi(http_request *r)
{
    router *rt = router_of(r);
    if (!etag_unchanged(r, rt->openapi_tag))
        http_answer_static(r, 200, "application/json", rt->openapi.data, rt->openapi.len);
}

static void docs(http_request *r)
{
    router *rt = router_of(r);
    http_header(r, "Content-Security-Policy",
                "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'");
    http_header(r, "X-Content-Type-Options", "nosniff");
    http_answer_static(r, 200, "text/html; charset=utf-8", rt->docs.data, rt->docs.len);
}

static const route table[] = {
    {.method = HTTP_GET,
     .path = "/openapi.json",
     .name = "openapi",
     .tag = "about",
     .summary = "This API as OpenAPI 3.1",
     .success = 200,
     .handler = openapi,
     .response_schema = "{\"type\":\"object\"}"},
    {.method = HTTP_GET,
     .path = "/docs",
     .name = "docs",
     .tag = "about",
     .summary = "This API as a page",
     .flags = ROUTE_HIDDEN,
     .success = 200,
     .handler = docs},
};

void routes_openapi(route_table *t)
{
    route_table_add(t, table, sizeof table / sizeof *table);
}
