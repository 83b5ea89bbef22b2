/* /metrics, on the admin listener only: it names workspaces. */
#include "serve/metrics_text.h"
#include "serve/router_private.h"

static void metrics(http_request *r)
{
    text body = {0};
    metrics_text(&body);
    http_answer(r, 200, METRICS_TEXT_TYPE, &body);
}

static const route table[] = {
    {.method = HTTP_GET,
     .path = "/metrics",
     .name = "metrics",
     .tag = "about",
     .summary = "Counters, gauges and histograms as Prometheus text; without a key on the admin listener",
     .verb = VERB_ADMIN,
     .reference = "platform:*",
     .success = 200,
     .flags = ROUTE_ADMIN_LISTENER,
     .handler = metrics,
     .response_types = "text/plain,application/openmetrics-text,*/*"},
};

void routes_metrics(route_table *t)
{
    route_table_add(t, table, sizeof table / sizeof *table);
}
