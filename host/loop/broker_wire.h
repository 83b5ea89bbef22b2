/* What goes between the host and the broker process. Private to loop/broker*.c. */
#ifndef PENSTOCK_LOOP_BROKER_WIRE_H
#define PENSTOCK_LOOP_BROKER_WIRE_H
#include "loop/broker_rules.h"
#include "wire/door.h"

typedef enum broker_ask { BROKER_ADMIT = 1, BROKER_REACH } broker_ask;

/* host → broker, followed by the reach and then the ranges; beside ADMIT travels the broker's end of the
 * door. */
typedef struct broker_order {
    uint32_t ask, network;
    uint64_t tag;
    uint32_t n_reach, n_ranges;
} broker_order;

#define BROKER_ORDER_MAX                                              \
    (sizeof(broker_order) + BROKER_REACH_MAX * sizeof(broker_reach) + \
     BROKER_RANGES_MAX * sizeof(broker_range))

typedef struct broker_event { /* broker → host */
    uint64_t tag, count;
    char what[DOOR_TEXT_MAX];
} broker_event;

/* Runs in the forked process until the socket is closed; never returns. */
_Noreturn void broker_process_run(int socket);
#endif
