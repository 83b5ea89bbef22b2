/* A workspace in a real database: tables and their number, partitions, change, and the wall. */
#include "stage.h"

#include <stdio.h>
#include <string.h>

#include "base/utc.h"
#include "store/migrations.h"
#include "store/partitions.h"
#include "store/pool.h"
#include "store/roles.h"
#include "store/workspace_schema.h"

/* ---- tables ---- */

static const char count_relations[] =
    "SELECT count(*) FROM pg_class c WHERE c.oid IN (SELECT oid FROM pg_class WHERE relname ~ '_wid5($|_)') "
    "OR c.oid IN (SELECT reltoastrelid FROM pg_class WHERE relname ~ '_wid5($|_)') "
    "OR c.oid IN (SELECT i.indexrelid FROM pg_index i JOIN pg_class o ON o.reltoastrelid = i.indrelid "
    "WHERE o.relname ~ '_wid5($|_)')";

static void a_fed_workspace_is_lean(void **state)
{
    NEED_CLUSTER();
    (void)state;
    status st;
    store_table t;
    upsert_counts n;
    static const table_column features[] = {{"bucket", COLUMN_TIMESTAMP, false, 0},
                                            {"device_id", COLUMN_TEXT, false, 64},
                                            {"n", COLUMN_INTEGER, true, 0},
                                            {"pressure_avg", COLUMN_NUMBER, true, 0}};
    static const table_column gold[] = {
        {"bucket", COLUMN_TIMESTAMP, false, 0}, {"device_id", COLUMN_TEXT, false, 64},
        {"score", COLUMN_NUMBER, true, 0},      {"anomaly", COLUMN_BOOLEAN, true, 0},
        {"_model", COLUMN_TEXT, false, 0},      {"_version", COLUMN_INTEGER, false, 0},
        {"_run", COLUMN_TEXT, false, 0},        {"_features", COLUMN_TIMESTAMP, true, 0}};
    static const uint32_t key[] = {0, 1};
    make_workspace(5, NULL, &t, CONFLICT_KEEP_LAST);
    store_table f = {.class = STORE_FEATURESTORE,
                     .key = "pump_metrics_10min",
                     .wid = 5,
                     .columns = features,
                     .n_columns = 4,
                     .time_column = 0,
                     .entity = t.entity,
                     .n_entity = 1,
                     .unique = key,
                     .n_unique = 2,
                     .conflict = CONFLICT_KEEP_LAST,
                     .version_column = -1};
    store_table g = f;
    g.class = STORE_INFERENCESTORE;
    g.key = "pump_anomaly";
    g.columns = gold;
    g.n_columns = 8;
    OK(store_create(service, &f, NULL, &st));
    OK(store_create(service, &g, NULL, &st));
    write_rows(&t, (sample[]){{"a", 1, 1, 1}}, 1, 1, &n);
    connection *inside = test_connect(DB);
    int64_t relations = ask_number(inside, count_relations);
    connection_close(inside);
    printf("relations of a fed workspace: %lld\n", (long long)relations);
    assert_true(relations > 10 && relations <= 24);
    drop_workspace(5, NULL);
    assert_int_equal(ask_number(service, "SELECT count(*) FROM pg_class WHERE relname ~ '_wid5($|_)'"), 0);
}

static void partitions_follow_the_rows(void **state)
{
    NEED_CLUSTER();
    (void)state;
    status st;
    store_table t;
    make_workspace(6, NULL, &t, CONFLICT_KEEP_LAST);
    partition_cache *cache = partition_cache_create(), *other = partition_cache_create();
    int64_t times[] = {T0, T0 + 40 * UTC_DAY_US, T0 - 1};
    OK(partitions_ensure(cache, service, &t, times, 3, &st));
    static const char count[] =
        "SELECT count(*) FROM pg_inherits WHERE inhparent = 'datastore.sensor_data_wid6'::regclass";
    assert_int_equal(ask_number(service, count), 3);          /* Dec, Jan, Feb */
    OK(partitions_ensure(other, service, &t, times, 3, &st)); /* another host knows nothing yet */
    OK(partitions_ensure(cache, NULL, &t, times, 3, &st));    /* the cache does without a connection */
    assert_int_equal(ask_number(service, count), 3);
    for (int64_t i = 0; i < 200; i++) /* sixteen years of history: refused never, bounded in number */
        OK(partitions_ensure(cache, service, &t, &(int64_t){T0 - i * 30 * UTC_DAY_US}, 1, &st));
    int64_t n = ask_number(service, count);
    assert_true(n >= PARTITIONS_MAX && n <= PARTITIONS_MAX + 4);
    rows *all;
    OK(partitions_list(service, &t, &all, &st));
    assert_int_equal(rows_count(all), n);
    OK(connection_begin(service, &st));
    OK(partition_drop(service, &t, rows_text(all, 0, 2), 1000, &(uint64_t){0}, &st));
    OK(connection_commit(service, &st));
    rows_free(all);
    assert_int_equal(ask_number(service, count), n - 1);
    partition_cache_free(cache);
    partition_cache_free(other);
    drop_workspace(6, NULL);
}

