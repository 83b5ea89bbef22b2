/* Prepared statements' places: who is found, who gets a place, who leaves, beside a plain list that does the
 * same. */
#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/prepared.h"

enum { PLACES = 300, KINDS = 1000, OPERATIONS = 20000 };

static prepared_key key_of(unsigned n)
{
    char sql[32];
    snprintf(sql, sizeof sql, "SELECT %u", n);
    return prepared_key_of(&(statement){"test", sql}, NULL, 0);
}

static void types_belong_to_the_key(void **state)
{
    (void)state;
    statement s = {"test", "SELECT $1"};
    value one = value_integer(1), two = value_integer(2), text = value_text("2");
    value a = value_binary(1016, "", 0), b = value_binary(1015, "", 0);
    prepared_key keys[] = {prepared_key_of(&s, &one, 1), prepared_key_of(&s, &text, 1),
                           prepared_key_of(&s, &a, 1), prepared_key_of(&s, &b, 1),
                           prepared_key_of(&s, NULL, 0)};
    prepared_key again = prepared_key_of(&s, &two, 1);
    assert_memory_equal(&again, &keys[0], sizeof again);
    for (unsigned i = 0; i < 5; i++)
        for (unsigned k = 0; k < i; k++)
            assert_memory_not_equal(&keys[i], &keys[k], sizeof again);
}

static void places_are_bounded(void **state)
{
    (void)state;
    prepared_set s = {.max = PLACES};
    uint32_t evicted;
    for (unsigned i = 0; i < PLACES; i++) {
        prepared_key key = key_of(i);
        assert_true(prepared_has_place(&s, &evicted));
        assert_int_equal(evicted, 0);
        assert_int_equal(prepared_add(&s, &key), i + 1);
    }
    prepared_key first = key_of(0);
    assert_int_equal(prepared_find(&s, &first), 1);
    unsigned places = 0;
    for (unsigned i = 0; i < 32; i++)
        if (prepared_has_place(&s, &evicted)) {
            places++;
            assert_int_equal(evicted, 2); /* the first was used since */
        }
    assert_int_equal(places, 2);
    prepared_forget(&s, 2);
    assert_true(prepared_has_place(&s, &evicted));
    assert_int_equal(evicted, 0);
    prepared_key last = key_of(PLACES);
    assert_int_equal(prepared_add(&s, &last), PLACES + 1); /* no number twice */
    prepared_free(&s);
    assert_false(prepared_has_place(&s, &evicted));
}

/* Random arrivals and departures: everybody who is there is found, nobody else. */
static void gaps_are_closed(void **state)
{
    (void)state;
    static uint32_t numbers[KINDS]; /* 0 = not there */
    prepared_set s = {.max = KINDS};
    unsigned seed = 20260101, n = 0;
    print_message("seed %u\n", seed);
    memset(numbers, 0, sizeof numbers);
    for (unsigned i = 0; i < OPERATIONS; i++) {
        unsigned which = (unsigned)rand_r(&seed) % KINDS;
        prepared_key key = key_of(which);
        assert_int_equal(prepared_find(&s, &key), numbers[which]);
        if (numbers[which]) {
            prepared_forget(&s, numbers[which]);
            numbers[which] = 0;
            n--;
        } else {
            numbers[which] = prepared_add(&s, &key);
            n++;
        }
        assert_int_equal(s.n, n);
    }
    for (unsigned i = 0; i < KINDS; i++) {
        prepared_key key = key_of(i);
        assert_int_equal(prepared_find(&s, &key), numbers[i]);
    }
    prepared_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_belong_to_the_key),
        cmocka_unit_test(places_are_bounded),
        cmocka_unit_test(gaps_are_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
