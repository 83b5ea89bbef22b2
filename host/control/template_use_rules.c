/* Rules of what works on stores and on each other: models, metrics, connectors, sinks, notifiers, alerts,
 * dashboards, reports and the template's own tests. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utc.h"
#include "control/definition_read.h"
#include "control/relative_time.h"
#include "control/schedule.h"
#include "control/template_checker.h"
#include "schema/row_plan.h"
#include "schema/validate.h"
#include "store/sql_guard.h"

#define PARAMS_MAX 64

static const char *text_at(const json_t *body, const char *field)
{
    return json_string_value(json_object_get(body, field));
}

/* ---- plugins ---- */

/* What stands at a pointer in the document as written. */
static const json_t *written_at(const json_t *value, arena *a, const char *pointer)
{
    char *rest = arena_string(a, pointer + 1), *step;
    while (value && (step = strsep(&rest, "/")))
        value = json_is_array(value) ? json_array_get(value, strtoul(step, NULL, 10))
                                     : json_object_get(value, step);
    return value;
}

/* Whether a sample stands there, for a parameter that gets its value only when a workspace is made: then
 * nothing can be said about the text yet. */
static bool is_sample(const template_checker *c, object_class class, const char *key, const char *instance)
{
    const json_t *root = c->written;
    const json_t *declared = json_object_get(c->options->base ? c->options->base : root, "parameters");
    const char *place = arena_printf(c->arena, "/%s/%s/config%s", class_section(class), key, instance);
    const char *at = json_string_value(written_at(root, c->arena, place));
    while (!c->options->parameters && at && (at = strstr(at, "${"))) {
        size_t len = strcspn(at += 2, "}");
        const json_t *parameter = json_object_getn(declared, at, len);
        if (parameter && !json_object_get(parameter, "default"))
            return true;
    }
    return false;
}

static void check_config(template_checker *c, object_class class, const char *key, json_t *document,
                         json_t *config)
{
    status st;
    schema *s = schema_compile(document, &(schema_options){0}, &st);
    if (!s) {
        checker_problem(c, class, key, "plugin", "the plugin's own schema cannot be used: %s", st.text);
        return;
    }
    schema_errors errors = {.arena = c->arena, .max = TEMPLATE_PROBLEMS_MAX};
    if (schema_validate(s, config, &errors, &st) != STATUS_OK)
        for (uint32_t i = 0; i < errors.n; i++)
            if (!is_sample(c, class, key, errors.items[i].instance))
                checker_problem(c, class, key, arena_printf(c->arena, "config%s", errors.items[i].instance),
                                "the plugin does not take this: %s", errors.items[i].sentence);
    schema_free(s);
}

static void check_plugin(template_checker *c, object_class class, const char *key, const json_t *body)
{
    const template_plugins *plugins = c->options->plugins;
    const char *id = text_at(body, "plugin");
    if (!plugins || !id)
        return;
    json_t *document = plugins->config_schema(plugins->self, class, id);
    if (!document) {
        checker_problem(c, class, key, "plugin", "there is no %s plugin \"%s\"", class_name(class), id);
        const char *near = plugins->suggest ? plugins->suggest(plugins->self, class, id) : NULL;
        checker_hint(c, near ? "did you mean %s?" : "put its .so file into a plugin folder%s",
                     near ? near : "");
        return;
    }
    json_t *config = json_object_get(body, "config"), *empty = json_object();
    if (!json_is_null(document))
        check_config(c, class, key, document, config ? config : empty);
    json_decref(empty);
    json_decref(document);
}

/* ---- models ---- */

void check_model(template_checker *c, const char *key, json_t *body)
{
    const json_t *train = json_object_get(body, "train"), *infer = json_object_get(body, "infer");
    if (train) {
        checker_need_reference(c, text_at(train, "from"), CLASS_MODEL, key, "train/from");
        check_schedule(c, CLASS_MODEL, key, train, "train");
    }
    json_t *from = checker_need_reference(c, text_at(infer, "from"), CLASS_MODEL, key, "infer/from");
    json_t *into = checker_need_reference(c, text_at(infer, "into"), CLASS_MODEL, key, "infer/into");
    check_schedule(c, CLASS_MODEL, key, infer, "infer");
    if (from && into && !json_equal(json_object_get(from, "key"), json_object_get(into, "key"))) {
        checker_problem(c, CLASS_MODEL, key, "infer/into", "%s has another key than %s",
                        text_at(infer, "into"), text_at(infer, "from"));
        checker_hint(c, "an inferencestore has the key of the featurestore that it scores");
    }
    const char *on = text_at(infer, "on");
    bool scheduled = json_object_get(infer, "every") || json_object_get(infer, "cron");
    if (on && strcmp(on, "schedule") == 0 && !scheduled)
        checker_problem(c, CLASS_MODEL, key, "infer/on", "`on: schedule` needs `every` or `cron`");
    check_plugin(c, CLASS_MODEL, key, body);
}

