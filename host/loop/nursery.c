/* The host's side of the nursery: writes an order, reads the answer; one order at a time under a lock.
 * Waiting is a poll on the pidfd; only the exit status is asked of the nursery, which is the parent. */
#include "loop/nursery.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/text.h"
#include "loop/nursery_wire.h"

typedef struct real_nursery {
    nursery base;
    pthread_mutex_t lock;
    int socket;
    pid_t pid;
} real_nursery;

static size_t count_strings(const char *const *list)
{
    size_t n = 0;
    while (list && list[n])
        n++;
    return n;
}

static void add_string(text *out, const char *s)
{
    text_add_n(out, s, strlen(s) + 1);
}

static status_class order_build(const nursery_request *r, text *out, int *fds_out, status *st)
{
    const char *const just_program[] = {r->program, NULL};
    const char *const *argv = r->argv ? r->argv : just_program;
    nursery_order o = {.ask = NURSERY_SPAWN,
                       .argc = (uint32_t)count_strings(argv),
                       .envc = (uint32_t)count_strings(r->env),
                       .n_limits = (uint32_t)r->n_limits,
                       .n_fds = (uint32_t)r->n_fds,
                       .outlive = r->outlive,
                       .nice = r->nice,
                       .uid = r->uid,
                       .gid = r->gid};
    if (r->n_limits > NURSERY_LIMITS_MAX || r->n_fds > NURSERY_FDS_MAX || o.argc > NURSERY_ARGS_MAX ||
        o.envc > NURSERY_ARGS_MAX)
        return status_set(st, STATUS_INVALID, "cannot start %s: too many arguments, limits or descriptors",
                          r->program);
    for (size_t i = 0; i < r->n_fds; i++) {
        o.targets[i] = r->fds[i].target;
        fds_out[i] = r->fds[i].source;
    }
    if (r->n_limits)
        memcpy(o.limits, r->limits, r->n_limits * sizeof *r->limits);
    text_add_n(out, &o, sizeof o);
    add_string(out, r->program);
    add_string(out, r->folder ? r->folder : "/");
    add_string(out, r->user ? r->user : "");
    for (uint32_t i = 0; i < o.argc; i++)
        add_string(out, argv[i]);
    for (uint32_t i = 0; i < o.envc; i++)
        add_string(out, r->env[i]);
    if (out->len > sizeof o + NURSERY_REQUEST_MAX)
        return status_set(st, STATUS_INVALID, "cannot start %s: arguments and environment exceed %d bytes",
                          r->program, NURSERY_REQUEST_MAX);
    return STATUS_OK;
}

/* One order, one answer. */
static status_class exchange(real_nursery *n, const text *order, const int *fds, size_t n_fds,
                             nursery_answer *answer, int *pidfd_out, status *st)
{
    size_t room = 1;
    *pidfd_out = -1;
    pthread_mutex_lock(&n->lock);
    ssize_t done = nursery_message_send(n->socket, order->data, order->len, fds, n_fds);
    if (done > 0)
        done = nursery_message_receive(n->socket, answer, sizeof *answer, pidfd_out, &room);
    pthread_mutex_unlock(&n->lock);
    if (done == (ssize_t)sizeof *answer)
        return STATUS_OK;
    return status_set(st, STATUS_INTERNAL, "the nursery does not answer: %s",
                      done < 0 ? strerror(errno) : "it has ended");
}

static status_class real_spawn(nursery *base, const nursery_request *request, nursery_child *child_out,
                               status *st)
{
    real_nursery *n = (real_nursery *)base;
    text order = {0};
    int fds[NURSERY_FDS_MAX], pidfd = -1;
    nursery_answer answer = {0};
    status_class class = order_build(request, &order, fds, st);
    if (class == STATUS_OK)
        class = exchange(n, &order, fds, request->n_fds, &answer, &pidfd, st);
    if (class == STATUS_OK && answer.error)
        class =
            status_set(st, answer.error == ENOENT ? STATUS_NOT_FOUND : STATUS_UNAVAILABLE,
                       "cannot start %s: %.31s: %s", request->program, answer.step, strerror(answer.error));
    text_free(&order);
    if (class == STATUS_OK)
        *child_out = (nursery_child){.pid = answer.pid, .pidfd = pidfd};
    else if (pidfd >= 0)
        close(pidfd);
    return class;
}

