/* The statement that recomputes dirty keys of a featurestore, made once from the author's SQL.
 *
 *   WITH "penstock keys" AS …, "penstock ranges" AS …,            -- arrays that the host gives
 *        "datastore:a" AS NOT MATERIALIZED (…rows of the ranges…)  -- one for each store that has the key's
 * columns INSERT INTO "featurestore"."f_wid1" (…) SELECT … FROM (<author's SQL>) q WHERE <q's key is one of
 * the keys>
 *
 * The author's SQL is what the guard deparsed. Its parameters are $1 … $n_params; behind them the host binds
 *   starts timestamptz[], key entities text[] (one array a column),
 *   range starts timestamptz[], range ends timestamptz[], range entities text[] (one array a column).
 * Ranges are the keys' buckets, widened by the store's reach and merged, so neighbouring keys cost one index
 * scan.
 *
 * Where many keys lie together (rows that are appended) a second statement reads their sources in one block:
 * from the first to the last time that is needed, for the entities that are dirty. It takes the same keys,
 * then from, to, and one array of values for each entity column.
 *
 * The third statement computes every key of a stretch of time, for builds: behind the author's parameters
 * the first bucket, the bucket behind the last one, and the times between which the sources are read. */
#ifndef PENSTOCK_FLOW_REFRESH_SQL_H
#define PENSTOCK_FLOW_REFRESH_SQL_H
#include "base/arena.h"
#include "flow/plan.h"

#define REFRESH_BUCKETS_A_ROW_MAX 1000 /* that a row may dirty with the store's reach */

/* Fills refresh_sql, block_sql, range_sql, params and n_params of `f`; its `table` and the plan's tables must
 * be there.
 */
status_class refresh_sql_make(arena *a, const flow_plan *plan, featurestore_plan *f, status *st);
#endif
