#include "flow/plan.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/shared.h"
#include "base/text.h"
#include "control/definition_table.h"
#include "flow/metric_sql.h"
#include "flow/refresh_sql.h"
#include "store/copy.h"

enum { PLAN_ARENA_BYTES = 4096 };

/* The decoder of a store is the same for all workspaces that share its definition (see definition.c): the
 * store's place in memory says which it is, and whoever holds the decoder holds the definition too. */
typedef struct shared_decoder {
    shared shared; /* first */
    decode_plan *plan;
} shared_decoder;

static void shared_decoder_free(shared *s)
{
    shared_decoder *d = (shared_decoder *)s;
    decode_plan_free(d->plan);
    free(d);
}

static shared_table decoders = SHARED_TABLE(shared_decoder_free);

const flow_plan *flow_plan_retain(const flow_plan *p)
{
    atomic_fetch_add(&((flow_plan *)p)->references, 1);
    return p;
}

bool flow_plan_is_alone(const flow_plan *p)
{
    return atomic_load(&((flow_plan *)p)->references) == 1;
}

static void release_parts(flow_plan *p)
{
    for (uint32_t i = 0; i < p->definition->n_datastores; i++) {
        datastore_plan *d = &p->datastores[i];
        shared_release(&decoders, d->decoder);
        upsert_free(d->upsert);
    }
}

void flow_plan_release(const flow_plan *plan)
{
    flow_plan *p = (flow_plan *)plan;
    if (!p || atomic_fetch_sub(&p->references, 1) > 1)
        return;
    release_parts(p);
    definition_release(p->definition);
    arena_free(p->arena);
}

/* ---- datastores ---- */

static status_class make_decoder(datastore_plan *d, status *st)
{
    char digest[DIGEST_TEXT_SIZE];
    digest_text(digest, &d->defined, sizeof d->defined);
    d->decoder = shared_find(&decoders, digest);
    if (!d->decoder) {
        decode_options options = {.time_column = d->defined->time,
                                  .past_us = d->defined->accept_past_us,
                                  .future_us = d->defined->accept_future_us};
        decode_plan *plan = decode_plan_create(d->rows, &options, st);
        if (!plan)
            return st->class;
        shared_decoder *made = memory_zero(1, sizeof *made);
        made->plan = plan;
        d->decoder = shared_put(&decoders, digest, &made->shared);
    }
    d->decode = ((shared_decoder *)d->decoder)->plan;
    return STATUS_OK;
}

static void add_names(arena *a, datastore_plan *d)
{
    text names = {0};
    for (uint32_t i = 0; i < d->table.n_columns; i++)
        text_add_n(&names, d->table.columns[i].name, strlen(d->table.columns[i].name) + 1);
    if (d->table.has_extra)
        text_add_n(&names, "_extra", sizeof "_extra");
    d->names = arena_copy(a, text_or_empty(&names), names.len);
    d->names_len = (uint32_t)names.len;
    d->n_columns = d->table.n_columns + d->table.has_extra;
    text_free(&names);
}

static void make_order(arena *a, datastore_plan *d)
{
    uint32_t *order = arena_zero(a, d->table.n_entity + 1, sizeof *order);
    for (uint32_t i = 0; i < d->table.n_entity; i++)
        order[d->n_order++] = d->table.entity[i];
    if (d->table.time_column >= 0)
        order[d->n_order++] = (uint32_t)d->table.time_column;
    d->order = order;
}

static status_class make_datastore(flow_plan *p, const defined_datastore *defined, datastore_plan *d,
                                   status *st)
{
    text copy = {0};
    *d = (datastore_plan){.plan = p, .defined = defined};
    datastore_table(p->arena, p->wid, defined, &d->table);
    d->rows = defined->plan;
    status_class class = make_decoder(d, st);
    if (class != STATUS_OK)
        return status_wrap(st, "datastore %s", defined->object.key);
    add_names(p->arena, d);
    make_order(p->arena, d);
    if (d->table.conflict != CONFLICT_APPEND)
        d->upsert = upsert_create(&d->table);
    copy_statement(&copy, &d->table);
    d->copy_sql = arena_string_n(p->arena, copy.data, copy.len);
    text_free(&copy);
    return STATUS_OK;
}

/* ---- who depends on a store ---- */

/* Columns of the source that make the dependant's entity; NULL if it does not have them all. */
static uint32_t *entity_columns(arena *a, const store_table *source, const store_table *target)
{
    uint32_t *out = arena_zero(a, target->n_entity, sizeof *out);
    for (uint32_t i = 0; i < target->n_entity; i++) {
        int32_t at = table_column_find(source, target->columns[target->entity[i]].name);
        if (at < 0)
            return NULL;
        out[i] = (uint32_t)at;
    }
    return out;
}

