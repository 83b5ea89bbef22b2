/* Sparkplug B: what a payload says, as rows of metrics. Births name the metrics of a node or device and give
 * them numbers (aliases), which later messages use instead; a node whose births were missed is asked for them
 * (rebirth). The payload is read strictly within its bytes and some limits. One thread. */
#ifndef MQTT_SPARKPLUG_H
#define MQTT_SPARKPLUG_H
#include "packet.h"
#include "penstock/batch.h"

enum { SPARKPLUG_METRICS_MAX = 10000, SPARKPLUG_NODES_MAX = 1000, SPARKPLUG_ALIASES_MAX = 100000 };

typedef struct sparkplug sparkplug;

/* Makes the columns time, group_id, node_id, device_id, metric, value, text in the builder. NULL: no memory.
 */
sparkplug *sparkplug_create(const pst_host *host, pst_builder *builder);
void sparkplug_free(sparkplug *s); /* NULL is fine */

/* Rows `from` up to at most `most` of a publication; *next is where to go on, 0 = it is done. What is no
 * Sparkplug, and metrics that cannot be told, become rejects. */
void sparkplug_take(sparkplug *s, mqtt_span topic, mqtt_span payload, uint32_t from, uint32_t most,
                    uint32_t *next);
/* A node that must be asked for its births: the topic and payload to publish. False: none (any more). */
bool sparkplug_rebirth(sparkplug *s, char topic[600], uint8_t payload[64], size_t *len);
#endif
