/* The connector: publications become raw records (topic beside them) or, with Sparkplug B, rows; what is
 * durable is answered to the broker, a batch at a time and in order. The broker keeps the position: what was
 * not answered comes again, so after a failure there is nothing to do but to open.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "brokers.h"
#include "check.h"
#include "credential.h"
#include "flight.h"
#include "follow.h"
#include "reading.h"
#include "sparkplug.h"

extern const char config_schema[];
enum { WAIT_US = 20000, IDLE_MS = 50, LEAVING_MS = 5 };

typedef struct mqtt {
    const pst_host *host;
    settings set;
    brokers brokers;
    session session; /* with the one that serves */
    flight flight;
    follow follow;
    sparkplug *sparkplug; /* NULL = raw records */
    uint32_t part;        /* metrics of the packet at hand that were taken */
    reading reading;
    bool busy; /* the last read had some: more is near */
} mqtt;

static void on_close(void *self)
{
    mqtt *m = self;
    brokers_close(&m->brokers);
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
    reading_end(&m->reading);
    free(m);
}

static pst_status on_create(const pst_host *host, void **self, pst_error *error)
{
    mqtt *m = calloc(1, sizeof *m);
    if (!m)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    m->host = host;
    m->session.tcp.fd = -1;
    brokers_init(&m->brokers, &m->set);
    pst_status st = settings_read(host, &m->set, error);
    follow_init(&m->follow, &m->set);
    if (!st)
        st = reading_init(&m->reading, host, error);
    if (!st && m->set.sparkplug)
        m->sparkplug = sparkplug_create(host, m->reading.builder);
    if (!st && m->set.sparkplug && !m->sparkplug)
        st = pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    if (st)
        on_destroy(m);
    else
        *self = m;
    return st;
}

/* ---- opening ---- */

/* The session is open: what it has to do with what is held, and what is subscribed to. */
static pst_status begin(mqtt *m, const pst_call *call, pst_error *error)
{
    if (!m->session.resumed)
        flight_forget_held(&m->flight);
    m->part = 0;
    pst_status st = follow_begin(&m->follow, &m->session, call, error);
    return st ? st : session_keep(&m->session, call, error);
}

static pst_status on_open(void *self, const pst_call *call, pst_bytes resume, pst_error *error)
{
    mqtt *m = self;
    bool trial = credential_is_trial(m->host); /* no session must be taken, and none left at the broker */
    on_close(m);
    pst_status st = brokers_open(&m->brokers, call, trial, &m->session, error);
    if (!st && !flight_open(&m->flight, m->session.owner, resume.data, resume.len))
        st = pst_fail(error, PST_E_DATA, NULL, "the cursor is not one of this connector");
    if (!st)
        st = begin(m, call, error);
    if (st)
        on_close(m);
    m->busy = true;
    return reading_failed(&m->reading, st, error);
}

/* ---- reading ---- */

static void add_record(mqtt *m, const mqtt_packet *p, bool too_long)
{
    char reason[120], topic[65536];
    memcpy(topic, p->topic.data, p->topic.len);
    topic[p->topic.len] = '\0';
    snprintf(reason, sizeof reason, "a packet of %zu bytes is longer than max_packet_bytes",
             m->session.current);
    if (too_long)
        reading_reject(&m->reading, p->payload.data, p->payload.len, topic, reason);
    else
        reading_add(&m->reading, p->payload.data, p->payload.len, topic, topic);
}

/* As many metrics as there is room for; true: that was the last of them. */
static bool add_metrics(mqtt *m, const mqtt_packet *p, uint32_t max_rows)
{
    reading *r = &m->reading;
    uint32_t before = pst_builder_rows(r->builder);
    sparkplug_take(m->sparkplug, p->topic, p->payload, m->part, max_rows - r->events, &m->part);
    r->events += pst_builder_rows(r->builder) - before;
    return m->part == 0;
}

