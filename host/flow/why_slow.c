#include "flow/why_slow.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/minute.h"
#include "base/turns.h"
#include "base/utc.h"

enum { LOCK_WAIT_MS = 1000, FULL_PERCENT = 90 };
static const int64_t worth_telling_us = 100000, /* rows that wait for less are not slow */
    lately_us = 5000000;

typedef struct answer {
    const why_slow_parts *parts;
    const flow_plan *plan;
    json_t *reasons;
    journal_backlog waiting;
    writer_share share; /* of all writers */
    bool away;
    int64_t now_us, age_us; /* of the oldest row that waits */
} answer;

__attribute__((format(printf, 3, 4))) static json_t *say(answer *a, const char *reason, const char *fmt, ...)
{
    char detail[400];
    va_list args;
    va_start(args, fmt);
    vsnprintf(detail, sizeof detail, fmt, args);
    va_end(args);
    json_t *one = json_pack("{s:s, s:s}", "reason", reason, "detail", detail);
    json_array_append_new(a->reasons, one);
    return one;
}

static double percent(int64_t part, int64_t all)
{
    return all > 0 ? 100.0 * (double)part / (double)all : 0;
}

/* ---- what is in force ---- */

static void add_stopped(answer *a)
{
    if (tenant_paused(a->parts->tenant))
        say(a, "paused", "the workspace is paused: resume it to let it work");
    if (a->parts->held)
        say(a, "journal_missing",
            "an earlier journal of this host is missing: nothing is written until it is back, or until "
            "`penstock journal adopt`");
    if (a->share.streams_stopped)
        say(a, "stream_stopped",
            "%u streams of it are stopped: the database does not stand where the journal left it; `penstock "
            "journal adopt` accepts the loss",
            a->share.streams_stopped);
    if (a->share.resting)
        say(a, "not_writable", "its definition and what waits in the journal do not fit: see the log");
}

static void set_limit(json_t *reason, const char *name, uint64_t value)
{
    json_object_set_new(reason, "limit",
                        json_pack("{s:s, s:I, s:s}", "name", name, "value", (json_int_t)value, "set_by",
                                  "the host's settings"));
}

/* Stores at their share of the journal, and the journal itself. */
static void add_limits(answer *a)
{
    journal_stats j = journal_stats_get(a->parts->journal);
    if (j.failed)
        say(a, "journal_failed", "the journal is out of service: rows are refused");
    if (j.used_bytes / FULL_PERCENT >= j.size_bytes / 100)
        set_limit(say(a, "limit", "the journal is full, %" PRIu64 " of %" PRIu64 " bytes: rows are refused",
                      j.used_bytes, j.size_bytes),
                  "journal.size", j.size_bytes);
    for (uint32_t i = 0; i < a->plan->definition->n_datastores; i++) {
        const char *key = a->plan->definition->datastores[i].object.key;
        journal_backlog b = journal_backlog_get(a->parts->journal, (uint32_t)a->plan->wid, key);
        if (b.bytes / FULL_PERCENT < j.store_bytes / 100)
            continue;
        set_limit(say(a, "limit",
                      "datastore %s has %" PRIu64 " of %" PRIu64 " bytes waiting: more is refused", key,
                      b.bytes, j.store_bytes),
                  "limits.store_bytes", j.store_bytes);
    }
}

static bool is_slow(const answer *a)
{
    bool late = a->share.latency_us >= worth_telling_us && a->now_us - a->share.committed_us < lately_us;
    return (a->waiting.rows > 0 && a->age_us >= worth_telling_us) || late;
}

/* Statements of the service that wait for a lock on one of its tables. */
static void add_locks(answer *a)
{
    static const statement locked = {
        "find locks",
        "SELECT c.oid::regclass::text, coalesce(min(h.application_name), ''), count(DISTINCT b.pid)"
        " FROM pg_locks l JOIN pg_class c ON c.oid = l.relation"
        " CROSS JOIN LATERAL unnest(pg_blocking_pids(l.pid)) AS b(pid)"
        " LEFT JOIN pg_stat_activity h ON h.pid = b.pid"
        " WHERE NOT l.granted AND c.relname ~ ('_wid' || $1 || '(\\D|$)') GROUP BY 1"};
    char wid[16];
    connection *c;
    rows *found;
    status st;
    snprintf(wid, sizeof wid, "%d", a->plan->wid);
    if (pool_borrow(a->parts->data, NULL, LOCK_WAIT_MS, &c, &st) != STATUS_OK) {
        a->away = a->away || st.class == STATUS_UNAVAILABLE;
        return;
    }
    value params[] = {value_text(wid)};
    if (connection_run(c, &locked, params, 1, &found, &st) == STATUS_OK) {
        for (uint32_t i = 0; i < rows_count(found); i++)
            say(a, "lock", "a statement waits for a lock on %s that another session holds (%s)",
                rows_text(found, i, 0),
                rows_text(found, i, 1)[0] ? rows_text(found, i, 1) : "unknown program");
        rows_free(found);
    }
    pool_return(a->parts->data, c);
}

static void add_away(answer *a)
{
    if (a->away)
        say(a, "database_away", "PostgreSQL cannot be reached: rows wait in the journal, nothing is lost");
}

