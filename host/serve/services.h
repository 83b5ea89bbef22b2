/* What the handlers of routes_*.c work on. app.c fills one and gives it to router_create; every pointer
 * outlives the router. All of it may be used from any thread. */
#ifndef PENSTOCK_SERVE_SERVICES_H
#define PENSTOCK_SERVE_SERVICES_H
#include "flow/flow.h"
#include "serve/directory.h"

typedef struct services {
    flow *flow;
    pool *control; /* base login of the control plane */
    pool *data;    /* base login of the data plane: ledger and dead letters are read through it */
    catalog *catalog;
    directory *directory; /* workspaces by name; app.c keeps it as it puts and removes them */
    const char *version, *stack_id, *host_name;
    int64_t started_us; /* monotonic */
} services;
#endif
