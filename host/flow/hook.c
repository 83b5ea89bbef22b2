/* A visit is one request on its way. It is held by the lane and by each submission to the journal; whoever
 * lets go last answers. */
#include "flow/hook.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/limit.h"
#include "base/log.h"
#include "base/random.h"
#include "flow/source_decode.h"

enum { ACCEPTED = 202 };

struct hook {
    source_parts parts;
    bool lent;
    atomic_int references;
    lane *lane;
    char instance_name[JOURNAL_INSTANCE_MAX], origin[JOURNAL_ORIGIN_MAX];
    pthread_mutex_t lock;
    source_look look; /* under the lock, like the rest of this block */
    bool paused, ending;
    unsigned waiting, per_second;
    double tokens;
    int64_t counted_us;
    int64_t used_us; /* of the latest request */
    bool awake;      /* it has a plan, or is about to */
    /* of the lane */
    const flow_plan *plan; /* with what lies in it; NULL while it stands still */
    const defined_connector *defined;
    source_decode *decoders;
};

typedef struct visit {
    hook *hook;
    const instance_request *request;
    hook_done done;
    void *arg;
    arena *arena;
    instance_reply reply;
    int http_status; /* instead of the plugin's; 0 = none */
    atomic_int holders;
    pthread_mutex_t lock; /* of `st` */
    status st;            /* why nothing, or not all, was taken */
} visit;

/* ---- states ---- */

static void set_state(hook *h, source_state state, const char *problem)
{
    pthread_mutex_lock(&h->lock);
    bool changed = h->look.state != state && h->look.state != SOURCE_PAUSED;
    if (h->look.state != SOURCE_PAUSED) {
        h->look.state = state;
        snprintf(h->look.problem, sizeof h->look.problem, "%s", problem);
    }
    pthread_mutex_unlock(&h->lock);
    if (changed)
        log_info("hook", "a hook changed its state", LOG_TEXT("hook", h->instance_name),
                 LOG_TEXT("state", source_state_name(state)), LOG_TEXT("problem", problem));
}

static void note_failure(hook *h, const instance_call *call, const status *st)
{
    bool person = call->fault == PLUGIN_FAULT_CONFIG || call->fault == PLUGIN_FAULT_AUTH ||
                  call->fault == PLUGIN_FAULT_UNSUPPORTED;
    set_state(h, person ? SOURCE_NEEDS_YOU : SOURCE_DOWN, st->text);
}

/* ---- answers ---- */

static void refuse(hook_done done, void *arg, int http_status, const status *st)
{
    done(arg, &(hook_answer){.http_status = http_status, .refused = st});
}

static bool is_printable(const char *s)
{
    for (; *s; s++)
        if (*s < ' ' || *s > '~')
            return false;
    return true;
}

static void give_answer(visit *v)
{
    const instance_reply *reply = &v->reply;
    bool empty = v->http_status || reply->http_status == 204 || reply->http_status == 304;
    hook_answer answer = {.http_status = v->http_status ? v->http_status : reply->http_status,
                          .content_type = is_printable(reply->content_type) ? reply->content_type : "",
                          .body = empty ? "" : text_or_empty(&reply->body),
                          .len = empty ? 0 : reply->body.len};
    v->done(v->arg, &answer);
}

static void visit_end(visit *v)
{
    hook *h = v->hook;
    pthread_mutex_lock(&h->lock);
    h->waiting--;
    pthread_mutex_unlock(&h->lock);
    if (v->st.class == STATUS_OK)
        give_answer(v);
    else
        refuse(v->done, v->arg, v->st.class == STATUS_LIMIT ? 429 : 503, &v->st);
    instance_reply_free(&v->reply);
    pthread_mutex_destroy(&v->lock);
    arena_free(v->arena);
    hook_release(h);
}

static void visit_drop(visit *v)
{
    if (atomic_fetch_sub(&v->holders, 1) == 1)
        visit_end(v);
}

static void visit_fail(visit *v, const status *st)
{
    pthread_mutex_lock(&v->lock);
    if (v->st.class == STATUS_OK)
        v->st = *st;
    pthread_mutex_unlock(&v->lock);
}

