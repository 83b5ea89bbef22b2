/* Buckets of the calendar: hand-computed days of 23 and 25 hours and of clocks that change at midnight, then
 * random moments of many zones against a reference that walks the local clock minute by minute. */
#include "support/check.h"

#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "base/utc.h"
#include "control/bucket.h"

static const int64_t hour_us = 3600 * UTC_SECOND_US, minute_us = 60 * UTC_SECOND_US;

static int64_t at(const char *text)
{
    int64_t us = 0;
    assert_true(utc_parse(text, strlen(text), &us));
    return us;
}

static bucket_rule rule_of(const char *word, const char *zone)
{
    bucket_rule r;
    status st;
    if (bucket_rule_read(word, zone, &r, &st) != STATUS_OK)
        fail_msg("%s", st.text);
    return r;
}

static void check(const char *word, const char *zone, const char *moment, const char *start, const char *end)
{
    bucket_rule r = rule_of(word, zone);
    char got[UTC_TEXT_SIZE];
    utc_format(bucket_start(&r, at(moment)), got);
    assert_string_equal(got, start);
    utc_format(bucket_end(&r, at(moment)), got);
    assert_string_equal(got, end);
}

static void days_follow_the_clock(void **state)
{
    (void)state;
    check("1d", "UTC", "2026-03-29T12:00:00Z", "2026-03-29T00:00:00Z", "2026-03-30T00:00:00Z");
    /* 23 and 25 hours */
    check("1d", "Europe/Berlin", "2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z");
    check("1d", "Europe/Berlin", "2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z");
    /* 24 hours and a half */
    check("1d", "Australia/Lord_Howe", "2026-04-05T00:00:00Z", "2026-04-04T13:00:00Z",
          "2026-04-05T13:30:00Z");
    /* midnight is skipped: the day begins at one o'clock */
    check("1d", "America/Sao_Paulo", "2018-11-04T12:00:00Z", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z");
    /* midnight comes twice: the day begins at the first */
    check("1d", "America/Havana", "2026-11-01T12:00:00Z", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z");
    check("1d", "America/Havana", "2026-11-01T04:30:00Z", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z");
    /* a minute past midnight the clock goes back before it: that hour stays in the day that has begun */
    check("1d", "America/St_Johns", "2009-11-01T02:45:00Z", "2009-11-01T02:30:00Z", "2009-11-02T03:30:00Z");
    /* a day that never was */
    check("1d", "Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z");
    check("1d", "Pacific/Apia", "2011-12-30T09:59:00Z", "2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z");
}

static void wider_ones_follow_the_calendar(void **state)
{
    (void)state;
    check("1w", "UTC", "2026-01-01T00:00:00Z", "2025-12-29T00:00:00Z", "2026-01-05T00:00:00Z");
    check("1w", "Europe/Berlin", "2026-03-29T21:59:59Z", "2026-03-22T23:00:00Z", "2026-03-29T22:00:00Z");
    check("1mo", "Europe/Berlin", "2026-03-31T21:59:59Z", "2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z");
    check("1mo", NULL, "2024-02-29T23:59:59Z", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z");
    check("1q", "Europe/Berlin", "2026-06-30T22:00:00Z", "2026-06-30T22:00:00Z", "2026-09-30T22:00:00Z");
    check("1y", "Asia/Kathmandu", "1985-12-31T18:29:59Z", "1984-12-31T18:30:00Z", "1985-12-31T18:30:00Z");
    check("1y", "UTC", "1969-12-31T23:59:59Z", "1969-01-01T00:00:00Z", "1970-01-01T00:00:00Z");
    check("10m", "Europe/Berlin", "2026-01-01T00:09:59Z", "2026-01-01T00:00:00Z", "2026-01-01T00:10:00Z");
    check("36h", "UTC", "1970-01-02T12:00:00Z", "1970-01-02T12:00:00Z", "1970-01-04T00:00:00Z");
}

static void what_is_no_width_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "mo", "0mo", "-1d", "0s", "1 d", "10001mo", "1x"};
    bucket_rule r;
    status st;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_not_equal(bucket_rule_read(bad[i], NULL, &r, &st), STATUS_OK);
    assert_int_equal(bucket_rule_read("1d", "Mars/Olympus", &r, &st), STATUS_NOT_FOUND);
    assert_int_equal(bucket_rule_read("10000mo", NULL, &r, &st), STATUS_OK);
}

static const char *const zones[] = {
    "Europe/Berlin",  "America/New_York", "America/Havana",      "America/Sao_Paulo",
    "Asia/Beirut",    "Africa/Cairo",     "America/Asuncion",    "America/Santiago",
    "Asia/Gaza",      "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia",
    "Asia/Kathmandu", "America/Godthab",  "Asia/Tehran",         "Atlantic/Azores"};

/* The slow reference: the newest moment, minute by minute backwards, at which the local clock first reached a
 * day that it had not shown before. */
static int64_t slow_day_start(const zone *z, int64_t us)
{
    int64_t from = us - 3 * UTC_DAY_US, found = INT64_MIN, newest_day = INT64_MIN;
    from -= from % minute_us;
    for (int64_t t = from; t <= us; t += minute_us) {
        int64_t local = t + zone_offset_us(z, t), day = local / UTC_DAY_US - (local % UTC_DAY_US < 0);
        if (day > newest_day) {
            newest_day = day;
            found = t;
        }
    }
    return found;
}

static void random_days_equal_the_walked_clock(void **state)
{
    (void)state;
    random_seeded r = {test_seed()};
    for (int i = 0; i < 1500; i++) {
        const char *name = zones[random_seeded_next(&r) % (sizeof zones / sizeof *zones)];
        bucket_rule rule = rule_of("1d", name);
        int64_t us =
            at("1996-01-01T00:00:00Z") + (int64_t)(random_seeded_next(&r) % (35ull * 366 * 24)) * hour_us;
        int64_t change = zone_next_change(rule.zone, us);
        if (i % 2 && change != INT64_MAX) /* half of them near a change of the clock */
            us = change + (int64_t)(random_seeded_next(&r) % 100) * 30 * minute_us - 25 * hour_us;
        us += (int64_t)(random_seeded_next(&r) % (uint64_t)hour_us);
        int64_t start = bucket_start(&rule, us), want = slow_day_start(rule.zone, us);
        if (start != want) {
            char text[3][UTC_TEXT_SIZE];
            utc_format(us, text[0]), utc_format(start, text[1]), utc_format(want, text[2]);
            fail_msg("%s at %s: %s, should be %s", name, text[0], text[1], text[2]);
        }
    }
}

/* Whatever the width: a bucket holds its moments, its end begins the next, and nothing lies between. */
static void buckets_follow_one_another(void **state)
{
    (void)state;
    static const char *const widths[] = {"7s", "10m", "1h",  "36h", "1d", "3d",
                                         "1w", "1mo", "5mo", "1q",  "1y"};
    random_seeded r = {test_seed()};
    for (int i = 0; i < 20000; i++) {
        bucket_rule rule = rule_of(widths[random_seeded_next(&r) % (sizeof widths / sizeof *widths)],
                                   zones[random_seeded_next(&r) % (sizeof zones / sizeof *zones)]);
        int64_t us =
            at("1950-01-01T00:00:00Z") + (int64_t)(random_seeded_next(&r) % (100ull * 366 * UTC_DAY_US));
        int64_t start = bucket_start(&rule, us), end = bucket_end(&rule, us);
        assert_true(start <= us && us < end);
        assert_int_equal(bucket_start(&rule, start), start);
        assert_int_equal(bucket_start(&rule, end - 1), start);
        assert_int_equal(bucket_start(&rule, end), end);
        assert_int_equal(bucket_end(&rule, start), end);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(days_follow_the_clock), cmocka_unit_test(wider_ones_follow_the_calendar),
        cmocka_unit_test(what_is_no_width_is_refused), cmocka_unit_test(random_days_equal_the_walked_clock),
        cmocka_unit_test(buckets_follow_one_another)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
