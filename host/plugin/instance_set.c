/* The set of instances: the list, the stopping of idle cells, and what others may see of each instance, which
 * is a copy (`facts`) under a lock that is never held long, so that a listing never waits for a call. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/keep.h"
#include "base/log.h"
#include "base/name.h"
#include "plugin/instance_private.h"

static const int64_t MEMORY_BYTES = 256L << 20;

void facts_condition(instance *in, instance_condition condition)
{
    pthread_mutex_lock(&in->facts_lock);
    in->facts.condition = condition;
    in->facts.pid = in->cell ? cell_pid(in->cell) : 0;
    in->facts.retry_at_us = in->supervisor.retry_at_us;
    snprintf(in->shown_death, sizeof in->shown_death, "%s", in->last_death);
    if (in->cell) {
        keep_free(in->sandbox);
        in->sandbox = keep_string(cell_sandbox(in->cell));
        in->facts.sandbox = in->sandbox;
    }
    pthread_mutex_unlock(&in->facts_lock);
}

void facts_plugin(instance *in, const plugin_entry *plugin)
{
    pthread_mutex_lock(&in->facts_lock);
    in->plugin = plugin;
    keep_free(in->metrics);
    in->metrics = keep_zero(in->plugin->n_metrics + 1, sizeof *in->metrics);
    for (size_t i = 0; i < in->plugin->n_metrics; i++)
        in->metrics[i].metric = &in->plugin->metrics[i];
    in->facts.plugin_id = in->plugin->id;
    in->facts.version = in->plugin->version;
    in->facts.hash = in->plugin->hash;
    in->facts.metrics = in->metrics;
    in->facts.n_metrics = in->plugin->n_metrics;
    pthread_mutex_unlock(&in->facts_lock);
}

void facts_call(instance *in, int64_t took_us, bool failed)
{
    pthread_mutex_lock(&in->facts_lock);
    in->facts.calls++;
    in->facts.failures += failed;
    in->facts.call_us += took_us;
    in->last_used_us = clock_monotonic_us();
    pthread_mutex_unlock(&in->facts_lock);
}

void facts_open(instance *in, bool open)
{
    pthread_mutex_lock(&in->facts_lock);
    in->facts.source_open = open;
    if (open)
        in->trouble[0] = '\0';
    pthread_mutex_unlock(&in->facts_lock);
}

void facts_metrics(instance *in, frame_reader r)
{
    frame_item item;
    pthread_mutex_lock(&in->facts_lock);
    while (frame_next(&r, &item)) {
        frame_metric m;
        if (item.tag != FRAME_METRIC || item.len != sizeof m || item.aux >= in->facts.n_metrics)
            continue;
        memcpy(&m, item.data, sizeof m);
        instance_metric_value *v = &in->metrics[item.aux];
        v->value = v->metric->kind == PST_GAUGE ? m.value : v->value + m.value;
        v->count += m.count;
    }
    pthread_mutex_unlock(&in->facts_lock);
}

void facts_batch(instance *in, const instance_batch *b)
{
    pthread_mutex_lock(&in->facts_lock);
    in->facts.rows_out += b->rows.n_rows;
    in->facts.rejects_out += b->n_rejects;
    pthread_mutex_unlock(&in->facts_lock);
}

void facts_start(instance *in)
{
    pthread_mutex_lock(&in->facts_lock);
    in->facts.starts++;
    pthread_mutex_unlock(&in->facts_lock);
}

void facts_death(instance *in)
{
    pthread_mutex_lock(&in->facts_lock);
    in->facts.deaths++;
    in->facts.last_death_us = clock_wall_us();
    pthread_mutex_unlock(&in->facts_lock);
}

void facts_memory(instance *in, int64_t bytes)
{
    pthread_mutex_lock(&in->facts_lock);
    in->facts.memory_bytes = bytes;
    pthread_mutex_unlock(&in->facts_lock);
}

void facts_add(instance *in, fact which, uint64_t n)
{
    uint64_t *counters[] = {[FACT_SUSPECT] = &in->facts.suspects,
                            [FACT_POISON] = &in->facts.poisons,
                            [FACT_RECYCLE] = &in->facts.recycles,
                            [FACT_EVICTION] = &in->facts.evictions};
    pthread_mutex_lock(&in->facts_lock);
    *counters[which] += n;
    pthread_mutex_unlock(&in->facts_lock);
}

/* True the first time, for the first few. The short lock is held. */
static bool denial_is_news(instance *in, const char *text)
{
    uint64_t hash = name_hash(text, strlen(text));
    if (!in->denied_seen)
        in->denied_seen = memory_zero(INSTANCE_DENIALS_TOLD, sizeof *in->denied_seen);
    uint64_t *seen = in->denied_seen;
    for (size_t i = 0; i < INSTANCE_DENIALS_TOLD; i++) {
        if (seen[i] == hash)
            return false;
        if (!seen[i]) {
            seen[i] = hash;
            return true;
        }
    }
    return false;
}

void instance_denied(instance *in, const char *what, const char *about)
{
    char plugin[128], told[256];
    pthread_mutex_lock(&in->facts_lock);
    snprintf(plugin, sizeof plugin, "%s", in->plugin->id);
    snprintf(in->last_denial, sizeof in->last_denial, "%s: %s", what, about);
    in->facts.denials++;
    snprintf(told, sizeof told, "%s", in->last_denial);
    bool news = denial_is_news(in, told);
    pthread_mutex_unlock(&in->facts_lock);
    if (!news)
        return;
    log_warn("plugin", "denied", LOG_TEXT("workspace", in->workspace), LOG_TEXT("instance", in->name),
             LOG_TEXT("plugin", plugin), LOG_TEXT("what", what), LOG_TEXT("about", about));
    if (in->watcher.on_event)
        in->watcher.on_event(in->watcher.self, in->name, "denied", told);
}

