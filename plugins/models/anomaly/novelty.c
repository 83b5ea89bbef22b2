/* The views are computed once for a run of rows; each row is then compared with the rows before it. */
#include "novelty.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { VIEWS = 4, SHORT_MEAN = 3, SHORT_SPREAD = 5, LONG_SPREAD = 72, REST = 100, KNOWN_LEAST = 30 };
static const double WHOLE_MOST = 35184372088832.0 /* 2^45 */, WHOLE_STEP = 1048576.0 /* 2^20 */;
/* After news a row must be this much newer, else it counts this much less. */
static const double REST_FACTOR = 2, REST_DAMP = 8;

typedef __int128 wide;

typedef struct running { /* sums of rows 0 … i-1 */
    int64_t count, sum;
    wide squares;
} running;

struct novelty_views {
    uint32_t memory;
    size_t n;
    double *view[VIEWS];
};

uint32_t novelty_reach(uint32_t memory)
{
    return memory + REST + LONG_SPREAD;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

bool novelty_learn(const double *values, size_t n, size_t stride, novelty_scale *scale_out)
{
    size_t count = 0;
    double sum = 0, *sorted = malloc((n ? n : 1) * sizeof *sorted);
    if (!sorted)
        return false;
    for (size_t i = 0; i < n; i++)
        if (isfinite(values[i * stride])) {
            sorted[count++] = fabs(values[i * stride]);
            sum += sorted[count - 1];
        }
    bool enough = count >= NOVELTY_ROWS_LEAST;
    if (enough) {
        qsort(sorted, count, sizeof *sorted, by_value);
        double large = sorted[(size_t)(0.9 * (double)(count - 1))];
        if (!(large > 0))
            large = sum / (double)count;
        scale_out->offset = large > 0 ? 1e-3 * large : 1e-9;
        scale_out->unit = (large > 0 ? large : 1) / WHOLE_STEP;
    }
    free(sorted);
    return enough;
}

static running *sums_make(const double *values, size_t n, size_t stride, double unit)
{
    running *sums = calloc(n + 1, sizeof *sums);
    for (size_t i = 0; sums && i < n; i++) {
        double v = values[i * stride] / unit;
        sums[i + 1] = sums[i];
        if (!isfinite(values[i * stride]))
            continue;
        int64_t whole = (int64_t)fmax(-WHOLE_MOST, fmin(WHOLE_MOST, rint(v)));
        sums[i + 1].count++;
        sums[i + 1].sum += whole;
        sums[i + 1].squares += (wide)whole * whole;
    }
    return sums;
}

static void window_of(const running *sums, size_t i, size_t rows, running *out)
{
    size_t from = i + 1 > rows ? i + 1 - rows : 0;
    out->count = sums[i + 1].count - sums[from].count;
    out->sum = sums[i + 1].sum - sums[from].sum;
    out->squares = sums[i + 1].squares - sums[from].squares;
}

static double window_mean(const running *sums, size_t i, size_t rows)
{
    running w;
    window_of(sums, i, rows, &w);
    return (double)w.sum / (double)w.count;
}

static double window_spread(const running *sums, size_t i, size_t rows)
{
    running w;
    window_of(sums, i, rows, &w);
    wide spread = w.squares * w.count - (wide)w.sum * w.sum;
    return sqrt((double)spread) / (double)w.count;
}

novelty_views *novelty_views_create(const double *values, size_t n, size_t stride, novelty_scale scale,
                                    uint32_t memory)
{
    running *sums = sums_make(values, n, stride, scale.unit);
    novelty_views *v = calloc(1, sizeof *v);
    double *all = malloc((n ? n : 1) * VIEWS * sizeof *all);
    if (!sums || !v || !all) {
        free(all);
        free(sums);
        free(v);
        return NULL;
    }
    *v = (novelty_views){.memory = memory, .n = n};
    for (int k = 0; k < VIEWS; k++)
        v->view[k] = all + (size_t)k * n;
    for (size_t i = 0; i < n; i++) {
        double value = values[i * stride];
        bool known = isfinite(value);
        v->view[0][i] = known ? log(fabs(value) + scale.offset) : NAN;
        v->view[1][i] = known ? window_mean(sums, i, SHORT_MEAN) : NAN;
        v->view[2][i] = known ? window_spread(sums, i, SHORT_SPREAD) : NAN;
        v->view[3][i] = known ? window_spread(sums, i, LONG_SPREAD) : NAN;
    }
    free(sums);
    return v;
}

void novelty_views_free(novelty_views *v)
{
    if (!v)
        return;
    free(v->view[0]);
    free(v);
}

/* Gap to the nearest of the `n` values before, as a share of their range; comparisons with NaN are false. */
static double gap_share(const double *before, size_t n, double value)
{
    double gap = INFINITY, low = INFINITY, high = -INFINITY;
    size_t known = 0;
    for (size_t i = 0; i < n; i++) {
        double x = before[i], d = fabs(value - x);
        gap = d < gap ? d : gap;
        low = x < low ? x : low;
        high = x > high ? x : high;
        known += x == x;
    }
    if (known < KNOWN_LEAST)
        return 0;
    double range = high - low;
    if (!(range > 0))
        range = high != 0 ? 0.1 * fabs(high) : 1e-9;
    return gap / range;
}

/* The second largest share of the views. */
static double share_at(const novelty_views *v, size_t i)
{
    double first = 0, second = 0;
    size_t from = i > v->memory ? i - v->memory : 0;
    for (int k = 0; k < VIEWS; k++) {
        double share = gap_share(v->view[k] + from, i - from, v->view[k][i]);
        if (share > first) {
            second = first;
            first = share;
        } else if (share > second) {
            second = share;
        }
    }
    return second;
}

double novelty_at(const novelty_views *v, size_t i, double limit)
{
    assert(i < v->n);
    if (isnan(v->view[0][i]))
        return NAN;
    double share = share_at(v, i);
    if (share < limit)
        return share / limit;
    for (size_t j = i > REST ? i - REST : 0; j < i; j++) {
        double before = isnan(v->view[0][j]) ? 0 : share_at(v, j);
        if (before > limit && before * REST_FACTOR > share)
            return share / limit / REST_DAMP;
    }
    return share / limit;
}