static void partition_edges(void **state)
{
    (void)state;
    int64_t from, to;
    partition_range(PARTITION_MONTH, T0 - 1, &from, &to);
    assert_true(to == T0 && from == T0 - 31 * UTC_DAY_US);
    partition_range(PARTITION_WEEK, T0, &from, &to); /* a Thursday */
    assert_true(from == T0 - 3 * UTC_DAY_US && to == T0 + 4 * UTC_DAY_US);
    partition_range(PARTITION_DAY, -1, &from, &to);
    assert_true(from == -UTC_DAY_US && to == 0);
    partition_range(PARTITION_YEAR, T0, &from, &to);
    assert_true(from == T0 && to == T0 + 365 * UTC_DAY_US);
}

static void tables_change_additively(void **state)
{
    NEED_CLUSTER();
    (void)state;
    status st;
    store_table t;
    make_workspace(7, NULL, &t, CONFLICT_KEEP_LAST);
    table_column columns[6];
    memcpy(columns, t.columns, t.n_columns * sizeof *columns);
    columns[5] = (table_column){"note", COLUMN_TEXT, true, 0};
    store_table wider = t;
    wider.columns = columns;
    wider.n_columns = 6;
    wider.has_extra = true;
    OK(store_alter(service, &t, &wider, false, &st));
    assert_int_equal(
        ask_number(
            service,
            "SELECT count(*) FROM pg_attribute WHERE attrelid = 'datastore.sensor_data_wid7'::regclass "
            "AND attname IN ('note', '_extra')"),
        2);
    OK(store_alter(service, &wider, &wider, false, &st));
    table_change list[8];
    assert_int_equal(table_compare(&wider, &t, list, 8), 1);
    assert_int_equal(list[0].kind, CHANGE_REFUSED);
    assert_int_equal(store_alter(service, &wider, &t, true, &st), STATUS_CONFLICT);
    columns[5].nullable = false;
    assert_int_equal(store_alter(service, &t, &wider, false, &st), STATUS_CONFLICT);
    drop_workspace(7, NULL);
}

static void descriptions_are_checked(void **state)
{
    (void)state;
    status st;
    store_table t = keyed(1, CONFLICT_KEEP_LAST);
    OK(table_check(&t, &st));
    t.n_unique = 1; /* the device alone: no time in the key of a partitioned store */
    assert_int_equal(table_check(&t, &st), STATUS_INVALID);
    t.partition = PARTITION_NONE;
    OK(table_check(&t, &st));
    t.conflict = CONFLICT_APPEND;
    assert_int_equal(table_check(&t, &st), STATUS_INVALID);
    text s = {0};
    sql_identifier(&s, "a\"b");
    sql_literal(&s, "it's \\ so");
    assert_string_equal(s.data, "\"a\"\"b\" E'it''s \\\\ so'");
    text_free(&s);
}

/* ---- the wall ---- */

static void refused(connection *c, const char *sql)
{
    status st;
    if (connection_exec(c, sql, NULL, 0, NULL, &st) == STATUS_OK)
        fail_msg("the workspace's login may: %s", sql);
}

