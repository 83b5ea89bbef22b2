/* Bodies to rows: types, rules, windows, bad rows among good ones, limits; JSON, NDJSON, CSV. */
#include "decode_kit.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/disk.h"
#include "base/random.h"
#include "base/utc.h"

static const char pump[] =
    "{'type':'object','required':['time','device_id'],'additionalProperties':false,'properties':{"
    "'time':{'type':'string','format':'date-time'},'device_id':{'type':'string','minLength':1,'maxLength':8},"
    "'pressure':{'type':'number','minimum':0,'maximum':400},'flow':{'type':['number','null']},"
    "'count':{'type':'integer'},'status':{'enum':['ok','warn','fault']},'on':{'type':'boolean'},"
    "'day':{'type':'string','format':'date'},'id':{'type':'string','format':'uuid'},'tags':{'type':'object'},"
    "'any':{}}}";
enum { TIME, DEVICE, PRESSURE, FLOW, COUNT, STATUS, ON, DAY, ID, TAGS, ANY };
static const char open_pump[] =
    "{'type':'object','properties':{'time':{'type':'string','format':'date-time'},"
    "'pressure':{'type':'number'}}}";
static const char not_flat[] =
    "{'type':'object','properties':{'a':{'type':'integer'},'b':{'type':'integer'}},"
    "'anyOf':[{'required':['a']},{'required':['b']}]}";
static const char deep[] = "{'type':'object','properties':{'tags':{'type':'array','items':{'type':'string'}},"
                           "'n':{'type':'integer','not':{'const':13}}}}";

static const decode_options lines = {.format = DECODE_NDJSON, .time_column = "time"};
static const decode_options document = {.format = DECODE_JSON, .time_column = "time"};

/* ---- values ---- */

static void every_type(void **state)
{
    (void)state;
    kit k = kit_open(pump, lines);
    run(&k,
        "{\"time\":\"2026-03-28T19:59:59.999999999+02:00\",\"device_id\":\"p\\u00e9\\ud83d\\ude00\","
        "\"pressure\":1.5e1,"
        "\"flow\":null,\"count\":9007199254740993,\"status\":\"warn\",\"on\":true,\"day\":\"2026-01-02\","
        "\"id\":\"01234567-89ab-CDEF-0123-456789abcdef\",\"tags\": { \"a\" : [ 1 , \"x y\" ] },\"any\":[ ]}\n"
        "{\"any\": \"\\\" \" , \"device_id\":\"q\",\"time\":\"2026-03-28T18:00:00Z\"}\r\n\n   \n");
    expect(&k, 2, 0);
    assert_int_equal(int_at(&k, TIME, 0), 1774720799999999);
    expect_text(&k, DEVICE, 0, "p\xc3\xa9\xf0\x9f\x98\x80");
    assert_true(number_at(&k, PRESSURE, 0) == 15);
    assert_true(null_at(&k, FLOW, 0) && column_is_present(&k.r.rows.columns[FLOW], 0));
    assert_int_equal(int_at(&k, COUNT, 0), 9007199254740993);
    expect_text(&k, STATUS, 0, "warn");
    assert_true(bitmap_get(k.r.rows.columns[ON].values, 0));
    assert_int_equal(((const int32_t *)k.r.rows.columns[DAY].values)[0], 20455);
    assert_int_equal(((const uint8_t *)k.r.rows.columns[ID].values)[6], 0xcd);
    expect_text(&k, TAGS, 0, "{\"a\":[1,\"x y\"]}");
    expect_text(&k, ANY, 0, "[]");
    expect_text(&k, ANY, 1, "\"\\\" \"");
    for (uint32_t c = PRESSURE; c <= TAGS; c++)
        assert_true(null_at(&k, c, 1) && !column_is_present(&k.r.rows.columns[c], 1));
    assert_int_equal(k.r.first_us, 1774720799999999);
    assert_int_equal(k.r.last_us, 1774720800000000);
    kit_close(&k);
}

