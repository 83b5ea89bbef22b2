/* The host finds what ships beside this program; its log, number and port stand in the state folder. */
#include "host_process.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/disk.h"
#include "base/utc.h"
#include "complaint.h"
#include "process.h"
#include "progress.h"

#define READY_TIMEOUT_US (180 * UTC_SECOND_US)
#define READY_POLL_US 200000
#define LOG_TAIL 1200

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
    char program[STACK_PATH_SIZE], shipped[STACK_PATH_SIZE], plugins[3 * STACK_PATH_SIZE];
    char listen[64];
} host_flags;

static status_class host_flags_make(const host_process *h, host_flags *f, status *st)
{
    if (program_find("penstockd", f->program, sizeof f->program, st) != STATUS_OK ||
        plugins_find(f->shipped, sizeof f->shipped, st) != STATUS_OK)
        return st->class;
    snprintf(f->listen, sizeof f->listen, "127.0.0.1:%ld", h->port);
    snprintf(f->plugins, sizeof f->plugins, "%s,%s/site-plugins%s%s", f->shipped, h->stack.state,
             h->plugins ? "," : "", h->plugins ? h->plugins : "");
    return STATUS_OK;
}

status_class host_process_start(host_process *h, status *st)
{
    static host_flags f; /* large */
    char log[STACK_PATH_SIZE], pid_file[STACK_PATH_SIZE];
    if (host_flags_make(h, &f, st) != STATUS_OK)
        return st->class;
    stack_path(&h->stack, "penstockd.log", log);
    stack_path(&h->stack, "host.pid", pid_file);
    /* A stack for trying things out: what it sends goes to programs on this machine. */
    bool set = getenv("PENSTOCK_NETWORKS_ALLOW") != NULL;
    const char *argv[] = {f.program,
                          "--state",
                          h->stack.state,
                          "--listen",
                          f.listen,
                          "--admin-listen",
                          "",
                          "--plugins-folders",
                          f.plugins,
                          set ? NULL : "--networks-allow",
                          "127.0.0.0/8,::1/128",
                          NULL};
    /* root's own folder: the database's user walks through it */
    if (disk_make_folder(h->stack.state, geteuid() == 0 ? 0711 : 0700, st) != STATUS_OK)
        return st->class;
    if (process_start(argv, log, pid_file, &h->child, st) != STATUS_OK)
        return st->class;
    return stack_port_keep(&h->stack, h->port, st);
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

static status_class ended_early(const host_process *h, int code, status *st)
{
    log_tail(&h->stack);
    status_set(st, STATUS_INTERNAL, "the host ended with code %d", code);
    return status_hint(st, "read the log above; penstock doctor checks the usual reasons");
}

status_class host_process_wait(host_process *h, client *c, status *st)
{
    progress p;
    char reason[256] = "starting";
    int64_t until = clock_monotonic_us() + READY_TIMEOUT_US;
    progress_start(&p, h->inv, "steps");
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
        if (h->child && process_ended(h->child, &code))
            return ended_early(h, code, st);
        if (over)
            return status_set(st, STATUS_TIMEOUT, "it is not ready after %lld s: %s",
                              (long long)(READY_TIMEOUT_US / UTC_SECOND_US), reason);
        usleep(READY_POLL_US);
    }
}

status_class host_process_key(const stack *s, text *key, status *st)
{
    char file[STACK_PATH_SIZE];
    stack_path(s, "admin.key", file);
    if (disk_read(file, 4096, key, st) != STATUS_OK)
        return status_wrap(st, "the admin key");
    while (key->len > 0 && strchr("\r\n ", key->data[key->len - 1]))
        key->data[--key->len] = '\0';
    return STATUS_OK;
}

status_class host_process_port_check(long port, status *st)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0)
        return status_errno(st, errno, "looking at the port");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    int failed = bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ? errno : 0;
    close(fd);
    if (failed != EADDRINUSE)
        return STATUS_OK; /* what else may be wrong the host itself says better */
    status_set(st, STATUS_CONFLICT, "port %ld is taken by another program", port);
    return status_hint(st, "choose another with --port N, or see who has it: ss -ltnp sport = :%ld", port);
}

status_class host_process_free_port(long *port_out, status *st)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return status_errno(st, errno, "looking for a free port");
    status_class class = STATUS_OK;
    if (bind(fd, (struct sockaddr *)&address, len) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        class = status_errno(st, errno, "looking for a free port");
    *port_out = ntohs(address.sin_port);
    close(fd);
    return class;
}
