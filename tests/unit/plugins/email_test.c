/* The e-mail notifier against a real SMTP session: envelope, headers, parts, refusals, and that no text can
 * forge a header. */
#include "support/check.h"

#include <sodium.h>
#include <string.h>

#include "header.h"
#include "plugin_bench.h"
#include "support/sink.h"

static const pst_send *sender(void)
{
    return penstock_plugin_v1.get_interface(PST_IF_SEND);
}

typedef struct setup {
    sink *sink;
    plugin_bench bench;
    pst_delivery delivery;
} setup;

static int begin(void **state)
{
    setup *s = calloc(1, sizeof *s);
    s->sink = sink_create(SINK_SMTP);
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
    char config[1024];
    snprintf(config, sizeof config,
             "{\"to\": [\"ops@example.org\", \"night@example.org\"], \"url\": \"smtp://127.0.0.1:%d\"%s}",
             sink_port(s->sink), more);
    return plugin_bench_open(&s->bench, config);
}

static pst_status send_message(setup *s, const pst_message *m)
{
    pst_call call = plugin_bench_call();
    s->bench.error = (pst_error){.struct_size = sizeof(pst_error)};
    s->delivery = (pst_delivery){.struct_size = sizeof s->delivery};
    return sender()->send(s->bench.self, &call, m, &s->delivery, &s->bench.error);
}

static pst_message plain(const char *title, const char *text)
{
    return (pst_message){
        .struct_size = sizeof(pst_message), .delivery_id = "dlv-1", .title = title, .text = text};
}

static void text_and_html(void **state)
{
    setup *s = *state;
    pst_message m = plain("Pumpe 2 läuft heiß", "Zeile 1\n.Zeile 2");
    m.html = "<p>läuft <b>heiß</b></p>";
    m.severity = PST_SEVERITY_CRITICAL;
    assert_int_equal(open_with(s, ""), PST_OK);
    assert_int_equal(send_message(s, &m), PST_OK);
    const char *mail = sink_wait(s->sink, 0, 5000);
    assert_non_null(mail);
    assert_non_null(strstr(mail, "MAIL FROM:<penstock@localhost>"));
    assert_non_null(strstr(mail, "RCPT TO:<ops@example.org>\r\nRCPT TO:<night@example.org>\r\n"));
    assert_non_null(strstr(mail, "\r\nSubject: =?UTF-8?B?UHVtcGUgMiBsw6R1ZnQgaGVpw58=?=\r\n"));
    assert_non_null(strstr(mail, "\r\nFrom: \"Penstock\" <penstock@localhost>\r\n"));
    assert_non_null(strstr(mail, "\r\nTo: ops@example.org,\r\n night@example.org\r\n"));
    assert_non_null(strstr(mail, "\r\nDate: Thu, 01 Jan 2026 12:00:00 +0000\r\n"));
    assert_non_null(strstr(mail, "\r\nAuto-Submitted: auto-generated\r\n"));
    assert_non_null(strstr(mail, "multipart/alternative"));
    assert_non_null(strstr(mail, "text/plain; charset=utf-8"));
    assert_non_null(strstr(mail, "<p>l=C3=A4uft <b>hei=C3=9F</b></p>"));
    char id[300];
    snprintf(id, sizeof id, "\r\nMessage-ID: %s\r\n", s->delivery.external_id);
    assert_non_null(strstr(mail, id));
}

static void a_retry_is_the_same_mail(void **state)
{
    setup *s = *state;
    char first[256];
    pst_message m = plain("a", "b");
    assert_int_equal(open_with(s, ""), PST_OK);
    sink_refuse(s->sink, "DATA", "451 later");
    assert_int_equal(send_message(s, &m), PST_E_UNAVAILABLE);
    memcpy(first, s->delivery.external_id, sizeof first);
    sink_refuse(s->sink, NULL, NULL);
    assert_int_equal(send_message(s, &m), PST_OK);
    assert_string_equal(first, s->delivery.external_id);
    m.delivery_id = "dlv-2";
    m.update_of = first;
    assert_int_equal(send_message(s, &m), PST_OK);
    assert_string_not_equal(first, s->delivery.external_id);
    char reply[300];
    snprintf(reply, sizeof reply, "\r\nIn-Reply-To: %s\r\n", first);
    assert_non_null(strstr(sink_wait(s->sink, 1, 5000), reply));
}

