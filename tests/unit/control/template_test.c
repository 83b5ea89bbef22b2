/* Checking templates: the one that ships is right, and each wrong one is told exactly where and why. */
#include "support/check.h"

#include <stdio.h>
#include <string.h>

#include "config/yaml_tree.h"
#include "control/template.h"

#define HEAD "apiVersion: penstock/v1\nkind: Template\nmetadata: {key: t, version: 1.0.0}\n"
/* Lines 4 to 13. */
#define STORE                                                                                        \
    "datastores:\n"                                                                                  \
    "  d:\n"                                                                                         \
    "    schema:\n"                                                                                  \
    "      type: object\n"                                                                           \
    "      required: [time, device]\n"                                                               \
    "      additionalProperties: false\n"                                                            \
    "      properties: {time: {type: string, format: date-time}, device: {type: string}, v: {type: " \
    "number}}\n"                                                                                     \
    "    time: time\n"                                                                               \
    "    entity: [device]\n"                                                                         \
    "    unique: [device, time]\n"

static template_report *check(const char *source, const template_options *options)
{
    status st;
    yaml_tree *t = NULL;
    if (yaml_tree_parse("t.yaml", source, strlen(source), &t, &st) != STATUS_OK)
        fail_msg("%s: %s", st.where, st.text);
    template_report *r = template_check(t, NULL, options);
    yaml_tree_free(t);
    return r;
}

static void right(const char *source)
{
    template_report *r = check(source, NULL);
    text all = {0};
    template_report_text(r, &all);
    if (r->n_problems)
        fail_msg("%s", all.data);
    text_free(&all);
    template_report_free(r);
}

/* The first problem, and that it is the only one. */
static void wrong_with(const char *source, const template_options *options, const char *where,
                       const char *cause, const char *hint)
{
    template_report *r = check(source, options);
    text all = {0};
    template_report_text(r, &all);
    if (r->n_problems != 1 || strcmp(r->problems[0].where, where) != 0 || !strstr(r->problems[0].text, cause))
        fail_msg("wanted %s %s, got\n%s", where, cause, text_or_empty(&all));
    if (hint && (!r->problems[0].hint || !strstr(r->problems[0].hint, hint)))
        fail_msg("no hint \"%s\" in\n%s", hint, text_or_empty(&all));
    text_free(&all);
    template_report_free(r);
}

static void wrong(const char *source, const char *where, const char *cause, const char *hint)
{
    wrong_with(source, NULL, where, cause, hint);
}

/* The schemas of the plugins that ship, from their folders. */
static json_t *shipped_schema(void *self, object_class class, const char *id)
{
    static const char *const folders[CLASS_COUNT] = {[CLASS_CONNECTOR] = "connectors",
                                                     [CLASS_NOTIFIER] = "notifiers",
                                                     [CLASS_METRIC] = "metrics",
                                                     [CLASS_MODEL] = "models"};
    char path[600];
    (void)self;
    snprintf(path, sizeof path, "%s/plugins/%s/%s/config.schema.json", PENSTOCK_SOURCE, folders[class],
             strrchr(id, '.') + 1);
    return json_load_file(path, 0, NULL);
}

static void the_templates_that_ship_are_right(void **state)
{
    (void)state;
    status st;
    yaml_tree *t = NULL;
    if (yaml_tree_read(PENSTOCK_SOURCE "/templates/pump-station", &t, &st) != STATUS_OK)
        fail_msg("%s: %s", st.where, st.text);
    const template_plugins plugins = {NULL, shipped_schema, NULL};
    template_report *r = template_check(t, NULL, &(template_options){.plugins = &plugins});
    text all = {0};
    template_report_text(r, &all);
    if (r->n_problems)
        fail_msg("%s", all.data);
    assert_int_equal(r->n_paths, 1);
    assert_string_equal(r->paths[0].store, "sensor_data");
    assert_true(r->paths[0].fast);
    text_free(&all);
    template_report_free(r);
    yaml_tree_free(t);
}

static void sections(void **state)
{
    (void)state;
    right(HEAD STORE "x-mine: {anything: 1}\n");
    wrong(HEAD "entities: {}\n", "t.yaml:4:1", "reserved", NULL);
    wrong(HEAD "datastore: {}\n", "t.yaml:4:1", "no section \"datastore\"", "datastores");
    wrong("[1]", "t.yaml:1:1", "a template is a mapping", NULL);
    wrong("apiVersion: penstock/v1\nkind: Template\n", "t.yaml:1:1", "metadata", NULL);
    wrong("apiVersion: penstock/v2\nkind: Template\nmetadata: {key: t, version: 1.0.0}\n", "t.yaml:1:13", "",
          "penstock/v1");
    wrong("apiVersion: penstock/v1\nkind: Template\nmetadata: {key: t, version: 1.0}\n", "t.yaml:3:29", "",
          NULL);
}

