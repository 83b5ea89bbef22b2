/* The database seam, first against a fake driver, then against a real server: values there and back, errors,
 * limits. */
#include "support/check.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "store/connection.h"
#include "store/pool.h"
#include "support/cluster.h"

/* ---- a fake driver: remembers what it was asked, answers as told ---- */
static struct {
    unsigned n, trips;
    driver_action actions[512];
    char sqlstate[6];
    bool broken;
} fake;

static status_class fake_open(const connection_options *o, void **handle, connection_failure *f, status *st)
{
    (void)o, (void)f, (void)st;
    *handle = &fake;
    return STATUS_OK;
}

static status_class fake_exec(void *handle, const driver_request *requests, unsigned n, rows **results,
                              unsigned *failed, int64_t wait_ms, connection_failure *f, status *st)
{
    (void)handle, (void)wait_ms;
    fake.trips++;
    for (unsigned i = 0; i < n; i++) {
        fake.actions[fake.n++] = requests[i].action;
        if (fake.sqlstate[0] && requests[i].action == DRIVER_RUN) {
            memcpy(f->sqlstate, fake.sqlstate, 6);
            *failed = i;
            return status_set(st, STATUS_INVALID, "told so");
        }
        results[i] = rows_make((const char *const[]){"a"}, 1, (const char *const[]){"7"}, 1, 1);
    }
    return STATUS_OK;
}

static bool fake_broken(void *handle)
{
    (void)handle;
    return fake.broken;
}

static bool fake_idle(void *handle)
{
    (void)handle;
    return false;
}

static void fake_close(void *handle)
{
    (void)handle;
}

static const connection_driver fake_driver = {.open = fake_open,
                                              .exec = fake_exec,
                                              .broken = fake_broken,
                                              .in_transaction = fake_idle,
                                              .close = fake_close};

static connection *fake_connection(void)
{
    connection *c;
    status st;
    memset(&fake, 0, sizeof fake);
    connection_use(&fake_driver);
    assert_int_equal(connection_open(&(connection_options){0}, &c, &st), STATUS_OK);
    connection_use(NULL);
    return c;
}

static void prepares_once(void **state)
{
    (void)state;
    status st;
    connection *c = fake_connection();
    statement s = {"test", "SELECT 7 AS a"};
    for (int i = 0; i < 3; i++) {
        rows *r;
        OK(connection_run(c, &s, NULL, 0, &r, &st));
        assert_int_equal(rows_integer(r, 0, 0), 7);
        rows_free(r);
    }
    assert_int_equal(fake.n, 4);
    assert_int_equal(fake.actions[0], DRIVER_PREPARE);
    assert_int_equal(fake.trips, 3); /* it is prepared on the way to its first call */
    connection_close(c);
}

/* Several calls, two of them of one new statement: one trip, each prepared once, just before its first call.
 */
static void pipeline_prepares_on_the_way(void **state)
{
    (void)state;
    status st;
    connection *c = fake_connection();
    statement one = {"one", "SELECT 1"}, two = {"two", "SELECT 2"};
    statement_call calls[] = {{&one, NULL, 0, NULL}, {&two, NULL, 0, NULL}, {&one, NULL, 0, NULL}};
    OK(connection_pipeline(c, calls, 3, NULL, &st));
    const driver_action expected[] = {DRIVER_PREPARE, DRIVER_RUN, DRIVER_PREPARE, DRIVER_RUN, DRIVER_RUN};
    assert_int_equal(fake.trips, 1);
    assert_int_equal(fake.n, 5);
    assert_memory_equal(fake.actions, expected, sizeof expected);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(rows_integer(calls[i].result, 0, 0), 7);
        rows_free(calls[i].result);
    }
    connection_close(c);
}

static unsigned done(driver_action action)
{
    unsigned n = 0;
    for (unsigned i = 0; i < fake.n; i++)
        n += fake.actions[i] == action;
    return n;
}

/* Runs so many different statements, one after the other; what was counted before is forgotten. */
static void run_each(connection *c, int n)
{
    status st;
    fake.n = 0;
    for (int i = 0; i < n; i++) {
        char sql[32];
        snprintf(sql, sizeof sql, "SELECT %d", i);
        OK(connection_run(c, &(statement){"test", sql}, NULL, 0, NULL, &st));
    }
}

