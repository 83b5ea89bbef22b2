/* Tail of the chi-squared distribution, as the score needs it: in decades, so that 1e-300 is still a number.
 */
#ifndef ANOMALY_CHI_H
#define ANOMALY_CHI_H

/* -log10 P(X >= x) for X chi-squared with `df` degrees of freedom; 0 for x <= 0. */
double chi_tail_decades(double x, double df);
/* The x whose tail has that many decades. */
double chi_tail_quantile(double decades, double df);
#endif
