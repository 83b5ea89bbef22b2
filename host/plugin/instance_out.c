/* Arguments in the order in which cell/calls_*.c takes them. What comes back is checked here: numbers within
 * their bounds, texts that end, text that is UTF-8. */
#include "plugin/instance_out.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "plugin/instance_private.h"

_Static_assert((int)INSTANCE_COMMAND_DONE == PST_COMMAND_DONE &&
                   (int)INSTANCE_COMMAND_UNKNOWN == PST_COMMAND_UNKNOWN &&
                   (int)INSTANCE_RECEIPT_DELIVERED == PST_RECEIPT_DELIVERED &&
                   (int)INSTANCE_RECEIPT_FAILED == PST_RECEIPT_FAILED,
               "the same numbers on both sides");

/* The item's text into `out`; false: none, too long, or not UTF-8. */
static bool text_into(const frame_item *item, char *out, size_t size)
{
    const char *words = frame_item_text(item);
    if (!words || item->len > size || !utf8_valid(words, strlen(words)))
        return false;
    memcpy(out, item->data, item->len);
    return true;
}

/* ---- Sink ---- */

static void write_rows(frame_writer *w, const void *arg)
{
    const instance_outgoing *o = arg;
    const uint64_t range[2] = {o->first_seq, o->last_seq};
    frame_put_text(w, FRAME_DELIVERY_ID, o->batch_id);
    frame_put_text(w, FRAME_NAME, o->store);
    frame_put(w, FRAME_NUMBER, o->again ? PST_OUTGOING_AGAIN : 0, NULL, 0);
    frame_put(w, FRAME_AT, 0, range, sizeof range);
    input_write(w, &o->rows, 1);
}

static bool take_refused(frame_reader *r, uint32_t n_rows, instance_written *out)
{
    frame_item item;
    while (frame_take(r, FRAME_REASON, &item)) {
        if (out->n_refused == INSTANCE_REFUSED_MAX || item.aux >= n_rows)
            return false;
        out->refused = memory_grow(out->refused, (out->n_refused + 1) * sizeof *out->refused);
        instance_refused *row = &out->refused[out->n_refused++];
        *row = (instance_refused){.row = item.aux};
        if (!text_into(&item, row->reason, sizeof row->reason))
            return false;
    }
    return true;
}

status_class instance_write(instance *in, instance_call *call, const instance_outgoing *rows,
                            instance_written *written_out, status *st)
{
    *written_out = (instance_written){0};
    exchange x = {.type = WIRE_WRITE, .write = write_rows, .arg = rows};
    status_class class = instance_exchange(in, call, &x, st);
    if (class == STATUS_OK && !take_refused(&x.answer, rows->rows.rows->n_rows, written_out)) {
        class = instance_bad_answer(in, call, st);
        instance_written_free(written_out);
    }
    instance_exchange_end(in, &x);
    return class;
}

void instance_written_free(instance_written *written)
{
    free(written->refused);
    *written = (instance_written){0};
}

/* ---- Commands ---- */

typedef struct command {
    wire_command which;
    const char *name, *input;
} command;

static void write_command(frame_writer *w, const void *arg)
{
    const command *c = arg;
    frame_put(w, FRAME_NUMBER, c->which, NULL, 0);
    frame_put_text(w, FRAME_NAME, c->name);
    frame_put_text(w, FRAME_JSON, c->input);
}

