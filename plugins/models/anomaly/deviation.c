/* Fit: standardise robustly, cut each entity's rows into blocks, estimate the moments of the blocks, leave
 * out the blocks that lie outside, estimate again, then check the limit forward. Score: see the header. */
#include "deviation.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "chi.h"
#include "matrix.h"

enum { BLOCK = 10, BLOCKS_LEAST = 6, STRETCHES = 8, ROUNDS = 3, CLIP = 6 };
static const double RIDGE = 1e-3, OUTSIDE_DECADES = 6, FORWARD_DECADES = 2, LEAVE_OUT_MOST = 0.1,
                    BEYOND_SEEN = 2;

typedef struct parts { /* views into a fit */
    double *mean, *scale, *within, *between, *trend, *inflate;
} parts;

typedef struct blocks {
    double *z;       /* standardised rows */
    uint32_t *start; /* first row of each block, ascending */
    bool *kept;
    double *distance; /* of each block from the others */
    double *work;     /* p*p + 4 p numbers, and behind them one for each row */
    uint32_t n, p;
} blocks;

size_t deviation_size(uint32_t p)
{
    return 2 * (size_t)p + 3 * (size_t)p * p + 1;
}

uint32_t deviation_rows_least(uint32_t p)
{
    uint32_t by_columns = 5 * p;
    return by_columns > BLOCK * BLOCKS_LEAST ? by_columns : BLOCK * BLOCKS_LEAST;
}

