/* The effective definition: parameters, layers, typed objects, order, round trip. */
#include "support/check.h"

#include <stdlib.h>
#include <string.h>

#include "base/utc.h"
#include "config/yaml_tree.h"
#include "control/definition.h"
#include "control/definition_seed.h"
#include "schema/row_plan.h"

#define HEAD "apiVersion: penstock/v1\nkind: Template\nmetadata: {key: t, version: 1.0.0}\n"
#define STORE                                                                                            \
    "datastores:\n  d:\n    schema: {type: object, required: [time], additionalProperties: false, "      \
    "properties: "                                                                                       \
    "{time: {type: string, format: date-time}, device: {type: string}, v: {type: number, unit: bar}}}\n" \
    "    time: time\n    entity: [device]\n    unique: [device, time]\n    retention: 30d\n    expect: " \
    "{cadence: 10s}\n"

static json_t *yaml(const char *source)
{
    status st;
    yaml_tree *t = NULL;
    if (yaml_tree_parse("t.yaml", source, strlen(source), &t, &st) != STATUS_OK)
        fail_msg("%s: %s", st.where, st.text);
    json_t *root = json_incref(yaml_tree_root(t));
    yaml_tree_free(t);
    return root;
}

static status_class make(const char *own, const char *local, const char *parameters, const definition **ret,
                         status *st)
{
    json_t *body = yaml(own), *layer = local ? yaml(local) : NULL,
           *values = parameters ? yaml(parameters) : NULL;
    const definition_source source = {.template_body = body,
                                      .local_body = layer,
                                      .parameters = values,
                                      .wid = 7,
                                      .workspace = "acme",
                                      .workspace_id = "ws_1",
                                      .generation = 3};
    status_class class = definition_make(&source, ret, st);
    json_decref(body);
    json_decref(layer);
    json_decref(values);
    return class;
}

static const definition *made(const char *own, const char *local, const char *parameters)
{
    status st;
    const definition *d = NULL;
    if (make(own, local, parameters, &d, &st) != STATUS_OK)
        fail_msg("%s: %s", st.where, st.text);
    return d;
}

static void reads_a_datastore(void **state)
{
    (void)state;
    const definition *d = made(HEAD STORE, NULL, NULL);
    const defined_datastore *s = definition_datastore(d, "d");
    assert_non_null(s);
    assert_null(definition_datastore(d, "x"));
    assert_null(definition_featurestore(d, "d"));
    assert_int_equal(d->wid, 7);
    assert_string_equal(d->workspace, "acme");
    assert_string_equal(d->template_version, "1.0.0");
    assert_int_equal(s->n_columns, 3);
    assert_string_equal(s->columns[0].name, "time");
    assert_int_equal(s->columns[0].type, COLUMN_TIMESTAMP);
    assert_true(s->columns[0].required);
    assert_int_equal(s->columns[2].type, COLUMN_NUMBER);
    assert_string_equal(s->columns[2].unit, "bar");
    assert_false(s->columns[2].required);
    assert_false(s->extra);
    assert_true(s->plan->flat);
    assert_int_equal(s->unique.n, 2);
    assert_int_equal(s->on_conflict, CONFLICT_KEEP_LAST);
    assert_int_equal(s->retention_us, 30 * UTC_DAY_US);
    assert_int_equal(s->accept_past_us, 30 * UTC_DAY_US);
    assert_int_equal(s->accept_future_us, 3600 * UTC_SECOND_US);
    assert_int_equal(s->cadence_us, 10 * UTC_SECOND_US);
    definition_release(d);
}

