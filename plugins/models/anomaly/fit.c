/* Artifact: "PSTANOM1", the options, the counts, then column names, pooled numbers and the entities, each
 * text as length + bytes, numbers as they lie in memory (little-endian; a reader of another kind refuses the
 * magic word). */
#include "fit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t MAGIC = 0x314d4f4e41545350; /* "PSTANOM1" as a little-endian number */
/* At sensitivity 1: one row of normal running in 1,000; a gap of 1 % of the remembered range. */
static const double STATE_DECADES = 3, CHANGE_SHARE = 0.01;

typedef struct head {
    uint64_t magic;
    fit_options options;
    uint32_t n_entities, reserved;
} head;

static size_t numbers_of(const fit_options *o)
{
    return o->method == FIT_STATE ? deviation_size(o->p) : o->p * sizeof(novelty_scale) / sizeof(double);
}

static bool learn(const series *s, uint32_t from, uint32_t to, const uint32_t *ends, uint32_t n_ends,
                  const fit_options *o, double *numbers)
{
    const double *rows = s->values + (size_t)from * o->p;
    if (o->method == FIT_STATE)
        return deviation_fit(rows, ends, n_ends, o->p, &(deviation_options){o->window, o->drift}, numbers);
    bool ok = true;
    for (uint32_t k = 0; ok && k < o->p; k++) {
        novelty_scale scale = {0};
        ok = novelty_learn(rows + k, to - from, o->p, &scale);
        memcpy(numbers + 2 * (size_t)k, &scale, sizeof scale);
    }
    return ok;
}

static pst_status learn_pooled(const series *s, fit *f, pst_error *error)
{
    uint32_t *ends = malloc((s->n_entities + 1) * sizeof *ends);
    f->pooled = calloc(numbers_of(&f->options), sizeof *f->pooled);
    f->entities = calloc(s->n_entities + 1, sizeof *f->entities);
    pst_status st = PST_OK;
    if (!ends || !f->pooled || !f->entities)
        st = pst_fail(error, PST_E_RESOURCE, NULL, "the fit does not fit into memory");
    for (uint32_t i = 0; ends && i < s->n_entities; i++)
        ends[i] = s->entities[i].to;
    if (!st && !learn(s, 0, s->n, ends, s->n_entities, &f->options, f->pooled)) {
        uint32_t least =
            f->options.method == FIT_STATE ? deviation_rows_least(f->options.p) : NOVELTY_ROWS_LEAST;
        st = pst_fail(error, PST_E_DATA, NULL,
                      "%u rows are too few to learn from: at least %u with values are needed", s->n, least);
    }
    free(ends);
    return st;
}

pst_status fit_make(const series *s, const fit_options *options, fit *out, pst_error *error)
{
    size_t numbers = numbers_of(options), bytes = 0;
    *out = (fit){.options = *options};
    pst_status st = learn_pooled(s, out, error);
    for (uint32_t i = 0; !st && i < s->n_entities && s->n_entities > 1; i++) {
        const series_entity *e = &s->entities[i];
        bytes += numbers * sizeof(double) + e->name.len + 8;
        double *own = bytes < FIT_ARTIFACT_MAX_BYTES ? calloc(numbers, sizeof *own) : NULL;
        uint32_t end = e->to - e->from;
        if (own && learn(s, e->from, e->to, &end, 1, options, own))
            out->entities[out->n_entities++] = (fit_entity){e->name, own};
        else
            free(own);
    }
    return st;
}

void fit_free(fit *f)
{
    if (!f->memory) {
        for (uint32_t i = 0; i < f->n_entities; i++)
            free(f->entities[i].numbers);
        free(f->pooled);
    }
    free(f->entities);
    free(f->memory);
    *f = (fit){0};
}

/* ---- Artifact ---- */

static void on_release(pst_blob *blob)
{
    free(blob->data);
    blob->data = NULL;
}

static size_t put(char *to, const void *data, size_t len)
{
    if (to && len)
        memcpy(to, data, len);
    return len;
}

static size_t put_text(char *to, const void *data, size_t len)
{
    uint64_t n = len;
    put(to, &n, sizeof n);
    put(to ? to + sizeof n : NULL, data, len);
    size_t padded = (len + 7) / 8 * 8;
    if (to)
        memset(to + sizeof n + len, 0, padded - len);
    return sizeof n + padded;
}

/* With to = NULL only counts. */
static size_t write_all(const fit *f, char *to)
{
    size_t at = 0, numbers = numbers_of(&f->options) * sizeof(double);
    head h = {.magic = MAGIC, .options = f->options, .n_entities = f->n_entities};
#define HERE (to ? to + at : NULL)
    at += put(HERE, &h, sizeof h);
    for (uint32_t k = 0; k < f->options.p; k++)
        at += put_text(HERE, f->columns[k], strlen(f->columns[k]) + 1);
    at += put(HERE, f->pooled, numbers);
    for (uint32_t i = 0; i < f->n_entities; i++) {
        at += put_text(HERE, f->entities[i].name.data, f->entities[i].name.len);
        at += put(HERE, f->entities[i].numbers, numbers);
    }
#undef HERE
    return at;
}

