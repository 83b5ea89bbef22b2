/* Divides a batch into shards, so that all rows of one entity take the same stream and keep their order.
 * shard = name_hash(entity values) % n_shards; stable across versions, machines and batches. */
#ifndef PENSTOCK_BASE_BATCH_SPLIT_H
#define PENSTOCK_BASE_BATCH_SPLIT_H
#include "base/arena.h"
#include "base/batch.h"
#include "base/batch_builder.h"

#define BATCH_SHARDS_MAX 64

/* The hash of one row's entity; without entity columns the same for all rows. */
uint64_t batch_entity_hash(const batch *b, uint32_t row, const uint32_t *entity, uint32_t n_entity);
/* Fills parts_out[0 … n_shards-1] (empty batches have n_rows 0). A part that is the whole batch is `b`
 * itself; the others live in `a`. n_shards ≤ BATCH_SHARDS_MAX. */
void batch_split(const batch *b, const uint32_t *entity, uint32_t n_entity, uint32_t n_shards, arena *a,
                 batch *parts_out);
#endif
