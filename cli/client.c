/* HTTP by libcurl's easy interface. A busy server (429, 503 with Retry-After) is asked again a few times:
 * every request that creates something carries an Idempotency-Key, so trying again is safe. */
#include "client.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/random.h"
#include "complaint.h"
#include "context.h"
#include "exit_code.h"

struct client {
    CURL *curl;
    char *url, *authorization;
    bool debug;
    char error[CURL_ERROR_SIZE];
};

typedef struct exchange { /* one try */
    client *client;
    answer *answer;
    long retry_after_s;
} exchange;

static size_t on_body(char *data, size_t size, size_t n, void *self)
{
    exchange *x = self;
    if (x->answer->body.len + size * n > CLIENT_BODY_MAX)
        return 0;
    text_add_n(&x->answer->body, data, size * n);
    return size * n;
}

static void header_copy(const char *line, size_t len, const char *name, char *out, size_t cap)
{
    size_t name_len = strlen(name);
    if (len <= name_len || strncasecmp(line, name, name_len) != 0)
        return;
    const char *value = line + name_len, *end = line + len;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' '))
        end--;
    snprintf(out, cap, "%.*s", (int)(end - value), value);
}

static size_t on_header(char *line, size_t size, size_t n, void *self)
{
    exchange *x = self;
    char wait[16] = "";
    header_copy(line, size * n, "ETag:", x->answer->etag, sizeof x->answer->etag);
    header_copy(line, size * n, "Location:", x->answer->location, sizeof x->answer->location);
    header_copy(line, size * n, "X-Request-Id:", x->answer->request_id, sizeof x->answer->request_id);
    header_copy(line, size * n, "Retry-After:", wait, sizeof wait);
    if (*wait)
        x->retry_after_s = strtol(wait, NULL, 10);
    return size * n;
}

client *client_create(const char *url, const char *key, long timeout_s, bool debug, status *st)
{
    CURL *curl = curl_easy_init();
    if (!curl) {
        status_set(st, STATUS_INTERNAL, "libcurl does not start");
        return NULL;
    }
    client *c = memory_zero(1, sizeof *c);
    c->curl = curl;
    c->url = memory_string(url);
    for (size_t len = strlen(c->url); len > 0 && c->url[len - 1] == '/'; len--)
        c->url[len - 1] = '\0';
    text header = {0};
    if (key && *key)
        text_printf(&header, "Authorization: Bearer %s", key);
    c->authorization = text_take(&header);
    c->debug = debug;
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, timeout_s < 10 ? timeout_s : 10L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, timeout_s);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, c->error);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "penstock-cli");
    return c;
}

void client_free(client *c)
{
    if (!c)
        return;
    curl_easy_cleanup(c->curl);
    free(c->url);
    free(c->authorization);
    free(c);
}

void answer_release(answer *a)
{
    text_free(&a->body);
    json_decref(a->json);
    memset(a, 0, sizeof *a);
}

/* A random UUID, version 4. */
static void uuid_make(char out[37])
{
    unsigned char b[16];
    random_bytes(b, sizeof b);
    b[6] = (unsigned char)((b[6] & 0x0F) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3F) | 0x80);
    char *at = out;
    for (int i = 0; i < 16; i++)
        at += sprintf(at, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", b[i]);
}

static struct curl_slist *headers_make(const client *c, const request *r, const char *once_key)
{
    char line[600];
    struct curl_slist *list = NULL;
    snprintf(line, sizeof line, "Accept: %s",
             r->accept ? r->accept : "application/json, application/problem+json");
    list = curl_slist_append(list, line);
    list = curl_slist_append(list, "Expect:");
    if (*c->authorization)
        list = curl_slist_append(list, c->authorization);
    if (r->json || r->body) {
        snprintf(line, sizeof line, "Content-Type: %s", r->json ? "application/json" : r->type);
        list = curl_slist_append(list, line);
    }
    if (r->if_match) {
        snprintf(line, sizeof line, "If-Match: %s", r->if_match);
        list = curl_slist_append(list, line);
    }
    if (r->once) {
        snprintf(line, sizeof line, "Idempotency-Key: %s", once_key);
        list = curl_slist_append(list, line);
        list = curl_slist_append(list, "Prefer: respond-async");
    }
    return list;
}

static const char *string_of(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s ? s : "";
}

/* A problem document becomes a status; what is not one becomes a sentence about the answer. */
static status_class problem_read(const answer *a, status *st)
{
    status_class class = status_class_of_http(a->http);
    if (class == STATUS_OK)
        return class;
    const json_t *first = json_array_get(json_object_get(a->json, "errors"), 0);
    const char *title = string_of(a->json, "title"), *detail = string_of(a->json, "detail");
    const char *where = string_of(first, "pointer"), *more = string_of(first, "detail");
    if (!*detail)
        detail = *more ? more : title;
    if (*detail)
        status_at(st, class, where, "%s", detail);
    else
        status_set(st, class, "the server answered %ld", a->http);
    if (*string_of(a->json, "hint"))
        status_hint(st, "%s", string_of(a->json, "hint"));
    else if (a->http == 401)
        status_hint(st, "penstock login");
    if (*string_of(a->json, "request_id"))
        complaint_request_id(string_of(a->json, "request_id"));
    return class;
}

