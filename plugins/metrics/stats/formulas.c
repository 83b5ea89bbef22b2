/* Sums are taken about the means (two passes), so that large offsets cost no digits. */
#include "formulas.h"

#include <math.h>
#include <stdlib.h>

typedef struct moments {
    double x_mean, y_mean, xx, yy, xy;
} moments;

static moments moments_of(const double *x, const double *y, size_t n)
{
    moments m = {0};
    for (size_t i = 0; i < n; i++) {
        m.x_mean += (x[i] - m.x_mean) / (double)(i + 1);
        m.y_mean += (y[i] - m.y_mean) / (double)(i + 1);
    }
    for (size_t i = 0; i < n; i++) {
        double dx = x[i] - m.x_mean, dy = y[i] - m.y_mean;
        m.xx += dx * dx;
        m.yy += dy * dy;
        m.xy += dx * dy;
    }
    return m;
}

double formula_pearson(const double *x, const double *y, size_t n)
{
    moments m = moments_of(x, y, n);
    if (n < 2 || !(m.xx > 0) || !(m.yy > 0))
        return NAN;
    return fmax(-1, fmin(1, m.xy / sqrt(m.xx) / sqrt(m.yy)));
}

typedef struct ranked {
    double value;
    size_t index;
} ranked;

static int by_value(const void *a, const void *b)
{
    double x = ((const ranked *)a)->value, y = ((const ranked *)b)->value;
    return (x > y) - (x < y);
}

static void ranks_of(const double *v, size_t n, ranked *work, double *out)
{
    for (size_t i = 0; i < n; i++)
        work[i] = (ranked){v[i], i};
    qsort(work, n, sizeof *work, by_value);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && work[end].value == work[i].value; end++)
            ;
        for (size_t k = i; k < end; k++)
            out[work[k].index] = (double)(i + end + 1) / 2; /* ranks from 1; ties share the mean */
    }
}

double formula_spearman(const double *x, const double *y, size_t n)
{
    double *ranks = malloc((2 * n + 1) * sizeof *ranks), r = NAN;
    ranked *work = malloc((n + 1) * sizeof *work);
    if (ranks && work) {
        ranks_of(x, n, work, ranks);
        ranks_of(y, n, work, ranks + n);
        r = formula_pearson(ranks, ranks + n, n);
    }
    free(ranks);
    free(work);
    return r;
}

bool formula_fit(const double *x, const double *y, size_t n, formula_line *out)
{
    moments m = moments_of(x, y, n);
    if (n < 3 || !(m.xx > 0))
        return false;
    double slope = m.xy / m.xx, left = 0;
    for (size_t i = 0; i < n; i++) { /* from the residuals: m.yy - slope * m.xy would lose digits */
        double residual = y[i] - m.y_mean - slope * (x[i] - m.x_mean);
        left += residual * residual;
    }
    *out = (formula_line){.slope = slope,
                          .intercept = m.y_mean - slope * m.x_mean,
                          .r2 = m.yy > 0 ? 1 - left / m.yy : NAN,
                          .residual_sd = sqrt(left / (double)(n - 2)),
                          .x_mean = m.x_mean,
                          .x_squares = m.xx,
                          .n = n};
    return true;
}

/* Continued fraction of the incomplete beta function, evaluated by Lentz's method. */
static double beta_fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (fabs(d) < tiny ? tiny : d);
    double h = d;
    for (int m = 1; m < 300; m++) {
        double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        for (int k = 0; k < 2; k++) {
            double term = k ? odd : even;
            d = 1 + term * d;
            d = 1 / (fabs(d) < tiny ? tiny : d);
            c = 1 + term / c;
            c = fabs(c) < tiny ? tiny : c;
            h *= d * c;
        }
        if (fabs(d * c - 1) < 1e-15)
            break;
    }
    return h;
}

static double beta_regularised(double a, double b, double x)
{
    if (x <= 0 || x >= 1)
        return x >= 1;
    double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
    if (x < (a + 1) / (a + b + 2))
        return front * beta_fraction(a, b, x) / a;
    return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

double formula_t_tail(double t, double df)
{
    return beta_regularised(df / 2, 0.5, df / (df + t * t));
}

double formula_t_quantile(double p, double df)
{
    double low = 0, high = 1;
    while (formula_t_tail(high, df) > p && high < 1e12)
        high *= 2;
    for (int i = 0; i < 100; i++) {
        double mid = (low + high) / 2;
        if (formula_t_tail(mid, df) > p)
            low = mid;
        else
            high = mid;
    }
    return (low + high) / 2;
}

double formula_correlation_p(double r, size_t n)
{
    if (n < 3 || isnan(r))
        return NAN;
    double df = (double)n - 2, rest = 1 - r * r;
    return rest <= 0 ? 0 : formula_t_tail(fabs(r) * sqrt(df / rest), df);
}

double formula_band(const formula_line *line, double x, double confidence)
{
    double n = (double)line->n, off = x - line->x_mean;
    return formula_t_quantile(1 - confidence, n - 2) * line->residual_sd *
           sqrt(1 + 1 / n + off * off / line->x_squares);
}
