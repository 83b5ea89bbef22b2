/* The metric engine: a definition names a method and columns of an input that the host fetched; columns come
 * back.
 *
 *   {"method": "correlation", "columns": ["a", "b", "c"], "kind": "spearman"}   one row a pair: x, y, value,
 * n, p
 *   {"method": "regression", "x": "flow", "y": "pressure"}    one row: slope, intercept, r2, residual_sd, n
 *   {"method": "band", "x": "flow", "y": "pressure", "confidence": 0.95, "points": 50}
 *                                                              rows along x: x, value, lower, upper
 * "input" names the input; without it the first one is taken. Rows with a hole in one of the two columns are
 * left out of that pair. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formulas.h"
#include "penstock/batch.h"
#include "penstock/define.h"

enum { COLUMNS_MAX = 32, NAME_MAX_BYTES = 128, POINTS_MAX = 1000 };

typedef enum method { METHOD_CORRELATION, METHOD_REGRESSION, METHOD_BAND } method;

typedef struct definition {
    method method;
    bool by_rank;
    char input[NAME_MAX_BYTES];
    uint32_t n_columns, points; /* x and y are columns 0 and 1 */
    char columns[COLUMNS_MAX][NAME_MAX_BYTES];
    double confidence;
} definition;

typedef struct stats {
    const pst_host *host;
    const pst_json_service *json;
} stats;

static pst_status on_create(const pst_host *host, void **self, pst_error *error)
{
    stats *s = calloc(1, sizeof *s);
    if (!s)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    s->host = host;
    s->json = host->get_service(host, PST_SERVICE_JSON);
    *self = s;
    return PST_OK;
}

/* ---- Definition ---- */

static pst_status take_name(const stats *s, const pst_json *json, const char *path, char out[NAME_MAX_BYTES],
                            pst_error *error)
{
    const char *text = s->json->text(json, path);
    if (!text || !*text || strlen(text) >= NAME_MAX_BYTES)
        return pst_fail(error, PST_E_CONFIG, path, "the name of a column is expected");
    memcpy(out, text, strlen(text) + 1);
    return PST_OK;
}

static pst_status read_correlation(const stats *s, const pst_json *json, definition *d, pst_error *error)
{
    const char *kind = s->json->text(json, "/kind");
    if (kind && strcmp(kind, "pearson") != 0 && strcmp(kind, "spearman") != 0)
        return pst_fail(error, PST_E_CONFIG, "/kind", "pearson or spearman is expected");
    d->by_rank = kind && !strcmp(kind, "spearman");
    size_t n = s->json->count(json, "/columns");
    if (n < 2 || n > COLUMNS_MAX)
        return pst_fail(error, PST_E_CONFIG, "/columns", "two to %d columns are expected", COLUMNS_MAX);
    pst_status st = PST_OK;
    for (d->n_columns = 0; !st && d->n_columns < n; d->n_columns++) {
        char path[32];
        snprintf(path, sizeof path, "/columns/%u", d->n_columns);
        st = take_name(s, json, path, d->columns[d->n_columns], error);
    }
    return st;
}

static pst_status read_regression(const stats *s, const pst_json *json, definition *d, pst_error *error)
{
    d->n_columns = 2;
    pst_status st = take_name(s, json, "/x", d->columns[0], error);
    if (!st)
        st = take_name(s, json, "/y", d->columns[1], error);
    if (st)
        return st;
    d->confidence = s->json->has(json, "/confidence") ? s->json->real(json, "/confidence") : 0.95;
    if (!(d->confidence >= 0.5 && d->confidence <= 0.9999))
        return pst_fail(error, PST_E_CONFIG, "/confidence", "a number from 0.5 to 0.9999 is expected");
    int64_t points = s->json->has(json, "/points") ? s->json->integer(json, "/points") : 50;
    if (points < 2 || points > POINTS_MAX)
        return pst_fail(error, PST_E_CONFIG, "/points", "2 to %d points are expected", POINTS_MAX);
    d->points = (uint32_t)points;
    return PST_OK;
}