static bool reads(const defined_featurestore *f, object_class class, const char *key)
{
    for (uint32_t i = 0; i < f->n_from; i++)
        if (f->from[i].class == class && strcmp(f->from[i].key, key) == 0)
            return true;
    return false;
}

static void add_feature_dependants(flow_plan *p, object_class class, const store_table *source,
                                   dependant *out, uint32_t *n)
{
    for (uint32_t i = 0; i < p->definition->n_featurestores; i++) {
        const featurestore_plan *f = &p->featurestores[i];
        if (!f->refresh_sql || !reads(f->defined, class, source->key) || source->time_column < 0)
            continue;
        uint32_t *columns = entity_columns(p->arena, source, &f->table);
        if (!columns)
            continue; /* refused when the template was checked */
        out[(*n)++] = (dependant){.class = CLASS_FEATURESTORE,
                                  .index = i,
                                  .name = f->name,
                                  .n_entity = f->table.n_entity,
                                  .entity_columns = columns,
                                  .time_column = (uint32_t)source->time_column,
                                  .bucket = &f->bucket,
                                  .before_us = f->defined->reach_before_us,
                                  .after_us = f->defined->reach_after_us,
                                  .horizon_us = f->defined->horizon_us};
    }
}

static const bucket_rule own_time = {0}; /* a model scores the rows themselves */

static void add_model_dependants(flow_plan *p, const featurestore_plan *source, dependant *out, uint32_t *n)
{
    for (uint32_t i = 0; i < p->definition->n_models; i++)
        if (p->models[i].from == source)
            out[(*n)++] = (dependant){.class = CLASS_MODEL,
                                      .index = i,
                                      .name = p->models[i].name,
                                      .n_entity = source->table.n_entity,
                                      .entity_columns = source->table.entity,
                                      .time_column = (uint32_t)source->table.time_column,
                                      .bucket = &own_time,
                                      .horizon_us = DEFINITION_ANY};
}

static void make_dependants(flow_plan *p)
{
    const definition *d = p->definition;
    for (uint32_t i = 0; i < d->n_datastores; i++) {
        dependant *out = arena_zero(p->arena, d->n_featurestores, sizeof *out);
        p->datastores[i].dependants = out;
        add_feature_dependants(p, CLASS_DATASTORE, &p->datastores[i].table, out,
                               &p->datastores[i].n_dependants);
    }
    for (uint32_t i = 0; i < d->n_featurestores; i++) {
        featurestore_plan *f = &p->featurestores[i];
        if (f->problem)
            continue;
        dependant *out = arena_zero(p->arena, d->n_featurestores + d->n_models, sizeof *out);
        f->dependants = out;
        add_feature_dependants(p, CLASS_FEATURESTORE, &f->table, out, &f->n_dependants);
        add_model_dependants(p, f, out, &f->n_dependants);
    }
}

/* ---- featurestores and models ---- */

/* A featurestore that cannot be refreshed is a state of that store, not a reason to stop the workspace. */
static void note_problem(flow_plan *p, featurestore_plan *f, const status *st)
{
    f->problem = arena_printf(p->arena, "%s%s%s", st->text, st->where[0] ? " at " : "", st->where);
    log_status(LOG_LEVEL_WARN, "plan", "a featurestore cannot be refreshed", st);
}

static void make_featurestores(flow_plan *p)
{
    status st;
    for (uint32_t i = 0; i < p->definition->n_featurestores; i++) {
        featurestore_plan *f = &p->featurestores[i];
        *f = (featurestore_plan){.plan = p, .defined = &p->definition->featurestores[i]};
        f->name = arena_printf(p->arena, "featurestore:%s", f->defined->object.key);
        if (featurestore_table(p->arena, p->wid, f->defined, &f->table, &st) != STATUS_OK ||
            (f->defined->bucket &&
             bucket_rule_read(f->defined->bucket, f->defined->timezone, &f->bucket, &st) != STATUS_OK))
            note_problem(p, f, &st);
    }
    for (uint32_t i = 0; i < p->definition->n_featurestores; i++) {
        featurestore_plan *f = &p->featurestores[i];
        if (!f->problem && refresh_sql_make(p->arena, p, f, &st) != STATUS_OK)
            note_problem(p, f, &st);
    }
}