static void datastores(void **state)
{
    (void)state;
    right(HEAD STORE);
    wrong(HEAD STORE "    retension: 3d\n", "t.yaml:14:5", "no \"retension\" here", "retention");
    wrong(HEAD STORE "    retention: 3 days\n", "t.yaml:14:16", "", "10s, 5m");
    wrong(HEAD "datastores:\n  Bad: {schema: {type: object}}\n", "t.yaml:5:3", "no \"Bad\" here", NULL);
    wrong(HEAD "datastores:\n  d: {schema: {type: object, properties: {a: {type: strin}}}}\n", "t.yaml:5:53",
          "", NULL);
    wrong(HEAD "datastores:\n  d: {schema: {type: array}}\n", "t.yaml:5:22", "", NULL);
    wrong(HEAD "datastores:\n  d:\n    schema: {type: object, required: [t], properties: {t: {type: "
               "string}}}\n    time: t\n",
          "t.yaml:7:11", "no point in time", "date-time");
    wrong(HEAD STORE "    version: vv\n", "t.yaml:14:14", "no property \"vv\"", "v?");
    wrong(HEAD
          "datastores:\n  d:\n    schema: {type: object, properties: {a: {type: string}}}\n    unique: [a]\n"
          "    partition: none\n",
          "t.yaml:7:14", "may be missing", "required");
    wrong(HEAD
          "datastores:\n  d:\n    schema: {type: object, required: [a], properties: {a: {type: string}}}\n"
          "    unique: [a]\n",
          "t.yaml:7:13", "does not hold the event time", "partition: none");
    wrong(HEAD "datastores:\n  d:\n    schema: {type: object, properties: {a: {type: string}}}\n    "
               "on_conflict: merge\n",
          "t.yaml:7:18", "without `unique`", NULL);
    wrong(HEAD "datastores:\n  d: {schema: {type: object}, retention: 3d}\n", "t.yaml:5:42",
          "needs an event time", "time:");
    wrong(HEAD "datastores:\n  d: {schema: {type: object, properties: {_x: {type: string}}}}\n",
          "t.yaml:5:47", "does not begin with _", NULL);
}

static void says_the_path_of_each_store(void **state)
{
    (void)state;
    template_report *r = check(
        HEAD STORE "  e: {schema: {type: object, anyOf: [{}], properties: {a: {type: string}}}}\n", NULL);
    assert_int_equal(r->n_problems, 0);
    assert_int_equal(r->n_paths, 2);
    assert_true(r->paths[0].fast);
    assert_string_equal(r->paths[1].store, "e");
    assert_false(r->paths[1].fast);
    assert_non_null(strstr(r->paths[1].reason, "anyOf"));
    template_report_free(r);
}

/* Line 14 on. */
#define FEATURE                   \
    "featurestores:\n"            \
    "  f:\n"                      \
    "    from: [datastore:d]\n"   \
    "    key: [bucket, device]\n" \
    "    bucket: 10m\n"

static void featurestores(void **state)
{
    (void)state;
    right(HEAD STORE FEATURE
          "    sql: SELECT penstock.time_bucket(:bucket, time) AS bucket, device, count(*) AS n FROM "
          "datastore:d GROUP BY 1, 2\n");
    wrong(HEAD STORE FEATURE
          "    sql: |\n      SELECT now() AS bucket, device\n      FROM datastore:d; DROP TABLE x\n",
          "t.yaml:20:7", "one statement", NULL);
    wrong(HEAD STORE FEATURE "    sql: SELECT time AS bucket, device FROM users\n", "t.yaml:19:45", "users",
          NULL);
    wrong(HEAD STORE FEATURE "    sql: SELECT time AS bucket FROM datastore:d\n", "t.yaml:17:19",
          "no column \"device\"", NULL);
    wrong(HEAD STORE FEATURE "    sql: SELECT a.time AS bucket, a.device FROM datastore:d a, datastore:e\n",
          "t.yaml:19:10", "reads datastore:e", "from");
    wrong(HEAD STORE "featurestores:\n  f: {from: [datastore:dd], key: [device], sql: SELECT 1}\n",
          "t.yaml:15:14", "no datastore \"dd\"", "d?");
    wrong(HEAD STORE FEATURE
          "    refresh: {every: 1m, cron: 0 0 * * *}\n    sql: SELECT time AS bucket, device FROM "
          "datastore:d\n",
          "t.yaml:19:32", "exclude each other", NULL);
    wrong(HEAD STORE FEATURE
          "    refresh: {cron: 0 0 30 2 *}\n    sql: SELECT time AS bucket, device FROM datastore:d\n",
          "t.yaml:19:21", "no such day", NULL);
    wrong(HEAD STORE FEATURE
          "    sql: SELECT time AS bucket, device, lag(v) OVER (ORDER BY time) AS l FROM datastore:d\n",
          "t.yaml:19:10", "no `reach`", "reach");
    wrong(HEAD STORE FEATURE "    sql: SELECT time AS bucket, device, '${p}' AS p FROM datastore:d\n",
          "t.yaml:19:10", "inside SQL", NULL);
}

