/* Featurestores on a real PostgreSQL: cascades over the calendar and reach against a recomputation from
 * scratch, builds beside the old rows, backfill, retention on a fake clock. Rows come as a writer brings
 * them: with their marks, in one transaction. */
#include "support/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/random.h"
#include "base/utc.h"
#include "config/yaml_tree.h"
#include "flow/build.h"
#include "flow/dirty_marks.h"
#include "flow/featurestore.h"
#include "flow/retention.h"
#include "store/copy.h"
#include "store/migrations.h"
#include "store/partitions.h"
#include "store/roles.h"
#include "store/workspace_schema.h"
#include "support/cluster.h"

#define HEAD "apiVersion: penstock/v1\nkind: Template\nmetadata: {key: features, version: 1.0.0}\n"
#define RAW                                                                                               \
    "datastores:\n  raw:\n    schema: {type: object, required: [time, dev, x], additionalProperties: "    \
    "false, "                                                                                             \
    "properties: {time: {type: string, format: date-time}, dev: {type: string, maxLength: 8}, x: {type: " \
    "number}}}\n    time: time\n    entity: [dev]\n    unique: [dev, time]\n    partition: day\n    "     \
    "retention: "                                                                                         \
    "30d\n    accept: {past: any, future: any}\n"
#define SUMS(name, from, bucket, zone, sql)                                          \
    "  " name ":\n    from: [" from "]\n    bucket: " bucket "\n    timezone: " zone \
    "\n    key: [bucket, dev]\n    sql: SELECT penstock.time_bucket(:bucket, " sql " GROUP BY 1, 2\n"
#define DERIVED(minute)                                                                                      \
    "featurestores:\n" SUMS("minute", "datastore:raw", "1m", "UTC", minute) SUMS(                            \
        "hourly", "featurestore:minute", "1h", "UTC",                                                        \
        "bucket) AS bucket, dev, sum(n)::bigint AS n, sum(s) AS s FROM featurestore:minute")                 \
        SUMS("daily", "featurestore:hourly", "1d", "America/Havana",                                         \
             "bucket, :timezone) AS bucket, dev, sum(n)::bigint AS n, sum(s) AS s FROM featurestore:hourly") \
            SUMS("monthly", "featurestore:daily", "1mo", "America/Havana",                                   \
                 "bucket, :timezone) AS bucket, dev, sum(n)::bigint AS n, sum(s) AS s FROM "                 \
                 "featurestore:daily") "  around:\n    from: [datastore:raw]\n    bucket: 10m\n    key: "    \
                                       "[bucket, dev]\n    reach: {before: 20m, "                            \
                                       "after: 10m}\n    sql: SELECT g.bucket, r.dev, count(*) AS n, "       \
                                       "sum(r.x) AS s FROM datastore:raw r CROSS "                           \
                                       "JOIN LATERAL penstock.gapfill(:bucket, r.time - interval '20 "       \
                                       "minutes', r.time + interval '21 minutes') "                          \
                                       "AS g(bucket) WHERE g.bucket > r.time - interval '20 minutes' AND "   \
                                       "g.bucket <= r.time + interval "                                      \
                                       "'20 minutes' GROUP BY 1, 2\n"

static const char first_template[] =
    HEAD RAW DERIVED("time) AS bucket, dev, count(*) AS n, sum(x) AS s FROM datastore:raw");
static const char second_template[] =
    HEAD RAW DERIVED("time) AS bucket, dev, count(*) AS n, sum(x) * 2 AS s FROM datastore:raw");

enum { WID = 5, STORES = 5, DEVICES = 3 };
static const int64_t minute_us = 60 * UTC_SECOND_US, hour_us = 3600 * UTC_SECOND_US;

typedef struct bench {
    const definition *definition[2];
    const flow_plan *plan[2];
    connection *service, *login;
    char role[ROLE_NAME_SIZE];
    partition_cache *partitions;
    random_seeded random;
    build builds[STORES];
} bench;

