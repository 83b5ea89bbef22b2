#include "support/check.h"

#include "flow/waiter.h"

typedef struct seen {
    int calls;
    waiter_result result;
} seen;

static void on_done(void *arg, const waiter_result *result)
{
    seen *s = arg;
    s->calls++;
    s->result = *result;
}

static void answers_after_the_last_record(void **state)
{
    (void)state;
    waiter_table *t = waiter_table_create();
    seen s = {0};
    waiter_add(t, "a", 2, 100, on_done, &s);
    waiter_report(t, "b", 1, 0, 0); /* nobody waits for it */
    waiter_report(t, "a", 3, 1, 0);
    assert_int_equal(s.calls, 0);
    waiter_report(t, "a", 4, 0, 1);
    assert_int_equal(s.calls, 1);
    assert_int_equal(s.result.class, STATUS_OK);
    assert_int_equal(s.result.stored, 7);
    assert_int_equal(s.result.duplicate, 1);
    assert_int_equal(s.result.dead, 1);
    waiter_report(t, "a", 1, 0, 0);
    assert_int_equal(s.calls, 1);
    waiter_table_free(t);
}

static void late_ones_time_out_and_removed_ones_stay_silent(void **state)
{
    (void)state;
    waiter_table *t = waiter_table_create();
    seen late = {0}, in_time = {0}, gone = {0};
    waiter_add(t, "late", 1, 100, on_done, &late);
    waiter_add(t, "in time", 1, 101, on_done, &in_time);
    waiter_add(t, "gone", 1, 100, on_done, &gone);
    waiter_remove(t, "gone");
    waiter_expire(t, 100);
    assert_int_equal(late.calls, 1);
    assert_int_equal(late.result.class, STATUS_TIMEOUT);
    assert_int_equal(in_time.calls, 0);
    waiter_table_free(t);
    assert_int_equal(in_time.result.class, STATUS_UNAVAILABLE);
    assert_int_equal(gone.calls, 0);
}

/* Whichever way one goes, it is not counted any more. */
static void they_are_counted(void **state)
{
    (void)state;
    waiter_table *t = waiter_table_create();
    seen s = {0};
    assert_int_equal(waiter_add(t, "answered", 1, 100, on_done, &s), 1);
    assert_int_equal(waiter_add(t, "late", 1, 99, on_done, &s), 2);
    assert_int_equal(waiter_add(t, "removed", 1, 100, on_done, &s), 3);
    assert_int_equal(waiter_add(t, "half", 2, 100, on_done, &s), 4);
    waiter_report(t, "answered", 1, 0, 0);
    waiter_report(t, "half", 1, 0, 0);
    waiter_expire(t, 99);
    waiter_remove(t, "removed");
    waiter_remove(t, "removed");
    assert_int_equal(waiter_add(t, "new", 1, 100, on_done, &s), 2);
    waiter_table_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_after_the_last_record),
        cmocka_unit_test(late_ones_time_out_and_removed_ones_stay_silent),
        cmocka_unit_test(they_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
