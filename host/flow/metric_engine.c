/* The rows of all inputs are numbered through, so that the hunt for a poison row sees one range; in a part of
 * it, the other inputs are empty. Answers of parts are thrown away: they only show which row it is. An
 * evaluation of all rows that goes well the second time is the answer. */
#include "flow/metric_engine.h"

#include <stdlib.h>

#include "base/batch_builder.h"
#include "base/batch_json.h"
#include "base/clock.h"

typedef struct evaluation {
    const metric_order *order;
    arena *arena;
    char *definition, *params;
    uint32_t n_rows; /* of all inputs */
    instance_batch *answer;
} evaluation;

static uint32_t rows_of(const instance_input *in)
{
    return in->rows->n_rows;
}

static status_class ask(evaluation *e, const instance_input *inputs, instance_call *call,
                        instance_batch **out, status *st)
{
    return instance_evaluate(e->order->place.plugin, call, e->definition, e->params, inputs,
                             e->order->metric->n_inputs, out, st);
}

/* The part of one input that lies in [first, first + n) of all rows; `at`: where the input begins. */
static batch_builder *slice(arena *a, const batch *rows, uint32_t at, uint32_t first, uint32_t n, batch *out)
{
    uint32_t from = first > at ? first - at : 0;
    uint32_t to = first + n > at ? first + n - at : 0;
    from = from < rows->n_rows ? from : rows->n_rows;
    to = to < rows->n_rows ? to : rows->n_rows;
    uint32_t *order = arena_zero(a, to - from + 1, sizeof *order);
    column_type *types = arena_zero(a, rows->n_columns + 1, sizeof *types);
    for (uint32_t i = from; i < to; i++)
        order[i - from] = i;
    for (uint32_t i = 0; i < rows->n_columns; i++)
        types[i] = rows->columns[i].type;
    batch_builder *b = batch_builder_create(types, rows->n_columns);
    batch_builder_copy_rows(b, rows, order, to - from);
    *out = batch_builder_freeze(b);
    return b;
}

static status_class ask_part(evaluation *e, uint32_t first, uint32_t n, instance_call *call, status *st)
{
    uint32_t n_inputs = e->order->metric->n_inputs, at = 0;
    batch_builder **builders = arena_zero(e->arena, n_inputs, sizeof(batch_builder *));
    batch *parts = arena_zero(e->arena, n_inputs, sizeof *parts);
    instance_input *inputs = arena_zero(e->arena, n_inputs, sizeof *inputs);
    instance_batch *thrown_away = NULL;
    for (uint32_t i = 0; i < n_inputs; i++) {
        builders[i] = slice(e->arena, e->order->inputs[i].rows, at, first, n, &parts[i]);
        inputs[i] = (instance_input){e->order->inputs[i].name, e->order->inputs[i].columns, &parts[i]};
        at += rows_of(&e->order->inputs[i]);
    }
    status_class class = ask(e, inputs, call, &thrown_away, st);
    instance_batch_free(thrown_away);
    for (uint32_t i = 0; i < n_inputs; i++)
        batch_builder_free(builders[i]);
    return class;
}

static status_class run(void *arg, uint32_t first, uint32_t n, instance_call *call, status *st)
{
    evaluation *e = arg;
    if (n == e->n_rows)
        return ask(e, e->order->inputs, call, &e->answer, st);
    status_class class = ask_part(e, first, n, call, st);
    /* That part of the rows makes no metric is no wonder. */
    bool lives = call->death == PLUGIN_DEATH_NONE &&
                 (call->fault == PLUGIN_FAULT_DATA || call->fault == PLUGIN_FAULT_CONFIG);
    return lives ? STATUS_OK : class;
}

static void row_json(const evaluation *e, uint32_t row, text *out)
{
    const instance_input *in = e->order->inputs;
    while (row >= rows_of(in))
        row -= rows_of(in++);
    batch_row_json(out, in->rows, in->columns, row);
}

static void on_poison(void *arg, uint32_t row, text *json_out)
{
    row_json(arg, row, json_out);
}

static status_class poisoned(const evaluation *e, uint32_t n, status *st)
{
    char name[INSTANCE_PLUGIN_MAX];
    instance_plugin(e->order->place.plugin, name, sizeof name);
    status_set(st, STATUS_CONFLICT, "metric %s has no value: %u of its rows kill%s the plugin %s",
               e->order->metric->object.key, n, n == 1 ? "s" : "", name);
    return status_hint(st, "the rows are among the dead letters, code poison; correct them, or the plugin");
}

static uint32_t count_known(const evaluation *e)
{
    uint32_t known = 0;
    text json = {0};
    if (!poison_any(&e->order->place))
        return 0;
    for (uint32_t row = 0; row < e->n_rows; row++) {
        text_clear(&json);
        row_json(e, row, &json);
        known += poison_is(&e->order->place, text_or_empty(&json), json.len);
    }
    text_free(&json);
    return known;
}

static status_class hunt_and_answer(evaluation *e, const instance_call *death, int64_t took_us, status *st)
{
    poison_hunt hunt = {
        .place = e->order->place, .n_rows = e->n_rows, .run = run, .on_poison = on_poison, .arg = e};
    status_class class = poison_hunt_run(&hunt, death, took_us, st);
    if (class == STATUS_OK && hunt.n_poison)
        return poisoned(e, hunt.n_poison, st);
    if (class == STATUS_OK && !e->answer)
        return status_set(st, STATUS_UNAVAILABLE, "metric %s has no value: the plugin died: %s",
                          e->order->metric->object.key, death->cause);
    return class;
}

status_class metric_evaluate(const metric_order *order, arena *a, instance_batch **answer_out, status *st)
{
    evaluation e = {.order = order, .arena = a};
    instance_call call = {0};
    *answer_out = NULL;
    for (uint32_t i = 0; i < order->metric->n_inputs; i++)
        e.n_rows += rows_of(&order->inputs[i]);
    uint32_t known = count_known(&e);
    if (known)
        return poisoned(&e, known, st);
    e.definition = json_dumps(order->metric->object.body, JSON_COMPACT);
    e.params = json_dumps(order->params, JSON_COMPACT);
    int64_t began = clock_monotonic_us();
    status_class class = run(&e, 0, e.n_rows, &call, st);
    if (class != STATUS_OK && instance_call_suspicious(&call) && e.n_rows)
        class = hunt_and_answer(&e, &call, clock_monotonic_us() - began, st);
    free(e.definition);
    free(e.params);
    *answer_out = class == STATUS_OK ? e.answer : NULL;
    if (class != STATUS_OK)
        instance_batch_free(e.answer);
    return class;
}