/* An empty answer is no document. */
static bool take_document(frame_reader *r, json_t **out)
{
    frame_item item;
    *out = NULL;
    if (!frame_take(r, FRAME_JSON, &item))
        return false;
    if (item.len)
        *out = json_loadb(item.data, item.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
    return !item.len || *out;
}

status_class instance_command_list(instance *in, instance_call *call, json_t **verbs_out, status *st)
{
    const command c = {.which = COMMAND_LIST};
    *verbs_out = NULL;
    exchange x = {.type = WIRE_COMMAND, .write = write_command, .arg = &c};
    status_class class = instance_exchange(in, call, &x, st);
    if (class == STATUS_OK && (!take_document(&x.answer, verbs_out) || !json_is_array(*verbs_out))) {
        json_decref(*verbs_out);
        *verbs_out = NULL;
        class = instance_bad_answer(in, call, st);
    }
    instance_exchange_end(in, &x);
    return class;
}

static bool take_result(frame_reader *r, instance_command_result *out)
{
    frame_item id;
    if (!frame_take(r, FRAME_EXTERNAL_ID, &id) || id.aux < PST_COMMAND_DONE || id.aux > PST_COMMAND_UNKNOWN ||
        !text_into(&id, out->external_id, sizeof out->external_id))
        return false;
    out->state = (instance_command_state)id.aux;
    bool named = out->external_id[0] || out->state != INSTANCE_COMMAND_ACCEPTED;
    return named && take_document(r, &out->reply);
}

static status_class ask(instance *in, instance_call *call, const command *c,
                        instance_command_result *result_out, status *st)
{
    instance_command_result result = {.state = INSTANCE_COMMAND_UNKNOWN};
    exchange x = {.type = WIRE_COMMAND, .write = write_command, .arg = c};
    status_class class = instance_exchange(in, call, &x, st);
    if (class == STATUS_OK && !take_result(&x.answer, &result))
        class = instance_bad_answer(in, call, st);
    instance_exchange_end(in, &x);
    if (class != STATUS_OK) {
        json_decref(result.reply);
        result = (instance_command_result){.state = INSTANCE_COMMAND_UNKNOWN};
    }
    *result_out = result; /* only now: the arguments may lie in it */
    return class;
}

status_class instance_command_send(instance *in, instance_call *call, const char *verb,
                                   const char *input_json, instance_command_result *result_out, status *st)
{
    const command c = {COMMAND_SEND, verb, input_json};
    assert(call && call->work_id);
    return ask(in, call, &c, result_out, st);
}

status_class instance_command_fetch(instance *in, instance_call *call, const char *external_id,
                                    instance_command_result *result_out, status *st)
{
    const command c = {.which = COMMAND_FETCH, .name = external_id};
    return ask(in, call, &c, result_out, st);
}

status_class instance_command_find(instance *in, instance_call *call, const char *work_id,
                                   instance_command_result *result_out, status *st)
{
    const command c = {.which = COMMAND_FIND, .name = work_id};
    return ask(in, call, &c, result_out, st);
}

status_class instance_command_cancel(instance *in, instance_call *call, const char *external_id, status *st)
{
    const command c = {.which = COMMAND_CANCEL, .name = external_id};
    exchange x = {.type = WIRE_COMMAND, .write = write_command, .arg = &c};
    status_class class = instance_exchange(in, call, &x, st);
    instance_exchange_end(in, &x);
    return class;
}

/* ---- Receipts ---- */

static bool take_receipts(frame_reader *r, instance_receipts *out)
{
    frame_item id, at;
    while (frame_take(r, FRAME_EXTERNAL_ID, &id)) {
        if (!frame_take(r, FRAME_AT, &at) || at.len != sizeof(int64_t) || at.aux < PST_RECEIPT_DELIVERED ||
            at.aux > PST_RECEIPT_FAILED || out->n == INSTANCE_RECEIPTS_MAX)
            return false;
        out->items = memory_grow(out->items, (out->n + 1) * sizeof *out->items);
        instance_receipt *one = &out->items[out->n++];
        *one = (instance_receipt){.state = (instance_receipt_state)at.aux};
        memcpy(&one->at_us, at.data, sizeof one->at_us);
        if (!text_into(&id, one->external_id, sizeof one->external_id))
            return false;
    }
    return true;
}

status_class instance_receipt_take(instance *in, instance_call *call, const instance_request *request,
                                   instance_receipts *receipts_out, status *st)
{
    *receipts_out = (instance_receipts){0};
    exchange x = {.type = WIRE_RECEIPT, .write = instance_write_request, .arg = request};
    status_class class = instance_exchange(in, call, &x, st);
    if (class == STATUS_OK &&
        !(instance_take_reply(&x, &receipts_out->reply) && take_receipts(&x.answer, receipts_out)))
        class = instance_bad_answer(in, call, st);
    instance_exchange_end(in, &x);
    if (class != STATUS_OK)
        instance_receipts_free(receipts_out);
    return class;
}

void instance_receipts_free(instance_receipts *receipts)
{
    instance_reply_free(&receipts->reply);
    free(receipts->items);
    *receipts = (instance_receipts){0};
}
