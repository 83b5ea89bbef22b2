/* A broker for one client at a time, MQTT 3.1.1 and 5: takes any subscription and answers it by a row of
 * publications of QoS 1 on a topic that fits; it keeps no session. Its refusal is CONNACK "not authorized".
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "check/far_talk.h"

enum { MESSAGES = 40, BODY_MAX = 65536, V5 = 5 };

/* The type and flags of the next packet, -1 at the end; its body is in `body`. */
static int take_packet(far_peer *p, uint8_t body[BODY_MAX], size_t *len)
{
    int first = fgetc(p->in);
    unsigned shift = 0, byte;
    *len = 0;
    do {
        byte = (unsigned)fgetc(p->in);
        *len |= (size_t)(byte & 127) << shift;
        shift += 7;
    } while (byte != (unsigned)EOF && byte & 128 && shift < 28);
    if (first == EOF || byte == (unsigned)EOF || *len > BODY_MAX)
        return -1;
    return fread(body, 1, *len, p->in) == *len ? first : -1;
}

static void publish(const far_peer *p, const char *topic, uint16_t id, bool v5)
{
    char payload[64];
    uint8_t out[512];
    size_t topic_len = strlen(topic);
    int n = snprintf(payload, sizeof payload, "{\"n\":%u}", (unsigned)id);
    size_t body = 2 + topic_len + 2 + v5 + (size_t)n, at = 0;
    out[at++] = 0x32;
    out[at++] = (uint8_t)body; /* below 128: the topic is short */
    out[at++] = 0;
    out[at++] = (uint8_t)topic_len;
    memcpy(out + at, topic, topic_len);
    at += topic_len;
    out[at++] = (uint8_t)(id >> 8);
    out[at++] = (uint8_t)id;
    if (v5)
        out[at++] = 0;
    memcpy(out + at, payload, (size_t)n);
    far_say(p, out, at + (size_t)n);
}

/* A topic of at most 64 bytes that the filter fits. */
static void topic_of(const uint8_t *filter, size_t len, char out[80])
{
    size_t n = 0;
    for (size_t i = 0; i < len && n < 64; i++)
        out[n++] = filter[i] == '+' || filter[i] == '#' ? 'x' : (char)filter[i];
    out[n] = '\0';
}

static void answer_subscribe(const far_peer *p, const uint8_t *body, size_t len, bool v5)
{
    size_t head = 2 + (size_t)v5;
    char topic[80];
    if (len < head + 2)
        return;
    const uint8_t answer[] = {0x90, v5 ? 4 : 3, body[0], body[1], v5 ? 0 : 1, 1};
    far_say(p, answer, v5 ? 6 : 5);
    size_t filter = (size_t)body[head] << 8 | body[head + 1];
    topic_of(body + head + 2, filter < len - head - 2 ? filter : len - head - 2, topic);
    for (uint16_t id = 1; id <= MESSAGES; id++)
        publish(p, topic, id, v5);
}

void far_talk_mqtt(far_peer *p)
{
    static uint8_t body[BODY_MAX];
    size_t len;
    bool v5 = false;
    for (int first; (first = take_packet(p, body, &len)) >= 0;) {
        fprintf(p->told, "packet %d of %zu bytes\n", first >> 4, len);
        fflush(p->told);
        if (first >> 4 == 1) {
            v5 = len > 6 && body[6] == V5;
            const uint8_t answer[] = {0x20, v5 ? 3 : 2, 0, p->refuses ? (v5 ? 0x87 : 5) : 0, 0};
            far_say(p, answer, v5 ? 5 : 4);
        } else if (first >> 4 == 8) {
            answer_subscribe(p, body, len, v5);
        } else if (first >> 4 == 12) {
            far_say(p, "\xd0\0", 2);
        }
        if (first >> 4 == 14 || p->refuses)
            return;
    }
}