static void must(status_class class, const status *st)
{
    if (class != STATUS_OK)
        fail_msg("%s: %s (%s)", status_class_name(class), st->text, st->where);
}

static int64_t at(const char *text)
{
    int64_t us = 0;
    assert_true(utc_parse(text, strlen(text), &us));
    return us;
}

static int64_t ask(bench *b, const char *sql)
{
    status st;
    rows *r;
    must(connection_exec(b->service, sql, NULL, 0, &r, &st), &st);
    int64_t n = rows_null(r, 0, 0) ? -1 : rows_integer(r, 0, 0);
    rows_free(r);
    return n;
}

static void run_sql(bench *b, const char *sql)
{
    status st;
    must(connection_exec(b->service, sql, NULL, 0, NULL, &st), &st);
}

/* ---- setting up ---- */

static json_t *column_json(const char *name, const char *type, bool required)
{
    return json_pack("{s:s,s:s,s:b}", "name", name, "type", type, "required", required);
}

static const flow_plan *plan_of(const char *template, const definition **definition_out)
{
    static const char *const keys[] = {"minute", "hourly", "daily", "monthly", "around"};
    status st;
    yaml_tree *tree = NULL;
    const flow_plan *plan;
    json_t *columns = json_object();
    for (int i = 0; i < STORES; i++)
        json_object_set_new(columns, keys[i],
                            json_pack("[o,o,o,o]", column_json("bucket", "timestamp", true),
                                      column_json("dev", "text", true), column_json("n", "integer", false),
                                      column_json("s", "number", false)));
    must(yaml_tree_parse("features.yaml", template, strlen(template), &tree, &st), &st);
    definition_source source = {.template_body = yaml_tree_root(tree),
                                .wid = WID,
                                .workspace = "acme",
                                .workspace_id = "ws_1",
                                .generation = 1,
                                .columns = columns};
    must(definition_make(&source, definition_out, &st), &st);
    must(flow_plan_create(*definition_out, 0, &plan, &st), &st);
    for (int i = 0; i < STORES; i++)
        if (plan->featurestores[i].problem)
            fail_msg("%s", plan->featurestores[i].problem);
    json_decref(columns);
    yaml_tree_free(tree);
    return plan;
}

static void make_tables(bench *b)
{
    status st;
    char password[ROLE_PASSWORD_SIZE];
    test_database("features");
    b->service = test_connect("features");
    must(migrations_run(b->service, MIGRATION_DATA, NULL, &st), &st);
    role_name(b->role, "0123abcd", WID);
    role_password(password);
    must(role_create(b->service, b->role, password, &st), &st);
    must(workspace_schema_create(b->service, WID, b->role, &st), &st);
    must(store_create(b->service, &flow_plan_datastore(b->plan[0], "raw")->table, b->role, &st), &st);
    for (int i = 0; i < STORES; i++)
        must(store_create(b->service, &b->plan[0]->featurestores[i].table, b->role, &st), &st);
    b->login = test_connect_as("features", b->role, password);
}

static int set_up(void **state)
{
    bench *b = memory_zero(1, sizeof *b);
    *state = b;
    if (!test_cluster())
        return 0;
    b->plan[0] = plan_of(first_template, &b->definition[0]);
    b->plan[1] = plan_of(second_template, &b->definition[1]);
    b->partitions = partition_cache_create();
    b->random = (random_seeded){test_seed()};
    make_tables(b);
    for (int i = 0; i < STORES; i++)
        build_init(&b->builds[i], &b->plan[0]->featurestores[i]);
    return 0;
}

static int tear_down(void **state)
{
    bench *b = *state;
    for (int i = 0; i < STORES; i++)
        build_release(&b->builds[i]);
    connection_close(b->login);
    connection_close(b->service);
    partition_cache_free(b->partitions);
    for (int i = 0; i < 2; i++) {
        flow_plan_release(b->plan[i]);
        definition_release(b->definition[i]);
    }
    free(b);
    return 0;
}

