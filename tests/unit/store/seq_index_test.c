/* The index on `_seq` of a store that has rows: writers go on while it is built, partition by partition. */
#include "stage.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "store/seq_index.h"
#include "store/workspace_schema.h"

enum { MONTH = 60 * 24 * 32, WAIT_TRIES = 500 };
#define INDEX "datastore.\"sensor_data__seq_wid1\""

typedef struct building {
    connection *c;
    const store_table *table;
    status st;
    status_class class;
} building;

static void *build(void *arg)
{
    building *b = arg;
    store_table before = *b->table;
    before.seq_index = false;
    b->class = store_alter(b->c, &before, b->table, false, &b->st);
    return NULL;
}

static void wait_until(const char *sql)
{
    for (int i = 0; ask_number(super, sql) == 0; i++) {
        if (i == WAIT_TRIES)
            fail_msg("waited in vain: %s", sql);
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
}

static int64_t whole_indexes(void)
{
    return ask_number(
        service, "SELECT count(*) FILTER (WHERE d.indisvalid) FROM pg_index d WHERE d.indexrelid = '" INDEX
                 "'::regclass OR d.indexrelid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = '" INDEX
                 "'::regclass)");
}

static void writers_go_on_while_it_is_built(void **state)
{
    NEED_CLUSTER();
    (void)state;
    status st;
    store_table t;
    upsert_counts n;
    char partition[256], sql[400];
    pthread_t thread;
    make_workspace(1, NULL, &t, CONFLICT_KEEP_LAST);
    write_rows(&t, (sample[]){{"a", 1, 1, 1}, {"a", MONTH, 1, 1}}, 2, 100, &n);
    ask_text(service,
             "SELECT min(inhrelid::regclass::text) FROM pg_inherits WHERE inhparent = "
             "'datastore.sensor_data_wid1'::regclass",
             partition);
    connection *slow = test_connect(DB), *other = test_connect(DB);
    OK(connection_begin(slow, &st)); /* a writer that takes its time over one partition */
    snprintf(sql, sizeof sql, "UPDATE %s SET pressure = 2", partition);
    OK(connection_exec(slow, sql, NULL, 0, NULL, &st));
    t.seq_index = true;
    building b = {.c = other, .table = &t};
    assert_int_equal(pthread_create(&thread, NULL, build, &b), 0);
    wait_until("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONCURRENTLY%' AND "
               "wait_event_type = 'Lock'");
    OK(connection_exec(service, "SET lock_timeout = '2s'", NULL, 0, NULL, &st));
    write_rows(&t, (sample[]){{"b", 1, 1, 1}, {"b", MONTH, 1, 1}}, 2, 200, &n);
    assert_int_equal(n.stored, 2);
    OK(connection_exec(service, "RESET lock_timeout", NULL, 0, NULL, &st));
    OK(connection_commit(slow, &st));
    pthread_join(thread, NULL);
    if (b.class != STATUS_OK)
        fail_msg("%s", b.st.text);
    assert_int_equal(whole_indexes(), 3);
    write_rows(&t, (sample[]){{"c", 3 * MONTH, 1, 1}}, 1, 300, &n);
    assert_int_equal(whole_indexes(), 4); /* a partition that comes has one */
    connection_close(slow);
    connection_close(other);
    drop_workspace(1, NULL);
}

static void what_is_left_of_a_build_is_taken_away(void **state)
{
    NEED_CLUSTER();
    (void)state;
    status st;
    store_table t;
    upsert_counts n;
    char left[256];
    make_workspace(1, NULL, &t, CONFLICT_KEEP_LAST);
    write_rows(&t, (sample[]){{"a", 1, 1, 1}, {"a", MONTH, 1, 1}}, 2, 100, &n);
    OK(connection_exec(service,
                       "CREATE INDEX \"sensor_data__seq_wid1\" ON ONLY datastore.sensor_data_wid1 (\"_seq\")",
                       NULL, 0, NULL, &st));
    ask_text(service,
             "SELECT format('CREATE INDEX \"_seq_%s\" ON %s (\"_seq\")', inhrelid, inhrelid::regclass) FROM "
             "pg_inherits WHERE inhparent = 'datastore.sensor_data_wid1'::regclass LIMIT 1",
             left);
    OK(connection_exec(service, left, NULL, 0, NULL, &st));
    OK(seq_index_build(service, &t, &st));
    assert_int_equal(whole_indexes(), 3);
    OK(seq_index_drop(service, &t, &st));
    OK(seq_index_drop(service, &t, &st));
    assert_int_equal(
        ask_number(service,
                   "SELECT count(*) FROM pg_class WHERE relkind IN ('i', 'I') AND relname LIKE '%seq%' AND "
                   "relnamespace = 'datastore'::regnamespace"),
        0);
    drop_workspace(1, NULL);
}

static void a_table_without_partitions_has_one(void **state)
{
    NEED_CLUSTER();
    (void)state;
    status st;
    static const table_column columns[] = {{"n", COLUMN_NUMBER, true, 0}};
    store_table t = {.class = STORE_DATASTORE,
                     .key = "flat",
                     .wid = 1,
                     .columns = columns,
                     .n_columns = 1,
                     .time_column = -1,
                     .version_column = -1};
    OK(store_create(service, &t, NULL, &st));
    OK(seq_index_build(service, &t, &st));
    assert_int_equal(ask_number(service, "SELECT count(*) FROM pg_index WHERE indisvalid AND indexrelid = "
                                         "'datastore.flat__seq_wid1'::regclass"),
                     1);
    OK(store_drop(service, STORE_DATASTORE, "flat", 1, &st));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writers_go_on_while_it_is_built),
        cmocka_unit_test(what_is_left_of_a_build_is_taken_away),
        cmocka_unit_test(a_table_without_partitions_has_one),
    };
    return cmocka_run_group_tests(tests, stage_set_up, stage_tear_down);
}
