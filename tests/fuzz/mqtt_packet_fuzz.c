/* What a broker may send, as a stream of packets. The first byte says the version and the limit. Whatever
 * comes, what is read lies in the packet, a whole packet is within its limits, and more bytes behind it
 * change nothing. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_span(mqtt_span s, const uint8_t *from, size_t len)
{
    if (!s.len)
        return;
    const uint8_t *at = (const uint8_t *)s.data;
    assert(at >= from && at + s.len <= from + len);
}

static void check_packet(const mqtt_packet *p, const uint8_t *from, size_t len)
{
    check_span(p->topic, from, len);
    check_span(p->payload, from, len);
    check_span(p->text, from, len);
    check_span(p->client_id, from, len);
    check_span(p->codes, from, len);
    assert(mqtt_text_valid(p->topic.data, p->topic.len));
    if (p->kind != MQTT_PUBLISH)
        return;
    assert(p->qos < 3 && (p->qos == 0) == (p->id == 0) && p->topic.len &&
           !memchr(p->topic.data, '#', p->topic.len));
    assert(mqtt_filter_fits("#", p->topic.data, p->topic.len) == (p->topic.data[0] != '$'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    int version = data[0] & 1 ? MQTT_5 : MQTT_3_1_1;
    size_t limit = data[0] & 2 ? 16 : 268435460;
    const uint8_t *at = data + 1, *end = data + size;
    while (at < end) {
        mqtt_packet p, again;
        size_t taken = 0, taken_again = 0;
        const char *why = NULL;
        mqtt_cut cut = mqtt_packet_read(at, (size_t)(end - at), version, limit, &p, &taken, &why);
        if (cut == MQTT_BAD)
            assert(why);
        if (cut == MQTT_LONG)
            check_packet(&p, at, (size_t)(end - at));
        if (cut != MQTT_WHOLE)
            break;
        assert(taken >= 2 && taken <= (size_t)(end - at) && taken <= limit);
        check_packet(&p, at, taken);
        assert(mqtt_packet_read(at, taken, version, limit, &again, &taken_again, &why) == MQTT_WHOLE &&
               taken_again == taken && again.id == p.id);
        assert(mqtt_packet_read(at, taken - 1, version, limit, &again, &taken_again, &why) == MQTT_MORE);
        at += taken;
    }
    return 0;
}
