/* SQL that people write, at the guard: a checked statement, or an error with a place; never a crash. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "store/sql_guard.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    status st = {0};
    arena *a = arena_create(0);
    const sql_statement *checked = NULL;
    sql_guard_options options = {0};
    status_class class = sql_guard_check(a, (const char *)data, size, &options, &checked, &st);
    if (class == STATUS_OK ? !checked->sql : !st.text[0])
        abort();
    arena_free(a);
    return 0;
}
