/* penstock.state/1: all of it is the host's. */
#include <string.h>

#include "cell/question.h"
#include "cell/services.h"
#include "penstock/batch.h"

static pst_status odd_answer(pst_error *error)
{
    return pst_fail(error, PST_E_INTERNAL, NULL, "the host's answer about a state cannot be read");
}

static bool take_version(question *q, uint64_t *out)
{
    frame_item item;
    if (!frame_take(&q->results, FRAME_AT, &item) || item.len != sizeof *out)
        return false;
    memcpy(out, item.data, sizeof *out);
    return true;
}

static pst_status take_value(question *q, void *out, size_t cap, size_t *len, uint64_t *version,
                             pst_error *error)
{
    frame_item item;
    if (!take_version(q, version) || !frame_take(&q->results, FRAME_VALUE, &item))
        return odd_answer(error);
    *len = item.len;
    if (item.len > cap)
        return pst_fail(error, PST_E_RESOURCE, NULL, "the value has %zu bytes, there is room for %zu",
                        item.len, cap);
    if (item.len)
        memcpy(out, item.data, item.len);
    return PST_OK;
}

static pst_status on_get(const pst_host *host, const pst_call *call, const char *key, void *out, size_t cap,
                         size_t *len, uint64_t *version, pst_error *error)
{
    question *q;
    *len = 0;
    *version = 0;
    pst_status status = question_begin(host->host_data, call, SERVICE_STATE, SERVICE_STATE_GET, &q, error);
    if (status)
        return status;
    frame_put_text(&q->arguments, FRAME_KEY, key);
    status = question_ask(q, error);
    if (status == PST_OK)
        status = take_value(q, out, cap, len, version, error);
    question_end(q);
    return status;
}

static pst_status on_put(const pst_host *host, const pst_call *call, const char *key, pst_bytes value,
                         uint64_t expected, int64_t expires_us, uint64_t *version, pst_error *error)
{
    question *q;
    uint64_t now = 0;
    const int64_t wanted[2] = {(int64_t)expected, expires_us};
    if (value.len > PST_STATE_VALUE_MAX)
        return pst_fail(error, PST_E_RESOURCE, NULL, "the value has %zu bytes, the limit is %d", value.len,
                        PST_STATE_VALUE_MAX);
    pst_status status = question_begin(host->host_data, call, SERVICE_STATE, SERVICE_STATE_PUT, &q, error);
    if (status)
        return status;
    frame_put_text(&q->arguments, FRAME_KEY, key);
    frame_put(&q->arguments, FRAME_AT, 0, wanted, sizeof wanted);
    frame_put(&q->arguments, FRAME_VALUE, 0, value.data, value.len);
    status = question_ask(q, error);
    if (status == PST_OK && !take_version(q, &now))
        status = odd_answer(error);
    if (status == PST_OK && version)
        *version = now;
    question_end(q);
    return status;
}

static pst_status on_remove(const pst_host *host, const pst_call *call, const char *key, uint64_t expected,
                            pst_error *error)
{
    question *q;
    pst_status status = question_begin(host->host_data, call, SERVICE_STATE, SERVICE_STATE_REMOVE, &q, error);
    if (status)
        return status;
    frame_put_text(&q->arguments, FRAME_KEY, key);
    frame_put(&q->arguments, FRAME_AT, 0, &expected, sizeof expected);
    status = question_ask(q, error);
    question_end(q);
    return status;
}

static bool take_key(question *q, pst_state_key *out)
{
    frame_item item;
    if (!frame_take(&q->results, FRAME_KEY, &item) || !frame_item_text(&item) || item.len > sizeof out->key)
        return false;
    memcpy(out->key, item.data, item.len);
    return take_version(q, &out->version);
}

/* As many as one answer holds; PST_END: there are no more behind them. */
static pst_status list_some(const pst_host *host, const pst_call *call, const char *prefix, const char *after,
                            pst_state_key *out, size_t cap, size_t *n, pst_error *error)
{
    question *q;
    pst_status status = question_begin(host->host_data, call, SERVICE_STATE, SERVICE_STATE_LIST, &q, error);
    if (status)
        return status;
    frame_put_text(&q->arguments, FRAME_TEXT, prefix ? prefix : "");
    frame_put_text(&q->arguments, FRAME_KEY, after);
    frame_put(&q->arguments, FRAME_NUMBER, cap < UINT32_MAX ? (uint32_t)cap : UINT32_MAX, NULL, 0);
    status = question_ask(q, error);
    while (status >= 0 && *n < cap && take_key(q, &out[*n]))
        ++*n;
    question_end(q);
    return status;
}

static pst_status on_list(const pst_host *host, const pst_call *call, const char *prefix, const char *after,
                          pst_state_key *out, size_t cap, size_t *n_out, pst_error *error)
{
    pst_status status = PST_OK;
    *n_out = 0;
    while (status == PST_OK && *n_out < cap) {
        size_t n = 0;
        status = list_some(host, call, prefix, after, out + *n_out, cap - *n_out, &n, error);
        if (status == PST_OK && !n)
            return odd_answer(error);
        *n_out += n;
        after = n ? out[*n_out - 1].key : after;
    }
    return status == PST_END ? PST_OK : status;
}

const pst_state_service service_state = {.struct_size = sizeof(pst_state_service),
                                         .get = on_get,
                                         .put = on_put,
                                         .remove = on_remove,
                                         .list = on_list};
