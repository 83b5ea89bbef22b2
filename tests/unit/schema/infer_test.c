/* First rows → a datastore's YAML. */
#include "support/check.h"

#include <string.h>

#include "schema/document.h"
#include "schema/infer.h"

static void rows_become_a_store(void **state)
{
    (void)state;
    status st;
    text yaml = {0};
    const char *rows =
        "[{\"time\":\"2026-01-01T00:00:00Z\",\"device_id\":\"p1\",\"pressure_bar\":3.5,\"n\":1,\"on\":true,"
        "\"note\":null,\"tags\":[1],\"x y\":\"a\"},"
        "{\"time\":\"2026-01-01T00:00:10Z\",\"device_id\":\"p2\",\"pressure_bar\":4,\"n\":2,\"on\":false,"
        "\"note\":\"hi\",\"tags\":[],\"x y\":5}]";
    json_t *array = document_parse(rows, strlen(rows), &st);
    assert_int_equal(schema_infer_rows("sensor_data", array, &yaml, &st), STATUS_OK);
    assert_string_equal(yaml.data, "# Guessed from 2 rows; read it before you use it.\n"
                                   "datastores:\n"
                                   "  sensor_data:\n"
                                   "    schema:\n"
                                   "      type: object\n"
                                   "      required: [time, device_id]\n"
                                   "      properties:\n"
                                   "        time: {type: string, format: date-time}\n"
                                   "        device_id: {type: string}\n"
                                   "        pressure_bar: {type: number, unit: bar}\n"
                                   "        \"n\": {type: integer}\n"
                                   "        \"on\": {type: boolean}\n"
                                   "        note: {type: [string, 'null']}\n"
                                   "        tags: {type: array}\n"
                                   "        \"x y\": {}\n"
                                   "    time: time\n"
                                   "    entity: [device_id]\n");
    json_decref(array);
    text_free(&yaml);
}

static void cells_become_a_store(void **state)
{
    (void)state;
    status st;
    text yaml = {0};
    static const char *const header[] = {"ts", "meter", "temp_c", "count", "day", "code"};
    static const char *const cells[] = {"2026-01-01T00:00:00Z", "m1", "20.5", "3",  "2026-01-01", "007",
                                        "2026-01-01T00:00:10Z", "m2", "NaN",  "-4", "2026-01-02", "12"};
    assert_int_equal(schema_infer_cells("meters", header, 6, cells, 2, &yaml, &st), STATUS_OK);
    assert_non_null(strstr(yaml.data, "ts: {type: string, format: date-time}\n"));
    assert_non_null(strstr(yaml.data, "temp_c: {type: number, unit: \"°C\"}\n"));
    assert_non_null(strstr(yaml.data, "count: {type: integer}\n"));
    assert_non_null(strstr(yaml.data, "day: {type: string, format: date}\n"));
    assert_non_null(strstr(yaml.data, "code: {type: string}\n"));
    assert_non_null(strstr(yaml.data, "entity: [meter]\n"));
    text_free(&yaml);
}

static void few_texts_are_an_enum(void **state)
{
    (void)state;
    status st;
    text yaml = {0};
    json_t *rows = json_array();
    for (int i = 0; i < 30; i++)
        json_array_append_new(rows, json_pack("{s:s,s:i}", "status", i % 3 ? "ok" : "no", "v", i));
    assert_int_equal(schema_infer_rows("s", rows, &yaml, &st), STATUS_OK);
    assert_non_null(strstr(yaml.data, "status: {type: string, enum: [\"no\", ok]}\n"));
    assert_non_null(strstr(yaml.data, "# time:"));
    json_decref(rows);
    text_free(&yaml);
}

static void bad_input_is_told(void **state)
{
    (void)state;
    status st;
    text yaml = {0};
    json_t *empty = json_array(), *odd = json_pack("[i]", 1), *row = json_pack("[{s:i}]", "a", 1);
    static const char *const twice[] = {"a", "a"};
    assert_int_equal(schema_infer_rows("s", empty, &yaml, &st), STATUS_INVALID);
    assert_int_equal(schema_infer_rows("s", odd, &yaml, &st), STATUS_INVALID);
    assert_int_equal(schema_infer_rows("S S", row, &yaml, &st), STATUS_INVALID);
    assert_int_equal(schema_infer_cells("s", twice, 2, NULL, 0, &yaml, &st), STATUS_INVALID);
    assert_int_equal(yaml.len, 0);
    json_decref(empty);
    json_decref(odd);
    json_decref(row);
    text_free(&yaml);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_become_a_store),
        cmocka_unit_test(cells_become_a_store),
        cmocka_unit_test(few_texts_are_an_enum),
        cmocka_unit_test(bad_input_is_told),
    };
    return cmocka_run_group_tests_name("infer", tests, NULL, NULL);
}
