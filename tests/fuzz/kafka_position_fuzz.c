/* A cursor of Kafka as it may come back from anywhere. What is read of it says the same when it is written
 * and read again, and the offsets that the group is told are those that are gone on from. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "position.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(const position *a, const position *b)
{
    assert(a->n == b->n);
    for (size_t i = 0; i < a->n; i++)
        assert(position_next(b, a->parts[i].topic, a->parts[i].partition) == a->parts[i].next);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char cursor[POSITION_CURSOR_MAX];
    position p = {0}, again = {0};
    pst_bytes input = {data, size};
    bool good = position_open(&p, "cluster", "group", input);
    rd_kafka_topic_partition_list_t *offsets = position_offsets(&p, input);
    assert(!size || good == (offsets != NULL));
    for (int i = 0; offsets && i < offsets->cnt; i++)
        assert(offsets->elems[i].offset >= 0 &&
               position_next(&p, offsets->elems[i].topic, offsets->elems[i].partition) >= 0);
    size_t len = good ? position_cut(&p, cursor) : 0;
    if (len) {
        bool read = position_open(&again, "cluster", "group", (pst_bytes){cursor, len});
        assert(read);
        same(&p, &again);
    }
    if (offsets)
        rd_kafka_topic_partition_list_destroy(offsets);
    position_free(&p);
    position_free(&again);
    return 0;
}