static void cache_is_bounded(void **state)
{
    (void)state;
    connection *c = fake_connection();
    run_each(c, CONNECTION_PREPARED_MAX - 1);
    run_each(c, CONNECTION_PREPARED_MAX);
    assert_int_equal(done(DRIVER_PREPARE), 1);
    run_each(c, CONNECTION_PREPARED_MAX);
    assert_int_equal(done(DRIVER_RUN), CONNECTION_PREPARED_MAX);
    run_each(c, CONNECTION_PREPARED_MAX + 1);
    assert_int_equal(done(DRIVER_RUN), CONNECTION_PREPARED_MAX);
    assert_int_equal(done(DRIVER_ONCE), 1); /* the one beyond the limit, parsed for its call */
    connection_close(c);
}

/* Half as many again as there is room for, in turns: the places are not taken from one another, and what is
 * used for long gets one. */
static void cache_does_not_thrash(void **state)
{
    (void)state;
    const int n = CONNECTION_PREPARED_MAX * 3 / 2;
    connection *c = fake_connection();
    run_each(c, n);
    for (int round = 0; round < 10; round++) {
        run_each(c, n);
        assert_true(done(DRIVER_RUN) > CONNECTION_PREPARED_MAX / 2);
        assert_true(done(DRIVER_PREPARE) < CONNECTION_PREPARED_MAX / 10);
    }
    status st;
    fake.n = 0;
    for (int i = 0; i < 2 * CONNECTION_PREPARED_MAX; i++)
        OK(connection_run(c, &(statement){"test", "SELECT 'new'"}, NULL, 0, NULL, &st));
    assert_int_equal(done(DRIVER_PREPARE), 1);
    assert_true(done(DRIVER_RUN) > CONNECTION_PREPARED_MAX);
    connection_close(c);
}

/* A session that keeps more statements than others do is not lent to others. */
static void repeating_session_is_not_lent_again(void **state)
{
    (void)state;
    status st;
    connection *c;
    connection_use(&fake_driver);
    pool *p = pool_create(&(pool_options){0});
    OK(pool_borrow(p, NULL, 0, &c, &st));
    pool_return(p, c);
    OK(pool_borrow(p, NULL, 0, &c, &st));
    assert_int_equal(pool_look(p).opened, 1);
    OK(connection_repeat(c, CONNECTION_PREPARED_MAX + 1, &st));
    run_each(c, CONNECTION_PREPARED_MAX + 1);
    run_each(c, CONNECTION_PREPARED_MAX + 1);
    assert_int_equal(done(DRIVER_RUN), CONNECTION_PREPARED_MAX + 1);
    run_each(c, CONNECTION_PREPARED_MAX + 2);
    assert_int_equal(done(DRIVER_ONCE), 1);
    pool_return(p, c);
    OK(pool_borrow(p, NULL, 0, &c, &st));
    assert_int_equal(pool_look(p).opened, 2);
    assert_int_equal(pool_look(p).broken, 0);
    assert_false(connection_repeats(c));
    pool_return(p, c);
    pool_free(p);
    connection_use(NULL);
}

/* Half as many logins again as there are places, in turns: some of them find their connection. */
static void pool_does_not_thrash(void **state)
{
    (void)state;
    enum { PLACES = 8, LOGINS = 12, ROUNDS = 20 };
    status st;
    connection *c;
    connection_use(&fake_driver);
    pool *p = pool_create(&(pool_options){.connections_max = PLACES});
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < LOGINS; i++) {
            char user[16];
            snprintf(user, sizeof user, "user%d", i);
            OK(pool_borrow(p, &(pool_login){.user = user}, 0, &c, &st));
            pool_return(p, c);
        }
    assert_int_equal(pool_look(p).borrowed, LOGINS * ROUNDS);
    assert_true(pool_look(p).opened < LOGINS * ROUNDS * 3 / 4);
    assert_int_equal(pool_look(p).open, PLACES);
    pool_free(p);
    connection_use(NULL);
}

static void stale_plan_is_made_again(void **state)
{
    (void)state;
    status st;
    connection *c = fake_connection();
    strcpy(fake.sqlstate, "0A000");
    assert_int_equal(connection_run(c, &(statement){"test", "SELECT 1"}, NULL, 0, NULL, &st), STATUS_INVALID);
    assert_int_equal(fake.n, 4); /* prepare, run, prepare, run */
    strcpy(fake.sqlstate, "22003");
    connection_run(c, &(statement){"test", "SELECT 1"}, NULL, 0, NULL, &st);
    assert_true(connection_row_refused(c));
    fake.broken = true;
    assert_int_equal(connection_exec(c, "SELECT 1", NULL, 0, NULL, &st), STATUS_UNAVAILABLE);
    connection_close(c);
}

