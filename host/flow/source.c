#include "flow/source.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "flow/source_decode.h"
#include "flow/source_hunt.h"

enum {
    READ_ROWS = 10000,
    IDLE_MS = 1000,
    FULL_MS = 1000,
    BACK_OFF_FIRST_MS = 200,
    BACK_OFF_LAST_MS = 60000,
    CURSOR_HEAD = 8,       /* our own part of a cursor: the time shift */
    POLL_CLOSE_MS = 30000, /* idle for longer: closed, and its cell stopped, until then */
    CLOSED_IN_ROW_MAX = 3,
    QUARANTINE_MS = 600000,
};
static const int64_t NO_SHIFT = INT64_MIN;

struct source {
    source_parts parts;
    lane *lane;
    char instance_name[JOURNAL_INSTANCE_MAX], origin[JOURNAL_ORIGIN_MAX];
    pthread_mutex_t lock;
    pthread_cond_t settled;
    source_look look; /* under the lock, like the rest of this block */
    bool turning, paused, ending;
    int64_t due_us;
    unsigned back_off_ms;
    /* of the lane alone */
    bool open;
    int64_t shift_us;        /* NO_SHIFT = not known yet */
    arena *arena;            /* of one batch */
    source_decode *decoders; /* by target of `into` */
    instance_batch *batch;   /* on its way */
    text cursor;             /* as it lies in the journal */
    source_hunt hunt;        /* for a record that kills the plugin */
    unsigned closed_in_row;  /* openings that led to no read */
};

const char *source_state_name(source_state state)
{
    static const char *const names[] = {"starting", "ok", "degraded", "down", "needs_you", "paused", "ended"};
    return names[state];
}

const char *source_name(const source *s)
{
    return s->parts.defined->object.key;
}

/* ---- states ---- */

static void set_state(source *s, source_state state, const char *problem)
{
    pthread_mutex_lock(&s->lock);
    bool changed = s->look.state != state;
    s->look.state = state;
    snprintf(s->look.problem, sizeof s->look.problem, "%s", problem);
    pthread_mutex_unlock(&s->lock);
    if (changed)
        log_info("source", "a source changed its state", LOG_TEXT("source", s->instance_name),
                 LOG_TEXT("state", source_state_name(state)), LOG_TEXT("problem", problem));
}

/* Ends the turn; the next one is due in `ms`. */
static void rest(source *s, unsigned ms)
{
    pthread_mutex_lock(&s->lock);
    s->turning = false;
    s->due_us = clock_monotonic_us() + (int64_t)ms * 1000;
    pthread_cond_broadcast(&s->settled);
    pthread_mutex_unlock(&s->lock);
}

static void rest_for_ever(source *s)
{
    pthread_mutex_lock(&s->lock);
    s->turning = false;
    s->due_us = INT64_MAX;
    pthread_cond_broadcast(&s->settled);
    pthread_mutex_unlock(&s->lock);
}

static unsigned back_off(source *s, uint32_t asked_ms)
{
    s->back_off_ms = s->back_off_ms ? s->back_off_ms * 2 : BACK_OFF_FIRST_MS;
    s->back_off_ms = s->back_off_ms > BACK_OFF_LAST_MS ? BACK_OFF_LAST_MS : s->back_off_ms;
    unsigned jittered = s->back_off_ms - (unsigned)random_below(s->back_off_ms / 4 + 1);
    return asked_ms > jittered ? asked_ms : jittered;
}

static void close_source(source *s)
{
    instance_close(s->parts.plugin);
    s->open = false;
}

static void on_turn(void *arg);

/* The next turn begins at once. */
static void go_on(source *s)
{
    lane_post(s->lane, on_turn, s);
}

/* A plugin that died has a back-off of its own. A source that was closed under us (its cell was replaced, or
 * ended between two calls) is opened again at once. */
