/* An exponential memory: what left t seconds ago counts e^(-t/10). At a steady rate its sum is ten seconds'
 * worth; after a standstill, or in the first seconds, it is less, so that the wait is rather too long. */
#include "flow/drain.h"

#include <math.h>

#define MEMORY_S 10.0
#define STILL_US 10000000

static double faded(const drain *d, int64_t now_us)
{
    return d->bytes * exp((double)(d->at_us - now_us) / 1e6 / MEMORY_S);
}

void drain_note(drain *d, uint64_t bytes, int64_t now_us)
{
    if (bytes == 0)
        return;
    d->bytes = faded(d, now_us) + (double)bytes;
    d->at_us = now_us;
}

double drain_rate(const drain *d, int64_t now_us)
{
    return d->bytes > 0 && now_us - d->at_us < STILL_US ? faded(d, now_us) / MEMORY_S : 0;
}

unsigned drain_wait_s(const drain *d, uint64_t bytes, int64_t now_us)
{
    double rate = drain_rate(d, now_us);
    if (rate <= 0)
        return DRAIN_WAIT_STILL_S;
    double wait = ceil((double)bytes / rate);
    if (wait > DRAIN_WAIT_MOST_S)
        return DRAIN_WAIT_MOST_S;
    return wait < DRAIN_WAIT_LEAST_S ? DRAIN_WAIT_LEAST_S : (unsigned)wait;
}
