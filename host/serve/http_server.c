/* Listeners on the loop. Each is an MHD daemon in external epoll mode: its epoll descriptor sits under a
 * uv_poll, and MHD_run does what is ready. Where MHD has more to do at once, an idle handle gives it one
 * MHD_run each turn of the loop: a 0 ms timer would be run again within the same turn and stall everything
 * else.
 *
 * What other threads hand back arrives on one lock-free stack; the first push onto an empty stack wakes the
 * loop, so a thousand answers in one turn cost one wake-up and one MHD_run. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "serve/http_private.h"

enum { POOL_BYTES = 64 << 10, BODIES_KEPT = 64 << 20, IDLE_TURNS = 256, TICK_MS = 200 };

void http_limits_default(http_limits *limits)
{
    *limits = (http_limits){.connections = 4096,
                            .header_bytes = 16 << 10,
                            .headers = HTTP_HEADERS_MAX,
                            .body = 1 << 20,
                            .body_memory = 256 << 20,
                            .idle_ms = 75000,
                            .receive_ms = 60000,
                            .send_ms = 60000};
}

/* ---- running MHD ---- */

static void on_again(uv_idle_t *handle);
static void on_timer(uv_timer_t *handle);

/* Decides when MHD is called next if no descriptor becomes ready. */
static void plan_next(listener *l)
{
    MHD_UNSIGNED_LONG_LONG ms;
    if (MHD_get_timeout(l->daemon, &ms) == MHD_NO) {
        uv_idle_stop(&l->again);
        uv_timer_stop(&l->timer);
    } else if (ms == 0 && l->idle_turns < IDLE_TURNS) {
        uv_idle_start(&l->again, on_again);
    } else {
        uv_idle_stop(&l->again);
        uv_timer_start(&l->timer, on_timer, ms ? ms : 1, 0);
    }
}

void server_run(listener *l)
{
    l->touched = false;
    uint64_t before = l->server->activity;
    MHD_run(l->daemon);
    l->idle_turns = before == l->server->activity ? l->idle_turns + 1 : 0;
    plan_next(l);
}

static void on_again(uv_idle_t *handle)
{
    server_run(handle->data);
}

static void on_timer(uv_timer_t *handle)
{
    server_run(handle->data);
}

static void on_poll(uv_poll_t *handle, int error, int events)
{
    (void)error, (void)events;
    listener *l = handle->data;
    l->idle_turns = 0;
    server_run(l);
}

/* ---- what comes back from other threads ---- */

void server_post(http_server *s, posted *p)
{
    posted *first = atomic_load(&s->posted);
    do
        p->next = first;
    while (!atomic_compare_exchange_weak(&s->posted, &first, p));
    if (!first)
        uv_async_send(&s->wake);
}

void server_resume(request *r)
{
    if (!r->suspended)
        return;
    r->suspended = false;
    r->connection->listener->touched = true;
    MHD_resume_connection(r->connection->mhd);
}

static posted *in_order(posted *stack)
{
    posted *first = NULL;
    while (stack) {
        posted *next = stack->next;
        stack->next = first;
        first = stack;
        stack = next;
    }
    return first;
}

static void on_wake(uv_async_t *handle)
{
    http_server *s = CHECKED(http_server, SERVER_MAGIC, handle->data);
    for (posted *p = in_order(atomic_exchange(&s->posted, NULL)), *next; p; p = next) {
        next = p->next;
        if (p->kind == POSTED_REQUEST)
            server_resume((request *)(void *)((char *)p - offsetof(request, posted)));
        else
            puller_woken((http_puller *)(void *)((char *)p - offsetof(http_puller, posted)));
    }
    for (listener *l = s->listeners; l; l = l->next)
        if (l->touched)
            server_run(l);
}

static void on_tick(void *arg)
{
    connection_tick(CHECKED(http_server, SERVER_MAGIC, arg));
}

/* ---- life ---- */

void server_init(http_server *s, const http_limits *limits, const http_hooks *hooks)
{
    *s = (http_server){.magic = SERVER_MAGIC, .limits = *limits, .hooks = *hooks};
    s->memory_last = &s->memory_first;
    s->bodies = body_pool_create(limits->body_memory, BODIES_KEPT);
}

void server_clear(http_server *s)
{
    assert(s->n_requests == 0 && s->n_connections == 0);
    while (s->spare_requests) {
        request *r = s->spare_requests;
        s->spare_requests = r->next;
        arena_free(r->public.arena);
        free(r);
    }
    body_pool_free(s->bodies);
    s->magic = 0;
}

