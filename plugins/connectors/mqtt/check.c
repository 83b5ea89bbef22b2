/* The look has the identifier of the connector with "-look" behind it, so it takes nobody's session. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "brokers.h"
#include "listing.h"

enum { TOPICS_MAX = 200, NAME_MAX = 128, SLICE_US = 100000 };

typedef struct look {
    listing *listing;
    bool sparkplug;
    char topics[TOPICS_MAX][NAME_MAX];
    size_t n_topics, n_messages, n_unread; /* unread: no JSON */
} look;

/* ---- What came ---- */

static void note_topic(look *l, const char *topic)
{
    for (size_t i = 0; i < l->n_topics; i++)
        if (!strcmp(l->topics[i], topic))
            return;
    if (l->n_topics < TOPICS_MAX)
        snprintf(l->topics[l->n_topics++], NAME_MAX, "%s", topic);
}

static void note(look *l, const mqtt_packet *p)
{
    char topic[NAME_MAX];
    l->n_messages++;
    if (p->topic.len >= sizeof topic)
        return;
    memcpy(topic, p->topic.data, p->topic.len);
    topic[p->topic.len] = '\0';
    note_topic(l, topic);
    if (!l->sparkplug && !listing_example(l->listing, 0, p->payload.data, p->payload.len, topic))
        l->n_unread++;
}

/* Until all subscriptions are answered and `until_us` has come. */
static pst_status listen(session *s, const pst_call *call, int64_t until_us, look *l, pst_error *error)
{
    const pst_host *host = s->set->host;
    for (;;) {
        mqtt_packet p;
        bool too_long;
        int64_t left = until_us - host->now_us(host);
        if (s->settled && left <= 0)
            return PST_OK;
        pst_status st = session_next(s, &p, &too_long, error);
        if (!st) {
            if (p.kind == MQTT_PUBLISH && l)
                note(l, &p);
            session_done(s);
        } else if (st == PST_IDLE) {
            st = tcp_wait(&s->tcp, call, left > 0 && left < SLICE_US ? left : SLICE_US, error);
            if (st >= 0)
                st = session_keep(s, call, error);
        }
        if (st < 0)
            return st;
    }
}

static pst_status subscribe(session *s, const settings *set, const pst_call *call, pst_error *error)
{
    pst_status st = session_subscribe(s, set->filters, set->n_filters);
    return st ? st : session_keep(s, call, error);
}

/* Each broker must do: a fallback that nobody tried is none. */
pst_status check_connection(const settings *set, const pst_call *call, pst_error *error)
{
    identity who;
    pst_status st = identity_read(set, call, &who, error);
    identity_disguise(&who);
    for (size_t i = 0; !st && i < set->n_brokers; i++) {
        session s;
        st = session_open(&s, set, &set->brokers[i], call, &who, true, error);
        if (!st)
            st = subscribe(&s, set, call, error);
        if (!st)
            st = listen(&s, call, 0, NULL, error);
        session_close(&s);
    }
    identity_wipe(&who);
    return st;
}

/* ---- Discovering ---- */

static const char sparkplug_schema[] =
    "{\"type\":\"object\",\"properties\":{\"time\":{\"type\":\"string\",\"format\":\"date-time\"},"
    "\"group_id\":{\"type\":\"string\"},\"node_id\":{\"type\":\"string\"},"
    "\"device_id\":{\"type\":[\"string\",\"null\"]},\"metric\":{\"type\":\"string\"},"
    "\"value\":{\"type\":[\"number\",\"null\"]},\"text\":{\"type\":[\"string\",\"null\"]}}}";

static void title(look *l)
{
    char text[120], unread[40] = "";
    if (l->n_unread)
        snprintf(unread, sizeof unread, ", %zu of them no JSON", l->n_unread);
    snprintf(text, sizeof text, "%zu messages of %zu topics%s", l->n_messages, l->n_topics, unread);
    listing_title(l->listing, 0, text);
    if (l->sparkplug)
        listing_schema(l->listing, 0, sparkplug_schema);
}

static pst_status look_around(look *l, const settings *set, const pst_call *call, pst_error *error)
{
    const pst_host *host = set->host;
    brokers b;
    session s = {.tcp = {.fd = -1}};
    brokers_init(&b, set);
    pst_status st = brokers_open(&b, call, true, &s, error);
    if (!st)
        st = subscribe(&s, set, call, error);
    if (!st)
        st = listen(&s, call, host->now_us(host) + host->config_int(host, "/discover_s") * 1000000, l, error);
    session_close(&s);
    return st;
}

pst_status check_discover(const settings *set, const pst_call *call, pst_blob *json_out, pst_error *error)
{
    look *l = calloc(1, sizeof *l);
    pst_status st = PST_E_RESOURCE;
    if (l)
        *l = (look){.listing = listing_create(set->host), .sparkplug = set->sparkplug};
    if (l && l->listing && listing_stream(l->listing, "", "") == 0)
        st = look_around(l, set, call, error);
    else
        pst_fail(error, st, NULL, "no memory");
    if (!st) {
        title(l);
        st = listing_finish(l->listing, json_out, error);
    }
    if (l)
        listing_free(l->listing);
    free(l);
    return st;
}
