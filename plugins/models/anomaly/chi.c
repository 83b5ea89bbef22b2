/* The regularised upper incomplete gamma function: its series below the mean, Lentz's continued fraction
 * above (Abramowitz & Stegun 6.5.29 and 6.5.31), both with the factor in front kept as a logarithm. */
#include "chi.h"

#include <math.h>

enum { STEPS_MAX = 500 };

static double lower_series(double a, double x)
{
    double term = 1 / a, sum = term;
    for (int k = 1; k < STEPS_MAX && term > sum * 1e-16; k++)
        sum += term *= x / (a + k);
    return sum * exp(a * log(x) - x - lgamma(a));
}

/* ln Q(a, x) for x > a + 1 */
static double upper_log(double a, double x)
{
    double b = x + 1 - a, c = 1e300, d = 1 / b, h = d;
    for (int k = 1; k < STEPS_MAX; k++) {
        double an = -k * (k - a);
        b += 2;
        d = 1 / (an * d + b);
        c = b + an / c;
        double step = c * d;
        h *= step;
        if (fabs(step - 1) < 1e-15)
            break;
    }
    return log(h) + a * log(x) - x - lgamma(a);
}

double chi_tail_decades(double x, double df)
{
    double a = df / 2, half = x / 2;
    if (!(x > 0))
        return 0;
    if (half > a + 1)
        return -upper_log(a, half) / log(10);
    double lower = lower_series(a, half);
    return lower < 1 ? -log1p(-lower) / log(10) : 16;
}

double chi_tail_quantile(double decades, double df)
{
    double low = 0, high = df + 1;
    while (chi_tail_decades(high, df) < decades)
        high *= 2;
    for (int k = 0; k < 80; k++) {
        double mid = (low + high) / 2;
        if (chi_tail_decades(mid, df) < decades)
            low = mid;
        else
            high = mid;
    }
    return (low + high) / 2;
}
