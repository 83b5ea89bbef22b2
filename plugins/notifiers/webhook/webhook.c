/* Posts the event as JSON, signed. The delivery id is in a header and the same on every retry, so the
 * receiver can leave out what it has seen. What the answers mean is in transport.h. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "penstock/define.h"
#include "signature.h"
#include "transport.h"

enum { SECRET_MAX = 4096, HEADER_MAX = SECRET_MAX + 64 };

typedef struct webhook {
    const pst_host *host;
} webhook;

static pst_status on_create(const pst_host *host, void **self, pst_error *error)
{
    static const char *const ours[] = {"host", "content-length", "content-type", "authorization",
                                       "transfer-encoding"};
    size_t n = host->config_count(host, "/headers");
    for (size_t i = 0; i < n; i++) {
        const char *name = host->config_key(host, "/headers", i);
        char path[128];
        snprintf(path, sizeof path, "/headers/%s", name);
        const char *value = host->config_text(host, path);
        bool taken = !strncasecmp(name, "penstock-", 9);
        for (size_t k = 0; k < sizeof ours / sizeof ours[0]; k++)
            taken = taken || !strcasecmp(name, ours[k]);
        if (taken)
            return pst_fail(error, PST_E_CONFIG, path, "this header is set by the webhook itself");
        if (!value || !transport_is_line(value))
            return pst_fail(error, PST_E_CONFIG, path, "a header's value is one line of text");
    }
    if (sodium_init() < 0)
        return pst_fail(error, PST_E_INTERNAL, NULL, "libsodium does not start");
    webhook *w = calloc(1, sizeof *w);
    if (!w)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    w->host = host;
    *self = w;
    return PST_OK;
}

/* Host name of the URL, for messages. */
static bool url_place(const char *url, char *out, size_t cap)
{
    CURLU *parsed = curl_url();
    char *host = NULL;
    bool ok = parsed && !curl_url_set(parsed, CURLUPART_URL, url, 0) &&
              !curl_url_get(parsed, CURLUPART_HOST, &host, 0) && transport_is_line(url);
    snprintf(out, cap, "%s", ok ? host : "the URL");
    curl_free(host);
    curl_url_cleanup(parsed);
    return ok;
}

static pst_status set_url(const webhook *w, const pst_call *call, transport *t, char *place, size_t cap,
                          pst_error *error)
{
    char secret[SECRET_MAX];
    size_t len = 0;
    const char *url = w->host->config_text(w->host, "/url"), *where = "/url";
    if (w->host->config_has(w->host, "/url_secret")) {
        pst_status st = w->host->secret(w->host, call, "/url_secret", secret, sizeof secret, &len, error);
        if (st)
            return st;
        url = secret;
        where = "/url_secret";
    }
    bool ok = url && url_place(url, place, cap) && !curl_easy_setopt(t->curl, CURLOPT_URL, url);
    sodium_memzero(secret, len);
    return ok ? PST_OK : pst_fail(error, PST_E_CONFIG, where, "that is not an http or https URL");
}

static bool add(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);
    *list = longer ? longer : *list;
    return longer != NULL;
}

static pst_status add_secrets(const webhook *w, const pst_call *call, const char *body,
                              struct curl_slist **list, pst_error *error)
{
    char line[HEADER_MAX] = "Authorization: ";
    size_t at = strlen(line), len = 0;
    pst_status st = PST_OK;
    if (w->host->config_has(w->host, "/authorization")) {
        st = w->host->secret(w->host, call, "/authorization", line + at, SECRET_MAX, &len, error);
        if (!st && (!transport_is_line(line) || !add(list, line)))
            st = pst_fail(error, PST_E_CONFIG, "/authorization", "a header's value is one line of text");
    }
    sodium_memzero(line, sizeof line);
    if (!st && w->host->config_has(w->host, "/secret")) {
        char signature[SIGNATURE_SIZE];
        st = signature_make(w->host, call, "/secret", body, strlen(body), signature, error);
        snprintf(line, sizeof line, "Penstock-Signature: %s", st ? "" : signature);
        if (!st && !add(list, line))
            st = pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    }
    return st;
}

static pst_status add_headers(const webhook *w, const pst_message *m, struct curl_slist **list,
                              pst_error *error)
{
    char line[HEADER_MAX], path[128];
    if (!m->delivery_id || !transport_is_line(m->delivery_id) || strlen(m->delivery_id) > 200)
        return pst_fail(error, PST_E_DATA, NULL, "the delivery id is not one line of text");
    snprintf(line, sizeof line, "Penstock-Delivery: %s", m->delivery_id);
    bool ok = add(list, "Content-Type: application/json") && add(list, "Expect:") && add(list, line);
    size_t n = w->host->config_count(w->host, "/headers");
    for (size_t i = 0; ok && i < n; i++) {
        const char *name = w->host->config_key(w->host, "/headers", i);
        snprintf(path, sizeof path, "/headers/%s", name);
        snprintf(line, sizeof line, "%s: %s", name, w->host->config_text(w->host, path));
        ok = add(list, line);
    }
    return ok ? PST_OK : pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
}

/* Header lines hold secrets: wiped before they are freed. */
static void list_free(struct curl_slist *list)
{
    for (struct curl_slist *l = list; l; l = l->next)
        sodium_memzero(l->data, strlen(l->data));
    curl_slist_free_all(list);
}

static pst_status on_send(void *self, const pst_call *call, const pst_message *message,
                          pst_delivery *delivery, pst_error *error)
{
    const webhook *w = self;
    transport t = {0};
    struct curl_slist *headers = NULL;
    char place[256];
    long answer = 0;
    if (!message->json)
        return pst_fail(error, PST_E_DATA, NULL, "the message has no JSON document");
    pst_status st = transport_begin(&t, w->host, "http,https", error);
    if (!st)
        st = set_url(w, call, &t, place, sizeof place, error);
    if (!st)
        st = add_headers(w, message, &headers, error);
    if (!st)
        st = add_secrets(w, call, message->json, &headers, error);
    if (!st) {
        curl_easy_setopt(t.curl, CURLOPT_USERAGENT, "penstock");
        curl_easy_setopt(t.curl, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(t.curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(message->json));
        curl_easy_setopt(t.curl, CURLOPT_POSTFIELDS, message->json);
        st = transport_run(&t, call, place, &answer, error);
    }
    if (!st)
        st = transport_http_status(&t, place, answer, error);
    delivery->state = PST_DELIVERY_DONE;
    transport_end(&t);
    list_free(headers);
    return st;
}

static const void *on_get_interface(const char *id)
{
    static const pst_send send = {sizeof send, 0, on_send};
    return !strcmp(id, PST_IF_SEND) ? &send : NULL;
}

PST_PLUGIN(.id = "org.penstock.notifier.webhook", .kind = PST_KIND_NOTIFIER, .version = "1.0.0",
           .title = "Webhook", .licence = "Apache-2.0", .get_interface = on_get_interface,
           .create = on_create, .destroy = free);
