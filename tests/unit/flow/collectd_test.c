/* What collectd's write_http sends, in both its formats, to rows. */
#include "decode_kit.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "flow/collectd_row.h"

static const char values[] =
    "{'type':'object','additionalProperties':false,'required':['time','host'],'properties':{"
    "'time':{'type':'string','format':'date-time'},'host':{'type':'string'},'plugin':{'type':'string'},"
    "'plugin_instance':{'type':'string'},'type':{'type':'string'},'type_instance':{'type':'string'},"
    "'ds':{'type':'string'},'value':{'type':['number','null']},'dstype':{'type':'string'}}}";
enum { TIME, HOST, PLUGIN, PLUGIN_INSTANCE, TYPE, TYPE_INSTANCE, DS, VALUE, DSTYPE };
static const char known_only[] = "{'type':'object','properties':{'value':{'type':'number'}}}";
static const char too_few[] = "{'type':'object','additionalProperties':false,'properties':{"
                              "'host':{'type':'string'},'value':{'type':'number'}}}";

static kit lists_open(const char *schema_text, const char *time, decode_limits limits)
{
    return kit_open(schema_text, (decode_options){.time_column = time, .limits = limits});
}

static void run_as(kit *k, decode_format format, const char *body)
{
    k->context.format = format;
    run(k, body);
}

static void expect_row(const kit *k, uint32_t row, const char *const names[6], double value, int64_t time)
{
    for (uint32_t i = 0; i < 6; i++)
        expect_text(k, HOST + i, row, names[i]);
    assert_true(((const double *)k->r.rows.columns[VALUE].values)[row] == value);
    assert_int_equal(((const int64_t *)k->r.rows.columns[TIME].values)[row], time);
}

#define LOAD                                                                                             \
    "{\"values\":[0.1,0.25,3],\"dstypes\":[\"gauge\",\"gauge\",\"gauge\"],\"dsnames\":[\"shortterm\","   \
    "\"midterm\",\"longterm\"],\"time\":1774720799.123,\"interval\":10.000,\"host\":\"a.b\",\"plugin\":" \
    "\"load\",\"plugin_instance\":\"\",\"type\":\"load\",\"type_instance\":\"\",\"meta\":{\"x\":[1]}}"
#define CPU                                                                                                 \
    "{\"values\":[null],\"dstypes\":[\"derive\"],\"dsnames\":[\"value\"],\"time\":1,\"host\":\"a\\u00e9\"," \
    "\"plugin\":\"cpu\",\"plugin_instance\":\"0\",\"type\":\"cpu\",\"type_instance\":\"idle\"}"

static void a_value_list_is_a_row_a_value(void **state)
{
    (void)state;
    kit k = lists_open(values, "time", (decode_limits){0});
    run_as(&k, DECODE_COLLECTD, "[" LOAD ",\n" CPU "]\r\n");
    expect(&k, 4, 0);
    expect_row(&k, 0, (const char *const[]){"a.b", "load", "", "load", "", "shortterm"}, 0.1, NOW + 123000);
    expect_row(&k, 2, (const char *const[]){"a.b", "load", "", "load", "", "longterm"}, 3, NOW + 123000);
    expect_text(&k, HOST, 3, "a\xc3\xa9");
    expect_text(&k, TYPE_INSTANCE, 3, "idle");
    expect_text(&k, DSTYPE, 3, "derive");
    assert_true(column_is_null(&k.r.rows.columns[VALUE], 3)); /* NaN */
    run_as(&k, DECODE_COLLECTD, "[]");
    expect(&k, 0, 0);
    kit_close(&k);
}

static void stores_of_another_shape(void **state)
{
    (void)state;
    kit k = lists_open(known_only, NULL, (decode_limits){0});
    run_as(&k, DECODE_COLLECTD, "[" CPU "," LOAD "]");
    expect(&k, 3, 1); /* NaN has no place in a column without null */
    assert_string_equal(k.r.rejects[0].code, "type");
    assert_string_equal(k.r.rejects[0].pointer, "/value");
    expect_text(&k, 1, 0,
                "{\"host\":\"a.b\",\"plugin\":\"load\",\"plugin_instance\":\"\",\"type\":\"load\","
                "\"type_instance\":\"\",\"ds\":\"shortterm\",\"time\":\"2026-03-28T17:59:59.123Z\"}");
    kit_close(&k);
    k = lists_open(too_few, NULL, (decode_limits){0});
    run_as(&k, DECODE_COLLECTD, "[" LOAD "]");
    expect(&k, 0, 3);
    assert_string_equal(k.r.rejects[0].pointer, "/plugin");
    kit_close(&k);
}

