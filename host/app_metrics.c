/* The host's own figures on /metrics: collected from the parts that keep them when somebody looks. HTTP keeps
 * its own, per route (serve/router.c). Instances of a plugin are added up, so that the number of series
 * depends on what is installed, not on how much is connected. */
#include <stdlib.h>
#include <string.h>

#include "app_private.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/keep.h"
#include "base/metric.h"

#define COUNT(name, help, value) metric_count(metric_counter(name, help), (uint64_t)(value))
#define GAUGE(name, help, value) metric_set(metric_gauge(name, help), (double)(value))
#define SECONDS(us) ((double)(us) / 1e6)

static void collect_journal(flow *f)
{
    journal_stats j = flow_journal_stats(f);
    journal_backlog waits = flow_backlog(f);
    int64_t age_us = waits.oldest_received_us ? clock_wall_us() - waits.oldest_received_us : 0;
    GAUGE("penstock_journal_size_bytes", "Most bytes that the journal may take.", j.size_bytes);
    GAUGE("penstock_journal_used_bytes", "Bytes of the journal in use.", j.used_bytes);
    GAUGE("penstock_journal_waiting_rows", "Rows in the journal that are not in their table yet.",
          waits.rows);
    GAUGE("penstock_journal_waiting_bytes", "Bytes of those rows.", waits.bytes);
    GAUGE("penstock_journal_waiting_seconds", "Age of the oldest of those rows.",
          SECONDS(age_us > 0 ? age_us : 0));
    GAUGE("penstock_journal_waiting_submissions", "Requests that wait for a commit.", j.waiting_submissions);
    GAUGE("penstock_journal_streams", "Streams: workspace, store, lane and shard.", j.streams);
    GAUGE("penstock_journal_failed", "1 while the journal is out of service.", j.failed);
    GAUGE("penstock_journal_commit_longest_seconds", "Longest commit since the last look.",
          SECONDS(j.commit_us_longest));
    COUNT("penstock_journal_commits_total", "Commits, each an fsync.", j.commits);
    COUNT("penstock_journal_commit_failures_total", "Commits that failed.", j.commit_failures);
    GAUGE("penstock_journal_commit_seconds_sum", "Time spent in commits.", SECONDS(j.commit_us_total));
    COUNT("penstock_journal_submissions_total", "Requests and batches taken.", j.submissions);
    COUNT("penstock_journal_refused_total", "Submissions refused because the journal was full.", j.refused);
    COUNT("penstock_journal_rows_total", "Rows written to the journal.", j.rows);
    COUNT("penstock_journal_bytes_total", "Bytes written to the journal.", j.bytes);
    COUNT("penstock_journal_records_total", "Records written to the journal.", j.records);
    COUNT("penstock_journal_damaged_records_total", "Records whose checksum is wrong.", j.damaged_records);
    COUNT("penstock_journal_reopened_total", "Times that the journal was opened again after a failure.",
          j.reopened);
}

static void collect_writers(flow *f)
{
    writer_figures w = flow_writer_figures(f);
    static const char rows_help[] = "Rows that the writers have settled.";
    metric_count(metric_counter("penstock_writer_rows_total", rows_help, METRIC_LABEL("outcome", "stored")),
                 w.rows_stored);
    metric_count(
        metric_counter("penstock_writer_rows_total", rows_help, METRIC_LABEL("outcome", "duplicate")),
        w.rows_duplicate);
    metric_count(metric_counter("penstock_writer_rows_total", rows_help, METRIC_LABEL("outcome", "dead")),
                 w.rows_dead);
    COUNT("penstock_writer_transactions_total", "Transactions committed on the data plane.", w.transactions);
    COUNT("penstock_writer_records_total", "Journal records settled.", w.records);
    COUNT("penstock_writer_retries_total", "Transactions tried again.", w.retries);
    GAUGE("penstock_writer_streams_stopped", "Streams whose position is not where the journal expects it.",
          w.streams_stopped);
    GAUGE("penstock_writer_database_away", "1 while the data plane cannot be reached.", w.away);
}

static void count_source(void *arg, const char *workspace, const char *connector, source_state state)
{
    unsigned *counts = arg;
    (void)workspace, (void)connector;
    counts[state]++;
}

