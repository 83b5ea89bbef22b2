/* The layout check reads what MHD left of a head in memory, which no header file promises. So before anything
 * listens, a few good and bad heads go through a daemon with our options over a socket pair, and the server
 * does not start unless each is judged as it must be: another libmicrohttpd cannot silently open a hole or
 * refuse everybody. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "serve/http_private.h"

typedef struct probe {
    const char *what, *bytes;
    size_t len;
    bool good;
} probe;

#define PROBE(what, bytes, good)             \
    {                                        \
        what, bytes, sizeof(bytes) - 1, good \
    }
static const probe probes[] = {
    PROBE("a plain request",
          "GET /a?b=c%20d HTTP/1.1\r\nHost: a.test\r\nX-Empty:\r\nX-Blank: \t b c \r\n\r\n", true),
    PROBE("a request without extras", "GET / HTTP/1.1\r\nHost:a\r\n\r\n", true),
    PROBE("NUL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: b\0c\r\nY: d\r\n\r\n", false),
    PROBE("NUL in the last value", "GET / HTTP/1.1\r\nHost: a\r\nX: b\0\0\0\r\n\r\n", false),
    PROBE("NUL in a name", "GET / HTTP/1.1\r\nHost: a\r\nX\0Z: b\r\n\r\n", false),
    PROBE("a folded line", "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", false),
    PROBE("a folded last line", "GET / HTTP/1.1\r\nHost: a\r\n\tb\r\n\r\n", false),
    PROBE("a bare LF after a field", "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", false),
    PROBE("a bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", false),
    PROBE("a bare LF at the end", "GET / HTTP/1.1\r\nHost: a\r\n\n", false),
    PROBE("a bare CR", "GET / HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n", false),
    PROBE("a blank before the colon", "GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n", false),
    PROBE("Content-Length twice",
          "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n", false),
};

static http_step count_good(void *self, http_request *r, size_t *body_limit)
{
    (void)body_limit, (void)r;
    ++*(unsigned *)self;
    return HTTP_STEP_GO;
}

static void answer_good(void *self, http_request *r)
{
    (void)self;
    http_answer(r, 204, NULL, NULL);
}

static void answer_bad(void *self, http_request *r, int status, const char *why, const limit *met)
{
    (void)self, (void)why, (void)met;
    http_answer(r, status, NULL, NULL);
}

static bool probe_run(listener *l, const probe *p, const unsigned *good)
{
    unsigned before = *good;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
        return false;
    struct sockaddr_storage peer = {.ss_family = AF_UNIX};
    bool ok =
        write(pair[1], p->bytes, p->len) == (ssize_t)p->len &&
        MHD_add_connection(l->daemon, pair[0], (struct sockaddr *)&peer, sizeof(sa_family_t)) == MHD_YES;
    for (unsigned i = 0; ok && i < 6; i++)
        MHD_run(l->daemon);
    char answer[16] = "";
    ok = ok && read(pair[1], answer, sizeof answer - 1) > 0;
    shutdown(pair[1], SHUT_RDWR);
    for (unsigned i = 0; i < 3; i++)
        MHD_run(l->daemon);
    close(pair[1]);
    return ok && (*good > before) == p->good &&
           strncmp(answer, p->good ? "HTTP/1.1 204" : "HTTP/1.1 400", 12) == 0;
}

status_class server_self_test(const http_limits *limits, status *st)
{
    unsigned good = 0;
    http_hooks hooks = {
        .self = &good, .on_headers = count_good, .on_request = answer_good, .on_refusal = answer_bad};
    http_server s;
    server_init(&s, limits, &hooks);
    listener l = {.server = &s, .fd = -1};
    status_class class = server_daemon(&l, -1, NULL, st);
    for (unsigned i = 0; !class && i < sizeof probes / sizeof *probes; i++)
        if (!probe_run(&l, &probes[i], &good)) {
            class = status_set(st, STATUS_UNSUPPORTED,
                               "HTTP self-test: libmicrohttpd %s treats %s in another way", MHD_get_version(),
                               probes[i].what);
            status_hint(st, "the server was made and tested with libmicrohttpd 0.9.75");
        }
    if (l.daemon)
        MHD_stop_daemon(l.daemon);
    server_clear(&s);
    return class;
}
