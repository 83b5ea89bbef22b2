/* Sparkplug B payloads as a broker may send them, several after one another, as births change what later ones
 * mean. Each message is a byte (its topic, and how many rows are taken at a time), two bytes of length and
 * the payload. Whatever comes: a payload is read to its end in parts, what is taken is a row with a name or a
 * reject, and a request for births is one that a reader of Sparkplug understands. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sparkplug.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { COMMAND_LEN = 28, FIELD_METRIC = 0x12 };

static const char *const topics[] = {
    "spBv1.0/g/NBIRTH/n", "spBv1.0/g/DBIRTH/n/d", "spBv1.0/g/NDATA/n", "spBv1.0/g/DDATA/n/d",
    "spBv1.0/g/NDEATH/n", "spBv1.0/g/NDATA/m",    "spBv1.0/g/NCMD/n",  "spBv1.0/g",
};

static int64_t stands_still(const pst_host *host)
{
    (void)host;
    return 1000000;
}

/* In an exact allocation, so that a sanitizer sees what is read behind it. */
static void take(sparkplug *s, pst_builder *b, const char *topic, uint32_t most, const uint8_t *bytes,
                 size_t len)
{
    char *payload = malloc(len ? len : 1);
    assert(payload);
    memcpy(payload, bytes, len);
    uint32_t from = 0, next, rows = pst_builder_rows(b);
    do {
        sparkplug_take(s, (mqtt_span){topic, strlen(topic)}, (mqtt_span){payload, len}, from, most, &next);
        assert(pst_builder_rows(b) - rows <= most && next <= SPARKPLUG_METRICS_MAX);
        assert(next == 0 || next == from + most);
        rows = pst_builder_rows(b);
        from = next;
    } while (next);
    free(payload);
}

static void ask(sparkplug *s)
{
    char topic[600];
    uint8_t payload[64];
    size_t len = 0;
    for (unsigned n = 0; sparkplug_rebirth(s, topic, payload, &len); n++) {
        assert(n < 2); /* the two nodes there are; a second time only after a while */
        assert(!strcmp(topic, "spBv1.0/g/NCMD/n") || !strcmp(topic, "spBv1.0/g/NCMD/m"));
        assert(len == COMMAND_LEN && payload[0] == FIELD_METRIC && payload[1] == len - 2);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pst_host host = {.struct_size = sizeof host, .now_us = stands_still, .wall_us = stands_still};
    pst_builder *builder = pst_builder_create();
    sparkplug *s = builder ? sparkplug_create(&host, builder) : NULL;
    assert(s);
    for (size_t at = 0; at + 3 <= size;) {
        unsigned head = data[at];
        size_t len = (size_t)(data[at + 1] << 8 | data[at + 2]), left = size - at - 3;
        len = len < left ? len : left;
        take(s, builder, topics[head & 7], (head >> 3) + 1, data + at + 3, len);
        at += 3 + len;
    }
    ask(s);
    pst_batch batch = {.struct_size = sizeof batch};
    uint32_t rows = pst_builder_rows(builder);
    if (pst_builder_finish(builder, NULL, (pst_bytes){"", 0}, 0, &batch, NULL) == PST_OK)
        assert((uint32_t)batch.array.length == rows);
    if (batch.array.release)
        batch.array.release(&batch.array);
    if (batch.schema.release)
        batch.schema.release(&batch.schema);
    sparkplug_free(s);
    pst_builder_free(builder);
    return 0;
}
