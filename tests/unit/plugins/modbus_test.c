/* Parts of the modbus connector: which group of which device is read when, however many of them are silent.
 */
#include "support/check.h"

#include <string.h>

#include "watch.h"

enum { DEVICES = 4, GROUPS = 3, MS = 1000, TIMEOUT_US = 1000 * MS };

typedef struct bench {
    map map;
    watch watch;
    int64_t now_us;
} bench;

static int setup(void **state)
{
    bench *b = calloc(1, sizeof *b);
    b->map.n_groups = b->map.n_blocks = GROUPS;
    for (size_t g = 0; g < GROUPS; g++)
        b->map.groups[g] = (map_group){.every_us = 100 * MS, .first = g, .end = g + 1};
    b->watch = (watch){.map = &b->map, .n = DEVICES, .timeout_us = TIMEOUT_US, .numbered = true};
    b->watch.why = calloc(DEVICES * GROUPS, sizeof *b->watch.why);
    for (size_t i = 0; i < DEVICES; i++)
        b->watch.devices[i].name = "pump";
    b->now_us = INT64_C(1774720800000000);
    watch_opened(&b->watch);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    bench *b = *state;
    watch_free(&b->watch);
    free(b);
    return 0;
}

/* One round as the connector makes it: of each device what is due, up to its first silence, which takes a
 * time-out. Counts the readings of each device; returns how long the round waited. */
static int64_t round_of(bench *b, bool (*answers)(size_t device, size_t group), unsigned readings[DEVICES])
{
    int64_t began_us = b->now_us;
    for (size_t i = 0; i < DEVICES; i++) {
        device *d = &b->watch.devices[i];
        bool silent = false;
        for (size_t g = 0; !silent && g < GROUPS; g++) {
            if (!watch_due(&b->watch, d, g, b->now_us))
                continue;
            watch_begin(&b->watch, d, g, b->now_us);
            silent = !answers(i, g);
            b->now_us += silent ? TIMEOUT_US : 0;
            readings[i] += !silent;
            (silent ? watch_silent : watch_answered)(&b->watch, d, g, b->now_us);
        }
    }
    return b->now_us - began_us;
}

/* Share of the time that was spent waiting, over a minute. */
static double share_waited(bench *b, bool (*answers)(size_t, size_t), unsigned readings[DEVICES])
{
    int64_t began_us = b->now_us, waited_us = 0;
    memset(readings, 0, DEVICES * sizeof *readings);
    while (b->now_us - began_us < 60000 * MS) {
        waited_us += round_of(b, answers, readings);
        assert_false(watch_is_dead(&b->watch));
        b->now_us += 10 * MS;
    }
    return (double)waited_us / (double)(b->now_us - began_us);
}

static bool last_is_silent(size_t device, size_t group)
{
    (void)group;
    return device != DEVICES - 1;
}

static bool only_first_answers(size_t device, size_t group)
{
    (void)group;
    return device == 0;
}

static bool each_has_a_silent_group(size_t device, size_t group)
{
    return device == 0 || group != 1;
}

static void test_silence_costs_the_others_little(void **state)
{
    bench *b = *state;
    unsigned readings[DEVICES];
    char words[240];
    share_waited(b, last_is_silent, readings);
    double share = share_waited(b, last_is_silent, readings);
    assert_true(share > 0.1 && share < 0.25);
    assert_true(readings[0] > 1300 && readings[3] == 0); /* of 3 groups * 600 */
    watch_words(&b->watch, words, sizeof words);
    assert_string_equal(words, "1 of 4 devices leave requests unanswered, pump among them");
    share_waited(b, only_first_answers, readings);
    share = share_waited(b, only_first_answers, readings);
    assert_true(share > 0.1 && share < 0.25);
    assert_true(readings[0] > 1300);
}

static void test_a_silent_group_costs_its_own_device_little(void **state)
{
    bench *b = *state;
    unsigned readings[DEVICES];
    share_waited(b, each_has_a_silent_group, readings);
    double share = share_waited(b, each_has_a_silent_group, readings);
    assert_true(share > 0.1 && share < 0.25);
    for (size_t i = 1; i < DEVICES; i++)
        assert_true(readings[i] > 850); /* of 2 groups * 600 */
}

/* An RTU frame has no number: what comes late must find nobody who waits. */
static void test_without_numbers_the_device_is_left_alone(void **state)
{
    bench *b = *state;
    device *d = &b->watch.devices[0];
    b->watch.numbered = false;
    watch_begin(&b->watch, d, 0, b->now_us);
    watch_silent(&b->watch, d, 0, b->now_us);
    for (size_t g = 0; g < GROUPS; g++) {
        int64_t until_us = b->now_us + (g ? WATCH_QUIET : WATCH_PAUSE) * TIMEOUT_US;
        assert_false(watch_due(&b->watch, d, g, until_us - 1));
        assert_true(watch_due(&b->watch, d, g, until_us));
    }
}

static void test_a_clock_that_is_set_back(void **state)
{
    bench *b = *state;
    device *d = &b->watch.devices[0];
    watch_begin(&b->watch, d, 0, b->now_us);
    assert_false(watch_due(&b->watch, d, 0, b->now_us + 1));
    assert_true(watch_due(&b->watch, d, 0, b->now_us - 3600000 * (int64_t)MS));
}

static void misses(bench *b, size_t device, unsigned times)
{
    while (times--)
        watch_silent(&b->watch, &b->watch.devices[device], times, b->now_us);
}

static void test_when_a_connection_is_dead(void **state)
{
    bench *b = *state;
    watch *w = &b->watch;
    for (size_t i = 0; i < WATCH_MISSES; i++) { /* nobody has answered yet */
        assert_false(watch_is_dead(w));
        misses(b, i, 1);
    }
    assert_true(watch_is_dead(w));
    watch_opened(w);
    for (size_t i = 0; i < DEVICES; i++)
        watch_answered(w, &w->devices[i], 0, b->now_us);
    misses(b, 0, WATCH_SUSPECT + 1); /* is known to be silent: says nothing new */
    misses(b, 1, WATCH_SUSPECT);
    misses(b, 2, WATCH_SUSPECT - 1);
    assert_false(watch_is_dead(w));
    misses(b, 2, 1);
    assert_true(watch_is_dead(w));
    watch_opened(w);
    watch_answered(w, &w->devices[0], 0, b->now_us);
    misses(b, 0, WATCH_SUSPECT - 1); /* the only one that answered: one of its groups may be at fault */
    assert_false(watch_is_dead(w));
    misses(b, 0, 1);
    assert_true(watch_is_dead(w));
}

static void test_a_refusal_is_news_once(void **state)
{
    bench *b = *state;
    watch *w = &b->watch;
    assert_true(watch_note(w, &w->devices[1], 2, "busy"));
    for (const char *why = w->why[GROUPS + 2]; why; why = NULL)
        assert_false(watch_note(w, &w->devices[1], 2, why));
    assert_true(watch_note(w, &w->devices[1], 1, "busy"));
    assert_true(watch_note(w, &w->devices[1], 2, "illegal function"));
    assert_false(watch_note(w, &w->devices[1], 2, NULL));
    assert_true(watch_note(w, &w->devices[1], 2, "illegal function"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_silence_costs_the_others_little),
        T(test_a_silent_group_costs_its_own_device_little),
        T(test_without_numbers_the_device_is_left_alone),
        T(test_a_clock_that_is_set_back),
        T(test_when_a_connection_is_dead),
        T(test_a_refusal_is_news_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
