/* A trial: a connector's configuration tried out in a cell of its own, beside whatever runs. check asks the
 * plugin, then reads a source's first rows and decodes them as intake would; nothing is acknowledged, stored
 * or kept. discover asks what streams there are and proposes a datastore for each.
 *
 * What a plugin says may hold what it was given: the values of secrets that it fetched are taken out. */
#ifndef PENSTOCK_FLOW_TRIAL_H
#define PENSTOCK_FLOW_TRIAL_H
#include "flow/flow.h"

#define TRIAL_ROWS 10U           /* shown, and read */
#define TRIAL_READ_US 10000000LL /* how long the first rows are waited for */
#define TRIAL_STREAMS_MAX 500U   /* of one answer of discover */
#define TRIAL_TEXT_MAX 2000U     /* of a payload that is shown */

typedef struct trial_parts {
    const flow_parts *flow;
    const flow_plan *plan;
    const defined_connector *connector; /* its `into` may be empty: then nothing is decoded */
} trial_parts;

/* {checked, rows: [{store, row}], rejects: [{code, pointer, detail, payload}], took_ms, note}; a new
 * reference. STATUS_INVALID: what is wrong, where = a pointer into the connector. STATUS_UNAVAILABLE: the far
 * side. [lane] */
status_class trial_check(const trial_parts *parts, json_t **out, status *st);
/* {streams: [{stream, title, key, schema, example, columns}], yaml}; a new reference. [lane] */
status_class trial_discover(const trial_parts *parts, json_t **out, status *st);
#endif
