/* The look has the identifier of the connector with "-look" behind it, so it takes nobody's session. What
 * comes is kept as a list of topics and a list of members with the kinds that their values had. */
#include "check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "identity.h"
#include "session.h"

enum {
    TOPICS_MAX = 200,
    MEMBERS_MAX = 200,
    NAME_MAX = 128,
    EXAMPLE_MAX = 2000,
    PAYLOADS_MAX = 20,
    OUT_MAX = 524288
};

typedef struct member {
    char name[NAME_MAX];
    unsigned kinds; /* a bit for each PST_JSON_* */
} member;

typedef struct look {
    const settings *set;
    const pst_json_service *json; /* NULL = none: payloads are not looked into */
    char topics[TOPICS_MAX][NAME_MAX];
    size_t n_topics, n_messages, n_unread; /* unread: no JSON */
    member members[MEMBERS_MAX];
    size_t n_members;
    struct {
        char topic[NAME_MAX], text[EXAMPLE_MAX + 1];
    } payloads[PAYLOADS_MAX]; /* the first that are JSON */
    size_t n_payloads;
} look;

/* ---- The session ---- */

static pst_status begin(session *s, const settings *set, const pst_call *call, pst_error *error)
{
    identity who;
    pst_status st = identity_read(set, call, &who, error);
    identity_disguise(&who);
    if (!st)
        st = session_open(s, set, call, who.client_id, who.password, &who.trust, true, error);
    identity_wipe(&who);
    if (!st)
        st = session_subscribe(s, set->filters, set->n_filters);
    return st ? st : session_keep(s, call, error);
}

static void note(look *l, const mqtt_packet *p);

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
            st = tcp_wait(&s->tcp, call, left > 0 && left < 100000 ? left : 100000, error);
            if (st >= 0)
                st = session_keep(s, call, error);
        }
        if (st < 0)
            return st;
    }
}

pst_status check_connection(const settings *set, const pst_call *call, pst_error *error)
{
    session s = {.tcp = {.fd = -1}};
    pst_status st = begin(&s, set, call, error);
    if (!st)
        st = listen(&s, call, 0, NULL, error);
    session_close(&s);
    return st;
}

/* ---- What came ---- */

static void note_topic(look *l, mqtt_span topic)
{
    for (size_t i = 0; i < l->n_topics; i++)
        if (strlen(l->topics[i]) == topic.len && !memcmp(l->topics[i], topic.data, topic.len))
            return;
    if (l->n_topics < TOPICS_MAX && topic.len < NAME_MAX)
        snprintf(l->topics[l->n_topics++], NAME_MAX, "%.*s", (int)topic.len, topic.data);
}

static void note_member(look *l, const char *name, int32_t kind)
{
    size_t i = 0;
    while (i < l->n_members && strcmp(l->members[i].name, name) != 0)
        i++;
    if (i == MEMBERS_MAX || strlen(name) >= NAME_MAX)
        return;
    if (i == l->n_members) {
        snprintf(l->members[i].name, NAME_MAX, "%s", name);
        l->members[i].kinds = 0;
        l->n_members++;
    }
    l->members[i].kinds |= 1u << kind;
}

static void note(look *l, const mqtt_packet *p)
{
    const pst_host *host = l->set->host;
    pst_error ignored = {.struct_size = sizeof ignored};
    l->n_messages++;
    note_topic(l, p->topic);
    pst_json *value = l->json && !l->set->sparkplug
                          ? l->json->parse(host, (pst_bytes){p->payload.data, p->payload.len}, &ignored)
                          : NULL;
    l->n_unread += !value;
    if (!value)
        return;
    if (l->n_payloads < PAYLOADS_MAX && p->payload.len <= EXAMPLE_MAX && p->topic.len < NAME_MAX) {
        snprintf(l->payloads[l->n_payloads].topic, NAME_MAX, "%.*s", (int)p->topic.len, p->topic.data);
        memcpy(l->payloads[l->n_payloads++].text, p->payload.data, p->payload.len);
    }
    bool object = l->json->kind(value, "") == PST_JSON_OBJECT;
    for (size_t i = 0; object && i < l->json->count(value, ""); i++)
        note_member(l, l->json->key(value, "", i), l->json->kind(l->json->item(value, i), ""));
    if (!object)
        note_member(l, "value", l->json->kind(value, ""));
    l->json->discard(value);
}

