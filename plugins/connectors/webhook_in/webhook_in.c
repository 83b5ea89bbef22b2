/* Webhooks that come in: judges whether a request is what its sender signed, and hands its body over
 * undecoded. What is in the body is said by `format` and `decode` beside the config; the path is the topic.
 * Requests that are not believed are answered 401 and leave no trace but a counter: anybody can send them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "penstock/batch.h"
#include "penstock/define.h"
#include "signature.h"

enum { SECRET_MAX = 1024, SIGNATURES_MAX = 8, SECONDS_DIGITS = 11, TIME_DIGITS = 15 };
enum { TAKEN, REFUSED };
static const pst_metric metrics[] = {
    {"requests_taken", "", "requests that were believed", PST_COUNTER, 0},
    {"requests_refused", "", "requests that were not", PST_COUNTER, 0},
};

typedef enum check { CHECK_NONE, CHECK_SECRET, CHECK_HMAC, CHECK_ECDSA } check;

typedef struct webhook {
    const pst_host *host;
    check check;
    signature_text encoding;
    bool secret_base64;
    const char *header, *prefix, *member, *signed_text, *time_header, *time_member, *stream_header;
    int64_t tolerance_us;
    signature_key *key;
    pst_builder *builder;
    bool full; /* of the request in hand: a batch waits */
    char stream[128];
    char *text; /* what was signed */
    size_t len, cap;
} webhook;

typedef struct slice {
    const char *data;
    size_t len;
} slice;

/* ---- what a request says ---- */

/* Header names are the host's in lower case; ours are as their author wrote them. */
static bool same_name(const char *lower, const char *name)
{
    for (; *lower && *name; lower++, name++)
        if (*lower != (*name >= 'A' && *name <= 'Z' ? *name + 32 : *name))
            return false;
    return !*lower && !*name;
}

static const char *header_of(const pst_request *q, const char *name)
{
    for (size_t i = 0; i < q->n_headers; i++)
        if (same_name(q->headers[i].key, name))
            return q->headers[i].value;
    return NULL;
}

/* The n-th `name=value` of a list with commas or blanks between. */
static slice member_of(const char *list, const char *name, unsigned n)
{
    size_t name_len = strlen(name);
    for (const char *p = list; *p;) {
        p += strspn(p, ", ;");
        size_t len = strcspn(p, ", ;");
        if (len > name_len && strncmp(p, name, name_len) == 0 && p[name_len] == '=' && n-- == 0)
            return (slice){p + name_len + 1, len - name_len - 1};
        p += len;
    }
    return (slice){NULL, 0};
}

static slice time_of(const webhook *w, const pst_request *q)
{
    if (w->time_member) {
        const char *list = header_of(q, w->header);
        return list ? member_of(list, w->time_member, 0) : (slice){NULL, 0};
    }
    const char *value = w->time_header ? header_of(q, w->time_header) : NULL;
    return (slice){value, value ? strlen(value) : 0};
}

/* Without a time in the request there is nothing to be too old. */
static bool is_recent(const webhook *w, const pst_request *q)
{
    slice s = time_of(w, q);
    int64_t at = 0;
    if (!w->time_member && !w->time_header)
        return true;
    if (s.len == 0 || s.len > TIME_DIGITS)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] < '0' || s.data[i] > '9')
            return false;
        at = at * 10 + (s.data[i] - '0');
    }
    at *= s.len > SECONDS_DIGITS ? 1000 : 1000000;
    int64_t age = w->host->wall_us(w->host) - at;
    return age <= w->tolerance_us && age >= -w->tolerance_us;
}

/* ---- what was signed ---- */

static bool add(webhook *w, const void *data, size_t len)
{
    if (w->len + len > w->cap) {
        size_t cap = (w->len + len) * 2;
        char *more = realloc(w->text, cap);
        if (!more)
            return false;
        w->text = more;
        w->cap = cap;
    }
    if (len)
        memcpy(w->text + w->len, data, len);
    w->len += len;
    return true;
}

static slice word_value(const webhook *w, const pst_request *q, const char *word, size_t len)
{
    char name[80];
    const char *value = NULL;
    if (len == 4 && memcmp(word, "body", 4) == 0)
        return (slice){q->body.data, q->body.len};
    if (len == 9 && memcmp(word, "timestamp", 9) == 0)
        return time_of(w, q);
    if (len == 6 && memcmp(word, "method", 6) == 0)
        value = q->method;
    else if (len == 4 && memcmp(word, "path", 4) == 0)
        value = q->path;
    else if (len > 7 && len < sizeof name && memcmp(word, "header:", 7) == 0) {
        snprintf(name, sizeof name, "%.*s", (int)(len - 7), word + 7);
        value = header_of(q, name);
    }
    return (slice){value, value ? strlen(value) : 0};
}

