#include "support/sink.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

enum { MESSAGES_MAX = 256 };

struct sink {
    sink_kind kind;
    int listener, port, stop[2];
    bool hang;
    char answer[512], command[128], refusal[128];
    unsigned count;
    char *messages[MESSAGES_MAX];
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t grown;
};

static void keep(sink *s, text *t)
{
    pthread_mutex_lock(&s->lock);
    if (s->count < MESSAGES_MAX)
        s->messages[s->count++] = text_take(t);
    pthread_cond_broadcast(&s->grown);
    pthread_mutex_unlock(&s->lock);
    text_clear(t);
}

/* Waits for bytes or for the end of the test. */
static ssize_t receive(sink *s, int fd, char *out, size_t cap)
{
    struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = s->stop[0], .events = POLLIN}};
    if (poll(p, 2, -1) <= 0 || p[1].revents)
        return -1;
    return recv(fd, out, cap, 0);
}

static void say(sink *s, int fd, const char *line)
{
    pthread_mutex_lock(&s->lock);
    bool quiet = s->hang;
    pthread_mutex_unlock(&s->lock);
    char out[1024];
    int len = snprintf(out, sizeof out, "%s\r\n", line);
    if (!quiet)
        (void)!send(fd, out, (size_t)len, MSG_NOSIGNAL);
}

/* ---- HTTP ---- */

static size_t body_length(const char *head)
{
    const char *at = strcasestr(head, "\r\ncontent-length:");
    return at ? strtoul(at + 17, NULL, 10) : 0;
}

static void serve_http(sink *s, int fd)
{
    text request = {0};
    char bytes[4096], answer[600];
    for (ssize_t n; (n = receive(s, fd, bytes, sizeof bytes)) > 0;) {
        text_add_n(&request, bytes, (size_t)n);
        const char *end = strstr(request.data, "\r\n\r\n");
        if (!end || request.len < (size_t)(end + 4 - request.data) + body_length(request.data))
            continue;
        keep(s, &request);
        pthread_mutex_lock(&s->lock);
        snprintf(answer, sizeof answer, "HTTP/1.1 %s\r\nContent-Length: 0\r\n", s->answer);
        pthread_mutex_unlock(&s->lock);
        say(s, fd, answer);
    }
    text_free(&request);
}

/* ---- SMTP ---- */

static const char *smtp_answer(sink *s, const char *line, bool *data)
{
    static __thread char refusal[128];
    pthread_mutex_lock(&s->lock);
    bool refused = s->command[0] && !strncasecmp(line, s->command, strlen(s->command));
    snprintf(refusal, sizeof refusal, "%s", s->refusal);
    pthread_mutex_unlock(&s->lock);
    if (refused)
        return refusal;
    *data = !strncasecmp(line, "DATA", 4);
    if (*data)
        return "354 go on";
    if (!strncasecmp(line, "EHLO", 4))
        return "250-sink\r\n250-AUTH PLAIN\r\n250 SIZE 10000000";
    if (!strncasecmp(line, "AUTH PLAIN", 10))
        return line[10] ? "235 welcome" : "334 ";
    if (!strchr(line, ' ') && strchr(line, '=')) /* the credential, asked for by 334 */
        return "235 welcome";
    return !strncasecmp(line, "QUIT", 4) ? "221 bye" : "250 ok";
}

/* One line of the session; `in_data`: lines of the mail itself. */
static void smtp_line(sink *s, int fd, const char *line, text *mail, bool *in_data)
{
    if (*in_data && !strcmp(line, ".")) {
        *in_data = false;
        keep(s, mail);
        say(s, fd, "250 queued");
    } else if (*in_data) {
        text_printf(mail, "%s\r\n", line[0] == '.' ? line + 1 : line);
    } else {
        const char *answer = smtp_answer(s, line, in_data);
        if (answer[0] == '2' &&
            (!strncasecmp(line, "MAIL", 4) || !strncasecmp(line, "RCPT", 4) || !strncmp(answer, "235", 3)))
            text_printf(mail, "%s\r\n", line);
        if (*in_data)
            text_add(mail, "\r\n");
        say(s, fd, answer);
    }
}

static void serve_smtp(sink *s, int fd)
{
    text mail = {0}, pending = {0};
    char bytes[4096];
    bool in_data = false;
    say(s, fd, "220 sink");
    for (ssize_t n; (n = receive(s, fd, bytes, sizeof bytes)) > 0;) {
        text_add_n(&pending, bytes, (size_t)n);
        char *from = pending.data;
        for (char *end; (end = strstr(from, "\r\n")); from = end + 2) {
            *end = '\0';
            smtp_line(s, fd, from, &mail, &in_data);
        }
        text rest = {0};
        text_add(&rest, from);
        text_free(&pending);
        pending = rest;
    }
    text_free(&mail);
    text_free(&pending);
}

static void *run(void *arg)
{
    sink *s = arg;
    for (;;) {
        struct pollfd p[2] = {{.fd = s->listener, .events = POLLIN}, {.fd = s->stop[0], .events = POLLIN}};
        if (poll(p, 2, -1) < 0 || p[1].revents)
            return NULL;
        int fd = accept(s->listener, NULL, NULL);
        if (fd < 0)
            continue;
        s->kind == SINK_HTTP ? serve_http(s, fd) : serve_smtp(s, fd);
        close(fd);
    }
}

sink *sink_create(sink_kind kind)
{
    sink *s = calloc(1, sizeof *s);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    if (!s)
        abort();
    s->kind = kind;
    snprintf(s->answer, sizeof s->answer, "200 OK");
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->grown, NULL);
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->listener < 0 || bind(s->listener, (struct sockaddr *)&at, len) || listen(s->listener, 16) ||
        getsockname(s->listener, (struct sockaddr *)&at, &len) || pipe(s->stop) ||
        pthread_create(&s->thread, NULL, run, s))
        abort();
    s->port = ntohs(at.sin_port);
    return s;
}

void sink_free(sink *s)
{
    if (!s)
        return;
    close(s->stop[1]);
    pthread_join(s->thread, NULL);
    close(s->stop[0]);
    close(s->listener);
    for (unsigned i = 0; i < s->count; i++)
        free(s->messages[i]);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->grown);
    free(s);
}

int sink_port(const sink *s)
{
    return s->port;
}

void sink_answer(sink *s, const char *answer)
{
    pthread_mutex_lock(&s->lock);
    snprintf(s->answer, sizeof s->answer, "%s", answer);
    pthread_mutex_unlock(&s->lock);
}

void sink_refuse(sink *s, const char *command, const char *answer)
{
    pthread_mutex_lock(&s->lock);
    snprintf(s->command, sizeof s->command, "%s", command ? command : "");
    snprintf(s->refusal, sizeof s->refusal, "%s", answer ? answer : "");
    pthread_mutex_unlock(&s->lock);
}

void sink_hang(sink *s)
{
    pthread_mutex_lock(&s->lock);
    s->hang = true;
    pthread_mutex_unlock(&s->lock);
}

unsigned sink_count(sink *s)
{
    pthread_mutex_lock(&s->lock);
    unsigned count = s->count;
    pthread_mutex_unlock(&s->lock);
    return count;
}

const char *sink_wait(sink *s, unsigned index, int timeout_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += timeout_ms % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    pthread_mutex_lock(&s->lock);
    while (s->count <= index && !pthread_cond_timedwait(&s->grown, &s->lock, &until))
        ;
    const char *message = s->count > index ? s->messages[index] : NULL;
    pthread_mutex_unlock(&s->lock);
    return message;
}
