#include "support/check.h"

#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "flow/dirty.h"

static const uint32_t device_column[] = {1};
#define WIDTH_US INT64_C(600000000)
static const bucket_rule ten_minutes = {.width_us = WIDTH_US}, second = {.width_us = 1000000};
static const dirty_rule rule = {.dependant = 7,
                                .time_column = 0,
                                .n_entity = 1,
                                .entity_columns = device_column,
                                .bucket = &ten_minutes,
                                .oldest_us = INT64_MIN};

static void an_edge_belongs_to_the_later_bucket(void **state)
{
    (void)state;
    assert_int_equal(bucket_floor(600, 600), 600);
    assert_int_equal(bucket_floor(599, 600), 0);
    assert_int_equal(bucket_floor(-1, 600), -600);
    assert_int_equal(bucket_floor(-600, 600), -600);
}

enum { ROWS = 5000, DEVICES = 37, BUCKETS = 50 };

static void every_key_once(void **state)
{
    (void)state;
    static int64_t times[ROWS];
    static int32_t offsets[ROWS + 1];
    static char data[ROWS * 8];
    static bool wanted[DEVICES][BUCKETS];
    random_seeded r = {test_seed()};
    int32_t at = 0;
    unsigned keys = 0;
    memset(wanted, 0, sizeof wanted);
    for (int i = 0; i < ROWS; i++) {
        unsigned device = (unsigned)(random_seeded_next(&r) % DEVICES),
                 bucket = (unsigned)(random_seeded_next(&r) % BUCKETS);
        keys += !wanted[device][bucket];
        wanted[device][bucket] = true;
        times[i] = bucket * WIDTH_US + (int64_t)(random_seeded_next(&r) % (uint64_t)WIDTH_US);
        offsets[i] = at;
        at += sprintf(data + at, "d%u", device);
    }
    offsets[ROWS] = at;
    column columns[] = {{.type = COLUMN_TIMESTAMP, .values = times},
                        {.type = COLUMN_TEXT, .offsets = offsets, .data = data}};
    batch rows = {ROWS, 2, columns};
    dirty_set *set = dirty_create();
    for (int round = 0; round < 2; round++) { /* a second time adds nothing; a cleared set works again */
        dirty_add(set, &rows, &rule);
        dirty_add(set, &rows, &rule);
        assert_int_equal(dirty_count(set), keys);
        for (uint32_t i = 0; i < keys; i++) {
            dirty_mark mark = dirty_at(set, i);
            unsigned device;
            assert_int_equal(sscanf(mark.parts, "d%u", &device), 1);
            assert_true(wanted[device][mark.bucket_us / WIDTH_US]);
            assert_int_equal(mark.dependant, 7);
        }
        dirty_clear(set);
        assert_int_equal(dirty_count(set), 0);
    }
    dirty_free(set);
}

static void several_key_columns(void **state)
{
    (void)state;
    static const uint32_t both[] = {1, 2};
    int64_t times[] = {0, 0, 0};
    int32_t offsets[] = {0, 1, 3, 4};
    int64_t numbers[] = {12, 2, 12};
    column columns[] = {{.type = COLUMN_TIMESTAMP, .values = times},
                        {.type = COLUMN_TEXT, .offsets = offsets, .data = "aa1a"},
                        {.type = COLUMN_INTEGER, .values = numbers}};
    batch rows = {3, 3, columns};
    dirty_rule two = {.time_column = 0, .n_entity = 2, .entity_columns = both, .bucket = &second};
    dirty_set *set = dirty_create();
    dirty_add(set, &rows, &two);
    assert_int_equal(dirty_count(set), 2); /* (a,12) twice, (a1,2) once: parts never run together */
    dirty_mark mark = dirty_at(set, 1);
    assert_string_equal(mark.parts, "a1");
    assert_string_equal(mark.parts + 3, "2");
    dirty_free(set);
}

/* A row at 35:00 matters to the 10-minute buckets that read from 20 minutes before to 10 behind themselves:
 * those that begin at 20, 30, 40 and 50 minutes. */
static void a_row_dirties_the_buckets_that_reach_it(void **state)
{
    (void)state;
    int64_t minute = WIDTH_US / 10, times[] = {35 * minute, 36 * minute, 40 * minute};
    int32_t offsets[] = {0, 1, 2, 3};
    column columns[] = {{.type = COLUMN_TIMESTAMP, .values = times},
                        {.type = COLUMN_TEXT, .offsets = offsets, .data = "aaa"}};
    batch one = {1, 2, columns}, all = {3, 2, columns};
    dirty_rule reaching = rule;
    dirty_set *set = dirty_create();
    reaching.before_us = 20 * minute;
    reaching.after_us = 10 * minute;
    assert_int_equal(dirty_add(set, &one, &reaching), 0);
    assert_int_equal(dirty_count(set), 4);
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(dirty_at(set, i).bucket_us, (20 + 10 * (int64_t)i) * minute);
    assert_int_equal(dirty_add(set, &all, &reaching), 0);
    assert_int_equal(dirty_count(set), 5); /* 40:00 is read by the bucket of 60, too */
    dirty_free(set);
}

static void rows_beyond_the_horizon_are_counted(void **state)
{
    (void)state;
    int64_t times[] = {0, WIDTH_US - 1, WIDTH_US, 2 * WIDTH_US};
    int32_t offsets[] = {0, 1, 2, 3, 4};
    column columns[] = {{.type = COLUMN_TIMESTAMP, .values = times},
                        {.type = COLUMN_TEXT, .offsets = offsets, .data = "aaaa"}};
    batch rows = {4, 2, columns};
    dirty_rule late = rule;
    dirty_set *set = dirty_create();
    late.oldest_us = WIDTH_US; /* at the limit counts as in time */
    assert_int_equal(dirty_add(set, &rows, &late), 2);
    assert_int_equal(dirty_count(set), 2);
    late.oldest_us = WIDTH_US + 1;
    assert_int_equal(dirty_add(set, &rows, &late), 3);
    late.oldest_us = WIDTH_US - 1;
    assert_int_equal(dirty_add(set, &rows, &late), 2);
    dirty_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_edge_belongs_to_the_later_bucket),
        cmocka_unit_test(every_key_once),
        cmocka_unit_test(several_key_columns),
        cmocka_unit_test(a_row_dirties_the_buckets_that_reach_it),
        cmocka_unit_test(rows_beyond_the_horizon_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
