/* Tables, CSV, NDJSON and JSON from the same values. */
#include "support/check.h"

#include <string.h>

#include "output.h"

static status st;

static const char list[] = "[{\"key\":\"a\",\"n\":1.5,\"in\":{\"x\":true,\"far_off\":1}},"
                           "{\"key\":\"b,\\\"c\",\"n\":null,\"in\":{\"x\":[1,{\"name\":\"y\"}]},\"bad\":"
                           "\"e\\u001b[31m\\tf\\u009b\"}]";

static char *printed(output out, const char *columns, status_class expected)
{
    char *data = NULL;
    size_t size;
    json_t *items = json_loads(list, 0, NULL);
    out.to = open_memstream(&data, &size);
    assert_int_equal(output_items(&out, columns, items, NULL, &st), expected);
    fclose(out.to);
    json_decref(items);
    return data;
}

static void printed_is(output out, const char *columns, const char *expected)
{
    char *got = printed(out, columns, STATUS_OK);
    assert_string_equal(got, expected);
    free(got);
}

static void forms_of_a_list(void **state)
{
    (void)state;
    printed_is((output){.headers = true}, "key,n,in.x", "key\tn\tx\na\t1.5\ttrue\nb,\"c\t\t1, y\n");
    printed_is((output){.headers = true, .aligned = true}, "key,n,in.x",
               "key   n    x\na     1.5  true\nb,\"c       1, y\n");
    printed_is((output){.headers = true}, "key,in.far_off", "key\tfar off\na\t1\nb,\"c\t\n");
    printed_is((output){.headers = true, .columns = "in.far_off"}, "key", "in.far_off\n1\n\n");
    printed_is((output){.headers = true, .format = OUTPUT_CSV}, "in.far_off", "in.far_off\n1\n\n");
    printed_is((output){.headers = true, .format = OUTPUT_CSV}, "key,n", "key,n\na,1.5\n\"b,\"\"c\",\n");
    printed_is((output){.format = OUTPUT_CSV}, "n,key", "1.5,a\n,\"b,\"\"c\"\n");
    printed_is((output){.headers = true, .names_only = true}, "key,n", "a\nb,\"c\n");
    printed_is((output){.headers = true, .columns = "n,key"}, "key", "n\tkey\n1.5\ta\n\tb,\"c\n");
    printed_is((output){.headers = true, .color = true, .aligned = true, .columns = "n"}, "key",
               "\033[1mn\n\033[0m1.5\n\n");
}

static void json_keeps_numbers_short(void **state)
{
    (void)state;
    char *data = NULL;
    size_t size;
    json_t *items = json_loads("[{\"a\":0.1,\"b\":[],\"c\":9007199254740993}]", 0, NULL);
    output out = {.to = open_memstream(&data, &size), .format = OUTPUT_JSON};
    assert_int_equal(output_items(&out, "a", items, NULL, &st), STATUS_OK);
    out.format = OUTPUT_NDJSON;
    assert_int_equal(output_items(&out, "a", items, NULL, &st), STATUS_OK);
    fclose(out.to);
    assert_string_equal(data, "{\n  \"items\": [\n    {\n      \"a\": 0.1,\n      \"b\": [],\n"
                              "      \"c\": 9007199254740993\n    }\n  ]\n}\n"
                              "{\"a\":0.1,\"b\":[],\"c\":9007199254740993}\n");
    free(data);
    json_decref(items);
}

static void terminals_are_not_written_to_by_data(void **state)
{
    (void)state;
    printed_is((output){.headers = false}, "bad", "\ne [31m f  \n");
}

static void unknown_columns_are_refused(void **state)
{
    (void)state;
    free(printed((output){.columns = "key,nn"}, "key", STATUS_INVALID));
    assert_non_null(strstr(st.text, "`nn`"));
}

static void rows_choose_columns(void **state)
{
    (void)state;
    char *data = NULL;
    size_t size;
    json_t *names = json_pack("[s,s]", "t", "v"), *rows = json_loads("[[\"x\",1],[\"y\",null]]", 0, NULL);
    output out = {.to = open_memstream(&data, &size), .headers = true, .format = OUTPUT_CSV, .columns = "v"};
    assert_int_equal(output_rows(&out, names, rows, NULL, &st), STATUS_OK);
    out.columns = NULL;
    out.format = OUTPUT_NDJSON;
    assert_int_equal(output_rows(&out, names, rows, NULL, &st), STATUS_OK);
    out.format = OUTPUT_CSV;
    out.columns = "v,w";
    assert_int_equal(output_rows(&out, names, rows, NULL, &st), STATUS_INVALID);
    fclose(out.to);
    assert_string_equal(data, "v\n1\n\n{\"t\":\"x\",\"v\":1}\n{\"t\":\"y\",\"v\":null}\n");
    free(data);
    json_decref(names);
    json_decref(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_of_a_list),
        cmocka_unit_test(json_keeps_numbers_short),
        cmocka_unit_test(terminals_are_not_written_to_by_data),
        cmocka_unit_test(unknown_columns_are_refused),
        cmocka_unit_test(rows_choose_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
