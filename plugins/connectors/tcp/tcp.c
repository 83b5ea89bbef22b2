/* poll over two descriptors, in slices, because the call's deadline is the host's clock and not poll's. */
#include "tcp.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECT_US = 4000000, SEND_US = 4000000, SLICE_MS = 100 };

/* ---- Places ---- */

static bool take_part(const char *from, size_t len, char *out, size_t cap)
{
    if (!len || len >= cap)
        return false;
    memcpy(out, from, len);
    out[len] = '\0';
    return true;
}

bool tcp_place_parse(const char *text, const char *port, tcp_place *out)
{
    bool six = *text == '[';
    const char *host = text + six;
    size_t len = six ? strcspn(host, "]") : strcspn(host, ":");
    const char *where = out->where, *rest = host + len + (six && host[len]);
    *out = (tcp_place){.where = where};
    if ((six && host[len] != ']') || !take_part(host, len, out->host, sizeof out->host) ||
        strpbrk(out->host, "@?#/ []"))
        return false;
    if (!*rest)
        return take_part(port, strlen(port), out->port, sizeof out->port);
    len = strspn(rest + 1, "0123456789");
    unsigned long number = strtoul(rest + 1, NULL, 10);
    return *rest == ':' && !rest[1 + len] && number > 0 && number < 65536 &&
           take_part(rest + 1, len, out->port, sizeof out->port);
}

/* ---- Waiting ---- */

pst_status tcp_wait_until(tcp *w, const pst_call *call, short events, int64_t end_us, pst_error *error)
{
    for (;;) {
        int64_t left = end_us - w->host->now_us(w->host);
        int ms = left <= 0 ? 0 : left > SLICE_MS * 1000 ? SLICE_MS : (int)((left + 999) / 1000);
        struct pollfd p[2] = {{w->fd, events, 0}, {call->cancel_fd, POLLIN, 0}};
        int n = poll(p, call->cancel_fd >= 0 ? 2 : 1, ms);
        if (n < 0 && errno != EINTR)
            return pst_fail(error, PST_E_RESOURCE, NULL, "poll: %s", strerror(errno));
        if (n > 0 && p[1].revents)
            return pst_fail(error, PST_E_CANCELLED, NULL, "cancelled");
        if (n > 0 && p[0].revents)
            return PST_OK;
        if (w->host->cancelled(w->host, call))
            return pst_fail(error, PST_E_TIMEOUT, NULL, "the call's time is over");
        if (left <= 0)
            return PST_IDLE;
    }
}

pst_status tcp_wait(tcp *w, const pst_call *call, int64_t wait_us, pst_error *error)
{
    if (w->layer && w->layer->pending(w) > 0)
        return PST_OK;
    return tcp_wait_until(w, call, POLLIN, w->host->now_us(w->host) + wait_us, error);
}

/* ---- Connecting ---- */

static pst_status no_connection(const tcp *w, const char *why, pst_error *error)
{
    return pst_fail(error, PST_E_UNAVAILABLE, w->place->where, "connect to %s:%s: %s", w->place->host,
                    w->place->port, why);
}

/* PST_E_UNAVAILABLE when this address does not answer; the next one may. */
static pst_status connect_to(tcp *w, const pst_call *call, const struct addrinfo *a, pst_error *error)
{
    int yes = 1, failure = 0;
    socklen_t size = sizeof failure;
    w->fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (w->fd < 0 || (connect(w->fd, a->ai_addr, a->ai_addrlen) && errno != EINPROGRESS))
        return no_connection(w, strerror(errno), error);
    pst_status st = tcp_wait_until(w, call, POLLOUT, w->host->now_us(w->host) + CONNECT_US, error);
    if (st == PST_IDLE)
        return no_connection(w, "no answer", error);
    if (st)
        return st;
    getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &failure, &size);
    if (failure)
        return no_connection(w, strerror(failure), error);
    setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return PST_OK;
}

pst_status tcp_open(tcp *w, const pst_host *host, const pst_call *call, const tcp_place *place,
                    pst_error *error)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    *w = (tcp){.host = host, .place = place, .fd = -1};
    int code = getaddrinfo(place->host, place->port, &hints, &found);
    if (code)
        return no_connection(w, gai_strerror(code), error);
    pst_status st = PST_E_UNAVAILABLE;
    for (const struct addrinfo *a = found; a && st == PST_E_UNAVAILABLE; a = a->ai_next) {
        tcp_close(w);
        st = connect_to(w, call, a, error);
    }
    freeaddrinfo(found);
    if (st)
        tcp_close(w);
    return st;
}

void tcp_finish(tcp *w, int64_t wait_us)
{
    char waste[65536];
    pst_error ignored = {.struct_size = sizeof ignored};
    if (w->fd < 0 || shutdown(w->fd, SHUT_WR))
        return;
    int64_t end_us = w->host->now_us(w->host) + wait_us;
    pst_call call = {.struct_size = sizeof call, .deadline_us = end_us, .cancel_fd = -1};
    while (tcp_wait_until(w, &call, POLLIN, end_us, &ignored) == PST_OK)
        if (recv(w->fd, waste, sizeof waste, 0) <= 0 || w->host->now_us(w->host) >= end_us)
            return;
}

void tcp_close(tcp *w)
{
    if (w->layer)
        w->layer->close(w);
    if (w->fd >= 0)
        close(w->fd);
    w->layer = NULL;
    w->state = NULL;
    w->fd = -1;
}

/* ---- Bytes ---- */

static pst_status ended(const tcp *w, const char *why, pst_error *error)
{
    return pst_fail(error, PST_E_UNAVAILABLE, w->place->where, "%s:%s closed the connection: %s",
                    w->place->host, w->place->port, why);
}

pst_status tcp_receive(tcp *w, void *out, size_t cap, size_t *n_out, pst_error *error)
{
    *n_out = 0;
    if (w->layer)
        return w->layer->receive(w, out, cap, n_out, error);
    ssize_t n = recv(w->fd, out, cap, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return PST_IDLE;
    if (n <= 0)
        return ended(w, n < 0 ? strerror(errno) : "end of the stream", error);
    *n_out = (size_t)n;
    return PST_OK;
}

/* PST_OK with 0 bytes: *wants must come true first. */
static pst_status send_some(tcp *w, const void *data, size_t len, size_t *n_out, short *wants,
                            pst_error *error)
{
    *wants = POLLOUT;
    *n_out = 0;
    if (w->layer)
        return w->layer->send(w, data, len, n_out, wants, error);
    ssize_t n = send(w->fd, data, len, MSG_NOSIGNAL);
    *n_out = n > 0 ? (size_t)n : 0;
    return n >= 0 || errno == EAGAIN || errno == EINTR ? PST_OK : ended(w, strerror(errno), error);
}

pst_status tcp_send(tcp *w, const pst_call *call, const void *data, size_t len, pst_error *error)
{
    int64_t end = w->host->now_us(w->host) + SEND_US;
    pst_status st = PST_OK;
    for (size_t done = 0, n; !st && done < len; done += n) {
        short wants;
        st = send_some(w, (const char *)data + done, len - done, &n, &wants, error);
        if (!st && !n)
            st = tcp_wait_until(w, call, wants, end, error);
        if (st == PST_IDLE)
            st = pst_fail(error, PST_E_UNAVAILABLE, w->place->where, "%s:%s takes nothing from us",
                          w->place->host, w->place->port);
    }
    return st;
}
