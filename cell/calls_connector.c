/* Calls of connectors: what comes in (source, push), what goes out (sink), commands to devices. Arguments are
 * taken in the order in which the host writes them (host/plugin/instance_source.c, instance_out.c). */
#include <stdlib.h>
#include <string.h>

#include "cell/call_arguments.h"
#include "cell/call_table.h"
#include "penstock/batch.h"

enum { REFUSED_MAX = 1000 }; /* single rows of one batch */

pst_status call_open(request *q)
{
    const pst_source *source = interface_of(q, PST_IF_SOURCE);
    return REACHES(source, pst_source, open)
               ? source->open(q->s->self, &q->call, take_bytes(q, FRAME_CURSOR), q->error)
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

pst_status call_credit(request *q)
{
    const pst_source *source = interface_of(q, PST_IF_SOURCE);
    return take_from_source(q, REACHES(source, pst_source, read) ? source->read : NULL);
}

pst_status call_skip(request *q)
{
    const pst_source *source = interface_of(q, PST_IF_SOURCE);
    return take_from_source(q, REACHES(source, pst_source, skip) ? source->skip : NULL);
}

pst_status call_ack(request *q)
{
    const pst_source *source = interface_of(q, PST_IF_SOURCE);
    if (!source)
        return PST_E_UNSUPPORTED;
    return REACHES(source, pst_source, ack)
               ? source->ack(q->s->self, &q->call, take_bytes(q, FRAME_CURSOR), q->error)
               : PST_OK;
}

pst_status call_close(request *q)
{
    const pst_source *source = interface_of(q, PST_IF_SOURCE);
    if (REACHES(source, pst_source, close))
        source->close(q->s->self);
    return source ? PST_OK : PST_E_UNSUPPORTED;
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

pst_status call_receive(request *q)
{
    const pst_push *push = interface_of(q, PST_IF_PUSH);
    fields headers = {0};
    pst_request in;
    if (!REACHES(push, pst_push, receive))
        return PST_E_UNSUPPORTED;
    pst_status status = take_http(q, &in, &headers) ? PST_OK : malformed(q);
    if (status == PST_OK) {
        pst_reply reply = {.struct_size = sizeof reply, .body = {.struct_size = sizeof reply.body}};
        status = push->receive(q->s->self, &q->call, &in, &reply, q->error);
        put_reply(q, &reply);
    }
    if (status == PST_OK && REACHES(push, pst_push, next))
        status = put_pushed(q, push);
    free(headers.items);
    return status;
}

/* ---- Sink ---- */

static pst_status put_refused(request *q, pst_refused *refused, size_t n, uint64_t rows)
{
    if (n > REFUSED_MAX)
        return pst_fail(q->error, PST_E_INTERNAL, NULL, "%zu rows were refused where %d had room", n,
                        REFUSED_MAX);
    for (size_t i = 0; i < n; i++) {
        if (refused[i].row >= rows)
            return pst_fail(q->error, PST_E_INTERNAL, NULL, "row %u was refused of %lu", refused[i].row,
                            (unsigned long)rows);
        refused[i].reason[sizeof refused[i].reason - 1] = '\0';
        frame_put(&q->answer, FRAME_REASON, refused[i].row, refused[i].reason, strlen(refused[i].reason) + 1);
    }
    return PST_OK;
}

static pst_status write_out(request *q, const pst_sink *sink, pst_outgoing *out)
{
    size_t n = 0;
    pst_refused *refused = calloc(REFUSED_MAX, sizeof *refused);
    if (!refused)
        return pst_fail(q->error, PST_E_RESOURCE, NULL, "no memory for refused rows");
    pst_status status = sink->write(q->s->self, &q->call, out, refused, REFUSED_MAX, &n, q->error);
    if (status == PST_OK)
        status = put_refused(q, refused, n, (uint64_t)out->array->length);
    free(refused);
    return status;
}

pst_status call_write(request *q)
{
    const pst_sink *sink = interface_of(q, PST_IF_SINK);
    frame_item flags, seqs;
    uint64_t range[2];
    if (!REACHES(sink, pst_sink, write))
        return PST_E_UNSUPPORTED;
    pst_outgoing out = {.struct_size = sizeof out, .batch_id = take_text(q, FRAME_DELIVERY_ID)};
    out.store = take_text(q, FRAME_NAME);
    if (!frame_take(&q->arguments, FRAME_NUMBER, &flags) || !frame_take(&q->arguments, FRAME_AT, &seqs) ||
        seqs.len != sizeof range || !out.batch_id || !out.store ||
        !arrow_inputs_read(&q->arguments, &q->inputs) || q->inputs.n != 1)
        return malformed(q);
    memcpy(range, seqs.data, sizeof range);
    out.flags = flags.aux;
    out.first_seq = range[0];
    out.last_seq = range[1];
    out.schema = q->inputs.items[0].schema;
    out.array = q->inputs.items[0].array;
    return write_out(q, sink, &out);
}

/* ---- Commands ---- */

static pst_status command_list(request *q, const pst_command *command)
{
    pst_blob json = {.struct_size = sizeof json};
    if (!REACHES(command, pst_command, list))
        return PST_E_UNSUPPORTED;
    pst_status status = command->list(q->s->self, &q->call, &json, q->error);
    put_blob(q, FRAME_JSON, &json);
    return status;
}

typedef pst_status (*command_about)(void *self, const pst_call *, const char *id, pst_command_result *,
                                    pst_error *);

/* send has two arguments, fetch and find one: the id of the far side, or of the work. */
static pst_status command_ask(request *q, const pst_command *command, uint32_t which,
                              pst_command_result *result)
{
    const char *first = take_text(q, FRAME_NAME), *input = take_text(q, FRAME_JSON);
    if (!first || (which == COMMAND_SEND && !input))
        return malformed(q);
    if (which == COMMAND_SEND)
        return REACHES(command, pst_command, send)
                   ? command->send(q->s->self, &q->call, first, input, result, q->error)
                   : PST_E_UNSUPPORTED;
    command_about about = which == COMMAND_FETCH && REACHES(command, pst_command, fetch) ? command->fetch
                          : which == COMMAND_FIND && REACHES(command, pst_command, find) ? command->find
                                                                                         : NULL;
    return about ? about(q->s->self, &q->call, first, result, q->error) : PST_E_UNSUPPORTED;
}

static pst_status command_cancel(request *q, const pst_command *command)
{
    const char *id = take_text(q, FRAME_NAME);
    if (!REACHES(command, pst_command, cancel))
        return PST_E_UNSUPPORTED;
    return id ? command->cancel(q->s->self, &q->call, id, q->error) : malformed(q);
}

pst_status call_command(request *q)
{
    const pst_command *command = interface_of(q, PST_IF_COMMAND);
    frame_item which;
    if (!command)
        return PST_E_UNSUPPORTED;
    if (!frame_take(&q->arguments, FRAME_NUMBER, &which))
        return malformed(q);
    if (which.aux == COMMAND_LIST)
        return command_list(q, command);
    if (which.aux == COMMAND_CANCEL)
        return command_cancel(q, command);
    pst_command_result result = {.struct_size = sizeof result, .reply = {.struct_size = sizeof result.reply}};
    pst_status status = command_ask(q, command, which.aux, &result);
    result.external_id[sizeof result.external_id - 1] = '\0';
    frame_put(&q->answer, FRAME_EXTERNAL_ID, (uint32_t)result.state, result.external_id,
              strlen(result.external_id) + 1);
    put_blob(q, FRAME_JSON, &result.reply);
    return status;
}
