/* What a table was built as: the parts of a featurestore's definition that decide over its rows, as JSON, and
 * their fingerprint. Both stand in penstock.object, so that a change is noticed and the old rows can be kept
 * fresh while new ones are built beside them. */
#ifndef PENSTOCK_FLOW_BUILD_RECIPE_H
#define PENSTOCK_FLOW_BUILD_RECIPE_H
#include "base/arena.h"
#include "base/digest.h"
#include "flow/plan.h"

/* The caller frees it. */
char *build_recipe(const featurestore_plan *f, char hash_out[DIGEST_TEXT_SIZE]);
/* The old definition, computing into the table that people see; NULL when the marks do not fit it. */
featurestore_plan *build_recipe_old(arena *a, const featurestore_plan *f, const char *recipe);
#endif
