/* my-thing, a Penstock notifier: one line of text over TCP, "<severity> <delivery id> <title>: <text>", which the far
 * side answers with "ok". Put your protocol in place of talk.
 *
 * Two things matter. Never wait without looking at cancel_fd and the deadline: ready does. And say by the status what
 * the host shall do: UNAVAILABLE is tried again, DATA is not. The delivery id is the same on every try. */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "penstock/batch.h"
#include "penstock/define.h"

static pst_status ready(const pst_host *host, const pst_call *call, int fd, short events, pst_error *error)
{
    struct pollfd wait[] = {{.fd = fd, .events = events}, {.fd = call->cancel_fd, .events = POLLIN}};
    int64_t left_ms = (call->deadline_us - host->now_us(host)) / 1000;
    int n = poll(wait, 2, left_ms > 0 ? (int)left_ms : 0);
    if (n > 0 && wait[1].revents)
        return pst_fail(error, PST_E_CANCELLED, NULL, "sending was cancelled");
    return n > 0 ? PST_OK : pst_fail(error, PST_E_TIMEOUT, NULL, "the far side says nothing");
}

static pst_status dial(const pst_host *host, const pst_call *call, int *fd_out, pst_error *error)
{
    const char *name = host->config_text(host, "/host");
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    char port[8];
    snprintf(port, sizeof port, "%d", (int)host->config_int(host, "/port"));
    int failed = getaddrinfo(name, port, &hints, &found);
    if (failed)
        return pst_fail(error, PST_E_UNAVAILABLE, "/host", "looking up %s: %s", name, gai_strerror(failed));
    int fd = *fd_out = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int cause = fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) == 0 ? 0 : errno;
    freeaddrinfo(found);
    pst_status status = cause == EINPROGRESS ? ready(host, call, fd, POLLOUT, error) : PST_OK;
    if (status == PST_OK && cause == EINPROGRESS)
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &cause, &(socklen_t){sizeof cause});
    if (status == PST_OK && cause)
        status = pst_fail(error, PST_E_UNAVAILABLE, NULL, "connecting to %s: %s", name, strerror(cause));
    return status;
}

static pst_status talk(const pst_host *host, const pst_call *call, int fd, const pst_message *m, pst_error *error)
{
    static const char *const severities[] = {"info", "warning", "critical"};
    char line[4096], reply[256] = "";
    int len =
        snprintf(line, sizeof line - 1, "%s %s %s: %s", severities[m->severity], m->delivery_id, m->title, m->text);
    len = len < (int)sizeof line - 1 ? len : (int)sizeof line - 2;
    for (char *c = line; c < line + len; c++)
        *c = *c == '\n' || *c == '\r' ? ' ' : *c;
    line[len++] = '\n';
    if (send(fd, line, (size_t)len, MSG_NOSIGNAL) != len)
        return pst_fail(error, PST_E_UNAVAILABLE, NULL, "sending: %s", strerror(errno));
    pst_status status = ready(host, call, fd, POLLIN, error);
    if (status == PST_OK && recv(fd, reply, sizeof reply - 1, 0) <= 0)
        return pst_fail(error, PST_E_UNAVAILABLE, NULL, "the far side hung up");
    if (status == PST_OK && strncmp(reply, "ok", 2) != 0)
        return pst_fail(error, PST_E_DATA, NULL, "refused: %.*s", (int)strcspn(reply, "\r\n"), reply);
    return status;
}

static pst_status on_send(void *self, const pst_call *call, const pst_message *message, pst_delivery *delivery,
                          pst_error *error)
{
    int fd = -1;
    pst_status status = dial(self, call, &fd, error);
    if (status == PST_OK)
        status = talk(self, call, fd, message, error);
    if (fd >= 0)
        close(fd);
    delivery->state = PST_DELIVERY_DONE;
    return status;
}

static const void *on_get_interface(const char *id)
{
    static const pst_send send = {.struct_size = sizeof send, .send = on_send};
    return strcmp(id, PST_IF_SEND) == 0 ? &send : NULL;
}

static pst_status on_create(const pst_host *host, void **self, pst_error *error)
{
    *self = (void *)host; /* all it has to remember; a struct of your own usually stands here */
    return PST_OK;
}

static void on_destroy(void *self) {}

PST_PLUGIN(.id = "org.example.notifier.my-thing", .kind = PST_KIND_NOTIFIER, .version = "0.1.0", .title = "My thing",
           .licence = "Apache-2.0", .get_interface = on_get_interface, .create = on_create, .destroy = on_destroy);
