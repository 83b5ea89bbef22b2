/* Which differences of two schemas a live store can take. */
#include "support/check.h"

#include <string.h>

#include "schema/additive.h"
#include "schema/document.h"

#define COLUMN(schema) "{\"properties\":{\"a\":" schema "}}"

static const struct change_case {
    const char *was, *is;
    schema_change_kind worst;
    uint32_t n;
    const char *where; /* of the first */
} cases[] = {
    {COLUMN("{\"type\":\"integer\"}"), COLUMN("{\"type\":\"integer\"}"), SCHEMA_ADDITIVE, 0, NULL},
    {"{\"additionalProperties\":false}",
     "{\"additionalProperties\":false,\"properties\":{\"b\":{\"type\":\"string\"}}}", SCHEMA_ADDITIVE, 1,
     "/properties/b"},
    {"{}", "{\"properties\":{\"b\":{}},\"required\":[\"b\"]}", SCHEMA_BREAKING, 1, "/properties/b"},
    {COLUMN("{}"), "{}", SCHEMA_BREAKING, 1, "/properties/a"},
    {COLUMN("{\"type\":\"integer\"}"), COLUMN("{\"type\":\"number\"}"), SCHEMA_REWRITE, 1,
     "/properties/a/type"},
    {COLUMN("{\"type\":\"number\"}"), COLUMN("{\"type\":\"integer\"}"), SCHEMA_BREAKING, 1,
     "/properties/a/type"},
    {COLUMN("{\"type\":\"string\"}"), COLUMN("{\"type\":[\"string\",\"null\"]}"), SCHEMA_ADDITIVE, 1,
     "/properties/a/type"},
    {COLUMN("{\"type\":\"string\"}"), COLUMN("{\"type\":[\"string\",\"integer\"]}"), SCHEMA_BREAKING, 1,
     "/properties/a/type"},
    {COLUMN("{\"type\":\"string\"}"), COLUMN("{\"type\":[\"string\"]}"), SCHEMA_ADDITIVE, 0, NULL},
    {COLUMN("{\"maxLength\":3}"), COLUMN("{\"maxLength\":4}"), SCHEMA_ADDITIVE, 1, "/properties/a/maxLength"},
    {COLUMN("{\"maxLength\":4}"), COLUMN("{\"maxLength\":3}"), SCHEMA_BREAKING, 1, "/properties/a/maxLength"},
    {COLUMN("{\"maximum\":4}"), COLUMN("{}"), SCHEMA_ADDITIVE, 1, "/properties/a/maximum"},
    {COLUMN("{}"), COLUMN("{\"maximum\":4}"), SCHEMA_BREAKING, 1, "/properties/a/maximum"},
    {COLUMN("{\"minimum\":0}"), COLUMN("{\"minimum\":-1.5}"), SCHEMA_ADDITIVE, 1, "/properties/a/minimum"},
    {COLUMN("{\"minimum\":0}"), COLUMN("{\"minimum\":0.0}"), SCHEMA_ADDITIVE, 0, NULL},
    {COLUMN("{\"enum\":[\"x\"]}"), COLUMN("{\"enum\":[\"y\",\"x\"]}"), SCHEMA_ADDITIVE, 1,
     "/properties/a/enum"},
    {COLUMN("{\"enum\":[\"x\",\"y\"]}"), COLUMN("{\"enum\":[\"x\"]}"), SCHEMA_BREAKING, 1,
     "/properties/a/enum"},
    {COLUMN("{\"type\":\"string\"}"), COLUMN("{\"type\":\"string\",\"enum\":[\"x\"]}"), SCHEMA_BREAKING, 1,
     "/properties/a/enum"},
    {COLUMN("{\"type\":\"string\"}"), COLUMN("{\"type\":\"string\",\"format\":\"date-time\"}"),
     SCHEMA_BREAKING, 1, "/properties/a/format"},
    {COLUMN("{\"type\":\"string\",\"format\":\"date-time\"}"), COLUMN("{\"type\":\"string\"}"),
     SCHEMA_BREAKING, 1, "/properties/a/format"},
    {COLUMN("{\"type\":\"string\",\"format\":\"email\"}"), COLUMN("{\"type\":\"string\"}"), SCHEMA_ADDITIVE,
     1, "/properties/a/format"},
    {COLUMN("{\"multipleOf\":0.1}"), COLUMN("{\"multipleOf\":0.05}"), SCHEMA_ADDITIVE, 1,
     "/properties/a/multipleOf"},
    {COLUMN("{\"multipleOf\":0.1}"), COLUMN("{\"multipleOf\":0.2}"), SCHEMA_BREAKING, 1,
     "/properties/a/multipleOf"},
    {COLUMN("{\"default\":1}"), COLUMN("{\"default\":2,\"title\":\"A\"}"), SCHEMA_ADDITIVE, 2,
     "/properties/a/default"},
    {COLUMN("{}"), COLUMN("{\"not\":{}}"), SCHEMA_BREAKING, 1, "/properties/a/not"},
    {"{\"properties\":{\"a\":{}},\"required\":[\"a\"]}", COLUMN("{}"), SCHEMA_ADDITIVE, 1, "/required"},
    {COLUMN("{}"), "{\"properties\":{\"a\":{}},\"required\":[\"a\"]}", SCHEMA_BREAKING, 1, "/required"},
    {"{}", "{\"additionalProperties\":false}", SCHEMA_BREAKING, 1, "/additionalProperties"},
    {"{\"additionalProperties\":false}", "{}", SCHEMA_ADDITIVE, 1, "/additionalProperties"},
    {"{}", "{\"anyOf\":[{}]}", SCHEMA_BREAKING, 1, "/anyOf"},
};

static void each_difference(void **state)
{
    (void)state;
    status st;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        arena *a = arena_create(0);
        json_t *was = document_parse(cases[i].was, strlen(cases[i].was), &st);
        json_t *is = document_parse(cases[i].is, strlen(cases[i].is), &st);
        schema_changes changes = schema_compare(was, is, a);
        if (changes.worst != cases[i].worst || changes.n != cases[i].n)
            fail_msg("%s -> %s: kind %d, %u changes, first: %s", cases[i].was, cases[i].is, changes.worst,
                     changes.n, changes.n ? changes.items[0].sentence : "");
        if (cases[i].where)
            assert_string_equal(changes.items[0].where, cases[i].where);
        json_decref(was);
        json_decref(is);
        arena_free(a);
    }
}

static void sentences_name_the_column(void **state)
{
    (void)state;
    status st;
    arena *a = arena_create(0);
    const char *was = "{\"properties\":{\"pressure\":{\"maximum\":400}}}",
               *is = "{\"properties\":{\"pressure\":{\"maximum\":600}}}";
    json_t *old = document_parse(was, strlen(was), &st), *new = document_parse(is, strlen(is), &st);
    schema_changes changes = schema_compare(old, new, a);
    assert_string_equal(changes.items[0].sentence, "column pressure: maximum goes from 400 to 600");
    json_decref(old);
    json_decref(new);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_difference),
                                       cmocka_unit_test(sentences_name_the_column)};
    return cmocka_run_group_tests_name("additive", tests, NULL, NULL);
}
