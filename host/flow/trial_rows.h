/* What the rows of a connector look like before there is a store for them: payloads that discover showed,
 * read by the connector's `decode`. Every column may hold anything; times are recognised by what `map` says
 * of them. */
#ifndef PENSTOCK_FLOW_TRIAL_ROWS_H
#define PENSTOCK_FLOW_TRIAL_ROWS_H
#include <jansson.h>

#include "control/definition.h"

enum { TRIAL_ROWS_LEARNT = 1000 };

/* `payloads`: [{payload, meta}]. A list of rows; NULL: there are none, `decode` says nothing, or
 * the format is none of JSON. A new reference. */
json_t *trial_rows(const defined_connector *c, const json_t *payloads);
#endif
