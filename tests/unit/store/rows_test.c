/* Rows in a real database: by COPY and by upsert, what wins when two have the same key, every type. */
#include "stage.h"

#include <string.h>

#include "base/utc.h"
#include "store/copy.h"
#include "store/insert.h"
#include "store/partitions.h"
#include "store/workspace_schema.h"

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

static void the_version_decides_whatever_arrives_last(void **state)
{
    NEED_CLUSTER();
    (void)state;
    store_table t;
    upsert_counts n;
    char got[256];
    make_workspace(7, NULL, &t, CONFLICT_KEEP_LAST);
    t.version_column = 3; /* flow */
    write_rows(&t, (sample[]){{"b", 1, 1, 5}, {"c", 1, 1, 5}}, 2, 100, &n);
    write_rows(&t, (sample[]){{"b", 1, 2, 4}, {"c", 1, 2, 6}}, 2, 200, &n); /* older, newer */
    assert_int_equal(n.updated, 1);
    assert_int_equal(n.duplicate, 1);
    write_rows(&t, (sample[]){{"b", 1, 3, 5}, {"b", 1, 4, 3}}, 2, 50,
               &n); /* the same as what is there counts as newer */
    ask_text(service,
             "SELECT string_agg(device_id || pressure || flow, ' ' ORDER BY device_id) FROM"
             " datastore.sensor_data_wid7",
             got);
    assert_string_equal(got, "b35 c26");
    drop_workspace(7, NULL);
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

/* The same rows as COPY has stored from _seq 10 on, in two parts by INSERT. */
static void a_few_are_stored_like_many(const store_table *t, const batch *rows)
{
    arena *a = arena_create(0);
    status st;
    value *params;
    unsigned n;
    const insert_part parts[] = {{rows, 110, T0}, {rows, 210, T0}};
    statement insert = insert_rows(a, t, parts, 2, &params, &n);
    OK(connection_run(service, &insert, params, n, NULL, &st));
    assert_int_equal(
        ask_number(service,
                   "SELECT count(*) FROM datastore.types_wid4 x JOIN datastore.types_wid4 y ON"
                   " y._seq IN (x._seq + 100, x._seq + 200) WHERE x._seq < 100 AND"
                   " (x.t, x.b, x.i, x.n, x.d, x.u, x.s, x.j, x._extra, x._received) IS NOT DISTINCT FROM"
                   " (y.t, y.b, y.i, y.n, y.d, y.u, y.s, y.j, y._extra, y._received)"),
        2 * rows->n_rows);
    OK(connection_exec(service, "DELETE FROM datastore.types_wid4 WHERE _seq > 100", NULL, 0, NULL, &st));
    arena_free(a);
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
    a_few_are_stored_like_many(&t, &b);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keep_last_follows_the_order),
        cmocka_unit_test(the_version_decides_whatever_arrives_last),
        cmocka_unit_test(parts_are_stored_as_one_after_the_other),
        cmocka_unit_test(merged_parts_fill_each_other),
        cmocka_unit_test(keep_first_keeps_the_first),
        cmocka_unit_test(merge_leaves_absent_columns),
        cmocka_unit_test(copy_stores_every_type),
    };
    return cmocka_run_group_tests(tests, stage_set_up, stage_tear_down);
}
