/* The sinks of a tenant: made when it starts, or when their plugin can be used; on lanes of a pool of their
 * own, so that a far side that hangs keeps no thread from anything else. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/utc.h"
#include "flow/sink_position.h"
#include "flow/tenant_private.h"

enum { REWIND_WAIT_MS = 5000 };

/* A workspace with sinks never rests: the plan is there. */
static const definition *of(const tenant *t)
{
    return t->plan->definition;
}

void tenant_sinks_init(tenant *t)
{
    if (t->n_sinks == 0)
        return;
    t->sink_lanes = lane_group_open(t->parts.sink_lanes, t->weight);
    t->sinks = memory_zero(t->n_sinks, sizeof *t->sinks);
    t->sink_problems = memory_zero(t->n_sinks, sizeof *t->sink_problems);
}

static void note_problem(tenant *t, uint32_t i, const char *problem)
{
    pthread_mutex_lock(&t->lock);
    free(t->sink_problems[i]);
    t->sink_problems[i] = problem ? memory_string(problem) : NULL;
    pthread_mutex_unlock(&t->lock);
}

static sink *make_sink(tenant *t, uint32_t i, status *st)
{
    const defined_sink *d = &of(t)->sinks[i];
    instance *plugin = NULL;
    if (!tenant_instance(t, &plugin, d->plugin, "sink", d->object.key, d->config, st))
        return NULL;
    if (!instance_is_sink(plugin)) {
        status_set(st, STATUS_INVALID, "sink %s: the plugin %s takes no rows: it has no sink/1",
                   d->object.key, d->plugin);
        instance_free(plugin);
        return NULL;
    }
    const sink_parts parts = {.journal = t->parts.journal,
                              .data = &t->parts.flow->data,
                              .lanes = t->sink_lanes,
                              .plan = t->plan,
                              .defined = d,
                              .ward = t->ward,
                              .letters = t->parts.flow->letters,
                              .plugin = plugin};
    return sink_create(&parts);
}

static void start_one(tenant *t, uint32_t i)
{
    status st;
    sink *made = make_sink(t, i, &st);
    if (!made) {
        note_problem(t, i, st.text);
        log_status(LOG_LEVEL_WARN, "tenant", "a sink cannot run", &st);
        return;
    }
    pthread_mutex_lock(&t->lock);
    bool wanted = !t->stopping && !t->sinks[i];
    if (wanted)
        t->sinks[i] = made;
    pthread_mutex_unlock(&t->lock);
    if (wanted)
        note_problem(t, i, NULL);
    else
        sink_free(made);
}

void tenant_sinks_start(tenant *t)
{
    for (uint32_t i = 0; i < t->n_sinks; i++) {
        pthread_mutex_lock(&t->lock);
        bool missing = t->started && !t->stopping && !t->paused && !t->sinks[i];
        pthread_mutex_unlock(&t->lock);
        if (missing)
            start_one(t, i);
    }
}

void tenant_sinks_stop(tenant *t)
{
    for (uint32_t i = 0; i < t->n_sinks; i++) {
        pthread_mutex_lock(&t->lock);
        sink *s = t->sinks[i];
        t->sinks[i] = NULL;
        pthread_mutex_unlock(&t->lock);
        sink_free(s);
    }
}

void tenant_sinks_free(tenant *t)
{
    if (!t->sink_lanes)
        return;
    for (uint32_t i = 0; i < t->n_sinks; i++)
        free(t->sink_problems[i]);
    free(t->sink_problems);
    free(t->sinks);
    lane_group_close(t->sink_lanes);
}

static void each(tenant *t, void (*act)(sink *s, int64_t now_us), int64_t now_us)
{
    for (uint32_t i = 0; i < t->n_sinks; i++)
        if (t->sinks[i])
            act(t->sinks[i], now_us);
}

void tenant_sinks_tick(tenant *t, int64_t now_us)
{
    each(t, sink_tick, now_us);
}

static void stored(sink *s, int64_t now_us)
{
    (void)now_us;
    sink_stored(s);
}

void tenant_sinks_stored(tenant *t)
{
    each(t, stored, 0);
}

static void renew(sink *s, int64_t now_us)
{
    (void)now_us;
    sink_renew(s);
}

