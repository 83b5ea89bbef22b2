#include "loop/broker_rules.h"

#include <arpa/inet.h>
#include <string.h>

#include "support/check.h"

static broker_address address(const char *literal)
{
    broker_address a;
    assert_true(broker_address_parse(literal, &a));
    return a;
}

static bool is_private(const char *literal)
{
    broker_address a = address(literal);
    return broker_address_private(&a);
}

static void public_and_private_at_the_borders(void **state)
{
    (void)state;
    static const char *const inside[] = {"0.0.0.0",
                                         "0.255.255.255",
                                         "10.0.0.0",
                                         "10.255.255.255",
                                         "100.64.0.0",
                                         "100.127.255.255",
                                         "127.0.0.1",
                                         "127.255.255.255",
                                         "169.254.0.0",
                                         "169.254.169.254",
                                         "172.16.0.0",
                                         "172.31.255.255",
                                         "192.0.0.8",
                                         "192.168.0.0",
                                         "192.168.255.255",
                                         "198.18.0.0",
                                         "198.19.255.255",
                                         "224.0.0.1",
                                         "239.255.255.255",
                                         "240.0.0.0",
                                         "255.255.255.255",
                                         "::",
                                         "::1",
                                         "fc00::",
                                         "fdff:ffff::1",
                                         "fe80::1",
                                         "febf::1",
                                         "fec0::1",
                                         "ff02::1",
                                         "::ffff:10.1.2.3",
                                         "::ffff:127.0.0.1",
                                         "64:ff9b::7f00:1",
                                         "64:ff9b:1::1",
                                         "2002:7f00:1::"};
    static const char *const outside[] = {"1.0.0.0",
                                          "9.255.255.255",
                                          "11.0.0.0",
                                          "100.63.255.255",
                                          "100.128.0.0",
                                          "126.255.255.255",
                                          "128.0.0.0",
                                          "169.253.255.255",
                                          "169.255.0.0",
                                          "172.15.255.255",
                                          "172.32.0.0",
                                          "192.0.1.0",
                                          "192.167.255.255",
                                          "192.169.0.0",
                                          "198.17.255.255",
                                          "198.20.0.0",
                                          "223.255.255.255",
                                          "2001:db8::1",
                                          "::2",
                                          "fbff::1",
                                          "fe00::1",
                                          "::ffff:8.8.8.8",
                                          "64:ff9b::808:808"};
    for (size_t i = 0; i < sizeof inside / sizeof inside[0]; i++)
        if (!is_private(inside[i]))
            fail_msg("%s is not public", inside[i]);
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++)
        if (is_private(outside[i]))
            fail_msg("%s is public", outside[i]);
}

static bool in_range(const char *range, unsigned bits, const char *literal)
{
    uint8_t bytes[16];
    broker_range r;
    int family = strchr(range, ':') ? AF_INET6 : AF_INET;
    assert_int_equal(inet_pton(family, range, bytes), 1);
    assert_true(broker_range_make(family, bytes, bits, &r));
    broker_address a = address(literal);
    return broker_range_contains(&r, &a);
}

static void ranges_hold_at_their_borders(void **state)
{
    (void)state;
    assert_true(in_range("10.20.0.0", 15, "10.20.0.0"));
    assert_true(in_range("10.20.0.0", 15, "10.21.255.255"));
    assert_false(in_range("10.20.0.0", 15, "10.22.0.0"));
    assert_false(in_range("10.20.0.0", 15, "10.19.255.255"));
    assert_true(in_range("10.20.0.0", 15, "::ffff:10.20.0.1"));
    assert_true(in_range("192.0.2.7", 32, "192.0.2.7"));
    assert_false(in_range("192.0.2.7", 32, "192.0.2.6"));
    assert_true(in_range("0.0.0.0", 0, "203.0.113.9"));
    assert_false(in_range("0.0.0.0", 0, "2001:db8::1"));
    assert_false(in_range("::", 0, "10.0.0.1"));
    assert_true(in_range("::", 0, "fe80::1"));
    assert_true(in_range("fd00::", 8, "fdff::1"));
    assert_false(in_range("fd00::", 8, "fc00::1"));
    broker_range r;
    uint8_t bytes[16] = {0};
    assert_true(broker_range_make(AF_INET, bytes, 32, &r));
    assert_false(broker_range_make(AF_INET, bytes, 33, &r));
    assert_true(broker_range_make(AF_INET6, bytes, 128, &r));
    assert_false(broker_range_make(AF_INET6, bytes, 129, &r));
}

static void socket_addresses_are_read_and_written(void **state)
{
    (void)state;
    broker_address a;
    char words[64];
    struct sockaddr_in four = {
        .sin_family = AF_INET, .sin_port = htons(1883), .sin_addr.s_addr = htonl(0x0a000005)};
    assert_true(broker_address_read(&four, sizeof four, &a));
    broker_address_text(&a, words, sizeof words);
    assert_string_equal(words, "10.0.0.5:1883");
    assert_false(broker_address_read(&four, sizeof four - 1, &a));
    struct sockaddr_in6 six = {
        .sin6_family = AF_INET6, .sin6_port = htons(80), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    assert_true(broker_address_read(&six, sizeof six, &a));
    broker_address_text(&a, words, sizeof words);
    assert_string_equal(words, "[::1]:80");
    assert_true(broker_address_read(&six, 24, &a)); /* without a scope, as RFC 2133 had it */
    assert_false(broker_address_read(&six, 23, &a));
    struct sockaddr_storage other = {.ss_family = AF_UNIX};
    assert_false(broker_address_read(&other, sizeof other, &a));
    assert_false(broker_address_parse("", &a));
    assert_false(broker_address_parse("10.0.0", &a));
    assert_false(broker_address_parse("010.0.0.1", &a));
    assert_false(broker_address_parse("[::1", &a));
    assert_true(broker_address_parse("[::1]", &a));
}

static void a_place_is_a_host_and_a_port(void **state)
{
    (void)state;
    broker_reach name = {.host = "ops.example.org", .port = 443}, literal = {.host = "[::1]"};
    assert_true(broker_reach_names(&name, "OPS.example.org."));
    assert_false(broker_reach_names(&name, "ops.example.org.evil"));
    assert_false(broker_reach_names(&name, "example.org"));
    assert_true(broker_reach_port(&name, 443));
    assert_false(broker_reach_port(&name, 80));
    broker_address a = address("::1");
    a.port = 7;
    assert_true(broker_reach_is(&literal, &a));
    literal.port = 8;
    assert_false(broker_reach_is(&literal, &a));
    assert_false(broker_reach_is(&name, &a));
    broker_reach local = {.host = "localhost", .port = 7}, under = {.host = "x.localhost"};
    broker_reach not = {.host = "notlocalhost", .port = 7};
    assert_true(broker_reach_is(&local, &a));
    assert_true(broker_reach_is(&under, &a));
    assert_false(broker_reach_is(&not, &a));
    a.port = 8;
    assert_false(broker_reach_is(&local, &a));
    a = address("127.0.0.2");
    assert_false(broker_reach_is(&under, &a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(public_and_private_at_the_borders),
        cmocka_unit_test(ranges_hold_at_their_borders),
        cmocka_unit_test(socket_addresses_are_read_and_written),
        cmocka_unit_test(a_place_is_a_host_and_a_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
