/* Rows of a batch as JSON objects, for dead letters, answers and logs. Not for the hot path. */
#ifndef PENSTOCK_BASE_BATCH_JSON_H
#define PENSTOCK_BASE_BATCH_JSON_H
#include "base/batch.h"
#include "base/text.h"

/* One value; NaN and infinities become strings ("NaN", "Infinity", "-Infinity"), which JSON numbers cannot
 * hold. */
void batch_value_json(text *out, const column *c, uint32_t row);
/* The bare text of a value, without quotes: what PostgreSQL and CSV take. Nothing for null. */
void batch_value_text(text *out, const column *c, uint32_t row);
/* {"name": value, …}; absent values are left out. */
void batch_row_json(text *out, const batch *b, const char *const *names, uint32_t row);
#endif
