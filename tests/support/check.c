#include "support/check.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/disk.h"

/* PENSTOCK_TEST names the one test function to run; `*` and `?` stand for others. */
__attribute__((constructor)) static void choose_test(void)
{
    const char *only = getenv("PENSTOCK_TEST");
    if (only)
        cmocka_set_test_filter(only);
}

const char *testdata(const char *path)
{
    static char full[4096];
    const char *root = getenv("PENSTOCK_TESTDATA");
    if (!root || !*root) {
        fprintf(stderr, "SKIPPED: needs test data, PENSTOCK_TESTDATA is not set (%s)\n", path);
        return NULL;
    }
    snprintf(full, sizeof full, "%s/%s", root, path);
    if (access(full, R_OK) != 0) {
        fprintf(stderr, "SKIPPED: needs test data %s\n", full);
        return NULL;
    }
    return full;
}

uint64_t test_seed(void)
{
    static int printed;
    const char *set = getenv("PENSTOCK_SEED");
    uint64_t seed = set ? strtoull(set, NULL, 0) : 20260101;
    if (!printed++)
        fprintf(stderr, "seed %llu (PENSTOCK_SEED)\n", (unsigned long long)seed);
    return seed;
}

char *test_folder(void)
{
    const char *root = getenv("TMPDIR");
    char path[4096];
    snprintf(path, sizeof path, "%s/penstock-test-XXXXXX", root && *root ? root : "/tmp");
    char *made = mkdtemp(path);
    assert_non_null(made);
    return strdup(made);
}

void test_folder_remove(char *path)
{
    status st;
    disk_remove_tree(path, &st);
    free(path);
}
