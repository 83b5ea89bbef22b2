/* Turns: who is served next when several want the same thing (a writer's transaction, a worker thread, a
 * place in a commit). Start-time fair queueing: each taker has a virtual time at which its next turn starts;
 * the one with the earliest is next, and what its turn cost, by its weight, moves it on.
 *
 * So whoever is alone gets everything; two who always want share by their weights, whatever the size of their
 * turns; one who comes back after a while is next at once, but has saved nothing up. A turn is O(log n), with
 * no allocation but the growth of the table.
 *
 * A taker is part of its owner's struct; zeroed it is new and has the weight 1. Costs are in any unit (bytes,
 * microseconds), the same for all takers of one `turns`. Not thread-safe: under the owner's lock. */
#ifndef PENSTOCK_BASE_TURNS_H
#define PENSTOCK_BASE_TURNS_H
#include <stdbool.h>
#include <stdint.h>

#define TURNS_WEIGHT_ONE 100U /* weights are in hundredths */
#define TURNS_WEIGHT_MIN 1U
#define TURNS_WEIGHT_MAX 10000U
#define TURNS_COST_MAX (UINT64_C(1) << 40)

typedef struct turn_taker {
    uint32_t weight; /* 0 = TURNS_WEIGHT_ONE */
    uint32_t place;  /* in the heap, from 1; 0 = wants nothing */
    uint64_t start;  /* virtual time of its next turn */
    uint64_t asked;  /* which wish this was: of equals the earlier is first */
} turn_taker;

typedef struct turns {
    turn_taker **heap;
    uint32_t n, capacity;
    uint64_t now; /* virtual: the start of the turn given last */
    uint64_t wishes;
} turns;

void turns_free(turns *t); /* what it holds; the takers are their owners' */
/* Wants a turn; asking twice is asking once. */
void turns_want(turns *t, turn_taker *taker);
/* The next one, who does not want any more then; NULL when nobody does. */
turn_taker *turns_next(turns *t);
/* What the turn of `taker` has cost; also several times a turn, and before or after it wants again. */
void turns_charge(turns *t, turn_taker *taker, uint64_t cost);
/* It is about to go away. */
void turns_leave(turns *t, turn_taker *taker);
static inline uint32_t turns_waiting(const turns *t)
{
    return t->n;
}
#endif
