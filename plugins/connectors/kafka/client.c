/* Errors of single brokers come by a callback while this thread serves the library; the one that "all brokers
 * are down" makes the client `away`, and the worst of those before it says why. */
#include "client.h"

#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ANSWER_US = 4000000,
    DOUBT_US = 600000,
    QUIET_US = 1000000, /* after which it is asked whether anybody is there, while nothing else shows it */
    SLOW_US = 1500000, /* the most that is waited beside, for brokers that are slow */
    BROKERS_TEXT = 20000
};

void client_init(client *c, const pst_host *host)
{
    *c = (client){.host = host};
    pthread_mutex_init(&c->lock, NULL);
}

void client_end(client *c)
{
    client_close(c, false);
    if (c->host)
        pthread_mutex_destroy(&c->lock);
}

/* ---- What goes wrong ---- */

pst_status client_class(rd_kafka_resp_err_t err)
{
    switch (err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        return PST_OK;
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
        return PST_E_AUTH;
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM:
    case RD_KAFKA_RESP_ERR__INVALID_ARG:
    case RD_KAFKA_RESP_ERR_INVALID_SESSION_TIMEOUT:
    case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
        return PST_E_CONFIG;
    default:
        return PST_E_UNAVAILABLE;
    }
}

/* The far side says that our certificate will not do; with TLS 1.3 when for us the handshake is over. */
static bool refuses_ours(const char *text)
{
    return strstr(text, "alert bad certificate") || strstr(text, "certificate required") ||
           strstr(text, "alert unknown ca") || strstr(text, "alert certificate");
}

static void note(client *c, pst_status kind, const char *text)
{
    bool tells_more = !c->fault || c->fault == PST_E_UNAVAILABLE || kind == PST_E_AUTH;
    if (kind == PST_E_UNAVAILABLE && !c->doubt_us)
        c->doubt_us = c->host->now_us(c->host);
    if (!tells_more)
        return;
    c->fault = kind;
    snprintf(c->why, sizeof c->why, "%s%s", text,
             strstr(text, "Permission denied") ? " (only what `brokers` lists is reached)" : "");
}

static void on_error(rd_kafka_t *kafka, int err, const char *reason, void *opaque)
{
    client *c = opaque;
    char fatal[CLIENT_TEXT_MAX];
    pst_status kind = client_class((rd_kafka_resp_err_t)err);
    pthread_mutex_lock(&c->lock);
    if (err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        c->away = true;
    } else if (err == RD_KAFKA_RESP_ERR__FATAL) {
        rd_kafka_resp_err_t what = rd_kafka_fatal_error(kafka, fatal, sizeof fatal);
        note(c, client_class(what), fatal);
        c->away = true;
    } else if (err == RD_KAFKA_RESP_ERR__SSL && c->distrust[0]) {
        note(c, PST_E_CONFIG, c->distrust);
    } else if (refuses_ours(reason)) {
        note(c, PST_E_AUTH, reason);
    } else {
        note(c, kind, reason);
    }
    pthread_mutex_unlock(&c->lock);
}

/* On the library's threads. */
static int on_certificate(rd_kafka_t *kafka, const char *broker, int32_t id, int *verdict, int depth,
                          const char *der, size_t len, char *errstr, size_t size, void *opaque)
{
    client *c = opaque;
    (void)kafka, (void)id, (void)depth, (void)der, (void)len;
    if (*verdict == X509_V_OK)
        return 1;
    pthread_mutex_lock(&c->lock);
    snprintf(c->distrust, sizeof c->distrust, "the certificate of %.100s is not trusted: %s", broker,
             X509_verify_cert_error_string(*verdict));
    snprintf(errstr, size, "%s", c->distrust);
    pthread_mutex_unlock(&c->lock);
    return 0;
}

static void on_log(const rd_kafka_t *kafka, int level, const char *facility, const char *text)
{
    const client *c = rd_kafka_opaque(kafka);
    char line[600];
    snprintf(line, sizeof line, "librdkafka: %s: %s", facility, text);
    c->host->log(c->host, level <= 3 ? PST_LOG_WARN : PST_LOG_DEBUG, line, NULL, 0);
}

/* How much longer than others these brokers may take; what one answer took may have been chance. */
static int64_t slowness_us(const client *c)
{
    return 2 * c->pace_us < SLOW_US ? 2 * c->pace_us : SLOW_US;
}

/* One question, which hears no cancel: it waits as long as such brokers take. NULL: no answer. */
static const rd_kafka_metadata_t *ask(client *c, bool all)
{
    const rd_kafka_metadata_t *found = NULL;
    int64_t asked_us = c->host->now_us(c->host);
    if (rd_kafka_metadata(c->kafka, all, NULL, &found, (int)(CLIENT_STEP_MS + slowness_us(c) / 1000)))
        return NULL;
    c->answered_us = c->host->now_us(c->host);
    c->pace_us = c->answered_us - asked_us;
    return found;
}

