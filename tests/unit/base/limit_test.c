/* A limit travels in a status and comes out as it went in; what is no limit is none. */
#include "support/check.h"

#include <string.h>

#include "base/limit.h"

static void what_is_put_comes_back(void **state)
{
    (void)state;
    static const limit limits[] = {
        {"journal.size", 4ULL << 30, LIMIT_BY_PLATFORM, 12},
        {"rate", 0, LIMIT_BY_WORKSPACE, 0},
        {"a_name_of_forty_seven_bytes_is_the_longest_there", UINT64_MAX, LIMIT_FIXED, UINT32_MAX}};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        status st;
        limit in = limits[i], out;
        in.name[LIMIT_NAME_SIZE - 1] = '\0';
        status_set(&st, STATUS_LIMIT, "full");
        assert_int_equal(limit_put(&st, &in), STATUS_LIMIT);
        assert_true(limit_get(&st, &out));
        assert_string_equal(out.name, in.name);
        assert_string_equal(out.set_by, in.set_by);
        assert_true(out.value == in.value && out.retry_s == in.retry_s);
    }
}

static void other_places_are_no_limits(void **state)
{
    (void)state;
    static const char *const places[] = {"", "/limit", "limits.yaml:3:4", "limit x = y",
                                         "limit a = 1, Platform, 1 s"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        status st;
        limit out;
        status_at(&st, STATUS_INVALID, places[i], "wrong");
        assert_false(limit_get(&st, &out));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_put_comes_back),
                                       cmocka_unit_test(other_places_are_no_limits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
