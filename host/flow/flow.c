#include "flow/flow.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/disk.h"
#include "base/log.h"
#include "base/utc.h"
#include "flow/ledger_watch.h"
#include "flow/live.h"
#include "flow/lost_journal.h"
#include "flow/store_rows.h"
#include "flow/tenant.h"
#include "flow/trial.h"
#include "flow/waiter.h"
#include "flow/why_slow.h"

enum { WRITERS_DEFAULT = 2, WRITERS_MAX = 16, TICK_MS = 100, SINK_THREADS = 8 };

struct flow {
    flow_parts parts;
    char models_folder[PATH_MAX];
    journal *journal;
    intake *intake;
    waiter_table *waiters;
    live_hub *live;
    lane_pool *sink_lanes;
    ledger_watch *ledgers;
    partition_cache *partitions;
    unsigned n_writers;
    writer *writers[WRITERS_MAX];
    atomic_bool writing;
    lost_journal lost;
    atomic_bool held; /* a journal is missing: no writer works and no source is read */
    timer *tick;
    pthread_mutex_t lock;
    tenant **tenants; /* by wid; under the lock */
    uint32_t n_tenants, cap_tenants;
    bool started;
};

/* ---- tenants ---- */

/* *at_out is where it stands, or belongs. */
static tenant *find_locked(flow *f, int32_t wid, uint32_t *at_out)
{
    uint32_t low = 0, high = f->n_tenants;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (tenant_plan(f->tenants[middle])->wid < wid)
            low = middle + 1;
        else
            high = middle;
    }
    *at_out = low;
    return low < f->n_tenants && tenant_plan(f->tenants[low])->wid == wid ? f->tenants[low] : NULL;
}

static tenant *tenant_of(flow *f, int32_t wid, status *st)
{
    uint32_t at;
    pthread_mutex_lock(&f->lock);
    tenant *t = find_locked(f, wid, &at);
    if (t)
        tenant_retain(t);
    pthread_mutex_unlock(&f->lock);
    if (!t && st)
        status_set(st, STATUS_NOT_FOUND, "workspace %d does not run on this host", wid);
    return t;
}

const flow_plan *flow_plan_of(flow *f, int32_t wid)
{
    tenant *t = tenant_of(f, wid, NULL);
    const flow_plan *plan = t ? flow_plan_retain(tenant_plan(t)) : NULL;
    tenant_release(t);
    return plan;
}

/* Puts `t` where a tenant of its workspace stood (which is given back) or belongs. */
static tenant *table_put(flow *f, tenant *t)
{
    uint32_t at;
    pthread_mutex_lock(&f->lock);
    tenant *old = find_locked(f, tenant_plan(t)->wid, &at);
    if (old) {
        f->tenants[at] = t;
    } else {
        if (f->n_tenants == f->cap_tenants) {
            f->cap_tenants = f->cap_tenants ? f->cap_tenants * 2 : 16;
            f->tenants = memory_grow(f->tenants, f->cap_tenants * sizeof(tenant *));
        }
        memmove(&f->tenants[at + 1], &f->tenants[at], (f->n_tenants++ - at) * sizeof(tenant *));
        f->tenants[at] = t;
    }
    pthread_mutex_unlock(&f->lock);
    return old;
}

status_class flow_put(flow *f, const flow_workspace *w, status *st)
{
    tenant_parts parts = {&f->parts,        f->intake, f->journal,   f->partitions,
                          f->models_folder, f->live,   f->sink_lanes};
    tenant *t, *running = tenant_of(f, w->definition->wid, NULL);
    status_class class = tenant_create(&parts, w, &t, st);
    if (class != STATUS_OK) {
        tenant_release(running);
        return status_wrap(st, "workspace %s", w->definition->workspace);
    }
    if (running)
        tenant_stop(running); /* its sources are closed before the new ones open */
    tenant_release(running);
    tenant *old = table_put(f, t);
    tenant_release(old);
    for (unsigned i = 0; i < f->n_writers && atomic_load(&f->writing); i++)
        writer_barrier(
            f->writers[i]); /* what was written under the old plan is there before the new one looks */
    if (f->started)
        tenant_start(t);
    return STATUS_OK;
}

