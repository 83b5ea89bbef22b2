/* Line protocol to rows: what goes into which column, whose fault costs what, limits, and no way to smuggle a
 * line in through a string. */
#include "decode_kit.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/utc.h"

static const char pump[] =
    "{'type':'object','required':['time','device_id'],'additionalProperties':false,'properties':{"
    "'time':{'type':'string','format':'date-time'},'device_id':{'type':'string','maxLength':8},"
    "'pressure':{'type':'number','minimum':0,'maximum':400},'count':{'type':'integer'},"
    "'on':{'type':'boolean'},'tags':{'type':'object'},'any':{}}}";
enum { TIME, DEVICE, PRESSURE, COUNT, ON, TAGS, ANY };
static const char sink[] = "{'type':'object','properties':{'ts':{'type':'string','format':'date-time'}}}";
static const char strict[] = "{'type':'object','properties':{'a':{'type':'integer'}},"
                             "'additionalProperties':false}";
static const char not_flat[] =
    "{'type':'object','properties':{'a':{'type':'integer'},'b':{'type':'integer'}},"
    "'anyOf':[{'required':['a']},{'required':['b']}]}";
static const char deep[] = "{'type':'object','properties':{'n':{'type':'integer','not':{'const':13}},"
                           "'list':{'type':'array','items':{'type':'string'}}}}";

/* ---- columns ---- */

static void tags_and_fields_are_columns(void **state)
{
    (void)state;
    kit k = lines_open(pump, "time", (decode_limits){0});
    run(&k, "pump,device_id=p\\ 1 pressure=2.5,count=3i,on=t,tags=\"{\\\"a\\\": 1}\",any=\"x\" "
            "1774720799000001999\r\n"
            "pump,device_id=p2 pressure=7i,count=4 1774720799000000000\n"
            "pump,device_id=p3,count=12,pressure=0.5,on=false any=5u -1\n"
            "pump device_id=\"p4\",time=\"2026-01-01T00:00:00Z\"\n"
            "pump,device_id=p5 any=true");
    expect(&k, 5, 0);
    expect_text(&k, DEVICE, 0, "p 1");
    assert_int_equal(int_at(&k, TIME, 0), NOW + 1); /* cut, not rounded */
    assert_true(number_at(&k, PRESSURE, 0) == 2.5 && int_at(&k, COUNT, 0) == 3);
    expect_text(&k, TAGS, 0, "{\"a\":1}");
    expect_text(&k, ANY, 0, "\"x\"");
    assert_true(number_at(&k, PRESSURE, 1) == 7 && int_at(&k, COUNT, 1) == 4);
    assert_int_equal(int_at(&k, TIME, 2), -1); /* before 1970 it is cut downwards, too */
    assert_int_equal(int_at(&k, COUNT, 2), 12);
    expect_text(&k, ANY, 2, "5");
    assert_int_equal(int_at(&k, TIME, 3), 1767225600000000);
    assert_int_equal(int_at(&k, TIME, 4), NOW); /* the moment of receipt */
    kit_close(&k);
}

static void what_does_not_fit_is_refused_with_its_place(void **state)
{
    (void)state;
    kit k = lines_open(pump, "time", (decode_limits){0});
    run(&k, "pump,device_id=p1 pressure=401\n"   /* 1: a bound */
            "pump,device_id=p1 pressure=\"4\"\n" /* 2: a string is no number */
            "pump,device_id=p1 count=1.5\n"      /* 3 */
            "pump,device_id=p1 count=18446744073709551615u\n"
            "pump,device_id=p1 flow=1\n"           /* 5: no such column */
            "pump pressure=1\n"                    /* 6: a required one is missing */
            "pump,device_id=p1 device_id=\"p1\"\n" /* 7: a tag and a field of one name */
            "pump,device_id=p1 time=\"2026-01-01T00:00:00Z\" 5\n"
            "pump,device_id=p1,count=x on=true\n" /* 9 */
            "pump,device_id=p1 tags=\"[1]\"\n"    /* 10: an array is no object */
            "pump,device_id=p1 on=true 9223372036854775807\n"
            "pump,device_id=p1 pressure=1\n");
    expect(&k, 1, 11);
    expect_reject(&k, 0, "maximum", "/pressure", 1, 28);
    expect_reject(&k, 1, "type", "/pressure", 2, 28);
    expect_reject(&k, 2, "type", "/count", 3, 25);
    expect_reject(&k, 3, "not_storable", "/count", 4, 25);
    expect_reject(&k, 4, "additional", "/flow", 5, 19);
    expect_reject(&k, 5, "required", "/device_id", 6, 1);
    expect_reject(&k, 6, "duplicate_key", "/device_id", 7, 19);
    expect_reject(&k, 7, "duplicate_key", "/time", 8, 47);
    expect_reject(&k, 8, "type", "/count", 9, 19);
    expect_reject(&k, 9, "type", "/tags", 10, 24);
    expect_reject(&k, 10, "timestamp_out_of_range", "", 11, 27);
    kit_close(&k);
}