static bool write_signed(webhook *w, const pst_request *q)
{
    bool done = true;
    w->len = 0;
    for (const char *p = w->signed_text; *p && done;) {
        const char *end = *p == '{' ? strchr(p, '}') : NULL;
        size_t plain = end ? 0 : 1 + strcspn(p + 1, "{");
        slice s = end ? word_value(w, q, p + 1, (size_t)(end - p - 1)) : (slice){p, plain};
        done = add(w, s.data, s.len);
        p = end ? end + 1 : p + plain;
    }
    return done;
}

/* ---- is it believed? ---- */

typedef struct proof {
    const char *secret;
    size_t secret_len;
} proof;

static bool is_good(webhook *w, const proof *k, slice given)
{
    unsigned char raw[SIGNATURE_MAX], key[SECRET_MAX];
    size_t prefix = strlen(w->prefix);
    if (given.len < prefix || memcmp(given.data, w->prefix, prefix) != 0)
        return false;
    given = (slice){given.data + prefix, given.len - prefix};
    if (w->check == CHECK_SECRET)
        return signature_same(k->secret, k->secret_len, given.data, given.len);
    size_t len = signature_read(w->encoding, given.data, given.len, raw, sizeof raw);
    if (len == 0)
        return false;
    if (w->check == CHECK_ECDSA)
        return signature_ecdsa(w->key, w->text, w->len, raw, len);
    if (!w->secret_base64)
        return signature_hmac(k->secret, k->secret_len, w->text, w->len, raw, len);
    size_t key_len = signature_read(SIGNATURE_BASE64, k->secret, k->secret_len, key, sizeof key);
    bool good = key_len > 0 && signature_hmac(key, key_len, w->text, w->len, raw, len);
    explicit_bzero(key, sizeof key);
    return good;
}

/* Some senders sign with the old and the new key while they change it. */
static bool any_good(webhook *w, const proof *k, const char *value)
{
    if (!w->member)
        return is_good(w, k, (slice){value, strlen(value)});
    for (unsigned i = 0; i < SIGNATURES_MAX; i++) {
        slice s = member_of(value, w->member, i);
        if (!s.data)
            return false;
        if (is_good(w, k, s))
            return true;
    }
    return false;
}

static pst_status judge(webhook *w, const pst_call *call, const pst_request *q, bool *good, pst_error *error)
{
    char secret[SECRET_MAX];
    proof k = {.secret = secret};
    const char *value = header_of(q, w->header);
    *good = w->check == CHECK_NONE;
    if (*good || !value || !is_recent(w, q))
        return PST_OK;
    if (w->check != CHECK_SECRET && !write_signed(w, q))
        return pst_fail(error, PST_E_RESOURCE, NULL, "webhook: no memory");
    if (w->check != CHECK_ECDSA) {
        pst_status st =
            w->host->secret(w->host, call, "/secret", secret, sizeof secret, &k.secret_len, error);
        if (st != PST_OK)
            return st;
    }
    *good = any_good(w, &k, value);
    explicit_bzero(secret, sizeof secret);
    return PST_OK;
}

/* ---- push ---- */

static pst_status refuse(webhook *w, pst_reply *reply, pst_error *error)
{
    static const char body[] = "{\"error\":\"the request is not signed as this hook asks\"}\n";
    w->host->observe(w->host, REFUSED, 1);
    reply->http_status = 401;
    snprintf(reply->content_type, sizeof reply->content_type, "application/json");
    return pst_blob_set(&reply->body, body, sizeof body - 1, error);
}

static pst_status accept(webhook *w, const pst_request *q, pst_reply *reply, pst_error *error)
{
    const pst_host *host = w->host;
    const char *body = host->config_text(host, "/answer/body"),
               *type = host->config_text(host, "/answer/type");
    const char *stream = w->stream_header ? header_of(q, w->stream_header) : NULL;
    host->observe(host, TAKEN, 1);
    snprintf(w->stream, sizeof w->stream, "%s", stream ? stream : "");
    pst_builder_payload(w->builder, q->body.data, q->body.len, q->path + (*q->path == '/'));
    w->full = q->body.len > 0;
    reply->http_status = (int32_t)host->config_int(host, "/answer/status");
    if (!body || !*body)
        return PST_OK;
    snprintf(reply->content_type, sizeof reply->content_type, "%s", type ? type : "text/plain");
    return pst_blob_set(&reply->body, body, strlen(body), error);
}

