/* Calls of metric engines and models. Arguments are taken in the order in which the host writes them
 * (host/plugin/instance_work.c). */
#include <stdlib.h>
#include <string.h>

#include "cell/call_arguments.h"
#include "cell/call_table.h"
#include "penstock/batch.h"

static void discard(request *q, const pst_metric_engine *engine, void *prepared)
{
    if (REACHES(engine, pst_metric_engine, discard))
        engine->discard(q->s->self, prepared);
}

pst_status call_prepare(request *q)
{
    const pst_metric_engine *engine = interface_of(q, PST_IF_METRIC);
    const char *definition = take_text(q, FRAME_DEFINITION);
    if (!REACHES(engine, pst_metric_engine, prepare))
        return PST_E_UNSUPPORTED;
    if (!definition)
        return malformed(q);
    void *prepared = NULL;
    pst_status status = engine->prepare(q->s->self, &q->call, definition, &prepared, q->error);
    discard(q, engine, prepared);
    return status;
}

pst_status call_evaluate(request *q)
{
    const pst_metric_engine *engine = interface_of(q, PST_IF_METRIC);
    const char *definition = take_text(q, FRAME_DEFINITION), *parameters = take_text(q, FRAME_PARAMETERS);
    if (!REACHES(engine, pst_metric_engine, evaluate))
        return PST_E_UNSUPPORTED;
    if (!definition || !parameters || !arrow_inputs_read(&q->arguments, &q->inputs))
        return malformed(q);
    void *prepared = NULL;
    pst_batch b = {.struct_size = sizeof b};
    pst_status status = engine->prepare(q->s->self, &q->call, definition, &prepared, q->error);
    if (status == PST_OK)
        status = engine->evaluate(q->s->self, &q->call, prepared, parameters, q->inputs.items, q->inputs.n,
                                  &b, q->error);
    if (status == PST_OK)
        status = arrow_batch_write(&q->answer, &b, q->error);
    else
        arrow_batch_release(&b);
    discard(q, engine, prepared);
    return status;
}

pst_status call_train(request *q)
{
    const pst_train *train = interface_of(q, PST_IF_TRAIN);
    if (!REACHES(train, pst_train, train))
        return PST_E_UNSUPPORTED;
    if (!arrow_inputs_read(&q->arguments, &q->inputs))
        return malformed(q);
    pst_blob artifact = {.struct_size = sizeof artifact}, info = {.struct_size = sizeof info};
    pst_status status =
        train->train(q->s->self, &q->call, q->inputs.items, q->inputs.n, &artifact, &info, q->error);
    put_blob(q, FRAME_ARTIFACT, &artifact);
    put_blob(q, FRAME_JSON, &info);
    return status;
}

pst_status call_context(request *q)
{
    const pst_infer *infer = interface_of(q, PST_IF_INFER);
    if (!infer)
        return PST_E_UNSUPPORTED;
    bool asks = REACHES(infer, pst_infer, context_rows);
    frame_put(&q->answer, FRAME_NUMBER, asks ? infer->context_rows(q->s->self) : 0, NULL, 0);
    return PST_OK;
}

static void unload(session *s, const pst_infer *infer, void *loaded)
{
    if (REACHES(infer, pst_infer, unload))
        infer->unload(s->self, loaded);
}

void model_forget(session *s)
{
    if (s->artifact)
        unload(s, s->plugin->get_interface(PST_IF_INFER), s->loaded);
    free(s->artifact);
    s->artifact = s->loaded = NULL;
    s->artifact_len = 0;
}

/* Loads the artifact unless it is the one that is loaded. */
static pst_status model_load(request *q, const pst_infer *infer, pst_bytes artifact)
{
    session *s = q->s;
    if (s->artifact && s->artifact_len == artifact.len && !memcmp(s->artifact, artifact.data, artifact.len))
        return PST_OK;
    model_forget(s);
    pst_status status = infer->load(s->self, &q->call, artifact, &s->loaded, q->error);
    if (status != PST_OK)
        return status;
    s->artifact = malloc(artifact.len + 1);
    if (!s->artifact) {
        unload(s, infer, s->loaded);
        return pst_fail(q->error, PST_E_RESOURCE, NULL, "no memory for the model");
    }
    if (artifact.len)
        memcpy(s->artifact, artifact.data, artifact.len);
    s->artifact_len = artifact.len;
    return PST_OK;
}

typedef pst_status (*scorer)(void *self, const pst_call *, const void *loaded, const pst_input *inputs,
                             size_t n_inputs, pst_batch *out, pst_error *);

/* infer and explain: the same arguments, an answer of their own. */
static pst_status score(request *q, scorer run)
{
    const pst_infer *infer = interface_of(q, PST_IF_INFER);
    if (!run || !REACHES(infer, pst_infer, load))
        return PST_E_UNSUPPORTED;
    pst_bytes artifact = take_bytes(q, FRAME_ARTIFACT);
    if (!arrow_inputs_read(&q->arguments, &q->inputs))
        return malformed(q);
    pst_batch b = {.struct_size = sizeof b};
    pst_status status = model_load(q, infer, artifact);
    if (status == PST_OK)
        status = run(q->s->self, &q->call, q->s->loaded, q->inputs.items, q->inputs.n, &b, q->error);
    if (status == PST_OK)
        return arrow_batch_write(&q->answer, &b, q->error);
    arrow_batch_release(&b);
    return status;
}

pst_status call_infer(request *q)
{
    const pst_infer *infer = interface_of(q, PST_IF_INFER);
    return score(q, REACHES(infer, pst_infer, infer) ? infer->infer : NULL);
}

pst_status call_explain(request *q)
{
    const pst_explain *explain = interface_of(q, PST_IF_EXPLAIN);
    return score(q, REACHES(explain, pst_explain, explain) ? explain->explain : NULL);
}
