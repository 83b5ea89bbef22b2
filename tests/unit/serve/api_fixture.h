/* An API server over sockets for tests of the resources: a real router, real plans, a real journal; the rest
 * of the flow is played here. Each test program includes it once. */
#ifndef PENSTOCK_TESTS_API_FIXTURE_H
#define PENSTOCK_TESTS_API_FIXTURE_H
#include "support/check.h"

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/batch_builder.h"
#include "config/yaml_tree.h"
#include "raw_client.h"
#include "serve/job_desk.h"
#include "serve/resources.h"
#include "serve/router.h"
#include "serve/services.h"

typedef struct fixture {
    loop *loop;
    lane_pool *pool;
    route_table *table;
    router *router;
    uint16_t port;
    pthread_t thread;
    services services;
    const flow_plan *plan;
    char *folder;
    journal *journal;
    waiter_table *waiters;
    intake *intake;
    live_hub *live;
    yaml_tree *yaml;
    atomic_uint pages;
    atomic_uint secrets_changed; /* flow_secret_changed was told so often */
    char asked_params[256];
    const char *key_header; /* of every request */
} fixture;
static fixture f;

/* ---- the flow's part ---- */

const flow_plan *flow_plan_of(flow *fl, int32_t wid)
{
    (void)fl;
    return f.plan && wid == f.plan->wid ? flow_plan_retain(f.plan) : NULL;
}

const flow_plan *flow_plan_awake(flow *fl, int32_t wid)
{
    return flow_plan_of(fl, wid);
}

intake *flow_intake(flow *fl)
{
    (void)fl;
    return f.intake;
}

void flow_secret_changed(flow *fl, int32_t wid)
{
    (void)fl, (void)wid;
    atomic_fetch_add(&f.secrets_changed, 1);
}

void flow_letters_purged(flow *fl, int32_t wid)
{
    (void)fl, (void)wid;
}

/* Three rows of the datastore `d` are under way. */
journal_backlog flow_backlog_of(flow *fl, int32_t wid, const char *store)
{
    (void)fl, (void)wid;
    return (journal_backlog){.rows = strcmp(store, "d") == 0 ? 3 : 0};
}

live_hub *flow_live(flow *fl)
{
    (void)fl;
    return f.live;
}

status_class flow_store_since(flow *fl, int32_t wid, const char *store, uint64_t seq, uint32_t limit,
                              arena *a, metric_result *out, uint64_t *last_out, status *st);

json_t *flow_why_slow(flow *which, int32_t wid, bool (*sees)(void *arg, int32_t wid), void *arg)
{
    (void)which, (void)wid;
    return json_pack("{s:s, s:s, s:[], s:{}, s:{s:b}}", "workspace", "pumps", "verdict",
                     "nothing holds its rows up", "reasons", "waiting", "writers", "seen", sees(arg, wid));
}

json_t *flow_status(flow *fl, int32_t wid)
{
    (void)fl, (void)wid;
    return json_pack("{s:s,s:[{s:s,s:s,s:i,s:s,s:f,s:i,s:i,s:s},{s:s,s:s,s:i}],s:[{s:s,s:s,s:i}],s:[]}",
                     "state", "running", "stores", "class", "datastore", "key", "readings", "rows", 12,
                     "newest", "2026-01-02T03:04:05Z", "age_seconds", 0.97, "waiting", 0, "bytes", 8192,
                     "state", "fresh", "class", "datastore", "key", "d", "backlog_rows", 3, "sources", "key",
                     "rig", "state", "ok", "rows_read", 4, "alerts");
}

static const char *const names[] = {"device", "n"};

static inline void fill(metric_result *out, arena *a, const char *device, int64_t n)
{
    const column_type types[] = {COLUMN_TEXT, COLUMN_INTEGER};
    (void)a;
    out->builder = batch_builder_create(types, 2);
    batch_builder_text(out->builder, 0, device, strlen(device));
    batch_builder_int64(out->builder, 1, n);
    batch_builder_end_row(out->builder);
    out->rows = batch_builder_freeze(out->builder);
    out->names = names;
}

