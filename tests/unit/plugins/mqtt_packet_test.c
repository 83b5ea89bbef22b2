/* Packets of a broker, strictly: what is whole, what needs more bytes, what is too long, what is bad and why;
 * topic filters. */
#include "packet.h"

#include <string.h>

#include "support/check.h"

typedef struct cut {
    mqtt_cut cut;
    mqtt_packet packet;
    size_t taken;
    const char *why;
} cut;

static cut read_of(int version, size_t limit, const void *data, size_t len)
{
    cut c = {0};
    c.cut = mqtt_packet_read(data, len, version, limit, &c.packet, &c.taken, &c.why);
    return c;
}

#define READ(version, bytes) read_of(version, 1000, bytes, sizeof(bytes) - 1)
#define SPAN_IS(span, text)                                       \
    do {                                                          \
        assert_int_equal((span).len, sizeof(text) - 1);           \
        assert_memory_equal((span).data, text, sizeof(text) - 1); \
    } while (0)

static void test_publish(void **state)
{
    (void)state;
    cut c = READ(MQTT_3_1_1, "\x3d\x0a\0\3a/b\0\7xyz");
    assert_int_equal(c.cut, MQTT_WHOLE);
    assert_int_equal(c.taken, 12);
    assert_int_equal(c.packet.qos, 2);
    assert_int_equal(c.packet.id, 7);
    assert_true(c.packet.dup && c.packet.retain);
    SPAN_IS(c.packet.topic, "a/b");
    SPAN_IS(c.packet.payload, "xyz");
    c = READ(MQTT_5, "\x32\x0e\0\3a/b\0\7\2\1\1xyz!");
    assert_int_equal(c.cut, MQTT_WHOLE);
    SPAN_IS(c.packet.payload, "xyz!");
    c = READ(MQTT_3_1_1, "\x30\3\0\1t");
    assert_int_equal(c.cut, MQTT_WHOLE);
    assert_int_equal(c.packet.payload.len, 0);
}

static void test_prefixes_need_more(void **state)
{
    static const char bytes[] = "\x32\x0e\0\3a/b\0\7\2\1\1xyz!";
    (void)state;
    for (size_t n = 0; n < sizeof bytes - 1; n++)
        assert_int_equal(read_of(MQTT_5, 1000, bytes, n).cut, MQTT_MORE);
}

static void test_connack(void **state)
{
    (void)state;
    cut c = READ(MQTT_3_1_1, "\x20\2\1\0");
    assert_int_equal(c.cut, MQTT_WHOLE);
    assert_true(c.packet.session_present);
    c = READ(MQTT_3_1_1, "\x20\2\0\5");
    assert_int_equal(c.packet.reason, 5);
    assert_int_equal(READ(MQTT_3_1_1, "\x20\2\1\5").cut, MQTT_BAD);
    c = READ(MQTT_5, "\x20\x12\0\0\x0f\x13\0\x3c\x21\0\x14\x12\0\2id\x24\1\x29\1");
    assert_int_equal(c.cut, MQTT_WHOLE);
    assert_int_equal(c.packet.keepalive_s, 60);
    assert_int_equal(c.packet.receive_max, 20);
    assert_int_equal(c.packet.qos_max, 1);
    SPAN_IS(c.packet.client_id, "id");
}

static void test_limit(void **state)
{
    char packet[64] = "\x32\x28\0\3a/b\0\7"; /* 42 bytes in all */
    (void)state;
    assert_int_equal(read_of(MQTT_3_1_1, 43, packet, 42).cut, MQTT_WHOLE);
    assert_int_equal(read_of(MQTT_3_1_1, 42, packet, 42).cut, MQTT_WHOLE);
    cut c = read_of(MQTT_3_1_1, 41, packet, 20);
    assert_int_equal(c.cut, MQTT_LONG);
    assert_int_equal(c.taken, 42);
    assert_int_equal(c.packet.id, 7);
    assert_int_equal(c.packet.payload.len, 11); /* what there is */
    assert_int_equal(read_of(MQTT_3_1_1, 41, packet, 8).cut, MQTT_MORE);
    assert_int_equal(read_of(MQTT_5, 41, packet, 20).cut, MQTT_BAD);
}

