/* `penstock ingest --dry-run`: every case of the line protocol data, and what it prints of the other formats.
 */
#include "support/check.h"

#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "ingest_dry.h"

typedef struct shown {
    json_t *lines;
    dry_counts counts;
} shown;

static shown dry(const char *body, size_t len, decode_format format, line_precision precision)
{
    status st;
    shown s = {.lines = json_array()};
    FILE *in = tmpfile(), *out = tmpfile();
    char *line = NULL;
    size_t cap = 0;
    assert_int_equal(fwrite(body, 1, len, in), len);
    rewind(in);
    if (ingest_dry(in, format, precision, out, &s.counts, &st) != STATUS_OK)
        fail_msg("%s", st.text);
    rewind(out);
    while (getline(&line, &cap, out) > 0)
        json_array_append_new(s.lines, json_loads(line, JSON_ALLOW_NUL, NULL));
    free(line);
    fclose(in);
    fclose(out);
    return s;
}

static shown dry_text(const char *body, decode_format format)
{
    return dry(body, strlen(body), format, LINE_NS);
}

/* ---- the data ---- */

static bool line_as_expected(const json_t *got, const json_t *want)
{
    if (json_object_get(want, "point"))
        return json_equal((json_t *)got, (json_t *)want);
    return json_is_string(json_object_get(got, "error")) && json_is_integer(json_object_get(got, "line")) &&
           json_is_integer(json_object_get(got, "column")) && json_is_string(json_object_get(got, "detail"));
}

static bool case_passes(const json_t *c)
{
    const char *coded = json_string_value(json_object_get(c, "input_b64"));
    const json_t *want = json_object_get(c, "lines");
    size_t size = strlen(coded), len;
    unsigned char *body = malloc(size + 1);
    line_precision precision;
    assert_int_equal(
        sodium_base642bin(body, size + 1, coded, size, NULL, &len, NULL, sodium_base64_VARIANT_ORIGINAL), 0);
    assert_true(line_precision_parse(json_string_value(json_object_get(c, "precision")), &precision));
    shown s = dry((char *)body, len, DECODE_LINES, precision);
    bool passes = json_array_size(s.lines) == json_array_size(want);
    for (size_t i = 0; passes && i < json_array_size(want); i++)
        passes = line_as_expected(json_array_get(s.lines, i), json_array_get(want, i));
    json_decref(s.lines);
    free(body);
    return passes;
}

static void the_line_protocol_cases(void **state)
{
    (void)state;
    const char *path = testdata("lineprotocol/cases.json");
    if (!path)
        skip();
    json_t *cases = json_load_file(path, JSON_ALLOW_NUL, NULL);
    size_t i, passed = 0;
    json_t *c;
    assert_non_null(cases);
    json_array_foreach(cases, i, c)
    {
        bool passes = case_passes(c);
        passed += passes;
        if (!passes)
            print_message("%s: %s\n", json_string_value(json_object_get(c, "id")),
                          json_string_value(json_object_get(c, "name")));
    }
    print_message("line protocol cases: %zu/%zu\n", passed, json_array_size(cases));
    assert_int_equal(passed, json_array_size(cases));
    json_decref(cases);
}

/* ---- what is printed ---- */

static void expect_line(const shown *s, size_t i, const char *json)
{
    char text[512];
    snprintf(text, sizeof text, "%s", json);
    for (char *p = text; *p; p++)
        if (*p == '\'')
            *p = '"';
    json_t *want = json_loads(text, 0, NULL);
    assert_non_null(want);
    const json_t *got = json_array_get(s->lines, i), *v;
    const char *name;
    assert_non_null(got);
    json_object_foreach(want, name, v)
    {
        if (!json_equal(json_object_get(got, name), (json_t *)v))
            fail_msg("%s instead of %s", json_dumps(got, 0), text);
    }
    json_decref(want);
}

static void errors_have_their_place(void **state)
{
    (void)state;
    shown s = dry_text("a v=1 5\n\n# a comment\n  b x=\"two\nlines\",y=oops 1\nc,t=1,t=2 v=1\nd v=1,v=2\ne "
                       "v=\"open 1\nf v=2\n",
                       DECODE_LINES);
    assert_int_equal(s.counts.rows, 6);
    assert_int_equal(s.counts.rejected, 4);
    expect_line(&s, 0,
                "{'point':{'measurement':'a','tags':{},'fields':{'v':{'type':'float','value':1.0}},"
                "'time_ns':'5'}}");
    expect_line(&s, 1, "{'error':'bad_value','line':5,'column':10}");
    expect_line(&s, 2, "{'error':'duplicate_tag','line':6,'column':7}");
    expect_line(&s, 3, "{'error':'duplicate_field','line':7,'column':7}");
    expect_line(&s, 4, "{'error':'bad_value','line':8,'column':5}");
    expect_line(&s, 5,
                "{'point':{'measurement':'f','tags':{},'fields':{'v':{'type':'float','value':2.0}},"
                "'time_ns':null}}");
    json_decref(s.lines);
}

static void other_formats_in_their_order(void **state)
{
    (void)state;
    shown s = dry_text("{\"a\":1}\n{\"a\":}\n{}\n7\n{\"b\":{\"c\":[true]}}\n", DECODE_NDJSON);
    assert_int_equal(json_array_size(s.lines), 5);
    expect_line(&s, 0, "{'point':{'a':1}}");
    expect_line(&s, 1, "{'error':'json','line':2,'column':6}");
    expect_line(&s, 2, "{'point':{}}");
    expect_line(&s, 3, "{'error':'type','line':4}");
    expect_line(&s, 4, "{'point':{'b':{'c':[true]}}}");
    json_decref(s.lines);
    s = dry_text("[{\"a\":1},\n{\"a\" 1}]", DECODE_JSON);
    assert_int_equal(json_array_size(s.lines), 1);
    expect_line(&s, 0, "{'error':'json','line':2,'column':6}");
    json_decref(s.lines);
    s = dry_text("a,b\n1,x\n1\n2,\"y\n\"\n", DECODE_CSV);
    assert_int_equal(s.counts.rejected, 1);
    expect_line(&s, 0, "{'point':{'a':'1','b':'x'}}");
    expect_line(&s, 1, "{'error':'csv','line':3}");
    expect_line(&s, 2, "{'point':{'a':'2','b':'y\\n'}}");
    json_decref(s.lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_line_protocol_cases),
        cmocka_unit_test(errors_have_their_place),
        cmocka_unit_test(other_formats_in_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
