#include "flow/source_hunt.h"

enum { HANG_LEAST_US = 1000000, HANG_SHARE = 10 };

void source_hunt_died(source_hunt *h, uint32_t rows, const instance_call *call, int64_t took_us)
{
    h->attempts++;
    h->death = *call;
    h->fed = false;
    if (!h->on) {
        *h = (source_hunt){
            .on = true, .next = rows, .attempts = 1, .took_us = took_us, .whole = rows, .death = *call};
        return;
    }
    h->left = rows;
    h->skip = rows == 1;
    h->next = rows > 1 ? rows / 2 : 1;
}

void source_hunt_read(source_hunt *h, uint32_t n)
{
    if (!h->on)
        return;
    h->worked = h->fed = true;
    h->left = h->left > n ? h->left - n : 0;
    h->next = h->left > 1 ? h->left / 2 : 1;
    if (h->left == 0)
        source_hunt_end(h);
}

void source_hunt_end(source_hunt *h)
{
    *h = (source_hunt){0};
}

bool source_hunt_renews(source_hunt *h)
{
    bool renews = h->on && h->left > 0 && h->fed;
    h->fed = false;
    return renews;
}

int64_t source_hunt_deadline_us(const source_hunt *h)
{
    if (!h->on || h->death.death != PLUGIN_DEATH_HANG || h->left == 0)
        return 0;
    int64_t share = h->took_us * h->next / h->whole, least = h->took_us / HANG_SHARE;
    least = least > HANG_LEAST_US ? least : HANG_LEAST_US;
    return share > least ? share : least;
}
