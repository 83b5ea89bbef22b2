/* The model plugin: reads its options, turns inputs into series, hands them to the fit, writes the answer.
 * How it judges: deviation.h (several channels) and novelty.h (one channel). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fit.h"
#include "penstock/define.h"

typedef struct anomaly {
    const pst_host *host;
    const char *columns[FIT_COLUMNS_MAX];
    uint32_t n_columns; /* 0 = all numeric ones */
    bool by_columns;    /* method: auto */
    fit_options options;
} anomaly;

static pst_status on_create(const pst_host *host, void **self, pst_error *error)
{
    anomaly *a = calloc(1, sizeof *a);
    if (!a)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    a->host = host;
    a->n_columns = (uint32_t)host->config_count(host, "/columns");
    if (a->n_columns > FIT_COLUMNS_MAX) {
        free(a);
        return pst_fail(error, PST_E_CONFIG, "/columns", "at most %u columns", FIT_COLUMNS_MAX);
    }
    for (uint32_t i = 0; i < a->n_columns; i++) {
        char path[32];
        snprintf(path, sizeof path, "/columns/%u", i);
        a->columns[i] = host->config_text(host, path);
    }
    const char *method = host->config_text(host, "/method");
    a->by_columns = !method || !strcmp(method, "auto");
    a->options = (fit_options){.method = method && !strcmp(method, "change") ? FIT_CHANGE : FIT_STATE,
                               .window = (uint32_t)host->config_int(host, "/window"),
                               .memory = (uint32_t)host->config_int(host, "/memory"),
                               .drift = host->config_real(host, "/drift"),
                               .sensitivity = host->config_real(host, "/sensitivity")};
    *self = a;
    return PST_OK;
}

/* The columns to learn from: the configured ones, or every numeric one of the rows. */
static pst_status columns_choose(const anomaly *a, const pst_input *rows, const char **names, uint32_t *n_out,
                                 pst_error *error)
{
    uint32_t n = a->n_columns;
    if (n)
        memcpy(names, a->columns, n * sizeof *names);
    for (int64_t i = 0; !a->n_columns && i < rows->schema->n_children; i++) {
        pst_column c;
        if (pst_column_at(rows->schema, rows->array, (size_t)i, &c, error) || c.name[0] == '_' ||
            !pst_column_numeric(&c))
            continue;
        if (n == FIT_COLUMNS_MAX)
            return pst_fail(error, PST_E_CONFIG, "/columns",
                            "more than %u numeric columns: name the ones to judge", FIT_COLUMNS_MAX);
        names[n++] = c.name;
    }
    *n_out = n;
    return n ? PST_OK : pst_fail(error, PST_E_DATA, NULL, "the rows have no numeric column");
}

static size_t json_escape(char *to, size_t cap, const char *text)
{
    size_t at = 0;
    for (; *text && at + 8 < cap; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 0x20)
            at += (size_t)snprintf(to + at, cap - at, "\\u%04x", c);
        else if (c == '"' || c == '\\')
            at += (size_t)snprintf(to + at, cap - at, "\\%c", c);
        else
            to[at++] = (char)c;
    }
    to[at] = '\0';
    return at;
}

static void on_info_release(pst_blob *blob)
{
    free(blob->data);
    blob->data = NULL;
}

static pst_status info_write(const fit *f, const series *s, pst_blob *out, pst_error *error)
{
    enum { ROOM = 256 };
    size_t cap = ROOM, at;
    for (uint32_t k = 0; k < f->options.p; k++)
        cap += 6 * strlen(f->columns[k]) + 16;
    char *text = malloc(cap);
    if (!text)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    at = (size_t)snprintf(
        text, cap, "{\"method\":\"%s\",\"rows\":%u,\"entities\":%u,\"own_fits\":%u,\"columns\":[",
        f->options.method == FIT_STATE ? "state" : "change", s->n, s->n_entities, f->n_entities);
    for (uint32_t k = 0; k < f->options.p; k++) {
        at += (size_t)snprintf(text + at, cap - at, "%s\"", k ? "," : "");
        at += json_escape(text + at, cap - at, f->columns[k]);
        at += (size_t)snprintf(text + at, cap - at, "\"");
    }
    at += (size_t)snprintf(text + at, cap - at, "]}");
    out->data = text;
    out->len = at;
    out->release = on_info_release;
    return PST_OK;
}

