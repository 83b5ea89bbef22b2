#include "flow/sink.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/batch_json.h"
#include "base/clock.h"
#include "base/log.h"
#include "flow/back_off.h"
#include "flow/pace.h"
#include "flow/sink_batch.h"
#include "flow/sink_haul.h"
#include "flow/sink_position.h"

enum {
    POOL_WAIT_MS = 5000,
    DATABASE_AWAY_MS = 1000,
    UNSETTLED_MS = 200, /* something of the store is on its way into it */
    IDLE_MS = 60000,    /* rows that are stored wake it */
    SHORT_REST_MS = 250,
    HELD_BACK_MS = 2000,
    SINK_ARENA_BYTES = 256,
};

struct sink {
    sink_parts parts;
    const datastore_plan *store;
    lane *lane;
    char name[JOURNAL_INSTANCE_MAX], store_name[TABLE_NAME_SIZE + 16], scope[SINK_ID_SIZE];
    atomic_bool news, moved; /* rows were stored; the position is another one now */
    pace pace;
    sink_look look; /* under the pace's lock */
    /* of the lane alone */
    unsigned back_off_ms;
    bool loaded; /* `at` is what the table says */
    sink_position at;
    sink_search search;
    bool tried;   /* `at.trying` was handed over before */
    arena *arena; /* of one batch */
};

/* ---- states ---- */

static void set_state(sink *s, source_state state, const char *problem)
{
    pthread_mutex_lock(&s->pace.lock);
    bool changed = s->look.state != state;
    s->look.state = state;
    snprintf(s->look.problem, sizeof s->look.problem, "%s", problem);
    pthread_mutex_unlock(&s->pace.lock);
    if (changed)
        log_info("sink", "a sink changed its state", LOG_TEXT("sink", s->name),
                 LOG_TEXT("state", source_state_name(state)), LOG_TEXT("problem", problem));
}

static void set_waiting(sink *s, int64_t since_us)
{
    pthread_mutex_lock(&s->pace.lock);
    s->look.waiting_since_us = since_us;
    s->look.position = s->at.seq;
    s->look.delivered = s->at.delivered;
    s->look.refused = s->at.refused;
    pthread_mutex_unlock(&s->pace.lock);
}

/* Ends the turn. Rows that come while it does are not overlooked: sink_stored says so first, then looks. */
static void rest(sink *s, int64_t ms)
{
    pace_rest(&s->pace, ms, ms == IDLE_MS ? &s->news : NULL);
}

static void on_turn(void *arg);

static void away(sink *s, const status *why)
{
    s->loaded = false;
    set_state(s, SOURCE_DEGRADED, why->text);
    rest(s, DATABASE_AWAY_MS);
}

/* A plugin that died has a back-off of its own. */
static void failed(sink *s, const instance_call *call, const status *why)
{
    bool person = call->fault == PLUGIN_FAULT_CONFIG || call->fault == PLUGIN_FAULT_AUTH ||
                  call->fault == PLUGIN_FAULT_UNSUPPORTED;
    unsigned held = call->retry_after_ms < HELD_BACK_MS ? call->retry_after_ms : HELD_BACK_MS;
    if (call->fault == PLUGIN_FAULT_UNLOADED) {
        set_state(s, SOURCE_PAUSED, why->text);
        rest(s, call->retry_after_ms);
        return;
    }
    set_state(s, person ? SOURCE_NEEDS_YOU : SOURCE_DOWN, why->text);
    rest(s, call->fault == PLUGIN_FAULT_DIED
                ? held + SHORT_REST_MS
                : back_off_next(&s->back_off_ms, person ? BACK_OFF_LAST_MS : call->retry_after_ms));
}

/* ---- where it is ---- */

static status_class check_alone(sink *s, connection *c, status *st)
{
    bool alone = true;
    status_class class = sink_position_alone(c, &s->at, journal_incarnation(s->parts.journal), &alone, st);
    if (class == STATUS_OK && !alone)
        class = status_set(
            st, STATUS_CONFLICT,
            "%s: another journal may still bring rows to this store; `penstock journal list` names it",
            s->store_name);
    return class;
}

static status_class load(sink *s, connection *c, const journal_settled *settled, status *st)
{
    if (s->loaded)
        return STATUS_OK;
    s->at = (sink_position){
        .wid = s->parts.plan->wid, .sink = s->parts.defined->object.key, .store = &s->store->table};
    status_class class = check_alone(s, c, st);
    if (class == STATUS_OK)
        class = sink_position_load(c, &s->at, settled->below - 1, s->parts.defined->newest, st);
    if (class != STATUS_OK)
        return class;
    s->loaded = true;
    sink_search_begin(&s->search, s->at.seq);
    s->tried = s->at.trying != 0;
    set_waiting(s, 0);
    return STATUS_OK;
}

/* ---- what to hand over ---- */

/* Rows of the future waited long enough: the clock was set back. */
static bool may_go(const sink *s, const sink_haul *h)
{
    int64_t age_us = clock_wall_us() - h->oldest_us;
    return h->full || age_us < 0 || age_us >= s->parts.defined->every_us;
}

