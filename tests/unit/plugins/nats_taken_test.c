/* The set of numbers that a cursor of NATS is: what is in it, what a cursor brings back, and its limit. */
#include "support/check.h"

#include <stdlib.h>
#include <string.h>

#include "taken.h"

enum { NUMBERS = 300 };

static void same(const taken *a, const taken *b)
{
    assert_int_equal(a->n, b->n);
    assert_memory_equal(a->ranges, b->ranges, a->n * sizeof a->ranges[0]);
}

/* In any order, against a list; and over a cursor. */
static void test_any_order(void **state)
{
    static taken t, again;
    static uint8_t cursor[TAKEN_CURSOR_MAX];
    (void)state;
    srand(7);
    for (int round = 0; round < 50; round++) {
        bool in[NUMBERS + 1] = {false};
        assert_true(taken_open(&t, 9, "", 0));
        for (int i = 0; i < NUMBERS; i++) {
            unsigned number = 1 + (unsigned)rand() % NUMBERS;
            in[number] = true;
            taken_add(&t, number);
        }
        for (unsigned n = 1; n <= NUMBERS; n++)
            assert_int_equal(taken_has(&t, n), in[n]);
        size_t len = taken_cut(&t, cursor);
        assert_true(taken_open(&again, 9, cursor, len));
        same(&t, &again);
        assert_int_equal(again.batch, 2);
        assert_int_equal(taken_batch(cursor, len), 1);
    }
}

static void test_neighbours_are_one_range(void **state)
{
    static taken t;
    (void)state;
    assert_true(taken_open(&t, 9, "", 0));
    for (uint64_t n = 1; n <= 100000; n++)
        taken_add(&t, n);
    assert_int_equal(t.n, 1);
    assert_int_equal(taken_floor(&t), 100000);
    assert_int_equal(taken_highest(&t), 100000);
}

/* The lowest are forgotten beyond the limit, never the highest; the cursor has room for all that are kept. */
static void test_limit(void **state)
{
    static taken t, again;
    static uint8_t cursor[TAKEN_CURSOR_MAX];
    (void)state;
    for (size_t n = TAKEN_RANGES_MAX - 1; n <= TAKEN_RANGES_MAX + 1; n++) {
        assert_true(taken_open(&t, 9, "", 0));
        for (size_t i = 1; i <= n; i++)
            taken_add(&t, 1000000000 + 1000 * i);
        assert_int_equal(t.n, n < TAKEN_RANGES_MAX ? n : TAKEN_RANGES_MAX);
        assert_int_equal(taken_has(&t, 1000000000 + 1000), n <= TAKEN_RANGES_MAX);
        assert_true(taken_has(&t, 1000000000 + 1000 * n));
        size_t len = taken_cut(&t, cursor);
        assert_true(taken_open(&again, 9, cursor, len));
        same(&t, &again);
    }
}

/* Another place counts as none; what is no cursor is refused. */
static void test_places_and_nonsense(void **state)
{
    static taken t, again;
    static uint8_t cursor[TAKEN_CURSOR_MAX];
    (void)state;
    assert_true(taken_open(&t, 9, "", 0));
    taken_add(&t, 5);
    taken_add(&t, 900);
    size_t len = taken_cut(&t, cursor);
    assert_true(taken_open(&again, 10, cursor, len));
    assert_int_equal(again.n, 0);
    assert_false(taken_open(&again, 9, "else", 4));
    assert_false(taken_open(&again, 9, cursor, len - 1));
    assert_false(taken_open(&again, 9, cursor, 20));
}

/* Batches are told apart by numbers that are never 0. */
static void test_numbers_of_batches_begin_anew(void **state)
{
    static taken t, again;
    static uint8_t cursor[TAKEN_CURSOR_MAX];
    const uint64_t last = UINT64_MAX / 2;
    (void)state;
    for (int more = -1; more <= 1; more++) {
        assert_true(taken_open(&t, 9, "", 0));
        t.batch = last + (uint64_t)more;
        assert_true(taken_open(&again, 9, cursor, taken_cut(&t, cursor)));
        assert_true(again.batch == (more < 0 ? last : 1));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_order),
        cmocka_unit_test(test_neighbours_are_one_range),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_places_and_nonsense),
        cmocka_unit_test(test_numbers_of_batches_begin_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
