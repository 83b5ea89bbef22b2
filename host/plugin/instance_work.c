/* Calls of notifiers, metric engines and models. */
#include <string.h>

#include "plugin/instance_private.h"

/* ---- Notifier ---- */

static void write_attachment(frame_writer *w, const instance_attachment *a)
{
    frame_put_text(w, FRAME_ATTACHMENT, a->name);
    frame_put_text(w, FRAME_CONTENT_TYPE, a->content_type);
    frame_put_text(w, FRAME_CONTENT_ID, a->content_id);
    frame_put(w, FRAME_BODY, 0, a->data, a->len);
}

static void write_message(frame_writer *w, const void *arg)
{
    const instance_message *m = arg;
    frame_put(w, FRAME_SEVERITY, (uint32_t)m->severity, NULL, 0);
    frame_put(w, FRAME_AT, 0, &m->at_us, sizeof m->at_us);
    frame_put_text(w, FRAME_DELIVERY_ID, m->delivery_id);
    frame_put_text(w, FRAME_UPDATE_OF, m->update_of);
    frame_put_text(w, FRAME_TITLE, m->title);
    frame_put_text(w, FRAME_TEXT, m->text);
    frame_put_text(w, FRAME_HTML, m->html);
    frame_put_text(w, FRAME_JSON, m->json ? m->json : "{}");
    for (size_t i = 0; i < m->n_labels; i++) {
        frame_put_text(w, FRAME_KEY, m->labels[i].key);
        frame_put_text(w, FRAME_VALUE, m->labels[i].value);
    }
    for (size_t i = 0; i < m->n_attachments; i++)
        write_attachment(w, &m->attachments[i]);
}

status_class instance_send(instance *in, instance_call *call, const instance_message *message,
                           instance_delivery *delivery_out, status *st)
{
    frame_item id;
    *delivery_out = (instance_delivery){0};
    exchange x = {.type = WIRE_SEND, .write = write_message, .arg = message};
    status_class class = instance_exchange(in, call, &x, st);
    if (class == STATUS_OK && frame_take(&x.answer, FRAME_EXTERNAL_ID, &id) && frame_item_text(&id) &&
        id.len <= sizeof delivery_out->external_id) {
        delivery_out->accepted = id.aux == PST_DELIVERY_ACCEPTED;
        memcpy(delivery_out->external_id, id.data, id.len);
    } else if (class == STATUS_OK) {
        class = instance_bad_answer(in, call, st);
    }
    instance_exchange_end(in, &x);
    return class;
}

/* ---- Metric engine ---- */

typedef struct work { /* of metric engines and models */
    const char *definition, *parameters;
    const void *artifact;
    size_t artifact_len;
    const instance_input *inputs;
    size_t n_inputs;
} work;

static void write_work(frame_writer *w, const void *arg)
{
    const work *k = arg;
    frame_put_text(w, FRAME_DEFINITION, k->definition);
    frame_put_text(w, FRAME_PARAMETERS, k->parameters);
    if (k->artifact_len)
        frame_put(w, FRAME_ARTIFACT, 0, k->artifact, k->artifact_len);
    input_write(w, k->inputs, k->n_inputs);
}

static status_class to_batch(instance *in, instance_call *call, wire_type type, const work *k,
                             instance_batch **batch_out, status *st)
{
    *batch_out = NULL;
    if (k->n_inputs > INPUTS_MAX)
        return status_set(st, STATUS_LIMIT, "%s: %zu inputs; the limit is %d", in->name, k->n_inputs,
                          INPUTS_MAX);
    exchange x = {.type = type, .write = write_work, .arg = k};
    status_class class = instance_exchange(in, call, &x, st);
    if (class == STATUS_OK)
        class = instance_take_batch(in, call, &x, INSTANCE_ROWS_MAX, batch_out, st);
    instance_exchange_end(in, &x);
    return class;
}

status_class instance_prepare(instance *in, instance_call *call, const char *definition, status *st)
{
    work k = {.definition = definition};
    exchange x = {.type = WIRE_PREPARE, .write = write_work, .arg = &k};
    status_class class = instance_exchange(in, call, &x, st);
    instance_exchange_end(in, &x);
    return class;
}

status_class instance_evaluate(instance *in, instance_call *call, const char *definition,
                               const char *parameters, const instance_input *inputs, size_t n_inputs,
                               instance_batch **batch_out, status *st)
{
    work k = {.definition = definition,
              .parameters = parameters ? parameters : "{}",
              .inputs = inputs,
              .n_inputs = n_inputs};
    return to_batch(in, call, WIRE_EVALUATE, &k, batch_out, st);
}

/* ---- Model ---- */

status_class instance_context(instance *in, instance_call *call, uint32_t *rows_out, status *st)
{
    frame_item number;
    exchange x = {.type = WIRE_CONTEXT};
    status_class class = instance_exchange(in, call, &x, st);
    if (class == STATUS_OK && frame_take(&x.answer, FRAME_NUMBER, &number))
        *rows_out = number.aux;
    else if (class == STATUS_OK)
        class = instance_bad_answer(in, call, st);
    instance_exchange_end(in, &x);
    return class;
}

static bool take_trained(exchange *x, text *artifact_out, json_t **info_out)
{
    frame_item artifact, info;
    if (!frame_take(&x->answer, FRAME_ARTIFACT, &artifact) || !frame_take(&x->answer, FRAME_JSON, &info))
        return false;
    *info_out = info.len ? json_loadb(info.data, info.len, JSON_REJECT_DUPLICATES, NULL) : json_object();
    if (!json_is_object(*info_out)) {
        json_decref(*info_out);
        *info_out = NULL;
        return false;
    }
    text_clear(artifact_out);
    text_add_n(artifact_out, artifact.data, artifact.len);
    return true;
}

status_class instance_train(instance *in, instance_call *call, const instance_input *inputs, size_t n_inputs,
                            text *artifact_out, json_t **info_out, status *st)
{
    *info_out = NULL;
    if (n_inputs > INPUTS_MAX)
        return status_set(st, STATUS_LIMIT, "%s: %zu inputs; the limit is %d", in->name, n_inputs,
                          INPUTS_MAX);
    work k = {.inputs = inputs, .n_inputs = n_inputs};
    exchange x = {.type = WIRE_TRAIN, .write = write_work, .arg = &k};
    status_class class = instance_exchange(in, call, &x, st);
    if (class == STATUS_OK && !take_trained(&x, artifact_out, info_out))
        class = instance_bad_answer(in, call, st);
    instance_exchange_end(in, &x);
    return class;
}

status_class instance_infer(instance *in, instance_call *call, const void *artifact, size_t artifact_len,
                            const instance_input *inputs, size_t n_inputs, instance_batch **batch_out,
                            status *st)
{
    work k = {.artifact = artifact, .artifact_len = artifact_len, .inputs = inputs, .n_inputs = n_inputs};
    return to_batch(in, call, WIRE_INFER, &k, batch_out, st);
}

status_class instance_explain(instance *in, instance_call *call, const void *artifact, size_t artifact_len,
                              const instance_input *inputs, size_t n_inputs, instance_batch **batch_out,
                              status *st)
{
    work k = {.artifact = artifact, .artifact_len = artifact_len, .inputs = inputs, .n_inputs = n_inputs};
    return to_batch(in, call, WIRE_EXPLAIN, &k, batch_out, st);
}
