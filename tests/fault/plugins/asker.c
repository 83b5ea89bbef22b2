/* Asks its host for what its configuration says, step by step, and tells through `discover` what came back:
 * one text a step. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "penstock/batch.h"

extern const char config_schema[];

typedef struct asker {
    const pst_host *host;
    const pst_call *call;
    size_t step;
    char told[65536];
    size_t len;
} asker;

__attribute__((format(printf, 2, 3))) static void tell(asker *a, const char *fmt, ...)
{
    char text[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    for (const char *p = text; *p && a->len + 8 < sizeof a->told; p++) {
        if (*p == '"' || *p == '\\')
            a->told[a->len++] = '\\';
        a->told[a->len++] = *p == '\n' ? '|' : *p;
    }
}

static const char *word(const asker *a, const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "/steps/%zu/%s", a->step, name);
    return a->host->config_text(a->host, path);
}

static int64_t number(const asker *a, const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "/steps/%zu/%s", a->step, name);
    return a->host->config_int(a->host, path);
}

static void tell_failure(asker *a, pst_status status, const pst_error *error)
{
    tell(a, "status %d, code %d: %s", status, error->vendor_code, error->message);
}

/* ---- Files ---- */

static void ask_open(asker *a, const pst_files *files)
{
    int fd = -1;
    char bytes[256];
    pst_error error = {.struct_size = sizeof error};
    pst_status status = files->open(a->host, a->call, word(a, "path"), &fd, &error);
    if (status) {
        tell_failure(a, status, &error);
        return;
    }
    ssize_t n = read(fd, bytes, sizeof bytes);
    tell(a, "%.*s%s", n < 0 ? 0 : (int)n, bytes, write(fd, "x", 1) < 0 ? "" : " WRITABLE");
    close(fd);
}

static void ask_find(asker *a, const pst_files *files)
{
    pst_file f;
    pst_error error = {.struct_size = sizeof error};
    pst_status status = files->find(a->host, a->call, word(a, "path"), &f, &error);
    if (status)
        tell_failure(a, status, &error);
    else
        tell(a, "%s kind %d, %lld bytes", f.name, f.kind, (long long)f.bytes);
}

static void ask_list(asker *a, const pst_files *files)
{
    size_t cap = (size_t)number(a, "most"), n = 0;
    pst_file *found = calloc(cap + 1, sizeof *found);
    pst_error error = {.struct_size = sizeof error};
    pst_status status = files->list(a->host, a->call, word(a, "path"), word(a, "pattern"), word(a, "after"),
                                    found, cap, &n, &error);
    if (status)
        tell_failure(a, status, &error);
    else
        tell(a, "%zu:", n);
    for (size_t i = 0; !status && i < n; i += i < 8 || i + 1 == n ? 1 : n - 1 - i)
        tell(a, " %s%s", found[i].name, found[i].kind == PST_FILE_FOLDER ? "/" : "");
    free(found);
}

/* Until the host has enough of it. */
static void ask_often(asker *a, const pst_files *files)
{
    pst_file f;
    pst_error error = {.struct_size = sizeof error};
    pst_status status = PST_OK;
    int64_t asked = 0, most = number(a, "most");
    for (; status == PST_OK && asked < most; asked++)
        status = files->find(a->host, a->call, word(a, "path"), &f, &error);
    tell(a, "%lld times, status %d: %s", (long long)asked, status, error.message);
}

static void ask_files(asker *a, const char *what)
{
    const pst_files *files = a->host->get_service(a->host, PST_SERVICE_FILES);
    if (!files)
        tell(a, "no such service");
    else if (!strcmp(what, "open"))
        ask_open(a, files);
    else if (!strcmp(what, "find"))
        ask_find(a, files);
    else if (!strcmp(what, "list"))
        ask_list(a, files);
    else
        ask_often(a, files);
}

static void ask(asker *a)
{
    static const char *const of_files[] = {"open", "find", "list", "often"};
    const char *what = word(a, "ask");
    for (size_t i = 0; i < sizeof of_files / sizeof *of_files; i++)
        if (!strcmp(what, of_files[i])) {
            ask_files(a, what);
            return;
        }
    tell(a, "%s", a->host->get_service(a->host, what) ? "served" : "no such service");
}

static pst_status on_discover(void *self, const pst_call *call, pst_blob *json_out, pst_error *error)
{
    (void)error;
    asker *a = self;
    a->call = call;
    a->len = 0;
    a->told[a->len++] = '[';
    for (a->step = 0; a->step < a->host->config_count(a->host, "/steps"); a->step++) {
        memcpy(a->told + a->len, a->step ? ",\"" : "\"", a->step ? 2 : 1);
        a->len += a->step ? 2 : 1;
        ask(a);
        a->told[a->len++] = '"';
    }
    a->told[a->len++] = ']';
    json_out->data = a->told;
    json_out->len = a->len;
    return PST_OK;
}

static const void *on_get_interface(const char *id)
{
    static const pst_discover discover = {sizeof discover, 0, on_discover};
    return !strcmp(id, PST_IF_DISCOVER) ? &discover : NULL;
}

static pst_status on_create(const pst_host *host, void **self, pst_error *error)
{
    asker *a = calloc(1, sizeof *a);
    if (!a)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    a->host = host;
    *self = a;
    return PST_OK;
}

PST_EXPORT const pst_plugin penstock_plugin_v1 = {
    .struct_size = sizeof(pst_plugin),
    .abi_minor = PST_ABI_MINOR,
    .id = "org.penstock.test.asker",
    .kind = PST_KIND_CONNECTOR,
    .version = "1.0.0",
    .title = "Asker",
    .licence = "Apache-2.0",
    .config_schema = config_schema,
    .get_interface = on_get_interface,
    .create = on_create,
    .destroy = free,
};
