/* `penstock up`: starts a host in the background, waits until it is ready, keeps its admin key in the
 * context, and sets up the demo if asked. Doing it again is quick and changes nothing that is there. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "client.h"
#include "complaint.h"
#include "context.h"
#include "demo.h"
#include "exit_code.h"
#include "host_process.h"
#include "stack.h"
#include "tables.h"

/* Where this stack's context is kept: in its state folder if that was named, else in the user's file. */
static void context_file(const stack *s, char out[STACK_PATH_SIZE])
{
    if (s->own_state)
        stack_path(s, "cli.yaml", out);
    else
        context_path(out, STACK_PATH_SIZE);
}

static status_class context_keep(host_process *s, status *st)
{
    char file[STACK_PATH_SIZE];
    text key = {0};
    context *c = memory_zero(1, sizeof *c);
    context_file(&s->stack, file);
    status_class class = host_process_key(&s->stack, &key, st);
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

static void farewell(const host_process *s)
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

static status_class host_need(host_process *s, status *st)
{
    pid_t running = stack_host(&s->stack);
    long kept = stack_port(&s->stack);
    s->port = kept ? kept : STACK_PORT;
    if (flag_number(s->inv, "port", 1, 65535, &s->port, st) != STATUS_OK)
        return st->class;
    snprintf(s->url, sizeof s->url, "http://127.0.0.1:%ld", running && kept ? kept : s->port);
    if (!running)
        return host_process_port_check(s->port, st) == STATUS_OK ? host_process_start(s, st) : st->class;
    say("already running (process %d)", (int)running);
    if (kept && kept != s->port)
        say("it listens on port %ld; `penstock down` first to change that", kept);
    return STATUS_OK;
}

static int run_up(invocation *inv)
{
    status st;
    host_process s = {.inv = inv};
    client *c = NULL;
    if (stack_find(inv, &s.stack, &st) != STATUS_OK)
        return complain_usage(&st);
    status_class class = host_need(&s, &st);
    if (class == STATUS_OK) {
        c = client_create(s.url, NULL, 10, flag_given(inv, "debug"), &st);
        class = c ? host_process_wait(&s, c, &st) : st.class;
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