/* ---- metrics ---- */

static const char *type_sentence(const char *type)
{
    return strcmp(type, "timestamp") == 0  ? "a time (2026-01-01T00:00:00Z, now, now-24h)"
           : strcmp(type, "duration") == 0 ? "a duration (10m)"
                                           : type;
}

static bool fits_type(const char *type, const json_t *v)
{
    int64_t us;
    const char *s = json_string_value(v);
    if (strcmp(type, "string") == 0)
        return s != NULL;
    if (strcmp(type, "integer") == 0)
        return json_is_integer(v);
    if (strcmp(type, "number") == 0)
        return json_is_number(v);
    if (strcmp(type, "boolean") == 0)
        return json_is_boolean(v);
    if (strcmp(type, "timestamp") == 0)
        return s && relative_time_parse(s, 0, &us);
    return s && duration_parse(s, strlen(s), &us);
}

static unsigned check_params(template_checker *c, const char *key, const json_t *body, const char **names)
{
    const char *name;
    json_t *p;
    unsigned n = 0;
    json_object_foreach(json_object_get(body, "params"), name, p)
    {
        const char *type = text_at(p, "type");
        json_t *value = json_object_get(p, "default");
        if (!type || n == PARAMS_MAX)
            continue;
        names[n++] = name;
        if (value && !json_is_null(value) && !fits_type(type, value))
            checker_problem(c, CLASS_METRIC, key, arena_printf(c->arena, "params/%s/default", name),
                            "the default must be %s", type_sentence(type));
    }
    return n;
}

static void check_metric_references(template_checker *c, const char *key, const char *field,
                                    const sql_statement *s)
{
    for (uint32_t i = 0; i < s->n_references; i++) {
        object_class class = class_parse(s->references[i].store_class, strlen(s->references[i].store_class));
        checker_need(c, class, s->references[i].key, CLASS_METRIC, key, field);
    }
}

static bool may_give(const sql_statement *s, const char *column)
{
    for (uint32_t i = 0; i < s->n_columns; i++)
        if (!s->columns[i] || strcmp(s->columns[i], column) == 0)
            return true;
    return s->n_columns == 0;
}

static void check_given(template_checker *c, const char *key, const char *field, const sql_statement *s,
                        const char *column)
{
    if (column && !may_give(s, column))
        checker_problem(c, CLASS_METRIC, key, field, "the SQL gives no column \"%s\"", column);
}

static void check_metric_sql(template_checker *c, const char *key, const json_t *body,
                             const char *const *names, unsigned n)
{
    const sql_statement *s = check_sql(c, CLASS_METRIC, key, "sql", text_at(body, "sql"), names, n);
    const json_t *labels = json_object_get(body, "labels");
    if (!s)
        return;
    check_metric_references(c, key, "sql", s);
    check_given(c, key, "time", s, text_at(body, "time"));
    check_given(c, key, "value", s, text_at(body, "value"));
    for (size_t i = 0; i < json_array_size(labels); i++)
        check_given(c, key, arena_printf(c->arena, "labels/%zu", i), s,
                    json_string_value(json_array_get(labels, i)));
}

static void check_inputs(template_checker *c, const char *key, const json_t *body, const char *const *names,
                         unsigned n)
{
    const char *name;
    json_t *input;
    json_object_foreach(json_object_get(body, "inputs"), name, input)
    {
        const char *metric_key = text_at(input, "metric"), *sql = text_at(input, "sql");
        const sql_statement *s = sql ? check_sql(c, CLASS_METRIC, key,
                                                 arena_printf(c->arena, "inputs/%s/sql", name), sql, names, n)
                                     : NULL;
        if (s)
            check_metric_references(c, key, arena_printf(c->arena, "inputs/%s/sql", name), s);
        if (!metric_key == !sql)
            checker_problem(c, CLASS_METRIC, key, arena_printf(c->arena, "inputs/%s", name),
                            "an input is either a metric or SQL");
        if (!metric_key)
            continue;
        const char *field = arena_printf(c->arena, "inputs/%s/metric", name);
        json_t *other = checker_need(c, CLASS_METRIC, metric_key, CLASS_METRIC, key, field);
        if (other && !text_at(other, "sql")) {
            checker_problem(c, CLASS_METRIC, key, field, "the metric %s is computed by a plugin", metric_key);
            checker_hint(c, "inputs are metrics with SQL");
        }
    }
}

