/* The places of computed stores in a database: what is new since an id while transactions overlap, when the
 * table itself is another one, and for ids of somewhere else. */
#include "support/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "flow/live_stage.h"
#include "support/cluster.h"

static const table_column columns[] = {{.name = "bucket", .type = COLUMN_TIMESTAMP},
                                       {.name = "dev", .type = COLUMN_TEXT},
                                       {.name = "n", .type = COLUMN_INTEGER, .nullable = true}};
static const uint32_t entity[] = {1}, unique[] = {0, 1};
static const store_table table = {.class = STORE_FEATURESTORE,
                                  .key = "f",
                                  .wid = 3,
                                  .columns = columns,
                                  .n_columns = 3,
                                  .entity = entity,
                                  .n_entity = 1,
                                  .unique = unique,
                                  .n_unique = 2,
                                  .version_column = -1};

static const char make[] =
    "(bucket timestamptz NOT NULL, dev text COLLATE \"C\" NOT NULL, n bigint, PRIMARY KEY (dev, bucket))";

static void run(connection *c, const char *sql)
{
    status st;
    if (connection_exec(c, sql, NULL, 0, NULL, &st) != STATUS_OK)
        fail_msg("%s: %s", sql, st.text);
}

/* Deletes and writes the row of a device, as a refresh does. */
static void put(connection *c, const char *dev, int n)
{
    char sql[200];
    snprintf(sql, sizeof sql, "DELETE FROM featurestore.f_wid3 WHERE dev = '%s'", dev);
    run(c, sql);
    snprintf(sql, sizeof sql, "INSERT INTO featurestore.f_wid3 VALUES ('2026-01-01T00:00:00Z', '%s', %d)",
             dev, n);
    run(c, sql);
}

static live_place place_since(connection *c, const char *id)
{
    status st;
    live_place out;
    if (live_stage_place(c, &table, id, &out, &st) != STATUS_OK)
        fail_msg("%s", st.text);
    return out;
}

/* "a1b2": devices and their n, in order of the key. */
static void expect_since(connection *c, const char *id, const char *want)
{
    status st;
    text got = {0};
    metric_result page;
    const char *next;
    arena *a = arena_create(0);
    live_place place = place_since(c, id);
    store_query q = {.class = CLASS_FEATURESTORE,
                     .key = "f",
                     .limit = 100,
                     .system = true,
                     .since = place.whole ? NULL : place.since};
    if (store_rows_read(&table, c, &q, a, &page, &next, &st) != STATUS_OK)
        fail_msg("%s", st.text);
    for (uint32_t i = 0; i < page.rows.n_rows; i++) {
        const column *dev = &page.rows.columns[1];
        text_add_n(&got, dev->data + dev->offsets[i], (size_t)(dev->offsets[i + 1] - dev->offsets[i]));
        text_printf(&got, "%" PRId64, ((const int64_t *)page.rows.columns[2].values)[i]);
    }
    assert_string_equal(text_or_empty(&got), want);
    metric_result_free(&page);
    text_free(&got);
    arena_free(a);
}

static connection *set_up(void)
{
    char sql[300];
    if (!test_cluster())
        skip();
    test_database("places");
    connection *c = test_connect("places");
    run(c, "CREATE SCHEMA featurestore");
    snprintf(sql, sizeof sql, "CREATE TABLE featurestore.f_wid3 %s", make);
    run(c, sql);
    return c;
}

static void what_was_under_way_at_an_id_is_new_since_it(void **state)
{
    (void)state;
    status st;
    connection *c = set_up(), *slow = test_connect("places");
    put(c, "a", 1);
    assert_int_equal(connection_begin(slow, &st), STATUS_OK);
    put(slow, "b", 1); /* has its number, is not committed */
    put(c, "c", 1);
    live_place first = place_since(c, NULL);
    assert_false(first.whole);
    assert_int_equal(connection_commit(slow, &st), STATUS_OK);
    expect_since(c, first.id, "b1c1"); /* c twice: it cannot be told apart by an id */
    live_place second = place_since(c, NULL);
    expect_since(c, second.id, "");
    put(c, "a", 2);
    put(c, "a", 3);
    expect_since(c, second.id, "a3");
    expect_since(c, first.id, "a3b1c1");
    connection_close(slow);
    connection_close(c);
}

