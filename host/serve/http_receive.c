/* From MHD's calls to a request: head, checks, hooks, body. MHD calls receive_step once for the head, once
 * for each piece of the body and once at the end, and again each time a suspended connection was resumed;
 * `stage` says which of these it is. It may also call while the connection is suspended, when one read held
 * several chunks; suspending twice would corrupt MHD's lists, so `suspended` is looked at first. */
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "serve/http_private.h"

enum { SPARE_REQUESTS = 256, TARGET_MAX = 8192, DISCARD_SMALL = 64 << 10 };

static request *request_make(http_server *s)
{
    request *r = s->spare_requests;
    arena *a;
    if (r) {
        s->spare_requests = r->next;
        s->n_spare--;
        a = r->public.arena;
    } else {
        r = memory_alloc(sizeof *r);
        a = arena_create(8 << 10);
    }
    memset(r, 0, sizeof *r);
    r->magic = REQUEST_MAGIC;
    r->posted.kind = POSTED_REQUEST;
    r->server = s;
    r->public.arena = a;
    r->public.body = "";
    r->body_limit = s->limits.body;
    ulid_make(r->public.id);
    s->n_requests++;
    return r;
}

static void request_free(request *r)
{
    http_server *s = r->server;
    body_pool_give(s->bodies, &r->body);
    s->n_requests--;
    r->magic = 0;
    if (s->n_spare < SPARE_REQUESTS) {
        arena_reset(r->public.arena);
        r->next = s->spare_requests;
        s->spare_requests = r;
        s->n_spare++;
        return;
    }
    arena_free(r->public.arena);
    free(r);
}

void *receive_line(void *cls, const char *target, struct MHD_Connection *mhd)
{
    listener *l = cls;
    http_server *s = l->server;
    s->activity++;
    request *r = request_make(s);
    r->connection = connection_of(mhd);
    r->connection->request = r;
    r->public.target = arena_string(r->public.arena, target ? target : "");
    r->public.listener = l->number;
    r->public.received_us = clock_monotonic_us();
    connection_phase(r->connection, PHASE_RECEIVE);
    return r;
}

/* ---- waiting for memory ---- */

static bool memory_take(request *r)
{
    http_server *s = r->server;
    return !r->framing.length || body_pool_take(s->bodies, r->framing.length, &r->body);
}

static void memory_wait(request *r)
{
    http_server *s = r->server;
    r->next = NULL;
    *s->memory_last = r;
    s->memory_last = &r->next;
}

static void memory_leave(request *r)
{
    http_server *s = r->server;
    request **at = &s->memory_first;
    while (*at && *at != r)
        at = &(*at)->next;
    if (!*at)
        return;
    *at = r->next;
    if (!r->next)
        s->memory_last = at;
}

static void memory_freed(http_server *s)
{
    while (s->memory_first && memory_take(s->memory_first)) {
        request *r = s->memory_first;
        memory_leave(r);
        http_continue(&r->public);
    }
}

/* ---- the end ---- */

void receive_done(void *cls, struct MHD_Connection *mhd, void **context, enum MHD_RequestTerminationCode code)
{
    (void)mhd, (void)code;
    listener *l = cls;
    http_server *s = l->server;
    s->activity++;
    if (!*context)
        return;
    request *r = *context;
    assert(r->magic == REQUEST_MAGIC && !r->suspended);
    *context = NULL;
    if (s->hooks.on_done)
        s->hooks.on_done(s->hooks.self, &r->public, r->stage == STAGE_QUEUED ? r->answer.status : 0,
                         r->sent ? r->sent : r->answer.len, clock_monotonic_us() - r->public.received_us);
    r->connection->request = NULL;
    connection_phase(r->connection, PHASE_IDLE);
    if (r->stage != STAGE_QUEUED)
        answer_drop(r);
    request_free(r);
    memory_freed(s);
    server_maybe_drained(s);
}

/* ---- head ---- */

typedef struct head {
    http_field fields[HTTP_HEADERS_MAX];
    unsigned n, seen, limit;
} head;

static enum MHD_Result on_field(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_len,
                                const char *value, size_t value_len)
{
    (void)kind;
    head *h = cls;
    if (h->seen++ < h->limit)
        h->fields[h->n++] = (http_field){name, value ? value : "", name_len, value_len};
    return MHD_YES;
}

static http_method method_of(const char *text)
{
    static const char *const names[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(text, names[i]) == 0)
            return (http_method)(HTTP_GET + i);
    return HTTP_OTHER;
}

