/* Packets that a client sends, collected as bytes and sent together. Texts are those of a checked
 * configuration: none is longer than 65535 bytes. */
#ifndef MQTT_OUTGOING_H
#define MQTT_OUTGOING_H
#include "packet.h"

typedef struct outgoing {
    uint8_t *data;
    size_t len, cap;
    bool failed; /* no memory: what is in it is not whole */
} outgoing;

typedef struct outgoing_hello {
    int version;
    bool clean;
    uint16_t keepalive_s, receive_max;       /* version 5: how many may be unanswered */
    uint32_t expiry_s, packet_max;           /* version 5 */
    const char *client_id, *user, *password; /* NULL = none */
} outgoing_hello;

void outgoing_connect(outgoing *o, const outgoing_hello *hello);
/* retain_handling 1 in version 5: retained messages only where the subscription is new. */
void outgoing_subscribe(outgoing *o, int version, uint16_t id, const char *const *filters, size_t n,
                        uint8_t qos);
void outgoing_unsubscribe(outgoing *o, int version, uint16_t id, const char *filter);
/* QoS 0. */
void outgoing_publish(outgoing *o, int version, const char *topic, const void *payload, size_t len);
void outgoing_answer(outgoing *o, uint8_t kind, uint16_t id); /* PUBACK, PUBREC, PUBCOMP */
void outgoing_ping(outgoing *o);
void outgoing_goodbye(outgoing *o);
void outgoing_free(outgoing *o);
#endif
