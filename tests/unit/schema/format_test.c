/* Formats, patterns and numbers at their edges; the bulk is in the suite. */
#include "support/check.h"

#include <string.h>

#include "schema/format.h"
#include "schema/number.h"
#include "schema/pattern.h"

typedef struct format_case {
    format_kind kind;
    const char *text;
    bool fits;
} format_case;

static const format_case cases[] = {
    {FORMAT_DATE_TIME, "2026-02-28T23:59:59.999999999+05:30", true},
    {FORMAT_DATE_TIME, "2026-02-29T00:00:00Z", false},
    {FORMAT_DATE_TIME, "2026-02-28 23:59:59Z", false},
    {FORMAT_DATE_TIME, "", false},
    {FORMAT_DATE, "2024-02-29", true},
    {FORMAT_DATE, "2100-02-29", false},
    {FORMAT_TIME, "23:59:60Z", true},
    {FORMAT_TIME, "23:59:60", false},
    {FORMAT_DURATION, "P1Y2M3DT4H5M6S", true},
    {FORMAT_DURATION, "P4W", true},
    {FORMAT_DURATION, "P1D2W", false},
    {FORMAT_DURATION, "P1YT1H1S", false},
    {FORMAT_UUID, "2EB8AA08-AA98-11EA-B4AA-73B441D16380", true},
    {FORMAT_UUID, "2eb8aa08aa9811eab4aa73b441d16380", false},
    {FORMAT_EMAIL, "joe@example.com", true},
    {FORMAT_EMAIL, "\"a\\\\\"@example.com", true},
    {FORMAT_EMAIL, "\"a\\\"@example.com", false},
    {FORMAT_EMAIL, "\"a\"b\"@example.com", false},
    {FORMAT_EMAIL, "@example.com", false},
    {FORMAT_HOSTNAME, "a-b.example", true},
    {FORMAT_HOSTNAME, "a..b", false},
    {FORMAT_HOSTNAME, "-a", false},
    {FORMAT_HOSTNAME, "xn--", false},
    {FORMAT_IDN_EMAIL, "a@xn--\xCF\xB1-x", false}, /* an A-label is ASCII */
    {FORMAT_IPV4, "255.255.255.255", true},
    {FORMAT_IPV4, "1.2.3.04", false},
    {FORMAT_IPV6, "::", true},
    {FORMAT_IPV6, "1::2:3:4:5:6:7:8", false},
    {FORMAT_IPV6, "fe80::1%eth0", false},
    {FORMAT_URI, "http://[::1]:80/a%20b?c#d", true},
    {FORMAT_URI, "http://[::1", false},
    {FORMAT_URI, "a b:", false},
    {FORMAT_URI_REFERENCE, "../a:b", true},
    {FORMAT_URI_REFERENCE, "a:b%", false},
    {FORMAT_JSON_POINTER, "/a~0~1", true},
    {FORMAT_JSON_POINTER, "/a~", false},
    {FORMAT_REGEX, "^a{1,3}$", true},
    {FORMAT_REGEX, "(", false},
    {FORMAT_NONE, "anything", true},
};

static void edges(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const format_case *c = &cases[i];
        size_t len = strlen(c->text);
        char *exact = malloc(len + 1); /* a read beyond the end is found by the sanitizer */
        memcpy(exact, c->text, len);
        char *shrunk = realloc(exact, len ? len : 1);
        if (format_check(c->kind, shrunk, len) != c->fits)
            fail_msg("%s: \"%s\" is %s", format_name(c->kind), c->text, c->fits ? "refused" : "accepted");
        free(shrunk);
    }
}

static void names_lead_back(void **state)
{
    (void)state;
    for (int i = 1; i < FORMAT_COUNT; i++)
        assert_int_equal(format_by_name(format_name((format_kind)i)), i);
    assert_int_equal(format_by_name("pump"), FORMAT_NONE);
}

static void uuids_become_bytes(void **state)
{
    (void)state;
    uint8_t bytes[16];
    const char *s = "00112233-4455-6677-8899-aAbBcCdDeEfF";
    assert_true(format_uuid_parse(s, strlen(s), bytes));
    for (unsigned i = 0; i < 16; i++)
        assert_int_equal(bytes[i], i * 0x11);
}

