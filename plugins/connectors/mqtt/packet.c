/* A reader with a place that never leaves the packet: a take that does not fit makes it bad, and what is bad
 * stays so.
 */
#include "packet.h"

#include <string.h>

typedef struct reader {
    const uint8_t *at, *end;
    const char *why; /* NULL = fine so far */
} reader;

static void bad(reader *r, const char *why)
{
    if (!r->why)
        r->why = why;
    r->at = r->end;
}

static uint8_t take_byte(reader *r)
{
    if (r->at < r->end)
        return *r->at++;
    bad(r, "a packet is shorter than what it must hold");
    return 0;
}

static uint16_t take_u16(reader *r)
{
    uint16_t high = take_byte(r);
    return (uint16_t)(high << 8 | take_byte(r));
}

static uint32_t take_u32(reader *r)
{
    uint32_t high = take_u16(r);
    return high << 16 | take_u16(r);
}

static mqtt_span take_span(reader *r, size_t len)
{
    mqtt_span s = {(const char *)r->at, len};
    if ((size_t)(r->end - r->at) < len) {
        bad(r, "a length in a packet reaches beyond its end");
        return (mqtt_span){"", 0};
    }
    r->at += len;
    return s;
}

static mqtt_span take_text(reader *r)
{
    mqtt_span s = take_span(r, take_u16(r));
    if (!mqtt_text_valid(s.data, s.len))
        bad(r, "a text in a packet is no UTF-8");
    return s;
}

/* At most four bytes. False: it ends in the middle. */
static bool take_length(const uint8_t **at, const uint8_t *end, uint32_t *out, bool *too_long)
{
    *out = 0;
    for (unsigned shift = 0; shift < 28; shift += 7) {
        if (*at == end)
            return false;
        uint8_t b = *(*at)++;
        *out |= (uint32_t)(b & 127) << shift;
        if (b < 128)
            return true;
    }
    *too_long = true;
    return true;
}

static uint32_t take_varint(reader *r)
{
    bool too_long = false;
    uint32_t n;
    if (!take_length(&r->at, r->end, &n, &too_long) || too_long) {
        bad(r, "a number in a packet does not end");
        return 0;
    }
    return n;
}

/* ---- Texts ---- */

/* How many bytes the character at `s` has, 0 if it is none. */
static size_t character(const uint8_t *s, size_t len)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xf0 && s[0] < 0xf8 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc2 ? 2 : 0;
    if (s[0] >= 0xf8 || n > len || !n)
        return 0;
    uint32_t code = n == 1 ? s[0] : s[0] & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (s[i] & 0x3f);
    }
    bool surrogate = code >= 0xd800 && code < 0xe000;
    return code && code >= least[n] && code <= 0x10ffff && !surrogate ? n : 0;
}

bool mqtt_text_valid(const char *text, size_t len)
{
    for (size_t i = 0, n; i < len; i += n) {
        n = character((const uint8_t *)text + i, len - i);
        if (!n)
            return false;
    }
    return true;
}

bool mqtt_filter_valid(const char *filter)
{
    size_t len = strlen(filter);
    bool valid = len > 0 && len <= 65535 && mqtt_text_valid(filter, len);
    for (size_t i = 0; valid && i < len; i++) {
        bool first = i == 0 || filter[i - 1] == '/', last = i + 1 == len;
        if (filter[i] == '#')
            valid = first && last;
        else if (filter[i] == '+')
            valid = first && (last || filter[i + 1] == '/');
    }
    return valid;
}

bool mqtt_filter_fits(const char *filter, const char *topic, size_t topic_len)
{
    const char *end = topic + topic_len;
    if (topic_len && topic[0] == '$' && (filter[0] == '+' || filter[0] == '#'))
        return false;
    while (*filter) {
        if (*filter == '#')
            return true;
        const char *level = memchr(topic, '/', (size_t)(end - topic)), *stop = level ? level : end;
        size_t len = strcspn(filter, "/");
        if (*filter != '+' && (len != (size_t)(stop - topic) || memcmp(filter, topic, len) != 0))
            return false;
        filter += len;
        if (!level)
            return !*filter || strcmp(filter, "/#") == 0;
        if (!*filter)
            return false;
        filter++;
        topic = level + 1;
    }
    return topic == end;
}

/* ---- Properties (version 5) ---- */

enum { P_BYTE, P_U16, P_U32, P_VARINT, P_TEXT, P_BINARY, P_PAIR };
#define IN(kind) (1u << (kind))
#define IN_ACKS                                                                                 \
    (IN(MQTT_PUBACK) | IN(MQTT_PUBREC) | IN(MQTT_PUBREL) | IN(MQTT_PUBCOMP) | IN(MQTT_SUBACK) | \
     IN(MQTT_UNSUBACK) | IN(MQTT_DISCONNECT))

