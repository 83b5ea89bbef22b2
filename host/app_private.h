/* The parts of the host and who makes them: app.c (life), app_database.c (PostgreSQL), app_plugins.c,
 * app_api.c (HTTP), app_services.c (what one folder needs of another, as functions), app_state.c (what
 * plugins keep). Only these files know everybody. */
#ifndef PENSTOCK_APP_PRIVATE_H
#define PENSTOCK_APP_PRIVATE_H
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

#include "config/settings.h"
#include "control/control.h"
#include "control/snapshot.h"
#include "control/workspace.h"
#include "flow/flow.h"
#include "loop/lane.h"
#include "loop/loop.h"
#include "loop/nursery.h"
#include "plugin/catalog.h"
#include "plugin/instance.h"
#include "plugin/reload.h"
#include "plugin/state_keeper.h"
#include "serve/router.h"
#include "serve/services.h"
#include "store/cluster.h"

typedef struct app {
    int argc;
    const char *const *argv;
    settings *settings; /* in force since the start; what may change meanwhile is in `reloaded` */
    settings *reloaded; /* by the last SIGHUP; NULL = none */
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
    bool private_cluster;         /* ours: made and started by us */
    atomic_bool cluster_looking;  /* a look at the private cluster is under way */
    unsigned cluster_pause_ticks, cluster_ticks_left; /* back-off of starting it again */
    catalog *catalog;
    instance_set *instances;
    reload *reload;
    control control;
    flow *flow;
    route_table *routes;
    router *router;
    struct services services;
    auth_source access;   /* of services; app_auth stands in front of it */
    atomic_bool ready;    /* everything below the API works */
    atomic_bool degraded; /* not ready, but rows are taken by the snapshot */
    snapshot *snapshot;   /* that this host started from; the start lane's until `degraded` */
    lane *snapshot_lane;
    atomic_bool snapshot_writing, snapshot_stale;
    int64_t snapshot_due_us;     /* the loop's */
    status_class snapshot_class; /* of the last writing; its lane's */
    pthread_mutex_t lock;
    status starting; /* why it is not ready yet; under the lock */
    atomic_bool stopping;
    timer *retry;
    unsigned retry_ms;
    uv_signal_t signals[3];
} app;

/* app_database.c: from nothing to two migrated databases and their pools; safe to repeat. [lane] */
status_class app_database_open(app *a, status *st);
/* Looks after the private cluster from now on. [loop] */
void app_database_watch(app *a);
void app_database_close(app *a);

/* app_snapshot.c: a start without PostgreSQL. */
void app_snapshot_begin(app *a);      /* loop: is written from now on, whenever the host is ready */
void app_snapshot_changed(void *app); /* any thread: keys or workspaces are others than it says */
void app_snapshot_end(app *a);
/* Takes rows by the snapshot, if there is no flow yet; `why`: what PostgreSQL's absence looks like, gets what
 * stands in the way of the snapshot. [start lane] */
void app_snapshot_start(app *a, status *why);
/* The databases are there: the flow gets them, workspaces are those of the control plane. [start lane] */
status_class app_snapshot_resume(app *a, status *st);
bool app_snapshot_admits(void *self, unsigned route_flags, status *st);
status_class app_snapshot_verify(app *a, const char *key, principal *out, status *st);
/* app.c: makes the flow, with the databases if they are there. [start lane] */
status_class app_flow_create(app *a, status *st);

/* app_plugins.c: finds them and makes ready to run them. [start lane] */
status_class app_plugins_open(app *a, status *st);

/* app_api.c: listens; until the host is ready, requests are told why not. [loop] */
status_class app_api_open(app *a, status *st);

/* app_metrics.c: the host's figures stand on /metrics from now on, until app_metrics_end. */
void app_metrics_begin(app *a);
void app_metrics_end(void);

/* app_services.c */
auth_source app_auth(app *a);
template_plugins app_plugins(app *a);
instance_secrets app_secrets(app *a);
state_keeper app_state_keeper(app *a); /* app_state.c */
/* New versions of plugins, with the flow's instances and the audit. */
reload *app_reload(app *a);
/* Puts what the handlers work on into `services`, once it is there. [lane], before the workspaces are loaded
 */
void app_fill_services(app *a);
#endif
