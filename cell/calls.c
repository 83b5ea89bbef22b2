/* Each function takes its arguments from the frame in the order in which the host writes them
 * (host/plugin/instance*.c) and writes its answer. An interface that the plugin lacks is PST_E_UNSUPPORTED; a
 * frame that does not read is a bug of ours and ends the call as PST_E_INTERNAL. */
#include "cell/calls.h"

#include <stdlib.h>
#include <string.h>

#include "cell/arrow_frame.h"
#include "cell/call_arguments.h"
#include "penstock/batch.h"

static pst_status call_configure(request *q)
{
    session *s = q->s;
    const char *name = take_text(q, FRAME_NAME), *workspace = take_text(q, FRAME_WORKSPACE);
    const char *config = take_text(q, FRAME_CONFIG);
    if (s->self || !name || !workspace || !config || !session_configure(s, name, workspace, config))
        return malformed(q);
    pst_status status = s->plugin->create(&s->host, &s->self, q->error);
    const pst_source *source = s->plugin->get_interface(PST_IF_SOURCE);
    frame_put(&q->answer, FRAME_NUMBER, source ? source->flags : 0, NULL, 0);
    return status;
}

static pst_status call_open(request *q)
{
    const pst_source *source = interface_of(q, PST_IF_SOURCE);
    return source ? source->open(q->s->self, &q->call, take_bytes(q, FRAME_CURSOR), q->error)
                  : PST_E_UNSUPPORTED;
}

typedef pst_status (*source_reader)(void *self, const pst_call *, uint32_t max, pst_batch *out, pst_error *);

static pst_status take_from_source(request *q, source_reader reader)
{
    if (!reader)
        return PST_E_UNSUPPORTED;
    pst_batch b = {.struct_size = sizeof b};
    pst_status status = reader(q->s->self, &q->call, q->rows, &b, q->error);
    frame_put(&q->answer, FRAME_WAIT, b.next_in_ms, NULL, 0);
    if (status == PST_OK)
        return arrow_batch_write(&q->answer, &b, q->error);
    arrow_batch_release(&b);
    return status;
}

static pst_status call_credit(request *q)
{
    const pst_source *source = interface_of(q, PST_IF_SOURCE);
    return take_from_source(q, source ? source->read : NULL);
}

static pst_status call_skip(request *q)
{
    const pst_source *source = interface_of(q, PST_IF_SOURCE);
    return take_from_source(q, source && PST_HAS(source, pst_source, skip) ? source->skip : NULL);
}

static pst_status call_ack(request *q)
{
    const pst_source *source = interface_of(q, PST_IF_SOURCE);
    if (!source)
        return PST_E_UNSUPPORTED;
    return source->ack ? source->ack(q->s->self, &q->call, take_bytes(q, FRAME_CURSOR), q->error) : PST_OK;
}

static pst_status call_close(request *q)
{
    const pst_source *source = interface_of(q, PST_IF_SOURCE);
    if (source)
        source->close(q->s->self);
    return source ? PST_OK : PST_E_UNSUPPORTED;
}

static pst_status call_check(request *q)
{
    const pst_check *check = interface_of(q, PST_IF_CHECK);
    return check ? check->check(q->s->self, &q->call, q->error) : PST_E_UNSUPPORTED;
}

static void put_blob(request *q, frame_tag tag, pst_blob *blob)
{
    frame_put(&q->answer, tag, 0, blob->data, blob->len);
    if (blob->release)
        blob->release(blob);
}

static pst_status call_discover(request *q)
{
    const pst_discover *discover = interface_of(q, PST_IF_DISCOVER);
    if (!discover)
        return PST_E_UNSUPPORTED;
    pst_blob json = {.struct_size = sizeof json};
    pst_status status = discover->discover(q->s->self, &q->call, &json, q->error);
    put_blob(q, FRAME_JSON, &json);
    return status;
}

/* Batches until PST_END; each begins with FRAME_NUMBER. */
static pst_status put_pushed(request *q, const pst_push *push)
{
    for (;;) {
        pst_batch b = {.struct_size = sizeof b};
        pst_status status = push->next(q->s->self, &q->call, &b, q->error);
        if (status == PST_END || status == PST_IDLE)
            return PST_OK;
        if (status != PST_OK)
            return status;
        frame_put(&q->answer, FRAME_NUMBER, 0, NULL, 0);
        status = arrow_batch_write(&q->answer, &b, q->error);
        if (status != PST_OK)
            return status;
    }
}

