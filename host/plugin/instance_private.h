/* What the files of an instance share: its state, and one exchange with its cell from start to mapped status.
 */
#ifndef PENSTOCK_PLUGIN_INSTANCE_PRIVATE_H
#define PENSTOCK_PLUGIN_INSTANCE_PRIVATE_H
#include <pthread.h>
#include <stdatomic.h>

#include "loop/broker.h"
#include "plugin/answer.h"
#include "plugin/cell.h"
#include "plugin/input.h"
#include "plugin/instance.h"
#include "plugin/limiter.h"
#include "plugin/state_keeper.h"
#include "plugin/supervise.h"

struct instance_set {
    instance_set_settings settings;
    char *program, *user;
    broker *broker;    /* NULL = there is none: no network */
    atomic_uint cells; /* that run or are being started */
    atomic_bool no_swaps;
    atomic_ulong rounds;
    pthread_mutex_t lock; /* of the list */
    instance *first;
    limiter *limiter;
    state_keeper keeper;
    bool own_keeper;
    uint64_t tags; /* given out */
};

/* A cursor that an instance must remember. */
typedef struct kept_cursor {
    char *data; /* from base/keep.h */
    size_t len;
} kept_cursor;

/* What replacing the cell needs to know of an instance (instance_swap.c). */
typedef struct swap_place {
    /* under facts_lock */
    pthread_cond_t settled; /* a border of calls was reached, a swap ended, nobody holds it any more */
    struct swap *ready;     /* waits for the border */
    unsigned holds, configured;
    bool ending;
    uint64_t round;
    text canary; /* arguments of a pure call that went well; written by the caller alone */
    wire_type canary_type;
    uint32_t canary_rows;
    /* under the call lock */
    bool unloaded;
    bool owed;                /* rows were handed over whose cursor is not acked */
    kept_cursor acked, owing; /* the newest durable one; of the newest rows */
    int64_t canary_us;
} swap_place;

enum { INSTANCE_TROUBLE_MAX = 256 };
enum { INSTANCE_DENIALS_TOLD = 128 }; /* different ones that are logged of one instance */

struct instance {
    uint32_t magic;
    uint64_t tag; /* its name at the broker */
    instance_set *set;
    instance *next;
    char *workspace, *workspace_key, *name;
    instance_secrets secrets;
    instance_watcher watcher;
    int cancel_fd;
    atomic_uint cancels;
    atomic_bool retry_asked;
    pthread_mutex_t lock; /* one call at a time; guards all up to `facts_lock` */
    const plugin_entry *plugin;
    char *config; /* written under both locks, like `given` and cancel_fd */
    char *given;  /* as its author wrote it, without defaults */
    cell *cell;
    atomic_uint epoch;
    supervisor supervisor;
    uint32_t source_flags;
    char last_death[256];
    bool too_big;               /* to be replaced at the next chance */
    int64_t weighed_us;         /* when its memory was looked at last */
    pthread_mutex_t facts_lock; /* short; guards `facts` and what it points at */
    instance_state facts;
    char *sandbox;
    char shown_death[256];
    instance_metric_value *metrics;
    char last_denial[256];
    char trouble[INSTANCE_TROUBLE_MAX]; /* what the plugin told through penstock.health */
    uint64_t *denied_seen; /* hashes of what was logged, INSTANCE_DENIALS_TOLD; NULL until something is */
    int64_t last_used_us;
    /* what it runs, under the call lock; NULL = never asked for (services_program.c) */
    struct program *program;
    swap_place swap;
};

