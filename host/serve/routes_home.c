/* GET /: what this is and where to go on. */
#include <string.h>

#include "serve/router_private.h"

static void home(http_request *r)
{
    text body = {0};
    const char *version = router_of(r)->config.version ? router_of(r)->config.version : "";
    text_add(
        &body,
        "{\"name\":\"Penstock\",\"description\":\"Takes raw rows from machines and systems, keeps them in "
        "isolated workspaces, makes features, predictions, metrics and alerts of them.\",\"version\":");
    text_add_json_string(&body, version, strlen(version));
    text_add(&body,
             ",\"api\":\"/api/v1\",\"docs\":\"/docs\",\"openapi\":\"/openapi.json\",\"health\":\"/healthz\","
             "\"ready\":\"/readyz\"}\n");
    http_answer(r, 200, "application/json", &body);
}

static const route table[] = {
    {.method = HTTP_GET,
     .path = "/",
     .name = "home",
     .tag = "about",
     .summary = "What this server is, and its documents",
     .success = 200,
     .handler = home,
     .response_schema =
         "{\"type\":\"object\",\"required\":[\"name\",\"version\",\"api\",\"docs\",\"openapi\"],"
         "\"properties\":{\"name\":{\"type\":\"string\"},\"description\":{\"type\":\"string\"},"
         "\"version\":{\"type\":\"string\"},\"api\":{\"type\":\"string\"},\"docs\":{\"type\":"
         "\"string\"},\"openapi\":{\"type\":\"string\"},\"health\":{\"type\":\"string\"},\"ready\":"
         "{\"type\":\"string\"}}}"},
};

void routes_home(route_table *t)
{
    route_table_add(t, table, sizeof table / sizeof *table);
}
