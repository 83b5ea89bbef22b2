/* `penstock job list|show`, and following a job. */
#include "job.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "complaint.h"
#include "progress.h"
#include "resource.h"
#include "tables.h"

#define POLL_US 250000

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

static const char *word(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s ? s : "";
}

static status_class job_failed(const json_t *job, status *st)
{
    const json_t *error = json_object_get(job, "error");
    const char *detail = word(error, "detail"), *title = word(error, "title");
    if (strcmp(word(job, "state"), "cancelled") == 0)
        return status_set(st, STATUS_CANCELLED, "the job %s was cancelled", word(job, "id"));
    status_set(st, STATUS_INTERNAL, "%s",
               *detail  ? detail
               : *title ? title
                        : "the job failed without saying why");
    if (*word(error, "hint"))
        return status_hint(st, "%s", word(error, "hint"));
    return status_hint(st, "penstock job show %s", word(job, "id"));
}

/* One look. STATUS_OK with *ended_out false while it runs. */
static status_class job_look(client *c, const char *path, progress *p, bool *ended_out, status *st)
{
    answer a;
    status_class class = client_call(c, &(request){.method = "GET", .path = path}, &a, st);
    if (class == STATUS_OK) {
        const char *state = word(a.json, "state");
        const json_t *far = json_object_get(a.json, "progress");
        *ended_out = strcmp(state, "queued") != 0 && strcmp(state, "running") != 0;
        p->unit = *word(far, "unit") ? "rows" : "steps";
        progress_show(p, json_integer_value(json_object_get(far, "done")),
                      json_integer_value(json_object_get(far, "total")),
                      *word(far, "text") ? word(far, "text") : word(a.json, "kind"));
        if (*ended_out && strcmp(state, "succeeded") != 0)
            class = job_failed(a.json, st);
    }
    answer_release(&a);
    return class;
}

static status_class job_wait(invocation *inv, const char *path, status *st)
{
    bool ended = false;
    progress p;
    status_class class = STATUS_OK;
    progress_start(&p, inv, "steps");
    void (*before)(int) = signal(SIGINT, on_interrupt);
    while (class == STATUS_OK && !ended && !interrupted) {
        class = job_look(inv->client, path, &p, &ended, st);
        if (class == STATUS_OK && !ended)
            usleep(POLL_US);
    }
    signal(SIGINT, before);
    progress_end(&p);
    if (class == STATUS_OK && !ended) {
        status_set(st, STATUS_CANCELLED, "waiting was interrupted; the job goes on");
        return status_hint(st, "penstock job show %s", strrchr(path, '/') + 1);
    }
    return class;
}

status_class job_follow(invocation *inv, const answer *a, status *st)
{
    const char *at = a->http == 202 ? strstr(a->location, "/jobs/") : NULL;
    char path[600];
    if (!at)
        return STATUS_OK;
    if (flag_given(inv, "detach")) {
        printf("%s\n", at + strlen("/jobs/"));
        return STATUS_OK;
    }
    snprintf(path, sizeof path, "/api/v1%s", at);
    return job_wait(inv, path, st);
}

static const resource jobs = {.path = "/jobs", .columns = "id,kind,state,created,finished"};
static const resource one_job = {.path = "/jobs/{0}"};

const command job_commands[] = {
    {"job", "list", "", 0, 0, resource_list_flags, "long work of the server: what runs and what has run",
     "job list\njob list --filter state=running", resource_list, &jobs},
    {"job", "show", "ID", 1, 1, NULL, "one job with its progress or its error", "job show job_01JZ…",
     resource_show, &one_job},
    {0},
};
