/* The host's side: orders go out under a lock; a thread takes the events and, when the socket ends, starts
 * the next broker. */
#include "loop/broker.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/text.h"
#include "loop/broker_wire.h"
#include "loop/nursery_wire.h"

enum { BUFFER_BYTES = 1 << 20, RESTART_PAUSE_NS = 200000000 };

struct broker {
    nursery *spawner;
    broker_denied on_denied;
    void *arg;
    pthread_t thread;
    pthread_mutex_t lock; /* guards the rest */
    int socket;           /* replaced by the thread only */
    pid_t pid;
    unsigned generation;
    bool stopping;
};

static status_class start_process(broker *b, status *st)
{
    int ends[2], size = BUFFER_BYTES;
    pid_t pid;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return status_errno(st, errno, "cannot start the broker");
    setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    status_class class = nursery_broker(b->spawner, ends[1], &pid, st);
    close(ends[1]);
    if (class != STATUS_OK) {
        close(ends[0]);
        return class;
    }
    pthread_mutex_lock(&b->lock);
    b->socket = ends[0];
    b->pid = pid;
    if (b->stopping) /* meanwhile: the thread finds the end of this one too */
        shutdown(b->socket, SHUT_RDWR);
    pthread_mutex_unlock(&b->lock);
    return STATUS_OK;
}

/* The old one has ended; false when that was meant. */
static bool start_again(broker *b)
{
    status st;
    struct timespec pause = {.tv_nsec = RESTART_PAUSE_NS};
    pthread_mutex_lock(&b->lock);
    close(b->socket);
    b->socket = -1;
    b->pid = 0;
    b->generation++;
    bool stopping = b->stopping;
    pthread_mutex_unlock(&b->lock);
    if (stopping)
        return false;
    log_error("broker", "it ended: running cells have lost their network; the next ones get a new broker");
    nanosleep(&pause, NULL); /* should it die at once, it does so five times a second */
    if (start_process(b, &st) == STATUS_OK)
        return true;
    log_status(LOG_LEVEL_ERROR, "broker", "cannot be started again: cells do not start", &st);
    return false;
}

static void *broker_thread(void *arg)
{
    broker *b = arg;
    for (;;) {
        broker_event e;
        ssize_t got;
        do
            got = recv(b->socket, &e, sizeof e, 0);
        while (got < 0 && errno == EINTR);
        if (got == (ssize_t)sizeof e) {
            e.what[sizeof e.what - 1] = '\0';
            b->on_denied(b->arg, e.tag, e.what, e.count);
        } else if (!start_again(b)) {
            return NULL;
        }
    }
}

status_class broker_start(nursery *n, broker_denied on_denied, void *arg, broker **broker_out, status *st)
{
    broker *b = memory_zero(1, sizeof *b);
    *b = (broker){.spawner = n, .on_denied = on_denied, .arg = arg, .socket = -1};
    pthread_mutex_init(&b->lock, NULL);
    *broker_out = NULL;
    status_class class = start_process(b, st);
    if (class == STATUS_OK && pthread_create(&b->thread, NULL, broker_thread, b) == 0) {
        *broker_out = b;
        return STATUS_OK;
    }
    if (class == STATUS_OK) {
        close(b->socket);
        class = status_set(st, STATUS_LIMIT, "cannot start a thread for the broker");
    }
    pthread_mutex_destroy(&b->lock);
    free(b);
    return class;
}

void broker_stop(broker *b)
{
    if (!b)
        return;
    pthread_mutex_lock(&b->lock);
    b->stopping = true;
    if (b->socket >= 0)
        shutdown(b->socket, SHUT_RDWR); /* it ends, and our thread with it */
    pthread_mutex_unlock(&b->lock);
    pthread_join(b->thread, NULL);
    pthread_mutex_destroy(&b->lock);
    free(b);
}

static status_class order_send(broker *b, const broker_order *o, const broker_reach *reach,
                               const broker_range *ranges, int fd, status *st)
{
    text bytes = {0};
    text_add_n(&bytes, o, sizeof *o);
    text_add_n(&bytes, reach, o->n_reach * sizeof *reach);
    text_add_n(&bytes, ranges, o->n_ranges * sizeof *ranges);
    pthread_mutex_lock(&b->lock);
    errno = ENOTCONN;
    bool sent = b->socket >= 0 && nursery_message_send(b->socket, bytes.data, bytes.len, &fd, fd >= 0) > 0;
    int failed = errno;
    pthread_mutex_unlock(&b->lock);
    text_free(&bytes);
    return sent ? STATUS_OK
                : status_set(st, STATUS_UNAVAILABLE, "the broker does not take orders: %s", strerror(failed));
}

status_class broker_admit(broker *b, const broker_admission *a, int *door_out, status *st)
{
    int ends[2];
    broker_order o = {.ask = BROKER_ADMIT,
                      .network = a->network,
                      .tag = a->tag,
                      .n_reach = (uint32_t)a->n_reach,
                      .n_ranges = (uint32_t)a->n_ranges};
    if (a->n_reach > BROKER_REACH_MAX || a->n_ranges > BROKER_RANGES_MAX)
        return status_set(st, STATUS_LIMIT, "more than %d places or %d networks", BROKER_REACH_MAX,
                          BROKER_RANGES_MAX);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return status_errno(st, errno, "cannot make a door for a cell");
    status_class class = order_send(b, &o, a->reach, a->ranges, ends[1], st);
    close(ends[1]);
    *door_out = class == STATUS_OK ? ends[0] : -1;
    if (class != STATUS_OK)
        close(ends[0]);
    return class;
}

void broker_reach_add(broker *b, uint64_t tag, const broker_reach *more)
{
    status st;
    broker_order o = {.ask = BROKER_REACH, .tag = tag, .n_reach = 1};
    if (order_send(b, &o, more, NULL, -1, &st) != STATUS_OK)
        log_status(LOG_LEVEL_WARN, "broker", "a place could not be added", &st);
}

pid_t broker_pid(broker *b)
{
    pthread_mutex_lock(&b->lock);
    pid_t pid = b->pid;
    pthread_mutex_unlock(&b->lock);
    return pid;
}

unsigned broker_generation(broker *b)
{
    pthread_mutex_lock(&b->lock);
    unsigned generation = b->generation;
    pthread_mutex_unlock(&b->lock);
    return generation;
}
