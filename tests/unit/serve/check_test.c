/* The head checks as functions of bytes; the same over sockets is in http_test.c. */
#include "support/check.h"

#include <string.h>

#include "serve/http_check.h"

static const char *fields(const http_field *list, unsigned n, bool http_1_1, bool refuse, int *status_out)
{
    http_framing framing;
    return http_check_fields(list, n, http_1_1, refuse, &framing, status_out);
}

#define FIELD(n, v) ((http_field){n, v, sizeof(n) - 1, sizeof(v) - 1})

static void fields_have_one_meaning(void **state)
{
    (void)state;
    int code;
    http_field host = FIELD("Host", "a.test:80");
    assert_null(fields(&host, 1, true, false, &code));
    assert_non_null(fields(&host, 0, true, false, &code)); /* no Host */
    assert_null(fields(&host, 0, false, false, &code));    /* fine in 1.0 */
    const struct {
        http_field f[2];
        unsigned n;
        bool http_1_1, refuse;
        int status; /* 0 = fine */
    } cases[] = {
        {{FIELD("Host", "a"), FIELD("X", "\tb \x80")}, 2, true, false, 0},
        {{FIELD("Host", "a"), FIELD("host", "a")}, 2, true, false, 400},
        {{FIELD("Host", "a b"), host}, 1, true, false, 400},
        {{FIELD("Host", ""), host}, 1, true, false, 400},
        {{host, FIELD("X y", "b")}, 2, true, false, 400},
        {{host, FIELD("", "b")}, 2, true, false, 400},
        {{host, FIELD("X", "a\rb")}, 2, true, false, 400},
        {{host, FIELD("X", "a\x7f")}, 2, true, false, 400},
        {{host, FIELD("Content-Length", "12")}, 2, true, false, 0},
        {{host, FIELD("Content-Length", "+12")}, 2, true, false, 400},
        {{host, FIELD("Content-Length", "")}, 2, true, false, 400},
        {{host, FIELD("Content-Length", "18446744073709551617")}, 2, true, false, 413},
        {{host, FIELD("Transfer-Encoding", "Chunked")}, 2, true, false, 0},
        {{host, FIELD("Transfer-Encoding", "chunked")}, 2, true, true, 400},
        {{host, FIELD("Transfer-Encoding", "chunked")}, 2, false, false, 400},
        {{host, FIELD("Transfer-Encoding", "gzip, chunked")}, 2, true, false, 501},
        {{host, FIELD("Expect", "100-Continue")}, 2, true, false, 0},
        {{host, FIELD("Expect", "tea")}, 2, true, false, 417},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *wrong = fields(cases[i].f, cases[i].n, cases[i].http_1_1, cases[i].refuse, &code);
        assert_int_equal(wrong ? code : 0, cases[i].status);
    }
    http_field both[] = {host, FIELD("Content-Length", "1"), FIELD("Transfer-Encoding", "chunked")};
    assert_non_null(fields(both, 3, true, false, &code));
    http_field twice[] = {host, FIELD("Content-Length", "1"), FIELD("content-length", "1")};
    assert_non_null(fields(twice, 3, true, false, &code));
}

static void layout_finds_what_was_cut_up_wrongly(void **state)
{
    (void)state;
    static const char good[] = "HTTP/1.1\0\0Host\0 a\0\0X\0b\0\0\0";
    const char *end = good + sizeof good;
    http_field list[] = {{good + 10, good + 16, 4, 1}, {good + 19, good + 21, 1, 1}};
    int code;
    assert_null(http_check_layout(good, end, list, 2, &code));
    assert_non_null(http_check_layout(good, end, list, 1, &code));     /* something is left over */
    assert_non_null(http_check_layout(good, end - 1, list, 2, &code)); /* a bare LF at the end */
    http_field moved[] = {list[0], {good + 19, "b", 1, 1}};
    assert_non_null(http_check_layout(good, end, moved, 2, &code)); /* folded: its value stands elsewhere */
    assert_non_null(http_check_layout(good, good + 9, list, 0, &code));
}

static const char *target(arena *a, const char *t, char **path)
{
    char *raw, *query;
    return http_check_target(t, a, &raw, path, &query);
}

static void targets_are_plain_paths(void **state)
{
    (void)state;
    arena *a = arena_create(0);
    char *path;
    static const char *const bad[] = {"http://b.test/", "*",       "",          "/a\\b",  "/../b",
                                      "/a/..",          "/a/./b",  "/%2e%2e/b", "/a/%2E", "/a%5cb",
                                      "/a%2f..%2fb",    "/%",      "/a%2",      "/a%zz",  "/a%00",
                                      "/a#b",           "/a b",    "/a\x80",    "/a%0ab", "/%ff",
                                      "/a?b=%",         "/a?b=%0", "/a?%00"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_non_null(target(a, bad[i], &path));
    assert_non_null(target(a, "/a?x=\\", &path));
    assert_null(target(a, "/a%20b/c..d/.e/%C3%A4?x=../y", &path));
    assert_string_equal(path, "/a b/c..d/.e/\xC3\xA4");
    arena_free(a);
}

static void unescape_is_exact(void **state)
{
    (void)state;
    arena *a = arena_create(0);
    assert_string_equal(http_unescape(a, "a+b%2B", 6, true), "a b+");
    assert_string_equal(http_unescape(a, "a+b%2B", 6, false), "a+b+");
    assert_null(http_unescape(a, "a%2B", 3, false)); /* cut in the middle of an escape */
    assert_null(http_unescape(a, "a%2B", 2, false));
    assert_string_equal(http_unescape(a, "", 0, false), "");
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_have_one_meaning),
        cmocka_unit_test(layout_finds_what_was_cut_up_wrongly),
        cmocka_unit_test(targets_are_plain_paths),
        cmocka_unit_test(unescape_is_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
