/* The inside of a tenant, shared by tenant.c (life), tenant_rest.c (its plan, and when it has
 * none), tenant_work.c (what its lane does) and tenant_status.c (what people see of it). */
#ifndef PENSTOCK_FLOW_TENANT_PRIVATE_H
#define PENSTOCK_FLOW_TENANT_PRIVATE_H
#include <pthread.h>
#include <stdatomic.h>

#include "control/definition_seed.h"
#include "flow/build.h"
#include "flow/hook.h"
#include "flow/model.h"
#include "flow/sink.h"
#include "flow/source.h"
#include "flow/tenant.h"

/* How one thing that is done again and again went last. */
typedef struct work_note {
    int64_t due_us;  /* wall time; 0 = at once */
    int64_t last_us; /* of the last success */
    uint64_t count;  /* keys, rows or points in all */
    bool failed;
    uint32_t failures; /* since the last success */
    char problem[256];
} work_note;

typedef struct tenant_request tenant_request;

struct tenant {
    tenant_parts parts;
    int32_t wid;
    char *workspace, *workspace_id;
    uint32_t weight;
    definition_seed *seed; /* what the plan is made of */
    /* NULL = it rests. Under the lock; who has retained it (the lane in its turn) may use it without. */
    const flow_plan *plan;
    int64_t used_us; /* monotonic: when the plan was asked for last; under the lock */
    uint32_t n_connectors, n_sinks, n_models, n_notifiers, n_metrics, n_featurestores,
        n_alerts; /* of its definition */
    char **connector_keys;
    pool_login login;
    char *role, *password;
    bool paused;
    atomic_int references;
    lane_group *lanes; /* its own and its sources' */
    lane *lane;
    source **sources; /* one a connector; NULL when it could not be made, or is not read */
    hook **hooks;     /* likewise, of those that take requests */
    char **source_problems;
    lane_group *sink_lanes; /* NULL: it has no sinks */
    sink **sinks;           /* likewise */
    char **sink_problems;
    instance **models, **notifiers,
        **engines;           /* by index of the definition; made when first needed, on the lane */
    poison_ward *ward;       /* rows that kill plugins */
    char **model_stages;     /* "model:key" */
    build *builds;           /* by featurestore; of the lane */
    int64_t *refresh_due_us; /* by featurestore: as its schedule says; of the lane */
    bool *dirty;             /* by featurestore: its sources may have changed since; of the lane */
    int64_t *alert_from_us;  /* by alert: what was written since it looked begins there; of the lane */
    int64_t changed_us;      /* wall time of the last change that the lane knows of; of the lane */
    model_loaded *loaded;    /* by model; the lane's */
    int64_t *versions_shown; /* by model: what the status says is loaded; 0 = none */
    atomic_bool stored;      /* rows came since the last look */
    pthread_mutex_t lock;
    bool started, working, stopping; /* under the lock */
    bool look_at_builds;             /* somebody changed one; under the lock, as is */
    build_progress *builds_shown;    /* by featurestore */
    char *retention_shown;           /* what the last run did, by store; NULL = none yet */
    tenant_request *requests;
    work_note *features, *scores, *trainings, *alerts, deliveries, expiry; /* under the lock */
    int64_t next_look_us;                                                  /* wall time of the next turn */
    int64_t wake_due_us; /* of the next turn when rows come before; INT64_MAX = nobody waits for rows */
};

/* Sinks (tenant_sinks.c). */
void tenant_sinks_init(tenant *t);
void tenant_sinks_start(tenant *t); /* those that are not there yet */
void tenant_sinks_stop(tenant *t);
void tenant_sinks_free(tenant *t);
void tenant_sinks_tick(tenant *t, int64_t now_us); /* under the lock, like the next two */
void tenant_sinks_stored(tenant *t);
void tenant_sinks_renew(tenant *t);
/* The plugin instance behind `*slot`, made from the catalog when it is not there yet. */
instance *tenant_instance(tenant *t, instance **slot, const char *plugin, const char *kind, const char *key,
                          const json_t *config, status *st);
void tenant_note(tenant *t, work_note *note, int64_t next_us, uint64_t count, const status *failure);
#define TENANT_ALERT_EVERY_US (60 * INT64_C(1000000)) /* alerts without a schedule */
#define TENANT_RETRY_US (10 * INT64_C(1000000))       /* after a failure */

/* One turn of the lane. */
typedef struct work {
    tenant *t;
    connection *data, *control;
    connection *service; /* of the data plane; NULL until somebody needs it */
    int64_t now_us;
    bool changed; /* features or scores were written: alerts must look */
    bool told;    /* an alert queued deliveries */
    bool more;    /* come again at once */
    bool stored;  /* rows came since the last turn */
} work;

/* When the rule is due next; `otherwise_us` from now when it has no schedule. Workspaces are spread over an
 * interval, so that a thousand with the same template are not due in the same instant. */
int64_t tenant_next_time(const tenant *t, const schedule_rule *rule, int64_t now_us, int64_t otherwise_us);
void tenant_set_dirty(tenant *t); /* every featurestore; of the lane */
bool tenant_features_due(const tenant *t, int64_t now_us);
/* When its features are due: INT64_MAX = not before rows come. Under the lock. */
int64_t tenant_features_next(const tenant *t);
/* Rows of that derived store were written (or may have been), none in a bucket before that one. Of the lane.
 */
void tenant_touched(tenant *t, const store_table *store, int64_t oldest_us);
void tenant_evaluate_alerts(work *w); /* those that are due */
/* Builds that are under way, then what is dirty; `now`: whatever the schedule says. */
void tenant_refresh_features(work *w, bool now);
void tenant_expire(work *w); /* retention, when it is due */
/* Its rows are not all there yet: it is new and being built. */
bool tenant_is_incomplete(const tenant *t, const store_table *store);
void tenant_work(void *arg); /* the lane's turn */
/* Whether it stood still for long enough. Under the lock. */
bool tenant_may_rest(const tenant *t, int64_t now_us);
void tenant_rest(void *arg);            /* the lane's turn then */
void tenant_refuse_requests(tenant *t); /* what was asked for and cannot be done any more */
#endif
