/* Reading a store page by page, in key order, on the workspace's login. A cursor is the key of the last row
 * of a page, so paging is right while rows come in, and every page costs the same. */
#ifndef PENSTOCK_FLOW_STORE_ROWS_H
#define PENSTOCK_FLOW_STORE_ROWS_H
#include "flow/flow.h"

/* `next_out`: NULL at the end. */
status_class store_rows_read(const store_table *table, connection *c, const store_query *q, arena *a,
                             metric_result *out, const char **next_out, status *st);
/* A datastore's rows behind `seq` in the order of `_seq`, with the system columns. */
status_class store_rows_since(const store_table *table, connection *c, uint64_t seq, uint32_t limit, arena *a,
                              metric_result *out, uint64_t *last_out, status *st);
#endif