void check_metric(template_checker *c, const char *key, json_t *body)
{
    const char *names[PARAMS_MAX];
    unsigned n = check_params(c, key, body, names);
    if (!text_at(body, "sql") == !text_at(body, "plugin")) {
        checker_problem(c, CLASS_METRIC, key, NULL, "a metric has either sql or plugin");
        return;
    }
    if (text_at(body, "sql"))
        check_metric_sql(c, key, body, names, n);
    check_inputs(c, key, body, names, n);
    if (text_at(body, "sql") && json_object_get(body, "inputs"))
        checker_problem(c, CLASS_METRIC, key, "inputs",
                        "inputs are for plugins; SQL names its stores itself");
    check_plugin(c, CLASS_METRIC, key, body);
}

/* Values for a metric's parameters; `$name` stands for a control and is taken on trust. */
static void check_arguments(template_checker *c, object_class class, const char *key, const char *field,
                            const json_t *values, const json_t *of_metric)
{
    const char *name;
    json_t *v;
    json_object_foreach((json_t *)values, name, v)
    {
        const json_t *declared = json_object_get(json_object_get(of_metric, "params"), name);
        const char *type = text_at(declared, "type"), *s = json_string_value(v);
        const char *at = arena_printf(c->arena, "%s/%s", field, name);
        if (!declared)
            checker_problem(c, class, key, at, "the metric has no parameter \"%s\"", name);
        else if (type && !(s && *s == '$') && !fits_type(type, v))
            checker_problem(c, class, key, at, "the value must be %s", type_sentence(type));
    }
}

/* ---- connectors and notifiers ---- */

static void check_target(template_checker *c, const char *key, const char *reference, const char *field)
{
    json_t *store = checker_need_reference(c, reference, CLASS_CONNECTOR, key, field);
    if (store && !text_at(store, "time")) {
        checker_problem(c, CLASS_CONNECTOR, key, field, "%s has no event time, so it cannot take a stream",
                        reference);
        checker_hint(c, "name its column with `time:`");
    }
}

void check_connector(template_checker *c, const char *key, json_t *body)
{
    json_t *into = json_object_get(body, "into"), *store;
    const char *stream;
    if (json_is_string(into))
        check_target(c, key, json_string_value(into), "into");
    json_object_foreach(into, stream, store)
    {
        check_target(c, key, json_string_value(store), arena_printf(c->arena, "into/%s", stream));
    }
    if (json_object_get(body, "decode") && !text_at(body, "format")) {
        checker_problem(c, CLASS_CONNECTOR, key, "decode", "`decode` needs a `format`");
        checker_hint(c, "format: json, ndjson, csv or lp");
    }
    check_plugin(c, CLASS_CONNECTOR, key, body);
}

void check_notifier(template_checker *c, const char *key, json_t *body)
{
    check_plugin(c, CLASS_NOTIFIER, key, body);
}

void check_sink(template_checker *c, const char *key, json_t *body)
{
    checker_need_reference(c, text_at(body, "from"), CLASS_SINK, key, "from");
    check_plugin(c, CLASS_SINK, key, body);
}

/* ---- alerts, dashboards, reports ---- */

static void need_notifiers(template_checker *c, object_class class, const char *key, const json_t *body)
{
    const json_t *notify = json_object_get(body, "notify");
    for (size_t i = 0; i < json_array_size(notify); i++)
        checker_need(c, CLASS_NOTIFIER, json_string_value(json_array_get(notify, i)), class, key,
                     arena_printf(c->arena, "notify/%zu", i));
}

static void check_condition(template_checker *c, const char *key, const json_t *body)
{
    alert_condition fire, clear;
    const json_t *condition = json_object_get(body, "condition");
    const char *clear_text = text_at(condition, "clear_at");
    if (!condition_parse(text_at(condition, "fire_at"), &fire)) {
        checker_problem(c, CLASS_ALERT, key, "condition/fire_at", "it is no comparison such as \"> 0.9\"");
        return;
    }
    if (!clear_text)
        return;
    bool parsed = condition_parse(clear_text, &clear);
    bool rising = fire.op == COMPARE_GT || fire.op == COMPARE_GE,
         falling = fire.op == COMPARE_LT || fire.op == COMPARE_LE;
    bool overlaps =
        parsed && ((rising && clear.number > fire.number) || (falling && clear.number < fire.number));
    bool sides = parsed && ((rising && (clear.op == COMPARE_GT || clear.op == COMPARE_GE)) ||
                            (falling && (clear.op == COMPARE_LT || clear.op == COMPARE_LE)));
    if (!parsed) {
        checker_problem(c, CLASS_ALERT, key, "condition/clear_at", "it is no comparison such as \"< 0.7\"");
    } else if (overlaps || sides) {
        checker_problem(c, CLASS_ALERT, key, "condition/clear_at",
                        "some values would fire and clear at the same time");
        checker_hint(c, "clear on the other side of fire_at");
    }
}

