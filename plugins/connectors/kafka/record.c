#include "record.h"

#include <stdio.h>
#include <string.h>

static void add_headers(const rd_kafka_message_t *m, facts *out)
{
    rd_kafka_headers_t *headers;
    const char *name;
    const void *value;
    size_t len;
    char fact[200];
    if (rd_kafka_message_headers(m, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &len) == RD_KAFKA_RESP_ERR_NO_ERROR;
         i++) {
        snprintf(fact, sizeof fact, "header.%s", name);
        if (value && strlen(name) < sizeof fact - 8)
            facts_add(out, fact, value, len);
    }
}

void record_describe(const rd_kafka_message_t *m, facts *out)
{
    rd_kafka_timestamp_type_t kind;
    int64_t time_ms = rd_kafka_message_timestamp(m, &kind);
    const char *topic = rd_kafka_topic_name(m->rkt);
    facts_begin(out, topic, strlen(topic));
    facts_add_number(out, "partition", m->partition);
    facts_add_number(out, "offset", m->offset);
    if (kind != RD_KAFKA_TIMESTAMP_NOT_AVAILABLE)
        facts_add_number(out, "timestamp", time_ms);
    if (m->key)
        facts_add(out, "key", m->key, m->key_len);
    add_headers(m, out);
}
