/* A far side that the author brings: a program, found by PATH, that is told answers, silent or
 * refuses, prints "port N" as its first line and serves on loopback until its input ends. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "check/far_talk.h"
#include "check/verdict.h"

static void become(const char *program, far_mode mode, int in, int out)
{
    static const char *const modes[] = {
        [FAR_ANSWERS] = "answers", [FAR_SILENT] = "silent", [FAR_REFUSES] = "refuses"};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (dup2(in, 0) == 0 && dup2(out, 1) == 1)
        execlp(program, program, modes[mode], (char *)NULL);
    _exit(127);
}

void far_program_start(const char *program, far_mode mode, far_side *out)
{
    int in[2], from[2]; /* `in` is never written to: its end is ours */
    if (pipe2(in, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
        verdict_fail(NULL, "the far side does not start: %s", strerror(errno));
    fflush(NULL);
    out->pid = fork();
    if (out->pid == 0)
        become(program, mode, in[0], from[1]);
    close(in[0]);
    close(from[1]);
    out->in_fd = in[1];
    FILE *said = fdopen(from[0], "r");
    if (out->pid < 0 || !said || fscanf(said, "port %d", &out->port) != 1)
        verdict_fail("check.json: program", "%s does not start, or does not say \"port N\"", program);
    fclose(said);
}
