/* One running cell as the host sees it: started through the nursery, spoken to over a socket and two arenas,
 * killed when it misbehaves. Private to host/plugin. It decides no policy: restart and back-off are
 * instance.c and supervise.h.
 *
 * Not thread-safe: whoever holds the instance's lock owns the cell. A cell that died, or broke the protocol,
 * stays usable for cell_death and cell_stop only. Deadlines run on the kernel's clock, since a cell lives in
 * real time. */
#ifndef PENSTOCK_PLUGIN_CELL_H
#define PENSTOCK_PLUGIN_CELL_H
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "loop/nursery.h"
#include "penstock/plugin.h"
#include "wire/frame.h"
#include "wire/message.h"

#define CELL_LINES_PER_CALL 200 /* log lines of one call that are written; the rest is counted */
#define CELL_START_US 10000000L
#define CELL_MEMORY_FULL \
    70 /* per cent of its limit from which on a death is one of memory, and a live cell is replaced */
#define CELL_SECRET_MAX_BYTES 16384

typedef struct cell cell;

typedef struct cell_reply { /* to a question of the cell */
    pst_status status;
    frame_writer body; /* wiped after it was sent */
    int fd;            /* goes with it, and is closed; -1 = none */
} cell_reply;

/* How it ended. */
typedef enum cell_fate {
    CELL_LIVES,
    CELL_SIGNALLED, /* killed by a signal that the host did not send */
    CELL_EXITED,
    CELL_HUNG,    /* killed at a deadline */
    CELL_BROKEN,  /* did not keep to the protocol, or handed over a bad answer */
    CELL_TOO_BIG, /* ended with its memory used up, or was killed for it */
} cell_fate;

typedef struct cell_listener { /* runs in the caller's thread during cell_exchange */
    void (*on_log)(void *arg, int32_t level, const char *message, const pst_field *fields, size_t n_fields);
    /* False: the question cannot be read. wire/service.h */
    bool (*on_service)(void *arg, frame_reader question, cell_reply *reply);
    void *arg;
} cell_listener;

typedef struct cell_settings {
    nursery *spawner;
    const char *program, *user; /* user NULL = as the host runs */
    const char *plugin;         /* the object file */
    const char *profile;        /* "net", "pure", "none" */
    int64_t memory_bytes;       /* killed beyond it; 0 = no limit */
    bool limit_data;            /* RLIMIT_DATA, too */
    int cancel_fd;              /* eventfd of the instance, borrowed */
    int door_fd;                /* its door to the broker, borrowed; -1 = none: no network */
    pid_t broker_pid;
    unsigned broker_generation;
    uint32_t epoch;
    bool patient; /* no deadlines, core dumps on: for a debugger */
    cell_listener listener;
} cell_settings;

/* Starts it and waits until the plugin is loaded. */
status_class cell_start(const cell_settings *settings, cell **cell_out, status *st);
/* Asks it to end, waits up to `timeout_ms`, kills it. NULL is fine. */
void cell_stop(cell *c, int timeout_ms);
pid_t cell_pid(const cell *c);
const char *cell_sandbox(const cell *c); /* JSON */
unsigned cell_broker_generation(const cell *c);
bool cell_dead(const cell *c);
const char *cell_death(const cell *c); /* why; "" while it lives */
cell_fate cell_how(const cell *c);
int cell_signal(const cell *c); /* of CELL_SIGNALLED */
/* Anonymous and shared memory now; 0 = it has ended. */
int64_t cell_memory(const cell *c);
/* It ended while nobody spoke with it: then it is dead from now on. */
bool cell_gone(cell *c);
/* Kills it for a reason of the host's own. */
void cell_condemn(cell *c, const char *why);

/* A writer on the arena to the cell, empty: the arguments of the next request. */
frame_writer cell_arguments(cell *c);

typedef struct cell_answer {
    pst_status status;
    uint8_t *frame; /* a copy, the caller's to free; NULL when empty */
    size_t len;
} cell_answer;

/* Sends a request with the arguments in `w` and waits for its answer. TIMEOUT: it was killed at its deadline;
 * UNAVAILABLE: it died; LIMIT: the arguments are too large (the cell is fine). */
status_class cell_exchange(cell *c, wire_type type, uint32_t rows, int64_t budget_us, const frame_writer *w,
                           cell_answer *answer_out, status *st);
#endif