/* One row, `_seq` 5: the past. */
status_class flow_store_since(flow *fl, int32_t wid, const char *store, uint64_t seq, uint32_t limit,
                              arena *a, metric_result *out, uint64_t *last_out, status *st)
{
    (void)fl, (void)wid, (void)store, (void)limit, (void)st;
    static const char *const past_names[] = {"device", "_seq"};
    *last_out = seq;
    if (seq >= 5)
        return STATUS_OK;
    fill(out, a, "past", 5);
    out->names = past_names;
    *last_out = 5;
    return STATUS_OK;
}

status_class flow_store_place(flow *fl, int32_t wid, object_class class, const char *key, const char *id,
                              live_place *out, status *st)
{
    (void)fl, (void)wid, (void)class, (void)key, (void)id, (void)st;
    *out = (live_place){.id = "9-2-3", .since = "8"};
    return STATUS_OK;
}

/* Two pages of one row. */
status_class flow_store_rows(flow *fl, int32_t wid, const store_query *q, arena *a, metric_result *out,
                             const char **next_out, status *st)
{
    (void)fl, (void)wid;
    f.pages++;
    if (q->from_us == 1000000)
        return status_set(st, STATUS_UNAVAILABLE, "the data plane is away");
    fill(out, a, q->after ? "b,\"" : "a", 9007199254740993);
    *next_out = q->after ? NULL : arena_string(a, "after a");
    return STATUS_OK;
}

status_class flow_metric_run(flow *fl, int32_t wid, const char *metric, const metric_request *q, arena *a,
                             metric_result *out, const defined_metric **defined_out,
                             const flow_plan **plan_out, status *st)
{
    (void)fl;
    const flow_plan *plan = flow_plan_of(fl, wid);
    const metric_plan *m = flow_plan_metric(plan, metric);
    if (!m) {
        flow_plan_release(plan);
        return status_set(st, STATUS_NOT_FOUND, "there is no metric %s", metric);
    }
    char *params = json_dumps(q->params, JSON_SORT_KEYS | JSON_COMPACT);
    snprintf(f.asked_params, sizeof f.asked_params, "%s", params ? params : "null");
    free(params);
    if (json_object_get(q->params, "color")) {
        flow_plan_release(plan);
        return status_at(st, STATUS_INVALID, "/color", "metric pressure has no parameter color");
    }
    fill(out, a, "a", 5);
    *defined_out = m->defined;
    *plan_out = plan;
    return STATUS_OK;
}

typedef struct flow_calls {
    unsigned puts, removes;
    bool paused;
    int32_t wid;
} flow_calls;
static flow_calls calls;

status_class flow_put(flow *fl, const flow_workspace *w, status *st)
{
    (void)fl;
    const flow_plan *plan;
    status_class class = flow_plan_create(w->definition, 0, &plan, st);
    if (class != STATUS_OK)
        return class;
    flow_plan_release(f.plan);
    f.plan = plan;
    calls.puts++;
    calls.wid = w->definition->wid;
    calls.paused = w->paused;
    return STATUS_OK;
}

void flow_remove(flow *fl, int32_t wid)
{
    (void)fl, (void)wid;
    calls.removes++;
}

unsigned flow_retry_plugin(flow *fl, const char *plugin_id)
{
    (void)fl, (void)plugin_id;
    return 0;
}

status_class flow_train(flow *fl, int32_t wid, const char *model, const char *actor, flow_done done,
                        void *arg, status *st)
{
    (void)fl, (void)wid, (void)actor;
    if (strcmp(model, "none") == 0)
        return status_set(st, STATUS_NOT_FOUND, "there is no model none");
    json_t *result = json_pack("{s:i}", "version", 1);
    done(arg, result, st);
    json_decref(result);
    return STATUS_OK;
}

status_class flow_refresh(flow *fl, int32_t wid, flow_done done, void *arg, status *st)
{
    (void)fl, (void)wid;
    json_t *result = json_object();
    done(arg, result, st);
    json_decref(result);
    return STATUS_OK;
}

