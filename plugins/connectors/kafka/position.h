/* Where we are in each partition: the next offset that was not handed over yet. The cursor that the host
 * keeps with the rows is this table as text; of another cluster or another group it counts for nothing. */
#ifndef KAFKA_POSITION_H
#define KAFKA_POSITION_H
#include <librdkafka/rdkafka.h>
#include <stdbool.h>

#include "penstock/batch.h"

enum { POSITION_CURSOR_MAX = 65536, POSITION_NAME_MAX = 250, POSITION_PLACE_MAX = 2 * POSITION_NAME_MAX + 3 };

typedef struct position_part {
    char *topic;
    int32_t partition;
    int64_t next;
} position_part;

typedef struct position {
    position_part *parts;
    size_t n, cap;
    char place[POSITION_PLACE_MAX]; /* cluster and group */
} position;

void position_free(position *p); /* zeroed is fine */
/* Begins at a cursor; false: it is none of ours, or there is no memory. */
bool position_open(position *p, const char *cluster, const char *group, pst_bytes cursor);
/* -1 = not known */
int64_t position_next(const position *p, const char *topic, int32_t partition);
bool position_set(position *p, const char *topic, int32_t partition, int64_t next); /* false: no memory */
/* The cursor, shorter than POSITION_CURSOR_MAX; 0: there are more partitions than it has room for. */
size_t position_cut(const position *p, char cursor[POSITION_CURSOR_MAX]);
/* What the cursor says as offsets to be committed; NULL: none of ours. */
rd_kafka_topic_partition_list_t *position_offsets(const position *p, pst_bytes cursor);
#endif
