/* The host struct answers from the top level of a JSON object, which is all that models ask for. */
#include "direct.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const json_t *at(const pst_host *host, const char *path)
{
    return json_object_get(host->host_data, path + 1);
}

static bool on_has(const pst_host *host, const char *path)
{
    return at(host, path);
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
    return json_array_size(at(host, path));
}

static int64_t on_now(const pst_host *host)
{
    (void)host;
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static bool on_cancelled(const pst_host *host, const pst_call *call)
{
    return on_now(host) >= call->deadline_us;
}

static void must_be_ok(pst_status status, const char *what, const pst_error *error)
{
    if (status == PST_OK)
        return;
    fprintf(stderr, "direct %s: %s\n", what, error->message);
    exit(1);
}

static pst_call a_call(const direct *d)
{
    return (pst_call){
        .struct_size = sizeof(pst_call), .cancel_fd = -1, .deadline_us = on_now(&d->host) + 60000000};
}

void direct_open(direct *d, const char *file, json_t *config, pst_bytes artifact)
{
    pst_error error = {.struct_size = sizeof error};
    void *object = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    *d = (direct){.plugin = object ? dlsym(object, "penstock_plugin_v1") : NULL};
    if (!d->plugin || !(d->infer = d->plugin->get_interface(PST_IF_INFER))) {
        fprintf(stderr, "%s is no model\n", file);
        exit(1);
    }
    d->host = (pst_host){.struct_size = sizeof d->host,
                         .abi_minor = PST_ABI_MINOR,
                         .host_data = config,
                         .instance_name = "direct",
                         .workspace = "bench",
                         .now_us = on_now,
                         .wall_us = on_now,
                         .cancelled = on_cancelled,
                         .config_has = on_has,
                         .config_text = on_text,
                         .config_int = on_int,
                         .config_real = on_real,
                         .config_flag = on_flag,
                         .config_count = on_count};
    pst_call call = a_call(d);
    must_be_ok(d->plugin->create(&d->host, &d->self, &error), "create", &error);
    must_be_ok(d->infer->load(d->self, &call, artifact, &d->loaded, &error), "load", &error);
}

void direct_infer(direct *d, const pst_input *inputs, size_t n_inputs, pst_batch *out)
{
    pst_error error = {.struct_size = sizeof error};
    pst_call call = a_call(d);
    *out = (pst_batch){.struct_size = sizeof *out};
    must_be_ok(d->infer->infer(d->self, &call, d->loaded, inputs, n_inputs, out, &error), "infer", &error);
}

void direct_close(direct *d)
{
    d->infer->unload(d->self, d->loaded);
    d->plugin->destroy(d->self);
}
