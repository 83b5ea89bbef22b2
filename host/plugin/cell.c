/* Talking to a cell is a loop over two descriptors, the socket and the pidfd, with two deadlines: at 80 % of
 * the budget the cancel descriptor turns readable for the plugin, at 100 % the cell is killed. Time that it
 * waited for a processor does not count, within bounds. Whatever is not understood ends the cell, never the
 * host. */
#include "plugin/cell.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "plugin/cell_vitals.h"
#include "wire/door.h"
#include "wire/service.h"

enum {
    FIELDS_MAX = 32,
    LAST_WORDS_MS = 1000,
    LAST_WORDS_TIMES = 30, /* when it is ending, and only waits for a processor to do so */
    OPEN_FILES = 256,
    CELL_NICE = 5, /* a plugin that only computes gives way to the host and its database */
    /* Memory during a call; a leak of 2 GiB/s grows by 40 MiB between two early looks. */
    LOOK_FIRST_US = 20000,
    LOOK_LATER_US = 100000,
    LOOK_OFTEN_US = 2000000,
    STARVED_TIMES = 4, /* a call's budget at most, when it waits for a processor */
};

struct cell {
    cell_settings settings;
    nursery_child child;
    int socket;
    bool dead;
    cell_fate fate;
    int signal;
    char death[256];
    int64_t memory; /* as it was seen last */
    char sandbox[512];
    wire_arena in, out; /* in: to the cell */
    uint64_t sequence;
    unsigned lines, questions; /* of this call */
};

/* What one turn of listening came to. */
typedef enum heard { HEARD_MORE, HEARD_RESULT, HEARD_END, HEARD_LATE } heard;

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void end(cell *c, cell_fate fate, const char *why)
{
    if (c->dead)
        return;
    c->dead = true;
    c->fate = fate;
    snprintf(c->death, sizeof c->death, "%s", why);
    nursery_signal(c->settings.spawner, &c->child, SIGKILL);
}

void cell_condemn(cell *c, const char *why)
{
    end(c, CELL_BROKEN, why);
}

/* How it ended. A process closes its socket before it is gone, which on a busy machine may take seconds; one
 * that closed it and goes on is not waited for. */
static bool last_words(cell *c, nursery_exit *how)
{
    status st;
    for (int i = 0; i < LAST_WORDS_TIMES; i++) {
        if (nursery_wait(c->settings.spawner, &c->child, LAST_WORDS_MS, how, &st) == STATUS_OK)
            return true;
        if (st.class != STATUS_TIMEOUT || !cell_vitals_ending(c->child.pid))
            return false;
    }
    return false;
}

/* It ended by itself: says how. */
static void cell_ended(cell *c)
{
    nursery_exit how;
    char words[200] = "it closed its socket and was killed";
    cell_fate fate = CELL_BROKEN;
    if (last_words(c, &how)) {
        nursery_exit_text(&how, words, sizeof words);
        fate = how.exited ? CELL_EXITED : CELL_SIGNALLED;
        c->signal = how.exited ? 0 : how.code;
    }
    if (c->settings.memory_bytes && c->memory >= c->settings.memory_bytes / 100 * CELL_MEMORY_FULL) {
        size_t len = strlen(words);
        snprintf(words + len, sizeof words - len, ", with %lld MiB of %lld MiB memory in use",
                 (long long)(c->memory >> 20), (long long)(c->settings.memory_bytes >> 20));
        fate = CELL_TOO_BIG;
    }
    end(c, fate, words);
}

bool cell_gone(cell *c)
{
    struct pollfd watched = {.fd = c->child.pidfd, .events = POLLIN};
    if (!c->dead && poll(&watched, 1, 0) > 0)
        cell_ended(c);
    return c->dead;
}

/* ---- Memory ---- */

int64_t cell_memory(const cell *c)
{
    return cell_vitals_memory_bytes(c->child.pid);
}

/* A long call is looked at every now and then: the limit also holds where the kernel does not enforce it, and
 * a plugin that died of its memory can be told from one that died of its input. */
