/* Method "change": how new a value is against everything remembered (one channel at a time).
 *
 * Four views of the series: log of the size, mean of 3, spread of 5, spread of 72 rows. In each view the gap
 * from the row's value to the nearest value of the last `memory` rows, as a share of the range of those rows.
 * The row's novelty is the second largest of the four (two views have to agree) over the limit of 1 %. What
 * was seen is known: a new level is news once, not for as long as it lasts. After news the next REST rows
 * count only if they are twice as new. Values that are missing are NaN. A row is judged by the
 * novelty_reach(memory) rows before it and nothing else: sums are kept as whole numbers, so that it does not
 * matter where a series was cut. */
#ifndef ANOMALY_NOVELTY_H
#define ANOMALY_NOVELTY_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct novelty_scale { /* learnt: two numbers a column */
    double offset;             /* added before the logarithm */
    double unit;               /* the resolution of the whole numbers */
} novelty_scale;

typedef struct novelty_views novelty_views;

uint32_t novelty_reach(uint32_t memory);
/* False: fewer than NOVELTY_ROWS_LEAST values. `stride`: numbers between two rows of the column. */
#define NOVELTY_ROWS_LEAST 60u
bool novelty_learn(const double *values, size_t n, size_t stride, novelty_scale *scale_out);

/* The views of n rows in order; NULL: no memory. Does not keep `values`. */
novelty_views *novelty_views_create(const double *values, size_t n, size_t stride, novelty_scale scale,
                                    uint32_t memory);
void novelty_views_free(novelty_views *v); /* NULL is fine */
/* Novelty of row i, 1 = the limit; NaN if its value is missing. limit: share of the range, e.g. 0.01. */
double novelty_at(const novelty_views *v, size_t i, double limit);
#endif
