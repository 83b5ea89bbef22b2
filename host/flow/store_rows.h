/* Reading a store page by page, in key order, on the workspace's login. A cursor is the key of the last row
 * of a page, so paging is right while rows come in, and every page costs the same. */
#ifndef PENSTOCK_FLOW_STORE_ROWS_H
#define PENSTOCK_FLOW_STORE_ROWS_H
#include "flow/metric.h"
#include "flow/plan.h"
#include "store/connection.h"

typedef struct store_query {
    object_class class;
    const char *key;
    int64_t from_us, to_us;
    uint32_t limit; /* ≤ 10,000 */
    const char *after;
    bool system;       /* with the system columns */
    const char *since; /* xid: rows that it or a later transaction wrote; NULL = all */
} store_query;

/* `next_out`: NULL at the end. */
status_class store_rows_read(const store_table *table, connection *c, const store_query *q, arena *a,
                             metric_result *out, const char **next_out, status *st);
/* A datastore's rows behind `seq` in the order of `_seq`, with the system columns. */
status_class store_rows_since(const store_table *table, connection *c, uint64_t seq, uint32_t limit, arena *a,
                              metric_result *out, uint64_t *last_out, status *st);

/* Those up to `upto`, too. */
status_class store_rows_between(const store_table *table, connection *c, uint64_t seq, uint64_t upto,
                                uint32_t limit, arena *a, metric_result *out, uint64_t *last_out, status *st);

/* Stretches of time, each of one entity; both ends belong to it. */
typedef struct store_ranges {
    const int64_t *from_us, *to_us;
    const char *const *const *entities; /* of each its texts; NULL = every entity */
    uint32_t n;
} store_ranges;
/* The rows in them, at most `limit`; stretches that overlap give rows twice. */
status_class store_rows_ranges(const store_table *table, connection *c, const store_ranges *ranges,
                               uint32_t limit, arena *a, metric_result *out, status *st);
#endif