void client_doubt(client *c)
{
    int64_t now = c->host->now_us(c->host);
    pthread_mutex_lock(&c->lock);
    if (!c->doubt_us && now - c->answered_us > QUIET_US)
        c->doubt_us = now;
    pthread_mutex_unlock(&c->lock);
}

/* The library tells of a broker that went away, not of one that is there again; and while one connection of
 * several waits, not all count as down. */
void client_probe(client *c)
{
    pthread_mutex_lock(&c->lock);
    int64_t doubt_us = c->doubt_us, slow_us = slowness_us(c);
    pthread_mutex_unlock(&c->lock);
    if (!doubt_us)
        return;
    const rd_kafka_metadata_t *found = ask(c, false);
    pthread_mutex_lock(&c->lock);
    c->away = c->away || (!found && c->host->now_us(c->host) - doubt_us > DOUBT_US + slow_us);
    c->doubt_us = found ? 0 : doubt_us;
    if (found && c->fault == PST_E_UNAVAILABLE && !c->away)
        c->fault = PST_OK;
    pthread_mutex_unlock(&c->lock);
    if (found)
        rd_kafka_metadata_destroy(found);
}

pst_status client_state(client *c, pst_error *error)
{
    pthread_mutex_lock(&c->lock);
    pst_status st = c->away || c->fault == PST_E_AUTH || c->fault == PST_E_CONFIG
                        ? (c->fault ? c->fault : PST_E_UNAVAILABLE)
                        : PST_OK;
    if (st)
        pst_fail(error, st,
                 st == PST_E_AUTH ? "/sasl"
                 : c->distrust[0] ? "/tls"
                                  : "/brokers",
                 "%.400s", c->why[0] ? c->why : "no broker answers: they are silent");
    pthread_mutex_unlock(&c->lock);
    return st;
}

/* ---- Settings ---- */

pst_status client_set(rd_kafka_conf_t *conf, const char *name, const char *value, pst_error *error)
{
    char why[300];
    return rd_kafka_conf_set(conf, name, value, why, sizeof why) == RD_KAFKA_CONF_OK
               ? PST_OK
               : pst_fail(error, PST_E_CONFIG, NULL, "%s: %s", name, why);
}

static pst_status set_number(rd_kafka_conf_t *conf, const char *name, int64_t value, pst_error *error)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)value);
    return client_set(conf, name, text, error);
}

static pst_status set_brokers(const client *c, rd_kafka_conf_t *conf, pst_error *error)
{
    char path[32], *all = calloc(1, BROKERS_TEXT);
    size_t n = c->host->config_count(c->host, "/brokers"), len = 0;
    if (!all)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    for (size_t i = 0; i < n && len < BROKERS_TEXT; i++) {
        snprintf(path, sizeof path, "/brokers/%zu", i);
        len += (size_t)snprintf(all + len, BROKERS_TEXT - len, "%s%s", i ? "," : "",
                                c->host->config_text(c->host, path));
    }
    pst_status st = client_set(conf, "bootstrap.servers", all, error);
    free(all);
    return st;
}

static pst_status set_password(const client *c, const pst_call *call, rd_kafka_conf_t *conf, pst_error *error)
{
    char password[CREDENTIAL_SECRET_MAX];
    pst_status st = credential_secret(c->host, call, "/sasl/password", password, sizeof password, error);
    if (!st)
        st = client_set(conf, "sasl.password", password, error);
    explicit_bzero(password, sizeof password);
    return st;
}

static pst_status set_pem(const client *c, const pst_call *call, rd_kafka_conf_t *conf, const char *path,
                          const char *name, pst_error *error)
{
    pst_blob pem;
    pst_status st = credential_pem(c->host, call, path, &pem, error);
    char *text = !st && pem.len ? strndup(pem.data, pem.len) : NULL;
    if (text && client_set(conf, name, text, error))
        st = pst_fail(error, PST_E_CONFIG, path, "it is nothing in PEM form that can be used");
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
    credential_release(&pem);
    return st;
}

static pst_status set_security(const client *c, const pst_call *call, rd_kafka_conf_t *conf, pst_error *error)
{
    const pst_host *host = c->host;
    bool tls = host->config_has(host, "/tls"), sasl = host->config_has(host, "/sasl");
    const char *protocol = tls ? (sasl ? "sasl_ssl" : "ssl") : sasl ? "sasl_plaintext" : "plaintext";
    pst_status st = client_set(conf, "security.protocol", protocol, error);
    if (!st && tls)
        st = set_pem(c, call, conf, "/tls/ca", "ssl.ca.pem", error);
    if (!st && tls)
        st = set_pem(c, call, conf, "/tls/certificate", "ssl.certificate.pem", error);
    if (!st && tls)
        st = set_pem(c, call, conf, "/tls/key", "ssl.key.pem", error);
    if (!st && sasl)
        st = client_set(conf, "sasl.mechanism", host->config_text(host, "/sasl/mechanism"), error);
    if (!st && sasl)
        st = client_set(conf, "sasl.username", host->config_text(host, "/sasl/user"), error);
    if (!st && sasl)
        st = set_password(c, call, conf, error);
    if (tls)
        rd_kafka_conf_set_ssl_cert_verify_cb(conf, on_certificate);
    return st;
}