static parts parts_of(double *fit, uint32_t p)
{
    double *matrices = fit + 2 * (size_t)p;
    size_t square = (size_t)p * p;
    return (parts){fit, fit + p, matrices, matrices + square, matrices + 2 * square, matrices + 3 * square};
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double sorted_median(const double *v, size_t n)
{
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* Median and 1.4826 * median absolute deviation; a constant column gets a scale from its size. */
static void column_scale(const double *rows, uint32_t n, uint32_t p, uint32_t column, double *work,
                         double *mean_out, double *scale_out)
{
    size_t count = 0;
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        if (isfinite(rows[(size_t)i * p + column]))
            work[count++] = rows[(size_t)i * p + column];
    *mean_out = 0;
    *scale_out = 0; /* never seen: not used */
    if (!count)
        return;
    qsort(work, count, sizeof *work, by_value);
    double middle = sorted_median(work, count), range = work[count - 1] - work[0];
    for (size_t i = 0; i < count; i++) {
        work[i] = fabs(work[i] - middle);
        sum += work[i];
    }
    qsort(work, count, sizeof *work, by_value);
    double scale = 1.4826 * sorted_median(work, count);
    if (!(scale > 1e-9 * range)) /* more than half of the rows are equal */
        scale = sum / (double)count;
    if (!(scale > 0))
        scale = middle != 0 ? 1e-3 * fabs(middle) : 1e-3;
    *mean_out = middle;
    *scale_out = scale;
}

/* Standardised copy; holes take the value before them (or the middle). */
static void rows_standardise(const double *rows, const uint32_t *ends, uint32_t n_ends, uint32_t p,
                             const parts *f, double *z)
{
    uint32_t i = 0;
    for (uint32_t e = 0; e < n_ends; e++)
        for (uint32_t first = i; i < ends[e]; i++)
            for (uint32_t k = 0; k < p; k++) {
                size_t at = (size_t)i * p + k;
                double v = f->scale[k] > 0 ? (rows[at] - f->mean[k]) / f->scale[k] : 0;
                z[at] = isfinite(v) ? v : i > first ? z[at - p] : 0;
            }
}

static uint32_t blocks_cut(const uint32_t *ends, uint32_t n_ends, uint32_t *start)
{
    uint32_t n = 0, from = 0;
    for (uint32_t e = 0; e < n_ends; from = ends[e++])
        for (uint32_t at = from; at + BLOCK <= ends[e]; at += BLOCK)
            start[n++] = at;
    return n;
}

static double clipped(double v, bool clip)
{
    return !clip ? v : v > CLIP ? CLIP : v < -CLIP ? -CLIP : v;
}

static void block_mean(const blocks *b, uint32_t block, bool clip, double *out)
{
    memset(out, 0, b->p * sizeof *out);
    for (uint32_t r = 0; r < BLOCK; r++)
        for (uint32_t k = 0; k < b->p; k++)
            out[k] += clipped(b->z[(size_t)(b->start[block] + r) * b->p + k], clip) / BLOCK;
}

/* matrix += (a - b)(a - b)' */
static void add_square(double *matrix, const double *a, const double *b, bool clip, uint32_t p)
{
    for (uint32_t i = 0; i < p; i++) {
        double di = clipped(a[i], clip) - b[i];
        for (uint32_t j = 0; j < p; j++)
            matrix[(size_t)i * p + j] += di * (clipped(a[j], clip) - b[j]);
    }
}

/* f->within from the rows of the kept blocks, and the mean of the block means; returns how many blocks. */
static uint32_t moments_within(const blocks *b, uint32_t from, uint32_t to, bool clip, double *mean,
                               const parts *f)
{
    uint32_t p = b->p, n = 0;
    double *block = b->work;
    memset(mean, 0, p * sizeof *mean);
    memset(f->within, 0, (size_t)p * p * sizeof(double));
    for (uint32_t i = from; i < to; i++) {
        if (!b->kept[i])
            continue;
        block_mean(b, i, clip, block);
        n++;
        for (uint32_t k = 0; k < p; k++)
            mean[k] += (block[k] - mean[k]) / n;
        for (uint32_t r = 0; r < BLOCK; r++)
            add_square(f->within, b->z + (size_t)(b->start[i] + r) * p, block, clip, p);
    }
    assert(n > 1);
    for (size_t k = 0; k < (size_t)p * p; k++)
        f->within[k] /= (double)n * (BLOCK - 1);
    return n;
}

/* Scatter of the means of `groups` equal runs of the n kept blocks about `mean`, beyond what `within`
 * explains. */
static void moments_between(const blocks *b, uint32_t from, uint32_t to, uint32_t n, uint32_t groups,
                            bool clip, const double *mean, const parts *f, double *matrix)
{
    uint32_t p = b->p, seen = 0, group = 0, size = 0;
    double *block = b->work, *sum = b->work + p;
    memset(sum, 0, p * sizeof *sum);
    memset(matrix, 0, (size_t)p * p * sizeof *matrix);
    for (uint32_t i = from; i < to; i++) {
        if (!b->kept[i])
            continue;
        block_mean(b, i, clip, block);
        size++;
        for (uint32_t k = 0; k < p; k++)
            sum[k] += (block[k] - sum[k]) / size;
        if ((uint64_t)++seen * groups < (uint64_t)(group + 1) * n)
            continue;
        add_square(matrix, sum, mean, false, p);
        memset(sum, 0, p * sizeof *sum);
        size = 0;
        group++;
    }
    double rows_each = (double)BLOCK * n / groups;
    for (size_t k = 0; k < (size_t)p * p; k++)
        matrix[k] = matrix[k] / (groups - 1) - f->within[k] / rows_each;
    matrix_nonnegative(matrix, p, b->work + 2 * (size_t)p);
}

/* Moments of the kept blocks from … to-1, in standardised units. */
static void moments(const blocks *b, uint32_t from, uint32_t to, bool clip, double *mean, const parts *f)
{
    uint32_t n = moments_within(b, from, to, clip, mean, f);
    moments_between(b, from, to, n, n, clip, mean, f, f->between);
    uint32_t stretches = n / 2 < STRETCHES ? n / 2 : STRETCHES;
    if (stretches > 1)
        moments_between(b, from, to, n, stretches, clip, mean, f, f->trend);
    else
        memcpy(f->trend, f->between, (size_t)b->p * b->p * sizeof(double));
}

/* Leaves out the blocks far from the others, at most a tenth of all. Here `between` counts once: what was
 * seen in training is asked about, not what may come after it. */
static void leave_out(blocks *b, const double *mean, const parts *f)
{
    uint32_t p = b->p, most = (uint32_t)(b->n * LEAVE_OUT_MOST);
    double *block = b->work, *matrix = b->work + p, limit = chi_tail_quantile(OUTSIDE_DECADES, p);
    for (size_t k = 0; k < (size_t)p * p; k++)
        matrix[k] = f->within[k] / BLOCK + f->between[k] + (k % (p + 1) ? 0 : RIDGE);
    matrix_factor(matrix, p, RIDGE / 2);
    double *sorted = b->work + (size_t)p * p + 4 * (size_t)p;
    for (uint32_t i = 0; i < b->n; i++) {
        block_mean(b, i, false, block);
        for (uint32_t k = 0; k < p; k++)
            block[k] -= mean[k];
        sorted[i] = b->distance[i] = matrix_distance(matrix, block, p);
    }
    qsort(sorted, b->n, sizeof *sorted, by_value);
    limit = fmax(limit, sorted[b->n - 1 - most]);
    for (uint32_t i = 0; i < b->n; i++)
        b->kept[i] = b->distance[i] <= limit;
}

static void unstandardise(const parts *f, double *mean, uint32_t p, const double *middle)
{
    for (uint32_t k = 0; k < p; k++)
        f->mean[k] = middle[k] + mean[k] * f->scale[k];
}

typedef struct judged {
    double distance;
    uint32_t columns;
} judged;

/* Mean and number of values of each column that has any; returns how many such columns. */
static uint32_t window_means(const parts *f, const double *rows, uint32_t n, uint32_t p, uint32_t *column,
                             double *mean, uint32_t *count)
{
    uint32_t m = 0;
    for (uint32_t k = 0; k < p; k++) {
        double sum = 0;
        count[m] = 0;
        for (uint32_t i = 0; i < n && f->scale[k] > 0; i++) {
            double v = rows[(size_t)i * p + k];
            if (!isfinite(v))
                continue;
            sum += v - f->mean[k];
            count[m]++;
        }
        if (!count[m])
            continue;
        mean[m] = sum / count[m] / f->scale[k];
        column[m++] = k;
    }
    return m;
}

/* Rows of the window in which both columns have a value. */
static uint32_t shared_rows(const double *rows, uint32_t n, uint32_t p, uint32_t a, uint32_t b)
{
    uint32_t shared = 0;
    for (uint32_t i = 0; i < n; i++)
        shared += isfinite(rows[(size_t)i * p + a]) && isfinite(rows[(size_t)i * p + b]);
    return shared;
}

static judged window_distance(const parts *f, const double *rows, uint32_t n, uint32_t p, double drift)
{
    double mean[MATRIX_MAX], matrix[MATRIX_MAX * MATRIX_MAX];
    uint32_t column[MATRIX_MAX], count[MATRIX_MAX + 1];
    uint32_t m = window_means(f, rows, n, p, column, mean, count);
    bool whole = true;
    for (uint32_t a = 0; a < m; a++)
        whole = whole && count[a] == n;
    for (uint32_t a = 0; a < m; a++)
        for (uint32_t b = 0; b <= a; b++) {
            size_t at = (size_t)column[a] * p + column[b];
            double both = whole ? n : shared_rows(rows, n, p, column[a], column[b]);
            matrix[(size_t)a * m + b] = f->within[at] * both / ((double)count[a] * count[b]) +
                                        BEYOND_SEEN * f->between[at] + drift * f->trend[at];
        }
    for (uint32_t a = 0; a < m; a++)
        matrix[(size_t)a * m + a] += RIDGE;
    matrix_factor(matrix, m, RIDGE / 2);
    return (judged){matrix_distance(matrix, mean, m) / *f->inflate, m};
}

double deviation_decades(const double *fit, const double *rows, uint32_t n, uint32_t p,
                         const deviation_options *options)
{
    assert(p <= MATRIX_MAX && n && n <= options->window);
    parts f = parts_of((double *)fit, p); /* only read */
    bool any = false;
    for (uint32_t k = 0; k < p; k++)
        any |= isfinite(rows[(size_t)(n - 1) * p + k]) && f.scale[k] > 0;
    if (!any)
        return NAN;
    judged whole = window_distance(&f, rows, n, p, options->drift);
    double decades = chi_tail_decades(whole.distance, whole.columns);
    uint32_t few = (options->window + 2) / 3;
    if (few >= n)
        return decades;
    judged last = window_distance(&f, rows + (size_t)(n - few) * p, few, p, options->drift);
    return fmax(0, fmax(decades, chi_tail_decades(last.distance, last.columns)) - log10(2)); /* two chances */
}

/* How much larger the distances on the kept blocks after `from` are than the fit on the ones before promises.
 */
static double forward_excess(const blocks *b, const parts *f, const double *rows, uint32_t from,
                             const deviation_options *options)
{
    double *distances = b->work + (size_t)b->p * b->p + 4 * (size_t)b->p;
    uint32_t n = 0, run = 0;
    for (uint32_t i = from; i < b->n; i++) {
        bool joined = i > from && b->kept[i - 1] && b->start[i - 1] + BLOCK == b->start[i];
        run = joined ? run : 0;
        for (uint32_t r = 0; r < BLOCK && b->kept[i]; r++) {
            run += run < options->window;
            const double *window = rows + (size_t)(b->start[i] + r + 1 - run) * b->p;
            if (run == options->window)
                distances[n++] = window_distance(f, window, run, b->p, options->drift).distance;
        }
    }
    if (n < 2 * BLOCK)
        return 1;
    qsort(distances, n, sizeof *distances, by_value);
    double promised = chi_tail_quantile(FORWARD_DECADES, b->p);
    return fmax(1, distances[(size_t)(0.99 * (n - 1))] / promised);
}

static void fit_blocks(blocks *b, const double *rows, const deviation_options *options, parts *f,
                       double *middle)
{
    uint32_t p = b->p, forward = b->n * 2 / 3, kept = 0;
    double *mean = middle + p;
    memcpy(middle, f->mean, p * sizeof *middle);
    for (uint32_t i = 0; i < b->n; i++)
        b->kept[i] = true;
    for (int round = 0; round < ROUNDS; round++) {
        moments(b, 0, b->n, round == 0, mean, f);
        leave_out(b, mean, f);
    }
    *f->inflate = 1;
    for (uint32_t i = 0; i < forward; i++)
        kept += b->kept[i];
    if (kept >= 2) {
        moments(b, 0, forward, false, mean, f);
        unstandardise(f, mean, p, middle);
        *f->inflate = forward_excess(b, f, rows, forward, options);
    }
    moments(b, 0, b->n, false, mean, f);
    unstandardise(f, mean, p, middle);
}

bool deviation_fit(const double *rows, const uint32_t *ends, uint32_t n_ends, uint32_t p,
                   const deviation_options *options, double *fit_out)
{
    assert(p && p <= MATRIX_MAX && options->window);
    uint32_t n = n_ends ? ends[n_ends - 1] : 0;
    size_t numbers = (size_t)n * p + n + 2 * (size_t)p * p + 6 * (size_t)p + n / BLOCK + 1;
    if (n < deviation_rows_least(p))
        return false;
    double *memory = calloc(numbers, sizeof *memory);
    blocks b = {.p = p,
                .start = calloc(n / BLOCK + 1, sizeof(uint32_t)),
                .kept = calloc(n / BLOCK + 1, sizeof(bool))};
    bool ok = memory && b.start && b.kept;
    b.n = ok ? blocks_cut(ends, n_ends, b.start) : 0;
    ok = ok && b.n >= BLOCKS_LEAST;
    if (ok) {
        parts f = parts_of(fit_out, p);
        b.z = memory;
        b.distance = b.z + (size_t)n * p;
        double *middle = b.distance + n / BLOCK + 1;
        b.work = middle + 2 * (size_t)p;
        for (uint32_t k = 0; k < p; k++)
            column_scale(rows, n, p, k, b.work, &f.mean[k], &f.scale[k]);
        rows_standardise(rows, ends, n_ends, p, &f, b.z);
        fit_blocks(&b, rows, options, &f, middle);
    }
    free(memory);
    free(b.start);
    free(b.kept);
    return ok;
}