static void fills_parameters(void **state)
{
    (void)state;
    const char *source =
        HEAD "parameters: {to: {type: string, format: email}, n: {type: integer, default: 4}}\n"
             "notifiers:\n  ops: {plugin: a.b, config: {to: [\"${to}\"], n: \"${n}\", text: "
             "\"<${n}> $${n} $5\"}}\n";
    const definition *d = made(source, NULL, "to: ops@example.org");
    json_t *config = definition_notifier(d, "ops")->config;
    assert_string_equal(json_string_value(json_array_get(json_object_get(config, "to"), 0)),
                        "ops@example.org");
    assert_int_equal(json_integer_value(json_object_get(config, "n")), 4);
    assert_string_equal(json_string_value(json_object_get(config, "text")), "<4> ${n} $5");
    definition_release(d);

    status st;
    assert_int_equal(make(source, NULL, NULL, &d, &st), STATUS_INVALID);
    assert_string_equal(st.where, "/parameters/to");
    assert_int_equal(make(source, NULL, "to: nobody", &d, &st), STATUS_INVALID);
    assert_string_equal(st.where, "/parameters/to");
    assert_int_equal(make(source, NULL, "{to: a@example.org, other: 1}", &d, &st), STATUS_INVALID);
    assert_string_equal(st.where, "/parameters/other");
}

static void a_local_layer_only_adds(void **state)
{
    (void)state;
    const char *notifier = "notifiers: {ops: {plugin: a.b}}\n";
    const definition *d = made(HEAD STORE, notifier, NULL);
    assert_int_equal(definition_object(d, CLASS_NOTIFIER, "ops")->origin, ORIGIN_LOCAL);
    assert_int_equal(definition_object(d, CLASS_DATASTORE, "d")->origin, ORIGIN_TEMPLATE);
    definition_release(d);
    status st;
    assert_int_equal(make(HEAD STORE, STORE, NULL, &d, &st), STATUS_INVALID);
    assert_string_equal(st.where, "/datastores/d");
    assert_non_null(strstr(st.text, "belongs to the template"));
}

static void reads_alerts(void **state)
{
    (void)state;
    const definition *d = made(
        HEAD
        "metrics: {m: {sql: SELECT 1, value: v, labels: [device], params: {from: {type: timestamp, default: "
        "now-24h}}}}\n"
        "alerts:\n  a: {metric: m, clock: data, condition: {fire_at: '> 0.9', clear_at: '< 0.7'}, for: 5m, "
        "no_data: {after: 30m, then: fire}, severity: critical, notify: [ops], notify_horizon: off}\n"
        "  b: {metric: m, condition: {fire_at: '<= -1e3'}}\n",
        NULL, NULL);
    const defined_alert *a = definition_alert(d, "a"), *b = definition_alert(d, "b");
    assert_int_equal(a->fire_at.op, COMPARE_GT);
    assert_true(a->fire_at.number == 0.9);
    assert_int_equal(a->clear_at.op, COMPARE_LT);
    assert_int_equal(a->for_us, 300 * UTC_SECOND_US);
    assert_int_equal(a->no_data_after_us, 1800 * UTC_SECOND_US);
    assert_int_equal(a->no_data_then, NO_DATA_FIRE);
    assert_int_equal(a->notify_horizon_us, DEFINITION_ANY);
    assert_int_equal(a->clock, CLOCK_DATA);
    assert_int_equal(b->clear_at.op, COMPARE_GT);
    assert_true(b->clear_at.number == -1000);
    assert_int_equal(b->no_data_after_us, DEFINITION_ANY);
    assert_int_equal(b->notify_horizon_us, 3600 * UTC_SECOND_US);
    assert_int_equal(b->severity, SEVERITY_WARNING);
    assert_int_equal(json_object_size(b->params), 0);
    const defined_metric *m = definition_metric(d, "m");
    assert_int_equal(m->n_params, 1);
    assert_int_equal(m->params[0].type, PARAMETER_TIMESTAMP);
    definition_release(d);
}

#define FEATURES                                                                                     \
    "featurestores:\n  c: {from: [featurestore:b], key: [device], sql: s}\n"                         \
    "  b: {from: [inferencestore:i], key: [device], sql: s, bucket: 1d, timezone: Europe/Berlin}\n"  \
    "  a: {from: [datastore:d], key: [bucket, device], sql: s, bucket: 10m, refresh: {every: 1m}}\n" \
    "inferencestores: {i: {key: [device], schema: {type: object, properties: {device: {type: string}}}}}\n"