/* Workspaces of which something was booked, or whose ledger is wrong. */
static void show_ledger(void *arg, const char *workspace, const ledger_counts *booked, bool wrong)
{
    static const char help[] =
        "Rows of a workspace that this host has booked in the ledger, by what became of them.";
    const struct {
        const char *outcome;
        int64_t rows;
    } all[] = {{"received", booked->received},
               {"stored", booked->stored},
               {"duplicate", booked->duplicate},
               {"rejected", booked->rejected},
               {"dropped", booked->dropped}};
    (void)arg;
    for (size_t i = 0; booked->received && i < sizeof all / sizeof *all; i++)
        metric_count(metric_counter("penstock_ledger_rows_total", help, METRIC_LABEL("workspace", workspace),
                                    METRIC_LABEL("outcome", all[i].outcome)),
                     (uint64_t)all[i].rows);
    metric_set(metric_gauge("penstock_ledger_wrong", "1 while the ledger of a workspace does not balance.",
                            METRIC_LABEL("workspace", workspace)),
               wrong);
}

static void collect_sources(flow *f)
{
    unsigned counts[SOURCE_ENDED + 1] = {0};
    flow_each_source(f, count_source, counts);
    for (source_state s = SOURCE_STARTING; s <= SOURCE_ENDED; s++)
        metric_set(metric_gauge("penstock_connectors", "Connectors by state.",
                                METRIC_LABEL("state", source_state_name(s))),
                   counts[s]);
    GAUGE("penstock_workspaces", "Workspaces that run on this host.", flow_workspaces(f));
    GAUGE("penstock_workspaces_resting", "Those that stand still and keep only what they must remember.",
          flow_workspaces_resting(f));
}

static void show_sink(void *arg, const char *workspace, const char *sink, const sink_look *look)
{
    static const char rows_help[] = "Rows that left a sink, by what became of them, since the sink was made.";
    unsigned *counts = arg;
    int64_t lag_us = look->waiting_since_us ? clock_wall_us() - look->waiting_since_us : 0;
    counts[look->state]++;
    metric_count(metric_counter("penstock_sink_rows_total", rows_help, METRIC_LABEL("workspace", workspace),
                                METRIC_LABEL("sink", sink), METRIC_LABEL("outcome", "delivered")),
                 look->delivered);
    metric_count(metric_counter("penstock_sink_rows_total", rows_help, METRIC_LABEL("workspace", workspace),
                                METRIC_LABEL("sink", sink), METRIC_LABEL("outcome", "refused")),
                 look->refused);
    metric_set(metric_gauge("penstock_sink_lag_seconds",
                            "Since when the oldest row waits that a sink has not delivered.",
                            METRIC_LABEL("workspace", workspace), METRIC_LABEL("sink", sink)),
               SECONDS(lag_us > 0 ? lag_us : 0));
}

static void collect_sinks(flow *f)
{
    unsigned counts[SOURCE_ENDED + 1] = {0};
    flow_each_sink(f, show_sink, counts);
    for (source_state s = SOURCE_STARTING; s < SOURCE_ENDED; s++)
        metric_set(
            metric_gauge("penstock_sinks", "Sinks by state.", METRIC_LABEL("state", source_state_name(s))),
            counts[s]);
}

/* ---- plugins ---- */

typedef struct plugin_sum {
    char *id;
    unsigned instances, running;
    uint64_t starts, deaths, swaps, calls, failures, rows;
    int64_t call_us;
} plugin_sum;

typedef struct plugin_sums {
    plugin_sum *all; /* kept between looks: a plugin that nobody uses any more shows zeros */
    size_t n;
} plugin_sums;

static plugin_sum *sum_of(plugin_sums *sums, const char *id)
{
    for (size_t i = 0; i < sums->n; i++)
        if (strcmp(sums->all[i].id, id) == 0)
            return &sums->all[i];
    sums->all = memory_grow(sums->all, (sums->n + 1) * sizeof *sums->all);
    sums->all[sums->n] = (plugin_sum){.id = memory_string(id)};
    return &sums->all[sums->n++];
}

static void add_instance(const instance_state *s, void *arg)
{
    plugin_sum *sum = sum_of(arg, s->plugin_id);
    sum->instances++;
    sum->running += s->pid > 0;
    sum->starts += s->starts;
    sum->deaths += s->deaths;
    sum->swaps += s->swaps;
    sum->calls += s->calls;
    sum->failures += s->failures;
    sum->rows += s->rows_out;
    sum->call_us += s->call_us;
}

