/* Out-structs are guarded: a plugin that writes beyond their end crashes here and not in somebody's memory.
 */
#include "check/drive.h"

#include <string.h>

#include "check/rows.h"
#include "check/verdict.h"

enum { CALL_MS = 10000, IDLE_STEP_MAX_MS = 3600000 };
#define IDLE_MAX_US (86400LL * 1000000)

static pst_batch *fresh_batch(void)
{
    static pst_batch *b;
    b = b ? b : stand_guarded(sizeof *b);
    *b = (pst_batch){.struct_size = sizeof *b};
    return b;
}

static const pst_source *source_of(const stand *t)
{
    return stand_interface(t, PST_IF_SOURCE);
}

void drive_open(stand *t, const taken *after)
{
    pst_bytes cursor = {after ? after->cursor : NULL, after ? after->cursor_len : 0};
    const pst_call *call = stand_call(t, CALL_MS);
    verdict_doing("open");
    pst_status status = source_of(t)->open(t->self, call, cursor, t->error);
    if (status != PST_OK)
        verdict_fail(t->error->where, "open: %s", stand_said(t, status));
}

static void keep(const pst_batch *b, uint32_t max_rows, taken *out)
{
    char why[512];
    text_clear(&out->rows);
    if (!rows_write(b, &out->rows, why, sizeof why))
        verdict_fail("read", "the batch is outside the profile: %s", why);
    if (b->array.length > max_rows)
        verdict_fail("read", "%lld rows came where at most %u were asked for", (long long)b->array.length,
                     max_rows);
    if (b->cursor.len > sizeof out->cursor)
        verdict_fail("read", "a cursor of %zu bytes; at most %d are kept", b->cursor.len, DRIVE_CURSOR_MAX);
    out->n = (size_t)b->array.length;
    out->rejects = b->n_rejects;
    out->cursor_len = b->cursor.len;
    if (b->cursor.len)
        memcpy(out->cursor, b->cursor.data, b->cursor.len);
}

bool drive_take(stand *t, uint32_t max_rows, taken *out)
{
    for (int64_t idle_us = 0; idle_us < IDLE_MAX_US;) {
        pst_batch *b = fresh_batch();
        const pst_call *call = stand_call(t, CALL_MS);
        verdict_doing("read");
        pst_status status = source_of(t)->read(t->self, call, max_rows, b, t->error);
        uint32_t wait_ms = b->next_in_ms;
        if (status == PST_OK)
            keep(b, max_rows, out);
        rows_release(b);
        if (status == PST_OK)
            return true;
        if (status == PST_END)
            return false;
        if (status != PST_IDLE)
            verdict_fail(t->error->where, "read: %s", stand_said(t, status));
        wait_ms = wait_ms ? wait_ms : 1000;
        wait_ms = wait_ms < IDLE_STEP_MAX_MS ? wait_ms : IDLE_STEP_MAX_MS;
        t->wall_us += wait_ms * 1000LL;
        idle_us += wait_ms * 1000LL;
    }
    return false;
}

void drive_ack(stand *t, const taken *b)
{
    if (!source_of(t)->ack || !b->cursor_len)
        return;
    const pst_call *call = stand_call(t, CALL_MS);
    verdict_doing("ack");
    pst_status status = source_of(t)->ack(t->self, call, (pst_bytes){b->cursor, b->cursor_len}, t->error);
    if (status != PST_OK)
        verdict_fail(t->error->where, "ack: %s", stand_said(t, status));
}

bool drive_skip(stand *t, uint32_t most, taken *out)
{
    const pst_source *source = source_of(t);
    if (!PST_HAS(source, pst_source, skip) || !source->skip)
        return false;
    pst_batch *b = fresh_batch();
    const pst_call *call = stand_call(t, CALL_MS);
    verdict_doing("skip");
    pst_status status = source->skip(t->self, call, most, b, t->error);
    if (status != PST_OK)
        verdict_fail(t->error->where, "skip: %s", stand_said(t, status));
    keep(b, 0, out);
    rows_release(b);
    return true;
}

void drive_close(stand *t)
{
    verdict_doing("close");
    source_of(t)->close(t->self);
}

void drive_release(taken *b)
{
    text_free(&b->rows);
}

void drive_rows(stand *t, size_t n, text *out)
{
    static taken b;
    drive_open(t, NULL);
    for (size_t got = 0; got < n && drive_take(t, (uint32_t)(n - got), &b); got += b.n) {
        text_add(out, text_or_empty(&b.rows));
        drive_ack(t, &b);
    }
    drive_close(t);
    drive_release(&b);
}

