/* A connector that reads a table or a query of a database: all of it again and again, or what is new by a
 * column that grows (mark.h). Rows come in batches of some MiB from a server-side cursor in a read-only
 * transaction, so one batch is in memory, however long the table.
 *
 * A plugin makes a driver, gives it to tables_create, and has the interfaces from here; its config schema has
 * the settings that tables.c and statement.c read: table, query, parameters, cursor, key, start, overlap,
 * every_s, timezone, statement_timeout_ms, max_row_bytes. */
#ifndef TABLES_TABLES_H
#define TABLES_TABLES_H
#include "driver.h"

/* Takes over the driver (which may be NULL: no memory), also when it fails. *self_out is for the interfaces.
 */
pst_status tables_create(const pst_host *host, driver *d, void **self_out, pst_error *error);
void tables_free(void *self); /* NULL is fine */
/* Of the names PST_IF_SOURCE, PST_IF_CHECK, PST_IF_DISCOVER; NULL for others. */
const void *tables_interface(const char *id);
#endif
