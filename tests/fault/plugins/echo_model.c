/* A model that learns a mean and scores by the distance from it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trouble.h"

extern const char config_schema[];
static const pst_host *the_host;
static int loads;
static trouble trouble_of;

static void on_release(pst_blob *blob)
{
    free(blob->data);
}

static pst_status on_train(void *self, const pst_call *call, const pst_input *inputs, size_t n_inputs,
                           pst_blob *artifact_out, pst_blob *info_json_out, pst_error *error)
{
    (void)self, (void)call;
    pst_column c;
    double sum = 0;
    if (n_inputs != 1)
        return pst_fail(error, PST_E_DATA, NULL, "one input is wanted");
    pst_status status = pst_column_find(inputs[0].schema, inputs[0].array, "value", &c, error);
    for (uint32_t i = 0; status == PST_OK && i < c.rows; i++)
        sum += pst_column_null(&c, i) ? 0 : pst_column_real(&c, i);
    char *artifact = malloc(sizeof(double)), *info = malloc(64);
    if (status == PST_OK && artifact && info) {
        double mean = c.rows ? sum / c.rows : 0;
        memcpy(artifact, &mean, sizeof mean);
        snprintf(info, 64, "{\"mean\": %.3f}", mean);
        *artifact_out = (pst_blob){sizeof *artifact_out, 0, artifact, sizeof(double), on_release, NULL};
        *info_json_out = (pst_blob){sizeof *info_json_out, 0, info, strlen(info), on_release, NULL};
        return PST_OK;
    }
    free(artifact);
    free(info);
    return status == PST_OK ? PST_E_RESOURCE : status;
}

static uint32_t on_context_rows(void *self)
{
    (void)self;
    return (uint32_t)the_host->config_int(the_host, "/window");
}

static pst_status on_load(void *self, const pst_call *call, pst_bytes artifact, void **loaded,
                          pst_error *error)
{
    (void)self, (void)call;
    if (artifact.len != sizeof(double))
        return pst_fail(error, PST_E_DATA, NULL, "the artifact is of another model");
    *loaded = malloc(sizeof(double));
    if (!*loaded)
        return PST_E_RESOURCE;
    memcpy(*loaded, artifact.data, sizeof(double));
    loads++;
    return PST_OK;
}

static pst_status on_infer(void *self, const pst_call *call, const void *loaded, const pst_input *inputs,
                           size_t n_inputs, pst_batch *out, pst_error *error)
{
    (void)self;
    double mean;
    pst_column c;
    memcpy(&mean, loaded, sizeof mean);
    pst_status status = trouble_call(&trouble_of, call, error);
    if (status == PST_OK)
        status = trouble_inputs(&trouble_of, call, inputs, n_inputs, error);
    if (status == PST_OK)
        status =
            n_inputs ? pst_column_find(inputs[0].schema, inputs[0].array, "value", &c, error) : PST_E_DATA;
    if (status != PST_OK)
        return status;
    pst_builder *b = pst_builder_create();
    int score = pst_builder_column(b, "score", PST_NUMBER), n = pst_builder_column(b, "loads", PST_INTEGER);
    for (uint32_t i = 0; i < c.rows; i++) {
        pst_builder_set_real(b, score, pst_column_real(&c, i) - mean);
        pst_builder_set_int(b, n, loads);
        pst_builder_row(b);
    }
    status = pst_builder_finish(b, NULL, (pst_bytes){0}, PST_BATCH_ALIGNED, out, error);
    pst_builder_free(b);
    if (status == PST_OK)
        trouble_bend(&trouble_of, out);
    return status;
}

/* All of a score comes from the one column. */
static pst_status on_explain(void *self, const pst_call *call, const void *loaded, const pst_input *inputs,
                             size_t n_inputs, pst_batch *out, pst_error *error)
{
    (void)self, (void)call;
    double mean;
    pst_column c;
    memcpy(&mean, loaded, sizeof mean);
    pst_status status =
        n_inputs ? pst_column_find(inputs[0].schema, inputs[0].array, "value", &c, error) : PST_E_DATA;
    if (status != PST_OK)
        return status;
    pst_builder *b = pst_builder_create();
    int entity = pst_builder_column(b, "_entity", PST_TEXT), time = pst_builder_column(b, "_time", PST_TIME);
    int name = pst_builder_column(b, "column", PST_TEXT),
        weight = pst_builder_column(b, "weight", PST_NUMBER);
    for (uint32_t i = 0; i < c.rows; i++) {
        pst_builder_set_text(b, entity, "p1");
        pst_builder_set_int(b, time, i);
        pst_builder_set_text(b, name, "value");
        pst_builder_set_real(b, weight, pst_column_real(&c, i) - mean);
        pst_builder_row(b);
    }
    status = pst_builder_finish(b, NULL, (pst_bytes){0}, 0, out, error);
    pst_builder_free(b);
    return status;
}

static void on_unload(void *self, void *loaded)
{
    (void)self;
    free(loaded);
}

static const pst_train train = {.struct_size = sizeof train, .train = on_train};
static const pst_infer infer = {.struct_size = sizeof infer,
                                .context_rows = on_context_rows,
                                .load = on_load,
                                .infer = on_infer,
                                .unload = on_unload};

static const pst_explain explain = {.struct_size = sizeof explain, .explain = on_explain};

static const void *get_interface(const char *id)
{
    return !strcmp(id, PST_IF_TRAIN)     ? (const void *)&train
           : !strcmp(id, PST_IF_INFER)   ? (const void *)&infer
           : !strcmp(id, PST_IF_EXPLAIN) ? (const void *)&explain
                                         : NULL;
}

static pst_status create(const pst_host *host, void **self, pst_error *error)
{
    (void)error;
    the_host = host;
    trouble_read(&trouble_of, host);
    *self = &the_host;
    return PST_OK;
}

static void destroy(void *self)
{
    (void)self;
}

PST_EXPORT const pst_plugin penstock_plugin_v1 = {.struct_size = sizeof(pst_plugin),
                                                  .abi_minor = PST_ABI_MINOR,
                                                  .id = "org.penstock.test.echo-model",
                                                  .kind = PST_KIND_MODEL,
                                                  .version = "1.0.0",
                                                  .title = "Echo model",
                                                  .licence = "Apache-2.0",
                                                  .config_schema = config_schema,
                                                  .get_interface = get_interface,
                                                  .create = create,
                                                  .destroy = destroy};