static void unknown_members_are_kept_where_the_store_keeps_them(void **state)
{
    (void)state;
    kit k = lines_open(sink, "ts", (decode_limits){0});
    run(&k,
        "cpu,host=a\\=b usage=1.50,n=3i,u=4u,ok=F,s=\"x\\\"y\",big=1e300,small=1e-400 1774720799000000000\n"
        "cpu,host=a host=\"b\" 1\n");
    expect(&k, 1, 1);
    assert_int_equal(int_at(&k, 0, 0), NOW);
    expect_text(
        &k, 1, 0,
        "{\"host\":\"a=b\",\"usage\":1.50,\"n\":3,\"u\":4,\"ok\":false,\"s\":\"x\\\"y\",\"big\":1e+300,"
        "\"small\":0}");
    expect_reject(&k, 0, "duplicate_key", "/host", 2, 12);
    kit_close(&k);
    k = lines_open("{'type':'object'}", NULL,
                   (decode_limits){0}); /* no event time: a member like any other */
    run(&k, "cpu v=1 1774720799000000000\ncpu v=1\n");
    expect(&k, 2, 0);
    expect_text(&k, 0, 0, "{\"v\":1,\"time\":\"2026-03-28T17:59:59Z\"}");
    expect_text(&k, 0, 1, "{\"v\":1}");
    kit_close(&k);
    k = lines_open(strict, NULL, (decode_limits){0});
    run(&k, "cpu a=1 5\ncpu a=1\n");
    expect(&k, 1, 1);
    expect_reject(&k, 0, "additional", "/time", 1, 9);
    kit_close(&k);
}

static void rules_that_see_the_whole_row(void **state)
{
    (void)state;
    kit k = lines_open(not_flat, NULL, (decode_limits){0});
    run(&k, "m a=1i\nm c=1i\nm b=2i,c=\"x\"\n");
    expect(&k, 2, 1);
    expect_reject(&k, 0, "schema", "", 2, 1);
    run(&k, "m,b=1 c=1\nm,b=1 c=1\nm c=1\n"); /* a tag that is taken over is seen by them, too */
    expect(&k, 2, 1);
    kit_close(&k);
    k = lines_open(deep, NULL, (decode_limits){0});
    run(&k, "m n=12i\nm n=13i\nm list=\"[\\\"a\\\"]\"\nm list=\"[1]\"\n");
    expect(&k, 2, 2);
    expect_reject(&k, 0, "schema", "/n", 2, 5);
    expect_reject(&k, 1, "schema", "/list", 4, 8);
    kit_close(&k);
}

static void precision_and_measurement_come_from_the_request(void **state)
{
    static const struct {
        line_precision precision;
        const char *body;
    } times[] = {{LINE_NS, "m v=1 1774720799000000000"},
                 {LINE_US, "m v=1 1774720799000000"},
                 {LINE_MS, "m v=1 1774720799000"},
                 {LINE_S, "m v=1 1774720799"}};
    (void)state;
    kit k = lines_open(sink, "ts", (decode_limits){0});
    for (size_t i = 0; i < 4; i++) {
        k.context.precision = times[i].precision;
        run(&k, times[i].body);
        expect(&k, 1, 0);
        assert_int_equal(int_at(&k, 0, 0), NOW);
    }
    k.context = (decode_context){.now_us = NOW, .measurement = "pu mp"};
    run(&k, "pump v=1\npu\\ mp v=1\npu\\ mpp v=1\npu v=1\n");
    expect(&k, 1, 3);
    for (size_t i = 0; i < 3; i++)
        expect_reject(&k, i, "unknown_store", "", i + 1 + (i > 0), 1);
    kit_close(&k);
}

/* ---- what costs what ---- */

static void a_bad_line_costs_itself_only(void **state)
{
    static const char *const bad[] = {
        "pump,device_id=a v=\"open",
        "pump,k=\"x pressure=oops",
        "pump,device_id=a pressure=1,on=",
        "pump,,a=b pressure=1",
        "pump,device_id=a any=\"x\\",
        "pump",
        "pump,device_id=a pressure=1 2 3",
        ",a=b pressure=1",
        "pump,device_id=a\xff pressure=1",
        "pump,device_id=a any=\"\xc3\x28\"",
        "pump,device_id=a pressure=oops,any=5",
        "pump,a=\\",
    };
    (void)state;
    kit k = lines_open(pump, "time", (decode_limits){0});
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char body[256];
        snprintf(body, sizeof body, "pump,device_id=a pressure=1\n%s\r\npump,device_id=b pressure=2\n",
                 bad[i]);
        run(&k, body);
        expect(&k, 2, 1);
        assert_int_equal(k.r.rejects[0].line, 2);
        assert_int_equal(k.r.rejects[0].row, 2);
        assert_memory_equal(k.body + k.r.rejects[0].offset, bad[i], strlen(bad[i]));
        assert_int_equal(k.r.rejects[0].length, strlen(bad[i]));
    }
    kit_close(&k);
}

