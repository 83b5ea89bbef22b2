/* The order matters: folder, guard, host. What the guard must end it finds by the pid files in the folder. */
#include "throwaway.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/disk.h"
#include "process.h"

#define END_TIMEOUT_MS 20000
#define REQUEST_TIMEOUT_S 60
#define TRIES 3 /* the free port may be taken by somebody else before the host has it */

static status_class folder_make(throwaway *t, status *st)
{
    const char *base = getenv("TMPDIR"); /* NOLINT(concurrency-mt-unsafe) one thread */
    stack *s = &t->host.stack;
    snprintf(s->state, sizeof s->state, "%.3900s/penstock-XXXXXX", base && *base == '/' ? base : "/tmp");
    if (!mkdtemp(s->state))
        return status_errno(st, errno, s->state);
    /* PostgreSQL runs as another user there when this is root */
    if (chmod(s->state, geteuid() == 0 ? 0711 : 0700) != 0)
        return status_errno(st, errno, s->state);
    return STATUS_OK;
}

/* The folder of PostgreSQL's sockets lies elsewhere, because their paths must be short; postmaster.pid names
 * it on its fifth line. Only one that the host made is removed. */
static void sockets_find(const stack *s, char out[STACK_PATH_SIZE])
{
    char file[STACK_PATH_SIZE], line[STACK_PATH_SIZE] = "";
    *out = '\0';
    stack_path(s, "postgres/postmaster.pid", file);
    FILE *in = fopen(file, "re");
    for (int i = 0; in && i < 5; i++)
        if (!fgets(line, sizeof line, in))
            *line = '\0';
    if (in)
        fclose(in);
    line[strcspn(line, "\n")] = '\0';
    if (strncmp(line, "/run/penstock-", 14) == 0 || strncmp(line, "/tmp/penstock-", 14) == 0)
        snprintf(out, STACK_PATH_SIZE, "%s", line);
}

static void end_all(const stack *s)
{
    status ignored;
    char sockets[STACK_PATH_SIZE];
    pid_t host = stack_host(s), database;
    sockets_find(s, sockets);
    if (host)
        process_end(host, SIGTERM, END_TIMEOUT_MS, &ignored);
    host = stack_host(s);
    if (host)
        process_end(host, SIGKILL, END_TIMEOUT_MS, &ignored);
    database = stack_database(s);
    if (database)
        process_end(database, SIGINT, END_TIMEOUT_MS, &ignored);
    disk_remove_tree(s->state, &ignored);
    if (*sockets)
        disk_remove_tree(sockets, &ignored);
}

__attribute__((noreturn)) static void guard_run(const stack *s, int in)
{
    char byte;
    int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    setsid();
    for (int fd = 0; fd < 3 && nowhere >= 0; fd++)
        dup2(nowhere, fd); /* who waits for the end of our output does not wait for the guard */
    while (read(in, &byte, 1) < 0 && errno == EINTR) {
    }
    end_all(s);
    _exit(0);
}

static status_class guard_start(throwaway *t, status *st)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return status_errno(st, errno, "starting the guard");
    t->guard = fork();
    if (t->guard == 0) {
        close(ends[1]);
        guard_run(&t->host.stack, ends[0]);
    }
    close(ends[0]);
    t->pipe = ends[1];
    if (t->guard > 0)
        return STATUS_OK;
    t->pipe = -1;
    close(ends[1]);
    return status_errno(st, errno, "starting the guard");
}

static status_class host_try(throwaway *t, status *st)
{
    host_process *h = &t->host;
    if (host_process_free_port(&h->port, st) != STATUS_OK)
        return st->class;
    snprintf(h->url, sizeof h->url, "http://127.0.0.1:%ld", h->port);
    if (host_process_start(h, st) != STATUS_OK)
        return st->class;
    client *c = client_create(h->url, NULL, 10, false, st);
    status_class class = c ? host_process_wait(h, c, st) : st->class;
    client_free(c);
    return class;
}

static status_class client_make(invocation *inv, throwaway *t, status *st)
{
    text key = {0};
    status_class class = host_process_key(&t->host.stack, &key, st);
    client_free(inv->client);
    inv->client = NULL;
    if (class == STATUS_OK)
        inv->client = client_create(t->host.url, key.data, REQUEST_TIMEOUT_S, flag_given(inv, "debug"), st);
    if (key.data)
        explicit_bzero(key.data, key.len);
    text_free(&key);
    return class == STATUS_OK && !inv->client ? st->class : class;
}

status_class throwaway_start(invocation *inv, const char *plugins, throwaway *ret, status *st)
{
    *ret = (throwaway){.host = {.inv = inv, .plugins = plugins}, .pipe = -1};
    status_class class = folder_make(ret, st);
    if (class != STATUS_OK)
        return class;
    class = guard_start(ret, st);
    if (class == STATUS_OK) {
        class = host_try(ret, st);
        for (int i = 1; i < TRIES && class == STATUS_INTERNAL; i++)
            class = host_try(ret, st);
    }
    if (class == STATUS_OK)
        class = client_make(inv, ret, st);
    if (class != STATUS_OK)
        throwaway_end(ret);
    return class;
}

void throwaway_end(throwaway *t)
{
    int code;
    status ignored;
    if (t->pipe >= 0)
        close(t->pipe);
    t->pipe = -1;
    if (t->guard > 0)
        waitpid(t->guard, &code, 0);
    else if (t->host.stack.state[0])
        disk_remove_tree(t->host.stack.state, &ignored);
    t->guard = 0;
    if (t->host.child > 0)
        process_ended(t->host.child, &code);
}
