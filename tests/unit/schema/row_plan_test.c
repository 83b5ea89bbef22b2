/* The contract with the row decoder: columns, their checks, and when a schema is not flat. */
#include "support/check.h"

#include <math.h>
#include <string.h>

#include "schema/document.h"
#include "schema/row_plan.h"

static row_plan *plan_of(const char *json, status *st)
{
    json_t *document = document_parse(json, strlen(json), st);
    assert_non_null(document);
    schema *s = schema_compile(document, NULL, st);
    json_decref(document);
    return s ? row_plan_make(s, st) : NULL;
}

static row_plan *plan_must(const char *json)
{
    status st = {.text = ""};
    row_plan *p = plan_of(json, &st);
    if (!p)
        print_message("%s: %s\n", st.where, st.text);
    assert_non_null(p);
    return p;
}

static const plan_column *column_of(const row_plan *p, const char *name)
{
    uint32_t hint = 0;
    int32_t at = row_plan_find(p, name, strlen(name), &hint);
    assert_true(at >= 0);
    return &p->columns[at];
}

static void types_follow_the_table(void **state)
{
    (void)state;
    row_plan *p = plan_must(
        "{\"type\":\"object\",\"required\":[\"time\",\"id\"],\"additionalProperties\":false,"
        "\"properties\":{\"time\":{\"type\":\"string\",\"format\":\"date-time\"},"
        "\"id\":{\"type\":\"string\"},\"day\":{\"type\":\"string\",\"format\":\"date\"},"
        "\"u\":{\"type\":\"string\",\"format\":\"uuid\"},\"n\":{\"type\":\"integer\"},"
        "\"x\":{\"type\":[\"number\",\"null\"],\"unit\":\"bar\"},\"b\":{\"type\":\"boolean\"},"
        "\"o\":{\"type\":\"object\"},\"any\":true,\"e\":{\"enum\":[\"a\",null]},"
        "\"r\":{\"$ref\":\"#/$defs/small\"}},\"$defs\":{\"small\":{\"type\":\"integer\",\"maximum\":9}}}");
    static const struct {
        const char *name;
        column_type type;
        bool nullable, required, deep;
    } wanted[] = {
        {"time", COLUMN_TIMESTAMP, false, true, false}, {"id", COLUMN_TEXT, false, true, false},
        {"day", COLUMN_DATE, false, false, false},      {"u", COLUMN_UUID, false, false, false},
        {"n", COLUMN_INTEGER, false, false, false},     {"x", COLUMN_NUMBER, true, false, false},
        {"b", COLUMN_BOOLEAN, false, false, false},     {"o", COLUMN_JSON, false, false, false},
        {"any", COLUMN_JSON, true, false, false},       {"e", COLUMN_TEXT, true, false, false},
        {"r", COLUMN_INTEGER, false, false, false},
    };
    assert_int_equal(p->n_columns, sizeof wanted / sizeof *wanted);
    assert_int_equal(p->n_required, 2);
    assert_true(p->flat);
    assert_int_equal(p->additional, ROW_PLAN_REFUSE);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        assert_string_equal(p->columns[i].name, wanted[i].name);
        assert_int_equal(p->columns[i].type, wanted[i].type);
        assert_int_equal(p->columns[i].nullable, wanted[i].nullable);
        assert_int_equal(p->columns[i].required, wanted[i].required);
        assert_int_equal(p->columns[i].deep, wanted[i].deep);
    }
    assert_string_equal(column_of(p, "x")->unit, "bar");
    assert_int_equal(column_of(p, "o")->json_types, JSON_TYPE_OBJECT);
    assert_int_equal(column_of(p, "n")->storable, STORABLE_INT64);
    assert_int_equal(row_plan_check_integer(column_of(p, "r"), 10), ROW_MAXIMUM);
    row_plan_free(p);
}

