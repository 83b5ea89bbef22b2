/* `penstock up`: starts a host in the background, waits until it is ready, keeps its admin key in the
 * context, and sets up the demo if asked. Doing it again is quick and changes nothing that is there. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/disk.h"
#include "base/utc.h"
#include "client.h"
#include "complaint.h"
#include "context.h"
#include "demo.h"
#include "exit_code.h"
#include "process.h"
#include "progress.h"
#include "stack.h"
#include "tables.h"

#define READY_TIMEOUT_US (180 * UTC_SECOND_US)
#define READY_POLL_US 200000
#define LOG_TAIL 1200

typedef struct start {
    invocation *inv;
    stack stack;
    long port;
    char url[64];
    pid_t child; /* 0: it was running already */
} start;

/* The last lines of the host's log: the reason why it ended stands there. */
static void log_tail(const stack *s)
{
    char file[STACK_PATH_SIZE];
    text content = {0};
    status ignored;
    stack_path(s, "penstockd.log", file);
    if (disk_read(file, 256U << 20, &content, &ignored) == STATUS_OK && content.len > 0) {
        const char *from = content.len > LOG_TAIL ? content.data + content.len - LOG_TAIL : content.data;
        const char *line = from > content.data ? strchr(from, '\n') : NULL;
        say("the end of %s:\n%s", file, line ? line + 1 : from);
    }
    text_free(&content);
}

/* What the host must know because this program started it: where things lie and which port is its own. */
typedef struct host_flags {
    char program[STACK_PATH_SIZE], shipped[STACK_PATH_SIZE], plugins[2 * STACK_PATH_SIZE],
        templates[STACK_PATH_SIZE];
    char listen[64];
} host_flags;

static status_class host_flags_make(const start *s, host_flags *f, status *st)
{
    if (program_find("penstockd", f->program, sizeof f->program, st) != STATUS_OK ||
        plugins_find(f->shipped, sizeof f->shipped, st) != STATUS_OK ||
        share_find("templates", f->templates, sizeof f->templates, st) != STATUS_OK)
        return st->class;
    snprintf(f->listen, sizeof f->listen, "127.0.0.1:%ld", s->port);
    snprintf(f->plugins, sizeof f->plugins, "%s,%s/site-plugins", f->shipped, s->stack.state);
    return STATUS_OK;
}

static status_class host_start(start *s, status *st)
{
    static host_flags f; /* large */
    char log[STACK_PATH_SIZE], pid_file[STACK_PATH_SIZE];
    if (host_flags_make(s, &f, st) != STATUS_OK)
        return st->class;
    stack_path(&s->stack, "penstockd.log", log);
    stack_path(&s->stack, "host.pid", pid_file);
    const char *argv[] = {f.program,        "--state", s->stack.state,      "--listen", f.listen,
                          "--admin-listen", "",        "--plugins-folders", f.plugins,  "--templates-folder",
                          f.templates,      NULL};
    if (process_start(argv, log, pid_file, &s->child, st) != STATUS_OK)
        return st->class;
    return stack_port_keep(&s->stack, s->port, st);
}

/* The first thing that the host still waits for, in its own words. */
static void reason_of(const answer *a, char *out, size_t size)
{
    const json_t *reasons = json_object_get(a->json, "reasons"), *first = json_array_get(reasons, 0);
    const char *words = json_string_value(first);
    if (!words)
        words = json_string_value(json_object_get(first, "detail"));
    if (!words)
        words = json_string_value(json_object_get(a->json, "detail"));
    snprintf(out, size, "%s", words ? words : "starting");
}

static status_class ended_early(const start *s, int code, status *st)
{
    log_tail(&s->stack);
    status_set(st, STATUS_INTERNAL, "the host ended with code %d", code);
    return status_hint(st, "read the log above; penstock doctor checks the usual reasons");
}

static status_class ready_wait(start *s, client *c, status *st)
{
    progress p;
    char reason[256] = "starting";
    int64_t until = clock_monotonic_us() + READY_TIMEOUT_US;
    progress_start(&p, s->inv, "steps");
    for (;;) {
        answer a;
        int code;
        status_class class =
            client_call(c, &(request){.method = "GET", .path = "/readyz", .busy_is_answer = true}, &a, st);
        if (a.http > 0)
            reason_of(&a, reason, sizeof reason);
        answer_release(&a);
        complaint_request_id(NULL);
        progress_show(&p, 0, 0, reason);
        bool over = class == STATUS_OK || clock_monotonic_us() > until;
        if (over)
            progress_end(&p);
        if (class == STATUS_OK)
            return class;
        if (s->child && process_ended(s->child, &code))
            return ended_early(s, code, st);
        if (over)
            return status_set(st, STATUS_TIMEOUT, "it is not ready after %lld s: %s",
                              (long long)(READY_TIMEOUT_US / UTC_SECOND_US), reason);
        usleep(READY_POLL_US);
    }
}

