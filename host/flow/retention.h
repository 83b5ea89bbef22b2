/* Retention: rows older than a store keeps them go, by whole partitions where there are some, else in short
 * deletes. A row goes only when everything that is computed from it is: marks that wait, a build that is
 * under way and rows that still wait in the journal hold it back. What a store has lost is its horizon
 * (penstock.object): no bucket that needs rows before it is computed again.
 *
 *   wish  = now (or the receipt of the oldest row in the journal) − retention
 *   until = wish, or what the slowest dependant still needs
 *
 * A partition goes when it ends at or before `until`; single rows in the others only where a partition is
 * wider than a tenth of the retention, so that 400d kept by months costs no DELETE. What went is booked in
 * the ledger (`expired`) in the transaction that removed it. One host at a time runs it for a workspace: a
 * lease in penstock.task. Time is the caller's. All on the service's login. */
#ifndef PENSTOCK_FLOW_RETENTION_H
#define PENSTOCK_FLOW_RETENTION_H
#include <jansson.h>

#include "flow/plan.h"
#include "store/connection.h"
#include "store/partitions.h"

#define RETENTION_EVERY_US (INT64_C(3600) * 1000000)
#define RETENTION_LEASE_US (INT64_C(600) * 1000000)

typedef struct retention_parts {
    const flow_plan *plan;
    connection *c;
    partition_cache *partitions;
    const char *host; /* owner of the lease */
    int64_t now_us;
    int64_t waiting_us; /* receipt of the oldest row that waits in the journal; 0 = none */
} retention_parts;

typedef struct retention_store {
    const store_table *table;
    int64_t retention_us, wish_us, until_us; /* until < wish: held back */
    char held_by[96];                        /* who holds it back; "" = nobody */
    uint32_t partitions;                     /* that go, or went */
    uint64_t rows;                           /* in them and beside them */
    int64_t horizon_us;                      /* afterwards; INT64_MIN = whole */
} retention_store;

/* What would go now, store by store (those with a retention); changes nothing. In the arena. */
status_class retention_preview(const retention_parts *p, arena *a, retention_store **out, uint32_t *n_out,
                               status *st);
/* Runs it if it is due and no other host does: *ran_out. */
status_class retention_run(const retention_parts *p, arena *a, retention_store **out, uint32_t *n_out,
                           bool *ran_out, status *st);
/* Makes it due at once. */
status_class retention_ask(const retention_parts *p, status *st);
/* [{store, retention, keeps_from, held_by, partitions, rows, horizon}]; a new reference. */
json_t *retention_json(const retention_store *stores, uint32_t n);
#endif
