/* The HTTP/1.1 server: listeners, connections, requests and answers. It knows nothing of routes, keys or
 * problems; router.c does, through the two functions of http_hooks.
 *
 * Threads: the server lives on one loop. A request is made on the loop thread, belongs to whoever handles it
 * from http_hooks.on_request until one of the http_answer… functions is called [any thread], and must not be
 * touched afterwards. Every request must be answered exactly once; the client may be long gone by then, which
 * is harmless.
 *
 * A request's memory is its arena (one user at a time) and its body, a buffer out of a bounded pool: an
 * ingest body costs no fresh allocation. What an answer needs is taken over by it (text) or copied (headers).
 *
 * Life: header bytes → own checks (layout, fields, target) → hooks.on_headers → body → hooks.on_request →
 * answer. Every phase has a hard deadline that no trickle of bytes renews; a connection that misses it is
 * shut down. */
#ifndef PENSTOCK_SERVE_HTTP_H
#define PENSTOCK_SERVE_HTTP_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/limit.h"
#include "base/status.h"
#include "base/text.h"
#include "loop/lane.h"
#include "loop/loop.h"

typedef enum http_method {
    HTTP_GET = 1,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_PATCH,
    HTTP_DELETE,
    HTTP_OPTIONS,
    HTTP_OTHER, /* answered 501 before any hook */
} http_method;

#define HTTP_PARAMS_MAX 8
#define HTTP_QUERY_MAX 64
#define HTTP_HEADERS_MAX 100

typedef struct http_pair {
    const char *name, *value;
} http_pair;

struct route;
struct principal;
struct services;
struct router;

typedef struct http_request http_request;
struct http_request {
    http_method method;
    const char *method_text;
    const char *raw_path;    /* as sent, without the query */
    const char *path;        /* unescaped, begins with '/', no dot segments */
    const char *target;      /* as sent, with the query */
    const http_pair *params; /* filled by the router, in order of the template, unescaped */
    unsigned n_params;
    const http_pair *query; /* unescaped ('+' is a blank) */
    unsigned n_query;
    const http_pair *headers; /* as sent; http_request_header finds one without regard to case */
    unsigned n_headers;
    const char *body; /* complete and NUL-terminated (the NUL is not counted); "" without one */
    size_t body_len;
    arena *arena;
    char id[27];         /* ULID: X-Request-Id, in logs and problems */
    unsigned listener;   /* the number that http_listen gave back */
    int64_t received_us; /* monotonic: when the request line was complete */
    const struct route *route;
    unsigned route_row;          /* its place in the table */
    const struct principal *who; /* NULL = nobody asked who it is (public routes) */
    int64_t wid;                 /* of {ws}, when the route has one and it was found */
    struct services *services;   /* what the handlers' resources are made of; app.c fills it */
    struct router *router;
    /* Called on the answering thread with what http_answer was given, before it is given (idempotency). */
    void (*on_answer)(struct http_request *r, int status, const char *body, size_t len);
};

const char *http_request_header(const http_request *r, const char *name); /* NULL = not sent */
const char *http_request_param(const http_request *r, const char *name);  /* NULL = not in the template */
const char *http_request_query(const http_request *r, const char *name);  /* first of that name, or NULL */
/* Puts the unescaped text into the arena; NULL for a broken escape, NUL or text that is not UTF-8. */
char *http_unescape(arena *a, const char *s, size_t len, bool plus_is_blank);

/* ---- answers: [any thread], once a request ---- */
/* Adds a header to the answer to come (copied). Values with control characters are a bug of ours. */
void http_header(http_request *r, const char *name, const char *value);
__attribute__((format(printf, 3, 4))) void http_header_printf(http_request *r, const char *name,
                                                              const char *fmt, ...);
/* Takes the text's buffer over (`body` is empty afterwards); NULL = no body. `type` is a literal. */
void http_answer(http_request *r, int status, const char *type, text *body);
/* The bytes must live as long as the process. */
void http_answer_static(http_request *r, int status, const char *type, const char *body, size_t len);

/* Pulled answer, chunked: `pull` is called on the loop thread and must not block. It writes at most `size`
 * bytes and returns how many; HTTP_PULL_END after the last; HTTP_PULL_WAIT when there is nothing now, to be
 * called again after http_pull_wake; HTTP_PULL_FAIL cuts the connection, so that nobody takes a part for the
 * whole. `end` is called once, on the loop thread, when the answer is over or the client gone; after it
 * `pull` never is. */
enum { HTTP_PULL_END = -1, HTTP_PULL_WAIT = -2, HTTP_PULL_FAIL = -3 };
typedef ssize_t (*http_pull)(void *arg, char *out, size_t size);
typedef struct http_puller http_puller;
/* The handle is for http_pull_wake only; it is counted: one for the server, one for the caller. */
http_puller *http_answer_pull(http_request *r, int status, const char *type, http_pull pull,
                              void (*end)(void *arg), void *arg);
