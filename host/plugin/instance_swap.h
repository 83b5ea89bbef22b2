/* Replacing the cell behind an instance while others call it: by one of a new version of its plugin, or of
 * the same (a recycle, which gives back memory that a plugin has let grow).
 *
 *   prepare   outside the call lock, beside the cell that works: the author's config is completed by the new
 *             schema, a cell is started, loaded and configured; a metric engine or a model is asked the last
 *             question that was answered well once more (the canary), and its answer is checked and forgotten
 *   wait      for the end of the call in hand; with an open source, until all that was handed over is acked
 *   switch    under the call lock: an open source is opened in the new cell at the cursor that was acked last
 *   end       the old cell is told to stop, outside the lock; nothing is ever unloaded inside a process
 *
 * Whatever fails before the switch leaves the old cell and the old version as they are. An instance whose
 * cell does not run is tried with the new version all the same and then left stopped.
 *
 * Threads: any but the loop's and not from within a call of the same instance; blocks until the switch was
 * made or refused. instance_free and instance_reconfigure may come in between: then the swap is given up. */
#ifndef PENSTOCK_PLUGIN_INSTANCE_SWAP_H
#define PENSTOCK_PLUGIN_INSTANCE_SWAP_H
#include "plugin/instance.h"

#define SWAP_WAIT_US 60000000L         /* for the end of the call in hand, and for what is not acked */
#define SWAP_CANARY_MAX_BYTES 131072   /* larger questions are not kept */
#define SWAP_CANARY_FRESH_US 60000000L /* how often a newer one is kept */

typedef enum swap_step { /* where it was refused */
                         SWAP_CONFIG,
                         SWAP_START,
                         SWAP_CONFIGURE,
                         SWAP_CANARY,
                         SWAP_WAITING,
                         SWAP_OPEN,
                         SWAP_DONE,
} swap_step;
const char *swap_step_name(swap_step step);

typedef struct swap_report {
    swap_step step;
    bool canary;        /* one was replayed */
    bool opened;        /* an open source went over */
    int64_t prepare_us; /* from the start until it is ready */
    int64_t pause_us;   /* how long calls were held up */
} swap_report;

/* `plugin` NULL = the same version. `why` is for the log. `report_out` may be NULL. */
status_class instance_swap(instance *in, const plugin_entry *plugin, const char *why, swap_report *report_out,
                           status *st);

/* Swaps that wait for a border give up (CANCELLED), from now on. */
void instance_set_end_swaps(instance_set *set);

/* Stops the cell and answers every call UNAVAILABLE with PLUGIN_FAULT_UNLOADED, until `unloaded` false. */
void instance_unload(instance *in, bool unloaded);

/* A round is a walk over the instances that takes each of them once, also while others come and go. */
uint64_t instance_set_round(instance_set *set);
/* An instance of that plugin (NULL = of any) that was not given for this `round` yet, held; NULL at the end.
 */
instance *instance_set_next(instance_set *set, const char *plugin_id, uint64_t round);
void instance_unhold(instance *in); /* instance_free waits for it */
/* The content hash of the version that it runs. */
void instance_hash(instance *in, char out[65]);
const char *instance_workspace(const instance *in);
const char *instance_name(const instance *in);
#endif