/* Who takes the writers' time. */
static void add_turns(answer *a)
{
    const writer_share *s = &a->share;
    if (!is_slow(a))
        return;
    if (s->neighbour_us > s->busy_us) {
        const char *name = a->parts->name_of(a->parts->arg, s->neighbour);
        json_t *one = say(
            a, "neighbour",
            "%s%s takes %.0f %% of the writers' time, this one %.0f %%; each gets its share by weight (here "
            "%.2f)",
            name ? "workspace " : "", name ? name : "another workspace", percent(s->neighbour_us, s->all_us),
            percent(s->busy_us, s->all_us),
            (double)(a->plan->weight ? a->plan->weight : TURNS_WEIGHT_ONE) / TURNS_WEIGHT_ONE);
        json_object_set_new(one, "neighbour", json_string(name ? name : "another workspace"));
        return;
    }
    say(a, "own_load",
        "its own rows come faster than the database takes them: it has %.0f %% of the writers' time",
        percent(s->busy_us, s->all_us));
}

static void on_instance(const instance_state *s, void *arg)
{
    answer *a = arg;
    if (strcmp(s->workspace, a->plan->definition->workspace_id) != 0 || s->condition != INSTANCE_QUARANTINED)
        return;
    say(a, "quarantine",
        "plugin %s (%s) is in quarantine after %" PRIu64 " deaths: %s; `penstock plugin retry %s`",
        s->plugin_id, s->name, s->deaths, s->last_death, s->plugin_id);
}

static void add_builds(answer *a)
{
    for (uint32_t i = 0; i < a->plan->definition->n_featurestores; i++) {
        build_progress b = tenant_build(a->parts->tenant, i);
        if (b.kind != BUILD_NONE)
            say(a, "build", "featurestore %s is being built, %.1f %%%s",
                a->plan->definition->featurestores[i].object.key, build_percent(&b),
                b.paused ? ", paused" : "");
    }
}

/* ---- the figures ---- */

static void sum_shares(answer *a)
{
    for (unsigned i = 0; i < a->parts->n_writers; i++) {
        if (!a->parts->writers[i])
            continue;
        writer_share one = writer_look_at(a->parts->writers[i], (uint32_t)a->plan->wid);
        a->share.busy_us += one.busy_us;
        a->share.all_us += one.all_us;
        a->share.streams_stopped += one.streams_stopped;
        a->share.resting = a->share.resting || one.resting;
        if (one.neighbour_us > a->share.neighbour_us) {
            a->share.neighbour = one.neighbour;
            a->share.neighbour_us = one.neighbour_us;
        }
        if (one.committed_us > a->share.committed_us) {
            a->share.committed_us = one.committed_us;
            a->share.latency_us = one.latency_us;
        }
        a->away = a->away || writer_look(a->parts->writers[i]).away;
    }
}

static json_t *figures(const answer *a)
{
    char committed[UTC_TEXT_SIZE] = "";
    int64_t window_us = MINUTE_US * (a->parts->n_writers ? a->parts->n_writers : 1);
    if (a->share.committed_us)
        utc_format(a->share.committed_us, committed);
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:s?}", "weight",
                     (double)(a->plan->weight ? a->plan->weight : TURNS_WEIGHT_ONE) / TURNS_WEIGHT_ONE,
                     "busy", percent(a->share.all_us, window_us) / 100, "share",
                     percent(a->share.busy_us, a->share.all_us) / 100, "neighbour_share",
                     percent(a->share.neighbour_us, a->share.all_us) / 100, "commit_seconds",
                     (double)a->share.latency_us / 1e6, "committed", committed[0] ? committed : NULL);
}

static const char *first_detail(const answer *a)
{
    return json_string_value(json_object_get(json_array_get(a->reasons, 0), "detail"));
}

json_t *why_slow(const why_slow_parts *parts)
{
    answer a = {.parts = parts, .plan = parts->plan, .reasons = json_array(), .now_us = clock_wall_us()};
    a.waiting = journal_backlog_get(parts->journal, (uint32_t)a.plan->wid, NULL);
    a.age_us = a.waiting.rows ? a.now_us - a.waiting.oldest_received_us : 0;
    sum_shares(&a);
    json_t *locks = a.reasons;
    a.reasons = json_array();
    add_locks(&a); /* first: it also tells whether the database answers */
    json_t *found = a.reasons;
    a.reasons = locks;
    add_stopped(&a);
    add_away(&a);
    json_array_extend(a.reasons, found);
    json_decref(found);
    add_limits(&a);
    add_turns(&a);
    plugin_states(parts->instances, on_instance, &a);
    add_builds(&a);
    if (json_array_size(a.reasons) == 0)
        say(&a, "nothing", "nothing holds its rows up");
    return json_pack("{s:s, s:s, s:o, s:{s:I, s:I, s:f}, s:o}", "workspace", a.plan->definition->workspace,
                     "verdict", first_detail(&a), "reasons", a.reasons, "waiting", "rows",
                     (json_int_t)a.waiting.rows, "bytes", (json_int_t)a.waiting.bytes, "oldest_seconds",
                     (double)a.age_us / 1e6, "writers", figures(&a));
}