static pst_status on_train(void *self, const pst_call *call, const pst_input *inputs, size_t n_inputs,
                           pst_blob *artifact_out, pst_blob *info_out, pst_error *error)
{
    (void)call;
    const anomaly *a = self;
    const char *names[FIT_COLUMNS_MAX];
    fit_options options = a->options;
    series s = {0};
    fit f = {0};
    if (n_inputs < 1)
        return pst_fail(error, PST_E_DATA, NULL, "there are no rows to learn from");
    pst_status st = columns_choose(a, &inputs[0], names, &options.p, error);
    if (!st)
        st = series_read(&inputs[0], NULL, names, options.p, &s, error);
    if (a->by_columns)
        options.method = options.p == 1 ? FIT_CHANGE : FIT_STATE;
    if (!st)
        st = fit_make(&s, &options, &f, error);
    if (!st) {
        memcpy(f.columns, names, options.p * sizeof *names);
        st = fit_save(&f, artifact_out, error);
    }
    if (!st)
        st = info_write(&f, &s, info_out, error);
    fit_free(&f);
    series_free(&s);
    return st;
}

static uint32_t on_context_rows(void *self)
{
    const anomaly *a = self;
    bool change = a->by_columns ? a->n_columns <= 1 : a->options.method == FIT_CHANGE;
    uint32_t state = a->options.window - 1, reach = novelty_reach(a->options.memory);
    return change && reach > state ? reach : state;
}

static pst_status on_load(void *self, const pst_call *call, pst_bytes artifact, void **loaded,
                          pst_error *error)
{
    (void)self;
    (void)call;
    fit *f = calloc(1, sizeof *f);
    pst_status st = f ? fit_load(artifact, f, error) : pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    if (st)
        free(f);
    else
        *loaded = f;
    return st;
}

static void on_unload(void *self, void *loaded)
{
    (void)self;
    if (loaded)
        fit_free(loaded);
    free(loaded);
}

static pst_status answer(const double *scores, uint32_t n, pst_batch *out, pst_error *error)
{
    pst_builder *b = pst_builder_create();
    if (!b)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    int score = pst_builder_column(b, "score", PST_NUMBER),
        decision = pst_builder_column(b, "anomaly", PST_BOOLEAN);
    for (uint32_t i = 0; i < n; i++) {
        if (!isnan(scores[i])) {
            pst_builder_set_real(b, score, scores[i]);
            pst_builder_set_flag(b, decision, scores[i] >= 0.5);
        }
        pst_builder_row(b);
    }
    pst_status st = pst_builder_finish(b, NULL, (pst_bytes){0}, PST_BATCH_ALIGNED, out, error);
    pst_builder_free(b);
    return st;
}

static const pst_input *input_named(const pst_input *inputs, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(inputs[i].name, name))
            return &inputs[i];
    return NULL;
}

static pst_status on_infer(void *self, const pst_call *call, const void *loaded, const pst_input *inputs,
                           size_t n_inputs, pst_batch *out, pst_error *error)
{
    const anomaly *a = self;
    const fit *f = loaded;
    const pst_input *rows = input_named(inputs, n_inputs, "rows");
    series s = {0};
    if (!rows)
        return pst_fail(error, PST_E_DATA, NULL, "there is no input \"rows\"");
    uint32_t n = (uint32_t)rows->array->length;
    double *scores = calloc((size_t)n + 1, sizeof *scores);
    if (!scores)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory for %u scores", n);
    pst_status st =
        series_read(rows, input_named(inputs, n_inputs, "context"), f->columns, f->options.p, &s, error);
    for (uint32_t e = 0; !st && e < s.n_entities; e++) {
        if (a->host->cancelled(a->host, call))
            st = pst_fail(error, PST_E_CANCELLED, NULL, "scoring was cancelled");
        else if (!fit_score(f, &s, &s.entities[e], scores))
            st = pst_fail(error, PST_E_RESOURCE, NULL, "no memory for the views of %u rows", s.n);
    }
    if (!st)
        st = answer(scores, n, out, error);
    free(scores);
    series_free(&s);
    return st;
}

static const void *on_get_interface(const char *id)
{
    static const pst_train train = {sizeof train, 0, on_train};
    static const pst_infer infer = {sizeof infer, 0, on_context_rows, on_load, on_infer, on_unload};
    if (!strcmp(id, PST_IF_TRAIN))
        return &train;
    return !strcmp(id, PST_IF_INFER) ? &infer : NULL;
}

PST_PLUGIN(.id = "org.penstock.model.anomaly", .kind = PST_KIND_MODEL, .version = "1.0.0",
           .title = "Anomalies in measured series", .licence = "Apache-2.0",
           .get_interface = on_get_interface, .create = on_create, .destroy = free);
