#include "base/minute.h"

static minute moved(const minute *m, int64_t now_us)
{
    int64_t passed = (now_us - m->begun_us) / MINUTE_US;
    if (passed <= 0)
        return *m;
    return (minute){.begun_us = m->begun_us + passed * MINUTE_US, .before = passed == 1 ? m->sum : 0};
}

void minute_add(minute *m, int64_t now_us, uint64_t amount)
{
    *m = moved(m, now_us);
    m->sum += amount;
}

uint64_t minute_sum(const minute *m, int64_t now_us)
{
    const minute now = moved(m, now_us);
    int64_t left = MINUTE_US - (now_us - now.begun_us); /* of the minute before in the window */
    return now.sum + (uint64_t)((double)now.before * (double)left / MINUTE_US);
}
