/* The inside of a flow, shared by flow.c (its life, journal and writers), flow_workspaces.c (which workspaces
 * run here), flow_questions.c (what is asked of one) and flow_figures.c (what is seen of all). */
#ifndef PENSTOCK_FLOW_FLOW_PRIVATE_H
#define PENSTOCK_FLOW_FLOW_PRIVATE_H
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

#include "flow/crew.h"
#include "flow/flow.h"
#include "flow/ledger_watch.h"
#include "flow/lost_journal.h"
#include "flow/tenant.h"
#include "flow/waiter.h"

enum { FLOW_WRITERS_MAX = 16 };

struct flow {
    flow_parts parts;
    char models_folder[PATH_MAX];
    journal *journal;
    intake *intake;
    waiter_table *waiters;
    live_hub *live;
    lane_pool *sink_lanes;
    ledger_watch *ledgers;
    partition_cache *partitions;
    unsigned n_writers;
    writer *writers[FLOW_WRITERS_MAX];
    crew *crew;
    atomic_bool writing;
    lost_journal lost;
    atomic_bool held; /* a journal is missing: no writer works and no source is read */
    timer *tick;
    pthread_mutex_t lock;
    tenant **tenants; /* by wid; under the lock */
    uint32_t n_tenants, cap_tenants;
    bool started;
};

/* ---- flow_workspaces.c ---- */

/* Under the lock. *at_out is where it stands, or belongs. */
tenant *flow_find_locked(flow *f, int32_t wid, uint32_t *at_out);
/* Retained; NULL with the reason (`st` may be NULL). */
tenant *flow_tenant(flow *f, int32_t wid, status *st);
/* Those that the ledgers are looked at for; of a flow, the caller frees the list. */
ledger_subject *flow_ledger_subjects(void *flow, uint32_t *n_out);
#endif
