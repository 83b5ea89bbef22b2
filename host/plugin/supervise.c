/* The back-off doubles with each death since the last good call; the jitter takes off up to a quarter. */
#include "plugin/supervise.h"

static int64_t back_off(unsigned in_row, uint64_t random)
{
    if (in_row <= 1)
        return 0;
    unsigned doublings = in_row - 2;
    int64_t wait = doublings >= 10 ? SUPERVISE_LONGEST_US : SUPERVISE_FIRST_US << doublings;
    if (wait > SUPERVISE_LONGEST_US)
        wait = SUPERVISE_LONGEST_US;
    return wait - (int64_t)(random % (uint64_t)(wait / 4));
}

void supervise_death(supervisor *s, int64_t now_us, uint64_t random)
{
    s->deaths[s->n_deaths++ % SUPERVISE_DEATHS] = now_us;
    s->in_row++;
    int64_t oldest = s->deaths[s->n_deaths % SUPERVISE_DEATHS]; /* of the last five */
    s->quarantined |= s->n_deaths >= SUPERVISE_DEATHS && now_us - oldest < SUPERVISE_WINDOW_US;
    s->retry_at_us = now_us + (s->quarantined ? SUPERVISE_WINDOW_US : back_off(s->in_row, random));
}

void supervise_absolve(supervisor *s)
{
    if (s->n_deaths == 0)
        return;
    s->n_deaths--;
    s->deaths[s->n_deaths % SUPERVISE_DEATHS] = INT64_MIN / 2; /* long ago */
    supervise_success(s);
    s->proved = false;
}

void supervise_quarantine(supervisor *s, int64_t now_us)
{
    s->quarantined = true;
    s->retry_at_us = now_us + SUPERVISE_WINDOW_US;
}

void supervise_reset(supervisor *s)
{
    *s = (supervisor){0};
}

void supervise_success(supervisor *s)
{
    s->in_row = 0;
    s->proved = true;
    s->quarantined = false;
    s->retry_at_us = 0;
}

int64_t supervise_wait_us(const supervisor *s, int64_t now_us)
{
    return s->retry_at_us > now_us ? s->retry_at_us - now_us : 0;
}
