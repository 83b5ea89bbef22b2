/* The child leads a process group of its own; whatever it left behind goes with the group. */
#include "check/runner.h"

#include <assert.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check/stand.h"
#include "check/stand_state.h"

__attribute__((noreturn)) static void child(const subject *s, const check_case *c, verdict *shared)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    verdict_use(shared);
    srand(s->seed);
    c->run(s);
    verdict_fail(NULL, "the case came to no verdict");
}

/* True if it ended by itself in time. */
static bool wait_for(pid_t pid, int seconds, int *state)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd ended = {.fd = fd, .events = POLLIN};
    bool in_time = fd >= 0 && poll(&ended, 1, seconds * 1000) == 1;
    if (!in_time)
        kill(pid, SIGKILL);
    waitpid(pid, state, 0);
    kill(-pid, SIGKILL);
    if (fd >= 0)
        close(fd);
    return in_time;
}

static void judge(const check_case *c, verdict *v, bool in_time, int state)
{
    char how[200] = "";
    if (v->state != VERDICT_NONE && in_time)
        return;
    if (!in_time)
        snprintf(how, sizeof how, "it hangs: no end after %d s", c->seconds);
    else if (WIFSIGNALED(state))
        snprintf(how, sizeof how, "it died of signal %d (%s)", WTERMSIG(state), strsignal(WTERMSIG(state)));
    else
        snprintf(how, sizeof how, "it ended the process with exit code %d", WEXITSTATUS(state));
    snprintf(v->why, sizeof v->why, "%s", how);
    snprintf(v->where, sizeof v->where, "%s", v->doing);
    v->state = VERDICT_FAILED;
}

bool runner_concerns(const subject *s, const check_case *c)
{
    return c->kinds == ON_FILE || (s->entry && c->kinds & 1 << s->entry->kind);
}

void runner_run(const subject *s, const check_case *c, verdict *shared, result *out)
{
    int state = 0;
    verdict_reset(shared);
    stand_state_reset();
    int64_t from = stand_now_us();
    fflush(NULL);
    pid_t pid = fork();
    assert(pid >= 0);
    if (pid == 0)
        child(s, c, shared);
    setpgid(pid, pid);
    bool in_time = wait_for(pid, c->seconds, &state);
    judge(c, shared, in_time, state);
    *out = (result){.which = c, .verdict = *shared, .took_us = stand_now_us() - from};
    out->quirk = json_string_value(json_object_get(s->project.quirks, c->name));
    if (shared->state == VERDICT_SKIPPED)
        out->outcome = OUTCOME_SKIPPED;
    else if (shared->state == VERDICT_FAILED)
        out->outcome = out->quirk ? OUTCOME_QUIRK : OUTCOME_FAILED;
    else
        out->outcome = out->quirk ? OUTCOME_UNNEEDED : OUTCOME_PASSED;
}
