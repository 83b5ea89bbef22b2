/* Shared rates on a clock that stands still between two steps: bursts, turns, fairness, those who do not come
 * back, limits. */
#include "support/check.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "plugin/limiter.h"

static clock_fake now;
static random_seeded dice;

static void pass(int64_t us)
{
    clock_fake_advance(&now, us);
}

static limiter_answer ask_as(limiter *l, const char *workspace, const char *instance, double units,
                             int64_t max_wait_us, uint64_t ticket)
{
    status st;
    limiter_answer a;
    const limiter_request r = {.provider = "api",
                               .workspace = workspace,
                               .instance = instance,
                               .units = units,
                               .per_second = 10,
                               .burst = 5,
                               .max_wait_us = max_wait_us,
                               .ticket = ticket};
    if (limiter_take(l, &r, &a, &st) != STATUS_OK)
        fail_msg("%s", st.text);
    return a;
}

static limiter_answer ask(limiter *l, const char *workspace, double units, int64_t max_wait_us,
                          uint64_t ticket)
{
    return ask_as(l, workspace, NULL, units, max_wait_us, ticket);
}

static void a_burst_and_then_the_rate(void **state)
{
    (void)state;
    limiter *l = limiter_create();
    for (int i = 0; i < 5; i++)
        assert_int_equal(ask(l, "a", 1, 0, 0).wait_us, 0);
    limiter_answer a = ask(l, "a", 1, 0, 0);
    assert_true(a.wait_us > 0 && a.wait_us <= 100000);
    assert_int_equal(a.ticket, 0); /* it would not wait */
    a = ask(l, "a", 2, 1000000, 0);
    assert_int_equal(a.wait_us, 200000);
    assert_true(a.ticket != 0);
    pass(199000);
    assert_true(ask(l, "a", 2, 1000000, a.ticket).wait_us > 0);
    pass(1000);
    assert_int_equal(ask(l, "a", 2, 1000000, a.ticket).wait_us, 0);
    pass(10000000);
    assert_int_equal(ask(l, "a", 5, 0, 0).wait_us, 0);
    assert_true(ask(l, "a", 1, 0, 0).wait_us > 0); /* no more than the burst was saved up */
    limiter_free(l);
}

/* `greedy` always has ten waiting, `modest` one: over the time each gets half. */
static void waiters_are_served_in_turn_by_workspace(void **state)
{
    (void)state;
    limiter *l = limiter_create();
    uint64_t tickets[11] = {0};
    unsigned got[2] = {0};
    for (int step = 0; step < 4000; step++, pass(10000))
        for (int i = 0; i < 11; i++) {
            limiter_answer a = ask(l, i < 10 ? "greedy" : "modest", 1, 60000000, tickets[i]);
            got[i == 10] += a.wait_us == 0;
            tickets[i] = a.ticket;
        }
    print_message("greedy %u, modest %u of 400\n", got[0], got[1]);
    assert_true(got[0] + got[1] >= 395 && got[0] + got[1] <= 410);
    assert_true(got[1] >= 190 && got[1] <= 215);
    limiter_free(l);
}

static void who_does_not_come_back_loses_its_turn(void **state)
{
    (void)state;
    limiter *l = limiter_create();
    ask(l, "a", 5, 0, 0);
    pass(1000000);
    ask(l, "b", 5, 0, 0); /* both have used as much */
    limiter_answer gone = ask(l, "a", 5, 60000000, 0), next = ask(l, "b", 5, 60000000, 0);
    assert_true(gone.ticket && next.ticket && next.wait_us >= gone.wait_us);
    pass(gone.wait_us);
    assert_true(ask(l, "b", 5, 60000000, next.ticket).wait_us > 0); /* it is kept for the first */
    pass(LIMITER_GRACE_US + 1);
    assert_int_equal(ask(l, "b", 5, 60000000, next.ticket).wait_us, 0);
    gone = ask(l, "a", 5, 60000000, 0);
    next = ask(l, "b", 5, 60000000, 0);
    pass(gone.wait_us);
    limiter_forget(l, "api", gone.ticket);
    limiter_forget(l, "none", 1);
    assert_int_equal(ask(l, "b", 5, 60000000, next.ticket).wait_us, 0);
    limiter_free(l);
}

