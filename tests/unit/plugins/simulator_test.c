/* The simulator: the same readings after any cursor, cadence and back-fill kept, faults that show. */
#include "support/check.h"

#include <math.h>
#include <string.h>

#include "fault.h"
#include "plugin_bench.h"
#include "scene.h"

static const int64_t NOON_US = 1767268800000000; /* 2026-01-01T12:00:00Z */

static const pst_source *source(void)
{
    return penstock_plugin_v1.get_interface(PST_IF_SOURCE);
}

typedef struct readings { /* digest of a run */
    uint64_t rows, digest;
    int64_t first_us, last_us;
    double pressure_sum;
} readings;

static void digest_bytes(readings *r, const void *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        r->digest = (r->digest ^ ((const uint8_t *)data)[i]) * 1099511628211u;
}

static void digest_batch(readings *r, const pst_batch *batch)
{
    pst_column time, device, pressure;
    assert_int_equal(pst_column_find(&batch->schema, &batch->array, "time", &time, NULL), PST_OK);
    assert_int_equal(pst_column_find(&batch->schema, &batch->array, "device_id", &device, NULL), PST_OK);
    assert_int_equal(pst_column_find(&batch->schema, &batch->array, "pressure", &pressure, NULL), PST_OK);
    for (uint32_t i = 0; i < time.rows; i++) {
        int64_t at = pst_column_int(&time, i);
        double p = pst_column_real(&pressure, i);
        pst_bytes name = pst_column_bytes(&device, i);
        if (!r->rows)
            r->first_us = at;
        assert_true(at >= r->last_us || !r->rows);
        r->last_us = at;
        r->pressure_sum += p;
        r->rows++;
        digest_bytes(r, &at, sizeof at);
        digest_bytes(r, &p, sizeof p);
        digest_bytes(r, name.data, name.len);
    }
}

/* Reads all there is in batches of `max_rows`; opens again at the cursor after every `reopen` batches. */
static readings run(const char *config, uint32_t max_rows, unsigned reopen)
{
    plugin_bench b = {.wall_us = NOON_US};
    readings r = {.digest = 14695981039346656037u};
    pst_call call = plugin_bench_call();
    assert_int_equal(plugin_bench_open(&b, config), PST_OK);
    assert_int_equal(source()->open(b.self, &call, (pst_bytes){0}, &b.error), PST_OK);
    for (unsigned n = 1;; n++) {
        pst_batch batch = plugin_bench_batch();
        pst_status st = source()->read(b.self, &call, max_rows, &batch, &b.error);
        if (st == PST_IDLE) {
            assert_true(batch.next_in_ms > 0 && batch.next_in_ms <= 10000);
            break;
        }
        assert_int_equal(st, PST_OK);
        assert_true(batch.array.length <= max_rows);
        digest_batch(&r, &batch);
        size_t len = batch.cursor.len;
        memcpy(b.cursor, batch.cursor.data, len);
        plugin_bench_release(&batch);
        if (reopen && n % reopen == 0) {
            plugin_bench_close(&b);
            assert_int_equal(plugin_bench_open(&b, config), PST_OK);
            b.wall_us = NOON_US;
            assert_int_equal(source()->open(b.self, &call, (pst_bytes){b.cursor, len}, &b.error), PST_OK);
        }
    }
    source()->close(b.self);
    plugin_bench_close(&b);
    return r;
}

static void same_readings_after_any_cursor(void **state)
{
    (void)state;
    const char *config = "{\"seed\": 7, \"devices\": 3, \"backfill\": \"6h\", \"faults\": \"random\","
                         " \"plant\": \"cavitation:pump-2:40m\"}";
    readings whole = run(config, 100000, 0), parts = run(config, 7, 1);
    assert_int_equal(whole.rows, 3 * (6 * 360 + 1));
    assert_int_equal(parts.rows, whole.rows);
    assert_int_equal(parts.digest, whole.digest);
    assert_int_equal(whole.first_us, NOON_US - 6 * HOUR_US);
    assert_int_equal(whole.last_us, NOON_US);
}

static void another_seed_is_another_day(void **state)
{
    (void)state;
    assert_int_not_equal(run("{\"seed\": 1, \"backfill\": \"1h\"}", 1000, 0).digest,
                         run("{\"seed\": 2, \"backfill\": \"1h\"}", 1000, 0).digest);
}

static void idle_until_the_next_tick(void **state)
{
    (void)state;
    plugin_bench b = {.wall_us = NOON_US + 2500000};
    pst_call call = plugin_bench_call();
    pst_batch batch = plugin_bench_batch();
    assert_int_equal(plugin_bench_open(&b, "{\"devices\": 2}"), PST_OK);
    assert_int_equal(source()->open(b.self, &call, (pst_bytes){0}, &b.error), PST_OK);
    assert_int_equal(source()->read(b.self, &call, 100, &batch, &b.error), PST_OK);
    assert_int_equal(batch.array.length, 2);
    plugin_bench_release(&batch);
    batch = plugin_bench_batch();
    assert_int_equal(source()->read(b.self, &call, 100, &batch, &b.error), PST_IDLE);
    assert_int_equal(batch.next_in_ms, 7500);
    b.wall_us += 7500000;
    assert_int_equal(source()->read(b.self, &call, 100, &batch, &b.error), PST_OK);
    assert_int_equal(batch.array.length, 2);
    plugin_bench_release(&batch);
    plugin_bench_close(&b);
}