static pst_status call_receive(request *q)
{
    const pst_push *push = interface_of(q, PST_IF_PUSH);
    if (!push)
        return PST_E_UNSUPPORTED;
    pst_request in = {.struct_size = sizeof in,
                      .method = take_text(q, FRAME_METHOD),
                      .path = take_text(q, FRAME_PATH),
                      .query = take_text(q, FRAME_QUERY)};
    fields fields = {0};
    if (!in.method || !in.path || !take_fields(q, &fields))
        return malformed(q);
    in.headers = fields.items;
    in.n_headers = fields.n;
    in.body = take_bytes(q, FRAME_BODY);
    pst_reply reply = {.struct_size = sizeof reply, .body = {.struct_size = sizeof reply.body}};
    pst_status status = push->receive(q->s->self, &q->call, &in, &reply, q->error);
    frame_put(&q->answer, FRAME_NUMBER, (uint32_t)reply.http_status, NULL, 0);
    reply.content_type[sizeof reply.content_type - 1] = '\0';
    frame_put_text(&q->answer, FRAME_CONTENT_TYPE, reply.content_type);
    put_blob(q, FRAME_BODY, &reply.body);
    if (status == PST_OK)
        status = put_pushed(q, push);
    free(fields.items);
    return status;
}

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

static pst_status call_send(request *q)
{
    const pst_send *send = interface_of(q, PST_IF_SEND);
    if (!send)
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

static pst_status call_prepare(request *q)
{
    const pst_metric_engine *engine = interface_of(q, PST_IF_METRIC);
    const char *definition = take_text(q, FRAME_DEFINITION);
    if (!engine)
        return PST_E_UNSUPPORTED;
    if (!definition)
        return malformed(q);
    void *prepared = NULL;
    pst_status status = engine->prepare(q->s->self, &q->call, definition, &prepared, q->error);
    engine->discard(q->s->self, prepared);
    return status;
}

static pst_status call_evaluate(request *q)
{
    const pst_metric_engine *engine = interface_of(q, PST_IF_METRIC);
    const char *definition = take_text(q, FRAME_DEFINITION), *parameters = take_text(q, FRAME_PARAMETERS);
    if (!engine)
        return PST_E_UNSUPPORTED;
    if (!definition || !parameters || !arrow_inputs_read(&q->arguments, &q->inputs))
        return malformed(q);
    void *prepared = NULL;
    pst_batch b = {.struct_size = sizeof b};
    pst_status status = engine->prepare(q->s->self, &q->call, definition, &prepared, q->error);
    if (status == PST_OK)
        status = engine->evaluate(q->s->self, &q->call, prepared, parameters, q->inputs.items, q->inputs.n,
                                  &b, q->error);
    if (status == PST_OK)
        status = arrow_batch_write(&q->answer, &b, q->error);
    else
        arrow_batch_release(&b);
    engine->discard(q->s->self, prepared);
    return status;
}

static pst_status call_train(request *q)
{
    const pst_train *train = interface_of(q, PST_IF_TRAIN);
    if (!train)
        return PST_E_UNSUPPORTED;
    if (!arrow_inputs_read(&q->arguments, &q->inputs))
        return malformed(q);
    pst_blob artifact = {.struct_size = sizeof artifact}, info = {.struct_size = sizeof info};
    pst_status status =
        train->train(q->s->self, &q->call, q->inputs.items, q->inputs.n, &artifact, &info, q->error);
    put_blob(q, FRAME_ARTIFACT, &artifact);
    put_blob(q, FRAME_JSON, &info);
    return status;
}

static pst_status call_context(request *q)
{
    const pst_infer *infer = interface_of(q, PST_IF_INFER);
    if (infer)
        frame_put(&q->answer, FRAME_NUMBER, infer->context_rows ? infer->context_rows(q->s->self) : 0, NULL,
                  0);
    return infer ? PST_OK : PST_E_UNSUPPORTED;
}

static void model_forget(session *s, const pst_infer *infer)
{
    if (s->artifact && infer)
        infer->unload(s->self, s->loaded);
    free(s->artifact);
    s->artifact = s->loaded = NULL;
    s->artifact_len = 0;
}

/* Loads the artifact unless it is the one that is loaded. */
static pst_status model_load(request *q, const pst_infer *infer, pst_bytes artifact)
{
    session *s = q->s;
    if (s->artifact && s->artifact_len == artifact.len && !memcmp(s->artifact, artifact.data, artifact.len))
        return PST_OK;
    model_forget(s, infer);
    pst_status status = infer->load(s->self, &q->call, artifact, &s->loaded, q->error);
    if (status != PST_OK)
        return status;
    s->artifact = malloc(artifact.len + 1);
    if (!s->artifact) {
        infer->unload(s->self, s->loaded);
        return pst_fail(q->error, PST_E_RESOURCE, NULL, "no memory for the model");
    }
    if (artifact.len)
        memcpy(s->artifact, artifact.data, artifact.len);
    s->artifact_len = artifact.len;
    return PST_OK;
}

static pst_status call_infer(request *q)
{
    const pst_infer *infer = interface_of(q, PST_IF_INFER);
    if (!infer)
        return PST_E_UNSUPPORTED;
    pst_bytes artifact = take_bytes(q, FRAME_ARTIFACT);
    if (!arrow_inputs_read(&q->arguments, &q->inputs))
        return malformed(q);
    pst_batch b = {.struct_size = sizeof b};
    pst_status status = model_load(q, infer, artifact);
    if (status == PST_OK)
        status = infer->infer(q->s->self, &q->call, q->s->loaded, q->inputs.items, q->inputs.n, &b, q->error);
    if (status == PST_OK)
        return arrow_batch_write(&q->answer, &b, q->error);
    arrow_batch_release(&b);
    return status;
}

static pst_status (*const calls[WIRE_REQUEST_END - WIRE_CONFIGURE])(request *) = {
    [0] = call_configure,
    [WIRE_OPEN - WIRE_CONFIGURE] = call_open,
    [WIRE_CREDIT - WIRE_CONFIGURE] = call_credit,
    [WIRE_ACK - WIRE_CONFIGURE] = call_ack,
    [WIRE_CLOSE - WIRE_CONFIGURE] = call_close,
    [WIRE_CHECK - WIRE_CONFIGURE] = call_check,
    [WIRE_DISCOVER - WIRE_CONFIGURE] = call_discover,
    [WIRE_RECEIVE - WIRE_CONFIGURE] = call_receive,
    [WIRE_SEND - WIRE_CONFIGURE] = call_send,
    [WIRE_PREPARE - WIRE_CONFIGURE] = call_prepare,
    [WIRE_EVALUATE - WIRE_CONFIGURE] = call_evaluate,
    [WIRE_TRAIN - WIRE_CONFIGURE] = call_train,
    [WIRE_CONTEXT - WIRE_CONFIGURE] = call_context,
    [WIRE_INFER - WIRE_CONFIGURE] = call_infer,
    [WIRE_SKIP - WIRE_CONFIGURE] = call_skip,
};

void calls_run(session *s)
{
    const wire_header head = s->incoming.header;
    pst_error error = {.struct_size = sizeof error};
    request q = {.s = s,
                 .arguments = session_frame(s),
                 .answer = session_writer(s),
                 .error = &error,
                 .rows = head.rows};
    q.call = (pst_call){.struct_size = sizeof q.call,
                        .cancel_fd = WIRE_CANCEL_FD,
                        .deadline_us = s->host.now_us(&s->host) + head.budget_us,
                        .subject = take_text(&q, FRAME_SUBJECT),
                        .work_id = take_text(&q, FRAME_WORK_ID),
                        .trace = take_text(&q, FRAME_TRACE)};
    s->epoch = head.epoch;
    atomic_store(&s->in_call, true);
    pst_status status = head.type == WIRE_CONFIGURE || s->self
                            ? calls[head.type - WIRE_CONFIGURE](&q)
                            : pst_fail(&error, PST_E_INTERNAL, NULL, "no object yet");
    if (status == PST_E_UNSUPPORTED && !error.message[0])
        pst_fail(&error, status, NULL, "the plugin has no such interface");
    arrow_inputs_free(&q.inputs);
    session_answer(s, head.sequence, status, &q.answer, &error);
}

void calls_end(session *s)
{
    if (s->plugin && s->self) {
        model_forget(s, s->plugin->get_interface(PST_IF_INFER));
        s->plugin->destroy(s->self);
    }
}
