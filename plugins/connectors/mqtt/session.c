/* Bytes are received into one buffer that holds the longest packet and some more; a packet is shown where it
 * lies and taken off when the caller is done with it. */
#include "session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHUNK = 128 * 1024,
    CONNACK_US = 4000000,
    KEEPALIVE_LEAST_S = 60,
    SUBSCRIBED_US = 10000000,
    GOODBYE_US = 1000000
};

/* ---- What the broker says ---- */

static const struct reason {
    uint8_t code; /* of version 5, and those of 3.1.1 below 6 */
    pst_status status;
    const char *where, *text; /* where NULL: the broker itself */
} reasons[] = {
    {1, PST_E_CONFIG, "/version", "it does not speak this version of MQTT: try another one"},
    {2, PST_E_CONFIG, "/client_id", "it does not take this client identifier"},
    {3, PST_E_UNAVAILABLE, NULL, "it is not available"},
    {4, PST_E_AUTH, "/password", "user name or password is wrong"},
    {5, PST_E_AUTH, "/user", "not authorized"},
    {0x80, PST_E_UNAVAILABLE, NULL, "unspecified error"},
    {0x81, PST_E_UNAVAILABLE, NULL, "it could not read our packet"},
    {0x82, PST_E_UNAVAILABLE, NULL, "protocol error"},
    {0x83, PST_E_UNAVAILABLE, NULL, "it does not accept this"},
    {0x84, PST_E_CONFIG, "/version", "it does not speak this version of MQTT: try another one"},
    {0x85, PST_E_CONFIG, "/client_id", "it does not take this client identifier"},
    {0x86, PST_E_AUTH, "/password", "user name or password is wrong"},
    {0x87, PST_E_AUTH, "/user", "not authorized"},
    {0x88, PST_E_UNAVAILABLE, NULL, "it is not available"},
    {0x89, PST_E_UNAVAILABLE, NULL, "it is busy"},
    {0x8a, PST_E_AUTH, "/client_id", "this client is banned"},
    {0x8b, PST_E_UNAVAILABLE, NULL, "it is shutting down"},
    {0x8c, PST_E_AUTH, "/user", "it wants another way to authenticate"},
    {0x8d, PST_E_UNAVAILABLE, NULL, "it heard nothing from us"},
    {0x8e, PST_E_UNAVAILABLE, "/client_id",
     "another client has taken the session: it uses the same client identifier"},
    {0x8f, PST_E_CONFIG, "/topics", "it does not take this topic filter"},
    {0x93, PST_E_UNAVAILABLE, "/in_flight", "more was in flight than it may send"},
    {0x95, PST_E_CONFIG, "/max_packet_bytes", "a packet is too large for it"},
    {0x97, PST_E_UNAVAILABLE, NULL, "a quota is used up"},
    {0x98, PST_E_UNAVAILABLE, NULL, "an administrator ended the connection"},
    {0x9c, PST_E_CONFIG, NULL, "it sends us to another server"},
    {0x9d, PST_E_CONFIG, NULL, "it sends us to another server"},
    {0x9e, PST_E_CONFIG, "/topics", "it has no shared subscriptions"},
    {0x9f, PST_E_UNAVAILABLE, NULL, "too many connections in a short time"},
    {0xa0, PST_E_UNAVAILABLE, NULL, "the longest time of a connection is over"},
    {0xa2, PST_E_CONFIG, "/topics", "it has no wildcards in subscriptions"},
};

static pst_status refused(const session *s, const char *what, uint8_t code, mqtt_span said, const char *where,
                          pst_error *error)
{
    const struct reason *r = NULL;
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (reasons[i].code == code)
            r = &reasons[i];
    int len = said.len > 200 ? 200 : (int)said.len;
    if (!where)
        where = r && r->where ? r->where : s->broker->place.where;
    pst_status st = pst_fail(error, r ? r->status : PST_E_UNAVAILABLE, where, "%s %s:%s: %s%s%.*s", what,
                             s->tcp.place->host, s->tcp.place->port, r ? r->text : "it refuses",
                             len ? ": " : "", len, len ? said.data : "");
    error->vendor_code = code;
    return st;
}

static pst_status broken(const session *s, const char *why, pst_error *error)
{
    return pst_fail(error, PST_E_UNAVAILABLE, s->broker->place.where, "%s:%s does not keep to MQTT: %s",
                    s->tcp.place->host, s->tcp.place->port, why);
}

/* ---- Bytes ---- */

static int64_t now(const session *s)
{
    return s->set->host->now_us(s->set->host);
}