/* Trailing blanks are not part of a value (MHD leaves them there). */
static void head_show(request *r, const head *h)
{
    arena *a = r->public.arena;
    http_pair *pairs = arena_alloc(a, (h->n + 1) * sizeof *pairs);
    for (unsigned i = 0; i < h->n; i++) {
        const http_field *f = &h->fields[i];
        size_t len = f->value_len;
        while (len && (f->value[len - 1] == ' ' || f->value[len - 1] == '\t'))
            len--;
        pairs[i] = (http_pair){f->name, len == f->value_len ? f->value : arena_string_n(a, f->value, len)};
    }
    r->public.headers = pairs;
    r->public.n_headers = h->n;
}

static void query_show(request *r, const char *query)
{
    arena *a = r->public.arena;
    http_pair *pairs = arena_alloc(a, HTTP_QUERY_MAX * sizeof *pairs);
    unsigned n = 0;
    for (const char *at = query; *at && n < HTTP_QUERY_MAX;) {
        size_t len = strcspn(at, "&");
        size_t name = strcspn(at, "=");
        name = name > len ? len : name;
        const char *value = name < len ? at + name + 1 : "";
        if (len)
            pairs[n++] = (http_pair){http_unescape(a, at, name, true),
                                     http_unescape(a, value, name < len ? len - name - 1 : 0, true)};
        at += len + (at[len] == '&');
    }
    for (unsigned i = 0; i < n;
         i++) { /* an escape cut apart by '&' cannot pass the check before; text can be broken */
        pairs[i].name = pairs[i].name ? pairs[i].name : "";
        pairs[i].value = pairs[i].value ? pairs[i].value : "";
    }
    r->public.query = pairs;
    r->public.n_query = n;
}

static void refuse(request *r, int status, const char *why, bool close)
{
    http_server *s = r->server;
    r->close = r->close || close;
    s->hooks.on_refusal(s->hooks.self, &r->public, status, why, NULL);
}

static void refuse_body(request *r, size_t limit_bytes, bool close)
{
    http_server *s = r->server;
    limit met = {"body", limit_bytes, LIMIT_FIXED, 0};
    r->close = r->close || close;
    s->hooks.on_refusal(s->hooks.self, &r->public, 413, "the body is longer than this path takes", &met);
}

void request_refuse_memory(request *r)
{
    http_server *s = r->server;
    limit met = {"body_memory", s->limits.body_memory, LIMIT_FIXED, 1};
    s->hooks.on_refusal(s->hooks.self, &r->public, 503, "too many bodies are in memory", &met);
}

/* One body never takes more than this share of the memory for all. */
static size_t body_most(const http_server *s)
{
    return s->limits.body_memory / 4;
}

/* The framing of the request is known to be sound when this returns true; otherwise it was refused. */
static bool head_sound(request *r, struct MHD_Connection *mhd, const char *method, const char *version,
                       head *h)
{
    const http_limits *limits = &r->server->limits;
    size_t size = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE)->header_size;
    h->limit = limits->headers < HTTP_HEADERS_MAX ? limits->headers : HTTP_HEADERS_MAX;
    MHD_get_connection_values_n(mhd, MHD_HEADER_KIND, on_field, h);
    int status = 431;
    const char *wrong = NULL;
    if (strlen(r->public.target) > TARGET_MAX)
        status = 414, wrong = "the target is longer than 8 KiB";
    else if (h->seen > h->limit)
        wrong = "there are too many headers";
    else if (size > limits->header_bytes)
        wrong = "the headers are too long";
    else
        wrong = http_check_layout(version, method + size, h->fields, h->n, &status);
    if (!wrong)
        wrong = http_check_fields(h->fields, h->n, strcmp(version, "HTTP/1.1") == 0,
                                  r->connection->listener->refuse_chunked, &r->framing, &status);
    if (!wrong && r->framing.length > body_most(r->server)) /* before anybody is asked what it is for */
        status = 413, wrong = "a body as long as this is taken nowhere";
    if (wrong)
        refuse(r, status, wrong, true);
    return !wrong;
}

/* Returns false when the request was refused. */
static bool take_head(request *r, struct MHD_Connection *mhd, const char *method, const char *version)
{
    head h;
    h.n = h.seen = 0;
    r->public.method_text = arena_string(r->public.arena, method);
    r->public.method = method_of(method);
    r->public.path = "/";
    if (!head_sound(r, mhd, method, version, &h))
        return false;
    r->head_ok = true;
    head_show(r, &h);
    char *raw_path, *path, *query;
    const char *wrong = http_check_target(r->public.target, r->public.arena, &raw_path, &path, &query);
    if (wrong) {
        refuse(r, 400, wrong, false);
        return false;
    }
    r->public.raw_path = raw_path;
    r->public.path = path;
    if (query)
        query_show(r, query);
    if (r->public.method == HTTP_OTHER) {
        refuse(r, 501, "this method is not known here", false);
        return false;
    }
    return true;
}