static void time_zones(void **state)
{
    (void)state;
    right(HEAD STORE FEATURE
          "    timezone: Europe/Berlin\n    sql: SELECT time AS bucket, device FROM datastore:d\n");
    wrong(HEAD STORE FEATURE
          "    timezone: Europe/Berln\n    sql: SELECT time AS bucket, device FROM datastore:d\n",
          "t.yaml:19:15", "no time zone \"Europe/Berln\"", "IANA");
}

static void what_reads_itself(void **state)
{
    (void)state;
    wrong(HEAD "featurestores:\n  a: {from: [featurestore:b], key: [k], sql: SELECT k FROM featurestore:b}\n"
               "  b: {from: [featurestore:a], key: [k], sql: SELECT k FROM featurestore:a}\n",
          "t.yaml:5:13", "computed from itself", NULL);
}

static void metrics_and_alerts(void **state)
{
    (void)state;
    const char *metric =
        HEAD STORE "metrics:\n  m: {value: v, labels: [device], sql: 'SELECT device, v FROM datastore:d'}\n"
                   "notifiers: {ops: {plugin: a.b}}\n";
    char source[2000];
    right(metric);
#define ALERT(rest, ...)                                                   \
    snprintf(source, sizeof source, "%salerts:\n  a: %s\n", metric, rest); \
    wrong(source, __VA_ARGS__)
    ALERT("{metric: mm, condition: {fire_at: '> 1'}}", "t.yaml:18:15", "no metric \"mm\"", "m?");
    ALERT("{metric: m, condition: {fire_at: high}}", "t.yaml:18:39", "", "0.9");
    ALERT("{metric: m, condition: {fire_at: '> 1', clear_at: '< 2'}}", "t.yaml:18:56", "fire and clear",
          NULL);
    ALERT("{metric: m, condition: {fire_at: '> 1'}, notify: [opps]}", "t.yaml:18:56", "no notifier \"opps\"",
          "ops");
    ALERT("{metric: m, condition: {fire_at: '> 1'}, params: {x: 1}}", "t.yaml:18:59", "no parameter \"x\"",
          NULL);
#undef ALERT
    wrong(HEAD STORE "metrics:\n  m: {value: w, sql: SELECT v FROM datastore:d}\n", "t.yaml:15:14",
          "no column \"w\"", NULL);
    wrong(HEAD STORE "metrics:\n  m: {sql: 'SELECT v FROM datastore:d WHERE device = :dev'}\n",
          "t.yaml:15:54", "dev", NULL);
    wrong(
        HEAD STORE
        "metrics:\n  m: {params: {from: {type: timestamp, default: noon}}, sql: SELECT v FROM datastore:d}\n",
        "t.yaml:15:49", "must be a time", NULL);
    wrong(HEAD STORE "metrics:\n  m: {sql: SELECT v FROM datastore:d, plugin: a.b}\n", "t.yaml:15:3",
          "either sql or plugin", NULL);
}

static void parameters(void **state)
{
    (void)state;
    const char *with =
        HEAD "parameters: {to: {type: string, format: email}, n: {type: integer, default: 3}}\n"
             "notifiers: {ops: {plugin: a.b, config: {to: '${to}', n: '${n}'}}}\n";
    right(with);
    wrong(HEAD "notifiers: {ops: {plugin: a.b, config: {to: '${tu}'}}}\n", "t.yaml:4:45",
          "no parameter \"tu\"", NULL);
    wrong(HEAD "parameters: {n: {type: integer, default: many}}\n", "t.yaml:4:14", "does not fit", NULL);
    json_t *given = json_pack("{s:s}", "to", "nobody");
    wrong_with(with, &(template_options){.parameters = given}, "t.yaml:4:14", "does not fit", NULL);
    json_decref(given);
}

static json_t *config_schema(void *self, object_class class, const char *id)
{
    (void)self;
    if (class != CLASS_NOTIFIER || strcmp(id, "org.penstock.notifier.email") != 0)
        return NULL;
    return json_loads("{\"type\": \"object\", \"required\": [\"to\"], \"additionalProperties\": false,"
                      " \"properties\": {\"to\": {\"type\": \"array\", \"items\": {\"pattern\": \"@\"}}}}",
                      0, NULL);
}

