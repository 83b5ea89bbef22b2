/* penstock.limit/1: the host says go, or how long to wait and to ask again then; the waiting is done here,
 * beside the cancel descriptor, so nobody in the host waits. */
#include <poll.h>
#include <string.h>

#include "cell/question.h"
#include "cell/services.h"
#include "penstock/batch.h"

static pst_status ask(const pst_host *host, const pst_call *call, uint32_t function, const char *provider,
                      const service_take *take, service_taken *taken, pst_error *error)
{
    question *q;
    frame_item item;
    pst_status status = question_begin(host->host_data, call, SERVICE_LIMIT, function, &q, error);
    if (status)
        return status;
    frame_put_text(&q->arguments, FRAME_NAME, provider);
    frame_put(&q->arguments, FRAME_VALUE, 0, take, sizeof *take);
    status = question_ask(q, error);
    if (status == PST_OK && function == SERVICE_LIMIT_TAKE) {
        if (frame_take(&q->results, FRAME_VALUE, &item) && item.len == sizeof *taken)
            memcpy(taken, item.data, sizeof *taken);
        else
            status = pst_fail(error, PST_E_INTERNAL, NULL, "the host's answer about a limit cannot be read");
    }
    question_end(q);
    return status;
}

/* False: cancelled. */
static bool wait_for(const pst_call *call, int64_t wait_us)
{
    struct pollfd cancel = {.fd = call->cancel_fd, .events = POLLIN};
    return poll(&cancel, 1, (int)(wait_us / 1000) + 1) <= 0;
}

static pst_status refuse(const char *provider, int64_t wait_us, pst_error *error)
{
    int64_t ms = wait_us / 1000 + 1;
    pst_fail(error, PST_E_UNAVAILABLE, NULL, "the rate of %s is used up for %.1f s", provider,
             (double)ms / 1000);
    if (error && PST_HAS(error, pst_error, retry_after_ms))
        error->retry_after_ms = ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
    return PST_E_UNAVAILABLE;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static pst_status on_acquire(const pst_host *host, const pst_call *call, const char *provider, double units,
                             const pst_rate *rate, int64_t max_wait_us, pst_error *error)
{
    if (!rate || !PST_HAS(rate, pst_rate, burst))
        return pst_fail(error, PST_E_CONFIG, NULL, "the rate of %s is not given", provider);
    int64_t until = least(call->deadline_us, host->now_us(host) + (max_wait_us > 0 ? max_wait_us : 0));
    service_take take = {.units = units, .per_second = rate->per_second, .burst = rate->burst};
    for (;;) {
        service_taken taken = {0};
        take.max_wait_us = until - host->now_us(host);
        pst_status status = ask(host, call, SERVICE_LIMIT_TAKE, provider, &take, &taken, error);
        if (status || !taken.wait_us)
            return status;
        if (!taken.ticket)
            return refuse(provider, taken.wait_us, error);
        take.ticket = taken.ticket;
        if (!wait_for(call, taken.wait_us)) {
            ask(host, call, SERVICE_LIMIT_FORGET, provider, &take, NULL, error);
            return pst_fail(error, PST_E_CANCELLED, NULL, "waiting for the rate of %s was cancelled",
                            provider);
        }
    }
}

const pst_limit_service service_limit = {.struct_size = sizeof(pst_limit_service), .acquire = on_acquire};
