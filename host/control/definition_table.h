/* From the effective definition to tables: the descriptions (store/table.h) from which tables are made and
 * written. Everything points into the definition or the arena; both must outlive the result. */
#ifndef PENSTOCK_CONTROL_DEFINITION_TABLE_H
#define PENSTOCK_CONTROL_DEFINITION_TABLE_H
#include "base/arena.h"
#include "control/definition.h"
#include "store/table.h"

/* Columns that the host adds to every inferencestore, behind the declared ones, in this order. */
#define INFERENCE_SYSTEM_COLUMNS 4
extern const char
    *const inference_system_columns[INFERENCE_SYSTEM_COLUMNS]; /* _model _version _run _features */

void datastore_table(arena *a, int32_t wid, const defined_datastore *d, store_table *out);
/* STATUS_INVALID while the columns of its SQL are not known yet. */
status_class featurestore_table(arena *a, int32_t wid, const defined_featurestore *f, store_table *out,
                                status *st);
void inferencestore_table(arena *a, int32_t wid, const defined_inferencestore *i, store_table *out);
/* Index of a column of the table by name; -1 if there is none. */
int32_t table_column_find(const store_table *table, const char *name);
#endif