enum { INSTANCE_MAGIC = 0x1257A4CE };
enum {
    DEADLINE_IO_US = 30000000, /* where the settings have none for a call */
    DEADLINE_STOP_MS = 5000,
    INSTANCE_IDLE_STOP_MS = 500,
    UNLOADED_RETRY_MS = 1000,
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
/* INVALID: what came back is no answer of this call. Between the two above. */
status_class instance_bad_answer(instance *in, instance_call *call, status *st);
/* A batch that must stand next in the answer. */
status_class instance_take_batch(instance *in, instance_call *call, exchange *x, uint32_t max_rows,
                                 instance_batch **batch_out, status *st);

/* Life and death (instance_life.c); the call lock is held. */

/* HTTP that came in, as an argument, and the plugin's reply out of the answer (false: unreadable). */
void instance_write_request(frame_writer *w, const void *request);
bool instance_take_reply(exchange *x, instance_reply *reply);
/* Stops the cell, if there is one; the source is closed by that. */
void instance_drop_cell(instance *in, int timeout_ms);
/* The cell that is dead: what became of it goes into the call (which may be NULL), the state and the policy.
 */
void instance_bury(instance *in, instance_call *call);
/* Ends the program that the cell started, with everything in its group; politely: it is asked first. None is
 * fine. */
void program_end(instance *in, bool politely);
/* A cell that says it lacks resources: it is replaced after the call. */
void instance_worn(instance *in, instance_call *call, const char *why);
/* A cell that did not come to life. */
void instance_stillborn(instance *in, instance_call *call, const char *why);
/* Stops a cell that must not be used: in quarantine. */
void instance_quit(instance *in);
/* Out of quarantine and back-off. */
void instance_release(instance *in);
/* Room for one more cell: true when it may be started. Every true is given back by instance_drop_cell, or
 * here. */
bool instance_room_take(instance *in);
void instance_room_give(instance *in);
/* After a call: a cell that has grown is replaced, now or when nothing is un-acked. */
void instance_weigh(instance *in);
/* How long a call may take. */
int64_t instance_deadline_us(const instance *in, wire_type type);
/* Starts a cell with that version; it is not configured yet, and not the instance's. */
status_class instance_spawn(instance *in, const plugin_entry *plugin, const char *config, int cancel_fd,
                            cell **cell_out, status *st);
void instance_write_configure(frame_writer *w, const instance *in, const char *config);
/* The plugin answered with an error: what it means. */
status_class instance_plugin_error(const instance *in, instance_call *call, pst_status code, frame_reader r,
                                   status *st);

/* What its cells may reach (instance_network.c). */
void network_begin(instance_set *set);
void network_end(instance_set *set);
/* Starts the cell with a door to the broker and the rules that follow from `config`. */
status_class network_start(instance *in, const plugin_entry *plugin, const char *config,
                           cell_settings *settings, cell **cell_out, status *st);
/* The cell's broker has died: it reaches nothing any more. The call lock is held. */
bool network_lost(const instance *in);
/* A secret is about to be handed out: if it is a URL, the plugin may go there. */
void network_secret(instance *in, const text *value);

/* A configuration as it is kept, for keep_free. */
char *instance_config_text(const json_t *config);

/* Hooks for instance_swap.c; those with "lock" are called with the call lock held. */
void swap_place_init(instance *in);
void swap_place_end(instance *in); /* gives up what is under way and waits for those who hold it */
void swap_place_free(instance *in);
void swap_reconfigured(instance *in, const json_t *config); /* lock */
void swap_border(instance *in);        /* lock; before a call: makes the switch that waits, if it can */
void swap_border_passed(instance *in); /* after the lock was released */
void swap_note_open(instance *in, const void *cursor, size_t len);               /* lock */
void swap_note_handed(instance *in, const void *cursor, size_t len);             /* lock */
void swap_note_acked(instance *in, const void *cursor, size_t len);              /* lock */
void swap_note_answered(instance *in, const exchange *x, const frame_writer *w); /* lock */
void swap_forget_answer(instance *in);

/* What others may see (instance_set.c); each takes the short lock. */
void facts_plugin(instance *in, const plugin_entry *plugin); /* takes over the held entry */
void facts_condition(instance *in, instance_condition condition);
void facts_call(instance *in, int64_t took_us, bool failed);
void facts_open(instance *in, bool open);
void facts_start(instance *in);
void facts_death(instance *in);
/* The plugin was refused something: `what` ("files", "network", …) is shown with the instance, and each
 * `about` is logged once. [any] */
void instance_denied(instance *in, const char *what, const char *about);
void facts_trouble(instance *in, const char *text); /* "" = none */
void facts_memory(instance *in, int64_t bytes);
typedef enum fact { FACT_SUSPECT, FACT_POISON, FACT_RECYCLE, FACT_EVICTION } fact;
void facts_add(instance *in, fact which, uint64_t n);
void facts_batch(instance *in, const instance_batch *b);
void facts_metrics(instance *in, frame_reader r); /* counters travel at the end of every answer */
#endif