/* ---- batches into the journal ---- */

/* On the journal's thread. */
static void on_verdict(void *arg, const intake_verdict *verdict)
{
    visit *v = arg;
    hook *h = v->hook;
    if (verdict->st.class != STATUS_OK) {
        visit_fail(v, &verdict->st);
        set_state(h, SOURCE_DEGRADED, verdict->st.text);
    } else {
        pthread_mutex_lock(&h->lock);
        h->look.rows_read += verdict->received;
        h->look.rows_rejected += verdict->rejected;
        h->look.last_rows_us = verdict->received ? clock_wall_us() : h->look.last_rows_us;
        pthread_mutex_unlock(&h->lock);
    }
    visit_drop(v);
}

static intake_order order_for(visit *v, uint32_t target, const rejected_row *refused, uint32_t n_refused)
{
    hook *h = v->hook;
    char *id = arena_alloc(v->arena, 27);
    ulid_make(id);
    return (intake_order){.store = flow_plan_datastore(h->plan, h->defined->into[target].store.key),
                          .origin = h->origin,
                          .request_id = id,
                          .header_costs_rows = true,
                          .refused = refused,
                          .n_refused = n_refused,
                          .done = on_verdict,
                          .arg = v};
}

static void submit(visit *v, const instance_batch *b, uint32_t target)
{
    hook *h = v->hook;
    const source_decode *d = h->decoders ? &h->decoders[target] : NULL;
    source_body body = {0};
    if (b->raw)
        source_decode_batch(d, b, clock_wall_us(), v->arena, &body);
    uint32_t n_refused;
    const rejected_row *refused = source_refused(b, &body, NULL, v->arena, &n_refused);
    intake_order order = order_for(v, target, refused, n_refused);
    order.decode = d ? d->plan : NULL;
    order.format = body.format;
    atomic_fetch_add(&v->holders, 1);
    if (b->rows.n_rows == 0)
        intake_cursor(h->parts.intake, &order);
    else if (b->raw)
        intake_body(h->parts.intake, &order, text_or_empty(&body.bytes), body.bytes.len);
    else
        intake_columns(h->parts.intake, &order, &b->rows, b->names);
    source_body_free(&body);
}

/* The body itself becomes a dead letter. `cause`: how the plugin died of it, or NULL. */
static void keep_body(visit *v, const char *code, const char *why, const char *cause)
{
    rejected_row *row = arena_zero(v->arena, 1, sizeof *row);
    *row = (rejected_row){.code = code,
                          .pointer = "",
                          .detail = why,
                          .bytes = v->request->body,
                          .len = v->request->body_len,
                          .attempts = cause ? 2 : 0,
                          .signal = cause};
    intake_order order = order_for(v, 0, row, 1);
    v->http_status = ACCEPTED;
    atomic_fetch_add(&v->holders, 1);
    intake_cursor(v->hook->parts.intake, &order);
}

static void submit_all(visit *v)
{
    hook *h = v->hook;
    status st = {0};
    for (size_t i = 0; i < v->reply.n_batches; i++) {
        const instance_batch *b = v->reply.batches[i];
        int target = source_target(h->defined, b->stream);
        if (b->raw && !h->decoders) {
            status_set(&st, STATUS_UNAVAILABLE, "it hands over raw payloads: say their format:");
            set_state(h, SOURCE_NEEDS_YOU, st.text);
            visit_fail(v, &st);
            return;
        }
        if (target < 0)
            keep_body(v, "stream",
                      arena_printf(v->arena, "no store is named for its stream %.80s", b->stream), NULL);
        else if (b->rows.n_rows > 0 || b->n_rejects > 0)
            submit(v, b, (uint32_t)target);
    }
}

/* ---- the plugin's turn ---- */

