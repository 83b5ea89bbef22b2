/* CSV: RFC 4180's corners, mapping, and broken records among good ones. */
#include "decode_kit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "base/text.h"

static const char pump[] =
    "{'type':'object','required':['time'],'additionalProperties':false,'properties':{"
    "'time':{'type':'string','format':'date-time'},'device':{'type':'string','maxLength':30},"
    "'pressure':{'type':'number','maximum':400},'count':{'type':'integer'},'on':{'type':'boolean'},"
    "'tags':{'type':'object'},'note':{'type':['string','null']},'n':{'type':'integer','not':{'const':13}}}}";
enum { TIME, DEVICE, PRESSURE, COUNT, ON, TAGS, NOTE, N };
static const char open_pump[] =
    "{'type':'object','properties':{'time':{'type':'string','format':'date-time'},"
    "'pressure':{'type':'number'}}}";
#define T "2026-01-02T03:04:05Z"

static kit csv_open(const char *schema_text, decode_options options)
{
    options.format = DECODE_CSV;
    return kit_open(schema_text, options);
}

static void take(kit *k, const char *body, uint32_t rows, size_t rejects)
{
    run(k, body);
    expect(k, rows, rejects);
}

static void expect_number(const kit *k, uint32_t col, uint32_t row, double want)
{
    double got = ((const double *)k->r.rows.columns[col].values)[row];
    assert_false(column_is_null(&k->r.rows.columns[col], row));
    assert_true(got == want || (isnan(got) && isnan(want)));
}

static void corners(void **state)
{
    (void)state;
    kit k = csv_open(pump, (decode_options){0});
    take(&k,
         "\xef\xbb\xbftime, device ,pressure\r\n" T ",\"a \"\"b\"\",\r\nc\",1.5\r\n\r\n" T ",,\r\n" T
         ",\"\", -2e1 ",
         3, 0);
    expect_text(&k, DEVICE, 0, "a \"b\",\r\nc");
    expect_number(&k, PRESSURE, 0, 1.5);
    assert_true(null_at(&k, DEVICE, 1) && null_at(&k, PRESSURE, 1));
    assert_false(column_is_present(&k.r.rows.columns[DEVICE], 1));
    expect_text(&k, DEVICE, 2, "");
    expect_number(&k, PRESSURE, 2, -20);
    take(&k, "time,note\n" T ",\n" T ",x\n", 2, 0);
    assert_true(null_at(&k, NOTE, 0) && column_is_present(&k.r.rows.columns[NOTE], 0));
    take(&k, "time\n", 0, 0);
    take(&k, "time", 0, 0);
    take(&k, "time,device\n" T ", x ", 1, 0);
    expect_text(&k, DEVICE, 0, " x ");
    kit_close(&k);
}

static void types(void **state)
{
    (void)state;
    kit k = csv_open(pump, (decode_options){0});
    take(&k,
         "time,pressure,count,on,tags\n" T ",NaN,5.0,TRUE,\"{ \"\"a\"\" : 1 }\"\n" T ",-inf,+7,0,\n" T
         ",Infinity,,false,{}\n",
         2, 1);
    expect_number(&k, PRESSURE, 0, NAN);
    expect_number(&k, PRESSURE, 1, -INFINITY);
    expect_text(&k, TAGS, 0, "{\"a\":1}");
    assert_true(bitmap_get(k.r.rows.columns[ON].values, 0));
    assert_string_equal(k.r.rejects[0].code, "maximum");
    assert_int_equal(((const int64_t *)k.r.rows.columns[COUNT].values)[1], 7);
    take(&k, "time,pressure\n" T ",1x\n" T ",0x10\n" T ",1 2\n" T ",--1\n" T ",.5\n" T ",nanx\n", 0, 6);
    take(&k, "time,count\n" T ",1.5\n" T ",nan\n" T ",9223372036854775808\n", 0, 3);
    take(&k, "time,on\n" T ",yes\n" T ",2\n", 0, 2);
    take(&k, "time,tags\n" T ",[]\n" T ",{\n" T ",\"{\"\"a\"\":1,\"\"a\"\":2}\"\n", 0, 3);
    take(&k, "time,n\n" T ",13\n" T ",14\n", 1, 1);
    take(&k, "time,device\n" T ",\xff\n,x\nyesterday,x\n" T ",1234567890123456789012345678901\n", 0, 4);
    static const char *const codes[] = {"csv", "required", "format", "max_length"};
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(k.r.rejects[i].code, codes[i]);
    kit_close(&k);
}

