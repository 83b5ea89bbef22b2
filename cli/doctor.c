/* `penstock doctor`: the usual reasons why things do not work, each with what to do about it. */
#include <netinet/in.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/disk.h"
#include "client.h"
#include "complaint.h"
#include "context.h"
#include "exit_code.h"
#include "process.h"
#include "stack.h"
#include "tables.h"

#define DISK_LOW_BYTES (1LL << 30)

typedef struct checkup {
    invocation *inv;
    stack stack;
    unsigned problems;
} checkup;

static void finding(checkup *d, bool fine, const char *what, const char *advice)
{
    printf("%-4s  %s%s%s\n", fine ? "ok" : "BAD", what, fine || !*advice ? "" : ": ", fine ? "" : advice);
    d->problems += !fine;
}

static void check_programs(checkup *d)
{
    static const char *const names[] = {"penstockd", "penstock-cell", "penstock-mail-sink"};
    char path[STACK_PATH_SIZE], what[128];
    status st;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(what, sizeof what, "program %s", names[i]);
        finding(d, program_find(names[i], path, sizeof path, &st) == STATUS_OK, what,
                "not installed; ./dev build");
    }
    finding(d, disk_exists("/usr/lib/postgresql/15/bin/postgres"), "PostgreSQL 15",
            "not installed; apt-get install --no-install-recommends postgresql-15");
}

static void check_user(checkup *d)
{
    if (geteuid() != 0)
        return;
    finding(d, getpwnam("penstock") != NULL,
            "system user penstock", /* NOLINT(concurrency-mt-unsafe) one thread */
            "missing; PostgreSQL will not run as root: ./dev deps makes it");
}

static void check_state(checkup *d)
{
    char what[STACK_PATH_SIZE + 64];
    int64_t bytes = disk_free_bytes(d->stack.state, NULL);
    snprintf(what, sizeof what, "state folder %s", d->stack.state);
    if (!disk_exists(d->stack.state)) {
        finding(d, true, "no state folder yet: penstock up makes it (--state DIR names another)", "");
        return;
    }
    finding(d, access(d->stack.state, W_OK) == 0, what, "not writable");
    if (bytes < 0)
        return; /* the file system does not say */
    snprintf(what, sizeof what, "%.1f GB free there", (double)bytes / 1e9);
    finding(d, bytes > DISK_LOW_BYTES, what, "the host stops taking rows when the disk is full");
}

static bool port_free(long port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    bool is_free = bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return is_free;
}

static void check_host(checkup *d)
{
    char what[128];
    long port = stack_port(&d->stack);
    port = port ? port : STACK_PORT;
    pid_t pid = stack_host(&d->stack);
    if (pid) {
        snprintf(what, sizeof what, "host runs (process %d, port %ld)", (int)pid, port);
        finding(d, true, what, "");
        return;
    }
    snprintf(what, sizeof what, "port %ld is free for it", port);
    finding(d, port_free(port), what, "another program listens there; penstock up --port N");
}

static void check_server(checkup *d)
{
    status st;
    answer a = {0};
    char advice[600];
    const context *c = context_of(d->inv, &st);
    if (c && !*c->url) {
        finding(d, true, "no server in the context yet", "");
        return;
    }
    client *client = c ? client_of(d->inv, &st) : NULL;
    request r = {.method = "GET", .path = "/api/v1/workspaces?limit=1", .busy_is_answer = true};
    bool fine = client && client_call(client, &r, &a, &st) == STATUS_OK;
    snprintf(advice, sizeof advice, "%s", fine ? "" : st.text);
    finding(d, fine, "the context's server takes our key", advice);
    answer_release(&a);
}

/* Each setting with where it came from. */
static int config_print(invocation *inv)
{
    status st;
    const context *c = context_of(inv, &st);
    if (!c)
        return complain("the configuration is wrong", &st);
    const json_t *kept = json_object_get(json_object_get(c->file, "contexts"), c->name);
    const char *names[] = {"url", "workspace"}, *values[] = {c->url, c->workspace};
    printf("file\t%s\ncontext\t%s\n", c->path, c->name);
    for (size_t i = 0; i < 2; i++) {
        const char *in_file = json_string_value(json_object_get(kept, names[i]));
        const char *from = flag_given(inv, names[i])                    ? "flag"
                           : in_file && strcmp(in_file, values[i]) == 0 ? "file"
                           : *values[i]                                 ? "environment"
                                                                        : "not set";
        printf("%s\t%s\t(%s)\n", names[i], values[i], from);
    }
    printf("key\t%s\n", *c->key ? "*** (set)" : "(not set)");
    return EXIT_DONE;
}

static int run_doctor(invocation *inv)
{
    status st;
    checkup d = {.inv = inv};
    if (flag_given(inv, "config"))
        return config_print(inv);
    if (stack_find(inv, &d.stack, &st) != STATUS_OK)
        return complain_usage(&st);
    check_programs(&d);
    check_user(&d);
    check_state(&d);
    check_host(&d);
    check_server(&d);
    if (d.problems)
        say("%u problems", d.problems);
    return d.problems ? EXIT_FAILED : EXIT_DONE;
}

static const flag doctor_flags[] = {{"state", 0, "DIR", "the state folder to look at"},
                                    {"config", 0, NULL, "print each setting and where it comes from"},
                                    {0}};

const command doctor_commands[] = {
    {NULL, "doctor", "", 0, 0, doctor_flags, "checks the usual reasons why something does not work",
     "doctor\ndoctor --config", run_doctor, NULL},
    {0},
};
