/* What is seen of the whole flow: its figures, and whether it is ready. */
#include <stdatomic.h>

#include "flow/flow_private.h"

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
    return json_pack("{s:{s:I, s:I, s:I, s:I, s:b}, s:{s:I, s:I, s:I, s:I, s:b}, s:I, s:I, s:I, s:o}",
                     "journal", "size_bytes", (json_int_t)j.size_bytes, "used_bytes",
                     (json_int_t)j.used_bytes, "waiting_rows", (json_int_t)waiting.rows, "waiting_bytes",
                     (json_int_t)waiting.bytes, "failed", j.failed, "writers", "transactions",
                     (json_int_t)w.transactions, "rows_stored", (json_int_t)w.rows_stored, "rows_duplicate",
                     (json_int_t)w.rows_duplicate, "streams_stopped", (json_int_t)w.streams_stopped, "away",
                     w.away, "ledgers_wrong", (json_int_t)ledger_watch_findings(f->ledgers), "workspaces",
                     (json_int_t)f->n_tenants, "workspaces_resting", (json_int_t)flow_workspaces_resting(f),
                     "instances", instances);
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
