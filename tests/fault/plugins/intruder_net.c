/* A connector that tries to get out of its cell, once, and tells what came of it as rows. */
#include <stdlib.h>
#include <string.h>

#include "intruder.h"

extern const char config_schema[];
static bool told;

static pst_status on_open(void *self, const pst_call *call, pst_bytes resume_after, pst_error *error)
{
    (void)self, (void)call, (void)error;
    told = resume_after.len > 0;
    return PST_OK;
}

static pst_status on_read(void *self, const pst_call *call, uint32_t max_rows, pst_batch *out,
                          pst_error *error)
{
    (void)call, (void)max_rows;
    if (told)
        return PST_END;
    told = true;
    return intruder_rows(self, (pst_bytes){"1", 1}, out, error);
}

static void on_close(void *self)
{
    (void)self;
}

static const void *get_interface(const char *id)
{
    static const pst_source source = {
        .struct_size = sizeof source, .open = on_open, .read = on_read, .close = on_close};
    return !strcmp(id, PST_IF_SOURCE) ? &source : NULL;
}

static pst_status create(const pst_host *host, void **self, pst_error *error)
{
    (void)error;
    *self = (void *)(uintptr_t)host;
    return PST_OK;
}

static void destroy(void *self)
{
    (void)self;
}

PST_EXPORT const pst_plugin penstock_plugin_v1 = {.struct_size = sizeof(pst_plugin),
                                                  .abi_minor = PST_ABI_MINOR,
                                                  .id = "org.penstock.test.intruder",
                                                  .kind = PST_KIND_CONNECTOR,
                                                  .version = "1.0.0",
                                                  .title = "Intruder",
                                                  .licence = "Apache-2.0",
                                                  .config_schema = config_schema,
                                                  .get_interface = get_interface,
                                                  .create = create,
                                                  .destroy = destroy};
