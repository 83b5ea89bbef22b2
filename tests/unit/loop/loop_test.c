#include "support/check.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "base/clock.h"
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

typedef struct busy {
    lane *lane;
    atomic_int *running, *most;
    atomic_bool *end;
    atomic_int turns;
    int64_t held_us;
} busy;

/* Holds a thread for a while, again and again. */
static void on_busy(void *arg)
{
    busy *b = arg;
    int running = atomic_fetch_add(b->running, 1) + 1;
    int most = atomic_load(b->most);
    while (running > most && !atomic_compare_exchange_weak(b->most, &most, running))
        ;
    int64_t began_us = clock_monotonic_us(), now_us = began_us;
    while (now_us < began_us + 500)
        now_us = clock_monotonic_us();
    b->held_us += now_us - began_us;
    atomic_fetch_sub(b->running, 1);
    b->turns++;
    if (!atomic_load(b->end))
        lane_post(b->lane, on_busy, b);
}

/* 12 lanes of one owner against one lane of another on one thread: each owner gets half of it, and with a
 * weight of 3 the single one gets three quarters. */
static void share_of_single(uint32_t weight, double expected)
{
    enum { NOISY = 12, TURNS = 200 };
    lane_pool *pool = lane_pool_create(1);
    lane_group *noisy = lane_group_open(pool, 0), *quiet = lane_group_open(pool, weight);
    atomic_int running = 0, most = 0;
    atomic_bool end = false;
    busy all[NOISY + 1];
    for (int i = 0; i <= NOISY; i++)
        all[i] = (busy){.lane = lane_open_in(i < NOISY ? noisy : quiet, "t"),
                        .running = &running,
                        .most = &most,
                        .end = &end};
    for (int i = 0; i <= NOISY; i++)
        lane_post(all[i].lane, on_busy, &all[i]);
    while (all[NOISY].turns < TURNS)
        sched_yield();
    end = true;
    for (int i = 0; i <= NOISY; i++)
        lane_close(all[i].lane);
    int64_t all_us = 0;
    for (int i = 0; i <= NOISY; i++)
        all_us += all[i].held_us;
    lane_group_close(noisy);
    lane_group_close(quiet);
    lane_pool_free(pool);
    double share = (double)all[NOISY].held_us / (double)all_us;
    if (share < expected * 0.85 || share > expected * 1.15)
        fail_msg("a share of %.2f, not %.2f", share, expected);
}

static void owners_share_threads(void **state)
{
    (void)state;
    share_of_single(0, 0.5);
    share_of_single(300, 0.75);
}

/* One owner never holds all the threads. */
static void owner_leaves_threads(void **state)
{
    (void)state;
    enum { LANES_OF_ONE = 16, THREADS = 8 };
    lane_pool *pool = lane_pool_create(THREADS);
    lane_group *g = lane_group_open(pool, 0);
    atomic_int running = 0, most = 0;
    atomic_bool end = false;
    busy all[LANES_OF_ONE];
    for (int i = 0; i < LANES_OF_ONE; i++) {
        all[i] = (busy){.lane = lane_open_in(g, "t"), .running = &running, .most = &most, .end = &end};
        lane_post(all[i].lane, on_busy, &all[i]);
    }
    while (all[0].turns < 20)
        sched_yield();
    end = true;
    for (int i = 0; i < LANES_OF_ONE; i++)
        lane_close(all[i].lane);
    lane_group_close(g);
    lane_pool_free(pool);
    assert_in_range(most, 1, THREADS - THREADS / 4);
}

static void on_quick(void *arg)
{
    atomic_int *done = arg;
    atomic_fetch_add(done, 1);
}

static void on_meeting(void *arg)
{
    pthread_barrier_wait(arg);
}

static void run_to_end(lane *l, atomic_int *done)
{
    int before = atomic_load(done);
    lane_post(l, on_quick, done);
    while (atomic_load(done) == before)
        sched_yield();
}

/* One job after the other needs one thread; when several are there, it leaves all but one alone, which end.
 */
static void little_work_keeps_to_one_thread(void **state)
{
    (void)state;
    enum { JOBS = 100, MOST = 4 };
    lane_pool *pool = lane_pool_create(MOST);
    lane *lanes[MOST];
    pthread_barrier_t meeting;
    atomic_int done = 0;
    pthread_barrier_init(&meeting, NULL, MOST);
    for (int i = 0; i < MOST; i++)
        lanes[i] = lane_open(pool, "t");
    assert_int_equal(lane_pool_threads(pool), 0);
    for (int i = 0; i < JOBS; i++)
        run_to_end(lanes[0], &done);
    assert_int_equal(lane_pool_threads(pool), 1);
    lane_pool_linger(pool, 20000);
    for (int i = 0; i < MOST; i++) {
        lane_post(lanes[i], on_meeting, &meeting); /* ends when all four run */
        lane_post(lanes[i], on_quick, &done);
    }
    while (done < JOBS + MOST)
        sched_yield();
    while (lane_pool_threads(pool) > 1)
        run_to_end(lanes[0], &done);
    for (int i = 0; i < MOST; i++)
        lane_close(lanes[i]);
    lane_pool_free(pool);
    pthread_barrier_destroy(&meeting);
}

/* As many threads as there is work for; they end when there is none, and come back with it. */
static void threads_come_with_work(void **state)
{
    (void)state;
    enum { AT_ONCE = 4, ROUNDS = 3 };
    lane_pool *pool = lane_pool_create(AT_ONCE);
    lane *lanes[AT_ONCE];
    pthread_barrier_t meeting;
    atomic_int done = 0;
    pthread_barrier_init(&meeting, NULL, AT_ONCE);
    lane_pool_linger(pool, 1000);
    for (int i = 0; i < AT_ONCE; i++)
        lanes[i] = lane_open(pool, "t");
    for (int round = 1; round <= ROUNDS; round++) {
        for (int i = 0; i < AT_ONCE; i++) {
            lane_post(lanes[i], on_meeting, &meeting);
            lane_post(lanes[i], on_quick, &done);
        }
        while (done < round * AT_ONCE || lane_pool_threads(pool) > 0)
            sched_yield();
    }
    for (int i = 0; i < AT_ONCE; i++)
        lane_close(lanes[i]);
    lane_pool_free(pool);
    pthread_barrier_destroy(&meeting);
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
        cmocka_unit_test(lanes_keep_order_one_at_a_time), cmocka_unit_test(owners_share_threads),
        cmocka_unit_test(owner_leaves_threads),           cmocka_unit_test(lanes_answer_on_the_loop),
        cmocka_unit_test(timers_fire_and_stop),           cmocka_unit_test(little_work_keeps_to_one_thread),
        cmocka_unit_test(threads_come_with_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