static int64_t chance(int64_t below)
{
    return (int64_t)(random_seeded_next(&dice) % (uint64_t)below);
}

/* Connectors that ask again and again: each wants a unit a second after it had the last one, waits for two
 * seconds at most and comes back when it was told to, or `late_us` after that at most. */
typedef struct asker {
    char name[16];
    const char *workspace;
    bool wants;
    uint64_t ticket;
    int64_t wanted_us, next_us;
    unsigned had;
} asker;

enum { MS = 1000, PATIENCE_US = 2000 * MS, EVERY_US = 1000 * MS };

/* True: it had its unit. */
static bool act(limiter *l, asker *a, int64_t late_us)
{
    int64_t now_us = clock_monotonic_us();
    if (a->next_us > now_us)
        return false;
    if (!a->wants)
        a->wanted_us = now_us;
    limiter_answer got = ask_as(l, a->workspace, a->name, 1, PATIENCE_US, a->ticket);
    a->wants = got.wait_us > 0;
    a->ticket = got.ticket;
    a->had += !a->wants;
    a->next_us = now_us + (a->wants ? got.wait_us : EVERY_US);
    if (late_us && !got.ticket)
        a->next_us += chance(late_us);
    return !a->wants;
}

/* Those of a workspace that has four times as many as the rate serves are served in the order in which they
 * began to want, and another workspace, which is no more than its share, does not notice them. */
static void a_workspace_serves_in_order(int64_t late_us, int64_t longest_allowed_us)
{
    enum { MANY = 40, QUIET = 3, ALL = MANY + QUIET };
    limiter *l = limiter_create();
    asker all[ALL] = {0};
    int64_t newest_us = 0, longest_us = 0, longest_quiet_us = 0;
    unsigned out_of_order = 0;
    for (int i = 0; i < ALL; i++) {
        all[i] = (asker){.workspace = i < MANY ? "many" : "quiet",
                         .next_us = clock_monotonic_us() + chance(EVERY_US)};
        snprintf(all[i].name, sizeof all[i].name, "c%d", i);
    }
    for (int ms = 0; ms < 60000; ms++, pass(MS))
        for (int i = 0; i < ALL; i++) {
            if (!act(l, &all[i], late_us))
                continue;
            int64_t waited_us = clock_monotonic_us() - all[i].wanted_us,
                    *longest = i < MANY ? &longest_us : &longest_quiet_us;
            *longest = waited_us > *longest ? waited_us : *longest;
            out_of_order += i < MANY && all[i].wanted_us < newest_us;
            newest_us = i < MANY && all[i].wanted_us > newest_us ? all[i].wanted_us : newest_us;
        }
    unsigned least = UINT32_MAX, most = 0;
    for (int i = 0; i < MANY; i++) {
        least = all[i].had < least ? all[i].had : least;
        most = all[i].had > most ? all[i].had : most;
    }
    print_message(
        "late by up to %d ms: %u to %u units each, the longest wait %.2f s (quiet %.2f s), %u out of order\n",
        (int)(late_us / MS), least, most, (double)longest_us / 1e6, (double)longest_quiet_us / 1e6,
        out_of_order);
    assert_true(longest_us <= longest_allowed_us && longest_quiet_us <= PATIENCE_US);
    assert_true(least + 2 >= most);
    assert_true(late_us || !out_of_order);
    limiter_free(l);
}

static void a_workspaces_own_go_in_order(void **state)
{
    (void)state;
    dice = (random_seeded){test_seed()};
    a_workspace_serves_in_order(0, 5500 * MS); /* 40 over 8 to 10 in a second */
    a_workspace_serves_in_order(100 * MS, 6500 * MS);
}