static void a_string_is_never_read_as_lines(void **state)
{
    (void)state;
    kit k = lines_open(pump, "time", (decode_limits){0});
    run(&k, "pump,device_id=a pressure=oops,any=\"x\npump,device_id=evil pressure=1\n\" 5\n"
            "pump,,k=v any=\"x\npump,device_id=evil pressure=1\n\" 5\n"
            "pump any=\"x\npump,device_id=evil pressure=1\n\" 5\n"
            "pump,device_id=b pressure=2\n");
    expect(&k, 1, 3);
    expect_text(&k, DEVICE, 0, "b");
    expect_reject(&k, 0, "bad_value", "", 1, 27);
    expect_reject(&k, 2, "required", "/device_id", 7, 1);
    kit_close(&k);
}

/* ---- limits ---- */

static void expect_at(kit *k, const char *body, const char *code)
{
    run(k, body);
    expect(k, code == NULL, code != NULL);
    if (code)
        assert_string_equal(k->r.rejects[0].code, code);
}

static void limits_hold_exactly(void **state)
{
    (void)state;
    kit k = lines_open(sink, "ts", (decode_limits){.row_bytes = 24});
    expect_at(&k, "m a=\"678901234567890123\"", NULL);
    expect_at(&k, "m a=\"6789012345678901234\"", "too_long");
    kit_close(&k);
    k = lines_open(sink, "ts", (decode_limits){.text_bytes = 4});
    expect_at(&k, "m,abcd=efgh a=\"ijkl\"", NULL);
    expect_at(&k, "m,abcde=e a=1", "too_long");
    expect_at(&k, "m,a=efghi b=1", "too_long");
    expect_at(&k, "m,a=\\,fgh b=1", NULL);
    expect_at(&k, "m,a=\\,fghi b=1", "too_long");
    expect_at(&k, "m a=\"ijklm\"", "too_long");
    kit_close(&k);
    k = lines_open(sink, "ts", (decode_limits){.number_bytes = 4});
    expect_at(&k, "m a=1234", NULL);
    expect_at(&k, "m a=12345", "too_long");
    expect_at(&k, "m a=.123", NULL);
    expect_at(&k, "m a=.1234", "too_long");
    kit_close(&k);
    k = lines_open(sink, "ts", (decode_limits){.members = 3});
    expect_at(&k, "m,a=1,b=2 c=3", NULL);
    expect_at(&k, "m,a=1,b=2 c=3,d=4", "too_many_members");
    kit_close(&k);
    k = lines_open(sink, "ts", (decode_limits){.rows = 2, .body_bytes = 16});
    run(&k, "m a=1\nm a=2\n\n#");
    expect(&k, 2, 0);
    run(&k, "m a=1\nm a=2\nm a");
    assert_int_equal(k.class, STATUS_LIMIT);
    run(&k, "m a=1234567890123");
    assert_int_equal(k.class, STATUS_LIMIT);
    kit_close(&k);
}

static void numbers_at_their_bounds(void **state)
{
    static const struct {
        const char *value, *code; /* NULL: taken */
    } cases[] = {
        {"-9223372036854775808i", NULL},
        {"9223372036854775808i", "out_of_range"},
        {"18446744073709551615u", NULL},
        {"18446744073709551616u", "out_of_range"},
        {"00018446744073709551615u", NULL},
        {"1.", NULL},
        {"1.e3", NULL},
        {"007", NULL},
        {"-007i", NULL},
        {"1.i", "bad_value"},
        {".i", "bad_value"},
        {"-", "bad_value"},
        {"--1", "bad_value"},
        {"+1", "bad_value"},
        {"1e", "bad_value"},
        {"1ii", "bad_value"},
        {"0x10", "bad_value"},
        {"Inf", "bad_value"},
        {"-Inf", "bad_value"},
        {"1e308", NULL},
        {"1.8e308", "out_of_range"},
        {"-0i", NULL},
        {"-0u", "bad_value"},
        {"1_000", "bad_value"},
        {"TRUE", NULL},
        {"TrUE", "bad_value"},
    };
    (void)state;
    kit k = lines_open(sink, "ts", (decode_limits){0});
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char body[80];
        snprintf(body, sizeof body, "m a=%s,b=1 1", cases[i].value);
        expect_at(&k, body, cases[i].code);
        snprintf(body, sizeof body, "m a=%s", cases[i].value);
        expect_at(&k, body, cases[i].code);
    }
    kit_close(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tags_and_fields_are_columns),
        cmocka_unit_test(what_does_not_fit_is_refused_with_its_place),
        cmocka_unit_test(unknown_members_are_kept_where_the_store_keeps_them),
        cmocka_unit_test(rules_that_see_the_whole_row),
        cmocka_unit_test(precision_and_measurement_come_from_the_request),
        cmocka_unit_test(a_bad_line_costs_itself_only),
        cmocka_unit_test(a_string_is_never_read_as_lines),
        cmocka_unit_test(limits_hold_exactly),
        cmocka_unit_test(numbers_at_their_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
