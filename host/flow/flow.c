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
#include "flow/flow_private.h"

enum { WRITERS_DEFAULT = 2, TICK_MS = 100, SINK_THREADS = 32 };

/* ---- writers ---- */

static writer_plan plan_for_writer(void *arg, uint32_t wid, const flow_plan **out)
{
    *out = flow_plan_of(arg, (int32_t)wid);
    return *out ? WRITER_PLAN_READY : WRITER_PLAN_LATER;
}

/* On the journal's commit thread. */
static void on_appended(void *arg, uint32_t stream, uint64_t rows)
{
    flow *f = arg;
    journal_stream s;
    if (atomic_load(&f->writing) && journal_stream_get(f->journal, stream, &s))
        crew_appended(f->crew, &s, rows);
}

static void on_committed(void *arg, const write_record *record)
{
    flow *f = arg;
    uint32_t at;
    live_push(f->live, record);
    pthread_mutex_lock(&f->lock);
    tenant *t = flow_find_locked(f, (int32_t)record->record->wid, &at);
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
        crew_appended(f->crew, &streams[i], streams[i].rows);
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

status_class flow_create(const flow_parts *parts, flow **out, status *st)
{
    flow *f = memory_zero(1, sizeof *f);
    f->parts = *parts;
    f->n_writers = parts->writers ? parts->writers : WRITERS_DEFAULT;
    f->n_writers = f->n_writers > FLOW_WRITERS_MAX ? FLOW_WRITERS_MAX : f->n_writers;
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
    f->crew = crew_create(f->writers, f->n_writers);
    f->intake = intake_create(f->journal, f->waiters, f->n_writers);
    f->ledgers = ledger_watch_create(&(ledger_watch_parts){.data = &f->parts.data,
                                                           .lanes = parts->lanes,
                                                           .every_us = parts->ledger_every_us,
                                                           .subjects = flow_ledger_subjects,
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
    crew_free(f->crew);
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

live_hub *flow_live(flow *f)
{
    return f->live;
}

unsigned flow_retry_plugin(flow *f, const char *plugin_id)
{
    return instance_set_retry(f->parts.instances, plugin_id);
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
