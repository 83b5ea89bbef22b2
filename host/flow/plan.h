/* The effective definition of one workspace, compiled for running: row plans, decode plans, table
 * descriptions, upserts, who depends on whom. Made once a generation, immutable, counted by reference;
 * whoever works on a batch, a refresh or a request holds one plan from start to end. Any thread. */
#ifndef PENSTOCK_FLOW_PLAN_H
#define PENSTOCK_FLOW_PLAN_H
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "control/definition.h"
#include "flow/decode.h"
#include "flow/dirty.h"
#include "schema/row_plan.h"
#include "store/sql_guard.h"
#include "store/table.h"
#include "store/upsert.h"

typedef struct flow_plan flow_plan;

/* A featurestore or inferencestore that is computed from a store. */
typedef struct dependant {
    object_class class;
    uint32_t index;   /* into the plan's featurestores or models */
    const char *name; /* "featurestore:key", "inferencestore:key": what dirty marks call it */
    uint32_t n_entity;
    const uint32_t
        *entity_columns;  /* columns of the *source* that make the dependant's entity, in its order */
    uint32_t time_column; /* column of the source that the bucket is made of */
    const bucket_rule *bucket;
    int64_t before_us, after_us; /* its reach */
    int64_t horizon_us;          /* how late a row may be; DEFINITION_ANY = as late as it likes */
} dependant;

typedef struct datastore_plan {
    const flow_plan *plan;
    const defined_datastore *defined;
    const row_plan *rows;   /* the definition's */
    decode_plan *decode;    /* for every format: the context says which; others' too */
    struct shared *decoder; /* that `decode` belongs to */
    store_table table;
    upsert *upsert; /* NULL: append-only */
    const char *copy_sql;
    const uint32_t *order; /* entity, then time: how a batch is sorted before it is sent */
    uint32_t n_order;
    const char *names;             /* the batch's column names, each with its NUL, `_extra` included */
    uint32_t names_len, n_columns; /* of a batch: declared columns and `_extra` */
    const dependant *dependants;
    uint32_t n_dependants;
} datastore_plan;

typedef struct featurestore_plan {
    const flow_plan *plan;
    const defined_featurestore *defined;
    const char *name; /* as in dirty marks */
    store_table table;
    bucket_rule bucket;
    const char *refresh_sql; /* of keys, see refresh_sql.h; NULL = cannot be refreshed, `problem` says why */
    const char *block_sql;   /* of keys that lie together */
    const char *range_sql;   /* of a stretch of time */
    const char *problem;
    const char *const *params; /* names of $k behind the host's own, in refresh_sql */
    uint32_t n_params;
    const dependant *dependants;
    uint32_t n_dependants;
} featurestore_plan;

typedef struct model_plan {
    const flow_plan *plan;
    const defined_model *defined;
    const char *name;                /* "inferencestore:key" that it writes */
    const featurestore_plan *from;   /* what it scores */
    const featurestore_plan *source; /* what it is trained on; NULL = not trained */
    const store_table *table;        /* of the inferencestore */
} model_plan;

/* A metric, compiled. */
typedef struct metric_plan {
    const flow_plan *plan;
    const defined_metric *defined;
    const sql_statement *statement; /* SQL metrics */
    const char *as_of_sql;          /* the same, seeing only rows up to $(n_params + 1): see metric_sql.c */
    /* Where only the newest row of each label counts: also nothing before $(n_params + 2), and of each label
     * only the values in $(n_params + 3) and on. NULL = older rows may count. */
    const char *step_sql;
    const sql_statement **inputs;     /* plugin metrics: of each input that is SQL, else NULL */
    const char *problem;              /* why it cannot be run, or NULL */
    const store_table *driver;        /* the store that moves it: the first one it reads; NULL = none */
    int64_t driver_width_us;          /* a row at t is about [t, t + width); 0 for raw rows */
    const bucket_rule *driver_bucket; /* how the driver's time is cut; NULL for raw rows */
} metric_plan;

struct flow_plan {
    const definition *definition;
    arena *arena;
    _Atomic int references;
    int32_t wid;
    uint32_t weight;            /* in turns (base/turns.h) */
    datastore_plan *datastores; /* as in the definition, index by index */
    featurestore_plan *featurestores;
    store_table *inferencestores;
    model_plan *models;
    metric_plan *metrics;
};

/* `d` is retained; `weight` 0 = the usual one. */
status_class flow_plan_create(const definition *d, uint32_t weight, const flow_plan **out, status *st);
const flow_plan *flow_plan_retain(const flow_plan *p);
void flow_plan_release(const flow_plan *p); /* NULL is fine */
/* The caller's reference is the only one: nobody else can come by another while the caller does not hand one
 * out. */
bool flow_plan_is_alone(const flow_plan *p);

const datastore_plan *flow_plan_datastore(const flow_plan *p, const char *key);
const featurestore_plan *flow_plan_featurestore(const flow_plan *p, const char *key);
const model_plan *flow_plan_model(const flow_plan *p, const char *key);
const metric_plan *flow_plan_metric(const flow_plan *p, const char *key);
/* What a row of a derived store is about; NULL for raw rows. */
const bucket_rule *flow_plan_bucket(const flow_plan *p, const store_table *table);
/* The table of any store; NULL if there is none of that name. */
const store_table *flow_plan_table(const flow_plan *p, object_class class, const char *key);
#endif
