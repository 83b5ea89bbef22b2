/* The statistics themselves, over pairs of numbers without holes. Sources:
 *   Pearson's r, least squares, prediction band: Draper & Smith, Applied Regression Analysis, 3rd ed., ch. 1
 * and 3; NIST/SEMATECH e-Handbook of Statistical Methods, 4.5.2.1. Spearman's rho: Pearson's r of the ranks,
 * ties get their mean rank (Kendall, Rank Correlation Methods, ch. 3). Student's t: regularised incomplete
 * beta function by continued fraction (Abramowitz & Stegun 26.5.8, 26.7.1). */
#ifndef STATS_FORMULAS_H
#define STATS_FORMULAS_H
#include <stdbool.h>
#include <stddef.h>

/* NaN: fewer than two pairs, or one of them does not vary. */
double formula_pearson(const double *x, const double *y, size_t n);
/* NaN likewise, or no memory. */
double formula_spearman(const double *x, const double *y, size_t n);
/* Probability of an |r| at least this large if there is no relation, two-sided; NaN for n < 3. */
double formula_correlation_p(double r, size_t n);

typedef struct formula_line { /* y = intercept + slope x */
    double slope, intercept, r2, residual_sd, x_mean, x_squares;
    size_t n;
} formula_line;
/* False: fewer than three pairs, or x does not vary. */
bool formula_fit(const double *x, const double *y, size_t n, formula_line *out);
/* Half width of the band that holds the next observation at x with this confidence:
 *   t(1 - (1 - confidence) / 2, n - 2) * residual_sd * sqrt(1 + 1/n + (x - x_mean)^2 / x_squares) */
double formula_band(const formula_line *line, double x, double confidence);
/* Two-sided tail P(|T| >= t), and the t at which it is `p`. */
double formula_t_tail(double t, double df);
double formula_t_quantile(double p, double df);
#endif