/* ---- whose turn ---- */

/* Gives the request away unless it is back already. */
static bool gone_away(request *r, struct MHD_Connection *mhd)
{
    unsigned expected = TURN_LOOP;
    if (!atomic_compare_exchange_strong(&r->turn, &expected, TURN_AWAY))
        return false;
    assert(!r->suspended);
    r->suspended = true;
    MHD_suspend_connection(mhd);
    return true;
}

static bool has_body(const request *r)
{
    return r->framing.chunked || r->framing.length > 0;
}

/* An answer is there before the body was read: a small body is read and forgotten so that the connection can
 * go on; otherwise it is answered at once, and the connection ends with the answer. */
static enum MHD_Result answered_early(request *r)
{
    r->stage = STAGE_ANSWER;
    if (!r->head_ok || (has_body(r) && (r->framing.chunked || r->framing.length > DISCARD_SMALL ||
                                        r->framing.expects_continue)))
        r->close = true;
    if (r->close)
        return answer_queue(r);
    r->discard = true;
    return MHD_YES;
}

static enum MHD_Result begin_body(request *r, struct MHD_Connection *mhd)
{
    http_server *s = r->server;
    size_t limit = r->body_limit < body_most(s) ? r->body_limit : body_most(s);
    r->body_limit = limit;
    if (r->framing.length > limit) {
        refuse_body(r, limit, false);
        return answered_early(r);
    }
    if (!s->memory_first && memory_take(r)) {
        r->stage = STAGE_BODY;
        connection_phase(r->connection, PHASE_RECEIVE);
        return MHD_YES;
    }
    r->stage = STAGE_MEMORY;
    memory_wait(r);
    atomic_store(&r->turn, TURN_LOOP);
    connection_phase(r->connection, PHASE_RECEIVE);
    gone_away(r, mhd);
    return MHD_YES;
}

static enum MHD_Result ask(request *r, struct MHD_Connection *mhd)
{
    http_server *s = r->server;
    r->stage = STAGE_ASKED;
    http_step step = s->hooks.on_headers(s->hooks.self, &r->public, &r->body_limit);
    assert(step != HTTP_STEP_ANSWERED || r->answered);
    if (step == HTTP_STEP_WAIT) {
        connection_phase(r->connection, PHASE_NONE);
        if (gone_away(r, mhd))
            return MHD_YES;
    }
    return r->answered ? answered_early(r) : begin_body(r, mhd);
}

/* ---- body ---- */

static void discard(request *r, size_t size)
{
    r->discarded += size;
    if (r->discarded > 4 * r->body_limit + DISCARD_SMALL)
        connection_cut(r->connection);
}

static void take_body(request *r, const char *data, size_t size)
{
    if (r->discard) {
        discard(r, size);
    } else if (size > r->body_limit - r->body.len) {
        r->discard = true;
        refuse_body(r, r->body_limit, true);
    } else if (!body_pool_append(r->server->bodies, &r->body, data, size)) {
        r->discard = true;
        r->close = true;
        request_refuse_memory(r);
    }
    if (r->discard)
        body_pool_give(r->server->bodies, &r->body);
}

static enum MHD_Result complete(request *r, struct MHD_Connection *mhd)
{
    http_server *s = r->server;
    r->stage = STAGE_ANSWER;
    if (r->answered)
        return answer_queue(r);
    if (r->body.data)
        r->public.body = r->body.data;
    r->public.body_len = r->body.len;
    connection_phase(r->connection, PHASE_NONE);
    atomic_store(&r->turn, TURN_LOOP);
    s->hooks.on_request(s->hooks.self, &r->public);
    if (gone_away(r, mhd))
        return MHD_YES;
    return answer_queue(r);
}

enum MHD_Result receive_step(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
                             const char *version, const char *data, size_t *size, void **context)
{
    (void)url;
    listener *l = cls;
    l->server->activity++;
    request *r = *context;
    assert(r && r->magic == REQUEST_MAGIC);
    if (r->suspended)
        return MHD_YES;
    switch (r->stage) {
    case STAGE_HEAD:
        return take_head(r, mhd, method, version) ? ask(r, mhd) : answered_early(r);
    case STAGE_ASKED:
        return r->answered ? answered_early(r) : begin_body(r, mhd);
    case STAGE_MEMORY:
        memory_leave(r);
        r->stage = STAGE_BODY;
        return r->answered ? answered_early(r) : MHD_YES;
    case STAGE_BODY:
    case STAGE_ANSWER:
        if (*size) {
            take_body(r, data, *size);
            *size = 0;
            return MHD_YES;
        }
        return complete(r, mhd);
    case STAGE_QUEUED:
        break;
    }
    return MHD_YES;
}
