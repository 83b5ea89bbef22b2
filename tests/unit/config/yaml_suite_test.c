/* The YAML test suite and our own hostile files. Where we differ from the suite on purpose or because of
 * libyaml, the case stands in a list with the reason; a case that is missing in the list or no longer differs
 * fails the test. */
#include "support/check.h"

#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/disk.h"
#include "base/text.h"
#include "config/yaml_tree.h"

typedef struct difference {
    const char *id, *reason;
} difference;

#include "yaml_suite_differences.h"

static const difference *listed(const difference *list, size_t n, const char *id)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].id, id) == 0)
            return &list[i];
    return NULL;
}

static json_t *load(const char *path)
{
    const char *full = testdata(path);
    json_t *cases = full ? json_load_file(full, JSON_ALLOW_NUL, NULL) : NULL;
    if (!cases)
        skip();
    return cases;
}

static bool same(const json_t *a, const json_t *b)
{
    const char *key;
    json_t *value;
    if (json_is_number(a) && json_is_number(b))
        return fabs(json_number_value(a) - json_number_value(b)) < 1e-9;
    if (json_typeof(a) != json_typeof(b))
        return false;
    if (json_is_array(a)) {
        bool equal = json_array_size(a) == json_array_size(b);
        for (size_t i = 0; equal && i < json_array_size(a); i++)
            equal = same(json_array_get(a, i), json_array_get(b, i));
        return equal;
    }
    if (!json_is_object(a))
        return json_equal(a, b);
    bool equal = json_object_size(a) == json_object_size(b);
    json_object_foreach((json_t *)a, key, value) equal =
        equal && json_object_get(b, key) && same(value, json_object_get(b, key));
    return equal;
}

/* NULL if refused; the tree's text of the case. */
static yaml_tree *parse_case(const json_t *c, status *st)
{
    const char *b64 = json_string_value(json_object_get(c, "yaml_b64"));
    size_t len = 0, room = strlen(b64) + 1;
    unsigned char *yaml = malloc(room);
    assert_int_equal(
        sodium_base642bin(yaml, room, b64, room - 1, "\n", &len, NULL, sodium_base64_VARIANT_ORIGINAL), 0);
    yaml_tree *t = NULL;
    if (yaml_tree_parse("case", (const char *)yaml, len, &t, st) != STATUS_OK)
        t = NULL;
    free(yaml);
    return t;
}

static unsigned check_verdict(const char *id, bool differs, const char *what, const difference *list,
                              size_t n)
{
    const difference *known = listed(list, n, id);
    if (differs == (known != NULL))
        return 0;
    fprintf(stderr, "{\"%s\", \"%s\"}, %s\n", id, what,
            differs ? "differs and is not listed" : "does not differ any more");
    return 1;
}

static void valid_cases(void **state)
{
    (void)state;
    json_t *cases = load("hostile/yaml/suite/valid.json"), *c;
    size_t i;
    unsigned wrong = 0;
    json_array_foreach(cases, i, c)
    {
        status st = {0};
        yaml_tree *t = parse_case(c, &st);
        json_t *text_of = json_object_get(c, "json");
        json_t *expected =
            json_is_string(text_of)
                ? json_loads(json_string_value(text_of), JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK, NULL)
                : NULL;
        bool differs = !t || (expected && !same(yaml_tree_root(t), expected));
        wrong += check_verdict(json_string_value(json_object_get(c, "id")), differs, t ? "value" : st.text,
                               different_valid, sizeof different_valid / sizeof *different_valid);
        json_decref(expected);
        yaml_tree_free(t);
    }
    json_decref(cases);
    assert_int_equal(wrong, 0);
}

static void invalid_cases(void **state)
{
    (void)state;
    json_t *cases = load("hostile/yaml/suite/invalid.json"), *c;
    size_t i;
    unsigned wrong = 0;
    json_array_foreach(cases, i, c)
    {
        status st = {0};
        yaml_tree *t = parse_case(c, &st);
        wrong += check_verdict(json_string_value(json_object_get(c, "id")), t != NULL, "accepted",
                               different_invalid, sizeof different_invalid / sizeof *different_invalid);
        yaml_tree_free(t);
    }
    json_decref(cases);
    assert_int_equal(wrong, 0);
}

static void own_cases(void **state)
{
    (void)state;
    json_t *cases = load("hostile/yaml/own/index.json"), *c;
    size_t i;
    json_array_foreach(cases, i, c)
    {
        const char *file = json_string_value(json_object_get(c, "file"));
        const char *verdict = json_string_value(json_object_get(c, "verdict"));
        char path[256];
        status st = {0};
        yaml_tree *t = NULL;
        snprintf(path, sizeof path, "hostile/yaml/own/%s", file);
        bool accepted =
            yaml_tree_read(testdata(path), &t, &st) == STATUS_OK && json_is_object(yaml_tree_root(t));
        if ((strcmp(verdict, "accept") == 0 && !accepted) || (strcmp(verdict, "reject") == 0 && accepted))
            fail_msg("%s: %s expected; %s", file, verdict, st.text);
        yaml_tree_free(t);
    }
    json_decref(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_cases),
        cmocka_unit_test(invalid_cases),
        cmocka_unit_test(own_cases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
