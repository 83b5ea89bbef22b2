/* From bytes to features on a real PostgreSQL: intake → journal → writers → datastore → featurestore.
 * The rollup cases hold every kind of disorder; whatever the split and the moments of refresh, the
 * featurestore must end as the expected rows. Then each guard is taken out in turn, and something must go
 * wrong. */
#include "support/check.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/disk.h"
#include "base/random.h"
#include "config/yaml_tree.h"
#include "flow/dirty_marks.h"
#include "flow/featurestore.h"
#include "flow/intake.h"
#include "flow/write_set.h"
#include "flow/writer.h"
#include "store/migrations.h"
#include "store/roles.h"
#include "store/workspace_schema.h"
#include "support/cluster.h"

#define METRIC_SQL(m)                                                                                       \
    "count(*) AS " m "_rows, count(penstock.finite(" m ")) AS " m "_count, sum(penstock.finite(" m          \
    ")) AS " m "_sum, avg(penstock.finite(" m ")) AS " m "_avg, min(penstock.finite(" m ")) AS " m          \
    "_min, max(penstock.finite(" m ")) AS " m "_max, (array_agg(penstock.finite(" m                         \
    ") ORDER BY ts) FILTER (WHERE penstock.finite(" m ") IS NOT NULL))[1] AS " m                            \
    "_first, (array_agg(penstock.finite(" m ") ORDER BY ts DESC) FILTER (WHERE "                            \
    "penstock.finite(" m ") IS NOT NULL))[1] AS " m "_last, percentile_cont(0.5) WITHIN GROUP (ORDER BY "   \
    "penstock.finite(" m ")) AS " m "_p50, percentile_cont(0.95) WITHIN GROUP (ORDER BY penstock.finite(" m \
    ")) AS " m "_p95, stddev_samp(penstock.finite(" m ")) AS " m "_stddev"

static const char template_text[] =
    "apiVersion: penstock/v1\nkind: Template\nmetadata: {key: rollup, version: 1.0.0}\n"
    "datastores:\n  events:\n    schema: {type: object, required: [ts, series], additionalProperties: false, "
    "properties: "
    "{ts: {type: string, format: date-time}, series: {type: string, maxLength: 64}, pressure: {type: "
    "[number, 'null']}, "
    "level: {type: [number, 'null']}}}\n"
    "    time: ts\n    entity: [series]\n    unique: [series, ts]\n    on_conflict: keep_last\n"
    "    accept: {past: any, future: any}\n"
    "featurestores:\n  rollup:\n    from: [datastore:events]\n    bucket: 10m\n    key: [bucket, series]\n"
    "    refresh: {every: 1m}\n    sql: |\n      SELECT penstock.time_bucket(:bucket, ts) AS bucket, "
    "series, " METRIC_SQL("pressure") ", " METRIC_SQL(
        "level") "\n      FROM datastore:events GROUP BY 1, 2\n";

enum { WRITERS = 2, WID = 7, METRICS = 2, FIGURES = 11 };
static const char *const figures[FIGURES] = {"rows",  "count", "sum", "avg", "min",   "max",
                                             "first", "last",  "p50", "p95", "stddev"};

typedef struct bench {
    char *folder;
    const definition *definition;
    const flow_plan *plan;
    pool *service;
    connection *login; /* the workspace's */
    partition_cache *partitions;
    journal *journal;
    waiter_table *waiters;
    intake *intake;
    writer *writers[WRITERS];
    pthread_mutex_t lock;
    pthread_cond_t answered;
    bool done;
    intake_verdict verdict;
} bench;

static void must(status_class class, const status *st)
{
    if (class != STATUS_OK)
        fail_msg("%s: %s (%s)", status_class_name(class), st->text, st->where);
}

static json_t *feature_columns(void)
{
    json_t *list = json_array();
    json_array_append_new(list,
                          json_pack("{s:s,s:s,s:b}", "name", "bucket", "type", "timestamp", "required", 1));
    json_array_append_new(list, json_pack("{s:s,s:s,s:b}", "name", "series", "type", "text", "required", 1));
    for (int m = 0; m < METRICS; m++)
        for (int f = 0; f < FIGURES; f++) {
            char name[32];
            snprintf(name, sizeof name, "%s_%s", m ? "level" : "pressure", figures[f]);
            json_array_append_new(list, json_pack("{s:s,s:s,s:b}", "name", name, "type",
                                                  f < 2 ? "integer" : "number", "required", 0));
        }
    return json_pack("{s:o}", "rollup", list);
}