static void workspaces_cannot_meet(void **state)
{
    NEED_CLUSTER();
    (void)state;
    status st;
    store_table one, two;
    connection *a, *b;
    make_workspace(8, &a, &one, CONFLICT_KEEP_LAST);
    make_workspace(9, &b, &two, CONFLICT_KEEP_LAST);
    OK(connection_exec(a, "SELECT count(*) FROM datastore.sensor_data_wid8", NULL, 0, NULL, &st));
    OK(connection_exec(a, "INSERT INTO penstock.dirty_wid8 (dependant, seq) VALUES ('x', 1)", NULL, 0, NULL,
                       &st));
    OK(connection_exec(a, "SELECT penstock.time_bucket('10 minutes', now())", NULL, 0, NULL, &st));
    static const char *const forbidden[] = {
        "SELECT * FROM datastore.sensor_data_wid9",
        "SELECT * FROM penstock.dirty_wid9",
        "SELECT * FROM penstock.ledger_wid8",
        "SELECT * FROM penstock.position",
        "INSERT INTO datastore.sensor_data_wid8 (time, device_id, _seq, _received) VALUES (now(), 'x', 1, "
        "now())",
        "DELETE FROM datastore.sensor_data_wid8",
        "CREATE TEMP TABLE x (a int)",
        "CREATE TABLE datastore.x (a int)",
        "CREATE TABLE public.x (a int)",
        "CREATE SCHEMA x",
        "SELECT query_to_xml('SELECT 1', true, true, '')",
        "SELECT table_to_xml('pg_authid', true, true, '')",
        "SELECT database_to_xml(true, true, '')",
        "SET ROLE penstock",
        "SET SESSION AUTHORIZATION penstock",
        "SELECT set_config('role', 'penstock', false)",
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_try_advisory_xact_lock(1, 2)",
        "SELECT lo_create(0)",
        "SELECT lo_import('/etc/passwd')",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT pg_ls_dir('/')",
        "SELECT pg_stat_file('/etc/passwd')",
        "SELECT pg_sleep(1)",
        "SELECT pg_cancel_backend(1)",
        "SELECT * FROM pg_stat_activity",
        "SELECT * FROM pg_stat_get_activity(NULL)",
        "SELECT * FROM pg_locks",
        "SELECT * FROM pg_roles",
        "SELECT * FROM pg_authid",
        "SELECT * FROM pg_stats",
        "SELECT * FROM information_schema.tables",
        "COPY (SELECT 1) TO PROGRAM 'id'",
        "COPY datastore.sensor_data_wid8 FROM '/etc/passwd'",
        "DO $$ BEGIN PERFORM 1; END $$",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE ROLE x",
        "ALTER ROLE penstock PASSWORD 'x'",
        "ALTER SYSTEM SET log_statement = 'none'",
        "CREATE EXTENSION dblink",
        "SELECT pg_current_logfile()",
        "SELECT pg_get_viewdef('pg_roles'::regclass)",
        "SELECT inet_server_addr()",
        "SET temp_file_limit = -1",
    };
    for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++)
        refused(a, forbidden[i]);
    connection_options o = test_options("postgres");
    char role[ROLE_NAME_SIZE];
    role_name(role, "0123abcd", 8);
    o.user = role;
    o.password = "wrong";
    connection *none;
    assert_int_equal(connection_open(&o, &none, &st), STATUS_DENIED);
    drop_workspace(8, a);
    drop_workspace(9, b);
}

static void pool_keeps_and_drops(void **state)
{
    NEED_CLUSTER();
    (void)state;
    status st;
    pool_options o = {.base = test_options(DB), .connections_max = 2, .per_login_max = 1};
    o.base.user = "penstock";
    o.base.password = "service-password";
    pool *p = pool_create(&o);
    connection *c, *again, *none;
    OK(pool_borrow(p, NULL, 0, &c, &st));
    assert_int_equal(pool_borrow(p, NULL, 20, &none, &st), STATUS_LIMIT);
    OK(connection_begin(c, &st));
    pool_return(p, c);
    OK(pool_borrow(p, NULL, 0, &again, &st));
    assert_ptr_equal(c, again);
    assert_false(connection_in_transaction(again));
    connection_exec(
        super,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'penstock_data' AND "
        "application_name = 'penstock' AND pid <> pg_backend_pid()",
        NULL, 0, NULL, &st);
    assert_int_not_equal(connection_exec(again, "SELECT 1", NULL, 0, NULL, &st), STATUS_OK);
    pool_return(p, again);
    assert_int_equal(pool_look(p).open, 0);
    assert_int_equal(pool_look(p).broken, 1);
    pool_login admin = {
        .database = "postgres", .user = test_cluster()->superuser, .password = test_cluster()->password};
    pool_login read = {.read_only = true};
    connection *d;
    OK(pool_borrow(p, &admin, 0, &c, &st));
    OK(pool_borrow(p, &read, 0, &d, &st));
    assert_int_not_equal(connection_exec(d, "CREATE TABLE datastore.x (a int)", NULL, 0, NULL, &st),
                         STATUS_OK);
    pool_return(p, c);
    pool_return(p, d);
    OK(pool_borrow(p, NULL, 0, &c, &st)); /* a third login: the one idle longest goes */
    assert_int_equal(pool_look(p).evicted, 1);
    pool_forget(p, "penstock");
    pool_return(p, c);
    assert_int_equal(pool_look(p).open, 0);
    pool_free(p);
    connection_close(service);
    service = test_connect_as(DB, "penstock", "service-password");
}

