/* The payload of Sparkplug B as bytes: a head, and metrics one after the other. Nothing outside the given
 * bytes is read, and nothing is copied. */
#ifndef MQTT_METRIC_H
#define MQTT_METRIC_H
#include "packet.h"

enum { METRIC_SEQ_NONE = 256 };
enum { METRIC_FLOAT = 12, METRIC_DOUBLE = 13, METRIC_BOOLEAN = 14, METRIC_STRING = 15 }; /* kinds */

typedef struct metric {
    mqtt_span name, string;
    uint64_t alias, time_ms, number; /* number: of whichever kind, as bits */
    unsigned datatype, kind;         /* kind: the field that held the value, 0 = none */
    bool has_alias, is_null;
} metric;

typedef struct metric_head {
    uint64_t time_ms, seq; /* 0 and METRIC_SEQ_NONE where it has none */
    uint32_t n_metrics;
} metric_head;

typedef struct metric_walk { /* over the metrics of a payload */
    const uint8_t *at, *end;
} metric_walk;

/* False: it is no such payload. */
bool metric_read_head(mqtt_span payload, metric_head *out);
metric_walk metric_walk_of(mqtt_span payload);
bool metric_next(metric_walk *w, mqtt_span *out); /* false: no more */
/* False: it is none. */
bool metric_read(mqtt_span bytes, metric *out);
/* Its value as a number; false: it has none, or one that is not finite. */
bool metric_number(const metric *m, double *out);
#endif
