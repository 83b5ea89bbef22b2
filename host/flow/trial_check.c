/* A source is opened from its start, or where it says that there is something new; read until it gave rows,
 * or ended, or the time is over; and closed without an ack. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/batch_json.h"
#include "base/clock.h"
#include "flow/source_decode.h"
#include "flow/trial_private.h"
#include "flow/validate.h"

enum { NAP_MS = 200 };

typedef struct showing {
    const trial *t;
    arena *arena;
    json_t *rows, *rejects;
} showing;

/* ---- what is shown ---- */

static void show_reject(showing *s, const char *code, const char *pointer, const char *detail,
                        const char *payload, size_t len)
{
    if (json_array_size(s->rejects) >= TRIAL_ROWS)
        return;
    json_array_append_new(
        s->rejects, json_pack("{s:s,s:s,s:o,s:o}", "code", code, "pointer", pointer ? pointer : "", "detail",
                              trial_text(s->t, detail ? detail : "", detail ? strlen(detail) : 0), "payload",
                              trial_text(s->t, payload, len)));
}

static void show_rows(showing *s, const char *store, const batch *rows, const char *const *names)
{
    text json = {0};
    for (uint32_t i = 0; i < rows->n_rows && json_array_size(s->rows) < TRIAL_ROWS; i++) {
        text_clear(&json);
        batch_row_json(&json, rows, names, i);
        json_t *row = json_loadb(json.data, json.len, JSON_ALLOW_NUL, NULL);
        json_array_append_new(s->rows,
                              json_pack("{s:s,s:o}", "store", store, "row", row ? row : json_null()));
    }
    text_free(&json);
}

/* The column names of a store's batches. */
static const char *const *names_of(const datastore_plan *store, arena *a)
{
    const char **names = arena_zero(a, store->n_columns + 1, sizeof *names);
    const char *at = store->names;
    for (uint32_t i = 0; i < store->n_columns; i++, at += strlen(at) + 1)
        names[i] = at;
    return names;
}

/* ---- as intake would ---- */

static status_class decode_payloads(showing *s, const instance_batch *b, const datastore_plan *store,
                                    const source_decode *d, status *st)
{
    source_body body;
    decode_result r;
    source_decode_batch(d, b, clock_wall_us(), s->arena, &body);
    for (size_t i = 0; i < body.n_refused; i++)
        show_reject(s, body.refused[i].code, "", body.refused[i].detail, body.refused[i].bytes,
                    body.refused[i].len);
    decoder *reader = decoder_create();
    decode_context context = {.now_us = clock_wall_us(), .format = body.format, .header_costs_rows = true};
    const decode_plan *plan = d->probe ? d->probe : d->plan; /* shift_to_now would move it into the window */
    const char *bytes = text_or_empty(&body.bytes);
    status_class class = decode_body(reader, plan, &context, bytes, body.bytes.len, &r, st);
    for (size_t i = 0; class == STATUS_OK && i < r.n_rejects; i++)
        show_reject(s, r.rejects[i].code, r.rejects[i].pointer, r.rejects[i].detail,
                    bytes + r.rejects[i].offset, r.rejects[i].length);
    if (class == STATUS_OK)
        show_rows(s, store->table.key, &r.rows, names_of(store, s->arena));
    decoder_free(reader);
    source_body_free(&body);
    return class;
}

static void check_columns(showing *s, const instance_batch *b, const datastore_plan *store)
{
    validate_result r;
    text json = {0};
    validator *v = validator_create();
    validate_columns(v, store, &b->rows, b->names, clock_wall_us(), 0, &r);
    for (uint32_t i = 0; i < r.n_rejects; i++) {
        text_clear(&json);
        batch_row_json(&json, &b->rows, b->names, r.rejects[i].row);
        show_reject(s, r.rejects[i].code, r.rejects[i].column, r.rejects[i].detail, json.data, json.len);
    }
    show_rows(s, store->table.key, &r.rows, names_of(store, s->arena));
    text_free(&json);
    validator_free(v);
}

