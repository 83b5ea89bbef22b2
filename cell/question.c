/* The message of the request that is running is kept: its header is needed for the answer. So a question has
 * a message of its own, on the heap, since plugins may run on small stacks. */
#include "cell/question.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "penstock/batch.h"

pst_status question_begin(session *s, const pst_call *call, const char *service, uint32_t function,
                          question **out, pst_error *error)
{
    *out = NULL;
    if (!atomic_load(&s->in_call))
        return pst_fail(error, PST_E_INTERNAL, NULL, "%s was asked outside a call", service);
    question *q = atomic_exchange(&s->spare, NULL);
    q = q ? q : malloc(sizeof *q);
    if (!q)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory to ask the host");
    q->s = s;
    q->fd = -1;
    q->results = frame_reader_make(NULL, 0);
    q->arguments = frame_writer_buffer(q->message.body, sizeof q->message.body);
    frame_put(&q->arguments, FRAME_SERVICE, function, service, strlen(service) + 1);
    frame_put_text(&q->arguments, FRAME_SUBJECT,
                   call && PST_HAS(call, pst_call, subject) ? call->subject : NULL);
    *out = q;
    return PST_OK;
}

static pst_status refused(question *q, pst_status status, pst_error *error)
{
    frame_item item;
    frame_error e = {.message = "the host refused, and did not say why"};
    if (frame_take(&q->results, FRAME_ERROR, &item) && item.len == sizeof e)
        memcpy(&e, item.data, sizeof e);
    e.where[sizeof e.where - 1] = e.message[sizeof e.message - 1] = '\0';
    pst_fail(error, status, e.where, "%s", e.message);
    if (error && PST_HAS(error, pst_error, vendor_code))
        error->vendor_code = e.vendor_code;
    if (error && PST_HAS(error, pst_error, retry_after_ms))
        error->retry_after_ms = e.retry_after_ms;
    return status;
}

pst_status question_ask(question *q, pst_error *error)
{
    wire_header head = wire_header_make(WIRE_SERVICE, q->s->epoch, 0);
    head.body_len = (uint32_t)q->arguments.len;
    if (q->arguments.failed)
        return pst_fail(error, PST_E_RESOURCE, NULL, "what was asked has more than %u bytes", WIRE_BODY_MAX);
    if (!wire_send(WIRE_SOCKET_FD, &head, q->message.body, -1, 0) ||
        wire_receive(WIRE_SOCKET_FD, &q->message, 0) != WIRE_ARRIVED || q->message.header.type != WIRE_ANSWER)
        _exit(0); /* the host is gone */
    q->fd = q->message.fd;
    q->results = frame_reader_make(q->message.body, q->message.header.body_len);
    pst_status status = q->message.header.status;
    return status < 0 ? refused(q, status, error) : status;
}

/* Bytes of the body that were written, by either side. */
static size_t used(const question *q)
{
    return q->results.len > q->arguments.len ? q->results.len : q->arguments.len;
}

void question_end(question *q)
{
    if (!q)
        return;
    if (q->fd >= 0)
        close(q->fd);
    explicit_bzero(q->message.body, used(q));
    free(atomic_exchange(&q->s->spare, q));
}
