/* One connection at a time. "lines": each line is answered by "ok". "http": each request by 200 and the
 * answer that check.json names (401 when it refuses); "clickhouse": likewise, as that server would. "smtp":
 * the least of a session. "mqtt", "modbus", "nats", "postgres" and "s3" have files of their own, and so has
 * the program that an author brings. */
#include "check/far_side.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check/far_talk.h"
#include "check/verdict.h"

void far_say(const far_peer *p, const void *data, size_t len)
{
    if (send(p->out, data, len, MSG_NOSIGNAL) != (ssize_t)len)
        shutdown(p->out, SHUT_RDWR);
}

static void reply(const far_peer *p, const char *line)
{
    far_say(p, line, strlen(line));
}

static void talk_lines(far_peer *p)
{
    char line[65536];
    while (fgets(line, sizeof line, p->in)) {
        fputs(line, p->told);
        fflush(p->told);
        reply(p, p->refuses ? "no, not from you\n" : "ok\n");
    }
}

static void reply_http(const far_peer *p, const char *answer)
{
    char head[120];
    snprintf(head, sizeof head, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n",
             p->refuses ? "401 Unauthorized" : "200 OK", p->refuses ? 0 : strlen(answer));
    reply(p, head);
    if (!p->refuses)
        reply(p, answer);
}

typedef const char *(*http_answer)(const far_peer *p, const char *request);

static bool tell_body(far_peer *p, size_t len)
{
    for (; len; len--) {
        int c = fgetc(p->in);
        if (c == EOF)
            return false;
        fputc(c, p->told);
    }
    fputc('\n', p->told);
    fflush(p->told);
    return true;
}

static void talk_requests(far_peer *p, http_answer answer)
{
    char line[65536], request[2048] = "";
    size_t body = 0;
    while (fgets(line, sizeof line, p->in)) {
        if (!request[0])
            snprintf(request, sizeof request, "%.*s", (int)sizeof request - 1, line);
        if (!strncasecmp(line, "content-length:", 15))
            body = strtoul(line + 15, NULL, 10);
        if (strcmp(line, "\r\n") != 0)
            continue;
        if (!tell_body(p, body))
            return;
        reply_http(p, answer(p, request));
        request[0] = '\0';
        body = 0;
    }
}

static const char *answer_always(const far_peer *p, const char *request)
{
    (void)request;
    return p->answer;
}

static void talk_http(far_peer *p)
{
    talk_requests(p, answer_always);
}

/* To a question about a table its columns, which check.json names; to rows nothing. */
static const char *answer_clickhouse(const far_peer *p, const char *request)
{
    return strstr(request, "version") ? "21.8.1.1\n" : strstr(request, "INSERT") ? "" : p->answer;
}

static void talk_clickhouse(far_peer *p)
{
    talk_requests(p, answer_clickhouse);
}

/* What to say to a line outside of a mail's body. */
static const char *smtp_answer(const char *line, bool refuses)
{
    if (!strncasecmp(line, "EHLO", 4))
        return "250-far.example\r\n250 AUTH PLAIN\r\n";
    if (refuses && (!strncasecmp(line, "AUTH", 4) || !strncasecmp(line, "MAIL", 4)))
        return "535 not from you\r\n";
    if (!strncasecmp(line, "AUTH PLAIN\r", 11))
        return "334 \r\n";
    if (!strncasecmp(line, "DATA", 4))
        return "354 go on\r\n";
    return !strncasecmp(line, "QUIT", 4) ? "221 bye\r\n" : "250 fine\r\n";
}

static void talk_smtp(far_peer *p)
{
    char line[65536];
    bool body = false, auth = false;
    reply(p, "220 far.example ESMTP\r\n");
    while (fgets(line, sizeof line, p->in)) {
        if (body && strcmp(line, ".\r\n") != 0) {
            fputs(line, p->told);
            continue;
        }
        fflush(p->told);
        const char *answer = auth ? "235 welcome\r\n" : body ? "250 fine\r\n" : smtp_answer(line, p->refuses);
        if (!strncasecmp(line, "AUTH PLAIN ", 11) && !p->refuses)
            answer = "235 welcome\r\n";
        reply(p, answer);
        auth = !strncmp(answer, "334", 3);
        body = !strncmp(answer, "354", 3);
    }
}

static const struct {
    const char *name;
    void (*talk)(far_peer *p);
} protocols[] = {
    {"lines", talk_lines},           {"http", talk_http},         {"smtp", talk_smtp},
    {"mqtt", far_talk_mqtt},         {"modbus", far_talk_modbus}, {"nats", far_talk_nats},
    {"postgres", far_talk_postgres}, {"s3", far_talk_s3},         {"clickhouse", talk_clickhouse}};

static int protocol_find(const char *name)
{
    for (size_t i = 0; i < sizeof protocols / sizeof protocols[0]; i++)
        if (!strcmp(protocols[i].name, name))
            return (int)i;
    return -1;
}

static void serve(int listener, int protocol, const char *answer, far_mode mode, int told)
{
    FILE *file = fdopen(told, "a");
    for (int n = 0; file; n++) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0 && errno != EINTR)
            _exit(1);
        if (fd < 0 || mode == FAR_SILENT)
            continue; /* the connection stays open and nothing is ever said */
        far_peer p = {fdopen(fd, "r"), fd, file, mode == FAR_REFUSES, answer};
        if (p.in)
            protocols[protocol].talk(&p);
        if (p.in)
            fclose(p.in);
    }
    _exit(1);
}

void far_side_start(const char *protocol, const char *answer, far_mode mode, far_side *out)
{
    memset(out, 0, sizeof *out);
    if (!strcmp(protocol, "program")) {
        far_program_start(answer, mode, out);
        return;
    }
    int known = protocol_find(protocol);
    if (known < 0)
        verdict_fail("check.json: far_side",
                     "there is no far side called %s: lines, http, smtp, mqtt, modbus, nats, postgres, s3, "
                     "clickhouse or "
                     "program",
                     protocol);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    out->told_fd = memfd_create("told", MFD_CLOEXEC);
    snprintf(out->told, sizeof out->told, "/proc/self/fd/%d", out->told_fd);
    if (listener < 0 || out->told_fd < 0 || bind(listener, (struct sockaddr *)&at, len) ||
        listen(listener, 16) || getsockname(listener, (struct sockaddr *)&at, &len))
        verdict_fail(NULL, "the far side does not start: %s", strerror(errno));
    out->port = ntohs(at.sin_port);
    fflush(NULL);
    pid_t parent = getpid();
    out->pid = fork();
    if (out->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
        serve(listener, known, answer, mode, out->told_fd);
    }
    close(listener);
}

void far_side_stop(far_side *f)
{
    if (f->pid > 0) {
        kill(f->pid, SIGKILL);
        waitpid(f->pid, NULL, 0);
    }
    if (f->told[0])
        close(f->told_fd);
    if (f->in_fd)
        close(f->in_fd);
    memset(f, 0, sizeof *f);
}
