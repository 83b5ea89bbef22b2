/* Looks whether the ledgers balance, raises the alarm when one does not, and folds minutes older than 48
 * hours into hours.
 *
 * `received` of a row of the ledger comes from the journal, the rest from what PostgreSQL said it did, so a
 * row that does not add up means that rows were lost or counted wrongly on the way (or that somebody changed
 * the table). Every period the workspaces that had something booked are looked at, and a tenth of the others;
 * a finding stays until a look finds the books right again: error in the log when it begins, info when it
 * ends, in between in the status and on /metrics. The work runs on a lane of its own. Also keeps what this
 * host booked of each workspace, for /metrics. */
#ifndef PENSTOCK_FLOW_LEDGER_WATCH_H
#define PENSTOCK_FLOW_LEDGER_WATCH_H
#include <stdbool.h>
#include <stdint.h>

#include "base/name.h"
#include "flow/ledger.h"
#include "loop/lane.h"
#include "store/pool.h"

#define LEDGER_MINUTES_US (48 * INT64_C(3600000000)) /* older ones become hours */

typedef struct ledger_watch ledger_watch;

typedef struct ledger_subject {
    int32_t wid;
    char workspace[NAME_KEY_MAX + 1];
} ledger_subject;

typedef struct ledger_finding {
    ledger_subject subject;
    int64_t minutes; /* that do not add up */
    char store[NAME_KEY_MAX + 24];
    int64_t minute_us, difference; /* of the first: received less the rest */
} ledger_finding;

typedef struct ledger_watch_parts {
    pool *const *data; /* there when ledger_watch_tick is called first */
    lane_pool *lanes;
    int64_t every_us;
    /* The workspaces that run here, to be freed; [lane]. */
    ledger_subject *(*subjects)(void *arg, uint32_t *n_out);
    void *arg;
} ledger_watch_parts;

ledger_watch *ledger_watch_create(const ledger_watch_parts *parts);
/* No lane job may be posted any more: waits for the one under way. */
void ledger_watch_stop(ledger_watch *w);
void ledger_watch_free(ledger_watch *w); /* NULL is fine */
/* Now and then, on the loop. */
void ledger_watch_tick(ledger_watch *w, int64_t now_us);
/* [any thread] Committed by this host. */
void ledger_watch_book(ledger_watch *w, int32_t wid, const ledger_counts *counts);
/* [any thread] Whether the workspace's ledger was found wrong. */
bool ledger_watch_find(ledger_watch *w, int32_t wid, ledger_finding *out);
uint32_t ledger_watch_findings(ledger_watch *w);
/* [any thread] What this host has booked since it started. */
ledger_counts ledger_watch_booked(ledger_watch *w, int32_t wid);
#endif
