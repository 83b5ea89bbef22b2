/* Rows as JSON, ids and refused rows: what the SDK does for sinks. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "penstock/sink.h"
#include "support/check.h"

static pst_error error = {.struct_size = sizeof error};

static void release(pst_batch *b)
{
    b->array.release(&b->array);
    b->schema.release(&b->schema);
}

static void build(pst_batch *out, const int64_t *times, const double *numbers, uint32_t n)
{
    pst_builder *b = pst_builder_create();
    int time = pst_builder_column(b, "time", PST_TIME), x = pst_builder_column(b, "x\"", PST_NUMBER);
    int word = pst_builder_column(b, "word", PST_TEXT), doc = pst_builder_column(b, "doc", PST_JSON);
    int flag = pst_builder_column(b, "flag", PST_BOOLEAN), seq = pst_builder_column(b, "_seq", PST_INTEGER);
    for (uint32_t i = 0; i < n; i++) {
        pst_builder_set_int(b, time, times[i]);
        pst_builder_set_real(b, x, numbers[i]);
        if (i % 2 == 0)
            pst_builder_set_text(b, word, "a\"b\\c\nd\x01 \xc3\xa9");
        pst_builder_set_text(b, doc, "{\"k\":[1,null]}");
        pst_builder_set_flag(b, flag, i % 2);
        pst_builder_set_int(b, seq, INT64_MAX - i);
        pst_builder_row(b);
    }
    *out = (pst_batch){.struct_size = sizeof *out};
    assert_int_equal(pst_builder_finish(b, NULL, (pst_bytes){0}, 0, out, &error), PST_OK);
    pst_builder_free(b);
}

static void rows_become_objects(void **state)
{
    (void)state;
    pst_batch b;
    pst_rows rows;
    pst_text out = {0};
    build(&b, (int64_t[]){INT64_C(1767225600000001), 0}, (double[]){0.1, NAN}, 2);
    assert_int_equal(pst_rows_open(&b.schema, &b.array, &rows, &error), PST_OK);
    assert_int_equal(rows.n_rows, 2);
    pst_row_json(&rows, 0, 0, &out);
    assert_string_equal(out.data, "{\"time\":\"2026-01-01T00:00:00.000001Z\",\"x\\\"\":0.1,\"word\":"
                                  "\"a\\\"b\\\\c\\u000ad\\u0001 \xc3\xa9\",\"doc\":{\"k\":[1,null]},"
                                  "\"flag\":false,\"_seq\":9223372036854775807}");
    pst_text_clear(&out);
    pst_row_json(&rows, 1, 0, &out);
    assert_string_equal(out.data, "{\"time\":\"1970-01-01T00:00:00.000000Z\",\"x\\\"\":\"NaN\",\"word\":null,"
                                  "\"doc\":{\"k\":[1,null]},\"flag\":true,\"_seq\":9223372036854775806}");
    pst_text_clear(&out);
    pst_rows_hide(&rows, "doc");
    pst_rows_hide(&rows, "no such column");
    pst_rows_hide(&rows, "_seq");
    assert_int_equal(pst_row_seq(&rows, 0), 0);
    pst_row_json(&rows, 1, PST_ROW_SKIP_NULLS | PST_ROW_SPACE_TIMES | PST_ROW_FINITE, &out);
    assert_string_equal(out.data, "{\"time\":\"1970-01-01 00:00:00.000000\",\"x\\\"\":null,\"flag\":true}");
    assert_false(out.failed);
    pst_text_free(&out);
    pst_rows_close(&rows);
    release(&b);
}

/* The calendar from the first to the last year, leap days and moments before 1970. */
static void times_are_those_of_the_calendar(void **state)
{
    static const struct {
        int64_t us;
        const char *text;
    } known[] = {{INT64_C(-62135596800000000), "\"0001-01-01T00:00:00.000000Z\""},
                 {INT64_C(253402300799999999), "\"9999-12-31T23:59:59.999999Z\""},
                 {-1, "\"1969-12-31T23:59:59.999999Z\""},
                 {INT64_C(951782400000000), "\"2000-02-29T00:00:00.000000Z\""},
                 {INT64_C(951868800000000), "\"2000-03-01T00:00:00.000000Z\""},
                 {INT64_C(-2203891200000000), "\"1900-03-01T00:00:00.000000Z\""},
                 {INT64_C(1709251199000000), "\"2024-02-29T23:59:59.000000Z\""}};
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        pst_batch b;
        pst_rows rows;
        pst_text out = {0};
        build(&b, &known[i].us, (double[]){1}, 1);
        assert_int_equal(pst_rows_open(&b.schema, &b.array, &rows, &error), PST_OK);
        pst_cell_json(pst_rows_find(&rows, "time"), 0, 0, &out);
        assert_string_equal(out.data, known[i].text);
        pst_text_free(&out);
        pst_rows_close(&rows);
        release(&b);
    }
}

static void numbers_read_back(void **state)
{
    static const double numbers[] = {0.1, 1e300, -5e-324, 1.0 / 3, 123456789012345680.0, -0.0, 4096};
    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        pst_batch b;
        pst_rows rows;
        pst_text out = {0};
        build(&b, (int64_t[]){0}, &numbers[i], 1);
        assert_int_equal(pst_rows_open(&b.schema, &b.array, &rows, &error), PST_OK);
        pst_cell_json(pst_rows_find(&rows, "x\""), 0, 0, &out);
        assert_true(strtod(out.data, NULL) == numbers[i]);
        assert_true(out.len <= 24);
        pst_text_free(&out);
        pst_rows_close(&rows);
        release(&b);
    }
}

static void rows_have_ids_and_are_refused(void **state)
{
    (void)state;
    char id[PST_ROW_ID_SIZE], longest[200];
    pst_host host = {.struct_size = sizeof host, .workspace = "ws_1"};
    pst_outgoing out = {.struct_size = sizeof out, .store = "datastore:a"};
    assert_int_equal(pst_row_id(&host, &out, UINT64_MAX, id),
                     strlen("ws_1/datastore:a/18446744073709551615"));
    assert_string_equal(id, "ws_1/datastore:a/18446744073709551615");
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    host.workspace = out.store = longest;
    assert_true(pst_row_id(&host, &out, UINT64_MAX, id) < sizeof id);
    pst_refused refused[2];
    size_t n = 0;
    assert_true(pst_refuse(refused, 2, &n, 7, "too %s", "old"));
    assert_true(pst_refuse(refused, 2, &n, 8, "%0400d", 1));
    assert_false(pst_refuse(refused, 2, &n, 9, "no room"));
    assert_int_equal(n, 2);
    assert_int_equal(refused[0].row, 7);
    assert_string_equal(refused[0].reason, "too old");
    assert_int_equal(strlen(refused[1].reason), sizeof refused[1].reason - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_become_objects), cmocka_unit_test(times_are_those_of_the_calendar),
        cmocka_unit_test(numbers_read_back), cmocka_unit_test(rows_have_ids_and_are_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