void flow_remove(flow *f, int32_t wid)
{
    uint32_t at;
    pthread_mutex_lock(&f->lock);
    tenant *t = find_locked(f, wid, &at);
    if (t)
        memmove(&f->tenants[at], &f->tenants[at + 1], (--f->n_tenants - at) * sizeof(tenant *));
    pthread_mutex_unlock(&f->lock);
    if (t)
        tenant_stop(t);
    tenant_release(t);
}

/* Retained; the caller releases each and frees the list. */
static tenant **all_tenants(flow *f, uint32_t *n_out)
{
    pthread_mutex_lock(&f->lock);
    uint32_t n = f->n_tenants;
    tenant **all = memory_zero(n + 1, sizeof(tenant *));
    for (uint32_t i = 0; i < n; i++)
        all[i] = tenant_retain(f->tenants[i]);
    pthread_mutex_unlock(&f->lock);
    *n_out = n;
    return all;
}

void flow_make_instances(flow *f, const char *plugin_id)
{
    uint32_t n;
    tenant **all = all_tenants(f, &n);
    for (uint32_t i = 0; i < n; i++) {
        tenant_make_instances(all[i], plugin_id);
        tenant_release(all[i]);
    }
    free(all);
}

void flow_retry_sources(flow *f)
{
    uint32_t n;
    tenant **all = all_tenants(f, &n);
    for (uint32_t i = 0; i < n; i++) {
        tenant_retry_sources(all[i]);
        tenant_release(all[i]);
    }
    free(all);
}

void flow_secret_changed(flow *f, int32_t wid)
{
    tenant *t = tenant_of(f, wid, NULL);
    if (t)
        tenant_renew_sources(t);
    tenant_release(t);
}

/* ---- writers ---- */

static writer_plan plan_for_writer(void *arg, uint32_t wid, const flow_plan **out)
{
    *out = flow_plan_of(arg, (int32_t)wid);
    return *out ? WRITER_PLAN_READY : WRITER_PLAN_LATER;
}

/* On the journal's commit thread. */
static void on_appended(void *arg, uint32_t stream)
{
    flow *f = arg;
    journal_stream s;
    if (atomic_load(&f->writing) && journal_stream_get(f->journal, stream, &s))
        writer_wake(f->writers[s.shard % f->n_writers], &s);
}

static void on_committed(void *arg, const write_record *record)
{
    flow *f = arg;
    uint32_t at;
    live_push(f->live, record);
    pthread_mutex_lock(&f->lock);
    tenant *t = find_locked(f, (int32_t)record->record->wid, &at);
    if (t)
        tenant_stored(t);
    pthread_mutex_unlock(&f->lock);
    if (record->store || strcmp(record->record->store, JOURNAL_STORE_UNKNOWN) == 0) {
        ledger_counts counts = write_record_counts(record);
        ledger_watch_book(f->ledgers, (int32_t)record->record->wid, &counts);
    }
}

static void start_writers(flow *f)
{
    for (unsigned i = 0; i < f->n_writers; i++) {
        writer_parts parts = {.journal = f->journal,
                              .data = f->parts.data,
                              .partitions = f->partitions,
                              .waiters = f->waiters,
                              .plan_of = plan_for_writer,
                              .on_committed = on_committed,
                              .arg = f,
                              .letters = f->parts.letters,
                              .number = i,
                              .of = f->n_writers};
        f->writers[i] = writer_start(&parts);
    }
    atomic_store(&f->writing, true);
    /* what was appended while they started */
    arena *a = arena_create(0);
    const journal_stream *streams;
    size_t n = journal_streams(f->journal, true, a, &streams);
    for (size_t i = 0; i < n; i++)
        writer_wake(f->writers[streams[i].shard % f->n_writers], &streams[i]);
    arena_free(a);
}

/* ---- life ---- */

static journal_owner owner_of(const flow *f)
{
    return (journal_owner){.data = f->parts.data,
                           .incarnation = journal_incarnation(f->journal),
                           .stack = f->parts.stack_id,
                           .host = f->parts.host_name};
}

