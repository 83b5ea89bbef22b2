/* The parts of connectors over tables that need no database: the mark, with its limits, and what texts are
 * read as. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mark.h"
#include "support/check.h"
#include "value.h"

static driver_value text_of(const char *s)
{
    return (driver_value){s, strlen(s)};
}

static mark *fresh(const char *column)
{
    mark *m = calloc(1, sizeof *m);
    assert_non_null(m);
    snprintf(m->column, sizeof m->column, "%s", column);
    return m;
}

static mark_row row_of(unsigned n)
{
    char text[16];
    snprintf(text, sizeof text, "%u", n);
    return mark_row_of(&(driver_value){text, strlen(text)}, 1);
}

static void a_mark_is_what_was_written(void **state)
{
    static uint8_t bytes[MARK_TEXT_MAX];
    mark *m = fresh("at"), *back = fresh("");
    driver_value keys[] = {text_of("7"), text_of(""), text_of("x")};
    (void)state;
    for (unsigned i = 0; i < MARK_SEEN_MAX; i++)
        assert_true(mark_move(m, text_of("2026-01-01"), keys, 3, row_of(i)));
    size_t len = mark_write(m, bytes);
    assert_true(mark_read(back, (pst_bytes){bytes, len}));
    assert_memory_equal(m->seen, back->seen, sizeof m->seen);
    assert_string_equal(back->column, "at");
    assert_true(mark_is_at(back, text_of("2026-01-01")));
    assert_int_equal(mark_key(back, 2).len, 1);
    assert_memory_equal(mark_key(back, 2).data, "x", 1);
    for (size_t cut = 1; cut < len; cut += 97)
        assert_false(mark_read(back, (pst_bytes){bytes, len - cut}));
    assert_true(mark_read(back, (pst_bytes){NULL, 0}));
    assert_string_equal(back->column, "");
    free(m);
    free(back);
}

static void more_rows_than_are_remembered_are_a_crowd(void **state)
{
    mark *m = fresh("at");
    (void)state;
    for (unsigned i = 0; i < MARK_SEEN_MAX; i++) {
        assert_true(mark_move(m, text_of("1"), NULL, 0, row_of(i)));
        assert_false(m->crowded);
    }
    assert_true(mark_move(m, text_of("1"), NULL, 0, row_of(MARK_SEEN_MAX)));
    assert_true(m->crowded);
    assert_true(mark_move(m, text_of("2"), NULL, 0, row_of(0)));
    assert_false(m->crowded);
    assert_int_equal(m->n_seen, 1);
    free(m);
}

static void values_and_keys_have_limits(void **state)
{
    static char many[MARK_KEY_MAX + 2];
    mark *m = fresh("at");
    (void)state;
    memset(many, 'x', sizeof many);
    for (size_t len = MARK_VALUE_MAX - 1; len <= MARK_VALUE_MAX + 1; len++)
        assert_int_equal(mark_move(m, (driver_value){many, len}, NULL, 0, row_of(0)), len <= MARK_VALUE_MAX);
    for (size_t len = MARK_KEY_MAX - 1; len <= MARK_KEY_MAX + 1; len++) {
        driver_value keys[] = {{many, len - 2}, {many, 2}};
        assert_int_equal(mark_move(m, text_of("1"), keys, 2, row_of(0)), len <= MARK_KEY_MAX);
    }
    free(m);
}

static void equal_rows_are_counted(void **state)
{
    mark_row list[] = {row_of(1), row_of(2), row_of(1)};
    uint32_t n = 3;
    (void)state;
    assert_true(mark_take(list, &n, row_of(1)));
    assert_true(mark_take(list, &n, row_of(1)));
    assert_false(mark_take(list, &n, row_of(1)));
    assert_true(mark_take(list, &n, row_of(2)));
    assert_int_equal(n, 0);
}

static void rows_differ_by_where_their_values_end(void **state)
{
    driver_value a[] = {{"ab", 2}, {"c", 1}}, b[] = {{"a", 1}, {"bc", 2}}, c[] = {{"", 0}}, d[] = {{NULL, 0}};
    mark_row x = mark_row_of(a, 2), y = mark_row_of(b, 2), z = mark_row_of(c, 1), w = mark_row_of(d, 1);
    (void)state;
    assert_true(x.a != y.a && x.b != y.b && z.a != w.a && z.b != w.b);
}

static const char *read_as(driver_kind kind, const char *text, value *out)
{
    return value_read(NULL, NULL, kind, text ? text_of(text) : (driver_value){0}, out);
}

static void texts_are_values_or_say_why_not(void **state)
{
    static const struct {
        driver_kind kind;
        const char *text;
        bool fine;
        int64_t number;
    } cases[] = {{DRIVER_TIME, "1970-01-01 00:00:01.5+00", true, 1500000},
                 {DRIVER_TIME, "1970-01-01 02:00:00+02", true, 0},
                 {DRIVER_TIME, "1969-12-31 18:30:00-05:30", true, 0},
                 {DRIVER_TIME, "1970-01-01T00:00:00.0000019Z", true, 1},
                 {DRIVER_TIME, "0044-03-15 12:00:00+00 BC", false, 0},
                 {DRIVER_TIME, "infinity", false, 0},
                 {DRIVER_TIME, "10000-01-01 00:00:00+00", false, 0},
                 {DRIVER_TIME, "", false, 0},
                 {DRIVER_DATE, "1970-01-02", true, 1},
                 {DRIVER_DATE, "1969-12-31", true, -1},
                 {DRIVER_DATE, "2026-02-30", false, 0},
                 {DRIVER_INTEGER, "9223372036854775807", true, INT64_MAX},
                 {DRIVER_INTEGER, "9223372036854775808", false, 0},
                 {DRIVER_INTEGER, "-9223372036854775808", true, INT64_MIN},
                 {DRIVER_INTEGER, "1x", false, 0},
                 {DRIVER_NUMBER, "NaN", true, 0},
                 {DRIVER_NUMBER, "1e3", true, 0},
                 {DRIVER_NUMBER, "one", false, 0},
                 {DRIVER_UUID, "01234567-89ab-cdef-0123-456789abcdef", true, 0},
                 {DRIVER_UUID, "01234567-89ab-cdef-0123-456789abcde", false, 0},
                 {DRIVER_TEXT, "\xc3\xbc", true, 0},
                 {DRIVER_TEXT, "\xc0\x80", false, 0},
                 {DRIVER_TEXT, "\xed\xa0\x80", false, 0},
                 {DRIVER_TEXT, "\xf4\x90\x80\x80", false, 0},
                 {DRIVER_TEXT, "\xe2\x82", false, 0},
                 {DRIVER_JSON, "\"\\u0000\"", false, 0},
                 {DRIVER_BOOLEAN, "t", true, 0},
                 {DRIVER_BOOLEAN, "maybe", false, 0}};
    value v;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *why = read_as(cases[i].kind, cases[i].text, &v);
        if (cases[i].fine != !why || (cases[i].number && v.number != cases[i].number))
            fail_msg("%s: %s (%lld)", cases[i].text, why ? why : "fine", (long long)v.number);
    }
    assert_null(read_as(DRIVER_TIME, NULL, &v));
    assert_true(v.null);
}

static void the_zones_clock_is_read_as_people_mean_it(void **state)
{
    value v, utc;
    (void)state;
    assert_false(value_zone("Nowhere/Land"));
    assert_false(value_zone("../../../etc/passwd"));
    assert_true(value_zone("Europe/Berlin"));
    assert_null(read_as(DRIVER_LOCAL, "2026-10-25 02:30:00", &v)); /* comes twice: the first */
    assert_null(read_as(DRIVER_TIME, "2026-10-25 00:30:00+00", &utc));
    assert_int_equal(v.number, utc.number);
    assert_null(read_as(DRIVER_LOCAL, "2026-01-01 12:00:00", &v));
    assert_null(read_as(DRIVER_TIME, "2026-01-01 11:00:00+00", &utc));
    assert_int_equal(v.number, utc.number);
    assert_true(value_zone("UTC"));
}

