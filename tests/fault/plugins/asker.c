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

/* ---- State ---- */

static void ask_put(asker *a, const pst_state_service *state)
{
    pst_error error = {.struct_size = sizeof error};
    const char *value = word(a, "value");
    char big[PST_STATE_VALUE_MAX + 1] = {0};
    int64_t size = number(a, "size"), expected = number(a, "expected");
    uint64_t version = 0;
    const pst_bytes bytes = {value ? value : big, value ? strlen(value) : (size_t)size};
    pst_status status =
        state->put(a->host, a->call, word(a, "key"), bytes, expected < 0 ? PST_STATE_ANY : (uint64_t)expected,
                   number(a, "expires"), &version, &error);
    if (status)
        tell_failure(a, status, &error);
    else
        tell(a, "version %s", version ? "set" : "0");
}

static void ask_get(asker *a, const pst_state_service *state)
{
    pst_error error = {.struct_size = sizeof error};
    char value[1024];
    size_t len = 0;
    uint64_t version = 0;
    pst_status status =
        state->get(a->host, a->call, word(a, "key"), value, sizeof value, &len, &version, &error);
    if (status)
        tell_failure(a, status, &error);
    else if (!version)
        tell(a, "none");
    else
        tell(a, "%.*s", (int)len, value);
}

/* Puts twice against the version that was there first: the second must fail. */
static void ask_race(asker *a, const pst_state_service *state)
{
    pst_error error = {.struct_size = sizeof error};
    uint64_t first = 0, second = 0;
    size_t len;
    const char *key = word(a, "key");
    state->get(a->host, a->call, key, NULL, 0, &len, &first, &error);
    const pst_bytes one = {"one", 3}, two = {"two", 3};
    pst_status win = state->put(a->host, a->call, key, one, first, 0, &second, &error);
    pst_status lose = state->put(a->host, a->call, key, two, first, 0, NULL, &error);
    pst_status again = state->put(a->host, a->call, key, two, second, 0, NULL, &error);
    tell(a, "%d %d %d %s", win, lose, again, second > first ? "grew" : "did not grow");
}

static void ask_keys(asker *a, const pst_state_service *state)
{
    size_t cap = (size_t)number(a, "most"), n = 0;
    pst_state_key *keys = calloc(cap + 1, sizeof *keys);
    pst_error error = {.struct_size = sizeof error};
    pst_status status =
        state->list(a->host, a->call, word(a, "prefix"), word(a, "after"), keys, cap, &n, &error);
    if (status)
        tell_failure(a, status, &error);
    else
        tell(a, "%zu:", n);
    for (size_t i = 0; !status && i < n && i < 5; i++)
        tell(a, " %s", keys[i].key);
    free(keys);
}

/* As many keys as it may have, and then one. */
static void ask_fill(asker *a, const pst_state_service *state)
{
    pst_error error = {.struct_size = sizeof error};
    pst_status status = PST_OK;
    int n = 0;
    for (; status == PST_OK && n <= 2 * PST_STATE_KEYS_MAX; n++) {
        char key[32];
        snprintf(key, sizeof key, "k%04d", n);
        status = state->put(a->host, a->call, key, (pst_bytes){0}, PST_STATE_ANY, 0, NULL, &error);
    }
    tell(a, "%d: %d %s", n - 1, status, error.message);
}

static void ask_state(asker *a, const char *what)
{
    const pst_state_service *state = a->host->get_service(a->host, PST_SERVICE_STATE);
    pst_error error = {.struct_size = sizeof error};
    if (!strcmp(what, "put"))
        ask_put(a, state);
    else if (!strcmp(what, "get"))
        ask_get(a, state);
    else if (!strcmp(what, "race"))
        ask_race(a, state);
    else if (!strcmp(what, "keys"))
        ask_keys(a, state);
    else if (!strcmp(what, "fill"))
        ask_fill(a, state);
    else
        tell(a, "%d", state->remove(a->host, a->call, word(a, "key"), PST_STATE_ANY, &error));
}

/* ---- Limit ---- */

static void ask_acquire(asker *a)
{
    const pst_limit_service *limit = a->host->get_service(a->host, PST_SERVICE_LIMIT);
    const pst_rate rate = {sizeof rate, 0, (double)number(a, "per_second"), (double)number(a, "burst")};
    pst_error error = {.struct_size = sizeof error};
    int64_t began = a->host->now_us(a->host), times = number(a, "times");
    pst_status status = PST_OK;
    for (int64_t i = 0; i < (times ? times : 1) && !status; i++)
        status = limit->acquire(a->host, a->call, word(a, "provider"), (double)number(a, "units"), &rate,
                                number(a, "wait_ms") * 1000, &error);
    int64_t ms = (a->host->now_us(a->host) - began) / 1000;
    if (status)
        tell(a, "status %d, again in %u ms: %s", status, error.retry_after_ms, error.message);
    else
        tell(a, "went after %lld ms", (long long)ms);
}

/* ---- JSON ---- */

static void ask_json(asker *a)
{
    const pst_json_service *json = a->host->get_service(a->host, PST_SERVICE_JSON);
    const char *text = word(a, "text"), *path = word(a, "path");
    pst_error error = {.struct_size = sizeof error};
    pst_blob printed = {.struct_size = sizeof printed};
    pst_json *doc = json->parse(a->host, (pst_bytes){text, strlen(text)}, &error);
    if (!doc) {
        tell(a, "%s", error.message);
        return;
    }
    const char *said = json->text(doc, path), *key = json->key(doc, path, 1);
    const pst_json *last = json->item(json->find(doc, path), json->count(doc, path) - 1);
    tell(a, "kind %d, has %d, text %s, integer %lld, real %g, flag %d, count %zu, key %s, last %lld,",
         json->kind(doc, path), json->has(doc, path), said ? said : "-", (long long)json->integer(doc, path),
         json->real(doc, path), json->flag(doc, path), json->count(doc, path), key ? key : "-",
         (long long)json->integer(last, ""));
    if (json->print(doc, path, &printed, &error) == PST_OK)
        tell(a, " %s", (const char *)printed.data);
    else
        tell(a, " %s", error.message);
    if (printed.release)
        printed.release(&printed);
    json->discard(doc);
}

static void ask(asker *a)
{
    static const char *const of_state[] = {"put", "get", "race", "keys", "fill", "remove"};
    static const char *const of_files[] = {"open", "find", "list", "often"};
    const char *what = word(a, "ask");
    for (size_t i = 0; i < sizeof of_files / sizeof *of_files; i++)
        if (!strcmp(what, of_files[i])) {
            ask_files(a, what);
            return;
        }
    for (size_t i = 0; i < sizeof of_state / sizeof *of_state; i++)
        if (!strcmp(what, of_state[i])) {
            ask_state(a, what);
            return;
        }
    if (!strcmp(what, "acquire"))
        ask_acquire(a);
    else if (!strcmp(what, "json"))
        ask_json(a);
    else
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