static const struct {
    const char *members, *code, *pointer;
} bad_rows[] = {
    {"\"pressure\":\"1\"", "type", "/pressure"},
    {"\"pressure\":null", "type", "/pressure"},
    {"\"pressure\":{\"a\":[1]}", "type", "/pressure"},
    {"\"pressure\":true", "type", "/pressure"},
    {"\"pressure\":-0.1", "minimum", "/pressure"},
    {"\"pressure\":400.0001", "maximum", "/pressure"},
    {"\"pressure\":-1e400", "not_storable", "/pressure"},
    {"\"count\":1.5", "type", "/count"},
    {"\"count\":9223372036854775808", "not_storable", "/count"},
    {"\"status\":\"bad\"", "enum", "/status"},
    {"\"status\":7", "type", "/status"},
    {"\"on\":1", "type", "/on"},
    {"\"on\":\"true\"", "type", "/on"},
    {"\"day\":\"2026-02-30\"", "format", "/day"},
    {"\"id\":\"0123\"", "format", "/id"},
    {"\"tags\":[]", "type", "/tags"},
    {"\"tags\":{\"a\":1,\"a\":2}", "duplicate_key", "/tags"},
    {"\"tags\":{\"a\":\"\\u0000\"}", "not_storable", "/tags"},
    {"\"tags\":{\"a\":1e2000}", "not_storable", "/tags"},
    {"\"device_id\":\"again\"", "duplicate_key", "/device_id"},
    {"\"device\\u005fid\":\"again\"", "duplicate_key", "/device_id"},
    {"\"extra~/\":1", "additional", "/extra~0~1"},
    {"\"pressure\":01", "json", ""},
    {"\"pressure\":1.", "json", ""},
    {"\"pressure\":NaN", "json", ""},
    {"\"pressure\":\"\\x\"", "json", ""},
    {"\"pressure\":1,", "json", ""},
    {"\"status\":\"\xff\"", "json", ""},
    {"\"status\":\"\\ud800\"", "json", ""},
    {"\"any\":[1,]", "json", ""},
};

static void bad_rows_do_not_take_good_ones(void **state)
{
    (void)state;
    kit k = kit_open(pump, lines), whole = kit_open(pump, document);
    for (size_t i = 0; i < sizeof bad_rows / sizeof *bad_rows; i++) {
        char body[1000], good[] = "{\"time\":\"2026-03-28T18:00:00Z\",\"device_id\":\"p\"}", bad[300];
        snprintf(bad, sizeof bad, "{\"time\":\"2026-03-28T18:00:00Z\",\"device_id\":\"p\",%s}",
                 bad_rows[i].members);
        snprintf(body, sizeof body, "%s\n%s\n%s", good, bad, good);
        run(&k, body);
        expect(&k, 2, 1);
        const decode_reject *r = k.r.rejects;
        if (strcmp(r->code, bad_rows[i].code) != 0 || strcmp(r->pointer, bad_rows[i].pointer) != 0)
            fail_msg("%s: %s at '%s' (%s)", bad, r->code, r->pointer, r->detail);
        assert_int_equal(r->row, 2);
        assert_int_equal(r->line, 2);
        assert_int_equal(r->offset, strlen(good) + 1);
        assert_int_equal(r->length, strlen(bad));
        assert_true(r->column > 1 && r->column <= strlen(bad) + 1);
        assert_true(strlen(r->detail) > 0);
        snprintf(body, sizeof body, "[%s,\n%s,\n%s]", good, bad, good);
        run(&whole, body);
        if (strcmp(bad_rows[i].code, "json") == 0) {
            assert_int_equal(whole.class, STATUS_INVALID);
            assert_memory_equal(whole.st.where, "2:", 2);
        } else {
            expect(&whole, 2, 1);
            assert_string_equal(whole.r.rejects[0].code, bad_rows[i].code);
            assert_int_equal(whole.r.rejects[0].line, 2);
            assert_int_equal(whole.r.rejects[0].column, r->column);
            assert_int_equal(whole.r.rejects[0].length, strlen(bad));
        }
    }
    kit_close(&k);
    kit_close(&whole);
}

