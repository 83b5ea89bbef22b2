/* OpenSSL works on the non-blocking socket; whatever it wants to wait for is waited for by tcp.c. */
#include "tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

enum { HANDSHAKE_US = 4000000 };

typedef struct tls {
    SSL_CTX *context;
    SSL *ssl;
} tls;

/* ---- Errors ---- */

static const char *reason_text(void)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    return reason ? reason : "the connection was closed";
}

/* The far side said that our certificate will not do. */
static bool refused_ours(int reason)
{
    static const int reasons[] = {
        SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, SSL_R_TLSV1_ALERT_UNKNOWN_CA,
        SSL_R_SSLV3_ALERT_BAD_CERTIFICATE,       SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED,
        SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED,   SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN};
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (reasons[i] == reason)
            return true;
    return false;
}

static pst_status failed(const tcp *w, const char *what, pst_error *error)
{
    const tls *t = w->state;
    const tcp_place *p = w->place;
    long verdict = t->ssl ? SSL_get_verify_result(t->ssl) : X509_V_OK;
    pst_status st = PST_E_UNAVAILABLE;
    if (verdict != X509_V_OK)
        st = pst_fail(error, PST_E_CONFIG, "/tls", "%s %s:%s: its certificate is not trusted: %s", what,
                      p->host, p->port, X509_verify_cert_error_string(verdict));
    else if (refused_ours(ERR_GET_REASON(ERR_peek_last_error())))
        st = pst_fail(error, PST_E_AUTH, "/tls", "%s %s:%s: it refuses our certificate: %s", what, p->host,
                      p->port, reason_text());
    else
        pst_fail(error, st, p->where, "%s %s:%s: %s", what, p->host, p->port, reason_text());
    ERR_clear_error();
    return st;
}

/* ---- What we trust, and who we are ---- */

static BIO *reader_of(tls_pem pem)
{
    return BIO_new_mem_buf(pem.len ? pem.data : "", (int)pem.len); /* at most 1 MiB */
}

static bool trust_authorities(SSL_CTX *context, tls_pem pem)
{
    BIO *in = reader_of(pem);
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    size_t n = 0;
    for (X509 *c; in && (c = PEM_read_bio_X509(in, NULL, NULL, NULL)); X509_free(c))
        n += X509_STORE_add_cert(store, c) == 1;
    BIO_free(in);
    ERR_clear_error(); /* the end of the text counts as one */
    return n > 0;
}

static bool present_certificate(SSL_CTX *context, const tls_trust *trust)
{
    BIO *in = reader_of(trust->certificate), *key_in = reader_of(trust->key);
    X509 *own = in ? PEM_read_bio_X509(in, NULL, NULL, NULL) : NULL;
    EVP_PKEY *key = key_in ? PEM_read_bio_PrivateKey(key_in, NULL, NULL, NULL) : NULL;
    bool done = own && key && SSL_CTX_use_certificate(context, own) == 1 &&
                SSL_CTX_use_PrivateKey(context, key) == 1 && SSL_CTX_check_private_key(context) == 1;
    for (X509 *c; done && (c = PEM_read_bio_X509(in, NULL, NULL, NULL));)
        done = SSL_CTX_add0_chain_cert(context, c) == 1;
    X509_free(own);
    EVP_PKEY_free(key);
    BIO_free(in);
    BIO_free(key_in);
    ERR_clear_error();
    return done;
}

static pst_status prepare_context(tls *t, const tls_trust *trust, pst_error *error)
{
    t->context = SSL_CTX_new(TLS_client_method());
    if (!t->context || SSL_CTX_set_min_proto_version(t->context, TLS1_2_VERSION) != 1)
        return pst_fail(error, PST_E_RESOURCE, "/tls", "TLS does not start: %s", reason_text());
    SSL_CTX_set_verify(t->context, SSL_VERIFY_PEER, NULL);
    if (trust->authorities.len ? !trust_authorities(t->context, trust->authorities)
                               : SSL_CTX_set_default_verify_paths(t->context) != 1)
        return pst_fail(error, PST_E_CONFIG, "/tls/ca", "no certificate in PEM form is in it");
    if (trust->certificate.len && !present_certificate(t->context, trust))
        return pst_fail(error, PST_E_CONFIG, "/tls/certificate",
                        "a certificate and its key, both in PEM form, are expected");
    return PST_OK;
}

