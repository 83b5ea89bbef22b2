/* From bytes to features on a real PostgreSQL: intake → journal → writers → datastore → featurestore.
 * The rollup cases hold every kind of disorder; whatever the split and the moments of refresh, the
 * featurestore must end as the expected rows. Then each guard is taken out in turn, and something must go
 * wrong. */
#include "pipeline_stage.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/disk.h"
#include "base/random.h"
#include "flow/write_set.h"

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
        assert_int_equal(bench_post(b, part.data, part.len, DECODE_CSV).rejected, 0);
        if (random_seeded_next(r) % 2)
            bench_refresh(b);
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
    bench_refresh(b);
    compare_with_expected(b);
    load_events(b, &r); /* the whole file once more changes nothing */
    bench_refresh(b);
    compare_with_expected(b);
    assert_int_equal(bench_refresh(b), 0);
    assert_int_equal(bench_count(b, "SELECT count(*) FROM penstock.dirty_wid7"), 0);
    assert_int_equal(
        bench_count(b,
                    "SELECT sum(received) - sum(stored) - sum(duplicate) - sum(rejected) - sum(dropped) FROM"
                    " penstock.ledger_wid7"),
        0);
    assert_int_equal(bench_count(b, "SELECT sum(received) FROM penstock.ledger_wid7"), 2 * 16558);
}

/* ---- rows that cannot be taken ---- */

static void refused_rows_become_dead_letters(void **state)
{
    bench *b = *state;
    if (!b->service)
        skip();
    int64_t before = bench_count(b, "SELECT count(*) FROM datastore.events_wid7");
    static const char body[] = "{\"ts\":\"2026-01-01T00:00:00Z\",\"series\":\"a\",\"pressure\":1}\n"
                               "{\"ts\":\"2026-01-01T00:00:01Z\",\"series\":\"a\",\"pressure\":\"x\"}\n"
                               "{\"ts\":\"2026-01-01T00:00:02Z\",\"series\":\"a\",\"other\":1}\n"
                               "not json\n"
                               "{\"ts\":\"2026-01-01T00:00:03Z\",\"series\":\"a\"}\n";
    intake_verdict v = bench_post(b, body, strlen(body), DECODE_NDJSON);
    assert_int_equal(v.accepted, 2);
    assert_int_equal(v.rejected, 3);
    assert_int_equal(v.new_rows, 2);
    assert_int_equal(bench_count(b, "SELECT count(*) FROM datastore.events_wid7"), before + 2);
    assert_int_equal(bench_count(b, "SELECT count(*) FROM penstock.dead_letter_wid7"), 3);
    assert_int_equal(
        bench_count(
            b,
            "SELECT count(*) FROM penstock.dead_letter_wid7 WHERE convert_from(body, 'UTF8') = 'not json'"),
        1);
    bench_refresh(b);
}

/* ---- guards ---- */

static status_class commit_again(bench *b, const journal_record *record, status *st)
{
    connection *c;
    write_set *w = write_set_create(journal_incarnation(b->journal), 0, NULL);
    arena *a = arena_create(0);
    const datastore_plan *store = flow_plan_datastore(b->plan, "events");
    write_record again = {.record = record, .store = store, .expected_seq = record->prev_seq};
    again.rows = write_record_arrange(store, record, a);
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
    bench_post(b, first, strlen(first), DECODE_NDJSON); /* the month has its partition */
    bench_stop_writers(b);                              /* no writer takes it: the test does */
    static const char body[] = "{\"ts\":\"2026-02-01T00:00:01Z\",\"series\":\"replay\",\"pressure\":2}\n";
    bench_send(b, body, strlen(body), DECODE_NDJSON, false);
    bench_wait(b);
    for (unsigned i = 0; i < WRITERS && n == 0; i++)
        if (journal_stream_find(b->journal, WID, "events", JOURNAL_LIVE, (uint16_t)i, &s))
            must(journal_read(b->journal, s.id, s.trimmed_seq, 1 << 20, a, &records, &n, &st), &st);
    assert_int_equal(n, 1);
    must(commit_again(b, &records[0], &st), &st);
    assert_int_equal(bench_count(b, counted), 2);
    assert_int_equal(commit_again(b, &records[0], &st), STATUS_CONFLICT);
    assert_int_equal(bench_count(b, counted), 2);
    setenv("PENSTOCK_FAULT", "position", 1);
    must(commit_again(b, &records[0], &st), &st);
    unsetenv("PENSTOCK_FAULT");
    assert_int_equal(bench_count(b, counted), 3); /* the guard mattered */
    arena_free(a);
}

/* A row and its mark are committed while a refresh computes: the next refresh must see them. With the marks
 * removed after the computation instead of before it, the mark is lost and the feature stays wrong. */
static void *refresh_on_a_thread(void *arg)
{
    bench_refresh(arg);
    return NULL;
}

static void run(connection *c, const char *sql)
{
    status st;
    must(connection_exec(c, sql, NULL, 0, NULL, &st), &st);
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
    bench_post(b, first, strlen(first), DECODE_NDJSON);
    must(connection_begin(blocker, &st), &st);
    run(blocker, block);
    assert_int_equal(pthread_create(&thread, NULL, refresh_on_a_thread, b), 0);
    bench_wait_blocked(b, "%INSERT INTO%");
    bench_post(b, second, strlen(second), DECODE_NDJSON);
    connection_rollback(blocker);
    pthread_join(thread, NULL);
    bench_refresh(b);
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
        cmocka_unit_test_setup_teardown(features_end_as_expected_whatever_the_order, bench_make, bench_free),
        cmocka_unit_test_setup_teardown(refused_rows_become_dead_letters, bench_make, bench_free),
        cmocka_unit_test_setup_teardown(the_position_keeps_a_repeated_record_out, bench_make, bench_free),
        cmocka_unit_test_setup_teardown(a_mark_made_during_a_refresh_is_not_lost, bench_make, bench_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
