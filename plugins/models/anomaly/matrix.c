/* Cholesky, and Jacobi's cyclic rotations (Golub & Van Loan, Matrix Computations, 8.5) for eigenvalues. */
#include "matrix.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { SWEEPS_MAX = 30 };

void matrix_factor(double *m, uint32_t p, double floor)
{
    for (uint32_t j = 0; j < p; j++) {
        double *row = m + (size_t)j * p, d = row[j];
        for (uint32_t k = 0; k < j; k++)
            d -= row[k] * row[k];
        row[j] = sqrt(d > floor ? d : floor);
        for (uint32_t i = j + 1; i < p; i++) {
            double *below = m + (size_t)i * p;
            for (uint32_t k = 0; k < j; k++)
                below[j] -= below[k] * row[k];
            below[j] /= row[j];
        }
    }
}

double matrix_distance(const double *factor, double *x, uint32_t p)
{
    double sum = 0;
    for (uint32_t i = 0; i < p; i++) {
        const double *row = factor + (size_t)i * p;
        for (uint32_t k = 0; k < i; k++)
            x[i] -= row[k] * x[k];
        x[i] /= row[i];
        sum += x[i] * x[i];
    }
    return sum;
}

typedef struct rotation {
    uint32_t i, j;
    double c, s;
} rotation;

static void rotate_columns(double *m, uint32_t p, rotation r)
{
    for (uint32_t k = 0; k < p; k++) {
        double *a = m + (size_t)k * p + r.i, *b = m + (size_t)k * p + r.j, old = *a;
        *a = r.c * old - r.s * *b;
        *b = r.s * old + r.c * *b;
    }
}

static void rotate_rows(double *m, uint32_t p, rotation r)
{
    for (uint32_t k = 0; k < p; k++) {
        double *a = m + (size_t)r.i * p + k, *b = m + (size_t)r.j * p + k, old = *a;
        *a = r.c * old - r.s * *b;
        *b = r.s * old + r.c * *b;
    }
}

/* One pass over all pairs; the columns of `vectors` become the eigenvectors. Returns the sum of what it
 * removed. */
static double sweep(double *m, double *vectors, uint32_t p)
{
    double removed = 0;
    for (uint32_t i = 0; i < p; i++)
        for (uint32_t j = i + 1; j < p; j++) {
            double off = m[(size_t)i * p + j], di = m[(size_t)i * p + i], dj = m[(size_t)j * p + j];
            if (fabs(off) <= 1e-15 * (fabs(di) + fabs(dj)))
                continue;
            double theta = (dj - di) / (2 * off);
            double t = (theta < 0 ? -1 : 1) / (fabs(theta) + sqrt(theta * theta + 1));
            rotation r = {i, j, 1 / sqrt(t * t + 1), t / sqrt(t * t + 1)};
            rotate_columns(m, p, r);
            rotate_rows(m, p, r);
            rotate_columns(vectors, p, r);
            removed += fabs(off);
        }
    return removed;
}

void matrix_nonnegative(double *m, uint32_t p, double *work)
{
    double values[MATRIX_MAX];
    assert(p <= MATRIX_MAX);
    memset(work, 0, (size_t)p * p * sizeof *work);
    for (uint32_t i = 0; i < p; i++)
        work[(size_t)i * p + i] = 1;
    for (int k = 0; k < SWEEPS_MAX && sweep(m, work, p) > 0; k++)
        ;
    for (uint32_t i = 0; i < p; i++)
        values[i] = fmax(0, m[(size_t)i * p + i]);
    for (uint32_t i = 0; i < p; i++)
        for (uint32_t j = 0; j < p; j++) {
            double sum = 0;
            for (uint32_t k = 0; k < p; k++)
                sum += work[(size_t)i * p + k] * values[k] * work[(size_t)j * p + k];
            m[(size_t)i * p + j] = sum;
        }
}
