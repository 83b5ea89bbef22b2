/* Building, dropping, growing and splitting batches, against a plain model of the rows. */
#include "support/check.h"

#include <stdio.h>
#include <string.h>

#include "base/batch_builder.h"
#include "base/batch_split.h"
#include "base/name.h"
#include "base/random.h"

enum { N_TYPES = 8 };
static const column_type types[N_TYPES] = {COLUMN_BOOLEAN, COLUMN_INTEGER, COLUMN_NUMBER, COLUMN_TIMESTAMP,
                                           COLUMN_DATE,    COLUMN_UUID,    COLUMN_TEXT,   COLUMN_JSON};

/* A row is made of its seed alone, so a batch can be checked knowing only the seeds. */
static unsigned state_of(uint64_t seed, uint32_t col)
{
    return (unsigned)(name_hash(&seed, sizeof seed) >> (col * 4) & 7); /* 0 absent, 1 null, else a value */
}

static size_t text_of(uint64_t seed, uint32_t col, char out[64])
{
    return (size_t)snprintf(out, 64, "%.*s%llu", (int)(seed % 30), "abcdefghijklmnopqrstuvwxyzabcdefghij",
                            (unsigned long long)(seed * 31 + col));
}

static void set_value(batch_builder *b, uint32_t col, uint64_t seed)
{
    char s[64];
    uint8_t uuid[16];
    switch (types[col]) {
    case COLUMN_BOOLEAN:
        batch_builder_boolean(b, col, seed & 1);
        break;
    case COLUMN_NUMBER:
        batch_builder_number(b, col, (double)seed / 3);
        break;
    case COLUMN_DATE:
        batch_builder_date(b, col, (int32_t)seed);
        break;
    case COLUMN_UUID:
        memset(uuid, (int)seed, sizeof uuid);
        batch_builder_uuid(b, col, uuid);
        break;
    case COLUMN_TEXT:
    case COLUMN_JSON:
        batch_builder_text(b, col, s, text_of(seed, col, s));
        break;
    default:
        batch_builder_int64(b, col, (int64_t)seed);
    }
}

static void set_row(batch_builder *b, uint64_t seed)
{
    for (uint32_t i = N_TYPES; i-- > 0;) { /* not in column order */
        unsigned s = state_of(seed, i);
        if (s == 1)
            batch_builder_null(b, i);
        else if (s > 1)
            set_value(b, i, seed);
    }
}

static void check_value(const column *c, uint32_t row, uint32_t col, uint64_t seed)
{
    char s[64];
    uint8_t uuid[16];
    switch (c->type) {
    case COLUMN_BOOLEAN:
        assert_int_equal(bitmap_get(c->values, row), seed & 1);
        break;
    case COLUMN_NUMBER:
        assert_true(((const double *)c->values)[row] == (double)seed / 3);
        break;
    case COLUMN_DATE:
        assert_int_equal(((const int32_t *)c->values)[row], (int32_t)seed);
        break;
    case COLUMN_UUID:
        memset(uuid, (int)seed, sizeof uuid);
        assert_memory_equal((const uint8_t *)c->values + (size_t)row * 16, uuid, 16);
        break;
    case COLUMN_TEXT:
    case COLUMN_JSON:
        assert_int_equal(c->offsets[row + 1] - c->offsets[row], text_of(seed, col, s));
        assert_memory_equal(c->data + c->offsets[row], s, strlen(s));
        break;
    default:
        assert_int_equal(((const int64_t *)c->values)[row], (int64_t)seed);
    }
}

static void check_row(const batch *b, uint32_t row, uint64_t seed)
{
    for (uint32_t i = 0; i < N_TYPES; i++) {
        unsigned s = state_of(seed, i);
        assert_int_equal(column_is_present(&b->columns[i], row), s != 0);
        assert_int_equal(column_is_null(&b->columns[i], row), s <= 1);
        if (s > 1)
            check_value(&b->columns[i], row, i, seed);
    }
}

