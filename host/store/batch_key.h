/* Order and identity of a batch's rows by some of its columns: the order rows are sent in (sorted by entity,
 * so the index is filled page by page, and two writers lock rows in one order) and which rows of a batch
 * share a key. */
#ifndef PENSTOCK_STORE_BATCH_KEY_H
#define PENSTOCK_STORE_BATCH_KEY_H
#include <stdint.h>

#include "base/arena.h"
#include "base/batch.h"

/* -1, 0, 1; bytes for text (as COLLATE "C"), nulls last. */
int batch_compare(const batch *b, const uint32_t *key, uint32_t n_key, uint32_t row_a, uint32_t row_b);
/* Row numbers 0…n_rows-1 sorted by `key`, equal keys in input order. In the arena. */
uint32_t *batch_order(arena *a, const batch *b, const uint32_t *key, uint32_t n_key);

typedef enum batch_pick { BATCH_FIRST, BATCH_LAST } batch_pick;
/* One row per key, sorted by key: the first or the last in input order; with `version` ≥ 0 the row with the
 * greatest value of that column (integer, number or timestamp; null lowest), input order deciding ties.
 * Returns how many. */
uint32_t batch_distinct(arena *a, const batch *b, const uint32_t *key, uint32_t n_key, batch_pick pick,
                        int32_t version, uint32_t **rows_out);
/* For merge: one row per key, later rows' present columns over earlier ones'. The result is a batch of its
 * own in the arena (no copy when no key is repeated); *rows_out names for each of its rows the newest input
 * row. Sorted by key. */
const batch *batch_fold(arena *a, const batch *b, const uint32_t *key, uint32_t n_key, int32_t version,
                        uint32_t **rows_out);
#endif