/* ---- Kinds that answer ---- */

static void input_add(const stand *t, const char *name, const char *file, unsigned repeat, unsigned seed,
                      inputs *out)
{
    char path[4400];
    status st;
    if (out->n == 8)
        verdict_fail("check.json: inputs", "more than 8 inputs");
    project_path(&t->subject->project, file, path, sizeof path);
    if (rows_read(path, repeat, seed, &out->batches[out->n], &st) != STATUS_OK)
        verdict_fail(st.where[0] ? st.where : path, "%s", st.text);
    pst_batch *b = &out->batches[out->n];
    out->items[out->n++] = (pst_input){name, &b->schema, &b->array};
}

void drive_inputs(const stand *t, unsigned repeat, unsigned seed, inputs *out)
{
    const project *p = &t->subject->project;
    memset(out, 0, sizeof *out);
    json_t *named = json_object_get(p->check, "inputs"), *file;
    const char *name, *train = project_text(p, "train");
    if (train) {
        input_add(t, "rows", train, repeat, 0, out);
        out->train = out->batches[0];
        out->has_train = true;
        out->n = 0;
    }
    if (project_text(p, "input"))
        input_add(t, "rows", project_text(p, "input"), repeat, seed, out);
    json_object_foreach(named, name, file)
    {
        input_add(t, name, json_string_value(file), repeat, seed, out);
    }
    if (!out->n)
        verdict_skip("check.json names no input");
}

void drive_inputs_free(inputs *in)
{
    for (size_t i = 0; i < in->n; i++)
        rows_release(&in->batches[i]);
    rows_release(&in->train);
}

static pst_status answer_keep(pst_status status, pst_batch *b, text *out, const char *call)
{
    char why[512];
    if (status == PST_OK && !rows_write(b, out, why, sizeof why))
        verdict_fail(call, "the answer is outside the profile: %s", why);
    rows_release(b);
    return status;
}

static char *json_of(const stand *t, const char *key)
{
    const json_t *given = json_object_get(t->subject->project.check, key);
    return given ? json_dumps(given, JSON_COMPACT) : strdup("{}");
}

static pst_status evaluate(stand *t, const inputs *in, text *out)
{
    const pst_metric_engine *engine = stand_interface(t, PST_IF_METRIC);
    char *definition = json_of(t, "definition"), *parameters = json_of(t, "parameters");
    void *prepared = NULL;
    pst_batch *b = fresh_batch();
    verdict_doing("prepare");
    pst_status status = engine->prepare(t->self, t->call, definition, &prepared, t->error);
    verdict_doing("evaluate");
    if (status == PST_OK)
        status = engine->evaluate(t->self, t->call, prepared, parameters, in->items, in->n, b, t->error);
    status = answer_keep(status, b, out, "evaluate");
    verdict_doing("discard");
    engine->discard(t->self, prepared);
    free(definition);
    free(parameters);
    return status;
}

static void blob_drop(pst_blob *b)
{
    if (b->release)
        b->release(b);
}

/* Scores "rows" with what was learnt; the context is empty. */
static pst_status score(stand *t, const inputs *in, pst_bytes artifact, text *out)
{
    const pst_infer *infer = stand_interface(t, PST_IF_INFER);
    void *loaded = NULL;
    pst_batch *b = fresh_batch();
    verdict_doing("load");
    pst_status status = infer->load(t->self, t->call, artifact, &loaded, t->error);
    verdict_doing("infer");
    if (status == PST_OK)
        status = infer->infer(t->self, t->call, loaded, in->items, in->n, b, t->error);
    if (status == PST_OK && b->flags & PST_BATCH_ALIGNED && b->array.length != in->items[0].array->length)
        verdict_fail("infer", "an aligned answer of %lld rows to %lld rows", (long long)b->array.length,
                     (long long)in->items[0].array->length);
    status = answer_keep(status, b, out, "infer");
    verdict_doing("unload");
    infer->unload(t->self, loaded);
    return status;
}

