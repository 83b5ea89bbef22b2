/* The nursery's own process: answers one order at a time and collects the children that ended. It must stay
 * tiny, so it allocates little, and it ends when the host's end of the socket is closed. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loop/broker_wire.h"
#include "loop/nursery_wire.h"

enum { FIRST_FREE_FD = 64, FORGOTTEN = 1 << 0, ENDED = 1 << 1 };

typedef struct kept_child {
    pid_t pid;
    int flags;
    nursery_exit exit;
} kept_child;

typedef struct process {
    int socket, signals;
    kept_child *children;
    size_t n, cap;
    char buffer[sizeof(nursery_order) + NURSERY_REQUEST_MAX];
} process;

typedef struct plan { /* a spawn order, taken apart */
    const nursery_order *order;
    const char *program, *folder, *user;
    char *argv[NURSERY_ARGS_MAX + 1], *env[NURSERY_ARGS_MAX + 1];
    int fds[NURSERY_FDS_MAX];
    int report; /* pipe to the nursery, closed by exec */
    pid_t parent;
} plan;

/* ---- In the new process ---- */

_Noreturn static void give_up(const plan *p, const char *step)
{
    nursery_answer a = {.error = errno ? errno : EINVAL};
    snprintf(a.step, sizeof a.step, "%s", step);
    ssize_t sent = write(p->report, &a, sizeof a);
    _exit(sent > 0 ? 127 : 126);
}

static void reset_signals(void)
{
    for (int s = 1; s < NSIG; s++)
        signal(s, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* First out of the way of every target, then into place. Everything else is close-on-exec. */
static void place_fds(plan *p)
{
    for (uint32_t i = 0; i < p->order->n_fds; i++) {
        p->fds[i] = fcntl(p->fds[i], F_DUPFD_CLOEXEC, FIRST_FREE_FD);
        if (p->fds[i] < 0)
            give_up(p, "descriptors");
    }
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || dup2(null, 0) < 0)
        give_up(p, "/dev/null");
    for (uint32_t i = 0; i < p->order->n_fds; i++)
        if (dup2(p->fds[i], p->order->targets[i]) < 0)
            give_up(p, "descriptors");
}

static void set_limits(const plan *p)
{
    for (uint32_t i = 0; i < p->order->n_limits; i++) {
        const nursery_limit *l = &p->order->limits[i];
        struct rlimit both = {.rlim_cur = l->value, .rlim_max = l->value};
        if (setrlimit((__rlimit_resource_t)l->resource, &both) != 0)
            give_up(p, "limits");
    }
}

static void become_user(const plan *p)
{
    uid_t uid = p->order->uid;
    gid_t gid = p->order->gid;
    if (*p->user) {
        errno = 0;
        struct passwd *entry = getpwnam(p->user);
        if (entry) {
            uid = entry->pw_uid;
            gid = entry->pw_gid;
        } else {
            errno = ENOENT;
            give_up(p, "user");
        }
    }
    if (!uid || uid == geteuid())
        return;
    int groups = *p->user ? initgroups(p->user, gid) : setgroups(0, NULL);
    if (groups != 0 || setgid(gid) != 0 || setuid(uid) != 0)
        give_up(p, "user");
}

_Noreturn static void child_run(plan *p)
{
    reset_signals();
    if (p->order->outlive ? setsid() < 0 : setpgid(0, 0) < 0)
        give_up(p, "session");
    place_fds(p);
    set_limits(p);
    errno = 0;
    if (p->order->nice && nice(p->order->nice) == -1 && errno)
        give_up(p, "priority");
    become_user(p);
    if (chdir(p->folder) != 0)
        give_up(p, "folder");
    /* After the change of user, which would clear it. */
    if (!p->order->outlive && prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        give_up(p, "death signal");
    if (!p->order->outlive && getppid() != p->parent)
        _exit(125);
    execve(p->program, p->argv, p->env);
    give_up(p, "program");
}

/* ---- In the nursery ---- */

static char *next_string(char **at, const char *end)
{
    char *s = *at, *nul = s < end ? memchr(s, 0, (size_t)(end - s)) : NULL;
    if (!nul)
        return NULL;
    *at = nul + 1;
    return s;
}

static bool plan_strings(plan *p, char *at, const char *end)
{
    const nursery_order *o = p->order;
    p->program = next_string(&at, end);
    p->folder = next_string(&at, end);
    p->user = next_string(&at, end);
    if (!p->user || o->argc > NURSERY_ARGS_MAX || o->envc > NURSERY_ARGS_MAX)
        return false;
    for (uint32_t i = 0; i < o->argc; i++)
        if (!(p->argv[i] = next_string(&at, end)))
            return false;
    for (uint32_t i = 0; i < o->envc; i++)
        if (!(p->env[i] = next_string(&at, end)))
            return false;
    return o->n_limits <= NURSERY_LIMITS_MAX && o->n_fds <= NURSERY_FDS_MAX;
}

static kept_child *child_find(process *n, pid_t pid)
{
    for (size_t i = 0; i < n->n; i++)
        if (n->children[i].pid == pid)
            return &n->children[i];
    return NULL;
}

static void child_drop(process *n, kept_child *c)
{
    *c = n->children[--n->n];
}

static bool child_room(process *n)
{
    if (n->n < n->cap)
        return true;
    size_t cap = n->cap ? 2 * n->cap : 32;
    kept_child *grown = realloc(n->children, cap * sizeof *grown);
    if (!grown)
        return false;
    n->children = grown;
    n->cap = cap;
    return true;
}

static void collect_ended(process *n)
{
    siginfo_t info = {0};
    while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG) == 0 && info.si_pid) {
        kept_child *c = child_find(n, info.si_pid);
        if (c && c->flags & FORGOTTEN) {
            child_drop(n, c);
        } else if (c) {
            c->flags |= ENDED;
            c->exit = (nursery_exit){.exited = info.si_code == CLD_EXITED, .code = info.si_status};
        }
        info.si_pid = 0;
    }
}

