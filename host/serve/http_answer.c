/* Answers: what a handler said becomes an MHD response on the loop thread. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "serve/http_private.h"

const char *http_request_header(const http_request *r, const char *name)
{
    for (unsigned i = 0; i < r->n_headers; i++)
        if (strcasecmp(r->headers[i].name, name) == 0)
            return r->headers[i].value;
    return NULL;
}

static const char *pair_find(const http_pair *pairs, unsigned n, const char *name)
{
    for (unsigned i = 0; i < n; i++)
        if (strcmp(pairs[i].name, name) == 0)
            return pairs[i].value;
    return NULL;
}

const char *http_request_param(const http_request *r, const char *name)
{
    return pair_find(r->params, r->n_params, name);
}

const char *http_request_query(const http_request *r, const char *name)
{
    return pair_find(r->query, r->n_query, name);
}

void http_header(http_request *public, const char *name, const char *value)
{
    request *r = request_of(public);
    answer *a = &r->answer;
    arena *memory = r->public.arena;
    for (const char *c = value; *c; c++)
        assert(((unsigned char)*c >= 0x20 || *c == '\t') && *c != 0x7f);
    if (a->n_headers == a->headers_cap) {
        unsigned cap = a->headers_cap ? 2 * a->headers_cap : 8;
        http_pair *larger = arena_alloc(memory, cap * sizeof *larger);
        if (a->n_headers)
            memcpy(larger, a->headers, a->n_headers * sizeof *larger);
        a->headers = larger;
        a->headers_cap = cap;
    }
    a->headers[a->n_headers++] = (http_pair){arena_string(memory, name), arena_string(memory, value)};
}

void http_header_printf(http_request *r, const char *name, const char *fmt, ...)
{
    char value[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(value, sizeof value, fmt, args);
    va_end(args);
    http_header(r, name, value);
}

/* From here on the request belongs to the loop again; the caller must not touch it any more. */
static void hand_back(request *r)
{
    http_server *s = r->server;
    if (atomic_exchange(&r->turn, TURN_BACK) == TURN_AWAY)
        server_post(s, &r->posted);
}

static void answer_give(request *r)
{
    bool before = atomic_exchange(&r->answered, true);
    assert(!before);
    hand_back(r);
}

void http_continue(http_request *public)
{
    hand_back(request_of(public));
}

void http_answer(http_request *public, int status, const char *type, text *body)
{
    request *r = request_of(public);
    r->answer.status = status;
    if (r->public.on_answer)
        r->public.on_answer(public, status, body ? text_or_empty(body) : "", body ? body->len : 0);
    if (body && body->len) {
        r->answer.type = type;
        r->answer.len = body->len;
        r->answer.data = r->answer.owned = text_take(body);
    }
    answer_give(r);
}

void http_answer_static(http_request *public, int status, const char *type, const char *body, size_t len)
{
    request *r = request_of(public);
    r->answer.status = status;
    r->answer.type = type;
    r->answer.data = body;
    r->answer.len = len;
    answer_give(r);
}

/* ---- pulled ---- */

void http_puller_release(http_puller *p)
{
    if (!p || atomic_fetch_sub(&p->references, 1) != 1)
        return;
    p->magic = 0;
    free(p);
}

http_puller *http_answer_pull(http_request *public, int status, const char *type, http_pull pull,
                              void (*end)(void *arg), void *arg)
{
    request *r = request_of(public);
    http_puller *p = memory_zero(1, sizeof *p);
    p->magic = PULLER_MAGIC;
    p->posted.kind = POSTED_PULLER;
    p->references = 2;
    p->server = r->server;
    p->request = r;
    p->pull = pull;
    p->end = end;
    p->arg = arg;
    r->answer.status = status;
    r->answer.type = type;
    r->answer.puller = p;
    answer_give(r);
    return p;
}

void http_pull_wake(http_puller *p)
{
    if (atomic_exchange(&p->turn, TURN_BACK) == TURN_AWAY) {
        atomic_fetch_add(&p->references, 1);
        server_post(p->server, &p->posted);
    }
}

void puller_woken(http_puller *p)
{
    if (p->request)
        server_resume(p->request);
    http_puller_release(p);
}

static ssize_t on_pull(void *cls, uint64_t position, char *out, size_t size)
{
    (void)position;
    http_puller *p = CHECKED(http_puller, PULLER_MAGIC, cls);
    request *r = p->request;
    r->server->activity++;
    if (r->suspended)
        return 0;
    for (;;) {
        atomic_store(&p->turn, TURN_LOOP);
        ssize_t n = p->pull(p->arg, out, size);
        if (n > 0) {
            r->sent += (uint64_t)n;
            connection_phase(r->connection, PHASE_SEND);
            return n;
        }
        if (n == HTTP_PULL_END)
            return MHD_CONTENT_READER_END_OF_STREAM;
        if (n != HTTP_PULL_WAIT || r->server->cut)
            return MHD_CONTENT_READER_END_WITH_ERROR;
        unsigned expected = TURN_LOOP;
        if (atomic_compare_exchange_strong(&p->turn, &expected, TURN_AWAY))
            break;
    }
    connection_phase(r->connection, PHASE_NONE);
    r->suspended = true;
    MHD_suspend_connection(r->connection->mhd);
    return 0;
}

static void on_pull_end(void *cls)
{
    http_puller *p = CHECKED(http_puller, PULLER_MAGIC, cls);
    p->request = NULL;
    if (p->end)
        p->end(p->arg);
    http_puller_release(p);
}

void answer_drop(request *r)
{
    free(r->answer.owned);
    if (r->answer.puller)
        on_pull_end(r->answer.puller);
}

/* ---- to MHD ---- */

static struct MHD_Response *response_make(answer *a)
{
    if (a->puller)
        return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 32 << 10, on_pull, a->puller, on_pull_end);
    union {
        const char *read;
        void *any; /* MHD's parameter is not const, but it does not write */
    } data = {.read = a->data};
    return MHD_create_response_from_buffer(a->len, data.any,
                                           a->owned ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
}

enum MHD_Result answer_queue(request *r)
{
    answer *a = &r->answer;
    assert(r->answered && a->status >= 200);
    struct MHD_Response *response = response_make(a);
    if (!response)
        return MHD_NO;
    if (a->type)
        MHD_add_response_header(response, "Content-Type", a->type);
    MHD_add_response_header(response, "X-Request-Id", r->public.id);
    for (unsigned i = 0; i < a->n_headers; i++)
        MHD_add_response_header(response, a->headers[i].name, a->headers[i].value);
    if (r->close || r->server->draining)
        MHD_add_response_header(response, "Connection", "close");
    r->stage = STAGE_QUEUED;
    connection_phase(r->connection, PHASE_SEND);
    enum MHD_Result done = MHD_queue_response(r->connection->mhd, (unsigned)a->status, response);
    MHD_destroy_response(response);
    return done;
}
