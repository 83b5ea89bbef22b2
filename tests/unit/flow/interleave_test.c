/* A writer and a refresher on the same key, in every order that their statements can take. A hook in the
 * database's driver stands before each statement of the one and lets the other do its part there, on a
 * connection of its own. Whatever the order, what was written is in the featurestore after the next refresh:
 * a mark that is committed while a refresh computes belongs to the next one. */
#include "pipeline_stage.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "flow/featurestore.h"

enum { STATEMENTS_MAX = 40 };

/* Called before each statement of the connections under watch; not from within itself. */
static struct {
    void (*before)(void *arg, unsigned number);
    void *arg;
    void *refresher; /* the login's session: the first one that runs a statement while `learn` is set */
    bool learn, refresher_only;
    bool lose_commit; /* the refresher's next one: it is not sent, and nobody knows how it went */
    unsigned number;
    _Atomic bool armed;
} hook;
static connection_driver watching;
static _Thread_local bool inside;

static void stand_before(void *handle)
{
    if (hook.learn)
        hook.refresher = handle;
    if (!hook.armed || inside || (handle == hook.refresher) != hook.refresher_only)
        return;
    inside = true;
    hook.before(hook.arg, hook.number++);
    inside = false;
}

static status_class watching_exec(void *handle, const driver_request *requests, unsigned n, rows **results,
                                  unsigned *failed_out, int64_t wait_ms, connection_failure *failure,
                                  status *st)
{
    stand_before(handle);
    if (hook.lose_commit && handle == hook.refresher && requests[0].sql &&
        strcmp(requests[0].sql, "COMMIT") == 0) {
        hook.lose_commit = false;
        *failed_out = 0;
        return status_set(st, STATUS_UNAVAILABLE, "no answer");
    }
    return connection_libpq.exec(handle, requests, n, results, failed_out, wait_ms, failure, st);
}

static status_class watching_copy(void *handle, const char *sql, int64_t wait_ms, connection_failure *failure,
                                  status *st)
{
    stand_before(handle);
    return connection_libpq.copy_begin(handle, sql, wait_ms, failure, st);
}

static int make_watched(void **state)
{
    status st;
    memset(&hook, 0, sizeof hook);
    watching = connection_libpq;
    watching.exec = watching_exec;
    watching.copy_begin = watching_copy;
    connection_use(&watching);
    int ret = bench_make(state);
    bench *b = *state;
    if (!b->service)
        return ret;
    hook.learn = true;
    must(connection_exec(b->login, "SELECT 1", NULL, 0, NULL, &st), &st);
    hook.learn = false;
    return ret;
}

static int free_watched(void **state)
{
    int ret = bench_free(state);
    connection_use(NULL);
    return ret;
}

/* Runs one step of the refresher; how many statements it had. */
static unsigned watched_refresh(bench *b, void (*before)(void *arg, unsigned number), void *arg)
{
    status st;
    refresh_result r;
    refresh_order order = {flow_plan_featurestore(b->plan, "rollup"), NULL, INT64_MIN, NULL};
    hook.before = before;
    hook.arg = arg;
    hook.refresher_only = true;
    hook.number = 0;
    hook.armed = true;
    must(featurestore_step(&order, b->login, &r, &st), &st);
    hook.armed = false;
    assert_true(hook.number > 0 && hook.number < STATEMENTS_MAX);
    return hook.number;
}

static void post_value(bench *b, const char *series, unsigned second, unsigned pressure)
{
    char body[160];
    int n =
        snprintf(body, sizeof body, "{\"ts\":\"2026-05-01T00:00:%02uZ\",\"series\":\"%s\",\"pressure\":%u}\n",
                 second, series, pressure);
    bench_post(b, body, (size_t)n, DECODE_NDJSON);
}

/* One feature row, of both rows, and nothing left to do. */
static void check_feature(bench *b, const char *series, unsigned i, unsigned j)
{
    char sql[200];
    bench_refresh(b);
    snprintf(
        sql, sizeof sql,
        "SELECT coalesce(sum(pressure_rows * 100 + pressure_max), 0)::bigint FROM featurestore.rollup_wid7"
        " WHERE series = '%s'",
        series);
    int64_t found = bench_count(b, sql);
    if (found != 205)
        fail_msg("order %u, %u: %d rows, highest %d", i, j, (int)(found / 100), (int)(found % 100));
    assert_int_equal(bench_count(b, "SELECT count(*) FROM penstock.dirty_wid7"), 0);
}

/* ---- the writer's transaction across the refresher's statements ---- */

typedef struct straddle {
    connection *c;
    const char *series;
    unsigned begin_at, commit_at; /* before which statement of the refresher */
} straddle;

static void write_part(void *arg, unsigned number)
{
    straddle *s = arg;
    status st;
    char sql[400];
    if (number == s->begin_at) {
        must(connection_begin(s->c, &st), &st);
        snprintf(sql, sizeof sql,
                 "INSERT INTO datastore.events_wid7 (ts, series, pressure, _seq, _received)"
                 " VALUES ('2026-05-01T00:00:01Z', '%s', 5, 1, now())",
                 s->series);
        must(connection_exec(s->c, sql, NULL, 0, NULL, &st), &st);
        snprintf(sql, sizeof sql,
                 "INSERT INTO penstock.dirty_wid7 (dependant, bucket, entity, seq)"
                 " VALUES ('featurestore:rollup', '2026-05-01T00:00:00Z', ARRAY['%s'], 1)",
                 s->series);
        must(connection_exec(s->c, sql, NULL, 0, NULL, &st), &st);
    }
    if (number == s->commit_at)
        must(connection_commit(s->c, &st), &st);
}

