/* YAML trees: values, places, errors with file:line:column, limits, folders. */
#include "support/check.h"

#include <stdio.h>
#include <string.h>

#include "base/disk.h"
#include "base/text.h"
#include "config/yaml_tree.h"

static yaml_tree *parse(const char *yaml)
{
    status st;
    yaml_tree *t = NULL;
    if (yaml_tree_parse("t.yaml", yaml, strlen(yaml), &t, &st) != STATUS_OK)
        fail_msg("%s: %s", st.where, st.text);
    return t;
}

static void gives(const char *yaml, const char *json)
{
    yaml_tree *t = parse(yaml);
    json_t *expected = json_loads(json, JSON_DECODE_ANY, NULL);
    assert_non_null(expected);
    char *found = json_dumps(yaml_tree_root(t), JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);
    char *wanted = json_dumps(expected, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(found, wanted);
    free(found);
    free(wanted);
    json_decref(expected);
    yaml_tree_free(t);
}

static void refused(const char *yaml, const char *where, const char *cause)
{
    status st = {0};
    yaml_tree *t = NULL;
    if (yaml_tree_parse("t.yaml", yaml, strlen(yaml), &t, &st) == STATUS_OK)
        fail_msg("accepted: %s", yaml);
    assert_string_equal(st.where, where);
    if (!strstr(st.text, cause))
        fail_msg("\"%s\" does not say \"%s\"", st.text, cause);
}

static void resolves_scalars_by_the_core_schema(void **state)
{
    (void)state;
    gives("[on, off, yes, no, NO, y, 12:30, 12:30:45, 1_000, 2026-01-01, 1e, ., -, 0x, 0b1, 08]",
          "[\"on\",\"off\",\"yes\",\"no\",\"NO\",\"y\",\"12:30\",\"12:30:45\",\"1_000\",\"2026-01-01\","
          "\"1e\",\".\",\"-\",\"0x\","
          "\"0b1\",8]");
    gives("[true, True, FALSE, null, ~, Null, 'true', \"1\"]",
          "[true,true,false,null,null,null,\"true\",\"1\"]");
    gives("[1, +1, -7, 017, 0o17, 0x1F, 9223372036854775807]", "[1,1,-7,17,15,31,9223372036854775807]");
    gives("[1., .5, -1.5e3, 1E-2, 18446744073709551616]", "[1.0,0.5,-1500.0,0.01,18446744073709551616.0]");
    gives("[!!str 123, ! 1, !!int 5, !!null '', !!bool 'true']", "[\"123\",\"1\",5,null,true]");
    refused("a: .inf", "t.yaml:1:4", "infinite");
    refused("a: [1, 1e999]", "t.yaml:1:8", "too large");
}

static void keeps_places(void **state)
{
    (void)state;
    yaml_tree *t =
        parse("# first\ndatastores:\n  sensor:\n    unique: [a,\n      b]\n    title: é x\n  a/b~c: 1\n");
    char where[128];
    yaml_tree_where(t, "/datastores/sensor/unique/1", false, where, sizeof where);
    assert_string_equal(where, "t.yaml:5:7");
    yaml_tree_where(t, "/datastores/sensor/title", false, where, sizeof where);
    assert_string_equal(where, "t.yaml:6:12");
    yaml_tree_where(t, "/datastores/sensor/title", true, where, sizeof where);
    assert_string_equal(where, "t.yaml:6:5");
    yaml_tree_where(t, "/datastores/a~1b~0c", false, where, sizeof where);
    assert_string_equal(where, "t.yaml:7:10");
    yaml_tree_where(t, "/datastores/sensor/schema/type", true, where, sizeof where);
    assert_string_equal(where, "t.yaml:3:3");
    yaml_tree_free(t);
}

static void says_where_it_is_wrong(void **state)
{
    (void)state;
    refused("a: 1\nb: 2\na: 3\n", "t.yaml:3:1", "\"a\" stands twice, first in line 1");
    refused("a:\n\t- 1\n", "t.yaml:2:1", "cannot start any token");
    refused("a: b: c\n", "t.yaml:1:5", "mapping values are not allowed");
    refused("a: 'x\n", "t.yaml:2:1", "end of stream");
    refused("a: 1\n---\nb: 2\n", "t.yaml:2:1", "more than one document");
    refused("a: !env HOME\n", "t.yaml:1:4", "tags are not allowed");
    refused("? [1]\n: 2\n", "t.yaml:1:3", "a key must be text");
    refused("a: \"\\0\"\n", "t.yaml:1:4", "U+0000");
    refused("a: 1\nb: \xff\n", "t.yaml:2:4", "invalid");
    refused("a: *x\n", "t.yaml:1:4", "not defined before");
    refused("a: &x [*x]\n", "t.yaml:1:8", "inside the value it repeats");
    refused("&k a: 1\n", "t.yaml:1:1", "not before keys");
}

static void copies_aliases_and_counts_them(void **state)
{
    (void)state;
    gives("a: &x {p: [1, 2]}\nb: *x\n", "{\"a\":{\"p\":[1,2]},\"b\":{\"p\":[1,2]}}");
    yaml_tree *t = parse("a: &x {p: [1, 2]}\nb: *x\n");
    char where[128];
    yaml_tree_where(t, "/b/p/1", false, where, sizeof where);
    assert_string_equal(where, "t.yaml:1:15");
    yaml_tree_free(t);
    refused(
        "a: &a [1,2,3,4,5,6,7,8,9,0]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c "
        "[*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
        "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e]\n",
        "t.yaml:6:5", "more than 200000 values");
}

static status_class parse_repeated(const char *first, const char *more, size_t n, const char *last,
                                   status *st)
{
    text y = {0};
    text_add(&y, first);
    for (size_t i = 0; i < n; i++)
        text_add(&y, more);
    text_add(&y, last);
    yaml_tree *t = NULL;
    status_class class = yaml_tree_parse("t.yaml", y.data, y.len, &t, st);
    yaml_tree_free(t);
    text_free(&y);
    return class;
}

static void keeps_its_limits(void **state)
{
    (void)state;
    status st;
    assert_int_equal(parse_repeated("", "[", YAML_DEPTH_MAX - 1, "", &st), STATUS_INVALID);
    assert_int_equal(parse_repeated("a: ", "[", YAML_DEPTH_MAX, "", &st), STATUS_LIMIT);
    assert_int_equal(parse_repeated("", "- ", YAML_DEPTH_MAX - 1, "1", &st), STATUS_OK);
    assert_int_equal(parse_repeated("", "- ", YAML_DEPTH_MAX, "1", &st), STATUS_OK);
    assert_int_equal(parse_repeated("", "- ", YAML_DEPTH_MAX + 1, "1", &st), STATUS_LIMIT);
    /* the list itself is a value too */
    assert_int_equal(parse_repeated("[", "1,", YAML_NODES_MAX - 1, "]", &st), STATUS_OK);
    assert_int_equal(parse_repeated("[", "1,", YAML_NODES_MAX, "]", &st), STATUS_LIMIT);
    assert_int_equal(parse_repeated("", "k", 1000, ": 1", &st), STATUS_OK);
    assert_int_equal(parse_repeated("? ", "k", YAML_KEY_MAX, "\n: 1", &st), STATUS_OK);
    assert_int_equal(parse_repeated("? ", "k", YAML_KEY_MAX + 1, "\n: 1", &st), STATUS_LIMIT);
    assert_int_equal(parse_repeated("#", "k", YAML_BYTES_MAX - 1, "", &st), STATUS_OK);
    assert_int_equal(parse_repeated("#", "k", YAML_BYTES_MAX, "", &st), STATUS_LIMIT);
}

static void put(const char *folder, const char *name, const char *content)
{
    char path[512];
    status st;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(disk_write(path, content, strlen(content), 0600, &st), STATUS_OK);
}

static void merges_a_folder(void **state)
{
    (void)state;
    char *folder = test_folder(), where[512], wanted[512];
    put(folder, "10-stores.yaml", "kind: Template\ndatastores:\n  a: {x: 1}\n");
    put(folder, "20-more.yml", "datastores:\n  b: {x: 2}\nmetrics:\n  m: {sql: s}\n");
    put(folder, "30-empty.yaml", "# nothing\n");
    put(folder, "notes.txt", "not: [yaml");
    status st;
    yaml_tree *t = NULL;
    assert_int_equal(yaml_tree_read(folder, &t, &st), STATUS_OK);
    json_t *stores = json_object_get(yaml_tree_root(t), "datastores");
    assert_int_equal(json_object_size(stores), 2);
    yaml_tree_where(t, "/datastores/b/x", false, where, sizeof where);
    snprintf(wanted, sizeof wanted, "%s/20-more.yml:2:10", folder);
    assert_string_equal(where, wanted);
    yaml_tree_where(t, "/datastores/a/x", false, where, sizeof where);
    snprintf(wanted, sizeof wanted, "%s/10-stores.yaml:3:10", folder);
    assert_string_equal(where, wanted);
    yaml_tree_free(t);

    put(folder, "40-twice.yaml", "datastores:\n  a: {x: 3}\n");
    assert_int_equal(yaml_tree_read(folder, &t, &st), STATUS_INVALID);
    assert_non_null(strstr(st.where, "40-twice.yaml:2:3"));
    assert_non_null(strstr(st.text, "10-stores.yaml:3"));
    test_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resolves_scalars_by_the_core_schema),
        cmocka_unit_test(keeps_places),
        cmocka_unit_test(says_where_it_is_wrong),
        cmocka_unit_test(copies_aliases_and_counts_them),
        cmocka_unit_test(keeps_its_limits),
        cmocka_unit_test(merges_a_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
