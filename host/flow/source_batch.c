/* One batch of a source on its way: rows to intake with the cursor behind them, records that could not be
 * read as dead letters, the ack to the plugin after the journal's commit. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/random.h"
#include "flow/source_private.h"

enum { FULL_MS = 1000 };

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
    source_answered(s);
}

/* The plugin may forget what it handed over. */
static status_class acknowledge(source *s, instance_call *call, status *st)
{
    const instance_batch *b = s->batch;
    return b->cursor_len ? instance_ack(s->parts.plugin, call, b->cursor, b->cursor_len, st) : STATUS_OK;
}

/* On the lane, after the journal's commit. */
static void on_taken(void *arg)
{
    source *s = arg;
    instance_call call = {.suspect = s->hunt.on};
    status st;
    note_hunt(s);
    status_class class = acknowledge(s, &call, &st);
    instance_batch_free(s->batch);
    s->batch = NULL;
    arena_reset(s->arena);
    s->back_off_ms = 0;
    if (class != STATUS_OK)
        source_failed(s, &call, &st);
    else
        source_go_on(s); /* more may be there at once */
}

static void on_not_taken(void *arg)
{
    source *s = arg;
    instance_batch_free(s->batch);
    s->batch = NULL;
    arena_reset(s->arena);
    source_close(s); /* it is read again from the newest durable cursor */
    source_rest(s, FULL_MS);
}

static void on_verdict(void *arg, const intake_verdict *v)
{
    source *s = arg;
    bool taken = v->st.class == STATUS_OK;
    pthread_mutex_lock(&s->pace.lock);
    if (taken) {
        s->look.rows_read += v->received;
        s->look.rows_rejected += v->rejected;
        s->look.last_rows_us = v->received ? clock_wall_us() : s->look.last_rows_us;
    }
    pthread_mutex_unlock(&s->pace.lock);
    if (!taken)
        source_set_state(s, SOURCE_DEGRADED, v->st.text);
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

/* The amount by which shift_to_now moves this source's rows: decided by its first row, then kept with the
 * cursor. */
static void find_shift(source *s, const source_decode *d, const source_body *body)
{
    if (!d || !d->probe || s->shift_us != SOURCE_NO_SHIFT)
        return;
    decoder *scratch = decoder_create();
    decode_context context = {.now_us = clock_wall_us(), .format = body->format};
    decode_result result;
    status st;
    if (decode_body(scratch, d->probe, &context, text_or_empty(&body->bytes), body->bytes.len, &result,
                    &st) == STATUS_OK &&
        result.rows.n_rows > 0)
        s->shift_us = clock_wall_us() - result.first_us;
    decoder_free(scratch);
}

static void submit(source *s, int target, const source_body *body)
{
    const defined_connector *c = s->defined;
    const instance_batch *b = s->batch;
    char id[27];
    uint32_t n_refused;
    bool poisonous = s->hunt.on && s->hunt.skip;
    source_poison poison = {poisonous ? why_skipped(s) : NULL, s->hunt.death.cause,
                            (uint16_t)s->hunt.attempts};
    const rejected_row *refused = source_refused(b, body, poisonous ? &poison : NULL, s->arena, &n_refused);
    const source_decode *d = c->format && s->decoders ? &s->decoders[target] : NULL;
    find_shift(s, d, body);
    text_clear(&s->cursor);
    text_add_n(&s->cursor, &s->shift_us, SOURCE_CURSOR_HEAD);
    text_add_n(&s->cursor, b->cursor, b->cursor_len);
    ulid_make(id);
    journal_cursor cursor = {(uint32_t)s->parts.wid, s->instance_name, s->cursor.data, s->cursor.len};
    intake_order order = {.store = flow_plan_datastore(s->plan, c->into[target].store.key),
                          .decode = d ? d->plan : NULL,
                          .format = body->format,
                          .origin = s->origin,
                          .request_id = id,
                          .header_costs_rows = true,
                          .time_shift_us = s->shift_us == SOURCE_NO_SHIFT ? 0 : s->shift_us,
                          .cursor = b->cursor_len ? &cursor : NULL,
                          .refused = refused,
                          .n_refused = n_refused,
                          .done = on_verdict,
                          .arg = s};
    if (b->rows.n_rows == 0)
        intake_cursor(s->parts.intake, &order);
    else if (b->raw)
        intake_body(s->parts.intake, &order, text_or_empty(&body->bytes), body->bytes.len);
    else
        intake_columns(s->parts.intake, &order, &b->rows, b->names);
}

void source_take_batch(source *s)
{
    int target = source_target(s->defined, s->batch->stream);
    source_body body = {0};
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
        source_close(s);
        source_set_state(s, SOURCE_NEEDS_YOU, why);
        source_rest(s, PACE_FOR_EVER);
        return;
    }
    if (fault_active("source_ack")) /* the guard taken out */
        acknowledge(s, &(instance_call){0}, &(status){0});
    if (s->batch->raw)
        source_decode_batch(&s->decoders[target], s->batch, clock_wall_us(), s->arena, &body);
    submit(s, target, &body);
    source_body_free(&body);
}
