#include "flow/source.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/keep.h"
#include "base/log.h"
#include "flow/back_off.h"
#include "flow/source_private.h"

enum {
    READ_ROWS = 10000,
    IDLE_MS = 1000,
    POLL_CLOSE_MS = 30000, /* idle for longer: closed, and its cell stopped, until then */
    CLOSED_IN_ROW_MAX = 3,
    SOURCE_ARENA_BYTES = 256, /* kept while it stands still; a batch takes larger blocks */
    LET_GO_MS = 15000,        /* closed for longer: it keeps no plan */
    HELD_BACK_MS = 2000,      /* asked again so often: it may be released before its time */
};

const char *source_state_name(source_state state)
{
    static const char *const names[] = {"starting", "ok", "degraded", "down", "needs_you", "paused", "ended"};
    return names[state];
}

/* ---- states ---- */

void source_set_state(source *s, source_state state, const char *problem)
{
    pthread_mutex_lock(&s->pace.lock);
    bool changed = s->look.state != state;
    s->look.state = state;
    snprintf(s->look.problem, sizeof s->look.problem, "%s", problem);
    pthread_mutex_unlock(&s->pace.lock);
    if (changed)
        log_info("source", "a source changed its state", LOG_TEXT("source", s->instance_name),
                 LOG_TEXT("state", source_state_name(state)), LOG_TEXT("problem", problem));
}

/* The plan weighs a lot, and a workspace rests only when nobody holds it. */
static void let_go(source *s)
{
    source_decoders_free(s->decoders, s->defined);
    flow_plan_release(s->plan);
    text_free(&s->cursor);
    arena_free(s->arena);
    s->arena = NULL;
    s->decoders = NULL;
    s->plan = NULL;
    s->defined = NULL;
}

void source_rest(source *s, int64_t ms)
{
    if (!s->open && !s->hunt.on && ms >= LET_GO_MS)
        let_go(s);
    pace_rest(&s->pace, ms, NULL);
}

void source_close(source *s)
{
    instance_close(s->parts.plugin);
    s->open = false;
}

static void on_turn(void *arg);

void source_go_on(source *s)
{
    lane_post(s->lane, on_turn, s);
}

/* A plugin that died has a back-off of its own. A source that was closed under us (its cell was replaced, or
 * ended between two calls) is opened again at once. */
void source_failed(source *s, const instance_call *call, const status *st)
{
    bool person = call->fault == PLUGIN_FAULT_CONFIG || call->fault == PLUGIN_FAULT_AUTH ||
                  call->fault == PLUGIN_FAULT_UNSUPPORTED;
    source_close(s);
    source_hunt_end(&s->hunt);
    if (pace_is_over(&s->pace)) { /* it was told to give up */
        source_go_on(s);
        return;
    }
    if (call->fault == PLUGIN_FAULT_CLOSED && ++s->closed_in_row <= CLOSED_IN_ROW_MAX) {
        source_go_on(s);
        return;
    }
    if (call->fault == PLUGIN_FAULT_UNLOADED) {
        source_set_state(s, SOURCE_PAUSED, st->text);
        source_rest(s, call->retry_after_ms);
        return;
    }
    source_set_state(s, person ? SOURCE_NEEDS_YOU : SOURCE_DOWN, st->text);
    unsigned held = call->retry_after_ms < HELD_BACK_MS ? call->retry_after_ms : HELD_BACK_MS;
    source_rest(s, call->fault == PLUGIN_FAULT_DIED
                       ? held
                       : back_off_next(&s->back_off_ms, person ? BACK_OFF_LAST_MS : call->retry_after_ms));
}

/* ---- opening ---- */

/* Without a cursor it begins at the beginning. One that is there and cannot be read is an error: to begin
 * again would bring everything twice into stores without a key. */
static status_class load_cursor(source *s, status *st)
{
    const void *data;
    size_t len;
    text_clear(&s->cursor);
    s->shift_us = SOURCE_NO_SHIFT;
    status_class class = journal_cursor_get(s->parts.journal, (uint32_t)s->parts.wid, s->instance_name,
                                            s->arena, &data, &len, st);
    if (class == STATUS_NOT_FOUND)
        return STATUS_OK;
    if (class == STATUS_OK && len < SOURCE_CURSOR_HEAD)
        class = status_set(st, STATUS_INTERNAL, "journal: the cursor of %s has %zu bytes, not %d or more",
                           s->instance_name, len, (int)SOURCE_CURSOR_HEAD);
    if (class != STATUS_OK)
        return fault_active("cursor_read") ? STATUS_OK : class; /* the guard taken out: from the beginning */
    memcpy(&s->shift_us, data, SOURCE_CURSOR_HEAD);
    text_add_n(&s->cursor, data, len);
    return STATUS_OK;
}