static void rows_come_back(void **state)
{
    (void)state;
    random_seeded r = {test_seed()};
    batch_builder *b = batch_builder_create(types, N_TYPES);
    for (unsigned round = 0; round < 20; round++) {
        uint64_t kept[3000];
        uint32_t n = 0, tries = (uint32_t)(random_seeded_next(&r) % 3000);
        for (uint32_t i = 0; i < tries; i++) {
            uint64_t seed = random_seeded_next(&r) % 1000000;
            set_row(b, seed);
            if (random_seeded_next(&r) % 4 == 0) {
                batch_builder_drop_row(b);
            } else {
                batch_builder_end_row(b);
                kept[n++] = seed;
            }
        }
        batch got = batch_builder_freeze(b);
        assert_int_equal(got.n_rows, n);
        for (uint32_t i = 0; i < n; i++)
            check_row(&got, i, kept[i]);
        batch_builder_reset(b);
    }
    batch_builder_free(b);
}

static void warm_builders_do_not_grow(void **state)
{
    (void)state;
    batch_builder *b = batch_builder_create(types, N_TYPES);
    size_t warm = 0;
    for (unsigned round = 0; round < 3; round++) {
        for (uint64_t i = 0; i < 1000; i++) {
            set_row(b, i);
            batch_builder_end_row(b);
        }
        if (round == 0)
            warm = batch_builder_bytes(b);
        assert_int_equal(batch_builder_bytes(b), warm);
        batch_builder_retype(b, types, N_TYPES);
    }
    batch_builder_free(b);
}

static void shards_hold_every_row_once_and_in_order(void **state)
{
    (void)state;
    static const uint32_t entity[] = {6, 0};
    batch_builder *b = batch_builder_create(types, N_TYPES);
    for (uint64_t i = 0; i < 777; i++) {
        set_row(b, i % 50);
        batch_builder_end_row(b);
    }
    batch whole = batch_builder_freeze(b), parts[BATCH_SHARDS_MAX];
    for (uint32_t k = 1; k <= BATCH_SHARDS_MAX;
         k = k * 2 + 1 > BATCH_SHARDS_MAX && k < BATCH_SHARDS_MAX ? BATCH_SHARDS_MAX : k * 2 + 1) {
        arena *a = arena_create(0);
        uint32_t next[BATCH_SHARDS_MAX] = {0};
        batch_split(&whole, entity, 2, k, a, parts);
        for (uint64_t i = 0; i < 777; i++) {
            uint32_t shard = (uint32_t)(batch_entity_hash(&whole, (uint32_t)i, entity, 2) % k);
            assert_true(next[shard] < parts[shard].n_rows);
            check_row(&parts[shard], next[shard]++, i % 50);
        }
        for (uint32_t s = 0; s < k; s++)
            assert_int_equal(next[s], parts[s].n_rows);
        arena_free(a);
    }
    batch_builder_free(b);
}

static void copied_rows_are_the_same(void **state)
{
    (void)state;
    batch_builder *b = batch_builder_create(types, N_TYPES), *copy = batch_builder_create(types, N_TYPES);
    uint32_t order[100];
    for (uint32_t i = 0; i < 100; i++) {
        set_row(b, i);
        batch_builder_end_row(b);
        order[i] = 99 - i;
    }
    batch from = batch_builder_freeze(b);
    batch_builder_copy_rows(copy, &from, order, 100);
    batch got = batch_builder_freeze(copy);
    for (uint32_t i = 0; i < 100; i++)
        check_row(&got, i, 99 - i);
    batch_builder_free(b);
    batch_builder_free(copy);
}

static void repeated_values_are_the_same(void **state)
{
    (void)state;
    batch_builder *b = batch_builder_create(types, N_TYPES);
    for (uint64_t i = 0; i < 600; i++) { /* past what rows and texts have room for at first */
        if (i % 3 == 0)
            set_row(b, i);
        for (uint32_t c = 0; i % 3 && c < N_TYPES; c++)
            batch_builder_repeat(b, c);
        batch_builder_end_row(b);
    }
    batch got = batch_builder_freeze(b);
    for (uint32_t i = 0; i < 600; i++)
        check_row(&got, i, i / 3 * 3);
    batch_builder_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_back),
        cmocka_unit_test(warm_builders_do_not_grow),
        cmocka_unit_test(shards_hold_every_row_once_and_in_order),
        cmocka_unit_test(copied_rows_are_the_same),
        cmocka_unit_test(repeated_values_are_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
