#include "plugin/reach.h"

#include <string.h>

#include "support/check.h"

static void is(const broker_reach *r, const char *host, unsigned port)
{
    assert_string_equal(r->host, host);
    assert_int_equal(r->port, port);
}

static void urls(void **state)
{
    (void)state;
    static const struct {
        const char *url, *host;
        unsigned port;
    } good[] = {{"https://ops.example.org/penstock?x=1", "ops.example.org", 443},
                {"http://OPS.Example.org.:8080", "ops.example.org", 8080},
                {"http://user:pass@host/", "host", 80},
                {"http://a@b@host/", "host", 80},
                {"smtp://localhost:25", "localhost", 25},
                {"smtps://mail", "mail", 465},
                {"http://[2001:db8::1]:81/x", "2001:db8::1", 81},
                {"http://[::1]", "::1", 80},
                {"mqtt://10.0.0.5", "10.0.0.5", 1883},
                {"odd+scheme-1.0://host", "host", 0},
                {"http://host:/", "host", 80},
                {"http://host#frag:99", "host", 80},
                {"http://good\\@evil/", "good", 80}};
    static const char *const bad[] = {
        "",
        "host",
        "//host",
        "http:/host",
        "http://",
        "http:///",
        "http://:80",
        "http://host:99999",
        "http://host:8x",
        "1http://host",
        "see http://host",
    };
    broker_reach r;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        if (!reach_of_url(good[i].url, &r))
            fail_msg("%s is a URL", good[i].url);
        is(&r, good[i].host, good[i].port);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (reach_of_url(bad[i], &r))
            fail_msg("%s is no URL with a host", bad[i]);
}

static void addresses(void **state)
{
    (void)state;
    broker_reach r;
    assert_true(reach_of_address("plc.example.org:502", &r));
    is(&r, "plc.example.org", 502);
    assert_true(reach_of_address("[::1]:502", &r));
    is(&r, "::1", 502);
    assert_true(reach_of_address("fe80::1", &r));
    is(&r, "fe80::1", 0);
    assert_true(reach_of_address("10.0.0.5", &r));
    is(&r, "10.0.0.5", 0);
    assert_true(reach_of_address("host:65535", &r));
    assert_false(reach_of_address("host:65536", &r));
    assert_false(reach_of_address("", &r));
    assert_false(reach_of_address("a b", &r));
    char longest[300];
    memset(longest, 'a', sizeof longest);
    longest[255] = '\0';
    assert_true(reach_of_address(longest, &r));
    longest[255] = 'a';
    longest[256] = '\0';
    assert_false(reach_of_address(longest, &r));
}

static size_t of(const char *schema, const char *config, broker_reach *out)
{
    json_t *s = json_loads(schema, 0, NULL), *c = json_loads(config, 0, NULL);
    assert_non_null(s);
    assert_non_null(c);
    size_t n = reach_of_config(s, c, out);
    json_decref(s);
    json_decref(c);
    return n;
}

static void configs(void **state)
{
    (void)state;
    static const char schema[] =
        "{\"$defs\": {\"place\": {\"format\": \"penstock-address\"}},"
        " \"properties\": {\"host\": {\"anyOf\": [{\"format\": \"hostname\"}, {\"format\": \"ipv4\"}]}, "
        "\"port\": {},"
        "  \"name\": {\"type\": \"string\"}, \"token\": {\"format\": \"penstock-secret\"},"
        "  \"brokers\": {\"items\": {\"$ref\": \"#/$defs/place\"}},"
        "  \"servers\": {\"additionalProperties\": {\"properties\": {\"at\": {\"format\": \"ipv6\"}}}}}}";
    broker_reach r[BROKER_REACH_MAX];
    assert_int_equal(of(schema, "{\"host\": \"Plc-7\", \"port\": 502}", r), 1);
    is(&r[0], "plc-7", 502);
    assert_int_equal(of(schema, "{\"host\": \"plc\", \"name\": \"not-a-host\"}", r), 1);
    is(&r[0], "plc", 0);
    assert_int_equal(of(schema, "{\"name\": \"http://anywhere:81/\", \"token\": \"http://reference\"}", r),
                     1);
    is(&r[0], "anywhere", 81);
    assert_int_equal(of(schema, "{\"brokers\": [\"a:1\", \"b:2\", \"a:1\"]}", r), 2);
    is(&r[1], "b", 2);
    assert_int_equal(of(schema, "{\"servers\": {\"x\": {\"at\": \"2001:db8::9\"}}}", r), 1);
    is(&r[0], "2001:db8::9", 0);
    assert_int_equal(of(schema, "{}", r), 0);
}

static void there_is_a_limit(void **state)
{
    (void)state;
    for (int n = BROKER_REACH_MAX - 1; n <= BROKER_REACH_MAX + 1; n++) {
        broker_reach r[BROKER_REACH_MAX];
        json_t *list = json_array();
        for (int i = 0; i < n; i++)
            json_array_append_new(list, json_sprintf("http://host-%d/", i));
        json_t *schema = json_object();
        assert_int_equal(reach_of_config(schema, list, r), n < BROKER_REACH_MAX ? n : BROKER_REACH_MAX);
        json_decref(schema);
        json_decref(list);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls),
        cmocka_unit_test(addresses),
        cmocka_unit_test(configs),
        cmocka_unit_test(there_is_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
