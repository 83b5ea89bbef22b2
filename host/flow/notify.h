/* Notify: the delivery queue, emptied. Claims what is due, has the notifier's plugin send it with the
 * delivery's stable id, and records what became of it: sent; tried again with growing pauses while the far
 * side is away; failed when only a person can help, a day has passed, or the message kills
 * the plugin (then it is a dead letter, too). */
#ifndef PENSTOCK_FLOW_NOTIFY_H
#define PENSTOCK_FLOW_NOTIFY_H
#include "flow/poison.h"
#include "store/connection.h"

typedef struct notify_parts {
    int32_t wid;
    connection *control;
    /* The instance of a notifier; NULL with a reason when there is none. */
    instance *(*notifier)(void *arg, const char *key, status *st);
    void *arg;
    poison_ward *ward; /* may be NULL */
} notify_parts;

typedef struct notify_result {
    uint32_t sent, retried, failed;
    int64_t next_in_us; /* until the next delivery is due; INT64_MAX = none waits */
} notify_result;

status_class notify_step(const notify_parts *parts, notify_result *out, status *st);
#endif
