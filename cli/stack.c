/* Names of the files in a state folder. Root's may be walked through, because PostgreSQL runs as another user
 * there; every file inside has its own mode. */
#include "stack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/disk.h"
#include "process.h"

const flag stack_flags[] = {
    {"state", 0, "DIR", "the state folder; default /var/lib/penstock or ~/.local/share/penstock"}, {0}};

status_class stack_find(const invocation *inv, stack *s, status *st)
{
    const char *given = flag_text(inv, "state", NULL), *home = getenv("HOME");
    s->own_state = given != NULL;
    if (!given && geteuid() == 0) {
        snprintf(s->state, sizeof s->state, "/var/lib/penstock");
        return STATUS_OK;
    }
    if (!given && (!home || !*home)) {
        status_set(st, STATUS_INVALID, "HOME is not set");
        return status_hint(st, "--state DIR");
    }
    char cwd[STACK_PATH_SIZE] = "";
    if (given && *given != '/' && !getcwd(cwd, sizeof cwd))
        return status_errno(st, errno, "finding the working folder");
    if (given)
        snprintf(s->state, sizeof s->state, "%s%s%s", *given == '/' ? "" : cwd, *given == '/' ? "" : "/",
                 given);
    else
        snprintf(s->state, sizeof s->state, "%s/.local/share/penstock", home);
    status_class class = disk_make_folder(s->state, geteuid() == 0 ? 0711 : 0700, st);
    char *real = class == STATUS_OK ? realpath(s->state, NULL) : NULL;
    if (real)
        snprintf(s->state, sizeof s->state, "%s", real);
    free(real);
    return class;
}

void stack_path(const stack *s, const char *name, char out[STACK_PATH_SIZE])
{
    snprintf(out, STACK_PATH_SIZE, "%.4000s/%s", s->state, name);
}

pid_t stack_host(const stack *s)
{
    char file[STACK_PATH_SIZE];
    stack_path(s, "host.pid", file);
    return process_of(file, s->state);
}

pid_t stack_database(const stack *s)
{
    char file[STACK_PATH_SIZE], data[STACK_PATH_SIZE];
    stack_path(s, "postgres/postmaster.pid", file);
    stack_path(s, "postgres", data);
    return process_of(file, data);
}

void stack_database_sockets(const stack *s, char out[STACK_PATH_SIZE])
{
    enum { SOCKETS_LINE = 4 }; /* of postmaster.pid, counted from 0 */
    char file[STACK_PATH_SIZE];
    text content = {0};
    status ignored;
    *out = '\0';
    stack_path(s, "postgres/postmaster.pid", file);
    if (stack_database(s) == 0 || disk_read(file, 65536, &content, &ignored) != STATUS_OK)
        return;
    const char *line = text_or_empty(&content);
    for (int i = 0; i < SOCKETS_LINE && line; i++)
        line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL;
    if (line && *line == '/')
        snprintf(out, STACK_PATH_SIZE, "%.*s", (int)strcspn(line, "\n"), line);
    text_free(&content);
}

pid_t stack_sink(const stack *s)
{
    char file[STACK_PATH_SIZE], folder[STACK_PATH_SIZE];
    stack_path(s, "mail/sink.pid", file);
    stack_path(s, "mail", folder);
    return process_of(file, folder);
}

long stack_port(const stack *s)
{
    char file[STACK_PATH_SIZE];
    text content = {0};
    status ignored;
    stack_path(s, "port", file);
    long port =
        disk_read(file, 64, &content, &ignored) == STATUS_OK ? strtol(text_or_empty(&content), NULL, 10) : 0;
    text_free(&content);
    return port > 0 && port < 65536 ? port : 0;
}

status_class stack_port_keep(const stack *s, long port, status *st)
{
    char file[STACK_PATH_SIZE], number[16];
    stack_path(s, "port", file);
    int len = snprintf(number, sizeof number, "%ld\n", port);
    return disk_write(file, number, (size_t)len, 0644, st);
}