static void no_text_forges_a_header(void **state)
{
    setup *s = *state;
    pst_attachment file = {"a\"\r\nX-Evil: 1", "text/csv\r\nX-Evil: 2", NULL, {"1,2", 3}};
    pst_message m = plain("a\r\nBcc: evil@example.org\r\n\r\nbody", "text");
    m.attachments = &file;
    m.n_attachments = 1;
    m.update_of = "<a@b>\r\nX-Evil: 3";
    assert_int_equal(open_with(s, ", \"from_name\": \"a\\r\\nX-Evil: 4\""), PST_OK);
    assert_int_equal(send_message(s, &m), PST_OK);
    const char *mail = sink_wait(s->sink, 0, 5000);
    assert_null(strstr(mail, "\nX-Evil"));
    assert_null(strstr(mail, "\nBcc"));
    assert_non_null(strstr(mail, "\r\nSubject: =?UTF-8?B?"));
}

static void attachments_and_inline_images(void **state)
{
    setup *s = *state;
    pst_attachment files[] = {{"plot.png", "image/png", "plot@penstock", {"PNG!", 4}},
                              {"rows.csv", "text/csv", NULL, {"a,b\n", 4}}};
    pst_message m = plain("a", "b");
    m.html = "<img src=\"cid:plot@penstock\">";
    m.attachments = files;
    m.n_attachments = 2;
    assert_int_equal(open_with(s, ""), PST_OK);
    assert_int_equal(send_message(s, &m), PST_OK);
    const char *mail = sink_wait(s->sink, 0, 5000), *related = strstr(mail, "multipart/related");
    assert_non_null(related);
    assert_non_null(strstr(related, "multipart/alternative"));
    assert_non_null(strstr(related, "Content-ID: <plot@penstock>\r\n"));
    assert_non_null(strstr(related, "\r\nUE5HIQ==")); /* PNG! */
    assert_non_null(strstr(related, "filename=\"rows.csv\""));
}

static void refusals_decide_about_retries(void **state)
{
    static const struct {
        const char *command, *answer;
        pst_status status;
    } cases[] = {
        {"MAIL", "451 busy", PST_E_UNAVAILABLE},        {"MAIL", "530 log in first", PST_E_AUTH},
        {"RCPT", "550 no such user", PST_E_CONFIG},     {"DATA", "554 no spam", PST_E_DATA},
        {"RCPT TO:<night", "550 no such user", PST_OK},
    };
    setup *s = *state;
    pst_message m = plain("a", "b");
    assert_int_equal(open_with(s, ""), PST_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sink_refuse(s->sink, cases[i].command, cases[i].answer);
        assert_int_equal(send_message(s, &m), cases[i].status);
        if (cases[i].status)
            assert_non_null(strstr(s->bench.error.message, cases[i].answer));
    }
    assert_int_equal(sink_count(s->sink), 1);
    assert_null(strstr(sink_wait(s->sink, 0, 1000), "night@example.org>"));
}

static void logs_in_with_the_secret(void **state)
{
    setup *s = *state;
    pst_message m = plain("a", "b");
    s->bench.secret = "pa55";
    assert_int_equal(open_with(s, ", \"username\": \"u\", \"password\": \"mail-password\""), PST_OK);
    assert_int_equal(send_message(s, &m), PST_OK);
    assert_non_null(strstr(sink_wait(s->sink, 0, 5000), "AHUAcGE1NQ==")); /* \0u\0pa55 */
    sink_refuse(s->sink, "AUTH", "535 wrong");
    assert_int_equal(send_message(s, &m), PST_E_AUTH);
    assert_null(strstr(s->bench.error.message, "pa55"));
}

static void encryption_is_not_given_up(void **state)
{
    setup *s = *state;
    pst_message m = plain("a", "b");
    assert_int_equal(open_with(s, ", \"starttls\": \"always\""), PST_OK);
    assert_int_equal(send_message(s, &m), PST_E_CONFIG); /* the sink offers none */
    assert_int_equal(sink_count(s->sink), 0);
}

