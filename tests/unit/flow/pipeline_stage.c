#include "pipeline_stage.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "config/yaml_tree.h"
#include "flow/featurestore.h"
#include "store/migrations.h"
#include "store/roles.h"
#include "store/workspace_schema.h"

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

static const char *const figures[FIGURES] = {"rows",  "count", "sum", "avg", "min",   "max",
                                             "first", "last",  "p50", "p95", "stddev"};

void must(status_class class, const status *st)
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
    must(flow_plan_create(b->definition, 0, &b->plan, &st), &st);
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

static void on_appended(void *arg, uint32_t stream, uint64_t rows)
{
    bench *b = arg;
    journal_stream s;
    if (journal_stream_get(b->journal, stream, &s) && b->writers[0] && b->writers[WRITERS - 1])
        crew_appended(b->crew, &s, rows);
}

void bench_start(bench *b)
{
    status st;
    journal_settings settings = {
        .folder = b->folder, .size_bytes = 64 << 20, .on_appended = on_appended, .arg = b};
    must(journal_open(&settings, &b->journal, &st), &st);
    b->waiters = waiter_table_create();
    b->intake = intake_create(b->journal, b->waiters, WRITERS);
    b->partitions = partition_cache_create();
    b->crew = crew_create(b->writers, WRITERS);
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

void bench_stop_writers(bench *b)
{
    for (unsigned i = 0; i < WRITERS; i++) {
        writer_stop(b->writers[i]);
        b->writers[i] = NULL;
    }
}

void bench_stop(bench *b)
{
    bench_stop_writers(b);
    journal_close(b->journal);
    crew_free(b->crew);
    waiter_table_free(b->waiters);
    intake_free(b->intake);
    partition_cache_free(b->partitions);
}

int bench_make(void **state)
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
    bench_start(b);
    return 0;
}

int bench_free(void **state)
{
    bench *b = *state;
    if (b->service) {
        bench_stop(b);
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

void bench_send(bench *b, const char *body, size_t len, decode_format format, bool wait_stored)
{
    const datastore_plan *store = flow_plan_datastore(b->plan, "events");
    char id[27];
    ulid_make(id);
    intake_order order = {.store = store,
                          .decode = store->decode,
                          .format = format,
                          .origin = "test",
                          .request_id = id,
                          .wait_stored = wait_stored,
                          .deadline_us = clock_monotonic_us() + 60000000,
                          .done = on_verdict,
                          .arg = b};
    b->done = false;
    intake_body(b->intake, &order, body, len);
}

bool bench_answered(bench *b)
{
    pthread_mutex_lock(&b->lock);
    bool done = b->done;
    pthread_mutex_unlock(&b->lock);
    return done;
}

intake_verdict bench_wait(bench *b)
{
    pthread_mutex_lock(&b->lock);
    while (!b->done)
        pthread_cond_wait(&b->answered, &b->lock);
    pthread_mutex_unlock(&b->lock);
    must(b->verdict.st.class, &b->verdict.st);
    return b->verdict;
}

intake_verdict bench_post(bench *b, const char *body, size_t len, decode_format format)
{
    bench_send(b, body, len, format, true);
    intake_verdict v = bench_wait(b);
    assert_true(v.stored);
    return v;
}

uint64_t bench_refresh(bench *b)
{
    status st;
    refresh_result r;
    uint64_t keys = 0;
    refresh_order order = {flow_plan_featurestore(b->plan, "rollup"), NULL, INT64_MIN, NULL};
    do {
        must(featurestore_step(&order, b->login, &r, &st), &st);
        keys += r.keys;
    } while (r.keys > 0);
    return keys;
}

int64_t bench_count(bench *b, const char *sql)
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

void bench_wait_blocked(bench *b, const char *query)
{
    int64_t deadline = clock_monotonic_us() + 30000000;
    char sql[300];
    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%s'",
             query);
    while (bench_count(b, sql) == 0)
        assert_true(clock_monotonic_us() < deadline);
}
