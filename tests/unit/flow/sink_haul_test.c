/* What makes a sink's batch, to the row and to the byte; and that a gap in the numbers is crossed without
 * reading all that lies behind it with every batch. */
#include "support/check.h"
#include "support/cluster.h"

#include "base/arena.h"
#include "flow/sink_haul.h"

enum { ROW_BYTES = 24, MANY = 3000 }; /* value, _seq, _received */
static const uint64_t behind = 1000000000000000;

static connection *db;
static table_column columns[] = {{.name = "value", .type = COLUMN_NUMBER}};
static const store_table table = {.class = STORE_DATASTORE,
                                  .key = "readings",
                                  .wid = 1,
                                  .columns = columns,
                                  .n_columns = 1,
                                  .time_column = -1};

static void must(status_class class, const status *st)
{
    if (class != STATUS_OK)
        fail_msg("%s", st->text);
}

static void run(const char *sql)
{
    status st;
    must(connection_exec(db, sql, NULL, 0, NULL, &st), &st);
}

static int setup(void **state)
{
    (void)state;
    if (!test_cluster())
        return 0;
    test_database("sink_haul");
    db = test_connect("sink_haul");
    run("CREATE SCHEMA datastore");
    run("CREATE TABLE datastore.readings_wid1 (value double precision, \"_seq\" bigint NOT NULL, "
        "\"_received\" timestamptz NOT NULL)");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    connection_close(db);
    return 0;
}

static void fill(uint64_t first, uint64_t n)
{
    status st;
    const value params[] = {value_integer((int64_t)first), value_integer((int64_t)(first + n - 1))};
    must(connection_exec(
             db,
             "INSERT INTO datastore.readings_wid1 SELECT 1.5, n, timestamptz 'epoch' + n * interval "
             "'1 us' FROM generate_series($1::bigint, $2::bigint) n",
             params, 2, NULL, &st),
         &st);
}

/* How many rows the next batch has; *haul says the rest. */
static uint32_t next(sink_search *s, uint64_t limit, sink_haul *haul)
{
    status st;
    arena *a = arena_create(0);
    *haul = (sink_haul){0};
    must(sink_search_next(s, db, limit, a, haul, &st), &st);
    metric_result_free(&haul->rows);
    arena_free(a);
    return haul->n;
}

static void a_batch_ends_at_its_limits(void **state)
{
    (void)state;
    sink_haul h;
    if (!db)
        skip();
    for (uint32_t n = 9; n <= 11; n++) {
        sink_search rows = {.table = &table, .rows_max = 10, .bytes_max = 1 << 20};
        sink_search bytes = {.table = &table, .rows_max = 100, .bytes_max = 10 * ROW_BYTES};
        run("TRUNCATE datastore.readings_wid1");
        fill(101, n);
        sink_search_begin(&rows, 100);
        assert_int_equal(next(&rows, 500, &h), n > 10 ? 10 : n);
        assert_int_equal(h.full, n >= 10);
        assert_int_equal(h.last, n >= 10 ? 110 : 500);
        assert_int_equal(h.oldest_us, 101);
        sink_search_begin(&bytes, 100);
        assert_int_equal(next(&bytes, 500, &h), n > 10 ? 10 : n);
        assert_int_equal(h.full, n > 10); /* ten fit just so */
        assert_int_equal(h.last, n > 10 ? 110 : 500);
        bytes.bytes_max--;
        assert_int_equal(next(&bytes, 500, &h), 9);
        assert_int_equal(h.full, n > 9);
    }
    sink_search small = {.table = &table, .rows_max = 100, .bytes_max = 1};
    sink_search_begin(&small, 100);
    assert_int_equal(next(&small, 500, &h), 1); /* a row that is larger than a batch goes alone */
    assert_int_equal(h.last, 101);
    sink_search_begin(&small, 111);
    assert_int_equal(next(&small, 500, &h), 0);
    assert_int_equal(small.seen, 500);
}

static void a_noted_batch_is_the_same_whatever_the_limits(void **state)
{
    (void)state;
    status st;
    sink_haul h = {0};
    if (!db)
        skip();
    sink_search s = {.table = &table, .rows_max = 2, .bytes_max = 1};
    arena *a = arena_create(0);
    run("TRUNCATE datastore.readings_wid1");
    fill(101, 50);
    must(sink_search_noted(&s, db, 110, 130, a, &h, &st), &st);
    assert_int_equal(h.n, 20);
    assert_int_equal(h.last, 130);
    assert_true(h.full);
    assert_int_equal(sink_haul_seqs(&h.rows)[0], 111);
    metric_result_free(&h.rows);
    arena_free(a);
}

static void a_gap_is_crossed_once(void **state)
{
    (void)state;
    sink_haul h;
    uint64_t seen = 0, rows = 0;
    if (!db)
        skip();
    sink_search s = {.table = &table, .rows_max = 100, .bytes_max = 1 << 20};
    run("TRUNCATE datastore.readings_wid1");
    fill(1, MANY);
    fill(behind, MANY);
    sink_search_begin(&s, 0);
    for (uint32_t n; (n = next(&s, behind + MANY, &h)) > 0; s.seen = h.last) {
        assert_true(h.last > seen);
        assert_int_equal(n, 100);
        seen = h.last;
        rows += n;
        /* the batch behind the gap reaches over it */
        assert_true(s.span <= 2 * s.rows_max || rows == MANY + 100);
    }
    assert_int_equal(rows, 2 * MANY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_ends_at_its_limits),
        cmocka_unit_test(a_noted_batch_is_the_same_whatever_the_limits),
        cmocka_unit_test(a_gap_is_crossed_once),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
