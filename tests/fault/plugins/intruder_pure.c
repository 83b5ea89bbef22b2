/* A metric engine that tries to get out of its cell and tells what came of it. */
#include <stdlib.h>
#include <string.h>

#include "intruder.h"

extern const char config_schema[];
static const pst_host *the_host;

static pst_status on_prepare(void *self, const pst_call *call, const char *definition_json, void **prepared,
                             pst_error *error)
{
    (void)self, (void)call, (void)definition_json, (void)error;
    *prepared = &the_host;
    return PST_OK;
}

static pst_status on_evaluate(void *self, const pst_call *call, const void *prepared,
                              const char *parameters_json, const pst_input *inputs, size_t n_inputs,
                              pst_batch *out, pst_error *error)
{
    (void)self, (void)call, (void)prepared, (void)parameters_json, (void)inputs, (void)n_inputs;
    return intruder_rows(the_host, (pst_bytes){0}, out, error);
}

static void on_discard(void *self, void *prepared)
{
    (void)self, (void)prepared;
}

static const void *get_interface(const char *id)
{
    static const pst_metric_engine engine = {
        .struct_size = sizeof engine, .prepare = on_prepare, .evaluate = on_evaluate, .discard = on_discard};
    return !strcmp(id, PST_IF_METRIC) ? &engine : NULL;
}

static pst_status create(const pst_host *host, void **self, pst_error *error)
{
    (void)error;
    the_host = host;
    *self = &the_host;
    return PST_OK;
}

static void destroy(void *self)
{
    (void)self;
}

PST_EXPORT const pst_plugin penstock_plugin_v1 = {.struct_size = sizeof(pst_plugin),
                                                  .abi_minor = PST_ABI_MINOR,
                                                  .id = "org.penstock.test.intruder-metric",
                                                  .kind = PST_KIND_METRIC,
                                                  .version = "1.0.0",
                                                  .title = "Intruder among the metrics",
                                                  .licence = "Apache-2.0",
                                                  .config_schema = config_schema,
                                                  .get_interface = get_interface,
                                                  .create = create,
                                                  .destroy = destroy};
