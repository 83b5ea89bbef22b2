/* TLS is asked for by the scheme tls:// or the setting `tls`; libnats checks certificate and name, and its
 * words for what is wrong come by nats_GetLastError. */
#include "session.h"

#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "signature.h"

enum { SECRET_MAX = 16384, CONNECT_MS = 2000 };

void session_init(session *l, const pst_host *host)
{
    *l = (session){.host = host};
    pthread_mutex_init(&l->lock, NULL);
}

void session_end(session *l)
{
    session_close(l);
    if (l->host)
        pthread_mutex_destroy(&l->lock);
}

int64_t session_patience_ms(const session *l)
{
    return l->host->config_int(l->host, "/patience_s") * 1000;
}

/* ---- What goes wrong ---- */

static pst_status class_of_tls(const char *text)
{
    if (strstr(text, "alert"))
        return PST_E_AUTH; /* ours is refused */
    return strstr(text, "certificate") || strstr(text, "mismatch") || strstr(text, "self")
               ? PST_E_CONFIG
               : PST_E_UNAVAILABLE;
}

static pst_status class_of(natsStatus s, const char *text)
{
    switch (s) {
    case NATS_CONNECTION_AUTH_FAILED:
    case NATS_NOT_PERMITTED:
        return PST_E_AUTH;
    case NATS_SSL_ERROR:
        return class_of_tls(text);
    case NATS_SECURE_CONNECTION_REQUIRED:
    case NATS_SECURE_CONNECTION_WANTED:
    case NATS_INVALID_ARG:
    case NATS_INVALID_SUBJECT:
        return PST_E_CONFIG;
    case NATS_NO_MEMORY:
        return PST_E_RESOURCE;
    default:
        return PST_E_UNAVAILABLE;
    }
}

pst_status session_fail(natsStatus s, const char *where, const char *what, pst_error *error)
{
    natsStatus last = NATS_OK;
    const char *text = nats_GetLastError(&last);
    bool tells = last == s && text && *text;
    pst_status class = class_of(s, tells ? text : "");
    bool tls =
        s == NATS_SSL_ERROR || s == NATS_SECURE_CONNECTION_REQUIRED || s == NATS_SECURE_CONNECTION_WANTED;
    error->vendor_code = (int32_t)s;
    return pst_fail(error, class,
                    class == PST_E_AUTH && !tls ? "/user"
                    : tls                       ? "/tls"
                                                : where,
                    "%.150s: %s%s%.200s", what, natsStatus_GetText(s), tells ? ": " : "", tells ? text : "");
}

/* On a thread of libnats. */
static void on_error(natsConnection *connection, natsSubscription *subscription, natsStatus s, void *arg)
{
    session *l = arg;
    const char *text = NULL;
    (void)subscription;
    if (s != NATS_NOT_PERMITTED)
        return; /* a slow consumer is counted where it is read */
    natsConnection_GetLastError(connection, &text);
    pthread_mutex_lock(&l->lock);
    snprintf(l->refused, sizeof l->refused, "%s", text && *text ? text : natsStatus_GetText(s));
    pthread_mutex_unlock(&l->lock);
}

pst_status session_state(session *l, pst_error *error)
{
    const char *text = NULL;
    natsStatus last = NATS_OK;
    pthread_mutex_lock(&l->lock);
    pst_status st = l->refused[0] ? pst_fail(error, PST_E_AUTH, "/user", "%s", l->refused) : PST_OK;
    pthread_mutex_unlock(&l->lock);
    if (st || natsConnection_Status(l->connection) == NATS_CONN_STATUS_CONNECTED)
        return st;
    last = natsConnection_GetLastError(l->connection, &text);
    return pst_fail(error, PST_E_UNAVAILABLE, "/servers", "the connection is gone: %s%s%.200s",
                    natsStatus_GetText(last), text && *text ? ": " : "", text ? text : "");
}

/* ---- Settings ---- */