static void what_is_no_value_list_is_one_reject(void **state)
{
    static const char *const bad[] = {
        "7",
        "{}",
        "{\"message\":\"it burns\",\"severity\":\"FAILURE\",\"time\":1,\"host\":\"a\"}",
        "{\"values\":[1,2],\"dsnames\":[\"x\"],\"time\":1,\"host\":\"a\",\"plugin\":\"p\",\"type\":\"t\"}",
        "{\"values\":[],\"dsnames\":[],\"time\":1,\"host\":\"a\",\"plugin\":\"p\",\"type\":\"t\"}",
        "{\"values\":[\"1\"],\"dsnames\":[\"x\"],\"time\":1,\"host\":\"a\",\"plugin\":\"p\",\"type\":\"t\"}",
        "{\"values\":[1],\"dsnames\":[\"x\"],\"time\":\"1\",\"host\":\"a\",\"plugin\":\"p\",\"type\":\"t\"}",
        "{\"values\":[1],\"dsnames\":[\"x\"],\"time\":1,\"host\":{},\"plugin\":\"p\",\"type\":\"t\"}",
        "{\"values\":[1],\"dsnames\":[\"x\"],\"time\":1,\"host\":\"a\",\"host\":\"b\",\"plugin\":\"p\","
        "\"type\":\"t\"}",
        "{\"values\":[1],\"dsnames\":[\"x\"],\"time\":1,\"host\":\"\\u0000\",\"plugin\":\"p\",\"type\":"
        "\"t\"}",
    };
    (void)state;
    kit k = lists_open(values, "time", (decode_limits){0});
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char body[1024];
        snprintf(body, sizeof body, "[" CPU ",\n%s,\n" CPU "]", bad[i]);
        run_as(&k, DECODE_COLLECTD, body);
        expect(&k, 2, 1);
        assert_string_equal(k.r.rejects[0].code, "collectd");
        assert_int_equal(k.r.rejects[0].line, 2);
        assert_int_equal(k.r.rejects[0].row, 2);
        assert_int_equal(k.r.rejects[0].length, strlen(bad[i]));
    }
    static const char *const broken[] = {
        "", "{}", "[", "[" CPU, "[" CPU "]x", "[" CPU ",]", "[{\"values\":[1}]"};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        run_as(&k, DECODE_COLLECTD, broken[i]);
        assert_int_equal(k.class, STATUS_INVALID);
    }
    kit_close(&k);
}

static void commands(void **state)
{
    (void)state;
    kit k = lists_open(values, "time", (decode_limits){0});
    run_as(&k, DECODE_PUTVAL,
           "PUTVAL a.b/cpu-0/cpu-idle interval=10.000 1774720799.123:42\r\n"
           "\r\n"
           "putval \"a b/x-y-z/t-\\\"1\\\"/2\" interval=\"1\" other=x 1774720799:1:-2.5e3:U N:nan:-nan:7\n"
           "  PUTVAL h/p/t 1:1 ");
    expect(&k, 8, 0);
    expect_row(&k, 0, (const char *const[]){"a.b", "cpu", "0", "cpu", "idle", "value"}, 42, NOW + 123000);
    expect_row(&k, 2, (const char *const[]){"a b", "x", "y-z", "t", "\"1\"/2", "1"}, -2500, NOW);
    assert_true(column_is_null(&k.r.rows.columns[VALUE], 3) && column_is_null(&k.r.rows.columns[VALUE], 5));
    expect_row(&k, 6, (const char *const[]){"a b", "x", "y-z", "t", "\"1\"/2", "2"}, 7, NOW);
    expect_row(&k, 7, (const char *const[]){"h", "p", "", "t", "", "value"}, 1, 1000000);
    kit_close(&k);
}

