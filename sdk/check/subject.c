/* The description is read in a forked process: constructors run there, not here. It comes back as JSON in the
 * form that a probe cell gives, so the host's own code judges it. */
#include "check/subject.h"

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "penstock/plugin.h"
#include "plugin/entry.h"

enum { DESCRIBE_MS = 5000 };

static const char *const interfaces[] = {PST_IF_SOURCE,   PST_IF_PUSH,  PST_IF_SINK,  PST_IF_COMMAND,
                                         PST_IF_DISCOVER, PST_IF_CHECK, PST_IF_SEND,  PST_IF_RECEIPT,
                                         PST_IF_METRIC,   PST_IF_TRAIN, PST_IF_INFER, PST_IF_EXPLAIN};

static json_t *describe(const pst_plugin *p)
{
    json_t *offered = json_array(), *metrics = json_array();
    for (size_t i = 0; i < sizeof interfaces / sizeof *interfaces; i++)
        if (p->get_interface(interfaces[i]))
            json_array_append_new(offered, json_string(interfaces[i]));
    for (size_t i = 0; i < p->n_metrics; i++)
        json_array_append_new(metrics, json_pack("{s:s, s:s, s:s, s:i}", "name", p->metrics[i].name, "unit",
                                                 p->metrics[i].unit, "help", p->metrics[i].help, "kind",
                                                 p->metrics[i].kind));
    const pst_source *source = p->get_interface(PST_IF_SOURCE);
    return json_pack("{s:s?, s:s?, s:s?, s:s?, s:s?, s:i, s:s?, s:o, s:o, s:i}", "id", p->id, "kind", p->kind,
                     "version", p->version, "title", p->title, "licence", p->licence, "abi_minor",
                     (int)p->abi_minor, "config_schema", p->config_schema, "interfaces", offered, "metrics",
                     metrics, "source_flags", source ? (int)source->flags : 0);
}

static void child(const char *file, int fd)
{
    void *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    const pst_plugin *p = handle ? dlsym(handle, "penstock_plugin_v1") : NULL;
    json_t *said = p ? describe(p) : json_pack("{s:s}", "error", dlerror());
    _exit(said && json_dumpfd(said, fd, JSON_COMPACT) == 0 ? 0 : 1);
}

static json_t *read_said(int fd, char *why, size_t size)
{
    text content = {0};
    char part[4096];
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    ssize_t n = 0;
    while (poll(&wait, 1, DESCRIBE_MS) == 1 && (n = read(fd, part, sizeof part)) > 0)
        text_add_n(&content, part, (size_t)n);
    json_t *said = json_loads(text_or_empty(&content), 0, NULL);
    text_free(&content);
    const char *error = json_string_value(json_object_get(said, "error"));
    if (said && !error)
        return said;
    snprintf(why, size, "%s", error ? error : "it crashed or hung while it was loaded");
    json_decref(said);
    return NULL;
}

static void describe_apart(subject *s)
{
    int pipes[2];
    if (pipe(pipes) != 0) {
        snprintf(s->why, sizeof s->why, "a pipe: %s", strerror(errno));
        return;
    }
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        child(s->file, pipes[1]);
    close(pipes[1]);
    json_t *said = pid > 0 ? read_said(pipes[0], s->why, sizeof s->why) : NULL;
    close(pipes[0]);
    if (pid > 0) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    status st;
    if (said && entry_make(s->file, s->file, "", said, &s->entry, &st) != STATUS_OK) {
        snprintf(s->why, sizeof s->why, "%s%s%s", st.where, st.where[0] ? ": " : "", st.text);
        s->entry = NULL;
    }
    s->source_flags = (unsigned)json_integer_value(json_object_get(said, "source_flags"));
    json_decref(said);
}

status_class subject_open(const char *file, const char *folder, const char *config, const char *quirks,
                          subject *out, status *st)
{
    memset(out, 0, sizeof *out);
    char *real = realpath(file, NULL);
    if (!real)
        return status_set(st, STATUS_NOT_FOUND, "%s: %s", file, strerror(errno));
    snprintf(out->file, sizeof out->file, "%s", real);
    free(real);
    status_class class = project_read(out->file, folder, config, quirks, &out->project, st);
    if (class == STATUS_OK)
        describe_apart(out);
    return class;
}

void subject_close(subject *s)
{
    project_free(&s->project);
    plugin_entry_release(s->entry);
    s->entry = NULL;
}

bool subject_offers(const subject *s, const char *interface_id)
{
    return s->entry && plugin_entry_offers(s->entry, interface_id);
}
