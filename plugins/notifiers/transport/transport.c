/* The multi interface, so that one poll watches the transfer and the call's cancel descriptor. */
#include "transport.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "late.h"

enum { RETRY_AFTER_MAX_S = 3600, CONNECT_MS = 10000, POLL_MS = 250, ANSWER_MAX_BYTES = 64 * 1024 };

/* The answer's body is of no use; a far side that never stops talking is cut off. */
static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    (void)data;
    size_t *seen = arg;
    *seen += size * n;
    return *seen > ANSWER_MAX_BYTES ? 0 : size * n;
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
    static const char name[] = "retry-after:";
    if (len > sizeof name && !strncasecmp(data, name, sizeof name - 1)) {
        char number[16] = "";
        snprintf(number, sizeof number, "%.*s", (int)(len - sizeof name + 1), data + sizeof name - 1);
        long seconds = strtol(number, NULL, 10);
        if (seconds > 0)
            t->retry_after_ms = 1000u * (uint32_t)(seconds < RETRY_AFTER_MAX_S ? seconds : RETRY_AFTER_MAX_S);
    }
    if (len > 3 && (data[0] == '4' || data[0] == '5') && data[1] >= '0' && data[1] <= '9' && data[3] == ' ')
        note_refusal(t, data, len);
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
    *t = (transport){.host = host, .curl = st ? NULL : curl_easy_init()};
    if (st)
        return st;
    if (!t->curl)
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
    code = code ? code : curl_easy_setopt(t->curl, CURLOPT_WRITEFUNCTION, on_body);
    return code ? pst_fail(error, PST_E_INTERNAL, NULL, "libcurl: %s", curl_easy_strerror(code)) : PST_OK;
}

void transport_end(transport *t)
{
    curl_easy_cleanup(t->curl);
    *t = (transport){0};
}

static pst_status failure(const transport *t, CURLcode code, const char *place, pst_error *error)
{
    const char *text = curl_easy_strerror(code);
    error->vendor_code = (int32_t)code;
    switch (code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_USE_SSL_FAILED:
        return pst_fail(error, PST_E_CONFIG, NULL, "sending to %s failed: %s", place, text);
    case CURLE_LOGIN_DENIED:
        return pst_fail(error, PST_E_AUTH, NULL, "%s refused the credential", place);
    case CURLE_OUT_OF_MEMORY:
        return pst_fail(error, PST_E_RESOURCE, NULL, "sending to %s failed: %s", place, text);
    default: /* the network, a name that does not resolve, a certificate that can be renewed: later may be
                fine */
        return pst_fail(error, PST_E_UNAVAILABLE, NULL, "sending to %s failed: %s%s%s", place, text,
                        t->refusals ? ": " : "", t->refusals ? t->refusal : "");
    }
}

/* How the transfer ended, or a status of the call: cancelled, too late. */
static pst_status drive(transport *t, CURLM *multi, const pst_call *call, CURLcode *code_out,
                        pst_error *error)
{
    int running = 1, left;
    while (running) {
        struct curl_waitfd cancel = {.fd = call->cancel_fd, .events = CURL_WAIT_POLLIN};
        if (curl_multi_perform(multi, &running))
            return pst_fail(error, PST_E_INTERNAL, NULL, "libcurl's multi interface failed");
        if (running && curl_multi_poll(multi, &cancel, call->cancel_fd >= 0, POLL_MS, NULL))
            return pst_fail(error, PST_E_INTERNAL, NULL, "libcurl's multi interface failed");
        if (running && t->host->cancelled(t->host, call))
            return pst_fail(error, PST_E_CANCELLED, NULL, "sending was cancelled");
    }
    CURLMsg *message = curl_multi_info_read(multi, &left);
    *code_out = message && message->msg == CURLMSG_DONE ? message->data.result : CURLE_RECV_ERROR;
    return PST_OK;
}

pst_status transport_run(transport *t, const pst_call *call, const char *place, long *answer_out,
                         pst_error *error)
{
    size_t body = 0;
    curl_socket_t fd = CURL_SOCKET_BAD;
    CURLcode code = CURLE_OK;
    int64_t left_ms = (call->deadline_us - t->host->now_us(t->host)) / 1000;
    long limit_ms = left_ms > 2 ? (long)(left_ms * 7 / 10) : 1; /* give up before we are told to */
    CURLM *multi = curl_multi_init();
    if (!multi)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory for a transfer");
    curl_easy_setopt(t->curl, CURLOPT_WRITEDATA, &body);
    curl_easy_setopt(t->curl, CURLOPT_SOCKOPTFUNCTION, on_socket);
    curl_easy_setopt(t->curl, CURLOPT_SOCKOPTDATA, &fd);
    curl_easy_setopt(t->curl, CURLOPT_TIMEOUT_MS, limit_ms);
    curl_easy_setopt(t->curl, CURLOPT_CONNECTTIMEOUT_MS, limit_ms < CONNECT_MS ? limit_ms : CONNECT_MS);
    pst_status st = PST_OK;
    if (curl_multi_add_handle(multi, t->curl))
        st = pst_fail(error, PST_E_INTERNAL, NULL, "libcurl's multi interface failed");
    if (!st)
        st = drive(t, multi, call, &code, error);
    *answer_out = 0;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, answer_out);
    if (st && fd != CURL_SOCKET_BAD)
        shutdown(fd, SHUT_RDWR);
    curl_multi_remove_handle(multi, t->curl);
    curl_multi_cleanup(multi);
    if (st || !code || (code == CURLE_WRITE_ERROR && *answer_out))
        return st; /* a body that was cut off had its status line before it */
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
