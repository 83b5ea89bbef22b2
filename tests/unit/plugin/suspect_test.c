/* The hunt for poison rows, over random batches; the seed of a failure is printed. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/suspect.h"
#include "support/check.h"

enum { ROWS_MAX = 5000, ROUNDS = 3000 };

typedef struct batch_of {
    bool poison[ROWS_MAX], found[ROWS_MAX];
    unsigned went[ROWS_MAX];
    uint32_t next;       /* rows before this one are decided */
    unsigned left_alone; /* the n-th try is given up; 0 = never */
    unsigned tries;
    bool only_together; /* kills with more than one row, never alone */
} batch_of;

static suspect_outcome try_rows(void *arg, uint32_t first, uint32_t n)
{
    batch_of *b = arg;
    assert_int_equal(first, b->next); /* ascending, nothing left out */
    if (++b->tries == b->left_alone)
        return SUSPECT_STOP;
    if (b->only_together && n > 1)
        return SUSPECT_DIED;
    for (uint32_t i = first; i < first + n; i++)
        if (b->poison[i])
            return SUSPECT_DIED;
    for (uint32_t i = first; i < first + n; i++)
        b->went[i]++;
    b->next = first + n;
    return SUSPECT_FINE;
}

static void on_poison(void *arg, uint32_t row)
{
    batch_of *b = arg;
    assert_false(b->found[row]);
    b->found[row] = true;
    b->next = row + 1;
}

static uint64_t random_state;
static uint32_t below(uint32_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % n);
}

static void hunt_once(uint64_t seed)
{
    static batch_of b;
    b = (batch_of){0};
    random_state = seed;
    uint32_t n = 1 + below(ROWS_MAX - 10), first = below(10), poison = below(12), real = 0;
    for (uint32_t i = 0; i < poison; i++)
        b.poison[first + below(n)] = true;
    for (uint32_t i = 0; i < ROWS_MAX; i++)
        real += b.poison[i];
    b.next = first;
    suspect_hunt hunt = {.try_rows = try_rows, .on_poison = on_poison, .arg = &b};
    bool good = suspect_find(&hunt, first, n) == SUSPECT_FINE && hunt.n_poison == real && hunt.done == n &&
                hunt.tries <= 1 + real * 2 * 13;
    for (uint32_t i = first; i < first + n; i++)
        good = good && b.found[i] == b.poison[i] && b.went[i] == !b.poison[i];
    if (!good)
        print_error("seed %llu: %u rows from %u, %u poison, %u found, %u tries\n", (unsigned long long)seed,
                    n, first, real, hunt.n_poison, hunt.tries);
    assert_true(good);
}

static void every_poison_row_is_found_and_no_other(void **state)
{
    (void)state;
    const char *given = getenv("PENSTOCK_TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : 1;
    for (unsigned i = 0; i < (given ? 1 : ROUNDS); i++)
        hunt_once(seed + i);
}

static void a_batch_that_goes_well_alone_was_no_ones_fault(void **state)
{
    (void)state;
    batch_of b = {0};
    suspect_hunt hunt = {.try_rows = try_rows, .on_poison = on_poison, .arg = &b};
    assert_int_equal(suspect_find(&hunt, 0, 1000), SUSPECT_FINE);
    assert_int_equal(hunt.tries, 1);
    assert_int_equal(hunt.n_poison, 0);
    assert_int_equal(suspect_find(&hunt, 0, 0), SUSPECT_FINE);
    assert_int_equal(hunt.tries, 0);
}

static void rows_that_kill_together_only_go_through_apart(void **state)
{
    (void)state;
    batch_of b = {.only_together = true};
    suspect_hunt hunt = {.try_rows = try_rows, .on_poison = on_poison, .arg = &b};
    assert_int_equal(suspect_find(&hunt, 0, 64), SUSPECT_FINE);
    assert_int_equal(hunt.n_poison, 0);
    assert_int_equal(hunt.done, 64);
    assert_int_equal(b.went[63], 1);
}

static void a_hunt_ends(void **state)
{
    (void)state;
    batch_of b = {0};
    memset(b.poison, 1, sizeof b.poison); /* everything kills */
    suspect_hunt hunt = {.try_rows = try_rows, .on_poison = on_poison, .arg = &b, .tries_max = 100};
    assert_int_equal(suspect_find(&hunt, 0, 4000), SUSPECT_DIED);
    assert_int_equal(hunt.tries, 100);
    assert_int_equal(hunt.done, b.next);
    batch_of c = {.left_alone = 3};
    c.poison[900] = true;
    hunt.arg = &c;
    assert_int_equal(suspect_find(&hunt, 0, 1000), SUSPECT_STOP);
    assert_int_equal(hunt.tries, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_poison_row_is_found_and_no_other),
        cmocka_unit_test(a_batch_that_goes_well_alone_was_no_ones_fault),
        cmocka_unit_test(rows_that_kill_together_only_go_through_apart),
        cmocka_unit_test(a_hunt_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
