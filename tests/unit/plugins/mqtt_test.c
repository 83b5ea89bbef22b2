/* Parts of the mqtt connector: what is in flight and its cursor, and Sparkplug B payloads. */
#include "support/check.h"

#include <string.h>

#include "flight.h"
#include "plugin_bench.h"
#include "sparkplug.h"

/* ---- flight ---- */

static void test_answers_wait_for_their_batch(void **state)
{
    (void)state;
    flight f = {0};
    outgoing out = {0};
    uint8_t first[FLIGHT_CURSOR_MAX], second[FLIGHT_CURSOR_MAX];
    assert_true(flight_open(&f, 7, "", 0));
    assert_true(flight_add(&f, 1, 10) && flight_add(&f, 2, 11) && flight_add(&f, 0, 0));
    size_t n = flight_cut(&f, first);
    assert_true(flight_add(&f, 1, 12));
    size_t m = flight_cut(&f, second);
    assert_int_equal(out.len, 0);
    assert_true(flight_answer_up_to(&f, first, n, &out));
    assert_int_equal(out.len, 8);
    assert_memory_equal(out.data, "\x40\2\0\x0a\x50\2\0\x0b", 8);
    assert_true(flight_answer_up_to(&f, second, m, &out));
    assert_int_equal(out.len, 12);
    assert_false(flight_answer_up_to(&f, "else", 4, &out));
    flight_free(&f);
    outgoing_free(&out);
}

/* An identifier of QoS 2 stays in the cursor until it is released; another broker's cursor holds none. */
static void test_cursor_holds_what_is_not_released(void **state)
{
    static const unsigned counts[] = {1, 4095, 4096, 65535};
    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        static uint8_t cursor[FLIGHT_CURSOR_MAX];
        flight f = {0}, again = {0};
        assert_true(flight_open(&f, 7, "", 0));
        for (unsigned id = 1; id <= counts[i]; id++)
            assert_true(flight_add(&f, 2, (uint16_t)id));
        size_t len = flight_cut(&f, cursor);
        assert_true(flight_open(&again, 7, cursor, len));
        assert_int_equal(again.n_held, counts[i]);
        assert_true(flight_holds(&again, (uint16_t)counts[i]) && !flight_waits(&again, 1));
        assert_true(flight_release(&again, 1) && !flight_holds(&again, 1));
        assert_true(flight_open(&again, 8, cursor, len));
        assert_int_equal(again.n_held, 0);
        assert_false(flight_open(&again, 7, cursor, len - 1));
        flight_free(&f);
        flight_free(&again);
    }
}

/* ---- Sparkplug ---- */

static int64_t at_zero(const pst_host *host)
{
    (void)host;
    return 1000000;
}

typedef struct plant {
    pst_host host;
    pst_builder *builder;
    sparkplug *s;
    pst_batch batch;
} plant;

static void plant_open(plant *p)
{
    *p = (plant){.host = {.struct_size = sizeof(pst_host), .now_us = at_zero, .wall_us = at_zero}};
    p->builder = pst_builder_create();
    p->s = sparkplug_create(&p->host, p->builder);
    assert_non_null(p->s);
}

static void plant_close(plant *p)
{
    plugin_bench_release(&p->batch);
    sparkplug_free(p->s);
    pst_builder_free(p->builder);
}

static uint32_t take(plant *p, const char *topic, const char *payload, size_t len, uint32_t from,
                     uint32_t most)
{
    uint32_t next;
    sparkplug_take(p->s, (mqtt_span){topic, strlen(topic)}, (mqtt_span){payload, len}, from, most, &next);
    return next;
}
#define TAKE(p, topic, bytes) take(p, topic, bytes, sizeof(bytes) - 1, 0, 100)

static void finish(plant *p)
{
    plugin_bench_release(&p->batch);
    p->batch = plugin_bench_batch();
    assert_int_equal(pst_builder_finish(p->builder, NULL, (pst_bytes){"", 0}, 0, &p->batch, NULL), PST_OK);
}

static double value_at(const plant *p, uint32_t row)
{
    pst_column c;
    assert_int_equal(pst_column_find(&p->batch.schema, &p->batch.array, "value", &c, NULL), PST_OK);
    assert_false(pst_column_null(&c, row));
    return pst_column_real(&c, row);
}

