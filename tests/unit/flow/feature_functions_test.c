/* The functions of the data plane that features are written with: buckets as the host cuts them, gaps, values
 * weighed by time, counters; by hand-computed cases. */
#include "support/check.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "base/text.h"
#include "base/utc.h"
#include "control/bucket.h"
#include "store/migrations.h"
#include "support/cluster.h"

static connection *c;

static int set_up(void **state)
{
    status st;
    (void)state;
    if (!test_cluster())
        return 0;
    test_database("functions");
    c = test_connect("functions");
    return migrations_run(c, MIGRATION_DATA, NULL, &st) == STATUS_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    connection_close(c);
    return 0;
}

/* Points (time in seconds, value) as the relation p(t, v). */
#define POINTS(points) "(SELECT to_timestamp(s) AS t, v::float8 AS v FROM (VALUES " points ") AS x(s, v)) p"
#define BOUNDS ", to_timestamp(0), to_timestamp(600)"
static const double nothing = -999999;

static void check(const char *what, const char *from, double want)
{
    char sql[1024];
    status st;
    rows *r = NULL;
    snprintf(sql, sizeof sql, "SELECT (%s)::float8 FROM %s", what, from);
    if (connection_exec(c, sql, NULL, 0, &r, &st) != STATUS_OK)
        fail_msg("%s\n%s", st.text, sql);
    double got = rows_null(r, 0, 0) ? nothing : rows_number(r, 0, 0);
    rows_free(r);
    if (fabs(got - want) > 1e-9 * fmax(1, fabs(want)))
        fail_msg("%s FROM %s: %.12g, should be %.12g", what, from, got, want);
}

static void gaps_are_filled(void **state)
{
    (void)state;
    if (!c)
        skip();
    const char *p = POINTS("(0, 10), (100, 20), (300, 'NaN'::float8), (400, 50)");
    check("penstock.interpolate(v, t, to_timestamp(50))", p, 15);
    check("penstock.interpolate(v, t, to_timestamp(100))", p, 20);
    check("penstock.interpolate(v, t, to_timestamp(250))", p, 35);
    check("penstock.interpolate(v, t, to_timestamp(400))", p, 50);
    check("penstock.interpolate(v, t, to_timestamp(401))", p, nothing);
    check("penstock.interpolate(v, t, to_timestamp(-1))", p, nothing);
    check("penstock.interpolate(v, t, to_timestamp(250) ORDER BY t DESC)", p, 35);
    check("penstock.value_at(v, t, to_timestamp(399))", p, 20);
    check("penstock.value_at(v, t, to_timestamp(400) ORDER BY v)", p, 50);
    check("penstock.value_at(v, t, to_timestamp(-1))", p, nothing);
    /* held, null where nothing was yet: -, 10, 10, 20 */
    check("sum(x * n)",
          "(SELECT penstock.locf(v) OVER (ORDER BY g) AS x, 10 ^ (row_number() OVER (ORDER BY g) - 1) AS n "
          "FROM "
          "penstock.gapfill('50 seconds', to_timestamp(0), to_timestamp(200)) g LEFT JOIN "
          "(VALUES (50, 10), (150, 20)) AS p(s, v) ON to_timestamp(s) = g) q",
          10 * 10 + 10 * 100 + 20 * 1000);
    check("count(*)",
          "penstock.gapfill('1 day', '2026-03-28 23:00+00', '2026-03-30 22:00+00', 'Europe/Berlin') g", 2);
}

static void values_weigh_by_time(void **state)
{
    (void)state;
    if (!c)
        skip();
    const char *p = POINTS("(-100, 0), (100, 20), (300, 20), (700, 60)");
    /* lines: 0..100 from 10 to 20, 100..300 at 20, 300..600 from 20 to 50 */
    check("penstock.integral(v, t" BOUNDS " ORDER BY t)", p, 1500 + 4000 + 10500);
    check("penstock.time_weighted_avg(v, t" BOUNDS " ORDER BY t)", p, 16000.0 / 600);
    /* held: 0..100 at 0, 100..600 at 20 */
    check("penstock.integral(v, t" BOUNDS ", 'locf' ORDER BY t)", p, 10000);
    check("penstock.time_weighted_avg(v, t" BOUNDS ", 'locf' ORDER BY t)", p, 10000.0 / 600);
    /* what is not known is not counted: held from 100 on, a line from 100 to 300 only */
    const char *q = POINTS("(100, 20), (300, 40)");
    check("penstock.time_weighted_avg(v, t" BOUNDS ", 'locf' ORDER BY t)", q, (20 * 200 + 40 * 300) / 500.0);
    check("penstock.time_weighted_avg(v, t" BOUNDS " ORDER BY t)", q, 30);
    check("penstock.integral(v, t" BOUNDS " ORDER BY t)", q, 6000);
    const char *one = POINTS("(100, 20)");
    check("penstock.time_weighted_avg(v, t" BOUNDS " ORDER BY t)", one, 20);
    check("penstock.integral(v, t" BOUNDS " ORDER BY t)", one, nothing);
    check("penstock.integral(v, t" BOUNDS ", 'locf' ORDER BY t)", one, 10000);
    const char *before = POINTS("(-50, 7)"), *after = POINTS("(650, 7)"), *empty = POINTS("(0, NULL)");
    check("penstock.integral(v, t" BOUNDS ", 'locf' ORDER BY t)", before, 4200);
    check("penstock.time_weighted_avg(v, t" BOUNDS " ORDER BY t)", before, nothing);
    check("penstock.time_weighted_avg(v, t" BOUNDS ", 'locf' ORDER BY t)", after, nothing);
    check("penstock.time_weighted_avg(v, t" BOUNDS " ORDER BY t)", empty, nothing);
    check("penstock.time_weighted_avg(v, t ORDER BY t)", p, (2000 + 4000 + 16000) / 800.0);
}