static status_class show_batch(showing *s, const instance_batch *b, status *st)
{
    const defined_connector *c = s->t->parts->connector;
    source_decode d;
    int target = source_target(c, b->stream);
    for (size_t i = 0; i < b->n_rejects; i++)
        show_reject(s, "source", b->rejects[i].where, b->rejects[i].reason, b->rejects[i].payload,
                    b->rejects[i].payload_len);
    if (b->rows.n_rows == 0)
        return STATUS_OK;
    if (target < 0)
        return status_at(st, STATUS_INVALID, "/into", "no store is named for its stream %.80s", b->stream);
    const datastore_plan *store = flow_plan_datastore(s->t->parts->plan, c->into[target].store.key);
    if (!store)
        return status_at(st, STATUS_INVALID, "/into", "there is no datastore %.60s",
                         c->into[target].store.key);
    if (!b->raw) {
        check_columns(s, b, store);
        return STATUS_OK;
    }
    if (!c->format)
        return status_at(st, STATUS_INVALID, "/format", "it hands over raw payloads: say their format:");
    status_class class = source_decode_make(c, store, &d, st);
    if (class == STATUS_OK)
        class = decode_payloads(s, b, store, &d, st);
    source_decode_free(&d);
    return class;
}

/* ---- reading ---- */

static void nap(uint32_t ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&t, NULL);
}

static status_class read_some(showing *s, const char **note, status *st)
{
    instance *plugin = s->t->plugin;
    int64_t until = clock_monotonic_us() + TRIAL_READ_US;
    instance_call call = {.deadline_us = TRIAL_READ_US};
    status_class class = instance_open(plugin, &call, NULL, 0, st);
    while (class == STATUS_OK && json_array_size(s->rows) < TRIAL_ROWS) {
        instance_turn turn;
        instance_batch *b;
        uint32_t next_ms = 0;
        int64_t left = until - clock_monotonic_us();
        if (left <= 0)
            break;
        call = (instance_call){.deadline_us = left};
        class = instance_read(plugin, &call, TRIAL_ROWS - (uint32_t)json_array_size(s->rows), &turn, &b,
                              &next_ms, st);
        if (class == STATUS_OK && turn == INSTANCE_ROWS)
            class = show_batch(s, b, st);
        instance_batch_free(b);
        if (class != STATUS_OK || turn == INSTANCE_END)
            break;
        if (turn == INSTANCE_IDLE && (json_array_size(s->rows) || json_array_size(s->rejects)))
            break;
        if (turn == INSTANCE_IDLE)
            nap(next_ms && next_ms < NAP_MS ? next_ms : NAP_MS);
    }
    instance_close(plugin);
    if (class == STATUS_OK && json_array_size(s->rows) + json_array_size(s->rejects) == 0)
        *note = "it is reached, and has no rows now";
    return class;
}

static status_class ask(trial *t, showing *s, bool *checked, const char **note, status *st)
{
    instance_call call = {0};
    status_class class = instance_start(t->plugin, &call, st);
    if (class == STATUS_OK) {
        class = instance_check(t->plugin, &call, st);
        *checked = class == STATUS_OK;
        if (call.fault == PLUGIN_FAULT_UNSUPPORTED)
            class = STATUS_OK; /* reading is the check */
    }
    if (class != STATUS_OK)
        return class;
    if (instance_is_sink(t->plugin) && t->parts->connector->n_into == 0)
        *note = *checked ? "the far side is there; nothing was sent"
                         : "it takes rows, and has no check of its own";
    else if (!instance_is_source(t->plugin))
        *note = "it takes requests: there is nothing to read";
    else if (t->parts->connector->n_into == 0)
        *note = "without `into` there is nothing to decode its rows by";
    else
        return read_some(s, note, st);
    return STATUS_OK;
}

status_class trial_check(const trial_parts *parts, json_t **out, status *st)
{
    trial t;
    bool checked = false;
    const char *note = NULL;
    int64_t began = clock_monotonic_us();
    showing s = {&t, arena_create(0), json_array(), json_array()};
    status_class class = trial_begin(&t, parts, st);
    if (class == STATUS_OK)
        class = ask(&t, &s, &checked, &note, st);
    if (class == STATUS_OK)
        *out = json_pack("{s:b,s:O,s:O,s:I,s:s?}", "checked", checked, "rows", s.rows, "rejects", s.rejects,
                         "took_ms", (json_int_t)((clock_monotonic_us() - began) / 1000), "note", note);
    else
        trial_redact(&t, st);
    json_decref(s.rows);
    json_decref(s.rejects);
    arena_free(s.arena);
    trial_end(&t);
    return class;
}
