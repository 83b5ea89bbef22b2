/* The index on a datastore's `_seq`, which sinks and live views read by: a B-tree where rows are corrected,
 * BRIN where they only come. On a table that has rows it is built while writers go on: at once, or partition
 * by partition, each then made part of the table's. What a build that broke off has left is taken away first.
 */
#ifndef PENSTOCK_STORE_SEQ_INDEX_H
#define PENSTOCK_STORE_SEQ_INDEX_H
#include "base/text.h"
#include "store/connection.h"
#include "store/table.h"

/* "; CREATE INDEX …", for a table that is made in the same breath. */
void seq_index_sql(text *sql, const store_table *t);
/* `c` must not be inside a transaction: waits for those that run in the database, and takes as long as
 * reading the table does. STATUS_UNAVAILABLE: the table could not be had for a moment; try again. */
status_class seq_index_build(connection *c, const store_table *t, status *st);
status_class seq_index_drop(connection *c, const store_table *t, status *st);
#endif