static void rows_that_are_none(void **state)
{
    (void)state;
    kit k = kit_open(pump, lines);
    run(&k, "[]\n1\n\"x\"\n{}\n{\"time\":\"2026-03-28T18:00:00Z\"}\n{\"device_id\":\"p\"}\n{\"time\":null,"
            "\"device_id\":\"p\"}\n{} {}\n{\"time\"");
    expect(&k, 0, 9);
    static const char *const codes[] = {"type",     "type", "type", "required", "required",
                                        "required", "type", "json", "json"};
    for (size_t i = 0; i < 9; i++)
        assert_string_equal(k.r.rejects[i].code, codes[i]);
    assert_string_equal(k.r.rejects[4].pointer, "/device_id");
    kit_close(&k);
}

static void time_must_be_in_the_window(void **state)
{
    (void)state;
    decode_options o = lines;
    o.past_us = 10 * UTC_SECOND_US;
    o.future_us = 5 * UTC_SECOND_US;
    kit k = kit_open(open_pump, o);
    for (int past = -11; past <= 6; past++) {
        for (int edge = -1; edge <= 1; edge++) {
            char when[UTC_TEXT_SIZE], body[100];
            int64_t us = NOW + past * UTC_SECOND_US + edge;
            utc_format(us, when);
            snprintf(body, sizeof body, "{\"time\":\"%s\"}", when);
            run(&k, body);
            bool inside = us >= NOW - 10 * UTC_SECOND_US && us <= NOW + 5 * UTC_SECOND_US;
            expect(&k, inside, !inside);
            if (!inside)
                assert_string_equal(k.r.rejects[0].code, "time_out_of_window");
        }
    }
    decode_context shifted = {.now_us = NOW, .time_shift_us = NOW};
    static const char body[] = "{\"time\":\"1970-01-01T00:00:01Z\"}";
    assert_int_equal(decode_body(k.d, k.plan, &shifted, body, strlen(body), &k.r, &k.st), STATUS_OK);
    assert_int_equal(int_at(&k, 0, 0), NOW + UTC_SECOND_US);
    run(&k, "{\"pressure\":1}");
    expect(&k, 0, 1);
    assert_string_equal(k.r.rejects[0].code, "required");
    kit_close(&k);
}

static void times_are_those_of_utc_parse(void **state)
{
    (void)state;
    kit k = kit_open(open_pump, lines);
    random_seeded r = {test_seed()};
    for (unsigned i = 0; i < 20000; i++) {
        char when[64], body[128];
        int64_t us = (int64_t)(random_seeded_next(&r) % 4) * UTC_DAY_US +
                     (int64_t)(random_seeded_next(&r) % (uint64_t)UTC_DAY_US),
                want = 0;
        size_t n = utc_format(us, when);
        if (random_seeded_next(&r) % 3 == 0)
            when[random_seeded_next(&r) % n] = "0129:-TtZz+. x"[random_seeded_next(&r) % 14];
        bool ok = utc_parse(when, n, &want);
        snprintf(body, sizeof body, "{\"time\":\"%s\"}", when);
        run(&k, body);
        if (k.r.rows.n_rows != ok || (ok && int_at(&k, 0, 0) != want))
            fail_msg("%s", when);
    }
    run(&k, "{\"time\":\"1998-12-31T23:59:58Z\"}\n{\"time\":\"1998-12-31T23:59:60Z\"}\n{\"time\":\"1998-12-"
            "31T23:59:59Z\"}");
    expect(&k, 3, 0);
    assert_int_equal(int_at(&k, 0, 1) - int_at(&k, 0, 2), UTC_SECOND_US);
    kit_close(&k);
}

/* ---- additional members, schemas that need a tree ---- */

