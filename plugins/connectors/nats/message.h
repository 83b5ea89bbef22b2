/* What stands beside the payload of a message: its subject as a topic, headers, and of a stream its number
 * and time. */
#ifndef NATS_MESSAGE_H
#define NATS_MESSAGE_H
#include <nats/nats.h>

#include "facts.h"

/* number 0: it is of no stream. */
void message_describe(natsMsg *m, uint64_t number, int64_t time_ns, facts *out);
#endif