static status_class look_for_lost(flow *f, status *st)
{
    journal_owner owner = owner_of(f);
    status_class class = lost_journal_look(&owner, &f->lost, st);
    atomic_store(&f->held, class == STATUS_OK && f->lost.n > 0);
    if (class == STATUS_OK && f->lost.n > 0)
        log_error(
            "flow",
            "an earlier journal of this host is missing: rows that were acknowledged may be lost, nothing is "
            "written until `penstock journal adopt`",
            LOG_TEXT("incarnation", f->lost.newest), LOG_TEXT("made", f->lost.made));
    return class;
}

static status_class open_journal(flow *f, status *st)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s/journal", f->parts.state_folder);
    journal_settings settings = {.folder = folder,
                                 .size_bytes = f->parts.journal_bytes,
                                 .keep_free = f->parts.journal_keep_free,
                                 .store_bytes = f->parts.store_bytes,
                                 .on_appended = on_appended,
                                 .arg = f};
    return journal_open(&settings, &f->journal, st);
}

static ledger_subject *ledger_subjects(void *arg, uint32_t *n_out)
{
    tenant **all = all_tenants(arg, n_out);
    ledger_subject *out = memory_zero(*n_out + 1, sizeof *out);
    for (uint32_t i = 0; i < *n_out; i++) {
        const definition *d = tenant_plan(all[i])->definition;
        out[i].wid = d->wid;
        snprintf(out[i].workspace, sizeof out[i].workspace, "%s", d->workspace);
        tenant_release(all[i]);
    }
    free(all);
    return out;
}

status_class flow_create(const flow_parts *parts, flow **out, status *st)
{
    flow *f = memory_zero(1, sizeof *f);
    f->parts = *parts;
    f->n_writers = parts->writers ? parts->writers : WRITERS_DEFAULT;
    f->n_writers = f->n_writers > WRITERS_MAX ? WRITERS_MAX : f->n_writers;
    snprintf(f->models_folder, sizeof f->models_folder, "%s/models", parts->state_folder);
    pthread_mutex_init(&f->lock, NULL);
    status_class class = open_journal(f, st);
    atomic_store(&f->held, !parts->data);
    if (class == STATUS_OK && parts->data)
        class = look_for_lost(f, st);
    if (class != STATUS_OK) {
        flow_free(f);
        return class;
    }
    f->waiters = waiter_table_create();
    f->partitions = partition_cache_create();
    f->intake = intake_create(f->journal, f->waiters, f->n_writers);
    f->ledgers = ledger_watch_create(&(ledger_watch_parts){.data = &f->parts.data,
                                                           .lanes = parts->lanes,
                                                           .every_us = parts->ledger_every_us,
                                                           .subjects = ledger_subjects,
                                                           .arg = f});
    f->live = live_create(parts->lanes, f->journal, f->n_writers);
    f->sink_lanes = lane_pool_create(SINK_THREADS);
    *out = f;
    return STATUS_OK;
}

static void on_tick(void *arg)
{
    flow *f = arg;
    int64_t now_us = clock_wall_us();
    waiter_expire(f->waiters, clock_monotonic_us());
    live_tick(f->live, clock_monotonic_us());
    if (!f->started)
        return;
    ledger_watch_tick(f->ledgers, now_us);
    pthread_mutex_lock(&f->lock);
    for (uint32_t i = 0; i < f->n_tenants; i++)
        tenant_tick(f->tenants[i], now_us, !atomic_load(&f->held));
    pthread_mutex_unlock(&f->lock);
}

void flow_start(flow *f)
{
    if (!atomic_load(&f->held))
        start_writers(f);
    pthread_mutex_lock(&f->lock);
    f->started = true;
    for (uint32_t i = 0; i < f->n_tenants; i++)
        tenant_start(f->tenants[i]);
    pthread_mutex_unlock(&f->lock);
    flow_accept(f);
}

void flow_accept(flow *f)
{
    if (!f->tick)
        f->tick = timer_start(f->parts.loop, TICK_MS, true, on_tick, f);
}

status_class flow_attach(flow *f, pool *data, pool *control, status *st)
{
    f->parts.data = data;
    f->parts.control = control;
    return look_for_lost(f, st);
}

void flow_dismiss(flow *f)
{
    waiter_expire(f->waiters, INT64_MAX);
    live_stop(f->live);
}

