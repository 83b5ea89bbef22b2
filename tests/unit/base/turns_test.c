/* Turns on a clock that is only counted: who gets how much of one server when takers of several weights offer
 * more than there is, less than there is, or come back after a while. */
#include "support/check.h"

#include "base/minute.h"
#include "base/random.h"
#include "base/turn_queue.h"
#include "base/turns.h"

enum { TAKERS_MAX = 1000 };

typedef struct offer {
    turn_taker taker;
    uint64_t waiting; /* units of cost */
    uint64_t most;    /* of one turn */
    uint64_t got, longest_wait;
    uint64_t since; /* when it began to wait */
} offer;

typedef struct server {
    turns turns;
    uint64_t clock;
} server;

static void ask(server *s, offer *o, uint64_t units)
{
    if (o->waiting == 0)
        o->since = s->clock;
    o->waiting += units;
    turns_want(&s->turns, &o->taker);
}

/* One turn; false: nobody wants one. A unit takes a tick of the clock. */
static bool serve(server *s)
{
    offer *o = (offer *)turns_next(&s->turns); /* the taker is its first member */
    if (!o)
        return false;
    uint64_t cost = o->waiting < o->most ? o->waiting : o->most;
    uint64_t waited = s->clock - o->since;
    o->longest_wait = waited > o->longest_wait ? waited : o->longest_wait;
    s->clock += cost;
    o->got += cost;
    o->waiting -= cost;
    o->since = s->clock;
    turns_charge(&s->turns, &o->taker, cost);
    if (o->waiting)
        turns_want(&s->turns, &o->taker);
    return true;
}

static offer offer_of(uint32_t weight, uint64_t most)
{
    return (offer){.taker = {.weight = weight}, .most = most};
}

static void test_alone_gets_everything(void **state)
{
    (void)state;
    server s = {0};
    offer noisy = offer_of(0, 100), quiet = offer_of(0, 100);
    ask(&s, &noisy, 1000000);
    while (serve(&s))
        ;
    assert_int_equal(noisy.got, 1000000);
    assert_int_equal(s.clock, 1000000);
    assert_int_equal(quiet.got, 0);
    turns_free(&s.turns);
}

/* The noisy one offers 100 times what the quiet one does, which offers a tenth of what there is: that it
 * gets, at once. */
static void test_noisy_and_quiet(void **state)
{
    (void)state;
    server s = {0};
    offer noisy = offer_of(0, 100), quiet = offer_of(0, 100);
    uint64_t offered = 0;
    ask(&s, &noisy, 100000000);
    for (unsigned i = 0; i < 10000; i++) {
        while (offered + 100 <= s.clock / 10) {
            ask(&s, &quiet, 100);
            offered += 100;
        }
        serve(&s);
    }
    assert_true(quiet.got + 200 >= offered);
    assert_true(quiet.longest_wait <= 200);
    assert_int_equal(noisy.got + quiet.got, s.clock); /* nothing is left lying */
    turns_free(&s.turns);
}

static void expect_share(const offer *o, double share, uint64_t all)
{
    double got = (double)o->got / (double)all;
    if (got < share * 0.95 || got > share * 1.05)
        fail_msg("got %.4f of it, not %.4f", got, share);
}

/* 1 : 3 and 1 : 3 : 0.5, with turns of unequal size, too. */
static void test_weights(void **state)
{
    (void)state;
    server s = {0};
    offer one = offer_of(100, 70), three = offer_of(300, 1000), half = offer_of(50, 333);
    ask(&s, &one, 1000000000);
    ask(&s, &three, 1000000000);
    for (unsigned i = 0; i < 20000; i++)
        serve(&s);
    expect_share(&one, 0.25, s.clock);
    expect_share(&three, 0.75, s.clock);
    uint64_t from = s.clock;
    one.got = three.got = 0;
    ask(&s, &half, 1000000000);
    for (unsigned i = 0; i < 20000; i++)
        serve(&s);
    expect_share(&one, 1 / 4.5, s.clock - from);
    expect_share(&three, 3 / 4.5, s.clock - from);
    expect_share(&half, 0.5 / 4.5, s.clock - from);
    turns_free(&s.turns);
}