static pst_status prepare(tls *t, const tcp *w, const tls_trust *trust, pst_error *error)
{
    unsigned char numeric[16];
    const char *host = w->place->host;
    pst_status st = prepare_context(t, trust, error);
    if (st)
        return st;
    t->ssl = SSL_new(t->context);
    if (!t->ssl || SSL_set_fd(t->ssl, w->fd) != 1)
        return pst_fail(error, PST_E_RESOURCE, "/tls", "TLS does not start: %s", reason_text());
    X509_VERIFY_PARAM *check = SSL_get0_param(t->ssl);
    bool address = inet_pton(AF_INET, host, numeric) == 1 || inet_pton(AF_INET6, host, numeric) == 1;
    bool named = address ? X509_VERIFY_PARAM_set1_ip_asc(check, host) == 1
                         : X509_VERIFY_PARAM_set1_host(check, host, 0) == 1 &&
                               SSL_set_tlsext_host_name(t->ssl, host) == 1;
    SSL_set_mode(t->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return named ? PST_OK
                 : pst_fail(error, PST_E_CONFIG, w->place->where, "%s is no name of a machine", host);
}

/* ---- The layer ---- */

static void on_close(tcp *w)
{
    tls *t = w->state;
    SSL_free(t->ssl);
    SSL_CTX_free(t->context);
    free(t);
}

/* What OpenSSL wants to wait for after a call that gave `n`; 0 = it failed. */
static short wants_of(const tls *t, int n)
{
    int code = SSL_get_error(t->ssl, n);
    return code == SSL_ERROR_WANT_READ ? POLLIN : code == SSL_ERROR_WANT_WRITE ? POLLOUT : 0;
}

static int clip(size_t len)
{
    return len > INT32_MAX ? INT32_MAX : (int)len;
}

static pst_status on_receive(tcp *w, void *out, size_t cap, size_t *n_out, pst_error *error)
{
    tls *t = w->state;
    ERR_clear_error();
    int n = SSL_read(t->ssl, out, clip(cap));
    if (n <= 0)
        return wants_of(t, n) ? PST_IDLE : failed(w, "receiving from", error);
    *n_out = (size_t)n;
    return PST_OK;
}

static pst_status on_send(tcp *w, const void *data, size_t len, size_t *n_out, short *wants, pst_error *error)
{
    tls *t = w->state;
    ERR_clear_error();
    int n = SSL_write(t->ssl, data, clip(len));
    *n_out = n > 0 ? (size_t)n : 0;
    *wants = n > 0 ? 0 : wants_of(t, n);
    if (n > 0 || *wants)
        return PST_OK;
    char alert; /* why they closed may lie there to be read */
    size_t got;
    pst_status st = on_receive(w, &alert, 1, &got, error);
    return st < 0 ? st : failed(w, "sending to", error);
}

static int on_pending(const tcp *w)
{
    const tls *t = w->state;
    return SSL_pending(t->ssl);
}

static pst_status handshake(tcp *w, const pst_call *call, pst_error *error)
{
    tls *t = w->state;
    int64_t end = w->host->now_us(w->host) + HANDSHAKE_US;
    pst_status st = PST_OK;
    for (int n; !st && (n = SSL_connect(t->ssl)) != 1;) {
        short wants = wants_of(t, n);
        st = wants ? tcp_wait_until(w, call, wants, end, error) : failed(w, "TLS with", error);
        if (st == PST_IDLE)
            st = pst_fail(error, PST_E_UNAVAILABLE, w->place->where, "TLS with %s:%s: no answer",
                          w->place->host, w->place->port);
    }
    return st;
}

pst_status tls_begin(tcp *w, const pst_call *call, const tls_trust *trust, pst_error *error)
{
    static const tcp_layer layer = {on_receive, on_send, on_pending, on_close};
    w->state = calloc(1, sizeof(tls));
    if (!w->state)
        return pst_fail(error, PST_E_RESOURCE, "/tls", "no memory for TLS");
    w->layer = &layer;
    ERR_clear_error();
    pst_status st = prepare(w->state, w, trust, error);
    return st ? st : handshake(w, call, error);
}
