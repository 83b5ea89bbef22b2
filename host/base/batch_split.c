/* One pass counts and hashes, then each part is gathered column by column into arrays of exactly the right
 * size. Usual cases cost nothing: one shard, or all rows in one shard, give the batch itself back. */
#include "base/batch_split.h"

#include <string.h>

#include "base/name.h"

static size_t value_at(const column *c, uint32_t row, const void **data_out, uint8_t *bit)
{
    if (c->type == COLUMN_TEXT || c->type == COLUMN_JSON) {
        *data_out = c->data + c->offsets[row];
        return (size_t)(c->offsets[row + 1] - c->offsets[row]);
    }
    if (c->type == COLUMN_BOOLEAN) {
        *bit = bitmap_get(c->values, row);
        *data_out = bit;
        return 1;
    }
    size_t width = column_width(c->type);
    *data_out = (const char *)c->values + width * row;
    return width;
}

uint64_t batch_entity_hash(const batch *b, uint32_t row, const uint32_t *entity, uint32_t n_entity)
{
    uint64_t hash = 0;
    for (uint32_t i = 0; i < n_entity; i++) {
        const column *c = &b->columns[entity[i]];
        const void *data = "";
        uint8_t bit = 0;
        size_t len = column_is_null(c, row) ? 0 : value_at(c, row, &data, &bit);
        uint64_t part = name_hash(data, len);
        hash = i == 0 ? part : (hash ^ part) * UINT64_C(0x9E3779B97F4A7C15) + (hash >> 29);
    }
    return hash;
}

static uint8_t *gather_bits(const uint8_t *from, const uint32_t *rows, uint32_t n, arena *a)
{
    uint8_t *bits = arena_zero(a, ((size_t)n + 7) / 8 + 1, 1);
    for (uint32_t i = 0; i < n; i++)
        bits[i >> 3] |= (uint8_t)(bitmap_get(from, rows[i]) << (i & 7));
    return bits;
}

static void gather_text(const column *from, const uint32_t *rows, uint32_t n, arena *a, column *out)
{
    int32_t *offsets = arena_alloc(a, ((size_t)n + 1) * sizeof *offsets);
    offsets[0] = 0;
    for (uint32_t i = 0; i < n; i++)
        offsets[i + 1] = offsets[i] + from->offsets[rows[i] + 1] - from->offsets[rows[i]];
    char *data = arena_alloc(a, (size_t)offsets[n] + 1);
    for (uint32_t i = 0; i < n; i++)
        memcpy(data + offsets[i], from->data + from->offsets[rows[i]], (size_t)(offsets[i + 1] - offsets[i]));
    out->offsets = offsets;
    out->data = data;
}

static void gather_fixed(const column *from, const uint32_t *rows, uint32_t n, arena *a, column *out)
{
    size_t width = column_width(from->type);
    char *values = arena_alloc(a, width * n + 1);
    if (width == 8) {
        const uint64_t *source = from->values;
        for (uint32_t i = 0; i < n; i++)
            ((uint64_t *)(void *)values)[i] = source[rows[i]];
    } else {
        for (uint32_t i = 0; i < n; i++)
            memcpy(values + width * i, (const char *)from->values + width * rows[i], width);
    }
    out->values = values;
}

static column gather(const column *from, const uint32_t *rows, uint32_t n, arena *a)
{
    column out = {.type = from->type};
    if (from->valid)
        out.valid = gather_bits(from->valid, rows, n, a);
    if (from->present)
        out.present = gather_bits(from->present, rows, n, a);
    if (from->type == COLUMN_TEXT || from->type == COLUMN_JSON)
        gather_text(from, rows, n, a, &out);
    else if (from->type == COLUMN_BOOLEAN)
        out.values = gather_bits(from->values, rows, n, a);
    else
        gather_fixed(from, rows, n, a, &out);
    return out;
}

static batch take(const batch *b, const uint32_t *rows, uint32_t n, arena *a)
{
    if (n == 0 || n == b->n_rows)
        return (batch){n, b->n_columns, b->columns};
    column *columns = arena_alloc(a, b->n_columns * sizeof *columns);
    for (uint32_t i = 0; i < b->n_columns; i++)
        columns[i] = gather(&b->columns[i], rows, n, a);
    return (batch){n, b->n_columns, columns};
}

void batch_split(const batch *b, const uint32_t *entity, uint32_t n_entity, uint32_t n_shards, arena *a,
                 batch *parts_out)
{
    uint32_t counts[BATCH_SHARDS_MAX + 1] = {0};
    assert(n_shards >= 1 && n_shards <= BATCH_SHARDS_MAX);
    if (n_shards == 1) {
        parts_out[0] = *b;
        return;
    }
    uint8_t *shard = arena_alloc(a, (size_t)b->n_rows + 1);
    for (uint32_t row = 0; row < b->n_rows; row++) {
        shard[row] = (uint8_t)(batch_entity_hash(b, row, entity, n_entity) % n_shards);
        counts[shard[row] + 1]++;
    }
    uint32_t *rows = arena_alloc(a, ((size_t)b->n_rows + 1) * sizeof *rows), next[BATCH_SHARDS_MAX];
    for (uint32_t s = 0; s < n_shards; s++) {
        counts[s + 1] += counts[s];
        next[s] = counts[s];
    }
    for (uint32_t row = 0; row < b->n_rows; row++)
        rows[next[shard[row]]++] = row;
    for (uint32_t s = 0; s < n_shards; s++)
        parts_out[s] = take(b, rows + counts[s], counts[s + 1] - counts[s], a);
}
