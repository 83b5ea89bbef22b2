/* The plugin as the host has it: in a real cell, with its sandbox, everything that comes out checked by the
 * host's own code. Rows must be those that the stand saw; a far side and a clock cannot be put there, so what
 * depends on them is only looked at for its form. */
#include <stdlib.h>
#include <string.h>

#include "check/case.h"
#include "check/drive.h"
#include "check/rows_view.h"
#include "check/verdict.h"
#include "plugin/instance_out.h"
#include "plugin/workbench.h"

enum { READS = 20, ROWS = 1000 };

static status_class on_fetch(void *self, const char *workspace, const char *reference, const char *subject,
                             text *out, status *st)
{
    (void)self, (void)workspace, (void)reference, (void)subject, (void)st;
    text_add(out, STAND_SECRET);
    return STATUS_OK;
}

__attribute__((noreturn)) static void failed(workbench *b, const char *call, const instance_call *c,
                                             const status *st)
{
    char why[600], where[160];
    snprintf(why, sizeof why, "%s: %s (%s)", call, st->text, plugin_fault_name(c->fault));
    snprintf(where, sizeof where, "%s", st->where);
    workbench_close(b);
    verdict_fail(where, "%s", why);
}

static void read_source(workbench *b)
{
    instance_call call = {0};
    status st;
    size_t rows = 0;
    unsigned wait_ms = 0;
    instance_turn turn = INSTANCE_IDLE;
    if (instance_open(b->instance, &call, NULL, 0, &st) != STATUS_OK)
        failed(b, "open", &call, &st);
    for (int i = 0; i < READS && turn != INSTANCE_END; i++) {
        instance_batch *batch = NULL;
        call = (instance_call){0};
        if (instance_read(b->instance, &call, ROWS, &turn, &batch, &wait_ms, &st) != STATUS_OK)
            failed(b, "read", &call, &st);
        if (batch && batch->cursor_len &&
            instance_ack(b->instance, &call, batch->cursor, batch->cursor_len, &st) != STATUS_OK)
            failed(b, "ack", &call, &st);
        rows += batch ? batch->rows.n_rows : 0;
        instance_batch_free(batch);
    }
    instance_close(b->instance);
    verdict_measured("%zu rows", rows);
}

typedef struct viewed {
    inputs in;
    rows_view views[8], train;
    instance_input items[8];
} viewed;

static void view(const stand *t, viewed *v)
{
    drive_inputs(t, 1, 0, &v->in);
    for (size_t i = 0; i < v->in.n; i++) {
        rows_view_make(&v->in.batches[i], &v->views[i]);
        v->items[i] = rows_view_input(&v->views[i], v->in.items[i].name);
    }
    if (v->in.has_train)
        rows_view_make(&v->in.train, &v->train);
}

static char *json_of(const stand *t, const char *key)
{
    const json_t *given = json_object_get(t->subject->project.check, key);
    return given ? json_dumps(given, JSON_COMPACT) : strdup("{}");
}

static void learn_and_score(workbench *b, const viewed *v, instance_batch **out)
{
    instance_call call = {0};
    status st;
    text artifact = {0};
    json_t *info = NULL;
    instance_input learnt = v->in.has_train ? rows_view_input(&v->train, "rows") : v->items[0];
    if (instance_offers(b->instance, PST_IF_TRAIN) &&
        instance_train(b->instance, &call, &learnt, 1, &artifact, &info, &st) != STATUS_OK)
        failed(b, "train", &call, &st);
    if (instance_infer(b->instance, &call, text_or_empty(&artifact), artifact.len, v->items, v->in.n, out,
                       &st) != STATUS_OK)
        failed(b, "infer", &call, &st);
    json_decref(info);
    text_free(&artifact);
}

/* What the stand gets and what the cell gets must be the same rows. */
static void compare_answers(stand *t, workbench *b)
{
    static viewed v;
    instance_call call = {0};
    instance_batch *answer = NULL;
    status st;
    text here = {0}, there = {0};
    if (!project_text(&t->subject->project, "input") && !json_object_get(t->subject->project.check, "inputs"))
        return;
    view(t, &v);
    stand_call(t, 20000);
    pst_status said = drive_answer(t, &v.in, &here);
    if (said != PST_OK)
        verdict_fail(t->error->where, "on the stand: %s", stand_said(t, said));
    char *definition = json_of(t, "definition"), *parameters = json_of(t, "parameters");
    if (t->subject->entry->kind == PLUGIN_MODEL)
        learn_and_score(b, &v, &answer);
    else if (instance_evaluate(b->instance, &call, definition, parameters, v.items, v.in.n, &answer, &st) !=
             STATUS_OK)
        failed(b, "evaluate", &call, &st);
    rows_view_write(answer, &there);
    free(definition);
    free(parameters);
    instance_batch_free(answer);
    if (strcmp(text_or_empty(&here), text_or_empty(&there)) != 0) {
        workbench_close(b);
        verdict_fail("its answer", "in the cell it is %.200s, outside of it %.200s", text_or_empty(&there),
                     text_or_empty(&here));
    }
    verdict_measured("%zu bytes of rows", there.len);
}

static void send_one(workbench *b)
{
    status st;
    instance_call call = {0};
    instance_delivery delivery;
    const instance_message message = {.delivery_id = "check-cell",
                                      .title = "Pump 2",
                                      .text = "pressure is 7.1 bar",
                                      .json = "{\"event\":\"check\"}"};
    if (instance_send(b->instance, &call, &message, &delivery, &st) != STATUS_OK)
        failed(b, "send", &call, &st);
    verdict_measured("a message was sent");
}

static void write_rows(stand *t, workbench *b)
{
    static viewed v;
    status st;
    instance_call call = {0};
    instance_written written = {0};
    view(t, &v);
    outgoing_ids ids = drive_ids(&v.in);
    const instance_outgoing out = {.store = ids.store,
                                   .batch_id = ids.batch_id,
                                   .first_seq = ids.first_seq,
                                   .last_seq = ids.last_seq,
                                   .rows = v.items[0]};
    if (instance_write(b->instance, &call, &out, &written, &st) != STATUS_OK)
        failed(b, "write", &call, &st);
    verdict_measured("%u rows were written, %zu refused", v.items[0].rows->n_rows, written.n_refused);
    instance_written_free(&written);
}

void case_cell(const subject *s)
{
    status st;
    workbench b;
    instance_call call = {0};
    stand *t = stand_open(s, FAR_ANSWERS);
    stand_ready(t);
    json_t *config = stand_config(t);
    const workbench_settings settings = {.file = s->file,
                                         .entry = s->entry,
                                         .config = config,
                                         .files = s->project.folder,
                                         .networks = "127.0.0.0/8",
                                         .secrets = {.fetch = on_fetch}};
    verdict_doing("its cell");
    if (workbench_open(&b, &settings, &st) != STATUS_OK ||
        instance_start(b.instance, &call, &st) != STATUS_OK)
        failed(&b, "create", &call, &st);
    if (subject_offers(s, PST_IF_SOURCE))
        read_source(&b);
    if (s->entry->kind == PLUGIN_NOTIFIER && t->far.port)
        send_one(&b);
    if (subject_offers(s, PST_IF_SINK) && project_text(&s->project, "input") && t->far.port)
        write_rows(t, &b);
    if (ON_PURE & 1 << s->entry->kind)
        compare_answers(t, &b);
    workbench_close(&b);
    stand_close(t);
    verdict_pass();
}