static pst_status read_definition(const stats *s, const pst_json *json, definition *d, pst_error *error)
{
    const char *name = s->json->text(json, "/method"), *input = s->json->text(json, "/input");
    if (input && (!*input || strlen(input) >= NAME_MAX_BYTES))
        return pst_fail(error, PST_E_CONFIG, "/input", "the name of an input is expected");
    snprintf(d->input, sizeof d->input, "%s", input ? input : "");
    if (name && !strcmp(name, "correlation")) {
        d->method = METHOD_CORRELATION;
        return read_correlation(s, json, d, error);
    }
    if (!name || (strcmp(name, "regression") != 0 && strcmp(name, "band") != 0))
        return pst_fail(error, PST_E_CONFIG, "/method", "correlation, regression or band is expected");
    d->method = !strcmp(name, "band") ? METHOD_BAND : METHOD_REGRESSION;
    return read_regression(s, json, d, error);
}

static pst_status on_prepare(void *self, const pst_call *call, const char *text, void **prepared,
                             pst_error *error)
{
    (void)call;
    const stats *s = self;
    if (!s->json)
        return pst_fail(error, PST_E_UNSUPPORTED, NULL, "the host offers no %s", PST_SERVICE_JSON);
    pst_json *json = s->json->parse(s->host, (pst_bytes){text, strlen(text)}, error);
    if (!json)
        return PST_E_CONFIG;
    definition *d = calloc(1, sizeof *d);
    pst_status st =
        d ? read_definition(s, json, d, error) : pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    s->json->discard(json);
    if (st)
        free(d);
    else
        *prepared = d;
    return st;
}

static void on_discard(void *self, void *prepared)
{
    (void)self;
    free(prepared);
}

/* ---- Evaluation ---- */

typedef struct pairs {
    double *x, *y;
    size_t n;
} pairs;

/* Rows in which both columns have a finite number. */
static void pairs_collect(const pst_column *a, const pst_column *b, pairs *out)
{
    out->n = 0;
    for (uint32_t i = 0; i < a->rows; i++) {
        if (pst_column_null(a, i) || pst_column_null(b, i))
            continue;
        double x = pst_column_real(a, i), y = pst_column_real(b, i);
        if (!isfinite(x) || !isfinite(y))
            continue;
        out->x[out->n] = x;
        out->y[out->n++] = y;
    }
}

static pst_status columns_find(const definition *d, const pst_input *inputs, size_t n_inputs, pst_column *out,
                               pst_error *error)
{
    const pst_input *in = NULL;
    for (size_t i = 0; i < n_inputs && !in; i++)
        in = !d->input[0] || !strcmp(inputs[i].name, d->input) ? &inputs[i] : NULL;
    if (!in)
        return pst_fail(error, PST_E_CONFIG, "/input", "there is no input %s", d->input);
    for (uint32_t k = 0; k < d->n_columns; k++) {
        if (pst_column_find(in->schema, in->array, d->columns[k], &out[k], error))
            return pst_fail(error, PST_E_CONFIG, NULL, "the input %s has no column %s", in->name,
                            d->columns[k]);
        if (!pst_column_numeric(&out[k]) && out[k].type != PST_TIME)
            return pst_fail(error, PST_E_CONFIG, NULL, "column %s is not numeric", d->columns[k]);
    }
    return PST_OK;
}

static void put_real(pst_builder *b, int column, double value)
{
    if (!isnan(value))
        pst_builder_set_real(b, column, value);
}

static void correlate(const definition *d, const pst_column *columns, pairs *work, pst_builder *b)
{
    int x = pst_builder_column(b, "x", PST_TEXT), y = pst_builder_column(b, "y", PST_TEXT);
    int value = pst_builder_column(b, "value", PST_NUMBER), n = pst_builder_column(b, "n", PST_INTEGER);
    int p = pst_builder_column(b, "p", PST_NUMBER);
    for (uint32_t i = 0; i < d->n_columns; i++)
        for (uint32_t k = i + 1; k < d->n_columns; k++) {
            pairs_collect(&columns[i], &columns[k], work);
            double r = d->by_rank ? formula_spearman(work->x, work->y, work->n)
                                  : formula_pearson(work->x, work->y, work->n);
            pst_builder_set_text(b, x, d->columns[i]);
            pst_builder_set_text(b, y, d->columns[k]);
            put_real(b, value, r);
            pst_builder_set_int(b, n, (int64_t)work->n);
            put_real(b, p, formula_correlation_p(r, work->n));
            pst_builder_row(b);
        }
}