static void check_text(const plant *p, const char *column, uint32_t row, const char *expected)
{
    pst_column c;
    assert_int_equal(pst_column_find(&p->batch.schema, &p->batch.array, column, &c, NULL), PST_OK);
    pst_bytes b = pst_column_bytes(&c, row);
    assert_int_equal(b.len, strlen(expected));
    assert_memory_equal(b.data, expected, b.len);
}

/* timestamp 1000 ms, seq 0; "rpm" = alias 5, int32, 7; "name" = alias 6, string "p1" */
#define BIRTH                                                                                               \
    "\x08\xe8\x07\x12\x0b\x0a\x03rpm\x10\x05\x20\x03\x50\x07\x12\x0e\x0a\x04name\x10\x06\x20\x0c\x7a\x02p1" \
    "\x18\x00"
/* seq 1; alias 5 = -2 as int32 */
#define DATA "\x12\x0a\x10\x05\x20\x03\x50\xfe\xff\xff\xff\x0f\x18\x01"

static void test_births_name_what_follows(void **state)
{
    (void)state;
    plant p;
    plant_open(&p);
    assert_int_equal(TAKE(&p, "spBv1.0/g/NBIRTH/n", BIRTH), 0);
    assert_int_equal(TAKE(&p, "spBv1.0/g/DDATA/n/d", DATA), 0);
    finish(&p);
    assert_int_equal(p.batch.array.length, 3);
    assert_int_equal(p.batch.n_rejects, 0);
    assert_true(value_at(&p, 0) == 7 && value_at(&p, 2) == -2);
    check_text(&p, "metric", 2, "rpm");
    check_text(&p, "device_id", 2, "d");
    check_text(&p, "text", 1, "p1");
    char topic[600];
    uint8_t payload[64];
    size_t len;
    assert_false(sparkplug_rebirth(p.s, topic, payload, &len));
    plant_close(&p);
}

static void test_missed_births_are_asked_for(void **state)
{
    (void)state;
    plant p;
    char topic[600];
    uint8_t payload[64];
    size_t len;
    plant_open(&p);
    TAKE(&p, "spBv1.0/g/NDATA/n", DATA);
    finish(&p);
    assert_int_equal(p.batch.array.length, 0);
    assert_int_equal(p.batch.n_rejects, 1);
    assert_true(sparkplug_rebirth(p.s, topic, payload, &len));
    assert_string_equal(topic, "spBv1.0/g/NCMD/n");
    assert_int_equal(len, 28);
    assert_int_equal(payload[1], len - 2);
    assert_false(sparkplug_rebirth(p.s, topic, payload, &len)); /* not again at once */
    TAKE(&p, "spBv1.0/g/NBIRTH/n", BIRTH);
    TAKE(&p, "spBv1.0/g/NDATA/n", DATA);
    finish(&p);
    assert_int_equal(p.batch.array.length, 3);
    plant_close(&p);
}

static void test_parts_deaths_and_what_is_none(void **state)
{
    (void)state;
    plant p;
    plant_open(&p);
    assert_int_equal(take(&p, "spBv1.0/g/NBIRTH/n", BIRTH, sizeof BIRTH - 1, 0, 1), 1);
    assert_int_equal(take(&p, "spBv1.0/g/NBIRTH/n", BIRTH, sizeof BIRTH - 1, 1, 1), 0);
    TAKE(&p, "spBv1.0/g/NDEATH/n", "");
    TAKE(&p, "spBv1.0/g/NCMD/n", "x");
    finish(&p);
    assert_int_equal(p.batch.array.length, 3);
    check_text(&p, "metric", 2, "online");
    assert_true(value_at(&p, 2) == 0);
    TAKE(&p, "else/where", DATA);
    for (size_t cut = 1; cut < sizeof BIRTH - 1; cut++) /* whatever is missing, nothing beyond it is read */
        take(&p, "spBv1.0/g/NBIRTH/n", BIRTH, cut, 0, 100);
    finish(&p);
    assert_true(p.batch.n_rejects > 1);
    plant_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_wait_for_their_batch),
        cmocka_unit_test(test_cursor_holds_what_is_not_released),
        cmocka_unit_test(test_births_name_what_follows),
        cmocka_unit_test(test_missed_births_are_asked_for),
        cmocka_unit_test(test_parts_deaths_and_what_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