void flow_stop(flow *f)
{
    timer_stop(f->tick);
    f->tick = NULL;
    ledger_watch_stop(f->ledgers);
    for (uint32_t i = 0; i < f->n_tenants; i++)
        tenant_stop(f->tenants[i]);
    atomic_store(&f->writing, false);
    for (unsigned i = 0; i < f->n_writers; i++) {
        writer_stop(f->writers[i]);
        f->writers[i] = NULL;
    }
}

void flow_free(flow *f)
{
    if (!f)
        return;
    for (uint32_t i = 0; i < f->n_tenants; i++)
        tenant_release(f->tenants[i]);
    free(f->tenants);
    lane_pool_free(f->sink_lanes);
    live_free(f->live);
    ledger_watch_free(f->ledgers);
    journal_close(f->journal);
    waiter_table_free(f->waiters);
    intake_free(f->intake);
    partition_cache_free(f->partitions);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

intake *flow_intake(flow *f)
{
    return f->intake;
}

/* ---- questions ---- */

status_class flow_store_rows(flow *f, int32_t wid, const store_query *q, arena *a, metric_result *out,
                             const char **next_out, status *st)
{
    connection *c = NULL;
    *out = (metric_result){0};
    *next_out = NULL;
    tenant *t = tenant_of(f, wid, st);
    if (!t)
        return st->class;
    const store_table *table = flow_plan_table(tenant_plan(t), q->class, q->key);
    status_class class =
        table ? tenant_borrow(t, &c, st)
              : status_set(st, STATUS_NOT_FOUND, "there is no %s %s", class_name(q->class), q->key);
    if (class == STATUS_OK)
        class = store_rows_read(table, c, q, a, out, next_out, st);
    pool_return(f->parts.data, c);
    tenant_release(t);
    return class;
}

status_class flow_store_since(flow *f, int32_t wid, const char *store, uint64_t seq, uint32_t limit, arena *a,
                              metric_result *out, uint64_t *last_out, status *st)
{
    connection *c = NULL;
    *out = (metric_result){0};
    tenant *t = tenant_of(f, wid, st);
    if (!t)
        return st->class;
    const datastore_plan *d = flow_plan_datastore(tenant_plan(t), store);
    status_class class =
        d ? tenant_borrow(t, &c, st) : status_set(st, STATUS_NOT_FOUND, "there is no datastore %s", store);
    if (class == STATUS_OK)
        class = store_rows_since(&d->table, c, seq, limit, a, out, last_out, st);
    pool_return(f->parts.data, c);
    tenant_release(t);
    return class;
}

status_class flow_store_place(flow *f, int32_t wid, object_class class, const char *key, const char *id,
                              live_place *out, status *st)
{
    connection *c = NULL;
    tenant *t = tenant_of(f, wid, st);
    if (!t)
        return st->class;
    const store_table *table = flow_plan_table(tenant_plan(t), class, key);
    status_class ret = table ? tenant_borrow(t, &c, st)
                             : status_set(st, STATUS_NOT_FOUND, "there is no %s %s", class_name(class), key);
    if (ret == STATUS_OK)
        ret = live_stage_place(c, table, id, out, st);
    pool_return(f->parts.data, c);
    tenant_release(t);
    return ret;
}

live_hub *flow_live(flow *f)
{
    return f->live;
}

void flow_letters_purged(flow *f, int32_t wid)
{
    tenant *t = tenant_of(f, wid, NULL);
    if (t)
        poison_ward_forget(tenant_ward(t));
    tenant_release(t);
}

static status_class run_metric(flow *f, tenant *t, const metric_plan *m, const metric_request *q, arena *a,
                               metric_result *out, status *st)
{
    connection *c;
    instance *engine = m->defined->plugin ? tenant_engine(t, m->defined->object.key, st) : NULL;
    if (m->defined->plugin && !engine)
        return st->class;
    status_class class = tenant_borrow(t, &c, st);
    if (class != STATUS_OK)
        return class;
    metric_request limited = *q;
    limited.rows_max = f->parts.query_rows;
    limited.ward = tenant_ward(t);
    class = connection_set_timeout(
        c, f->parts.query_timeout_ms ? f->parts.query_timeout_ms : METRIC_TIMEOUT_MS, st);
    if (class == STATUS_OK)
        class = metric_run(m, c, engine, &limited, a, out, st);
    pool_return(f->parts.data, c);
    return class;
}

status_class flow_metric_run(flow *f, int32_t wid, const char *metric, const metric_request *q, arena *a,
                             metric_result *out, const defined_metric **defined_out,
                             const flow_plan **plan_out, status *st)
{
    *out = (metric_result){0};
    tenant *t = tenant_of(f, wid, st);
    if (!t)
        return st->class;
    const metric_plan *m = flow_plan_metric(tenant_plan(t), metric);
    status_class class = m ? run_metric(f, t, m, q, a, out, st)
                           : status_set(st, STATUS_NOT_FOUND, "there is no metric %.60s", metric);
    if (class == STATUS_OK && m) {
        *defined_out = m->defined;
        *plan_out = flow_plan_retain(tenant_plan(t));
    }
    tenant_release(t);
    return class;
}

static json_t *ledger_status(flow *f, int32_t wid)
{
    char minute[UTC_TEXT_SIZE];
    ledger_finding found;
    if (!ledger_watch_find(f->ledgers, wid, &found))
        return json_pack("{s:b}", "balanced", 1);
    utc_format(found.minute_us, minute);
    return json_pack("{s:b, s:I, s:s, s:s, s:I}", "balanced", 0, "minutes", (json_int_t)found.minutes,
                     "store", found.store, "minute", minute, "difference", (json_int_t)found.difference);
}

json_t *flow_status(flow *f, int32_t wid)
{
    tenant *t = tenant_of(f, wid, NULL);
    json_t *o = t ? tenant_status(t) : NULL;
    if (o)
        json_object_set_new(o, "ledger", ledger_status(f, wid));
    tenant_release(t);
    return o;
}

typedef struct asker {
    flow *flow;
    bool (*sees)(void *arg, int32_t wid);
    void *arg;
    const flow_plan *plan; /* that the name was taken from */
} asker;

static const char *name_for_asker(void *arg, uint32_t wid)
{
    asker *a = arg;
    flow_plan_release(a->plan);
    a->plan = a->sees(a->arg, (int32_t)wid) ? flow_plan_of(a->flow, (int32_t)wid) : NULL;
    return a->plan ? a->plan->definition->workspace : NULL;
}

json_t *flow_why_slow(flow *f, int32_t wid, bool (*sees)(void *arg, int32_t wid), void *arg)
{
    tenant *t = tenant_of(f, wid, NULL);
    if (!t)
        return NULL;
    asker asking = {f, sees, arg, NULL};
    const why_slow_parts parts = {.tenant = t,
                                  .journal = f->journal,
                                  .writers = f->writers,
                                  .n_writers = f->n_writers,
                                  .held = atomic_load(&f->held),
                                  .data = f->parts.data,
                                  .instances = f->parts.instances,
                                  .name_of = name_for_asker,
                                  .arg = &asking};
    json_t *o = why_slow(&parts);
    flow_plan_release(asking.plan);
    tenant_release(t);
    return o;
}

void flow_each_ledger(flow *f,
                      void (*visit)(void *arg, const char *workspace, const ledger_counts *booked,
                                    bool wrong),
                      void *arg)
{
    uint32_t n;
    ledger_finding found;
    ledger_subject *subjects = ledger_subjects(f, &n);
    for (uint32_t i = 0; i < n; i++) {
        ledger_counts booked = ledger_watch_booked(f->ledgers, subjects[i].wid);
        visit(arg, subjects[i].workspace, &booked, ledger_watch_find(f->ledgers, subjects[i].wid, &found));
    }
    free(subjects);
}

json_t *flow_sink_status(flow *f, int32_t wid, const char *sink)
{
    tenant *t = tenant_of(f, wid, NULL);
    json_t *o = t ? tenant_sink_status(t, sink) : NULL;
    tenant_release(t);
    return o;
}

status_class flow_sink_pause(flow *f, int32_t wid, const char *sink, bool paused, status *st)
{
    tenant *t = tenant_of(f, wid, st);
    status_class class = t ? tenant_sink_pause(t, sink, paused, st) : st->class;
    tenant_release(t);
    return class;
}

json_t *flow_source_status(flow *f, int32_t wid, const char *connector)
{
    tenant *t = tenant_of(f, wid, NULL);
    json_t *o = t ? tenant_source_status(t, connector) : NULL;
    tenant_release(t);
    return o;
}

status_class flow_ask(flow *f, int32_t wid, const flow_demand *demand, json_t **out, status *st)
{
    tenant *t = tenant_of(f, wid, st);
    status_class class = t ? tenant_demand(t, demand, out, st) : st->class;
    tenant_release(t);
    return class;
}

status_class flow_source_pause(flow *f, int32_t wid, const char *connector, bool paused, status *st)
{
    tenant *t = tenant_of(f, wid, st);
    status_class class = t ? tenant_source_pause(t, connector, paused, st) : st->class;
    tenant_release(t);
    return class;
}

status_class flow_hook(flow *f, int32_t wid, const char *connector, const instance_request *q, hook_done done,
                       void *arg, status *st)
{
    tenant *t = tenant_of(f, wid, st);
    hook *h = t ? tenant_hook(t, connector, st) : NULL;
    if (h)
        hook_receive(h, q, done, arg);
    hook_release(h);
    tenant_release(t);
    return h ? STATUS_OK : st->class;
}

static status_class try_out(flow *f, int32_t wid, const defined_connector *connector,
                            status_class (*way)(const trial_parts *parts, json_t **out, status *st),
                            json_t **out, status *st)
{
    tenant *t = tenant_of(f, wid, st);
    if (!t)
        return st->class;
    trial_parts parts = {&f->parts, tenant_plan(t), connector};
    status_class class = way(&parts, out, st);
    tenant_release(t);
    return class;
}

status_class flow_check(flow *f, int32_t wid, const defined_connector *connector, json_t **out, status *st)
{
    return try_out(f, wid, connector, trial_check, out, st);
}

status_class flow_discover(flow *f, int32_t wid, const defined_connector *connector, json_t **out, status *st)
{
    return try_out(f, wid, connector, trial_discover, out, st);
}

static void add_instance(const instance_state *s, void *arg)
{
    json_t *sandbox = json_loads(s->sandbox, 0, NULL); /* NULL before the first start */
    json_array_append_new(
        arg, json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:s, s:I, s:s, s:o*}", "workspace",
                       s->workspace, "name", s->name, "plugin", s->plugin_id, "version", s->version,
                       "condition", instance_condition_name(s->condition), "pid", (json_int_t)s->pid, "calls",
                       (json_int_t)s->calls, "failures", (json_int_t)s->failures, "deaths",
                       (json_int_t)s->deaths, "last_death", s->last_death, "denials", (json_int_t)s->denials,
                       "last_denial", s->last_denial, "sandbox", sandbox));
}

