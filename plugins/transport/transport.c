/* The multi interface, so that one poll watches the transfer and the call's cancel descriptor. */
#include "transport.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "late.h"

enum {
    RETRY_AFTER_MAX_S = 3600,
    CONNECT_MS = 10000,
    POLL_MS = 250,
    ANSWER_MAX_BYTES = 64 * 1024,
    BODY_FIRST_BYTES = 16384
};

/* A body of no use: a far side that never stops talking is cut off. */
static size_t on_waste(char *data, size_t size, size_t n, void *arg)
{
    (void)data;
    size_t *seen = arg;
    *seen += size * n;
    return *seen > ANSWER_MAX_BYTES ? 0 : size * n;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    transport_body *b = arg;
    size_t more = size * n;
    b->too_long = more > b->most - b->len;
    if (b->too_long)
        return 0;
    if (b->len + more > b->cap) {
        size_t cap = b->cap ? b->cap * 2 : BODY_FIRST_BYTES;
        cap = cap < b->len + more ? b->len + more : cap;
        char *longer = realloc(b->data, cap);
        if (!longer)
            return 0;
        b->data = longer;
        b->cap = cap;
    }
    memcpy(b->data + b->len, data, more);
    b->len += more;
    return more;
}

static void note_refusal(transport *t, const char *line, size_t len)
{
    size_t n = 0;
    for (; n < len && n < sizeof t->refusal - 1 && line[n] != '\r' && line[n] != '\n'; n++)
        t->refusal[n] = line[n] >= ' ' && line[n] <= '~' ? line[n] : '?';
    t->refusal[n] = '\0';
    t->refusals++;
}

static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
    transport *t = arg;
    size_t len = size * n;
    if (len > 3 && (data[0] == '4' || data[0] == '5') && data[1] >= '0' && data[1] <= '9' && data[3] == ' ')
        note_refusal(t, data, len);
    if (t->on_line)
        t->on_line(t->arg, data, len);
    return len;
}

/* The connection's socket, so that a cancelled transfer can be cut: libcurl would say goodbye (SMTP's QUIT)
 * and wait for an answer from a far side that is silent. */
static int on_socket(void *arg, curl_socket_t fd, curlsocktype purpose)
{
    (void)purpose;
    *(curl_socket_t *)arg = fd;
    return CURL_SOCKOPT_OK;
}

