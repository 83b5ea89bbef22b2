/* How much there was in the last minute: a sum over a window that slides, in two numbers. The part of the
 * minute before that still lies in the window counts by its share. Times are microseconds of one clock, never
 * smaller than before. Zeroed it is empty. Not thread-safe. */
#ifndef PENSTOCK_BASE_MINUTE_H
#define PENSTOCK_BASE_MINUTE_H
#include <stdint.h>

#define MINUTE_US (60 * INT64_C(1000000))

typedef struct minute {
    int64_t begun_us; /* of the minute that is counted now */
    uint64_t sum, before;
} minute;

void minute_add(minute *m, int64_t now_us, uint64_t amount);
uint64_t minute_sum(const minute *m, int64_t now_us);
#endif