static void show_plugin(const plugin_sum *p)
{
    metric_set(
        metric_gauge("penstock_plugin_instances", "Instances of a plugin.", METRIC_LABEL("plugin", p->id)),
        p->instances);
    metric_set(
        metric_gauge("penstock_plugin_cells", "Cell processes of a plugin.", METRIC_LABEL("plugin", p->id)),
        p->running);
    metric_count(
        metric_counter("penstock_plugin_cell_starts_total", "Cells started.", METRIC_LABEL("plugin", p->id)),
        p->starts);
    metric_count(metric_counter("penstock_plugin_cell_deaths_total", "Cells that died.",
                                METRIC_LABEL("plugin", p->id)),
                 p->deaths);
    metric_count(metric_counter("penstock_plugin_cell_swaps_total",
                                "Cells that were replaced without a stop, by a new version or the same.",
                                METRIC_LABEL("plugin", p->id)),
                 p->swaps);
    metric_count(
        metric_counter("penstock_plugin_calls_total", "Calls into cells.", METRIC_LABEL("plugin", p->id)),
        p->calls);
    metric_count(
        metric_counter("penstock_plugin_failures_total", "Calls that failed.", METRIC_LABEL("plugin", p->id)),
        p->failures);
    metric_count(metric_counter("penstock_plugin_rows_total", "Rows that came out of cells.",
                                METRIC_LABEL("plugin", p->id)),
                 p->rows);
    metric_set(metric_gauge("penstock_plugin_call_seconds_sum", "Time spent in calls.",
                            METRIC_LABEL("plugin", p->id)),
               SECONDS(p->call_us));
}

static void collect_plugins(instance_set *instances)
{
    static plugin_sums sums; /* one collector at a time: base/metric.h */
    for (size_t i = 0; i < sums.n; i++)
        sums.all[i] = (plugin_sum){.id = sums.all[i].id};
    plugin_states(instances, add_instance, &sums);
    for (size_t i = 0; i < sums.n; i++)
        show_plugin(&sums.all[i]);
}

/* ---- instances ---- */

/* What went wrong is shown by instance, but only of those with which something did: the number of series
 * stays small. */
static void show_instance(const instance_state *s, void *arg)
{
    (void)arg;
    bool quarantined = s->condition == INSTANCE_QUARANTINED;
    if (!(s->deaths || s->suspects || s->poisons || s->recycles || s->evictions || quarantined))
        return;
#define OF_INSTANCE                                                                \
    METRIC_LABEL("plugin", s->plugin_id), METRIC_LABEL("workspace", s->workspace), \
        METRIC_LABEL("instance", s->name)
    metric_count(
        metric_counter("penstock_instance_deaths_total", "Deaths of an instance's cells.", OF_INSTANCE),
        s->deaths);
    metric_count(metric_counter("penstock_instance_suspects_total",
                                "Calls over again in a fresh cell, after one died of them.", OF_INSTANCE),
                 s->suspects);
    metric_count(metric_counter("penstock_instance_poison_rows_total",
                                "Rows put aside because they kill the plugin.", OF_INSTANCE),
                 s->poisons);
    metric_count(metric_counter("penstock_instance_recycles_total", "Cells replaced because they had grown.",
                                OF_INSTANCE),
                 s->recycles);
    metric_count(metric_counter("penstock_instance_evictions_total", "Cells stopped to make room for others.",
                                OF_INSTANCE),
                 s->evictions);
    metric_set(
        metric_gauge("penstock_instance_quarantined", "1 while the plugin is in quarantine.", OF_INSTANCE),
        quarantined);
    metric_set(metric_gauge("penstock_instance_memory_bytes", "Memory of the cell as it was seen last.",
                            OF_INSTANCE),
               (double)s->memory_bytes);
#undef OF_INSTANCE
}

static void collect(void *arg)
{
    app *a = arg;
    bool ready = atomic_load(&a->ready);
    GAUGE("penstock_ready", "1 when the host takes and stores rows.", ready);
    GAUGE("penstock_degraded", "1 while rows are taken by the snapshot, because PostgreSQL is away.",
          atomic_load(&a->degraded));
    GAUGE("penstock_uptime_seconds", "Time since the start.",
          SECONDS(clock_monotonic_us() - a->services.started_us));
    GAUGE("penstock_loop_longest_turn_seconds", "Longest turn of the event loop since the last look.",
          SECONDS(loop_longest_turn_us(a->loop)));
    GAUGE("penstock_memory_heap_bytes", "Memory that is allocated from the common heap.", memory_in_use());
    GAUGE("penstock_memory_kept_bytes",
          "Memory of what stays as long as a workspace or a connector is there.", keep_in_use());
    if (!ready)
        return; /* the parts are being made, on a lane */
    collect_journal(a->flow);
    collect_writers(a->flow);
    collect_sources(a->flow);
    collect_sinks(a->flow);
    flow_each_ledger(a->flow, show_ledger, NULL);
    collect_plugins(a->instances);
    plugin_states(a->instances, show_instance, NULL);
}

void app_metrics_begin(app *a)
{
    metric_collect_by(collect, a);
}

void app_metrics_end(void)
{
    metric_collect_by(NULL, NULL);
}
