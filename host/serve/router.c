/* Life of the router, and where handlers run: on the loop, or on the first free of a few lanes. Requests that
 * find all lanes busy wait in one queue, where workspaces take turns, so a slow handler delays nobody who
 * could run elsewhere, and many requests of one workspace do not delay another's. */
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "serve/negotiate.h"
#include "serve/problem.h"
#include "serve/router_private.h"

/* ---- lanes ---- */

static http_request *queue_take(router *rt, worker *w, turn_line **line_out)
{
    pthread_mutex_lock(&rt->lock);
    waiting *next = (waiting *)turn_queue_next(&rt->waiting);
    w->busy = next != NULL;
    pthread_mutex_unlock(&rt->lock);
    *line_out = next ? next->item.line : NULL;
    return next ? next->request : NULL;
}

static void queue_charge(router *rt, turn_line *line, int64_t took_us)
{
    pthread_mutex_lock(&rt->lock);
    turn_queue_charge(&rt->waiting, line, (uint64_t)took_us + 1);
    pthread_mutex_unlock(&rt->lock);
}

static void run_queue(void *arg)
{
    worker *w = arg;
    router *rt = w->router;
    turn_line *line;
    http_request *r;
    while ((r = queue_take(rt, w, &line))) {
        int64_t began_us = clock_monotonic_us();
        bool asks = r->route->flags & (ROUTE_IDEMPOTENT | ROUTE_IDEMPOTENT_OPTIONAL);
        if (!asks || idempotency_begin(rt, r))
            r->route->handler(r); /* it may be gone then */
        queue_charge(rt, line, clock_monotonic_us() - began_us);
    }
}

static void run_on_lane(router *rt, http_request *r)
{
    waiting *mine = arena_alloc(r->arena, sizeof *mine);
    *mine = (waiting){.request = r};
    worker *idle = NULL;
    pthread_mutex_lock(&rt->lock);
    turn_queue_add(&rt->waiting, (uint32_t)r->wid, TURNS_WEIGHT_ONE, &mine->item);
    for (unsigned i = 0; i < rt->n_workers && !idle; i++)
        if (!rt->workers[i].busy)
            idle = &rt->workers[i];
    if (idle)
        idle->busy = true;
    pthread_mutex_unlock(&rt->lock);
    if (idle)
        lane_post(idle->lane, run_queue, idle);
}

/* ---- hooks ---- */

static http_step on_headers(void *self, http_request *r, size_t *body_limit)
{
    router *rt = self;
    r->router = rt;
    r->services = rt->config.services;
    return router_check(rt, r, body_limit);
}

static void on_request(void *self, http_request *r)
{
    const route *route = r->route;
    if (route->where == ROUTE_ON_LANE && !(route->quick && route->quick(r)))
        run_on_lane(self, r);
    else
        route->handler(r);
}

/* A body of rows is as long as a setting allows. */
static void name_limit(const router *rt, const http_request *r, int http_status, const limit *met, status *st)
{
    limit named = *met;
    if (http_status == 413 && r->route && (r->route->flags & ROUTE_ROWS) && rt->config.rows_body) {
        snprintf(named.name, sizeof named.name, "limits.body_bytes");
        snprintf(named.set_by, sizeof named.set_by, LIMIT_BY_PLATFORM);
    }
    limit_put(st, &named);
}

static void on_refusal(void *self, http_request *r, int http_status, const char *why, const limit *met)
{
    status st;
    r->router = self;
    status_set(&st, STATUS_INVALID, "%s", why);
    if (met)
        name_limit(self, r, http_status, met, &st);
    if (http_status == 408 || http_status == 503)
        log_warn("http", "refused", LOG_NUMBER("status", http_status), LOG_TEXT("why", why),
                 LOG_TEXT("request_id", r->id));
    problem_answer_as(r, http_status, &st);
}

static void on_done(void *self, const http_request *r, int http_status, uint64_t bytes, int64_t took_us)
{
    router *rt = self;
    size_t row = r->route ? r->route_row : route_table_size(rt->config.table);
    unsigned class = (unsigned)http_status / 100;
    metric_add(rt->metrics[row].by_class[class < 6 ? class : 0], 1);
    metric_observe(rt->metrics[row].seconds, (double)took_us / 1e6);
    bool worth = http_status >= 500 || (http_status && took_us > 1000000); /* streams and leavers: debug */
    LOG_CALL(worth ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG, "http", "request", LOG_TEXT("method", r->method_text),
             LOG_TEXT("path", problem_path(r)), LOG_NUMBER("status", http_status), LOG_NUMBER("bytes", bytes),
             LOG_NUMBER("us", took_us), LOG_TEXT("request_id", r->id),
             LOG_TEXT("principal", r->who ? r->who->id : ""));
}