static pst_status set_token(const session *l, const pst_call *call, natsOptions *o, pst_error *error)
{
    char token[CREDENTIAL_SECRET_MAX];
    pst_status st = credential_secret(l->host, call, "/token", token, sizeof token, error);
    if (!st && token[0] && natsOptions_SetToken(o, token))
        st = pst_fail(error, PST_E_CONFIG, "/token", "it cannot be used beside a user");
    explicit_bzero(token, sizeof token);
    return st;
}

static pst_status set_user(const session *l, const pst_call *call, natsOptions *o, pst_error *error)
{
    char password[CREDENTIAL_SECRET_MAX];
    const char *user = l->host->config_text(l->host, "/user");
    pst_status st = credential_secret(l->host, call, "/password", password, sizeof password, error);
    if (!st && user && natsOptions_SetUserInfo(o, user, password))
        st = pst_fail(error, PST_E_CONFIG, "/user", "user and password cannot be used");
    explicit_bzero(password, sizeof password);
    return st;
}

static char *text_of(const pst_blob *pem)
{
    return strndup(pem->data, pem->len);
}

static void wipe(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

static pst_status set_own(natsOptions *o, const pst_blob *certificate, const pst_blob *key, pst_error *error)
{
    char *chain = text_of(certificate), *own = text_of(key);
    natsStatus s = chain && own ? natsOptions_SetCertificatesChain(o, chain, own) : NATS_NO_MEMORY;
    wipe(chain);
    wipe(own);
    return s ? pst_fail(error, PST_E_CONFIG, "/tls/certificate",
                        "a certificate and its key, both in PEM form, are expected")
             : PST_OK;
}

static pst_status set_authorities(natsOptions *o, const pst_blob *ca, pst_error *error)
{
    char *text = text_of(ca);
    natsStatus s = text ? natsOptions_SetCATrustedCertificates(o, text) : NATS_NO_MEMORY;
    free(text);
    return s ? pst_fail(error, PST_E_CONFIG, "/tls/ca", "no certificate in PEM form is in it") : PST_OK;
}

static pst_status set_trust(const session *l, const pst_call *call, natsOptions *o, pst_error *error)
{
    static const char *const paths[] = {"/tls/ca", "/tls/certificate", "/tls/key"};
    pst_blob pem[3] = {{0}};
    natsStatus s = natsOptions_SetSecure(o, true);
    pst_status st = s ? session_fail(s, "/tls", "TLS does not start", error) : PST_OK;
    for (size_t i = 0; !st && i < 3; i++)
        st = credential_pem(l->host, call, paths[i], &pem[i], error);
    if (!st && pem[0].len)
        st = set_authorities(o, &pem[0], error);
    if (!st && pem[1].len)
        st = set_own(o, &pem[1], &pem[2], error);
    for (size_t i = 0; i < 3; i++)
        credential_release(&pem[i]);
    return st;
}

/* libnats cannot be broken off while it connects. */
static int64_t connect_ms(const session *l, const pst_call *call)
{
    int64_t patience = session_patience_ms(l) < CONNECT_MS ? session_patience_ms(l) : CONNECT_MS;
    int64_t half = (call->deadline_us - l->host->now_us(l->host)) / 2000;
    return half < 1 ? 1 : half < patience ? half : patience;
}

static natsStatus set_habits(session *l, const pst_call *call, natsOptions *o, const char *url)
{
    int64_t patience = session_patience_ms(l);
    natsStatus s = natsOptions_SetURL(o, url);
    s = s ? s : natsOptions_SetName(o, l->own_name);
    s = s ? s : natsOptions_SetTimeout(o, connect_ms(l, call));
    s = s ? s : natsOptions_SetAllowReconnect(o, false);
    s = s ? s : natsOptions_SetPingInterval(o, patience / 2);
    s = s ? s : natsOptions_SetMaxPingsOut(o, 1);
    s = s ? s : natsOptions_SetIgnoreDiscoveredServers(o, true);
    return s ? s : natsOptions_SetErrorHandler(o, on_error, l);
}

static pst_status make_options(session *l, const pst_call *call, const char *url,
                               char credentials[SECRET_MAX], natsOptions **out, pst_error *error)
{
    natsStatus s = natsOptions_Create(out);
    s = s ? s : set_habits(l, call, *out, url);
    pst_status st = s ? session_fail(s, "/servers", "the settings", error) : PST_OK;
    if (!st)
        st = set_user(l, call, *out, error);
    if (!st)
        st = set_token(l, call, *out, error);
    if (!st)
        st = credential_secret(l->host, call, "/credentials", credentials, SECRET_MAX, error);
    if (!st && credentials[0] && signature_prepare(*out, credentials))
        st = pst_fail(error, PST_E_CONFIG, "/credentials",
                      "a user JWT and a seed that can sign are expected, as a .creds file has them");
    if (!st && (l->host->config_has(l->host, "/tls") || !strncmp(url, "tls:", 4)))
        st = set_trust(l, call, *out, error);
    return st;
}

/* ---- Life ---- */

/* With TLS 1.3 a server refuses our certificate when for us the handshake is over: libnats says that the
 * answer is not what it expected, and the alert lies with OpenSSL. */
static bool is_refused(const char **alert_out)
{
    const char *alert = ERR_reason_error_string(ERR_peek_last_error());
    *alert_out = alert;
    return alert && strstr(alert, "alert") && (strstr(alert, "certificate") || strstr(alert, "unknown ca"));
}

static pst_status open_one(session *l, const pst_call *call, const char *url, pst_error *error)
{
    natsOptions *o = NULL;
    char what[300], credentials[SECRET_MAX];
    pst_status st = make_options(l, call, url, credentials, &o, error);
    const char *alert;
    ERR_clear_error();
    natsStatus s = st ? NATS_OK : natsConnection_Connect(&l->connection, o);
    snprintf(what, sizeof what, "connecting to %s", url);
    if (s && is_refused(&alert))
        st = pst_fail(error, PST_E_AUTH, "/tls", "%s: our certificate is refused: %s", what, alert);
    else if (s)
        st = session_fail(s, "/servers", what, error);
    natsOptions_Destroy(o);
    explicit_bzero(credentials, sizeof credentials);
    return st;
}

static pst_status begin_stream(session *l, pst_error *error)
{
    jsOptions options;
    jsOptions_Init(&options);
    options.Wait = session_patience_ms(l) < 2000 ? session_patience_ms(l) : 2000;
    options.PublishAsync.ErrHandler = l->on_publish_error;
    options.PublishAsync.ErrHandlerClosure = l->publish_arg;
    natsStatus s = natsConnection_JetStream(&l->stream, l->connection, &options);
    return s ? session_fail(s, "/stream", "JetStream", error) : PST_OK;
}

pst_status session_open(session *l, const pst_call *call, pst_error *error)
{
    char path[32];
    session_close(l);
    pst_status st = credential_own_name(l->host, call, l->own_name, error);
    bool tried = false;
    for (size_t i = 0; i < l->host->config_count(l->host, "/servers") && (!tried || st == PST_E_UNAVAILABLE);
         i++) {
        if (l->host->cancelled(l->host, call))
            return pst_fail(error, PST_E_CANCELLED, NULL, "the call was cancelled");
        snprintf(path, sizeof path, "/servers/%zu", i);
        st = st && !tried ? st : open_one(l, call, l->host->config_text(l->host, path), error);
        tried = true;
    }
    if (!st)
        st = begin_stream(l, error);
    if (st)
        session_close(l);
    return st;
}

void session_close(session *l)
{
    jsCtx_Destroy(l->stream);
    natsConnection_Destroy(l->connection);
    l->stream = NULL;
    l->connection = NULL;
    l->refused[0] = '\0';
}
