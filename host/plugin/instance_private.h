/* What the files of an instance share: its state, and one exchange with its cell from start to mapped status.
 */
#ifndef PENSTOCK_PLUGIN_INSTANCE_PRIVATE_H
#define PENSTOCK_PLUGIN_INSTANCE_PRIVATE_H
#include <pthread.h>
#include <stdatomic.h>

#include "plugin/answer.h"
#include "plugin/cell.h"
#include "plugin/input.h"
#include "plugin/instance.h"
#include "plugin/supervise.h"

struct instance_set {
    instance_set_settings settings;
    char *program, *user;
    atomic_uint cells;    /* that run or are being started */
    pthread_mutex_t lock; /* of the list */
    instance *first;
};

struct instance {
    uint32_t magic;
    instance_set *set;
    instance *next;
    char *workspace, *name;
    instance_secrets secrets;
    instance_watcher watcher;
    int cancel_fd;
    atomic_uint cancels;
    pthread_mutex_t lock; /* one call at a time; guards all up to `facts_lock` */
    const plugin_entry *plugin;
    char *config;
    cell *cell;
    uint32_t epoch;
    supervisor supervisor;
    uint32_t source_flags;
    char last_death[256];
    bool unacked;               /* a source handed over what it was not acked for */
    bool too_big;               /* to be replaced at the next chance */
    int64_t weighed_us;         /* when its memory was looked at last */
    pthread_mutex_t facts_lock; /* short; guards `facts` and what it points at */
    instance_state facts;
    char *sandbox;
    char shown_death[256];
    instance_metric_value *metrics;
    int64_t last_used_us;
};

enum { INSTANCE_MAGIC = 0x1257A4CE };
enum {
    DEADLINE_STOP_MS = 5000,
    INSTANCE_IDLE_STOP_MS = 500,
};

/* One request. `write` puts the arguments behind what every call carries. */
typedef struct exchange {
    wire_type type;
    uint32_t rows;
    void (*write)(frame_writer *w, const void *arg);
    const void *arg;
    pst_status status;     /* out: ≥ 0 */
    answer_memory *memory; /* out: released by exchange_end */
    frame_reader answer;
} exchange;

/* Locks the instance; instance_exchange_end unlocks it and must follow, also after a failure. */
status_class instance_exchange(instance *in, instance_call *call, exchange *x, status *st);
void instance_exchange_end(instance *in, exchange *x);
/* The answer of a call was no answer: the cell is replaced. Returns `class`. Between the two above. */
status_class instance_distrust(instance *in, instance_call *call, const status *why, status_class class);
/* INVALID: what came back is no answer of this call. Between the two above. */
status_class instance_bad_answer(instance *in, instance_call *call, status *st);
/* A batch that must stand next in the answer. */
status_class instance_take_batch(instance *in, instance_call *call, exchange *x, uint32_t max_rows,
                                 instance_batch **batch_out, status *st);

/* Life and death (instance_life.c); the call lock is held. */

/* Stops the cell, if there is one; the source is closed by that. */
void instance_drop_cell(instance *in, int timeout_ms);
/* The cell that is dead: what became of it goes into the call (which may be NULL), the state and the policy.
 */
void instance_bury(instance *in, instance_call *call);
/* A cell that did not come to life. */
void instance_stillborn(instance *in, instance_call *call, const char *why);
/* Room for one more cell: true when it may be started. Every true is given back by instance_drop_cell, or
 * here. */
bool instance_room_take(instance *in);
void instance_room_give(instance *in);
/* After a call: a cell that has grown is replaced, now or when nothing is un-acked. */
void instance_weigh(instance *in);

/* What others may see (instance_set.c); each takes the short lock. */
void facts_plugin(instance *in, const plugin_entry *plugin); /* takes over the held entry */
void facts_condition(instance *in, instance_condition condition);
void facts_call(instance *in, int64_t took_us, bool failed);
void facts_open(instance *in, bool open);
void facts_start(instance *in);
void facts_death(instance *in);
void facts_memory(instance *in, int64_t bytes);
typedef enum fact { FACT_SUSPECT, FACT_POISON, FACT_RECYCLE, FACT_EVICTION } fact;
void facts_add(instance *in, fact which, uint64_t n);
void facts_batch(instance *in, const instance_batch *b);
void facts_metrics(instance *in, frame_reader r); /* counters travel at the end of every answer */
#endif
