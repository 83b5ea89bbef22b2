/* Posts rows over keep-alive connections, each client one request at a time, and prints one line of JSON. All
 * bodies are made before the clock starts, each only once, so the generator costs as little as it can on a
 * machine that it shares with the host. ingest_http --port N --target /api/… --key psk_… --batch N --rows N
 * --clients N --first ROW --format ndjson|lp|empty (as many requests, with nothing in them) */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "feed.h"

enum { CLIENTS_MAX = 256, ANSWER_MAX = 65536 };

typedef struct request {
    char *bytes;
    size_t len;
} request;

static struct {
    request *requests;
    int64_t *took_us;
    uint64_t n;
    const char *format;
    atomic_uint_fast64_t next, accepted, bad;
    uint16_t port;
} run;

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
    return fd;
}

static void send_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0)
            die("send");
        bytes += n;
        len -= (size_t)n;
    }
}

/* Reads one whole answer; returns its status. */
static int read_answer(int fd, char *out)
{
    size_t have = 0;
    for (;;) {
        ssize_t n = recv(fd, out + have, ANSWER_MAX - 1 - have, 0);
        if (n <= 0)
            die("recv");
        have += (size_t)n;
        out[have] = '\0';
        const char *end = strstr(out, "\r\n\r\n"), *length = strcasestr(out, "\r\nContent-Length:");
        if (end && length && have >= (size_t)(end + 4 - out) + strtoul(length + 17, NULL, 10))
            return atoi(out + 9);
    }
}

static void *client(void *arg)
{
    (void)arg;
    char *answer = malloc(ANSWER_MAX);
    int fd = dial();
    for (uint64_t i; (i = atomic_fetch_add(&run.next, 1)) < run.n;) {
        request *r = &run.requests[i];
        int64_t from = feed_clock_us();
        send_all(fd, r->bytes, r->len);
        int code = read_answer(fd, answer);
        run.took_us[i] = feed_clock_us() - from;
        const char *taken = strstr(answer, "\"accepted\":");
        if ((code == 200 || code == 202) && taken)
            atomic_fetch_add(&run.accepted, strtoull(taken + 11, NULL, 10));
        else if (atomic_fetch_add(&run.bad, 1) == 0)
            fprintf(stderr, "%s\n", answer);
    }
    close(fd);
    free(answer);
    return NULL;
}

int main(int argc, char **argv)
{
    uint64_t batch = feed_number(argc, argv, "batch", 1000), rows = feed_number(argc, argv, "rows", 100000),
             clients = feed_number(argc, argv, "clients", 4), first = feed_number(argc, argv, "first", 0);
    pthread_t threads[CLIENTS_MAX];
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
    double cpu = feed_cpu_seconds();
    int64_t from = feed_clock_us();
    for (uint64_t i = 0; i < clients; i++)
        if (pthread_create(&threads[i], NULL, client, NULL) != 0)
            die("thread");
    for (uint64_t i = 0; i < clients; i++)
        pthread_join(threads[i], NULL);
    feed_report(&(feed_figures){.accepted = run.accepted,
                                .bad = run.bad,
                                .us = feed_clock_us() - from,
                                .cpu_seconds = feed_cpu_seconds() - cpu,
                                .took_us = run.took_us,
                                .n = run.n});
    return 0;
}