static void a_place_is_kept_and_not_waited_for(void **state)
{
    (void)state;
    limiter *l = limiter_create();
    ask(l, "a", 5, 0, 0);
    limiter_answer first = ask_as(l, "a", "first", 5, 100000, 0);
    assert_true(first.wait_us == 500000 && !first.ticket);
    pass(first.wait_us);
    limiter_answer second = ask_as(l, "a", "second", 1, 1000000, 0);
    assert_true(second.wait_us == 100000 && second.ticket); /* now is the time of the first */
    pass(100000);
    assert_int_equal(ask_as(l, "a", "second", 1, 0, second.ticket).wait_us, 0); /* the first is late */
    limiter_answer third = ask_as(l, "a", "third", 5, INT64_MAX, 0);
    assert_true(third.ticket);
    first = ask_as(l, "a", "first", 5, 1000000, 0);
    assert_true(first.ticket && first.wait_us <= 200000); /* and goes before who came meanwhile */
    pass(first.wait_us);
    assert_true(ask_as(l, "a", "third", 5, INT64_MAX, third.ticket).wait_us > 0);
    assert_int_equal(ask_as(l, "a", "first", 5, 0, first.ticket).wait_us, 0);
    limiter_free(l);
}

/* A workspace that thinks the rate is low slows itself only. */
static void a_wrong_rate_slows_its_own_workspace(void **state)
{
    (void)state;
    status st;
    limiter_answer a;
    limiter *l = limiter_create();
    const limiter_request slow = {.provider = "api",
                                  .workspace = "slow",
                                  .units = 1,
                                  .per_second = 0.001,
                                  .burst = 1,
                                  .max_wait_us = INT64_MAX};
    assert_int_equal(limiter_take(l, &slow, &a, &st), STATUS_OK);
    assert_int_equal(a.wait_us, 0);
    assert_int_equal(limiter_take(l, &slow, &a, &st), STATUS_OK);
    assert_true(a.wait_us > 900000000);
    ask(l, "fast", 1, 0, 0); /* from now on the rate for all is the fast one's */
    pass(500000);
    for (int i = 0; i < 20; i++, pass(100000))
        assert_int_equal(ask(l, "fast", 1, 0, 0).wait_us, 0);
    limiter_free(l);
}

static void requests_without_sense_and_limits(void **state)
{
    (void)state;
    status st;
    limiter_answer a;
    limiter *l = limiter_create();
    const limiter_request wrong[] = {
        {.provider = "", .workspace = "a", .units = 1, .per_second = 1, .burst = 1},
        {.provider = "p", .workspace = "a", .units = 0, .per_second = 1, .burst = 1},
        {.provider = "p", .workspace = "a", .units = 2, .per_second = 1, .burst = 1},
        {.provider = "p", .workspace = "a", .units = 1, .per_second = 0, .burst = 1},
        {.provider = "p", .workspace = "a", .units = 1, .per_second = 1.0 / 0.0, .burst = 1},
        {.provider = "p", .workspace = "a", .units = 0.0 / 0.0, .per_second = 1, .burst = 1},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(limiter_take(l, &wrong[i], &a, &st), STATUS_INVALID);
    for (int n = 0; n <= LIMITER_PROVIDERS_MAX; n++) {
        char name[32];
        snprintf(name, sizeof name, "p%d", n);
        const limiter_request r = {
            .provider = name, .workspace = "a", .units = 1, .per_second = 1, .burst = 1};
        assert_int_equal(limiter_take(l, &r, &a, &st), n < LIMITER_PROVIDERS_MAX ? STATUS_OK : STATUS_LIMIT);
    }
    pass(LIMITER_MEMORY_US + 1); /* those of before are forgotten */
    ask(l, "a", 5, 0, 0);
    for (int n = 0; n <= LIMITER_WAITERS_MAX; n++) {
        const limiter_request r = {.provider = "api",
                                   .workspace = "a",
                                   .units = 1,
                                   .per_second = 10,
                                   .burst = 5,
                                   .max_wait_us = INT64_MAX};
        assert_int_equal(limiter_take(l, &r, &a, &st), n < LIMITER_WAITERS_MAX ? STATUS_OK : STATUS_LIMIT);
    }
    limiter_free(l);
}

int main(void)
{
    clock_fake_use(&now, 1700000000000000);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_and_then_the_rate),
        cmocka_unit_test(waiters_are_served_in_turn_by_workspace),
        cmocka_unit_test(who_does_not_come_back_loses_its_turn),
        cmocka_unit_test(a_workspaces_own_go_in_order),
        cmocka_unit_test(a_place_is_kept_and_not_waited_for),
        cmocka_unit_test(a_wrong_rate_slows_its_own_workspace),
        cmocka_unit_test(requests_without_sense_and_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
