#include "fake_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"

struct fake_server {
    int listener;
    char url[64];
    const fake_answer *answers;
    bool used[FAKE_REQUESTS_MAX];
    fake_request requests[FAKE_REQUESTS_MAX];
    size_t n;
    pthread_t thread;
    atomic_bool stopping;
};

static size_t content_length(const char *head)
{
    const char *at = strcasestr(head, "\r\nContent-Length:");
    return at ? strtoul(at + 17, NULL, 10) : 0;
}

static bool request_read(int fd, fake_request *r)
{
    char piece[65536];
    for (;;) {
        ssize_t n = recv(fd, piece, sizeof piece, 0);
        if (n <= 0)
            return false;
        text_add_n(&r->head, piece, (size_t)n);
        char *end = memmem(r->head.data, r->head.len, "\r\n\r\n", 4);
        if (!end)
            continue;
        size_t head = (size_t)(end + 4 - r->head.data), body = content_length(r->head.data);
        if (r->head.len < head + body)
            continue;
        text_add_n(&r->body, end + 4, body);
        end[4] = '\0';
        return sscanf(r->head.data, "%15s %1023s", r->method, r->path) == 2;
    }
}

/* The first answer for it that was not used, else the last that was. */
static const fake_answer *answer_find(fake_server *s, const fake_request *r)
{
    const fake_answer *last = NULL;
    for (size_t i = 0; s->answers[i].method; i++) {
        const fake_answer *a = &s->answers[i];
        if (strcmp(a->method, r->method) != 0 || strcmp(a->path, r->path) != 0)
            continue;
        last = a;
        if (!s->used[i]) {
            s->used[i] = true;
            break;
        }
    }
    return last;
}

static void answer_send(fake_server *s, int fd, const fake_request *r)
{
    static const fake_answer missing = {"", "", 404, "",
                                        "{\"title\":\"Not found\",\"detail\":\"no such thing\"}"};
    const fake_answer *a = answer_find(s, r);
    text out = {0};
    a = a ? a : &missing;
    text_printf(
        &out,
        "HTTP/1.1 %d X\r\nContent-Length: %zu\r\nX-Request-Id: req-%zu\r\nConnection: close\r\n%s\r\n%s",
        a->status, strlen(a->body), s->n, a->headers, a->body);
    send(fd, out.data, out.len, MSG_NOSIGNAL);
    text_free(&out);
}

static void *serve(void *self)
{
    fake_server *s = self;
    while (!s->stopping && s->n < FAKE_REQUESTS_MAX) {
        int fd = accept(s->listener, NULL, NULL);
        if (fd < 0)
            break;
        fake_request *r = &s->requests[s->n];
        if (!s->stopping && request_read(fd, r)) {
            s->n++;
            answer_send(s, fd, r);
        }
        close(fd);
    }
    return NULL;
}

fake_server *fake_server_start(const fake_answer *answers)
{
    fake_server *s = memory_zero(1, sizeof *s);
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s->answers = answers;
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(s->listener, (struct sockaddr *)&address, size) != 0 || listen(s->listener, 16) != 0 ||
        getsockname(s->listener, (struct sockaddr *)&address, &size) != 0)
        abort();
    snprintf(s->url, sizeof s->url, "http://127.0.0.1:%d", ntohs(address.sin_port));
    pthread_create(&s->thread, NULL, serve, s);
    return s;
}

const char *fake_server_url(const fake_server *s)
{
    return s->url;
}

void fake_server_stop(fake_server *s)
{
    s->stopping = true;
    shutdown(s->listener, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->listener);
}

size_t fake_server_count(const fake_server *s)
{
    return s->n;
}

const fake_request *fake_server_request(const fake_server *s, size_t i)
{
    return &s->requests[i];
}

void fake_server_free(fake_server *s)
{
    for (size_t i = 0; i < FAKE_REQUESTS_MAX; i++) {
        text_free(&s->requests[i].head);
        text_free(&s->requests[i].body);
    }
    free(s);
}