/* ---- rows, refreshes ---- */

static void add_row(bench *b, int64_t us, unsigned device, double x)
{
    status st;
    const datastore_plan *d = flow_plan_datastore(b->plan[0], "raw");
    char name[8];
    int32_t offsets[2] = {0, snprintf(name, sizeof name, "d%u", device)};
    struct column columns[] = {{.type = COLUMN_TIMESTAMP, .values = &us},
                               {.type = COLUMN_TEXT, .offsets = offsets, .data = name},
                               {.type = COLUMN_NUMBER, .values = &x}};
    batch row = {1, 3, columns};
    value params[] = {value_time_us(us), value_text(name), value_number(x)};
    dirty_marks *marks = dirty_marks_create();
    must(partitions_ensure(b->partitions, b->service, &d->table, &us, 1, &st), &st);
    dirty_marks_add(marks, WID, d->dependants, d->n_dependants, &row, 0, INT64_MIN, NULL);
    must(connection_begin(b->service, &st), &st);
    must(connection_exec(
             b->service,
             "INSERT INTO datastore.raw_wid5 (time, dev, x, _seq, _received) VALUES ($1, $2, $3, 0, now()) "
             "ON CONFLICT (dev, time) DO UPDATE SET x = excluded.x",
             params, 3, NULL, &st),
         &st);
    must(dirty_marks_write(marks, b->service, &st), &st);
    must(connection_commit(b->service, &st), &st);
    dirty_marks_free(marks);
}

static uint64_t refresh_one(bench *b, int i)
{
    status st;
    refresh_result r;
    refresh_order order = build_order(&b->builds[i]);
    must(featurestore_step(&order, b->login, &r, &st), &st);
    return r.keys;
}

static void refresh_all(bench *b)
{
    uint64_t keys;
    do {
        keys = 0;
        for (int i = 0; i < STORES; i++)
            keys += refresh_one(b, i);
    } while (keys > 0);
}

static void build_whole(bench *b, int i)
{
    status st;
    must(build_look(&b->builds[i], b->service, b->role, &st), &st);
    while (b->builds[i].now.kind != BUILD_NONE)
        must(build_slice(&b->builds[i], b->login, b->service, &st), &st);
}

static void build_all(bench *b)
{
    for (int i = 0; i < STORES; i++)
        build_whole(b, i);
}

/* Rows of a featurestore that differ from the same computed from the raw rows, either way round. */
static void compare(bench *b, const char *store, const char *bucket, const char *factor)
{
    char sql[1200];
    snprintf(sql, sizeof sql,
             "WITH want AS (SELECT %s AS bucket, dev, count(*) AS n, %s * sum(x) AS s FROM "
             "datastore.raw_wid5 GROUP BY 1, "
             "2), got AS (SELECT bucket, dev, n, s FROM featurestore.%s_wid5) SELECT count(*) FROM want w "
             "FULL JOIN got "
             "g USING (bucket, dev) WHERE w.n IS DISTINCT FROM g.n OR abs(w.s - g.s) > 1e-6 OR (w.s IS NULL) "
             "<> (g.s "
             "IS NULL)",
             bucket, factor, store);
    int64_t different = ask(b, sql);
    if (different)
        fail_msg("%s: %" PRId64 " rows differ from a recomputation", store, different);
}

static void compare_all(bench *b, const char *factor)
{
    compare(b, "minute", "penstock.time_bucket('1 minute', time)", factor);
    compare(b, "hourly", "penstock.time_bucket('1 hour', time)", factor);
    compare(b, "daily", "penstock.time_bucket('1 day', time, 'America/Havana')", factor);
    compare(b, "monthly", "penstock.time_bucket('1 month', time, 'America/Havana')", factor);
}

