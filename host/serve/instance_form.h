/* An instance of a plugin as the API shows it: how its process is, what happened to it, what it may do, what
 * it counts. */
#ifndef PENSTOCK_SERVE_INSTANCE_FORM_H
#define PENSTOCK_SERVE_INSTANCE_FORM_H
#include <jansson.h>

#include "flow/flow.h"

/* `current`: the hash of the version that serves. A new reference. */
json_t *instance_json(const instance_state *s, const char *current);

/* What all instances of one plugin come to. */
typedef struct instance_sum {
    unsigned instances, running, quarantined;
    uint64_t deaths, suspects, poisons, recycles;
} instance_sum;
void instance_sum_add(instance_sum *sum, const instance_state *s);
json_t *instance_sum_json(const instance_sum *sum);

#define INSTANCE_SUM_SCHEMA                                                                                 \
    "{\"type\":\"object\",\"properties\":{\"instances\":" RESOURCE_INTEGER ",\"running\":" RESOURCE_INTEGER \
    ",\"quarantined\":" RESOURCE_INTEGER ",\"deaths\":" RESOURCE_INTEGER ",\"suspects\":" RESOURCE_INTEGER  \
    ",\"dead_letters\":" RESOURCE_INTEGER ",\"recycles\":" RESOURCE_INTEGER "}}"
#define INSTANCE_SCHEMA                                                                                      \
    "{\"type\":\"object\",\"required\":[\"workspace\",\"name\",\"condition\"],\"properties\":{"              \
    "\"workspace\":" RESOURCE_TEXT ",\"name\":" RESOURCE_TEXT ",\"version\":" RESOURCE_TEXT                  \
    ",\"hash\":" RESOURCE_TEXT ",\"current\":{\"type\":\"boolean\"},\"condition\":{\"enum\":[\"stopped\","   \
    "\"running\",\"waiting\",\"quarantined\",\"unloaded\"]},\"pid\":" RESOURCE_INTEGER                       \
    ",\"source_open\":{\"type\":\"boolean\"},\"memory_bytes\":" RESOURCE_INTEGER                             \
    ",\"calls\":" RESOURCE_INTEGER ",\"failures\":" RESOURCE_INTEGER ",\"starts\":" RESOURCE_INTEGER         \
    ",\"swaps\":" RESOURCE_INTEGER ",\"deaths\":" RESOURCE_INTEGER ",\"last_death\":" RESOURCE_TEXT_OR_NULL  \
    ",\"denials\":" RESOURCE_INTEGER ",\"last_denial\":" RESOURCE_TEXT_OR_NULL                               \
    ",\"trouble\":" RESOURCE_TEXT_OR_NULL ",\"last_death_at\":" RESOURCE_TIME_OR_NULL                        \
    ",\"retry_in_seconds\":{\"type\":[\"number\",\"null\"]},"                                                \
    "\"suspects\":" RESOURCE_INTEGER ",\"dead_letters\":" RESOURCE_INTEGER ",\"recycles\":" RESOURCE_INTEGER \
    ",\"evictions\":" RESOURCE_INTEGER ",\"rows\":" RESOURCE_INTEGER ",\"rejects\":" RESOURCE_INTEGER        \
    ",\"call_seconds\":{\"type\":\"number\"},\"sandbox\":{},\"metrics\":{\"type\":\"object\"}}}"
#endif