static void look_up_by_name_with_a_hint(void **state)
{
    (void)state;
    row_plan *p = plan_must("{\"properties\":{\"a\":{},\"b\":{},\"c\":{}}}");
    uint32_t hint = 0;
    assert_int_equal(row_plan_find(p, "a", 1, &hint), 0);
    assert_int_equal(hint, 1);
    assert_int_equal(row_plan_find(p, "c", 1, &hint), 2);
    assert_int_equal(hint, 3);
    assert_int_equal(row_plan_find(p, "b", 1, &hint), 1);
    assert_int_equal(row_plan_find(p, "d", 1, &hint), -1);
    assert_int_equal(row_plan_find(p, "", 0, &hint), -1);
    row_plan_free(p);
    p = plan_must("{}");
    hint = 0;
    assert_int_equal(row_plan_find(p, "a", 1, &hint), -1);
    assert_int_equal(p->additional, ROW_PLAN_KEEP);
    assert_true(p->flat);
    row_plan_free(p);
}

static void text_checks(void **state)
{
    (void)state;
    row_plan *p = plan_must("{\"properties\":{\"s\":{\"type\":\"string\",\"minLength\":2,\"maxLength\":3},"
                            "\"e\":{\"type\":\"string\",\"enum\":[\"ok\",\"warn\"]},"
                            "\"p\":{\"type\":\"string\",\"pattern\":\"^p-[0-9]+$\"},"
                            "\"m\":{\"type\":\"string\",\"format\":\"email\"},\"k\":{\"const\":\"x\"}}}");
    const plan_column *s = column_of(p, "s");
    assert_int_equal(row_plan_check_text(s, "a", 1), ROW_MIN_LENGTH);
    assert_int_equal(row_plan_check_text(s, "ab", 2), ROW_OK);
    assert_int_equal(row_plan_check_text(s, "abc", 3), ROW_OK);
    assert_int_equal(row_plan_check_text(s, "abcd", 4), ROW_MAX_LENGTH);
    /* three code points of four bytes, and one of them */
    assert_int_equal(row_plan_check_text(s, "\xF0\x9F\x90\xB2\xF0\x9F\x90\xB2\xF0\x9F\x90\xB2", 12), ROW_OK);
    assert_int_equal(row_plan_check_text(s, "\xF0\x9F\x90\xB2", 4), ROW_MIN_LENGTH);
    assert_int_equal(row_plan_check_text(s, "\xC3\xA9", 2), ROW_MIN_LENGTH);
    assert_int_equal(row_plan_check_text(s, "\xC3\xA9\xC3\xA9\xC3\xA9", 6), ROW_OK);
    assert_int_equal(row_plan_check_text(s, "\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9", 8), ROW_MAX_LENGTH);
    assert_int_equal(row_plan_check_text(column_of(p, "e"), "warn", 4), ROW_OK);
    assert_int_equal(row_plan_check_text(column_of(p, "e"), "fault", 5), ROW_ENUM);
    assert_int_equal(row_plan_check_text(column_of(p, "p"), "p-12", 4), ROW_OK);
    assert_int_equal(row_plan_check_text(column_of(p, "p"), "p-12\n", 5), ROW_PATTERN);
    assert_int_equal(row_plan_check_text(column_of(p, "m"), "a@b.c", 5), ROW_OK);
    assert_int_equal(row_plan_check_text(column_of(p, "m"), "a b", 3), ROW_FORMAT);
    assert_int_equal(row_plan_check_text(column_of(p, "k"), "y", 1), ROW_ENUM);
    row_plan_free(p);
}

static void integer_bounds(void **state)
{
    (void)state;
    row_plan *p = plan_must(
        "{\"properties\":{\"a\":{\"type\":\"integer\",\"minimum\":0.5,\"exclusiveMaximum\":10},"
        "\"never\":{\"type\":\"integer\",\"minimum\":1e300},"
        "\"all\":{\"type\":\"integer\",\"minimum\":-1e300,\"maximum\":1e300},"
        "\"e\":{\"type\":\"integer\",\"enum\":[3,1.0]},\"m\":{\"type\":\"integer\",\"multipleOf\":5},"
        "\"edge\":{\"type\":\"integer\",\"exclusiveMinimum\":9223372036854775807}}}");
    const plan_column *a = column_of(p, "a");
    assert_int_equal(row_plan_check_integer(a, 0), ROW_MINIMUM);
    assert_int_equal(row_plan_check_integer(a, 1), ROW_OK);
    assert_int_equal(row_plan_check_integer(a, 9), ROW_OK);
    assert_int_equal(row_plan_check_integer(a, 10), ROW_MAXIMUM);
    static const int64_t some[] = {INT64_MIN, -1, 0, 1, INT64_MAX};
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
        assert_int_not_equal(row_plan_check_integer(column_of(p, "never"), some[i]), ROW_OK);
        assert_int_not_equal(row_plan_check_integer(column_of(p, "edge"), some[i]), ROW_OK);
        assert_int_equal(row_plan_check_integer(column_of(p, "all"), some[i]), ROW_OK);
    }
    assert_int_equal(row_plan_check_integer(column_of(p, "e"), 1), ROW_OK);
    assert_int_equal(row_plan_check_integer(column_of(p, "e"), 2), ROW_ENUM);
    assert_int_equal(row_plan_check_integer(column_of(p, "m"), -15), ROW_OK);
    assert_int_equal(row_plan_check_integer(column_of(p, "m"), 12), ROW_MULTIPLE_OF);
    row_plan_free(p);
}