static void compare_around(bench *b)
{
    int64_t different = ask(
        b,
        "WITH want AS (SELECT g.bucket, (SELECT count(*) FROM datastore.raw_wid5 r WHERE r.dev = g.dev AND "
        "r.time "
        ">= g.bucket - interval '20 minutes' AND r.time < g.bucket + interval '20 minutes') AS n, g.dev FROM "
        "(SELECT DISTINCT time_bucket AS bucket, dev FROM datastore.raw_wid5, penstock.gapfill('10 minutes', "
        "time - "
        "interval '1 hour', time + interval '1 hour') AS time_bucket) g) SELECT count(*) FROM (SELECT * FROM "
        "want "
        "WHERE n > 0) w FULL JOIN featurestore.around_wid5 f USING (bucket, dev) WHERE w.n IS DISTINCT FROM "
        "f.n");
    assert_int_equal(different, 0);
}

static void add_some(bench *b, int n)
{
    static const char *const near[] = {"2026-03-08T05:00:00Z", "2026-11-01T04:00:00Z", "2026-11-01T05:00:00Z",
                                       "2026-02-28T23:50:00Z", "2026-04-01T04:00:00Z"};
    for (int i = 0; i < n; i++) {
        int64_t us = at(near[random_seeded_next(&b->random) % 5]) +
                     (int64_t)(random_seeded_next(&b->random) % 240) * minute_us - 2 * hour_us;
        add_row(b, us, (unsigned)(random_seeded_next(&b->random) % DEVICES), (double)(i % 17));
    }
}

/* ---- tests ---- */

static void cascades_equal_a_recomputation(void **state)
{
    bench *b = *state;
    if (!b->service)
        skip();
    add_some(b, 60); /* before the stores are built */
    build_all(b);
    compare_all(b, "1");
    compare_around(b);
    for (int round = 0; round < 6; round++) {
        add_some(b, 15);
        for (int i = 0; i < 5; i++)
            refresh_one(b, (int)(random_seeded_next(&b->random) % STORES));
    }
    refresh_all(b);
    compare_all(b, "1");
    compare_around(b);
    assert_int_equal(ask(b, "SELECT count(*) FROM penstock.dirty_wid5"), 0);
}

/* As when the host starts, or a template is applied. */
static void use_plan(bench *b, int plan)
{
    for (int i = 0; i < STORES; i++) {
        build_release(&b->builds[i]);
        build_init(&b->builds[i], &b->plan[plan]->featurestores[i]);
    }
}

/* Its newest hour is there, the older ones are not. */
static void build_partly(bench *b, int i, build_kind kind)
{
    status st;
    build *x = &b->builds[i];
    must(build_look(x, b->service, b->role, &st), &st);
    assert_int_equal(x->now.kind, kind);
    x->span_us = hour_us;
    must(build_slice(x, b->login, b->service, &st), &st);
    assert_int_equal(x->now.kind, kind);
}

enum { MINUTE, HOURLY };
#define NEWEST "2026-11-01T08:30:00Z"

static void begin_again(bench *b, build_kind kind)
{
    status st;
    if (kind == BUILD_FIRST) {
        run_sql(b, "DELETE FROM penstock.object WHERE key = 'hourly'");
        run_sql(b, "DELETE FROM featurestore.hourly_wid5");
    } else if (kind == BUILD_BESIDE) {
        run_sql(b, "UPDATE penstock.object SET hash = '' WHERE key = 'hourly'");
    } else {
        must(build_backfill(b->builds[HOURLY].f, b->service, at("2026-02-01T00:00:00Z"),
                            at("2026-12-01T00:00:00Z"), &st),
             &st);
    }
    build_partly(b, HOURLY, kind);
}