static void make_models(flow_plan *p)
{
    for (uint32_t i = 0; i < p->definition->n_models; i++) {
        const defined_model *d = &p->definition->models[i];
        model_plan *m = &p->models[i];
        *m = (model_plan){.plan = p, .defined = d};
        m->name = arena_printf(p->arena, "inferencestore:%s", d->infer.into.key);
        m->from = flow_plan_featurestore(p, d->infer.from.key);
        m->source = d->train.from.key ? flow_plan_featurestore(p, d->train.from.key) : NULL;
        m->table = flow_plan_table(p, CLASS_INFERENCESTORE, d->infer.into.key);
    }
}

static void make_metrics(flow_plan *p)
{
    status st;
    for (uint32_t i = 0; i < p->definition->n_metrics; i++) {
        metric_plan *m = &p->metrics[i];
        *m = (metric_plan){.plan = p, .defined = &p->definition->metrics[i]};
        if (metric_sql_make(p->arena, p, m, &st) != STATUS_OK)
            m->problem = arena_printf(p->arena, "%s%s%s", st.text, st.where[0] ? " at " : "", st.where);
    }
}

status_class flow_plan_create(const definition *d, uint32_t weight, const flow_plan **out, status *st)
{
    arena *a = arena_create(PLAN_ARENA_BYTES);
    flow_plan *p = arena_zero(a, 1, sizeof *p);
    status_class class = STATUS_OK;
    p->arena = a;
    p->definition = definition_retain(d);
    p->references = 1;
    p->wid = d->wid;
    p->weight = weight;
    p->datastores = arena_zero(a, d->n_datastores, sizeof *p->datastores);
    p->featurestores = arena_zero(a, d->n_featurestores, sizeof *p->featurestores);
    p->models = arena_zero(a, d->n_models, sizeof *p->models);
    p->metrics = arena_zero(a, d->n_metrics, sizeof *p->metrics);
    p->inferencestores = arena_zero(a, d->n_inferencestores, sizeof *p->inferencestores);
    for (uint32_t i = 0; i < d->n_inferencestores; i++)
        inferencestore_table(a, p->wid, &d->inferencestores[i], &p->inferencestores[i]);
    for (uint32_t i = 0; class == STATUS_OK && i < d->n_datastores; i++)
        class = make_datastore(p, &d->datastores[i], &p->datastores[i], st);
    if (class != STATUS_OK) {
        flow_plan_release(p);
        return class;
    }
    make_featurestores(p);
    make_models(p);
    make_dependants(p);
    make_metrics(p);
    *out = p;
    return STATUS_OK;
}

/* ---- look-ups ---- */

const datastore_plan *flow_plan_datastore(const flow_plan *p, const char *key)
{
    const defined_datastore *d = definition_datastore(p->definition, key);
    return d ? &p->datastores[d - p->definition->datastores] : NULL;
}

const featurestore_plan *flow_plan_featurestore(const flow_plan *p, const char *key)
{
    const defined_featurestore *f = definition_featurestore(p->definition, key);
    return f ? &p->featurestores[f - p->definition->featurestores] : NULL;
}

const model_plan *flow_plan_model(const flow_plan *p, const char *key)
{
    const defined_model *m = definition_model(p->definition, key);
    return m ? &p->models[m - p->definition->models] : NULL;
}

const metric_plan *flow_plan_metric(const flow_plan *p, const char *key)
{
    const defined_metric *m = definition_metric(p->definition, key);
    return m ? &p->metrics[m - p->definition->metrics] : NULL;
}

static const bucket_rule *bucket_of(const featurestore_plan *f)
{
    return f && bucket_nominal_us(&f->bucket) ? &f->bucket : NULL;
}

const bucket_rule *flow_plan_bucket(const flow_plan *p, const store_table *table)
{
    if (table->class == STORE_FEATURESTORE)
        return bucket_of(flow_plan_featurestore(p, table->key));
    for (uint32_t i = 0; table->class == STORE_INFERENCESTORE && i < p->definition->n_models; i++)
        if (p->models[i].table == table)
            return bucket_of(p->models[i].from);
    return NULL;
}

const store_table *flow_plan_table(const flow_plan *p, object_class class, const char *key)
{
    if (class == CLASS_DATASTORE) {
        const datastore_plan *d = flow_plan_datastore(p, key);
        return d ? &d->table : NULL;
    }
    if (class == CLASS_FEATURESTORE) {
        const featurestore_plan *f = flow_plan_featurestore(p, key);
        return f && f->table.n_columns > 0 ? &f->table : NULL;
    }
    const defined_inferencestore *i =
        class == CLASS_INFERENCESTORE ? definition_inferencestore(p->definition, key) : NULL;
    return i ? &p->inferencestores[i - p->definition->inferencestores] : NULL;
}