static void lost_commit_is_told(void **state)
{
    (void)state;
    status st;
    connection *c = fake_connection();
    OK(connection_commit(c, &st));
    assert_false(connection_failure_of(c)->commit_unknown);
    fake.broken = true;
    assert_int_equal(connection_commit(c, &st), STATUS_UNAVAILABLE);
    assert_true(connection_failure_of(c)->commit_unknown);
    connection_close(c);
}

/* ---- the real server ---- */

static void values_there_and_back(void **state)
{
    NEED_CLUSTER();
    (void)state;
    status st;
    connection *c = test_connect("postgres");
    arena *a = arena_create(0);
    const char *words[] = {"plain", "with \"quotes\", \\ and ,", NULL, "", "{}", "NULL", "ü"};
    uint8_t bytes[] = {0, 1, 255, 39, 92};
    value p[] = {value_text("Ünï'\\"),
                 value_integer(INT64_MIN),
                 value_number(0.1),
                 value_boolean(true),
                 value_time_us(1767225600123456),
                 value_bytes(bytes, 5),
                 value_texts(words, 7),
                 value_null()};
    statement s = {
        "values",
        "SELECT $1::text, $2::bigint, $3::float8, $4::boolean, $5::timestamptz, $6::bytea, $7::text[], "
        "$8::text, '0001-01-01Z'::timestamptz, '1969-12-31 23:59:59.5Z'::timestamptz, 1.25::numeric, "
        "'NaN'::float8, '-Infinity'::float8, '{}'::text[], date '2020-02-29'"};
    for (int round = 0; round < 2; round++) {
        rows *r;
        OK(round ? connection_exec(c, s.sql, p, 8, &r, &st) : connection_run(c, &s, p, 8, &r, &st));
        assert_string_equal(rows_text(r, 0, 0), "Ünï'\\");
        assert_true(rows_integer(r, 0, 1) == INT64_MIN);
        assert_true(rows_number(r, 0, 2) == 0.1);
        assert_true(rows_boolean(r, 0, 3));
        assert_int_equal(rows_time_us(r, 0, 4), 1767225600123456);
        size_t len;
        uint8_t *b = rows_bytes(r, 0, 5, a, &len);
        assert_int_equal(len, 5);
        assert_memory_equal(b, bytes, 5);
        uint32_t n;
        char **list = rows_texts(r, 0, 6, a, &n);
        assert_int_equal(n, 7);
        for (int i = 0; i < 7; i++)
            if (words[i])
                assert_string_equal(list[i], words[i]);
            else
                assert_null(list[i]);
        assert_true(rows_null(r, 0, 7));
        assert_null(rows_text(r, 0, 7));
        assert_true(rows_time_us(r, 0, 8) == -62135596800000000);
        assert_int_equal(rows_time_us(r, 0, 9), -500000);
        assert_int_equal(rows_type(r, 10), COLUMN_NUMBER);
        assert_true(rows_number(r, 0, 10) == 1.25);
        assert_true(isnan(rows_number(r, 0, 11)) && isinf(rows_number(r, 0, 12)));
        rows_texts(r, 0, 13, a, &n);
        assert_int_equal(n, 0);
        assert_true(rows_time_us(r, 0, 14) == 1582934400000000);
        assert_int_equal(rows_type(r, 14), COLUMN_DATE);
        rows_free(r);
    }
    arena_free(a);
    connection_close(c);
}