static const struct property {
    uint8_t id, form;
    bool often; /* may stand there more than once */
    uint32_t in;
} properties[] = {
    {1, P_BYTE, false, IN(MQTT_PUBLISH)},
    {2, P_U32, false, IN(MQTT_PUBLISH)},
    {3, P_TEXT, false, IN(MQTT_PUBLISH)},
    {8, P_TEXT, false, IN(MQTT_PUBLISH)},
    {9, P_BINARY, false, IN(MQTT_PUBLISH)},
    {11, P_VARINT, true, IN(MQTT_PUBLISH)},
    {17, P_U32, false, IN(MQTT_CONNACK)},
    {18, P_TEXT, false, IN(MQTT_CONNACK)},
    {19, P_U16, false, IN(MQTT_CONNACK)},
    {21, P_TEXT, false, IN(MQTT_CONNACK)},
    {22, P_BINARY, false, IN(MQTT_CONNACK)},
    {26, P_TEXT, false, IN(MQTT_CONNACK)},
    {28, P_TEXT, false, IN(MQTT_CONNACK) | IN(MQTT_DISCONNECT)},
    {31, P_TEXT, false, IN(MQTT_CONNACK) | IN_ACKS},
    {33, P_U16, false, IN(MQTT_CONNACK)},
    {34, P_U16, false, IN(MQTT_CONNACK)},
    {35, P_U16, false, IN(MQTT_PUBLISH)},
    {36, P_BYTE, false, IN(MQTT_CONNACK)},
    {37, P_BYTE, false, IN(MQTT_CONNACK)},
    {38, P_PAIR, true, IN(MQTT_CONNACK) | IN(MQTT_PUBLISH) | IN_ACKS},
    {39, P_U32, false, IN(MQTT_CONNACK)},
    {40, P_BYTE, false, IN(MQTT_CONNACK)},
    {41, P_BYTE, false, IN(MQTT_CONNACK)},
    {42, P_BYTE, false, IN(MQTT_CONNACK)},
};

static const struct property *property_find(uint32_t id)
{
    for (size_t i = 0; i < sizeof properties / sizeof properties[0]; i++)
        if (properties[i].id == id)
            return &properties[i];
    return NULL;
}

static uint32_t take_number(reader *r, int form)
{
    return form == P_BYTE  ? take_byte(r)
           : form == P_U16 ? take_u16(r)
           : form == P_U32 ? take_u32(r)
                           : take_varint(r);
}

static void note_property(reader *r, uint32_t id, uint32_t number, mqtt_span text, mqtt_packet *out)
{
    bool flag = id == 1 || id == 36 || id == 37 || id == 40 || id == 41 || id == 42;
    if ((flag && number > 1) || ((id == 33 || id == 39 || id == 11) && !number))
        bad(r, "a property has a value that it may not have");
    if (id == 35)
        bad(r, "the server used a topic alias, which was not offered");
    if (id == 18)
        out->client_id = text;
    else if (id == 19)
        out->keepalive_s = (uint16_t)number;
    else if (id == 31)
        out->text = text;
    else if (id == 33)
        out->receive_max = (uint16_t)number;
    else if (id == 36)
        out->qos_max = (uint8_t)number;
}

static void take_properties(reader *whole, mqtt_packet *out)
{
    uint32_t len = take_varint(whole);
    mqtt_span all = take_span(whole, len);
    reader r = {(const uint8_t *)all.data, (const uint8_t *)all.data + all.len, whole->why};
    uint64_t seen = 0;
    while (!r.why && r.at < r.end) {
        uint32_t id = take_varint(&r);
        const struct property *p = property_find(id);
        mqtt_span text = {"", 0};
        uint32_t number = 0;
        if (!p || !(p->in & IN(out->kind)) || (!p->often && seen & UINT64_C(1) << id)) {
            bad(&r, "a property is not known here, or stands there twice");
            break;
        }
        seen |= UINT64_C(1) << id;
        if (p->form <= P_VARINT)
            number = take_number(&r, p->form);
        else
            text = p->form == P_BINARY ? take_span(&r, take_u16(&r)) : take_text(&r);
        if (p->form == P_PAIR)
            take_text(&r);
        note_property(&r, id, number, text, out);
    }
    if (r.why)
        bad(whole, r.why);
}

/* ---- Kinds ---- */

static void take_connack(reader *r, int version, mqtt_packet *out)
{
    uint8_t flags = take_byte(r);
    out->reason = take_byte(r);
    out->session_present = flags & 1;
    if (flags > 1 || (out->session_present && out->reason))
        bad(r, "CONNACK has flags that it may not have");
    if (version == MQTT_5 && r->at < r->end)
        take_properties(r, out);
}

