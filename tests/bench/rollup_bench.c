/* What a refresh costs: rows of ten days, 100 devices, ten aggregates over 10-minute buckets, on a PostgreSQL
 * of its own with the product's settings, through the product's own builds and refreshes.
 *
 * Each round: a full build into an empty store, nothing new, late rows scattered over the ten days, rows
 * appended at the end; the same new rows again on a table twice as long. Prints medians [least..most] and the
 * ratios that the goals speak of. PENSTOCK_ROWS (5,000,000) and PENSTOCK_ROUNDS (5) make it smaller. */
#include "support/check.h"

#include <inttypes.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/disk.h"
#include "base/random.h"
#include "config/yaml_tree.h"
#include "flow/build.h"
#include "flow/dirty_marks.h"
#include "flow/featurestore.h"
#include "store/cluster.h"
#include "store/copy.h"
#include "store/migrations.h"
#include "store/partitions.h"
#include "store/roles.h"
#include "store/workspace_schema.h"

static const char template_text[] =
    "apiVersion: penstock/v1\nkind: Template\nmetadata: {key: rollup, version: 1.0.0}\n"
    "datastores:\n  readings:\n    schema: {type: object, required: [time, device_id], additionalProperties: "
    "false, "
    "properties: {time: {type: string, format: date-time}, device_id: {type: string, maxLength: 64}, "
    "pressure: "
    "{type: number}, flow: {type: number}, temperature: {type: number}, status: {type: string, maxLength: "
    "8}}}\n"
    "    time: time\n    entity: [device_id]\n    unique: [device_id, time]\n    accept: {past: any, future: "
    "any}\n"
    "featurestores:\n  rollup:\n    from: [datastore:readings]\n    bucket: 10m\n    key: [bucket, "
    "device_id]\n"
    "    sql: |\n      SELECT penstock.time_bucket(:bucket, time) AS bucket, device_id, count(*) AS n,"
    " avg(pressure) AS pressure_avg, min(pressure) AS pressure_min, max(pressure) AS pressure_max,"
    " stddev_samp(pressure) AS pressure_stddev, avg(flow) AS flow_avg, max(flow) AS flow_max, sum(flow) AS "
    "flow_sum,"
    " avg(temperature) AS temperature_avg, max(temperature) AS temperature_max\n"
    "      FROM datastore:readings GROUP BY 1, 2\n";

enum { WID = 1, DEVICES = 100, DAYS = 10, LATE = 1000, APPENDED = 100000, ROUNDS_MAX = 32, IDLE_STEPS = 21 };
static const int64_t start_us = 1772668800 * INT64_C(1000000); /* 2026-03-05 */

typedef struct bench {
    char folder[64];
    cluster server;
    const definition *definition;
    const flow_plan *plan;
    const featurestore_plan *store;
    connection *service, *login;
    int64_t login_pid;
    char role[ROLE_NAME_SIZE], password[ROLE_PASSWORD_SIZE];
    int64_t n_rows, step_us; /* of one device */
    int rounds;
    random_seeded random;
    int64_t salt; /* so that no new row is there already */
} bench;

static bench running;

static void on_signal(int number)
{
    exit(128 + number); /* a measurement, not a daemon: what clean_up does is fine here */
}

/* However it ends: the server would outlive it. */
static void clean_up(void)
{
    status st;
    if (running.server.pid)
        cluster_stop(&running.server, 10000, &st);
    disk_remove_tree(running.folder, &st);
}

static void must(status_class class, const status *st)
{
    if (class == STATUS_OK)
        return;
    fprintf(stderr, "%s: %s\n", status_class_name(class), st->text);
    exit(1);
}

static void run_sql(connection *c, const char *sql)
{
    status st;
    must(connection_exec(c, sql, NULL, 0, NULL, &st), &st);
}

