/* JSON objects of a template → the structs of definition.h. Internal to the module: definition.c makes the
 * arena and the index. What stands in a checked template always reads; anything else gives STATUS_INVALID
 * with a pointer. */
#ifndef PENSTOCK_CONTROL_DEFINITION_READ_H
#define PENSTOCK_CONTROL_DEFINITION_READ_H
#include "base/arena.h"
#include "control/definition.h"

typedef struct definition_reader {
    arena *arena;
    status *st;
    status_class class;       /* of the first thing that went wrong */
    json_t *empty;            /* {}, stands for absent mappings */
    const defined_object *at; /* what is being read, for pointers */
    struct row_plan **plans;  /* made on the way; the definition frees them */
    unsigned n_plans, cap_plans;
} definition_reader;

/* Each fills everything behind `out->object`, which is set. */
void read_datastore(definition_reader *r, defined_datastore *out);
void read_featurestore(definition_reader *r, defined_featurestore *out, const json_t *columns);
void read_inferencestore(definition_reader *r, defined_inferencestore *out);
void read_model(definition_reader *r, defined_model *out);
void read_metric(definition_reader *r, defined_metric *out);
void read_connector(definition_reader *r, defined_connector *out);
void read_notifier(definition_reader *r, defined_notifier *out);
void read_alert(definition_reader *r, defined_alert *out);
void read_sink(definition_reader *r, defined_sink *out);

/* "> 0.9" */
bool condition_parse(const char *word, alert_condition *ret);
#endif