void tenant_sinks_renew(tenant *t)
{
    each(t, renew, 0);
}

/* ---- what people see ---- */

static int sink_index(const tenant *t, const char *key)
{
    const defined_sink *d = t->n_sinks ? definition_sink(of(t), key) : NULL;
    return d ? (int)(d - of(t)->sinks) : -1;
}

/* Under the lock. */
static sink_look look_at(const tenant *t, uint32_t i)
{
    if (t->sinks[i])
        return sink_look_at(t->sinks[i]);
    sink_look look = {.state = t->started && !t->paused ? SOURCE_NEEDS_YOU : SOURCE_PAUSED};
    snprintf(look.problem, sizeof look.problem, "%s", t->sink_problems[i] ? t->sink_problems[i] : "");
    return look;
}

static void set_time(json_t *o, const char *key, int64_t us)
{
    char out[UTC_TEXT_SIZE];
    utc_format(us, out);
    json_object_set_new(o, key, us ? json_string(out) : json_null());
}

json_t *tenant_sink_status(tenant *t, const char *key)
{
    int i = sink_index(t, key);
    if (i < 0)
        return NULL;
    pthread_mutex_lock(&t->lock);
    sink_look look = look_at(t, (uint32_t)i);
    pthread_mutex_unlock(&t->lock);
    int64_t lag_us = look.waiting_since_us ? clock_wall_us() - look.waiting_since_us : 0;
    json_t *o =
        json_pack("{s:s, s:s, s:I, s:I, s:I, s:f, s:s?}", "key", key, "state", source_state_name(look.state),
                  "delivered", (json_int_t)look.delivered, "refused", (json_int_t)look.refused, "position",
                  (json_int_t)look.position, "lag_seconds", lag_us > 0 ? (double)lag_us / 1e6 : 0.0,
                  "problem", look.problem[0] ? look.problem : NULL);
    set_time(o, "last_delivery", look.last_us);
    set_time(o, "waiting_since", look.waiting_since_us);
    return o;
}

void tenant_each_sink(tenant *t, sink_visit visit, void *arg)
{
    pthread_mutex_lock(&t->lock); /* sinks go away under it */
    for (uint32_t i = 0; i < t->n_sinks; i++) {
        sink_look look = look_at(t, i);
        visit(arg, t->workspace, of(t)->sinks[i].object.key, &look);
    }
    pthread_mutex_unlock(&t->lock);
}

status_class tenant_sink_pause(tenant *t, const char *key, bool paused, status *st)
{
    int i = sink_index(t, key);
    if (i < 0)
        return status_set(st, STATUS_NOT_FOUND, "there is no sink %s", key);
    pthread_mutex_lock(&t->lock);
    sink *s = t->sinks[i];
    if (s)
        sink_pause(s, paused);
    pthread_mutex_unlock(&t->lock);
    return s ? STATUS_OK : status_set(st, STATUS_CONFLICT, "sink %s does not run", key);
}

status_class tenant_sink_rewind(tenant *t, const char *key, int64_t since_us, sink_rewound *out, status *st)
{
    int i = sink_index(t, key);
    if (i < 0)
        return status_set(st, STATUS_NOT_FOUND, "there is no sink %s", key);
    const char *store = of(t)->sinks[i].from.key;
    sink_position at = {
        .wid = t->plan->wid, .sink = key, .store = &flow_plan_datastore(t->plan, store)->table};
    journal_settled settled;
    connection *c;
    pool *data = t->parts.flow->data;
    status_class class = journal_settled_get(t->parts.journal, (uint32_t)at.wid, store, &settled, st);
    if (class == STATUS_OK)
        class = pool_borrow(data, NULL, REWIND_WAIT_MS, &c, st);
    if (class != STATUS_OK)
        return class;
    class = sink_position_rewind(c, &at, settled.below - 1, since_us, &out->was, st);
    pool_return(data, c);
    out->position = at.seq;
    pthread_mutex_lock(&t->lock);
    if (class == STATUS_OK && t->sinks[i])
        sink_moved(t->sinks[i], at.seq);
    pthread_mutex_unlock(&t->lock);
    return class;
}
