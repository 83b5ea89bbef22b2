/* penstock.limit: the limiter's answers, for the workspace that asks. */
#include <string.h>

#include "plugin/instance_private.h"
#include "plugin/services.h"

static bool take_arguments(service_call *call, const char **provider, service_take *t)
{
    frame_item item;
    *provider = service_take_text(call, FRAME_NAME);
    if (!*provider || !frame_take(&call->arguments, FRAME_VALUE, &item) || item.len != sizeof *t)
        return false;
    memcpy(t, item.data, sizeof *t);
    return true;
}

static status_class on_take(service_call *call, status *st)
{
    const char *provider;
    service_take t;
    limiter_answer answer;
    if (!take_arguments(call, &provider, &t))
        return service_unreadable(st);
    const limiter_request r = {.provider = provider,
                               .workspace = call->workspace,
                               .instance = call->in->name,
                               .units = t.units,
                               .per_second = t.per_second,
                               .burst = t.burst,
                               .max_wait_us = t.max_wait_us,
                               .ticket = t.ticket};
    status_class class = limiter_take(call->in->set->limiter, &r, &answer, st);
    const service_taken taken = {.wait_us = answer.wait_us, .ticket = answer.ticket};
    if (class == STATUS_OK)
        frame_put(&call->reply->body, FRAME_VALUE, 0, &taken, sizeof taken);
    return class;
}

static status_class on_forget(service_call *call, status *st)
{
    const char *provider;
    service_take t;
    if (!take_arguments(call, &provider, &t))
        return service_unreadable(st);
    limiter_forget(call->in->set->limiter, provider, t.ticket);
    return STATUS_OK;
}

static const service_function functions[] = {
    [SERVICE_LIMIT_TAKE] = on_take, [SERVICE_LIMIT_FORGET] = on_forget};
const service service_limit = {SERVICE_LIMIT, false, functions, sizeof functions / sizeof *functions};
