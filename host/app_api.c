/* The HTTP interface of the host: what it serves, where it listens, when it is ready. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app_private.h"
#include "base/clock.h"
#include "base/log.h"
#include "serve/access.h"
#include "serve/resources.h"

static bool is_ready(void *arg, status *st)
{
    app *a = arg;
    if (atomic_load(&a->ready))
        return flow_ready(a->flow, st);
    pthread_mutex_lock(&a->lock);
    *st = a->starting;
    pthread_mutex_unlock(&a->lock);
    return false;
}

static bool split_address(const char *text, char address[64], uint16_t *port_out)
{
    const char *colon = strrchr(text, ':');
    char *end;
    if (!colon || colon == text || (size_t)(colon - text) >= 64)
        return false;
    bool bracketed = text[0] == '[' && colon[-1] == ']';
    snprintf(address, 64, "%.*s", (int)(colon - text - (bracketed ? 2 : 0)), text + bracketed);
    long port = strtol(colon + 1, &end, 10);
    *port_out = (uint16_t)port;
    return *end == '\0' && end != colon + 1 && port >= 0 && port <= 65535;
}

static status_class listen_at(app *a, const char *setting, bool admin, status *st)
{
    char address[64];
    uint16_t port, bound;
    const char *text = settings_text(a->settings, setting);
    if (!text || !*text)
        return STATUS_OK;
    if (!split_address(text, address, &port))
        return status_at(st, STATUS_INVALID, settings_origin(a->settings, setting),
                         "%s: \"%s\" is not address:port", setting, text);
    http_listener listener = {
        .address = address,
        .port = port,
        .refuse_chunked = !admin && strcmp(settings_text(a->settings, "http.chunked"), "refuse") == 0};
    status_class class = router_listen(a->router, &listener, admin, &bound, st);
    if (class != STATUS_OK)
        return status_wrap(st, "%s", setting);
    log_info("app", "listening", LOG_TEXT("for", admin ? "administration" : "the API"),
             LOG_TEXT("address", address), LOG_NUMBER("port", bound));
    return STATUS_OK;
}

status_class app_api_open(app *a, status *st)
{
    http_limits limits;
    http_limits_default(&limits);
    a->services = (struct services){.directory = directory_create(),
                                    .hooks = hook_book_create(),
                                    .version = PENSTOCK_VERSION,
                                    .host_name = a->host_name,
                                    .started_us = clock_monotonic_us(),
                                    .changed = app_snapshot_changed,
                                    .changed_arg = a};
    a->services.request_rows = (uint32_t)settings_integer(a->settings, "limits.rows_per_request");
    limits.connections = (unsigned)settings_integer(a->settings, "limits.connections");
    limits.receive_ms = (unsigned)(settings_integer(a->settings, "http.receive_timeout") / 1000);
    a->routes = route_table_create();
    routes_home(a->routes);
    routes_health(a->routes);
    routes_metrics(a->routes);
    routes_openapi(a->routes);
    routes_resources(a->routes);
    router_config config = {.loop = a->loop,
                            .lanes = a->lanes,
                            .table = a->routes,
                            .limits = &limits,
                            .auth = app_auth(a),
                            .idempotency = access_idempotency(&a->services),
                            .services = &a->services,
                            .rows_body = (size_t)settings_integer(a->settings, "limits.body_bytes"),
                            .version = PENSTOCK_VERSION,
                            .public_url = settings_text(a->settings, "public_url")};
    status_class class = router_create(&config, &a->router, st);
    if (class != STATUS_OK)
        return class;
    router_ready_when(a->router, "host", is_ready, a);
    class = listen_at(a, "listen", false, st);
    return class == STATUS_OK ? listen_at(a, "admin_listen", true, st) : class;
}
