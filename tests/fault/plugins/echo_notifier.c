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

/* Each word of the body is an external id; `!` before it says that it failed. */
static pst_status on_receive(void *self, const pst_call *call, const pst_request *request, pst_reply *reply,
                             pst_receipt *out, size_t cap, size_t *n_out, pst_error *error)
{
    (void)self, (void)call;
    char body[512] = "", *rest = body, *word;
    if (request->body.len >= sizeof body)
        return pst_fail(error, PST_E_DATA, NULL, "the callback is too long");
    memcpy(body, request->body.data, request->body.len);
    for (; (word = strsep(&rest, " ")) && *n_out < cap; ++*n_out) {
        bool failed = *word == '!';
        out[*n_out] = (pst_receipt){.state = failed ? PST_RECEIPT_FAILED : PST_RECEIPT_DELIVERED, .at_us = 7};
        snprintf(out[*n_out].external_id, sizeof out[0].external_id, "%s", word + failed);
    }
    if (!strcmp(request->path, "/many"))
        *n_out = cap + 1;
    if (!strcmp(request->path, "/state"))
        out[0].state = 99;
    if (!strcmp(request->path, "/endless"))
        memset(out[0].external_id, 'x', sizeof out[0].external_id);
    reply->http_status = 200;
    snprintf(reply->content_type, sizeof reply->content_type, "text/plain");
    return pst_blob_set(&reply->body, "got it", 6, error);
}

static const pst_receipts receipts_interface = {.struct_size = sizeof receipts_interface,
                                                .receive = on_receive};
static const pst_send send_interface = {.struct_size = sizeof send_interface, .send = on_send};

static const void *get_interface(const char *id)
{
    return !strcmp(id, PST_IF_SEND)      ? (const void *)&send_interface
           : !strcmp(id, PST_IF_RECEIPT) ? (const void *)&receipts_interface
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
                                                  .id = "org.penstock.test.echo-notifier",
                                                  .kind = PST_KIND_NOTIFIER,
                                                  .version = "1.0.0",
                                                  .title = "Echo notifier",
                                                  .licence = "Apache-2.0",
                                                  .config_schema = config_schema,
                                                  .get_interface = get_interface,
                                                  .create = create,
                                                  .destroy = destroy};
