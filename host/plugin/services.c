/* Finds the service and its function, and turns what failed into the error that the plugin sees. */
#include "plugin/services.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "plugin/instance_private.h"

static const service *const all[] = {&service_secrets, &service_files,   &service_health,
                                     &service_limit,   &service_program, &service_state};

const char *service_take_text(service_call *call, frame_tag tag)
{
    frame_item item;
    return frame_take(&call->arguments, tag, &item) ? frame_item_text(&item) : NULL;
}

status_class service_unreadable(status *st)
{
    return status_set(st, STATUS_INTERNAL, "the question cannot be read");
}

static const service *find(const instance *in, const char *name)
{
    bool pure = in->plugin->kind == PLUGIN_METRIC || in->plugin->kind == PLUGIN_MODEL;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!strcmp(name, all[i]->name))
            return pure && !all[i]->for_pure ? NULL : all[i];
    return NULL;
}

static pst_status plugin_status(status_class class)
{
    switch (class) {
    case STATUS_INVALID:
    case STATUS_NOT_FOUND:
    case STATUS_DENIED:
        return PST_E_CONFIG;
    case STATUS_UNAVAILABLE:
        return PST_E_UNAVAILABLE;
    case STATUS_TIMEOUT:
        return PST_E_TIMEOUT;
    case STATUS_CANCELLED:
        return PST_E_CANCELLED;
    case STATUS_CONFLICT:
        return PST_E_DATA;
    case STATUS_LIMIT:
        return PST_E_RESOURCE;
    case STATUS_UNSUPPORTED:
        return PST_E_UNSUPPORTED;
    default:
        return PST_E_INTERNAL;
    }
}

static void put_failure(service_call *call, status_class class, const status *st)
{
    cell_reply *r = call->reply;
    frame_error e = {.vendor_code = call->vendor_code, .retry_after_ms = call->retry_after_ms};
    snprintf(e.message, sizeof e.message, "%s%s%s", st->text, *st->hint ? "; " : "", st->hint);
    r->status = plugin_status(class);
    r->body = frame_writer_buffer(r->body.data, r->body.cap);
    frame_put(&r->body, FRAME_ERROR, 0, &e, sizeof e);
}

bool services_answer(instance *in, frame_reader question, cell_reply *reply)
{
    frame_item head, subject;
    status st = {0};
    service_call call = {.in = in,
                         .workspace = in->workspace,
                         .workspace_key = in->workspace_key,
                         .instance_name = in->name,
                         .arguments = question,
                         .reply = reply};
    if (!frame_take(&call.arguments, FRAME_SERVICE, &head) || !frame_item_text(&head))
        return false;
    if (frame_take(&call.arguments, FRAME_SUBJECT, &subject) && !(call.subject = frame_item_text(&subject)))
        return false;
    const service *s = find(in, frame_item_text(&head));
    status_class class = s && head.aux < s->n_functions
                             ? s->functions[head.aux](&call, &st)
                             : status_set(&st, STATUS_UNSUPPORTED, "this kind of plugin has no such service");
    if (class == STATUS_OK && reply->body.failed)
        class = status_set(&st, STATUS_LIMIT, "the answer has more than %zu bytes", reply->body.cap);
    if (class != STATUS_OK)
        put_failure(&call, class, &st);
    return true;
}

/* ---- penstock.secrets ---- */

static bool holds_text(const json_t *v, const char *wanted)
{
    const char *key;
    const json_t *one;
    size_t i;
    if (json_is_string(v))
        return strcmp(json_string_value(v), wanted) == 0;
    json_object_foreach((json_t *)v, key, one)
    {
        if (holds_text(one, wanted))
            return true;
    }
    json_array_foreach(v, i, one)
    {
        if (holds_text(one, wanted))
            return true;
    }
    return false;
}

/* A cell says which secret it wants. It is believed only what its own configuration holds: a plugin that was
 * taken over must not be handed those of others. */
static bool is_configured(instance *in, const char *reference)
{
    pthread_mutex_lock(&in->facts_lock);
    char *config = memory_string(in->config), *given = memory_string(in->given);
    pthread_mutex_unlock(&in->facts_lock);
    json_t *known = json_pack("[o?, o?]", json_loads(config, JSON_DECODE_ANY, NULL),
                              json_loads(given, JSON_DECODE_ANY, NULL));
    bool found = holds_text(known, reference);
    json_decref(known);
    free(config);
    free(given);
    return found;
}

static status_class on_fetch(service_call *call, status *st)
{
    const instance_secrets *secrets = &call->in->secrets;
    const char *reference = service_take_text(call, FRAME_TEXT);
    text value = {0};
    if (!reference)
        return service_unreadable(st);
    if (!secrets->fetch)
        return status_set(st, STATUS_INVALID, "there are no secrets here");
    if (!is_configured(call->in, reference))
        return status_set(st, STATUS_INVALID, "the configuration names no such secret");
    status_class class = secrets->fetch(secrets->self, call->workspace, reference, call->subject, &value, st);
    if (class == STATUS_OK && value.len > CELL_SECRET_MAX_BYTES)
        class = status_set(st, STATUS_LIMIT, "the secret has more than %d bytes", CELL_SECRET_MAX_BYTES);
    if (class == STATUS_OK)
        network_secret(call->in, &value);
    if (class == STATUS_OK)
        frame_put(&call->reply->body, FRAME_VALUE, 0, value.data, value.len);
    if (value.data)
        explicit_bzero(value.data, value.len);
    text_free(&value);
    if (class == STATUS_OK)
        return class;
    call->retry_after_ms = 0;
    if (class != STATUS_UNAVAILABLE)
        st->class = STATUS_INVALID;
    return status_wrap(st, "the secret cannot be had");
}

static const service_function secret_functions[] = {[SERVICE_SECRETS_FETCH] = on_fetch};
const service service_secrets = {SERVICE_SECRETS, true, secret_functions, 1};
