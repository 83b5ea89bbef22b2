/* One turn of a tenant's lane, left to right: what was asked for, then features that are due, scores,
 * trainings, alerts, deliveries. A step that fails is noted, shown in the status and tried again; the others
 * go on. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "control/schedule.h"
#include "flow/dirty.h"
#include "flow/featurestore.h"
#include "flow/notify.h"
#include "flow/tenant_private.h"

enum { STEPS_A_TURN = 50, CONTROL_WAIT_MS = 10000, RETRY_DOUBLINGS = 6 };
static const int64_t second = 1000000, shortest_look_us = 1000000, longest_look_us = 3600 * INT64_C(1000000),
                     retry_us = TENANT_RETRY_US, train_retry_us = 60 * INT64_C(1000000),
                     train_quiet_us = 60 * INT64_C(1000000);

struct tenant_request {
    tenant_request *next;
    char *model, *actor; /* model NULL = refresh */
    flow_done done;
    void *arg;
};

void tenant_note(tenant *t, work_note *note, int64_t next_us, uint64_t count, const status *failure)
{
    pthread_mutex_lock(&t->lock);
    bool news = failure && strncmp(note->problem, failure->text, sizeof note->problem - 1) != 0;
    note->due_us = next_us;
    note->count += count;
    note->failed = failure != NULL;
    note->failures = failure ? note->failures + 1 : 0;
    snprintf(note->problem, sizeof note->problem, "%s", failure ? failure->text : "");
    if (!failure)
        note->last_us = clock_wall_us();
    pthread_mutex_unlock(&t->lock);
    if (news)
        log_status(LOG_LEVEL_WARN, "tenant", "work failed, it is tried again", failure);
}

/* Longer from failure to failure: what fails because rows are missing need not be tried every minute. */
static int64_t retry_pause_us(const work_note *note, int64_t first_us)
{
    return first_us << (note->failures < RETRY_DOUBLINGS ? note->failures : RETRY_DOUBLINGS);
}

/* ---- models ---- */

static instance *model_instance(tenant *t, uint32_t i, status *st)
{
    const defined_model *m = t->plan->models[i].defined;
    return tenant_instance(t, &t->models[i], m->plugin, "model", m->object.key, m->config, st);
}

static model_parts parts_of_model(work *w, uint32_t i, instance *plugin)
{
    return (model_parts){.model = &w->t->plan->models[i],
                         .plugin = plugin,
                         .data = w->data,
                         .control = w->control,
                         .folder = w->t->parts.models_folder,
                         .now_us = w->now_us};
}

static status_class score(work *w, uint32_t i, uint64_t *rows_out, uint32_t *retry_ms_out, status *st)
{
    tenant *t = w->t;
    char id[27], run[40];
    inference_result r;
    instance *plugin = model_instance(t, i, st);
    if (!plugin)
        return st->class;
    model_parts parts = parts_of_model(w, i, plugin);
    status_class class = model_load(&parts, &t->loaded[i], st);
    pthread_mutex_lock(&t->lock);
    t->versions_shown[i] = t->loaded[i].ready ? t->loaded[i].best.version : 0;
    pthread_mutex_unlock(&t->lock);
    if (class != STATUS_OK || !t->loaded[i].ready)
        return class;
    ulid_make(id);
    snprintf(run, sizeof run, "run_%s", id);
    poison_place place = {t->ward, plugin, t->model_stages[i], t->model_stages[i]};
    for (int step = 0; step < STEPS_A_TURN; step++) {
        class = inferencestore_step(&t->plan->models[i], &t->loaded[i].best, &place, t->parts.live, w->data,
                                    run, &r, st);
        tenant_touched(t, t->plan->models[i].table, r.oldest_us);
        *retry_ms_out = r.retry_after_ms;
        if (class != STATUS_OK)
            return class;
        *rows_out += r.rows;
        w->changed = w->changed || r.keys > 0;
        if (!r.more)
            return STATUS_OK;
    }
    w->more = true;
    return STATUS_OK;
}

