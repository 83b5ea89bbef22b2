/* Statements that change tables: in one transaction, which waits for a lock so long only that whoever queues
 * behind it need not wait for a long query, and is tried again. */
#ifndef PENSTOCK_STORE_DDL_H
#define PENSTOCK_STORE_DDL_H
#include "base/text.h"
#include "store/connection.h"

/* `body`: one or several statements. `c` must not be inside a transaction. */
status_class ddl_run(connection *c, const char *name, const text *body, status *st);
#endif
