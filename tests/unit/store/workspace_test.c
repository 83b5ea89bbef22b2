/* A workspace in a real database: tables and their number, rows by COPY and by upsert, partitions, change,
 * and the wall. */
#include "support/check.h"

#include <stdio.h>
#include <string.h>

#include "base/utc.h"
#include "store/batch_key.h"
#include "store/copy.h"
#include "store/migrations.h"
#include "store/partitions.h"
#include "store/pool.h"
#include "store/roles.h"
#include "store/upsert.h"
#include "store/workspace_schema.h"
#include "support/cluster.h"

#define NEED_CLUSTER()   \
    if (!test_cluster()) \
    skip()
#define OK(call)                                                \
    do {                                                        \
        if ((call) != STATUS_OK)                                \
            fail_msg("%s:%d: %s", __FILE__, __LINE__, st.text); \
    } while (0)

#define DB "penstock_data"
#define T0 1767225600000000LL /* 2026-01-01 */

static connection *super, *service;

static const table_column readings[] = {
    {"time", COLUMN_TIMESTAMP, false, 0}, {"device_id", COLUMN_TEXT, false, 64},
    {"pressure", COLUMN_NUMBER, true, 0}, {"flow", COLUMN_NUMBER, true, 0},
    {"status", COLUMN_TEXT, true, 20},
};
static const uint32_t entity[] = {1}, natural_key[] = {1, 0};

static store_table keyed(int32_t wid, table_conflict conflict)
{
    return (store_table){.class = STORE_DATASTORE,
                         .key = "sensor_data",
                         .wid = wid,
                         .columns = readings,
                         .n_columns = 5,
                         .time_column = 0,
                         .entity = entity,
                         .n_entity = 1,
                         .unique = natural_key,
                         .n_unique = 2,
                         .conflict = conflict,
                         .version_column = -1,
                         .partition = PARTITION_MONTH};
}

static int64_t ask_number(connection *c, const char *sql)
{
    rows *r;
    status st;
    OK(connection_exec(c, sql, NULL, 0, &r, &st));
    int64_t n = rows_integer(r, 0, 0);
    rows_free(r);
    return n;
}

static void ask_text(connection *c, const char *sql, char out[256])
{
    rows *r;
    status st;
    OK(connection_exec(c, sql, NULL, 0, &r, &st));
    snprintf(out, 256, "%s", rows_count(r) ? rows_text(r, 0, 0) ? rows_text(r, 0, 0) : "null" : "no row");
    rows_free(r);
}

