/* What training leaves behind: options, column names, one set of numbers for all rows together and one for
 * each entity with rows enough. fit_save writes it as the artifact, fit_load reads it back. */
#ifndef ANOMALY_FIT_H
#define ANOMALY_FIT_H
#include "deviation.h"
#include "novelty.h"
#include "penstock/batch.h"
#include "series.h"

#define FIT_COLUMNS_MAX 64u
#define FIT_ARTIFACT_MAX_BYTES (64u * 1024 * 1024) /* entities beyond share the pooled numbers */

typedef enum fit_method { FIT_STATE = 1, FIT_CHANGE = 2 } fit_method;

typedef struct fit_options {
    uint32_t method, p, window, memory;
    double drift, sensitivity;
} fit_options;

typedef struct fit_entity {
    pst_bytes name;
    double *numbers;
} fit_entity;

typedef struct fit {
    fit_options options;
    const char *columns[FIT_COLUMNS_MAX];
    double *pooled;
    fit_entity *entities; /* ascending by name */
    uint32_t n_entities;
    void *memory; /* what everything above lies in, if loaded */
} fit;

/* Learns; the series must outlive the fit. */
pst_status fit_make(const series *s, const fit_options *options, fit *out, pst_error *error);
pst_status fit_save(const fit *f, pst_blob *out, pst_error *error);
pst_status fit_load(pst_bytes artifact, fit *out, pst_error *error);
void fit_free(fit *f); /* zeroed is fine */

/* Score 0 … 1 of each row of the entity that is to be scored, into scores[row]; NaN = cannot be judged. */
bool fit_score(const fit *f, const series *s, const series_entity *entity, double *scores);
#endif
