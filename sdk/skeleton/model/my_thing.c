/* my-thing, a Penstock model: a value is an anomaly when it is more than k sigma from the mean that was learnt. Put
 * your model in place of learn and on_infer's loop. The artifact is what was learnt: bytes that the host keeps and
 * gives to infer, maybe in another process. Nothing is remembered from call to call: the same rows always score the
 * same. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "penstock/batch.h"
#include "penstock/define.h"

typedef struct band { /* the artifact */
    double mean, sigma;
} band;

static band learn(const pst_column *c)
{
    double n = 0, mean = 0, squares = 0;
    for (uint32_t i = 0; i < c->rows; i++)
        if (!pst_column_null(c, i)) {
            double off = pst_column_real(c, i) - mean;
            mean += off / ++n; /* Welford: no sum of large squares */
            squares += off * (pst_column_real(c, i) - mean);
        }
    return (band){mean, n > 1 ? sqrt(squares / (n - 1)) : 0};
}

/* The configured column of the rows to learn from or to score: they are the first input, "context" the second. */
static pst_status find(const pst_host *host, const pst_input *rows, pst_column *out, pst_error *error)
{
    const char *name = host->config_text(host, "/column");
    bool found = pst_column_find(rows->schema, rows->array, name, out, error) == PST_OK && pst_column_numeric(out);
    return found ? PST_OK : pst_fail(error, PST_E_CONFIG, "/column", "the rows have no numeric column %s", name);
}

static pst_status on_train(void *self, const pst_call *call, const pst_input *inputs, size_t n_inputs,
                           pst_blob *artifact, pst_blob *info, pst_error *error)
{
    pst_column column;
    char said[128];
    if (find(self, inputs, &column, error) != PST_OK)
        return PST_E_CONFIG;
    band b = learn(&column);
    int len = snprintf(said, sizeof said, "{\"mean\": %.17g, \"sigma\": %.17g}", b.mean, b.sigma);
    return pst_blob_set(artifact, &b, sizeof b, error) ? PST_E_RESOURCE : pst_blob_set(info, said, (size_t)len, error);
}

static pst_status on_load(void *self, const pst_call *call, pst_bytes artifact, void **loaded, pst_error *error)
{
    if (artifact.len != sizeof(band))
        return pst_fail(error, PST_E_DATA, NULL, "the artifact is not one of this model");
    *loaded = malloc(sizeof(band));
    return *loaded ? (memcpy(*loaded, artifact.data, sizeof(band)), PST_OK) : PST_E_RESOURCE;
}

static void on_unload(void *self, void *loaded) { free(loaded); }

static pst_status on_infer(void *self, const pst_call *call, const void *loaded, const pst_input *inputs,
                           size_t n_inputs, pst_batch *out, pst_error *error)
{
    const pst_host *host = self;
    const band *b = loaded;
    pst_column column;
    pst_status status = find(host, inputs, &column, error);
    pst_builder *rows = status == PST_OK ? pst_builder_create() : NULL;
    if (!rows)
        return status != PST_OK ? status : pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    int score = pst_builder_column(rows, "score", PST_NUMBER), far = pst_builder_column(rows, "anomaly", PST_BOOLEAN);
    for (uint32_t i = 0; i < column.rows; i++) {
        if (b->sigma > 0 && !pst_column_null(&column, i)) {
            double sigmas = fabs(pst_column_real(&column, i) - b->mean) / b->sigma;
            pst_builder_set_real(rows, score, sigmas);
            pst_builder_set_flag(rows, far, sigmas > host->config_real(host, "/k"));
        }
        pst_builder_row(rows);
    }
    status = pst_builder_finish(rows, NULL, (pst_bytes){0}, PST_BATCH_ALIGNED, out, error);
    pst_builder_free(rows);
    return status;
}

static const void *on_get_interface(const char *id)
{
    static const pst_train train = {.struct_size = sizeof train, .train = on_train};
    static const pst_infer infer = {
        .struct_size = sizeof infer, .load = on_load, .infer = on_infer, .unload = on_unload};
    return strcmp(id, PST_IF_TRAIN) == 0 ? &train : strcmp(id, PST_IF_INFER) == 0 ? (const void *)&infer : NULL;
}

static pst_status on_create(const pst_host *host, void **self, pst_error *error)
{
    *self = (void *)host; /* all it has to remember; a struct of your own usually stands here */
    return PST_OK;
}

static void on_destroy(void *self) {}

PST_PLUGIN(.id = "org.example.model.my-thing", .kind = PST_KIND_MODEL, .version = "0.1.0", .title = "My thing",
           .licence = "Apache-2.0", .get_interface = on_get_interface, .create = on_create, .destroy = on_destroy);