/* More bytes into the buffer; IDLE: there are none now. */
static pst_status fill(session *s, pst_error *error)
{
    if (s->used) {
        memmove(s->in, s->in + s->used, s->have - s->used);
        s->have -= s->used;
        s->used = 0;
    }
    size_t n;
    pst_status st = tcp_receive(&s->tcp, s->in + s->have, s->cap - s->have, &n, error);
    if (st)
        return st;
    s->heard_us = now(s);
    s->asked_us = 0;
    size_t skipped = n < s->skip ? n : s->skip; /* the buffer is empty while there is something to skip */
    s->skip -= skipped;
    s->used = skipped;
    s->have += n;
    return PST_OK;
}

static pst_status flush(session *s, const pst_call *call, pst_error *error)
{
    if (s->out.failed)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory for packets to the broker");
    pst_status st = s->out.len ? tcp_send(&s->tcp, call, s->out.data, s->out.len, error) : PST_OK;
    if (s->out.len)
        s->said_us = now(s);
    s->out.len = 0;
    return st;
}

/* The next packet of any kind; IDLE. */
static pst_status next_packet(session *s, mqtt_packet *out, bool *too_long, pst_error *error)
{
    for (;;) {
        const char *why;
        size_t have = s->have - s->used;
        mqtt_cut cut = have ? mqtt_packet_read(s->in + s->used, have, s->set->version, s->set->packet_max,
                                               out, &s->current, &why)
                            : MQTT_MORE;
        *too_long = cut == MQTT_LONG;
        if (cut == MQTT_BAD)
            return broken(s, why, error);
        if (cut != MQTT_MORE)
            return PST_OK;
        pst_status st = fill(s, error);
        if (st)
            return st;
    }
}

void session_done(session *s)
{
    size_t have = s->have - s->used;
    size_t taken = s->current < have ? s->current : have;
    s->skip = s->current - taken;
    s->used += taken;
    s->current = 0;
}

/* ---- Opening ---- */

static pst_status greet(session *s, const pst_call *call, const identity *who, bool clean, pst_error *error)
{
    const settings *set = s->set;
    outgoing_hello hello = {.version = set->version,
                            .clean = clean,
                            .keepalive_s =
                                set->patience_s > KEEPALIVE_LEAST_S ? set->patience_s : KEEPALIVE_LEAST_S,
                            .receive_max = set->in_flight,
                            .expiry_s = set->expiry_s,
                            .packet_max = (uint32_t)set->packet_max,
                            .client_id = who->client_id,
                            .user = set->user,
                            .password = who->password};
    outgoing_connect(&s->out, &hello);
    pst_status st = flush(s, call, error);
    memset(s->out.data, 0, s->out.cap); /* the password was in it */
    return st;
}

static pst_status take_connack(session *s, const mqtt_packet *p, bool clean, pst_error *error)
{
    if (p->kind != MQTT_CONNACK)
        return broken(s, "its first packet is not CONNACK", error);
    if (p->reason)
        return refused(s, "the broker", p->reason, p->text, NULL, error);
    if (clean && p->session_present)
        return broken(s, "it has a session that was not asked for", error);
    s->connected = true;
    s->resumed = p->session_present;
    if (p->keepalive_s && p->keepalive_s * INT64_C(500000) < s->ping_us)
        s->ping_us = p->keepalive_s * INT64_C(500000);
    return PST_OK;
}

static pst_status wait_connack(session *s, const pst_call *call, bool clean, pst_error *error)
{
    int64_t end = now(s) + CONNACK_US;
    mqtt_packet p;
    bool too_long;
    for (;;) {
        pst_status st = next_packet(s, &p, &too_long, error);
        if (!st)
            st = take_connack(s, &p, clean, error);
        if (!st)
            session_done(s);
        if (st != PST_IDLE)
            return st;
        st = tcp_wait(&s->tcp, call, end - now(s), error);
        if (st == PST_IDLE)
            return pst_fail(error, PST_E_UNAVAILABLE, s->broker->place.where,
                            "%s:%s takes the connection and does not answer", s->tcp.place->host,
                            s->tcp.place->port);
        if (st)
            return st;
    }
}

pst_status session_open(session *s, const settings *set, const settings_broker *broker, const pst_call *call,
                        const identity *who, bool clean, pst_error *error)
{
    *s = (session){.set = set,
                   .broker = broker,
                   .owner = identity_owner(set, broker, who),
                   .tcp = {.fd = -1},
                   .cap = set->packet_max + MQTT_HEAD_MAX + CHUNK};
    s->ping_us = set->patience_s * INT64_C(500000);
    s->in = malloc(s->cap);
    if (!s->in)
        return pst_fail(error, PST_E_RESOURCE, "/max_packet_bytes", "no memory for packets of %zu bytes",
                        set->packet_max);
    pst_status st = tcp_open(&s->tcp, set->host, call, &broker->place, error);
    if (!st && broker->tls)
        st = tls_begin(&s->tcp, call, &who->trust, error);
    if (!st)
        st = greet(s, call, who, clean, error);
    if (!st)
        st = wait_connack(s, call, clean, error);
    if (st)
        session_close(s);
    return st;
}

