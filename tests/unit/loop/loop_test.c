#include "support/check.h"

#include <stdatomic.h>

#include "loop/lane.h"
#include "loop/loop.h"

typedef struct counter {
    loop *l;
    atomic_int running, overlaps, done;
    int last, disorder;
} counter;

typedef struct step {
    counter *c;
    int number;
} step;

static void on_step(void *arg)
{
    step *s = arg;
    counter *c = s->c;
    if (atomic_fetch_add(&c->running, 1) > 0)
        c->overlaps++;
    if (s->number != c->last + 1)
        c->disorder++;
    c->last = s->number;
    atomic_fetch_sub(&c->running, 1);
    c->done++;
}

enum { STEPS = 2000, LANES = 4 };

static void lanes_keep_order_one_at_a_time(void **state)
{
    (void)state;
    lane_pool *pool = lane_pool_create(4);
    counter counters[LANES] = {0};
    static step steps[LANES][STEPS];
    lane *lanes[LANES];
    for (int i = 0; i < LANES; i++)
        lanes[i] = lane_open(pool, "t");
    for (int n = 0; n < STEPS; n++)
        for (int i = 0; i < LANES; i++) {
            steps[i][n] = (step){&counters[i], n + 1};
            lane_post(lanes[i], on_step, &steps[i][n]);
        }
    for (int i = 0; i < LANES; i++) {
        lane_close(lanes[i]);
        assert_int_equal(counters[i].done, STEPS);
        assert_int_equal(counters[i].overlaps, 0);
        assert_int_equal(counters[i].disorder, 0);
    }
    lane_pool_free(pool);
}

static void stop_loop(void *arg)
{
    loop_stop(arg);
}

static void count_on_loop(void *arg)
{
    counter *c = arg;
    if (++c->done == 3)
        loop_stop(c->l);
}

static void post_to_loop(void *arg)
{
    counter *c = arg;
    loop_post(c->l, count_on_loop, c);
}

static void lanes_answer_on_the_loop(void **state)
{
    (void)state;
    lane_pool *pool = lane_pool_create(2);
    lane *l = lane_open(pool, "t");
    counter c = {.l = loop_create()};
    for (int i = 0; i < 3; i++)
        lane_post(l, post_to_loop, &c);
    loop_run(c.l);
    assert_int_equal(c.done, 3);
    lane_close(l);
    lane_pool_free(pool);
    loop_free(c.l);
}

static void timers_fire_and_stop(void **state)
{
    (void)state;
    counter c = {.l = loop_create()};
    timer *repeating = timer_start(c.l, 1, true, count_on_loop, &c);
    loop_run(c.l);
    assert_int_equal(c.done, 3);
    timer_stop(repeating);
    timer_start(c.l, 100000, false, stop_loop, c.l); /* left open: loop_free closes it */
    loop_free(c.l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lanes_keep_order_one_at_a_time),
        cmocka_unit_test(lanes_answer_on_the_loop),
        cmocka_unit_test(timers_fire_and_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
