/* What every cmocka test includes: the headers in the order that cmocka wants, and where the test data lies.
 */
#ifndef PENSTOCK_TESTS_CHECK_H
#define PENSTOCK_TESTS_CHECK_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
/* cmocka last */
#include <cmocka.h>

/* <PENSTOCK_TESTDATA or ../shared/data>/<path>; NULL (and a line that names the test) if that folder is not
 * there: the caller then calls skip(). The text lives until the next call. */
const char *testdata(const char *path);
/* Seed of this run: PENSTOCK_SEED or a fixed one; printed once. */
uint64_t test_seed(void);
/* A fresh folder under TMPDIR that test_folder_remove deletes. */
char *test_folder(void);
void test_folder_remove(char *path);
#endif