static pst_status on_receive(void *self, const pst_call *call, const pst_request *q, pst_reply *reply,
                             pst_error *error)
{
    webhook *w = self;
    bool good;
    pst_builder_clear(w->builder);
    w->full = false;
    pst_status st = judge(w, call, q, &good, error);
    if (st != PST_OK)
        return st;
    return good ? accept(w, q, reply, error) : refuse(w, reply, error);
}

static pst_status on_next(void *self, const pst_call *call, pst_batch *out, pst_error *error)
{
    webhook *w = self;
    (void)call;
    if (!w->full)
        return PST_END;
    w->full = false;
    return pst_builder_finish(w->builder, w->stream[0] ? w->stream : NULL, (pst_bytes){NULL, 0},
                              PST_BATCH_RAW, out, error);
}

/* ---- check ---- */

/* Nothing is listened to here; what can be wrong is the secret. */
static pst_status on_check(void *self, const pst_call *call, pst_error *error)
{
    webhook *w = self;
    char secret[SECRET_MAX];
    unsigned char key[SECRET_MAX];
    size_t len;
    if (w->check != CHECK_SECRET && w->check != CHECK_HMAC)
        return PST_OK;
    pst_status st = w->host->secret(w->host, call, "/secret", secret, sizeof secret, &len, error);
    if (st == PST_OK && len == 0)
        st = pst_fail(error, PST_E_CONFIG, "/secret", "webhook: the secret is empty");
    if (st == PST_OK && w->secret_base64 &&
        signature_read(SIGNATURE_BASE64, secret, len, key, sizeof key) == 0)
        st = pst_fail(error, PST_E_CONFIG, "/secret", "webhook: the secret is not base64");
    explicit_bzero(secret, sizeof secret);
    explicit_bzero(key, sizeof key);
    return st;
}

/* ---- life ---- */

static const void *on_get_interface(const char *id)
{
    static const pst_push push = {.struct_size = sizeof push, .receive = on_receive, .next = on_next};
    static const pst_check test = {.struct_size = sizeof test, .check = on_check};
    if (strcmp(id, PST_IF_PUSH) == 0)
        return &push;
    return strcmp(id, PST_IF_CHECK) == 0 ? &test : NULL;
}

static void on_destroy(void *self)
{
    webhook *w = self;
    if (!w)
        return;
    signature_key_free(w->key);
    pst_builder_free(w->builder);
    free(w->text);
    free(w);
}

static bool is_text(const pst_host *host, const char *path, const char *word)
{
    const char *value = host->config_text(host, path);
    return value && strcmp(value, word) == 0;
}

static check check_of(const pst_host *host)
{
    return is_text(host, "/check", "hmac_sha256")    ? CHECK_HMAC
           : is_text(host, "/check", "ecdsa_sha256") ? CHECK_ECDSA
           : is_text(host, "/check", "secret")       ? CHECK_SECRET
                                                     : CHECK_NONE;
}

static void read_config(webhook *w, const pst_host *host)
{
    const char *prefix = host->config_text(host, "/prefix");
    w->check = check_of(host);
    w->encoding = is_text(host, "/encoding", "base64") ? SIGNATURE_BASE64 : SIGNATURE_HEX;
    w->secret_base64 = is_text(host, "/secret_encoding", "base64");
    w->header = host->config_text(host, "/header");
    w->prefix = prefix ? prefix : "";
    w->member = host->config_text(host, "/member");
    w->signed_text = host->config_text(host, "/signed");
    w->time_header = host->config_text(host, "/timestamp_header");
    w->time_member = host->config_text(host, "/timestamp_member");
    w->stream_header = host->config_text(host, "/stream_header");
    w->tolerance_us = host->config_int(host, "/tolerance_s") * 1000000;
}

static pst_status on_create(const pst_host *host, void **self, pst_error *error)
{
    const char *pem = host->config_text(host, "/public_key");
    webhook *w = calloc(1, sizeof *w);
    *self = w;
    if (!w || !(w->builder = pst_builder_create()))
        return pst_fail(error, PST_E_RESOURCE, NULL, "webhook: no memory");
    signature_begin();
    w->host = host;
    read_config(w, host);
    if (w->check == CHECK_ECDSA && !(w->key = signature_key_read(pem ? pem : "")))
        return pst_fail(error, PST_E_CONFIG, "/public_key",
                        "webhook: this is no public key of an elliptic curve in PEM form");
    return PST_OK;
}

PST_PLUGIN(.id = "org.penstock.connector.webhook", .kind = PST_KIND_CONNECTOR, .version = "1.0.0",
           .title = "Webhooks that come in", .licence = "Apache-2.0", .metrics = metrics,
           .n_metrics = sizeof metrics / sizeof *metrics, .get_interface = on_get_interface,
           .create = on_create, .destroy = on_destroy);
