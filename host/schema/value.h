/* Equality of JSON values as JSON Schema means it: 1 equals 1.0, the order of members does not matter. */
#ifndef PENSTOCK_SCHEMA_VALUE_H
#define PENSTOCK_SCHEMA_VALUE_H
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

/* Depth of values is bounded by the parser (2,048), so recursion is. `steps` is raised by the values looked
 * at. */
bool value_equal(const json_t *a, const json_t *b, uint64_t *steps);
/* Equal values have equal hashes. Seeded once a process, so that nobody can prepare collisions. */
uint64_t value_hash(const json_t *v, uint64_t *steps);

/* A fixed set of values (enum, const) with look-up by hash. */
typedef struct value_set {
    uint32_t n;
    const uint64_t *hashes; /* ascending */
    const json_t *const *values;
} value_set;
value_set *value_set_make(arena *a, const json_t *array);
bool value_set_has(const value_set *s, const json_t *v, uint64_t *steps);
/* First two equal elements of an array, or false. Stops (false) once *steps passes `budget`. */
bool value_find_duplicate(const json_t *array, uint64_t budget, uint64_t *steps, size_t *a_out,
                          size_t *b_out);

/* Code points of UTF-8. */
static inline size_t utf8_length(const char *s, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++)
        n += ((unsigned char)s[i] & 0xc0) != 0x80;
    return n;
}
#endif
