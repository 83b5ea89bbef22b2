/* Calls of notifiers. Arguments are taken in the order in which the host writes them
 * (host/plugin/instance*.c).
 */
#include <stdlib.h>
#include <string.h>

#include "cell/call_arguments.h"
#include "cell/call_table.h"
#include "penstock/batch.h"

enum { RECEIPTS_MAX = 1000 }; /* of one callback */

static pst_status send_message(request *q, const pst_send *send, pst_message *m, attachments *files)
{
    fields labels = {0};
    if (!take_fields(q, &labels) || !take_attachments(q, files)) {
        free(labels.items);
        return malformed(q);
    }
    m->labels = labels.items;
    m->n_labels = labels.n;
    m->attachments = files->items;
    m->n_attachments = files->n;
    pst_delivery delivery = {.struct_size = sizeof delivery};
    pst_status status = send->send(q->s->self, &q->call, m, &delivery, q->error);
    delivery.external_id[sizeof delivery.external_id - 1] = '\0';
    frame_put(&q->answer, FRAME_EXTERNAL_ID, (uint32_t)delivery.state, delivery.external_id,
              strlen(delivery.external_id) + 1);
    free(labels.items);
    return status;
}

pst_status call_send(request *q)
{
    const pst_send *send = interface_of(q, PST_IF_SEND);
    if (!REACHES(send, pst_send, send))
        return PST_E_UNSUPPORTED;
    frame_item severity, at;
    if (!frame_take(&q->arguments, FRAME_SEVERITY, &severity) || !frame_take(&q->arguments, FRAME_AT, &at) ||
        at.len != sizeof(int64_t))
        return malformed(q);
    pst_message m = {.struct_size = sizeof m, .severity = (int32_t)severity.aux};
    memcpy(&m.at_us, at.data, sizeof m.at_us);
    m.delivery_id = take_text(q, FRAME_DELIVERY_ID);
    m.update_of = take_text(q, FRAME_UPDATE_OF);
    m.title = take_text(q, FRAME_TITLE);
    m.text = take_text(q, FRAME_TEXT);
    m.html = take_text(q, FRAME_HTML);
    m.json = take_text(q, FRAME_JSON);
    if (!m.delivery_id || !m.title || !m.text || !m.json)
        return malformed(q);
    attachments files = {0};
    pst_status status = send_message(q, send, &m, &files);
    free(files.items);
    return status;
}

/* Receipts that were written, each with its state. */
static pst_status put_receipts(request *q, pst_receipt *receipts, size_t n)
{
    if (n > RECEIPTS_MAX)
        return pst_fail(q->error, PST_E_INTERNAL, NULL, "%zu receipts were written where %d had room", n,
                        RECEIPTS_MAX);
    for (size_t i = 0; i < n; i++) {
        receipts[i].external_id[sizeof receipts[i].external_id - 1] = '\0';
        frame_put_text(&q->answer, FRAME_EXTERNAL_ID, receipts[i].external_id);
        frame_put(&q->answer, FRAME_AT, (uint32_t)receipts[i].state, &receipts[i].at_us,
                  sizeof receipts[i].at_us);
    }
    return PST_OK;
}

pst_status call_receipt(request *q)
{
    const pst_receipts *receipts = interface_of(q, PST_IF_RECEIPT);
    fields headers = {0};
    pst_request in;
    size_t n = 0;
    if (!REACHES(receipts, pst_receipts, receive))
        return PST_E_UNSUPPORTED;
    pst_receipt *out = calloc(RECEIPTS_MAX, sizeof *out);
    if (!out)
        return pst_fail(q->error, PST_E_RESOURCE, NULL, "no memory for receipts");
    pst_status status = take_http(q, &in, &headers) ? PST_OK : malformed(q);
    if (status == PST_OK) {
        pst_reply reply = {.struct_size = sizeof reply, .body = {.struct_size = sizeof reply.body}};
        status = receipts->receive(q->s->self, &q->call, &in, &reply, out, RECEIPTS_MAX, &n, q->error);
        put_reply(q, &reply);
    }
    if (status == PST_OK)
        status = put_receipts(q, out, n);
    free(headers.items);
    free(out);
    return status;
}
