/* Times by pattern and by zone. */
#include "support/check.h"

#include <string.h>

#include "base/utc.h"
#include "flow/local_time.h"

typedef struct example {
    const char *pattern, *zone, *text, *expected; /* pattern NULL: ISO; expected NULL: refused */
} example;

static void test_readings(void **state)
{
    (void)state;
    static const example examples[] = {
        {"%d.%m.%Y %H:%M", NULL, "28.03.2026 17:00", "2026-03-28T17:00:00Z"},
        {"%d.%m.%Y %H:%M", "Europe/Berlin", "28.03.2026 17:00", "2026-03-28T16:00:00Z"},
        {"%d.%m.%Y %H:%M", "Europe/Berlin", "28.06.2026 17:00", "2026-06-28T15:00:00Z"},
        {"%d.%m.%Y %H:%M", "Europe/Berlin", "29.03.2026 02:30", "2026-03-29T01:00:00Z"}, /* skipped */
        {"%d.%m.%Y %H:%M", "Europe/Berlin", "25.10.2026 02:30", "2026-10-25T00:30:00Z"}, /* comes twice */
        {"%Y%m%d%H%M%S", NULL, "20260328170059", "2026-03-28T17:00:59Z"},
        {"%Y-%m-%d %H:%M:%S.%f", NULL, "2026-03-28 17:00:59.1234567", "2026-03-28T17:00:59.123456Z"},
        {"%m/%d/%y %I:%M %p", NULL, "3/28/26 12:05 AM", "2026-03-28T00:05:00Z"},
        {"%m/%d/%y %I:%M %p", NULL, "3/28/69 1:05 pm", "1969-03-28T13:05:00Z"},
        {"%e %b %Y", NULL, " 8 mar 2026", "2026-03-08T00:00:00Z"},
        {"%Y-%m-%dT%H:%M%z", "Europe/Berlin", "2026-03-28T17:00-0330", "2026-03-28T20:30:00Z"},
        {"%Y-%m-%dT%H:%M%z", NULL, "2026-03-28T17:00Z", "2026-03-28T17:00:00Z"},
        {"100%% %Y", NULL, "100% 2026", "2026-01-01T00:00:00Z"},
        {"%d.%m.%Y", NULL, "29.02.2028", "2028-02-29T00:00:00Z"},
        {"%d.%m.%Y", NULL, "29.02.2026", NULL},
        {"%d.%m.%Y", NULL, "28.13.2026", NULL},
        {"%d.%m.%Y", NULL, "28.03.2026 ", NULL},
        {"%d.%m.%Y", NULL, "28.03.", NULL},
        {"%H:%M %Y", NULL, "24:00 2026", NULL},
        {"%I:%M %p %Y", NULL, "13:00 PM 2026", NULL},
        {"%Y %z", NULL, "2026 +99:00", NULL},
        {NULL, NULL, "2026-03-28", "2026-03-28T00:00:00Z"},
        {NULL, "Asia/Kolkata", "2026-03-28", "2026-03-27T18:30:00Z"},
        {NULL, "Europe/Berlin", "2026-03-28T17:00", "2026-03-28T16:00:00Z"},
        {NULL, "Europe/Berlin", "2026-03-28 17:00:01", "2026-03-28T16:00:01Z"},
        {NULL, "Europe/Berlin", "2026-03-28T17:00:01.5", "2026-03-28T16:00:01.5Z"},
        {NULL, NULL, "2026-03-28T17", NULL},
        {NULL, NULL, "28.03.2026", NULL},
        {NULL, NULL, "", NULL},
    };
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        const example *e = &examples[i];
        const zone *z = NULL;
        int64_t us;
        status st;
        char got[UTC_TEXT_SIZE] = "refused";
        if (e->zone && zone_find(e->zone, &z, &st) != STATUS_OK)
            fail_msg("%s", st.text);
        if (e->pattern)
            assert_int_equal(local_time_check(e->pattern, &st), STATUS_OK);
        size_t len = strlen(e->text);
        if (e->pattern ? local_time_read(e->pattern, z, e->text, len, &us)
                       : local_time_iso(z, e->text, len, &us))
            utc_format(us, got);
        if (strcmp(got, e->expected ? e->expected : "refused") != 0)
            fail_msg("%s: %s, expected %s", e->text, got, e->expected);
    }
}

static void test_patterns(void **state)
{
    (void)state;
    status st;
    char longest[LOCAL_TIME_PATTERN_MAX + 2];
    for (int len = LOCAL_TIME_PATTERN_MAX - 1; len <= LOCAL_TIME_PATTERN_MAX + 1; len++) {
        memset(longest, 'x', sizeof longest);
        memcpy(longest, "%Y", 2);
        longest[len] = '\0';
        assert_int_equal(local_time_check(longest, &st),
                         len <= LOCAL_TIME_PATTERN_MAX ? STATUS_OK : STATUS_INVALID);
    }
    assert_int_equal(local_time_check("%d.%m.", &st), STATUS_INVALID);
    assert_int_equal(local_time_check("%Y %q", &st), STATUS_INVALID);
    assert_int_equal(local_time_check("%Y %", &st), STATUS_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_readings), cmocka_unit_test(test_patterns)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
