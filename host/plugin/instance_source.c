/* Calls of connectors, and those that any kind of plugin may offer: open, read, ack, close, receive,
 * discover, check. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "plugin/instance_private.h"

typedef struct bytes {
    const void *data;
    size_t len;
} bytes;

static void write_cursor(frame_writer *w, const void *arg)
{
    const bytes *cursor = arg;
    if (cursor->len)
        frame_put(w, FRAME_CURSOR, 0, cursor->data, cursor->len);
}

static status_class with_cursor(instance *in, instance_call *call, wire_type type, const void *cursor,
                                size_t cursor_len, status *st)
{
    bytes b = {cursor, cursor_len};
    exchange x = {.type = type, .write = write_cursor, .arg = &b};
    status_class class = instance_exchange(in, call, &x, st);
    if (class == STATUS_OK && type == WIRE_OPEN)
        swap_note_open(in, cursor, cursor_len);
    else if (class == STATUS_OK)
        swap_note_acked(in, cursor, cursor_len);
    instance_exchange_end(in, &x);
    return class;
}

status_class instance_open(instance *in, instance_call *call, const void *cursor, size_t cursor_len,
                           status *st)
{
    return with_cursor(in, call, WIRE_OPEN, cursor, cursor_len, st);
}

status_class instance_ack(instance *in, instance_call *call, const void *cursor, size_t cursor_len,
                          status *st)
{
    return with_cursor(in, call, WIRE_ACK, cursor, cursor_len, st);
}

static status_class take_turn(instance *in, instance_call *call, exchange *x, instance_turn *turn_out,
                              instance_batch **batch_out, uint32_t *next_in_ms_out, status *st)
{
    frame_item wait;
    if (!frame_take(&x->answer, FRAME_WAIT, &wait))
        return instance_bad_answer(in, call, st);
    *next_in_ms_out = wait.aux;
    *turn_out = x->status == PST_IDLE ? INSTANCE_IDLE : x->status == PST_END ? INSTANCE_END : INSTANCE_ROWS;
    if (*turn_out != INSTANCE_ROWS)
        return STATUS_OK;
    return instance_take_batch(in, call, x, x->rows, batch_out, st);
}

status_class instance_read(instance *in, instance_call *call, uint32_t max_rows, instance_turn *turn_out,
                           instance_batch **batch_out, uint32_t *next_in_ms_out, status *st)
{
    *batch_out = NULL;
    *next_in_ms_out = 0;
    exchange x = {.type = WIRE_CREDIT, .rows = max_rows < INSTANCE_ROWS_MAX ? max_rows : INSTANCE_ROWS_MAX};
    status_class class = instance_exchange(in, call, &x, st);
    if (class == STATUS_OK)
        class = take_turn(in, call, &x, turn_out, batch_out, next_in_ms_out, st);
    instance_exchange_end(in, &x);
    return class;
}

status_class instance_skip(instance *in, instance_call *call, uint32_t max, instance_batch **batch_out,
                           status *st)
{
    instance_turn turn = INSTANCE_ROWS;
    uint32_t wait;
    *batch_out = NULL;
    exchange x = {.type = WIRE_SKIP, .rows = max};
    status_class class = instance_exchange(in, call, &x, st);
    if (class == STATUS_OK)
        class = take_turn(in, call, &x, &turn, batch_out, &wait, st);
    if (class == STATUS_OK && turn != INSTANCE_ROWS)
        class = status_set(st, STATUS_UNSUPPORTED, "%s: there is nothing to skip", in->name);
    instance_exchange_end(in, &x);
    return class;
}

void instance_close(instance *in)
{
    status st;
    pthread_mutex_lock(&in->facts_lock);
    bool open = in->facts.source_open;
    pthread_mutex_unlock(&in->facts_lock);
    if (!open)
        return;
    exchange x = {.type = WIRE_CLOSE};
    instance_exchange(in, NULL, &x, &st);
    program_end(in, true);
    instance_exchange_end(in, &x);
}

status_class instance_check(instance *in, instance_call *call, status *st)
{
    exchange x = {.type = WIRE_CHECK};
    status_class class = instance_exchange(in, call, &x, st);
    instance_exchange_end(in, &x);
    return class;
}

status_class instance_discover(instance *in, instance_call *call, json_t **streams_out, status *st)
{
    frame_item item;
    *streams_out = NULL;
    exchange x = {.type = WIRE_DISCOVER};
    status_class class = instance_exchange(in, call, &x, st);
    if (class == STATUS_OK && frame_take(&x.answer, FRAME_JSON, &item))
        *streams_out = json_loadb(item.data, item.len, JSON_REJECT_DUPLICATES, NULL);
    if (class == STATUS_OK && !json_is_array(*streams_out)) {
        json_decref(*streams_out);
        *streams_out = NULL;
        class = instance_bad_answer(in, call, st);
    }
    instance_exchange_end(in, &x);
    return class;
}

/* ---- Push ---- */

void instance_write_request(frame_writer *w, const void *arg)
{
    const instance_request *r = arg;
    frame_put_text(w, FRAME_METHOD, r->method);
    frame_put_text(w, FRAME_PATH, r->path);
    frame_put_text(w, FRAME_QUERY, r->query ? r->query : "");
    for (size_t i = 0; i < r->n_headers; i++) {
        frame_put_text(w, FRAME_KEY, r->headers[i].key);
        frame_put_text(w, FRAME_VALUE, r->headers[i].value);
    }
    frame_put(w, FRAME_BODY, 0, r->body, r->body_len);
}

bool instance_take_reply(exchange *x, instance_reply *reply)
{
    frame_item number, type, body;
    if (!frame_take(&x->answer, FRAME_NUMBER, &number) ||
        !frame_take(&x->answer, FRAME_CONTENT_TYPE, &type) || !frame_take(&x->answer, FRAME_BODY, &body) ||
        !frame_item_text(&type) || type.len > sizeof reply->content_type ||
        (number.aux && (number.aux < 200 || number.aux > 599)))
        return false;
    reply->http_status = number.aux ? (int)number.aux : 204;
    memcpy(reply->content_type, type.data, type.len);
    text_add_n(&reply->body, body.data, body.len);
    return true;
}

static status_class take_batches(instance *in, instance_call *call, exchange *x, instance_reply *reply,
                                 status *st)
{
    frame_item begin;
    while (frame_take(&x->answer, FRAME_NUMBER, &begin)) {
        reply->batches = memory_grow(reply->batches, (reply->n_batches + 1) * sizeof(instance_batch *));
        status_class class =
            instance_take_batch(in, call, x, INSTANCE_ROWS_MAX, &reply->batches[reply->n_batches], st);
        if (class != STATUS_OK)
            return class;
        reply->n_batches++;
    }
    return STATUS_OK;
}

status_class instance_receive(instance *in, instance_call *call, const instance_request *request,
                              instance_reply *reply_out, status *st)
{
    *reply_out = (instance_reply){0};
    exchange x = {.type = WIRE_RECEIVE, .write = instance_write_request, .arg = request};
    status_class class = instance_exchange(in, call, &x, st);
    if (class == STATUS_OK)
        class = instance_take_reply(&x, reply_out) ? take_batches(in, call, &x, reply_out, st)
                                                   : instance_bad_answer(in, call, st);
    instance_exchange_end(in, &x);
    if (class != STATUS_OK)
        instance_reply_free(reply_out);
    return class;
}

void instance_reply_free(instance_reply *reply)
{
    for (size_t i = 0; i < reply->n_batches; i++)
        instance_batch_free(reply->batches[i]);
    free(reply->batches);
    text_free(&reply->body);
    *reply = (instance_reply){0};
}