/* The store that hourly reads changes while hourly is half built: what it has already is of the old rows. */
static void a_source_may_change_under_a_build(void **state)
{
    static const build_kind kinds[] = {BUILD_FIRST, BUILD_BESIDE, BUILD_BACKFILL, BUILD_BESIDE};
    static const char *const factors[] = {"1", "2"};
    bench *b = *state;
    if (!b->service)
        skip();
    add_some(b, 20);
    add_row(b, at(NEWEST), 1, 7);
    build_all(b);
    refresh_all(b);
    for (int i = 0; i < 4; i++) {
        int plan = (i + 1) % 2;
        begin_again(b, kinds[i]);
        use_plan(b, plan);
        build_whole(b, MINUTE);
        build_whole(b, HOURLY);
        compare(b, "minute", "penstock.time_bucket('1 minute', time)", factors[plan]);
        compare(b, "hourly", "penstock.time_bucket('1 hour', time)", factors[plan]);
        build_all(b);
        refresh_all(b);
        compare_all(b, factors[plan]);
    }
}

/* The same with a stretch of it that is computed again. */
static void a_source_may_be_filled_under_a_build(void **state)
{
    static const build_kind kinds[] = {BUILD_FIRST, BUILD_BESIDE, BUILD_BACKFILL};
    bench *b = *state;
    status st;
    if (!b->service)
        skip();
    add_some(b, 20);
    add_row(b, at(NEWEST), 1, 7);
    build_all(b);
    refresh_all(b);
    for (int i = 0; i < 3; i++) {
        run_sql(b, "UPDATE featurestore.minute_wid5 SET s = -1 WHERE bucket >= '2026-11-01 08:00+00'");
        begin_again(b, kinds[i]);
        must(build_backfill(b->builds[MINUTE].f, b->service, at("2026-11-01T08:00:00Z"),
                            at("2026-11-01T09:00:00Z"), &st),
             &st);
        build_whole(b, MINUTE);
        build_whole(b, HOURLY);
        compare(b, "hourly", "penstock.time_bucket('1 hour', time)", "1");
        build_all(b);
        compare_all(b, "1");
    }
}

static void a_changed_definition_is_built_beside_the_old_rows(void **state)
{
    bench *b = *state;
    status st;
    build *changed = &b->builds[0];
    if (!b->service)
        skip();
    int64_t old_sum = ask(b, "SELECT sum(s)::bigint FROM featurestore.minute_wid5");
    build_release(changed);
    build_init(changed, &b->plan[1]->featurestores[0]);
    must(build_look(changed, b->service, b->role, &st), &st);
    assert_int_equal(changed->now.kind, BUILD_BESIDE);
    changed->span_us = hour_us;
    must(build_slice(changed, b->login, b->service, &st), &st);
    double percent = build_percent(&changed->now);
    assert_true(percent > 0 && percent < 100);
    assert_int_equal(ask(b, "SELECT sum(s)::bigint FROM featurestore.minute_wid5"), old_sum);
    add_row(b, at("2026-03-08T05:00:30Z"), 1, 1000); /* the old rows stay fresh, by the old definition */
    refresh_one(b, 0);
    assert_int_equal(ask(b, "SELECT sum(s)::bigint FROM featurestore.minute_wid5"), old_sum + 1000);
    must(build_pause(changed->f, b->service, true, &st), &st);
    build_release(changed); /* the host is started again */
    build_init(changed, &b->plan[1]->featurestores[0]);
    must(build_look(changed, b->service, b->role, &st), &st);
    assert_true(build_percent(&changed->now) == percent && changed->now.paused);
    assert_false(build_due(changed, INT64_MAX));
    must(build_pause(changed->f, b->service, false, &st), &st);
    must(build_look(changed, b->service, b->role, &st), &st);
    assert_true(build_due(changed, INT64_MAX));
    assert_int_equal(build_backfill(changed->f, b->service, 0, UTC_MAX_US, &st), STATUS_CONFLICT);
    while (changed->now.kind != BUILD_NONE)
        must(build_slice(changed, b->login, b->service, &st), &st);
    assert_int_equal(ask(b, "SELECT sum(s)::bigint FROM featurestore.minute_wid5"), 2 * (old_sum + 1000));
    compare(b, "minute", "penstock.time_bucket('1 minute', time)", "2");
    use_plan(b, 1); /* and what reads it follows */
    build_all(b);
    refresh_all(b);
    compare_all(b, "2");
    compare_around(b);
    assert_int_equal(ask(b, "SELECT count(*) FROM pg_class WHERE relname LIKE '%\\_\\_next%'"), 0);
    assert_int_equal(ask(b, "SELECT count(*) FROM pg_class WHERE relname = 'minute__key_wid5'"), 1);
}

