/* A metric that a plugin works out of inputs: the call, and what is done when it kills the plugin. */
#ifndef PENSTOCK_FLOW_METRIC_ENGINE_H
#define PENSTOCK_FLOW_METRIC_ENGINE_H
#include <jansson.h>

#include "base/arena.h"
#include "control/definition.h"
#include "flow/poison.h"

typedef struct metric_order {
    poison_place place;
    const defined_metric *metric;
    const json_t *params;   /* NULL = all defaults */
    instance_input *inputs; /* metric->n_inputs */
} metric_order;

/* CONFLICT: a row among the inputs kills the plugin (it lies in the dead letters): there is no value, rather
 * than a wrong one. Such a row is asked about once; later evaluations know it and leave the plugin alone. */
status_class metric_evaluate(const metric_order *order, arena *a, instance_batch **answer_out, status *st);
#endif
