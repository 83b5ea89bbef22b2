/* The webhook against a real HTTP receiver: what is posted, the signature, what answers mean, cancel and
 * deadline. */
#include "support/check.h"

#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "late.h"
#include "plugin_bench.h"
#include "support/sink.h"

static const pst_send *sender(void)
{
    return penstock_plugin_v1.get_interface(PST_IF_SEND);
}

static pst_message message(void)
{
    return (pst_message){.struct_size = sizeof(pst_message),
                         .delivery_id = "dlv-1",
                         .title = "Pump 2",
                         .text = "fires",
                         .json = "{\"state\":\"firing\"}"};
}

typedef struct setup {
    sink *sink;
    plugin_bench bench;
} setup;

static int begin(void **state)
{
    setup *s = calloc(1, sizeof *s);
    s->sink = sink_create(SINK_HTTP);
    s->bench.wall_us = 1767268800000000;
    *state = s;
    return 0;
}

static int end(void **state)
{
    setup *s = *state;
    plugin_bench_close(&s->bench);
    sink_free(s->sink);
    free(s);
    return 0;
}

static pst_status open_with(setup *s, const char *more)
{
    char config[512];
    snprintf(config, sizeof config, "{\"url\": \"http://127.0.0.1:%d/hook?token=abc\"%s}", sink_port(s->sink),
             more);
    return plugin_bench_open(&s->bench, config);
}

static pst_status post(setup *s)
{
    pst_call call = plugin_bench_call();
    pst_message m = message();
    pst_delivery delivery = {.struct_size = sizeof delivery};
    s->bench.error = (pst_error){.struct_size = sizeof(pst_error)};
    return sender()->send(s->bench.self, &call, &m, &delivery, &s->bench.error);
}

