/* Reads of a workspace's books on the data plane: the ledger, how much lies in each store
 * and how much waits for it. Results are rows, to be freed by the caller. With a connection of the service's
 * login, on a lane. */
#ifndef PENSTOCK_FLOW_ACCOUNTS_H
#define PENSTOCK_FLOW_ACCOUNTS_H
#include "store/connection.h"

/* store, received, stored, updated, duplicate, rejected, dropped, purged, too_late, expired, letters,
 * letter_bytes, unkept, balanced of the minutes in [from, to); 0 = open. */
status_class accounts_ledger(connection *c, int32_t wid, int64_t from_us, int64_t to_us, rows **out,
                             status *st);
/* store ("class:key"), rows (about: PostgreSQL's own statistics), bytes. */
status_class accounts_stores(connection *c, int32_t wid, rows **out, status *st);
/* dependant ("class:key"), marks: what waits to be computed; a bucket may have several. */
status_class accounts_marks(connection *c, int32_t wid, rows **out, status *st);
#endif
