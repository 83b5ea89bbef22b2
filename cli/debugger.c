/* gdb attaches, the cell stands still under it, and our call waits for it: nothing has a deadline. "continue"
 * lets the call run into the breakpoints. */
#include "debugger.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/disk.h"
#include "complaint.h"
#include "tool.h"

enum { LOOK_MS = 50 };

static bool is_traced(pid_t pid)
{
    char path[64];
    text content = {0};
    status ignored;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    const char *at = NULL;
    if (disk_read(path, 65536, &content, &ignored) == STATUS_OK)
        at = strstr(text_or_empty(&content), "TracerPid:\t");
    bool traced =
        !at || strncmp(at, "TracerPid:\t0\n", 13) != 0; /* a process that is gone needs no waiting */
    text_free(&content);
    return traced;
}

pid_t debugger_attach(pid_t cell)
{
    char number[16];
    snprintf(number, sizeof number, "%d", (int)cell);
    say("the cell is process %s", number);
    if (!isatty(STDIN_FILENO))
        return 0;
    if (!tool_is_there("gdb")) {
        say("there is no gdb: attach a debugger to it; the call begins then");
        while (!is_traced(cell))
            poll(NULL, 0, LOOK_MS);
        return 0;
    }
    say("set breakpoints, then: continue");
    pid_t gdb = fork();
    if (gdb == 0) {
        execlp("gdb", "gdb", "-q", "-p", number, (char *)NULL);
        _exit(127);
    }
    signal(SIGINT, SIG_IGN); /* Ctrl-C is gdb's */
    while (gdb > 0 && !is_traced(cell) && waitpid(gdb, NULL, WNOHANG) == 0)
        poll(NULL, 0, LOOK_MS);
    return gdb > 0 ? gdb : 0;
}

void debugger_wait(pid_t gdb)
{
    if (gdb > 0)
        waitpid(gdb, NULL, 0);
}