static void puts_featurestores_behind_what_they_read(void **state)
{
    (void)state;
    const definition *d =
        made(HEAD STORE FEATURES
             "models: {m: {plugin: p.q, infer: {from: featurestore:a, into: inferencestore:i}}}\n",
             NULL, NULL);
    assert_string_equal(d->featurestores[0].object.key, "a");
    assert_string_equal(d->featurestores[1].object.key, "b");
    assert_string_equal(d->featurestores[2].object.key, "c");
    assert_ptr_equal(definition_featurestore(d, "b"), &d->featurestores[1]);
    assert_int_equal(definition_featurestore(d, "a")->bucket_us, 600 * UTC_SECOND_US);
    assert_int_equal(definition_featurestore(d, "b")->bucket_us, 0);
    assert_string_equal(definition_featurestore(d, "b")->refresh.timezone, "Europe/Berlin");
    assert_true(definition_model(d, "m")->infer.on_change);
    definition_release(d);
    status st;
    assert_int_equal(
        make(HEAD STORE FEATURES
             "models: {m: {plugin: p.q, infer: {from: featurestore:c, into: inferencestore:i}}}\n",
             NULL, NULL, &d, &st),
        STATUS_INVALID);
    assert_string_equal(st.where, "/featurestores/c/from");
    assert_non_null(strstr(st.text, "computed from itself"));
}

static void goes_to_json_and_back(void **state)
{
    (void)state;
    const definition *d = made(HEAD STORE FEATURES, "notifiers: {ops: {plugin: a.b}}\n", NULL), *again,
                     *known;
    json_t *document = definition_to_json(d);
    status st;
    assert_int_equal(definition_from_json(document, &again, &st), STATUS_OK);
    json_decref(document);
    assert_int_equal(again->wid, 7);
    assert_int_equal(again->generation, 3);
    assert_string_equal(again->workspace, "acme");
    assert_int_equal(definition_object(again, CLASS_NOTIFIER, "ops")->origin, ORIGIN_LOCAL);
    assert_string_equal(definition_object(again, CLASS_DATASTORE, "d")->hash,
                        definition_object(d, CLASS_DATASTORE, "d")->hash);
    assert_int_equal(definition_featurestore(d, "a")->n_columns, 0);

    json_t *columns = yaml("a: [{name: bucket, type: timestamp, required: true}, {name: n, type: integer}]");
    assert_int_equal(definition_with_columns(again, columns, &known, &st), STATUS_OK);
    json_decref(columns);
    assert_int_equal(definition_featurestore(known, "a")->n_columns, 2);
    assert_int_equal(definition_featurestore(known, "a")->columns[1].type, COLUMN_INTEGER);
    assert_true(definition_featurestore(known, "a")->columns[0].required);
    definition_release(known);
    definition_release(again);
    assert_ptr_equal(definition_retain(d), d);
    definition_release(d);
    definition_release(d);
}

