/* PostgreSQL's types as kinds of values, and what its catalogue says of tables. */
#ifndef SQL_CATALOGUE_H
#define SQL_CATALOGUE_H
#include "driver.h"
#include "server.h"

driver_kind catalogue_kind(Oid type); /* 0: it must be asked */
const char *catalogue_name(Oid type); /* "" likewise */
/* Kinds and names of the columns that have none yet. */
pst_status catalogue_ask(server *srv, const pst_call *call, driver_column *columns, size_t n,
                         pst_error *error);
/* Tables, views and foreign tables that this user may read; `table` as for driver_functions. */
pst_status catalogue_list(server *srv, const pst_call *call, const char *table, driver_on_listed on_listed,
                          void *arg, pst_error *error);
#endif