static void additional_members_are_kept(void **state)
{
    (void)state;
    kit k = kit_open(open_pump, lines);
    run(&k, "{\"x\": [1, {\"y\" :2}],\"time\":\"2026-03-28T18:00:00Z\", \"\\u0041\" : "
            "null}\n{\"time\":\"2026-03-28T18:00:00Z\"}\n"
            "{\"time\":\"2026-03-28T18:00:00Z\",\"z\":1,\"z\":2}\n{\"time\":\"2026-03-28T18:00:00Z\",\"z\":{"
            "\"q\":1,\"q\":2}}\n"
            "{\"time\":\"2026-03-28T18:00:00Z\",\"z\":\"\\u0000\"}\n{\"time\":\"2026-03-28T18:00:00Z\","
            "\"\\u0000\":1}");
    expect(&k, 2, 4);
    assert_true(decode_plan_has_extra(k.plan));
    assert_int_equal(k.r.rows.n_columns, 3);
    expect_text(&k, 2, 0, "{\"x\":[1,{\"y\":2}],\"\\u0041\":null}");
    assert_true(null_at(&k, 2, 1));
    assert_string_equal(k.r.rejects[0].code, "duplicate_key");
    assert_string_equal(k.r.rejects[0].pointer, "/z");
    assert_string_equal(k.r.rejects[1].code, "duplicate_key");
    assert_string_equal(k.r.rejects[2].code, "not_storable");
    assert_string_equal(k.r.rejects[3].code, "not_storable");
    kit_close(&k);
}

static void rules_that_need_a_tree(void **state)
{
    (void)state;
    decode_options o = {.format = DECODE_NDJSON};
    kit k = kit_open(not_flat, o), d = kit_open(deep, o);
    assert_false(k.rows->flat);
    run(&k, "{\"a\":1}\n{\"c\":1}\n{\"b\":2,\"c\":3}\n{\"a\":\"x\"}");
    expect(&k, 2, 2);
    assert_int_equal(int_at(&k, 0, 0), 1);
    assert_string_equal(k.r.rejects[0].code, "schema");
    run(&d, "{\"tags\":[\"a\",\"b\"],\"n\":12}\n{\"tags\":[\"a\",1]}\n{\"n\":13}\n{\"n\":14}");
    expect(&d, 2, 2);
    assert_string_equal(d.r.rejects[0].pointer, "/tags");
    assert_string_equal(d.r.rejects[1].pointer, "/n");
    kit_close(&k);
    kit_close(&d);
}

static void names_scales_and_unix_times(void **state)
{
    (void)state;
    static const decode_map map[] = {{.column = "time", .from = "ts", .time = DECODE_TIME_UNIX_MS},
                                     {.column = "pressure", .from = "P", .scale = 0.1, .offset = 1}};
    decode_options o = {.format = DECODE_NDJSON, .time_column = "time", .map = map, .n_map = 2};
    kit k = kit_open(open_pump, o);
    run(&k, "{\"ts\":1774720799123.4567,\"P\":20}\n{\"ts\":\"2026-03-28T18:00:00Z\"}\n{\"ts\":1e300}\n{"
            "\"ts\":1,\"pressure\":5}");
    expect(&k, 2, 2);
    assert_int_equal(int_at(&k, 0, 0), 1774720799123456);
    assert_true(number_at(&k, 1, 0) == 3);
    expect_text(&k, 2, 1, "{\"pressure\":5}");
    assert_string_equal(k.r.rejects[0].code, "type");
    assert_string_equal(k.r.rejects[0].pointer, "/ts");
    assert_string_equal(k.r.rejects[1].code, "not_storable");
    static const decode_map wrong[][2] = {{{.column = "nope"}},
                                          {{.column = "time", .scale = 2}},
                                          {{.column = "pressure", .time = DECODE_TIME_UNIX_S}},
                                          {{.column = "pressure", .from = "time"}}};
    for (size_t i = 0; i < 4; i++) {
        o.map = wrong[i];
        o.n_map = 1;
        assert_null(decode_plan_create(k.rows, &o, &k.st));
        assert_int_equal(k.st.class, STATUS_INVALID);
    }
    kit_close(&k);
}

/* ---- limits ---- */