static void a_backfill_repairs_a_stretch(void **state)
{
    bench *b = *state;
    status st;
    if (!b->service)
        skip();
    run_sql(
        b,
        "UPDATE featurestore.minute_wid5 SET s = -1 WHERE bucket >= '2026-03-01' AND bucket < '2026-05-01'");
    must(build_backfill(b->builds[0].f, b->service, at("2026-03-01T00:00:00Z"), at("2026-05-01T00:00:00Z"),
                        &st),
         &st);
    build_all(b); /* what reads it is filled, too */
    compare_all(b, "2");
    assert_int_equal(build_pause(b->builds[0].f, b->service, true, &st), STATUS_NOT_FOUND);
    assert_int_equal(build_backfill(b->builds[0].f, b->service, 5, 5, &st), STATUS_INVALID);
}

static bool expire(bench *b, const char *now, retention_store *out, status_class want)
{
    status st;
    arena *a = arena_create(0);
    retention_store *stores = NULL;
    uint32_t n;
    bool ran;
    retention_parts p = {b->plan[1], b->service, b->partitions, "here", at(now), 0};
    assert_int_equal(retention_run(&p, a, &stores, &n, &ran, &st), want);
    if (ran && n) {
        assert_int_equal(n, 1); /* only the raw rows have a retention */
        *out = stores[0];
    }
    arena_free(a);
    return ran;
}

static void retention_waits_for_what_is_computed(void **state)
{
    bench *b = *state;
    status st;
    retention_store gone = {0};
    arena *a = arena_create(0);
    if (!b->service)
        skip();
    int64_t old = ask(b, "SELECT count(*) FROM datastore.raw_wid5 WHERE time < '2026-10-02'");
    int64_t daily = ask(b, "SELECT count(*) FROM featurestore.daily_wid5");
    add_row(b, at("2026-03-08T05:01:30Z"), 2, 5);
    retention_store *seen;
    uint32_t n_seen;
    retention_parts p = {b->plan[1], b->service, b->partitions, "here", at("2026-11-01T12:00:00Z"), 0};
    must(retention_preview(&p, a, &seen, &n_seen, &st), &st);
    assert_string_equal(seen[0].held_by, "featurestore:around has rows to compute");
    assert_true(expire(b, "2026-11-01T12:00:00Z", &gone, STATUS_OK));
    assert_true(gone.rows > 0 && gone.until_us <= at("2026-03-08T05:01:00Z")); /* older days only */
    assert_int_equal(
        ask(b, "SELECT count(*) FROM datastore.raw_wid5 WHERE time >= '2026-03-08 05:01+00' AND time < "
               "'2026-10-02'") > 0,
        1);
    refresh_all(b);
    assert_false(expire(b, "2026-11-01T12:30:00Z", &gone, STATUS_OK)); /* it ran within the hour */
    uint64_t before = gone.rows;
    assert_true(expire(b, "2026-11-01T13:00:00Z", &gone, STATUS_OK));
    assert_int_equal(gone.rows + before, old + 1);
    assert_int_equal(ask(b, "SELECT sum(expired)::bigint FROM penstock.ledger_wid5 WHERE store = 'raw'"),
                     old + 1);
    assert_int_equal(ask(b, "SELECT count(*) FROM datastore.raw_wid5 WHERE time < '2026-10-02'"), 0);
    assert_int_equal(ask(b, "SELECT count(*) FROM featurestore.daily_wid5"), daily);
    arena_free(a);
}

