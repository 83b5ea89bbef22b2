/* Metric SQL, compiled once a plan: references become the workspace's tables, `:name` becomes $n.
 * The as-of form sees the stores as they were at a moment of data time: a raw row from its time on, a bucket
 * from its end on. It binds that moment behind the metric's own parameters. */
#ifndef PENSTOCK_FLOW_METRIC_SQL_H
#define PENSTOCK_FLOW_METRIC_SQL_H
#include "base/arena.h"
#include "flow/plan.h"

status_class metric_sql_make(arena *a, const flow_plan *plan, metric_plan *m, status *st);
#endif