static void nothing_of_pcre_gets_through(void **state)
{
    (void)state;
    static const char *const refused[] = {"(*COMMIT)a", "(?R)",     "(?i)a",     "a++", "(?>a)", "\\Ka",
                                          "\\Qa\\E",    "(?C1)a",   "(?(1)a|b)", "\\A", "\\z",   "\\G",
                                          "\\C",        "\\X",      "(?|a|b)",   "\\h", "\\R",   "(?P<a>b)",
                                          "\\N{U+41}",  "(?#note)", "a{2}{3}",   "*a",  "a**",   "\\u12",
                                          "\\p{L",      "[a",       "a)",        "\\"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (pattern_is_valid(refused[i], strlen(refused[i])))
            fail_msg("%s was accepted", refused[i]);
}

typedef struct match_case {
    const char *pattern, *text;
    pattern_result result;
} match_case;

static void patterns_mean_what_ecma_says(void **state)
{
    (void)state;
    static const match_case matches[] = {
        {"^a$", "a\n", PATTERN_NO},
        {"a.b",
         "a\xE2\x80\xA8"
         "b",
         PATTERN_NO},
        {"^\\d+$", "\xD9\xA1", PATTERN_NO},
        {"^[[:a]+$", "[:a", PATTERN_YES},
        {"^[^]$", "\n", PATTERN_YES},
        {"a[]b", "ab", PATTERN_NO},
        {"^{$", "{", PATTERN_YES},
        {"^a{,3}$", "a{,3}", PATTERN_YES},
        {"^\\u{1f432}$", "\xF0\x9F\x90\xB2", PATTERN_YES},
        {"^\\ud83d\\udc32$", "\xF0\x9F\x90\xB2", PATTERN_YES},
        {"^[\\s]$", "\xEF\xBB\xBF", PATTERN_YES},
        {"^[\\S]$", "\xC2\xA0", PATTERN_NO},
        {"(?<y>a)\\k<y>", "aa", PATTERN_YES},
        {"(?:(a)|b)\\1c", "bc", PATTERN_YES},
        {"^[\\b]$", "\b", PATTERN_YES},
        {"^\\p{Script=Greek}$", "\xCE\xB1", PATTERN_YES},
    };
    status st;
    for (size_t i = 0; i < sizeof matches / sizeof *matches; i++) {
        pattern *p = pattern_compile(matches[i].pattern, strlen(matches[i].pattern), &st);
        if (!p)
            fail_msg("%s: %s", matches[i].pattern, st.text);
        if (pattern_match(p, matches[i].text, strlen(matches[i].text)) != matches[i].result)
            fail_msg("%s on %s", matches[i].pattern, matches[i].text);
        pattern_speed_up(p);
        assert_int_equal(pattern_match(p, matches[i].text, strlen(matches[i].text)), matches[i].result);
        pattern_free(p);
    }
}

static void pattern_limits(void **state)
{
    (void)state;
    static char text_of[PATTERN_BYTES_MAX + 2];
    status st;
    memset(text_of, 'a', sizeof text_of);
    for (size_t len = PATTERN_BYTES_MAX - 1; len <= PATTERN_BYTES_MAX + 1; len++)
        assert_int_equal(pattern_is_valid(text_of, len), len <= PATTERN_BYTES_MAX);
    for (size_t depth = PATTERN_NESTING_MAX - 1; depth <= PATTERN_NESTING_MAX + 1; depth++) {
        memset(text_of, '(', depth);
        memset(text_of + depth, ')', depth);
        pattern *p = pattern_compile(text_of, 2 * depth, &st);
        assert_int_equal(p != NULL, depth <= PATTERN_NESTING_MAX);
        if (!p)
            assert_int_equal(st.class, STATUS_LIMIT);
        pattern_free(p);
    }
    const char *large = "^(([a-z]{1,99}[0-9]{1,99}){1,99}x){1,99}$";
    assert_null(pattern_compile(large, strlen(large), &st));
}

static int compare(json_t *a, json_t *b)
{
    int order = number_compare(a, b);
    assert_int_equal(number_compare(b, a), -order);
    json_decref(a);
    json_decref(b);
    return order;
}

static void numbers_compare_exactly(void **state)
{
    (void)state;
    assert_int_equal(compare(json_integer(1), json_real(1.0)), 0);
    assert_int_equal(compare(json_integer(9007199254740993), json_real(9007199254740992.0)), 1);
    assert_int_equal(compare(json_integer(INT64_MAX), json_real(9223372036854775808.0)), -1);
    assert_int_equal(compare(json_integer(INT64_MIN), json_real(-9223372036854775808.0)), 0);
    assert_int_equal(compare(json_integer(-1), json_real(-1.5)), 1);
    assert_int_equal(compare(json_integer(0), json_real(-0.0)), 0);
    assert_int_equal(compare(json_integer(0), json_real(5e-324)), -1);
}

static void multiples_are_decimal(void **state)
{
    (void)state;
    static const struct {
        double value, divisor;
        bool multiple;
    } some[] = {
        {0.3, 0.1, true},       {19.99, 0.01, true},  {1e308, 0.01, true},         {1e308, 1e-308, true},
        {4.35, 0.01, true},     {4.355, 0.01, false}, {1e308, 0.123456789, false}, {0, 7, true},
        {5e-324, 1e308, false}, {7.5, 2.5, true},     {0.0075, 0.0001, true},      {-9, 3, true}};
    for (size_t i = 0; i < sizeof some / sizeof *some; i++)
        assert_int_equal(
            decimal_is_multiple(decimal_of_double(some[i].value), decimal_of_double(some[i].divisor)),
            some[i].multiple);
    assert_true(decimal_is_multiple(decimal_of_integer(INT64_MIN), decimal_of_integer(1024)));
    assert_false(decimal_is_multiple(decimal_of_integer(INT64_MAX), decimal_of_integer(2)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edges),
        cmocka_unit_test(names_lead_back),
        cmocka_unit_test(uuids_become_bytes),
        cmocka_unit_test(nothing_of_pcre_gets_through),
        cmocka_unit_test(patterns_mean_what_ecma_says),
        cmocka_unit_test(pattern_limits),
        cmocka_unit_test(numbers_compare_exactly),
        cmocka_unit_test(multiples_are_decimal),
    };
    return cmocka_run_group_tests_name("formats", tests, NULL, NULL);
}
