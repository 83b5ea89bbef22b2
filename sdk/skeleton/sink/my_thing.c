/* my-thing, a Penstock sink: each row is one line of JSON over TCP, which the far side answers with "ok". Put your
 * protocol in place of talk.
 *
 * Three things matter. Answer PST_OK only when the far side has the rows for good: they do not come again. Never wait
 * without looking at cancel_fd and the deadline: ready does. And say by the status what the host shall do: UNAVAILABLE
 * comes again later; a row that is not wanted is refused by its number, and the others go on. */
#include "penstock/define.h"
#include "penstock/sink.h"
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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

static pst_status talk(const pst_host *host, const pst_call *call, int fd, const pst_text *line, char reply[200],
                       pst_error *error)
{
    if (send(fd, line->data, line->len, MSG_NOSIGNAL) != (ssize_t)line->len)
        return pst_fail(error, PST_E_UNAVAILABLE, NULL, "sending: %s", strerror(errno));
    pst_status status = ready(host, call, fd, POLLIN, error);
    ssize_t n = status ? 0 : recv(fd, reply, 199, 0);
    if (!status && n <= 0)
        return pst_fail(error, PST_E_UNAVAILABLE, NULL, "the far side hung up");
    reply[n > 0 ? n : 0] = '\0';
    return status;
}

static pst_status on_write(void *self, const pst_call *call, const pst_outgoing *batch, pst_refused *refused,
                           size_t cap, size_t *n_refused, pst_error *error)
{
    int fd = -1;
    char reply[200];
    pst_rows rows;
    pst_text line = {0};
    pst_status status = pst_rows_open(batch->schema, batch->array, &rows, error);
    if (!status)
        status = dial(self, call, &fd, error);
    for (uint32_t i = 0; !status && i < rows.n_rows; i++) {
        pst_text_clear(&line);
        pst_row_json(&rows, i, 0, &line);
        pst_text_add(&line, "\n", 1);
        status = line.failed ? pst_fail(error, PST_E_RESOURCE, NULL, "no memory for a row")
                             : talk(self, call, fd, &line, reply, error);
        if (!status && strncmp(reply, "ok", 2) && !pst_refuse(refused, cap, n_refused, i, "refused: %s", reply))
            status = pst_fail(error, PST_E_DATA, NULL, "too many rows are refused: %s", reply);
    }
    if (fd >= 0)
        close(fd);
    pst_text_free(&line);
    pst_rows_close(&rows);
    return status;
}

static const void *on_get_interface(const char *id)
{
    static const pst_sink sink = {.struct_size = sizeof sink, .write = on_write};
    return strcmp(id, PST_IF_SINK) == 0 ? &sink : NULL;
}

static pst_status on_create(const pst_host *host, void **self, pst_error *error)
{
    return *self = (void *)host, PST_OK; /* all it has to remember; a struct of your own usually stands here */
}

static void on_destroy(void *self) {}

PST_PLUGIN(.id = "org.example.sink.my-thing", .kind = PST_KIND_CONNECTOR, .version = "0.1.0", .title = "My thing",
           .licence = "Apache-2.0", .get_interface = on_get_interface, .create = on_create, .destroy = on_destroy);