static const char *suggest(void *self, object_class class, const char *id)
{
    (void)self, (void)class, (void)id;
    return "org.penstock.notifier.email";
}

static void plugins(void **state)
{
    (void)state;
    const template_plugins known = {NULL, config_schema, suggest};
    const template_options options = {.plugins = &known};
    wrong_with(HEAD "notifiers: {ops: {plugin: org.penstock.notifier.mail}}\n", &options, "t.yaml:4:27",
               "no notifier plugin", "email");
    wrong_with(HEAD "notifiers: {ops: {plugin: org.penstock.notifier.email, config: {to: x}}}\n", &options,
               "t.yaml:4:69", "does not take this", NULL);
    wrong_with(HEAD "notifiers: {ops: {plugin: org.penstock.notifier.email}}\n", &options, "t.yaml:4:18", "",
               NULL);
}

/* What a parameter without a default will be is not known yet; one with a default is. */
static void plugins_are_not_asked_about_samples(void **state)
{
    (void)state;
    const template_plugins known = {NULL, config_schema, suggest};
    const template_options options = {.plugins = &known};
    const char *use = "notifiers: {ops: {plugin: org.penstock.notifier.email, config: {to: ['${who}']}}}\n";
    text source = {0};
    text_printf(&source, HEAD "parameters: {who: {type: string}}\n%s", use);
    template_report *r = check(source.data, &options);
    assert_int_equal(r->n_problems, 0);
    template_report_free(r);
    text_clear(&source);
    text_printf(&source, HEAD "parameters: {who: {type: string, default: nobody}}\n%s", use);
    wrong_with(source.data, &options, "t.yaml:5:70", "does not take this", NULL);
    text_free(&source);
}

static void a_local_layer_adds_to_a_template(void **state)
{
    (void)state;
    status st;
    yaml_tree *t = NULL;
    const char *own = HEAD STORE;
    assert_int_equal(yaml_tree_parse("own.yaml", own, strlen(own), &t, &st), STATUS_OK);
    const template_options options = {.base = yaml_tree_root(t)};
    const char *layer =
        "apiVersion: penstock/v1\nkind: LocalLayer\nmetrics:\n  m: {sql: SELECT v FROM datastore:d}\n";
    template_report *r = check(layer, &options);
    assert_int_equal(r->n_problems, 0);
    template_report_free(r);
    wrong_with("apiVersion: penstock/v1\nkind: LocalLayer\ndatastores:\n  d: {schema: {type: object}}\n",
               &options, "t.yaml:4:3", "belongs to the template", "another key");
    yaml_tree_free(t);
}

static void the_tests_of_a_template(void **state)
{
    (void)state;
    wrong(HEAD STORE "tests:\n  t:\n    given: {datastore:d: [{time: 2026-01-01T00:00:00Z, device: a}, "
                     "{time: x, device: a}]}\n"
                     "    expect: {datastore:d: [{device: a}]}\n",
          "t.yaml:16:75", "would be rejected", NULL);
    wrong(HEAD STORE "tests:\n  t:\n    given: {datastore:d: []}\n    expect: {featurestore:f: []}\n",
          "t.yaml:17:30", "no featurestore \"f\"", NULL);
}

static void reports_many_at_once_and_stops(void **state)
{
    (void)state;
    text source = {0};
    text_add(&source, HEAD "reports:\n");
    for (int i = 0; i < TEMPLATE_PROBLEMS_MAX + 2; i++)
        text_printf(&source, "  r%d: {dashboard: none}\n", i);
    template_report *r = check(source.data, NULL);
    assert_int_equal(r->n_problems, TEMPLATE_PROBLEMS_MAX);
    assert_int_equal(r->left_off, 2);
    json_t *form = template_report_json(r);
    assert_int_equal(json_array_size(json_object_get(form, "problems")), TEMPLATE_PROBLEMS_MAX);
    json_decref(form);
    template_report_free(r);
    text_free(&source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_templates_that_ship_are_right),
        cmocka_unit_test(sections),
        cmocka_unit_test(datastores),
        cmocka_unit_test(says_the_path_of_each_store),
        cmocka_unit_test(featurestores),
        cmocka_unit_test(time_zones),
        cmocka_unit_test(what_reads_itself),
        cmocka_unit_test(metrics_and_alerts),
        cmocka_unit_test(parameters),
        cmocka_unit_test(plugins),
        cmocka_unit_test(plugins_are_not_asked_about_samples),
        cmocka_unit_test(a_local_layer_adds_to_a_template),
        cmocka_unit_test(the_tests_of_a_template),
        cmocka_unit_test(reports_many_at_once_and_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
