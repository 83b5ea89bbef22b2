/* Order, one row per key, and folding, against the plain definition of each on random batches. */
#include "support/check.h"

#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "store/batch_key.h"

#define ROWS 300

typedef struct data {
    batch b;
    column c[3]; /* text key, integer key, number with presence */
    int32_t offsets[ROWS + 1];
    char text[ROWS * 14];
    int64_t integers[ROWS];
    double numbers[ROWS];
    uint8_t valid[ROWS / 8 + 1], present[ROWS / 8 + 1];
} data;

static const uint32_t key[] = {0, 1};

static void make(data *d, random_seeded *r)
{
    static const char *const words[] = {"a", "b", "b\xff", "pump-00000001", "pump-00000002", "pump-0", ""};
    memset(d, 0, sizeof *d);
    for (uint32_t i = 0; i < ROWS; i++) {
        const char *w = words[random_seeded_next(r) % 7];
        d->offsets[i + 1] = d->offsets[i] + (int32_t)snprintf(d->text + d->offsets[i], 14, "%s", w);
        d->integers[i] = (int64_t)(random_seeded_next(r) % 5) - 2;
        d->numbers[i] = i;
        if (random_seeded_next(r) % 2)
            d->present[i / 8] |= (uint8_t)(1u << i % 8);
        if (random_seeded_next(r) % 4)
            d->valid[i / 8] |= (uint8_t)(1u << i % 8);
    }
    d->c[0] = (column){.type = COLUMN_TEXT, .offsets = d->offsets, .data = d->text};
    d->c[1] = (column){.type = COLUMN_INTEGER, .values = d->integers, .valid = d->valid};
    d->c[2] = (column){.type = COLUMN_NUMBER, .values = d->numbers, .present = d->present};
    d->b = (batch){ROWS, 3, d->c};
}

static void order_is_sorted_and_stable(void **state)
{
    (void)state;
    random_seeded r = {test_seed()};
    for (int round = 0; round < 20; round++) {
        data d;
        uint8_t seen[ROWS] = {0};
        arena *a = arena_create(0);
        make(&d, &r);
        uint32_t *order = batch_order(a, &d.b, key, 2);
        for (uint32_t i = 0; i < ROWS; i++)
            seen[order[i]]++;
        for (uint32_t i = 0; i < ROWS; i++)
            assert_int_equal(seen[i], 1);
        for (uint32_t i = 1; i < ROWS; i++) {
            int way = batch_compare(&d.b, key, 2, order[i - 1], order[i]);
            assert_true(way < 0 || (way == 0 && order[i - 1] < order[i]));
        }
        arena_free(a);
    }
}

/* The first, the last, or the last of the greatest version among the rows of one key. */
static uint32_t expected(const data *d, uint32_t row, batch_pick pick, int version)
{
    uint32_t best = UINT32_MAX;
    for (uint32_t i = 0; i < ROWS; i++) {
        if (batch_compare(&d->b, key, 1, row, i) != 0)
            continue;
        uint32_t v[] = {1};
        bool better = best == UINT32_MAX || (pick == BATCH_LAST && version < 0);
        if (!better && version >= 0) {
            bool null_best = column_is_null(&d->c[1], best), null_i = column_is_null(&d->c[1], i);
            better = null_best || (!null_i && batch_compare(&d->b, v, 1, best, i) <= 0);
        }
        best = better ? i : best;
    }
    return best;
}

static void one_row_per_key(void **state)
{
    (void)state;
    random_seeded r = {test_seed() + 1};
    for (int round = 0; round < 20; round++) {
        data d;
        uint32_t *rows_out, n;
        arena *a = arena_create(0);
        make(&d, &r);
        for (int how = 0; how < 3; how++) {
            batch_pick pick = how == 0 ? BATCH_FIRST : BATCH_LAST;
            int32_t version = how == 2 ? 1 : -1;
            n = batch_distinct(a, &d.b, key, 1, pick, version, &rows_out);
            assert_int_equal(n, 7);
            for (uint32_t i = 0; i < n; i++)
                assert_int_equal(rows_out[i], expected(&d, rows_out[i], pick, version));
        }
        arena_free(a);
    }
}

static void folding_keeps_the_newest_present(void **state)
{
    (void)state;
    random_seeded r = {test_seed() + 2};
    for (int round = 0; round < 20; round++) {
        data d;
        uint32_t *newest;
        arena *a = arena_create(0);
        make(&d, &r);
        const batch *f = batch_fold(a, &d.b, key, 1, -1, &newest);
        assert_int_equal(f->n_rows, 7);
        for (uint32_t i = 0; i < f->n_rows; i++) {
            uint32_t last = UINT32_MAX;
            for (uint32_t k = 0; k < ROWS; k++)
                if (batch_compare(&d.b, key, 1, newest[i], k) == 0 && column_is_present(&d.c[2], k))
                    last = k;
            assert_int_equal(newest[i], expected(&d, newest[i], BATCH_LAST, -1));
            assert_true(column_is_present(&f->columns[2], i));
            assert_true(((const double *)f->columns[2].values)[i] == last);
        }
        arena_free(a);
    }
}

static void empty_batches_are_fine(void **state)
{
    (void)state;
    data d;
    random_seeded r = {1};
    uint32_t *rows_out;
    arena *a = arena_create(0);
    make(&d, &r);
    d.b.n_rows = 0;
    assert_int_equal(batch_distinct(a, &d.b, key, 2, BATCH_LAST, -1, &rows_out), 0);
    assert_int_equal(batch_fold(a, &d.b, key, 2, -1, &rows_out)->n_rows, 0);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_is_sorted_and_stable),
        cmocka_unit_test(one_row_per_key),
        cmocka_unit_test(folding_keeps_the_newest_present),
        cmocka_unit_test(empty_batches_are_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
