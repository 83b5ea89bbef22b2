/* Is a statement nothing but "the newest row of each"? `SELECT DISTINCT ON (a, b) … FROM store ORDER BY a, b,
 * time DESC`, one store, columns only, no condition. Of such a one it is known that a row says nothing once
 * there is a newer one. Whatever else it may be is not recognised, which costs speed only. */
#ifndef PENSTOCK_STORE_SQL_LATEST_H
#define PENSTOCK_STORE_SQL_LATEST_H
#include <pg_query/pg_query.pb-c.h>

#include "store/sql_guard.h"

/* Sets latest_by and latest_time of `out`, or leaves them. */
void sql_latest_find(arena *a, const PgQuery__ParseResult *parsed, sql_statement *out);
#endif