static bool too_big(cell *c)
{
    char why[100];
    int64_t limit = c->settings.memory_bytes, now = limit ? cell_memory(c) : 0;
    c->memory = now ? now : c->memory;
    if (now < limit || !limit)
        return false;
    snprintf(why, sizeof why, "it was killed at its limit of %lld MiB memory", (long long)(limit >> 20));
    end(c, CELL_TOO_BIG, why);
    return true;
}

/* ---- Start and stop ---- */

static status_class spawn(cell *c, int theirs, int plugin_fd, status *st)
{
    const cell_settings *s = &c->settings;
    char by_fd[32], broker[48], *sanitizer[2] = {NULL, NULL};
    snprintf(by_fd, sizeof by_fd, "/proc/self/fd/%d", WIRE_PLUGIN_FD);
    const char *argv[] = {"penstock-cell", "--profile", s->profile, plugin_fd >= 0 ? by_fd : s->plugin, NULL};
    const char *env[8] = {"LD_BIND_NOW=1", "LANG=C.UTF-8", "PATH=/usr/bin:/bin"};
    static const char *const options[] = {"ASAN_OPTIONS", "UBSAN_OPTIONS"};
    int n = 3;
    for (int i = 0; i < 2; i++) {
        const char *set = getenv(options[i]);
        if (set && asprintf(&sanitizer[i], "%s=%s", options[i], set) > 0)
            env[n++] = sanitizer[i];
    }
    nursery_fd fds[6] = {{2, 1}, {2, 2}, {theirs, WIRE_SOCKET_FD}, {s->cancel_fd, WIRE_CANCEL_FD}};
    size_t n_fds = 4;
    if (plugin_fd >= 0)
        fds[n_fds++] = (nursery_fd){plugin_fd, WIRE_PLUGIN_FD};
    if (s->door_fd >= 0) {
        fds[n_fds++] = (nursery_fd){s->door_fd, WIRE_DOOR_FD};
        snprintf(broker, sizeof broker, "%s=%d", DOOR_BROKER_VARIABLE, (int)s->broker_pid);
        env[n] = broker;
    }
    nursery_limit limits[] = {
        {RLIMIT_CORE, 0}, {RLIMIT_NOFILE, OPEN_FILES}, {RLIMIT_DATA, (uint64_t)s->memory_bytes}};
    bool limit_data = s->limit_data && s->memory_bytes > 0;
    nursery_request r = {.program = s->program,
                         .argv = argv,
                         .env = env,
                         .user = s->user,
                         .fds = fds,
                         .n_fds = n_fds,
                         .limits = limits,
                         .n_limits = s->patient   ? 0
                                     : limit_data ? 3
                                                  : 2,
                         .nice = s->patient ? 0 : CELL_NICE};
    status_class class = nursery_spawn(s->spawner, &r, &c->child, st);
    free(sanitizer[0]);
    free(sanitizer[1]);
    return class;
}

/* Until READY, or the reason why not. */
static status_class await_ready(cell *c, status *st)
{
    int64_t deadline = now_us() + CELL_START_US;
    wire_message message, *m = &message; /* 32 KiB: not in the cell, which may stand still for long */
    for (;;) {
        struct pollfd watched = {.fd = c->socket, .events = POLLIN};
        int64_t left = deadline - now_us();
        int ready = poll(&watched, 1, c->settings.patient ? -1 : left < 0 ? 0 : (int)(left / 1000) + 1);
        if (ready == 0) {
            end(c, CELL_HUNG, "it was still loading after 10 s");
            return status_set(st, STATUS_TIMEOUT, "the plugin does not load: it was still at it after 10 s");
        }
        wire_arrival arrival = wire_receive(c->socket, m, 0);
        if (arrival == WIRE_ARRIVED && m->fd >= 0)
            close(m->fd);
        int len = arrival == WIRE_ARRIVED ? (int)m->header.body_len : 0;
        if (arrival == WIRE_ARRIVED && m->header.type == WIRE_HELLO) {
            snprintf(c->sandbox, sizeof c->sandbox, "%.*s", len, (const char *)m->body);
        } else if (arrival == WIRE_ARRIVED && m->header.type == WIRE_READY) {
            return STATUS_OK;
        } else if (arrival == WIRE_ARRIVED && m->header.type == WIRE_BYE) {
            snprintf(c->death, sizeof c->death, "%.*s", len < 255 ? len : 255, (const char *)m->body);
            return status_set(st, STATUS_INVALID, "the plugin cannot be used: %s", c->death);
        } else {
            cell_ended(c);
            return status_set(st, STATUS_UNAVAILABLE, "the plugin died while it was loaded: %s", c->death);
        }
    }
}

