/* One small reader for each kind of value, one function for each class. Errors stick: the first one is kept
 * in the reader, later reads give defaults. */
#include "control/definition_read.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utc.h"
#include "control/bucket.h"
#include "schema/row_plan.h"

#define HOUR_US (3600 * UTC_SECOND_US)

static void fail_at(definition_reader *r, const char *field, const char *cause)
{
    char where[sizeof r->st->where];
    if (r->class != STATUS_OK)
        return;
    snprintf(where, sizeof where, "/%s/%s/%s", class_section(r->at->class), r->at->key, field);
    r->class = status_at(r->st, STATUS_INVALID, where, "%s cannot be used: %s", field, cause);
}

/* ---- values ---- */

static const char *read_text(definition_reader *r, const json_t *from, const char *field)
{
    return arena_string(r->arena, json_string_value(json_object_get(from, field)));
}

static int64_t read_duration(definition_reader *r, const json_t *from, const char *field, int64_t absent)
{
    const char *s = json_string_value(json_object_get(from, field));
    int64_t us = absent;
    if (!s)
        return absent;
    if (strcmp(s, "any") == 0 || strcmp(s, "all") == 0 || strcmp(s, "off") == 0)
        return DEFINITION_ANY;
    if (!duration_parse(s, strlen(s), &us))
        fail_at(r, field, "it is no duration such as 10m or 1h30m");
    return us;
}

/* The number of the word in the list, or `absent`. */
static unsigned read_choice(definition_reader *r, const json_t *from, const char *field,
                            const char *const *words, unsigned n, unsigned absent)
{
    const char *s = json_string_value(json_object_get(from, field));
    for (unsigned i = 0; s && i < n; i++)
        if (words[i] && strcmp(words[i], s) == 0)
            return i;
    if (s)
        fail_at(r, field, "it is none of the words that may stand here");
    return absent;
}

static text_list read_texts(definition_reader *r, const json_t *from, const char *field)
{
    const json_t *list = json_object_get(from, field);
    size_t n = json_array_size(list);
    const char **items = arena_zero(r->arena, n + 1, sizeof *items);
    for (size_t i = 0; i < n; i++) {
        items[i] = arena_string(r->arena, json_string_value(json_array_get(list, i)));
        if (!items[i])
            fail_at(r, field, "its items must be texts");
    }
    return (text_list){items, r->class == STATUS_OK ? (uint32_t)n : 0};
}

static json_t *read_object(definition_reader *r, const json_t *from, const char *field)
{
    json_t *v = json_object_get(from, field);
    if (v && !json_is_object(v))
        fail_at(r, field, "it must be a mapping");
    return v;
}

static json_t *read_object_or_empty(definition_reader *r, const json_t *from, const char *field)
{
    json_t *v = read_object(r, from, field);
    return v ? v : r->empty;
}

static object_reference read_reference(definition_reader *r, const char *word, const char *field)
{
    object_reference ret = {0};
    size_t size = word ? strlen(word) + 1 : 1;
    if (!word || !reference_parse(word, arena_alloc(r->arena, size), size, &ret))
        fail_at(r, field, "it is no reference such as datastore:key");
    return ret;
}

static schedule_rule read_schedule(definition_reader *r, const json_t *from)
{
    static const char *const missed[] = {"once", "skip"};
    return (schedule_rule){.every_us = read_duration(r, from, "every", 0),
                           .cron = read_text(r, from, "cron"),
                           .timezone =
                               json_object_get(from, "timezone") ? read_text(r, from, "timezone") : "UTC",
                           .skip_missed = read_choice(r, from, "missed", missed, 2, 0) == 1};
}

/* ---- columns ---- */

/* Words of column types, as in the JSON form of `columns`; 0 if it is none. */
static column_type column_type_parse(const char *word)
{
    static const char *const words[] = {
        [COLUMN_BOOLEAN] = "boolean",     [COLUMN_INTEGER] = "integer", [COLUMN_NUMBER] = "number",
        [COLUMN_TIMESTAMP] = "timestamp", [COLUMN_DATE] = "date",       [COLUMN_UUID] = "uuid",
        [COLUMN_TEXT] = "text",           [COLUMN_JSON] = "json"};
    for (column_type t = COLUMN_BOOLEAN; t <= COLUMN_JSON; t++)
        if (word && strcmp(words[t], word) == 0)
            return t;
    return 0;
}