static void a_bad_command_costs_itself(void **state)
{
    static const char *const bad[] = {
        "PUTNOTIF message=x",
        "PUTVAL",
        "PUTVAL a/b 1:1",
        "PUTVAL a/b/c",
        "PUTVAL a/b/c 1",
        "PUTVAL a/b/c 1:",
        "PUTVAL a/b/c 1:x",
        "PUTVAL a/b/c 1:2:",
        "PUTVAL a/b/c 1::2",
        "PUTVAL a/b/c x:1",
        "PUTVAL a/b/c 1:inf",
        "PUTVAL \"a/b/c 1:1",
        "PUTVAL a//c 1:1",
        "PUTVAL a/b/c\xff 1:1",
        "PUTVAL a/b/c interval=x 1:1",
        "PUTVAL a/b/c \"1:x\"",
    };
    (void)state;
    kit k = lists_open(values, "time", (decode_limits){0});
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char body[256];
        snprintf(body, sizeof body, "PUTVAL h/p/t 1:1\n%s\r\nPUTVAL h/p/t 2:1\n", bad[i]);
        run_as(&k, DECODE_PUTVAL, body);
        expect(&k, 2, 1);
        assert_string_equal(k.r.rejects[0].code, "putval");
        assert_int_equal(k.r.rejects[0].line, 2);
        assert_int_equal(k.r.rejects[0].length, strlen(bad[i]));
    }
    run_as(&k, DECODE_PUTVAL, "PUTVAL h/p/t 1:1 2:x 3:1\n"); /* the lists before the fault are good */
    expect(&k, 1, 1);
    kit_close(&k);
}

static void limits_hold_exactly(void **state)
{
    (void)state;
    kit k = lists_open(values, "time", (decode_limits){.row_bytes = 22, .rows = 3});
    run_as(&k, DECODE_PUTVAL, "PUTVAL h/p/t 1:1.23456\n");
    expect(&k, 1, 0);
    run_as(&k, DECODE_PUTVAL, "PUTVAL h/p/t 1:1.234567\n");
    expect(&k, 0, 1);
    run_as(&k, DECODE_PUTVAL, "PUTVAL h/p/t 1:1:2:3\n");
    expect(&k, 3, 0);
    run_as(&k, DECODE_PUTVAL, "PUTVAL h/p/t 1:1:2:3:4\n");
    assert_int_equal(k.class, STATUS_LIMIT);
    run_as(&k, DECODE_COLLECTD, "[" LOAD "]");
    expect(&k, 0, 1);
    kit_close(&k);
    k = lists_open(values, "time", (decode_limits){0});
    for (int n = COLLECTD_VALUES_MAX; n <= COLLECTD_VALUES_MAX + 1; n++) {
        text body = {0};
        text_add(&body, "PUTVAL h/p/t 1");
        for (int i = 0; i < n; i++)
            text_add(&body, ":1");
        run_as(&k, DECODE_PUTVAL, body.data);
        expect(&k, n == COLLECTD_VALUES_MAX ? COLLECTD_VALUES_MAX : 0, n > COLLECTD_VALUES_MAX);
        text_clear(&body);
        text_add(&body, "[{\"host\":\"h\",\"plugin\":\"p\",\"type\":\"t\",\"time\":1,\"values\":[1");
        for (int i = 1; i < n; i++)
            text_add(&body, ",1");
        text_add(&body, "],\"dsnames\":[\"x\"");
        for (int i = 1; i < n; i++)
            text_add(&body, ",\"x\"");
        text_add(&body, "]}]");
        run_as(&k, DECODE_COLLECTD, body.data);
        expect(&k, n == COLLECTD_VALUES_MAX ? COLLECTD_VALUES_MAX : 0, n > COLLECTD_VALUES_MAX);
        text_free(&body);
    }
    kit_close(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_list_is_a_row_a_value),       cmocka_unit_test(stores_of_another_shape),
        cmocka_unit_test(what_is_no_value_list_is_one_reject), cmocka_unit_test(commands),
        cmocka_unit_test(a_bad_command_costs_itself),          cmocka_unit_test(limits_hold_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
