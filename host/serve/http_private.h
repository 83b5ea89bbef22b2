/* What the http_*.c files share; nobody else includes it.
 *
 * A request's `turn` says whose turn it is, and decides every race between the loop and whoever answers:
 *
 *   LOOP ──(loop gives it away: suspended)──► AWAY ──(answer or continue, any thread)──► BACK, posted to the
 * loop LOOP ──(answer or continue before the loop gave it away)──► BACK, the loop sees it at once, nothing is
 * posted
 */
#ifndef PENSTOCK_SERVE_HTTP_PRIVATE_H
#define PENSTOCK_SERVE_HTTP_PRIVATE_H
#include <microhttpd.h>
#include <stdatomic.h>

#include "base/checked.h"
#include "serve/body_pool.h"
#include "serve/http.h"
#include "serve/http_check.h"

enum {
    REQUEST_MAGIC = 0x4E7B0001,
    CONNECTION_MAGIC = 0x4E7B0002,
    SERVER_MAGIC = 0x4E7B0003,
    PULLER_MAGIC = 0x4E7B0004
};

typedef enum turn { TURN_LOOP, TURN_AWAY, TURN_BACK } turn;
typedef enum phase {
    PHASE_IDLE,
    PHASE_RECEIVE,
    PHASE_SEND,
    PHASE_NONE,
    PHASES
} phase; /* NONE has no deadline */
typedef enum stage {
    STAGE_HEAD,   /* on_headers not called yet */
    STAGE_ASKED,  /* on_headers said WAIT */
    STAGE_MEMORY, /* waits for body memory */
    STAGE_BODY,
    STAGE_ANSWER, /* on_request was called, or an answer is there */
    STAGE_QUEUED, /* MHD has the answer */
} stage;

typedef struct http_connection http_connection;
typedef struct request request;
typedef struct listener listener;

/* Whatever other threads hand back to the loop. */
typedef struct posted {
    struct posted *next;
    enum { POSTED_REQUEST, POSTED_PULLER } kind;
} posted;

struct http_puller {
    uint32_t magic;
    posted posted;
    atomic_uint references;
    atomic_uint turn; /* LOOP while pull runs, AWAY while the connection is suspended, BACK = woken */
    http_server *server;
    request *request; /* loop only; NULL once the answer is over */
    http_pull pull;
    void (*end)(void *arg);
    void *arg;
};

typedef struct answer {
    int status;
    const char *type;
    char *owned; /* freed by MHD */
    const char *data;
    size_t len;
    http_puller *puller;
    http_pair *headers;
    unsigned n_headers, headers_cap;
} answer;

struct request {
    http_request public; /* first: handlers hold a pointer to it */
    uint32_t magic;
    posted posted;
    request *next; /* free list, or waiting for memory */
    http_server *server;
    http_connection *connection;
    atomic_uint turn;
    atomic_bool answered;
    stage stage;
    bool suspended, close, discard, head_ok;
    http_framing framing;
    size_t body_limit;
    uint64_t discarded;
    body_buffer body;
    answer answer;
    uint64_t sent;
};

struct http_connection {
    uint32_t magic;
    int fd;
    struct MHD_Connection *mhd;
    listener *listener;
    request *request;
    phase phase;
    int64_t deadline_us;
    http_connection *previous, *next; /* of its phase, earliest deadline first */
};

struct listener {
    http_server *server;
    struct MHD_Daemon *daemon;
    unsigned number;
    int fd;
    bool refuse_chunked, touched;
    uv_poll_t poll;
    uv_timer_t timer;
    uv_idle_t again; /* runs while MHD has more to do: each turn of the loop one MHD_run */
    unsigned idle_turns;
    listener *next;
};

struct http_server {
    uint32_t magic;
    loop *loop;
    http_limits limits;
    http_hooks hooks;
    listener *listeners;
    unsigned n_listeners, n_connections, n_requests, open_handles;
    uint64_t activity;
    http_connection *first[PHASES], *last[PHASES];
    request *spare_requests;
    unsigned n_spare;
    body_pool *bodies;
    request *memory_first, **memory_last;
    uv_async_t wake;
    posted *_Atomic posted;
    timer *tick, *drain_timer;
    bool draining, cut, drained, freed;
    loop_function on_drained;
    void *drained_arg;
};

static inline request *request_of(http_request *r)
{
    request *whole = (request *)(void *)r;
    assert(whole && whole->magic == REQUEST_MAGIC);
    return whole;
}

/* http_connection.c */
void connection_notice(void *cls, struct MHD_Connection *mhd, void **context,
                       enum MHD_ConnectionNotificationCode code);
http_connection *connection_of(struct MHD_Connection *mhd);
void connection_phase(http_connection *c, phase p);
void connection_tick(http_server *s);
void connection_cut(http_connection *c);

/* http_receive.c */
void *receive_line(void *cls, const char *target, struct MHD_Connection *mhd);
enum MHD_Result receive_step(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
                             const char *version, const char *data, size_t *size, void **context);
void receive_done(void *cls, struct MHD_Connection *mhd, void **context,
                  enum MHD_RequestTerminationCode code);
/* 503: bodies take all the memory that they may. */
void request_refuse_memory(request *r);

/* http_answer.c */
enum MHD_Result answer_queue(request *r);
void answer_drop(request *r);      /* an answer that nobody is there for */
void puller_woken(http_puller *p); /* loop, after it was posted */
/* http_server.c */
void server_post(http_server *s, posted *p); /* [any] */
void server_run(listener *l);
void server_maybe_drained(http_server *s);
void server_resume(request *r);
status_class server_self_test(const http_limits *limits, status *st);
/* A daemon with our options; `fd` < 0 = none is listened on. */
status_class server_daemon(listener *l, int fd, const http_listener *config, status *st);
void server_init(http_server *s, const http_limits *limits, const http_hooks *hooks);
void server_clear(http_server *s);
#endif