static void broken_records_cost_their_line(void **state)
{
    (void)state;
    kit k = csv_open(pump, (decode_options){0});
    static const char *const bad[] = {T ",\"open", T ",\"x\"y", T ",x\"y",     T,
                                      T ",a,b",    "\"" T ",a", T ",\"a\nb\"c"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char body[400];
        snprintf(body, sizeof body, "time,device\n" T ",a\n%s\n" T ",b\n" T ",c\n", bad[i]);
        bool two_lines = strchr(bad[i], '\n') != NULL; /* its second line is a bad record of its own */
        take(&k, body, 3, two_lines ? 2 : 1);
        assert_string_equal(k.r.rejects[0].code, "csv");
        assert_int_equal(k.r.rejects[0].row, 2);
        assert_int_equal(k.r.rejects[0].line, two_lines ? 4 : 3); /* where the fault is */
        expect_text(&k, DEVICE, 1, "b");
        expect_text(&k, DEVICE, 2, "c");
    }
    kit_close(&k);
}

static void headers(void **state)
{
    (void)state;
    kit k = csv_open(pump, (decode_options){0});
    static const char *const bad[] = {"", "time,nope\n", "time,time\n", "time,\"dev\n", "time,\xff\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        run_n(&k, bad[i], strlen(bad[i]));
        assert_int_equal(k.class, STATUS_INVALID);
    }
    k.context.header_costs_rows = true; /* of a source: nobody is there who could be told */
    take(&k, "time,nope\n" T ",1\n\n" T ",\"x\n", 0, 2);
    assert_string_equal(k.r.rejects[1].code, "csv");
    assert_string_equal(k.r.rejects[1].detail, "csv: the store has no column nope");
    assert_int_equal(k.r.header, sizeof "time,nope\n" - 1);
    take(&k, "time,\xff\n" T ",1\n", 0, 1);
    take(&k, "time,device\n" T ",1\n", 1, 0);
    kit_close(&k);
    k = csv_open(pump, (decode_options){.keep_unmapped = true});
    take(&k, "time,nope,device\n" T ",1,x\n", 1, 0);
    expect_text(&k, DEVICE, 0, "x");
    kit_close(&k);
    static const char *const given[] = {"device", "time"};
    k = csv_open(pump, (decode_options){.csv_columns = given, .n_csv_columns = 2});
    take(&k, "x," T "\n", 1, 0);
    expect_text(&k, DEVICE, 0, "x");
    kit_close(&k);
    k = csv_open(open_pump, (decode_options){0});
    take(&k, "time,x y,pressure,z\n" T ",\"a\"\"\n\",1,\n" T ",,1,\n", 2, 0);
    expect_text(&k, 2, 0, "{\"x y\":\"a\\\"\\n\"}");
    assert_true(null_at(&k, 2, 1));
    kit_close(&k);
}

