/* penstock.state: checks what is asked and hands it to the set's keeper. */
#include <string.h>

#include "penstock/plugin.h"
#include "plugin/instance_private.h"
#include "plugin/services.h"

enum { PAGE = 100 }; /* keys of one answer */

static const state_keeper *keeper_of(const service_call *call)
{
    return &call->in->set->keeper;
}

static status_class take_key(service_call *call, const char **ret, status *st)
{
    *ret = service_take_text(call, FRAME_KEY);
    if (!*ret)
        return service_unreadable(st);
    size_t len = strlen(*ret);
    if (!len || len > PST_STATE_KEY_MAX || !utf8_valid(*ret, len))
        return status_set(st, STATUS_INVALID, "a key is UTF-8 text of 1 to %d bytes", PST_STATE_KEY_MAX);
    return STATUS_OK;
}

static bool take_numbers(service_call *call, void *out, size_t len)
{
    frame_item item;
    if (!frame_take(&call->arguments, FRAME_AT, &item) || item.len != len)
        return false;
    memcpy(out, item.data, len);
    return true;
}

static status_class on_get(service_call *call, status *st)
{
    const char *key;
    text value = {0};
    uint64_t version = 0;
    const state_keeper *k = keeper_of(call);
    status_class class = take_key(call, &key, st);
    if (class == STATUS_OK)
        class = k->get(k->self, call->workspace, call->instance_name, key, &value, &version, st);
    if (class == STATUS_OK) {
        frame_put(&call->reply->body, FRAME_AT, 0, &version, sizeof version);
        frame_put(&call->reply->body, FRAME_VALUE, 0, value.data, value.len);
    }
    if (value.data)
        explicit_bzero(value.data, value.len);
    text_free(&value);
    return class;
}

static status_class on_put(service_call *call, status *st)
{
    const char *key;
    int64_t wanted[2];
    frame_item value;
    uint64_t version = 0;
    const state_keeper *k = keeper_of(call);
    status_class class = take_key(call, &key, st);
    if (class != STATUS_OK)
        return class;
    if (!take_numbers(call, wanted, sizeof wanted) || !frame_take(&call->arguments, FRAME_VALUE, &value))
        return service_unreadable(st);
    if (value.len > PST_STATE_VALUE_MAX)
        return status_set(st, STATUS_LIMIT, "a value has at most %d bytes", PST_STATE_VALUE_MAX);
    class = k->put(k->self, call->workspace, call->instance_name, key, value.data, value.len,
                   (uint64_t)wanted[0], wanted[1], &version, st);
    if (class == STATUS_OK)
        frame_put(&call->reply->body, FRAME_AT, 0, &version, sizeof version);
    return class;
}

static status_class on_remove(service_call *call, status *st)
{
    const char *key;
    uint64_t expected;
    const state_keeper *k = keeper_of(call);
    status_class class = take_key(call, &key, st);
    if (class != STATUS_OK)
        return class;
    if (!take_numbers(call, &expected, sizeof expected))
        return service_unreadable(st);
    return k->remove(k->self, call->workspace, call->instance_name, key, expected, st);
}

typedef struct page {
    frame_writer *w;
    uint32_t n;
} page;

static void on_key(void *arg, const char *key, uint64_t version)
{
    page *p = arg;
    frame_put_text(p->w, FRAME_KEY, key);
    frame_put(p->w, FRAME_AT, 0, &version, sizeof version);
    p->n++;
}

static status_class on_list(service_call *call, status *st)
{
    const char *prefix = service_take_text(call, FRAME_TEXT), *after = service_take_text(call, FRAME_KEY);
    frame_item most;
    page p = {.w = &call->reply->body};
    const state_keeper *k = keeper_of(call);
    if (!prefix || !frame_take(&call->arguments, FRAME_NUMBER, &most))
        return service_unreadable(st);
    uint32_t wanted = most.aux < PAGE ? most.aux : PAGE;
    status_class class =
        k->list(k->self, call->workspace, call->instance_name, prefix, after, wanted, on_key, &p, st);
    if (class == STATUS_OK && p.n < wanted)
        call->reply->status = PST_END;
    return class;
}

static const service_function functions[] = {[SERVICE_STATE_GET] = on_get,
                                             [SERVICE_STATE_PUT] = on_put,
                                             [SERVICE_STATE_REMOVE] = on_remove,
                                             [SERVICE_STATE_LIST] = on_list};
const service service_state = {SERVICE_STATE, false, functions, sizeof functions / sizeof *functions};
