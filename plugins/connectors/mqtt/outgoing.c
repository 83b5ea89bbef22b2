/* A packet is begun with room for the longest length and closed up when its own is known. */
#include "outgoing.h"

#include <stdlib.h>
#include <string.h>

static uint8_t *room(outgoing *o, size_t len)
{
    if (o->len + len > o->cap) {
        size_t cap = (o->len + len) * 2;
        uint8_t *data = realloc(o->data, cap);
        if (!data) {
            o->failed = true;
            return NULL;
        }
        o->data = data;
        o->cap = cap;
    }
    uint8_t *at = o->data + o->len;
    o->len += len;
    return at;
}

static void put(outgoing *o, const void *data, size_t len)
{
    uint8_t *at = len ? room(o, len) : NULL;
    if (at)
        memcpy(at, data, len);
}

static void put_byte(outgoing *o, unsigned value)
{
    uint8_t b = (uint8_t)value;
    put(o, &b, 1);
}

static void put_u16(outgoing *o, unsigned value)
{
    put_byte(o, value >> 8);
    put_byte(o, value & 255);
}

static void put_u32(outgoing *o, uint32_t value)
{
    put_u16(o, value >> 16);
    put_u16(o, value & 65535);
}

static void put_text(outgoing *o, const char *text)
{
    size_t len = strlen(text);
    put_u16(o, (unsigned)len);
    put(o, text, len);
}

enum { LENGTH_MAX = 4 };

/* Returns where the body begins. */
static size_t begin(outgoing *o, unsigned first)
{
    put_byte(o, first);
    room(o, LENGTH_MAX);
    return o->len;
}

static void end(outgoing *o, size_t body)
{
    uint8_t length[LENGTH_MAX];
    size_t n = 0, len = o->len - body, rest = len;
    if (o->failed)
        return;
    do {
        length[n++] = (uint8_t)((rest & 127) | (rest > 127 ? 128 : 0));
        rest >>= 7;
    } while (rest);
    memcpy(o->data + body - LENGTH_MAX, length, n);
    memmove(o->data + body - LENGTH_MAX + n, o->data + body, len);
    o->len -= LENGTH_MAX - n;
}

void outgoing_connect(outgoing *o, const outgoing_hello *h)
{
    size_t body = begin(o, MQTT_CONNECT << 4);
    put_text(o, "MQTT");
    put_byte(o, (unsigned)h->version);
    put_byte(o, (h->user ? 128u : 0) | (h->password ? 64u : 0) | (h->clean ? 2u : 0));
    put_u16(o, h->keepalive_s);
    if (h->version == MQTT_5) {
        put_byte(o, 5 + 3 + 5);
        put_byte(o, 17);
        put_u32(o, h->clean ? 0 : h->expiry_s);
        put_byte(o, 33);
        put_u16(o, h->receive_max);
        put_byte(o, 39);
        put_u32(o, h->packet_max);
    }
    put_text(o, h->client_id);
    if (h->user)
        put_text(o, h->user);
    if (h->password)
        put_text(o, h->password);
    end(o, body);
}

void outgoing_subscribe(outgoing *o, int version, uint16_t id, const char *const *filters, size_t n,
                        uint8_t qos)
{
    size_t body = begin(o, MQTT_SUBSCRIBE << 4 | 2);
    put_u16(o, id);
    if (version == MQTT_5)
        put_byte(o, 0);
    for (size_t i = 0; i < n; i++) {
        put_text(o, filters[i]);
        put_byte(o, qos | (version == MQTT_5 ? 1u << 4 : 0));
    }
    end(o, body);
}

void outgoing_unsubscribe(outgoing *o, int version, uint16_t id, const char *filter)
{
    size_t body = begin(o, MQTT_UNSUBSCRIBE << 4 | 2);
    put_u16(o, id);
    if (version == MQTT_5)
        put_byte(o, 0);
    put_text(o, filter);
    end(o, body);
}

void outgoing_publish(outgoing *o, int version, const char *topic, const void *payload, size_t len)
{
    size_t body = begin(o, MQTT_PUBLISH << 4);
    put_text(o, topic);
    if (version == MQTT_5)
        put_byte(o, 0);
    put(o, payload, len);
    end(o, body);
}

void outgoing_answer(outgoing *o, uint8_t kind, uint16_t id)
{
    uint8_t bytes[4] = {(uint8_t)(kind << 4), 2, (uint8_t)(id >> 8), (uint8_t)id};
    put(o, bytes, sizeof bytes);
}

void outgoing_ping(outgoing *o)
{
    put(o, "\xc0\0", 2);
}

void outgoing_goodbye(outgoing *o)
{
    put(o, "\xe0\0", 2);
}

void outgoing_free(outgoing *o)
{
    free(o->data);
    *o = (outgoing){0};
}
