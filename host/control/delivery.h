/* The durable delivery queue: what notifiers have to tell. An id is made of the event, so queueing the same
 * event again changes nothing; a claim is a lease, so a host that dies in the middle of sending leaves it to
 * the next: at least once, with the same id. */
#ifndef PENSTOCK_CONTROL_DELIVERY_H
#define PENSTOCK_CONTROL_DELIVERY_H
#include <stdbool.h>

#include "base/arena.h"
#include "store/connection.h"

typedef struct delivery {
    const char *id;
    int32_t wid;
    const char *alert, *labels, *event, *notifier;
    const char *message; /* JSON: severity, at_us, title, text, html, labels */
    const char *state;   /* ready, claimed, sent, failed */
    int64_t attempt, fence, due_us;
    const char *error, *external; /* NULL = none */
} delivery;

/* Inside the caller's transaction. Queued already: fine. */
status_class delivery_add(connection *c, const delivery *d, status *st);
/* Takes at most `limit` that are due, of workspace `wid` (0 = of all), for `lease_us`. */
status_class deliveries_claim(connection *c, int32_t wid, uint32_t limit, int64_t lease_us, arena *a,
                              delivery **out, uint32_t *n_out, status *st);
/* How long until the next one is due or its lease ends: ≤ 0 = now, INT64_MAX = none waits. */
status_class deliveries_next(connection *c, int32_t wid, int64_t *in_us_out, status *st);
/* Ends a claim. STATUS_CONFLICT when the lease went to somebody else meanwhile. */
status_class delivery_sent(connection *c, const delivery *d, const char *external, status *st);
status_class delivery_failed(connection *c, const delivery *d, const char *error, status *st);
status_class delivery_retry(connection *c, const delivery *d, const char *error, int64_t in_us, status *st);
/* The newest ones of a workspace. */
status_class deliveries_list(connection *c, int32_t wid, uint32_t limit, arena *a, delivery **out,
                             uint32_t *n_out, status *st);
#endif
