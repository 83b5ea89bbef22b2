/* The reader against the JSON suite, against jansson on made-up and damaged texts, and at its limits. */
#include "support/check.h"

#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/disk.h"
#include "base/random.h"
#include "flow/json_reader.h"

static json_reader reader;

/* Reads one whole document; the compact form goes to `out`. */
static bool accepts(const char *data, size_t len, text *out)
{
    char *copy = memcpy(malloc(len + 1), data, len); /* exact bounds for the address sanitizer */
    text_clear(out);
    text_reserve(out, len + 1);
    json_sink sink = {.data = out->data, .cap = len};
    json_reader_text(&reader, copy, copy + len, copy + len);
    bool ok = json_reader_value(&reader, 0, &sink);
    json_reader_space(&reader);
    ok = ok && reader.p == reader.end;
    out->len = sink.len;
    free(copy);
    return ok;
}

static bool accepts_text(const char *s)
{
    text out = {0};
    bool ok = accepts(s, strlen(s), &out);
    text_free(&out);
    return ok;
}

static void read_file(const char *folder, const char *name, text *out)
{
    char path[4096];
    status st;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (disk_read(path, 64 << 20, out, &st) != STATUS_OK)
        fail_msg("%s", st.text);
}

static void suite_of_parsing(void **state)
{
    (void)state;
    const char *folder = testdata("hostile/json/suite/parsing");
    if (!folder)
        skip();
    char root[4096];
    snprintf(root, sizeof root, "%s", folder);
    DIR *dir = opendir(root);
    unsigned seen = 0;
    for (struct dirent *e; (e = readdir(dir));) {
        if (!strstr(e->d_name, ".json"))
            continue;
        text body = {0}, out = {0};
        read_file(root, e->d_name, &body);
        bool ok = accepts(text_or_empty(&body), body.len, &out);
        if ((e->d_name[0] == 'y' && !ok) || (e->d_name[0] == 'n' && ok))
            fail_msg("%s: %s", e->d_name, ok ? "accepted" : "refused");
        text_free(&body);
        text_free(&out);
        seen++;
    }
    closedir(dir);
    assert_true(seen > 180);
}

/* What both take must be the same value; what one refuses the other must refuse, but for the rules we know.
 */
static void compare(const char *data, size_t len)
{
    text out = {0};
    json_error_t error;
    size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL;
    json_t *want = json_loadb(data, len, flags, &error);
    bool ok = accepts(data, len, &out);
    enum json_error_code code = want ? json_error_unknown : json_error_code(&error);
    bool known = code == json_error_numeric_overflow || code == json_error_null_byte_in_key ||
                 (!ok && reader.error == JSON_DEPTH);
    if (!known && ok != (want != NULL))
        fail_msg("%.*s: we %s, jansson: %s", (int)len, data, ok ? "accept" : "refuse",
                 want ? "accepts" : error.text);
    if (ok && want) {
        json_t *got = json_loadb(out.data, out.len, flags, &error);
        if (!got || !json_equal(got, want))
            fail_msg("%.*s: another value: %.*s", (int)len, data, (int)out.len, out.data);
        json_decref(got);
    }
    json_decref(want);
    text_free(&out);
}

static void suite_of_transform(void **state)
{
    (void)state;
    const char *folder = testdata("hostile/json/suite/transform");
    if (!folder)
        skip();
    char root[4096];
    snprintf(root, sizeof root, "%s", folder);
    DIR *dir = opendir(root);
    for (struct dirent *e; (e = readdir(dir));) {
        text body = {0};
        if (!strstr(e->d_name, ".json"))
            continue;
        read_file(root, e->d_name, &body);
        compare(text_or_empty(&body), body.len);
        text_free(&body);
    }
    closedir(dir);
}

/* ---- made-up documents ---- */

static const char *const scraps[] = {
    "0",
    "-0",
    "1.5",
    "1e3",
    "-12.25E-2",
    "9007199254740993",
    "true",
    "false",
    "null",
    "\"\"",
    "\"a b\"",
    "\"\\u00e9\"",
    "\"\\ud83d\\ude00\"",
    "\"\xc3\xa9\"",
    "\"\\n\\\"\\\\\\/\"",
    "{}",
    "[]",
    "\"\\u0000\"",
};

static void make_value(random_seeded *r, text *out, unsigned depth)
{
    uint64_t kind = random_seeded_next(r) % (depth < 5 ? 8 : 4);
    static const char *const blanks[] = {"", "", " ", "\n", "\t "};
    text_add(out, blanks[random_seeded_next(r) % 5]);
    if (kind < 4) {
        text_add(out, scraps[random_seeded_next(r) % (sizeof scraps / sizeof *scraps)]);
    } else {
        bool object = kind & 1;
        uint64_t n = random_seeded_next(r) % 4;
        text_add_char(out, object ? '{' : '[');
        for (uint64_t i = 0; i < n; i++) {
            if (i)
                text_add_char(out, ',');
            if (object)
                text_printf(out, "%s\"k%u\" :", blanks[random_seeded_next(r) % 5],
                            (unsigned)(random_seeded_next(r) % 6));
            make_value(r, out, depth + 1);
        }
        text_add_char(out, object ? '}' : ']');
    }
    text_add(out, blanks[random_seeded_next(r) % 5]);
}

