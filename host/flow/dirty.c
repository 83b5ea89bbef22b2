/* Open addressing over (dependant, bucket, entity). Rows of one device tend to lie in runs, so the entity of
 * the row before is compared first: most rows cost one comparison and one division. */
#include "flow/dirty.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/name.h"
#include "base/text.h"
#include "base/utc.h"

typedef struct entry {
    uint64_t hash;
    int64_t bucket_us;
    uint32_t dependant, n_parts;
    size_t parts, parts_len; /* in `bytes` */
} entry;

struct dirty_set {
    entry *entries;
    uint32_t count, cap;
    uint32_t *slots; /* entry number + 1; 0 = free; power of two */
    uint32_t n_slots;
    text bytes, key; /* all entities; the entity of the row at hand */
};

enum { FIRST_SLOTS = 256 };

dirty_set *dirty_create(void)
{
    dirty_set *set = memory_zero(1, sizeof *set);
    set->n_slots = FIRST_SLOTS;
    set->slots = memory_zero(set->n_slots, sizeof *set->slots);
    return set;
}

void dirty_free(dirty_set *set)
{
    if (!set)
        return;
    text_free(&set->bytes);
    text_free(&set->key);
    free(set->entries);
    free(set->slots);
    free(set);
}

void dirty_clear(dirty_set *set)
{
    set->count = 0;
    text_clear(&set->bytes);
    memset(set->slots, 0, set->n_slots * sizeof *set->slots);
}

static void slot_put(dirty_set *set, uint32_t number)
{
    uint32_t i = (uint32_t)set->entries[number].hash & (set->n_slots - 1);
    while (set->slots[i])
        i = (i + 1) & (set->n_slots - 1);
    set->slots[i] = number + 1;
}

static void slots_double(dirty_set *set)
{
    free(set->slots);
    set->n_slots *= 2;
    set->slots = memory_zero(set->n_slots, sizeof *set->slots);
    for (uint32_t n = 0; n < set->count; n++)
        slot_put(set, n);
}

static bool entry_is(const dirty_set *set, const entry *e, uint64_t hash, int64_t bucket_us,
                     const dirty_rule *rule)
{
    return e->hash == hash && e->bucket_us == bucket_us && e->dependant == rule->dependant &&
           e->parts_len == set->key.len &&
           memcmp(set->bytes.data + e->parts, set->key.data, set->key.len) == 0;
}

static void insert(dirty_set *set, uint64_t entity_hash, int64_t bucket_us, const dirty_rule *rule)
{
    uint64_t mixed[3] = {entity_hash, (uint64_t)bucket_us, rule->dependant};
    uint64_t hash = name_hash(mixed, sizeof mixed);
    for (uint32_t i = (uint32_t)hash & (set->n_slots - 1); set->slots[i]; i = (i + 1) & (set->n_slots - 1))
        if (entry_is(set, &set->entries[set->slots[i] - 1], hash, bucket_us, rule))
            return;
    if (set->count == set->cap) {
        set->cap = set->cap ? set->cap * 2 : 64;
        set->entries = memory_grow(set->entries, set->cap * sizeof *set->entries);
    }
    set->entries[set->count] =
        (entry){hash, bucket_us, rule->dependant, rule->n_entity, set->bytes.len, set->key.len};
    text_add_n(&set->bytes, set->key.data, set->key.len);
    slot_put(set, set->count++);
    if (set->count * 2 > set->n_slots)
        slots_double(set);
}

