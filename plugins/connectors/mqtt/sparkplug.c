/* Numbers are a node's, its devices included; a sequence with a gap, or a number that nobody named, makes the
 * node wanted: it is asked for its births. */
#include "sparkplug.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metric.h"

enum { ID_MAX = 128, REJECT_BYTES = 1024, REBIRTH_US = 10000000 };

typedef struct alias {
    uint64_t number;
    char *name;
} alias;

typedef struct node {
    char id[2 * ID_MAX]; /* group/node */
    alias *aliases;
    size_t n, cap;
    bool born, wanted; /* wanted: to be asked for its births */
    int64_t asked_us;
    uint8_t seq; /* the next one */
} node;

struct sparkplug {
    const pst_host *host;
    pst_builder *builder;
    int time, group, node, device, metric, value, text;
    node *nodes[SPARKPLUG_NODES_MAX];
    size_t n_nodes, n_aliases;
};

typedef struct place { /* spBv1.0/group/type/node[/device] */
    char group[ID_MAX], type[16], node[ID_MAX], device[ID_MAX];
} place;

/* ---- Nodes ---- */

static node *node_find(sparkplug *s, const place *p)
{
    char id[2 * ID_MAX];
    snprintf(id, sizeof id, "%s/%s", p->group, p->node);
    for (size_t i = 0; i < s->n_nodes; i++)
        if (!strcmp(s->nodes[i]->id, id))
            return s->nodes[i];
    node *n = s->n_nodes < SPARKPLUG_NODES_MAX ? calloc(1, sizeof *n) : NULL;
    if (n) {
        snprintf(n->id, sizeof n->id, "%s", id);
        s->nodes[s->n_nodes++] = n;
    }
    return n;
}

static void forget(sparkplug *s, node *n)
{
    for (size_t i = 0; i < n->n; i++)
        free(n->aliases[i].name);
    s->n_aliases -= n->n;
    n->n = 0;
}

/* A number is one of the whole node, its devices included. */
static alias *alias_find(const node *n, uint64_t number)
{
    for (size_t i = 0; i < n->n; i++)
        if (n->aliases[i].number == number)
            return &n->aliases[i];
    return NULL;
}

static void alias_put(sparkplug *s, node *n, const metric *m)
{
    alias *a = alias_find(n, m->alias);
    if (!a && s->n_aliases < SPARKPLUG_ALIASES_MAX && n->n == n->cap) {
        size_t cap = n->cap ? n->cap * 2 : 16;
        alias *more = realloc(n->aliases, cap * sizeof *more);
        if (!more)
            return;
        n->aliases = more;
        n->cap = cap;
    }
    if (!a && n->n < n->cap && s->n_aliases < SPARKPLUG_ALIASES_MAX) {
        a = &n->aliases[n->n++];
        *a = (alias){.number = m->alias};
        s->n_aliases++;
    }
    if (!a)
        return;
    free(a->name);
    a->name = strndup(m->name.data, m->name.len);
}

/* ---- Rows ---- */

static void set_value(sparkplug *s, const metric *m)
{
    double real;
    if (m->kind == METRIC_STRING && !m->is_null && mqtt_text_valid(m->string.data, m->string.len))
        pst_builder_set_bytes(s->builder, s->text, m->string.data, m->string.len);
    else if (metric_number(m, &real))
        pst_builder_set_real(s->builder, s->value, real);
}

static void add_row(sparkplug *s, const place *p, const metric *m, mqtt_span name, uint64_t time_ms)
{
    uint64_t ms = m->time_ms ? m->time_ms : time_ms;
    bool sane = ms && ms < UINT64_C(253402300800000);
    pst_builder_set_int(s->builder, s->time, sane ? (int64_t)ms * 1000 : s->host->wall_us(s->host));
    pst_builder_set_text(s->builder, s->group, p->group);
    pst_builder_set_text(s->builder, s->node, p->node);
    if (p->device[0])
        pst_builder_set_text(s->builder, s->device, p->device);
    pst_builder_set_bytes(s->builder, s->metric, name.data, name.len);
    set_value(s, m);
    pst_builder_row(s->builder);
}

static void reject(sparkplug *s, mqtt_span topic, mqtt_span payload, const char *why)
{
    char where[256];
    snprintf(where, sizeof where, "%.*s", (int)topic.len, topic.data);
    pst_builder_reject(s->builder, payload.data, payload.len < REJECT_BYTES ? payload.len : REJECT_BYTES,
                       where, why);
}

static bool take_level(const char **at, const char *end, char *out, size_t cap)
{
    const char *slash = memchr(*at, '/', (size_t)(end - *at)), *stop = slash ? slash : end;
    size_t len = (size_t)(stop - *at);
    if (!len || len >= cap)
        return false;
    memcpy(out, *at, len);
    out[len] = '\0';
    *at = slash ? slash + 1 : end;
    return true;
}

static bool read_place(mqtt_span topic, place *p)
{
    static const char begin[] = "spBv1.0/";
    const char *at = topic.data + sizeof begin - 1, *end = topic.data + topic.len;
    *p = (place){0};
    if (topic.len < sizeof begin || memcmp(topic.data, begin, sizeof begin - 1) != 0)
        return false;
    return take_level(&at, end, p->group, ID_MAX) && take_level(&at, end, p->type, sizeof p->type) &&
           take_level(&at, end, p->node, ID_MAX) && (at == end || take_level(&at, end, p->device, ID_MAX)) &&
           at == end;
}

typedef struct message {
    const place *place;
    node *node;
    mqtt_span topic, payload;
    uint64_t time_ms;
    bool birth;
} message;

