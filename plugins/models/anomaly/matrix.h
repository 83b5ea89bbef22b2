/* The little linear algebra the model needs: symmetric matrices, row-major, of a few columns. */
#ifndef ANOMALY_MATRIX_H
#define ANOMALY_MATRIX_H
#include <stdint.h>

#define MATRIX_MAX 64u /* columns */

/* Cholesky factor in the lower triangle, in place; pivots below `floor` become `floor`. */
void matrix_factor(double *m, uint32_t p, double floor);
/* x' m^-1 x from m's factor; x is used up. */
double matrix_distance(const double *factor, double *x, uint32_t p);
/* The nearest matrix without negative eigenvalues. `work` holds p*p numbers. */
void matrix_nonnegative(double *m, uint32_t p, double *work);
#endif
