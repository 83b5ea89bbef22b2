/* The functions of pst_host, and the table of services: one file a service, service_<name>.c. */
#include "cell/services.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cell/pointer.h"
#include "cell/question.h"
#include "penstock/batch.h"

static int64_t clock_us(clockid_t which)
{
    struct timespec t;
    clock_gettime(which, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t on_now(const pst_host *host)
{
    (void)host;
    return clock_us(CLOCK_MONOTONIC);
}

static int64_t on_wall(const pst_host *host)
{
    (void)host;
    return clock_us(CLOCK_REALTIME);
}

static bool on_cancelled(const pst_host *host, const pst_call *call)
{
    struct pollfd cancel = {.fd = call->cancel_fd, .events = POLLIN};
    return on_now(host) >= call->deadline_us || poll(&cancel, 1, 0) > 0;
}

static const session *session_of(const pst_host *host)
{
    return host->host_data;
}

static bool on_config_has(const pst_host *host, const char *path)
{
    const json_t *there = pointer_find(session_of(host)->config, path);
    return there && !json_is_null(there);
}

static const char *on_config_text(const pst_host *host, const char *path)
{
    return pointer_text(session_of(host)->config, path);
}

static int64_t on_config_int(const pst_host *host, const char *path)
{
    return pointer_integer(session_of(host)->config, path);
}

static double on_config_real(const pst_host *host, const char *path)
{
    return pointer_real(session_of(host)->config, path);
}

static bool on_config_flag(const pst_host *host, const char *path)
{
    return json_is_true(pointer_find(session_of(host)->config, path));
}

static size_t on_config_count(const pst_host *host, const char *path)
{
    return pointer_count(session_of(host)->config, path);
}

static const char *on_config_key(const pst_host *host, const char *path, size_t index)
{
    return pointer_key(session_of(host)->config, path, index);
}

static pst_status take_secret(question *q, char *out, size_t cap, size_t *len, pst_error *error)
{
    frame_item item;
    if (!frame_take(&q->results, FRAME_VALUE, &item))
        return pst_fail(error, PST_E_INTERNAL, NULL, "the host's answer has no secret");
    if (item.len >= cap)
        return pst_fail(error, PST_E_RESOURCE, NULL, "the secret has more than %zu bytes", cap - 1);
    memcpy(out, item.data, item.len);
    out[item.len] = '\0';
    *len = item.len;
    return PST_OK;
}

static pst_status on_secret(const pst_host *host, const pst_call *call, const char *path, char *out,
                            size_t cap, size_t *len, pst_error *error)
{
    const char *reference = on_config_text(host, path);
    if (!reference)
        return pst_fail(error, PST_E_CONFIG, path, "the config has no secret there");
    question *q;
    pst_status status =
        question_begin(host->host_data, call, SERVICE_SECRETS, SERVICE_SECRETS_FETCH, &q, error);
    if (status)
        return status;
    frame_put_text(&q->arguments, FRAME_TEXT, reference);
    status = question_ask(q, error);
    if (status == PST_OK)
        status = take_secret(q, out, cap, len, error);
    question_end(q);
    if (status != PST_OK && error && PST_HAS(error, pst_error, where))
        snprintf(error->where, sizeof error->where, "%s", path);
    return status;
}

static const void *on_get_service(const pst_host *host, const char *id)
{
    static const struct {
        const char *id;
        const void *service;
        bool for_pure; /* also for kinds whose calls have neither memory nor surroundings */
    } all[] = {
        {PST_SERVICE_FILES, &service_files, false},       {PST_SERVICE_HEALTH, &service_health, false},
        {PST_SERVICE_JSON, &service_json, true},          {PST_SERVICE_LIMIT, &service_limit, false},
        {PST_SERVICE_MATERIAL, &service_material, false}, {PST_SERVICE_PROGRAM, &service_program, false},
        {PST_SERVICE_STATE, &service_state, false},
    };
    const char *kind = session_of(host)->plugin->kind;
    bool pure = !strcmp(kind, PST_KIND_METRIC) || !strcmp(kind, PST_KIND_MODEL);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!strcmp(id, all[i].id))
            return pure && !all[i].for_pure ? NULL : all[i].service;
    return NULL;
}

pst_host services_host(void)
{
    return (pst_host){.struct_size = sizeof(pst_host),
                      .abi_minor = PST_ABI_MINOR,
                      .get_service = on_get_service,
                      .now_us = on_now,
                      .wall_us = on_wall,
                      .cancelled = on_cancelled,
                      .config_has = on_config_has,
                      .config_text = on_config_text,
                      .config_int = on_config_int,
                      .config_real = on_config_real,
                      .config_flag = on_config_flag,
                      .config_count = on_config_count,
                      .config_key = on_config_key,
                      .secret = on_secret};
}
