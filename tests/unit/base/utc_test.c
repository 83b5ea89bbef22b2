#include "support/check.h"

#include <string.h>

#include "base/utc.h"

static void good(const char *s, int64_t want)
{
    int64_t us = 0;
    assert_true(utc_parse(s, strlen(s), &us));
    assert_int_equal(us, want);
}

static void bad(const char *s)
{
    int64_t us;
    assert_false(utc_parse(s, strlen(s), &us));
}

static void parses_what_rfc3339_says(void **state)
{
    (void)state;
    good("1970-01-01T00:00:00Z", 0);
    good("2026-03-28T19:59:59.999999999+02:00", 1774720799999999); /* cut, not rounded */
    good("0001-01-01T00:00:00Z", UTC_MIN_US);
    good("9999-12-31T23:59:59.999999Z", UTC_MAX_US);
    good("1998-12-31T23:59:60Z", 915148800000000);
    good("1998-12-31T15:59:60.5-08:00", 915148800500000);
    bad("1998-12-31T23:58:60Z");
    bad("0001-01-01T00:00:00+00:01");
    bad("2026-02-29T00:00:00Z");
    bad("2026-01-01T24:00:00Z");
    bad("2026-01-01T00:00:00");
    bad("2026-01-01T00:00:00.Z");
    bad("2026-01-01T00:00:00Z ");
}

static void formats_and_reads_back(void **state)
{
    (void)state;
    static const int64_t points[] = {
        0, -1, 1, UTC_MIN_US, UTC_MAX_US, 1774720799999999, 1774720799500000, 951782400000000};
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        char out[UTC_TEXT_SIZE];
        size_t n = utc_format(points[i], out);
        good(out, points[i]);
        assert_int_equal(n, strlen(out));
    }
}

static void durations(void **state)
{
    (void)state;
    int64_t us;
    assert_true(duration_parse("1h30m", 5, &us));
    assert_int_equal(us, 5400 * UTC_SECOND_US);
    assert_true(duration_parse("400d", 4, &us));
    assert_int_equal(us, 400 * UTC_DAY_US);
    assert_true(duration_parse("250ms", 5, &us));
    assert_int_equal(us, 250000);
    assert_false(duration_parse("", 0, &us));
    assert_false(duration_parse("5", 1, &us));
    assert_false(duration_parse("h", 1, &us));
    assert_false(duration_parse("99999999999999999w", 18, &us));
    char out[UTC_TEXT_SIZE];
    duration_format(5400 * UTC_SECOND_US, out);
    assert_string_equal(out, "1h30m");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_what_rfc3339_says),
        cmocka_unit_test(formats_and_reads_back),
        cmocka_unit_test(durations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