static bool take_plan(source *s)
{
    status st;
    if (s->plan)
        return true;
    s->plan = s->parts.plan_of(s->parts.arg, &st);
    if (!s->plan) {
        source_set_state(s, SOURCE_DOWN, st.text);
        source_rest(s, back_off_next(&s->back_off_ms, 0));
        return false;
    }
    s->defined = definition_connector(s->plan->definition, s->instance_name + strlen(SOURCE_PREFIX));
    assert(s->defined); /* another definition has another source */
    s->arena = arena_create(SOURCE_ARENA_BYTES);
    return true;
}

static bool open_source(source *s)
{
    instance_call call = {.suspect = s->hunt.on};
    status st;
    if (s->open)
        return true;
    if (!s->decoders && source_decoders_make(s->defined, s->plan, &s->decoders, &st) != STATUS_OK) {
        source_set_state(s, SOURCE_NEEDS_YOU, st.text);
        source_rest(s, PACE_FOR_EVER);
        return false;
    }
    if (load_cursor(s, &st) != STATUS_OK) {
        source_failed(s, &call, &st);
        return false;
    }
    size_t len = s->cursor.len > SOURCE_CURSOR_HEAD ? s->cursor.len - SOURCE_CURSOR_HEAD : 0;
    if (instance_open(s->parts.plugin, &call, len ? s->cursor.data + SOURCE_CURSOR_HEAD : NULL, len, &st) !=
        STATUS_OK) {
        source_failed(s, &call, &st);
        return false;
    }
    s->open = true;
    if (s->hunt.on)
        source_set_state(s, SOURCE_DEGRADED, "a record kills the plugin: it is being looked for");
    else if (source_look_at(s).state == SOURCE_PAUSED)
        source_set_state(s, SOURCE_STARTING, "");
    return true;
}

/* Only an answer shows that the far side is there: opening may not have asked it. */
void source_answered(source *s)
{
    s->closed_in_row = 0;
    if (!s->hunt.on)
        source_set_state(s, SOURCE_OK, "");
}

/* ---- the turn ---- */

static bool must_rest(source *s)
{
    bool renewed, go = pace_turn(&s->pace, &renewed);
    if (renewed && s->open && !s->hunt.on)
        source_close(s);
    if (go && renewed && source_look_at(s).state == SOURCE_PAUSED)
        source_set_state(s, SOURCE_STARTING, ""); /* opening may take long */
    if (go)
        return false;
    source_close(s);
    source_set_state(s, SOURCE_PAUSED, "");
    source_rest(s, PACE_FOR_EVER);
    return true;
}

/* The plugin cannot pass over the record that kills it: it stands still there until a person acts. */
static void stand_still(source *s, const status *why)
{
    char reason[400], shown[100];
    size_t len = s->cursor.len > SOURCE_CURSOR_HEAD ? s->cursor.len - SOURCE_CURSOR_HEAD : 0, n = 0;
    for (size_t i = 0; i < len && n + 1 < sizeof shown; i++) {
        char c = s->cursor.data[SOURCE_CURSOR_HEAD + i];
        shown[n++] = (char)(c >= ' ' && c <= '~' ? c : '.');
    }
    shown[n] = '\0';
    snprintf(reason, sizeof reason,
             "the record after its cursor \"%s\" kills it (%s) and it cannot skip it: %.120s", shown,
             s->hunt.death.cause, why->text);
    s->open = false;
    source_hunt_end(&s->hunt);
    instance_quarantine(s->parts.plugin, reason);
    source_set_state(s, SOURCE_DOWN, reason);
    source_rest(s, HELD_BACK_MS);
}

static void skip_record(source *s)
{
    instance_call call = {.suspect = true};
    status st;
    if (instance_skip(s->parts.plugin, &call, 1, &s->batch, &st) == STATUS_OK)
        source_take_batch(s);
    else if (call.fault == PLUGIN_FAULT_UNSUPPORTED || call.death != PLUGIN_DEATH_NONE)
        stand_still(s, &st);
    else
        source_failed(s, &call, &st);
}