static status_class real_wait(nursery *base, const nursery_child *child, int timeout_ms,
                              nursery_exit *exit_out, status *st)
{
    struct pollfd ended = {.fd = child->pidfd, .events = POLLIN};
    int ready;
    do
        ready = poll(&ended, 1, timeout_ms);
    while (ready < 0 && errno == EINTR);
    if (ready == 0)
        return status_set(st, STATUS_TIMEOUT, "process %d is still running after %d ms", child->pid,
                          timeout_ms);
    nursery_order order = {.ask = NURSERY_WAIT, .pid = child->pid};
    text bytes = {.data = (char *)&order, .len = sizeof order};
    nursery_answer answer = {0};
    int none = -1;
    status_class class = exchange((real_nursery *)base, &bytes, NULL, 0, &answer, &none, st);
    if (class != STATUS_OK)
        return class;
    if (answer.error)
        return status_errno(st, answer.error, "cannot ask how the process ended");
    *exit_out = (nursery_exit){.exited = answer.exited, .code = answer.code};
    return STATUS_OK;
}

static int real_signal(nursery *base, const nursery_child *child, int number)
{
    (void)base;
    return (int)syscall(SYS_pidfd_send_signal, child->pidfd, number, NULL, 0);
}

static void real_release(nursery *base, nursery_child *child)
{
    real_nursery *n = (real_nursery *)base;
    nursery_order order = {.ask = NURSERY_FORGET, .pid = child->pid};
    pthread_mutex_lock(&n->lock);
    nursery_message_send(n->socket, &order, sizeof order, NULL, 0);
    pthread_mutex_unlock(&n->lock);
    close(child->pidfd);
}

static status_class real_broker(nursery *base, int socket, pid_t *pid_out, status *st)
{
    nursery_order order = {.ask = NURSERY_BROKER, .n_fds = 1};
    text bytes = {.data = (char *)&order, .len = sizeof order};
    nursery_answer answer = {0};
    int none = -1;
    status_class class = exchange((real_nursery *)base, &bytes, &socket, 1, &answer, &none, st);
    if (class == STATUS_OK && answer.error)
        class = status_errno(st, answer.error, "cannot start the broker");
    *pid_out = class == STATUS_OK ? answer.pid : 0;
    return class;
}

static void real_stop(nursery *base)
{
    real_nursery *n = (real_nursery *)base;
    close(n->socket);
    waitpid(n->pid, NULL, 0);
    pthread_mutex_destroy(&n->lock);
    free(n);
}

static const nursery_operations real_operations = {.spawn = real_spawn,
                                                   .wait = real_wait,
                                                   .signal = real_signal,
                                                   .release = real_release,
                                                   .stop = real_stop,
                                                   .broker = real_broker};

nursery *nursery_start(status *st)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        status_errno(st, errno, "cannot start the nursery");
        return NULL;
    }
    int size = 2 * (NURSERY_REQUEST_MAX + (int)sizeof(nursery_order));
    setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        nursery_process_run(ends[1]);
    }
    int failed = errno;
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        status_errno(st, failed, "cannot start the nursery");
        return NULL;
    }
    real_nursery *n = memory_zero(1, sizeof *n);
    n->base.operations = &real_operations;
    n->socket = ends[0];
    n->pid = pid;
    pthread_mutex_init(&n->lock, NULL);
    return &n->base;
}

void nursery_stop(nursery *n)
{
    if (n)
        n->operations->stop(n);
}

status_class nursery_spawn(nursery *n, const nursery_request *request, nursery_child *child_out, status *st)
{
    return n->operations->spawn(n, request, child_out, st);
}

status_class nursery_wait(nursery *n, const nursery_child *child, int timeout_ms, nursery_exit *exit_out,
                          status *st)
{
    return n->operations->wait(n, child, timeout_ms, exit_out, st);
}

int nursery_signal(nursery *n, const nursery_child *child, int number)
{
    return n->operations->signal(n, child, number);
}

void nursery_release(nursery *n, nursery_child *child)
{
    if (child->pid > 0)
        n->operations->release(n, child);
    *child = (nursery_child){.pidfd = -1};
}

status_class nursery_broker(nursery *n, int socket, pid_t *pid_out, status *st)
{
    if (!n->operations->broker)
        return status_set(st, STATUS_UNSUPPORTED, "this nursery has no broker");
    return n->operations->broker(n, socket, pid_out, st);
}

void nursery_exit_text(const nursery_exit *exit, char *out, size_t size)
{
    if (exit->exited)
        snprintf(out, size, "exit code %d", exit->code);
    else
        snprintf(out, size, "killed by signal %d (%s)", exit->code, strsignal(exit->code));
}