static void keep_plan(definition_reader *r, row_plan *plan)
{
    if (r->n_plans == r->cap_plans) {
        r->cap_plans = r->cap_plans ? 2 * r->cap_plans : 16;
        r->plans = memory_grow(r->plans, r->cap_plans * sizeof(row_plan *));
    }
    r->plans[r->n_plans++] = plan;
}

/* The plan of a store's schema; NULL on failure. */
static row_plan *make_plan(definition_reader *r, json_t *document)
{
    char where[sizeof r->st->where], inner[sizeof r->st->where];
    if (r->class != STATUS_OK)
        return NULL;
    schema *compiled = schema_compile(document, NULL, r->st);
    row_plan *plan = compiled ? row_plan_make(compiled, r->st) : NULL;
    if (plan) {
        keep_plan(r, plan);
        return plan;
    }
    memcpy(inner, r->st->where, sizeof inner);
    int n = snprintf(where, sizeof where, "/%s/%s/schema%s", class_section(r->at->class), r->at->key, inner);
    memcpy(r->st->where, where, n < 0 ? 1 : sizeof where);
    r->class = r->st->class;
    return NULL;
}

static const store_column *plan_columns(definition_reader *r, const row_plan *plan, uint32_t *ret_n)
{
    if (!plan)
        return NULL;
    store_column *columns = arena_zero(r->arena, plan->n_columns + 1, sizeof *columns);
    for (uint32_t i = 0; i < plan->n_columns; i++) {
        const plan_column *from = &plan->columns[i];
        const char *title = json_string_value(json_object_get(from->source, "title"));
        columns[i] = (store_column){.name = arena_string(r->arena, from->name),
                                    .type = from->type,
                                    .required = from->required && !from->nullable,
                                    .title = arena_string(r->arena, title),
                                    .unit = arena_string(r->arena, from->unit)};
    }
    *ret_n = plan->n_columns;
    return columns;
}

/* [{name, type, required}] as found on the data plane. */
static const store_column *described_columns(definition_reader *r, const json_t *list, uint32_t *ret_n)
{
    size_t n = json_array_size(list);
    store_column *columns = arena_zero(r->arena, n + 1, sizeof *columns);
    for (size_t i = 0; i < n; i++) {
        const json_t *c = json_array_get(list, i);
        columns[i].name = read_text(r, c, "name");
        columns[i].type = column_type_parse(json_string_value(json_object_get(c, "type")));
        columns[i].required = json_is_true(json_object_get(c, "required"));
        if (!columns[i].name || !columns[i].type)
            fail_at(r, "columns", "a column needs a name and a type");
    }
    *ret_n = (uint32_t)n;
    return columns;
}

/* ---- stores ---- */

void read_datastore(definition_reader *r, defined_datastore *out)
{
    static const char *const conflicts[] = {NULL, "keep_first", "keep_last", "merge"};
    static const char *const widths[] = {"auto", "none", "day", "week", "month", "year"};
    const json_t *body = out->object.body, *accept = read_object(r, body, "accept");
    out->schema = read_object(r, body, "schema");
    if (!out->schema)
        fail_at(r, "schema", "it is missing");
    out->plan = make_plan(r, out->schema);
    out->columns = plan_columns(r, out->plan, &out->n_columns);
    out->extra = out->plan && out->plan->additional == ROW_PLAN_KEEP;
    out->time = read_text(r, body, "time");
    out->entity = read_texts(r, body, "entity");
    out->unique = read_texts(r, body, "unique");
    out->on_conflict =
        out->unique.n ? (table_conflict)read_choice(r, body, "on_conflict", conflicts, 4, CONFLICT_KEEP_LAST)
                      : CONFLICT_APPEND;
    out->version = read_text(r, body, "version");
    out->retention_us = read_duration(r, body, "retention", DEFINITION_ANY);
    out->accept_past_us = read_duration(r, accept, "past", out->retention_us);
    out->accept_future_us = read_duration(r, accept, "future", HOUR_US);
    out->cadence_us = read_duration(r, read_object(r, body, "expect"), "cadence", 0);
    out->partition = (partition_choice)read_choice(r, body, "partition", widths, 6, PARTITION_CHOICE_AUTO);
}

