/* The connector: publications become raw records (topic beside them) or, with Sparkplug B, rows; what is
 * durable is answered to the broker, a batch at a time and in order. The broker keeps the position: what was
 * not answered comes again, so after a failure there is nothing to do but to open.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "credential.h"
#include "flight.h"
#include "follow.h"
#include "identity.h"
#include "penstock/batch.h"
#include "sparkplug.h"

extern const char config_schema[];
enum {
    BATCH_BYTES = 2 * 1024 * 1024,
    REJECT_BYTES = 1024,
    WAIT_US = 20000,
    IDLE_MS = 50,
    RETRY_FIRST_MS = 250,
    RETRY_LAST_MS = 4000
};

typedef struct mqtt {
    const pst_host *host;
    settings set;
    session session;
    flight flight;
    follow follow;
    sparkplug *sparkplug; /* NULL = raw records */
    uint32_t part;        /* metrics of the packet at hand that were taken */
    pst_builder *builder;
    uint32_t events;   /* of this read: what its cursor stands for */
    bool busy;         /* the last read had some: more is near */
    uint32_t retry_ms; /* when to connect again; 0 = there was no failure since the last message */
    bool aside;        /* records are handed over as rejects: the host asked to pass over them */
} mqtt;

static void on_close(void *self)
{
    mqtt *m = self;
    session_close(&m->session);
    flight_free(&m->flight);
}

static void on_destroy(void *self)
{
    mqtt *m = self;
    if (!m)
        return;
    on_close(m);
    follow_free(&m->follow);
    sparkplug_free(m->sparkplug);
    pst_builder_free(m->builder);
    free(m);
}

static pst_status on_create(const pst_host *host, void **self, pst_error *error)
{
    mqtt *m = calloc(1, sizeof *m);
    if (!m)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    m->host = host;
    m->session.tcp.fd = -1;
    pst_status st = settings_read(host, &m->set, error);
    follow_init(&m->follow, &m->set);
    m->builder = pst_builder_create();
    if (!st && m->builder && m->set.sparkplug)
        m->sparkplug = sparkplug_create(host, m->builder);
    if (!st && (!m->builder || (m->set.sparkplug && !m->sparkplug)))
        st = pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    if (st)
        on_destroy(m);
    else
        *self = m;
    return st;
}

/* A broker that is away is asked again within seconds, however long it was away. */
static pst_status failed(mqtt *m, pst_status st, pst_error *error)
{
    if (st == PST_E_UNAVAILABLE || st == PST_E_TIMEOUT) {
        m->retry_ms = !m->retry_ms                  ? RETRY_FIRST_MS
                      : m->retry_ms < RETRY_LAST_MS ? m->retry_ms * 2
                                                    : RETRY_LAST_MS;
        error->retry_after_ms = m->retry_ms;
    }
    return st;
}

/* ---- opening ---- */

static pst_status on_open(void *self, const pst_call *call, pst_bytes resume, pst_error *error)
{
    mqtt *m = self;
    identity who;
    bool trial = credential_is_trial(m->host); /* no session must be taken, and none left at the broker */
    on_close(m);
    pst_status st = identity_read(&m->set, call, &who, error);
    if (trial)
        identity_disguise(&who);
    if (!st && !flight_open(&m->flight, identity_place(&m->set, &who), resume.data, resume.len))
        st = pst_fail(error, PST_E_DATA, NULL, "the cursor is not one of this connector");
    if (!st)
        st = session_open(&m->session, &m->set, call, who.client_id, who.password, &who.trust, trial, error);
    identity_wipe(&who);
    if (!st && !m->session.resumed)
        flight_forget_held(&m->flight);
    if (!st)
        st = follow_begin(&m->follow, &m->session, call, error);
    if (!st)
        st = session_keep(&m->session, call, error);
    if (st)
        on_close(m);
    m->busy = true;
    m->part = 0;
    return failed(m, st, error);
}

/* ---- reading ---- */

static void add_reject(mqtt *m, const mqtt_packet *p, const char *reason)
{
    char where[256];
    size_t len = p->payload.len < REJECT_BYTES ? p->payload.len : REJECT_BYTES;
    snprintf(where, sizeof where, "%.*s", (int)p->topic.len, p->topic.data);
    pst_builder_reject(m->builder, p->payload.data, len, where, reason);
}

static void add_record(mqtt *m, const mqtt_packet *p, bool too_long)
{
    char reason[120], topic[65536];
    if (m->aside || too_long) {
        snprintf(reason, sizeof reason,
                 too_long ? "a packet of %zu bytes is longer than max_packet_bytes" : "passed over",
                 m->session.current);
        add_reject(m, p, reason);
        return;
    }
    memcpy(topic, p->topic.data, p->topic.len);
    topic[p->topic.len] = '\0';
    pst_builder_payload(m->builder, p->payload.data, p->payload.len, topic);
}

/* As many metrics as there is room for; true: that was the last of them. */
static bool add_metrics(mqtt *m, const mqtt_packet *p, uint32_t max_rows)
{
    uint32_t before = pst_builder_rows(m->builder);
    sparkplug_take(m->sparkplug, p->topic, p->payload, m->part, max_rows - m->events, &m->part);
    m->events += pst_builder_rows(m->builder) - before;
    return m->part == 0;
}