/* In a fresh cell; what kills that one too is poison. */
static status_class receive_again(visit *v, instance_call *call, status *st)
{
    instance *plugin = v->hook->parts.plugin;
    *call = (instance_call){.suspect = true};
    status_class class = instance_receive(plugin, call, v->request, &v->reply, st);
    if (class == STATUS_OK || !instance_call_suspicious(call))
        return class;
    const char *cause = arena_string(v->arena, call->cause);
    instance_absolve(plugin, 1, false);
    set_state(v->hook, SOURCE_OK, "");
    keep_body(v, "poison", arena_printf(v->arena, "the plugin died on this request twice: %s", cause), cause);
    return class;
}

static void on_failure(visit *v, const instance_call *call, const status *st)
{
    if (v->http_status) /* its body is kept */
        return;
    if (call->fault == PLUGIN_FAULT_DATA) {
        keep_body(v, "source", arena_string(v->arena, st->text), NULL);
        return;
    }
    status away = *st;
    away.class = STATUS_UNAVAILABLE;
    note_failure(v->hook, call, st);
    visit_fail(v, &away);
}

static status_class take_plan(hook *h, status *st)
{
    if (!h->plan)
        h->plan = h->parts.plan_of(h->parts.arg, st);
    if (!h->plan)
        return st->class;
    h->defined = definition_connector(h->plan->definition, h->instance_name + strlen(SOURCE_PREFIX));
    assert(h->defined); /* another definition has another hook */
    return h->decoders ? STATUS_OK : source_decoders_make(h->defined, h->plan, &h->decoders, st);
}

static bool wake(visit *v)
{
    hook *h = v->hook;
    status st;
    if (take_plan(h, &st) == STATUS_OK)
        return true;
    set_state(h, SOURCE_NEEDS_YOU, st.text);
    st.class = STATUS_UNAVAILABLE;
    visit_fail(v, &st);
    return false;
}

static void let_go(hook *h)
{
    source_decoders_free(h->decoders, h->defined);
    flow_plan_release(h->plan);
    h->decoders = NULL;
    h->plan = NULL;
    h->defined = NULL;
}

static bool is_closed(visit *v)
{
    hook *h = v->hook;
    status st;
    pthread_mutex_lock(&h->lock);
    bool closed = h->ending;
    pthread_mutex_unlock(&h->lock);
    if (closed)
        visit_fail(v, (status_set(&st, STATUS_UNAVAILABLE, "the hook is being stopped or replaced"), &st));
    return closed;
}

static void on_visit(void *arg)
{
    visit *v = arg;
    instance_call call = {0};
    status st;
    if (!is_closed(v) && wake(v)) {
        status_class class = instance_receive(v->hook->parts.plugin, &call, v->request, &v->reply, &st);
        if (class != STATUS_OK && instance_call_suspicious(&call))
            class = receive_again(v, &call, &st);
        if (class == STATUS_OK) {
            set_state(v->hook, SOURCE_OK, "");
            submit_all(v);
        } else {
            on_failure(v, &call, &st);
        }
    }
    visit_drop(v);
}

/* ---- at the door ---- */

/* Under the lock. */
static bool take_token(hook *h)
{
    int64_t now = clock_monotonic_us();
    h->tokens += (double)(now - h->counted_us) * 1e-6 * h->per_second;
    h->tokens = h->tokens > 2.0 * h->per_second ? 2.0 * h->per_second : h->tokens;
    h->counted_us = now;
    if (h->tokens < 1)
        return false;
    h->tokens -= 1;
    return true;
}

/* 0 = come in. */
static int enter(hook *h, status *st)
{
    int answer = 503;
    pthread_mutex_lock(&h->lock);
    if (h->paused || h->ending) {
        status_set(st, STATUS_UNAVAILABLE, "the connector is paused");
    } else if (h->waiting >= HOOK_WAITING_MAX) {
        status_set(st, STATUS_UNAVAILABLE, "%u requests of this hook wait already", h->waiting);
        limit_put(st, &(limit){"hook_waiting", HOOK_WAITING_MAX, LIMIT_FIXED, 1});
    } else if (!take_token(h)) {
        status_set(st, STATUS_LIMIT, "more than %u requests a second", h->per_second);
        limit_put(st, &(limit){"limits.hook_rate", h->per_second, LIMIT_BY_PLATFORM, 1});
        answer = 429;
    } else {
        h->waiting++;
        h->awake = true;
        h->used_us = clock_monotonic_us();
        answer = 0;
    }
    pthread_mutex_unlock(&h->lock);
    return answer;
}

