/* A notifier whose external id tells what it was given. */
#include <stdio.h>
#include <string.h>

#include "trouble.h"

extern const char config_schema[];
static const pst_host *the_host;
static trouble trouble_of;

static pst_status on_send(void *self, const pst_call *call, const pst_message *m, pst_delivery *out,
                          pst_error *error)
{
    (void)self;
    char password[64] = "";
    size_t len = 0;
    pst_status trouble = trouble_call(&trouble_of, call, error);
    if (trouble == PST_OK)
        trouble = trouble_bytes(&trouble_of, call, m->json, strlen(m->json), error);
    if (trouble == PST_OK)
        trouble = trouble_bytes(&trouble_of, call, m->title, strlen(m->title), error);
    if (trouble != PST_OK)
        return trouble;
    if (!strcmp(m->title, "bad address"))
        return pst_fail(error, PST_E_DATA, NULL, "the receiver does not exist");
    if (the_host->config_has(the_host, "/password")) {
        pst_status status =
            the_host->secret(the_host, call, "/password", password, sizeof password, &len, error);
        if (status != PST_OK)
            return status;
    }
    snprintf(out->external_id, sizeof out->external_id, "%s|%s|%zu labels|%zu files %s|%s|%zu|%s",
             m->delivery_id, m->html ? "html" : "text", m->n_labels, m->n_attachments,
             m->n_attachments && m->attachments[0].content_id ? m->attachments[0].content_id : "-", m->json,
             len, call->work_id ? call->work_id : "-");
    out->state = PST_DELIVERY_ACCEPTED;
    return PST_OK;
}

static const pst_send send_interface = {.struct_size = sizeof send_interface, .send = on_send};

static const void *get_interface(const char *id)
{
    return !strcmp(id, PST_IF_SEND) ? &send_interface : NULL;
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
                                                  .id = "org.penstock.test.echo-notifier",
                                                  .kind = PST_KIND_NOTIFIER,
                                                  .version = "1.0.0",
                                                  .title = "Echo notifier",
                                                  .licence = "Apache-2.0",
                                                  .config_schema = config_schema,
                                                  .get_interface = get_interface,
                                                  .create = create,
                                                  .destroy = destroy};