static void a_place_is_the_text_that_it_came_from(void **state)
{
    static const struct {
        driver_kind kind;
        const char *text;
    } cases[] = {{DRIVER_INTEGER, "-42"},
                 {DRIVER_DATE, "1969-02-28"},
                 {DRIVER_TIME, "2026-03-29 01:02:03.000004+00"},
                 {DRIVER_LOCAL, "1901-01-01 00:00:00.999999"}};
    char back[64];
    int64_t order;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_true(value_order(cases[i].kind, text_of(cases[i].text), &order));
        back[value_of_order(cases[i].kind, order, back)] = '\0';
        assert_string_equal(back, cases[i].text);
    }
    assert_false(value_order(DRIVER_TEXT, text_of("a"), &order));
    assert_int_equal(value_overlap(DRIVER_TIME, 1.5), 1500000);
    assert_int_equal(value_overlap(DRIVER_DATE, 1), 1);
    assert_int_equal(value_overlap(DRIVER_INTEGER, 2), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_mark_is_what_was_written),
                                       cmocka_unit_test(more_rows_than_are_remembered_are_a_crowd),
                                       cmocka_unit_test(values_and_keys_have_limits),
                                       cmocka_unit_test(equal_rows_are_counted),
                                       cmocka_unit_test(rows_differ_by_where_their_values_end),
                                       cmocka_unit_test(texts_are_values_or_say_why_not),
                                       cmocka_unit_test(the_zones_clock_is_read_as_people_mean_it),
                                       cmocka_unit_test(a_place_is_the_text_that_it_came_from)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