static void mapping(void **state)
{
    (void)state;
    static const decode_map map[] = {{.column = "time", .from = "t", .time = DECODE_TIME_UNIX_S},
                                     {.column = "pressure", .from = "P", .scale = 0.1},
                                     {.column = "count", .scale = 10, .offset = 1}};
    kit k = csv_open(pump, (decode_options){.separator = ';', .decimal_comma = true, .map = map, .n_map = 3});
    take(&k, "t;P;count;device\n1,5;12,5;2;a,b\n-1;1;2,05;x\n2;5000;;\n", 1, 2);
    assert_int_equal(((const int64_t *)k.r.rows.columns[TIME].values)[0], 1500000);
    expect_number(&k, PRESSURE, 0, 1.25);
    assert_int_equal(((const int64_t *)k.r.rows.columns[COUNT].values)[0], 21);
    expect_text(&k, DEVICE, 0, "a,b");
    assert_string_equal(k.r.rejects[0].code, "type");
    assert_string_equal(k.r.rejects[1].code, "maximum");
    kit_close(&k);
    static const decode_map utc[] = {{.column = "time", .time = DECODE_TIME_ISO_UTC}};
    k = csv_open(pump, (decode_options){.map = utc, .n_map = 1});
    take(&k, "time\n1970-01-01 00:00:01\n1970-01-01T00:00:02\n1970-01-01T00:00:03+00:00\n", 3, 0);
    for (int64_t i = 0; i < 3; i++)
        assert_int_equal(((const int64_t *)k.r.rows.columns[TIME].values)[i], (i + 1) * 1000000);
    kit_close(&k);
}

static void limits(void **state)
{
    (void)state;
    kit k = csv_open(pump, (decode_options){.limits = {.rows = 2, .row_bytes = 40, .text_bytes = 25}});
    take(&k, "time\n" T "\n" T "\n", 2, 0);
    run_n(&k, "time\n" T "\n" T "\n" T "\n", 68);
    assert_int_equal(k.class, STATUS_LIMIT);
    take(&k, "time,device,note\n" T ",12345678,1234567890\n", 1, 0);
    take(&k, "time,device,note\n" T ",12345678,12345678901\n", 0, 1);
    assert_string_equal(k.r.rejects[0].detail, "the row is longer than the limit");
    kit_close(&k);
    k = csv_open(pump, (decode_options){.limits = {.text_bytes = 20}});
    take(&k, "time,device\n" T ",12345678901234567890\n" T ",123456789012345678901\n", 1, 1);
    assert_string_equal(k.r.rejects[0].code, "too_long");
    kit_close(&k);
    text wide = {0};
    k = csv_open(open_pump, (decode_options){0});
    text_add(&wide, "time");
    for (int i = 1; i < DECODE_CSV_COLUMNS_MAX; i++)
        text_printf(&wide, ",c%d", i);
    run_n(&k, wide.data, wide.len);
    assert_int_equal(k.class, STATUS_OK);
    text_add(&wide, ",one_more");
    run_n(&k, wide.data, wide.len);
    assert_int_equal(k.class, STATUS_LIMIT);
    text_free(&wide);
    kit_close(&k);
}

/* Cells of any text, written by the rules, come back. */
static void round_trip(void **state)
{
    (void)state;
    static const char *const pieces[] = {"a", "\"", ",", "\n", "\r\n", " ", "\xc3\xa9", "\r"};
    random_seeded r = {test_seed()};
    kit k = csv_open(pump, (decode_options){0});
    for (unsigned round = 0; round < 300; round++) {
        text body = {0}, cells[8] = {{0}};
        text_add(&body, "device,time\n");
        for (unsigned row = 0; row < 8; row++) {
            text_add(&cells[row], "x");
            for (uint64_t n = random_seeded_next(&r) % 10; n > 0; n--)
                text_add(&cells[row], pieces[random_seeded_next(&r) % 8]);
            text_add_char(&body, '"');
            for (const char *p = cells[row].data; *p; p++)
                text_add_n(&body, *p == '"' ? "\"\"" : p, *p == '"' ? 2 : 1);
            text_add(&body, "\"," T "\r\n");
        }
        take(&k, body.data, 8, 0);
        for (uint32_t row = 0; row < 8; row++) {
            expect_text(&k, DEVICE, row, cells[row].data);
            text_free(&cells[row]);
        }
        text_free(&body);
    }
    kit_close(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(corners),
        cmocka_unit_test(types),
        cmocka_unit_test(broken_records_cost_their_line),
        cmocka_unit_test(headers),
        cmocka_unit_test(mapping),
        cmocka_unit_test(limits),
        cmocka_unit_test(round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