/* Forks and waits for the exec; on failure `a` has the reason and the process is gone. */
static pid_t fork_and_exec(plan *p, nursery_answer *a)
{
    int pipes[2];
    if (pipe2(pipes, O_CLOEXEC) != 0) {
        *a = (nursery_answer){.error = errno, .step = "pipe"};
        return -1;
    }
    p->report = pipes[1];
    p->parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        close(pipes[0]);
        p->report = fcntl(pipes[1], F_DUPFD_CLOEXEC, 2 * FIRST_FREE_FD);
        child_run(p);
    }
    int failed = errno;
    close(pipes[1]);
    if (pid < 0)
        *a = (nursery_answer){.error = failed, .step = "fork"};
    else if (read(pipes[0], a, sizeof *a) == (ssize_t)sizeof *a) {
        waitpid(pid, NULL, 0);
        pid = -1;
    }
    close(pipes[0]);
    return pid;
}

static void order_spawn(process *n, plan *p)
{
    nursery_answer a = {0};
    int pidfd = -1;
    pid_t pid = child_room(n) ? fork_and_exec(p, &a) : -1;
    if (pid > 0) {
        a = (nursery_answer){.pid = pid};
        n->children[n->n++] = (kept_child){.pid = pid};
        pidfd = (int)syscall(SYS_pidfd_open, pid, 0); /* no race: only this process collects it */
        if (pidfd < 0)
            a = (nursery_answer){.error = errno, .step = "pidfd"};
    } else if (!a.error) {
        a = (nursery_answer){.error = ENOMEM, .step = "memory"};
    }
    nursery_message_send(n->socket, &a, sizeof a, &pidfd, pidfd >= 0);
    if (pidfd >= 0)
        close(pidfd);
}

/* No exec: the broker is this small process once more, with other work. */
static void order_broker(process *n, int socket)
{
    nursery_answer a = {0};
    pid_t parent = getpid(), pid = child_room(n) ? fork() : -1;
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent || setpgid(0, 0) < 0)
            _exit(125);
        broker_process_run(socket);
    }
    if (pid > 0)
        n->children[n->n++] = (kept_child){.pid = pid, .flags = FORGOTTEN};
    a = (nursery_answer){.pid = pid, .error = pid < 0 ? errno : 0};
    nursery_message_send(n->socket, &a, sizeof a, NULL, 0);
}

static void order_wait(process *n, pid_t pid)
{
    collect_ended(n);
    kept_child *c = child_find(n, pid);
    nursery_answer a = {.pid = pid, .error = !c ? ESRCH : c->flags & ENDED ? 0 : EAGAIN};
    if (c) {
        a.exited = c->exit.exited;
        a.code = c->exit.code;
    }
    nursery_message_send(n->socket, &a, sizeof a, NULL, 0);
}

static void order_forget(process *n, pid_t pid)
{
    kept_child *c = child_find(n, pid);
    if (c && c->flags & ENDED)
        child_drop(n, c);
    else if (c)
        c->flags |= FORGOTTEN;
}

static void take_order(process *n)
{
    plan p = {0};
    size_t n_fds = NURSERY_FDS_MAX;
    ssize_t got = nursery_message_receive(n->socket, n->buffer, sizeof n->buffer, p.fds, &n_fds);
    if (got <= 0)
        _exit(0); /* the host has ended: children follow by their death signal */
    const nursery_order *o = (const nursery_order *)(void *)n->buffer;
    p.order = o;
    bool whole = (size_t)got >= sizeof *o;
    if (whole && o->ask == NURSERY_WAIT)
        order_wait(n, o->pid);
    else if (whole && o->ask == NURSERY_FORGET)
        order_forget(n, o->pid);
    else if (whole && o->ask == NURSERY_BROKER && n_fds == 1)
        order_broker(n, p.fds[0]);
    else if (whole && o->ask == NURSERY_SPAWN && o->n_fds == n_fds &&
             plan_strings(&p, n->buffer + sizeof *o, n->buffer + got))
        order_spawn(n, &p);
    else
        _exit(2); /* the host never sends such a thing */
    for (size_t i = 0; i < n_fds; i++)
        close(p.fds[i]);
}

_Noreturn void nursery_process_run(int socket)
{
    static process n;
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_SETMASK, &child, NULL);
    signal(SIGINT, SIG_IGN); /* the host decides when to end; its end closes the socket */
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    prctl(PR_SET_NAME, "penstock-nurse", 0, 0, 0);
    /* What the host inherited without close-on-exec must not reach a child. */
    if (socket > 3)
        close_range(3, (unsigned)socket - 1, 0);
    close_range((unsigned)socket + 1, ~0U, 0);
    n.socket = socket;
    n.signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    struct pollfd watched[2] = {{.fd = socket, .events = POLLIN}, {.fd = n.signals, .events = POLLIN}};
    for (;;) {
        if (poll(watched, 2, -1) < 0)
            continue;
        struct signalfd_siginfo seen;
        while (watched[1].revents && read(n.signals, &seen, sizeof seen) > 0)
            continue;
        collect_ended(&n);
        if (watched[0].revents)
            take_order(&n);
    }
}
