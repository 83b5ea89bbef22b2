/* What a workspace may become: the matrix of changes, within a version, with a new major version, in the
 * local layer. */
#include "support/check.h"

#include <string.h>

#include "config/yaml_tree.h"
#include "control/evolution.h"

#define STORE                                                                                            \
    "datastores: {d: {schema: {type: object, required: [time, device], additionalProperties: false, "    \
    "properties: {time: "                                                                                \
    "{type: string, format: date-time}, device: {type: string, maxLength: 10}, v: {type: integer}%s}}, " \
    "time: time, "                                                                                       \
    "entity: [%s], unique: [device, time], retention: %s}}\n"

static json_t *yaml(const char *source)
{
    status st;
    yaml_tree *t = NULL;
    if (yaml_tree_parse("t.yaml", source, strlen(source), &t, &st) != STATUS_OK)
        fail_msg("%s: %s in\n%s", st.where, st.text, source);
    json_t *root = json_incref(yaml_tree_root(t));
    yaml_tree_free(t);
    return root;
}

static const definition *make(const char *version, const char *own, const char *local)
{
    status st;
    text source = {0};
    const definition *d = NULL;
    text_printf(&source, "apiVersion: penstock/v1\nkind: Template\nmetadata: {key: t, version: %s}\n%s",
                version, own);
    json_t *body = yaml(source.data), *layer = local ? yaml(local) : NULL;
    const definition_source s = {.template_body = body, .local_body = layer};
    if (definition_make(&s, &d, &st) != STATUS_OK)
        fail_msg("%s: %s", st.where, st.text);
    json_decref(body);
    json_decref(layer);
    text_free(&source);
    return d;
}

/* Compares and returns the plan as text, to be freed. */
static char *plan_of(const definition *from, const definition *to)
{
    arena *a = arena_create(0);
    text out = {0};
    evolution_text(evolution_plan(from, to, a), &out);
    arena_free(a);
    definition_release(from);
    definition_release(to);
    return text_take(&out);
}

static void gives(const char *version, const char *was, const char *is, const char *line)
{
    char *plan = plan_of(make("1.0.0", was, NULL), make(version, is, NULL));
    if (strncmp(plan, line, strlen(line)) != 0)
        fail_msg("wanted %s, got\n%s", line, plan);
    free(plan);
}

static void datastores(void **state)
{
    (void)state;
    char *was = NULL, *is = NULL;
    const struct {
        const char *version, *more, *entity, *retention, *line;
    } cases[] = {
        {"1.1.0", "", "device", "30d", "0 to add"},
        {"1.1.0", ", w: {type: number}", "device", "30d", "~ datastore:d"},
        {"1.1.0", "", "time", "30d", "! datastore:d  the entity changes"},
        {"2.0.0", "", "time", "30d", "! datastore:d  the entity changes"},
        {"1.1.0", "", "device", "40d", "~ datastore:d"},
        {"1.1.0", "", "device", "20d",
         "~ datastore:d  older rows will be deleted: the retention gets shorter  (destructive)"},
    };
    text first = {0};
    text_printf(&first, STORE, "", "device", "30d");
    was = first.data;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        text next = {0};
        text_printf(&next, STORE, cases[i].more, cases[i].entity, cases[i].retention);
        is = next.data;
        gives(cases[i].version, was, is, cases[i].line);
        text_free(&next);
    }
    text_free(&first);
}

static void schemas(void **state)
{
    (void)state;
#define SCHEMA(properties)                                                                               \
    "inferencestores: {i: {key: [k], schema: {type: object, properties: {k: {type: string}, " properties \
    "}}}}\n"
    gives("1.1.0", SCHEMA("v: {type: integer}"), SCHEMA("v: {type: number}"), "~ inferencestore:i");
    gives("1.1.0", SCHEMA("v: {type: number}"), SCHEMA("v: {type: integer}"), "! inferencestore:i");
    gives("1.1.0", SCHEMA("v: {type: number, maximum: 4}"), SCHEMA("v: {type: number, maximum: 5}"),
          "~ inferencestore:i");
    gives("1.1.0", SCHEMA("v: {type: number, maximum: 4}"), SCHEMA("v: {type: number, maximum: 3}"),
          "! inferencestore:i");
    gives("1.1.0", SCHEMA("v: {type: string}, w: {type: string}"), SCHEMA("v: {type: string}"),
          "! inferencestore:i");
    gives("1.1.0", SCHEMA("v: {enum: [a]}"), SCHEMA("v: {enum: [a, b]}"), "~ inferencestore:i");
#undef SCHEMA
}

