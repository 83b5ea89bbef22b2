/* Scores feature rows in a model's plugin. Rows that kill it are found, buried and left out, as rows and as
 * context of others, as if they were not there; everything else is scored. */
#ifndef PENSTOCK_FLOW_INFER_ROWS_H
#define PENSTOCK_FLOW_INFER_ROWS_H
#include "flow/feature_rows.h"
#include "flow/inferencestore.h"
#include "flow/poison.h"

typedef struct infer_order {
    const model_plan *m;
    const champion *best;
    poison_place place;
    const char *run;
    const feature_rows *features;
    uint32_t skip; /* the first rows are context only */
} infer_order;

typedef struct infer_part { /* answer->rows row i belongs to features row rows[i] */
    instance_batch *answer;
    const uint32_t *rows; /* in the caller's arena */
} infer_part;

typedef struct infer_parts {
    infer_part *items; /* in the caller's arena */
    uint32_t n;
    uint32_t n_poison;       /* found now */
    uint32_t retry_after_ms; /* after a failure: when trying again makes sense; 0 = the caller's choice */
} infer_parts;

status_class infer_rows(const infer_order *order, arena *a, infer_parts *out, status *st);
void infer_parts_free(infer_parts *parts); /* zeroed is fine */
#endif
