/* A tenant: one workspace as it runs on this host, for one generation of its definition. Immutable but for
 * its work: a new definition is a new tenant. Counted, so that a request may hold it while it is replaced.
 *
 * A tenant that stood still for a while rests: it keeps no plan, no decoders and no session of its login,
 * only what it must remember. Whoever needs the plan gets it made again (tenant_rest.c).
 *
 * All of its background work (refresh, score, train, alerts, deliveries) runs on one lane, one thing after
 * another, in the order of the flow; sources have lanes of their own. The tick of the flow tells it the time.
 */
#ifndef PENSTOCK_FLOW_TENANT_H
#define PENSTOCK_FLOW_TENANT_H
#include <jansson.h>

#include "flow/build.h"
#include "flow/flow.h"
#include "flow/hook.h"
#include "flow/plan.h"
#include "flow/sink.h"
#include "store/partitions.h"

typedef struct tenant tenant;

typedef struct tenant_parts {
    const flow_parts *flow; /* outlives every tenant */
    intake *intake;
    journal *journal;
    partition_cache *partitions;
    const char *models_folder;
    live_hub *live;
    lane_pool *sink_lanes; /* apart from the others: what goes out may hang */
} tenant_parts;

status_class tenant_create(const tenant_parts *parts, const flow_workspace *w, tenant **out, status *st);
tenant *tenant_retain(tenant *t);
void tenant_release(tenant *t); /* frees with the last one; NULL is fine */
/* Begins to read sources and to work when ticked. */
void tenant_start(tenant *t);
/* Ends sources and the lane; waits for what is in hand. Not on the loop thread. */
void tenant_stop(tenant *t);

/* Retained, for flow_plan_release; made again when the tenant rests, which takes milliseconds. NULL with the
 * reason (`st` may be NULL). Any thread but the loop's. */
const flow_plan *tenant_plan(tenant *t, status *st);
/* The same, but NULL when the tenant rests. Any thread. */
const flow_plan *tenant_plan_awake(tenant *t);
int32_t tenant_wid(const tenant *t);
const char *tenant_workspace(const tenant *t); /* its key; as long as the tenant is held */
bool tenant_paused(const tenant *t);
bool tenant_resting(tenant *t);
/* Loop thread, every tick; cheap. */
void tenant_tick(tenant *t, int64_t now_us, bool read_sources);
/* Rows of it were committed. [any], cheap. */
void tenant_stored(tenant *t);
/* A connection of the workspace's login. */
status_class tenant_borrow(tenant *t, connection **out, status *st);

poison_ward *tenant_ward(tenant *t); /* rows that kill plugins; as long as the tenant is held */
/* Those of that plugin that are not there yet; one that cannot be made says so when it is needed. */
void tenant_make_instances(tenant *t, const char *plugin_id);
/* Sources and sinks that could not be made: another version of their plugin may take their configuration. */
void tenant_retry_sources(tenant *t);
/* A secret of the workspace has changed. */
void tenant_renew_sources(tenant *t);
/* NULL: there is no such sink. */
json_t *tenant_sink_status(tenant *t, const char *sink);
void tenant_each_sink(tenant *t, sink_visit visit, void *arg); /* cheap */
status_class tenant_sink_pause(tenant *t, const char *sink, bool paused, status *st);
/* Rows that were received at `since_us` or later (SINK_REWIND_ALL: all) go out again; sink_position_rewind.
 * Blocks. */
status_class tenant_sink_rewind(tenant *t, const char *sink, int64_t since_us, sink_rewound *out, status *st);
/* The plugin instance of a metric engine; NULL for SQL metrics. `d`: of its plan. */
instance *tenant_engine(tenant *t, const definition *d, const char *metric, status *st);

/* Asked-for work, on the tenant's lane. */
void tenant_train(tenant *t, const char *model, const char *actor, flow_done done, void *arg);
void tenant_refresh(tenant *t, flow_done done, void *arg);

status_class tenant_demand(tenant *t, const flow_demand *demand, json_t **out, status *st); /* [lane] */

build_progress tenant_build(tenant *t, uint32_t featurestore); /* as the lane saw it last */
json_t *tenant_status(tenant *t);                              /* [lane]: asks the database for freshness */
/* Retained; NULL with the reason. */
hook *tenant_hook(tenant *t, const char *connector, status *st);
json_t *tenant_source_status(tenant *t, const char *connector);
void tenant_each_source(tenant *t,
                        void (*visit)(void *arg, const char *workspace, const char *connector,
                                      source_state state),
                        void *arg); /* cheap */
status_class tenant_source_pause(tenant *t, const char *connector, bool paused, status *st);
#endif
