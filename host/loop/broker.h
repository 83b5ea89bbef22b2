/* The broker: a small process beside the nursery that answers what sandboxed cells may not do by themselves.
 * A cell's system calls that its filter does not allow arrive there; it connects and sends on the cell's
 * behalf to addresses that the cell's rules name, resolves the names in them, and refuses and reports
 * everything else.
 *
 * Each cell gets a door (wire/door.h), made by broker_admit together with its rules, before it is started.
 * When the broker dies, the calls of its cells fail with ENOSYS: nothing opens. A new one is started at once
 * for the next cells; broker_generation tells the owner of a cell that its broker is gone.
 *
 * All functions may be called from any thread; on_denied runs on the broker's own thread in the host and must
 * not call back. */
#ifndef PENSTOCK_LOOP_BROKER_H
#define PENSTOCK_LOOP_BROKER_H
#include <stdint.h>

#include "base/status.h"
#include "loop/broker_rules.h"
#include "loop/nursery.h"

typedef struct broker broker;

typedef struct broker_admission {
    uint64_t tag; /* the owner's name for the cell; several cells may share one */
    bool network; /* false: no network at all */
    const broker_reach *reach;
    size_t n_reach;             /* at most BROKER_REACH_MAX */
    const broker_range *ranges; /* not public, but granted */
    size_t n_ranges;            /* at most BROKER_RANGES_MAX */
} broker_admission;

/* `what`: one sentence, new for this cell; "" when only the count has grown. `count`: since the last time. */
typedef void (*broker_denied)(void *arg, uint64_t tag, const char *what, uint64_t count);

/* UNSUPPORTED if the nursery cannot make one (a fake). */
status_class broker_start(nursery *n, broker_denied on_denied, void *arg, broker **broker_out, status *st);
void broker_stop(broker *b); /* NULL is fine; cells that still run lose their network */

/* *door_out: the cell's end, the caller's to pass on and close. */
status_class broker_admit(broker *b, const broker_admission *a, int *door_out, status *st);
/* One more place for all cells of the tag; in force before anything that the cell is told afterwards. */
void broker_reach_add(broker *b, uint64_t tag, const broker_reach *more);
pid_t broker_pid(broker *b);           /* 0 = none */
unsigned broker_generation(broker *b); /* grows when a broker was lost */
#endif