static void score_models(work *w, bool now)
{
    tenant *t = w->t;
    for (uint32_t i = 0; i < t->plan->definition->n_models; i++) {
        const model_plan *m = &t->plan->models[i];
        uint64_t rows = 0;
        status st;
        bool let_go = t->versions_shown[i] > 0 && !t->loaded[i].ready; /* the tenant has rested */
        bool due = now || let_go || (m->defined->infer.on_change ? w->changed : false) ||
                   w->now_us >= t->scores[i].due_us;
        if (!m->from || !due)
            continue;
        uint32_t retry_ms = 0;
        status_class class = score(w, i, &rows, &retry_ms, &st);
        int64_t next = class != STATUS_OK ? w->now_us + (retry_ms ? (int64_t)retry_ms * 1000 : retry_us)
                       : m->defined->infer.on_change
                           ? INT64_MAX
                           : tenant_next_time(t, &m->defined->infer.schedule, w->now_us, 60 * second);
        tenant_note(t, &t->scores[i], next, rows, class == STATUS_OK ? NULL : &st);
    }
}

/* `again`: rows that were scored before are scored by the new version, too. */
static status_class train(work *w, uint32_t i, const char *actor, bool again, model_training *out, status *st)
{
    tenant *t = w->t;
    instance *plugin = model_instance(t, i, st);
    if (!plugin)
        return st->class;
    model_parts parts = parts_of_model(w, i, plugin);
    status_class class = model_train(&parts, actor, out, st);
    if (class == STATUS_OK && (again || !t->loaded[i].ready))
        class = inferencestore_mark_all(&t->plan->models[i], w->data, st);
    if (class == STATUS_OK)
        t->scores[i].due_us = 0;
    tenant_note(t, &t->trainings[i],
                class == STATUS_OK ? tenant_next_time(t, &t->plan->models[i].defined->train.schedule,
                                                      w->now_us, INT64_MAX / 4)
                                   : w->now_us + retry_pause_us(&t->trainings[i], train_retry_us),
                class == STATUS_OK, class == STATUS_OK ? NULL : st);
    return class;
}

/* A model without a version is trained as soon as its plugin finds the rows enough; if it is trained once and
 * not on a schedule, not before its rows have been quiet, so that it does not learn from the first part of an
 * import. */
static bool rows_may_follow(const work *w, const model_plan *m)
{
    const schedule_rule *s = &m->defined->train.schedule;
    return w->changed && s->every_us == 0 && !s->cron;
}

static void train_due(work *w)
{
    tenant *t = w->t;
    for (uint32_t i = 0; i < t->plan->definition->n_models; i++) {
        const model_plan *m = &t->plan->models[i];
        model_training done = {0};
        status st;
        if (!m->source ||
            (w->now_us < t->trainings[i].due_us && (t->loaded[i].ready || !rows_may_follow(w, m))))
            continue;
        if (t->loaded[i].ready && t->trainings[i].due_us == 0) { /* trained before this host started */
            tenant_note(t, &t->trainings[i],
                        tenant_next_time(t, &m->defined->train.schedule, w->now_us, INT64_MAX / 4), 0, NULL);
            continue;
        }
        if (rows_may_follow(w, m)) {
            tenant_note(t, &t->trainings[i], w->now_us + train_quiet_us, 0, NULL);
            continue;
        }
        if (train(w, i, "schedule", false, &done, &st) == STATUS_OK)
            w->more = true; /* score with it at once */
    }
}

/* ---- deliveries ---- */

static instance *find_notifier(void *arg, const char *key, status *st)
{
    tenant *t = arg;
    const defined_notifier *n = definition_notifier(t->plan->definition, key);
    if (!n) {
        status_set(st, STATUS_NOT_FOUND, "there is no notifier %s any more", key);
        return NULL;
    }
    return tenant_instance(t, &t->notifiers[n - t->plan->definition->notifiers], n->plugin, "notifier", key,
                           n->config, st);
}

static void deliver(work *w)
{
    tenant *t = w->t;
    notify_parts parts = {t->plan->wid, w->control, find_notifier, t, t->ward};
    notify_result r = {0};
    status st;
    if (t->plan->definition->n_notifiers == 0 || (!w->told && w->now_us < t->deliveries.due_us))
        return;
    status_class class = notify_step(&parts, &r, &st);
    int64_t pause_us = class != STATUS_OK ? retry_us / 2 : r.next_in_us > 0 ? r.next_in_us : 0;
    int64_t next_us = pause_us < INT64_MAX - w->now_us ? w->now_us + pause_us : INT64_MAX;
    tenant_note(t, &t->deliveries, next_us, r.sent, class == STATUS_OK ? NULL : &st);
}