void check_alert(template_checker *c, const char *key, json_t *body)
{
    json_t *of = checker_need(c, CLASS_METRIC, text_at(body, "metric"), CLASS_ALERT, key, "metric");
    if (of && !text_at(of, "value")) {
        checker_problem(c, CLASS_ALERT, key, "metric", "the metric %s says no `value` to compare",
                        text_at(body, "metric"));
        checker_hint(c, "add value: <column> to the metric");
    }
    if (of)
        check_arguments(c, CLASS_ALERT, key, "params", json_object_get(body, "params"), of);
    check_condition(c, key, body);
    check_schedule(c, CLASS_ALERT, key, body, NULL);
    need_notifiers(c, CLASS_ALERT, key, body);
}

void check_dashboard(template_checker *c, const char *key, json_t *body)
{
    const json_t *panels = json_object_get(body, "panels"), *controls = json_object_get(body, "controls");
    for (size_t i = 0; i < json_array_size(panels); i++) {
        const json_t *panel = json_array_get(panels, i);
        const char *metric_key = text_at(panel, "metric");
        const char *at = arena_printf(c->arena, "panels/%zu", i);
        json_t *of = metric_key ? checker_need(c, CLASS_METRIC, metric_key, CLASS_DASHBOARD, key,
                                               arena_printf(c->arena, "%s/metric", at))
                                : NULL;
        if (of)
            check_arguments(c, CLASS_DASHBOARD, key, arena_printf(c->arena, "%s/params", at),
                            json_object_get(panel, "params"), of);
    }
    for (size_t i = 0; i < json_array_size(controls); i++) {
        const char *metric_key = text_at(json_object_get(json_array_get(controls, i), "options"), "metric");
        if (metric_key)
            checker_need(c, CLASS_METRIC, metric_key, CLASS_DASHBOARD, key,
                         arena_printf(c->arena, "controls/%zu/options/metric", i));
    }
}

void check_report(template_checker *c, const char *key, json_t *body)
{
    cron_rule rule;
    status st;
    const char *cron = text_at(body, "schedule");
    checker_need(c, CLASS_DASHBOARD, text_at(body, "dashboard"), CLASS_REPORT, key, "dashboard");
    need_notifiers(c, CLASS_REPORT, key, body);
    check_timezone(c, CLASS_REPORT, key, body, "timezone");
    if (cron && cron_parse(cron, &rule, &st) != STATUS_OK)
        checker_problem(c, CLASS_REPORT, key, "schedule", "%s", st.text);
    else if (cron && !cron_fires(&rule))
        checker_problem(c, CLASS_REPORT, key, "schedule", "no such day ever comes");
}

/* ---- tests ---- */

static void check_given_rows(template_checker *c, const char *key, const char *reference, json_t *store,
                             const json_t *given)
{
    status st;
    schema *s = schema_compile(json_object_get(store, "schema"), NULL, &st);
    for (size_t i = 0; s && i < json_array_size(given); i++)
        if (schema_validate(s, json_array_get(given, i), NULL, &st) != STATUS_OK)
            checker_problem(c, CLASS_TEST, key,
                            arena_printf(c->arena, "given/%s/%zu%s", reference, i, st.where),
                            "the row would be rejected: %s", st.text);
    schema_free(s);
}

void check_test(template_checker *c, const char *key, json_t *body)
{
    const char *reference;
    json_t *given;
    json_object_foreach(json_object_get(body, "given"), reference, given)
    {
        json_t *store = checker_need_reference(c, reference, CLASS_TEST, key,
                                               arena_printf(c->arena, "given/%s", reference));
        if (store)
            check_given_rows(c, key, reference, store, given);
    }
    json_object_foreach(json_object_get(body, "expect"), reference, given)
    {
        checker_need_reference(c, reference, CLASS_TEST, key, arena_printf(c->arena, "expect/%s", reference));
    }
}