static void load_definition(bench *b)
{
    status st;
    yaml_tree *tree = NULL;
    must(yaml_tree_parse("rollup.yaml", template_text, strlen(template_text), &tree, &st), &st);
    definition_source source = {.template_body = yaml_tree_root(tree),
                                .wid = WID,
                                .workspace = "acme",
                                .workspace_id = "ws_1",
                                .generation = 1,
                                .columns = feature_columns()};
    must(definition_make(&source, &b->definition, &st), &st);
    json_decref(source.columns);
    yaml_tree_free(tree);
    must(flow_plan_create(b->definition, &b->plan, &st), &st);
    const featurestore_plan *f = flow_plan_featurestore(b->plan, "rollup");
    if (f->problem)
        fail_msg("%s", f->problem);
}

static void make_tables(bench *b)
{
    status st;
    char role[ROLE_NAME_SIZE], password[ROLE_PASSWORD_SIZE];
    connection *c = test_connect("flow");
    must(migrations_run(c, MIGRATION_DATA, NULL, &st), &st);
    role_name(role, "0123abcd", WID);
    role_password(password);
    must(role_create(c, role, password, &st), &st);
    must(workspace_schema_create(c, WID, role, &st), &st);
    must(store_create(c, &flow_plan_datastore(b->plan, "events")->table, role, &st), &st);
    must(store_create(c, &flow_plan_featurestore(b->plan, "rollup")->table, role, &st), &st);
    connection_close(c);
    b->login = test_connect_as("flow", role, password);
}

static writer_plan plan_of(void *arg, uint32_t wid, const flow_plan **out)
{
    bench *b = arg;
    assert_int_equal(wid, WID);
    *out = flow_plan_retain(b->plan);
    return WRITER_PLAN_READY;
}

static void on_appended(void *arg, uint32_t stream)
{
    bench *b = arg;
    journal_stream s;
    if (journal_stream_get(b->journal, stream, &s) && b->writers[s.shard % WRITERS])
        writer_wake(b->writers[s.shard % WRITERS], stream);
}

static void start(bench *b)
{
    status st;
    journal_settings settings = {
        .folder = b->folder, .size_bytes = 64 << 20, .on_appended = on_appended, .arg = b};
    must(journal_open(&settings, &b->journal, &st), &st);
    b->waiters = waiter_table_create();
    b->intake = intake_create(b->journal, b->waiters, WRITERS);
    b->partitions = partition_cache_create();
    for (unsigned i = 0; i < WRITERS; i++) {
        writer_parts parts = {.journal = b->journal,
                              .data = b->service,
                              .partitions = b->partitions,
                              .waiters = b->waiters,
                              .plan_of = plan_of,
                              .arg = b,
                              .number = i,
                              .of = WRITERS};
        b->writers[i] = writer_start(&parts);
    }
}

static void stop(bench *b)
{
    for (unsigned i = 0; i < WRITERS; i++)
        writer_stop(b->writers[i]);
    memset(b->writers, 0, sizeof b->writers);
    journal_close(b->journal);
    waiter_table_free(b->waiters);
    intake_free(b->intake);
    partition_cache_free(b->partitions);
}

static int set_up(void **state)
{
    bench *b = memory_zero(1, sizeof *b);
    *state = b;
    if (!test_cluster())
        return 0;
    test_database("flow");
    b->folder = test_folder();
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->answered, NULL);
    load_definition(b);
    make_tables(b);
    pool_options options = {.base = test_options("flow")};
    b->service = pool_create(&options);
    start(b);
    return 0;
}

static int tear_down(void **state)
{
    bench *b = *state;
    if (b->service) {
        stop(b);
        connection_close(b->login);
        pool_free(b->service);
        flow_plan_release(b->plan);
        definition_release(b->definition);
        test_folder_remove(b->folder);
        pthread_cond_destroy(&b->answered);
        pthread_mutex_destroy(&b->lock);
    }
    free(b);
    return 0;
}

static void on_verdict(void *arg, const intake_verdict *v)
{
    bench *b = arg;
    pthread_mutex_lock(&b->lock);
    b->verdict = *v;
    b->done = true;
    pthread_cond_signal(&b->answered);
    pthread_mutex_unlock(&b->lock);
}

