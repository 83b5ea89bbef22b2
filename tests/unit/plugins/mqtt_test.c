/* Parts of the mqtt connector: what is in flight and its cursor, and Sparkplug B payloads. */
#include "support/check.h"

#include <string.h>

#include "flight.h"
#include "follow.h"
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

/* Brokers that take turns: each one's identifiers wait for its return, and outlive a crash. */
static void test_what_other_brokers_hold_is_parked(void **state)
{
    static uint8_t cursor[FLIGHT_CURSOR_MAX];
    (void)state;
    flight f = {0}, again = {0};
    assert_true(flight_open(&f, 1, "", 0));
    for (uint64_t place = 1; place <= 4; place++) {
        assert_true(flight_move(&f, place));
        assert_int_equal(f.n_held, 0);
        for (unsigned id = 1; id <= (place == 2 ? 65535 : place); id++)
            assert_true(flight_add(&f, 2, (uint16_t)(id + (place == 2 ? 0 : 100 * place))));
        assert_false(flight_is_quiet(&f));
    }
    size_t len = flight_cut(&f, cursor);
    assert_true(len <= FLIGHT_CURSOR_MAX);
    flight_free(&f);
    for (uint64_t place = 4; place; place--) {
        assert_true(flight_open(&again, place, cursor, len));
        assert_int_equal(again.n_held, place == 2 ? 65535 : place);
        assert_true(place == 2 || flight_holds(&again, (uint16_t)(100 * place + 1)));
        assert_true(flight_is_quiet(&again));
        len = flight_cut(&again, cursor);
    }
    assert_true(flight_move(&again, 5) &&
                again.n_held == 0); /* one too many: the one parked first is forgotten */
    assert_true(flight_add(&again, 2, 9) && flight_move(&again, 6) && flight_move(&again, 5));
    assert_true(again.n_held == 1 && flight_holds(&again, 9));
    assert_true(flight_move(&again, 1) && flight_holds(&again, 101));
    for (size_t cut = 1; cut < 40; cut++)
        assert_false(flight_open(&f, 1, cursor, len - cut));
    flight_free(&f);
    flight_free(&again);
}

/* ---- Following ---- */

static struct {
    char key[64], value[PST_STATE_VALUE_MAX];
    size_t len;
} kept[4];

static size_t slot_of(const char *key)
{
    size_t i = 0;
    while (i < 3 && kept[i].key[0] && strcmp(kept[i].key, key) != 0)
        i++;
    return i;
}

static pst_status keep_get(const pst_host *host, const pst_call *call, const char *key, void *out, size_t cap,
                           size_t *len, uint64_t *version, pst_error *error)
{
    (void)host, (void)call, (void)cap, (void)error;
    size_t i = slot_of(key);
    memcpy(out, kept[i].value, kept[i].len);
    *len = kept[i].len;
    *version = kept[i].key[0] != 0;
    return PST_OK;
}

static pst_status keep_put(const pst_host *host, const pst_call *call, const char *key, pst_bytes value,
                           uint64_t if_version, int64_t expires_us, uint64_t *version, pst_error *error)
{
    (void)host, (void)call, (void)if_version, (void)expires_us, (void)version, (void)error;
    size_t i = slot_of(key);
    snprintf(kept[i].key, sizeof kept[i].key, "%s", key);
    memcpy(kept[i].value, value.data, value.len);
    kept[i].len = value.len;
    return PST_OK;
}

static const void *state_service(const pst_host *host, const char *id)
{
    static const pst_state_service service = {
        .struct_size = sizeof service, .get = keep_get, .put = keep_put};
    (void)host;
    return !strcmp(id, PST_SERVICE_STATE) ? &service : NULL;
}

static void no_log(const pst_host *host, int32_t level, const char *text, const pst_field *fields, size_t n)
{
    (void)host, (void)level, (void)text, (void)fields, (void)n;
}

static int64_t at_ten(const pst_host *host)
{
    (void)host;
    return 10000000;
}

/* How many packets of a kind wait to be sent. */
static unsigned packets(const outgoing *out, unsigned kind)
{
    unsigned n = 0;
    for (size_t at = 0; at < out->len;) {
        size_t len = 0, shift = 0, i = at + 1;
        do
            len |= (size_t)(out->data[i] & 127) << shift;
        while (shift += 7, out->data[i++] > 127);
        n += out->data[at] >> 4 == kind;
        at = i + len;
    }
    return n;
}

/* Things are seen up to the limit, remembered, and poked; what is no longer wanted is taken back. */
static void test_things_are_followed(void **state)
{
    enum { SUBSCRIBE = 8, UNSUBSCRIBE = 10, PUBLISH = 3 };
    static const pst_host host = {
        .struct_size = sizeof host, .get_service = state_service, .log = no_log, .now_us = at_ten};
    static settings set = {.host = &host,
                           .version = MQTT_5,
                           .n_brokers = 1,
                           .filters = {"a/#", "b/#"},
                           .n_filters = 2,
                           .follow = {{.seen = "n/+/serial",
                                       .topics = {"n/{1}/state"},
                                       .n_topics = 1,
                                       .publish = "r/{1}/keepalive",
                                       .every_us = 1000000}},
                           .n_follow = 1};
    const pst_call call = {.struct_size = sizeof call, .cancel_fd = -1};
    pst_error error = {.struct_size = sizeof error};
    session s = {.set = &set, .broker = &set.brokers[0], .tcp = {.fd = -1}, .resumed = true};
    follow f;
    char topic[64];
    (void)state;
    memset(kept, 0, sizeof kept);
    follow_init(&f, &set);
    assert_int_equal(follow_begin(&f, &s, &call, &error), PST_OK);
    assert_int_equal(packets(&s.out, SUBSCRIBE), 2);
    for (unsigned i = 0; i <= FOLLOW_SEEN_MAX; i++) {
        snprintf(topic, sizeof topic, "n/d%u/serial", i);
        for (int twice = 0; twice < 2; twice++)
            follow_see(&f, &s, (mqtt_span){topic, strlen(topic)});
        assert_int_equal(packets(&s.out, SUBSCRIBE), 2 + (i < FOLLOW_SEEN_MAX ? i + 1 : FOLLOW_SEEN_MAX));
    }
    follow_tick(&f, &s, &call);
    follow_tick(&f, &s, &call); /* not yet due again */
    assert_int_equal(packets(&s.out, PUBLISH), FOLLOW_SEEN_MAX);
    follow_free(&f);
    outgoing_free(&s.out);

    s = (session){.set = &set, .broker = &set.brokers[0], .tcp = {.fd = -1}, .resumed = true};
    set.n_filters = 1; /* as after a restart, with another configuration */
    follow_init(&f, &set);
    assert_int_equal(follow_begin(&f, &s, &call, &error), PST_OK);
    assert_int_equal(packets(&s.out, UNSUBSCRIBE), 1);
    assert_int_equal(packets(&s.out, SUBSCRIBE), 1 + FOLLOW_SEEN_MAX);
    follow_free(&f);
    outgoing_free(&s.out);
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
        cmocka_unit_test(test_what_other_brokers_hold_is_parked),
        cmocka_unit_test(test_things_are_followed),
        cmocka_unit_test(test_births_name_what_follows),
        cmocka_unit_test(test_missed_births_are_asked_for),
        cmocka_unit_test(test_parts_deaths_and_what_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