static void number_bounds(void **state)
{
    (void)state;
    row_plan *p = plan_must(
        "{\"properties\":{\"p\":{\"type\":\"number\",\"minimum\":0,\"maximum\":400},"
        "\"x\":{\"type\":\"number\",\"exclusiveMinimum\":0,\"exclusiveMaximum\":1},"
        "\"m\":{\"type\":\"number\",\"multipleOf\":0.01},\"e\":{\"type\":\"number\",\"enum\":[1,2.5]}}}");
    const plan_column *x = column_of(p, "x");
    assert_int_equal(row_plan_check_number(column_of(p, "p"), -0.0), ROW_OK);
    assert_int_equal(row_plan_check_number(column_of(p, "p"), 400.0), ROW_OK);
    assert_int_equal(row_plan_check_number(column_of(p, "p"), 400.1), ROW_MAXIMUM);
    assert_int_equal(row_plan_check_number(column_of(p, "p"), -0.1), ROW_MINIMUM);
    assert_int_equal(row_plan_check_number(column_of(p, "p"), NAN), ROW_OK);
    assert_int_equal(row_plan_check_number(column_of(p, "p"), INFINITY), ROW_MAXIMUM);
    assert_int_equal(row_plan_check_number(x, 0), ROW_MINIMUM);
    assert_int_equal(row_plan_check_number(x, 1), ROW_MAXIMUM);
    assert_int_equal(row_plan_check_number(x, 0.5), ROW_OK);
    assert_int_equal(row_plan_check_number(column_of(p, "m"), 19.99), ROW_OK);
    assert_int_equal(row_plan_check_number(column_of(p, "m"), 19.995), ROW_MULTIPLE_OF);
    assert_int_equal(row_plan_check_number(column_of(p, "e"), 2.5), ROW_OK);
    assert_int_equal(row_plan_check_number(column_of(p, "e"), NAN), ROW_ENUM);
    row_plan_free(p);
}

static void deep_columns_ask_the_schema(void **state)
{
    (void)state;
    status st;
    row_plan *p = plan_must("{\"properties\":{\"o\":{\"type\":\"object\",\"required\":[\"a\"]},"
                            "\"s\":{\"type\":\"string\",\"not\":{\"const\":\"x\"}}}}");
    json_t *good = json_pack("{s:i}", "a", 1), *bad = json_object(), *x = json_string("x");
    assert_true(p->flat);
    assert_true(column_of(p, "o")->deep);
    assert_int_equal(row_plan_check_json(column_of(p, "o"), good, &st), ROW_OK);
    assert_int_equal(row_plan_check_json(column_of(p, "o"), bad, &st), ROW_SCHEMA);
    assert_string_equal(st.where, "/o");
    assert_int_equal(column_of(p, "s")->type, COLUMN_TEXT);
    assert_true(column_of(p, "s")->deep);
    assert_int_equal(row_plan_check_json(column_of(p, "s"), x, &st), ROW_SCHEMA);
    json_decref(good);
    json_decref(bad);
    json_decref(x);
    row_plan_free(p);
}

