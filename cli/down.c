/* `penstock down`: stops the host, then its private PostgreSQL and the demo's mail sink. The data stay. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "complaint.h"
#include "exit_code.h"
#include "process.h"
#include "stack.h"
#include "tables.h"

#define HOST_TIMEOUT_MS 20000
#define DATABASE_TIMEOUT_MS 30000

/* SIGINT is PostgreSQL's fast shutdown: sessions are rolled back, everything is on disk afterwards. */
static status_class part_end(const char *name, pid_t pid, int signal_number, int timeout_ms,
                             unsigned *stopped, status *st)
{
    if (pid == 0)
        return STATUS_OK;
    if (process_end(pid, signal_number, timeout_ms, st) != STATUS_OK)
        return status_wrap(st, "%s", name);
    say("%s stopped", name);
    (*stopped)++;
    return STATUS_OK;
}

static int run_down(invocation *inv)
{
    status st;
    stack s;
    unsigned stopped = 0;
    char pid_file[STACK_PATH_SIZE], sockets[STACK_PATH_SIZE];
    if (stack_find(inv, &s, &st) != STATUS_OK)
        return complain_usage(&st);
    stack_database_sockets(&s, sockets);
    if (part_end("the host", stack_host(&s), SIGTERM, HOST_TIMEOUT_MS, &stopped, &st) != STATUS_OK ||
        part_end("its PostgreSQL", stack_database(&s), SIGINT, DATABASE_TIMEOUT_MS, &stopped, &st) !=
            STATUS_OK ||
        part_end("the mail sink", stack_sink(&s), SIGTERM, HOST_TIMEOUT_MS, &stopped, &st) != STATUS_OK)
        return complain("not everything stopped", &st);
    if (*sockets)
        rmdir(sockets); /* it lies outside of the state folder; PostgreSQL has emptied it */
    stack_path(&s, "host.pid", pid_file);
    unlink(pid_file);
    if (stopped == 0)
        say("nothing runs on %s", s.state);
    return EXIT_DONE;
}

const command down_commands[] = {
    {NULL, "down", "", 0, 0, stack_flags, "stops what `penstock up` started; the data stay", "down", run_down,
     NULL},
    {0},
};
