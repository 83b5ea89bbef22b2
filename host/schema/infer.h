/* First rows of somebody's data → a datastore's YAML: columns with types, event time, entity, units guessed
 * from names such as `pressure_bar`. What `penstock schema infer FILE` prints. The result is a proposal for a
 * person to read. */
#ifndef PENSTOCK_SCHEMA_INFER_H
#define PENSTOCK_SCHEMA_INFER_H
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/text.h"

#define INFER_COLUMNS_MAX 1000U
#define INFER_ROWS_MAX 10000U /* further rows are not looked at */

/* Rows are an array of objects. `key` is the store's. Appends to `yaml_out`. */
status_class schema_infer_rows(const char *key, const json_t *rows, text *yaml_out, status *st);
/* Cells of a CSV file, row by row: cells[row * n_columns + column]; NULL or "" is an absent value. */
status_class schema_infer_cells(const char *key, const char *const *header, size_t n_columns,
                                const char *const *cells, size_t n_rows, text *yaml_out, status *st);
#endif
