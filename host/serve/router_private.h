/* What router*.c and the resources that show the router itself share. */
#ifndef PENSTOCK_SERVE_ROUTER_PRIVATE_H
#define PENSTOCK_SERVE_ROUTER_PRIVATE_H
#include <pthread.h>
#include <stdatomic.h>

#include "base/metric.h"
#include "base/turn_queue.h"
#include "serve/router.h"

enum { READY_CHECKS_MAX = 32, LISTENERS_MAX = 16, LANES_MAX = 64 };

typedef struct route_metrics {
    metric *seconds, *by_class[6]; /* 0 = the client left before the answer */
} route_metrics;

typedef struct waiting {
    turn_item item; /* first */
    http_request *request;
} waiting;

typedef struct worker {
    struct router *router;
    lane *lane;
    bool busy;
} worker;

struct router {
    router_config config;
    http_server *http;
    auth_cache *keys;
    lane *asking; /* keys are verified here */
    worker workers[LANES_MAX];
    unsigned n_workers;
    pthread_mutex_t lock; /* of the queue and the workers' busy */
    turn_queue waiting;   /* by workspace; a turn costs the time of the handler */
    struct {
        const char *name;
        ready_check check;
        void *arg;
    } ready[READY_CHECKS_MAX];
    atomic_uint n_ready;
    unsigned admin_listeners, n_listeners; /* bits */
    atomic_bool draining;
    route_metrics *metrics; /* one a row of the table, and one for requests without a route */
    metric *connections;
    text openapi, docs; /* made once */
    char openapi_tag[32];
};

static inline struct router *router_of(const http_request *r)
{
    return r->router;
}

/* router_check.c: everything between the head and the body. */
http_step router_check(struct router *rt, http_request *r, size_t *body_limit);
/* idempotency.c: true = go on with the handler; false = it was answered. On a lane. */
bool idempotency_begin(struct router *rt, http_request *r);
/* openapi.c, docs_page.c */
void openapi_make(const router_config *config, text *out);
void docs_page_make(const router_config *config, text *out);
#endif
