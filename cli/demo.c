/* Four steps, each skipped when its result is there: mail sink, template, workspace, model with
 * the history that it learns from. */
#include "demo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/disk.h"
#include "base/utc.h"
#include "client.h"
#include "complaint.h"
#include "job.h"
#include "process.h"
#include "progress.h"
#include "template_file.h"

#define BACKFILL_TIMEOUT_US (600 * UTC_SECOND_US)
#define POLL_US 500000

/* The sink's port, which it writes into its folder once it listens; 0 = not yet. */
static long sink_port(const stack *s)
{
    char file[STACK_PATH_SIZE];
    text content = {0};
    status ignored;
    stack_path(s, "mail/port", file);
    long port =
        disk_read(file, 64, &content, &ignored) == STATUS_OK ? strtol(text_or_empty(&content), NULL, 10) : 0;
    text_free(&content);
    return port;
}

static status_class sink_need(const stack *s, long *port_out, status *st)
{
    char program[STACK_PATH_SIZE], folder[STACK_PATH_SIZE], pid_file[STACK_PATH_SIZE], log[STACK_PATH_SIZE];
    char wanted[16], port_file[STACK_PATH_SIZE];
    pid_t pid;
    stack_path(s, "mail", folder);
    stack_path(s, "mail/sink.pid", pid_file);
    stack_path(s, "mail/sink.log", log);
    stack_path(s, "mail/port", port_file);
    snprintf(wanted, sizeof wanted, "%ld", sink_port(s)); /* last time's, which the workspace knows */
    if (stack_sink(s) == 0) {
        unlink(port_file);
        const char *argv[] = {program, "--folder", folder, "--port", wanted, NULL};
        if (program_find("penstock-mail-sink", program, sizeof program, st) != STATUS_OK ||
            disk_make_folder(folder, 0700, st) != STATUS_OK ||
            process_start(argv, log, pid_file, &pid, st) != STATUS_OK)
            return st->class;
    }
    for (int tries = 0; tries < 50 && (*port_out = sink_port(s)) == 0; tries++)
        usleep(50000);
    return *port_out ? STATUS_OK : status_at(st, STATUS_UNAVAILABLE, log, "the mail sink does not start");
}

static status_class get(invocation *inv, const char *path, answer *a, status *st)
{
    client *c = client_of(inv, st);
    memset(a, 0, sizeof *a);
    return c ? client_call(c, &(request){.method = "GET", .path = path}, a, st) : st->class;
}

static status_class template_need(invocation *inv, status *st)
{
    char folder[STACK_PATH_SIZE];
    answer a;
    status_class class = get(inv, "/api/v1/templates/" DEMO_TEMPLATE, &a, st);
    answer_release(&a);
    if (class != STATUS_NOT_FOUND)
        return class;
    if (share_find("templates/" DEMO_TEMPLATE, folder, sizeof folder, st) != STATUS_OK)
        return st->class;
    say("publishing the template %s", DEMO_TEMPLATE);
    return template_file_publish(inv, folder, st);
}

static status_class workspace_make(invocation *inv, long port, status *st)
{
    answer a = {0};
    char server[64];
    snprintf(server, sizeof server, "smtp://127.0.0.1:%ld", port);
    json_t *body = json_pack("{s:s,s:s,s:{s:s,s:s,s:s,s:s}}", "key", DEMO_WORKSPACE, "template",
                             DEMO_TEMPLATE, "parameters", "backfill", "7d", "planted_fault",
                             "cavitation:pump-2:40m", "ops_email", "ops@example.org", "smtp_url", server);
    client *c = client_of(inv, st);
    request r = {.method = "POST", .path = "/api/v1/workspaces", .json = body, .once = true};
    status_class class = c ? client_call(c, &r, &a, st) : st->class;
    if (class == STATUS_OK)
        class = job_follow(inv, &a, st);
    answer_release(&a);
    json_decref(body);
    return class;
}

static status_class workspace_need(invocation *inv, long port, bool *made_out, status *st)
{
    answer a;
    status_class class = get(inv, "/api/v1/workspaces/" DEMO_WORKSPACE, &a, st);
    answer_release(&a);
    *made_out = class == STATUS_NOT_FOUND;
    if (!*made_out)
        return class;
    say("making the workspace %s", DEMO_WORKSPACE);
    return workspace_make(inv, port, st);
}

/* What the demo's workspace still has to work through. */
typedef struct history {
    int64_t rows, raw_waiting, features_waiting;
    bool live; /* the connector has told all of its history */
} history;

