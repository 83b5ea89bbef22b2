/* Dirty marks of many workspaces in one transaction: more than one round trip takes. */
#include "pipeline_stage.h"

#include <stdio.h>

#include "control/bucket.h"
#include "flow/dirty_marks.h"
#include "store/pool.h"

enum { LOCK_MS = 5000, WORKSPACES = 65, FIRST_WID = 1001, ROWS = 3 };

static void make_tables(connection *c)
{
    status st;
    for (int wid = FIRST_WID; wid < FIRST_WID + WORKSPACES; wid++) {
        char sql[160];
        snprintf(sql, sizeof sql, "CREATE TABLE penstock.dirty_wid%d (LIKE penstock.dirty_wid%d)", wid, WID);
        must(connection_exec(c, sql, NULL, 0, NULL, &st), &st);
    }
}

/* Each workspace's own marks are in its own table, each once, with the newest row's number. */
static void every_workspace_gets_its_own(void **state)
{
    bench *b = *state;
    status st;
    if (!b->service)
        skip();
    connection *c;
    const bucket_rule *bucket = b->plan->featurestores ? &b->plan->featurestores[0].bucket : NULL;
    assert_non_null(bucket);
    must(pool_borrow(b->service, NULL, LOCK_MS, &c, &st), &st);
    make_tables(c);
    dirty_marks *m = dirty_marks_create();
    for (int i = 0; i < WORKSPACES; i++) {
        int64_t times[ROWS] = {0, 86400000000 * (i + 1), 86400000000 * (i + 1)};
        char name[32];
        snprintf(name, sizeof name, "featurestore:f%d", i);
        column column = {.type = COLUMN_TIMESTAMP, .values = times};
        batch rows = {ROWS, 1, &column};
        dependant one = {
            .class = CLASS_FEATURESTORE, .name = name, .bucket = bucket, .horizon_us = DEFINITION_ANY};
        dirty_marks_add(m, FIRST_WID + i, &one, 1, &rows, i + 1, 0, NULL);
    }
    must(connection_begin(c, &st), &st);
    must(dirty_marks_write(m, c, &st), &st);
    must(connection_commit(c, &st), &st);
    for (int i = 0; i < WORKSPACES; i++) {
        char sql[200];
        snprintf(sql, sizeof sql,
                 "SELECT count(*) * 1000000 + count(DISTINCT bucket) * 10000 + count(DISTINCT dependant) * "
                 "1000 + max(seq)"
                 " FROM penstock.dirty_wid%d WHERE dependant = 'featurestore:f%d'",
                 FIRST_WID + i, i);
        assert_int_equal(bench_count(b, sql), 2 * 1000000 + 2 * 10000 + 1000 + WORKSPACES);
    }
    dirty_marks_free(m);
    pool_return(b->service, c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_workspace_gets_its_own, bench_make, bench_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
