/* Jobs: one taker each, leases, fences, cancelling, one at a time by key. */
#include "support/check.h"

#include <string.h>

#include "control/job.h"
#include "store/migrations.h"
#include "support/cluster.h"

#define LEASE_US 60000000LL

static connection *db;

static int set_up(void **state)
{
    (void)state;
    status st;
    if (!test_cluster())
        return 0;
    test_database("jobs");
    db = test_connect("jobs");
    OK(migrations_run(db, MIGRATION_CONTROL, NULL, &st));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    connection_close(db);
    test_cluster_stop();
    return 0;
}

static job_claim take(const char *owner, bool expected)
{
    status st;
    bool found;
    job_claim claim = {0};
    OK(job_take(db, "import", owner, LEASE_US, &claim, &found, &st));
    assert_int_equal(found, expected);
    return claim;
}

static void state_is(const char *id, const char *wanted)
{
    status st;
    json_t *job;
    OK(job_show(db, id, &job, &st));
    assert_string_equal(json_string_value(json_object_get(job, "state")), wanted);
    json_decref(job);
}

static void one_host_takes_a_job(void **state)
{
    NEED_CLUSTER();
    (void)state;
    status st;
    char id[32];
    json_t *input = json_pack("{s:i}", "rows", 5), *shown;
    OK(job_create(db, 3, "import", NULL, input, id, &st));
    job_claim claim = take("host-a", true);
    assert_string_equal(claim.id, id);
    assert_int_equal(claim.wid, 3);
    assert_true(json_equal(claim.input, input));
    take("host-b", false);
    OK(job_progress(db, &claim, 2, 5, LEASE_US, &st));
    OK(job_finish(db, &claim, json_object_get(input, "rows"), NULL, &st));
    OK(job_show(db, id, &shown, &st));
    assert_string_equal(json_string_value(json_object_get(shown, "state")), "done");
    assert_int_equal(json_integer_value(json_object_get(shown, "done")), 2);
    assert_int_equal(json_integer_value(json_object_get(shown, "result")), 5);
    assert_int_equal(job_finish(db, &claim, NULL, "again", &st), STATUS_CONFLICT);
    json_decref(shown);
    json_decref(claim.input);
    json_decref(input);
}

static void a_frozen_host_loses_its_claim(void **state)
{
    NEED_CLUSTER();
    (void)state;
    status st;
    bool found;
    char first[32], second[32];
    job_claim frozen, taken;
    OK(job_create(db, 1, "import", NULL, NULL, first, &st));
    OK(job_take(db, "import", "host-a", -1, &frozen, &found, &st)); /* its lease has run out at once */
    OK(job_create(db, 1, "import", NULL, NULL, second, &st));
    taken = take("host-b", true);
    assert_string_equal(taken.id, first); /* before the other one that is due */
    assert_int_equal(taken.fence, frozen.fence + 1);
    assert_int_equal(taken.attempt, 2);
    assert_int_equal(job_progress(db, &frozen, 1, 1, LEASE_US, &st), STATUS_CONFLICT);
    assert_int_equal(job_finish(db, &frozen, NULL, NULL, &st), STATUS_CONFLICT);
    OK(job_finish(db, &taken, NULL, "no luck", &st));
    state_is(first, "failed");
    json_decref(frozen.input);
    json_decref(taken.input);
    taken = take("host-b", true);
    OK(job_finish(db, &taken, NULL, NULL, &st));
    json_decref(taken.input);
}

static void a_cancelled_job_ends(void **state)
{
    NEED_CLUSTER();
    (void)state;
    status st;
    char id[32];
    OK(job_create(db, 1, "import", NULL, NULL, id, &st));
    job_claim claim = take("host-a", true);
    OK(job_cancel(db, id, &st));
    assert_int_equal(job_progress(db, &claim, 1, 2, LEASE_US, &st), STATUS_CANCELLED);
    assert_int_equal(job_finish(db, &claim, NULL, NULL, &st), STATUS_CANCELLED);
    assert_int_equal(job_cancel(db, id, &st), STATUS_CONFLICT);
    assert_int_equal(job_cancel(db, "job_none", &st), STATUS_NOT_FOUND);
    state_is(id, "cancelled");
    json_decref(claim.input);
}

static void one_at_a_time_by_key(void **state)
{
    NEED_CLUSTER();
    (void)state;
    status st;
    char a[32], b[32], c[32];
    json_t *list;
    OK(job_create(db, 8, "import", "nightly", NULL, a, &st));
    OK(job_create(db, 8, "import", "nightly", NULL, b, &st));
    assert_string_equal(a, b);
    OK(job_create(db, 9, "import", "nightly", NULL, c, &st));
    assert_string_not_equal(a, c);
    OK(job_cancel(db, a, &st));
    OK(job_create(db, 8, "import", "nightly", NULL, b, &st));
    assert_string_not_equal(a, b);
    OK(job_list(db, 8, 10, &list, &st));
    assert_int_equal(json_array_size(list), 2);
    json_decref(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_host_takes_a_job),
        cmocka_unit_test(a_frozen_host_loses_its_claim),
        cmocka_unit_test(a_cancelled_job_ends),
        cmocka_unit_test(one_at_a_time_by_key),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