/* The width of a fixed bucket; 0 = by the calendar of the zone. */
static void read_bucket(definition_reader *r, defined_featurestore *out)
{
    bucket_rule rule;
    status st;
    char interval[BUCKET_INTERVAL_SIZE];
    if (!out->bucket)
        return;
    if (bucket_rule_read(out->bucket, NULL, &rule, &st) != STATUS_OK) {
        fail_at(r, "bucket", "it is no width such as 10m, 1d or 1mo");
        return;
    }
    out->interval = arena_string(r->arena, bucket_interval(&rule, interval));
    bool utc = strcmp(out->timezone, "UTC") == 0;
    out->bucket_us = utc || rule.width_us % UTC_DAY_US ? rule.width_us : 0;
}

static void read_from(definition_reader *r, defined_featurestore *out)
{
    const json_t *list = json_object_get(out->object.body, "from");
    size_t n = json_array_size(list);
    object_reference *from = arena_zero(r->arena, n + 1, sizeof *from);
    for (size_t i = 0; i < n; i++)
        from[i] = read_reference(r, json_string_value(json_array_get(list, i)), "from");
    out->from = from;
    out->n_from = (uint32_t)n;
}

void read_featurestore(definition_reader *r, defined_featurestore *out, const json_t *columns)
{
    const json_t *body = out->object.body, *refresh = read_object(r, body, "refresh");
    const json_t *reach = read_object(r, body, "reach");
    read_from(r, out);
    out->timezone = json_object_get(body, "timezone")      ? read_text(r, body, "timezone")
                    : json_object_get(refresh, "timezone") ? read_text(r, refresh, "timezone")
                                                           : "UTC";
    out->bucket = read_text(r, body, "bucket");
    read_bucket(r, out);
    out->key = read_texts(r, body, "key");
    out->refresh = read_schedule(r, refresh);
    if (!out->refresh.every_us && !out->refresh.cron)
        out->refresh.every_us = 60 * UTC_SECOND_US;
    if (!json_object_get(refresh, "timezone"))
        out->refresh.timezone = out->timezone;
    out->reach_before_us = read_duration(r, reach, "before", 0);
    out->reach_after_us = read_duration(r, reach, "after", 0);
    out->horizon_us = read_duration(r, body, "horizon", DEFINITION_ANY);
    out->retention_us = read_duration(r, body, "retention", DEFINITION_ANY);
    out->sql = read_text(r, body, "sql");
    out->columns = described_columns(r, columns, &out->n_columns);
}

void read_inferencestore(definition_reader *r, defined_inferencestore *out)
{
    const json_t *body = out->object.body;
    out->schema = read_object(r, body, "schema");
    if (!out->schema)
        fail_at(r, "schema", "it is missing");
    out->plan = make_plan(r, out->schema);
    out->columns = plan_columns(r, out->plan, &out->n_columns);
    out->key = read_texts(r, body, "key");
    out->retention_us = read_duration(r, body, "retention", DEFINITION_ANY);
}

/* ---- what works on them ---- */

static const char *read_plugin(definition_reader *r, const json_t *body, json_t **ret_config)
{
    *ret_config = read_object_or_empty(r, body, "config");
    return read_text(r, body, "plugin");
}

