/* The rows of a call as a matrix of doubles, entity by entity in time order; what is missing is NaN.
 * For scoring, context rows and rows to score are merged by time. */
#ifndef ANOMALY_SERIES_H
#define ANOMALY_SERIES_H
#include <stddef.h>
#include <stdint.h>

#include "penstock/batch.h"

#define SERIES_CONTEXT UINT32_MAX

typedef struct series_entity {
    pst_bytes name; /* borrowed from the input */
    uint32_t from, to;
} series_entity;

typedef struct series {
    uint32_t p, n, n_entities;
    double *values;          /* n * p */
    uint32_t *row;           /* its index in the rows to score, or SERIES_CONTEXT */
    series_entity *entities; /* ascending by name */
} series;

/* `context` may be NULL. PST_E_DATA if a column is missing or not numeric, or the rows are not sorted. */
pst_status series_read(const pst_input *rows, const pst_input *context, const char *const *columns,
                       uint32_t p, series *out, pst_error *error);
void series_free(series *s); /* zeroed is fine */
#endif
