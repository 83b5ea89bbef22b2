/* A connector to start from: one row now and then. Replace read_thing by what your thing says.
 * The cursor is the time of the newest row, so that after a restart no row comes twice. */
#include <stdlib.h>
#include <string.h>

#include "penstock/batch.h"

extern const char config_schema[]; /* config.schema.json, embedded by the build */

typedef struct thing {
    const pst_host *host;
    const char *device;
    int64_t every_us, newest_us;
} thing;

static double read_thing(const thing *t)
{
    return (double)(t->newest_us % 1000000) / 1e6;
}

static pst_status on_open(void *self, const pst_call *call, pst_bytes resume_after, pst_error *error)
{
    (void)call;
    thing *t = self;
    t->newest_us = t->host->wall_us(t->host);
    if (!resume_after.len)
        return PST_OK;
    if (resume_after.len != sizeof t->newest_us)
        return pst_fail(error, PST_E_DATA, NULL, "the cursor is not one of this connector");
    memcpy(&t->newest_us, resume_after.data, sizeof t->newest_us);
    return PST_OK;
}

static pst_status on_read(void *self, const pst_call *call, uint32_t max_rows, pst_batch *out,
                          pst_error *error)
{
    (void)call;
    thing *t = self;
    int64_t now = t->host->wall_us(t->host);
    if (now < t->newest_us + t->every_us) {
        out->next_in_ms = (uint32_t)((t->newest_us + t->every_us - now) / 1000 + 1);
        return PST_IDLE;
    }
    pst_builder *b = pst_builder_create();
    if (!b)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory for a batch");
    int time = pst_builder_column(b, "time", PST_TIME);
    int device = pst_builder_column(b, "device_id", PST_TEXT);
    int value = pst_builder_column(b, "value", PST_NUMBER);
    while (pst_builder_rows(b) < max_rows && t->newest_us + t->every_us <= now) {
        t->newest_us += t->every_us;
        pst_builder_set_int(b, time, t->newest_us);
        pst_builder_set_text(b, device, t->device);
        pst_builder_set_real(b, value, read_thing(t));
        pst_builder_row(b);
    }
    pst_bytes cursor = {&t->newest_us, sizeof t->newest_us};
    pst_status status = pst_builder_finish(b, NULL, cursor, 0, out, error);
    pst_builder_free(b);
    return status;
}

static void on_close(void *self)
{
    (void)self;
}

static const pst_source source = {
    .struct_size = sizeof source, .open = on_open, .read = on_read, .close = on_close};

static const void *get_interface(const char *id)
{
    return strcmp(id, PST_IF_SOURCE) == 0 ? &source : NULL;
}

static pst_status create(const pst_host *host, void **self, pst_error *error)
{
    thing *t = calloc(1, sizeof *t);
    if (!t)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    t->host = host;
    t->device = host->config_text(host, "/device");
    t->every_us = host->config_int(host, "/every_ms") * 1000;
    *self = t;
    return PST_OK;
}

PST_EXPORT const pst_plugin penstock_plugin_v1 = {.struct_size = sizeof(pst_plugin),
                                                  .abi_minor = PST_ABI_MINOR,
                                                  .id = "org.example.connector.my-thing",
                                                  .kind = PST_KIND_CONNECTOR,
                                                  .version = "0.1.0",
                                                  .title = "My thing",
                                                  .licence = "Apache-2.0",
                                                  .config_schema = config_schema,
                                                  .get_interface = get_interface,
                                                  .create = create,
                                                  .destroy = free};