bool flow_ready(flow *fl, status *st)
{
    (void)fl, (void)st;
    return true;
}

status_class flow_adopt_journal(flow *fl, flow_adoption *out, status *st)
{
    (void)fl;
    (void)st;
    *out = (flow_adoption){.journals = 1};
    return STATUS_OK;
}

json_t *flow_host_status(flow *fl)
{
    (void)fl;
    return json_pack("{s:{s:i}}", "journal", "waiting_rows", 0);
}

status_class flow_ask(flow *f, int32_t wid, const flow_demand *demand, json_t **out, status *st)
{
    (void)f;
    (void)wid;
    if (demand->kind == DEMAND_PAUSE_BUILD)
        return status_set(st, STATUS_NOT_FOUND, "nothing of featurestore %s is being built",
                          demand->featurestore);
    *out = demand->kind == DEMAND_RETENTION ? json_array() : json_pack("{s:s, s:n}", "key", "k", "build");
    return STATUS_OK;
}

status_class flow_source_pause(flow *fl, int32_t wid, const char *connector, bool paused, status *st)
{
    (void)fl, (void)wid, (void)paused;
    return status_set(st, STATUS_NOT_FOUND, "there is no connector %s", connector);
}

json_t *flow_sink_status(flow *fl, int32_t wid, const char *sink)
{
    (void)fl, (void)wid, (void)sink;
    return NULL;
}

status_class flow_sink_pause(flow *fl, int32_t wid, const char *sink, bool paused, status *st)
{
    (void)fl, (void)wid, (void)paused;
    return status_set(st, STATUS_NOT_FOUND, "there is no sink %s", sink);
}

status_class flow_sink_rewind(flow *fl, int32_t wid, const char *sink, int64_t since_us, sink_rewound *out,
                              status *st)
{
    (void)fl, (void)wid, (void)since_us, (void)out;
    return status_set(st, STATUS_NOT_FOUND, "there is no sink %s", sink);
}

status_class flow_hook(flow *fl, int32_t wid, const char *connector, const instance_request *q,
                       hook_done done, void *arg, status *st)
{
    (void)fl, (void)wid, (void)q, (void)done, (void)arg;
    return status_set(st, STATUS_NOT_FOUND, "there is no connector %s", connector);
}

status_class flow_check(flow *fl, int32_t wid, const defined_connector *connector, json_t **out, status *st)
{
    (void)fl, (void)wid;
    if (strcmp(connector->plugin, "org.example.away") == 0)
        return status_set(st, STATUS_UNAVAILABLE, "the far side is away");
    *out = json_pack("{s:b, s:[], s:[], s:i, s:n}", "checked", 1, "rows", "rejects", "took_ms", 1, "note");
    return STATUS_OK;
}

status_class flow_discover(flow *fl, int32_t wid, const defined_connector *connector, json_t **out,
                           status *st)
{
    (void)fl, (void)wid;
    return flow_check(fl, wid, connector, out, st);
}

/* ---- set-up ---- */

static inline bool make_plan(const char *template_yaml, status *st)
{
    const definition *d = NULL;
    if (yaml_tree_parse("small.yaml", template_yaml, strlen(template_yaml), &f.yaml, st))
        return false;
    const definition_source source = {.template_body = yaml_tree_root(f.yaml),
                                      .wid = 7,
                                      .workspace = "plant-a",
                                      .workspace_id = "ws_01",
                                      .generation = 1};
    status_class class = definition_make(&source, &d, st);
    if (!class)
        class = flow_plan_create(d, 0, &f.plan, st);
    definition_release(d);
    return class == STATUS_OK;
}

static inline bool make_journal(status *st)
{
    f.folder = test_folder();
    char path[512];
    snprintf(path, sizeof path, "%s/journal", f.folder);
    journal_settings settings = {.folder = path, .size_bytes = 8 << 20};
    if (journal_open(&settings, &f.journal, st))
        return false;
    f.waiters = waiter_table_create();
    f.intake = intake_create(f.journal, f.waiters, 2);
    return true;
}

