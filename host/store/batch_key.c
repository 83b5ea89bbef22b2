/* Sorting and de-duplicating a batch by key columns. Keys are first reduced to one 64-bit prefix a row that
 * sorts the same way (for the leading column), so most comparisons touch no column at all. */
#include "store/batch_key.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static int compare_int64(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

/* NaN sorts last, as in PostgreSQL; -0 and 0 are equal. */
static int compare_double(double a, double b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) - isnan(b);
    return a < b ? -1 : a > b;
}

static int compare_bytes(const column *c, uint32_t a, uint32_t b)
{
    size_t len_a = (size_t)(c->offsets[a + 1] - c->offsets[a]),
           len_b = (size_t)(c->offsets[b + 1] - c->offsets[b]);
    size_t n = len_a < len_b ? len_a : len_b;
    int order = n ? memcmp(c->data + c->offsets[a], c->data + c->offsets[b], n) : 0;
    return order ? order : len_a < len_b ? -1 : len_a > len_b;
}

static int compare_column(const column *c, uint32_t a, uint32_t b)
{
    bool null_a = column_is_null(c, a), null_b = column_is_null(c, b);
    if (null_a || null_b)
        return null_a - null_b;
    switch (c->type) {
    case COLUMN_BOOLEAN:
        return bitmap_get(c->values, a) - bitmap_get(c->values, b);
    case COLUMN_INTEGER:
    case COLUMN_TIMESTAMP:
        return compare_int64(((const int64_t *)c->values)[a], ((const int64_t *)c->values)[b]);
    case COLUMN_NUMBER:
        return compare_double(((const double *)c->values)[a], ((const double *)c->values)[b]);
    case COLUMN_DATE:
        return compare_int64(((const int32_t *)c->values)[a], ((const int32_t *)c->values)[b]);
    case COLUMN_UUID:
        return memcmp((const uint8_t *)c->values + 16u * a, (const uint8_t *)c->values + 16u * b, 16);
    case COLUMN_TEXT:
    case COLUMN_JSON:
        return compare_bytes(c, a, b);
    }
    return 0;
}

int batch_compare(const batch *b, const uint32_t *key, uint32_t n_key, uint32_t row_a, uint32_t row_b)
{
    for (uint32_t i = 0; i < n_key; i++) {
        int order = compare_column(&b->columns[key[i]], row_a, row_b);
        if (order)
            return order < 0 ? -1 : 1;
    }
    return 0;
}

/* ---- sorting ---- */

typedef struct ranked {
    uint64_t prefix; /* orders like the leading column as far as it goes */
    uint32_t row;
} ranked;

static uint64_t prefix_of(const column *c, uint32_t row)
{
    if (column_is_null(c, row))
        return UINT64_MAX;
    uint64_t bits = 0;
    switch (c->type) {
    case COLUMN_INTEGER:
    case COLUMN_TIMESTAMP:
        return ((uint64_t)((const int64_t *)c->values)[row] ^ (1ull << 63)) >>
               1; /* leaves room for null at the end */
    case COLUMN_TEXT: {
        size_t len = (size_t)(c->offsets[row + 1] - c->offsets[row]);
        const uint8_t *p = (const uint8_t *)c->data + c->offsets[row];
        for (size_t i = 0; i < 8; i++)
            bits = bits << 8 | (i < len ? p[i] : 0);
        return bits >> 1;
    }
    default:
        return 0;
    }
}

typedef struct sorter {
    const batch *b;
    const uint32_t *key;
    uint32_t n_key;
} sorter;

static bool after(const sorter *s, const ranked *a, const ranked *b)
{
    if (a->prefix != b->prefix)
        return a->prefix > b->prefix;
    return batch_compare(s->b, s->key, s->n_key, a->row, b->row) > 0;
}

static void merge_runs(const sorter *s, const ranked *from, ranked *to, uint32_t start, uint32_t middle,
                       uint32_t end)
{
    uint32_t left = start, right = middle;
    for (uint32_t i = start; i < end; i++) {
        bool take_right = left >= middle || (right < end && after(s, &from[left], &from[right]));
        to[i] = from[take_right ? right++ : left++];
    }
}

static bool in_order(const sorter *s, const ranked *list, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++)
        if (after(s, &list[i - 1], &list[i]))
            return false;
    return true;
}

/* Bottom-up merge sort: stable, so equal keys keep the order of arrival. */
static ranked *sort(arena *a, const sorter *s, ranked *list, uint32_t n)
{
    ranked *other = arena_alloc(a, (size_t)n * sizeof *other);
    if (in_order(s, list, n))
        return list;
    for (uint64_t width = 1; width < n; width *= 2) {
        for (uint64_t start = 0; start < n; start += 2 * width) {
            uint64_t middle = start + width < n ? start + width : n,
                     end = start + 2 * width < n ? start + 2 * width : n;
            merge_runs(s, list, other, (uint32_t)start, (uint32_t)middle, (uint32_t)end);
        }
        ranked *swap = list;
        list = other;
        other = swap;
    }
    return list;
}

uint32_t *batch_order(arena *a, const batch *b, const uint32_t *key, uint32_t n_key)
{
    sorter s = {b, key, n_key};
    uint32_t n = b->n_rows;
    ranked *list = arena_alloc(a, ((size_t)n + 1) * sizeof *list);
    uint32_t *order = arena_alloc(a, ((size_t)n + 1) * sizeof *order);
    for (uint32_t i = 0; i < n; i++)
        list[i] = (ranked){n_key ? prefix_of(&b->columns[key[0]], i) : 0, i};
    list = sort(a, &s, list, n);
    for (uint32_t i = 0; i < n; i++)
        order[i] = list[i].row;
    return order;
}

/* ---- one row per key ---- */