/* ---- what was asked for ---- */

static tenant_request *take_request(tenant *t)
{
    pthread_mutex_lock(&t->lock);
    tenant_request *r = t->requests;
    if (r)
        t->requests = r->next;
    pthread_mutex_unlock(&t->lock);
    return r;
}

static status_class run_training(work *w, const tenant_request *r, json_t **result_out, status *st)
{
    model_training done = {0};
    const model_plan *m = flow_plan_model(w->t->plan, r->model);
    if (!m)
        return status_set(st, STATUS_NOT_FOUND, "there is no model %s", r->model);
    uint32_t i = (uint32_t)(m - w->t->plan->models);
    tenant_refresh_features(w, true);
    status_class class = train(w, i, r->actor, true, &done, st);
    if (class != STATUS_OK)
        return class;
    score_models(w, true);
    *result_out = json_pack("{s:s, s:I, s:I, s:s}", "model", r->model, "version", (json_int_t)done.version,
                            "rows", (json_int_t)done.rows, "run", done.run);
    return STATUS_OK;
}

static void run_requests(work *w)
{
    tenant_request *r;
    while ((r = take_request(w->t))) {
        status st;
        json_t *result = NULL;
        status_class class = STATUS_OK;
        if (r->model) {
            class = run_training(w, r, &result, &st);
        } else {
            tenant_refresh_features(w, true);
            score_models(w, true);
            result = json_object();
        }
        r->done(r->arg, result, class == STATUS_OK ? NULL : &st);
        json_decref(result);
        free(r->model);
        free(r->actor);
        free(r);
    }
}

static void refuse(tenant_request *r)
{
    status st;
    status_set(&st, STATUS_UNAVAILABLE, "the workspace is being stopped or replaced; try again");
    r->done(r->arg, NULL, &st);
    free(r->model);
    free(r->actor);
    free(r);
}

void tenant_refuse_requests(tenant *t)
{
    tenant_request *r;
    while ((r = take_request(t)))
        refuse(r);
}

static void ask(tenant *t, tenant_request *r)
{
    pthread_mutex_lock(&t->lock);
    bool stopping = t->stopping;
    if (!stopping) {
        tenant_request **at = &t->requests;
        while (*at)
            at = &(*at)->next;
        *at = r;
    }
    pthread_mutex_unlock(&t->lock);
    if (stopping)
        refuse(r);
}

void tenant_train(tenant *t, const char *model, const char *actor, flow_done done, void *arg)
{
    tenant_request *r = memory_zero(1, sizeof *r);
    *r = (tenant_request){NULL, memory_string(model), memory_string(actor), done, arg};
    ask(t, r);
}

void tenant_refresh(tenant *t, flow_done done, void *arg)
{
    tenant_request *r = memory_zero(1, sizeof *r);
    *r = (tenant_request){NULL, NULL, NULL, done, arg};
    ask(t, r);
}

/* ---- the turn ---- */

static int64_t earliest(const work_note *notes, uint32_t n, int64_t us)
{
    for (uint32_t i = 0; i < n; i++)
        us = notes[i].due_us < us ? notes[i].due_us : us;
    return us;
}

/* Whether anything needs the workspace's rows, and so a connection of its login. */
static bool needs_rows(const work *w)
{
    const tenant *t = w->t;
    const definition *d = t->plan->definition;
    int64_t us = INT64_MAX;
    us = earliest(t->scores, d->n_models, us);
    us = earliest(t->trainings, d->n_models, us);
    us = earliest(t->alerts, d->n_alerts, us);
    return t->requests || t->look_at_builds || us <= w->now_us || tenant_features_due(t, w->now_us);
}

static status_class open_connections(work *w, status *st)
{
    status_class class = STATUS_OK;
    pthread_mutex_lock(&w->t->lock);
    bool needed = needs_rows(w);
    pthread_mutex_unlock(&w->t->lock);
    if (needed)
        class = tenant_borrow(w->t, &w->data, st);
    return class == STATUS_OK ? pool_borrow(w->t->parts.flow->control, NULL, CONTROL_WAIT_MS, &w->control, st)
                              : class;
}

