/* The host that the plugin sees on the stand. */
#include <poll.h>
#include <string.h>

#include "cell/pointer.h"
#include "cell/services.h"
#include "check/stand.h"
#include "check/stand_state.h"

static stand *of(const pst_host *host)
{
    return host->host_data;
}

static int64_t on_now(const pst_host *host)
{
    (void)host;
    return stand_now_us();
}

static int64_t on_wall(const pst_host *host)
{
    return of(host)->wall_us;
}

static bool on_cancelled(const pst_host *host, const pst_call *call)
{
    (void)host;
    struct pollfd cancel = {.fd = call->cancel_fd, .events = POLLIN};
    return stand_now_us() >= call->deadline_us || poll(&cancel, 1, 0) > 0;
}

static void on_log(const pst_host *host, int32_t level, const char *words, const pst_field *fields, size_t n)
{
    stand *t = of(host);
    pthread_mutex_lock(&t->lock);
    text_printf(&t->log, "%d %s", level, words ? words : "(no text)");
    for (size_t i = 0; i < n; i++)
        text_printf(&t->log, " %s=%s", fields[i].key, fields[i].value);
    text_add_char(&t->log, '\n');
    pthread_mutex_unlock(&t->lock);
}

static void on_observe(const pst_host *host, uint32_t index, double value)
{
    (void)value;
    stand *t = of(host);
    pthread_mutex_lock(&t->lock);
    t->bad_metrics += index >= t->plugin->n_metrics;
    pthread_mutex_unlock(&t->lock);
}

/* ---- Config ---- */

static json_t *at(const pst_host *host, const char *path)
{
    return pointer_find(of(host)->config, path);
}

static bool on_has(const pst_host *host, const char *path)
{
    return at(host, path) && !json_is_null(at(host, path));
}

static const char *on_text(const pst_host *host, const char *path)
{
    return json_string_value(at(host, path));
}

static int64_t on_int(const pst_host *host, const char *path)
{
    return json_integer_value(at(host, path));
}

static double on_real(const pst_host *host, const char *path)
{
    return json_number_value(at(host, path));
}

static bool on_flag(const pst_host *host, const char *path)
{
    return json_is_true(at(host, path));
}

static size_t on_count(const pst_host *host, const char *path)
{
    return pointer_count(of(host)->config, path);
}

static const char *on_key(const pst_host *host, const char *path, size_t index)
{
    return pointer_key(of(host)->config, path, index);
}

static pst_status on_secret(const pst_host *host, const pst_call *call, const char *path, char *out,
                            size_t cap, size_t *len, pst_error *error)
{
    (void)call;
    if (!on_text(host, path))
        return pst_fail(error, PST_E_CONFIG, path, "the config has no secret there");
    if (cap < sizeof STAND_SECRET)
        return pst_fail(error, PST_E_RESOURCE, path, "the secret is longer than %zu bytes", cap);
    memcpy(out, STAND_SECRET, sizeof STAND_SECRET);
    *len = sizeof STAND_SECRET - 1;
    of(host)->secrets_given++;
    return PST_OK;
}

/* Kept with the log: no secret may stand in it either. */
static void on_tell(const pst_host *host, const pst_call *call, const char *words)
{
    (void)call;
    on_log(host, PST_LOG_INFO, words, NULL, 0);
}

static const pst_health_service stand_health = {.struct_size = sizeof stand_health, .tell = on_tell};

static const void *on_service(const pst_host *host, const char *id)
{
    const struct {
        const char *id;
        const void *service;
        bool for_pure; /* as in a cell: metric engines and models are functions of their input */
    } services[] = {
        {PST_SERVICE_JSON, &service_json, true},          {PST_SERVICE_FILES, &stand_files, false},
        {PST_SERVICE_STATE, &stand_state, false},         {PST_SERVICE_LIMIT, &stand_limit, false},
        {PST_SERVICE_MATERIAL, &service_material, false}, {PST_SERVICE_HEALTH, &stand_health, false},
        {PST_SERVICE_PROGRAM, &stand_program, false}};
    plugin_kind kind = of(host)->subject->entry->kind;
    bool pure = kind == PLUGIN_METRIC || kind == PLUGIN_MODEL;
    for (size_t i = 0; !of(host)->no_services && i < sizeof services / sizeof *services; i++)
        if (!strcmp(id, services[i].id) && (services[i].for_pure || !pure))
            return services[i].service;
    return NULL;
}

void stand_host_fill(stand *t)
{
    *t->host = (pst_host){.struct_size = sizeof *t->host,
                          .abi_minor = PST_ABI_MINOR,
                          .host_data = t,
                          .instance_name = "check",
                          .workspace = "check",
                          .get_service = on_service,
                          .now_us = on_now,
                          .wall_us = on_wall,
                          .cancelled = on_cancelled,
                          .log = on_log,
                          .observe = on_observe,
                          .config_has = on_has,
                          .config_text = on_text,
                          .config_int = on_int,
                          .config_real = on_real,
                          .config_flag = on_flag,
                          .config_count = on_count,
                          .config_key = on_key,
                          .secret = on_secret};
}