static void the_check_logs_in_and_sends_nothing(void **state)
{
    setup *s = *state;
    const pst_check *check = penstock_plugin_v1.get_interface(PST_IF_CHECK);
    pst_call call = plugin_bench_call();
    assert_int_equal(open_with(s, ""), PST_OK);
    assert_int_equal(check->check(s->bench.self, &call, &s->bench.error), PST_OK);
    assert_int_equal(sink_count(s->sink), 0);
}

static void wrong_urls_are_refused_with_a_place(void **state)
{
    static const char *const wrong[] = {
        "http://a",   "smtp://u:p@a",   "smtp://a/b",  "smtp://a\\r\\nb", "a",           "smtp://",
        "smtp://a:0", "smtp://a:65536", "smtp://a:2x", "smtp://a:",       "smtp://:25",  "smtp://[::1",
        "smtp://[]",  "smtp://[::1]x",  "smtp://a?b",  "smtp://a b",      "smtp://a/:25"};
    static const char *const right[] = {"smtp://a", "smtp://a:65535", "smtps://mx-1.b_c.org:465",
                                        "smtp://[::1]", "smtp://[2001:db8::192.0.2.1]:25"};
    setup *s = *state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char config[256];
        snprintf(config, sizeof config, "{\"to\": [\"ok@b\"], \"url\": \"%s\"}", wrong[i]);
        assert_int_equal(plugin_bench_open(&s->bench, config), PST_E_CONFIG);
        assert_string_equal(s->bench.error.where, "/url");
        plugin_bench_close(&s->bench);
    }
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        char config[256];
        snprintf(config, sizeof config, "{\"to\": [\"ok@b\"], \"url\": \"%s\"}", right[i]);
        assert_int_equal(plugin_bench_open(&s->bench, config), PST_OK);
        plugin_bench_close(&s->bench);
    }
}

static void wrong_addresses_are_refused_with_a_place(void **state)
{
    static const char *const wrong[] = {"a",     "a@",      "@b", "a b@c", "a@b\\r\\nRCPT TO:<x@y>",
                                        "<a@b>", "a@b,c@d", "ä@b"};
    setup *s = *state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char config[256];
        snprintf(config, sizeof config, "{\"to\": [\"ok@b\", \"%s\"]}", wrong[i]);
        assert_int_equal(plugin_bench_open(&s->bench, config), PST_E_CONFIG);
        assert_string_equal(s->bench.error.where, "/to/1");
        plugin_bench_close(&s->bench);
    }
    assert_int_equal(open_with(s, ""), PST_OK);
}

/* Each encoded word is at most 75 long, ends at a character's end, and together they are the text. */
static void long_subjects_are_folded(void **state)
{
    (void)state;
    char text[400] = "", out[HEADER_VALUE_MAX], back[400] = "";
    for (int i = 0; i < 60; i++)
        strcat(text, i % 7 ? "ö" : "x€");
    header_text(text, out, sizeof out);
    size_t at = 0, len = 0;
    for (char *word = strtok(out, "\r\n "); word; word = strtok(NULL, "\r\n ")) {
        assert_true(strlen(word) <= 75);
        assert_int_equal(strncmp(word, "=?UTF-8?B?", 10), 0);
        assert_int_equal(sodium_base642bin((unsigned char *)back + at, sizeof back - at, word + 10,
                                           strlen(word) - 12, NULL, &len, NULL,
                                           sodium_base64_VARIANT_ORIGINAL),
                         0);
        assert_int_not_equal((unsigned char)back[at] & 0xc0, 0x80);
        at += len;
    }
    assert_string_equal(back, text);
    header_text(text, out, 80); /* too small for the second word */
    assert_null(strchr(out, '\n'));
}

#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(text_and_html),
        T(a_retry_is_the_same_mail),
        T(no_text_forges_a_header),
        T(attachments_and_inline_images),
        T(refusals_decide_about_retries),
        T(logs_in_with_the_secret),
        T(encryption_is_not_given_up),
        T(the_check_logs_in_and_sends_nothing),
        T(wrong_addresses_are_refused_with_a_place),
        T(wrong_urls_are_refused_with_a_place),
        cmocka_unit_test(long_subjects_are_folded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
