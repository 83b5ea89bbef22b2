/* Finding the rows that kill a plugin. A batch over which a cell died is tried again alone; if that cell
 * dies, too, the batch is halved, and each half that kills is halved again, until single rows are left. Rows
 * that kill are told to `on_poison`; all others have gone through `try_rows` well exactly once, in ascending
 * order, so their results can be kept.
 *
 * A batch that goes well the second time was no one's fault. One that kills as a whole, but not in parts, has
 * no poison row: its parts have gone well. Pure: what a try is, is the caller's. */
#ifndef PENSTOCK_PLUGIN_SUSPECT_H
#define PENSTOCK_PLUGIN_SUSPECT_H
#include <stdint.h>

#define SUSPECT_TRIES_MAX 600 /* about twenty poison rows in a million, or forty in ten thousand */

typedef enum suspect_outcome {
    SUSPECT_FINE, /* the plugin lives; the rows count as done */
    SUSPECT_DIED,
    SUSPECT_STOP, /* something else is wrong: the hunt is given up */
} suspect_outcome;

typedef struct suspect_hunt {
    suspect_outcome (*try_rows)(void *arg, uint32_t first, uint32_t n);
    void (*on_poison)(void *arg, uint32_t row);
    void *arg;
    unsigned tries_max; /* 0 = SUSPECT_TRIES_MAX */
    /* out */
    unsigned tries;
    uint32_t n_poison;
    uint32_t done; /* rows from the first on that were decided, poison ones too */
} suspect_hunt;

/* FINE: every row was decided. DIED: too many tries; `done` says how far it came. STOP: as try_rows said. n
 * may be 0. */
suspect_outcome suspect_find(suspect_hunt *hunt, uint32_t first, uint32_t n);
#endif