static void states_and_counters_are_summed(void **state)
{
    (void)state;
    if (!c)
        skip();
    const char *p = POINTS("(-100, 1), (50, 0), (200, 1), (550, 0)");
    check("penstock.state_duration(v = 1, t" BOUNDS " ORDER BY t)", p, 50 + 350);
    check("penstock.state_duration(v = 0, t" BOUNDS " ORDER BY t)", p, 150 + 50);
    check("penstock.state_duration(v = 2, t" BOUNDS " ORDER BY t)", p, 0);
    const char *meter = POINTS("(-60, 100), (60, 130), (120, 130), (180, 5), (240, 25), (660, 40)");
    check("penstock.counter_delta(v, t ORDER BY t)", meter, 30 + 0 + 5 + 20 + 15);
    check("penstock.counter_delta(v, t" BOUNDS " ORDER BY t)", meter, 30 + 0 + 5 + 20);
    check("penstock.counter_delta(v, t ORDER BY t)", POINTS("(0, 5)"), nothing);
    check("penstock.counter_delta(v, t ORDER BY t)", POINTS("(0, 5), (1, 'NaN'::float8), (2, 6)"), 1);
}

static void a_wrong_order_is_refused(void **state)
{
    status st;
    (void)state;
    if (!c)
        skip();
    static const char *const wrong[] = {
        "SELECT penstock.counter_delta(v, t ORDER BY t DESC) FROM " POINTS("(0, 1), (1, 2)"),
        "SELECT penstock.integral(v, t" BOUNDS " ORDER BY t DESC) FROM " POINTS("(0, 1), (1, 2)"),
        "SELECT penstock.integral(v, t" BOUNDS ", 'spline' ORDER BY t) FROM " POINTS("(0, 1), (1, 2)")};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_not_equal(connection_exec(c, wrong[i], NULL, 0, NULL, &st), STATUS_OK);
}

/* ---- buckets: the database cuts as the host does ---- */

enum { MOMENTS = 400 };

static void compare_cuts(const char *word, const char *zone, random_seeded *r)
{
    status st;
    rows *got = NULL;
    bucket_rule rule;
    char interval[BUCKET_INTERVAL_SIZE];
    int64_t moments[MOMENTS], from = 631152000 * INT64_C(1000000); /* 1990 */
    text list = {0};
    assert_int_equal(bucket_rule_read(word, zone, &rule, &st), STATUS_OK);
    for (int i = 0; i < MOMENTS; i++) {
        char when[UTC_TEXT_SIZE];
        moments[i] = from + (int64_t)(random_seeded_next(r) % (40ull * 366 * UTC_DAY_US));
        int64_t change = zone_next_change(rule.zone, moments[i]);
        if (i % 2 && change != INT64_MAX)
            moments[i] = change + (int64_t)(random_seeded_next(r) % 200) * 900000000 - 90000000000;
        utc_format(moments[i], when);
        text_printf(&list, "%s\"%s\"", i ? "," : "{", when);
    }
    text_add(&list, "}");
    value params[] = {value_text(bucket_interval(&rule, interval)), value_text(zone), value_text(list.data)};
    if (connection_exec(
            c,
            "SELECT penstock.time_bucket($1::interval, t, $2::text), penstock.bucket_end($1::interval, "
            "penstock.time_bucket($1::interval, t, $2::text), $2::text) FROM unnest($3::timestamptz[]) "
            "WITH ORDINALITY AS x(t, n) ORDER BY n",
            params, 3, &got, &st) != STATUS_OK)
        fail_msg("%s", st.text);
    for (uint32_t i = 0; i < MOMENTS; i++)
        if (rows_time_us(got, i, 0) != bucket_start(&rule, moments[i]) ||
            rows_time_us(got, i, 1) != bucket_end(&rule, moments[i]))
            fail_msg("%s in %s at %" PRId64 ": [%" PRId64 ", %" PRId64 "), the host says [%" PRId64
                     ", %" PRId64 ")",
                     word, zone, moments[i], rows_time_us(got, i, 0), rows_time_us(got, i, 1),
                     bucket_start(&rule, moments[i]), bucket_end(&rule, moments[i]));
    rows_free(got);
    text_free(&list);
}

static void the_database_cuts_as_the_host_does(void **state)
{
    static const char *const words[] = {"10m", "36h", "1d", "2d", "1w", "1mo", "1q", "1y"};
    static const char *const zones[] = {
        "UTC",          "Europe/Berlin", "America/Havana",   "America/Sao_Paulo",
        "Asia/Beirut",  "Africa/Cairo",  "America/St_Johns", "Australia/Lord_Howe",
        "Pacific/Apia", "Asia/Gaza",     "America/Asuncion", "Asia/Kathmandu"};
    random_seeded r = {test_seed()};
    (void)state;
    if (!c)
        skip();
    for (size_t w = 0; w < sizeof words / sizeof *words; w++)
        for (size_t z = 0; z < sizeof zones / sizeof *zones; z++)
            compare_cuts(words[w], zones[z], &r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gaps_are_filled), cmocka_unit_test(values_weigh_by_time),
        cmocka_unit_test(states_and_counters_are_summed), cmocka_unit_test(a_wrong_order_is_refused),
        cmocka_unit_test(the_database_cuts_as_the_host_does)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