/* What it is answered, and when, is a matter of flight.h. */
static pst_status take(mqtt *m, const mqtt_packet *p, bool too_long, uint32_t max_rows, pst_error *error)
{
    reading *r = &m->reading;
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
        if (!m->sparkplug || r->aside || too_long)
            add_record(m, p, too_long);
        else if (!add_metrics(m, p, max_rows))
            return PST_OK; /* the rest of it comes with the next batch, and its answer with that one */
        room = flight_add(&m->flight, p->qos, p->id);
        follow_see(&m->follow, &m->session, p->topic);
    }
    r->events += !m->sparkplug || r->events == 0 || r->aside || p->kind == MQTT_PUBREL || too_long;
    session_done(&m->session);
    return room ? PST_OK
                : pst_fail(error, PST_E_RESOURCE, NULL, "the broker has more in flight than MQTT allows");
}

/* Until enough is there, or the broker has nothing more for us just now. */
static pst_status gather(mqtt *m, const pst_call *call, uint32_t max_rows, pst_error *error)
{
    pst_status st = PST_OK;
    bool waited = !m->busy;
    while (!st && reading_has_room(&m->reading, max_rows)) {
        mqtt_packet p;
        bool too_long;
        st = session_next(&m->session, &p, &too_long, error);
        if (!st) {
            st = take(m, &p, too_long, max_rows, error);
        } else if (st == PST_IDLE && !m->reading.events && !waited) {
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

/* Back to an earlier broker, when the one that served has its answers. What it sends meanwhile stays with it.
 */
static pst_status leave(mqtt *m, const pst_call *call, pst_error *error)
{
    if (!flight_is_quiet(&m->flight) && !brokers_in_haste(&m->brokers))
        return PST_OK;
    brokers_switch(&m->brokers, &m->session);
    if (!flight_move(&m->flight, m->session.owner))
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory for what another broker holds");
    return begin(m, call, error);
}

static pst_status read_session(mqtt *m, const pst_call *call, uint32_t max_rows, pst_error *error)
{
    if (m->session.tcp.fd < 0)
        return pst_fail(error, PST_E_UNAVAILABLE, "/broker", "there is no connection");
    if (!m->part)
        brokers_look(&m->brokers, call);
    if (brokers_leaving(&m->brokers))
        return leave(m, call, error);
    pst_status st = gather(m, call, max_rows, error);
    if (st < 0)
        return st;
    follow_tick(&m->follow, &m->session, call);
    ask_rebirths(m);
    return session_keep(&m->session, call, error);
}

static pst_status read_some(void *self, const pst_call *call, uint32_t max_rows, pst_batch *out,
                            pst_error *error)
{
    mqtt *m = self;
    uint8_t cursor[FLIGHT_CURSOR_MAX];
    reading_begin(&m->reading);
    pst_status st = read_session(m, call, max_rows, error);
    m->busy = m->reading.events > 0;
    m->session.lost = m->session.lost || st < 0;
    if (st < 0 && !m->reading.events) {
        brokers_failed(&m->brokers);
        return reading_failed(&m->reading, st, error);
    }
    if (!m->reading.events) {
        out->next_in_ms = brokers_leaving(&m->brokers) ? LEAVING_MS : IDLE_MS;
        return PST_IDLE;
    }
    size_t len = flight_cut(&m->flight, cursor); /* what failed fails again in the next read */
    return reading_finish(&m->reading, NULL, (pst_bytes){cursor, len}, m->sparkplug ? 0 : PST_BATCH_RAW, out,
                          error);
}

static pst_status on_skip(void *self, const pst_call *call, uint32_t max, pst_batch *out, pst_error *error)
{
    return reading_skip(&((mqtt *)self)->reading, read_some, self, call, max, out, error);
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
    static const pst_source source = {sizeof source, PST_SOURCE_ACKS, on_open, read_some,
                                      on_ack,        on_close,        on_skip};
    static const pst_check check = {sizeof check, 0, on_check};
    static const pst_discover discover = {sizeof discover, 0, on_discover};
    return reading_interface(id, &source, &check, &discover);
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
