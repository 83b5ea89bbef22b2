/* The host's functions over jansson: a JSON Pointer without escapes is all the plugins use. */
#include "plugin_bench.h"

#include <string.h>
#include <time.h>

#include "support/check.h"

static const json_t *at_path(const pst_host *host, const char *path)
{
    const json_t *node = ((const plugin_bench *)host->host_data)->config;
    while (node && *path == '/') {
        size_t len = strcspn(++path, "/");
        char key[128];
        snprintf(key, sizeof key, "%.*s", (int)len, path);
        node = json_is_array(node) ? json_array_get(node, (size_t)atoi(key)) : json_object_get(node, key);
        path += len;
    }
    return node;
}

static const void *get_service(const pst_host *host, const char *id)
{
    (void)host;
    return !strcmp(id, PST_SERVICE_FILES) ? plugin_bench_files() : NULL;
}

static int64_t now_us(const pst_host *host)
{
    (void)host;
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t wall_us(const pst_host *host)
{
    return ((const plugin_bench *)host->host_data)->wall_us;
}

static bool cancelled(const pst_host *host, const pst_call *call)
{
    return now_us(host) > call->deadline_us;
}

static void quiet_log(const pst_host *host, int32_t level, const char *text, const pst_field *fields,
                      size_t n)
{
    (void)host;
    (void)level;
    (void)text;
    (void)fields;
    (void)n;
}

static void no_observe(const pst_host *host, uint32_t index, double value)
{
    (void)host;
    (void)index;
    (void)value;
}

static bool config_has(const pst_host *host, const char *path)
{
    const json_t *v = at_path(host, path);
    return v && !json_is_null(v);
}

static const char *config_text(const pst_host *host, const char *path)
{
    return json_string_value(at_path(host, path));
}

static int64_t config_int(const pst_host *host, const char *path)
{
    return json_integer_value(at_path(host, path));
}

static double config_real(const pst_host *host, const char *path)
{
    return json_number_value(at_path(host, path));
}

static bool config_flag(const pst_host *host, const char *path)
{
    return json_is_true(at_path(host, path));
}

static size_t config_count(const pst_host *host, const char *path)
{
    const json_t *v = at_path(host, path);
    return json_is_array(v) ? json_array_size(v) : json_object_size(v);
}

static const char *config_key(const pst_host *host, const char *path, size_t index)
{
    json_t *v = (json_t *)(uintptr_t)at_path(host, path);
    void *it = json_object_iter(v);
    while (it && index--)
        it = json_object_iter_next(v, it);
    return it ? json_object_iter_key(it) : NULL;
}

static pst_status secret(const pst_host *host, const pst_call *call, const char *path, char *out, size_t cap,
                         size_t *len, pst_error *error)
{
    (void)call;
    const plugin_bench *b = host->host_data;
    if (!b->secret || !config_text(host, path))
        return pst_fail(error, PST_E_CONFIG, path, "there is no such secret");
    *len = strlen(b->secret);
    if (*len >= cap)
        return pst_fail(error, PST_E_RESOURCE, path, "the secret is too long");
    memcpy(out, b->secret, *len + 1);
    return PST_OK;
}

static void fill_defaults(json_t *config, const char *schema_text)
{
    json_t *schema = json_loads(schema_text, 0, NULL);
    assert_non_null(schema);
    const char *key;
    json_t *property;
    json_object_foreach(json_object_get(schema, "properties"), key, property)
    {
        json_t *value = json_object_get(property, "default");
        if (value && !json_object_get(config, key))
            json_object_set(config, key, value);
    }
    json_decref(schema);
}

pst_status plugin_bench_open(plugin_bench *b, const char *config)
{
    b->config = json_loads(config, 0, NULL);
    assert_non_null(b->config);
    fill_defaults(b->config, penstock_plugin_v1.config_schema);
    b->error = (pst_error){.struct_size = sizeof b->error};
    b->host = (pst_host){sizeof(pst_host), PST_ABI_MINOR, b,           "bench",    "test",
                         get_service,      now_us,        wall_us,     cancelled,  quiet_log,
                         no_observe,       config_has,    config_text, config_int, config_real,
                         config_flag,      config_count,  config_key,  secret};
    b->self = NULL;
    return penstock_plugin_v1.create(&b->host, &b->self, &b->error);
}

void plugin_bench_close(plugin_bench *b)
{
    penstock_plugin_v1.destroy(b->self);
    json_decref(b->config);
    b->self = NULL;
    b->config = NULL;
}

pst_call plugin_bench_call(void)
{
    return (pst_call){
        .struct_size = sizeof(pst_call), .cancel_fd = -1, .deadline_us = now_us(NULL) + 60000000};
}

pst_batch plugin_bench_batch(void)
{
    return (pst_batch){.struct_size = sizeof(pst_batch)};
}

void plugin_bench_release(pst_batch *batch)
{
    if (batch->array.release)
        batch->array.release(&batch->array);
    if (batch->schema.release)
        batch->schema.release(&batch->schema);
}
