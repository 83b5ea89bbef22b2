/* The broker's own process: one epoll over the host's socket, the doors, the listeners of the filters and the
 * pidfds. A guest begins with the host's order, gets its listener through its door, and ends with the end of
 * its door. The process ends when the host's end of the socket is closed. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "loop/broker_private.h"
#include "loop/nursery_wire.h"

enum { EVENTS_MAX = 32 };

pthread_mutex_t broker_lock = PTHREAD_MUTEX_INITIALIZER;

static int host_socket, watch;
static guest *guests, *graves; /* graves: ended in this round of events, freed at its end */
static _Alignas(8) uint8_t order_bytes[BROKER_ORDER_MAX + 8];

/* ---- Reports ---- */

static uint64_t hash(const char *text)
{
    uint64_t h = 0xcbf29ce484222325ULL;
    for (; *text; text++)
        h = (h ^ (uint8_t)*text) * 0x100000001b3ULL;
    return h;
}

static void tell(guest *g, const char *what)
{
    broker_event e = {.tag = g->tag, .count = g->untold};
    snprintf(e.what, sizeof e.what, "%s", what);
    if (broker_report(&e))
        g->untold = 0;
}

/* Every denial is counted, each sentence is told once. */
void guest_denied(guest *g, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(g->denied, sizeof g->denied, format, arguments);
    va_end(arguments);
    for (char *c = g->denied; *c; c++)
        if ((unsigned char)*c < ' ' || (unsigned char)*c > '~')
            *c = '?'; /* a path can hold anything */
    g->untold++;
    uint64_t h = hash(g->denied);
    for (size_t i = 0; i < g->n_seen; i++)
        if (g->seen[i] == h)
            return;
    if (g->n_seen == GUEST_SEEN_MAX)
        return;
    g->seen[g->n_seen++] = h;
    tell(g, g->denied);
}

void guest_unreached(guest *g)
{
    memcpy(g->unreached, g->denied, sizeof g->unreached);
}

/* ---- Guests ---- */

static void watch_add(int fd, void *who)
{
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = who};
    epoll_ctl(watch, EPOLL_CTL_ADD, fd, &e);
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void guest_free(guest *g)
{
    free(g->object);
    free(g->reach);
    free(g->ranges);
    free(g);
}

static void guest_end(guest *g)
{
    guest **at = &guests;
    while (*at != g)
        at = &(*at)->next;
    *at = g->next;
    if (g->untold)
        tell(g, "");
    g->gone = true;
    close_fd(&g->door); /* with it the descriptors leave the epoll */
    close_fd(&g->listener);
    close_fd(&g->process);
    for (int i = 0; i < GUEST_JOBS_MAX; i++)
        if (g->job_fds[i] >= 0)
            shutdown(g->job_fds[i], SHUT_RDWR);
    g->next = graves;
    graves = g;
    g->jobs++; /* the grave holds it */
}

void guest_release(guest *g)
{
    if (--g->jobs == 0 && g->gone)
        guest_free(g);
}

static void clear_graves(void)
{
    while (graves) {
        guest *g = graves;
        graves = g->next;
        guest_release(g);
    }
}

static void *copy(const void *from, size_t len)
{
    void *to = malloc(len + 1);
    if (!to)
        _exit(3);
    memcpy(to, from, len);
    return to;
}

static void admit(const broker_order *o, const broker_reach *reach, const broker_range *ranges, int door)
{
    guest *g = calloc(1, sizeof *g);
    if (!g)
        _exit(3);
    *g = (guest){.tag = o->tag,
                 .network = o->network,
                 .door = door,
                 .listener = -1,
                 .process = -1,
                 .reach = copy(reach, o->n_reach * sizeof *reach),
                 .n_reach = o->n_reach,
                 .ranges = copy(ranges, o->n_ranges * sizeof *ranges),
                 .n_ranges = o->n_ranges,
                 .next = guests};
    memset(g->job_fds, -1, sizeof g->job_fds);
    guests = g;
    g->at_door = (watched){.guest = g};
    g->at_listener = (watched){.guest = g, .call = true};
    watch_add(door, &g->at_door);
}

static void extend(uint64_t tag, const broker_reach *more)
{
    for (guest *g = guests; g; g = g->next) {
        bool there = g->tag != tag || g->n_reach >= BROKER_REACH_MAX;
        for (size_t i = 0; !there && i < g->n_reach; i++)
            there = !memcmp(&g->reach[i], more, sizeof *more);
        broker_reach *longer = there ? NULL : realloc(g->reach, (g->n_reach + 1) * sizeof *more);
        if (!longer)
            continue;
        g->reach = longer;
        g->reach[g->n_reach++] = *more;
    }
}

/* ---- The host's orders ---- */

