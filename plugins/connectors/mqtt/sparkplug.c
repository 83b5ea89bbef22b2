/* Protobuf by hand: only the fields that are needed, all others passed over by their tcp type. Field numbers
 * are those of the Sparkplug B specification: Payload {1 timestamp, 2 metrics, 3 seq}; Metric {1 name, 2
 * alias, 3 timestamp, 4 datatype, 7 is_null, 10 int, 11 long, 12 float, 13 double, 14 boolean, 15 string}. */
#include "sparkplug.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ID_MAX = 128, REJECT_BYTES = 1024, REBIRTH_US = 10000000 };
enum { INT8 = 1, INT16 = 2, INT32 = 3, INT64 = 4 };

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

typedef struct metric {
    mqtt_span name, string;
    uint64_t alias, time_ms, number; /* number: of whichever kind, as bits */
    unsigned datatype, kind;         /* kind: the field that held the value, 0 = none */
    bool has_alias, is_null;
} metric;

/* ---- Protobuf ---- */

typedef struct fields {
    const uint8_t *at, *end;
    bool bad;
    unsigned number, tcp; /* of the field just read */
    uint64_t value;       /* of varint and fixed ones */
    mqtt_span bytes;
} fields;

static uint64_t take_varint(fields *f)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (f->at == f->end)
            break;
        uint8_t b = *f->at++;
        value |= (uint64_t)(b & 127) << shift;
        if (b < 128)
            return value;
    }
    f->bad = true;
    return 0;
}

static uint64_t take_fixed(fields *f, unsigned n)
{
    uint64_t value = 0;
    if ((size_t)(f->end - f->at) < n) {
        f->bad = true;
        return 0;
    }
    for (unsigned i = 0; i < n; i++)
        value |= (uint64_t)f->at[i] << (8 * i);
    f->at += n;
    return value;
}

/* The next field; false at the end, and where it is no protobuf (bad). */
static bool next_field(fields *f)
{
    if (f->bad || f->at == f->end)
        return false;
    uint64_t key = take_varint(f);
    f->number = key >> 3 > 1000000 ? 1000000 : (unsigned)(key >> 3);
    f->tcp = key & 7;
    f->bytes = (mqtt_span){"", 0};
    if (f->tcp == 0) {
        f->value = take_varint(f);
    } else if (f->tcp == 1 || f->tcp == 5) {
        f->value = take_fixed(f, f->tcp == 1 ? 8 : 4);
    } else if (f->tcp == 2) {
        uint64_t len = take_varint(f);
        if (f->bad || len > (size_t)(f->end - f->at))
            f->bad = true;
        else
            f->bytes = (mqtt_span){(const char *)f->at, (size_t)len};
        f->at += f->bytes.len;
    } else {
        f->bad = true;
    }
    return !f->bad && f->number;
}

static fields fields_of(mqtt_span bytes)
{
    const uint8_t *at = (const uint8_t *)bytes.data;
    return (fields){.at = at, .end = at + bytes.len};
}

static bool read_metric(mqtt_span bytes, metric *m)
{
    fields f = fields_of(bytes);
    *m = (metric){0};
    while (next_field(&f)) {
        bool varint = f.tcp == 0;
        if (f.number == 1 && f.tcp == 2)
            m->name = f.bytes;
        else if (f.number == 2 && varint)
            m->alias = f.value, m->has_alias = true;
        else if (f.number == 3 && varint)
            m->time_ms = f.value;
        else if (f.number == 4 && varint)
            m->datatype = (unsigned)f.value;
        else if (f.number == 7 && varint)
            m->is_null = f.value;
        else if ((f.number == 10 || f.number == 11 || f.number == 14) && varint)
            m->kind = f.number, m->number = f.value;
        else if ((f.number == 12 && f.tcp == 5) || (f.number == 13 && f.tcp == 1))
            m->kind = f.number, m->number = f.value;
        else if (f.number == 15 && f.tcp == 2)
            m->kind = f.number, m->string = f.bytes;
    }
    return f.at == f.end && !f.bad;
}

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
    uint32_t low = (uint32_t)m->number;
    float single;
    double real = (double)m->number;
    if (m->is_null || !m->kind)
        return;
    if (m->kind == 15) {
        if (mqtt_text_valid(m->string.data, m->string.len))
            pst_builder_set_bytes(s->builder, s->text, m->string.data, m->string.len);
        return;
    }
    if (m->kind == 12) {
        memcpy(&single, &low, sizeof single);
        real = (double)single;
    } else if (m->kind == 13) {
        memcpy(&real, &m->number, sizeof real);
    } else if (m->datatype == INT8) {
        real = (int8_t)m->number;
    } else if (m->datatype == INT16) {
        real = (int16_t)m->number;
    } else if (m->datatype == INT32) {
        real = (int32_t)m->number;
    } else if (m->datatype == INT64) {
        real = (double)(int64_t)m->number;
    }
    if (isfinite(real))
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
    if (!read_metric(bytes, &one) || !mqtt_text_valid(one.name.data, one.name.len)) {
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

/* Timestamp, sequence and the number of metrics; false: no protobuf, or more than the limit. */
static bool read_head(message *m, uint64_t *seq, uint32_t *n_metrics)
{
    fields f = fields_of(m->payload);
    *seq = 256;
    *n_metrics = 0;
    while (next_field(&f)) {
        if (f.number == 1 && f.tcp == 0)
            m->time_ms = f.value;
        else if (f.number == 3 && f.tcp == 0)
            *seq = f.value;
        *n_metrics += f.number == 2 && f.tcp == 2;
    }
    return f.at == f.end && !f.bad && *n_metrics <= SPARKPLUG_METRICS_MAX;
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
    metric gone = {.kind = 14};
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
    uint64_t seq;
    uint32_t n, i = 0;
    *next = 0;
    if (!read_place(topic, &p) || !is_data(p.type)) {
        if (topic.len < 8 || memcmp(topic.data, "spBv1.0/", 8) != 0)
            reject(s, topic, payload, "the topic is none of Sparkplug B");
        return; /* commands and the state of other hosts are not data */
    }
    message m = {&p, node_find(s, &p), topic, payload, 0, !strcmp(p.type + 1, "BIRTH")};
    if (!m.node || !read_head(&m, &seq, &n)) {
        reject(s, topic, payload,
               m.node ? "the payload is no Sparkplug B, or has more than 10000 metrics"
                      : "more than 1000 nodes are there");
        return;
    }
    if (!strcmp(p.type + 1, "DEATH")) {
        take_death(s, &m);
        return;
    }
    if (!from)
        follow_sequence(s, &m, seq);
    fields f = fields_of(payload);
    while (next_field(&f) && i < from + most)
        if (f.number == 2 && f.tcp == 2 && i++ >= from)
            take_metric(s, &m, f.bytes);
    *next = i < n ? i : 0;
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