/* A journal that was made while the clock stood back counts from below what went out. */
static status_class check_ahead(const sink *s, const journal_settled *settled, status *st)
{
    if (s->at.seq < settled->below)
        return STATUS_OK;
    return status_set(
        st, STATUS_CONFLICT,
        "%s: it stands at row %llu, and the journal counts from %llu on: was the clock set back when the "
        "journal was made anew?",
        s->name, (unsigned long long)s->at.seq, (unsigned long long)settled->below);
}

/* What is settled first, the table afterwards. Not STATUS_OK: there is no connection to give back. */
static status_class look(sink *s, journal_settled *settled, connection **c_out, status *st)
{
    status_class class =
        journal_settled_get(s->parts.journal, (uint32_t)s->parts.plan->wid, s->store->table.key, settled, st);
    if (class == STATUS_OK)
        class = pool_borrow(*s->parts.data, NULL, POOL_WAIT_MS, c_out, st);
    if (class != STATUS_OK)
        return class;
    class = load(s, *c_out, settled, st);
    if (class != STATUS_OK)
        pool_return(*s->parts.data, *c_out);
    return class;
}

static status_class take(sink *s, sink_haul *h, bool *unsettled_out, status *st)
{
    journal_settled settled;
    connection *c;
    status_class class = look(s, &settled, &c, st);
    if (class != STATUS_OK)
        return class;
    *unsettled_out = settled.waiting;
    class = check_ahead(s, &settled, st);
    if (class == STATUS_OK && s->at.trying)
        class = sink_search_noted(&s->search, c, s->at.seq, s->at.trying, s->arena, h, st);
    else if (class == STATUS_OK)
        class = sink_search_next(&s->search, c, settled.below - 1, s->arena, h, st);
    if (class == STATUS_OK && !s->at.trying && h->n && may_go(s, h))
        class = sink_position_try(c, &s->at, h->last, st);
    pool_return(*s->parts.data, c);
    return class;
}

/* ---- handing over ---- */

static sink_refused *letters_of(sink *s, const sink_batch *b, const metric_result *rows)
{
    sink_refused *letters = arena_zero(s->arena, b->n_refused + 1, sizeof *letters);
    for (uint32_t i = 0; i < b->n_refused; i++) {
        text json = {0};
        batch_row_json(&json, &rows->rows, rows->names, b->refused[i].row);
        letters[i] = (sink_refused){.reason = b->refused[i].reason,
                                    .row = arena_string_n(s->arena, text_or_empty(&json), json.len),
                                    .len = json.len,
                                    .received_us = sink_haul_received(rows)[b->refused[i].row]};
        text_free(&json);
    }
    return letters;
}

static status_class settle(sink *s, const sink_batch *b, const sink_haul *h, status *st)
{
    connection *c;
    char id[SINK_ID_SIZE];
    uint64_t delivered = h->n - b->n_refused - b->n_poison;
    status_class class = pool_borrow(*s->parts.data, NULL, POOL_WAIT_MS, &c, st);
    if (class != STATUS_OK)
        return class;
    sink_batch_id(id, b, b->first_seq, b->last_seq);
    class = sink_position_move(c, &s->at, delivered, id, &s->parts.letters, letters_of(s, b, &h->rows),
                               b->n_refused, st);
    pool_return(*s->parts.data, c);
    return class;
}

static void hand_over(sink *s, sink_haul *h)
{
    status st;
    sink_batch b = {.rows = &h->rows,
                    .n_rows = h->n,
                    .store = s->store_name,
                    .scope = s->scope,
                    .rewound = s->at.rewound,
                    .first_seq = s->at.seq + 1,
                    .last_seq = h->last,
                    .again = s->tried,
                    .place = {s->parts.ward, s->parts.plugin, s->name, s->name},
                    .arena = s->arena};
    s->tried = true;
    status_class class = h->n ? sink_batch_deliver(&b, &st) : STATUS_OK;
    if (class != STATUS_OK) {
        failed(s, &b.call, &st);
        sink_batch_free(&b);
        return;
    }
    class = settle(s, &b, h, &st);
    sink_batch_free(&b);
    if (class != STATUS_OK) {
        away(s, &st);
        return;
    }
    s->tried = false;
    s->back_off_ms = 0;
    s->search.seen = s->at.seq;
    pthread_mutex_lock(&s->pace.lock);
    s->look.last_us = clock_wall_us();
    pthread_mutex_unlock(&s->pace.lock);
    set_waiting(s, 0);
    set_state(s, SOURCE_OK, "");
    lane_post(s->lane, on_turn, s);
}

/* ---- the turn ---- */

/* `begin: newest` means from now on, also while it is paused. */
static bool begins(sink *s)
{
    journal_settled settled;
    connection *c;
    status st;
    if (s->loaded || !s->parts.defined->newest)
        return true;
    if (look(s, &settled, &c, &st) != STATUS_OK)
        return false;
    pool_return(*s->parts.data, c);
    return true;
}