void facts_trouble(instance *in, const char *text)
{
    pthread_mutex_lock(&in->facts_lock);
    bool changed = strncmp(in->trouble, text, sizeof in->trouble - 1) != 0;
    snprintf(in->trouble, sizeof in->trouble, "%s", text);
    pthread_mutex_unlock(&in->facts_lock);
    if (changed)
        log_info("plugin", "an instance says how it is", LOG_TEXT("workspace", in->workspace),
                 LOG_TEXT("instance", in->name), LOG_TEXT("trouble", text));
}

void instance_trouble(instance *in, char *out, size_t size)
{
    pthread_mutex_lock(&in->facts_lock);
    snprintf(out, size, "%s", in->trouble);
    pthread_mutex_unlock(&in->facts_lock);
}

/* ---- The set ---- */

instance_set *instance_set_create(const instance_set_settings *settings)
{
    instance_set *set = memory_zero(1, sizeof *set);
    set->settings = *settings;
    set->program = memory_string(settings->cell_program);
    set->user = settings->cell_user ? memory_string(settings->cell_user) : NULL;
    set->settings.cell_program = set->program;
    set->settings.cell_user = set->user;
    if (!set->settings.memory_bytes)
        set->settings.memory_bytes = MEMORY_BYTES;
    set->limiter = limiter_create();
    set->own_keeper = !settings->keeper;
    set->keeper = settings->keeper ? *settings->keeper : state_memory_create();
    pthread_mutex_init(&set->lock, NULL);
    network_begin(set);
    return set;
}

void instance_set_free(instance_set *set)
{
    if (!set)
        return;
    assert(!set->first);
    network_end(set);
    limiter_free(set->limiter);
    if (set->own_keeper)
        state_memory_free(&set->keeper);
    pthread_mutex_destroy(&set->lock);
    free(set->program);
    free(set->user);
    free(set);
}

/* Locks and returns an instance whose cell may be stopped: no open source, in no call, unused since
 * `since_us`; the one unused for longest. NULL = none. Its owner cannot free it while it is locked. */
static instance *take_idle(instance_set *set, const instance *but, int64_t since_us)
{
    instance *best = NULL;
    pthread_mutex_lock(&set->lock);
    for (instance *in = set->first; in; in = in->next) {
        if (in == but || pthread_mutex_trylock(&in->lock) != 0)
            continue;
        bool fits = in->cell && !in->facts.source_open && in->last_used_us <= since_us &&
                    (!best || in->last_used_us < best->last_used_us);
        if (fits && best)
            pthread_mutex_unlock(&best->lock);
        if (fits)
            best = in;
        else
            pthread_mutex_unlock(&in->lock);
    }
    pthread_mutex_unlock(&set->lock);
    return best;
}

static bool stop_one(instance_set *set, const instance *but, int64_t since_us, fact why)
{
    instance *in = take_idle(set, but, since_us);
    if (!in)
        return false;
    instance_drop_cell(in, INSTANCE_IDLE_STOP_MS);
    facts_condition(in, INSTANCE_STOPPED);
    if (why == FACT_EVICTION)
        facts_add(in, why, 1);
    pthread_mutex_unlock(&in->lock);
    return true;
}

static void weigh_all(instance_set *set)
{
    pthread_mutex_lock(&set->lock);
    for (instance *in = set->first; in; in = in->next) {
        if (pthread_mutex_trylock(&in->lock) != 0)
            continue; /* in a call: it is weighed then */
        instance_weigh(in);
        pthread_mutex_unlock(&in->lock);
    }
    pthread_mutex_unlock(&set->lock);
}

unsigned instance_set_stop_idle(instance_set *set, int64_t idle_us)
{
    unsigned stopped = 0;
    int64_t since = clock_monotonic_us() - idle_us;
    while (stop_one(set, NULL, since, FACT_RECYCLE))
        stopped++;
    weigh_all(set);
    return stopped;
}

bool instance_room_take(instance *in)
{
    instance_set *set = in->set;
    unsigned most = set->settings.cells_max;
    if (atomic_fetch_add(&set->cells, 1) < most || most == 0)
        return true;
    if (stop_one(set, in, INT64_MAX, FACT_EVICTION))
        return true;
    instance_room_give(in);
    return false;
}

void instance_room_give(instance *in)
{
    atomic_fetch_sub(&in->set->cells, 1);
}

unsigned instance_set_retry(instance_set *set, const char *plugin_id)
{
    unsigned n = 0;
    pthread_mutex_lock(&set->lock);
    for (instance *in = set->first; in; in = in->next) {
        pthread_mutex_lock(&in->facts_lock);
        bool its = strcmp(in->plugin->id, plugin_id) == 0;
        pthread_mutex_unlock(&in->facts_lock);
        if (its)
            atomic_store(&in->retry_asked, true); /* its lock may be held for a whole call */
        n += its;
    }
    pthread_mutex_unlock(&set->lock);
    return n;
}

void plugin_states(instance_set *set, void (*on_state)(const instance_state *state, void *arg), void *arg)
{
    pthread_mutex_lock(&set->lock);
    for (instance *in = set->first; in; in = in->next) {
        pthread_mutex_lock(&in->facts_lock);
        on_state(&in->facts, arg);
        pthread_mutex_unlock(&in->facts_lock);
    }
    pthread_mutex_unlock(&set->lock);
}