static void take_metric(sparkplug *s, const message *m, mqtt_span bytes)
{
    metric one;
    if (!metric_read(bytes, &one) || !mqtt_text_valid(one.name.data, one.name.len)) {
        reject(s, m->topic, bytes, "a metric is no Sparkplug B");
        return;
    }
    if (m->birth && one.has_alias && one.name.len)
        alias_put(s, m->node, &one);
    const alias *a = !one.name.len && one.has_alias ? alias_find(m->node, one.alias) : NULL;
    mqtt_span name = a && a->name ? (mqtt_span){a->name, strlen(a->name)} : one.name;
    if (name.len) {
        add_row(s, m->place, &one, name, m->time_ms);
        return;
    }
    m->node->wanted = true;
    reject(s, m->topic, bytes,
           "a metric has a number that no birth has named: the node is asked for its births");
}

/* Births begin the sequence, everything else goes on with it: a gap means that something was missed. */
static void follow_sequence(sparkplug *s, message *m, uint64_t seq)
{
    node *n = m->node;
    if (!strcmp(m->place->type, "NBIRTH")) {
        forget(s, n);
        n->born = true;
        n->wanted = false;
    } else if (!n->born || (seq < 256 && seq != n->seq)) {
        n->wanted = true;
    }
    if (seq < 256)
        n->seq = (uint8_t)(seq + 1);
}

/* The last will of a node, or the end of a device: a row that says so. */
static void take_death(sparkplug *s, message *m)
{
    static const mqtt_span online = {"online", 6};
    metric gone = {.kind = METRIC_BOOLEAN};
    if (m->place->type[0] == 'N')
        m->node->born = false;
    add_row(s, m->place, &gone, online, m->place->type[0] == 'N' ? 0 : m->time_ms);
}

static bool is_data(const char *type)
{
    static const char *const types[] = {"NBIRTH", "DBIRTH", "NDATA", "DDATA", "NDEATH", "DDEATH"};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (!strcmp(type, types[i]))
            return true;
    return false;
}

void sparkplug_take(sparkplug *s, mqtt_span topic, mqtt_span payload, uint32_t from, uint32_t most,
                    uint32_t *next)
{
    place p;
    metric_head head;
    uint32_t i = 0;
    *next = 0;
    if (!read_place(topic, &p) || !is_data(p.type)) {
        if (topic.len < 8 || memcmp(topic.data, "spBv1.0/", 8) != 0)
            reject(s, topic, payload, "the topic is none of Sparkplug B");
        return; /* commands and the state of other hosts are not data */
    }
    message m = {&p, node_find(s, &p), topic, payload, 0, !strcmp(p.type + 1, "BIRTH")};
    if (!m.node || !metric_read_head(payload, &head) || head.n_metrics > SPARKPLUG_METRICS_MAX) {
        reject(s, topic, payload,
               m.node ? "the payload is no Sparkplug B, or has more than 10000 metrics"
                      : "more than 1000 nodes are there");
        return;
    }
    m.time_ms = head.time_ms;
    if (!strcmp(p.type + 1, "DEATH")) {
        take_death(s, &m);
        return;
    }
    if (!from)
        follow_sequence(s, &m, head.seq);
    mqtt_span bytes;
    for (metric_walk w = metric_walk_of(payload); i < from + most && metric_next(&w, &bytes);)
        if (i++ >= from)
            take_metric(s, &m, bytes);
    *next = i < head.n_metrics ? i : 0;
}

/* ---- Rebirth ---- */

bool sparkplug_rebirth(sparkplug *s, char topic[600], uint8_t payload[64], size_t *len)
{
    static const char name[] = "Node Control/Rebirth";
    int64_t now = s->host->now_us(s->host);
    for (size_t i = 0; i < s->n_nodes; i++) {
        node *n = s->nodes[i];
        if (!n->wanted || (n->asked_us && now - n->asked_us < REBIRTH_US))
            continue;
        const char *slash = strchr(n->id, '/');
        snprintf(topic, 600, "spBv1.0/%.*s/NCMD/%s", (int)(slash - n->id), n->id, slash + 1);
        const size_t inner = 2 + sizeof name - 1 + 4;
        uint8_t *at = payload;
        *at++ = 0x12; /* metrics: one, a boolean that is true */
        *at++ = (uint8_t)inner;
        *at++ = 0x0a;
        *at++ = sizeof name - 1;
        memcpy(at, name, sizeof name - 1);
        at += sizeof name - 1;
        memcpy(at, "\x20\x0b\x70\x01", 4);
        *len = (size_t)(at + 4 - payload);
        n->asked_us = now;
        return true;
    }
    return false;
}

/* ---- Life ---- */

sparkplug *sparkplug_create(const pst_host *host, pst_builder *builder)
{
    sparkplug *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->host = host;
    s->builder = builder;
    s->time = pst_builder_column(builder, "time", PST_TIME);
    s->group = pst_builder_column(builder, "group_id", PST_TEXT);
    s->node = pst_builder_column(builder, "node_id", PST_TEXT);
    s->device = pst_builder_column(builder, "device_id", PST_TEXT);
    s->metric = pst_builder_column(builder, "metric", PST_TEXT);
    s->value = pst_builder_column(builder, "value", PST_NUMBER);
    s->text = pst_builder_column(builder, "text", PST_TEXT);
    if (s->text >= 0)
        return s;
    free(s);
    return NULL;
}

void sparkplug_free(sparkplug *s)
{
    for (size_t i = 0; s && i < s->n_nodes; i++) {
        forget(s, s->nodes[i]);
        free(s->nodes[i]->aliases);
        free(s->nodes[i]);
    }
    free(s);
}