static void on_plugin_failure(source *s, const instance_call *call, const status *st)
{
    bool person = call->fault == PLUGIN_FAULT_CONFIG || call->fault == PLUGIN_FAULT_AUTH ||
                  call->fault == PLUGIN_FAULT_UNSUPPORTED;
    close_source(s);
    source_hunt_end(&s->hunt);
    if (call->fault == PLUGIN_FAULT_CLOSED && ++s->closed_in_row <= CLOSED_IN_ROW_MAX) {
        go_on(s);
        return;
    }
    if (call->fault == PLUGIN_FAULT_UNLOADED) {
        set_state(s, SOURCE_PAUSED, st->text);
        rest(s, call->retry_after_ms);
        return;
    }
    set_state(s, person ? SOURCE_NEEDS_YOU : SOURCE_DOWN, st->text);
    rest(s, call->fault == PLUGIN_FAULT_DIED ? call->retry_after_ms
                                             : back_off(s, person ? BACK_OFF_LAST_MS : call->retry_after_ms));
}

/* ---- opening ---- */

static status_class make_decoders(source *s, status *st)
{
    const defined_connector *c = s->parts.defined;
    if (s->decoders || !c->format)
        return STATUS_OK;
    s->decoders = memory_zero(c->n_into, sizeof *s->decoders);
    for (uint32_t i = 0; i < c->n_into; i++) {
        const datastore_plan *store = flow_plan_datastore(s->parts.plan, c->into[i].store.key);
        status_class class = source_decode_make(c, store, &s->decoders[i], st);
        if (class != STATUS_OK)
            return class;
    }
    return STATUS_OK;
}

static void load_cursor(source *s)
{
    const void *data;
    size_t len;
    status st;
    text_clear(&s->cursor);
    s->shift_us = NO_SHIFT;
    if (journal_cursor_get(s->parts.journal, (uint32_t)s->parts.plan->wid, s->instance_name, s->arena, &data,
                           &len, &st) != STATUS_OK ||
        len < CURSOR_HEAD)
        return;
    memcpy(&s->shift_us, data, CURSOR_HEAD);
    text_add_n(&s->cursor, data, len);
}

static bool open_source(source *s)
{
    instance_call call = {.suspect = s->hunt.on};
    status st;
    if (s->open)
        return true;
    if (make_decoders(s, &st) != STATUS_OK) {
        set_state(s, SOURCE_NEEDS_YOU, st.text);
        rest_for_ever(s);
        return false;
    }
    load_cursor(s);
    size_t len = s->cursor.len > CURSOR_HEAD ? s->cursor.len - CURSOR_HEAD : 0;
    if (instance_open(s->parts.plugin, &call, len ? s->cursor.data + CURSOR_HEAD : NULL, len, &st) !=
        STATUS_OK) {
        on_plugin_failure(s, &call, &st);
        return false;
    }
    s->open = true;
    if (s->hunt.on)
        set_state(s, SOURCE_DEGRADED, "a record kills the plugin: it is being looked for");
    else
        set_state(s, SOURCE_OK, "");
    return true;
}

/* ---- one batch ---- */

static int target_of(const source *s, const char *stream)
{
    const defined_connector *c = s->parts.defined;
    for (uint32_t i = 0; i < c->n_into; i++)
        if (!c->into[i].stream || strcmp(c->into[i].stream, stream) == 0)
            return (int)i;
    return -1;
}

/* What was read, or skipped, is durable. */
static void note_hunt(source *s)
{
    uint32_t n = s->batch->rows.n_rows + (uint32_t)s->batch->n_rejects;
    if (s->hunt.on && s->hunt.skip) {
        instance_absolve(s->parts.plugin, n, s->hunt.worked);
        source_hunt_end(&s->hunt);
    } else {
        source_hunt_read(&s->hunt, n);
    }
    s->closed_in_row = 0;
}

