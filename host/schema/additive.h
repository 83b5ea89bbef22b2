/* Compares two schemas of one store: may rows and tables live on? Used when a workspace takes a new template
 * version.
 *
 * Additive: every row that the old schema accepted is accepted, and the table only gains nullable columns.
 * Rewrite: the same for rows, but a column must be converted (integer → number). Everything else is breaking;
 * a difference in a keyword whose meaning is not compared here (anyOf, not, …) counts as breaking. */
#ifndef PENSTOCK_SCHEMA_ADDITIVE_H
#define PENSTOCK_SCHEMA_ADDITIVE_H
#include <jansson.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"

typedef enum schema_change_kind { SCHEMA_ADDITIVE = 0, SCHEMA_REWRITE, SCHEMA_BREAKING } schema_change_kind;

typedef struct schema_change {
    schema_change_kind kind;
    const char *where;    /* JSON Pointer into the new schema (the old one for what is gone) */
    const char *sentence; /* "column pressure: maximum rises from 400 to 600" */
} schema_change;

typedef struct schema_changes {
    uint32_t n;
    schema_change *items;
    schema_change_kind worst; /* SCHEMA_ADDITIVE if there is none */
} schema_changes;

/* Both must be schemas that compile. Everything lives in the arena. Order: as in the new schema, gone things
 * last. */
schema_changes schema_compare(const json_t *old_schema, const json_t *new_schema, arena *a);
#endif