void read_model(definition_reader *r, defined_model *out)
{
    static const char *const on[] = {"change", "schedule"};
    const json_t *body = out->object.body, *train = read_object(r, body, "train"),
                 *infer = read_object(r, body, "infer");
    out->plugin = read_plugin(r, body, &out->config);
    if (train) {
        out->train.from = read_reference(r, json_string_value(json_object_get(train, "from")), "train/from");
        out->train.window_us = read_duration(r, train, "window", DEFINITION_ANY);
        out->train.schedule = read_schedule(r, train);
    }
    out->infer.from = read_reference(r, json_string_value(json_object_get(infer, "from")), "infer/from");
    out->infer.into = read_reference(r, json_string_value(json_object_get(infer, "into")), "infer/into");
    out->infer.schedule = read_schedule(r, infer);
    bool scheduled = out->infer.schedule.every_us || out->infer.schedule.cron;
    out->infer.on_change = read_choice(r, infer, "on", on, 2, scheduled) == 0;
    out->infer.context = (uint32_t)json_integer_value(json_object_get(infer, "context"));
}

static void read_metric_params(definition_reader *r, defined_metric *out)
{
    static const char *const types[] = {NULL,      "string",    "integer", "number",
                                        "boolean", "timestamp", "duration"};
    json_t *all = read_object(r, out->object.body, "params"), *one;
    const char *name;
    metric_parameter *params = arena_zero(r->arena, json_object_size(all) + 1, sizeof *params);
    json_object_foreach(all, name, one)
    {
        if (strncmp(name, "x-", 2) == 0)
            continue;
        params[out->n_params++] = (metric_parameter){
            .name = arena_string(r->arena, name),
            .type = (parameter_type)read_choice(r, one, "type", types, 7, PARAMETER_TEXT),
            .value = json_object_get(one, "default"),
            .choices = json_object_get(one, "enum"),
        };
    }
    out->params = params;
}

static void read_metric_inputs(definition_reader *r, defined_metric *out)
{
    json_t *all = read_object(r, out->object.body, "inputs"), *one;
    const char *name;
    metric_input *inputs = arena_zero(r->arena, json_object_size(all) + 1, sizeof *inputs);
    json_object_foreach(all, name, one)
    {
        if (strncmp(name, "x-", 2) == 0)
            continue;
        inputs[out->n_inputs++] = (metric_input){.name = arena_string(r->arena, name),
                                                 .metric = read_text(r, one, "metric"),
                                                 .sql = read_text(r, one, "sql"),
                                                 .params = read_object_or_empty(r, one, "params")};
    }
    out->inputs = inputs;
}

void read_metric(definition_reader *r, defined_metric *out)
{
    const json_t *body = out->object.body;
    out->unit = read_text(r, body, "unit");
    out->time = read_text(r, body, "time");
    out->value = read_text(r, body, "value");
    out->labels = read_texts(r, body, "labels");
    out->sql = read_text(r, body, "sql");
    out->plugin = read_plugin(r, body, &out->config);
    read_metric_params(r, out);
    read_metric_inputs(r, out);
    if (!out->sql == !out->plugin)
        fail_at(r, "sql", "a metric has either sql or plugin");
}

void read_connector(definition_reader *r, defined_connector *out)
{
    json_t *body = out->object.body, *into = json_object_get(body, "into"), *store;
    const char *stream;
    out->plugin = read_plugin(r, body, &out->config);
    out->format = read_text(r, body, "format");
    out->decode = read_object_or_empty(r, body, "decode");
    out->paused = json_is_true(json_object_get(body, "paused"));
    size_t n = json_is_string(into) ? 1 : json_object_size(into);
    connector_target *targets = arena_zero(r->arena, n + 1, sizeof *targets);
    if (json_is_string(into))
        targets[out->n_into++].store = read_reference(r, json_string_value(into), "into");
    else
        json_object_foreach(into, stream, store)
        {
            targets[out->n_into].stream = arena_string(r->arena, stream);
            targets[out->n_into++].store = read_reference(r, json_string_value(store), "into");
        }
    out->into = targets;
}

void read_notifier(definition_reader *r, defined_notifier *out)
{
    out->plugin = read_plugin(r, out->object.body, &out->config);
}

static uint32_t read_count(const json_t *from, const char *field, uint32_t absent)
{
    const json_t *v = json_object_get(from, field);
    return v ? (uint32_t)json_integer_value(v) : absent;
}

