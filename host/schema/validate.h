/* Checks a JSON value against a compiled schema and says what is wrong, where, in sentences.
 *
 * Thread-safe on one schema. Work and depth are bounded by the schema's limits: a bomb ends with
 * STATUS_LIMIT, an endless $ref or $dynamicRef with STATUS_INVALID and keyword "$ref"/"$dynamicRef". */
#ifndef PENSTOCK_SCHEMA_VALIDATE_H
#define PENSTOCK_SCHEMA_VALIDATE_H
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "schema/compile.h"

typedef struct schema_error {
    const char *instance; /* JSON Pointer into the value; "" is the whole of it */
    /* URI of the document (empty for one without $id), '#', JSON Pointer of the keyword */
    const char *schema;
    const char *keyword;  /* "minimum" …; "false" for a schema that is false */
    const char *sentence; /* "must be at most 400" */
} schema_error;

/* Set `arena` and `max`; strings and the array live in the arena. */
typedef struct schema_errors {
    arena *arena;
    uint32_t max; /* how many to collect; 0 = none, only the verdict */
    uint32_t n;   /* collected */
    schema_error *items;
} schema_errors;

/* STATUS_OK if the value is valid; STATUS_INVALID with the first error in `st` (where = instance pointer) if
 * not; STATUS_LIMIT when the step, depth or pattern budget is used up. `errors` may be NULL. Without errors
 * to collect it stops at the first failure. */
status_class schema_validate(const schema *s, const json_t *value, schema_errors *errors, status *st);
#endif