/* On the lane, after the journal's commit: the plugin may forget what it handed over. */
static void on_taken(void *arg)
{
    source *s = arg;
    instance_call call = {.suspect = s->hunt.on};
    status st;
    note_hunt(s);
    status_class class = s->batch->cursor_len ? instance_ack(s->parts.plugin, &call, s->batch->cursor,
                                                             s->batch->cursor_len, &st)
                                              : STATUS_OK;
    instance_batch_free(s->batch);
    s->batch = NULL;
    arena_reset(s->arena);
    s->back_off_ms = 0;
    if (class != STATUS_OK)
        on_plugin_failure(s, &call, &st);
    else
        on_turn(s); /* more may be there at once */
}

static void on_not_taken(void *arg)
{
    source *s = arg;
    instance_batch_free(s->batch);
    s->batch = NULL;
    arena_reset(s->arena);
    close_source(s); /* it is read again from the newest durable cursor */
    rest(s, FULL_MS);
}

static void on_verdict(void *arg, const intake_verdict *v)
{
    source *s = arg;
    bool taken = v->st.class == STATUS_OK;
    pthread_mutex_lock(&s->lock);
    if (taken) {
        s->look.rows_read += v->received;
        s->look.rows_rejected += v->rejected;
        s->look.last_rows_us = v->received ? clock_wall_us() : s->look.last_rows_us;
    }
    pthread_mutex_unlock(&s->lock);
    if (!taken)
        set_state(s, SOURCE_DEGRADED, v->st.text);
    lane_post(s->lane, taken ? on_taken : on_not_taken, s);
}

static const char *why_skipped(source *s)
{
    char name[INSTANCE_PLUGIN_MAX];
    const source_hunt *h = &s->hunt;
    instance_plugin(s->parts.plugin, name, sizeof name);
    return arena_printf(s->arena, "the plugin %s died on this record (%s), %u attempts", name, h->death.cause,
                        h->attempts);
}

static const rejected_row *refused_rows(source *s, const instance_batch *b)
{
    const char *poison = s->hunt.on && s->hunt.skip ? why_skipped(s) : NULL;
    rejected_row *out = arena_zero(s->arena, b->n_rejects, sizeof *out);
    for (size_t i = 0; i < b->n_rejects; i++)
        out[i] = (rejected_row){.row = i,
                                .code = poison ? "poison" : "source",
                                .pointer = b->rejects[i].where,
                                .detail = poison ? poison : b->rejects[i].reason,
                                .bytes = b->rejects[i].payload,
                                .len = b->rejects[i].payload_len};
    return out;
}

/* The payloads of a raw batch as one body; a CSV header (`_meta`) goes in front. */
static void join_payloads(const instance_batch *b, decode_format format, text *body)
{
    int payload = instance_batch_column(b, "_payload"), meta = instance_batch_column(b, "_meta");
    for (uint32_t row = 0; row < b->rows.n_rows && payload >= 0; row++) {
        const column *c = &b->rows.columns[payload];
        if (row == 0 && meta >= 0 && format == DECODE_CSV && !column_is_null(&b->rows.columns[meta], 0)) {
            const column *m = &b->rows.columns[meta];
            text_add_n(body, m->data + m->offsets[0], (size_t)(m->offsets[1] - m->offsets[0]));
            text_add_char(body, '\n');
        }
        text_add_n(body, c->data + c->offsets[row], (size_t)(c->offsets[row + 1] - c->offsets[row]));
        if (body->len && body->data[body->len - 1] != '\n')
            text_add_char(body, '\n');
    }
}

/* The amount by which shift_to_now moves this source's rows: decided by its first row, then kept with the
 * cursor. */
static void find_shift(source *s, const source_decode *d, const text *body)
{
    if (!d || !d->probe || s->shift_us != NO_SHIFT)
        return;
    decoder *scratch = decoder_create();
    decode_context context = {.now_us = clock_wall_us()};
    decode_result result;
    status st;
    if (decode_body(scratch, d->probe, &context, text_or_empty(body), body->len, &result, &st) == STATUS_OK &&
        result.rows.n_rows > 0)
        s->shift_us = clock_wall_us() - result.first_us;
    decoder_free(scratch);
}