static inline bool serve(const auth_source *auth, const idempotency_store *kept, status *st)
{
    f.loop = loop_create();
    f.pool = lane_pool_create(4);
    f.live = live_create(f.pool, f.journal, 2);
    f.table = route_table_create();
    routes_openapi(f.table);
    routes_resources(f.table);
    router_config config = {
        .loop = f.loop, .lanes = f.pool, .table = f.table, .auth = *auth, .services = &f.services};
    if (kept)
        config.idempotency = *kept;
    return !router_create(&config, &f.router, st) &&
           !router_listen(f.router, &(http_listener){0}, true, &f.port, st);
}

static inline void *run_loop(void *arg)
{
    loop_run(arg);
    return NULL;
}

static inline int start(void)
{
    return pthread_create(&f.thread, NULL, run_loop, f.loop);
}

static inline void on_drained(void *arg)
{
    router_free(f.router);
    loop_stop(arg);
}

static inline void drain(void *arg)
{
    live_stop(f.live);
    router_drain(f.router, 300, on_drained, arg);
}

static inline void stop(void)
{
    loop_post(f.loop, drain, f.loop);
    pthread_join(f.thread, NULL);
    job_desk_free(f.services.jobs);
    live_free(f.live);
    lane_pool_free(f.pool);
    loop_free(f.loop);
    route_table_free(f.table);
    intake_free(f.intake);
    journal_close(f.journal);
    waiter_table_free(f.waiters);
    flow_plan_release(f.plan);
    yaml_tree_free(f.yaml);
    directory_free(f.services.directory);
    hook_book_free(f.services.hooks);
    test_folder_remove(f.folder);
}

/* Workspace 7, "plant-a" or "ws_01", with the stores of a template and without a database. `verify` says who
 * a key is; `key_header` goes along with every request. */
static inline status_class find_workspace(void *self, const char *name, int64_t *wid, status *st)
{
    *wid = directory_find(self, name);
    return *wid ? STATUS_OK : status_set(st, STATUS_NOT_FOUND, "workspace %s", name);
}

static inline int start_plant(const char *template_yaml, const char *key_header,
                              status_class (*verify)(void *, const char *, principal *, status *))
{
    status st;
    auth_source auth = {.key_verify = verify, .workspace_find = find_workspace};
    memset(&f, 0, sizeof f);
    f.services.directory = auth.self = directory_create();
    f.services.hooks = hook_book_create();
    f.services.version = "1.2.3";
    f.key_header = key_header;
    directory_put(f.services.directory, &(directory_entry){7, "plant-a", "ws_01", false});
    if (!make_plan(template_yaml, &st) || !make_journal(&st) || !serve(&auth, NULL, &st)) {
        fprintf(stderr, "%s: %s\n", st.where, st.text);
        return -1;
    }
    return start();
}

static inline int teardown(void **state)
{
    (void)state;
    stop();
    return 0;
}

static inline int ask_bytes(const char *line, const char *head, const void *body, size_t len, text *out)
{
    int fd = raw_connect(f.port);
    text request = {0};
    text_printf(&request, "%s HTTP/1.1\r\nHost: a\r\n%s%s", line, f.key_header, head);
    if (body)
        text_printf(&request, "Content-Length: %zu\r\n", len);
    text_add(&request, "\r\n");
    raw_send(fd, request.data, request.len);
    if (body)
        raw_send(fd, body, len);
    int code = raw_answer(fd, out, 5000);
    close(fd);
    text_free(&request);
    return code;
}

static inline int ask(const char *line, const char *head, const char *body, text *out)
{
    return ask_bytes(line, head, body, body ? strlen(body) : 0, out);
}

static inline json_t *document_of(const text *out)
{
    json_error_t error;
    json_t *v = json_loads(raw_body(out), 0, &error);
    if (!v)
        fail_msg("%s in %s", error.text, raw_body(out));
    return v;
}

static inline json_int_t number(const json_t *v, const char *name)
{
    return json_integer_value(json_object_get(v, name));
}

static inline const char *word(const json_t *v, const char *name)
{
    const char *s = json_string_value(json_object_get(v, name));
    return s ? s : "(none)";
}
#endif