void hook_receive(hook *h, const instance_request *q, hook_done done, void *arg)
{
    status st;
    int refused = enter(h, &st);
    if (refused) {
        refuse(done, arg, refused, &st);
        return;
    }
    arena *a = arena_create(0);
    visit *v = arena_zero(a, 1, sizeof *v);
    *v = (visit){.hook = hook_retain(h), .request = q, .done = done, .arg = arg, .arena = a, .holders = 1};
    pthread_mutex_init(&v->lock, NULL);
    lane_post(h->lane, on_visit, v);
}

/* ---- life ---- */

/* The configuration's faults show before the first request comes. */
static void on_begin(void *arg)
{
    hook *h = arg;
    instance_call call = {0};
    status st;
    if (instance_start(h->parts.plugin, &call, &st) != STATUS_OK)
        note_failure(h, &call, &st);
    else if (take_plan(h, &st) != STATUS_OK)
        set_state(h, SOURCE_NEEDS_YOU, st.text);
    else
        set_state(h, SOURCE_OK, "");
}

/* Requests that came since are behind this on the lane: they wake it again. */
static void on_quiet(void *arg)
{
    let_go(arg);
}

void hook_tick(hook *h, int64_t now_us)
{
    pthread_mutex_lock(&h->lock);
    bool quiet = h->awake && h->waiting == 0 && !h->ending && now_us - h->used_us >= h->parts.rest_us;
    if (quiet) {
        h->awake = false;
        lane_post(h->lane, on_quiet, h);
    }
    pthread_mutex_unlock(&h->lock);
}

hook *hook_create(const source_parts *parts, const defined_connector *defined, bool lent, unsigned per_second)
{
    hook *h = memory_zero(1, sizeof *h);
    h->parts = *parts;
    h->lent = lent;
    h->references = 1;
    h->per_second = per_second ? per_second : HOOK_RATE_DEFAULT;
    h->tokens = 2.0 * h->per_second;
    h->counted_us = clock_monotonic_us();
    h->used_us = h->counted_us;
    snprintf(h->instance_name, sizeof h->instance_name, SOURCE_PREFIX "%s", defined->object.key);
    snprintf(h->origin, sizeof h->origin, "%s", h->instance_name);
    pthread_mutex_init(&h->lock, NULL);
    h->lane = lane_open_in(parts->lanes, h->instance_name);
    h->paused = defined->paused;
    h->look.state = h->paused ? SOURCE_PAUSED : SOURCE_STARTING;
    h->awake = !h->paused;
    if (!h->paused)
        lane_post(h->lane, on_begin, h);
    return h;
}

hook *hook_retain(hook *h)
{
    atomic_fetch_add(&h->references, 1);
    return h;
}

void hook_release(hook *h)
{
    if (!h || atomic_fetch_sub(&h->references, 1) > 1)
        return;
    flow_plan_release(h->plan);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

void hook_free(hook *h)
{
    if (!h)
        return;
    pthread_mutex_lock(&h->lock);
    h->ending = true;
    pthread_mutex_unlock(&h->lock);
    instance_cancel(h->parts.plugin);
    lane_close(h->lane);
    if (!h->lent)
        instance_free(h->parts.plugin);
    source_decoders_free(h->decoders, h->defined);
    h->decoders = NULL;
    hook_release(h);
}

void hook_pause(hook *h, bool paused)
{
    pthread_mutex_lock(&h->lock);
    h->paused = paused;
    h->look.state = paused ? SOURCE_PAUSED : SOURCE_OK;
    h->look.problem[0] = '\0';
    pthread_mutex_unlock(&h->lock);
}

source_look hook_look(hook *h)
{
    pthread_mutex_lock(&h->lock);
    source_look look = h->look;
    pthread_mutex_unlock(&h->lock);
    return look;
}