static void do_nothing(void *arg, unsigned number)
{
    (void)arg;
    (void)number;
}

static void a_writer_may_be_anywhere_in_a_refresh(void **state)
{
    bench *b = *state;
    if (!b->service)
        skip();
    straddle s = {.c = test_connect("flow")};
    post_value(b, "first", 0, 1);
    bench_refresh(b); /* from now on its statements are prepared */
    post_value(b, "count", 0, 1);
    unsigned n = watched_refresh(b, do_nothing, NULL), orders = 0;
    for (unsigned i = 0; i <= n; i++)
        for (unsigned j = i; j <= n; j++, orders++) {
            char series[32];
            snprintf(series, sizeof series, "s%u_%u", i, j);
            s.series = series;
            s.begin_at = i;
            s.commit_at = j;
            post_value(b, series, 0, 1);
            assert_int_equal(watched_refresh(b, write_part, &s), n);
            if (i == n)
                write_part(&s, n);
            else if (j == n) {
                status st;
                must(connection_commit(s.c, &st), &st);
            }
            check_feature(b, series, i, j);
        }
    fprintf(stderr, "%u statements, %u orders\n", n, orders);
    connection_close(s.c);
}

/* ---- a refresh in the middle of the writer's transaction ---- */

typedef struct visit {
    bench *b;
    unsigned at;
} visit;

static void refresh_there(void *arg, unsigned number)
{
    visit *v = arg;
    if (number == v->at)
        bench_refresh(v->b);
}

static void a_refresh_may_be_anywhere_in_a_write(void **state)
{
    bench *b = *state;
    if (!b->service)
        skip();
    visit v = {.b = b};
    unsigned n = 1;
    post_value(b, "first", 0, 1); /* the month has its partition */
    for (v.at = 0; v.at < n; v.at++) {
        char series[32];
        snprintf(series, sizeof series, "w%u", v.at);
        post_value(b, series, 0, 1);
        hook.before = refresh_there;
        hook.arg = &v;
        hook.refresher_only = false;
        hook.number = 0;
        hook.armed = true;
        post_value(b, series, 1, 5);
        hook.armed = false;
        n = hook.number;
        assert_true(n > 3 && n < STATEMENTS_MAX);
        check_feature(b, series, v.at, n);
    }
    fprintf(stderr, "a refresh before each of %u statements\n", n);
}

/* ---- a COMMIT that is carried out late ---- */

typedef struct view {
    live_watch *watch;
    const char *ended; /* why */
} view;

static bool on_events(void *arg, const char *events, size_t len)
{
    (void)arg, (void)events, (void)len;
    return true;
}

static void on_end(void *arg, const char *why)
{
    ((view *)arg)->ended = why;
}

static void view_open(view *v, live_hub *hub)
{
    status st;
    text held = {0};
    live_wish wish = {
        .wid = WID, .store = "featurestore:rollup", .owner = "me", .send = on_events, .end = on_end};
    *v = (view){.ended = NULL};
    must(live_open(hub, &wish, &v->watch, &st), &st);
    live_attach(v->watch, v);
    assert_false(live_take(v->watch, &held));
    text_free(&held);
}

typedef struct next_step {
    refresh_order order;
    connection *c;
    refresh_result result;
    status st;
    status_class class;
} next_step;

static void *run_step(void *arg)
{
    next_step *s = arg;
    s->class = featurestore_step(&s->order, s->c, &s->result, &s->st);
    return NULL;
}

/* The host gave a COMMIT up, the views came back, and then it is carried out: nobody would be told of its
 * rows. The next step cannot end before, and ends the views once more. */
static void views_come_back_after_a_late_commit(void **state)
{
    bench *b = *state;
    status st;
    refresh_result r;
    pthread_t thread;
    view first, second;
    if (!b->service)
        skip();
    lane_pool *lanes = lane_pool_create(1);
    live_hub *hub = live_create(lanes, b->journal, WRITERS);
    refresh_order order = {flow_plan_featurestore(b->plan, "rollup"), NULL, INT64_MIN, hub};
    next_step next = {.order = order, .c = test_connect("flow")};
    post_value(b, "late", 0, 1);
    view_open(&first, hub);
    hook.lose_commit = true;
    assert_int_equal(featurestore_step(&order, b->login, &r, &st), STATUS_UNAVAILABLE);
    live_settle(hub);
    assert_string_equal(first.ended, "restarted");
    view_open(&second, hub);
    pthread_create(&thread, NULL, run_step, &next);
    bench_wait_blocked(b, "%DELETE FROM penstock.dirty%");
    live_settle(hub);
    assert_null(second.ended);
    must(connection_commit(b->login, &st), &st); /* now */
    pthread_join(thread, NULL);
    must(next.class, &next.st);
    assert_int_equal(next.result.keys, 0); /* they were that step's */
    live_settle(hub);
    assert_non_null(second.ended);
    assert_string_equal(second.ended, "restarted");
    assert_int_equal(bench_count(b, "SELECT count(*) FROM featurestore.rollup_wid7 WHERE series = 'late'"),
                     1);
    connection_close(next.c);
    live_free(hub);
    lane_pool_free(lanes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_writer_may_be_anywhere_in_a_refresh, make_watched, free_watched),
        cmocka_unit_test_setup_teardown(a_refresh_may_be_anywhere_in_a_write, make_watched, free_watched),
        cmocka_unit_test_setup_teardown(views_come_back_after_a_late_commit, make_watched, free_watched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
