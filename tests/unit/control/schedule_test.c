/* Cron: the shared cases with their clock changes, what is invalid, what never fires. */
#include "support/check.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/utc.h"
#include "control/schedule.h"

static int64_t time_of(const json_t *v)
{
    int64_t us;
    assert_true(utc_parse(json_string_value(v), json_string_length(v), &us));
    return us;
}

static void check_next(const json_t *c, const cron_rule *rule, const zone *z)
{
    int64_t at = time_of(json_object_get(c, "from"));
    for (size_t i = 0; i < json_array_size(json_object_get(c, "next")); i++) {
        int64_t wanted = time_of(json_array_get(json_object_get(c, "next"), i));
        at = cron_next(rule, at, z);
        if (at != wanted)
            fail_msg("%s: time %zu is wrong", json_string_value(json_object_get(c, "id")), i);
    }
}

static void shared_cases(void **state)
{
    (void)state;
    const char *path = testdata("cron/cases.json");
    json_t *cases = path ? json_load_file(path, 0, NULL) : NULL, *c;
    size_t i;
    unsigned checked = 0;
    if (!cases)
        skip();
    json_array_foreach(cases, i, c)
    {
        cron_rule rule;
        status st;
        const zone *z;
        bool parsed = cron_parse(json_string_value(json_object_get(c, "expr")), &rule, &st) == STATUS_OK;
        if (parsed == (json_object_get(c, "error") != NULL))
            fail_msg("%s: %s", json_string_value(json_object_get(c, "id")), parsed ? "accepted" : st.text);
        if (!parsed)
            continue;
        assert_int_equal(zone_find(json_string_value(json_object_get(c, "tz")), &z, &st), STATUS_OK);
        if (json_is_true(json_object_get(c, "never")))
            assert_false(cron_fires(&rule) ||
                         cron_next(&rule, time_of(json_object_get(c, "from")), z) != INT64_MAX);
        check_next(c, &rule, z);
        checked++;
    }
    json_decref(cases);
    assert_true(checked >= 70);
}

static int64_t next_of(const char *expression, const char *after)
{
    cron_rule rule;
    status st;
    int64_t us;
    assert_true(utc_parse(after, strlen(after), &us));
    assert_int_equal(cron_parse(expression, &rule, &st), STATUS_OK);
    const zone *z;
    assert_int_equal(zone_find("UTC", &z, &st), STATUS_OK);
    return cron_next(&rule, us, z);
}

static void finds_the_next_time(void **state)
{
    (void)state;
    char out[UTC_TEXT_SIZE];
    utc_format(next_of("0 0 29 2 *", "2026-01-01T00:00:00Z"), out);
    assert_string_equal(out, "2028-02-29T00:00:00Z");
    utc_format(next_of("30 7 13 * 5", "2026-01-01T00:00:00Z"), out); /* a Friday or a 13th */
    assert_string_equal(out, "2026-01-02T07:30:00Z");
    utc_format(next_of("*/15 * * * *", "1969-12-31T23:44:59Z"), out);
    assert_string_equal(out, "1969-12-31T23:45:00Z");
    utc_format(next_of("0 7 * jan MON", "2026-01-26T07:00:00Z"), out);
    assert_string_equal(out, "2027-01-04T07:00:00Z");
}

static int64_t due(schedule_rule rule, const char *after)
{
    status st;
    int64_t us, next;
    assert_true(utc_parse(after, strlen(after), &us));
    assert_int_equal(schedule_next(&rule, us, &next, &st), STATUS_OK);
    return next;
}

static void schedules_and_zones(void **state)
{
    (void)state;
    char out[UTC_TEXT_SIZE];
    status st;
    const zone *z;
    int64_t next;
    utc_format(due((schedule_rule){.every_us = 600 * UTC_SECOND_US}, "2026-01-01T00:10:00Z"), out);
    assert_string_equal(out, "2026-01-01T00:20:00Z");
    utc_format(due((schedule_rule){.every_us = 600 * UTC_SECOND_US}, "1969-12-31T23:59:59Z"), out);
    assert_string_equal(out, "1970-01-01T00:00:00Z");
    utc_format(due((schedule_rule){.cron = "0 7 * * 1", .timezone = "Europe/Berlin"}, "2040-07-01T00:00:00Z"),
               out);
    assert_string_equal(out, "2040-07-02T05:00:00Z"); /* by the rule of the footer */
    utc_format(due((schedule_rule){.cron = "0 7 * * 1", .timezone = "Europe/Berlin"}, "2026-01-01T00:00:00Z"),
               out);
    assert_string_equal(out, "2026-01-05T06:00:00Z");
    assert_true(due((schedule_rule){0}, "2026-01-01T00:00:00Z") == INT64_MAX);
    const char *const wrong[] = {"Europe/Nowhere", "../../etc/passwd", "/etc/passwd", "", "Europe"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_not_equal(zone_find(wrong[i], &z, &st), STATUS_OK);
    assert_int_not_equal(
        schedule_next(&(schedule_rule){.cron = "0 7 * * 1", .timezone = "Mars/Base"}, 0, &next, &st),
        STATUS_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(shared_cases), cmocka_unit_test(finds_the_next_time),
                                       cmocka_unit_test(schedules_and_zones)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