static void plain_plans_have_no_rule_that_takes_long(void **state)
{
    (void)state;
    static const struct {
        const char *schema;
        bool plain;
    } cases[] = {
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\",\"maxLength\":5}}}", true},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\",\"pattern\":\"^(a+)+$\"}}}", false},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"object\",\"required\":[\"b\"]}}}", false},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}},\"minProperties\":1}", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        kit k = kit_open(cases[i].schema, (decode_options){.format = DECODE_NDJSON});
        assert_int_equal(decode_plan_is_plain(k.plan), cases[i].plain);
        kit_close(&k);
    }
}

static void limits(void **state)
{
    (void)state;
    decode_options o = {.format = DECODE_NDJSON,
                        .limits = {.body_bytes = 100,
                                   .row_bytes = 40,
                                   .rows = 3,
                                   .depth = 3,
                                   .members = 3,
                                   .text_bytes = 5,
                                   .number_bytes = 4}};
    kit k = kit_open(open_pump, o);
    static const struct {
        const char *at, *over, *code;
    } cases[] = {{"{\"a\":[[1]]}", "{\"a\":[[[1]]]}", "too_deep"},
                 {"{\"a\":{\"b\":1,\"c\":1}}", "{\"a\":{\"b\":1,\"c\":1,\"d\":1}}", "too_many_members"},
                 {"{\"a\":\"12345\"}", "{\"a\":\"123456\"}", "too_long"},
                 {"{\"a\":1234}", "{\"a\":12345}", "too_long"},
                 {"{\"a\":\"1\", \"b\":\"1\",\"c\":          \"12345\"}",
                  "{\"a\":\"1\", \"b\":\"1\",\"c\":           \"12345\"}", "too_long"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        run(&k, cases[i].at);
        expect(&k, 1, 0);
        run(&k, cases[i].over);
        expect(&k, 0, 1);
        assert_string_equal(k.r.rejects[0].code, cases[i].code);
    }
    run(&k, "{}\n{}\n{}\n\n");
    expect(&k, 3, 0);
    run(&k, "{}\n{}\n{}\n{}");
    assert_int_equal(k.class, STATUS_LIMIT);
    char body[102];
    memset(body, ' ', sizeof body);
    run_n(&k, body, 100);
    expect(&k, 0, 0);
    run_n(&k, body, 101);
    assert_int_equal(k.class, STATUS_LIMIT);
    kit_close(&k);
    o.format = DECODE_JSON;
    k = kit_open(open_pump, o);
    run(&k, "[{},{},{}]");
    expect(&k, 3, 0);
    run(&k, "[{},{},{},{}]");
    assert_int_equal(k.class, STATUS_LIMIT);
    run(&k, "[{\"a\":[[[1]]]}]");
    assert_int_equal(k.class, STATUS_LIMIT);
    kit_close(&k);
}

static void documents(void **state)
{
    (void)state;
    decode_options o = {.format = DECODE_JSON};
    kit k = kit_open(open_pump, o);
    static const struct {
        const char *body;
        int rows; /* -1 = refused */
    } cases[] = {{"[]", 0},      {" [ ] ", 0},   {"{}", 1},    {"[{}]", 1},
                 {"[{},{}]", 2}, {"\n{ }\n", 1}, {"", -1},     {" ", -1},
                 {"[", -1},      {"[{}", -1},    {"[{},", -1}, {"[{},]", -1},
                 {"[{}]]", -1},  {"{}{}", -1},   {"[,]", -1},  {"\xef\xbb\xbf[]", -1},
                 {"]", -1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        run(&k, cases[i].body);
        if ((k.class == STATUS_OK ? (int)k.r.rows.n_rows : -1) != cases[i].rows)
            fail_msg("%s: %s", cases[i].body, k.class == STATUS_OK ? "accepted" : k.st.text);
    }
    run(&k, "[{},\n {\"pressure\":tru}]");
    assert_int_equal(k.class, STATUS_INVALID);
    assert_string_equal(k.st.where, "2:14");
    kit_close(&k);
}

/* ---- hostile bodies ---- */

static void hostile_bodies(void **state)
{
    (void)state;
    const char *folder = testdata("hostile/json/own");
    if (!folder)
        skip();
    char root[2048], path[4096];
    snprintf(root, sizeof root, "%s", folder);
    snprintf(path, sizeof path, "%s/index.json", root);
    json_t *index = json_load_file(path, 0, NULL), *item;
    decode_options o = {.format = DECODE_JSON};
    kit k = kit_open("{'type':'object','properties':{'ts':{'type':'string','format':'date-time'},'pump_id':{'"
                     "type':'string'},"
                     "'pressure':{'type':'number'},'count':{'type':'integer'}}}",
                     o);
    size_t i, seen = 0;
    json_array_foreach(index, i, item)
    {
        const char *file = json_string_value(json_object_get(item, "file"));
        const char *verdict = json_string_value(json_object_get(item, "verdict"));
        text body = {0};
        snprintf(path, sizeof path, "%s/%s", root, file);
        assert_int_equal(disk_read(path, 64 << 20, &body, &k.st), STATUS_OK);
        int64_t from_us = clock_monotonic_us();
        run_n(&k, text_or_empty(&body), body.len);
        if (clock_monotonic_us() - from_us > 2 * UTC_SECOND_US)
            fail_msg("%s: took longer than 2 s", file);
        bool ok = k.class == STATUS_OK && k.r.n_rejects == 0;
        if ((strcmp(verdict, "accept") == 0 && !ok) || (strcmp(verdict, "reject") == 0 && ok))
            fail_msg("%s: %s", file,
                     ok                     ? "accepted"
                     : k.class != STATUS_OK ? k.st.text
                                            : k.r.rejects[0].detail);
        text_free(&body);
        seen++;
    }
    assert_true(seen > 50);
    json_decref(index);
    kit_close(&k);
}

/* The same rows as lines and as one array give the same batch. */
static void lines_and_documents_agree(void **state)
{
    (void)state;
    kit a = kit_open(pump, lines), b = kit_open(pump, document);
    random_seeded r = {test_seed()};
    for (unsigned i = 0; i < 500; i++) {
        text one = {0}, two = {0};
        text_add(&two, "[");
        for (unsigned n = (unsigned)(random_seeded_next(&r) % 20) + 1; n > 0; n--) {
            char row[400];
            uint64_t pick = random_seeded_next(&r) % 60;
            snprintf(row, sizeof row, "{\"time\":\"2026-03-28T18:00:%02uZ\",\"device_id\":\"p%u\"%s%s}", n,
                     n % 3, pick < 22 ? "," : "", pick < 22 ? bad_rows[pick].members : "");
            text_printf(&one, "%s\n", row);
            text_printf(&two, "%s%s", row, n > 1 ? ", " : "]");
        }
        run(&a, one.data);
        run(&b, two.data);
        expect(&b, a.r.rows.n_rows, a.r.n_rejects);
        for (uint32_t row = 0; row < a.r.rows.n_rows; row++)
            assert_int_equal(int_at(&a, TIME, row), int_at(&b, TIME, row));
        for (size_t k = 0; k < a.r.n_rejects; k++) {
            assert_string_equal(a.r.rejects[k].code, b.r.rejects[k].code);
            assert_int_equal(a.r.rejects[k].row, b.r.rejects[k].row);
        }
        text_free(&one);
        text_free(&two);
    }
    kit_close(&a);
    kit_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type),
        cmocka_unit_test(bad_rows_do_not_take_good_ones),
        cmocka_unit_test(rows_that_are_none),
        cmocka_unit_test(time_must_be_in_the_window),
        cmocka_unit_test(times_are_those_of_utc_parse),
        cmocka_unit_test(additional_members_are_kept),
        cmocka_unit_test(rules_that_need_a_tree),
        cmocka_unit_test(names_scales_and_unix_times),
        cmocka_unit_test(plain_plans_have_no_rule_that_takes_long),
        cmocka_unit_test(limits),
        cmocka_unit_test(documents),
        cmocka_unit_test(hostile_bodies),
        cmocka_unit_test(lines_and_documents_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