static void add_uuid(text *key, const uint8_t *id)
{
    for (int i = 0; i < 16; i++)
        text_printf(key, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", id[i]);
}

/* The text form that PostgreSQL gives the same value, so that it can be cast back. */
static void add_part(text *key, const column *c, uint32_t row)
{
    char buffer[UTC_TEXT_SIZE];
    switch (c->type) {
    case COLUMN_TEXT:
    case COLUMN_JSON:
        text_add_n(key, c->data + c->offsets[row], (size_t)(c->offsets[row + 1] - c->offsets[row]));
        break;
    case COLUMN_INTEGER:
        text_printf(key, "%" PRId64, ((const int64_t *)c->values)[row]);
        break;
    case COLUMN_NUMBER:
        text_add_json_number(key, ((const double *)c->values)[row]);
        break;
    case COLUMN_BOOLEAN:
        text_add(key, bitmap_get(c->values, row) ? "true" : "false");
        break;
    case COLUMN_TIMESTAMP:
        text_add_n(key, buffer, utc_format(((const int64_t *)c->values)[row], buffer));
        break;
    case COLUMN_DATE:
        text_add_n(key, buffer, utc_format_date(((const int32_t *)c->values)[row], buffer));
        break;
    case COLUMN_UUID:
        add_uuid(key, (const uint8_t *)c->values + (size_t)16 * row);
        break;
    }
    text_add_n(key, "", 1);
}

static bool same_text(const column *c, uint32_t a, uint32_t b)
{
    int32_t len = c->offsets[a + 1] - c->offsets[a];
    return len == c->offsets[b + 1] - c->offsets[b] &&
           memcmp(c->data + c->offsets[a], c->data + c->offsets[b], (size_t)len) == 0;
}

static bool same_entity_as_before(const batch *rows, const dirty_rule *rule, uint32_t row)
{
    if (row == 0)
        return false;
    for (uint32_t k = 0; k < rule->n_entity; k++) {
        const column *c = &rows->columns[rule->entity_columns[k]];
        if (c->type != COLUMN_TEXT || !same_text(c, row - 1, row))
            return false;
    }
    return true;
}

static void key_read(dirty_set *set, const batch *rows, const dirty_rule *rule, uint32_t row)
{
    text_clear(&set->key);
    for (uint32_t k = 0; k < rule->n_entity; k++)
        add_part(&set->key, &rows->columns[rule->entity_columns[k]], row);
}

static int64_t shifted(int64_t us, int64_t by_us)
{
    int64_t out;
    if (__builtin_add_overflow(us, by_us, &out) || out < UTC_MIN_US || out > UTC_MAX_US)
        return by_us < 0 ? UTC_MIN_US : UTC_MAX_US;
    return out;
}

/* The buckets of the row before: most rows lie in the same, so that no calendar is asked for them. */
typedef struct near {
    int64_t start_us, end_us;  /* of the row's own bucket */
    int64_t first_us, last_us; /* that its time dirties, inclusive; valid with reach */
} near;

static void insert_reached(dirty_set *set, uint64_t hash, int64_t at_us, const dirty_rule *rule, near *last)
{
    int64_t first = bucket_start(rule->bucket, shifted(at_us, -rule->after_us));
    int64_t end = shifted(at_us, rule->before_us);
    if (first == last->first_us && end < last->last_us)
        return;
    int64_t bucket = first;
    for (; bucket <= end; bucket = bucket_end(rule->bucket, bucket))
        if (bucket >= rule->oldest_us)
            insert(set, hash, bucket, rule);
    last->first_us = first;
    last->last_us = bucket; /* the first one that is not reached */
}

uint32_t dirty_add(dirty_set *set, const batch *rows, const dirty_rule *rule)
{
    const int64_t *times = rows->columns[rule->time_column].values;
    const near none = {INT64_MAX, INT64_MIN, INT64_MAX, INT64_MIN};
    bool reaches = rule->before_us || rule->after_us;
    uint64_t hash = 0;
    uint32_t too_old = 0;
    near last = none;
    assert(rows->columns[rule->time_column].type == COLUMN_TIMESTAMP);
    for (uint32_t row = 0; row < rows->n_rows; row++) {
        bool inside = times[row] >= last.start_us && times[row] < last.end_us;
        bool same = same_entity_as_before(rows, rule, row);
        if (!inside) {
            last.start_us = bucket_start(rule->bucket, times[row]);
            last.end_us = bucket_end(rule->bucket, times[row]);
        }
        too_old += last.start_us < rule->oldest_us;
        if (same && inside && !reaches)
            continue;
        if (!same) {
            key_read(set, rows, rule, row);
            hash = name_hash(set->key.data, set->key.len);
            last.first_us = none.first_us;
        }
        if (reaches)
            insert_reached(set, hash, times[row], rule, &last);
        else if (last.start_us >= rule->oldest_us)
            insert(set, hash, last.start_us, rule);
    }
    return too_old;
}

uint32_t dirty_count(const dirty_set *set)
{
    return set->count;
}

dirty_mark dirty_at(const dirty_set *set, uint32_t i)
{
    assert(i < set->count);
    const entry *e = &set->entries[i];
    return (dirty_mark){e->dependant, e->n_parts, e->bucket_us, set->bytes.data + e->parts};
}
