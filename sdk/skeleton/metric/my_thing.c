/* my-thing, a Penstock metric engine: how often, and how long at a stretch, a column stood above a limit.
 *
 *   definition: {column: pressure, above: 5.5}   →   one row: rows, share (0 to 1), longest (rows in a row)
 *
 * The same input must always give the same output: no clock, no files, nothing kept from call to call. */
#include <stdlib.h>
#include <string.h>

#include "penstock/batch.h"
#include "penstock/define.h"

typedef struct engine {
    const pst_host *host;
    const pst_json_service *json; /* reads definitions */
} engine;

typedef struct definition {
    double above;
    char column[64];
} definition;

static pst_status on_prepare(void *self, const pst_call *call, const char *text, void **prepared, pst_error *error)
{
    const engine *e = self;
    pst_json *json = e->json->parse(e->host, (pst_bytes){text, strlen(text)}, error);
    if (!json)
        return PST_E_CONFIG;
    pst_status status = PST_OK;
    const char *column = e->json->text(json, "/column");
    definition *d = *prepared = calloc(1, sizeof *d); /* discarded by the host, also after a failure */
    if (!d)
        status = pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    else if (!column || !*column || strlen(column) >= sizeof d->column)
        status = pst_fail(error, PST_E_CONFIG, "/column", "the name of a column is expected");
    else if (!e->json->has(json, "/above"))
        status = pst_fail(error, PST_E_CONFIG, "/above", "a number is expected");
    else {
        d->above = e->json->real(json, "/above");
        memcpy(d->column, column, strlen(column) + 1);
    }
    e->json->discard(json);
    return status;
}

static pst_status on_evaluate(void *self, const pst_call *call, const void *prepared, const char *parameters_json,
                              const pst_input *inputs, size_t n_inputs, pst_batch *out, pst_error *error)
{
    const definition *d = prepared;
    pst_column c;
    if (!n_inputs || pst_column_find(inputs[0].schema, inputs[0].array, d->column, &c, error) ||
        !pst_column_numeric(&c))
        return pst_fail(error, PST_E_CONFIG, "/column", "the input has no numeric column %s", d->column);
    uint32_t rows = 0, above = 0, run = 0, longest = 0;
    for (uint32_t i = 0; i < c.rows; i++) {
        if (pst_column_null(&c, i))
            continue;
        rows++;
        run = pst_column_real(&c, i) > d->above ? run + 1 : 0;
        above += run > 0;
        longest = run > longest ? run : longest;
    }
    pst_builder *b = pst_builder_create();
    if (!b)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory for the answer");
    pst_builder_set_int(b, pst_builder_column(b, "rows", PST_INTEGER), rows);
    int share = pst_builder_column(b, "share", PST_NUMBER); /* null without rows */
    if (rows)
        pst_builder_set_real(b, share, (double)above / rows);
    pst_builder_set_int(b, pst_builder_column(b, "longest", PST_INTEGER), longest);
    pst_builder_row(b);
    pst_status status = pst_builder_finish(b, NULL, (pst_bytes){0}, 0, out, error);
    pst_builder_free(b);
    return status;
}

static void on_discard(void *self, void *prepared) { free(prepared); }

static const void *on_get_interface(const char *id)
{
    static const pst_metric_engine metric = {
        .struct_size = sizeof metric, .prepare = on_prepare, .evaluate = on_evaluate, .discard = on_discard};
    return strcmp(id, PST_IF_METRIC) == 0 ? &metric : NULL;
}

static pst_status on_create(const pst_host *host, void **self, pst_error *error)
{
    engine *e = calloc(1, sizeof *e);
    if (!e)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    *e = (engine){host, host->get_service(host, PST_SERVICE_JSON)};
    *self = e; /* destroyed by the host, also after a failure */
    return e->json ? PST_OK : pst_fail(error, PST_E_UNSUPPORTED, NULL, "this host offers no " PST_SERVICE_JSON);
}

PST_PLUGIN(.id = "org.example.metric.my-thing", .kind = PST_KIND_METRIC, .version = "0.1.0", .title = "My thing",
           .licence = "Apache-2.0", .get_interface = on_get_interface, .create = on_create, .destroy = free);