void session_close(session *s)
{
    static const uint8_t goodbye[2] = {MQTT_DISCONNECT << 4, 0};
    const pst_call now_only = {.struct_size = sizeof now_only, .cancel_fd = -1, .deadline_us = 0};
    pst_error ignored = {.struct_size = sizeof ignored};
    if (s->tcp.fd >= 0 && tcp_send(&s->tcp, &now_only, goodbye, sizeof goodbye, &ignored) == PST_OK &&
        s->connected && !s->lost)
        tcp_finish(&s->tcp, GOODBYE_US);
    tcp_close(&s->tcp);
    outgoing_free(&s->out);
    free(s->in);
    *s = (session){.tcp = {.fd = -1}};
}

/* ---- While it is open ---- */

static uint16_t new_id(session *s)
{
    s->last_id = s->last_id == 65535 ? 1 : (uint16_t)(s->last_id + 1);
    return s->last_id;
}

pst_status session_subscribe(session *s, const char *const *filters, size_t n)
{
    for (size_t i = 0; i < n; i++) /* one each, so that an answer is that of one filter */
        outgoing_subscribe(&s->out, s->set->version, new_id(s), &filters[i], 1, s->set->qos);
    s->asked += (unsigned)n;
    s->subscribed_us = now(s);
    s->settled = s->asked == 0;
    return s->out.failed ? PST_E_RESOURCE : PST_OK;
}

void session_unsubscribe(session *s, const char *filter)
{
    outgoing_unsubscribe(&s->out, s->set->version, new_id(s), filter);
}

static pst_status take_suback(session *s, const mqtt_packet *p, pst_error *error)
{
    char where[32];
    size_t filter = (size_t)p->id - 1; /* the first subscriptions are those of the configuration, in order */
    snprintf(where, sizeof where, "/topics/%zu", filter);
    if (p->codes.len != 1)
        return broken(s, "SUBACK has another number of answers than there were questions", error);
    uint8_t code = (uint8_t)p->codes.data[0];
    if (code >= 0x80)
        return refused(s, "subscribing at", code == 0x80 ? 0x87 : code, p->text,
                       filter < s->set->n_filters ? where : "/follow", error);
    s->asked -= s->asked > 0;
    s->settled = s->asked == 0;
    return PST_OK;
}

/* A packet that the caller does not see. */
static pst_status take_inner(session *s, const mqtt_packet *p, pst_error *error)
{
    switch (p->kind) {
    case MQTT_SUBACK:
        return take_suback(s, p, error);
    case MQTT_DISCONNECT:
        return refused(s, "the broker ended the connection:", p->reason, p->text, NULL, error);
    case MQTT_PINGRESP:
    case MQTT_UNSUBACK:
        return PST_OK;
    default:
        return broken(s, "a packet that answers nothing", error);
    }
}

pst_status session_next(session *s, mqtt_packet *out, bool *too_long, pst_error *error)
{
    for (;;) {
        pst_status st = next_packet(s, out, too_long, error);
        if (st || out->kind == MQTT_PUBLISH || out->kind == MQTT_PUBREL)
            return st;
        st = take_inner(s, out, error);
        if (st)
            return st;
        session_done(s);
    }
}

pst_status session_keep(session *s, const pst_call *call, pst_error *error)
{
    int64_t t = now(s), quiet = t - s->heard_us, silent = t - s->said_us;
    if (s->asked_us && t - s->asked_us > s->ping_us)
        return pst_fail(error, PST_E_UNAVAILABLE, s->broker->place.where,
                        "%s:%s has not answered for %d s: the connection is dead", s->tcp.place->host,
                        s->tcp.place->port, (int)(quiet / 1000000));
    if (!s->settled && t - s->subscribed_us > SUBSCRIBED_US)
        return pst_fail(error, PST_E_UNAVAILABLE, "/topics", "%s:%s does not answer a subscription",
                        s->tcp.place->host, s->tcp.place->port);
    if (!s->asked_us && (quiet > s->ping_us || silent > s->ping_us)) {
        outgoing_ping(&s->out);
        s->asked_us = t;
    }
    return flush(s, call, error);
}