json_t *flow_host_status(flow *f)
{
    journal_stats j = journal_stats_get(f->journal);
    journal_backlog waiting = journal_backlog_get(f->journal, 0, NULL);
    writer_figures w = flow_writer_figures(f);
    json_t *instances = json_array();
    plugin_states(f->parts.instances, add_instance, instances);
    return json_pack("{s:{s:I, s:I, s:I, s:I, s:b}, s:{s:I, s:I, s:I, s:I, s:b}, s:I, s:I, s:o}", "journal",
                     "size_bytes", (json_int_t)j.size_bytes, "used_bytes", (json_int_t)j.used_bytes,
                     "waiting_rows", (json_int_t)waiting.rows, "waiting_bytes", (json_int_t)waiting.bytes,
                     "failed", j.failed, "writers", "transactions", (json_int_t)w.transactions, "rows_stored",
                     (json_int_t)w.rows_stored, "rows_duplicate", (json_int_t)w.rows_duplicate,
                     "streams_stopped", (json_int_t)w.streams_stopped, "away", w.away, "ledgers_wrong",
                     (json_int_t)ledger_watch_findings(f->ledgers), "workspaces", (json_int_t)f->n_tenants,
                     "instances", instances);
}

/* ---- work that is asked for ---- */

unsigned flow_retry_plugin(flow *f, const char *plugin_id)
{
    return instance_set_retry(f->parts.instances, plugin_id);
}