void read_sink(definition_reader *r, defined_sink *out)
{
    enum { ROWS = 5000, BYTES = 4 << 20 };
    static const char *const begins[] = {"oldest", "newest"};
    const json_t *body = out->object.body, *batch = read_object(r, body, "batch");
    out->plugin = read_plugin(r, body, &out->config);
    out->from = read_reference(r, json_string_value(json_object_get(body, "from")), "from");
    out->batch_rows = read_count(batch, "rows", ROWS);
    out->batch_bytes = read_count(batch, "bytes", BYTES);
    out->every_us = read_duration(r, batch, "every", UTC_SECOND_US);
    out->newest = read_choice(r, body, "begin", begins, 2, 0) == 1;
    out->paused = json_is_true(json_object_get(body, "paused"));
}

/* ---- alerts ---- */

bool condition_parse(const char *word, alert_condition *ret)
{
    static const struct {
        const char *word;
        compare_operator op;
    } operators[] = {{"<=", COMPARE_LE}, {">=", COMPARE_GE}, {"==", COMPARE_EQ},
                     {"!=", COMPARE_NE}, {"<", COMPARE_LT},  {">", COMPARE_GT}};
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        size_t len = strlen(operators[i].word);
        if (strncmp(word, operators[i].word, len) != 0)
            continue;
        char *end;
        const char *number = word + len + strspn(word + len, " ");
        if (!isdigit((unsigned char)number[*number == '-' || *number == '+']))
            return false;
        *ret = (alert_condition){operators[i].op, strtod(number, &end)};
        return *end == '\0';
    }
    return false;
}

static alert_condition opposite(alert_condition c)
{
    static const compare_operator of[] = {
        [COMPARE_LT] = COMPARE_GE, [COMPARE_LE] = COMPARE_GT, [COMPARE_GT] = COMPARE_LE,
        [COMPARE_GE] = COMPARE_LT, [COMPARE_EQ] = COMPARE_NE, [COMPARE_NE] = COMPARE_EQ};
    return (alert_condition){of[c.op], c.number};
}

static void read_condition(definition_reader *r, defined_alert *out)
{
    const json_t *condition = read_object(r, out->object.body, "condition");
    const char *fire = json_string_value(json_object_get(condition, "fire_at"));
    const char *clear = json_string_value(json_object_get(condition, "clear_at"));
    if (!fire || !condition_parse(fire, &out->fire_at)) {
        fail_at(r, "condition/fire_at", "it is no comparison such as \"> 0.9\"");
        return;
    }
    out->clear_at = opposite(out->fire_at);
    if (clear && !condition_parse(clear, &out->clear_at))
        fail_at(r, "condition/clear_at", "it is no comparison such as \"< 0.7\"");
}

void read_alert(definition_reader *r, defined_alert *out)
{
    static const char *const clocks[] = {"wall", "data"};
    static const char *const severities[] = {"info", "warning", "critical"};
    static const char *const thens[] = {"no_data", "ok", "fire", "keep"};
    const json_t *body = out->object.body, *no_data = read_object(r, body, "no_data");
    out->metric = read_text(r, body, "metric");
    out->params = read_object_or_empty(r, body, "params");
    out->clock = (alert_clock)read_choice(r, body, "clock", clocks, 2, CLOCK_WALL);
    read_condition(r, out);
    out->for_us = read_duration(r, body, "for", 0);
    out->keep_firing_us = read_duration(r, body, "keep_firing", 0);
    out->no_data_after_us = read_duration(r, no_data, "after", DEFINITION_ANY);
    out->no_data_then = (no_data_state)read_choice(r, no_data, "then", thens, 4, NO_DATA_STATE);
    out->schedule = read_schedule(r, body);
    out->severity = (alert_severity)read_choice(r, body, "severity", severities, 3, SEVERITY_WARNING);
    out->notify = read_texts(r, body, "notify");
    out->notify_horizon_us = read_duration(r, body, "notify_horizon", HOUR_US);
}