static void posts_json_with_a_signature(void **state)
{
    setup *s = *state;
    s->bench.secret = "s3cret";
    assert_int_equal(open_with(s, ", \"secret\": \"ops-hook\", \"headers\": {\"X-Site\": \"north\"}"),
                     PST_OK);
    assert_int_equal(post(s), PST_OK);
    const char *request = sink_wait(s->sink, 0, 5000);
    assert_non_null(request);
    assert_non_null(strstr(request, "POST /hook?token=abc HTTP/1.1\r\n"));
    assert_non_null(strstr(request, "\r\nPenstock-Delivery: dlv-1\r\n"));
    assert_non_null(strstr(request, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(request, "\r\nX-Site: north\r\n"));
    assert_non_null(strstr(request, "\r\n\r\n{\"state\":\"firing\"}"));
    /* printf '1767268800.{"state":"firing"}' | openssl dgst -sha256 -hmac s3cret */
    unsigned char mac[crypto_auth_hmacsha256_BYTES];
    char hex[65], expected[128];
    const char signed_text[] = "1767268800.{\"state\":\"firing\"}";
    crypto_auth_hmacsha256_state h;
    crypto_auth_hmacsha256_init(&h, (const unsigned char *)"s3cret", 6);
    crypto_auth_hmacsha256_update(&h, (const unsigned char *)signed_text, sizeof signed_text - 1);
    crypto_auth_hmacsha256_final(&h, mac);
    sodium_bin2hex(hex, sizeof hex, mac, sizeof mac);
    snprintf(expected, sizeof expected, "\r\nPenstock-Signature: t=1767268800,v1=%s\r\n", hex);
    assert_non_null(strstr(request, expected));
}

static void answers_decide_about_retries(void **state)
{
    static const struct {
        const char *answer;
        pst_status status;
        uint32_t retry_ms;
    } cases[] = {
        {"204 No Content", PST_OK, 0},
        {"500 Oops", PST_E_UNAVAILABLE, 0},
        {"503 Away\r\nRetry-After: 7", PST_E_UNAVAILABLE, 7000},
        {"429 Slow\r\nretry-after: 99999", PST_E_UNAVAILABLE, 3600000},
        {"503 Away\r\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT", PST_E_UNAVAILABLE, 0},
        {"408 Late", PST_E_UNAVAILABLE, 0},
        {"401 Who", PST_E_AUTH, 0},
        {"403 No", PST_E_AUTH, 0},
        {"404 Where", PST_E_CONFIG, 0},
        {"301 There\r\nLocation: http://127.0.0.1:1/", PST_E_CONFIG, 0},
        {"400 What", PST_E_DATA, 0},
        {"413 Big", PST_E_DATA, 0},
    };
    setup *s = *state;
    assert_int_equal(open_with(s, ""), PST_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sink_answer(s->sink, cases[i].answer);
        assert_int_equal(post(s), cases[i].status);
        assert_int_equal(s->bench.error.retry_after_ms, cases[i].retry_ms);
        assert_null(strstr(s->bench.error.message, "token"));
        assert_int_equal(sink_count(s->sink), i + 1);
    }
}

static void nobody_there_is_unavailable(void **state)
{
    setup *s = *state;
    assert_int_equal(open_with(s, ""), PST_OK);
    sink_free(s->sink);
    s->sink = NULL;
    assert_int_equal(post(s), PST_E_UNAVAILABLE);
    assert_non_null(strstr(s->bench.error.message, "127.0.0.1"));
    assert_null(strstr(s->bench.error.message, "token"));
}

static void gives_up_before_the_deadline(void **state)
{
    setup *s = *state;
    sink_hang(s->sink);
    assert_int_equal(open_with(s, ""), PST_OK);
    pst_call call = plugin_bench_call();
    int64_t now = s->bench.host.now_us(&s->bench.host);
    call.deadline_us = now + 500000;
    pst_message m = message();
    pst_delivery delivery = {.struct_size = sizeof delivery};
    assert_int_equal(sender()->send(s->bench.self, &call, &m, &delivery, &s->bench.error), PST_E_UNAVAILABLE);
    assert_true(s->bench.host.now_us(&s->bench.host) < now + 500000);
}

static bool always_cancelled(const pst_host *host, const pst_call *call)
{
    (void)host;
    (void)call;
    return true;
}

/* The descriptor wakes the transfer; the host then says that it was a cancel. */
static void a_cancel_ends_it_at_once(void **state)
{
    setup *s = *state;
    int ends[2];
    sink_hang(s->sink);
    assert_int_equal(open_with(s, ""), PST_OK);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    pst_call call = plugin_bench_call();
    call.cancel_fd = ends[0];
    s->bench.host.cancelled = always_cancelled;
    pst_message m = message();
    pst_delivery delivery = {.struct_size = sizeof delivery};
    int64_t now = s->bench.host.now_us(&s->bench.host);
    assert_int_equal(sender()->send(s->bench.self, &call, &m, &delivery, &s->bench.error), PST_E_CANCELLED);
    assert_true(s->bench.host.now_us(&s->bench.host) < now + 400000);
    close(ends[0]);
    close(ends[1]);
}

static void headers_cannot_be_forged(void **state)
{
    setup *s = *state;
    static const char *const wrong[] = {
        ", \"headers\": {\"X-A\": \"b\\r\\nX-C: d\"}",
        ", \"headers\": {\"penstock-signature\": \"t=1\"}",
        ", \"headers\": {\"Content-Length\": \"1\"}",
    };
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(open_with(s, wrong[i]), PST_E_CONFIG);
        plugin_bench_close(&s->bench);
    }
    s->bench.secret = "Bearer x\r\nX-C: d";
    assert_int_equal(open_with(s, ", \"authorization\": \"a\""), PST_OK);
    assert_int_equal(post(s), PST_E_CONFIG);
    assert_null(strstr(s->bench.error.message, "Bearer"));
    assert_int_equal(sink_count(s->sink), 0);
}

static void only_http_is_spoken(void **state)
{
    setup *s = *state;
    static const char *const urls[] = {"file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/"};
    for (size_t i = 0; i < 3; i++) {
        s->bench.secret = urls[i];
        assert_int_equal(plugin_bench_open(&s->bench, "{\"url_secret\": \"x\"}"), PST_OK);
        assert_int_equal(post(s), PST_E_CONFIG);
        plugin_bench_close(&s->bench);
    }
    assert_int_equal(open_with(s, ""), PST_OK);
}

#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
static void a_missing_library_is_named(void **state)
{
    (void)state;
    pst_error error = {.struct_size = sizeof error};
    assert_int_equal(late_bind("libcurl.so.none", &error), PST_E_UNAVAILABLE);
    assert_non_null(strstr(error.message, "libcurl.so.none is needed"));
    assert_int_equal(late_bind("libm.so.6", &error), PST_E_UNAVAILABLE); /* a library that is not this one */
    assert_non_null(strstr(error.message, "it lacks curl_"));
    assert_int_equal(late_bind(LATE_CURL, &error), PST_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(posts_json_with_a_signature), T(answers_decide_about_retries),
        T(nobody_there_is_unavailable), T(gives_up_before_the_deadline),
        T(a_cancel_ends_it_at_once),    T(headers_cannot_be_forged),
        T(only_http_is_spoken),         cmocka_unit_test(a_missing_library_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
