/* A source is read, printed and acked until it ends, was interrupted or gave enough. The other kinds are
 * called once. */
#include "plugin_drive.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "check/rows_view.h"
#include "complaint.h"
#include "penstock/plugin.h"

enum { ROWS_AT_ONCE = 1000, WAIT_MAX_MS = 1000 };

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

/* ---- Source ---- */

static void batch_print(const instance_batch *b)
{
    text out = {0};
    rows_view_write(b, &out);
    fputs(text_or_empty(&out), stdout);
    fflush(stdout);
    for (size_t i = 0; i < b->n_rejects; i++)
        say("rejected: %s%s%s: %.*s", b->rejects[i].where, *b->rejects[i].where ? ": " : "",
            b->rejects[i].reason, (int)b->rejects[i].payload_len, (const char *)b->rejects[i].payload);
    text_free(&out);
}

/* One batch; INSTANCE_IDLE has waited. */
static status_class read_once(workbench *b, uint32_t most, instance_turn *turn, long *rows_io, status *st)
{
    instance_batch *batch = NULL;
    uint32_t wait_ms = 0;
    status_class class = instance_read(b->instance, NULL, most, turn, &batch, &wait_ms, st);
    if (class == STATUS_OK && batch) {
        batch_print(batch);
        *rows_io += batch->rows.n_rows;
        if (batch->cursor_len)
            class = instance_ack(b->instance, NULL, batch->cursor, batch->cursor_len, st);
    }
    instance_batch_free(batch);
    if (class == STATUS_OK && *turn == INSTANCE_IDLE)
        poll(NULL, 0, wait_ms && wait_ms < WAIT_MAX_MS ? (int)wait_ms : WAIT_MAX_MS);
    return class;
}

static status_class drive_source(workbench *b, const drive_order *o, status *st)
{
    instance_turn turn = INSTANCE_ROWS;
    long rows = 0;
    struct sigaction act = {.sa_handler = on_interrupt};
    sigaction(SIGINT, &act, NULL);
    status_class class = instance_open(b->instance, NULL, NULL, 0, st);
    while (class == STATUS_OK && turn != INSTANCE_END && !interrupted && (!o->rows || rows < o->rows)) {
        long left = o->rows ? o->rows - rows : ROWS_AT_ONCE;
        class = read_once(b, left < ROWS_AT_ONCE ? (uint32_t)left : ROWS_AT_ONCE, &turn, &rows, st);
    }
    instance_close(b->instance);
    if (class == STATUS_OK)
        say("%ld rows%s", rows, turn == INSTANCE_END ? ", and that is all it has" : "");
    return class;
}

/* ---- Notifier ---- */

static const char *word_of(const json_t *m, const char *key, const char *otherwise)
{
    const char *given = json_string_value(json_object_get(m, key));
    return given ? given : otherwise;
}

static status_class drive_notifier(workbench *b, const drive_order *o, status *st)
{
    const char *severity = word_of(o->message, "severity", "warning");
    instance_delivery delivery;
    char *event = o->message ? json_dumps(o->message, JSON_COMPACT) : strdup("{\"event\":\"sample\"}");
    const instance_message message = {.severity = !strcmp(severity, "critical")  ? PST_SEVERITY_CRITICAL
                                                  : !strcmp(severity, "warning") ? PST_SEVERITY_WARNING
                                                                                 : PST_SEVERITY_INFO,
                                      .at_us = clock_wall_us(),
                                      .delivery_id = word_of(o->message, "delivery_id", "sample-1"),
                                      .title = word_of(o->message, "title", "A sample message"),
                                      .text = word_of(o->message, "text", "Sent by penstock plugin run."),
                                      .html = word_of(o->message, "html", NULL),
                                      .json = event};
    status_class class = instance_send(b->instance, NULL, &message, &delivery, st);
    if (class == STATUS_OK)
        printf("{\"delivery_id\":\"%s\",\"state\":\"%s\",\"external_id\":\"%s\"}\n", message.delivery_id,
               delivery.accepted ? "accepted" : "done", delivery.external_id);
    free(event);
    return class;
}

/* ---- Metric engine, model ---- */

typedef struct rows_file {
    pst_batch batch;
    rows_view view;
    instance_input input;
} rows_file;

static status_class file_read(const char *path, const char *flag, rows_file *out, status *st)
{
    if (!path) {
        status_set(st, STATUS_INVALID, "--%s is needed", flag);
        return status_hint(st, "a file with one JSON object a line");
    }
    if (rows_read(path, 1, 0, &out->batch, st) != STATUS_OK)
        return st->class;
    rows_view_make(&out->batch, &out->view);
    out->input = rows_view_input(&out->view, "rows");
    return STATUS_OK;
}

static void file_end(rows_file *f)
{
    rows_view_free(&f->view);
    rows_release(&f->batch);
}

static status_class drive_metric(workbench *b, const drive_order *o, status *st)
{
    rows_file rows = {0};
    instance_batch *answer = NULL;
    status_class class = file_read(o->input, "input", &rows, st);
    if (class == STATUS_OK)
        class =
            instance_evaluate(b->instance, NULL, o->definition, o->parameters, &rows.input, 1, &answer, st);
    if (class == STATUS_OK)
        batch_print(answer);
    instance_batch_free(answer);
    file_end(&rows);
    return class;
}

static status_class drive_model(workbench *b, const drive_order *o, status *st)
{
    rows_file rows = {0}, learnt = {0};
    instance_batch *answer = NULL;
    text artifact = {0};
    json_t *info = NULL;
    status_class class = file_read(o->input, "input", &rows, st);
    if (class == STATUS_OK)
        class = file_read(o->train ? o->train : o->input, "train", &learnt, st);
    if (class == STATUS_OK && instance_offers(b->instance, PST_IF_TRAIN))
        class = instance_train(b->instance, NULL, &learnt.input, 1, &artifact, &info, st);
    char *said = info ? json_dumps(info, JSON_COMPACT) : NULL;
    if (said)
        say("learnt: %s", said);
    if (class == STATUS_OK)
        class = instance_infer(b->instance, NULL, text_or_empty(&artifact), artifact.len, &rows.input, 1,
                               &answer, st);
    if (class == STATUS_OK)
        batch_print(answer);
    free(said);
    json_decref(info);
    text_free(&artifact);
    instance_batch_free(answer);
    file_end(&rows);
    file_end(&learnt);
    return class;
}

status_class plugin_drive(workbench *b, const drive_order *order, status *st)
{
    switch (b->entry->kind) {
    case PLUGIN_CONNECTOR:
        if (instance_offers(b->instance, PST_IF_SOURCE))
            return drive_source(b, order, st);
        return status_set(st, STATUS_UNSUPPORTED,
                          "this connector is not read from: it has no " PST_IF_SOURCE);
    case PLUGIN_NOTIFIER:
        return drive_notifier(b, order, st);
    case PLUGIN_METRIC:
        return drive_metric(b, order, st);
    case PLUGIN_MODEL:
        return drive_model(b, order, st);
    }
    return status_set(st, STATUS_INTERNAL, "a kind of plugin without a way to run it");
}