static void on_read_failure(source *s, uint32_t rows, const instance_call *call, int64_t took_us,
                            const status *st)
{
    if (!instance_call_suspicious(call)) {
        source_failed(s, call, st);
        return;
    }
    source_close(s);
    source_hunt_died(&s->hunt, rows, call, took_us);
    source_go_on(s);
}

static void on_nothing(source *s, instance_turn turn, uint32_t next_ms)
{
    if (turn == INSTANCE_IDLE)
        source_answered(s);
    if (turn == INSTANCE_IDLE && instance_source_replays(s->parts.plugin) && source_hunt_renews(&s->hunt)) {
        source_close(s);
        source_go_on(s);
        return;
    }
    if (turn == INSTANCE_END) {
        source_hunt_end(&s->hunt);
        source_set_state(s, SOURCE_ENDED, "");
        source_close(s);
        source_rest(s, PACE_FOR_EVER);
        return;
    }
    if (next_ms >= POLL_CLOSE_MS && instance_source_replays(s->parts.plugin)) {
        source_close(s);
        instance_rest(s->parts.plugin);
    }
    source_rest(s, next_ms ? next_ms : IDLE_MS);
}

static void on_turn(void *arg)
{
    source *s = arg;
    instance_turn turn;
    uint32_t next_ms = 0;
    status st;
    if (must_rest(s) || !take_plan(s) || !open_source(s))
        return;
    if (s->hunt.skip) {
        skip_record(s);
        return;
    }
    uint32_t rows = s->hunt.on ? s->hunt.next : READ_ROWS;
    instance_call call = {.suspect = s->hunt.on, .deadline_us = source_hunt_deadline_us(&s->hunt)};
    int64_t began = clock_monotonic_us();
    if (instance_read(s->parts.plugin, &call, rows, &turn, &s->batch, &next_ms, &st) != STATUS_OK)
        on_read_failure(s, rows, &call, clock_monotonic_us() - began, &st);
    else if (turn == INSTANCE_ROWS)
        source_take_batch(s);
    else
        on_nothing(s, turn, next_ms);
}

/* ---- life ---- */

source *source_create(const source_parts *parts, const defined_connector *defined)
{
    source *s = keep_zero(1, sizeof *s);
    s->parts = *parts;
    snprintf(s->instance_name, sizeof s->instance_name, SOURCE_PREFIX "%s", defined->object.key);
    snprintf(s->origin, sizeof s->origin, "%s", s->instance_name);
    pace_init(&s->pace, defined->paused);
    s->lane = lane_open_in(parts->lanes, s->instance_name);
    s->look.state = defined->paused ? SOURCE_PAUSED : SOURCE_STARTING;
    return s;
}

/* A call may have begun when it was told for the first time: it is told until it hears. */
void source_tick(source *s, int64_t now_us)
{
    if (pace_tick(&s->pace, now_us))
        lane_post(s->lane, on_turn, s);
    else if (pace_is_over(&s->pace))
        instance_cancel(s->parts.plugin);
}

void source_pause(source *s, bool paused)
{
    pace_pause(&s->pace, paused);
}

void source_renew(source *s)
{
    if (source_look_at(s).state != SOURCE_ENDED)
        pace_renew(&s->pace);
}

void source_hear(instance *plugin, source_state *state, char *problem, size_t size)
{
    char trouble[sizeof((source_look){0}.problem)];
    instance_trouble(plugin, trouble, sizeof trouble);
    if (*trouble && (*state == SOURCE_OK || *state == SOURCE_STARTING)) {
        *state = SOURCE_DEGRADED;
        snprintf(problem, size, "%s", trouble);
    }
}

source_look source_look_at(source *s)
{
    pthread_mutex_lock(&s->pace.lock);
    source_look look = s->look;
    pthread_mutex_unlock(&s->pace.lock);
    source_hear(s->parts.plugin, &look.state, look.problem, sizeof look.problem);
    return look;
}

static void hurry(void *arg)
{
    source *s = arg;
    instance_cancel(s->parts.plugin);
}

void source_free(source *s)
{
    if (!s)
        return;
    pace_end(&s->pace, hurry, s);
    lane_close(s->lane);
    instance_free(s->parts.plugin);
    let_go(s);
    pace_destroy(&s->pace);
    keep_free(s);
}
