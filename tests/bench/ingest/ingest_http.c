/* Posts rows over keep-alive connections, each client one request at a time, and prints one line of JSON. All
 * bodies are made before the clock starts, each only once, and one thread serves all clients, woken once for
 * what has arrived meanwhile, so the generator costs as little as it can on a machine that it shares with the
 * host. ingest_http --port N --target /api/… --key psk_… --batch N --rows N --clients N --first ROW --format
 * ndjson|lp|empty (as many requests, with nothing in them) */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "feed.h"

enum { CLIENTS_MAX = 256, ANSWER_MAX = 8192 };

typedef struct request {
    char *bytes;
    size_t len;
} request;

static struct {
    request *requests;
    int64_t *took_us;
    uint64_t n;
    const char *format;
    uint64_t next, accepted, bad, answered;
    uint16_t port;
} run;

typedef struct client {
    int fd;
    uint64_t number; /* of its request */
    size_t sent, have;
    int64_t from_us;
    char answer[ANSWER_MAX];
} client;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void make_request(request *r, const char *target, const char *key, uint64_t first, uint64_t rows)
{
    size_t room = 1024 + rows * FEED_LINE_MAX, head;
    char *body = malloc(rows * FEED_LINE_MAX), *at = body;
    r->bytes = malloc(room);
    if (!body || !r->bytes)
        die("malloc");
    bool lines = strcmp(run.format, "lp") == 0, empty = strcmp(run.format, "empty") == 0;
    for (uint64_t i = 0; i < rows && !empty; i++) {
        feed_row row;
        feed_row_make(first + i, &row);
        at += lines ? feed_row_line(&row, at) : feed_row_json(&row, at);
    }
    head = (size_t)snprintf(r->bytes, 1024,
                            "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n"
                            "Content-Type: %s\r\nContent-Length: %zu\r\n\r\n",
                            target, key, lines ? "text/plain" : "application/x-ndjson", (size_t)(at - body));
    memcpy(r->bytes + head, body, (size_t)(at - body));
    r->len = head + (size_t)(at - body);
    r->bytes = realloc(r->bytes, r->len);
    free(body);
}

static int dial(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(run.port)};
    int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

/* As much as the socket takes; the rest when it is writable again. */
static void send_more(client *c)
{
    const request *r = &run.requests[c->number];
    while (c->sent < r->len) {
        ssize_t n = send(c->fd, r->bytes + c->sent, r->len - c->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0)
            die("send");
        c->sent += (size_t)n;
    }
}

static void begin_next(client *c)
{
    if (run.next == run.n)
        return;
    c->number = run.next++;
    c->sent = c->have = 0;
    c->from_us = feed_clock_us();
    send_more(c);
}

static const char *find(const client *c, const char *word)
{
    return memmem(c->answer, c->have, word, strlen(word));
}

/* The whole answer is there. */
static bool is_whole(const client *c)
{
    static const char length[] = "\r\nContent-Length: ";
    const char *end = find(c, "\r\n\r\n"), *digits = find(c, length);
    return end && digits &&
           c->have >= (size_t)(end + 4 - c->answer) + strtoul(digits + sizeof length - 1, NULL, 10);
}

static void take_answer(client *c)
{
    c->answer[c->have] = '\0';
    int code = atoi(c->answer + strlen("HTTP/1.1 "));
    const char *taken = find(c, "\"accepted\":");
    run.took_us[c->number] = feed_clock_us() - c->from_us;
    run.answered++;
    if ((code == 200 || code == 202) && taken)
        run.accepted += strtoull(taken + 11, NULL, 10);
    else if (run.bad++ == 0)
        fprintf(stderr, "%s\n", c->answer);
}

static void receive(client *c)
{
    ssize_t n = recv(c->fd, c->answer + c->have, ANSWER_MAX - 1 - c->have, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        die("recv");
    c->have += (size_t)n;
    if (!is_whole(c))
        return;
    take_answer(c);
    begin_next(c);
}

static void serve_all(client *clients, uint64_t n)
{
    struct epoll_event ready[CLIENTS_MAX];
    int epoll = epoll_create1(0);
    for (uint64_t i = 0; i < n; i++) {
        struct epoll_event wish = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = &clients[i]};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, clients[i].fd, &wish) != 0)
            die("epoll_ctl");
        begin_next(&clients[i]);
    }
    while (run.answered < run.n) {
        int n_ready = epoll_wait(epoll, ready, CLIENTS_MAX, -1);
        for (int i = 0; i < n_ready; i++) {
            client *c = ready[i].data.ptr;
            if (ready[i].events & EPOLLOUT)
                send_more(c);
            if (ready[i].events & ~(unsigned)EPOLLOUT)
                receive(c);
        }
    }
    close(epoll);
}

int main(int argc, char **argv)
{
    uint64_t batch = feed_number(argc, argv, "batch", 1000), rows = feed_number(argc, argv, "rows", 100000),
             clients = feed_number(argc, argv, "clients", 4), first = feed_number(argc, argv, "first", 0);
    run.port = (uint16_t)feed_number(argc, argv, "port", 0);
    run.n = rows / batch;
    run.format = feed_option(argc, argv, "format", "ndjson");
    run.requests = calloc(run.n + 1, sizeof *run.requests);
    run.took_us = calloc(run.n + 1, sizeof *run.took_us);
    if (!run.requests || !run.took_us || run.n == 0 || clients == 0 || clients > CLIENTS_MAX)
        return 2;
    for (uint64_t i = 0; i < run.n; i++)
        make_request(&run.requests[i], feed_option(argc, argv, "target", "/"),
                     feed_option(argc, argv, "key", ""), first + i * batch, batch);
    clients = clients < run.n ? clients : run.n;
    client *all = calloc(clients, sizeof *all);
    if (!all)
        die("calloc");
    for (uint64_t i = 0; i < clients; i++)
        all[i].fd = dial();
    double cpu = feed_cpu_seconds();
    int64_t from = feed_clock_us();
    serve_all(all, clients);
    feed_report(&(feed_figures){.accepted = run.accepted,
                                .bad = run.bad,
                                .us = feed_clock_us() - from,
                                .cpu_seconds = feed_cpu_seconds() - cpu,
                                .took_us = run.took_us,
                                .n = run.n});
    free(all);
    return 0;
}
