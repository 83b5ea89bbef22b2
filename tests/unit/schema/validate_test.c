/* What errors say and where, references to the registry and metaschemas, threads. */
#include "support/check.h"

#include <pthread.h>
#include <string.h>

#include "schema/document.h"
#include "schema/validate.h"

static json_t *parse(const char *json)
{
    status st = {.text = ""};
    json_t *v = document_parse(json, strlen(json), &st);
    if (!v)
        fail_msg("%s: %s", json, st.text);
    return v;
}

static schema *compile(const char *json, status *st)
{
    json_t *document = parse(json);
    schema *s = schema_compile(document, NULL, st);
    json_decref(document);
    return s;
}

static void errors_have_places_and_sentences(void **state)
{
    (void)state;
    status st;
    arena *a = arena_create(0);
    schema *s =
        compile("{\"type\":\"object\",\"required\":[\"id\"],\"additionalProperties\":false,\"properties\":{"
                "\"id\":{},\"a/b\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/p\"}}},"
                "\"$defs\":{\"p\":{\"maximum\":400}}}",
                &st);
    json_t *value = parse("{\"a/b\":[1,500,600],\"c\":1}");
    schema_errors errors = {.arena = a, .max = 3};
    assert_int_equal(schema_validate(s, value, &errors, &st), STATUS_INVALID);
    assert_int_equal(errors.n, 3);
    assert_string_equal(errors.items[0].instance, "");
    assert_string_equal(errors.items[0].keyword, "required");
    assert_string_equal(errors.items[0].sentence, "property id is required");
    assert_string_equal(errors.items[1].instance, "/a~1b/1");
    assert_string_equal(errors.items[1].schema, "#/$defs/p/maximum");
    assert_string_equal(errors.items[1].sentence, "must be at most 400");
    assert_string_equal(errors.items[2].instance, "/a~1b/2");
    assert_string_equal(st.where, "");
    assert_string_equal(st.text, "property id is required");
    errors = (schema_errors){.arena = a, .max = 10};
    assert_int_equal(schema_validate(s, value, &errors, &st), STATUS_INVALID);
    assert_int_equal(errors.n, 4);
    assert_string_equal(errors.items[3].sentence, "property c is not allowed");
    json_decref(value);
    schema_free(s);
    arena_free(a);
}

static void bad_schemas_name_the_place(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *where;
    } cases[] = {
        {"{\"properties\":{\"a\":{\"type\":\"pump\"}}}", "/properties/a/type"},
        {"{\"allOf\":[true,{\"minimum\":\"x\"}]}", "/allOf/1/minimum"},
        {"{\"allOf\":[]}", "/allOf"},
        {"{\"items\":[1]}", "/items"},
        {"{\"properties\":{\"a\":5}}", "/properties/a"},
        {"{\"$ref\":\"#/$defs/none\"}", "/$ref"},
        {"{\"$ref\":\"http://example.com/none\"}", "/$ref"},
        {"{\"multipleOf\":0}", "/multipleOf"},
        {"{\"pattern\":\"(\"}", "/pattern"},
        {"{\"$schema\":\"http://example.com/x\"}", "/$schema"},
        {"{\"$id\":\"a#b\"}", "/$id"},
        {"{\"$anchor\":\"1\"}", "/$anchor"},
        {"{\"not\":{\"$ref\":\"#\"}}", "/not/$ref"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        status st = {.where = "?"};
        schema *s = compile(cases[i].schema, &st);
        assert_null(s);
        if (strcmp(st.where, cases[i].where) != 0)
            fail_msg("%s: \"%s\" instead of \"%s\" (%s)", cases[i].schema, st.where, cases[i].where, st.text);
    }
}

static void metaschemas_are_built_in(void **state)
{
    (void)state;
    static const char *const metas[] = {"{\"$ref\":\"https://json-schema.org/draft/2020-12/schema\"}",
                                        "{\"$ref\":\"http://json-schema.org/draft-07/schema#\"}"};
    status st;
    for (size_t i = 0; i < 2; i++) {
        schema *s = compile(metas[i], &st);
        assert_non_null(s);
        json_t *good = parse("{\"properties\":{\"a\":{\"type\":\"string\"}}}");
        json_t *bad = parse("{\"properties\":{\"a\":{\"type\":\"pump\"}}}");
        assert_int_equal(schema_validate(s, good, NULL, &st), STATUS_OK);
        assert_int_equal(schema_validate(s, schema_document(s), NULL, &st), STATUS_OK);
        assert_int_equal(schema_validate(s, bad, NULL, &st), STATUS_INVALID);
        assert_string_equal(st.where, "/properties/a/type");
        json_decref(good);
        json_decref(bad);
        schema_free(s);
    }
}

