/* Connections and their deadlines. Each phase has a list in order of deadline, so a tick looks at the heads
 * only. A connection that is late is shut down at the socket: MHD then finds it closed, whatever state it is
 * in. (Its own idle timeout is renewed by every byte and therefore not used.) */
#include <sys/socket.h>

#include "base/clock.h"
#include "serve/http_private.h"

http_connection *connection_of(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return CHECKED(http_connection, CONNECTION_MAGIC, info->socket_context);
}

static void list_remove(http_connection *c)
{
    http_server *s = c->listener->server;
    *(c->previous ? &c->previous->next : &s->first[c->phase]) = c->next;
    *(c->next ? &c->next->previous : &s->last[c->phase]) = c->previous;
    c->previous = c->next = NULL;
}

static void list_insert(http_connection *c)
{
    http_server *s = c->listener->server;
    http_connection *after = s->last[c->phase];
    while (after && after->deadline_us > c->deadline_us)
        after = after->previous;
    c->previous = after;
    c->next = after ? after->next : s->first[c->phase];
    *(c->previous ? &c->previous->next : &s->first[c->phase]) = c;
    *(c->next ? &c->next->previous : &s->last[c->phase]) = c;
}

static int64_t phase_us(const http_connection *c, phase p)
{
    const http_limits *limits = &c->listener->server->limits;
    switch (p) {
    case PHASE_IDLE:
        return limits->idle_ms * INT64_C(1000);
    case PHASE_RECEIVE:
        return limits->receive_ms * INT64_C(1000);
    case PHASE_SEND: /* a whole buffer is handed over at once: one more span for each MiB of it */
        return limits->send_ms * INT64_C(1000) *
               (1 + (int64_t)(c->request ? c->request->answer.len >> 20 : 0));
    default:
        return INT64_MAX / 2;
    }
}

void connection_phase(http_connection *c, phase p)
{
    list_remove(c);
    c->phase = p;
    c->deadline_us = (p == PHASE_NONE ? 0 : clock_monotonic_us()) + phase_us(c, p);
    list_insert(c);
    if (p == PHASE_IDLE && c->listener->server->draining)
        shutdown(c->fd, SHUT_RD);
}

void connection_cut(http_connection *c)
{
    shutdown(c->fd, SHUT_RDWR);
}

static void connection_late(http_connection *c)
{
    request *r = c->request;
    if (r && r->stage == STAGE_MEMORY) {
        r->close = true;
        connection_phase(c, PHASE_NONE);
        request_refuse_memory(r);
        return;
    }
    connection_cut(c);
    list_remove(c); /* out of sight until MHD closes it */
    c->phase = PHASE_NONE;
    c->deadline_us = phase_us(c, PHASE_NONE);
    list_insert(c);
}

void connection_tick(http_server *s)
{
    int64_t now = clock_monotonic_us();
    for (phase p = PHASE_IDLE; p < PHASE_NONE; p++)
        while (s->first[p] && s->first[p]->deadline_us <= now)
            connection_late(s->first[p]);
}

static void connection_begin(listener *l, struct MHD_Connection *mhd, void **context)
{
    http_connection *c = memory_zero(1, sizeof *c);
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    *c = (http_connection){.magic = CONNECTION_MAGIC,
                           .fd = info->connect_fd,
                           .mhd = mhd,
                           .listener = l,
                           .phase = PHASE_IDLE,
                           .deadline_us = clock_monotonic_us()};
    c->deadline_us += phase_us(c, PHASE_IDLE);
    list_insert(c);
    l->server->n_connections++;
    *context = c;
}

void connection_notice(void *cls, struct MHD_Connection *mhd, void **context,
                       enum MHD_ConnectionNotificationCode code)
{
    listener *l = cls;
    l->server->activity++;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        connection_begin(l, mhd, context);
        return;
    }
    http_connection *c = CHECKED(http_connection, CONNECTION_MAGIC, *context);
    assert(!c->request);
    list_remove(c);
    l->server->n_connections--;
    c->magic = 0;
    free(c);
    *context = NULL;
}
