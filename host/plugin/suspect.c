/* Depth first, left half first. The stack needs one range a level; the right half of a range that is halved
 * waits there. */
#include "plugin/suspect.h"

enum { DEPTH_MAX = 34 }; /* 32 halvings of a uint32_t */

typedef struct range {
    uint32_t first, n;
} range;

suspect_outcome suspect_find(suspect_hunt *hunt, uint32_t first, uint32_t n)
{
    range waiting[DEPTH_MAX];
    unsigned depth = 0, most = hunt->tries_max ? hunt->tries_max : SUSPECT_TRIES_MAX;
    hunt->tries = 0;
    hunt->n_poison = hunt->done = 0;
    if (n)
        waiting[depth++] = (range){first, n};
    while (depth) {
        range r = waiting[--depth];
        if (hunt->tries == most)
            return SUSPECT_DIED;
        hunt->tries++;
        suspect_outcome outcome = hunt->try_rows(hunt->arg, r.first, r.n);
        if (outcome == SUSPECT_STOP)
            return SUSPECT_STOP;
        if (outcome == SUSPECT_DIED && r.n > 1) {
            uint32_t half = r.n / 2;
            waiting[depth++] = (range){r.first + half, r.n - half};
            waiting[depth++] = (range){r.first, half};
            continue;
        }
        if (outcome == SUSPECT_DIED) {
            hunt->n_poison++;
            hunt->on_poison(hunt->arg, r.first);
        }
        hunt->done += r.n;
    }
    return SUSPECT_FINE;
}