static intake_verdict post(bench *b, const char *body, size_t len, decode_format format)
{
    const datastore_plan *store = flow_plan_datastore(b->plan, "events");
    char id[27];
    ulid_make(id);
    intake_order order = {.store = store,
                          .decode = store->decode,
                          .format = format,
                          .origin = "test",
                          .request_id = id,
                          .wait_stored = true,
                          .deadline_us = clock_monotonic_us() + 60000000,
                          .done = on_verdict,
                          .arg = b};
    b->done = false;
    intake_body(b->intake, &order, body, len);
    pthread_mutex_lock(&b->lock);
    while (!b->done)
        pthread_cond_wait(&b->answered, &b->lock);
    pthread_mutex_unlock(&b->lock);
    must(b->verdict.st.class, &b->verdict.st);
    assert_true(b->verdict.stored);
    return b->verdict;
}

static uint64_t refresh(bench *b)
{
    status st;
    refresh_result r;
    uint64_t keys = 0;
    refresh_order order = {flow_plan_featurestore(b->plan, "rollup"), NULL, INT64_MIN};
    do {
        must(featurestore_step(&order, b->login, &r, &st), &st);
        keys += r.keys;
    } while (r.keys > 0);
    return keys;
}

static int64_t count(bench *b, const char *sql)
{
    status st;
    rows *r;
    connection *c;
    must(pool_borrow(b->service, NULL, 1000, &c, &st), &st);
    must(connection_exec(c, sql, NULL, 0, &r, &st), &st);
    int64_t n = rows_integer(r, 0, 0);
    rows_free(r);
    pool_return(b->service, c);
    return n;
}

/* ---- the rollup cases ---- */

/* Sends the lines of events.csv in random parts, now and then refreshing. */
static void load_events(bench *b, random_seeded *r)
{
    status st;
    text csv = {0}, part = {0};
    must(disk_read(testdata("rollup/events.csv"), 64 << 20, &csv, &st), &st);
    const char *header_end = strchr(csv.data, '\n') + 1, *p = header_end;
    while (*p) {
        size_t lines = 1 + random_seeded_next(r) % 3000;
        const char *end = p;
        while (lines-- > 0 && *end)
            end = strchr(end, '\n') ? strchr(end, '\n') + 1 : end + strlen(end);
        text_clear(&part);
        text_add_n(&part, csv.data, (size_t)(header_end - csv.data));
        text_add_n(&part, p, (size_t)(end - p));
        assert_int_equal(post(b, part.data, part.len, DECODE_CSV).rejected, 0);
        if (random_seeded_next(r) % 2)
            refresh(b);
        p = end;
    }
    text_free(&csv);
    text_free(&part);
}

static void compare_cell(const char *want, const rows *got, uint32_t row, uint32_t col, int figure)
{
    if (!*want) {
        assert_true(rows_null(got, row, col));
        return;
    }
    double w = strtod(want, NULL), g = rows_number(got, row, col), scale = fmax(fabs(w), 1e-300);
    bool exact = figure == 0 || figure == 1 || (figure >= 4 && figure <= 7);
    double tolerance = exact ? 0 : figure == 10 ? 1e-6 : 1e-9;
    if (!(fabs(w - g) <= tolerance * scale))
        fail_msg("%s: want %s, got %.17g", rows_name(got, col), want, g);
}

static void compare_line(char *line, const rows *got, uint32_t row)
{
    char *cells[2 + METRICS * FIGURES] = {0}, *rest = line;
    for (int i = 0; i < 2 + METRICS * FIGURES; i++)
        cells[i] = strsep(&rest, ",");
    assert_string_equal(cells[0], rows_text(got, row, 0));
    assert_string_equal(cells[1], rows_text(got, row, 1));
    for (int i = 2; i < 2 + METRICS * FIGURES; i++)
        compare_cell(cells[i], got, row, (uint32_t)i, (i - 2) % FIGURES);
}

static void compare_with_expected(bench *b)
{
    status st;
    rows *plain;
    text csv = {0};
    must(disk_read(testdata("rollup/expected.csv"), 64 << 20, &csv, &st), &st);
    must(
        connection_exec(
            b->login,
            "SELECT to_char(bucket AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), series, "
            "pressure_rows,"
            " pressure_count, pressure_sum, pressure_avg, pressure_min, pressure_max, pressure_first,"
            " pressure_last, pressure_p50, pressure_p95, pressure_stddev, level_rows, level_count, level_sum,"
            " level_avg, level_min, level_max, level_first, level_last, level_p50, level_p95, level_stddev"
            " FROM featurestore.rollup_wid7 ORDER BY bucket, series",
            NULL, 0, &plain, &st),
        &st);
    char *save, *line = strtok_r(csv.data, "\r\n", &save);
    uint32_t row = 0;
    while ((line = strtok_r(NULL, "\r\n", &save)))
        compare_line(line, plain, row++);
    assert_int_equal(row, rows_count(plain));
    rows_free(plain);
    text_free(&csv);
}

