/* The usual way is one call with all rows. When a cell dies in it, the hunt of flow/poison.h runs the rows in
 * parts; each part gets the rows before it as its context, whatever part those were in themselves. */
#include "flow/infer_rows.h"

#include <string.h>

#include "base/batch_json.h"
#include "base/clock.h"

enum { HELD_BACK_MS = 2000 };

typedef struct scoring {
    const infer_order *order;
    arena *arena;
    bool *poison;       /* by row of the features */
    uint32_t *to_score; /* rows of the features */
    uint32_t n_to_score;
    infer_parts *out;
} scoring;

static batch pick(batch_builder **builder_out, const feature_rows *features, arena *a, const uint32_t *rows,
                  uint32_t n)
{
    column_type *types = arena_zero(a, features->rows.n_columns, sizeof *types);
    for (uint32_t i = 0; i < features->rows.n_columns; i++)
        types[i] = features->rows.columns[i].type;
    *builder_out = batch_builder_create(types, features->rows.n_columns);
    batch_builder_copy_rows(*builder_out, &features->rows, rows, n);
    return batch_builder_freeze(*builder_out);
}

/* The last W rows before `row` that kill nobody, in their order; the whole start when W is not known. */
static uint32_t context_of(const scoring *s, uint32_t row, const uint32_t **rows_out)
{
    uint32_t most = s->order->best->context > s->order->skip ? s->order->best->context : s->order->skip,
             n = 0;
    uint32_t *rows = arena_zero(s->arena, most + 1, sizeof *rows);
    for (uint32_t i = row; i > 0 && n < most; i--)
        if (!s->poison[i - 1])
            rows[most - ++n] = i - 1;
    *rows_out = rows + (most - n);
    return n;
}

static status_class check_answer(const scoring *s, instance_batch *answer, uint32_t n, status *st)
{
    if (answer->aligned && answer->rows.n_rows == n)
        return STATUS_OK;
    instance_batch_free(answer);
    return status_set(st, STATUS_UNSUPPORTED,
                      "model %s: an answer of another length than its input cannot be stored",
                      s->order->m->defined->object.key);
}

static status_class infer(void *arg, uint32_t first, uint32_t n, instance_call *call, status *st)
{
    scoring *s = arg;
    const infer_order *o = s->order;
    const feature_rows *features = o->features;
    batch_builder *context_builder, *rows_builder;
    const uint32_t *before, *rows = s->to_score + first;
    instance_batch *answer = NULL;
    uint32_t n_before = context_of(s, rows[0], &before);
    batch context = pick(&context_builder, features, s->arena, before, n_before);
    batch to_score = pick(&rows_builder, features, s->arena, rows, n);
    instance_input inputs[] = {{"rows", features->names, &to_score}, {"context", features->names, &context}};
    call->trace = o->run;
    status_class class = instance_infer(o->place.plugin, call, o->best->artifact, o->best->artifact_len,
                                        inputs, 2, &answer, st);
    if (class == STATUS_OK)
        class = check_answer(s, answer, n, st);
    if (class == STATUS_OK)
        s->out->items[s->out->n++] = (infer_part){answer, rows};
    batch_builder_free(context_builder);
    batch_builder_free(rows_builder);
    return class;
}

static void row_json(const scoring *s, uint32_t row, text *out)
{
    batch_row_json(out, &s->order->features->rows, s->order->features->names, row);
}

static void on_poison(void *arg, uint32_t row, text *json_out)
{
    scoring *s = arg;
    s->poison[s->to_score[row]] = true;
    row_json(s, s->to_score[row], json_out);
}

/* Those that are known to kill are left out from the start. */
static void choose_rows(scoring *s)
{
    uint32_t n = s->order->features->rows.n_rows;
    bool any = poison_any(&s->order->place);
    text json = {0};
    for (uint32_t i = 0; i < n; i++) {
        text_clear(&json);
        if (any)
            row_json(s, i, &json);
        s->poison[i] = any && poison_is(&s->order->place, text_or_empty(&json), json.len);
        if (!s->poison[i] && i >= s->order->skip)
            s->to_score[s->n_to_score++] = i;
    }
    text_free(&json);
}

/* It may be released before its time. */
static uint32_t held_back(const instance_call *call)
{
    return call->retry_after_ms < HELD_BACK_MS ? call->retry_after_ms : HELD_BACK_MS;
}

status_class infer_rows(const infer_order *order, arena *a, infer_parts *out, status *st)
{
    uint32_t n = order->features->rows.n_rows;
    scoring s = {.order = order,
                 .arena = a,
                 .poison = arena_zero(a, n + 1, sizeof *s.poison),
                 .to_score = arena_zero(a, n + 1, sizeof *s.to_score),
                 .out = out};
    instance_call call = {0};
    *out = (infer_parts){0};
    choose_rows(&s);
    if (s.n_to_score == 0)
        return STATUS_OK;
    out->items = arena_zero(a, s.n_to_score, sizeof *out->items);
    int64_t began = clock_monotonic_us();
    status_class class = infer(&s, 0, s.n_to_score, &call, st);
    if (class == STATUS_OK || !instance_call_suspicious(&call)) {
        out->retry_after_ms = class != STATUS_OK && call.fault == PLUGIN_FAULT_DIED ? held_back(&call) : 0;
        return class;
    }
    poison_hunt hunt = {
        .place = order->place, .n_rows = s.n_to_score, .run = infer, .on_poison = on_poison, .arg = &s};
    class = poison_hunt_run(&hunt, &call, clock_monotonic_us() - began, st);
    out->n_poison = hunt.n_poison;
    if (class != STATUS_OK)
        infer_parts_free(out);
    return class;
}

void infer_parts_free(infer_parts *parts)
{
    for (uint32_t i = 0; i < parts->n; i++)
        instance_batch_free(parts->items[i].answer);
    parts->n = 0;
}