static history history_of(const json_t *answer)
{
    history h = {0};
    size_t i;
    json_t *store, *connector;
    json_array_foreach(json_object_get(answer, "connectors"), i, connector)
    {
        const char *state = json_string_value(json_object_get(connector, "state"));
        h.live = h.live || (state && strcmp(state, "live") == 0);
    }
    json_array_foreach(json_object_get(answer, "stores"), i, store)
    {
        const char *name = json_string_value(json_object_get(store, "store"));
        int64_t waiting = json_integer_value(json_object_get(store, "waiting"));
        if (name && strncmp(name, "datastore:", 10) == 0) {
            h.rows += json_integer_value(json_object_get(store, "rows"));
            h.raw_waiting += waiting;
        } else if (name && strncmp(name, "featurestore:", 13) == 0)
            h.features_waiting += waiting;
    }
    return h;
}

static bool history_stored(const history *h)
{
    return h->live && h->rows > 0 && h->raw_waiting == 0;
}

static status_class history_ask(invocation *inv, history *h, status *st)
{
    answer a;
    status_class class = get(inv, "/api/v1/workspaces/" DEMO_WORKSPACE "/status", &a, st);
    *h = history_of(a.json);
    answer_release(&a);
    return class;
}

/* The features of the history now, not when their schedule says. */
static status_class refresh(invocation *inv, status *st)
{
    answer a = {0};
    client *c = client_of(inv, st);
    request r = {.method = "POST", .path = "/api/v1/workspaces/" DEMO_WORKSPACE ":refresh", .once = true};
    status_class class = c ? client_call(c, &r, &a, st) : st->class;
    answer_release(&a);
    return class;
}

static status_class history_step(invocation *inv, history *h, status *st)
{
    status_class class = history_ask(inv, h, st);
    if (class != STATUS_OK || !history_stored(h) || h->features_waiting == 0)
        return class;
    class = refresh(inv, st);
    return class == STATUS_OK ? history_ask(inv, h, st) : class;
}

static status_class history_wait(invocation *inv, status *st)
{
    progress p;
    history h = {0};
    int64_t until = clock_monotonic_us() + BACKFILL_TIMEOUT_US;
    status_class class;
    progress_start(&p, inv, "rows");
    while ((class = history_step(inv, &h, st)) == STATUS_OK) {
        if (history_stored(&h) && h.features_waiting == 0)
            break;
        progress_show(&p, h.rows, 0, "seven days of history:");
        if (clock_monotonic_us() > until) {
            class = status_set(st, STATUS_TIMEOUT,
                               "the history is not there after %lld s (%lld rows, %lld waiting)",
                               (long long)(BACKFILL_TIMEOUT_US / UTC_SECOND_US), (long long)h.rows,
                               (long long)h.raw_waiting + (long long)h.features_waiting);
            break;
        }
        usleep(POLL_US);
    }
    progress_end(&p);
    return class;
}

static status_class model_trained(invocation *inv, bool *trained_out, status *st)
{
    answer a;
    status_class class = get(inv, "/api/v1/workspaces/" DEMO_WORKSPACE "/models/" DEMO_MODEL, &a, st);
    *trained_out = class == STATUS_OK && json_integer_value(json_object_get(a.json, "version")) > 0;
    answer_release(&a);
    return class;
}

static status_class model_train(invocation *inv, status *st)
{
    answer a;
    say("training the model %s", DEMO_MODEL);
    request r = {.method = "POST",
                 .path = "/api/v1/workspaces/" DEMO_WORKSPACE "/models/" DEMO_MODEL ":train",
                 .once = true};
    status_class class = client_call(client_of(inv, st), &r, &a, st);
    if (class == STATUS_OK)
        class = job_follow(inv, &a, st);
    answer_release(&a);
    return class;
}

/* A model that has a version has seen its history and is not trained again; the host may have done it first.
 */
static status_class model_need(invocation *inv, status *st)
{
    bool trained;
    status_class class = model_trained(inv, &trained, st);
    if (class != STATUS_OK || trained)
        return class;
    if (history_wait(inv, st) != STATUS_OK)
        return status_wrap(st, "the demo's history");
    class = model_trained(inv, &trained, st);
    return class != STATUS_OK || trained ? class : model_train(inv, st);
}

status_class demo_setup(invocation *inv, const stack *s, status *st)
{
    long port = 0;
    bool made = false;
    if (sink_need(s, &port, st) != STATUS_OK)
        return status_wrap(st, "the demo's mail sink");
    if (template_need(inv, st) != STATUS_OK)
        return status_wrap(st, "the demo's template");
    if (workspace_need(inv, port, &made, st) != STATUS_OK)
        return status_wrap(st, "the demo's workspace");
    if (model_need(inv, st) != STATUS_OK)
        return status_wrap(st, "the demo's model");
    if (made)
        say("the demo's mail lies in %s/mail/new", s->state);
    return STATUS_OK;
}
