/* The formulas against published results: NIST's StRD data set Norris, Anscombe's first quartet, tables of t.
 */
#include "support/check.h"

#include <math.h>

#include "formulas.h"

static void near(double got, double expected, double relative)
{
    if (!(fabs(got - expected) <= relative * fabs(expected) + 1e-300))
        print_error("got %.17g, expected %.17g\n", got, expected);
    assert_true(fabs(got - expected) <= relative * fabs(expected) + 1e-300);
}

/* https://www.itl.nist.gov/div898/strd/lls/data/Norris.shtml */
static const double norris_y[] = {0.1,   338.8, 118.1, 888.0, 9.2,   228.1, 668.5, 998.5, 449.1,
                                  778.9, 559.2, 0.3,   0.1,   778.1, 668.8, 339.3, 448.9, 10.8,
                                  557.7, 228.3, 998.0, 888.8, 119.6, 0.3,   0.6,   557.6, 339.3,
                                  888.0, 998.5, 778.9, 10.2,  117.6, 228.9, 668.4, 449.2, 0.2};
static const double norris_x[] = {0.2,   337.4, 118.2, 884.6, 10.1,  226.5, 666.3, 996.3, 448.6,
                                  777.0, 558.2, 0.4,   0.6,   775.5, 666.9, 338.0, 447.5, 11.6,
                                  556.0, 228.1, 995.8, 887.6, 120.2, 0.3,   0.3,   556.8, 339.1,
                                  887.2, 999.0, 779.0, 11.1,  118.3, 229.2, 669.1, 448.9, 0.5};

static void a_line_through_certified_data(void **state)
{
    (void)state;
    formula_line line;
    assert_true(formula_fit(norris_x, norris_y, 36, &line));
    near(line.intercept, -0.262323073774029, 1e-10);
    near(line.slope, 1.00211681802045, 1e-13);
    near(line.residual_sd, 0.884796396144373, 1e-11);
    near(line.r2, 0.999993745883712, 1e-13);
}

static const double anscombe_x[] = {10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5};
static const double anscombe_y[] = {8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68};

static void correlations(void **state)
{
    (void)state;
    double r = formula_pearson(anscombe_x, anscombe_y, 11);
    near(r, 0.81642051634484, 1e-12);
    near(formula_correlation_p(r, 11), 0.002169628873078783, 1e-9);
    near(formula_spearman(anscombe_x, anscombe_y, 11), 0.818181818181818, 1e-12);
    const double up[] = {1, 2, 2, 3}, bent[] = {1, 10, 10, 1000}, flat[] = {5, 5, 5, 5};
    near(formula_spearman(up, bent, 4), 1, 1e-15); /* ties on both sides alike */
    assert_true(isnan(formula_pearson(up, flat, 4)));
    assert_true(isnan(formula_pearson(up, bent, 1)));
    assert_true(isnan(formula_correlation_p(0.5, 2)));
}

/* Offsets of 1e9 cost a naive sum of squares all its digits. */
static void large_offsets_cost_no_digits(void **state)
{
    (void)state;
    double x[11], y[11];
    for (int i = 0; i < 11; i++) {
        x[i] = anscombe_x[i] + 1e9;
        y[i] = anscombe_y[i] * 0x1p-10 + 1e9;
    }
    near(formula_pearson(x, y, 11), 0.8164205, 1e-4);
}

static void students_t(void **state)
{
    (void)state;
    near(formula_t_quantile(0.05, 1), 12.706204736432095, 1e-9);
    near(formula_t_quantile(0.05, 9), 2.2621571627409915, 1e-9);
    near(formula_t_quantile(0.01, 30), 2.7499956535672256, 1e-9);
    near(formula_t_tail(2, 5), 0.10193947882985828, 1e-10);
}

/* Draper & Smith's formula by hand for Anscombe's data at x = 10: t(9) = 2.262, s = 1.236603, x_mean = 9, Sxx
 * = 110. */
static void the_prediction_band(void **state)
{
    (void)state;
    formula_line line;
    assert_true(formula_fit(anscombe_x, anscombe_y, 11, &line));
    near(formula_band(&line, 10, 0.95),
         2.2621571627409915 * 1.236603322726322 * sqrt(1 + 1.0 / 11 + 1.0 / 110), 1e-9);
    assert_true(formula_band(&line, 14, 0.95) > formula_band(&line, 9, 0.95));
    assert_true(formula_band(&line, 9, 0.99) > formula_band(&line, 9, 0.95));
}

static void too_few_pairs_give_no_line(void **state)
{
    (void)state;
    formula_line line;
    const double same[] = {1, 1, 1};
    assert_false(formula_fit(anscombe_x, anscombe_y, 2, &line));
    assert_true(formula_fit(anscombe_x, anscombe_y, 3, &line));
    assert_false(formula_fit(same, anscombe_y, 3, &line));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_through_certified_data), cmocka_unit_test(correlations),
        cmocka_unit_test(large_offsets_cost_no_digits),  cmocka_unit_test(students_t),
        cmocka_unit_test(the_prediction_band),           cmocka_unit_test(too_few_pairs_give_no_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
