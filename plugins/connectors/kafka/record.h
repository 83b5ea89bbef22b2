/* What stands beside the payload of a record: partition, offset, timestamp, key and headers. */
#ifndef KAFKA_RECORD_H
#define KAFKA_RECORD_H
#include <librdkafka/rdkafka.h>

#include "facts.h"

void record_describe(const rd_kafka_message_t *m, facts *out);
#endif