pst_status transport_begin(transport *t, const pst_host *host, const char *protocols, pst_error *error)
{
    static bool bound;
    pst_status st = bound ? PST_OK : late_bind(LATE_CURL, error);
    bound = bound || !st;
    *t = (transport){.host = host, .verb = "sending to", .curl = st ? NULL : curl_easy_init()};
    if (st)
        return st;
    t->multi = curl_multi_init();
    if (!t->curl || !t->multi)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory for a transfer");
    CURLcode code = curl_easy_setopt(t->curl, CURLOPT_PROTOCOLS_STR, protocols);
    code = code ? code : curl_easy_setopt(t->curl, CURLOPT_NOSIGNAL, 1L);
    code = code ? code : curl_easy_setopt(t->curl, CURLOPT_FOLLOWLOCATION, 0L);
    code = code ? code : curl_easy_setopt(t->curl, CURLOPT_SSL_VERIFYPEER, 1L);
    code = code ? code : curl_easy_setopt(t->curl, CURLOPT_SSL_VERIFYHOST, 2L);
    code = code ? code : curl_easy_setopt(t->curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    code = code ? code : curl_easy_setopt(t->curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    code = code ? code : curl_easy_setopt(t->curl, CURLOPT_PROXY, "");
    code = code ? code : curl_easy_setopt(t->curl, CURLOPT_HEADERFUNCTION, on_header);
    code = code ? code : curl_easy_setopt(t->curl, CURLOPT_HEADERDATA, t);
    code = code ? code : curl_easy_setopt(t->curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    return code ? pst_fail(error, PST_E_INTERNAL, NULL, "libcurl: %s", curl_easy_strerror(code)) : PST_OK;
}

void transport_end(transport *t)
{
    curl_easy_cleanup(t->curl);
    curl_multi_cleanup(t->multi);
    *t = (transport){0};
}

static pst_status failure(const transport *t, CURLcode code, const char *place, pst_error *error)
{
    const char *text = t->detail && *t->detail ? t->detail : curl_easy_strerror(code);
    error->vendor_code = (int32_t)code;
    switch (code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_USE_SSL_FAILED:
        return pst_fail(error, PST_E_CONFIG, NULL, "%s %s failed: %s", t->verb, place, text);
    case CURLE_LOGIN_DENIED:
        return pst_fail(error, PST_E_AUTH, NULL, "%s refused the credential", place);
    case CURLE_OUT_OF_MEMORY:
        return pst_fail(error, PST_E_RESOURCE, NULL, "%s %s failed: %s", t->verb, place, text);
    default: /* the network, a name that does not resolve, a certificate that can be renewed: later may be
                fine */
        return pst_fail(error, PST_E_UNAVAILABLE, NULL, "%s %s failed: %s%s%s", t->verb, place, text,
                        t->refusals ? ": " : "", t->refusals ? t->refusal : "");
    }
}

/* How the transfer ended, or a status of the call: cancelled, too late. */
static pst_status drive(transport *t, const pst_call *call, CURLcode *code_out, pst_error *error)
{
    int running = 1, left;
    int64_t began_us = t->host->now_us(t->host);
    while (running) {
        struct curl_waitfd cancel = {.fd = call->cancel_fd, .events = CURL_WAIT_POLLIN};
        if (curl_multi_perform(t->multi, &running) ||
            (running && curl_multi_poll(t->multi, &cancel, call->cancel_fd >= 0, POLL_MS, NULL)))
            return pst_fail(error, PST_E_INTERNAL, NULL, "libcurl's multi interface failed");
        if (running && t->host->cancelled(t->host, call))
            return pst_fail(error, PST_E_CANCELLED, NULL, "%s the far side was cancelled", t->verb);
        if (running && t->on_wait)
            t->on_wait(t->arg, t->host->now_us(t->host) - began_us);
    }
    CURLMsg *message = curl_multi_info_read(t->multi, &left);
    *code_out = message && message->msg == CURLMSG_DONE ? message->data.result : CURLE_RECV_ERROR;
    return PST_OK;
}

/* Seconds or a date (RFC 9110, 10.2.3); libcurl knows both. */
static void note_retry_after(transport *t)
{
    curl_off_t seconds = 0;
    curl_easy_getinfo(t->curl, CURLINFO_RETRY_AFTER, &seconds);
    if (seconds < 0) /* a date that has passed */
        seconds = 0;
    t->retry_after_ms = 1000u * (uint32_t)(seconds < RETRY_AFTER_MAX_S ? seconds : RETRY_AFTER_MAX_S);
}

/* Gives up before we are told to. */
static long time_left_ms(const transport *t, const pst_call *call)
{
    int64_t left_ms = (call->deadline_us - t->host->now_us(t->host)) / 1000;
    long limit_ms = left_ms > 2 ? (long)(left_ms * 7 / 10) : 1;
    return t->limit_ms && t->limit_ms < limit_ms ? t->limit_ms : limit_ms;
}

pst_status transport_run(transport *t, const pst_call *call, const char *place, long *answer_out,
                         pst_error *error)
{
    size_t waste = 0;
    curl_socket_t fd = CURL_SOCKET_BAD;
    CURLcode code = CURLE_OK;
    long limit_ms = time_left_ms(t, call);
    t->retry_after_ms = 0;
    if (t->body)
        t->body->len = t->body->too_long = 0;
    curl_easy_setopt(t->curl, CURLOPT_WRITEFUNCTION, t->body ? on_body : on_waste);
    curl_easy_setopt(t->curl, CURLOPT_WRITEDATA, t->body ? (void *)t->body : &waste);
    curl_easy_setopt(t->curl, CURLOPT_SOCKOPTFUNCTION, on_socket);
    curl_easy_setopt(t->curl, CURLOPT_SOCKOPTDATA, &fd);
    curl_easy_setopt(t->curl, CURLOPT_TIMEOUT_MS, limit_ms);
    curl_easy_setopt(t->curl, CURLOPT_CONNECTTIMEOUT_MS, limit_ms < CONNECT_MS ? limit_ms : CONNECT_MS);
    pst_status st = PST_OK;
    if (curl_multi_add_handle(t->multi, t->curl))
        st = pst_fail(error, PST_E_INTERNAL, NULL, "libcurl's multi interface failed");
    if (!st)
        st = drive(t, call, &code, error);
    *answer_out = 0;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, answer_out);
    note_retry_after(t);
    if (st && fd != CURL_SOCKET_BAD)
        shutdown(fd, SHUT_RDWR);
    curl_multi_remove_handle(t->multi, t->curl);
    if (t->body && t->body->too_long)
        return pst_fail(error, PST_E_DATA, NULL, "%s %s failed: the answer has more than %zu bytes", t->verb,
                        place, t->body->most);
    if (st || !code || (code == CURLE_WRITE_ERROR && *answer_out && !t->body))
        return st; /* a body of no use that was cut off had its status line before it */
    return failure(t, code, place, error);
}

pst_status transport_http_status(const transport *t, const char *place, long answer, pst_error *error)
{
    if (answer >= 200 && answer < 300)
        return PST_OK;
    error->vendor_code = (int32_t)answer;
    if (answer == 401 || answer == 403 || answer == 407)
        return pst_fail(error, PST_E_AUTH, NULL, "%s answered %ld: it refuses us", place, answer);
    if (answer == 408 || answer == 425 || answer == 429 || answer >= 500) {
        error->retry_after_ms = t->retry_after_ms;
        return pst_fail(error, PST_E_UNAVAILABLE, NULL, "%s answered %ld", place, answer);
    }
    if (answer >= 300 && answer < 400)
        return pst_fail(error, PST_E_CONFIG, "/url", "%s answered %ld: redirects are not followed", place,
                        answer);
    if (answer == 404 || answer == 405 || answer == 410)
        return pst_fail(error, PST_E_CONFIG, "/url", "%s answered %ld: nothing receives there", place,
                        answer);
    return pst_fail(error, PST_E_DATA, NULL, "%s answered %ld: it does not take this message", place, answer);
}

bool transport_is_line(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return false;
    return true;
}