static void schemas_that_are_not_flat(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *where;
    } cases[] = {
        {"{\"properties\":{\"a\":{}},\"anyOf\":[{}]}", "/anyOf"},
        {"{\"properties\":{\"a\":{}},\"required\":[\"b\"]}", "/required"},
        {"{\"properties\":{\"a\":{}},\"additionalProperties\":{\"type\":\"string\"}}",
         "/additionalProperties"},
        {"{\"properties\":{\"a\":{}},\"dependentRequired\":{\"a\":[\"b\"]}}", "/dependentRequired"},
        {"{\"properties\":{\"a\":{}},\"minProperties\":1}", "/minProperties"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        row_plan *p = plan_must(cases[i].schema);
        assert_false(p->flat);
        assert_string_equal(p->flat_where, cases[i].where);
        assert_non_null(p->flat_reason);
        assert_int_equal(p->n_columns, 1);
        row_plan_free(p);
    }
}

static void rows_of_schemas_that_are_not_flat(void **state)
{
    (void)state;
    status st;
    row_plan *p = plan_must("{\"properties\":{\"a\":{}},\"minProperties\":1}");
    json_t *empty = json_object();
    assert_int_equal(row_plan_check_row(p, empty, NULL, &st), ROW_SCHEMA);
    json_object_set_new(empty, "a", json_null());
    assert_int_equal(row_plan_check_row(p, empty, NULL, &st), ROW_OK);
    json_decref(empty);
    row_plan_free(p);
}

static row_plan *plan_of_columns(size_t n, status *st)
{
    json_t *properties = json_object(), *document = json_pack("{s:o}", "properties", properties);
    for (size_t i = 0; i < n; i++) {
        char name[16];
        snprintf(name, sizeof name, "c%zu", i);
        json_object_set_new(properties, name, json_true());
    }
    schema *s = schema_compile(document, NULL, st);
    json_decref(document);
    assert_non_null(s);
    return row_plan_make(s, st);
}

static void limits(void **state)
{
    (void)state;
    status st;
    for (size_t n = ROW_PLAN_COLUMNS_MAX - 1; n <= ROW_PLAN_COLUMNS_MAX + 1; n++) {
        row_plan *p = plan_of_columns(n, &st);
        assert_int_equal(p != NULL, n <= ROW_PLAN_COLUMNS_MAX);
        if (!p)
            assert_int_equal(st.class, STATUS_LIMIT);
        row_plan_free(p);
    }
}

static void names_that_cannot_be_columns(void **state)
{
    (void)state;
    status st;
    char json[160];
    static const char *const bad[] = {"_seq", "", "xmin", "a\\u0001b"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(json, sizeof json, "{\"properties\":{\"%s\":{}}}", bad[i]);
        assert_null(plan_of(json, &st));
        assert_int_equal(st.class, STATUS_INVALID);
    }
    for (int n = 62; n <= 64; n++) {
        snprintf(json, sizeof json, "{\"properties\":{\"%0*d\":{}}}", n, 0);
        row_plan *p = plan_of(json, &st);
        assert_int_equal(p != NULL, n <= 63);
        row_plan_free(p);
    }
    assert_null(plan_of("{\"type\":\"array\"}", &st));
    assert_null(plan_of("false", &st));
}

static void reasons_are_stable_words(void **state)
{
    (void)state;
    char sentence[80];
    static const char *const names[] = {"ok",         "type",        "required",     "minimum", "maximum",
                                        "min_length", "max_length",  "enum",         "pattern", "format",
                                        "additional", "multiple_of", "not_storable", "schema"};
    for (int i = 0; i < ROW_REASON_COUNT; i++)
        assert_string_equal(row_reason_name((row_reason)i), names[i]);
    row_plan *p = plan_must("{\"properties\":{\"p\":{\"type\":\"number\",\"maximum\":400}}}");
    row_reason_sentence(ROW_MAXIMUM, column_of(p, "p"), sentence, sizeof sentence);
    assert_string_equal(sentence, "must be at most 400");
    row_plan_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_follow_the_table),
        cmocka_unit_test(look_up_by_name_with_a_hint),
        cmocka_unit_test(text_checks),
        cmocka_unit_test(integer_bounds),
        cmocka_unit_test(number_bounds),
        cmocka_unit_test(deep_columns_ask_the_schema),
        cmocka_unit_test(schemas_that_are_not_flat),
        cmocka_unit_test(rows_of_schemas_that_are_not_flat),
        cmocka_unit_test(limits),
        cmocka_unit_test(names_that_cannot_be_columns),
        cmocka_unit_test(reasons_are_stable_words),
    };
    return cmocka_run_group_tests_name("row plan", tests, NULL, NULL);
}