static pst_status train_and_score(stand *t, const inputs *in, text *out)
{
    const pst_train *train = stand_interface(t, PST_IF_TRAIN);
    pst_blob artifact = {.struct_size = sizeof artifact}, info = {.struct_size = sizeof info};
    pst_input learnt = in->items[0];
    if (in->has_train)
        learnt = (pst_input){"rows", &in->train.schema, &in->train.array};
    pst_status status = PST_OK;
    verdict_doing("train");
    if (train)
        status = train->train(t->self, t->call, &learnt, 1, &artifact, &info, t->error);
    if (status == PST_OK)
        status = score(t, in, (pst_bytes){artifact.data, artifact.len}, out);
    blob_drop(&artifact);
    blob_drop(&info);
    return status;
}

pst_status drive_answer(stand *t, const inputs *in, text *out)
{
    return t->subject->entry->kind == PLUGIN_MODEL ? train_and_score(t, in, out) : evaluate(t, in, out);
}

pst_status drive_send(stand *t)
{
    const pst_send *send = stand_interface(t, PST_IF_SEND);
    const json_t *m = json_object_get(t->subject->project.check, "message");
    const char *id = json_string_value(json_object_get(m, "delivery_id")),
               *title = json_string_value(json_object_get(m, "title"));
    const char *words = json_string_value(json_object_get(m, "text")),
               *severity = json_string_value(json_object_get(m, "severity"));
    pst_message *message = stand_guarded(sizeof *message);
    pst_delivery *delivery = stand_guarded(sizeof *delivery);
    delivery->struct_size = sizeof *delivery;
    *message = (pst_message){.struct_size = sizeof *message,
                             .at_us = t->wall_us,
                             .delivery_id = id ? id : "check-1",
                             .title = title ? title : "Pump 2",
                             .text = words ? words : "pressure is 7.1 bar",
                             .html = "<p>pressure is 7.1 bar</p>",
                             .json = "{\"event\":\"check\"}"};
    message->severity = severity && !strcmp(severity, "critical")  ? PST_SEVERITY_CRITICAL
                        : severity && !strcmp(severity, "warning") ? PST_SEVERITY_WARNING
                                                                   : PST_SEVERITY_INFO;
    verdict_doing("send");
    pst_status status = send->send(t->self, t->call, message, delivery, t->error);
    if (status == PST_OK && delivery->state != PST_DELIVERY_DONE && delivery->state != PST_DELIVERY_ACCEPTED)
        verdict_fail("send", "OK, but the delivery's state is neither DONE nor ACCEPTED");
    return status;
}

/* ---- A sink ---- */

outgoing_ids drive_ids(const inputs *in)
{
    pst_column seq;
    outgoing_ids ids = {"datastore:check", "ws_check/check/1-1", UINT64_MAX, 0};
    if (pst_column_find(in->items[0].schema, in->items[0].array, "_seq", &seq, NULL) != PST_OK ||
        seq.type != PST_INTEGER || seq.rows == 0)
        verdict_fail("check.json: input", "the rows of a sink need a column _seq of whole numbers");
    for (uint32_t i = 0; i < seq.rows; i++) {
        uint64_t at = (uint64_t)pst_column_int(&seq, i);
        ids.first_seq = at < ids.first_seq ? at : ids.first_seq;
        ids.last_seq = at > ids.last_seq ? at : ids.last_seq;
    }
    return ids;
}

/* The refused rows lie in front of a page that cannot be touched, so that one too many is a crash. */
pst_status drive_write(stand *t, const inputs *in, uint32_t flags, size_t *n_refused_out)
{
    const pst_sink *sink = stand_interface(t, PST_IF_SINK);
    outgoing_ids ids = drive_ids(in);
    size_t rows = (size_t)in->items[0].array->length, n = 0;
    pst_refused *refused = stand_guarded(rows * sizeof *refused);
    pst_outgoing *out = stand_guarded(sizeof *out);
    *out = (pst_outgoing){.struct_size = sizeof *out,
                          .flags = flags,
                          .store = ids.store,
                          .batch_id = ids.batch_id,
                          .first_seq = ids.first_seq,
                          .last_seq = ids.last_seq,
                          .schema = in->items[0].schema,
                          .array = in->items[0].array};
    verdict_doing("write");
    pst_status status = sink->write(t->self, t->call, out, refused, rows, &n, t->error);
    if (n > rows)
        verdict_fail("write", "%zu rows are refused where %zu were handed over", n, rows);
    for (size_t i = 0; i < n; i++)
        if (refused[i].row >= rows || !memchr(refused[i].reason, 0, sizeof refused[i].reason))
            verdict_fail("write", "a row is refused that is not there, or for a reason that does not end");
    *n_refused_out = n;
    return status;
}