/* When something is due; under the lock. */
static int64_t next_look(const work *w)
{
    const tenant *t = w->t;
    const definition *d = t->plan->definition;
    int64_t us = w->now_us + longest_look_us;
    int64_t features_us = tenant_features_next(t);
    us = features_us < us ? features_us : us;
    us = earliest(t->scores, d->n_models, us);
    us = earliest(t->trainings, d->n_models, us);
    us = earliest(t->alerts, d->n_alerts, us);
    if (d->n_notifiers > 0)
        us = earliest(&t->deliveries, 1, us);
    us = earliest(&t->expiry, 1, us);
    return us > w->now_us ? us : w->now_us + shortest_look_us;
}

/* The next turn when rows come before next_look: then features are due, and alerts on data time. Under the
 * lock. */
static int64_t wake_due(const work *w)
{
    const tenant *t = w->t;
    int64_t us = INT64_MAX;
    for (uint32_t i = 0; i < t->plan->definition->n_featurestores; i++)
        us = t->refresh_due_us[i] < us ? t->refresh_due_us[i] : us;
    for (uint32_t i = 0; i < t->plan->definition->n_alerts; i++) {
        int64_t next_us =
            tenant_next_time(t, &t->plan->definition->alerts[i].schedule, w->now_us, TENANT_ALERT_EVERY_US);
        us = next_us < us ? next_us : us;
    }
    return us;
}

/* Rows came: what slept until then is due as its schedule says. */
static void begin_turn(work *w)
{
    tenant *t = w->t;
    w->stored = atomic_exchange(&t->stored, false);
    if (!w->stored)
        return;
    tenant_set_dirty(t);
    t->changed_us = w->now_us;
    pthread_mutex_lock(&t->lock);
    for (uint32_t i = 0; i < t->plan->definition->n_alerts; i++)
        if (t->alerts[i].due_us > t->wake_due_us)
            t->alerts[i].due_us = t->wake_due_us;
    for (uint32_t i = 0; i < t->plan->definition->n_models; i++)
        if (t->trainings[i].failures && t->trainings[i].due_us > w->now_us + train_retry_us)
            t->trainings[i].due_us = w->now_us + train_retry_us; /* there may be rows enough now */
    pthread_mutex_unlock(&t->lock);
}

static void run_stages(work *w)
{
    if (w->data) {
        run_requests(w);
        tenant_refresh_features(w, false);
        if (w->changed)
            w->t->changed_us = w->now_us;
        score_models(w, false);
    }
    tenant_expire(w);
    if (w->data) {
        train_due(w);
        tenant_evaluate_alerts(w);
    }
    deliver(w);
}

static void end_turn(const work *w, bool connected)
{
    tenant *t = w->t;
    pthread_mutex_lock(&t->lock);
    t->working = false;
    t->wake_due_us = wake_due(w);
    t->next_look_us = w->more ? 0 : connected ? next_look(w) : w->now_us + retry_us;
    if (atomic_load(&t->stored) && t->wake_due_us < t->next_look_us)
        t->next_look_us = t->wake_due_us;
    pthread_mutex_unlock(&t->lock);
}

/* What was asked for cannot be done without a plan. */
static void skip_turn(tenant *t)
{
    tenant_refuse_requests(t);
    pthread_mutex_lock(&t->lock);
    t->working = false;
    t->next_look_us = clock_wall_us() + retry_us;
    pthread_mutex_unlock(&t->lock);
}

void tenant_work(void *arg)
{
    tenant *t = arg;
    work w = {.t = t, .now_us = clock_wall_us()};
    status st;
    const flow_plan *plan = tenant_plan(t, &st);
    if (!plan) {
        skip_turn(t);
        return;
    }
    begin_turn(&w);
    bool connected = open_connections(&w, &st) == STATUS_OK;
    if (connected)
        run_stages(&w);
    else
        log_status(LOG_LEVEL_WARN, "tenant", "the databases cannot be reached", &st);
    pool_return(t->parts.flow->data, w.data);
    pool_return(t->parts.flow->data, w.service);
    pool_return(t->parts.flow->control, w.control);
    end_turn(&w, connected);
    flow_plan_release(plan);
}