static bool take_order(void)
{
    int fd = -1;
    size_t n_fds = 1;
    char now;
    if (recv(host_socket, &now, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    ssize_t got = nursery_message_receive(host_socket, order_bytes, sizeof order_bytes, &fd, &n_fds);
    if (got <= 0)
        _exit(0); /* the host has ended */
    const broker_order *o = (const broker_order *)(const void *)order_bytes;
    const broker_reach *reach = (const broker_reach *)(const void *)(o + 1);
    if ((size_t)got < sizeof *o || o->n_reach > BROKER_REACH_MAX || o->n_ranges > BROKER_RANGES_MAX ||
        (size_t)got != sizeof *o + o->n_reach * sizeof *reach + o->n_ranges * sizeof(broker_range))
        _exit(2); /* the host never sends such a thing */
    if (o->ask == BROKER_ADMIT && n_fds == 1)
        admit(o, reach, (const broker_range *)(const void *)(reach + o->n_reach), fd);
    else if (o->ask == BROKER_REACH && o->n_reach == 1)
        extend(o->tag, reach);
    return true;
}

void broker_orders_take(void)
{
    while (take_order())
        continue;
}

/* ---- Questions at the door ---- */

static void begin(guest *g, const door_ask *ask, int listener)
{
    door_answer a = {.kind = ask->kind, .number = ask->number};
    g->process = listener >= 0 && g->listener < 0 ? (int)syscall(SYS_pidfd_open, (pid_t)ask->pid, 0) : -1;
    if (g->process < 0) {
        a.error = EINVAL;
        close_fd(&listener);
    } else {
        g->pid = (pid_t)ask->pid;
        g->listener = listener;
        g->landlock = ask->flags & DOOR_LANDLOCK;
        g->object = strdup(ask->name);
        fcntl(listener, F_SETFD, FD_CLOEXEC);
        watch_add(listener, &g->at_listener);
    }
    send(g->door, &a, sizeof a, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void resolve(guest *g, const door_ask *ask)
{
    bool there = false;
    for (int again = 0; !there && again < 2; again++) {
        for (size_t i = 0; g->network && !there && i < g->n_reach; i++)
            there = broker_reach_names(&g->reach[i], ask->name);
        if (!there)
            broker_orders_take();
    }
    if (there) {
        broker_resolve_later(g, ask);
        return;
    }
    guest_denied(g, "resolving %.200s was refused: the configuration does not name it", ask->name);
    guest_unreached(g);
    door_answer a = {.kind = ask->kind, .number = ask->number, .error = EAI_FAIL};
    send(g->door, &a, sizeof a, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void take_ask(guest *g)
{
    static door_ask ask;
    int fd = -1;
    size_t n_fds = 1;
    ssize_t got = nursery_message_receive(g->door, &ask, sizeof ask, &fd, &n_fds);
    if (got <= 0) {
        guest_end(g);
        return;
    }
    if ((size_t)got <= DOOR_ASK_LEAST || ask.name[(size_t)got - DOOR_ASK_LEAST - 1] != '\0')
        ask.kind = 0;
    if (ask.kind == DOOR_BEGIN) {
        begin(g, &ask, fd);
        return;
    }
    close_fd(&fd);
    if (ask.kind == DOOR_RESOLVE) {
        resolve(g, &ask);
    } else if (ask.kind == DOOR_DENIED) {
        door_answer a = {.kind = ask.kind, .number = ask.number};
        memcpy(a.text, g->unreached, sizeof a.text);
        g->unreached[0] = '\0';
        send(g->door, &a, sizeof a, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
}

/* ---- The process ---- */

static void take_event(const struct epoll_event *e)
{
    const watched *w = e->data.ptr;
    if (!w) {
        if (e->events & EPOLLOUT)
            broker_report_more();
        if (e->events & ~(uint32_t)EPOLLOUT)
            broker_orders_take();
    } else if (w->guest->gone) {
        return;
    } else if (!w->call) {
        take_ask(w->guest);
    } else if (e->events & EPOLLIN) {
        broker_call_take(w->guest);
    } else {
        close_fd(&w->guest->listener); /* every thread with the filter has ended */
    }
}

static void become(int socket)
{
    struct rlimit files;
    signal(SIGINT, SIG_IGN); /* the host decides when to end */
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_NAME, "penstock-broker", 0, 0, 0);
    if (socket > 3)
        close_range(3, (unsigned)socket - 1, 0);
    close_range((unsigned)socket + 1, ~0U, 0);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

_Noreturn void broker_process_run(int socket)
{
    become(socket);
    host_socket = socket;
    watch = epoll_create1(EPOLL_CLOEXEC);
    watch_add(host_socket, NULL);
    broker_report_begin(host_socket, watch);
    struct epoll_event events[EVENTS_MAX];
    for (;;) {
        int n = epoll_wait(watch, events, EVENTS_MAX, -1);
        if (n < 0 && errno != EINTR)
            _exit(4);
        pthread_mutex_lock(&broker_lock);
        for (int i = 0; i < n; i++)
            take_event(&events[i]);
        clear_graves();
        pthread_mutex_unlock(&broker_lock);
    }
}
