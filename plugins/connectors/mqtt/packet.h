/* MQTT control packets as a server sends them, 3.1.1 and 5, read strictly from a buffer: flags, lengths,
 * identifiers, UTF-8, the properties that each kind may have and how often. Whatever is in the buffer,
 * nothing outside it is read. Spans point into the buffer. */
#ifndef MQTT_PACKET_H
#define MQTT_PACKET_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MQTT_3_1_1 = 4, MQTT_5 = 5 }; /* as CONNECT writes them */
enum {
    MQTT_CONNECT = 1,
    MQTT_CONNACK = 2,
    MQTT_PUBLISH = 3,
    MQTT_PUBACK = 4,
    MQTT_PUBREC = 5,
    MQTT_PUBREL = 6,
    MQTT_PUBCOMP = 7,
    MQTT_SUBSCRIBE = 8,
    MQTT_SUBACK = 9,
    MQTT_UNSUBSCRIBE = 10,
    MQTT_UNSUBACK = 11,
    MQTT_PINGREQ = 12,
    MQTT_PINGRESP = 13,
    MQTT_DISCONNECT = 14
};
/* A publication in 3.1.1 that is too long has its head in this many bytes: header, topic, identifier. */
enum { MQTT_HEAD_MAX = 5 + 2 + 65535 + 2 };

typedef struct mqtt_span {
    const char *data;
    size_t len;
} mqtt_span;

typedef struct mqtt_packet {
    uint8_t kind, qos;
    bool dup, retain, session_present;
    uint8_t reason;       /* of CONNACK, PUBACK …, DISCONNECT; 0 = fine */
    uint16_t id;          /* 0 = none */
    uint16_t receive_max; /* of CONNACK; 65535 if it says nothing */
    uint16_t keepalive_s; /* of CONNACK; 0 = ours stands */
    uint8_t qos_max;      /* of CONNACK; 2 if it says nothing */
    mqtt_span topic, payload;
    mqtt_span text;      /* the server's reason in words */
    mqtt_span client_id; /* that the server gave */
    mqtt_span codes;     /* of SUBACK and UNSUBACK, one a topic filter */
} mqtt_packet;

typedef enum mqtt_cut {
    MQTT_WHOLE, /* a packet of *taken bytes */
    MQTT_MORE,  /* its end is not there yet */
    MQTT_LONG,  /* a publication of *taken bytes, longer than the limit: its head, and what there is of the
                   payload */
    MQTT_BAD    /* no packet that a server may send: *why */
} mqtt_cut;

/* `version`: MQTT_3_1_1 or MQTT_5. `limit`: the longest packet in bytes; a longer one of another kind than
 * PUBLISH, or in version 5, where the server was told the limit, is bad. */
mqtt_cut mqtt_packet_read(const void *data, size_t len, int version, size_t limit, mqtt_packet *out,
                          size_t *taken, const char **why);

/* Text as MQTT has it: UTF-8 without U+0000 and surrogates. */
bool mqtt_text_valid(const char *text, size_t len);
/* "a/+/b", "a/#", "$share/g/a": a filter that may be subscribed to. */
bool mqtt_filter_valid(const char *filter);
bool mqtt_filter_fits(const char *filter, const char *topic, size_t topic_len);
#endif
