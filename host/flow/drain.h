/* How fast a queue empties, and so when there is room again. Bytes that leave are counted with a memory of
 * about ten seconds. Not thread-safe; times are monotonic microseconds. */
#ifndef PENSTOCK_FLOW_DRAIN_H
#define PENSTOCK_FLOW_DRAIN_H
#include <stdint.h>

#define DRAIN_WAIT_LEAST_S 1U
#define DRAIN_WAIT_MOST_S 60U
#define DRAIN_WAIT_STILL_S 5U /* when nothing leaves: look again soon, it may begin any moment */

typedef struct drain { /* {0} = nothing has left yet */
    double bytes;      /* of the memory, older ones count less */
    int64_t at_us;
} drain;

void drain_note(drain *d, uint64_t bytes, int64_t now_us);
/* Bytes a second; 0 = nothing has left for a while. */
double drain_rate(const drain *d, int64_t now_us);
/* Seconds until `bytes` more have left, within the bounds above. */
unsigned drain_wait_s(const drain *d, uint64_t bytes, int64_t now_us);
#endif