static void submit(source *s, int target, text *body)
{
    const defined_connector *c = s->parts.defined;
    const instance_batch *b = s->batch;
    char id[27];
    const source_decode *d = c->format && s->decoders ? &s->decoders[target] : NULL;
    find_shift(s, d, body);
    text_clear(&s->cursor);
    text_add_n(&s->cursor, &s->shift_us, CURSOR_HEAD);
    text_add_n(&s->cursor, b->cursor, b->cursor_len);
    ulid_make(id);
    journal_cursor cursor = {(uint32_t)s->parts.plan->wid, s->instance_name, s->cursor.data, s->cursor.len};
    intake_order order = {.store = flow_plan_datastore(s->parts.plan, c->into[target].store.key),
                          .decode = d ? d->plan : NULL,
                          .origin = s->origin,
                          .request_id = id,
                          .time_shift_us = s->shift_us == NO_SHIFT ? 0 : s->shift_us,
                          .cursor = b->cursor_len ? &cursor : NULL,
                          .refused = refused_rows(s, b),
                          .n_refused = (uint32_t)b->n_rejects,
                          .done = on_verdict,
                          .arg = s};
    if (b->rows.n_rows == 0)
        intake_cursor(s->parts.intake, &order);
    else if (b->raw)
        intake_body(s->parts.intake, &order, text_or_empty(body), body->len);
    else
        intake_columns(s->parts.intake, &order, &b->rows, b->names);
}

static void take_batch(source *s)
{
    int target = target_of(s, s->batch->stream);
    text body = {0};
    if (target < 0 && s->batch->rows.n_rows == 0)
        target = 0; /* what could not be read belongs to no stream */
    if (target < 0 || (s->batch->raw && !s->decoders)) {
        char why[200];
        snprintf(why, sizeof why,
                 target < 0 ? "no store is named for its stream %.80s"
                            : "it hands over raw payloads%.0s: say their format:",
                 s->batch->stream);
        instance_batch_free(s->batch);
        s->batch = NULL;
        close_source(s);
        set_state(s, SOURCE_NEEDS_YOU, why);
        rest_for_ever(s);
        return;
    }
    if (s->batch->raw)
        join_payloads(s->batch, s->decoders[target].format, &body);
    submit(s, target, &body);
    text_free(&body);
}

static bool must_rest(source *s)
{
    pthread_mutex_lock(&s->lock);
    bool stop = s->paused || s->ending;
    pthread_mutex_unlock(&s->lock);
    if (!stop)
        return false;
    close_source(s);
    set_state(s, SOURCE_PAUSED, "");
    rest_for_ever(s);
    return true;
}

/* The plugin cannot pass over the record that kills it: it stands still there until a person acts. */
static void stand_still(source *s, const status *why)
{
    char reason[400], shown[100];
    size_t len = s->cursor.len > CURSOR_HEAD ? s->cursor.len - CURSOR_HEAD : 0, n = 0;
    for (size_t i = 0; i < len && n + 1 < sizeof shown; i++) {
        char c = s->cursor.data[CURSOR_HEAD + i];
        shown[n++] = (char)(c >= ' ' && c <= '~' ? c : '.');
    }
    shown[n] = '\0';
    snprintf(reason, sizeof reason,
             "the record after its cursor \"%s\" kills it (%s) and it cannot skip it: %.120s", shown,
             s->hunt.death.cause, why->text);
    s->open = false;
    source_hunt_end(&s->hunt);
    instance_quarantine(s->parts.plugin, reason);
    set_state(s, SOURCE_DOWN, reason);
    rest(s, QUARANTINE_MS);
}

static void skip_record(source *s)
{
    instance_call call = {.suspect = true};
    status st;
    if (instance_skip(s->parts.plugin, &call, 1, &s->batch, &st) == STATUS_OK)
        take_batch(s);
    else if (call.fault == PLUGIN_FAULT_UNSUPPORTED || call.death != PLUGIN_DEATH_NONE)
        stand_still(s, &st);
    else
        on_plugin_failure(s, &call, &st);
}