status_class flow_train(flow *f, int32_t wid, const char *model, const char *actor, flow_done done, void *arg,
                        status *st)
{
    tenant *t = tenant_of(f, wid, st);
    if (!t)
        return st->class;
    status_class class = flow_plan_model(tenant_plan(t), model)
                             ? STATUS_OK
                             : status_set(st, STATUS_NOT_FOUND, "there is no model %.60s", model);
    if (class == STATUS_OK)
        tenant_train(t, model, actor, done, arg);
    tenant_release(t);
    return class;
}

status_class flow_refresh(flow *f, int32_t wid, flow_done done, void *arg, status *st)
{
    tenant *t = tenant_of(f, wid, st);
    if (!t)
        return st->class;
    tenant_refresh(t, done, arg);
    tenant_release(t);
    return STATUS_OK;
}

bool flow_ready(flow *f, status *st)
{
    if (journal_stats_get(f->journal).failed) {
        status_set(st, STATUS_UNAVAILABLE, "the journal does not work");
        return false;
    }
    if (atomic_load(&f->held)) {
        status_set(st, STATUS_UNAVAILABLE,
                   "the journal of %s is missing: rows that were acknowledged may be lost; new ones wait",
                   f->lost.made);
        status_hint(st, "bring it back, or: penstock journal adopt --accept-loss --confirm %s",
                    f->parts.stack_id);
        return false;
    }
    if (!atomic_load(&f->writing)) {
        status_set(st, STATUS_UNAVAILABLE, "the writers have not started");
        return false;
    }
    writer_figures figures = flow_writer_figures(f);
    if (figures.streams_stopped) {
        status_set(st, STATUS_UNAVAILABLE,
                   "%u streams are stopped: the database does not stand where the journal left it (was it "
                   "restored from "
                   "an older dump?)",
                   figures.streams_stopped);
        status_hint(st, "penstock journal adopt --accept-loss --confirm %s", f->parts.stack_id);
        return false;
    }
    if (figures.away) {
        status_set(st, STATUS_UNAVAILABLE, "the data plane cannot be reached; rows wait in the journal");
        return false;
    }
    return true;
}

