/* clang-format off */
/* libpenstock-sdk: making and reading batches, so that no author fills Arrow buffers by hand.
 *
 * Profile of the Arrow C Data Interface: a top-level struct (`+s`) without nulls, offset 0, no dictionaries;
 * columns PST_BOOLEAN b · PST_INT32 i · PST_INTEGER l · PST_NUMBER g · PST_TIME tsu:UTC · PST_TEXT u ·
 * PST_BINARY z and, as `u` with the field metadata `pst.type`: PST_JSON json · PST_DATE date (2026-01-31) ·
 * PST_UUID uuid · PST_DECIMAL decimal. Names are unique. An absent column leaves the stored value as it is; a
 * null is stored.
 *
 * Not thread-safe: a builder belongs to whoever fills it. */
#ifndef PENSTOCK_BATCH_H
#define PENSTOCK_BATCH_H
#include "penstock/plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef int32_t pst_type;
enum {
    PST_BOOLEAN = 1,
    PST_INT32,
    PST_INTEGER,
    PST_NUMBER,
    PST_TIME,
    PST_TEXT,
    PST_BINARY,
    PST_JSON,
    PST_DATE,
    PST_UUID,
    PST_DECIMAL
};
#define PST_COLUMNS_MAX 1024

/* ---- Making ----
 *   pst_builder *b = pst_builder_create();
 *   int t = pst_builder_column(b, "time", PST_TIME), p = pst_builder_column(b, "pressure", PST_NUMBER);
 *   for (…) { pst_builder_set_int(b, t, at_us); pst_builder_set_real(b, p, 4.2); pst_builder_row(b); }
 *   return pst_builder_finish(b, NULL, cursor, 0, out, error);     // hands over and frees the builder's rows
 * A cell that is not set is null. What went wrong on the way (no memory, a value of another type, a cell set twice) is
 * kept and reported by finish. */
typedef struct pst_builder pst_builder;
pst_builder *pst_builder_create(void); /* NULL: no memory */
void pst_builder_free(pst_builder *b); /* NULL is fine */
/* Before the first row; -1: refused. */
int pst_builder_column(pst_builder *b, const char *name, pst_type type);
void pst_builder_set_flag(pst_builder *b, int column, bool value);   /* BOOLEAN */
void pst_builder_set_int(pst_builder *b, int column, int64_t value); /* INT32, INTEGER, TIME; NUMBER too */
void pst_builder_set_real(pst_builder *b, int column, double value); /* NUMBER */
void pst_builder_set_text(pst_builder *b, int column, const char *value); /* TEXT and its kin; NULL = null */
/* BINARY, TEXT and its kin. */
void pst_builder_set_bytes(pst_builder *b, int column, const void *data, size_t len);
void pst_builder_row(pst_builder *b);   /* ends the row */
/* One row of a raw batch (PST_BATCH_RAW): an undecoded record, and its `_meta` (a CSV header, a topic) or NULL. The
 * builder has these two columns, which the first call makes, and no others. */
void pst_builder_payload(pst_builder *b, const void *data, size_t len, const char *meta);
/* Drops rows, rejects and what went wrong, and keeps the columns: before a read is tried again. */
void pst_builder_clear(pst_builder *b);
uint32_t pst_builder_rows(const pst_builder *b);
size_t pst_builder_bytes(const pst_builder *b); /* roughly what the rows take: stop at a few MiB */
/* A record that is not a row; everything is copied. */
void pst_builder_reject(pst_builder *b, const void *payload, size_t len, const char *where,
                        const char *reason);
/* Moves the rows into `out` and keeps the columns for the next batch; stream and cursor are copied. */
pst_status pst_builder_finish(pst_builder *b, const char *stream, pst_bytes cursor, uint32_t flags,
                              pst_batch *out, pst_error *error);

/* ---- Reading ---- no allocation; views live as long as the array */
typedef struct pst_column {
    const char *name;
    pst_type type;
    uint32_t rows;
    const uint8_t *valid; /* bitmap, 1 = not null; NULL = no nulls */
    const void *values;   /* fixed-width values or the boolean bitmap */
    const int32_t *offsets;
    const char *data;
} pst_column;
/* PST_E_DATA if the column is outside the profile. */
pst_status pst_column_at(const struct ArrowSchema *schema, const struct ArrowArray *array, size_t index,
                         pst_column *out, pst_error *error);
/* PST_E_UNSUPPORTED if there is no such column. */
pst_status pst_column_find(const struct ArrowSchema *schema, const struct ArrowArray *array, const char *name,
                           pst_column *out, pst_error *error);

static inline bool pst_column_null(const pst_column *c, uint32_t row)
{
    return c->valid && !(c->valid[row >> 3] >> (row & 7) & 1);
}
static inline bool pst_column_flag(const pst_column *c, uint32_t row)
{
    return ((const uint8_t *)c->values)[row >> 3] >> (row & 7) & 1;
}
static inline int64_t pst_column_int(const pst_column *c, uint32_t row)
{
    return c->type == PST_INT32 ? ((const int32_t *)c->values)[row] : ((const int64_t *)c->values)[row];
}
/* NUMBER, and whole numbers and times as doubles. */
static inline double pst_column_real(const pst_column *c, uint32_t row)
{
    return c->type == PST_NUMBER ? ((const double *)c->values)[row] : (double)pst_column_int(c, row);
}
static inline pst_bytes pst_column_bytes(const pst_column *c, uint32_t row)
{
    pst_bytes view;
    view.data = c->data ? c->data + c->offsets[row] : NULL;
    view.len = (size_t)(c->offsets[row + 1] - c->offsets[row]);
    return view;
}
static inline bool pst_column_numeric(const pst_column *c)
{
    return c->type == PST_INT32 || c->type == PST_INTEGER || c->type == PST_NUMBER;
}

/* Fills an error: returns `code` so that a function can end with `return pst_fail(error, PST_E_CONFIG,
 * "/url", …)`. */
__attribute__((format(printf, 4, 5))) pst_status pst_fail(pst_error *error, pst_status code,
                                                          const char *where, const char *format, ...);

/* Puts a copy of the bytes into a blob that the host handed in, with its release. */
pst_status pst_blob_set(pst_blob *blob, const void *data, size_t len, pst_error *error);

#ifdef __cplusplus
}
#endif
#endif