status_class http_server_create(loop *lp, const http_limits *limits, const http_hooks *hooks,
                                http_server **server_out, status *st)
{
    http_limits defaults;
    http_limits_default(&defaults);
    limits = limits ? limits : &defaults;
    status_class class = server_self_test(limits, st);
    if (class)
        return class;
    http_server *s = memory_alloc(sizeof *s);
    server_init(s, limits, hooks);
    s->loop = lp;
    uv_async_init(loop_uv(lp), &s->wake, on_wake);
    s->wake.data = s;
    s->open_handles = 1;
    unsigned shortest = limits->idle_ms < limits->receive_ms ? limits->idle_ms : limits->receive_ms;
    s->tick = timer_start(lp, shortest / 4 < TICK_MS ? shortest / 4 : TICK_MS, true, on_tick, s);
    *server_out = s;
    return STATUS_OK;
}

status_class server_daemon(listener *l, int fd, const http_listener *config, status *st)
{
    const http_limits *limits = &l->server->limits;
    /* Who resumes a connection runs the daemon next: no descriptor need wake it, a write for each answer. */
    unsigned flags = MHD_USE_EPOLL | (MHD_ALLOW_SUSPEND_RESUME & ~(unsigned)MHD_USE_ITC);
    struct MHD_OptionItem options[8] = {{MHD_OPTION_END, 0, NULL}};
    unsigned n = 0;
    if (fd < 0)
        flags |= MHD_USE_NO_LISTEN_SOCKET;
    else
        options[n++] = (struct MHD_OptionItem){MHD_OPTION_LISTEN_SOCKET, fd, NULL};
    if (limits->connections_per_ip)
        options[n++] =
            (struct MHD_OptionItem){MHD_OPTION_PER_IP_CONNECTION_LIMIT, limits->connections_per_ip, NULL};
    if (config && config->tls_certificate) {
        flags |= MHD_USE_TLS;
        union {
            const char *read;
            void *any; /* MHD's item is not const, but it does not write */
        } certificate = {.read = config->tls_certificate}, key = {.read = config->tls_key};
        options[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, certificate.any};
        options[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, key.any};
    }
    options[n] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
    l->daemon = MHD_start_daemon(flags, 0, NULL, NULL, receive_step, l, MHD_OPTION_ARRAY, options,
                                 MHD_OPTION_URI_LOG_CALLBACK, receive_line, l, MHD_OPTION_NOTIFY_COMPLETED,
                                 receive_done, l, MHD_OPTION_NOTIFY_CONNECTION, connection_notice, l,
                                 MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL_BYTES,
                                 MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_CONNECTION_LIMIT,
                                 limits->connections, MHD_OPTION_CONNECTION_TIMEOUT, 0U, MHD_OPTION_END);
    if (!l->daemon)
        return status_set(st, STATUS_INTERNAL, "HTTP listener: libmicrohttpd did not start%s",
                          flags & MHD_USE_TLS ? " (is the certificate or its key broken?)" : "");
    return STATUS_OK;
}

static status_class bind_socket(const http_listener *config, int *fd_out, uint16_t *port_out, status *st)
{
    const char *address = config->address ? config->address : "127.0.0.1";
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(config->port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(config->port)};
    bool is_v6 = inet_pton(AF_INET6, address, &v6.sin6_addr) == 1;
    if (!is_v6 && inet_pton(AF_INET, address, &v4.sin_addr) != 1)
        return status_set(st, STATUS_INVALID, "listen: %s is not a numeric address", address);
    int fd = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return status_errno(st, errno, "listen: socket");
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const struct sockaddr *where = is_v6 ? (const struct sockaddr *)&v6 : (const struct sockaddr *)&v4;
    struct sockaddr_storage bound;
    socklen_t len = sizeof bound;
    if (bind(fd, where, is_v6 ? sizeof v6 : sizeof v4) != 0 || listen(fd, 1024) != 0 ||
        getsockname(fd, (struct sockaddr *)&bound, &len) != 0) {
        status_set(st, STATUS_UNAVAILABLE, "listen on %s port %u: %s", address, config->port,
                   strerror(errno));
        status_hint(st, "choose another port, or see who has it: ss -ltnp sport = :%u", config->port);
        close(fd);
        return st->class;
    }
    /* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage) getsockname has filled it */
    *port_out = ntohs(is_v6 ? ((struct sockaddr_in6 *)(void *)&bound)->sin6_port
                            : ((struct sockaddr_in *)(void *)&bound)->sin_port);
    *fd_out = fd;
    return STATUS_OK;
}

