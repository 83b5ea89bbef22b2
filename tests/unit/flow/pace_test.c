/* Turns of a source or a sink: what is said while one is under way is not lost. */
#include "flow/pace.h"

#include "support/check.h"

static const int64_t far_us = INT64_MAX - 1;

static void a_turn_is_under_way_once(void **state)
{
    (void)state;
    pace p;
    bool renewed;
    pace_init(&p, false);
    assert_true(pace_tick(&p, 0));
    assert_false(pace_tick(&p, far_us));
    assert_true(pace_turn(&p, &renewed));
    assert_false(renewed);
    pace_rest(&p, 1000, NULL);
    assert_false(pace_tick(&p, 0));
    assert_true(pace_tick(&p, far_us));
    pace_rest(&p, PACE_FOR_EVER, NULL);
    assert_false(pace_tick(&p, far_us));
    pace_destroy(&p);
}

static void a_pause_that_ends_during_the_turn_is_over(void **state)
{
    (void)state;
    pace p;
    bool renewed;
    pace_init(&p, true);
    assert_false(pace_tick(&p, far_us));
    pace_pause(&p, true);
    assert_true(pace_tick(&p, 0));
    assert_false(pace_turn(&p, &renewed)); /* it has looked, */
    pace_pause(&p, false);                 /* this comes, */
    pace_rest(&p, PACE_FOR_EVER, NULL);    /* and then it rests */
    assert_true(pace_tick(&p, 0));
    assert_true(pace_turn(&p, &renewed));
    assert_true(renewed);
    pace_destroy(&p);
}

static void a_renewal_during_the_turn_is_heard(void **state)
{
    (void)state;
    pace p;
    bool renewed;
    pace_init(&p, false);
    assert_true(pace_tick(&p, 0));
    assert_true(pace_turn(&p, &renewed));
    pace_renew(&p);
    pace_rest(&p, 60000, NULL);
    assert_true(pace_tick(&p, 0));
    assert_true(pace_turn(&p, &renewed));
    assert_true(renewed);
    pace_rest(&p, PACE_FOR_EVER, NULL);
    pace_pause(&p, true);
    assert_true(pace_tick(&p, 0));
    assert_false(pace_turn(&p, &renewed));
    pace_rest(&p, PACE_FOR_EVER, NULL);
    pace_renew(&p); /* nobody wakes what is paused */
    assert_false(pace_tick(&p, far_us));
    pace_destroy(&p);
}

static void news_shorten_a_rest_that_asks_for_them(void **state)
{
    (void)state;
    pace p;
    atomic_bool news = true;
    pace_init(&p, false);
    assert_true(pace_tick(&p, 0));
    pace_rest(&p, 60000, NULL);
    assert_false(pace_tick(&p, 0));
    assert_true(pace_tick(&p, far_us));
    pace_rest(&p, 60000, &news);
    assert_true(pace_tick(&p, 0));
    atomic_store(&news, false);
    pace_rest(&p, 60000, &news);
    assert_false(pace_tick(&p, 0));
    pace_end(&p, NULL, NULL);
    assert_false(pace_tick(&p, far_us));
    pace_destroy(&p);
}

/* A call that hears the third time. */
static void on_hurry(void *arg)
{
    pace *p = arg;
    static int times;
    if (++times == 3)
        pace_rest(p, 0, NULL);
    assert_true(times <= 3);
}

static void a_turn_is_told_to_end_until_it_does(void **state)
{
    (void)state;
    pace p;
    bool renewed;
    pace_init(&p, false);
    assert_false(pace_is_over(&p));
    assert_true(pace_tick(&p, 0));
    assert_true(pace_turn(&p, &renewed));
    assert_false(pace_is_over(&p));
    pace_pause(&p, true);
    assert_true(pace_is_over(&p));
    pace_pause(&p, false);
    assert_false(pace_is_over(&p));
    pace_end(&p, on_hurry, &p);
    assert_false(pace_is_over(&p)); /* there is no turn */
    pace_destroy(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_turn_is_under_way_once),
                                       cmocka_unit_test(a_pause_that_ends_during_the_turn_is_over),
                                       cmocka_unit_test(a_renewal_during_the_turn_is_heard),
                                       cmocka_unit_test(a_turn_is_told_to_end_until_it_does),
                                       cmocka_unit_test(news_shorten_a_rest_that_asks_for_them)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
