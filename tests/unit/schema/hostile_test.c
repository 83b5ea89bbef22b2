/* Schemas and values made to hurt: each ends in time, in bounded memory, with a clear verdict. */
#include "support/check.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/text.h"
#include "schema/document.h"
#include "schema/validate.h"

#define SECONDS_MAX 1.0
#define GROWTH_KIB_MAX (64L << 10)

typedef enum verdict { REFUSED, VALID, INVALID, LIMITED, NOT_JSON } verdict;

static verdict judge(const char *name, status *st)
{
    text path = {0};
    verdict v = NOT_JSON;
    char *folder = strdup(testdata("hostile/json/schema"));
    text_printf(&path, "%s/%s.schema.json", folder, name);
    json_t *document = document_read(path.data, st);
    text_clear(&path);
    text_printf(&path, "%s/%s.instance.json", folder, name);
    status ignored;
    json_t *value = document_read(path.data, &ignored);
    if (document) {
        schema *s = schema_compile(document, NULL, st);
        v = REFUSED;
        if (s) {
            assert_non_null(value);
            status_class class = schema_validate(s, value, NULL, st);
            v = class == STATUS_OK ? VALID : class == STATUS_INVALID ? INVALID : LIMITED;
            schema_free(s);
        }
    }
    json_decref(document);
    json_decref(value);
    text_free(&path);
    free(folder);
    return v;
}

static long resident_kib(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

static void schemas_of_the_index(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        unsigned allowed; /* bits of verdicts */
    } cases[] = {
        {"allof-doubling", 1U << REFUSED | 1U << LIMITED},
        {"anyof-5000", 1U << VALID | 1U << INVALID},
        {"depth-5000", 1U << REFUSED | 1U << NOT_JSON},
        {"dynamicref-loop", 1U << REFUSED | 1U << INVALID},
        {"maxlength-huge", 1U << VALID},
        {"minitems-negative", 1U << REFUSED},
        {"multipleof-decimal", 1U << VALID},
        {"multipleof-tiny", 1U << VALID | 1U << INVALID},
        {"patternprops-5000", 1U << VALID | 1U << INVALID},
        {"ref-loop", 1U << REFUSED},
        {"regex-huge-repeat", 1U << VALID | 1U << REFUSED | 1U << LIMITED},
        {"regex-lookbehind", 1U << VALID | 1U << INVALID | 1U << REFUSED},
        {"regex-nesting", 1U << REFUSED},
        {"required-not-array", 1U << REFUSED},
        {"schema-is-array", 1U << REFUSED},
        {"type-unknown", 1U << REFUSED},
        {"uniqueitems-quadratic", 1U << VALID | 1U << INVALID},
    };
    if (!testdata("hostile/json/schema"))
        skip();
    long before = resident_kib();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        status st = {.text = ""};
        int64_t from = clock_monotonic_us();
        verdict v = judge(cases[i].name, &st);
        double seconds = (double)(clock_monotonic_us() - from) / 1e6;
        print_message("%-22s verdict %d in %.3f s: %s\n", cases[i].name, v, seconds, st.text);
        assert_true(cases[i].allowed & 1U << v);
        assert_true(seconds < SECONDS_MAX);
    }
#ifndef PENSTOCK_SANITIZED /* the sanitizer keeps freed memory */
    assert_true(resident_kib() - before < GROWTH_KIB_MAX);
#else
    assert_true(resident_kib() - before < 6 * GROWTH_KIB_MAX);
#endif
}

static json_t *nested(const char *keyword, unsigned depth)
{
    json_t *inner = json_object();
    while (--depth > 0) {
        json_t *outer = json_object();
        json_object_set_new(outer, keyword, inner);
        inner = outer;
    }
    return inner;
}

static void nesting_limit(void **state)
{
    (void)state;
    status st;
    for (unsigned depth = SCHEMA_NESTING_MAX - 1; depth <= SCHEMA_NESTING_MAX + 1; depth++) {
        json_t *document = nested("not", depth);
        schema *s = schema_compile(document, NULL, &st);
        assert_int_equal(s != NULL, depth <= SCHEMA_NESTING_MAX);
        if (!s)
            assert_int_equal(st.class, STATUS_LIMIT);
        schema_free(s);
        json_decref(document);
    }
}

static void node_limit(void **state)
{
    (void)state;
    status st;
    const schema_options options = {.limits = {.nodes = 10}};
    for (size_t n = 8; n <= 10; n++) {
        json_t *list = json_array(), *document = json_pack("{s:o}", "allOf", list);
        for (size_t i = 0; i < n; i++)
            json_array_append_new(list, json_object());
        schema *s = schema_compile(document, &options, &st);
        assert_int_equal(s != NULL, n + 1 <= 10);
        schema_free(s);
        json_decref(document);
    }
}

static void step_limit(void **state)
{
    (void)state;
    status st;
    json_t *document = json_pack("{s:{s:s}}", "items", "type", "integer"), *value = json_array();
    for (int i = 0; i < 100; i++)
        json_array_append_new(value, json_integer(i));
    const schema_options tight = {.limits = {.steps = 201}}, enough = {.limits = {.steps = 202}};
    schema *s = schema_compile(document, &tight, &st);
    assert_int_equal(schema_validate(s, value, NULL, &st), STATUS_LIMIT);
    schema_free(s);
    s = schema_compile(document, &enough, &st);
    assert_int_equal(schema_validate(s, value, NULL, &st), STATUS_OK);
    schema_free(s);
    json_decref(document);
    json_decref(value);
}

static void depth_limit(void **state)
{
    (void)state;
    status st;
    json_t *document = json_pack("{s:{s:s}}", "items", "$ref", "#");
    schema *s = schema_compile(document, NULL, &st);
    json_t *value = json_array();
    for (int i = 0; i < 400; i++)
        value = json_pack("[o]", value);
    assert_int_equal(schema_validate(s, value, NULL, &st), STATUS_OK);
    for (int i = 0; i < 400; i++)
        value = json_pack("[o]", value);
    assert_int_equal(schema_validate(s, value, NULL, &st), STATUS_LIMIT);
    schema_free(s);
    json_decref(document);
    json_decref(value);
}

static void catastrophic_patterns_end(void **state)
{
    (void)state;
    status st;
    json_t *document = json_pack("{s:s}", "pattern", "^(a+)+$");
    schema *s = schema_compile(document, NULL, &st);
    assert_non_null(s);
    char text_of_a[4097];
    memset(text_of_a, 'a', 4095);
    text_of_a[4095] = 'b';
    text_of_a[4096] = '\0';
    json_t *value = json_string(text_of_a);
    int64_t from = clock_monotonic_us();
    assert_int_equal(schema_validate(s, value, NULL, &st), STATUS_LIMIT);
    assert_true(clock_monotonic_us() - from < 1000000);
    json_decref(value);
    json_decref(document);
    schema_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schemas_of_the_index), cmocka_unit_test(nesting_limit),
        cmocka_unit_test(node_limit),           cmocka_unit_test(step_limit),
        cmocka_unit_test(depth_limit),          cmocka_unit_test(catastrophic_patterns_end),
    };
    return cmocka_run_group_tests_name("hostile schemas", tests, NULL, NULL);
}