/* Ten-minute means of a device, once with a planted fault and once without. */
static void fault_means(const scene *s, int kind, int column, double *without, double *with)
{
    scene_memory m[2] = {{0}};
    noise n = {7, 1};
    *without = *with = 0;
    for (int i = 0; i < 60; i++) {
        scene_reading r;
        int64_t at = NOON_US + i * 10000000LL;
        s->read(n, at, (fault_effect){-1, 0}, &m[0], &r);
        *without += r.values[column] / 60;
        s->read(n, at, (fault_effect){kind, 1}, &m[1], &r);
        *with += r.values[column] / 60;
    }
}

static void cavitation_shows_in_means(void **state)
{
    (void)state;
    double before, after;
    fault_means(&scene_pump_station, 0, 0, &before, &after);
    assert_true(before > 2 && before < 8);
    assert_true(after < 0.8 * before);
    fault_means(&scene_pump_station, 0, 1, &before, &after);
    assert_true(after < 0.9 * before);
}

static void mini_grid_day_is_plausible(void **state)
{
    (void)state;
    scene_memory m = {0};
    noise n = {3, 0};
    double least = 100, most = 0, at_night = 0, at_noon = 0;
    for (int64_t t = NOON_US; t < NOON_US + 14 * DAY_US; t += 10 * MINUTE_US) {
        scene_reading r, again;
        scene_memory fresh = {0};
        scene_mini_grid.read(n, t, (fault_effect){-1, 0}, &m, &r);
        if ((t / MINUTE_US) % 1440 == 0) {
            scene_mini_grid.read(n, t, (fault_effect){-1, 0}, &fresh, &again);
            assert_memory_equal(r.values, again.values, 6 * sizeof(double));
            at_night += r.values[0];
        }
        if ((t / MINUTE_US) % 1440 == 720)
            at_noon += r.values[0] / 14;
        least = fmin(least, r.values[5]);
        most = fmax(most, r.values[5]);
    }
    assert_true(at_night == 0 && at_noon > 300 && at_noon < 1100);
    assert_true(least > 9 && least < 60 && most > 80 && most < 97);
}

static void wrong_plants_are_refused_with_a_place(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "fire:pump-1:4m", "leak:pump-9:4m", "leak:pump-1", "leak:pump-1:4",       "leak:pump-1:4m;",
        "leak:pump-0:4m", "leak:site-1:4m", ":::",         "leak:pump-1:4m:5m:6m"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        plugin_bench b = {.wall_us = NOON_US};
        char config[128];
        snprintf(config, sizeof config, "{\"plant\": \"%s\"}", wrong[i]);
        assert_int_equal(plugin_bench_open(&b, config), PST_E_CONFIG);
        assert_string_equal(b.error.where, "/plant");
        plugin_bench_close(&b);
    }
}

static void a_planted_fault_has_its_time(void **state)
{
    (void)state;
    fault_plan plan = {0};
    fault_scene known = {"pump-", scene_pump_station.faults, 4, 4};
    assert_int_equal(fault_parse("leak:pump-2:40m:10m,blockage:pump-1:5m", &known, &plan, NULL), PST_OK);
    assert_int_equal(plan.n_planted, 2);
    noise second = {1, 1}, first = {1, 0};
    assert_int_equal(fault_at(&plan, second, NOON_US - 40 * MINUTE_US - 1, NOON_US).kind, -1);
    assert_int_equal(fault_at(&plan, second, NOON_US - 40 * MINUTE_US, NOON_US).kind, 2);
    assert_int_equal(fault_at(&plan, second, NOON_US - 30 * MINUTE_US - 1, NOON_US).kind, 2);
    assert_int_equal(fault_at(&plan, second, NOON_US - 30 * MINUTE_US, NOON_US).kind, -1);
    assert_int_equal(fault_at(&plan, first, NOON_US + 9 * DAY_US, NOON_US).kind, 1);
}

static void a_foreign_cursor_is_refused(void **state)
{
    (void)state;
    plugin_bench b = {.wall_us = NOON_US};
    pst_call call = plugin_bench_call();
    assert_int_equal(plugin_bench_open(&b, "{}"), PST_OK);
    assert_int_equal(source()->open(b.self, &call, (pst_bytes){"xyz", 3}, &b.error), PST_E_DATA);
    plugin_bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_readings_after_any_cursor),
        cmocka_unit_test(another_seed_is_another_day),
        cmocka_unit_test(idle_until_the_next_tick),
        cmocka_unit_test(cavitation_shows_in_means),
        cmocka_unit_test(mini_grid_day_is_plausible),
        cmocka_unit_test(wrong_plants_are_refused_with_a_place),
        cmocka_unit_test(a_planted_fault_has_its_time),
        cmocka_unit_test(a_foreign_cursor_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
