/* The parts of the host and who makes them: app.c (life), app_database.c (PostgreSQL), app_services.c (what one folder
 * needs of another, as functions). Only these files know everybody. */
#ifndef PENSTOCK_APP_PRIVATE_H
#define PENSTOCK_APP_PRIVATE_H
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

#include "config/settings.h"
#include "control/control.h"
#include "control/workspace.h"
#include "flow/flow.h"
#include "loop/lane.h"
#include "loop/loop.h"
#include "loop/nursery.h"
#include "plugin/catalog.h"
#include "plugin/instance.h"
#include "serve/router.h"
#include "serve/services.h"
#include "store/cluster.h"

typedef struct app {
    int argc;
    const char *const *argv;
    settings *settings;
    nursery *nursery;
    loop *loop;
    lane_pool *lanes;
    lane *start_lane;
    char state[PATH_MAX];
    int lock_fd;
    secret_key *secret_key;
    char service_password[64];
    char host_name[64];
    cluster cluster;
    nursery_child database_child; /* the last process that the cluster had started; under the lock */
    bool private_cluster; /* ours: made and started by us */
    catalog *catalog;
    instance_set *instances;
    control control;
    flow *flow;
    route_table *routes;
    router *router;
    struct services services;
    atomic_bool ready; /* everything below the API works */
    pthread_mutex_t lock;
    status starting; /* why it is not ready yet; under the lock */
    atomic_bool stopping;
    timer *retry;
    unsigned retry_ms;
    uv_signal_t signals[3];
} app;

/* app_database.c: from nothing to two migrated databases and their pools; safe to repeat. [lane] */
status_class app_database_open(app *a, status *st);
void app_database_close(app *a);

/* app_services.c */
auth_source app_auth(app *a);
idempotency_store app_idempotency(app *a);
template_plugins app_plugins(app *a);
instance_secrets app_secrets(app *a);
/* Takes a workspace into the flow, or out of it, as the control plane has it now. [lane] */
status_class app_workspace_changed(app *a, int32_t wid, status *st);
/* Puts into `services` what is there now; on the loop thread, before the API opens and again once all is. */
void app_fill_services(app *a);
void app_close_services(app *a);
#endif
