/* The flow: everything between intake and notification, for all workspaces of this host. app.c makes it;
 * serve asks it.
 *
 * A workspace that runs is a tenant (tenant.h): its compiled definition, its sources, its lane for
 * refreshing, scoring, alerts and deliveries. Functions may be called from any thread; those tagged [lane]
 * block. */
#ifndef PENSTOCK_FLOW_FLOW_H
#define PENSTOCK_FLOW_FLOW_H
#include <jansson.h>

#include "config/settings.h"
#include "control/definition.h"
#include "flow/hook.h"
#include "flow/intake.h"
#include "flow/journal.h"
#include "flow/live.h"
#include "flow/live_stage.h"
#include "flow/metric.h"
#include "flow/plan.h"
#include "flow/sink.h"
#include "flow/source.h"
#include "flow/store_rows.h"
#include "flow/writer.h"
#include "loop/lane.h"
#include "loop/loop.h"
#include "plugin/catalog.h"
#include "plugin/instance.h"
#include "plugin/reload.h"
#include "store/pool.h"

typedef struct flow flow;

typedef struct flow_parts {
    loop *loop;
    lane_pool *lanes;
    pool *data, *control; /* base logins: the service's */
    catalog *catalog;
    instance_set *instances;
    instance_secrets secrets;
    const char *state_folder;         /* journal in <state>/journal, artifacts in <state>/models */
    uint64_t journal_bytes;           /* 0 = the journal's default */
    uint32_t journal_keep_free;       /* per cent of its disk */
    uint64_t store_bytes;             /* one store's part of it; 0 = a quarter */
    letter_limits letters;            /* dead letters of one workspace; 0 = the defaults */
    int64_t ledger_every_us;          /* how often the ledgers are looked at */
    unsigned writers;                 /* 0 = 2 */
    unsigned build_share;             /* percent of its time that a build computes; 0 = the default */
    uint32_t query_rows;              /* of a metric; 0 = METRIC_ROWS_MAX */
    int query_timeout_ms;             /* of its statement; 0 = METRIC_TIMEOUT_MS */
    unsigned hook_rate;               /* requests a second of one hook; 0 = HOOK_RATE_DEFAULT */
    int64_t rest_us;                  /* a workspace that nobody has asked for so long keeps no plan */
    const settings *settings;         /* weights of workspaces */
    const char *stack_id, *host_name; /* uuid; recorded with the journal's incarnation */
} flow_parts;

/* Opens the journal and registers it with the data plane. Nothing runs yet. Without `data` rows can be taken,
 * once flow_accept was called, but not written: flow_attach brings the databases. [lane] */
status_class flow_create(const flow_parts *parts, flow **out, status *st);
/* Begins to write, read sources and keep schedules; call it when every workspace was put. Loop thread. */
void flow_start(flow *f);
/* Rows may come before flow_start; they wait in the journal. Loop thread. */
void flow_accept(flow *f);
/* The databases are there; before flow_start. May be repeated. [lane] */
status_class flow_attach(flow *f, pool *data, pool *control, status *st);
/* Answers everybody who waits for rows to be stored: accepted, not stored yet. Any thread. */
void flow_dismiss(flow *f);
/* Stops sources and writers after what they have in hand; the journal keeps the rest. Not on the loop thread,
 * after the loop has ended or before it is freed; no request may be under way. */
void flow_stop(flow *f);
void flow_free(flow *f); /* NULL is fine */

/* ---- workspaces ---- */

typedef struct flow_workspace {
    const definition *definition; /* with wid, workspace, workspace_id; retained */
    const char *role, *password;  /* its login on the data plane; copied */
    bool paused;                  /* nothing runs, rows are refused */
} flow_workspace;

/* Takes a workspace in, or replaces its definition: what runs is stopped, then started anew. [lane] */
status_class flow_put(flow *f, const flow_workspace *w, status *st);
void flow_remove(flow *f, int32_t wid); /* [lane] */
/* Makes the instances of that plugin which tenants make when they need them first, so that a new version can
 * be tried with each. Any thread but the loop's. */
void flow_make_instances(flow *f, const char *plugin_id);
/* After another version of a plugin serves: sources that could not run may be able to now. */
void flow_retry_sources(flow *f);
/* A secret of the workspace has changed: its sources use the new one at once. Any thread but the loop's. */
void flow_secret_changed(flow *f, int32_t wid);
/* Retained; NULL if it does not run here. Wakes a workspace that rests, which takes milliseconds: any thread
 * but the loop's. */
const flow_plan *flow_plan_of(flow *f, int32_t wid);
/* The same, but NULL when it rests. Any thread. */
const flow_plan *flow_plan_awake(flow *f, int32_t wid);

/* ---- rows ---- */

intake *flow_intake(flow *f);
/* Reads rows of any store in key order on the workspace's login: columns of the table, then `_seq`,
 * `_received` … `after` (NULL or a cursor that a page gave back) and `limit` page through; from/to bound the
 * event time (0 = open). *next_out in the arena, NULL at the end. [lane] */
status_class flow_store_rows(flow *f, int32_t wid, const store_query *q, arena *a, metric_result *out,
                             const char **next_out, status *st);

/* Rows of a datastore behind `seq` in the order of `_seq`, with the system columns; *last_out is the last
 * one's (`seq` when there is none). [lane] */
status_class flow_store_since(flow *f, int32_t wid, const char *store, uint64_t seq, uint32_t limit, arena *a,
                              metric_result *out, uint64_t *last_out, status *st);
