/* Events on their way to the host, in order. The socket holds some hundred; what a host that is busy does not
 * read just now waits here, so that no denial is lost. */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "loop/broker_private.h"

enum { WAITING_MAX = 65536 };

typedef struct report {
    struct report *next;
    broker_event event;
} report;

static int host_socket, watch;
static report *first, **end = &first;
static size_t waiting;

static bool send_now(const broker_event *e)
{
    return send(host_socket, e, sizeof *e, MSG_DONTWAIT | MSG_NOSIGNAL) > 0 ||
           (errno != EAGAIN && errno != EWOULDBLOCK); /* the host is gone, and so is this process soon */
}

static void wait_for_room(bool wait)
{
    struct epoll_event e = {.events = EPOLLIN | (wait ? (uint32_t)EPOLLOUT : 0), .data.ptr = NULL};
    epoll_ctl(watch, EPOLL_CTL_MOD, host_socket, &e);
}

void broker_report_begin(int socket, int epoll)
{
    host_socket = socket;
    watch = epoll;
}

bool broker_report(const broker_event *e)
{
    if (!first && send_now(e))
        return true;
    report *r = waiting < WAITING_MAX ? malloc(sizeof *r) : NULL;
    if (!r)
        return false;
    if (!first)
        wait_for_room(true);
    *r = (report){.event = *e};
    *end = r;
    end = &r->next;
    waiting++;
    return true;
}

void broker_report_more(void)
{
    while (first && send_now(&first->event)) {
        report *r = first;
        first = r->next;
        if (!first)
            end = &first;
        free(r);
        waiting--;
    }
    if (!first)
        wait_for_room(false);
}
