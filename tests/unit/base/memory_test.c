/* Freed memory between memory in use goes back to the system. */
#include "support/check.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OTHER_MALLOC true /* a sanitizer's, which keeps what is freed */
#else
#define OTHER_MALLOC false
#endif

static long anonymous_kib(void)
{
    char line[200];
    long kib = -1;
    FILE *f = fopen("/proc/self/status", "r");
    assert_non_null(f);
    while (kib < 0 && fgets(line, sizeof line, f))
        sscanf(line, "RssAnon: %ld", &kib);
    fclose(f);
    return kib;
}

static void gives_back_what_is_freed(void **state)
{
    (void)state;
    enum { BLOCKS = 16384, BLOCK_BYTES = 2000, KEPT_EVERY = 64 };
    static char *all[BLOCKS];
    if (OTHER_MALLOC)
        skip();
    for (int i = 0; i < BLOCKS; i++)
        all[i] = memset(memory_alloc(BLOCK_BYTES), 1, BLOCK_BYTES);
    long before = anonymous_kib();
    for (int i = 0; i < BLOCKS; i++)
        if (i % KEPT_EVERY)
            free(all[i]);
    memory_give_back();
    long after = anonymous_kib();
    for (int i = 0; i < BLOCKS; i += KEPT_EVERY)
        free(all[i]);
    if (before - after < BLOCKS / 1024 * BLOCK_BYTES * 3 / 4)
        fail_msg("%ld KiB before, %ld KiB after", before, after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(gives_back_what_is_freed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