static void errors_carry_their_class(void **state)
{
    NEED_CLUSTER();
    (void)state;
    status st;
    connection *c = test_connect("postgres");
    assert_int_equal(connection_exec(c, "SELECT 1/0", NULL, 0, NULL, &st), STATUS_INVALID);
    assert_string_equal(connection_failure_of(c)->sqlstate, "22012");
    assert_true(connection_row_refused(c));
    OK(connection_exec(c, "CREATE TEMP TABLE keyed (k text PRIMARY KEY)", NULL, 0, NULL, &st));
    OK(connection_exec(c, "ALTER TABLE keyed ALTER k SET STORAGE PLAIN", NULL, 0, NULL, &st));
    OK(connection_exec(c, "REINDEX TABLE keyed", NULL, 0, NULL, &st));
    for (int over = 0; over < 2; over++) { /* the longest key of an index's page, and one byte more */
        value length = value_integer(2692 + over);
        status_class class =
            connection_exec(c, "INSERT INTO keyed SELECT repeat('x', $1::int)", &length, 1, NULL, &st);
        assert_int_equal(class, over ? STATUS_LIMIT : STATUS_OK);
        assert_int_equal(connection_row_refused(c), over);
    }
    assert_int_equal(connection_exec(c, "SELECT * FROM nowhere", NULL, 0, NULL, &st), STATUS_INVALID);
    assert_false(connection_row_refused(c));
    value nul = value_text_n("a\0b", 3);
    assert_int_equal(connection_exec(c, "SELECT $1::text", &nul, 1, NULL, &st), STATUS_INVALID);
    OK(connection_begin(c, &st));
    connection_exec(c, "SELECT 1/0", NULL, 0, NULL, &st);
    assert_int_equal(connection_commit(c, &st), STATUS_CONFLICT);
    OK(connection_exec(c, "SHOW jit", NULL, 0, NULL, &st));
    connection_options o = test_options("no_such_database");
    connection *none;
    assert_int_equal(connection_open(&o, &none, &st), STATUS_NOT_FOUND);
    o = test_options("postgres");
    o.password = "wrong";
    assert_int_equal(connection_open(&o, &none, &st), STATUS_DENIED);
    assert_null(strstr(st.text, "wrong"));
    o.host = "/tmp/no-such-folder";
    assert_int_equal(connection_open(&o, &none, &st), STATUS_UNAVAILABLE);
    connection_close(c);
}

static void pipeline_is_one_trip(void **state)
{
    NEED_CLUSTER();
    (void)state;
    status st;
    connection *c = test_connect("postgres");
    statement one = {"one", "SELECT $1::bigint + 1"}, bad = {"bad", "SELECT 1 / $1::bigint"};
    value seven = value_integer(7), zero = value_integer(0);
    statement_call calls[] = {{&one, &seven, 1, NULL}, {&one, &zero, 1, NULL}};
    OK(connection_pipeline(c, calls, 2, NULL, &st));
    assert_int_equal(rows_integer(calls[0].result, 0, 0), 8);
    assert_int_equal(rows_integer(calls[1].result, 0, 0), 1);
    rows_free(calls[0].result);
    rows_free(calls[1].result);
    statement_call three[] = {{&one, &seven, 1, NULL}, {&bad, &zero, 1, NULL}, {&one, &seven, 1, NULL}};
    unsigned failed;
    assert_int_equal(connection_pipeline(c, three, 3, &failed, &st), STATUS_INVALID);
    assert_int_equal(failed, 1);
    assert_string_equal(connection_failure_of(c)->sqlstate, "22012");
    assert_null(three[0].result);
    assert_false(connection_broken(c));
    OK(connection_exec(c, "SELECT 1", NULL, 0, NULL, &st));
    connection_close(c);
}

static void altered_table_is_planned_again(void **state)
{
    NEED_CLUSTER();
    (void)state;
    status st;
    rows *r;
    connection *c = test_connect("postgres");
    OK(connection_script(c, "set-up", "DROP TABLE IF EXISTS altered; CREATE TABLE altered (a int)", &st));
    statement s = {"all", "SELECT * FROM altered"};
    OK(connection_run(c, &s, NULL, 0, NULL, &st));
    OK(connection_exec(c, "ALTER TABLE altered ADD b int", NULL, 0, NULL, &st));
    OK(connection_run(c, &s, NULL, 0, &r, &st));
    assert_int_equal(rows_columns(r), 2);
    rows_free(r);
    connection_close(c);
}

static void *cancel_soon(void *arg)
{
    nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    connection_cancel(arg);
    return NULL;
}