static void on_read_failure(source *s, uint32_t rows, const instance_call *call, int64_t took_us,
                            const status *st)
{
    if (!instance_call_suspicious(call)) {
        on_plugin_failure(s, call, st);
        return;
    }
    close_source(s);
    source_hunt_died(&s->hunt, rows, call, took_us);
    go_on(s);
}

static void on_nothing(source *s, instance_turn turn, uint32_t next_ms)
{
    if (!s->hunt.on)
        set_state(s, turn == INSTANCE_END ? SOURCE_ENDED : SOURCE_OK, "");
    s->closed_in_row = 0;
    if (turn == INSTANCE_END) {
        source_hunt_end(&s->hunt);
        set_state(s, SOURCE_ENDED, "");
        close_source(s);
        rest_for_ever(s);
        return;
    }
    if (next_ms >= POLL_CLOSE_MS && instance_source_replays(s->parts.plugin)) {
        close_source(s);
        instance_rest(s->parts.plugin);
    }
    rest(s, next_ms ? next_ms : IDLE_MS);
}

static void on_turn(void *arg)
{
    source *s = arg;
    instance_turn turn;
    uint32_t next_ms = 0;
    status st;
    if (must_rest(s) || !open_source(s))
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
        take_batch(s);
    else
        on_nothing(s, turn, next_ms);
}

/* ---- life ---- */

source *source_create(const source_parts *parts)
{
    source *s = memory_zero(1, sizeof *s);
    s->parts = *parts;
    flow_plan_retain(parts->plan);
    snprintf(s->instance_name, sizeof s->instance_name, "connector:%s", parts->defined->object.key);
    snprintf(s->origin, sizeof s->origin, "%s", s->instance_name);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->settled, NULL);
    s->lane = lane_open(parts->lanes, s->instance_name);
    s->arena = arena_create(0);
    s->paused = parts->defined->paused;
    s->look.state = s->paused ? SOURCE_PAUSED : SOURCE_STARTING;
    s->due_us = s->paused ? INT64_MAX : 0;
    return s;
}

void source_tick(source *s, int64_t now_us)
{
    pthread_mutex_lock(&s->lock);
    bool go = !s->turning && !s->ending && now_us >= s->due_us;
    s->turning = s->turning || go;
    pthread_mutex_unlock(&s->lock);
    if (go)
        lane_post(s->lane, on_turn, s);
}

void source_wake(source *s)
{
    pthread_mutex_lock(&s->lock);
    if (s->due_us != INT64_MAX)
        s->due_us = 0;
    pthread_mutex_unlock(&s->lock);
}

instance *source_plugin(const source *s)
{
    return s->parts.plugin;
}

void source_pause(source *s, bool paused)
{
    pthread_mutex_lock(&s->lock);
    s->paused = paused;
    s->due_us = 0;
    pthread_mutex_unlock(&s->lock);
}

source_look source_look_at(source *s)
{
    pthread_mutex_lock(&s->lock);
    source_look look = s->look;
    pthread_mutex_unlock(&s->lock);
    return look;
}

void source_free(source *s)
{
    if (!s)
        return;
    instance_cancel(s->parts.plugin);
    pthread_mutex_lock(&s->lock);
    s->ending = true;
    while (s->turning)
        pthread_cond_wait(&s->settled, &s->lock);
    pthread_mutex_unlock(&s->lock);
    lane_close(s->lane);
    instance_free(s->parts.plugin);
    for (uint32_t i = 0; s->decoders && i < s->parts.defined->n_into; i++)
        source_decode_free(&s->decoders[i]);
    free(s->decoders);
    flow_plan_release(s->parts.plan);
    arena_free(s->arena);
    text_free(&s->cursor);
    pthread_cond_destroy(&s->settled);
    pthread_mutex_destroy(&s->lock);
    free(s);
}
