/* The plain way to start the cluster's programs: fork and exec. The host uses its nursery instead, because
 * forking a large process stalls it. Between fork and exec only async-signal-safe calls are made. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/cluster.h"

#define POLL_MS 10

__attribute__((noreturn)) static void become(const cluster_process *p, pid_t parent)
{
    int null = open("/dev/null", O_RDONLY);
    int log = open(p->output, O_WRONLY | O_CREAT | O_APPEND, 0640);
    if (null < 0 || log < 0 || dup2(null, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0)
        _exit(126);
    for (int fd = 3; fd < 256; fd++)
        close(fd);
    if (p->outlive)
        setsid();
    if (p->uid != geteuid() && (setgroups(0, NULL) != 0 || setgid(p->gid) != 0 || setuid(p->uid) != 0))
        _exit(126);
    if (!p->outlive) {
        /* after setuid, which clears it; the parent may have died before it was set */
        prctl(PR_SET_PDEATHSIG, SIGINT);
        if (getppid() != parent)
            _exit(126);
    }
    if (chdir(p->folder) != 0)
        _exit(126);
    umask(077);
    char *const *argv, *const *env; /* execve takes them without const, and does not write */
    memcpy(&argv, &p->argv, sizeof argv);
    memcpy(&env, &p->env, sizeof env);
    execve(argv[0], argv, env);
    _exit(127);
}

static status_class plain_start(void *self, const cluster_process *p, pid_t *pid_out, status *st)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    (void)self;
    if (pid < 0)
        return status_errno(st, errno, p->argv[0]);
    if (pid == 0)
        become(p, parent);
    *pid_out = pid;
    return STATUS_OK;
}

static status_class plain_wait(void *self, pid_t pid, int64_t timeout_ms, int *code_out, status *st)
{
    int64_t deadline = clock_monotonic_us() + timeout_ms * 1000;
    int how;
    (void)self;
    for (;;) {
        pid_t ended = waitpid(pid, &how, WNOHANG);
        if (ended == pid) {
            *code_out = WIFEXITED(how) ? WEXITSTATUS(how) : 128 + WTERMSIG(how);
            return STATUS_OK;
        }
        if (ended < 0 && errno != EINTR)
            return status_errno(st, errno, "wait");
        if (clock_monotonic_us() > deadline)
            return status_set(st, STATUS_TIMEOUT, "process %d still runs after %lld ms", (int)pid,
                              (long long)timeout_ms);
        nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
    }
}

const cluster_spawn cluster_spawn_plain = {.start = plain_start, .wait = plain_wait};
