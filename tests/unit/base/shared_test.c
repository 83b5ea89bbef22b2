/* Things kept once: who asks for the same gets the same, the last owner frees it, of two makers one gives
 * way. */
#include "support/check.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/shared.h"

typedef struct thing {
    shared shared;
    int number;
} thing;

static int freed;

static void thing_free(shared *s)
{
    freed++;
    free(s);
}

static shared *make(int number)
{
    thing *t = memory_zero(1, sizeof *t);
    t->number = number;
    return &t->shared;
}

static void keeps_one_of_a_kind(void **state)
{
    (void)state;
    static shared_table table = SHARED_TABLE(thing_free);
    char digest[DIGEST_TEXT_SIZE], other[DIGEST_TEXT_SIZE];
    digest_text(digest, "a", 1);
    digest_text(other, "b", 1);
    freed = 0;
    assert_null(shared_find(&table, digest));
    shared *first = shared_put(&table, digest, make(1));
    assert_ptr_equal(shared_find(&table, digest), first);
    assert_null(shared_find(&table, other));
    assert_ptr_equal(shared_put(&table, digest, make(2)), first); /* somebody was faster */
    assert_int_equal(freed, 1);
    assert_int_equal(((thing *)first)->number, 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(freed, 1);
        shared_release(&table, first);
    }
    assert_int_equal(freed, 2);
    assert_null(shared_find(&table, digest));
    shared_release(&table, NULL);
}

static void holds_more_than_it_has_buckets(void **state)
{
    (void)state;
    static shared_table table = SHARED_TABLE(thing_free);
    enum { THINGS = SHARED_BUCKETS * 4 };
    shared *all[THINGS];
    char digest[DIGEST_TEXT_SIZE];
    freed = 0;
    for (int i = 0; i < THINGS; i++) {
        digest_text(digest, &i, sizeof i);
        all[i] = shared_put(&table, digest, make(i));
    }
    for (int i = 0; i < THINGS; i += 2)
        shared_release(&table, all[i]);
    assert_int_equal(freed, THINGS / 2);
    for (int i = 0; i < THINGS; i++) {
        digest_text(digest, &i, sizeof i);
        assert_ptr_equal(shared_find(&table, digest), i % 2 ? all[i] : NULL);
        if (i % 2) {
            shared_release(&table, all[i]);
            shared_release(&table, all[i]);
        }
    }
    assert_int_equal(freed, THINGS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_one_of_a_kind),
        cmocka_unit_test(holds_more_than_it_has_buckets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