static bool must_rest(sink *s)
{
    bool renewed;
    if (pace_turn(&s->pace, &renewed))
        return false;
    set_state(s, SOURCE_PAUSED, "");
    rest(s, begins(s) ? PACE_FOR_EVER : DATABASE_AWAY_MS);
    return true;
}

/* Nothing goes now. */
static void wait_for_rows(sink *s, const sink_haul *h, bool unsettled)
{
    int64_t left_ms = (h->oldest_us + s->parts.defined->every_us - clock_wall_us()) / 1000;
    int64_t look_ms = s->parts.defined->every_us / 10000;
    set_waiting(s, h->oldest_us);
    if (s->look.state != SOURCE_OK)
        set_state(s, s->look.last_us ? SOURCE_OK : SOURCE_STARTING, "");
    if (h->n) {
        look_ms = look_ms > SHORT_REST_MS ? look_ms : SHORT_REST_MS;
        rest(s, left_ms < 1 ? 1 : left_ms < look_ms ? left_ms : look_ms);
    } else {
        rest(s, unsettled ? UNSETTLED_MS : IDLE_MS);
    }
}

static void on_turn(void *arg)
{
    sink *s = arg;
    sink_haul h = {0};
    bool unsettled = false;
    status st;
    if (must_rest(s))
        return;
    atomic_store(&s->news, false);
    s->loaded = !atomic_exchange(&s->moved, false) && s->loaded;
    arena_reset(s->arena);
    status_class class = take(s, &h, &unsettled, &st);
    if (class != STATUS_OK) {
        away(s, &st);
    } else if (s->at.trying) {
        set_waiting(s, h.oldest_us);
        hand_over(s, &h);
    } else {
        wait_for_rows(s, &h, unsettled);
    }
    metric_result_free(&h.rows);
}

/* ---- life ---- */

sink *sink_create(const sink_parts *parts)
{
    sink *s = memory_zero(1, sizeof *s);
    s->parts = *parts;
    flow_plan_retain(parts->plan);
    s->store = flow_plan_datastore(parts->plan, parts->defined->from.key);
    snprintf(s->name, sizeof s->name, "sink:%s", parts->defined->object.key);
    snprintf(s->store_name, sizeof s->store_name, "datastore:%s", parts->defined->from.key);
    snprintf(s->scope, sizeof s->scope, "%s/%s", parts->plan->definition->workspace_id,
             parts->defined->from.key);
    pace_init(&s->pace, parts->defined->paused);
    if (parts->defined->newest)
        s->pace.due_us = 0; /* to begin, also while it is paused */
    s->lane = lane_open_in(parts->lanes, s->name);
    s->arena = arena_create(SINK_ARENA_BYTES);
    s->search = (sink_search){.table = &s->store->table,
                              .rows_max = parts->defined->batch_rows,
                              .bytes_max = parts->defined->batch_bytes};
    s->look.state = parts->defined->paused ? SOURCE_PAUSED : SOURCE_STARTING;
    return s;
}

void sink_tick(sink *s, int64_t now_us)
{
    if (pace_tick(&s->pace, now_us))
        lane_post(s->lane, on_turn, s);
}

/* One that backs off, or gathers a batch, is not hurried. */
void sink_stored(sink *s)
{
    if (atomic_exchange(&s->news, true))
        return;
    pthread_mutex_lock(&s->pace.lock);
    if ((s->look.state == SOURCE_OK || s->look.state == SOURCE_STARTING) && !s->look.waiting_since_us &&
        !s->pace.turning)
        s->pace.due_us = 0;
    pthread_mutex_unlock(&s->pace.lock);
}

void sink_pause(sink *s, bool paused)
{
    pace_pause(&s->pace, paused);
}

void sink_renew(sink *s)
{
    pace_renew(&s->pace);
}

/* After the table, so that no turn reads the old position behind our back; one that is under way cannot
 * move it any more. */
void sink_moved(sink *s, uint64_t seq)
{
    atomic_store(&s->moved, true);
    pthread_mutex_lock(&s->pace.lock);
    s->look.position = seq;
    pthread_mutex_unlock(&s->pace.lock);
    pace_renew(&s->pace);
}

sink_look sink_look_at(sink *s)
{
    pthread_mutex_lock(&s->pace.lock);
    sink_look look = s->look;
    pthread_mutex_unlock(&s->pace.lock);
    source_hear(s->parts.plugin, &look.state, look.problem, sizeof look.problem);
    return look;
}

static void hurry(void *arg)
{
    sink *s = arg;
    instance_cancel(s->parts.plugin);
}

void sink_free(sink *s)
{
    if (!s)
        return;
    pace_end(&s->pace, hurry, s);
    lane_close(s->lane);
    instance_free(s->parts.plugin);
    flow_plan_release(s->parts.plan);
    arena_free(s->arena);
    pace_destroy(&s->pace);
    free(s);
}
