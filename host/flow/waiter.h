/* Requests that want their answer after the rows are in the table (`?wait=stored`), by request id.
 *
 * Intake registers a request before it submits its records and says how many there are; the writer reports
 * each record that a data-plane commit has settled. When the last one is, the callback runs on the thread
 * that reported it and must not block. All functions may be called from any thread. */
#ifndef PENSTOCK_FLOW_WAITER_H
#define PENSTOCK_FLOW_WAITER_H
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

typedef struct waiter_table waiter_table;

/* What became of the records of one request. */
typedef struct waiter_result {
    status_class class; /* STATUS_OK, or why it is not known (STATUS_TIMEOUT: accepted, but not stored in
                           time) */
    uint64_t stored, duplicate, dead;
} waiter_result;
typedef void (*waiter_done)(void *arg, const waiter_result *result);

waiter_table *waiter_table_create(void);
/* Calls every waiter with STATUS_UNAVAILABLE, then frees. NULL is fine. */
void waiter_table_free(waiter_table *t);
/* `id` must not be registered already. deadline_us is on the monotonic clock. Returns how many wait now. */
uint32_t waiter_add(waiter_table *t, const char *id, uint32_t n_records, int64_t deadline_us,
                    waiter_done done, void *arg);
/* Takes a registration back without calling it (its records were not accepted); false = it has been called.
 */
bool waiter_remove(waiter_table *t, const char *id);
/* One record of that request is settled; unknown ids are fine (nobody waits). */
void waiter_report(waiter_table *t, const char *id, uint64_t stored, uint64_t duplicate, uint64_t dead);
/* Ends those whose deadline has passed. */
void waiter_expire(waiter_table *t, int64_t now_us);
#endif
