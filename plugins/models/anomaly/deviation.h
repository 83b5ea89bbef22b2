/* Method "state": how far the last few rows lie from the state that was learnt (several channels).
 *
 * Hotelling's T-squared of the mean of the last `window` rows, and of the last third of them, whichever says
 * more. The covariance has four parts:
 *   S = within / n  +  2 between  +  drift * trend  +  ridge
 * `within` is the scatter of rows inside blocks of ten (noise: shrinks with the number of rows averaged),
 * `between` that of the blocks' means beyond what noise explains (load, time of day), `trend` that of the
 * means of eighths of the training rows (warming up, wear). A trend seen in training goes on after it: for a
 * random walk the variance at twice the training span is about 14 times that seen inside it, hence drift
 * = 14. Directions that wander lose weight, relations that hold keep it. Blocks far outside of the others are
 * left out of training. The limit is checked forward: fitted on the first two thirds, its 99 % quantile on
 * the last third may only raise it (`inflate`). Missing values are NaN; a window is judged by the columns it
 * has. Plain arrays, row-major; no state. */
#ifndef ANOMALY_DEVIATION_H
#define ANOMALY_DEVIATION_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct deviation_options {
    uint32_t window; /* rows that are averaged, 1 … 1000 */
    double drift;    /* see above */
} deviation_options;

/* A fit is deviation_size(p) doubles: mean[p], scale[p], within[p*p], between[p*p], trend[p*p], inflate. */
size_t deviation_size(uint32_t p);
uint32_t deviation_rows_least(uint32_t p); /* fewer rows than this give no fit */

/* `ends`: where each entity's rows end (exclusive, ascending); blocks never span two. False: too few rows. */
bool deviation_fit(const double *rows, const uint32_t *ends, uint32_t n_ends, uint32_t p,
                   const deviation_options *options, double *fit_out);
/* Decades of the tail probability of the window's last `n` rows (n <= window); NaN if the last row has no
 * value. */
double deviation_decades(const double *fit, const double *rows, uint32_t n, uint32_t p,
                         const deviation_options *options);
#endif