status_class cell_start(const cell_settings *settings, cell **cell_out, status *st)
{
    int ends[2], plugin_fd = -1;
    *cell_out = NULL;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return status_errno(st, errno, "cannot make a socket for a cell");
    cell *c = memory_zero(1, sizeof *c);
    *c = (cell){.settings = *settings, .socket = ends[0], .child = {.pidfd = -1}};
    c->in = (wire_arena){.limit = WIRE_ARENA_TO_CELL_MAX, .fd = -1};
    c->out.fd = -1;
    if (settings->user)
        plugin_fd = open(settings->plugin, O_RDONLY | O_CLOEXEC);
    status_class class = settings->user && plugin_fd < 0 ? status_errno(st, errno, settings->plugin)
                                                         : spawn(c, ends[1], plugin_fd, st);
    close(ends[1]);
    if (plugin_fd >= 0)
        close(plugin_fd);
    if (class == STATUS_OK)
        class = await_ready(c, st);
    if (class == STATUS_OK) {
        *cell_out = c;
        return STATUS_OK;
    }
    cell_stop(c, 0);
    return class;
}

void cell_stop(cell *c, int timeout_ms)
{
    if (!c)
        return;
    status st;
    nursery_exit how;
    wire_header stop = wire_header_make(WIRE_STOP, c->settings.epoch, 0);
    if (c->child.pid > 0) {
        bool asked = !c->dead && timeout_ms > 0 && wire_send(c->socket, &stop, NULL, -1, MSG_DONTWAIT);
        close(c->socket);
        if (!asked || nursery_wait(c->settings.spawner, &c->child, timeout_ms, &how, &st) != STATUS_OK)
            nursery_signal(c->settings.spawner, &c->child, SIGKILL);
        nursery_release(c->settings.spawner, &c->child);
    } else {
        close(c->socket);
    }
    wire_arena_drop(&c->in);
    wire_arena_drop(&c->out);
    free(c);
}

pid_t cell_pid(const cell *c)
{
    return c->child.pid;
}

const char *cell_sandbox(const cell *c)
{
    return c->sandbox;
}

unsigned cell_broker_generation(const cell *c)
{
    return c->settings.broker_generation;
}

bool cell_dead(const cell *c)
{
    return c->dead;
}

const char *cell_death(const cell *c)
{
    return c->death;
}

cell_fate cell_how(const cell *c)
{
    return c->fate;
}

int cell_signal(const cell *c)
{
    return c->signal;
}

frame_writer cell_arguments(cell *c)
{
    return frame_writer_arena(&c->in);
}

/* ---- What a cell says during a request ---- */

static heard broken(cell *c, const char *why)
{
    cell_condemn(c, why);
    return HEARD_END;
}

static heard on_line(cell *c, const wire_message *m)
{
    pst_field fields[FIELDS_MAX];
    size_t n = 0;
    frame_reader r = frame_reader_make(m->body, m->header.body_len);
    frame_item head, said, key, value;
    if (!frame_take(&r, FRAME_NUMBER, &head) || !frame_take(&r, FRAME_TEXT, &said) || !frame_item_text(&said))
        return broken(c, "it sent a log line that cannot be read");
    while (n < FIELDS_MAX && frame_take(&r, FRAME_KEY, &key)) {
        if (!frame_take(&r, FRAME_VALUE, &value) || !frame_item_text(&key) || !frame_item_text(&value))
            return broken(c, "it sent a log line that cannot be read");
        fields[n++] = (pst_field){.key = frame_item_text(&key), .value = frame_item_text(&value)};
    }
    const cell_listener *l = &c->settings.listener;
    if (++c->lines <= CELL_LINES_PER_CALL)
        l->on_log(l->arg, (int32_t)head.aux, frame_item_text(&said), fields, n);
    else if (c->lines == CELL_LINES_PER_CALL + 1)
        l->on_log(l->arg, PST_LOG_WARN, "the plugin logs too much: further lines of this call are left out",
                  NULL, 0);
    return HEARD_MORE;
}

