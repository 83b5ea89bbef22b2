/* A client that sends bytes as they are and reads what comes, for tests of the HTTP server over real sockets.
 */
#ifndef PENSTOCK_TESTS_RAW_CLIENT_H
#define PENSTOCK_TESTS_RAW_CLIENT_H
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

static inline int raw_connect(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

/* false = the other side closed while we were sending. */
static inline bool raw_send(int fd, const void *data, size_t len)
{
    const char *at = data;
    while (len) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static inline void raw_say(int fd, const char *words)
{
    raw_send(fd, words, strlen(words));
}

/* Appends what comes within `ms`; true = the other side closed. */
static inline bool raw_read(int fd, text *out, int ms)
{
    char part[65536];
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (poll(&p, 1, ms) <= 0)
        return false;
    ssize_t n = recv(fd, part, sizeof part, 0);
    if (n <= 0)
        return true;
    text_add_n(out, part, (size_t)n);
    return false;
}

static inline bool raw_read_all(int fd, text *out, int ms)
{
    int64_t until = clock_monotonic_us() + ms * INT64_C(1000);
    for (;;) {
        int64_t left = (until - clock_monotonic_us()) / 1000;
        if (left <= 0)
            return false;
        if (raw_read(fd, out, (int)left))
            return true;
    }
}

/* One answer with Content-Length: reads until it is whole. Returns its status, 0 if none came. The text holds
 * exactly the head and body; a following answer's bytes are an error here. */
static inline int raw_answer(int fd, text *out, int ms)
{
    int64_t until = clock_monotonic_us() + ms * INT64_C(1000);
    text_clear(out);
    for (;;) {
        char *head = out->data ? strstr(out->data, "\r\n\r\n") : NULL;
        if (head) {
            char *length = strcasestr(out->data, "\r\nContent-Length:");
            size_t body = length && length < head ? strtoul(length + 17, NULL, 10) : 0;
            if (out->len >= (size_t)(head + 4 - out->data) + body)
                return atoi(out->data + 9);
        }
        int64_t left = (until - clock_monotonic_us()) / 1000;
        if (left <= 0 || raw_read(fd, out, (int)left))
            return 0;
    }
}

static inline const char *raw_body(const text *answer)
{
    const char *head = answer->data ? strstr(answer->data, "\r\n\r\n") : NULL;
    return head ? head + 4 : "";
}
#endif
