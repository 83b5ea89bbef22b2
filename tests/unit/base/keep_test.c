/* Small things that stay: zeroed, aligned, apart from each other, also when a block is used again. */
#include "support/check.h"

#include <stdint.h>
#include <string.h>

#include "base/keep.h"

static void is_zeroed_and_aligned(void **state)
{
    (void)state;
    const size_t sizes[] = {0,      1, 15, 16, 17, 1768, KEEP_LARGEST - 1, KEEP_LARGEST, KEEP_LARGEST + 1,
                            1 << 20};
    for (int round = 0; round < 3; round++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            unsigned char *p = keep_zero(1, sizes[i]);
            assert_int_equal((uintptr_t)p % 16, 0);
            for (size_t k = 0; k < sizes[i]; k++)
                assert_int_equal(p[k], 0);
            memset(p, 0xA5, sizes[i]);
            keep_free(p);
        }
}

/* Thousands at once, every second one freed and taken again in other sizes: none lies in another. */
static void lies_apart(void **state)
{
    (void)state;
    enum { N = 4000 };
    static unsigned char *all[N];
    static size_t sizes[N];
    for (int round = 0; round < 4; round++) {
        for (size_t i = 0; i < N; i++) {
            if (all[i] && (i + (size_t)round) % 2)
                continue;
            keep_free(all[i]);
            sizes[i] = 1 + (i * 37 + (size_t)round * 101) % 600;
            all[i] = keep_zero(1, sizes[i]);
            memset(all[i], (int)(i % 251), sizes[i]);
        }
        for (size_t i = 0; i < N; i++)
            for (size_t k = 0; k < sizes[i]; k++)
                assert_int_equal(all[i][k], i % 251);
    }
    for (size_t i = 0; i < N; i++)
        keep_free(all[i]);
}

static void keeps_texts(void **state)
{
    (void)state;
    char *a = keep_string(""), *b = keep_string("connector:rig");
    assert_string_equal(a, "");
    assert_string_equal(b, "connector:rig");
    keep_free(a);
    keep_free(b);
    keep_free(NULL);
}

static void grows(void **state)
{
    (void)state;
    static const char none[4000];
    size_t before = keep_in_use();
    char *p = keep_grow(NULL, 1), *same;
    p[0] = 'a';
    for (size_t size = 2; size < 3 * KEEP_LARGEST; size = size * 2 + 1) {
        same = p = keep_grow(p, size);
        assert_int_equal(p[0], 'a');
        assert_memory_equal(p + 1, none, size - 1 < sizeof none ? size - 1 : sizeof none);
        p = keep_grow(p, size / 2);
        assert_ptr_equal(p, same);
        assert_in_range(keep_in_use() - before, size, size + 16);
    }
    keep_free(p);
    assert_int_equal(keep_in_use(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(is_zeroed_and_aligned), cmocka_unit_test(lies_apart),
                                       cmocka_unit_test(keeps_texts), cmocka_unit_test(grows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
