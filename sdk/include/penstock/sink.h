/* clang-format off */
/* libpenstock-sdk for sinks: rows as JSON, ids of rows, rows that are refused. What every sink needs to turn the batch that
 * it is handed (penstock/plugin.h, PST_IF_SINK) into what its protocol carries.
 *
 *   pst_rows rows;
 *   pst_text body = {0};
 *   pst_status status = pst_rows_open(outgoing->schema, outgoing->array, &rows, error);
 *   for (uint32_t i = 0; !status && i < rows.n_rows; i++) {
 *       pst_row_json(&rows, i, 0, &body);
 *       pst_text_add(&body, "\n", 1);
 *   }
 *   …                       // body.failed: there was no memory
 *   pst_text_free(&body);
 *   pst_rows_close(&rows);
 *
 * Not thread-safe. Nothing here is part of the ABI: it is linked into the plugin. */
#ifndef PENSTOCK_SINK_H
#define PENSTOCK_SINK_H
#include "penstock/batch.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- A text that grows ---- what fails for want of memory is kept in `failed`, and asked once at the end */
typedef struct pst_text { /* zero it before first use */
    char *data; /* NUL-terminated, or NULL while nothing was added */
    size_t len, cap;
    bool failed;
} pst_text;
void pst_text_add(pst_text *t, const void *data, size_t len);
void pst_text_add_string(pst_text *t, const char *s);
void pst_text_add_json(pst_text *t, const char *s, size_t len); /* as a JSON string, with its quotes */
void pst_text_clear(pst_text *t); /* keeps the memory */
void pst_text_free(pst_text *t);  /* zeroed is fine */

/* ---- Rows ---- */
typedef struct pst_rows { /* views: they live as long as the batch */
    uint32_t n_rows;
    size_t n_columns;
    pst_column *columns;
} pst_rows;
/* PST_E_DATA: a column is outside the profile; PST_E_RESOURCE. pst_rows_close also after a failure. */
pst_status pst_rows_open(const struct ArrowSchema *schema, const struct ArrowArray *array, pst_rows *out, pst_error *error);
void pst_rows_close(pst_rows *rows); /* zeroed is fine */
const pst_column *pst_rows_find(const pst_rows *rows, const char *name); /* NULL: there is none */
/* Leaves a column out of what is written: `_received`, say. No such column is fine. */
void pst_rows_hide(pst_rows *rows, const char *name);

/* How a row is written. */
enum {
    PST_ROW_SKIP_NULLS = 1,  /* null cells are left out */
    PST_ROW_SPACE_TIMES = 2, /* times as 2026-01-31 12:00:00.000000 (UTC), not as 2026-01-31T12:00:00.000000Z */
    PST_ROW_FINITE = 4       /* NaN and the infinities as null, not as "NaN", "Infinity", "-Infinity" */
};
/* One row as a JSON object, its columns in their order; integers as they are, JSON columns as JSON, other text as strings. */
void pst_row_json(const pst_rows *rows, uint32_t row, uint32_t how, pst_text *out);
/* One cell as it stands in such an object. */
void pst_cell_json(const pst_column *c, uint32_t row, uint32_t how, pst_text *out);

enum { PST_ROW_ID_SIZE = 160 };
/* "<workspace>/<store>/<_seq>": the same on every try and different for different rows, over all workspaces: for message ids
 * and keys. The number of its bytes. */
size_t pst_row_id(const pst_host *host, const pst_outgoing *rows, uint64_t seq, char out[PST_ROW_ID_SIZE]);
/* `_seq` of a row. */
uint64_t pst_row_seq(const pst_rows *rows, uint32_t row);

/* Names a row that the far side never takes. False: there is no room for one more; answer PST_E_DATA, and the host comes with
 * smaller batches. */
__attribute__((format(printf, 5, 6))) bool pst_refuse(pst_refused *refused, size_t cap, size_t *n_refused, uint32_t row,
                                                      const char *format, ...);

#ifdef __cplusplus
}
#endif
#endif
