/* penstock.json/1 is served here; state and limit are not offered by this version, so asking for them gives
 * NULL. */
#include "cell/services.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cell/pointer.h"
#include "cell/session.h"
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

static const char *text_of(const json_t *there)
{
    return json_string_value(there);
}

static int64_t int_of(const json_t *there)
{
    return json_is_integer(there) ? json_integer_value(there) : 0;
}

static double real_of(const json_t *there)
{
    return json_is_number(there) ? json_number_value(there) : 0.0;
}

static bool on_config_has(const pst_host *host, const char *path)
{
    const json_t *there = pointer_find(session_of(host)->config, path);
    return there && !json_is_null(there);
}

static const char *on_config_text(const pst_host *host, const char *path)
{
    return text_of(pointer_find(session_of(host)->config, path));
}

static int64_t on_config_int(const pst_host *host, const char *path)
{
    return int_of(pointer_find(session_of(host)->config, path));
}

static double on_config_real(const pst_host *host, const char *path)
{
    return real_of(pointer_find(session_of(host)->config, path));
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

static pst_status on_secret(const pst_host *host, const pst_call *call, const char *path, char *out,
                            size_t cap, size_t *len, pst_error *error)
{
    const char *reference = on_config_text(host, path);
    if (!reference)
        return pst_fail(error, PST_E_CONFIG, path, "the config has no secret there");
    return session_secret(host->host_data, call, path, reference, out, cap, len, error);
}

/* ---- penstock.json/1 ---- a pst_json is a jansson value */

static const json_t *json_of(const pst_json *document)
{
    return (const json_t *)(const void *)document;
}

static pst_json *on_json_parse(const pst_host *host, pst_bytes text, pst_error *error)
{
    (void)host;
    json_error_t wrong;
    json_t *root = json_loadb(text.data, text.len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &wrong);
    if (!root)
        pst_fail(error, PST_E_DATA, NULL, "not JSON: %s at byte %d", wrong.text, wrong.position);
    return (pst_json *)(void *)root;
}

static void on_json_discard(pst_json *document)
{
    json_decref((json_t *)(void *)document);
}

static bool on_json_has(const pst_json *document, const char *path)
{
    const json_t *there = pointer_find(json_of(document), path);
    return there && !json_is_null(there);
}

static const char *on_json_text(const pst_json *document, const char *path)
{
    return text_of(pointer_find(json_of(document), path));
}

static int64_t on_json_integer(const pst_json *document, const char *path)
{
    return int_of(pointer_find(json_of(document), path));
}

static double on_json_real(const pst_json *document, const char *path)
{
    return real_of(pointer_find(json_of(document), path));
}

static bool on_json_flag(const pst_json *document, const char *path)
{
    return json_is_true(pointer_find(json_of(document), path));
}

static size_t on_json_count(const pst_json *document, const char *path)
{
    return pointer_count(json_of(document), path);
}

static const char *on_json_key(const pst_json *document, const char *path, size_t index)
{
    return pointer_key(json_of(document), path, index);
}

static const pst_json_service json_service = {.struct_size = sizeof(pst_json_service),
                                              .parse = on_json_parse,
                                              .discard = on_json_discard,
                                              .has = on_json_has,
                                              .text = on_json_text,
                                              .integer = on_json_integer,
                                              .real = on_json_real,
                                              .flag = on_json_flag,
                                              .count = on_json_count,
                                              .key = on_json_key};

static const void *on_get_service(const pst_host *host, const char *id)
{
    (void)host;
    return !strcmp(id, PST_SERVICE_JSON) ? &json_service : NULL;
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