static void references_reach_the_registry(void **state)
{
    (void)state;
    status st;
    schema_registry *r = schema_registry_create();
    json_t *other = parse("{\"$defs\":{\"x\":{\"$anchor\":\"here\",\"type\":\"integer\"}}}");
    schema_registry_add(r, "urn:penstock:other", other);
    json_decref(other);
    json_t *document = parse("{\"$ref\":\"urn:penstock:other#here\"}"), *one = json_integer(1),
           *x = json_string("x");
    const schema_options options = {.registry = r};
    schema *s = schema_compile(document, &options, &st);
    assert_non_null(s);
    schema_registry_free(r); /* the compiled schema stands on its own */
    json_decref(document);
    assert_int_equal(schema_validate(s, one, NULL, &st), STATUS_OK);
    assert_int_equal(schema_validate(s, x, NULL, &st), STATUS_INVALID);
    json_decref(one);
    json_decref(x);
    schema_free(s);
}

static void formats_are_asserted_unless_told_otherwise(void **state)
{
    (void)state;
    status st;
    json_t *document = parse("{\"format\":\"ipv4\"}"), *x = json_string("x");
    const schema_options loose = {.format_annotation = true};
    schema *s = schema_compile(document, NULL, &st);
    assert_int_equal(schema_validate(s, x, NULL, &st), STATUS_INVALID);
    schema_free(s);
    s = schema_compile(document, &loose, &st);
    assert_int_equal(schema_validate(s, x, NULL, &st), STATUS_OK);
    schema_free(s);
    json_decref(document);
    json_decref(x);
}

static void documents_keep_large_integers(void **state)
{
    (void)state;
    status st;
    json_t *v =
        parse("[9223372036854775807, -9223372036854775807, 18446744073709551615, \"99999999999999999999\", "
              "1.12345678901234567890123, 12345678901234567890e2]");
    assert_int_equal(json_integer_value(json_array_get(v, 0)), INT64_MAX);
    assert_true(json_is_integer(json_array_get(v, 1)));
    assert_true(json_real_value(json_array_get(v, 2)) == 18446744073709551616.0);
    assert_int_equal(json_string_length(json_array_get(v, 3)), 20);
    assert_true(json_real_value(json_array_get(v, 5)) == 12345678901234567890e2);
    json_decref(v);
    assert_null(document_parse("{\"a\":1,\"a\":2}", 13, &st));
    assert_null(document_parse("{\"a\":\n1,}", 9, &st));
    assert_memory_equal(st.where, "2:", 2);
}

#define THREADS 4
static void *validate_often(void *object)
{
    const schema *s = object;
    json_t *good = json_string("pump-12"), *bad = json_string("valve");
    intptr_t wrong = 0;
    status st;
    for (int i = 0; i < 500; i++) {
        wrong += schema_validate(s, good, NULL, &st) != STATUS_OK;
        wrong += schema_validate(s, bad, NULL, &st) != STATUS_INVALID;
    }
    json_decref(good);
    json_decref(bad);
    return (void *)wrong;
}

static void threads_share_a_schema(void **state)
{
    (void)state;
    status st;
    pthread_t threads[THREADS];
    schema *s = compile("{\"anyOf\":[{\"pattern\":\"^pump-[0-9]+$\"},{\"enum\":[\"a\",\"b\"]}]}", &st);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, validate_often, s), 0);
    for (int i = 0; i < THREADS; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    schema_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_have_places_and_sentences),
        cmocka_unit_test(bad_schemas_name_the_place),
        cmocka_unit_test(metaschemas_are_built_in),
        cmocka_unit_test(references_reach_the_registry),
        cmocka_unit_test(formats_are_asserted_unless_told_otherwise),
        cmocka_unit_test(documents_keep_large_integers),
        cmocka_unit_test(threads_share_a_schema),
    };
    return cmocka_run_group_tests_name("validate", tests, NULL, NULL);
}
