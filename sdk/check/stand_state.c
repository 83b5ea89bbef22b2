/* A sorted array would do; a few keys are searched one by one. */
#include "check/stand_state.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "check/stand.h"

enum { KEYS = 64 };

typedef struct kept {
    char key[PST_STATE_KEY_MAX + 1];
    uint64_t version; /* 0 = free */
    int64_t expires_us;
    size_t len;
    char value[PST_STATE_VALUE_MAX];
} kept;

typedef struct shelf {
    uint64_t last_version;
    kept items[KEYS];
} shelf;

static shelf *shared;

void stand_state_reset(void)
{
    if (!shared)
        shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert(shared != MAP_FAILED);
    memset(shared, 0, sizeof *shared);
}

static kept *find(const pst_host *host, const char *key)
{
    const stand *t = host->host_data;
    for (kept *k = shared->items; k < shared->items + KEYS; k++) {
        if (k->version && k->expires_us && k->expires_us <= t->wall_us)
            k->version = 0;
        if (k->version && !strcmp(k->key, key))
            return k;
    }
    return NULL;
}

static pst_status key_check(const char *key, pst_error *error)
{
    return *key && strlen(key) <= PST_STATE_KEY_MAX
               ? PST_OK
               : pst_fail(error, PST_E_CONFIG, NULL, "a key has 1 to %d bytes", PST_STATE_KEY_MAX);
}

static pst_status on_get(const pst_host *host, const pst_call *call, const char *key, void *out, size_t cap,
                         size_t *len, uint64_t *version, pst_error *error)
{
    (void)call;
    const kept *k = find(host, key);
    *version = k ? k->version : 0;
    *len = k ? k->len : 0;
    if (k && k->len > cap)
        return pst_fail(error, PST_E_RESOURCE, NULL, "%s has %zu bytes", key, k->len);
    if (k && k->len)
        memcpy(out, k->value, k->len);
    return PST_OK;
}

static pst_status expect(const kept *k, const char *key, uint64_t expected, pst_error *error)
{
    if (expected == PST_STATE_ANY || expected == (k ? k->version : 0))
        return PST_OK;
    return pst_fail(error, PST_E_DATA, NULL, "%s has another version", key);
}

static pst_status on_put(const pst_host *host, const pst_call *call, const char *key, pst_bytes value,
                         uint64_t expected, int64_t expires_us, uint64_t *version, pst_error *error)
{
    (void)call;
    kept *k = find(host, key);
    pst_status status = key_check(key, error);
    if (status == PST_OK)
        status = expect(k, key, expected, error);
    for (kept *free = shared->items; status == PST_OK && !k && free < shared->items + KEYS; free++)
        k = free->version ? NULL : free;
    if (status == PST_OK && (!k || value.len > PST_STATE_VALUE_MAX))
        status = pst_fail(error, PST_E_RESOURCE, NULL, "too many keys, or too many bytes in one");
    if (status != PST_OK)
        return status;
    snprintf(k->key, sizeof k->key, "%s", key);
    k->version = ++shared->last_version;
    k->expires_us = expires_us;
    k->len = value.len;
    if (value.len)
        memcpy(k->value, value.data, value.len);
    if (version)
        *version = k->version;
    return PST_OK;
}

static pst_status on_remove(const pst_host *host, const pst_call *call, const char *key, uint64_t expected,
                            pst_error *error)
{
    (void)call;
    kept *k = find(host, key);
    pst_status status = expect(k, key, expected, error);
    if (status == PST_OK && k)
        k->version = 0;
    return status;
}

static pst_status on_list(const pst_host *host, const pst_call *call, const char *prefix, const char *after,
                          pst_state_key *out, size_t cap, size_t *n_out, pst_error *error)
{
    (void)call, (void)error;
    size_t len = prefix ? strlen(prefix) : 0;
    for (*n_out = 0; *n_out < cap; ++*n_out) { /* the smallest key behind the last one */
        const kept *next = NULL;
        for (const kept *k = shared->items; k < shared->items + KEYS; k++)
            if (k->version && find(host, k->key) && (!len || !strncmp(k->key, prefix, len)) &&
                (!after || strcmp(k->key, after) > 0) && (!next || strcmp(k->key, next->key) < 0))
                next = k;
        if (!next)
            break;
        snprintf(out[*n_out].key, sizeof out->key, "%s", next->key);
        out[*n_out].version = next->version;
        after = out[*n_out].key;
    }
    return PST_OK;
}

const pst_state_service stand_state = {
    .struct_size = sizeof stand_state, .get = on_get, .put = on_put, .remove = on_remove, .list = on_list};

static pst_status on_acquire(const pst_host *host, const pst_call *call, const char *provider, double units,
                             const pst_rate *rate, int64_t max_wait_us, pst_error *error)
{
    (void)provider, (void)max_wait_us;
    if (units > rate->burst)
        return pst_fail(error, PST_E_CONFIG, NULL, "more units than may ever go at once");
    return host->cancelled(host, call) ? pst_fail(error, PST_E_CANCELLED, NULL, "the call was cancelled")
                                       : PST_OK;
}

const pst_limit_service stand_limit = {.struct_size = sizeof stand_limit, .acquire = on_acquire};