static heard send_reply(cell *c, cell_reply *r, const void *body)
{
    wire_header head = wire_header_make(WIRE_ANSWER, c->settings.epoch, c->sequence);
    head.status = r->status;
    head.body_len = r->body.failed ? 0 : (uint32_t)r->body.len;
    bool sent = wire_send(c->socket, &head, body, r->fd, 0);
    if (r->fd >= 0)
        close(r->fd);
    return sent ? HEARD_MORE : broken(c, "it does not take the answer to its question");
}

static heard on_service(cell *c, const wire_message *m)
{
    _Alignas(8) uint8_t body[WIRE_BODY_MAX];
    cell_reply r = {.body = frame_writer_buffer(body, sizeof body), .fd = -1};
    const cell_listener *l = &c->settings.listener;
    if (++c->questions > SERVICE_QUESTIONS_MAX) {
        frame_error e = {.message = "the plugin asks its host too often in one call"};
        r.status = PST_E_RESOURCE;
        frame_put(&r.body, FRAME_ERROR, 0, &e, sizeof e);
    } else if (!l->on_service(l->arg, frame_reader_make(m->body, m->header.body_len), &r)) {
        return broken(c, "it asked its host in a way that cannot be read");
    }
    heard h = send_reply(c, &r, body);
    explicit_bzero(body, r.body.len);
    return h;
}

static heard on_result(cell *c, const wire_message *m, cell_answer *answer)
{
    uint64_t len = m->header.arena_len;
    if (m->header.epoch != c->settings.epoch || m->header.sequence != c->sequence)
        return broken(c, "it answered something that was not asked");
    if (len > c->out.size)
        return broken(c, "its answer is longer than its arena");
    *answer = (cell_answer){.status = m->header.status, .len = (size_t)len};
    if (len) {
        answer->frame = memory_alloc((size_t)len);
        frame_copy(answer->frame, c->out.data, (size_t)len);
    }
    return HEARD_RESULT;
}

static heard listen_once(cell *c, cell_answer *answer)
{
    wire_message message, *m = &message;
    wire_arrival arrival = wire_receive(c->socket, m, MSG_DONTWAIT);
    if (arrival == WIRE_NOTHING)
        return HEARD_MORE;
    if (arrival == WIRE_ENDED) {
        cell_ended(c);
        return HEARD_END;
    }
    if (arrival == WIRE_BROKEN)
        return broken(c, "it sent a message that cannot be read");
    if (m->header.type == WIRE_ARENA && m->fd >= 0) {
        bool mapped = wire_arena_map(&c->out, m->fd, m->header.arena_len, WIRE_ARENA_TO_HOST_MAX);
        return mapped ? HEARD_MORE : broken(c, "it offered an arena that is not sealed, or too large");
    }
    if (m->fd >= 0)
        close(m->fd);
    switch (m->header.type) {
    case WIRE_LOG:
        return on_line(c, m);
    case WIRE_SERVICE:
        return on_service(c, m);
    case WIRE_RESULT:
        return on_result(c, m, answer);
    default:
        return broken(c, "it sent a message of an unknown type");
    }
}

/* ---- A request ---- */

static bool send_request(cell *c, wire_type type, uint32_t rows, int64_t budget_us, const frame_writer *w)
{
    if (c->in.fd >= 0) {
        wire_header arena = wire_header_make(WIRE_ARENA, c->settings.epoch, 0);
        arena.arena_len = c->in.size;
        if (!wire_send(c->socket, &arena, NULL, c->in.fd, 0))
            return false;
        close(c->in.fd);
        c->in.fd = -1;
    }
    wire_header head = wire_header_make(type, c->settings.epoch, ++c->sequence);
    head.rows = rows;
    head.budget_us = budget_us;
    head.arena_len = w->len;
    return wire_send(c->socket, &head, NULL, -1, 0);
}