/* 1,000 takers of random weights and sizes: each gets its share, none waits longer than it must. */
static void test_none_starves(void **state)
{
    (void)state;
    server s = {0};
    static offer all[TAKERS_MAX];
    random_seeded rng;
    random_seeded_use(&rng, test_seed());
    double weights = 0;
    for (unsigned i = 0; i < TAKERS_MAX; i++) {
        all[i] =
            offer_of(50 + (uint32_t)(random_seeded_next(&rng) % 400), 1 + random_seeded_next(&rng) % 100);
        weights += all[i].taker.weight;
        ask(&s, &all[i], 1000000000);
    }
    for (unsigned i = 0; i < 5000000; i++)
        serve(&s);
    for (unsigned i = 0; i < TAKERS_MAX; i++) {
        expect_share(&all[i], all[i].taker.weight / weights, s.clock);
        assert_true(all[i].longest_wait <= 100 * TAKERS_MAX * 8);
    }
    turns_free(&s.turns);
}

/* Who was alone for long owes nothing; who was away for long has saved nothing up. */
static void test_no_debt_no_savings(void **state)
{
    (void)state;
    server s = {0};
    offer first = offer_of(0, 100), second = offer_of(0, 100);
    ask(&s, &first, 1000000);
    while (serve(&s))
        ;
    ask(&s, &first, 10000);
    ask(&s, &second, 10000);
    uint64_t from = s.clock;
    first.got = second.got = 0;
    for (unsigned i = 0; i < 100; i++)
        serve(&s);
    expect_share(&first, 0.5, s.clock - from);
    expect_share(&second, 0.5, s.clock - from);
    turns_free(&s.turns);
}

static void test_leaves(void **state)
{
    (void)state;
    server s = {0};
    offer all[64];
    for (unsigned i = 0; i < 64; i++) {
        all[i] = offer_of(0, 10);
        ask(&s, &all[i], 1000);
        turns_charge(&s.turns, &all[i].taker, (i * 37) % 64);
    }
    for (unsigned i = 0; i < 64; i += 2)
        turns_leave(&s.turns, &all[i].taker);
    assert_int_equal(turns_waiting(&s.turns), 32);
    while (serve(&s))
        ;
    for (unsigned i = 0; i < 64; i++)
        assert_int_equal(all[i].got, i % 2 ? 1000 : 0);
    turns_free(&s.turns);
}

typedef struct job {
    turn_item item;
    uint32_t owner, number;
} job;

/* A thousand of one owner's and then ten of another's: they are served by turns, each owner's in their order.
 */
static void test_queue(void **state)
{
    (void)state;
    turn_queue q = {0};
    static job jobs[1010];
    uint32_t seen[2] = {0};
    for (uint32_t i = 0; i < 1010; i++) {
        jobs[i] = (job){.owner = i >= 1000, .number = i % 1000};
        turn_queue_add(&q, jobs[i].owner ? 77 : 1077, 0, &jobs[i].item);
    }
    for (uint32_t i = 0; i < 1010; i++) {
        assert_ptr_equal(turn_queue_peek(&q), turn_queue_peek(&q));
        job *j = (job *)turn_queue_next(&q);
        assert_int_equal(j->number, seen[j->owner]++);
        turn_queue_charge(&q, j->item.line, 10);
        if (i == 20)
            assert_int_equal(seen[1], 10);
    }
    assert_null(turn_queue_peek(&q));
    assert_null(turn_queue_next(&q));
    turn_queue_free(&q);
}

static void test_minute(void **state)
{
    (void)state;
    minute m = {0};
    int64_t now = 12345678901234;
    minute_add(&m, now, 600);
    assert_int_equal(minute_sum(&m, now), 600);
    assert_in_range(minute_sum(&m, now + 3 * MINUTE_US), 0, 0);
    for (int i = 1; i <= 600; i++)
        minute_add(&m, now + i * 1000000, 10);
    assert_in_range(minute_sum(&m, now + 600 * 1000000), 590, 610);
    assert_in_range(minute_sum(&m, now + 630 * 1000000), 290, 310);
    assert_int_equal(minute_sum(&m, now + 721 * 1000000), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alone_gets_everything),
        cmocka_unit_test(test_noisy_and_quiet),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_none_starves),
        cmocka_unit_test(test_no_debt_no_savings),
        cmocka_unit_test(test_leaves),
        cmocka_unit_test(test_queue),
        cmocka_unit_test(test_minute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
