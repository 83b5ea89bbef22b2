/* The trivial kernel of the measurement: hands every column back, with one added to the numbers. By the SDK's
 * reader and builder, as every plugin does it, or with Arrow arrays made by hand, one copy a column: the
 * least that a direct call can cost, so the hardest to stand beside. */
#include <stdlib.h>
#include <string.h>

#include "penstock/batch.h"

extern const char config_schema[];

enum { COLUMNS_MAX = 8 };

typedef struct column_out {
    struct ArrowSchema schema;
    struct ArrowArray array;
    const void *buffers[3];
} column_out;

typedef struct answer {
    struct ArrowSchema *fields[COLUMNS_MAX];
    struct ArrowArray *children[COLUMNS_MAX];
    const void *no_validity[1];
    column_out columns[COLUMNS_MAX];
} answer;

static void on_answer_release(struct ArrowArray *array)
{
    answer *a = array->private_data;
    for (int64_t i = 0; i < array->n_children; i++) {
        free((void *)a->columns[i].buffers[1]);
        free((void *)a->columns[i].buffers[2]);
    }
    free(a);
    array->release = NULL;
}

static void on_schema_release(struct ArrowSchema *schema)
{
    schema->release = NULL;
}

static const void *copy_of(const void *from, size_t bytes)
{
    void *to = malloc(bytes + 1);
    return to ? memcpy(to, from, bytes) : NULL;
}

static const void *plus_one(const double *from, size_t n)
{
    double *to = malloc((n + 1) * sizeof *to);
    for (size_t i = 0; to && i < n; i++)
        to[i] = from[i] + 1;
    return to;
}

static bool column_answer(const struct ArrowSchema *field, const struct ArrowArray *from, column_out *c)
{
    size_t n = (size_t)from->length;
    const int32_t *offsets = from->buffers[1];
    bool text = field->format[0] == 'u';
    if (text) {
        c->buffers[1] = copy_of(offsets, (n + 1) * sizeof *offsets);
        c->buffers[2] = copy_of(from->buffers[2], (size_t)offsets[n]);
    } else if (field->format[0] == 'g') {
        c->buffers[1] = plus_one(from->buffers[1], n);
    } else {
        c->buffers[1] = copy_of(from->buffers[1], n * 8);
    }
    c->schema = (struct ArrowSchema){.format = field->format,
                                     .name = field->name,
                                     .flags = ARROW_FLAG_NULLABLE,
                                     .release = on_schema_release};
    c->array = (struct ArrowArray){.length = from->length, .n_buffers = text ? 3 : 2, .buffers = c->buffers};
    return c->buffers[1] && (!text || c->buffers[2]);
}

static pst_status by_builder(const pst_input *in, pst_batch *out, pst_error *error)
{
    pst_column c[COLUMNS_MAX];
    uint32_t n = (uint32_t)in->schema->n_children;
    pst_builder *b = pst_builder_create();
    for (uint32_t i = 0; i < n; i++) {
        if (pst_column_at(in->schema, in->array, i, &c[i], error) != PST_OK)
            return PST_E_DATA;
        pst_builder_column(b, c[i].name, c[i].type);
    }
    for (uint32_t row = 0; row < (uint32_t)in->array->length; row++) {
        for (uint32_t i = 0; i < n; i++) {
            pst_bytes text;
            if (c[i].type == PST_NUMBER)
                pst_builder_set_real(b, (int)i, pst_column_real(&c[i], row) + 1);
            else if (c[i].type == PST_TIME)
                pst_builder_set_int(b, (int)i, pst_column_int(&c[i], row));
            else
                text = pst_column_bytes(&c[i], row), pst_builder_set_bytes(b, (int)i, text.data, text.len);
        }
        pst_builder_row(b);
    }
    pst_status status = pst_builder_finish(b, NULL, (pst_bytes){0}, PST_BATCH_ALIGNED, out, error);
    pst_builder_free(b);
    return status;
}

static pst_status on_infer(void *self, const pst_call *call, const void *loaded, const pst_input *inputs,
                           size_t n_inputs, pst_batch *out, pst_error *error)
{
    (void)call, (void)loaded;
    const pst_host *host = self;
    int64_t n = n_inputs == 1 ? inputs[0].schema->n_children : 0;
    if (n < 1 || n > COLUMNS_MAX)
        return pst_fail(error, PST_E_DATA, NULL, "one input of at most %d columns is wanted", COLUMNS_MAX);
    if (host->config_flag(host, "/builder"))
        return by_builder(&inputs[0], out, error);
    answer *a = calloc(1, sizeof *a);
    if (!a)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    bool whole = true;
    for (int64_t i = 0; i < n; i++) {
        whole = column_answer(inputs[0].schema->children[i], inputs[0].array->children[i], &a->columns[i]) &&
                whole;
        a->fields[i] = &a->columns[i].schema;
        a->children[i] = &a->columns[i].array;
    }
    out->flags = PST_BATCH_ALIGNED;
    out->schema = (struct ArrowSchema){
        .format = "+s", .name = "", .n_children = n, .children = a->fields, .release = on_schema_release};
    out->array = (struct ArrowArray){.length = inputs[0].array->length,
                                     .n_buffers = 1,
                                     .buffers = a->no_validity,
                                     .n_children = n,
                                     .children = a->children,
                                     .release = on_answer_release,
                                     .private_data = a};
    return whole ? PST_OK : pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
}

static pst_status on_load(void *self, const pst_call *call, pst_bytes artifact, void **loaded,
                          pst_error *error)
{
    (void)call, (void)artifact, (void)error;
    *loaded = self;
    return PST_OK;
}

static void on_unload(void *self, void *loaded)
{
    (void)self, (void)loaded;
}

static const void *on_get_interface(const char *id)
{
    static const pst_infer infer = {
        .struct_size = sizeof infer, .load = on_load, .infer = on_infer, .unload = on_unload};
    return strcmp(id, PST_IF_INFER) ? NULL : &infer;
}

static pst_status on_create(const pst_host *host, void **self, pst_error *error)
{
    (void)error;
    *self = (void *)host;
    return PST_OK;
}

static void on_destroy(void *self)
{
    (void)self;
}

PST_EXPORT const pst_plugin penstock_plugin_v1 = {.struct_size = sizeof(pst_plugin),
                                                  .abi_minor = PST_ABI_MINOR,
                                                  .id = "org.penstock.bench.kernel",
                                                  .kind = PST_KIND_MODEL,
                                                  .version = "1.0.0",
                                                  .title = "Trivial kernel",
                                                  .licence = "Apache-2.0",
                                                  .config_schema = config_schema,
                                                  .get_interface = on_get_interface,
                                                  .create = on_create,
                                                  .destroy = on_destroy};