status_class flow_adopt_journal(flow *f, flow_adoption *out, status *st)
{
    journal_owner owner = owner_of(f);
    *out = (flow_adoption){.journals = f->lost.n};
    status_class class = atomic_load(&f->held) ? lost_journal_accept(&owner, st) : STATUS_OK;
    if (class != STATUS_OK)
        return class;
    if (atomic_exchange(&f->held, false))
        start_writers(f);
    f->lost = (lost_journal){0};
    for (unsigned i = 0; i < f->n_writers && f->writers[i]; i++)
        out->streams += writer_adopt(f->writers[i]);
    return STATUS_OK;
}

journal_stats flow_journal_stats(flow *f)
{
    return journal_stats_get(f->journal);
}

journal_backlog flow_backlog(flow *f)
{
    return journal_backlog_get(f->journal, 0, NULL);
}

journal_backlog flow_backlog_of(flow *f, int32_t wid, const char *store)
{
    return journal_backlog_get(f->journal, (uint32_t)wid, store);
}

uint32_t flow_workspaces(flow *f)
{
    pthread_mutex_lock(&f->lock);
    uint32_t n = f->n_tenants;
    pthread_mutex_unlock(&f->lock);
    return n;
}

void flow_each_source(flow *f,
                      void (*visit)(void *arg, const char *workspace, const char *connector,
                                    source_state state),
                      void *arg)
{
    pthread_mutex_lock(&f->lock);
    for (uint32_t i = 0; i < f->n_tenants; i++)
        tenant_each_source(f->tenants[i], visit, arg);
    pthread_mutex_unlock(&f->lock);
}

void flow_each_sink(flow *f, sink_visit visit, void *arg)
{
    pthread_mutex_lock(&f->lock);
    for (uint32_t i = 0; i < f->n_tenants; i++)
        tenant_each_sink(f->tenants[i], visit, arg);
    pthread_mutex_unlock(&f->lock);
}

writer_figures flow_writer_figures(flow *f)
{
    writer_figures sum = {0};
    for (unsigned i = 0; i < f->n_writers && f->writers[i]; i++) {
        writer_figures w = writer_look(f->writers[i]);
        sum.transactions += w.transactions;
        sum.records += w.records;
        sum.rows_stored += w.rows_stored;
        sum.rows_duplicate += w.rows_duplicate;
        sum.rows_dead += w.rows_dead;
        sum.retries += w.retries;
        sum.streams_stopped += w.streams_stopped;
        sum.away = sum.away || w.away;
    }
    return sum;
}