/* A plan that was made while the table was empty reads the index all the same. */
static void repeating_session_plans_once(void **state)
{
    NEED_CLUSTER();
    (void)state;
    status st;
    rows *r;
    connection *c = test_connect("postgres");
    OK(connection_script(c, "set-up",
                         "DROP TABLE IF EXISTS kept; CREATE TABLE kept (k text PRIMARY KEY, v int)", &st));
    OK(connection_repeat(c, 10, &st));
    const char *keys[] = {"a", "b"};
    value some = value_texts(keys, 2);
    statement change = {"change", "UPDATE kept t SET v = 1 FROM unnest($1::text[]) AS i(k) WHERE t.k = i.k"};
    OK(connection_run(c, &change, &some, 1, NULL, &st));
    OK(connection_exec(c, "INSERT INTO kept SELECT n::text, 0 FROM generate_series(1, 20000) n", NULL, 0,
                       NULL, &st));
    OK(connection_run(c, &change, &some, 1, NULL, &st));
    OK(connection_exec(c, "SELECT generic_plans, custom_plans FROM pg_prepared_statements", NULL, 0, &r,
                       &st));
    assert_int_equal(rows_integer(r, 0, 0), 2);
    assert_int_equal(rows_integer(r, 0, 1), 0);
    rows_free(r);
    OK(connection_exec(c, "EXPLAIN EXECUTE p1('{a}')", NULL, 0, &r, &st));
    text plan = {0};
    for (uint32_t i = 0; i < rows_count(r); i++)
        text_add(&plan, rows_text(r, i, 0));
    assert_non_null(strstr(plan.data, "Index Scan using kept_pkey"));
    text_free(&plan);
    rows_free(r);
    connection_close(c);
}

static void endless_statements_end(void **state)
{
    NEED_CLUSTER();
    (void)state;
    status st;
    connection *c = test_connect("postgres");
    OK(connection_set_timeout(c, 100, &st));
    assert_int_equal(connection_exec(c, "SELECT pg_sleep(30)", NULL, 0, NULL, &st), STATUS_TIMEOUT);
    assert_false(connection_broken(c));
    OK(connection_set_timeout(c, 30000, &st));
    pthread_t t;
    pthread_create(&t, NULL, cancel_soon, c);
    assert_int_equal(connection_exec(c, "SELECT pg_sleep(30)", NULL, 0, NULL, &st), STATUS_CANCELLED);
    pthread_join(t, NULL);
    assert_false(connection_broken(c));
    connection_close(c);
}

/* A backend that is stopped answers nothing: the client's own deadline must end the call. */
static void stopped_server_is_no_hang(void **state)
{
    NEED_CLUSTER();
    (void)state;
    status st;
    rows *r;
    connection *c = test_connect("postgres");
    OK(connection_exec(c, "SELECT pg_backend_pid()", NULL, 0, &r, &st));
    pid_t pid = (pid_t)rows_integer(r, 0, 0);
    rows_free(r);
    OK(connection_begin(c, &st));
    OK(connection_set_timeout(c, 100, &st));
    kill(pid, SIGSTOP);
    int64_t before = clock_monotonic_us();
    assert_int_equal(connection_commit(c, &st), STATUS_TIMEOUT);
    assert_true(clock_monotonic_us() - before < (CONNECTION_GRACE_MS + 1000) * 1000LL);
    assert_true(connection_broken(c));
    assert_true(connection_failure_of(c)->commit_unknown);
    assert_int_equal(connection_exec(c, "SELECT 1", NULL, 0, NULL, &st), STATUS_UNAVAILABLE);
    connection_close(c);
    kill(pid, SIGCONT);
}

static void killed_backend_is_unavailable(void **state)
{
    NEED_CLUSTER();
    (void)state;
    status st;
    connection *c = test_connect("postgres");
    assert_int_equal(connection_exec(c, "SELECT pg_terminate_backend(pg_backend_pid())", NULL, 0, NULL, &st),
                     STATUS_UNAVAILABLE);
    assert_true(connection_broken(c));
    connection_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prepares_once),
        cmocka_unit_test(pipeline_prepares_on_the_way),
        cmocka_unit_test(cache_is_bounded),
        cmocka_unit_test(cache_does_not_thrash),
        cmocka_unit_test(repeating_session_is_not_lent_again),
        cmocka_unit_test(pool_does_not_thrash),
        cmocka_unit_test(stale_plan_is_made_again),
        cmocka_unit_test(lost_commit_is_told),
        cmocka_unit_test(values_there_and_back),
        cmocka_unit_test(errors_carry_their_class),
        cmocka_unit_test(pipeline_is_one_trip),
        cmocka_unit_test(altered_table_is_planned_again),
        cmocka_unit_test(repeating_session_plans_once),
        cmocka_unit_test(endless_statements_end),
        cmocka_unit_test(stopped_server_is_no_hang),
        cmocka_unit_test(killed_backend_is_unavailable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