static int64_t ask(connection *c, const char *sql)
{
    status st;
    rows *r;
    must(connection_exec(c, sql, NULL, 0, &r, &st), &st);
    int64_t n = rows_integer(r, 0, 0);
    rows_free(r);
    return n;
}

/* ---- setting up ---- */

static connection *connect_as(bench *b, const char *database, const char *user, const char *password)
{
    connection_options o = {.host = b->server.sockets,
                            .port = b->server.port,
                            .database = database,
                            .user = user,
                            .password = password,
                            .timeout_ms = 600000};
    connection *c;
    status st;
    must(connection_open(&o, &c, &st), &st);
    return c;
}

static void start_server(bench *b)
{
    status st;
    static char sockets[80];
    const char *tmp = getenv("TMPDIR");
    snprintf(b->folder, sizeof b->folder, "%.30s/penstock-rollup-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(b->folder))
        exit(1);
    atexit(clean_up);
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    snprintf(sockets, sizeof sockets, "%s/s", b->folder);
    cluster_options o = {.state = b->folder,
                         .user = geteuid() == 0 && getpwnam("postgres") ? "postgres" : NULL,
                         .sockets = sockets,
                         .spawn = &cluster_spawn_plain};
    must(cluster_start(&o, &b->server, &st), &st);
    connection *c = connect_as(b, "postgres", b->server.superuser, b->server.password);
    run_sql(c, "CREATE DATABASE rollup");
    connection_close(c);
}

static json_t *columns_of_the_store(void)
{
    static const char *const names[] = {
        "n",        "pressure_avg", "pressure_min", "pressure_max",    "pressure_stddev",
        "flow_avg", "flow_max",     "flow_sum",     "temperature_avg", "temperature_max"};
    json_t *list = json_array();
    json_array_append_new(list,
                          json_pack("{s:s,s:s,s:b}", "name", "bucket", "type", "timestamp", "required", 1));
    json_array_append_new(list,
                          json_pack("{s:s,s:s,s:b}", "name", "device_id", "type", "text", "required", 1));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        json_array_append_new(list, json_pack("{s:s,s:s,s:b}", "name", names[i], "type",
                                              i ? "number" : "integer", "required", 0));
    return json_pack("{s:o}", "rollup", list);
}

static void load_plan(bench *b)
{
    status st;
    yaml_tree *tree = NULL;
    must(yaml_tree_parse("rollup.yaml", template_text, strlen(template_text), &tree, &st), &st);
    definition_source source = {.template_body = yaml_tree_root(tree),
                                .wid = WID,
                                .workspace = "bench",
                                .workspace_id = "ws_1",
                                .generation = 1,
                                .columns = columns_of_the_store()};
    must(definition_make(&source, &b->definition, &st), &st);
    json_decref(source.columns);
    yaml_tree_free(tree);
    must(flow_plan_create(b->definition, 0, &b->plan, &st), &st);
    b->store = flow_plan_featurestore(b->plan, "rollup");
}

static void make_tables(bench *b)
{
    status st;
    b->service = connect_as(b, "rollup", b->server.superuser, b->server.password);
    must(migrations_run(b->service, MIGRATION_DATA, NULL, &st), &st);
    role_name(b->role, "0123abcd", WID);
    role_password(b->password);
    must(role_create(b->service, b->role, b->password, &st), &st);
    must(workspace_schema_create(b->service, WID, b->role, &st), &st);
    must(store_create(b->service, &flow_plan_datastore(b->plan, "readings")->table, b->role, &st), &st);
    must(store_create(b->service, &b->store->table, b->role, &st), &st);
    b->login = connect_as(b, "rollup", b->role, b->password);
    b->login_pid = ask(b->login, "SELECT pg_backend_pid()::bigint");
}

/* ---- rows ---- */

static void ensure_partitions(bench *b, int64_t from_us, int64_t to_us)
{
    status st;
    int64_t times[] = {from_us, to_us};
    partition_cache *cache = partition_cache_create();
    must(
        partitions_ensure(cache, b->service, &flow_plan_datastore(b->plan, "readings")->table, times, 2, &st),
        &st);
    partition_cache_free(cache);
}

/* Rows that are there before: not measured, so they come by one statement a day. */
static void load_days(bench *b, int64_t from_us)
{
    char sql[1024];
    int64_t a_day = b->n_rows / DEVICES / DAYS;
    ensure_partitions(b, from_us, from_us + DAYS * INT64_C(86400000000));
    for (int day = 0; day < DAYS; day++) {
        snprintf(
            sql, sizeof sql,
            "INSERT INTO datastore.readings_wid%d (time, device_id, pressure, flow, temperature, status, "
            "_seq, "
            "_received) SELECT to_timestamp(%" PRId64 ") + (i::bigint * %" PRId64
            " + d * 1000) * interval '1 microsecond', 'device-' || d, 100 + 10 * sin(i / 500.0) + random(), "
            "50 + 5 * cos(i / 300.0) + random(), 20 + random(), 'ok', i::bigint * %d + d, now() FROM "
            "generate_series(%" PRId64 ", %" PRId64 ") i, generate_series(0, %d) d",
            WID, from_us / 1000000, b->step_us, DEVICES, day * a_day, (day + 1) * a_day - 1, DEVICES - 1);
        run_sql(b->service, sql);
    }
}

static void settle(bench *b)
{
    run_sql(b->service, "VACUUM (ANALYZE)");
    run_sql(b->service, "CHECKPOINT");
}

/* New rows and their marks in one transaction, as a writer does it. */
static void add_rows(bench *b, const int64_t *times, const uint32_t *devices, uint32_t n)
{
    status st;
    arena *a = arena_create(1 << 20);
    const datastore_plan *d = flow_plan_datastore(b->plan, "readings");
    column *columns = arena_zero(a, d->table.n_columns, sizeof *columns);
    int32_t *offsets = arena_zero(a, n + 1, sizeof *offsets);
    char *names = arena_alloc(a, (size_t)n * 16);
    for (uint32_t i = 0; i < n; i++)
        offsets[i + 1] = offsets[i] + sprintf(names + offsets[i], "device-%u", devices[i]);
    columns[d->table.time_column] = (column){.type = COLUMN_TIMESTAMP, .values = times};
    columns[d->table.entity[0]] = (column){.type = COLUMN_TEXT, .offsets = offsets, .data = names};
    batch keys = {n, d->table.n_columns, columns};
    text time_bytes = {0}, name_bytes = {0};
    copy_encode_array(&time_bytes, &columns[d->table.time_column], &(copy_rows){.order = NULL}, n);
    copy_encode_array(&name_bytes, &columns[d->table.entity[0]], &(copy_rows){.order = NULL}, n);
    value params[] = {value_binary(column_array_oid(COLUMN_TIMESTAMP), time_bytes.data, time_bytes.len),
                      value_binary(column_array_oid(COLUMN_TEXT), name_bytes.data, name_bytes.len)};
    dirty_marks *marks = dirty_marks_create();
    dirty_marks_add(marks, WID, d->dependants, d->n_dependants, &keys, 0, INT64_MIN, NULL);
    must(connection_begin(b->service, &st), &st);
    must(connection_exec(
             b->service,
             "INSERT INTO datastore.readings_wid1 (time, device_id, pressure, flow, temperature, status, "
             "_seq, _received) SELECT t, d, 100, 50, 20, 'ok', 0, now() FROM unnest($1::timestamptz[], "
             "$2::text[]) AS x(t, d) ON CONFLICT DO NOTHING",
             params, 2, NULL, &st),
         &st);
    must(dirty_marks_write(marks, b->service, &st), &st);
    must(connection_commit(b->service, &st), &st);
    dirty_marks_free(marks);
    text_free(&time_bytes);
    text_free(&name_bytes);
    arena_free(a);
}

static void add_late(bench *b)
{
    static int64_t times[LATE];
    static uint32_t devices[LATE];
    for (uint32_t i = 0; i < LATE; i++) {
        times[i] = start_us + (int64_t)(random_seeded_next(&b->random) % (DAYS * UINT64_C(86400000000)));
        devices[i] = (uint32_t)(random_seeded_next(&b->random) % DEVICES);
    }
    add_rows(b, times, devices, LATE);
}

static void add_appended(bench *b)
{
    static int64_t times[APPENDED];
    static uint32_t devices[APPENDED];
    int64_t from_us = start_us + DAYS * INT64_C(86400000000) + b->salt;
    for (uint32_t i = 0; i < APPENDED; i++) {
        times[i] = from_us + (int64_t)(i / DEVICES) * b->step_us;
        devices[i] = i % DEVICES;
    }
    b->salt += APPENDED / DEVICES * b->step_us;
    ensure_partitions(b, from_us, times[APPENDED - 1]);
    add_rows(b, times, devices, APPENDED);
}

/* ---- what is measured ---- */

typedef struct cost {
    double ms, cpu_ms; /* of the wall, and of the server process of the workspace's login */
} cost;

/* Time on a CPU; 0 where the kernel does not say. */
static double cpu_ms(const bench *b)
{
    char path[64];
    unsigned long long ns = 0;
    snprintf(path, sizeof path, "/proc/%" PRId64 "/schedstat", b->login_pid);
    FILE *file = fopen(path, "re");
    if (file && fscanf(file, "%llu", &ns) != 1)
        ns = 0;
    if (file)
        fclose(file);
    return (double)ns / 1e6;
}

static cost cost_now(const bench *b)
{
    return (cost){(double)clock_monotonic_us() / 1000, cpu_ms(b)};
}

static cost cost_since(const bench *b, cost began)
{
    cost now = cost_now(b);
    return (cost){now.ms - began.ms, now.cpu_ms - began.cpu_ms};
}

static cost build_all(bench *b)
{
    status st;
    build whole;
    run_sql(b->service, "TRUNCATE featurestore.rollup_wid1, penstock.dirty_wid1");
    run_sql(b->service, "DELETE FROM penstock.object");
    settle(b);
    cost began = cost_now(b);
    build_init(&whole, b->store);
    must(build_look(&whole, b->service, b->role, &st), &st);
    while (whole.now.kind != BUILD_NONE)
        must(build_slice(&whole, b->login, b->service, &st), &st);
    build_release(&whole);
    return cost_since(b, began);
}

static cost refresh(bench *b, uint64_t *keys_out)
{
    status st;
    refresh_result r;
    refresh_order order = {b->store, NULL, INT64_MIN, NULL};
    cost began = cost_now(b);
    *keys_out = 0;
    do {
        must(featurestore_step(&order, b->login, &r, &st), &st);
        *keys_out += r.keys;
    } while (r.keys == FEATURESTORE_KEYS_A_STEP);
    return cost_since(b, began);
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return a < b ? -1 : a > b;
}

typedef struct figure {
    double ms[ROUNDS_MAX], cpu_ms[ROUNDS_MAX];
    int n;
} figure;

static void note(figure *f, cost c)
{
    f->ms[f->n] = c.ms;
    f->cpu_ms[f->n++] = c.cpu_ms;
}

static double median_of(double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, compare);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static double median(figure *f)
{
    return median_of(f->ms, f->n);
}

static void say(const char *what, figure *f, double of, double goal)
{
    double m = median(f);
    printf("%-34s %9.1f ms [%.1f..%.1f]", what, m, f->ms[0], f->ms[f->n - 1]);
    if (of > 0)
        printf("   %.3f of %.1f ms, goal %.2f%s", m / of, of, goal, m / of <= goal ? "" : "  MISSED");
    printf("   CPU %.1f ms\n", median_of(f->cpu_ms, f->n));
    fflush(stdout);
}

/* The same on the longer table; the server's CPU says it on a busy machine, too. */
static void say_growth(const char *what, figure *now, figure *before)
{
    say(what, now, median(before), 1.2);
    printf("%-34s   %.3f by CPU, goal 1.20\n", "",
           median_of(now->cpu_ms, now->n) / median_of(before->cpu_ms, before->n));
}

static cost idle_step(bench *b)
{
    figure f = {0};
    uint64_t keys;
    for (int i = 0; i < IDLE_STEPS; i++)
        note(&f, refresh(b, &keys));
    return (cost){median(&f), median_of(f.cpu_ms, f.n)};
}

typedef struct figures {
    figure full, idle, late, idle_after, appended;
} figures;

static void round_of(bench *b, figures *f, bool with_full)
{
    uint64_t keys;
    if (with_full)
        note(&f->full, build_all(b));
    settle(b); /* with and without a build: new pages are summarised for the index on time, and the first
                * change of each page after a checkpoint writes all of it to the log */
    note(&f->idle, idle_step(b));
    add_late(b);
    note(&f->late, refresh(b, &keys));
    if (keys == 0 || keys > LATE)
        printf("late rows dirtied %" PRIu64 " keys\n", keys);
    note(&f->idle_after, idle_step(b));
    add_appended(b);
    note(&f->appended, refresh(b, &keys));
}

static void check_equal(bench *b)
{
    int64_t raw = ask(b->service, "SELECT count(*) FROM datastore.readings_wid1");
    int64_t rolled = ask(b->service, "SELECT sum(n)::bigint FROM featurestore.rollup_wid1");
    printf("rows %" PRId64 ", in the featurestore %" PRId64 "%s\n", raw, rolled,
           raw == rolled ? "" : "  WRONG");
    if (raw != rolled)
        exit(1);
}

static int64_t setting(const char *name, int64_t otherwise)
{
    const char *given = getenv(name);
    return given ? strtoll(given, NULL, 10) : otherwise;
}

static void measure(bench *b)
{
    figures once = {0}, twice = {0};
    load_days(b, start_us);
    for (int i = 0; i < b->rounds; i++)
        round_of(b, &once, true);
    printf("buckets %" PRId64 "\n", ask(b->service, "SELECT count(*) FROM featurestore.rollup_wid1"));
    check_equal(b);
    double full = median(&once.full);
    say("full build into an empty store", &once.full, 0, 0);
    say("nothing new", &once.idle, 5, 1);
    say("1,000 scattered late rows", &once.late, full, 0.10);
    say("nothing new, after late rows", &once.idle_after, 5, 1);
    say("100,000 appended rows", &once.appended, full, 0.05);
    load_days(b, start_us - DAYS * INT64_C(86400000000));
    printf("twice the table: full build %.1f ms\n", build_all(b).ms);
    for (int i = 0; i < b->rounds; i++)
        round_of(b, &twice, false);
    check_equal(b);
    say_growth("twice the table: late rows", &twice.late, &once.late);
    say_growth("twice the table: appended rows", &twice.appended, &once.appended);
    say("twice the table: nothing new", &twice.idle, 5, 1);
}

int main(void)
{
    bench *b = &running;
    *b = (bench){.n_rows = setting("PENSTOCK_ROWS", 5000000),
                 .rounds = (int)setting("PENSTOCK_ROUNDS", 5),
                 .random = {test_seed()}};
    b->rounds = b->rounds < 1 ? 1 : b->rounds > ROUNDS_MAX ? ROUNDS_MAX : b->rounds;
    b->step_us = DAYS * INT64_C(86400000000) / (b->n_rows / DEVICES);
    start_server(b);
    load_plan(b);
    make_tables(b);
    measure(b);
    connection_close(b->login);
    connection_close(b->service);
    flow_plan_release(b->plan);
    definition_release(b->definition);
    return 0;
}
