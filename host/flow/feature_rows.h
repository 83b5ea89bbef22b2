/* Feature rows as a batch for models and metric engines: read by SQL, typed by the store's columns, ordered
 * by entity and time, with the reserved columns `_entity` (text) and `_time` in front. */
#ifndef PENSTOCK_FLOW_FEATURE_ROWS_H
#define PENSTOCK_FLOW_FEATURE_ROWS_H
#include "base/batch_builder.h"
#include "flow/plan.h"
#include "store/connection.h"

typedef struct feature_rows {
    batch_builder *builder;
    batch rows;
    const char *const *names; /* rows.n_columns */
} feature_rows;

/* `where` is SQL behind WHERE with $1 … (NULL = all); key columns first. The names live in `a`; release with
 * feature_rows_free. */
status_class feature_rows_read(connection *c, const store_table *table, const char *where,
                               const value *params, unsigned n_params, arena *a, feature_rows *out,
                               status *st);
void feature_rows_free(feature_rows *f); /* zeroed is fine */
/* What a query gave back, as a batch with the query's own columns. */
batch_builder *rows_to_batch(const rows *from, const column_type *types, uint32_t n_columns);
#endif