static status_class key_read(const stack *s, text *key, status *st)
{
    char file[STACK_PATH_SIZE];
    stack_path(s, "admin.key", file);
    if (disk_read(file, 4096, key, st) != STATUS_OK)
        return status_wrap(st, "the admin key");
    while (key->len > 0 && strchr("\r\n ", key->data[key->len - 1]))
        key->data[--key->len] = '\0';
    return STATUS_OK;
}

/* Where this stack's context is kept: in its state folder if that was named, else in the user's file. */
static void context_file(const stack *s, char out[STACK_PATH_SIZE])
{
    if (s->own_state)
        stack_path(s, "cli.yaml", out);
    else
        context_path(out, STACK_PATH_SIZE);
}

static status_class context_keep(start *s, status *st)
{
    char file[STACK_PATH_SIZE];
    text key = {0};
    context *c = memory_zero(1, sizeof *c);
    context_file(&s->stack, file);
    status_class class = key_read(&s->stack, &key, st);
    if (class == STATUS_OK)
        class = context_read(file, c, st);
    if (class == STATUS_OK) {
        context_put(c, "default", s->url, key.data, flag_given(s->inv, "demo") ? DEMO_WORKSPACE : NULL, true);
        class = context_write(c, st);
    }
    context_release(c);
    free(c);
    text_free(&key);
    if (class == STATUS_OK && s->stack.own_state)
        setenv("PENSTOCK_CONFIG", file, 1); /* NOLINT(concurrency-mt-unsafe) one thread */
    return class;
}

static void farewell(const start *s)
{
    char file[STACK_PATH_SIZE];
    context_file(&s->stack, file);
    printf("%s\n", s->url);
    if (s->stack.own_state)
        printf("export PENSTOCK_CONFIG=%s\n", file);
    if (flag_given(s->inv, "demo"))
        say("ready; try next:\n  penstock status\n  penstock query pressure --watch 5s\n  penstock alert "
            "list");
    else
        say("ready; try next:\n  penstock status\n  penstock template list\n  penstock help");
}

static status_class host_need(start *s, status *st)
{
    pid_t running = stack_host(&s->stack);
    long kept = stack_port(&s->stack);
    s->port = kept ? kept : STACK_PORT;
    if (flag_number(s->inv, "port", 1, 65535, &s->port, st) != STATUS_OK)
        return st->class;
    snprintf(s->url, sizeof s->url, "http://127.0.0.1:%ld", running && kept ? kept : s->port);
    if (!running)
        return host_start(s, st);
    say("already running (process %d)", (int)running);
    if (kept && kept != s->port)
        say("it listens on port %ld; `penstock down` first to change that", kept);
    return STATUS_OK;
}

static int run_up(invocation *inv)
{
    status st;
    start s = {.inv = inv};
    client *c = NULL;
    if (stack_find(inv, &s.stack, &st) != STATUS_OK)
        return complain_usage(&st);
    status_class class = host_need(&s, &st);
    if (class == STATUS_OK) {
        c = client_create(s.url, NULL, 10, flag_given(inv, "debug"), &st);
        class = c ? ready_wait(&s, c, &st) : st.class;
    }
    client_free(c);
    if (class == STATUS_OK)
        class = context_keep(&s, &st);
    if (class == STATUS_OK && flag_given(inv, "demo"))
        class = demo_setup(inv, &s.stack, &st);
    if (class != STATUS_OK)
        return complain("Penstock is not up", &st);
    farewell(&s);
    return EXIT_DONE;
}

static const flag up_flags[] = {
    {"demo", 0, NULL, "with a workspace that a simulated pump station feeds"},
    {"state", 0, "DIR", "keep everything there, the context of this program too"},
    {"port", 0, "N", "listen on 127.0.0.1:N; default 8080, or as last time"},
    {0},
};

const command up_commands[] = {
    {NULL, "up", "", 0, 0, up_flags, "starts Penstock on this machine and waits until it is ready",
     "up --demo\nup --state /tmp/mine --port 9090", run_up, NULL},
    {0},
};
