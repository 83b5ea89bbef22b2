/* Decimal numbers: doubles against strtod bit by bit, integers exact or refused. */
#include "support/check.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "flow/decimal.h"

static void as_strtod(const char *s)
{
    number_text d;
    const char *end = s + strlen(s);
    assert_ptr_equal(decimal_read(s, end, &d), end);
    double got = decimal_double(&d), want = strtod(s, NULL);
    if (memcmp(&got, &want, sizeof got) != 0)
        fail_msg("%s: %a, strtod has %a", s, got, want);
}

static void doubles_are_the_nearest(void **state)
{
    (void)state;
    static const char *const hard[] = {"0",
                                       "-0",
                                       "0.1",
                                       "9007199254740993",
                                       "9007199254740992.5",
                                       "1e22",
                                       "1e23",
                                       "8.5e-23",
                                       "2.2250738585072011e-308",
                                       "4.9e-324",
                                       "1e-400",
                                       "1e400",
                                       "-1e400",
                                       "179769313486231580793728971405301e276",
                                       "0.000000000000000000000000000000001",
                                       "1.00000000000000011102230246251565404236316680908203125",
                                       "1e99999999999999999999",
                                       "1e-99999999999999999999",
                                       "123456789012345678901234567890"};
    for (size_t i = 0; i < sizeof hard / sizeof *hard; i++)
        as_strtod(hard[i]);
    random_seeded r = {test_seed()};
    for (unsigned i = 0; i < 200000; i++) {
        char s[64];
        uint64_t m = random_seeded_next(&r) >> (random_seeded_next(&r) % 64), f = random_seeded_next(&r);
        int form = (int)(f % 4), e = (int)(f / 4 % 61) - 30;
        if (form == 0)
            snprintf(s, sizeof s, "%llu.%llu", (unsigned long long)m % 100000,
                     (unsigned long long)f % 10000000);
        else if (form == 1)
            snprintf(s, sizeof s, "-%llue%d", (unsigned long long)m, e);
        else if (form == 2)
            snprintf(s, sizeof s, "%llu.%010llue%d", (unsigned long long)m % 1000,
                     (unsigned long long)f % 10000000000, e);
        else
            snprintf(s, sizeof s, "%.17g", (double)m * pow(10, e));
        as_strtod(s);
    }
}

static decimal_fit integer(const char *s, int64_t *out)
{
    number_text d;
    assert_non_null(decimal_read(s, s + strlen(s), &d));
    return decimal_int64(&d, out);
}

static void is(const char *s, int64_t want)
{
    int64_t got = 0;
    if (integer(s, &got) != DECIMAL_FITS || got != want)
        fail_msg("%s: %lld", s, (long long)got);
}

static void integers_are_exact(void **state)
{
    (void)state;
    int64_t out;
    is("0", 0);
    is("-0", 0);
    is("5.0", 5);
    is("5e0", 5);
    is("500e-2", 5);
    is("1e3", 1000);
    is("0e999999999", 0);
    is("9223372036854775807", INT64_MAX);
    is("-9223372036854775808", INT64_MIN);
    is("9223372036854775807.000000000000", INT64_MAX);
    is("922337203685477580.7e1", INT64_MAX);
    is("9007199254740993", 9007199254740993);
    is("1000000000000000000000000000000e-30", 1);
    assert_int_equal(integer("9223372036854775808", &out), DECIMAL_TOO_LARGE);
    assert_int_equal(integer("-9223372036854775809", &out), DECIMAL_TOO_LARGE);
    assert_int_equal(integer("1e19", &out), DECIMAL_TOO_LARGE);
    assert_int_equal(integer("1e99999999999", &out), DECIMAL_TOO_LARGE);
    assert_int_equal(integer("99999999999999999999", &out), DECIMAL_TOO_LARGE);
    assert_int_equal(integer("1.5", &out), DECIMAL_FRACTION);
    assert_int_equal(integer("1e-1", &out), DECIMAL_FRACTION);
    assert_int_equal(integer("1e-99999999999", &out), DECIMAL_FRACTION);
}

static void times_are_cut(void **state)
{
    (void)state;
    static const struct {
        const char *s;
        int shift;
        int64_t want;
    } cases[] = {{"1774720799.999999999", 6, 1774720799999999},
                 {"-0.0000001", 6, -1},
                 {"1774720799999", 3, 1774720799999000},
                 {"1999", -3, 1},
                 {"-1999", -3, -2},
                 {"-2000", -3, -2},
                 {"1.5e9", 6, 1500000000000000}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        number_text d;
        int64_t out = 0;
        assert_non_null(decimal_read(cases[i].s, cases[i].s + strlen(cases[i].s), &d));
        assert_int_equal(decimal_scaled(&d, cases[i].shift, &out), DECIMAL_FITS);
        assert_int_equal(out, cases[i].want);
    }
}

static void grammar(void **state)
{
    (void)state;
    static const char *const bad[] = {"",   "-",    "01", "-01", "+1", ".5",
                                      "1.", "1.e5", "1e", "1e+", "x",  "Infinity"};
    number_text d;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_null(decimal_read(bad[i], bad[i] + strlen(bad[i]), &d));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(doubles_are_the_nearest),
        cmocka_unit_test(integers_are_exact),
        cmocka_unit_test(times_are_cut),
        cmocka_unit_test(grammar),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