rd_kafka_conf_t *client_settings(client *c, const pst_call *call, pst_error *error)
{
    static const char *const fixed[][2] = {{"reconnect.backoff.ms", "100"},
                                           {"reconnect.backoff.max.ms", "2000"},
                                           {"broker.address.ttl", "5000"},
                                           {"log.connection.close", "false"},
                                           {"socket.keepalive.enable", "true"}};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_opaque(conf, c);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_log_cb(conf, on_log);
    pst_status st = credential_own_name(c->host, call, c->own_name, error);
    for (size_t i = 0; !st && i < sizeof fixed / sizeof fixed[0]; i++)
        st = client_set(conf, fixed[i][0], fixed[i][1], error);
    if (!st)
        st = client_set(conf, "client.id", c->own_name, error);
    if (!st)
        st = set_brokers(c, conf, error);
    if (!st)
        st = set_number(conf, "socket.timeout.ms", c->host->config_int(c->host, "/patience_s") * 1000, error);
    if (!st)
        st = set_security(c, call, conf, error);
    if (!st)
        return conf;
    rd_kafka_conf_destroy(conf);
    return NULL;
}

/* ---- Life ---- */

pst_status client_open(client *c, rd_kafka_type_t type, rd_kafka_conf_t *conf, pst_error *error)
{
    char why[300];
    c->fault = PST_OK;
    c->away = false;
    c->doubt_us = 0;
    c->answered_us = c->pace_us = 0;
    c->why[0] = c->distrust[0] = '\0';
    c->kafka = rd_kafka_new(type, conf, why, sizeof why);
    if (!c->kafka) {
        rd_kafka_conf_destroy(conf);
        return pst_fail(error, PST_E_CONFIG, NULL, "the settings do not go together: %s", why);
    }
    if (type == RD_KAFKA_CONSUMER)
        rd_kafka_poll_set_consumer(c->kafka);
    return PST_OK;
}

void client_close(client *c, bool leave)
{
    if (c->kafka)
        rd_kafka_destroy_flags(c->kafka, leave ? 0 : RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    c->kafka = NULL;
}

void client_serve(client *c, int wait_ms)
{
    if (rd_kafka_type(c->kafka) == RD_KAFKA_PRODUCER) {
        rd_kafka_poll(c->kafka, wait_ms);
        return;
    }
    rd_kafka_message_t *m = rd_kafka_consumer_poll(c->kafka, wait_ms);
    if (m)
        rd_kafka_message_destroy(m); /* before there is a subscription: errors only, which on_error knows */
}

/* The library asks by itself when it has reached a broker; since that was answered it knows the cluster's
 * name. */
static bool is_there(client *c, int64_t since_us)
{
    char *cluster = rd_kafka_clusterid(c->kafka, c->answered_us ? 0 : CLIENT_STEP_MS);
    if (!cluster)
        return false;
    rd_kafka_mem_free(c->kafka, cluster);
    if (!c->answered_us) {
        c->answered_us = c->host->now_us(c->host);
        c->pace_us = c->answered_us - since_us;
    }
    return true;
}

pst_status client_wait(client *c, const pst_call *call, bool all, const rd_kafka_metadata_t **out,
                       pst_error *error)
{
    int64_t begin = c->host->now_us(c->host), end = begin + ANSWER_US;
    int64_t last = call->deadline_us - (int64_t)2 * CLIENT_STEP_MS * 1000;
    end = end < last ? end : last;
    *out = NULL;
    while (c->host->now_us(c->host) < end) {
        pst_status st = client_state(c, error);
        if (st)
            return st;
        *out = is_there(c, begin) ? ask(c, all) : NULL;
        if (*out)
            return PST_OK;
        client_serve(c, 0);
        if (c->host->cancelled(c->host, call))
            return pst_fail(error, PST_E_CANCELLED, NULL, "the call was cancelled");
    }
    return pst_fail(error, PST_E_UNAVAILABLE, "/brokers", "no broker answers: %.300s",
                    c->why[0] ? c->why : "they are silent");
}

static bool is_listed(const client *c, const char *host, int port)
{
    char path[32], place[300];
    snprintf(place, sizeof place, "%s:%d", host, port);
    for (size_t i = 0; i < c->host->config_count(c->host, "/brokers"); i++) {
        snprintf(path, sizeof path, "/brokers/%zu", i);
        const char *one = c->host->config_text(c->host, path);
        if (!strcasecmp(one, place) || (!strcasecmp(one, host) && port == 9092))
            return true;
    }
    return false;
}

void client_unlisted(const client *c, const rd_kafka_metadata_t *found, char *out, size_t size)
{
    size_t len = 0;
    out[0] = '\0';
    for (int i = 0; i < found->broker_cnt && len < size; i++)
        if (!is_listed(c, found->brokers[i].host, found->brokers[i].port))
            len += (size_t)snprintf(out + len, size - len, "%s%s:%d", len ? ", " : "", found->brokers[i].host,
                                    found->brokers[i].port);
}
