/* Merging: both inputs are sorted by entity and time, so this is one pass of a two-way merge. A context row
 * with the time of a row to score is left out: the row itself is newer. */
#include "series.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct side {
    pst_column entity, time;
    pst_column *columns;
    uint32_t n, at;
} side;

static pst_status side_open(const pst_input *in, const char *const *names, uint32_t p, side *s,
                            pst_error *error)
{
    pst_status st = pst_column_find(in->schema, in->array, "_entity", &s->entity, error);
    if (!st)
        st = pst_column_find(in->schema, in->array, "_time", &s->time, error);
    s->columns = calloc(p, sizeof *s->columns);
    if (!st && !s->columns)
        return pst_fail(error, PST_E_RESOURCE, NULL, "%u columns do not fit into memory", p);
    for (uint32_t k = 0; !st && k < p; k++) {
        st = pst_column_find(in->schema, in->array, names[k], &s->columns[k], error);
        if (!st && !pst_column_numeric(&s->columns[k]))
            st = pst_fail(error, PST_E_CONFIG, "/columns", "column %s is not numeric", names[k]);
        else if (st == PST_E_UNSUPPORTED)
            st = pst_fail(error, PST_E_CONFIG, "/columns", "the rows have no column %s", names[k]);
    }
    s->n = st ? 0 : s->entity.rows;
    return st;
}

static int bytes_compare(pst_bytes a, pst_bytes b)
{
    size_t shared = a.len < b.len ? a.len : b.len;
    /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker) a column without data has only empty texts */
    int order = shared ? memcmp(a.data, b.data, shared) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* Order of a's row i and b's row k by entity, then time. */
static int row_compare(const side *a, uint32_t i, const side *b, uint32_t k)
{
    int order = bytes_compare(pst_column_bytes(&a->entity, i), pst_column_bytes(&b->entity, k));
    int64_t x = pst_column_int(&a->time, i), y = pst_column_int(&b->time, k);
    return order ? order : (x > y) - (x < y);
}

static bool side_sorted(const side *s)
{
    for (uint32_t i = 1; i < s->n; i++)
        if (row_compare(s, i - 1, s, i) > 0)
            return false;
    return true;
}

static void row_take(series *out, const side *from, uint32_t i, uint32_t index)
{
    pst_bytes entity = pst_column_bytes(&from->entity, i);
    if (!out->n_entities || bytes_compare(out->entities[out->n_entities - 1].name, entity))
        out->entities[out->n_entities++] = (series_entity){entity, out->n, out->n};
    double *row = out->values + (size_t)out->n * out->p;
    for (uint32_t k = 0; k < out->p; k++) {
        const pst_column *c = &from->columns[k];
        double v = pst_column_null(c, i) ? NAN : pst_column_real(c, i);
        row[k] = isfinite(v) ? v : NAN;
    }
    out->row[out->n++] = index;
    out->entities[out->n_entities - 1].to = out->n;
}

static void merge(side *rows, side *context, series *out)
{
    while (rows->at < rows->n || context->at < context->n) {
        int order = rows->at == rows->n         ? 1
                    : context->at == context->n ? -1
                                                : row_compare(rows, rows->at, context, context->at);
        if (order == 0) {
            context->at++;
        } else if (order < 0) {
            row_take(out, rows, rows->at, rows->at);
            rows->at++;
        } else {
            row_take(out, context, context->at++, SERIES_CONTEXT);
        }
    }
}

pst_status series_read(const pst_input *rows, const pst_input *context, const char *const *columns,
                       uint32_t p, series *out, pst_error *error)
{
    side left = {0}, right = {0};
    *out = (series){.p = p};
    pst_status st = side_open(rows, columns, p, &left, error);
    if (!st && context)
        st = side_open(context, columns, p, &right, error);
    if (!st && (!side_sorted(&left) || !side_sorted(&right)))
        st = pst_fail(error, PST_E_DATA, NULL, "the rows are not sorted by entity and time");
    if (!st) {
        size_t n = (size_t)left.n + right.n + 1;
        out->values = malloc(n * p * sizeof *out->values);
        out->row = malloc(n * sizeof *out->row);
        out->entities = calloc(n, sizeof *out->entities);
        if (out->values && out->row && out->entities)
            merge(&left, &right, out);
        else
            st = pst_fail(error, PST_E_RESOURCE, NULL, "%zu rows do not fit into memory", n);
    }
    free(left.columns);
    free(right.columns);
    return st;
}

void series_free(series *s)
{
    free(s->values);
    free(s->row);
    free(s->entities);
    *s = (series){0};
}