/* A late row of a day whose rows are gone must not replace what was computed of them; a rebuilt store keeps
 * it. */
static void what_is_gone_is_never_computed_again(void **state)
{
    bench *b = *state;
    status st;
    refresh_result r;
    if (!b->service)
        skip();
    int64_t sum = ask(b, "SELECT sum(n)::bigint FROM featurestore.minute_wid5");
    must(build_look(&b->builds[0], b->service, b->role, &st), &st);
    add_row(b, at("2026-03-08T05:01:31Z"), 2, 5);
    refresh_order order = build_order(&b->builds[0]);
    must(featurestore_step(&order, b->login, &r, &st), &st);
    assert_int_equal(r.too_late, 1);
    assert_int_equal(ask(b, "SELECT sum(n)::bigint FROM featurestore.minute_wid5"), sum);
    run_sql(b, "UPDATE penstock.object SET hash = '' WHERE key = 'minute'");
    must(build_look(&b->builds[0], b->service, b->role, &st), &st);
    assert_int_equal(b->builds[0].now.kind, BUILD_BESIDE);
    while (b->builds[0].now.kind != BUILD_NONE)
        must(build_slice(&b->builds[0], b->login, b->service, &st), &st);
    assert_int_equal(ask(b, "SELECT sum(n)::bigint FROM featurestore.minute_wid5"), sum);
}

static void a_lease_runs_out(void **state)
{
    bench *b = *state;
    status st;
    retention_store gone;
    if (!b->service)
        skip();
    retention_parts p = {b->plan[1], b->service, b->partitions, "here", at("2026-11-01T23:00:00Z"), 0};
    must(retention_ask(&p, &st), &st);
    run_sql(b, "UPDATE penstock.task SET state = 'claimed', due = '2026-11-01', lease_until = '2026-11-02 "
               "00:00+00', "
               "owner = 'dead'");
    assert_false(expire(b, "2026-11-01T23:59:59Z", &gone, STATUS_OK));
    assert_true(expire(b, "2026-11-02T00:00:01Z", &gone, STATUS_OK));
}

/* All went well but the last statement: its cause is told. */
static void a_run_that_cannot_be_ended_says_why(void **state)
{
    bench *b = *state;
    status st;
    arena *a = arena_create(0);
    retention_store *stores;
    uint32_t n;
    bool ran;
    if (!b->service)
        skip();
    run_sql(b, "UPDATE penstock.task SET state = 'ready', due = '2026-11-30 23:00+00'");
    run_sql(b, "ALTER TABLE penstock.task ADD CONSTRAINT no_end CHECK (state <> 'ready' OR due < '2026-12-01 "
               "00:00+00')");
    retention_parts p = {b->plan[1], b->service, b->partitions, "here", at("2026-11-30T23:30:00Z"), 0};
    memset(&st, 'x', sizeof st);
    assert_int_equal(retention_run(&p, a, &stores, &n, &ran, &st), STATUS_INVALID);
    assert_true(ran && n == 1);
    assert_non_null(strstr(st.text, "end the task of retention"));
    run_sql(b, "ALTER TABLE penstock.task DROP CONSTRAINT no_end");
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(cascades_equal_a_recomputation),
                                       cmocka_unit_test(a_source_may_change_under_a_build),
                                       cmocka_unit_test(a_source_may_be_filled_under_a_build),
                                       cmocka_unit_test(a_changed_definition_is_built_beside_the_old_rows),
                                       cmocka_unit_test(a_backfill_repairs_a_stretch),
                                       cmocka_unit_test(retention_waits_for_what_is_computed),
                                       cmocka_unit_test(what_is_gone_is_never_computed_again),
                                       cmocka_unit_test(a_lease_runs_out),
                                       cmocka_unit_test(a_run_that_cannot_be_ended_says_why)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