static void functions_do_what_they_say(void **state)
{
    NEED_CLUSTER();
    (void)state;
    static const char *const pairs[][2] = {
        {"penstock.time_bucket('10 minutes', '2026-01-01 00:09:59.999999Z')", "2026-01-01 00:00:00+00"},
        {"penstock.time_bucket('10 minutes', '1969-12-31 23:55:00Z')", "1969-12-31 23:50:00+00"},
        {"penstock.time_bucket('1 week', '2026-01-01Z')", "2025-12-29 00:00:00+00"},
        {"penstock.time_bucket('3 months', '2026-05-31Z')", "2026-04-01 00:00:00+00"},
        {"penstock.time_bucket('1 month', '1969-12-31Z')", "1969-12-01 00:00:00+00"},
        {"penstock.time_bucket('1 day', '2026-03-29 12:00Z', 'Europe/Berlin')", "2026-03-28 23:00:00+00"},
        {"extract(epoch FROM (SELECT upper - lower FROM penstock.bucket_bounds('1 day', '2026-03-29 12:00Z', "
         "'Europe/Berlin')))",
         "82800.000000"},
        {"extract(epoch FROM (SELECT upper - lower FROM penstock.bucket_bounds('1 day', '2026-10-25 12:00Z', "
         "'Europe/Berlin')))",
         "90000.000000"},
        {"(SELECT upper FROM penstock.bucket_bounds('1 month', '2026-02-14Z'))", "2026-03-01 00:00:00+00"},
        {"penstock.finite('NaN')", "null"},
        {"penstock.finite('-Infinity')", "null"},
        {"penstock.finite(1.5)", "1.5"},
        {"(SELECT string_agg(coalesce(v::text, '-'), ' ' ORDER BY t) FROM (SELECT t, penstock.locf(x) OVER "
         "(ORDER BY t) AS v "
         "FROM (VALUES (1, NULL::int), (2, 5), (3, NULL), (4, 7)) s (t, x)) q)",
         "- 5 5 7"},
        {"(SELECT count(*) FROM penstock.gapfill('1 day', '2026-03-01Z', '2026-04-01Z', 'Europe/Berlin'))",
         "32"},
        {"(SELECT penstock.integral(v, t ORDER BY t) FROM (VALUES (0.0::float8, '2026-01-01 "
         "00:00:10Z'::timestamptz), "
         "(10, '2026-01-01 00:00:20Z'), (10, '2026-01-01 00:00:00Z'), ('NaN', '2026-01-01 00:00:05Z')) s (v, "
         "t))",
         "100"},
        {"(SELECT penstock.time_weighted_avg(v, t ORDER BY t) FROM (VALUES (0.0::float8, '2026-01-01 "
         "00:00:00Z'::timestamptz), "
         "(0, '2026-01-01 00:00:30Z'), (10, '2026-01-01 00:00:40Z')) s (v, t))",
         "1.25"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char sql[640], got[256];
        snprintf(sql, sizeof sql, "SELECT %s", pairs[i][0]);
        ask_text(service, sql, got);
        if (strcmp(got, pairs[i][1]) != 0)
            fail_msg("%s gives %s instead of %s", pairs[i][0], got, pairs[i][1]);
    }
}

static void migrations_are_guarded(void **state)
{
    NEED_CLUSTER();
    (void)state;
    status st;
    uint32_t n, applied;
    test_database("control");
    connection *c = test_connect("control");
    OK(migrations_run(c, MIGRATION_CONTROL, &applied, &st));
    const migration *list = migrations_list(MIGRATION_CONTROL, &n);
    assert_int_equal(applied, n);
    migration more[64];
    assert_true(n < 62);
    memcpy(more, list, n * sizeof *more);
    more[n] = (migration){9998, "9998_broken", "CREATE TABLE broken (a int); SELECT 1/0", 39};
    assert_int_not_equal(migrations_apply(c, more, n + 1, &applied, &st), STATUS_OK);
    assert_int_equal(ask_number(c, "SELECT count(*) FROM pg_class WHERE relname = 'broken'"), 0);
    more[n] = (migration){9998, "9998_good", "CREATE TABLE good (a int)", 25};
    OK(migrations_apply(c, more, n + 1, &applied, &st));
    assert_int_equal(migrations_apply(c, more, n, &applied, &st), STATUS_UNSUPPORTED); /* an older program */
    more[0].sql = "SELECT 1";
    more[0].len = 8;
    assert_int_equal(migrations_apply(c, more, n + 1, &applied, &st), STATUS_CONFLICT);
    connection_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(partition_edges),
        cmocka_unit_test(descriptions_are_checked),
        cmocka_unit_test(functions_do_what_they_say),
        cmocka_unit_test(migrations_are_guarded),
        cmocka_unit_test(a_fed_workspace_is_lean),
        cmocka_unit_test(partitions_follow_the_rows),
        cmocka_unit_test(tables_change_additively),
        cmocka_unit_test(workspaces_cannot_meet),
        cmocka_unit_test(pool_keeps_and_drops),
    };
    return cmocka_run_group_tests(tests, stage_set_up, stage_tear_down);
}
