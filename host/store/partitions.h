/* Partitions by time, made where rows are and nowhere else: an empty one costs five relations a store. CREATE
 * and ATTACH run in a transaction of their own with a lock timeout, before the batch, so nothing queues
 * behind a long query. A cache of known ranges makes the call free once they exist. Beyond PARTITIONS_MAX
 * live ones, new ones grow to ten years so that history is never refused. */
#ifndef PENSTOCK_STORE_PARTITIONS_H
#define PENSTOCK_STORE_PARTITIONS_H
#include "store/connection.h"
#include "store/table.h"

#define PARTITIONS_MAX 64
#define PARTITIONS_LOCK_TIMEOUT_MS 2000
#define PARTITIONS_TRIES 5

typedef struct partition_cache partition_cache; /* one per data plane; thread-safe */

partition_cache *partition_cache_create(void);
void partition_cache_free(partition_cache *cache);
/* Every time of `times` (microseconds) has a partition afterwards. `c` must not be inside a transaction.
 * Free when the cache knows the ranges. STATUS_UNAVAILABLE when the lock could not be had: try again. */
status_class partitions_ensure(partition_cache *cache, connection *c, const store_table *table,
                               const int64_t *times, uint32_t n, status *st);
/* Lower and upper bound (microseconds) and name of each partition, oldest first; empty when there are none.
 */
status_class partitions_list(connection *c, const store_table *table, rows **out, status *st);
/* Detaches and drops one, inside the caller's transaction; *rows_out is how many rows it held. */
status_class partition_drop(connection *c, const store_table *table, const char *name, int lock_timeout_ms,
                            uint64_t *rows_out, status *st);
/* Forget what is known of a table (dropped, restored, partition width changed). */
void partition_cache_forget(partition_cache *cache, const store_table *table);
/* The range of width `width` that holds `us`. */
void partition_range(partition_width width, int64_t us, int64_t *from_out, int64_t *to_out);
#endif
