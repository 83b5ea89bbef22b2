/* The table of requests, and the calls that every kind of plugin has. An interface that the plugin lacks, or
 * a function that its struct does not reach to, is PST_E_UNSUPPORTED; a frame that does not read is a bug of
 * ours and ends the call as PST_E_INTERNAL. */
#include "cell/calls.h"

#include "cell/call_arguments.h"
#include "cell/call_table.h"
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
    frame_put(&q->answer, FRAME_NUMBER, REACHES(source, pst_source, flags) ? source->flags : 0, NULL, 0);
    return status;
}

static pst_status call_check(request *q)
{
    const pst_check *check = interface_of(q, PST_IF_CHECK);
    return REACHES(check, pst_check, check) ? check->check(q->s->self, &q->call, q->error)
                                            : PST_E_UNSUPPORTED;
}

static pst_status call_discover(request *q)
{
    const pst_discover *discover = interface_of(q, PST_IF_DISCOVER);
    if (!REACHES(discover, pst_discover, discover))
        return PST_E_UNSUPPORTED;
    pst_blob json = {.struct_size = sizeof json};
    pst_status status = discover->discover(q->s->self, &q->call, &json, q->error);
    put_blob(q, FRAME_JSON, &json);
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
    [WIRE_WRITE - WIRE_CONFIGURE] = call_write,
    [WIRE_COMMAND - WIRE_CONFIGURE] = call_command,
    [WIRE_RECEIPT - WIRE_CONFIGURE] = call_receipt,
    [WIRE_EXPLAIN - WIRE_CONFIGURE] = call_explain,
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
        model_forget(s);
        s->plugin->destroy(s->self);
    }
}
