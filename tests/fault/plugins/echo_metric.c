/* A metric engine: `{"sum": "<column>"}` gives, for each input, its name, its rows and the sum of that
 * column. */
#include <stdlib.h>
#include <string.h>

#include "trouble.h"

extern const char config_schema[];

typedef struct prepared_sum {
    char column[64];
} prepared_sum;
static const pst_host *the_host;
static trouble trouble_of;

static pst_status on_prepare(void *self, const pst_call *call, const char *definition_json, void **prepared,
                             pst_error *error)
{
    (void)self, (void)call;
    const pst_json_service *json = the_host->get_service(the_host, PST_SERVICE_JSON);
    pst_json *d = json->parse(the_host, (pst_bytes){definition_json, strlen(definition_json)}, error);
    const char *column = d ? json->text(d, "/sum") : NULL;
    if (d && !column)
        column = json->text(d, "/definition/sum"); /* a whole metric of a template */
    pst_status status = PST_OK;
    prepared_sum *p = calloc(1, sizeof *p);
    if (!column || !p || strlen(column) >= sizeof p->column)
        status = pst_fail(error, PST_E_CONFIG, "/sum", "names no column");
    else
        memcpy(p->column, column, strlen(column) + 1);
    json->discard(d);
    if (status == PST_OK)
        *prepared = p;
    else
        free(p);
    return status;
}

static pst_status sum_one(const pst_input *in, const char *name, double *sum, pst_error *error)
{
    pst_column c;
    pst_status status = pst_column_find(in->schema, in->array, name, &c, error);
    if (status != PST_OK)
        return status;
    for (uint32_t i = 0; i < c.rows; i++)
        if (!pst_column_null(&c, i))
            *sum += c.type >= PST_TEXT ? (double)pst_column_bytes(&c, i).len : pst_column_real(&c, i);
    return PST_OK;
}

static pst_status on_evaluate(void *self, const pst_call *call, const void *prepared,
                              const char *parameters_json, const pst_input *inputs, size_t n_inputs,
                              pst_batch *out, pst_error *error)
{
    (void)self;
    const prepared_sum *p = prepared;
    pst_status status = trouble_call(&trouble_of, call, error);
    if (status == PST_OK)
        status = trouble_inputs(&trouble_of, call, inputs, n_inputs, error);
    if (status != PST_OK)
        return status;
    pst_builder *b = pst_builder_create();
    int name = pst_builder_column(b, "name", PST_TEXT), rows = pst_builder_column(b, "rows", PST_INT32);
    int value = pst_builder_column(b, "sum", PST_NUMBER), given = pst_builder_column(b, "given", PST_JSON);
    for (size_t i = 0; status == PST_OK && i < n_inputs; i++) {
        double sum = 0;
        status = sum_one(&inputs[i], p->column, &sum, error);
        pst_builder_set_text(b, name, inputs[i].name);
        pst_builder_set_int(b, rows, inputs[i].array->length);
        pst_builder_set_real(b, value, sum);
        pst_builder_set_text(b, given, parameters_json);
        pst_builder_row(b);
    }
    if (status == PST_OK)
        status = pst_builder_finish(b, NULL, (pst_bytes){0}, 0, out, error);
    if (status == PST_OK)
        trouble_bend(&trouble_of, out);
    pst_builder_free(b);
    return status;
}

static void on_discard(void *self, void *prepared)
{
    (void)self;
    free(prepared);
}

static const pst_metric_engine engine = {
    .struct_size = sizeof engine, .prepare = on_prepare, .evaluate = on_evaluate, .discard = on_discard};

static const void *get_interface(const char *id)
{
    return !strcmp(id, PST_IF_METRIC) ? &engine : NULL;
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
                                                  .id = "org.penstock.test.echo-metric",
                                                  .kind = PST_KIND_METRIC,
                                                  .version = "1.0.0",
                                                  .title = "Echo metric",
                                                  .licence = "Apache-2.0",
                                                  .config_schema = config_schema,
                                                  .get_interface = get_interface,
                                                  .create = create,
                                                  .destroy = destroy};