/* ---- As JSON ---- */

typedef struct writer {
    char *text;
    size_t len;
} writer;

__attribute__((format(printf, 2, 3))) static void put(writer *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(w->text + w->len, OUT_MAX - w->len, format, args);
    va_end(args);
    w->len += n > 0 && w->len + (size_t)n < OUT_MAX ? (size_t)n : 0;
}

static void put_text(writer *w, const char *text)
{
    put(w, "\"");
    for (const char *c = text; *c; c++) {
        if ((unsigned char)*c < ' ')
            put(w, "\\u%04x", (unsigned)*c);
        else
            put(w, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
    }
    put(w, "\"");
}

static const char *type_of(unsigned kinds)
{
    unsigned some = kinds & ~(1u << PST_JSON_NULL);
    if (some == 1u << PST_JSON_INTEGER || some == 1u << PST_JSON_REAL ||
        some == (1u << PST_JSON_INTEGER | 1u << PST_JSON_REAL))
        return "\"type\":[\"number\",\"null\"]";
    if (some == 1u << PST_JSON_TEXT)
        return "\"type\":[\"string\",\"null\"]";
    return some == 1u << PST_JSON_BOOLEAN ? "\"type\":[\"boolean\",\"null\"]" : "";
}

static void put_sparkplug_schema(writer *w)
{
    put(w, "\"time\":{\"type\":\"string\",\"format\":\"date-time\"},\"group_id\":{\"type\":\"string\"},"
           "\"node_id\":"
           "{\"type\":\"string\"},\"device_id\":{\"type\":[\"string\",\"null\"]},\"metric\":{\"type\":"
           "\"string\"},"
           "\"value\":{\"type\":[\"number\",\"null\"]},\"text\":{\"type\":[\"string\",\"null\"]}");
}

static void put_look(writer *w, const look *l)
{
    put(w, "[{\"stream\":\"\",\"title\":\"%zu messages of %zu topics", l->n_messages, l->n_topics);
    if (l->n_unread && !l->set->sparkplug)
        put(w, ", %zu of them no JSON", l->n_unread);
    put(w, "\",\"schema\":{\"type\":\"object\",\"properties\":{");
    if (l->set->sparkplug)
        put_sparkplug_schema(w);
    for (size_t i = 0; i < l->n_members; i++) {
        put(w, i ? "," : "");
        put_text(w, l->members[i].name);
        put(w, ":{%s}", type_of(l->members[i].kinds));
    }
    put(w, "}},\"topics\":[");
    for (size_t i = 0; i < l->n_topics; i++) {
        put(w, i ? "," : "");
        put_text(w, l->topics[i]);
    }
    put(w, "],\"payloads\":[");
    for (size_t i = 0; i < l->n_payloads; i++) {
        put(w, i ? ",{\"payload\":" : "{\"payload\":");
        put_text(w, l->payloads[i].text);
        put(w, ",\"meta\":");
        put_text(w, l->payloads[i].topic);
        put(w, "}");
    }
    put(w, "],\"example\":");
    put(w, "%s}]", l->n_payloads ? l->payloads[0].text : "null");
}

pst_status check_discover(const settings *set, const pst_call *call, pst_blob *json_out, pst_error *error)
{
    const pst_host *host = set->host;
    session s = {.tcp = {.fd = -1}};
    look *l = calloc(1, sizeof *l);
    writer w = {malloc(OUT_MAX), 0};
    pst_status st =
        l && w.text ? begin(&s, set, call, error) : pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    if (!st) {
        l->set = set;
        l->json = host->get_service(host, PST_SERVICE_JSON);
        st = listen(&s, call, host->now_us(host) + host->config_int(host, "/discover_s") * 1000000, l, error);
    }
    session_close(&s);
    if (!st) {
        put_look(&w, l);
        st = pst_blob_set(json_out, w.text, w.len, error);
    }
    free(w.text);
    free(l);
    return st;
}