/* The two deadlines of a request, and when its vitals are looked at next. */
typedef struct watch {
    int64_t began, budget, look;
    int64_t waited;  /* for a processor, as it was at the first look; -1 = not looked yet */
    int64_t starved; /* of the time since then */
    bool cancelled;
} watch;

static int64_t soft_deadline(const watch *w)
{
    return w->began + w->budget / 5 * 4 + w->starved;
}

static int64_t hard_deadline(const watch *w)
{
    return w->began + w->budget + w->starved;
}

static int time_left(const cell *c, const watch *w)
{
    if (c->settings.patient)
        return -1;
    int64_t next = w->cancelled ? hard_deadline(w) : soft_deadline(w);
    if (w->look < next)
        next = w->look;
    int64_t left = next - now_us();
    return left <= 0 ? 0 : (int)(left / 1000) + 1;
}

/* A plugin that waits for a processor neither hangs nor spins: that time is added to its budget, up to a
 * bound, so that on a machine where everything stands still a call ends nevertheless. */
static void count_starving(const cell *c, watch *w)
{
    int64_t now = cell_vitals_waited_us(c->child.pid), bound = w->budget * (STARVED_TIMES - 1);
    if (w->waited < 0)
        w->waited = now;
    int64_t since = now - w->waited;
    if (since > w->starved) /* a thread that ends takes its count with it */
        w->starved = since < bound ? since : bound;
}

/* HEARD_MORE: go on; HEARD_END: it was killed for its memory; HEARD_LATE: the deadline has passed. */
static heard look_at_watch(cell *c, watch *w)
{
    int64_t at = now_us();
    if (c->settings.patient)
        return HEARD_MORE;
    if (at >= w->look || at >= soft_deadline(w))
        count_starving(c, w);
    if (at >= hard_deadline(w))
        return HEARD_LATE;
    if (at >= soft_deadline(w) && !w->cancelled)
        w->cancelled = eventfd_write(c->settings.cancel_fd, 1) == 0;
    if (at < w->look)
        return HEARD_MORE;
    w->look = at + (at - w->began < LOOK_OFTEN_US ? LOOK_FIRST_US : LOOK_LATER_US);
    return too_big(c) ? HEARD_END : HEARD_MORE;
}

static heard await_result(cell *c, int64_t budget_us, cell_answer *answer)
{
    int64_t began = now_us();
    watch w = {.began = began, .budget = budget_us, .look = began + LOOK_FIRST_US, .waited = -1};
    for (;;) {
        struct pollfd watched[2] = {{.fd = c->socket, .events = POLLIN},
                                    {.fd = c->child.pidfd, .events = POLLIN}};
        poll(watched, 2, time_left(c, &w));
        heard h = HEARD_MORE;
        if (watched[0].revents)
            h = listen_once(c, answer);
        else if (watched[1].revents) {
            cell_ended(c);
            return HEARD_END;
        }
        if (h == HEARD_MORE)
            h = look_at_watch(c, &w);
        if (h != HEARD_MORE)
            return h;
    }
}

status_class cell_exchange(cell *c, wire_type type, uint32_t rows, int64_t budget_us, const frame_writer *w,
                           cell_answer *answer_out, status *st)
{
    eventfd_t stale;
    *answer_out = (cell_answer){0};
    assert(!c->dead);
    if (w->failed)
        return status_set(st, STATUS_LIMIT, "the inputs of the call exceed %lu MiB",
                          WIRE_ARENA_TO_CELL_MAX >> 20);
    eventfd_read(c->settings.cancel_fd, &stale); /* a cancel that came too late for the last call */
    c->lines = c->questions = 0;
    if (!send_request(c, type, rows, budget_us, w))
        cell_ended(c);
    heard h = c->dead ? HEARD_END : await_result(c, budget_us, answer_out);
    if (h == HEARD_RESULT)
        return STATUS_OK;
    if (h == HEARD_END)
        return status_set(st, STATUS_UNAVAILABLE, "the plugin died: %s", c->death);
    end(c, CELL_HUNG, "it was killed at its deadline");
    return status_set(st, STATUS_TIMEOUT, "the plugin did not answer within %.1f s and was killed",
                      (double)budget_us / 1e6);
}
