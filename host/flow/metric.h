/* Metrics: callers send a name and typed values, never SQL; columns come back.
 *
 * SQL metrics run on a connection of the workspace's own login, read only, with a statement timeout and a row
 * cap; plugin metrics get the inputs that the host fetched the same way. With a row among them that kills the
 * plugin there is no value: the row lies in the dead letters, and the metric answers an error until it is
 * gone or changed, or the plugin's file is another one. */
#ifndef PENSTOCK_FLOW_METRIC_H
#define PENSTOCK_FLOW_METRIC_H
#include <jansson.h>

#include "base/batch_builder.h"
#include "base/text.h"
#include "flow/plan.h"
#include "flow/poison.h"
#include "store/connection.h"

#define METRIC_ROWS_MAX 100000
#define METRIC_TIMEOUT_MS 10000 /* where the host sets no other */

typedef struct metric_request {
    const json_t *params; /* object: values, or their texts; NULL = all defaults */
    int64_t now_us;       /* what `now` means */
    int64_t as_of_us;     /* data time to look from; 0 = everything */
    uint32_t rows_max;    /* more are cut; 0 = METRIC_ROWS_MAX */
    poison_ward *ward;    /* of the workspace, for plugin metrics; may be NULL */
} metric_request;

typedef struct metric_result {
    batch rows;
    const char *const *names; /* rows.n_columns; in the caller's arena */
    bool cut;                 /* there were more rows than rows_max */
    batch_builder *builder;   /* private */
    instance_batch *answer;   /* private */
} metric_result;

/* `engine` is asked for plugin metrics only and may be NULL otherwise. `c` is a connection of the workspace's
 * login. */
status_class metric_run(const metric_plan *m, connection *c, instance *engine, const metric_request *request,
                        arena *a, metric_result *out, status *st);
/* Rows of any query in the same form. */
void metric_result_of_rows(const rows *found, arena *a, metric_result *out);
int metric_result_find(const metric_result *r, const char *name); /* column number or -1 */
void metric_result_free(metric_result *r);                        /* zeroed is fine */

/* RFC 4180 with a header line. Cells that a spreadsheet would take for a formula are kept as they are: this
 * is data. */
void metric_result_csv(const metric_result *r, text *out);
/* One JSON object a line. */
void metric_result_ndjson(const metric_result *r, text *out);

#endif