static status_class transport_failed(const client *c, CURLcode code, status *st)
{
    const char *why = c->error[0] ? c->error : curl_easy_strerror(code);
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        status_set(st, STATUS_TIMEOUT, "%s does not answer in time: %s", c->url, why);
        return status_hint(st, "give it longer with --timeout SECONDS");
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return status_set(st, STATUS_INVALID, "`%s` is not the address of a server", c->url);
    case CURLE_WRITE_ERROR:
        return status_set(st, STATUS_LIMIT, "the answer is longer than %u MiB", CLIENT_BODY_MAX >> 20);
    default:
        status_set(st, STATUS_UNAVAILABLE, "%s cannot be reached: %s", c->url, why);
        return status_hint(st, "is it running? penstock up starts a server here");
    }
}

static void debug_print(const client *c, const request *r, const answer *a)
{
    if (!c->debug)
        return;
    say("> %s %s%s%s", r->method, c->url, r->path, *c->authorization ? " (with a key)" : "");
    say("< %ld, %zu bytes, request %s", a->http, a->body.len, a->request_id);
}

static void body_set(const client *c, const request *r, const char *dumped)
{
    const char *body = r->json ? dumped : r->body;
    size_t len = r->json ? strlen(dumped) : r->len;
    curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, NULL);
    curl_easy_setopt(c->curl, CURLOPT_HTTPGET, 1L);
    if (body) {
        curl_easy_setopt(c->curl, CURLOPT_POST, 1L);
        curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, body);
        curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
    } else if (strcmp(r->method, "POST") == 0) {
        curl_easy_setopt(c->curl, CURLOPT_POST, 1L);
        curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, "");
        curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)0);
    }
    curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, r->method);
}

static CURLcode call_once(const client *c, const request *r, struct curl_slist *headers, exchange *x)
{
    text url = {0};
    char *dumped = r->json ? json_dumps(r->json, JSON_COMPACT) : NULL;
    text_printf(&url, "%s%s", c->url, r->path);
    answer_release(x->answer);
    x->retry_after_s = 0;
    body_set(c, r, dumped);
    curl_easy_setopt(c->curl, CURLOPT_URL, url.data);
    curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(c->curl, CURLOPT_HEADERDATA, x);
    CURLcode code = curl_easy_perform(c->curl);
    if (code == CURLE_OK)
        curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &x->answer->http);
    if (x->answer->body.len)
        x->answer->json = json_loadb(x->answer->body.data, x->answer->body.len, JSON_DECODE_ANY, NULL);
    debug_print(c, r, x->answer);
    text_free(&url);
    free(dumped);
    return code;
}

status_class client_call(client *c, const request *r, answer *ret, status *st)
{
    char once_key[37];
    uuid_make(once_key);
    memset(ret, 0, sizeof *ret);
    exchange x = {.client = c, .answer = ret};
    struct curl_slist *headers = headers_make(c, r, once_key);
    CURLcode code = call_once(c, r, headers, &x);
    for (int tries = 1; tries < CLIENT_TRIES_MAX && code == CURLE_OK && !r->busy_is_answer; tries++) {
        if (ret->http != 429 && ret->http != 503)
            break;
        sleep((unsigned)(x.retry_after_s > 0 && x.retry_after_s <= 30 ? x.retry_after_s : tries));
        code = call_once(c, r, headers, &x);
    }
    curl_slist_free_all(headers);
    complaint_request_id(ret->request_id);
    return code == CURLE_OK ? problem_read(ret, st) : transport_failed(c, code, st);
}

client *client_of(invocation *inv, status *st)
{
    if (inv->client)
        return inv->client;
    const context *c = context_of(inv, st);
    long timeout = 30;
    if (!c || flag_number(inv, "timeout", 1, 86400, &timeout, st) != STATUS_OK)
        return NULL;
    if (!*c->url) {
        status_set(st, STATUS_INVALID, "no server is known yet");
        status_hint(st, "penstock up starts one here; penstock login --url URL names another");
        return NULL;
    }
    inv->client = client_create(c->url, c->key, timeout, flag_given(inv, "debug"), st);
    return inv->client;
}

void path_escape(text *out, const char *segment)
{
    for (const unsigned char *s = (const unsigned char *)segment; *s; s++) {
        if ((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') ||
            strchr("-._~", *s))
            text_add_char(out, (char)*s);
        else
            text_printf(out, "%%%02X", *s);
    }
}

status_class path_make(invocation *inv, const char *template, text *out, status *st)
{
    text_add(out, "/api/v1");
    for (const char *at = template; *at; at++) {
        if (*at != '{') {
            text_add_char(out, *at);
            continue;
        }
        if (at[1] == 'w') {
            const char *workspace = workspace_of(inv, st);
            if (!workspace)
                return st->class;
            path_escape(out, workspace);
        } else {
            const char *word = argument(inv, (unsigned)(at[1] - '0'));
            path_escape(out, word ? word : "");
        }
        at = strchr(at, '}');
    }
    return STATUS_OK;
}