static char *form_of(const definition *d)
{
    json_t *document = definition_to_json(d);
    char *form = json_dumps(document, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(document);
    return form;
}

/* A seed outlives its definition, and grows the same one: names, layers, parameters, columns, order. */
static void grows_again_from_a_seed(void **state)
{
    (void)state;
    status st;
    const definition *again,
        *d = made(HEAD "parameters:\n  days: {type: string, default: 30d}\n" STORE FEATURES,
                  "notifiers: {ops: {plugin: a.b, config: {rate: 0.1}}}\n", "days: 7d\n");
    json_t *columns = yaml("a: [{name: bucket, type: timestamp, required: true}, {name: n, type: integer}]");
    const definition *whole;
    assert_int_equal(definition_with_columns(d, columns, &whole, &st), STATUS_OK);
    json_decref(columns);
    definition_release(d);
    char *before = form_of(whole), hash[33];
    memcpy(hash, definition_object(whole, CLASS_NOTIFIER, "ops")->hash, sizeof hash);
    definition_seed *seed = definition_seed_take(whole);
    definition_release(whole); /* the last one: its body is gone */
    assert_int_equal(definition_seed_grow(seed, &again, &st), STATUS_OK);
    char *after = form_of(again);
    assert_string_equal(after, before);
    assert_string_equal(definition_object(again, CLASS_NOTIFIER, "ops")->hash, hash);
    assert_int_equal(definition_featurestore(again, "a")->n_columns, 2);
    definition_seed_free(seed);
    assert_string_equal(again->workspace, "acme");
    definition_release(again);
    free(before);
    free(after);
}

static void parses_references(void **state)
{
    (void)state;
    char buffer[64];
    object_reference r;
    assert_true(reference_parse("datastore:sensor_data.pressure", buffer, sizeof buffer, &r));
    assert_int_equal(r.class, CLASS_DATASTORE);
    assert_string_equal(r.key, "sensor_data");
    assert_string_equal(r.column, "pressure");
    assert_true(reference_parse("featurestore:a", buffer, sizeof buffer, &r));
    assert_null(r.column);
    assert_false(reference_parse("store:a", buffer, sizeof buffer, &r));
    assert_false(reference_parse("datastore:a__b", buffer, sizeof buffer, &r));
    assert_false(reference_parse("datastore:", buffer, sizeof buffer, &r));
    assert_false(reference_parse("datastore:a.", buffer, sizeof buffer, &r));
    assert_false(reference_parse("datastore", buffer, sizeof buffer, &r));
}

/* What is the same for two workspaces is there once, and outlives the one that made it; other parameters are
 * another body. */
static void shares_what_is_the_same(void **state)
{
    (void)state;
    const char *source = HEAD "parameters:\n  days: {type: string, default: 30d}\n" STORE;
    const definition *a = made(source, NULL, NULL), *b = made(source, NULL, NULL),
                     *c = made(source, NULL, "days: 7d\n");
    assert_ptr_not_equal(a, b);
    assert_ptr_equal(definition_datastore(a, "d"), definition_datastore(b, "d"));
    assert_ptr_not_equal(definition_datastore(a, "d"), definition_datastore(c, "d"));
    assert_string_equal(json_string_value(json_object_get(c->parameters, "days")), "7d");
    definition_release(a);
    assert_string_equal(b->workspace, "acme");
    assert_non_null(definition_datastore(b, "d")->plan);
    definition_release(b);
    definition_release(c);
}

static void reads_sinks(void **state)
{
    (void)state;
    const definition *d =
        made(HEAD STORE "sinks:\n  a: {plugin: x.y, from: datastore:d}\n"
                        "  b: {plugin: x.y, from: datastore:d, begin: newest, paused: true, config: {u: 1},"
                        " batch: {rows: 7, bytes: 2048, every: 5m}}\n",
             NULL, NULL);
    const defined_sink *a = definition_sink(d, "a"), *b = definition_sink(d, "b");
    assert_int_equal(d->n_sinks, 2);
    assert_string_equal(a->from.key, "d");
    assert_int_equal(a->batch_rows, 5000);
    assert_int_equal(a->batch_bytes, 4 << 20);
    assert_int_equal(a->every_us, UTC_SECOND_US);
    assert_false(a->newest || a->paused);
    assert_int_equal(b->batch_rows, 7);
    assert_int_equal(b->batch_bytes, 2048);
    assert_int_equal(b->every_us, 300 * UTC_SECOND_US);
    assert_true(b->newest && b->paused);
    assert_int_equal(json_integer_value(json_object_get(b->config, "u")), 1);
    assert_true(definition_datastore(d, "d")->read_by_seq);
    definition_release(d);
    d = made(HEAD STORE, NULL, NULL);
    assert_false(definition_datastore(d, "d")->read_by_seq);
    assert_null(definition_sink(d, "a"));
    definition_release(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_datastore),
        cmocka_unit_test(shares_what_is_the_same),
        cmocka_unit_test(fills_parameters),
        cmocka_unit_test(a_local_layer_only_adds),
        cmocka_unit_test(reads_alerts),
        cmocka_unit_test(reads_sinks),
        cmocka_unit_test(puts_featurestores_behind_what_they_read),
        cmocka_unit_test(goes_to_json_and_back),
        cmocka_unit_test(parses_references),
        cmocka_unit_test(grows_again_from_a_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