/* A line through too few points has no numbers: one row of nulls with n. */
static void regress(const pairs *work, pst_builder *b)
{
    static const char *const names[] = {"slope", "intercept", "r2", "residual_sd"};
    formula_line line = {NAN, NAN, NAN, NAN, NAN, NAN, work->n};
    formula_fit(work->x, work->y, work->n, &line);
    const double values[] = {line.slope, line.intercept, line.r2, line.residual_sd};
    int columns[4];
    for (int k = 0; k < 4; k++)
        columns[k] = pst_builder_column(b, names[k], PST_NUMBER);
    int n = pst_builder_column(b, "n", PST_INTEGER);
    for (int k = 0; k < 4; k++)
        put_real(b, columns[k], values[k]);
    pst_builder_set_int(b, n, (int64_t)work->n);
    pst_builder_row(b);
}

static void band(const definition *d, const pairs *work, pst_builder *b)
{
    int x = pst_builder_column(b, "x", PST_NUMBER), value = pst_builder_column(b, "value", PST_NUMBER);
    int lower = pst_builder_column(b, "lower", PST_NUMBER),
        upper = pst_builder_column(b, "upper", PST_NUMBER);
    formula_line line;
    double low = INFINITY, high = -INFINITY;
    if (!formula_fit(work->x, work->y, work->n, &line))
        return; /* no line, no rows */
    for (size_t i = 0; i < work->n; i++) {
        low = fmin(low, work->x[i]);
        high = fmax(high, work->x[i]);
    }
    for (uint32_t i = 0; i < d->points; i++) {
        double at = low + (high - low) * i / (d->points - 1);
        double fit = line.intercept + line.slope * at, half = formula_band(&line, at, d->confidence);
        pst_builder_set_real(b, x, at);
        pst_builder_set_real(b, value, fit);
        pst_builder_set_real(b, lower, fit - half);
        pst_builder_set_real(b, upper, fit + half);
        pst_builder_row(b);
    }
}

static pst_status on_evaluate(void *self, const pst_call *call, const void *prepared, const char *parameters,
                              const pst_input *inputs, size_t n_inputs, pst_batch *out, pst_error *error)
{
    (void)self;
    (void)call;
    (void)parameters;
    const definition *d = prepared;
    pst_column columns[COLUMNS_MAX] = {0};
    pst_status st = columns_find(d, inputs, n_inputs, columns, error);
    if (st)
        return st;
    size_t rows = columns[0].rows + 1u;
    pairs work = {.x = malloc(rows * sizeof(double)), .y = malloc(rows * sizeof(double))};
    pst_builder *b = pst_builder_create();
    if (!work.x || !work.y || !b) {
        st = pst_fail(error, PST_E_RESOURCE, NULL, "%zu rows do not fit into memory", rows);
    } else {
        pairs_collect(&columns[0], &columns[1], &work);
        if (d->method == METHOD_CORRELATION)
            correlate(d, columns, &work, b);
        else if (d->method == METHOD_REGRESSION)
            regress(&work, b);
        else
            band(d, &work, b);
        st = pst_builder_finish(b, NULL, (pst_bytes){0}, 0, out, error);
    }
    pst_builder_free(b);
    free(work.x);
    free(work.y);
    return st;
}

static const void *on_get_interface(const char *id)
{
    static const pst_metric_engine engine = {sizeof engine, 0, on_prepare, on_evaluate, on_discard};
    return !strcmp(id, PST_IF_METRIC) ? &engine : NULL;
}

PST_PLUGIN(.id = "org.penstock.metric.stats", .kind = PST_KIND_METRIC, .version = "1.0.0",
           .title = "Statistics: correlation, regression, prediction band", .licence = "Apache-2.0",
           .get_interface = on_get_interface, .create = on_create, .destroy = free);