static void damage(random_seeded *r, text *t)
{
    static const char bytes[] = "{}[]\",:\\u0e+-.19 \x80\xc3\xed\xf4tn";
    size_t at = t->len ? random_seeded_next(r) % t->len : 0;
    switch (t->len ? random_seeded_next(r) % 3 : 3) {
    case 0:
        t->data[at] = bytes[random_seeded_next(r) % (sizeof bytes - 1)];
        break;
    case 1:
        t->len = at;
        break;
    case 2:
        memmove(t->data + at, t->data + at + 1, t->len - at - 1);
        t->len--;
        break;
    default:
        break;
    }
}

static void same_as_jansson(void **state)
{
    (void)state;
    random_seeded r = {test_seed()};
    text t = {0};
    for (unsigned i = 0; i < 20000; i++) {
        text_clear(&t);
        make_value(&r, &t, 0);
        compare(text_or_empty(&t), t.len);
        for (unsigned k = 0; k < 3; k++) {
            damage(&r, &t);
            compare(text_or_empty(&t), t.len);
        }
    }
    text_free(&t);
}

/* ---- strings at every alignment, facts, limits ---- */

static void strings_of_every_length(void **state)
{
    (void)state;
    for (size_t n = 0; n < 70; n++) {
        for (size_t special = 0; special <= n; special++) {
            char body[96];
            json_text value;
            memset(body, 'x', sizeof body);
            body[0] = '"';
            body[n + 1] = '"';
            if (special < n)
                body[special + 1] = '\n';
            char *exact = memcpy(malloc(n + 2), body, n + 2);
            json_reader_text(&reader, exact, exact + n + 2, exact + n + 2);
            assert_int_equal(json_reader_string(&reader, &value), special == n);
            if (special == n)
                assert_int_equal(value.len, n);
            else
                assert_ptr_equal(reader.at, exact + special + 1);
            free(exact);
        }
    }
}

static void facts_of_values(void **state)
{
    (void)state;
    assert_true(accepts_text("{\"a\":1,\"b\":{\"a\":1}}"));
    assert_false(reader.duplicate);
    assert_true(accepts_text("[{\"a\":1},{\"a\":1}]"));
    assert_false(reader.duplicate);
    assert_true(accepts_text("{\"a\":1,\"\\u0061\":1}"));
    assert_true(reader.duplicate);
    assert_true(accepts_text("[\"x\\u0000\"]"));
    assert_true(reader.has_nul);
    assert_true(accepts_text("[1e1001]"));
    assert_true(reader.huge_number);
    assert_true(accepts_text("[1e1000]"));
    assert_false(reader.huge_number);
    assert_false(accepts_text("\"\\ud800\""));
    assert_false(accepts_text("\"\\udc00\\ud800\""));
    assert_false(accepts_text("\"\xed\xa0\x80\""));
    assert_int_equal(reader.error, JSON_UTF8);
}

static void limits(void **state)
{
    (void)state;
    json_reader_limits(&reader, 3, 2, 4, 5);
    assert_true(accepts_text("[[[]]]"));
    assert_false(accepts_text("[[[[]]]]"));
    assert_int_equal(reader.error, JSON_DEPTH);
    assert_true(accepts_text("{\"a\":{\"b\":1}}"));
    assert_false(accepts_text("{\"a\":{\"b\":1},\"c\":1}"));
    assert_int_equal(reader.error, JSON_MEMBERS);
    assert_true(accepts_text("\"abcd\""));
    assert_false(accepts_text("\"abcde\""));
    assert_int_equal(reader.error, JSON_TEXT_LONG);
    assert_true(accepts_text("\"\\u0061bcd\""));
    assert_false(accepts_text("\"\\u0061bcde\""));
    assert_int_equal(reader.error, JSON_TEXT_LONG);
    assert_true(accepts_text("12345"));
    assert_false(accepts_text("123456"));
    assert_int_equal(reader.error, JSON_NUMBER_LONG);
    json_reader_limits(&reader, JSON_READER_DEPTH_MAX, 4096, 1 << 20, 1024);
}

static void deepest(void **state)
{
    (void)state;
    char body[2 * JSON_READER_DEPTH_MAX + 3];
    for (size_t n = JSON_READER_DEPTH_MAX - 1; n <= JSON_READER_DEPTH_MAX + 1; n++) {
        memset(body, '[', n);
        memset(body + n, ']', n);
        body[2 * n] = '\0';
        assert_int_equal(accepts_text(body), n <= JSON_READER_DEPTH_MAX);
    }
}

static int open_reader(void **state)
{
    (void)state;
    json_reader_open(&reader, JSON_READER_DEPTH_MAX, 4096, 1 << 20, 1024);
    return 0;
}

static int close_reader(void **state)
{
    (void)state;
    json_reader_close(&reader);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(suite_of_parsing), cmocka_unit_test(suite_of_transform),
        cmocka_unit_test(same_as_jansson),  cmocka_unit_test(strings_of_every_length),
        cmocka_unit_test(facts_of_values),  cmocka_unit_test(limits),
        cmocka_unit_test(deepest),
    };
    return cmocka_run_group_tests(tests, open_reader, close_reader);
}
