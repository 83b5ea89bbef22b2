/* How long to wait until a queue has room, on a clock that is only counted. */
#include "support/check.h"

#include "flow/drain.h"

enum { SECOND = 1000000 };

/* `rate` bytes a second for `seconds`, in ten pieces a second. */
static int64_t drain_steadily(drain *d, uint64_t rate, int seconds, int64_t now_us)
{
    for (int i = 0; i < 10 * seconds; i++)
        drain_note(d, rate / 10, now_us += SECOND / 10);
    return now_us;
}

static void a_steady_rate_is_found(void **state)
{
    (void)state;
    drain d = {0};
    int64_t now = drain_steadily(&d, 1000000, 60, SECOND);
    assert_in_range((uint64_t)drain_rate(&d, now), 970000, 1030000);
    assert_in_range(drain_wait_s(&d, 20000000, now), 20, 21);
    now = drain_steadily(&d, 100000, 60, now);
    assert_in_range((uint64_t)drain_rate(&d, now), 95000, 110000);
}

static void the_wait_has_bounds(void **state)
{
    (void)state;
    drain d = {0};
    int64_t now = drain_steadily(&d, 1000000, 60, SECOND);
    assert_int_equal(drain_wait_s(&d, 0, now), DRAIN_WAIT_LEAST_S);
    assert_int_equal(drain_wait_s(&d, 1, now), DRAIN_WAIT_LEAST_S);
    assert_in_range(drain_wait_s(&d, 57000000, now), 56, 59);
    assert_int_equal(drain_wait_s(&d, 62000000, now), DRAIN_WAIT_MOST_S);
    assert_int_equal(drain_wait_s(&d, UINT64_MAX, now), DRAIN_WAIT_MOST_S);
}

static void a_standstill_is_known(void **state)
{
    (void)state;
    drain d = {0};
    assert_int_equal(drain_wait_s(&d, 1, SECOND), DRAIN_WAIT_STILL_S);
    int64_t now = drain_steadily(&d, 1000000, 60, SECOND);
    assert_true(drain_wait_s(&d, 50000000, now + 9 * SECOND) > 50);
    assert_int_equal(drain_wait_s(&d, 50000000, now + 10 * SECOND), DRAIN_WAIT_STILL_S);
    drain_note(&d, 0, now + 10 * SECOND);
    assert_int_equal(drain_wait_s(&d, 50000000, now + 10 * SECOND), DRAIN_WAIT_STILL_S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_steady_rate_is_found),
                                       cmocka_unit_test(the_wait_has_bounds),
                                       cmocka_unit_test(a_standstill_is_known)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
