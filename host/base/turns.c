/* A binary heap by (start, asked). Virtual time runs at SCALE a unit of cost for the usual weight, so that a
 * small cost counts with a large weight, too. */
#include "base/turns.h"

#include <assert.h>
#include <stdlib.h>

#include "base/arena.h"

enum { FIRST = 16, SCALE = 1024 };

static bool before(const turn_taker *a, const turn_taker *b)
{
    return a->start != b->start ? a->start < b->start : a->asked < b->asked;
}

static void put(turns *t, uint32_t place, turn_taker *taker)
{
    t->heap[place] = taker;
    taker->place = place;
}

static void rise(turns *t, turn_taker *taker)
{
    uint32_t at = taker->place;
    for (; at > 1 && before(taker, t->heap[at / 2]); at /= 2)
        put(t, at, t->heap[at / 2]);
    put(t, at, taker);
}

static void sink(turns *t, turn_taker *taker)
{
    uint32_t at = taker->place;
    for (uint32_t child; (child = 2 * at) <= t->n; at = child) {
        child += child < t->n && before(t->heap[child + 1], t->heap[child]);
        if (!before(t->heap[child], taker))
            break;
        put(t, at, t->heap[child]);
    }
    put(t, at, taker);
}

void turns_free(turns *t)
{
    for (uint32_t i = 1; i <= t->n; i++)
        t->heap[i]->place = 0;
    free(t->heap);
    *t = (turns){0};
}

void turns_want(turns *t, turn_taker *taker)
{
    if (taker->place)
        return;
    if (t->n + 2 > t->capacity) {
        t->capacity = t->capacity ? t->capacity * 2 : FIRST;
        t->heap = memory_grow(t->heap, t->capacity * sizeof(turn_taker *));
    }
    if (taker->start < t->now)
        taker->start = t->now; /* nothing is saved up */
    taker->asked = t->wishes++;
    put(t, ++t->n, taker);
    rise(t, taker);
}

void turns_leave(turns *t, turn_taker *taker)
{
    uint32_t place = taker->place;
    if (!place)
        return;
    assert(place <= t->n && t->heap[place] == taker);
    turn_taker *last = t->heap[t->n--];
    taker->place = 0;
    if (last == taker)
        return;
    put(t, place, last);
    rise(t, last);
    sink(t, last);
}

turn_taker *turns_next(turns *t)
{
    if (t->n == 0)
        return NULL;
    turn_taker *taker = t->heap[1];
    turns_leave(t, taker);
    t->now = taker->start;
    return taker;
}

void turns_charge(turns *t, turn_taker *taker, uint64_t cost)
{
    uint32_t weight = taker->weight ? taker->weight : TURNS_WEIGHT_ONE;
    uint64_t capped = cost < TURNS_COST_MAX ? cost : TURNS_COST_MAX;
    taker->start += capped * SCALE * TURNS_WEIGHT_ONE / weight;
    if (taker->place)
        sink(t, taker);
    else if (t->n == 0 && t->now < taker->start)
        t->now = taker->start; /* it had the thing for itself: no debt from that */
}