/* ---- life ---- */

static void register_metrics(router *rt)
{
    static const char *const classes[] = {"left", "1xx", "2xx", "3xx", "4xx", "5xx"};
    size_t n = route_table_size(rt->config.table);
    rt->metrics = memory_zero(n + 1, sizeof *rt->metrics);
    for (size_t i = 0; i <= n; i++) {
        const char *name = i < n ? route_table_at(rt->config.table, i)->name : "none";
        rt->metrics[i].seconds =
            metric_histogram("penstock_http_request_seconds", "Time from request line to last byte.",
                             METRIC_LABEL("route", name));
        for (unsigned c = 0; c < 6; c++)
            rt->metrics[i].by_class[c] =
                metric_counter("penstock_http_requests_total", "Requests by status.",
                               METRIC_LABEL("route", name), METRIC_LABEL("status", classes[c]));
    }
    rt->connections = metric_gauge("penstock_http_connections", "Open connections.");
}

static double count_connections(void *arg)
{
    return http_server_open_connections(arg);
}

status_class router_create(const router_config *config, router **router_out, status *st)
{
    router *rt = memory_zero(1, sizeof *rt);
    rt->config = *config;
    http_hooks hooks = {rt, on_headers, on_request, on_refusal, on_done};
    status_class class = http_server_create(config->loop, config->limits, &hooks, &rt->http, st);
    if (class) {
        free(rt);
        return class;
    }
    pthread_mutex_init(&rt->lock, NULL);
    rt->keys = auth_cache_create(config->auth.cache_ms);
    rt->asking = lane_open(config->lanes, "serve/keys");
    rt->n_workers = config->n_lanes ? config->n_lanes : 8;
    rt->n_workers = rt->n_workers < LANES_MAX ? rt->n_workers : LANES_MAX;
    for (unsigned i = 0; i < rt->n_workers; i++)
        rt->workers[i] = (worker){.router = rt, .lane = lane_open(config->lanes, "serve")};
    register_metrics(rt);
    metric_read_by(rt->connections, count_connections, rt->http);
    openapi_make(&rt->config, &rt->openapi);
    etag_make(rt->openapi.data, rt->openapi.len, rt->openapi_tag);
    docs_page_make(&rt->config, &rt->docs);
    *router_out = rt;
    return STATUS_OK;
}

status_class router_listen(router *rt, const http_listener *listener, bool admin, uint16_t *port_out,
                           status *st)
{
    if (rt->n_listeners == LISTENERS_MAX)
        return status_set(st, STATUS_LIMIT, "listen: at most %d listeners", LISTENERS_MAX);
    if (admin)
        rt->admin_listeners |= 1U << rt->n_listeners; /* before the first request can come */
    unsigned number;
    status_class class = http_listen(rt->http, listener, &number, port_out, st);
    if (class) {
        rt->admin_listeners &= ~(1U << rt->n_listeners);
        return class;
    }
    assert(number == rt->n_listeners);
    rt->n_listeners++;
    return STATUS_OK;
}

void router_ready_when(router *rt, const char *name, ready_check check, void *arg)
{
    unsigned i = rt->n_ready;
    assert(i < READY_CHECKS_MAX);
    rt->ready[i].name = name;
    rt->ready[i].check = check;
    rt->ready[i].arg = arg;
    rt->n_ready = i + 1;
}

static void forget(void *arg)
{
    auth_cache_clear(((router *)arg)->keys);
}

void router_forget_keys(router *rt)
{
    loop_post(rt->config.loop, forget, rt);
}

void router_drain(router *rt, unsigned ms, loop_function on_drained, void *arg)
{
    rt->draining = true;
    http_server_drain(rt->http, ms, on_drained, arg);
}

void router_free(router *rt)
{
    if (!rt)
        return;
    metric_read_by(rt->connections, NULL, NULL);
    http_server_free(rt->http);
    for (unsigned i = 0; i < rt->n_workers; i++)
        lane_close(rt->workers[i].lane);
    lane_close(rt->asking);
    auth_cache_free(rt->keys);
    turn_queue_free(&rt->waiting);
    pthread_mutex_destroy(&rt->lock);
    text_free(&rt->openapi);
    text_free(&rt->docs);
    free(rt->metrics);
    free(rt);
}
