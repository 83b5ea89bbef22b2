/* From a sound request to its handler: route, principal, permission, preconditions, limits, lane. Also the
 * readiness checks and what the handlers of routes_*.c need of the server itself. */
#ifndef PENSTOCK_SERVE_ROUTER_H
#define PENSTOCK_SERVE_ROUTER_H
#include "serve/auth.h"
#include "serve/http.h"
#include "serve/route.h"

/* Tells whether a part is ready; fills `st` with the reason when not. Any thread, fast, no I/O. */
typedef bool (*ready_check)(void *arg, status *st);

/* Idempotency keys: stored by whoever has a database. A lane; may block. */
typedef enum idempotency_verdict {
    IDEMPOTENCY_NEW,     /* go on, then finish */
    IDEMPOTENCY_REPLAY,  /* answered before: *http_status_out and body_out */
    IDEMPOTENCY_RUNNING, /* 409 */
    IDEMPOTENCY_OTHER,   /* same key, other request: 422 */
} idempotency_verdict;
typedef struct idempotency_store {
    void *self;
    /* `request_hash` is BLAKE2b-256 over method, target and body; `who` the principal's id. */
    status_class (*begin)(void *self, const char *who, const char *key, const uint8_t request_hash[32],
                          idempotency_verdict *verdict_out, int *http_status_out, text *body_out, status *st);
    /* `http_status` 0 = forget it: the request failed in a way that a repetition may cure (5xx). */
    status_class (*finish)(void *self, const char *who, const char *key, int http_status, const char *body,
                           size_t len, status *st);
} idempotency_store;

typedef struct router_config {
    loop *loop;
    lane_pool *lanes;
    unsigned n_lanes;          /* how many blocking handlers run side by side (0 = 8) */
    const route_table *table;  /* complete before router_create */
    const http_limits *limits; /* NULL = defaults */
    auth_source auth;
    idempotency_store idempotency; /* .begin NULL: the header is checked for, but nothing is remembered */
    struct services *services;
    size_t rows_body;       /* most bytes of a body of rows; 0 = as the route says */
    const char *version;    /* of the product */
    const char *public_url; /* NULL = none in openapi.json */
} router_config;

typedef struct router router;
status_class router_create(const router_config *config, router **router_out, status *st);
/* `admin`: a listener for administration, which only trusted programs reach: routes with ROUTE_ADMIN_LISTENER
 * ask for no key there. */
status_class router_listen(router *rt, const http_listener *listener, bool admin, uint16_t *port_out,
                           status *st);
/* Registered before or while serving, loop thread; `name` is a literal. */
void router_ready_when(router *rt, const char *name, ready_check check, void *arg);
void router_forget_keys(router *rt); /* [any] after a key was revoked */
void router_drain(router *rt, unsigned ms, loop_function on_drained, void *arg); /* /readyz says "draining" */
void router_free(router *rt);                                                    /* after on_drained */
#endif
