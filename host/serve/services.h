/* What the handlers of routes_*.c work on. app.c fills one and gives it to router_create; every pointer
 * outlives the router. All of it may be used from any thread. */
#ifndef PENSTOCK_SERVE_SERVICES_H
#define PENSTOCK_SERVE_SERVICES_H
#include "control/control.h"
#include "flow/flow.h"
#include "serve/directory.h"
#include "serve/hook_book.h"

typedef struct services {
    flow *flow;
    control *control;
    catalog *catalog;
    instance_set *instances;
    reload *reload;
    directory *directory; /* kept by the functions below */
    hook_book *hooks;     /* likewise */
    struct job_desk *jobs;
    const char *version, *host_name;
    int64_t started_us;         /* monotonic */
    uint32_t request_rows;      /* most of one body; 0 = what decoding takes */
    void (*changed)(void *arg); /* keys or workspaces are others now; any thread. May be NULL */
    void *changed_arg;
} services;

/* Takes a workspace as the control plane knows it into the flow and the directory, or replaces what is there.
 * [lane] */
status_class services_load(services *s, int32_t wid, status *st);
/* A key was made or ended. [any] */
void services_changed(services *s);
/* Every live workspace, at start. One that cannot run is logged and left out. [lane] */
status_class services_load_all(services *s, status *st);
/* Stops it here and forgets its name. [lane] */
void services_unload(services *s, int32_t wid);
#endif