static void features_end_as_expected_whatever_the_order(void **state)
{
    bench *b = *state;
    if (!b->service || !testdata("rollup/events.csv"))
        skip();
    random_seeded r = {test_seed()};
    load_events(b, &r);
    refresh(b);
    compare_with_expected(b);
    load_events(b, &r); /* the whole file once more changes nothing */
    refresh(b);
    compare_with_expected(b);
    assert_int_equal(refresh(b), 0);
    assert_int_equal(count(b, "SELECT count(*) FROM penstock.dirty_wid7"), 0);
    assert_int_equal(
        count(b, "SELECT sum(received) - sum(stored) - sum(duplicate) - sum(rejected) - sum(dropped) FROM"
                 " penstock.ledger_wid7"),
        0);
    assert_int_equal(count(b, "SELECT sum(received) FROM penstock.ledger_wid7"), 2 * 16558);
}

/* ---- rows that cannot be taken ---- */

static void refused_rows_become_dead_letters(void **state)
{
    bench *b = *state;
    if (!b->service)
        skip();
    int64_t before = count(b, "SELECT count(*) FROM datastore.events_wid7");
    static const char body[] = "{\"ts\":\"2026-01-01T00:00:00Z\",\"series\":\"a\",\"pressure\":1}\n"
                               "{\"ts\":\"2026-01-01T00:00:01Z\",\"series\":\"a\",\"pressure\":\"x\"}\n"
                               "{\"ts\":\"2026-01-01T00:00:02Z\",\"series\":\"a\",\"other\":1}\n"
                               "not json\n"
                               "{\"ts\":\"2026-01-01T00:00:03Z\",\"series\":\"a\"}\n";
    intake_verdict v = post(b, body, strlen(body), DECODE_NDJSON);
    assert_int_equal(v.accepted, 2);
    assert_int_equal(v.rejected, 3);
    assert_int_equal(v.new_rows, 2);
    assert_int_equal(count(b, "SELECT count(*) FROM datastore.events_wid7"), before + 2);
    assert_int_equal(count(b, "SELECT count(*) FROM penstock.dead_letter_wid7"), 3);
    assert_int_equal(
        count(b,
              "SELECT count(*) FROM penstock.dead_letter_wid7 WHERE convert_from(body, 'UTF8') = 'not json'"),
        1);
    refresh(b);
}

/* ---- guards ---- */

static status_class commit_again(bench *b, const journal_record *record, status *st)
{
    connection *c;
    write_set *w = write_set_create(journal_incarnation(b->journal), NULL);
    arena *a = arena_create(0);
    const datastore_plan *store = flow_plan_datastore(b->plan, "events");
    write_record again = {.record = record, .store = store, .expected_seq = record->prev_seq};
    again.rows = write_rows_arrange(store, record, a);
    must(pool_borrow(b->service, NULL, 1000, &c, st), st);
    status_class class = write_set_commit(w, c, &again, 1, false, st);
    pool_return(b->service, c);
    write_set_free(w);
    arena_free(a);
    return class;
}

/* A record whose COMMIT succeeded and whose answer was lost comes again: the position keeps it out; without
 * the position's compare-and-set it is counted twice. */