/* Whether `later` (after `earlier` in input order) is not older by its version. Null is the lowest. */
static bool not_older(const batch *b, int32_t version, uint32_t earlier, uint32_t later)
{
    if (version < 0)
        return true;
    const column *c = &b->columns[version];
    bool null_e = column_is_null(c, earlier), null_l = column_is_null(c, later);
    if (null_e || null_l)
        return null_e;
    return compare_column(c, earlier, later) <= 0;
}

uint32_t batch_distinct(arena *a, const batch *b, const uint32_t *key, uint32_t n_key, batch_pick pick,
                        int32_t version, uint32_t **rows_out)
{
    uint32_t *order = batch_order(a, b, key, n_key), n = 0;
    for (uint32_t i = 0; i < b->n_rows; i++) {
        if (n == 0 || batch_compare(b, key, n_key, order[n - 1], order[i]) != 0)
            order[n++] = order[i];
        else if (pick == BATCH_LAST && not_older(b, version, order[n - 1], order[i]))
            order[n - 1] = order[i];
    }
    *rows_out = order;
    return n;
}

/* ---- folding for merge ---- */

typedef struct fold {
    uint32_t n;       /* rows of the result */
    uint32_t *newest; /* per result row: the input row that decides _seq */
    uint32_t **from;  /* per column and result row: the input row that gives the value */
} fold;

static void set_bit(uint8_t *bits, uint32_t i)
{
    bits[i >> 3] |= (uint8_t)(1u << (i & 7));
}

static void fold_fixed(column *out, const column *c, const uint32_t *from, uint32_t n, size_t width, arena *a)
{
    uint8_t *values = arena_zero(a, (size_t)n + 1, width);
    for (uint32_t i = 0; i < n; i++)
        memcpy(values + i * width, (const uint8_t *)c->values + from[i] * width, width);
    out->values = values;
}

static void fold_text(column *out, const column *c, const uint32_t *from, uint32_t n, arena *a)
{
    int32_t *offsets = arena_alloc(a, ((size_t)n + 1) * sizeof *offsets);
    int32_t total = 0;
    for (uint32_t i = 0; i < n; i++)
        total += c->offsets[from[i] + 1] - c->offsets[from[i]];
    char *data = arena_alloc(a, (size_t)total + 1);
    offsets[0] = 0;
    for (uint32_t i = 0; i < n; i++) {
        int32_t len = c->offsets[from[i] + 1] - c->offsets[from[i]];
        if (len > 0)
            memcpy(data + offsets[i], c->data + c->offsets[from[i]], (size_t)len);
        offsets[i + 1] = offsets[i] + len;
    }
    out->offsets = offsets;
    out->data = data;
}

static column fold_column(arena *a, const column *c, const uint32_t *from, uint32_t n)
{
    column out = {.type = c->type};
    size_t bitmap = (size_t)n / 8 + 1;
    uint8_t *valid = arena_zero(a, bitmap, 1), *present = arena_zero(a, bitmap, 1),
            *bits = arena_zero(a, bitmap, 1);
    for (uint32_t i = 0; i < n; i++) {
        if (!column_is_null(c, from[i]))
            set_bit(valid, i);
        if (column_is_present(c, from[i]))
            set_bit(present, i);
        if (c->type == COLUMN_BOOLEAN && bitmap_get(c->values, from[i]))
            set_bit(bits, i);
    }
    out.valid = valid;
    out.present = present;
    out.values = bits;
    if (column_width(c->type))
        fold_fixed(&out, c, from, n, column_width(c->type), a);
    else if (c->type != COLUMN_BOOLEAN)
        fold_text(&out, c, from, n, a);
    return out;
}

/* Takes one more row of the key of result row n-1: what is present in the newer of the two wins. */
static void fold_row(const batch *b, fold *f, uint32_t row, int32_t version)
{
    uint32_t at = f->n - 1;
    bool newer = not_older(b, version, f->newest[at], row);
    for (uint32_t k = 0; k < b->n_columns; k++) {
        bool here = column_is_present(&b->columns[k], row),
             there = column_is_present(&b->columns[k], f->from[k][at]);
        if (here && (newer || !there))
            f->from[k][at] = row;
    }
    if (newer)
        f->newest[at] = row;
}

const batch *batch_fold(arena *a, const batch *b, const uint32_t *key, uint32_t n_key, int32_t version,
                        uint32_t **rows_out)
{
    uint32_t *order = batch_order(a, b, key, n_key);
    fold f = {.newest = arena_alloc(a, ((size_t)b->n_rows + 1) * sizeof(uint32_t)),
              .from = arena_alloc(a, ((size_t)b->n_columns + 1) * sizeof(uint32_t *))};
    for (uint32_t k = 0; k < b->n_columns; k++)
        f.from[k] = arena_alloc(a, ((size_t)b->n_rows + 1) * sizeof(uint32_t));
    for (uint32_t i = 0; i < b->n_rows; i++) {
        if (i > 0 && batch_compare(b, key, n_key, order[i - 1], order[i]) == 0) {
            fold_row(b, &f, order[i], version);
            continue;
        }
        for (uint32_t k = 0; k < b->n_columns; k++)
            f.from[k][f.n] = order[i];
        f.newest[f.n++] = order[i];
    }
    *rows_out = f.newest;
    column *columns = arena_alloc(a, ((size_t)b->n_columns + 1) * sizeof *columns);
    for (uint32_t k = 0; k < b->n_columns; k++)
        columns[k] = fold_column(a, &b->columns[k], f.from[k], f.n);
    batch *out = arena_alloc(a, sizeof *out);
    *out = (batch){.n_rows = f.n, .n_columns = b->n_columns, .columns = columns};
    return out;
}