pst_status fit_save(const fit *f, pst_blob *out, pst_error *error)
{
    out->len = write_all(f, NULL);
    out->data = malloc(out->len);
    if (!out->data)
        return pst_fail(error, PST_E_RESOURCE, NULL, "an artifact of %zu bytes does not fit into memory",
                        out->len);
    out->release = on_release;
    write_all(f, out->data);
    return PST_OK;
}

typedef struct reader {
    char *at;
    size_t left;
} reader;

static void *take(reader *r, size_t len)
{
    if (len > r->left)
        return NULL;
    void *data = r->at;
    r->at += len;
    r->left -= len;
    return data;
}

static bool take_text(reader *r, pst_bytes *out)
{
    const uint64_t *len = take(r, sizeof *len);
    if (!len || *len > r->left)
        return false;
    *out = (pst_bytes){r->at, *len};
    return take(r, (*len + 7) / 8 * 8) != NULL;
}

static bool read_all(reader *r, fit *f)
{
    const head *h = take(r, sizeof *h);
    if (!h || h->magic != MAGIC || !h->options.p || h->options.p > FIT_COLUMNS_MAX || !h->options.window ||
        (h->options.method != FIT_STATE && h->options.method != FIT_CHANGE))
        return false;
    f->options = h->options;
    for (uint32_t k = 0; k < f->options.p; k++) {
        pst_bytes name;
        if (!take_text(r, &name) || !name.len || ((const char *)name.data)[name.len - 1])
            return false;
        f->columns[k] = name.data;
    }
    size_t numbers = numbers_of(&f->options) * sizeof(double);
    f->pooled = take(r, numbers);
    if (!f->pooled || h->n_entities > r->left / numbers)
        return false;
    f->entities = calloc(h->n_entities + 1, sizeof *f->entities);
    for (; f->entities && f->n_entities < h->n_entities; f->n_entities++) {
        fit_entity *e = &f->entities[f->n_entities];
        if (!take_text(r, &e->name) || !(e->numbers = take(r, numbers)))
            return false;
    }
    return f->entities && !r->left;
}

pst_status fit_load(pst_bytes artifact, fit *out, pst_error *error)
{
    *out = (fit){.memory = malloc(artifact.len + 1)};
    if (!out->memory)
        return pst_fail(error, PST_E_RESOURCE, NULL, "an artifact of %zu bytes does not fit into memory",
                        artifact.len);
    if (artifact.len)
        memcpy(out->memory, artifact.data, artifact.len);
    if (read_all(&(reader){out->memory, artifact.len}, out))
        return PST_OK;
    fit_free(out);
    return pst_fail(error, PST_E_DATA, NULL, "the artifact is not one of this model, or it is damaged");
}

/* ---- Scoring ---- */

static int name_compare(const void *key, const void *member)
{
    const pst_bytes *a = key, *b = &((const fit_entity *)member)->name;
    size_t shared = a->len < b->len ? a->len : b->len;
    int order = shared ? memcmp(a->data, b->data, shared) : 0;
    return order ? order : (a->len > b->len) - (a->len < b->len);
}

/* `times`: how many times the limit. */
static double score_of(double times)
{
    return isnan(times) ? NAN : 1 - exp2(-times);
}

static void score_state(const fit *f, const double *numbers, const series *s, const series_entity *entity,
                        double *scores)
{
    const fit_options *o = &f->options;
    const deviation_options options = {o->window, o->drift};
    for (uint32_t i = entity->from; i < entity->to; i++) {
        if (s->row[i] == SERIES_CONTEXT)
            continue;
        uint32_t n = i + 1 - entity->from < o->window ? i + 1 - entity->from : o->window;
        double decades =
            deviation_decades(numbers, s->values + (size_t)(i + 1 - n) * o->p, n, o->p, &options);
        scores[s->row[i]] = score_of(decades / STATE_DECADES * o->sensitivity);
    }
}

static bool score_change(const fit *f, const double *numbers, const series *s, const series_entity *entity,
                         double *scores)
{
    const fit_options *o = &f->options;
    for (uint32_t k = 0; k < o->p; k++) {
        novelty_scale scale = {numbers[2 * k], numbers[2 * k + 1]};
        novelty_views *v = novelty_views_create(s->values + (size_t)entity->from * o->p + k,
                                                entity->to - entity->from, o->p, scale, o->memory);
        if (!v)
            return false;
        for (uint32_t i = entity->from; i < entity->to; i++) {
            if (s->row[i] == SERIES_CONTEXT)
                continue;
            double *score = &scores[s->row[i]];
            double here = score_of(novelty_at(v, i - entity->from, CHANGE_SHARE / o->sensitivity));
            *score = k ? fmax(*score, here) : here; /* fmax prefers the number to a NaN */
        }
        novelty_views_free(v);
    }
    return true;
}

bool fit_score(const fit *f, const series *s, const series_entity *entity, double *scores)
{
    const fit_entity *own =
        bsearch(&entity->name, f->entities, f->n_entities, sizeof *f->entities, name_compare);
    const double *numbers = own ? own->numbers : f->pooled;
    if (f->options.method == FIT_CHANGE)
        return score_change(f, numbers, s, entity, scores);
    score_state(f, numbers, s, entity, scores);
    return true;
}
