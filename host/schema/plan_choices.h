/* The set of an enum's values, by type; between schema/row_plan.c, which makes it, and schema/row_check.c. */
#ifndef PENSTOCK_SCHEMA_PLAN_CHOICES_H
#define PENSTOCK_SCHEMA_PLAN_CHOICES_H
#include <jansson.h>

#include "base/arena.h"
#include "schema/row_plan.h"

/* Texts are borrowed from the array. */
plan_choices *plan_choices_make(arena *a, const json_t *values);
#endif
