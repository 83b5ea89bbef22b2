/* penstock-mail-sink --folder DIR [--port N]: takes any mail on 127.0.0.1 and writes each as a file into
 * DIR/new. For the demo and the tests: it relays nothing, checks nobody and listens on loopback only. Port 0
 * lets the system choose; the port in use is written to DIR/port.
 *
 * One thread, one poll loop; a session is a state machine: COMMAND → (DATA) BODY → COMMAND. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/disk.h"
#include "base/random.h"
#include "base/text.h"

#define SESSIONS_MAX 32
#define LINE_MAX_BYTES 4096
#define MAIL_MAX_BYTES (25U << 20)

typedef struct session {
    text in, envelope, mail;
    int fd; /* -1 = free */
    bool body, too_large;
} session;

static session sessions[SESSIONS_MAX];
static const char *folder;

static void session_reset(session *s)
{
    text_clear(&s->envelope);
    text_clear(&s->mail);
    s->body = s->too_large = false;
}

static void session_end(session *s)
{
    close(s->fd);
    text_free(&s->in);
    text_free(&s->envelope);
    text_free(&s->mail);
    memset(s, 0, sizeof *s);
    s->fd = -1;
}

static void reply(session *s, const char *line)
{
    size_t len = strlen(line);
    if (send(s->fd, line, len, MSG_NOSIGNAL) != (ssize_t)len)
        shutdown(s->fd, SHUT_RDWR);
}

static void mail_keep(session *s)
{
    char id[27], path[4096];
    text whole = {0};
    status st;
    ulid_make(id);
    snprintf(path, sizeof path, "%s/new/%s.eml", folder, id);
    text_add(&whole, text_or_empty(&s->envelope));
    text_add_n(&whole, text_or_empty(&s->mail), s->mail.len);
    if (disk_write(path, whole.data, whole.len, 0600, &st) == STATUS_OK)
        reply(s, "250 kept\r\n");
    else
        reply(s, "451 cannot write\r\n");
    text_free(&whole);
    session_reset(s);
}

static void body_line(session *s, const char *line, size_t len)
{
    if (strcmp(line, ".") == 0) {
        if (!s->too_large) {
            mail_keep(s);
            return;
        }
        session_reset(s);
        reply(s, "552 larger than 25 MiB\r\n");
        return;
    }
    if (line[0] == '.') { /* the sender doubled a leading dot */
        line++;
        len--;
    }
    s->too_large = s->too_large || s->mail.len + len + 2 > MAIL_MAX_BYTES;
    if (!s->too_large) {
        text_add_n(&s->mail, line, len);
        text_add(&s->mail, "\r\n");
    }
}

static bool is_verb(const char *line, const char *verb)
{
    return strncasecmp(line, verb, strlen(verb)) == 0;
}

static void command_line(session *s, const char *line)
{
    if (is_verb(line, "EHLO"))
        reply(s, "250-penstock-mail-sink\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 26214400\r\n");
    else if (is_verb(line, "HELO") || is_verb(line, "NOOP"))
        reply(s, "250 fine\r\n");
    else if (is_verb(line, "MAIL FROM:")) {
        session_reset(s);
        text_printf(&s->envelope, "X-Envelope-From: %s\r\n", line + 10);
        reply(s, "250 fine\r\n");
    } else if (is_verb(line, "RCPT TO:")) {
        text_printf(&s->envelope, "X-Envelope-To: %s\r\n", line + 8);
        reply(s, "250 fine\r\n");
    } else if (is_verb(line, "DATA")) {
        s->body = s->envelope.len > 0;
        reply(s, s->body ? "354 go on, end with a dot\r\n" : "503 MAIL and RCPT first\r\n");
    } else if (is_verb(line, "RSET")) {
        session_reset(s);
        reply(s, "250 fine\r\n");
    } else if (is_verb(line, "QUIT")) {
        reply(s, "221 bye\r\n");
        shutdown(s->fd, SHUT_RDWR);
    } else
        reply(s, "502 not here\r\n");
}

/* Works through the whole lines of the input; a line that never ends closes the session. */
static bool lines_take(session *s)
{
    char *start = s->in.data, *end;
    while (start && (end = memchr(start, '\n', s->in.len - (size_t)(start - s->in.data)))) {
        size_t len = (size_t)(end - start);
        if (len > 0 && start[len - 1] == '\r')
            len--;
        start[len] = '\0';
        if (s->body)
            body_line(s, start, len);
        else
            command_line(s, start);
        start = end + 1;
    }
    size_t rest = start ? s->in.len - (size_t)(start - s->in.data) : 0;
    if (rest > LINE_MAX_BYTES)
        return false;
    if (rest > 0)
        memmove(s->in.data, start, rest);
    s->in.len = rest;
    return true;
}

static void session_read(session *s)
{
    char piece[16384];
    ssize_t n = recv(s->fd, piece, sizeof piece, 0);
    if (n <= 0) {
        session_end(s);
        return;
    }
    text_add_n(&s->in, piece, (size_t)n);
    if (!lines_take(s))
        session_end(s);
}

static void session_begin(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    for (size_t i = 0; fd >= 0 && i < SESSIONS_MAX; i++) {
        if (sessions[i].fd >= 0)
            continue;
        sessions[i].fd = fd;
        reply(&sessions[i], "220 penstock-mail-sink\r\n");
        return;
    }
    if (fd >= 0)
        close(fd);
}

static int listen_on(long port, status *st)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    socklen_t size = sizeof address;
    char path[4096], number[16];
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 32) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
        status_errno(st, errno, "listening on 127.0.0.1");
        close(fd);
        return -1;
    }
    snprintf(path, sizeof path, "%s/new", folder);
    if (disk_make_folder(path, 0700, st) != STATUS_OK)
        return -1;
    snprintf(path, sizeof path, "%s/port", folder);
    int len = snprintf(number, sizeof number, "%d\n", ntohs(address.sin_port));
    return disk_write(path, number, (size_t)len, 0644, st) == STATUS_OK ? fd : -1;
}

static void serve(int listener)
{
    struct pollfd polled[SESSIONS_MAX + 1];
    polled[SESSIONS_MAX] = (struct pollfd){.fd = listener, .events = POLLIN};
    for (;;) {
        for (size_t i = 0; i < SESSIONS_MAX; i++)
            polled[i] = (struct pollfd){.fd = sessions[i].fd, .events = POLLIN};
        if (poll(polled, SESSIONS_MAX + 1, -1) < 0 && errno != EINTR)
            return;
        for (size_t i = 0; i < SESSIONS_MAX; i++) {
            if (polled[i].revents)
                session_read(&sessions[i]);
        }
        if (polled[SESSIONS_MAX].revents)
            session_begin(listener);
    }
}

int main(int argc, char **argv)
{
    status st;
    long port = 0;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--folder") == 0)
            folder = argv[i + 1];
        else if (strcmp(argv[i], "--port") == 0)
            port = strtol(argv[i + 1], NULL, 10);
    }
    if (!folder || *folder != '/' || port < 0 || port > 65535) {
        fputs("usage: penstock-mail-sink --folder /ABSOLUTE/DIR [--port N]\n", stderr);
        return 2;
    }
    for (size_t i = 0; i < SESSIONS_MAX; i++)
        sessions[i].fd = -1;
    int listener = listen_on(port, &st);
    if (listener < 0 && port != 0)
        listener = listen_on(0, &st); /* somebody else took last time's port */
    if (listener < 0) {
        fprintf(stderr, "penstock-mail-sink: %s\n", st.text);
        return 1;
    }
    serve(listener);
    return 1;
}
