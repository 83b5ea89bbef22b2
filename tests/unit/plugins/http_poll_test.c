/* The parts of http_poll that need no server: the Link header, what a cursor holds, texts that are put
 * together, and when what is asked for. */
#include "support/check.h"

#include <string.h>

#include "link.h"
#include "paging.h"
#include "plugin_bench.h"

static void the_link_header_names_the_next_page(void **state)
{
    (void)state;
    static const struct {
        const char *value, *next;
    } cases[] = {
        {"<https://a.example/x?page=2>; rel=\"next\"", "https://a.example/x?page=2"},
        {"</x>; rel=prev, </y>; rel=next", "/y"},
        {"</x>; rel=\"last next\"; title=\"a, b; c\"", "/x"},
        {"</x>;title=\"<y>; rel=next\"; rel=prev", NULL},
        {"</x>; title=\"a \\\" b\"; REL=Next", "/x"},
        {"</x>; rel=prev; rel=next", NULL}, /* the first counts */
        {"</x>; rel=nextone, <y>; rel=\"next-one\"", NULL},
        {"</x,y;z>; rel=next", "/x,y;z"},
        {"</x>; anchor; rel = next", "/x"},
        {"</x> ; rel=next", "/x"},
        {"</x; rel=next", NULL},
        {"</12345678901234567890>; rel=next", NULL}, /* too long for the room */
        {"", NULL},
    };
    char out[20];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool room = !cases[i].next || strlen(cases[i].next) < sizeof out;
        char longer[200];
        bool found = room ? link_next(cases[i].value, out, sizeof out)
                          : link_next(cases[i].value, longer, sizeof longer);
        assert_int_equal(found, cases[i].next != NULL);
        if (found)
            assert_string_equal(room ? out : longer, cases[i].next);
    }
}

static position place(const char *next)
{
    position p = {.due_us = 1, .from_us = -2, .to_us = 3, .number = UINT64_MAX, .pages = 4, .print = 5};
    snprintf(p.next, sizeof p.next, "%s", next);
    snprintf(p.etag, sizeof p.etag, "W/\"a b%%\"");
    return p;
}

static void a_cursor_gives_back_what_it_was_made_of(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", "-", "--", "a b\nnorth 1 2 3", "%2D", "\xc3\xa4 \x01", "https://a.example/?p=1&q=%20"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        wording cursor = {0};
        position was = place(texts[i]), is;
        position_begin("north", &cursor);
        position_write(&was, "south", &cursor);
        position_write(&(position){0}, "north", &cursor);
        assert_true(position_read(wording_text(&cursor), "south", &is));
        assert_memory_equal(&was, &is, sizeof was);
        assert_true(position_read(wording_text(&cursor), "north", &is));
        assert_int_equal(is.pages, 0);
        assert_true(position_read(wording_text(&cursor), "east", &is)); /* a new site begins */
        assert_true(position_was_last(wording_text(&cursor), "north"));
        assert_false(position_was_last(wording_text(&cursor), "nor"));
        wording_free(&cursor);
    }
}

static void a_place_has_its_limit(void **state)
{
    (void)state;
    for (size_t len = POSITION_NEXT_MAX - 2; len <= POSITION_NEXT_MAX; len++) {
        wording cursor = {0}, text = {0};
        position is;
        position_begin("x", &cursor);
        wording_add_text(&cursor, WORDING_PLAIN, "x 0 0 0 0 1 ");
        for (size_t i = 0; i < len; i++)
            wording_add(&text, WORDING_PLAIN, " ", 1);
        wording_add_text(&cursor, WORDING_URL, wording_text(&text)); /* each byte takes three */
        wording_add_text(&cursor, WORDING_PLAIN, " 0 - -\n");
        assert_int_equal(position_read(wording_text(&cursor), "x", &is), len < POSITION_NEXT_MAX);
        wording_free(&cursor);
        wording_free(&text);
    }
}

static void no_cursor_of_ours_is_refused(void **state)
{
    (void)state;
    static const char *const odd[] = {"v2 north\n", "v1 x\nx 1 2 3\n", "v1 x\nx 1 2 3 4 5 %zz 7 - -\n", "x",
                                      "v1 x\nx 1 2 3 4 5 a 7 %1 -\n"};
    position p;
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
        assert_false(position_read(odd[i], "x", &p));
    assert_true(position_read("", "x", &p));
}