static void metrics(void **state)
{
    (void)state;
#define METRIC(params) "metrics: {m: {sql: s, params: {" params "}}}\n"
    gives("1.1.0", METRIC("a: {type: string, default: x}"), METRIC("a: {type: string, default: y}"),
          "~ metric:m");
    gives("1.1.0", METRIC("a: {type: string, default: x}"), METRIC("a: {type: string}"),
          "! metric:m  the parameter a has no");
    gives("1.1.0", METRIC("a: {type: string}"), METRIC("a: {type: integer}"),
          "! metric:m  the parameter a is gone");
    gives("1.1.0", METRIC(""), METRIC("a: {type: string}"), "! metric:m  the new parameter a");
    gives("1.1.0", METRIC(""), METRIC("a: {type: string, default: x}"), "~ metric:m");
    gives("2.0.0", METRIC("a: {type: string}"), METRIC("a: {type: integer}"),
          "~ metric:m  the parameter a is gone");
#undef METRIC
}

static void removals(void **state)
{
    (void)state;
    const char *metric = "metrics: {m: {sql: s}}\n",
               *alert = "alerts: {a: {metric: m, condition: {fire_at: '> 1'}}}\n";
    gives("1.1.0", metric, "", "! metric:m  it may not disappear");
    gives("2.0.0", metric, "", "- metric:m\n");
    gives("1.1.0", alert, "", "- alert:a\n");
    const char *store = "datastores: {d: {schema: {type: object}}}\n";
    gives("1.1.0", store, "", "! datastore:d  it may not disappear");
    gives("2.0.0", store, "", "- datastore:d  its rows are deleted  (destructive)\n");
    char *plan = plan_of(make("1.0.0", "", store), make("1.0.0", "", NULL));
    assert_string_equal(plan, "- datastore:d  its rows are deleted  (destructive)\n"
                              "0 to add, 0 to change, 1 to remove, 0 refused\n");
    free(plan);
}

static void a_new_workspace_is_all_additions(void **state)
{
    (void)state;
    const char *both = "metrics: {m: {sql: s}}\nnotifiers: {n: {plugin: a.b}}\n";
    char *plan = plan_of(NULL, make("1.0.0", both, NULL));
    assert_string_equal(plan, "+ metric:m\n+ notifier:n\n2 to add, 0 to change, 0 to remove, 0 refused\n");
    free(plan);
}

static void features(void **state)
{
    (void)state;
#define FEATURE(key, sql) "featurestores: {f: {from: [datastore:d], key: [" key "], sql: " sql "}}\n"
    gives("1.1.0", FEATURE("a", "s"), FEATURE("b", "s"), "! featurestore:f  the key changes");
    gives("1.1.0", FEATURE("a", "s"), FEATURE("a", "t"), "~ featurestore:f  its rows are computed again");
    status st;
    const definition *from = make("1.0.0", FEATURE("a", "s"), NULL),
                     *to = make("1.1.0", FEATURE("a", "t"), NULL), *was, *is;
    json_t *two = yaml("f: [{name: a, type: text}, {name: n, type: integer}]"),
           *one = yaml("f: [{name: a, type: text}]");
    assert_int_equal(definition_with_columns(from, two, &was, &st), STATUS_OK);
    assert_int_equal(definition_with_columns(to, one, &is, &st), STATUS_OK);
    char *plan = plan_of(was, is);
    assert_non_null(strstr(plan, "! featurestore:f  the column n is gone"));
    free(plan);
    json_decref(one);
    json_decref(two);
    definition_release(from);
    definition_release(to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(datastores), cmocka_unit_test(schemas),
        cmocka_unit_test(metrics),    cmocka_unit_test(removals),
        cmocka_unit_test(features),   cmocka_unit_test(a_new_workspace_is_all_additions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