void http_pull_wake(http_puller *p);      /* [any], also after the end */
void http_puller_release(http_puller *p); /* [any], NULL is fine */

/* Pushed answer over it, for code on a lane that makes rows as it goes. */
typedef struct http_stream http_stream;
http_stream *http_answer_stream(http_request *r, int status, const char *type);
/* Waits while 256 KiB are on the way (not on the loop thread). false = the client is gone: stop producing. */
bool http_stream_write(http_stream *s, const void *data, size_t len);
/* Never waits; false = gone, or so far behind that it was cut off (SSE on the loop thread). */
bool http_stream_offer(http_stream *s, const void *data, size_t len);
size_t http_stream_waiting(http_stream *s); /* bytes that the client has not taken yet */
#define HTTP_STREAM_OFFER_ROOM (4 << 20)    /* what may be offered beyond that */
/* Ends the answer and gives the handle back; `whole` = false cuts the connection instead of ending it
 * properly. */
void http_stream_end(http_stream *s, bool whole);

/* ---- the server ---- */
typedef enum http_step {
    HTTP_STEP_GO,       /* read the body */
    HTTP_STEP_WAIT,     /* http_continue will be called */
    HTTP_STEP_ANSWERED, /* an http_answer… was called; the body is not read and the connection closes after it
                         */
} http_step;

typedef struct http_hooks {
    void *self;
    /* Loop thread, headers complete and found sound. May set *body_limit_out (bytes; default
     * http_limits.body). */
    http_step (*on_headers)(void *self, http_request *r, size_t *body_limit_out);
    /* Loop thread, body complete. Answers now, or later from any thread. */
    void (*on_request)(void *self, http_request *r);
    /* Any thread: fills the answer for a refusal of the server itself (413, 431, 503 …) by calling
     * http_answer. `met`: the limit of memory or of the body's length that it is about, or NULL. */
    void (*on_refusal)(void *self, http_request *r, int status, const char *why, const limit *met);
    /* Loop thread, once a request, after the answer left or the client did: the access log. */
    void (*on_done)(void *self, const http_request *r, int status, uint64_t sent_bytes, int64_t took_us);
} http_hooks;

/* After HTTP_STEP_WAIT [any]: go on with the body. (Answering instead is fine, too.) */
void http_continue(http_request *r);

typedef struct http_limits {
    unsigned connections;        /* a listener, in all (default 4,096) */
    unsigned connections_per_ip; /* 0 = no own limit (default: a reverse proxy is one address) */
    size_t header_bytes; /* request line and fields together, ≤ 32 KiB (default 16 KiB) → 431, target 8 KiB →
                            414 */
    unsigned headers;    /* ≤ HTTP_HEADERS_MAX (default) → 431 */
    size_t body;         /* where the route says nothing (default 1 MiB) → 413 */
    size_t body_memory;  /* bodies in memory at one time, all listeners (default 256 MiB); who does not fit
                            waits */
    unsigned idle_ms;    /* until the request line is complete; also between requests (default 75 s) */
    unsigned receive_ms; /* from there to the last byte of the body (default 60 s) */
    unsigned send_ms;    /* without progress while an answer is sent (default 60 s) */
} http_limits;
void http_limits_default(http_limits *limits);

typedef struct http_listener {
    const char *address;                   /* numeric IPv4 or IPv6; NULL = 127.0.0.1 */
    uint16_t port;                         /* 0 = any free one */
    bool refuse_chunked;                   /* 400 for chunked bodies */
    const char *tls_certificate, *tls_key; /* PEM texts; NULL = plain */
} http_listener;

typedef struct http_server http_server;
/* Tests MHD's behaviour that the guards rely on before anything listens; refuses to start where it differs.
 */
status_class http_server_create(loop *l, const http_limits *limits, const http_hooks *hooks,
                                http_server **server_out, status *st);
/* Binds and begins to serve. *number_out is http_request.listener, *port_out the port bound (either may be
 * NULL). */
status_class http_listen(http_server *s, const http_listener *listener, unsigned *number_out,
                         uint16_t *port_out, status *st);
/* Stops accepting, lets what runs finish for at most `ms`, then closes every connection that is not in a
 * handler's hands and calls `on_drained` (loop thread) as soon as the handlers have answered everything, too.
 */
void http_server_drain(http_server *s, unsigned ms, loop_function on_drained, void *arg);
/* After on_drained, on the loop thread or when the loop no longer runs (loop_free then finishes the handles).
 */
void http_server_free(http_server *s);
unsigned http_server_open_connections(const http_server *s); /* loop thread */
#endif