static int set_up(void **state)
{
    (void)state;
    status st;
    if (!test_cluster())
        return 0;
    super = test_connect("postgres");
    OK(roles_service_create(super, "penstock", "service-password", &st));
    OK(roles_database_create(super, DB, "penstock", &st));
    connection *inside = test_connect(DB);
    OK(roles_database_close(inside, DB, "penstock", &st));
    OK(roles_database_close(inside, DB, "penstock", &st)); /* again is fine */
    connection_close(inside);
    service = test_connect_as(DB, "penstock", "service-password");
    uint32_t applied;
    OK(migrations_run(service, MIGRATION_DATA, &applied, &st));
    assert_true(applied >= 2);
    OK(migrations_run(service, MIGRATION_DATA, &applied, &st));
    assert_int_equal(applied, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    connection_close(service);
    connection_close(super);
    return 0;
}

static void make_workspace(int32_t wid, connection **login, store_table *store, table_conflict conflict)
{
    status st;
    char role[ROLE_NAME_SIZE], password[ROLE_PASSWORD_SIZE];
    role_name(role, "0123abcd", wid);
    role_password(password);
    OK(role_create(service, role, password, &st));
    OK(role_create(service, role, password, &st));
    OK(workspace_schema_create(service, wid, role, &st));
    OK(workspace_schema_create(service, wid, role, &st));
    *store = keyed(wid, conflict);
    OK(store_create(service, store, role, &st));
    OK(store_create(service, store, role, &st));
    if (login)
        *login = test_connect_as(DB, role, password);
}

static void drop_workspace(int32_t wid, connection *login)
{
    status st;
    char role[ROLE_NAME_SIZE];
    role_name(role, "0123abcd", wid);
    connection_close(login);
    OK(workspace_schema_drop(service, wid, &st));
    OK(role_drop(service, role, &st));
    OK(role_drop(service, role, &st));
}

/* ---- rows ---- */

typedef struct sample {
    const char *device;
    int64_t minute;
    double pressure, flow; /* < 0: null, < -1: absent */
} sample;

/* A batch of the table's five columns; status is always null. */
typedef struct sample_batch {
    batch b;
    column columns[5];
    int64_t times[64];
    double pressure[64], flow[64];
    int32_t offsets[65], empty[65];
    char text[1024];
    uint8_t valid[3][8], present[2][8];
} sample_batch;

static void put_number(sample_batch *s, int which, double *list, uint32_t i, double v)
{
    list[i] = v;
    if (v >= 0)
        s->valid[which][i >> 3] |= (uint8_t)(1u << (i & 7));
    if (v >= -1)
        s->present[which][i >> 3] |= (uint8_t)(1u << (i & 7));
}

static const batch *make_batch(sample_batch *s, const sample *list, uint32_t n)
{
    memset(s, 0, sizeof *s);
    for (uint32_t i = 0; i < n; i++) {
        s->times[i] = T0 + list[i].minute * 60000000;
        put_number(s, 0, s->pressure, i, list[i].pressure);
        put_number(s, 1, s->flow, i, list[i].flow);
        size_t len = strlen(list[i].device);
        memcpy(s->text + s->offsets[i], list[i].device, len);
        s->offsets[i + 1] = s->offsets[i] + (int32_t)len;
    }
    s->columns[0] = (column){.type = COLUMN_TIMESTAMP, .values = s->times};
    s->columns[1] = (column){.type = COLUMN_TEXT, .offsets = s->offsets, .data = s->text};
    s->columns[2] = (column){
        .type = COLUMN_NUMBER, .values = s->pressure, .valid = s->valid[0], .present = s->present[0]};
    s->columns[3] =
        (column){.type = COLUMN_NUMBER, .values = s->flow, .valid = s->valid[1], .present = s->present[1]};
    s->columns[4] = (column){
        .type = COLUMN_TEXT, .offsets = s->empty, .data = "", .valid = s->valid[2], .present = s->valid[2]};
    s->b = (batch){.n_rows = n, .n_columns = 5, .columns = s->columns};
    return &s->b;
}

static void write_rows(const store_table *t, const sample *list, uint32_t n, int64_t first_seq,
                       upsert_counts *counts)
{
    status st;
    sample_batch s;
    const batch *b = make_batch(&s, list, n);
    partition_cache *cache = partition_cache_create();
    upsert *u = upsert_create(t);
    OK(partitions_ensure(cache, service, t, s.times, n, &st));
    OK(connection_begin(service, &st));
    OK(upsert_write(service, u, b, first_seq, T0, counts, &st));
    OK(connection_commit(service, &st));
    upsert_free(u);
    partition_cache_free(cache);
}

static void keep_last_follows_the_order(void **state)
{
    NEED_CLUSTER();
    (void)state;
    store_table t;
    upsert_counts n;
    make_workspace(1, NULL, &t, CONFLICT_KEEP_LAST);
    write_rows(&t, (sample[]){{"b", 1, 1, 1}, {"a", 1, 2, 2}, {"b", 1, 3, 3}}, 3, 100, &n);
    assert_int_equal(n.stored, 2);
    assert_int_equal(n.duplicate, 1);
    assert_int_equal(
        ask_number(service, "SELECT pressure::bigint FROM datastore.sensor_data_wid1 WHERE device_id = 'b'"),
        3);
    assert_int_equal(ask_number(service, "SELECT _seq FROM datastore.sensor_data_wid1 WHERE device_id = 'b'"),
                     102);
    write_rows(&t, (sample[]){{"b", 1, 9, 9}, {"c", 1, 5, 5}}, 2, 50, &n); /* older than what is there */
    assert_int_equal(n.stored, 1);
    assert_int_equal(n.updated, 0);
    assert_int_equal(n.duplicate, 1);
    write_rows(&t, (sample[]){{"b", 1, 7, -1}, {"d", 1, 5, 5}}, 2, 200, &n);
    assert_int_equal(n.stored, 1);
    assert_int_equal(n.updated, 1);
    assert_int_equal(
        ask_number(service,
                   "SELECT count(*) FROM datastore.sensor_data_wid1 WHERE flow IS NULL AND pressure = 7"),
        1);
    drop_workspace(1, NULL);
}

/* Each list a part of its own, the second older than the first. */
static void write_two(const store_table *t, const sample *later, const sample *earlier, uint32_t n,
                      upsert_part parts[2])
{
    status st;
    sample_batch one, two;
    partition_cache *cache = partition_cache_create();
    upsert *u = upsert_create(t);
    parts[0] =
        (upsert_part){.rows = make_batch(&one, later, n), .first_seq = 500, .received_us = T0 + 1000000};
    parts[1] = (upsert_part){.rows = make_batch(&two, earlier, n), .first_seq = 400, .received_us = T0};
    OK(partitions_ensure(cache, service, t, one.times, n, &st));
    OK(partitions_ensure(cache, service, t, two.times, n, &st));
    OK(connection_begin(service, &st));
    OK(upsert_write_parts(service, u, parts, 2, &st));
    OK(connection_commit(service, &st));
    upsert_free(u);
    partition_cache_free(cache);
}

static void parts_are_stored_as_one_after_the_other(void **state)
{
    NEED_CLUSTER();
    (void)state;
    store_table t;
    upsert_counts n;
    upsert_part parts[2];
    char got[256];
    make_workspace(5, NULL, &t, CONFLICT_KEEP_LAST);
    write_rows(&t, (sample[]){{"old", 1, 1, 1}}, 1, 100, &n);
    write_two(&t, (sample[]){{"a", 1, 5, 5}, {"later", 1, 5, 5}, {"old", 1, 5, 5}},
              (sample[]){{"a", 1, 4, 4}, {"earlier", 1, 4, 4}, {"old", 1, 4, 4}}, 3, parts);
    assert_true(parts[0].first_seq == 400 && parts[1].first_seq == 500); /* sorted */
    assert_int_equal(parts[0].counts.stored, 1);                         /* earlier */
    assert_int_equal(parts[0].counts.updated, 0);
    assert_int_equal(parts[0].counts.duplicate, 2);
    assert_int_equal(parts[1].counts.stored, 2); /* a, later */
    assert_int_equal(parts[1].counts.updated, 1);
    assert_int_equal(parts[1].counts.duplicate, 0);
    ask_text(service,
             "SELECT string_agg(concat_ws(' ', device_id, pressure, _seq, extract(second FROM "
             "_received)::int), ', ' ORDER BY device_id) FROM datastore.sensor_data_wid5",
             got);
    assert_string_equal(got, "a 5 500 1, earlier 4 401 0, later 5 501 1, old 5 502 1");
    drop_workspace(5, NULL);
}

static void merged_parts_fill_each_other(void **state)
{
    NEED_CLUSTER();
    (void)state;
    store_table t;
    upsert_part parts[2];
    char got[256];
    make_workspace(6, NULL, &t, CONFLICT_MERGE);
    write_two(&t, (sample[]){{"b", 1, 5, -2}}, (sample[]){{"b", 1, 4, 3}}, 1, parts);
    assert_int_equal(parts[0].counts.stored, 0);
    assert_int_equal(parts[1].counts.stored, 1);
    ask_text(service, "SELECT pressure || '/' || flow FROM datastore.sensor_data_wid6", got);
    assert_string_equal(got, "5/3");
    drop_workspace(6, NULL);
}

static void keep_first_keeps_the_first(void **state)
{
    NEED_CLUSTER();
    (void)state;
    store_table t;
    upsert_counts n;
    make_workspace(2, NULL, &t, CONFLICT_KEEP_FIRST);
    write_rows(&t, (sample[]){{"b", 1, 1, 1}, {"b", 1, 3, 3}}, 2, 100, &n);
    write_rows(&t, (sample[]){{"b", 1, 8, 8}}, 1, 300, &n);
    assert_int_equal(n.stored + n.updated, 0);
    assert_int_equal(n.duplicate, 1);
    assert_int_equal(ask_number(service, "SELECT pressure::bigint FROM datastore.sensor_data_wid2"), 1);
    drop_workspace(2, NULL);
}

static void merge_leaves_absent_columns(void **state)
{
    NEED_CLUSTER();
    (void)state;
    store_table t;
    upsert_counts n;
    char got[256];
    make_workspace(3, NULL, &t, CONFLICT_MERGE);
    write_rows(&t, (sample[]){{"b", 1, 1, -2}, {"b", 1, -2, 2}}, 2, 100, &n); /* folded inside the batch */
    assert_int_equal(n.stored, 1);
    ask_text(service, "SELECT pressure || '/' || flow FROM datastore.sensor_data_wid3", got);
    assert_string_equal(got, "1/2");
    write_rows(&t, (sample[]){{"b", 1, 5, -2}}, 1, 200, &n); /* flow absent: stays */
    assert_int_equal(n.updated, 1);
    ask_text(service, "SELECT pressure || '/' || flow FROM datastore.sensor_data_wid3", got);
    assert_string_equal(got, "5/2");
    write_rows(&t, (sample[]){{"b", 1, -2, -1}}, 1, 300, &n); /* flow null: cleared */
    ask_text(service,
             "SELECT pressure || '/' || coalesce(flow::text, 'cleared') FROM datastore.sensor_data_wid3",
             got);
    assert_string_equal(got, "5/cleared");
    write_rows(&t, (sample[]){{"b", 1, 9, 9}}, 1, 150, &n); /* older than what is there */
    assert_int_equal(n.duplicate, 1);
    drop_workspace(3, NULL);
}

static void copy_stores_every_type(void **state)
{
    NEED_CLUSTER();
    (void)state;
    status st;
    static const table_column columns[] = {{"t", COLUMN_TIMESTAMP, false, 0}, {"b", COLUMN_BOOLEAN, true, 0},
                                           {"i", COLUMN_INTEGER, true, 0},    {"n", COLUMN_NUMBER, true, 0},
                                           {"d", COLUMN_DATE, true, 0},       {"u", COLUMN_UUID, true, 0},
                                           {"s", COLUMN_TEXT, true, 0},       {"j", COLUMN_JSON, true, 0}};
    store_table t = {.class = STORE_DATASTORE,
                     .key = "types",
                     .wid = 4,
                     .columns = columns,
                     .n_columns = 8,
                     .time_column = 0,
                     .version_column = -1,
                     .has_extra = true,
                     .seq_index = true};
    OK(workspace_schema_create(service, 4, NULL, &st));
    OK(store_create(service, &t, NULL, &st));
    int64_t times[] = {T0, UTC_MIN_US, UTC_MAX_US}, integers[] = {INT64_MIN, 0, INT64_MAX};
    double numbers[] = {0.1, -0.0, 1e308};
    int32_t dates[] = {0, -719162, 2932896}, offsets[] = {0, 2, 2, 5}, json_offsets[] = {0, 2, 4, 11};
    uint8_t valid[] = {5}, bits[] = {1}, all[] = {7};
    uint8_t uuids[48] = {0x12, 0x34};
    column c[] = {{.type = COLUMN_TIMESTAMP, .values = times},
                  {.type = COLUMN_BOOLEAN, .values = bits, .valid = all},
                  {.type = COLUMN_INTEGER, .values = integers},
                  {.type = COLUMN_NUMBER, .values = numbers},
                  {.type = COLUMN_DATE, .values = dates},
                  {.type = COLUMN_UUID, .values = uuids},
                  {.type = COLUMN_TEXT,
                   .offsets = offsets,
                   .data = "\xc3\xbc"
                           "abc",
                   .valid = valid},
                  {.type = COLUMN_JSON, .offsets = json_offsets, .data = "{}[]{\"a\":1}"},
                  {.type = COLUMN_JSON, .offsets = json_offsets, .data = "{}[]{\"a\":1}", .valid = bits}};
    batch b = {.n_rows = 3, .n_columns = 9, .columns = c};
    text bytes = {0}, sql = {0};
    int64_t stored;
    char got[256];
    uint32_t order[] = {2, 0, 1};
    copy_statement(&sql, &t);
    copy_encode(
        &bytes, &b,
        &(copy_rows){.order = order, .n_rows = 3, .system = true, .first_seq = 10, .received_us = T0});
    OK(copy_send(service, sql.data, &bytes, &stored, &st));
    assert_int_equal(stored, 3);
    ask_text(
        service,
        "SELECT concat_ws('|', t, b, i, n, d, u, s, j, _extra, _seq) FROM datastore.types_wid4 WHERE i < 0",
        got);
    assert_string_equal(got, "2026-01-01 00:00:00+00|t|-9223372036854775808|0.1|1970-01-01|"
                             "12340000-0000-0000-0000-000000000000|ü|{}|{}|10");
    ask_text(service, "SELECT concat_ws('|', t, b, i, d, s, j, _seq) FROM datastore.types_wid4 WHERE i > 0",
             got);
    assert_string_equal(got,
                        "9999-12-31 23:59:59.999999+00|f|9223372036854775807|9999-12-31|abc|{\"a\": 1}|12");
    ask_text(service, "SELECT concat_ws('|', t, d, s, _seq) FROM datastore.types_wid4 WHERE i = 0", got);
    assert_string_equal(got, "0001-01-01 00:00:00+00|0001-01-01|11");
    copy_encode(&bytes, &b, &(copy_rows){.order = order, .n_rows = 0, .system = true});
    OK(copy_send(service, sql.data, &bytes, &stored, &st));
    assert_int_equal(stored, 0);
    c[7].data = "{}xx{\"a\":1}";
    copy_encode(&bytes, &b, &(copy_rows){.system = true});
    assert_int_equal(copy_send(service, sql.data, &bytes, &stored, &st), STATUS_INVALID);
    assert_true(connection_row_refused(service));
    assert_false(connection_broken(service));
    text_free(&bytes);
    text_free(&sql);
    OK(workspace_schema_drop(service, 4, &st));
}

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
                     .entity = entity,
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
    assert_int_equal(ask_number(service, count), 4);          /* Dec, Jan, Feb, and March ahead */
    OK(partitions_ensure(other, service, &t, times, 3, &st)); /* another host knows nothing yet */
    OK(partitions_ensure(cache, NULL, &t, times, 3, &st));    /* the cache does without a connection */
    assert_int_equal(ask_number(service, count), 4);
    for (int64_t i = 0; i < 200; i++) /* sixteen years of history: refused never, bounded in number */
        OK(partitions_ensure(cache, service, &t, &(int64_t){T0 - i * 30 * UTC_DAY_US}, 1, &st));
    int64_t n = ask_number(service, count);
    assert_true(n >= PARTITIONS_MAX && n <= PARTITIONS_MAX + 4);
    uint32_t dropped;
    OK(partitions_drop_before(cache, service, &t, T0, &dropped, &st));
    assert_int_equal(ask_number(service, count), 3);
    assert_int_equal(dropped, n - 3);
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
    memcpy(columns, readings, sizeof readings);
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
        cmocka_unit_test(keep_last_follows_the_order),
        cmocka_unit_test(parts_are_stored_as_one_after_the_other),
        cmocka_unit_test(merged_parts_fill_each_other),
        cmocka_unit_test(keep_first_keeps_the_first),
        cmocka_unit_test(merge_leaves_absent_columns),
        cmocka_unit_test(copy_stores_every_type),
        cmocka_unit_test(a_fed_workspace_is_lean),
        cmocka_unit_test(partitions_follow_the_rows),
        cmocka_unit_test(tables_change_additively),
        cmocka_unit_test(workspaces_cannot_meet),
        cmocka_unit_test(pool_keeps_and_drops),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