static void test_bad(void **state)
{
    static const struct {
        int version;
        const char *bytes;
        size_t len;
    } cases[] = {
#define BAD(version, text) {version, text, sizeof(text) - 1}
        BAD(MQTT_3_1_1, "\x36\5\0\1t\0\1"),        /* QoS 3 */
        BAD(MQTT_3_1_1, "\x38\3\0\1t"),            /* DUP with QoS 0 */
        BAD(MQTT_3_1_1, "\x32\5\0\1t\0\0"),        /* identifier 0 */
        BAD(MQTT_3_1_1, "\x32\4\0\1t\0"),          /* half an identifier */
        BAD(MQTT_3_1_1, "\x30\2\0\0"),             /* no topic */
        BAD(MQTT_3_1_1, "\x30\5\0\3a/#"),          /* a wildcard */
        BAD(MQTT_3_1_1, "\x30\3\0\1\xff"),         /* no UTF-8 */
        BAD(MQTT_3_1_1, "\x30\3\0\1\0"),           /* U+0000 */
        BAD(MQTT_3_1_1, "\x30\5\0\3\xed\xa0\x80"), /* a surrogate */
        BAD(MQTT_3_1_1, "\x30\4\0\2\xc0\xaf"),     /* a longer form than needed */
        BAD(MQTT_3_1_1, "\x30\3\0\2t"),            /* a topic beyond the end */
        BAD(MQTT_3_1_1, "\x30\xff\xff\xff\xff\1"), /* a length of five bytes */
        BAD(MQTT_3_1_1, "\x40\3\0\1\0"),           /* PUBACK of 3.1.1 with a reason */
        BAD(MQTT_3_1_1, "\x60\2\0\1"),             /* PUBREL without its flag */
        BAD(MQTT_3_1_1, "\xd0\1x"),                /* PINGRESP with a body */
        BAD(MQTT_3_1_1, "\xd1\0"),                 /* … with a flag */
        BAD(MQTT_3_1_1, "\xe0\0"),                 /* only version 5 */
        BAD(MQTT_3_1_1, "\x10\0"),                 /* from a client */
        BAD(MQTT_3_1_1, "\0\0"),                   /* no kind */
        BAD(MQTT_3_1_1, "\x20\2\2\0"),             /* CONNACK with unknown flags */
        BAD(MQTT_5, "\x30\7\0\1t\3\x23\0\1"),      /* a topic alias */
        BAD(MQTT_5, "\x30\x08\0\1t\4\1\1\1\1"),    /* a property twice */
        BAD(MQTT_5, "\x30\6\0\1t\2\1\2"),          /* a flag of 2 */
        BAD(MQTT_5, "\x30\6\0\1t\2\x11\0"),        /* one of CONNACK */
        BAD(MQTT_5, "\x30\6\0\1t\2\x63\0"),        /* unknown */
        BAD(MQTT_5, "\x30\6\0\1t\x09\1\1"),        /* properties beyond the end */
        BAD(MQTT_5, "\x20\6\0\0\3\x21\0\0"),       /* receive maximum 0 */
#undef BAD
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cut c = read_of(cases[i].version, 1000, cases[i].bytes, cases[i].len);
        if (c.cut != MQTT_BAD)
            print_error("case %zu is not bad\n", i);
        assert_int_equal(c.cut, MQTT_BAD);
        assert_non_null(c.why);
    }
}

static void test_acks(void **state)
{
    (void)state;
    cut c = READ(MQTT_5, "\x62\7\0\2\x92\3\x1f\0\0");
    assert_int_equal(c.cut, MQTT_WHOLE);
    assert_int_equal(c.packet.id, 2);
    assert_int_equal(c.packet.reason, 0x92);
    assert_int_equal(READ(MQTT_5, "\x62\2\0\2").cut, MQTT_WHOLE);
    c = READ(MQTT_3_1_1, "\x90\5\0\1\2\x80\1");
    assert_int_equal(c.cut, MQTT_WHOLE);
    SPAN_IS(c.packet.codes, "\2\x80\1");
    c = READ(MQTT_5, "\xe0\x0b\x8e\x09\x1f\0\6taken!");
    assert_int_equal(c.packet.reason, 0x8e);
    SPAN_IS(c.packet.text, "taken!");
}

static void test_filters(void **state)
{
    static const struct {
        const char *filter, *topic;
        bool fits;
    } cases[] = {{"a/+/c", "a/b/c", true}, {"a/+/c", "a/b/d", false}, {"a/#", "a/b/c", true},
                 {"a/#", "a", true},       {"a/#", "ab", false},      {"#", "a/b", true},
                 {"#", "$SYS/x", false},   {"+/x", "$SYS/x", false},  {"$SYS/#", "$SYS/x", true},
                 {"a", "a/b", false},      {"a/b", "a", false},       {"a/+", "a/", true},
                 {"+", "a/b", false},      {"a/", "a/", true},        {"a/", "a", false},
                 {"a/+/+", "a/b", false}};
    static const char *const wrong[] = {"", "a#", "a/#/b", "a+", "+a/b", "#/a", "a/b+/c", "\xff"};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (mqtt_filter_fits(cases[i].filter, cases[i].topic, strlen(cases[i].topic)) != cases[i].fits)
            print_error("%s and %s\n", cases[i].filter, cases[i].topic);
        assert_int_equal(mqtt_filter_fits(cases[i].filter, cases[i].topic, strlen(cases[i].topic)),
                         cases[i].fits);
        assert_true(mqtt_filter_valid(cases[i].filter));
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(mqtt_filter_valid(wrong[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_publish), cmocka_unit_test(test_prefixes_need_more),
        cmocka_unit_test(test_connack), cmocka_unit_test(test_limit),
        cmocka_unit_test(test_bad),     cmocka_unit_test(test_acks),
        cmocka_unit_test(test_filters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