/* Where a feature- or inferencestore is, and what is new since `id` (NULL = from now on): live_stage.h.
 * [lane] */
status_class flow_store_place(flow *f, int32_t wid, object_class class, const char *key, const char *id,
                              live_place *out, status *st);
/* Who watches what is committed: live.h. */
live_hub *flow_live(flow *f);
/* Visits the workspaces with what this host has booked of each, and how many do not balance. [any thread] */
void flow_each_ledger(flow *f,
                      void (*visit)(void *arg, const char *workspace, const ledger_counts *booked,
                                    bool wrong),
                      void *arg);
/* Dead letters were thrown away: rows among them that kill plugins are tried again. */
void flow_letters_purged(flow *f, int32_t wid);

/* ---- questions ---- */

/* [lane] `as_of_us` of the request is for alerts; leave it 0. */
status_class flow_metric_run(flow *f, int32_t wid, const char *metric, const metric_request *q, arena *a,
                             metric_result *out, const defined_metric **defined_out,
                             const flow_plan **plan_out,
                             status *st); /* *plan_out keeps *defined_out alive: release it */

/* What the workspace does now: stores with freshness, backlog and problems, sources, models, alerts. A new
 * reference. [lane] */
json_t *flow_status(flow *f, int32_t wid);
/* What holds the workspace's rows up now: why_slow.h. Another workspace is named when `sees` allows it. A new
 * reference; NULL = it does not run here. [lane] */
json_t *flow_why_slow(flow *f, int32_t wid, bool (*sees)(void *arg, int32_t wid), void *arg);
/* Somebody accepts that rows are lost: of journals that are missing, and where the database stands before
 * what the journal has. What was held goes on. [lane], one at a time */
typedef struct flow_adoption {
    unsigned journals, streams; /* given up; stopped streams that go on */
} flow_adoption;
status_class flow_adopt_journal(flow *f, flow_adoption *out, status *st);

/* The host: journal, writers, plugins' instances, workspaces. A new reference. */
json_t *flow_host_status(flow *f);
status_class flow_source_pause(flow *f, int32_t wid, const char *connector, bool paused, status *st);

/* The same of a sink. */
json_t *flow_sink_status(flow *f, int32_t wid, const char *sink);
status_class flow_sink_pause(flow *f, int32_t wid, const char *sink, bool paused, status *st);
/* See tenant.h. [lane] */
status_class flow_sink_rewind(flow *f, int32_t wid, const char *sink, int64_t since_us, sink_rewound *out,
                              status *st);

/* A request from outside for that connector; see hook.h. When it is refused here (`st`), `done` is not
 * called. */
status_class flow_hook(flow *f, int32_t wid, const char *connector, const instance_request *q, hook_done done,
                       void *arg, status *st);

/* Trials of a connector's configuration, which need not be saved: trial.h. `connector` is borrowed. [lane] */
status_class flow_check(flow *f, int32_t wid, const defined_connector *connector, json_t **out, status *st);
status_class flow_discover(flow *f, int32_t wid, const defined_connector *connector, json_t **out,
                           status *st);

/* ---- work that is asked for ---- */

/* Every instance of that plugin that is in quarantine, or held back, gets another chance at once. Returns how
 * many instances there are. [lane] */
unsigned flow_retry_plugin(flow *f, const char *plugin_id);

typedef void (*flow_done)(void *arg, const json_t *result,
                          const status *st); /* result NULL on failure; on the lane */
typedef enum demand_kind {
    DEMAND_BACKFILL,
    DEMAND_PAUSE_BUILD,
    DEMAND_RESUME_BUILD,
    DEMAND_RETENTION, /* what it would remove: an array, changes nothing */
    DEMAND_EXPIRE,    /* run it now */
} demand_kind;
typedef struct flow_demand {
    demand_kind kind;
    const char *featurestore;
    int64_t from_us, to_us; /* of a backfill; 0 = open */
} flow_demand;
/* Notes what is asked for; the workspace's lane does it. *out is what there is to show (a new reference) or
 * NULL. [lane] */
status_class flow_ask(flow *f, int32_t wid, const flow_demand *demand, json_t **out, status *st);
/* Brings the features up to date, trains, promotes, scores. */
status_class flow_train(flow *f, int32_t wid, const char *model, const char *actor, flow_done done, void *arg,
                        status *st);
/* Refreshes features and scores now, whatever the schedule says. */
status_class flow_refresh(flow *f, int32_t wid, flow_done done, void *arg, status *st);

/* True when the journal works and the data plane answers; else the reason. Fast, no I/O. */
bool flow_ready(flow *f, status *st);
/* Figures for /metrics. */
journal_stats flow_journal_stats(flow *f);
journal_backlog flow_backlog(flow *f);
journal_backlog flow_backlog_of(flow *f, int32_t wid, const char *store); /* what waits in the journal */
writer_figures flow_writer_figures(flow *f);
uint32_t flow_workspaces(flow *f);
uint32_t flow_workspaces_resting(flow *f); /* of them */
/* Every connector of every workspace; `visit` must not call the flow. */
void flow_each_source(flow *f,
                      void (*visit)(void *arg, const char *workspace, const char *connector,
                                    source_state state),
                      void *arg);
/* The same with every sink. */
typedef void (*sink_visit)(void *arg, const char *workspace, const char *sink, const sink_look *look);
void flow_each_sink(flow *f, sink_visit visit, void *arg);
#endif