/* What is asked for at a position, by a connector with that configuration. */
static void asks(const char *config, const position *at, const char *url, const char *body)
{
    plugin_bench b = {0};
    paging g;
    wording u = {0}, v = {0};
    assert_int_equal(plugin_bench_open(&b, config), PST_OK);
    assert_int_equal(paging_open(&g, &b.host, &b.error), PST_OK);
    g.windows = true;
    assert_int_equal(paging_ask(&g, "north", at, &u, &v, &b.error), PST_OK);
    assert_string_equal(wording_text(&u), url);
    assert_string_equal(wording_text(&v), body);
    wording_free(&u);
    wording_free(&v);
    plugin_bench_close(&b);
}

static void placeholders_become_values(void **state)
{
    (void)state;
    const position at = {.from_us = 1772323200000000, .to_us = 1772323260500000};
    asks("{\"url\":\"http://a.example/{id}/x?k={site}\",\"query\":{\"f\":\"{from} "
         "{to}\",\"json\":\"{\\\"a\\\":1}\"},"
         "\"window\":{\"format\":\"%d.%m.%Y %H:%M:%S%%%q\"},\"sites\":{\"north\":{\"id\":\"a/b c\"}}}",
         &at,
         "http://a.example/a%2Fb%20c/"
         "x?k=north&f=01.03.2026%2000%3A00%3A00%25%25q%2001.03.2026%2000%3A01%3A00%25%25q"
         "&json=%7B%22a%22%3A1%7D",
         "");
    asks("{\"url\":\"http://a.example/\",\"body\":\"{\\\"id\\\": \\\"{id}\\\", \\\"to\\\": {to}}\","
         "\"window\":{\"format\":\"unix_ms\"},\"sites\":{\"north\":{\"id\":\"say \\\"hi\\\"\\n\"}}}",
         &at, "http://a.example/", "{\"id\": \"say \\\"hi\\\"\\u000a\", \"to\": 1772323260500}");
}

static void a_placeholder_without_a_value_is_refused(void **state)
{
    (void)state;
    plugin_bench b = {0};
    assert_int_equal(plugin_bench_open(&b, "{\"url\":\"http://a.example/{id}\"}"), PST_E_CONFIG);
    assert_string_equal(b.error.where, "/url");
    assert_non_null(strstr(b.error.message, "{id}"));
    plugin_bench_close(&b);
    assert_int_equal(plugin_bench_open(&b, "{\"url\":\"http://a.example/\",\"every_s\":60,\"offset_s\":60}"),
                     PST_E_CONFIG);
    assert_string_equal(b.error.where, "/offset_s");
    plugin_bench_close(&b);
}

static void windows_leave_nothing_out(void **state)
{
    (void)state;
    plugin_bench b = {0};
    paging g;
    position p = {0};
    const int64_t second = 1000000, start = 1000000 * second;
    assert_int_equal(plugin_bench_open(&b, "{\"url\":\"http://a.example/\",\"every_s\":600,\"offset_s\":30,"
                                           "\"window\":{\"first_s\":5000,\"again_s\":100,\"most_s\":3000}}"),
                     PST_OK);
    assert_int_equal(paging_open(&g, &b.host, &b.error), PST_OK);
    paging_begin(&g, &p, start);
    assert_int_equal(p.from_us, start - 5000 * second);
    assert_int_equal(p.to_us, start - 2000 * second);
    paging_end(&g, &p, start);
    assert_int_equal(p.due_us, start); /* it is behind: at once */
    paging_begin(&g, &p, start);
    assert_int_equal(p.from_us, start - 2100 * second);
    assert_int_equal(p.to_us, start);
    paging_end(&g, &p, start);
    assert_int_equal(p.due_us, 1000230 * second); /* a multiple of 600, and 30 */
    paging_begin(&g, &p, start + 9000 * second);  /* the host was away */
    assert_int_equal(p.from_us, start - 100 * second);
    plugin_bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_link_header_names_the_next_page),
        cmocka_unit_test(a_cursor_gives_back_what_it_was_made_of),
        cmocka_unit_test(a_place_has_its_limit),
        cmocka_unit_test(no_cursor_of_ours_is_refused),
        cmocka_unit_test(placeholders_become_values),
        cmocka_unit_test(a_placeholder_without_a_value_is_refused),
        cmocka_unit_test(windows_leave_nothing_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