static void take_id(reader *r, mqtt_packet *out)
{
    out->id = take_u16(r);
    if (!out->id)
        bad(r, "a packet has the identifier 0");
}

static void take_publish(reader *r, int version, uint8_t flags, mqtt_packet *out)
{
    out->dup = flags & 8;
    out->retain = flags & 1;
    out->qos = flags >> 1 & 3;
    if (out->qos == 3 || (out->dup && !out->qos))
        bad(r, "PUBLISH has flags that it may not have");
    out->topic = take_text(r);
    if (!out->topic.len || memchr(out->topic.data, '+', out->topic.len) ||
        memchr(out->topic.data, '#', out->topic.len))
        bad(r, "PUBLISH has no topic, or one with wildcards");
    if (out->qos)
        take_id(r, out);
    if (version == MQTT_5)
        take_properties(r, out);
    out->payload = take_span(r, (size_t)(r->end - r->at));
}

/* PUBACK, PUBREC, PUBREL, PUBCOMP: in version 5 reason and properties may be left out. */
static void take_ack(reader *r, int version, mqtt_packet *out)
{
    take_id(r, out);
    if (version == MQTT_5 && r->at < r->end)
        out->reason = take_byte(r);
    if (version == MQTT_5 && r->at < r->end)
        take_properties(r, out);
}

static void take_codes(reader *r, int version, mqtt_packet *out)
{
    take_id(r, out);
    if (version == MQTT_5)
        take_properties(r, out);
    if (version == MQTT_5 || out->kind == MQTT_SUBACK)
        out->codes = take_span(r, (size_t)(r->end - r->at));
}

static void take_disconnect(reader *r, int version, mqtt_packet *out)
{
    if (version != MQTT_5)
        bad(r, "only version 5 has a DISCONNECT from the server");
    if (r->at < r->end)
        out->reason = take_byte(r);
    if (r->at < r->end)
        take_properties(r, out);
}

static void take_body(reader *r, int version, uint8_t flags, mqtt_packet *out)
{
    if (out->kind != MQTT_PUBLISH && flags != (out->kind == MQTT_PUBREL ? 2 : 0)) {
        bad(r, "a packet has flags that its kind may not have");
        return;
    }
    switch (out->kind) {
    case MQTT_CONNACK:
        take_connack(r, version, out);
        break;
    case MQTT_PUBLISH:
        take_publish(r, version, flags, out);
        break;
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBREL:
    case MQTT_PUBCOMP:
        take_ack(r, version, out);
        break;
    case MQTT_SUBACK:
    case MQTT_UNSUBACK:
        take_codes(r, version, out);
        break;
    case MQTT_PINGRESP:
        break;
    case MQTT_DISCONNECT:
        take_disconnect(r, version, out);
        break;
    default:
        bad(r, "a packet of a kind that no server sends");
    }
    if (!r->why && r->at < r->end)
        bad(r, "a packet is longer than what it may hold");
}

/* The head of a publication that is too long, version 3.1.1: topic and identifier. */
static mqtt_cut long_head(reader *r, uint8_t flags, bool whole_head, mqtt_packet *out, const char **why)
{
    take_publish(r, MQTT_3_1_1, flags, out);
    if (r->why && !whole_head)
        return MQTT_MORE;
    *why = r->why;
    return r->why ? MQTT_BAD : MQTT_LONG;
}

mqtt_cut mqtt_packet_read(const void *data, size_t len, int version, size_t limit, mqtt_packet *out,
                          size_t *taken, const char **why)
{
    const uint8_t *at = data, *end = at + len;
    uint32_t body;
    bool too_long = false;
    *out = (mqtt_packet){.receive_max = 65535, .qos_max = 2};
    if (len < 2)
        return MQTT_MORE;
    uint8_t first = *at++;
    out->kind = first >> 4;
    if (!take_length(&at, end, &body, &too_long))
        return MQTT_MORE;
    size_t head = (size_t)(at - (const uint8_t *)data);
    *taken = head + body;
    *why = too_long ? "the length of a packet does not end" : "a packet is longer than max_packet_bytes";
    if (too_long || (*taken > limit && (out->kind != MQTT_PUBLISH || version == MQTT_5)))
        return MQTT_BAD;
    if (*taken > limit) {
        size_t have = len < *taken ? len : *taken;
        reader r = {at, (const uint8_t *)data + have, NULL};
        return long_head(&r, first & 15, have == *taken || have >= MQTT_HEAD_MAX, out, why);
    }
    if (*taken > len)
        return MQTT_MORE;
    reader r = {at, at + body, NULL};
    take_body(&r, version, first & 15, out);
    *why = r.why;
    return r.why ? MQTT_BAD : MQTT_WHOLE;
}
