/* The dirty keys of one transaction: which (bucket, entity) of which dependant must be computed again because
 * of the rows that were written. A set, so that 10,000 rows of 4 devices give a handful of marks, not 10,000.
 *
 * An entity is the text form of its key columns. The set owns its memory and is reused from transaction to
 * transaction (dirty_clear keeps it). Not thread-safe: each writer has its own. */
#ifndef PENSTOCK_FLOW_DIRTY_H
#define PENSTOCK_FLOW_DIRTY_H
#include <stdint.h>

#include "base/batch.h"
#include "control/bucket.h"

typedef struct dirty_set dirty_set;

typedef struct dirty_mark {
    uint32_t dependant; /* the caller's number for the featurestore */
    uint32_t n_parts;   /* entity columns */
    int64_t bucket_us;
    /* n_parts NUL-terminated texts, one after the other; valid until the next add or clear */
    const char *parts;
} dirty_mark;

/* Which columns of a batch make the key, how time is cut into buckets, and how far around itself a row
 * matters: SQL that looks at neighbours reads `before` in front of a bucket and `after` behind it, so a row
 * dirties the buckets up to `after` before it and up to `before` behind it. */
typedef struct dirty_rule {
    uint32_t dependant;
    uint32_t time_column;
    uint32_t n_entity;
    const uint32_t *entity_columns;
    const bucket_rule *bucket;
    int64_t before_us, after_us;
    int64_t oldest_us; /* buckets that begin before are not marked */
} dirty_rule;

dirty_set *dirty_create(void);
void dirty_free(dirty_set *set);
void dirty_clear(dirty_set *set);
/* Returns how many rows lie in buckets that are too old. */
uint32_t dirty_add(dirty_set *set, const batch *rows, const dirty_rule *rule);
uint32_t dirty_count(const dirty_set *set);
dirty_mark dirty_at(const dirty_set *set, uint32_t i);
#endif
