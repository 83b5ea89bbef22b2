/* Tables of a workspace: made, changed additively and dropped from descriptions (table.h). All statements run
 * as the service login, which owns every object; grants to the workspace's login are given here as well.
 * Functions that change something run in their own transaction with a lock timeout and retries: `c` must not
 * be in one. */
#ifndef PENSTOCK_STORE_WORKSPACE_SCHEMA_H
#define PENSTOCK_STORE_WORKSPACE_SCHEMA_H
#include "store/connection.h"
#include "store/table_change.h"

/* penstock.dirty_widN, penstock.ledger_widN, penstock.dead_letter_widN. `role` is the workspace's login.
 * Repeats are fine. */
status_class workspace_schema_create(connection *c, int32_t wid, const char *role, status *st);
/* Drops every table of the workspace, its marks, ledger and positions. */
status_class workspace_schema_drop(connection *c, int32_t wid, status *st);

/* Makes the store's table and indexes; a table that is already there with the same shape is fine. */
status_class store_create(connection *c, const store_table *table, const char *role, status *st);

/* Applies what leads from one description to the other (table_change.h). STATUS_CONFLICT when a change is
 * refused; a rewrite only when `allow_rewrite`. */
status_class store_alter(connection *c, const store_table *from, const store_table *to, bool allow_rewrite,
                         status *st);
status_class store_drop(connection *c, store_class class, const char *key, int32_t wid, status *st);
#endif
