#include "support/check.h"

#include <math.h>

#include "flow/alert_machine.h"

#define MINUTE 60000000LL

static const defined_alert rule = {
    .fire_at = {COMPARE_GT, 0.9},
    .clear_at = {COMPARE_LT, 0.7},
    .for_us = 5 * MINUTE,
    .keep_firing_us = 10 * MINUTE,
    .no_data_after_us = 30 * MINUTE,
};

static void fires_after_for_and_resolves_after_keep_firing(void **state)
{
    (void)state;
    alert_life life = {0};
    assert_int_equal(alert_step(&rule, &life, 1 * MINUTE, 0.95), ALERT_NOTHING);
    assert_int_equal(life.phase, ALERT_PENDING);
    assert_int_equal(alert_step(&rule, &life, 5 * MINUTE, 0.95), ALERT_NOTHING);
    assert_int_equal(alert_step(&rule, &life, 6 * MINUTE, 0.95), ALERT_FIRED);
    assert_int_equal(life.episode_us, 1 * MINUTE);
    assert_int_equal(alert_step(&rule, &life, 7 * MINUTE, 0.8), ALERT_NOTHING); /* between the two limits */
    assert_int_equal(life.phase, ALERT_FIRING);
    assert_int_equal(alert_step(&rule, &life, 8 * MINUTE, 0.5), ALERT_NOTHING);
    assert_int_equal(life.phase, ALERT_RECOVERING);
    assert_int_equal(alert_step(&rule, &life, 12 * MINUTE, 0.95),
                     ALERT_NOTHING); /* back, without a second event */
    assert_int_equal(life.phase, ALERT_FIRING);
    assert_int_equal(alert_step(&rule, &life, 20 * MINUTE, 0.5), ALERT_NOTHING);
    assert_int_equal(alert_step(&rule, &life, 29 * MINUTE, 0.5), ALERT_NOTHING);
    assert_int_equal(alert_step(&rule, &life, 30 * MINUTE, 0.5), ALERT_RESOLVED);
    assert_int_equal(life.phase, ALERT_OK);
}

static void a_short_spike_never_fires(void **state)
{
    (void)state;
    alert_life life = {0};
    for (int i = 1; i < 100; i++)
        assert_int_equal(alert_step(&rule, &life, i * 3 * MINUTE, i % 2 ? 0.99 : 0.1), ALERT_NOTHING);
}

static void replaying_points_changes_nothing(void **state)
{
    (void)state;
    alert_life life = {0};
    alert_step(&rule, &life, 1 * MINUTE, 0.95);
    assert_int_equal(alert_step(&rule, &life, 6 * MINUTE, 0.95), ALERT_FIRED);
    assert_int_equal(alert_step(&rule, &life, 6 * MINUTE, 0.95), ALERT_NOTHING);
    assert_int_equal(alert_step(&rule, &life, 1 * MINUTE, 0.1), ALERT_NOTHING);
    assert_int_equal(life.phase, ALERT_FIRING);
}

static void silence_keeps_the_episode(void **state)
{
    (void)state;
    alert_life life = {0};
    alert_step(&rule, &life, 1 * MINUTE, 0.95);
    alert_step(&rule, &life, 6 * MINUTE, 0.95);
    assert_int_equal(alert_silence(&rule, &life, 6 * MINUTE, 35 * MINUTE), ALERT_NOTHING);
    assert_int_equal(life.phase, ALERT_FIRING);
    assert_int_equal(alert_silence(&rule, &life, 6 * MINUTE, 36 * MINUTE), ALERT_NOTHING);
    assert_int_equal(life.phase, ALERT_NO_DATA);
    assert_int_equal(alert_step(&rule, &life, 40 * MINUTE, 0.95), ALERT_NOTHING); /* still the same episode */
    assert_int_equal(life.phase, ALERT_FIRING);
}

static void silence_can_fire_or_resolve(void **state)
{
    (void)state;
    defined_alert loud = rule, calm = rule;
    loud.no_data_then = NO_DATA_FIRE;
    calm.no_data_then = NO_DATA_OK;
    alert_life life = {0};
    assert_int_equal(alert_silence(&loud, &life, 1 * MINUTE, 31 * MINUTE), ALERT_FIRED);
    assert_int_equal(alert_silence(&loud, &life, 1 * MINUTE, 32 * MINUTE), ALERT_NOTHING);
    assert_int_equal(alert_silence(&calm, &life, 1 * MINUTE, 33 * MINUTE), ALERT_RESOLVED);
}

static void without_times_the_limits_alone_decide(void **state)
{
    (void)state;
    defined_alert plain = {.fire_at = {COMPARE_GE, 10}, .clear_at = {COMPARE_LT, 10}};
    alert_life life = {0};
    assert_int_equal(alert_step(&plain, &life, 1, 10), ALERT_FIRED);
    assert_int_equal(alert_step(&plain, &life, 2, 9.99), ALERT_RESOLVED);
    assert_int_equal(alert_step(&plain, &life, 3, NAN), ALERT_NOTHING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fires_after_for_and_resolves_after_keep_firing),
        cmocka_unit_test(a_short_spike_never_fires),
        cmocka_unit_test(replaying_points_changes_nothing),
        cmocka_unit_test(silence_keeps_the_episode),
        cmocka_unit_test(silence_can_fire_or_resolve),
        cmocka_unit_test(without_times_the_limits_alone_decide),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