static void the_position_keeps_a_repeated_record_out(void **state)
{
    bench *b = *state;
    status st;
    const journal_record *records;
    size_t n = 0;
    arena *a = arena_create(0);
    journal_stream s;
    static const char first[] = "{\"ts\":\"2026-02-01T00:00:00Z\",\"series\":\"replay\"}\n";
    static const char counted[] = "SELECT coalesce(sum(received), 0) FROM penstock.ledger_wid7";
    if (!b->service) {
        arena_free(a);
        skip();
    }
    post(b, first, strlen(first), DECODE_NDJSON); /* the month has its partition */
    for (unsigned i = 0; i < WRITERS; i++) {      /* no writer takes it: the test does */
        writer_stop(b->writers[i]);
        b->writers[i] = NULL;
    }
    const datastore_plan *store = flow_plan_datastore(b->plan, "events");
    static const char body[] = "{\"ts\":\"2026-02-01T00:00:01Z\",\"series\":\"replay\",\"pressure\":2}\n";
    intake_order order = {.store = store,
                          .decode = store->decode,
                          .format = DECODE_NDJSON,
                          .origin = "test",
                          .request_id = "replay",
                          .done = on_verdict,
                          .arg = b};
    b->done = false;
    intake_body(b->intake, &order, body, strlen(body));
    pthread_mutex_lock(&b->lock);
    while (!b->done)
        pthread_cond_wait(&b->answered, &b->lock);
    pthread_mutex_unlock(&b->lock);
    for (unsigned i = 0; i < WRITERS && n == 0; i++)
        if (journal_stream_find(b->journal, WID, "events", JOURNAL_LIVE, (uint16_t)i, &s))
            must(journal_read(b->journal, s.id, s.trimmed_seq, 1 << 20, a, &records, &n, &st), &st);
    assert_int_equal(n, 1);
    must(commit_again(b, &records[0], &st), &st);
    assert_int_equal(count(b, counted), 2);
    assert_int_equal(commit_again(b, &records[0], &st), STATUS_CONFLICT);
    assert_int_equal(count(b, counted), 2);
    setenv("PENSTOCK_FAULT", "position", 1);
    must(commit_again(b, &records[0], &st), &st);
    unsetenv("PENSTOCK_FAULT");
    assert_int_equal(count(b, counted), 3); /* the guard mattered */
    arena_free(a);
}

/* A row and its mark are committed while a refresh computes: the next refresh must see them. With the marks
 * removed after the computation instead of before it, the mark is lost and the feature stays wrong. */
static void *refresh_on_a_thread(void *arg)
{
    refresh(arg);
    return NULL;
}

static void run(connection *c, const char *sql)
{
    status st;
    must(connection_exec(c, sql, NULL, 0, NULL, &st), &st);
}

/* Until the refresh waits for the blocker's uncommitted key: its snapshot is taken by then. */
static void wait_until_blocked(bench *b)
{
    int64_t deadline = clock_monotonic_us() + 30000000;
    while (count(b, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE "
                    "'%INSERT INTO%'") == 0)
        assert_true(clock_monotonic_us() < deadline);
}

static double pressure_max_after_a_race(bench *b, const char *series)
{
    status st;
    rows *r;
    pthread_t thread;
    char first[160], second[160], block[200], look[200];
    connection *blocker = test_connect("flow");
    snprintf(first, sizeof first, "{\"ts\":\"2026-03-01T00:00:00Z\",\"series\":\"%s\",\"pressure\":1}\n",
             series);
    snprintf(second, sizeof second, "{\"ts\":\"2026-03-01T00:00:01Z\",\"series\":\"%s\",\"pressure\":5}\n",
             series);
    snprintf(block, sizeof block,
             "INSERT INTO featurestore.rollup_wid7 (bucket, series) VALUES ('2026-03-01T00:00:00Z', '%s')",
             series);
    snprintf(look, sizeof look, "SELECT pressure_max FROM featurestore.rollup_wid7 WHERE series = '%s'",
             series);
    post(b, first, strlen(first), DECODE_NDJSON);
    must(connection_begin(blocker, &st), &st);
    run(blocker, block);
    assert_int_equal(pthread_create(&thread, NULL, refresh_on_a_thread, b), 0);
    wait_until_blocked(b);
    post(b, second, strlen(second), DECODE_NDJSON);
    connection_rollback(blocker);
    pthread_join(thread, NULL);
    refresh(b);
    must(connection_exec(blocker, look, NULL, 0, &r, &st), &st);
    double max = rows_number(r, 0, 0);
    rows_free(r);
    connection_close(blocker);
    return max;
}

static void a_mark_made_during_a_refresh_is_not_lost(void **state)
{
    bench *b = *state;
    if (!b->service)
        skip();
    assert_true(pressure_max_after_a_race(b, "right") == 5);
    setenv("PENSTOCK_FAULT", "mark_order", 1);
    double wrong = pressure_max_after_a_race(b, "wrong");
    unsetenv("PENSTOCK_FAULT");
    assert_true(wrong == 1); /* the guard mattered */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(features_end_as_expected_whatever_the_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refused_rows_become_dead_letters, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_position_keeps_a_repeated_record_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_mark_made_during_a_refresh_is_not_lost, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