static void watch(listener *l)
{
    http_server *s = l->server;
    uv_loop_t *uv = loop_uv(s->loop);
    int epoll_fd = MHD_get_daemon_info(l->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    int rc = uv_poll_init(uv, &l->poll, epoll_fd);
    assert(rc == 0);
    uv_timer_init(uv, &l->timer);
    uv_idle_init(uv, &l->again);
    l->poll.data = l->timer.data = l->again.data = l;
    s->open_handles += 3;
    uv_poll_start(&l->poll, UV_READABLE, on_poll);
    server_run(l); /* puts the listening socket into MHD's epoll set */
}

status_class http_listen(http_server *s, const http_listener *config, unsigned *number_out,
                         uint16_t *port_out, status *st)
{
    int fd = -1;
    uint16_t port = 0;
    status_class class = bind_socket(config, &fd, &port, st);
    if (class)
        return class;
    listener *l = memory_zero(1, sizeof *l);
    l->server = s;
    l->fd = fd;
    l->refuse_chunked = config->refuse_chunked;
    l->number = s->n_listeners;
    class = server_daemon(l, fd, config, st);
    if (class) {
        close(fd);
        free(l);
        return class;
    }
    s->n_listeners++;
    l->next = s->listeners;
    s->listeners = l;
    watch(l);
    if (number_out)
        *number_out = l->number;
    if (port_out)
        *port_out = port;
    return STATUS_OK;
}

/* ---- draining ---- */

static void report_drained(void *arg)
{
    http_server *s = CHECKED(http_server, SERVER_MAGIC, arg);
    s->on_drained(s->drained_arg);
}

void server_maybe_drained(http_server *s)
{
    if (!s->draining || s->drained || s->n_requests)
        return;
    s->drained = true;
    timer_stop(s->drain_timer);
    s->drain_timer = NULL;
    loop_post(s->loop, report_drained,
              s); /* not from within MHD's callback: on_drained may free the server */
}

static void cut_phase(http_server *s, phase p)
{
    for (http_connection *c = s->first[p]; c; c = c->next) {
        connection_cut(c);
        request *r = c->request;
        if (r && r->suspended && r->stage == STAGE_QUEUED)
            server_resume(r); /* a stream that waits for its source */
    }
}

static void on_drain_late(void *arg)
{
    http_server *s = CHECKED(http_server, SERVER_MAGIC, arg);
    s->drain_timer = NULL;
    s->cut = true;
    while (s->memory_first) {
        request *r = s->memory_first;
        s->memory_first = r->next;
        if (!r->next)
            s->memory_last = &s->memory_first;
        s->hooks.on_refusal(s->hooks.self, &r->public, 503, "the server is stopping", NULL);
    }
    for (phase p = PHASE_IDLE; p < PHASES; p++)
        cut_phase(s, p);
    for (listener *l = s->listeners; l; l = l->next)
        server_run(l);
    server_maybe_drained(s);
}

static void on_drain_timer(void *arg)
{
    http_server *s = CHECKED(http_server, SERVER_MAGIC, arg);
    timer_stop(s->drain_timer);
    on_drain_late(arg);
}

void http_server_drain(http_server *s, unsigned ms, loop_function on_drained, void *arg)
{
    assert(!s->draining);
    s->draining = true;
    s->on_drained = on_drained;
    s->drained_arg = arg;
    for (listener *l = s->listeners; l; l = l->next) {
        int fd = MHD_quiesce_daemon(l->daemon);
        if (fd >= 0)
            close(fd);
    }
    for (http_connection *c = s->first[PHASE_IDLE]; c; c = c->next)
        shutdown(c->fd, SHUT_RD); /* what has arrived is still read */
    for (listener *l = s->listeners; l; l = l->next)
        server_run(l);
    s->drain_timer = timer_start(s->loop, ms, false, on_drain_timer, s);
    server_maybe_drained(s);
}

static void on_closed(uv_handle_t *handle)
{
    http_server *s;
    if (handle->type == UV_ASYNC)
        s = handle->data;
    else
        s = ((listener *)handle->data)->server;
    if (--s->open_handles)
        return;
    while (s->listeners) {
        listener *l = s->listeners;
        s->listeners = l->next;
        free(l);
    }
    free(s);
}

void http_server_free(http_server *s)
{
    if (!s)
        return;
    assert(s->n_requests == 0 || !s->draining);
    timer_stop(s->tick);
    timer_stop(s->drain_timer);
    for (listener *l = s->listeners; l; l = l->next) {
        uv_close((uv_handle_t *)&l->poll, on_closed);
        uv_close((uv_handle_t *)&l->timer, on_closed);
        uv_close((uv_handle_t *)&l->again, on_closed);
        MHD_stop_daemon(l->daemon);
    }
    uv_close((uv_handle_t *)&s->wake, on_closed);
    server_clear(s);
}

unsigned http_server_open_connections(const http_server *s)
{
    return s->n_connections;
}