static void another_table_and_another_cluster_are_new_as_a_whole(void **state)
{
    (void)state;
    status st;
    char sql[300], id[LIVE_ID_SIZE];
    connection *c = set_up();
    snprintf(sql, sizeof sql, "CREATE TABLE featurestore.f__next_wid3 %s", make);
    run(c, sql);
    run(c, "INSERT INTO featurestore.f__next_wid3 VALUES ('2026-01-01T00:00:00Z', 'a', 5)");
    put(c, "a", 1);
    live_place before = place_since(c, NULL);
    assert_int_equal(connection_begin(c, &st), STATUS_OK);
    run(c, "DROP TABLE featurestore.f_wid3");
    run(c, "ALTER TABLE featurestore.f__next_wid3 RENAME TO f_wid3");
    assert_int_equal(connection_commit(c, &st), STATUS_OK);
    expect_since(c, before.id, "a5"); /* written before the id was given, seen only now */
    live_place after = place_since(c, NULL);
    expect_since(c, after.id, "");
    snprintf(id, sizeof id, "%s0", after.id); /* another timeline */
    expect_since(c, id, "a5");
    uint64_t now = strtoull(after.id, NULL, 10);
    snprintf(id, sizeof id, "%" PRIu64 "%s", now + 1000, strchr(after.id, '-')); /* of the future */
    expect_since(c, id, "a5");
    connection_close(c);
}

static void rows_are_read_by_their_keys(void **state)
{
    (void)state;
    status st;
    connection *c = set_up();
    metric_result rows;
    arena *a = arena_create(0);
    put(c, "a", 1);
    put(c, "b", 2);
    int64_t us = INT64_C(1767225600000000), times[] = {us, us};
    const char *const b[] = {"b"}, *const none[] = {"x"}, *const *const keys[] = {b, none};
    assert_int_equal(store_rows_ranges(&table, c, &(store_ranges){times, times, keys, 2}, 10, a, &rows, &st),
                     STATUS_OK);
    assert_int_equal(rows.rows.n_rows, 1);
    assert_int_equal(((const int64_t *)rows.rows.columns[2].values)[0], 2);
    metric_result_free(&rows);
    for (uint32_t limit = 1; limit <= 3; limit++) {
        assert_int_equal(
            store_rows_ranges(&table, c, &(store_ranges){times, times, NULL, 1}, limit, a, &rows, &st),
            STATUS_OK);
        assert_int_equal(rows.rows.n_rows, limit < 2 ? limit : 2);
        metric_result_free(&rows);
    }
    arena_free(a);
    connection_close(c);
}

static void ids_are_checked(void **state)
{
    (void)state;
    static const char *const fine[] = {"1-2-3", "0-0-0", "123456789012-7440000000000000000-1"},
                             *const wrong[] = {"",       "1",     "1-",    "1-2",    "1-2-",
                                               "-1-2-3", "1-2-x", "x-2-3", "1-2-3 ", "1-2-3-4"};
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++)
        assert_true(live_stage_is_id(fine[i]));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(live_stage_is_id(wrong[i]));
    char longest[LIVE_ID_SIZE + 1];
    memset(longest, '1', sizeof longest);
    memcpy(longest, "1-2-", 4);
    longest[LIVE_ID_SIZE - 1] = '\0';
    assert_true(live_stage_is_id(longest));
    longest[LIVE_ID_SIZE - 1] = '1';
    longest[LIVE_ID_SIZE] = '\0';
    assert_false(live_stage_is_id(longest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_under_way_at_an_id_is_new_since_it),
        cmocka_unit_test(another_table_and_another_cluster_are_new_as_a_whole),
        cmocka_unit_test(rows_are_read_by_their_keys),
        cmocka_unit_test(ids_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
