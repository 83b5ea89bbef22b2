#include "serve/job_desk.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/log.h"
#include "control/job.h"
#include "serve/services.h"

/* A training ends within 30 minutes: the plugin's own deadline. */
static const int64_t lease_us = 35 * 60 * INT64_C(1000000);

typedef struct waiting { /* somebody who wants to hear how a job ended */
    struct waiting *next;
    char id[32];
    job_ended ended;
    void *arg;
} waiting;

struct job_desk {
    struct services *services;
    lane *lane;
    pthread_mutex_t lock;
    waiting *waiting;
};

typedef struct running {
    job_desk *desk;
    job_claim claim;
} running;

job_desk *job_desk_create(struct services *s, lane_pool *lanes)
{
    job_desk *d = memory_zero(1, sizeof *d);
    d->services = s;
    d->lane = lane_open(lanes, "jobs");
    pthread_mutex_init(&d->lock, NULL);
    return d;
}

static waiting *waiting_take(job_desk *d, const char *id)
{
    pthread_mutex_lock(&d->lock);
    waiting **at = &d->waiting;
    while (*at && id && strcmp((*at)->id, id) != 0)
        at = &(*at)->next;
    waiting *w = *at;
    if (w)
        *at = w->next;
    pthread_mutex_unlock(&d->lock);
    return w;
}

static void tell(job_desk *d, const char *id, const json_t *result, const status *st)
{
    waiting *w;
    while ((w = waiting_take(d, id))) {
        w->ended(w->arg, result, st);
        free(w);
    }
}

void job_desk_dismiss(job_desk *d)
{
    status st;
    status_set(&st, STATUS_UNAVAILABLE, "the host stops; the job is taken up again when it is back");
    tell(d, NULL, NULL, &st);
}

void job_desk_free(job_desk *d)
{
    if (!d)
        return;
    lane_close(d->lane);
    job_desk_dismiss(d);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

static connection *borrow(job_desk *d, status *st)
{
    connection *c = NULL;
    return pool_borrow(d->services->control->control, NULL, CONTROL_WAIT_MS, &c, st) == STATUS_OK ? c : NULL;
}

/* ---- running ---- */

static void record_end(job_desk *d, const job_claim *claim, const json_t *result, const char *error)
{
    status st;
    connection *c = borrow(d, &st);
    if (!c || job_finish(c, claim, result, error, &st) != STATUS_OK)
        log_status(LOG_LEVEL_WARN, "job", "the end of a job could not be recorded", &st);
    pool_return(d->services->control->control, c);
}

static void finish(running *r, const json_t *result, const status *st)
{
    job_desk *d = r->desk;
    /* The host stops, or the workspace is being replaced: not the job's own failure, it is run again. */
    bool again = !result && st->class == STATUS_UNAVAILABLE;
    if (!again)
        record_end(d, &r->claim, result, result ? NULL : st->text);
    tell(d, r->claim.id, result, st);
    json_decref(r->claim.input);
    free(r);
}

static void on_trained(void *arg, const json_t *result, const status *st)
{
    finish(arg, result, st);
}

static void run(job_desk *d, const job_claim *claim)
{
    status st;
    running *r = memory_alloc(sizeof *r);
    *r = (running){d, *claim};
    const char *model = json_string_value(json_object_get(claim->input, "model"));
    const char *actor = json_string_value(json_object_get(claim->input, "actor"));
    if (strcmp(claim->kind, "train") != 0 || !model || !actor) {
        status_set(&st, STATUS_UNSUPPORTED, "this host does not know jobs of the kind %s", claim->kind);
        finish(r, NULL, &st);
        return;
    }
    if (flow_train(d->services->flow, claim->wid, model, actor, on_trained, r, &st) != STATUS_OK)
        finish(r, NULL, &st);
}

static void look(void *arg)
{
    job_desk *d = arg;
    status st;
    bool found = true;
    while (found) {
        job_claim claim;
        connection *c = borrow(d, &st);
        status_class class =
            c ? job_take(c, NULL, d->services->host_name, lease_us, &claim, &found, &st) : STATUS_UNAVAILABLE;
        pool_return(d->services->control->control, c);
        if (class != STATUS_OK) {
            log_status(LOG_LEVEL_WARN, "job", "jobs cannot be looked for", &st);
            return;
        }
        if (found)
            run(d, &claim);
    }
}

void job_desk_look(job_desk *d)
{
    lane_post(d->lane, look, d);
}

/* ---- asking; on the desk's lane, so that a job cannot end before who waits for it is noted ---- */

typedef struct order {
    job_desk *desk;
    job_wish wish;
    char *model, *actor;
} order;

static status_class make(const order *o, char id[32], status *st)
{
    connection *c = borrow(o->desk, st);
    if (!c)
        return st->class;
    json_t *input = json_pack("{s:s, s:s}", "model", o->model, "actor", o->actor);
    status_class class = job_create(c, o->wish.wid, "train", o->model, input, id, st);
    json_decref(input);
    pool_return(o->desk->services->control->control, c);
    return class;
}

static void waiting_add(job_desk *d, const char *id, const job_wish *wish)
{
    waiting *w = memory_zero(1, sizeof *w);
    *w = (waiting){.ended = wish->ended, .arg = wish->arg};
    snprintf(w->id, sizeof w->id, "%s", id);
    pthread_mutex_lock(&d->lock);
    w->next = d->waiting;
    d->waiting = w;
    pthread_mutex_unlock(&d->lock);
}

static void fulfil(void *arg)
{
    order *o = arg;
    char id[32];
    status st;
    bool made = make(o, id, &st) == STATUS_OK;
    if (made && o->wish.ended)
        waiting_add(o->desk, id, &o->wish);
    else if (o->wish.ended)
        o->wish.ended(o->wish.arg, NULL, &st);
    else
        o->wish.made(o->wish.arg, made ? id : NULL, made ? NULL : &st);
    if (made)
        look(o->desk);
    free(o->model);
    free(o->actor);
    free(o);
}

void job_desk_train(job_desk *d, const job_wish *wish)
{
    order *o = memory_alloc(sizeof *o);
    *o = (order){d, *wish, memory_string(wish->model), memory_string(wish->actor)};
    lane_post(d->lane, fulfil, o);
}