/* What it is answered, and when, is a matter of flight.h. */
static pst_status take(mqtt *m, const mqtt_packet *p, bool too_long, uint32_t max_rows, pst_error *error)
{
    bool room = true;
    if (p->kind == MQTT_PUBREL && !flight_holds(&m->flight, p->id)) {
        outgoing_answer(&m->session.out, MQTT_PUBCOMP, p->id);
        session_done(&m->session);
        return PST_OK;
    }
    if (p->kind == MQTT_PUBLISH && p->qos == 2 && flight_holds(&m->flight, p->id)) {
        if (!flight_waits(&m->flight, p->id))
            outgoing_answer(&m->session.out, MQTT_PUBREC, p->id);
        session_done(&m->session);
        return PST_OK;
    }
    if (p->kind == MQTT_PUBREL) {
        room = flight_release(&m->flight, p->id);
    } else {
        if (!m->sparkplug || m->aside || too_long)
            add_record(m, p, too_long);
        else if (!add_metrics(m, p, max_rows))
            return PST_OK; /* the rest of it comes with the next batch, and its answer with that one */
        room = flight_add(&m->flight, p->qos, p->id);
        follow_see(&m->follow, &m->session, p->topic);
    }
    m->events += !m->sparkplug || m->events == 0 || m->aside || p->kind == MQTT_PUBREL || too_long;
    session_done(&m->session);
    return room ? PST_OK
                : pst_fail(error, PST_E_RESOURCE, NULL, "the broker has more in flight than MQTT allows");
}

/* Until enough is there, or the broker has nothing more for us just now. */
static pst_status gather(mqtt *m, const pst_call *call, uint32_t max_rows, pst_error *error)
{
    pst_status st = PST_OK;
    bool waited = !m->busy;
    while (!st && m->events < max_rows && pst_builder_bytes(m->builder) < BATCH_BYTES) {
        mqtt_packet p;
        bool too_long;
        st = session_next(&m->session, &p, &too_long, error);
        if (!st) {
            st = take(m, &p, too_long, max_rows, error);
        } else if (st == PST_IDLE && !m->events && !waited) {
            waited = true;
            st = tcp_wait(&m->session.tcp, call, WAIT_US, error);
        }
    }
    return st;
}

static void ask_rebirths(mqtt *m)
{
    char topic[600];
    uint8_t payload[64];
    size_t len;
    while (m->sparkplug && sparkplug_rebirth(m->sparkplug, topic, payload, &len))
        outgoing_publish(&m->session.out, m->set.version, topic, payload, len);
}

static pst_status read_some(mqtt *m, const pst_call *call, uint32_t max_rows, pst_batch *out,
                            pst_error *error)
{
    uint8_t cursor[FLIGHT_CURSOR_MAX];
    if (m->session.tcp.fd < 0)
        return pst_fail(error, PST_E_UNAVAILABLE, "/broker", "there is no connection");
    pst_builder_clear(m->builder);
    m->events = 0;
    pst_status st = gather(m, call, max_rows, error);
    if (st >= 0) {
        follow_tick(&m->follow, &m->session, call);
        ask_rebirths(m);
        st = session_keep(&m->session, call, error);
    }
    m->busy = m->events > 0;
    if (st < 0 && !m->events)
        return failed(m, st, error);
    if (!m->events) {
        out->next_in_ms = IDLE_MS;
        return PST_IDLE;
    }
    m->retry_ms = 0;
    size_t len = flight_cut(&m->flight, cursor); /* what failed fails again in the next read */
    return pst_builder_finish(m->builder, NULL, (pst_bytes){cursor, len}, m->sparkplug ? 0 : PST_BATCH_RAW,
                              out, error);
}

static pst_status on_read(void *self, const pst_call *call, uint32_t max_rows, pst_batch *out,
                          pst_error *error)
{
    return read_some(self, call, max_rows, out, error);
}

static pst_status on_skip(void *self, const pst_call *call, uint32_t max, pst_batch *out, pst_error *error)
{
    mqtt *m = self;
    m->aside = true;
    pst_status st = read_some(m, call, max, out, error);
    m->aside = false;
    return st;
}

static pst_status on_ack(void *self, const pst_call *call, pst_bytes durable, pst_error *error)
{
    mqtt *m = self;
    if (!flight_answer_up_to(&m->flight, durable.data, durable.len, &m->session.out))
        return pst_fail(error, PST_E_DATA, NULL, "the cursor is not one of this connector");
    return m->session.tcp.fd < 0 ? PST_OK : session_keep(&m->session, call, error);
}

/* ---- the plugin ---- */

static pst_status on_check(void *self, const pst_call *call, pst_error *error)
{
    return check_connection(&((mqtt *)self)->set, call, error);
}

static pst_status on_discover(void *self, const pst_call *call, pst_blob *json_out, pst_error *error)
{
    return check_discover(&((mqtt *)self)->set, call, json_out, error);
}

static const void *on_get_interface(const char *id)
{
    static const pst_source source = {sizeof source, PST_SOURCE_ACKS, on_open, on_read,
                                      on_ack,        on_close,        on_skip};
    static const pst_check check = {sizeof check, 0, on_check};
    static const pst_discover discover = {sizeof discover, 0, on_discover};
    if (!strcmp(id, PST_IF_SOURCE))
        return &source;
    return !strcmp(id, PST_IF_CHECK) ? (const void *)&check : !strcmp(id, PST_IF_DISCOVER) ? &discover : NULL;
}

PST_EXPORT const pst_plugin penstock_plugin_v1 = {
    .struct_size = sizeof(pst_plugin),
    .abi_minor = PST_ABI_MINOR,
    .id = "org.penstock.connector.mqtt",
    .kind = PST_KIND_CONNECTOR,
    .version = "1.0.0",
    .title = "MQTT",
    .licence = "Apache-2.0",
    .config_schema = config_schema,
    .get_interface = on_get_interface,
    .create = on_create,
    .destroy = on_destroy,
};
