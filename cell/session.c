/* Requests come one at a time, so the arenas need no bookkeeping: the incoming one holds the arguments until
 * the answer is sent, the outgoing one the answer until the next request. Counters are added up here and
 * travel with the answers; log lines are sent at once while the host listens, and dropped (and counted) when
 * it does not take them. */
#include "cell/session.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cell/door.h"
#include "cell/heap.h"
#include "cell/services.h"
#include "penstock/batch.h"

enum { LINE_MAX_BYTES = 16 * 1024, FIELDS_MAX = 32 };

static void on_log(const pst_host *host, int32_t level, const char *text, const pst_field *fields,
                   size_t n_fields)
{
    session *s = host->host_data;
    _Alignas(8) char body[LINE_MAX_BYTES];
    frame_writer w = frame_writer_buffer(body, sizeof body);
    uint32_t lost = atomic_exchange(&s->lost_lines, 0);
    frame_put(&w, FRAME_NUMBER, (uint32_t)level, &lost, sizeof lost);
    frame_put_text(&w, FRAME_TEXT, text ? text : "");
    for (size_t i = 0; i < n_fields && i < FIELDS_MAX; i++) {
        frame_put_text(&w, FRAME_KEY, fields[i].key ? fields[i].key : "");
        frame_put_text(&w, FRAME_VALUE, fields[i].value ? fields[i].value : "");
    }
    wire_header head = wire_header_make(WIRE_LOG, s->epoch, 0);
    head.body_len = (uint32_t)w.len;
    int flags = atomic_load(&s->in_call) ? 0 : MSG_DONTWAIT;
    if (w.failed || !wire_send(WIRE_SOCKET_FD, &head, body, -1, flags))
        atomic_fetch_add(&s->lost_lines, lost + 1);
}

static void on_observe(const pst_host *host, uint32_t index, double value)
{
    session *s = host->host_data;
    if (index >= s->plugin->n_metrics)
        return;
    pthread_mutex_lock(&s->metrics_lock);
    frame_metric *m = &s->metrics[index];
    m->value = s->plugin->metrics[index].kind == PST_GAUGE ? value : m->value + value;
    m->count++;
    pthread_mutex_unlock(&s->metrics_lock);
}

void session_begin(session *s)
{
    pthread_mutex_init(&s->metrics_lock, NULL);
    s->out.limit = WIRE_ARENA_TO_HOST_MAX;
    s->in.fd = s->out.fd = -1;
    s->host = services_host();
    s->host.host_data = s;
    s->host.log = on_log;
    s->host.observe = on_observe;
}

void session_say(session *s, wire_type type, const char *body)
{
    wire_header head = wire_header_make(type, s->epoch, 0);
    head.body_len = body ? (uint32_t)strlen(body) : 0;
    if (!wire_send(WIRE_SOCKET_FD, &head, body, -1, 0))
        _exit(0);
}

static void await_message(void)
{
    struct pollfd socket = {.fd = WIRE_SOCKET_FD, .events = POLLIN};
    if (poll(&socket, 1, HEAP_IDLE_MS) == 0) {
        heap_rest();
        poll(&socket, 1, -1);
    }
}

const wire_message *session_next(session *s)
{
    for (;;) {
        wire_message *m = &s->incoming;
        await_message();
        if (wire_receive(WIRE_SOCKET_FD, m, 0) != WIRE_ARRIVED)
            _exit(0);
        if (m->header.type != WIRE_ARENA)
            return m;
        if (m->fd < 0 || !wire_arena_map(&s->in, m->fd, m->header.arena_len, WIRE_ARENA_TO_CELL_MAX))
            _exit(1);
    }
}

frame_reader session_frame(session *s)
{
    uint64_t len = s->incoming.header.arena_len;
    return frame_reader_make(s->in.data, len <= s->in.size ? len : 0);
}

frame_writer session_writer(session *s)
{
    return frame_writer_arena(&s->out);
}

static void put_metrics(session *s, frame_writer *w)
{
    pthread_mutex_lock(&s->metrics_lock);
    for (size_t i = 0; i < s->plugin->n_metrics; i++) {
        if (!s->metrics[i].count)
            continue;
        frame_put(w, FRAME_METRIC, (uint32_t)i, &s->metrics[i], sizeof s->metrics[i]);
        s->metrics[i] = (frame_metric){0};
    }
    pthread_mutex_unlock(&s->metrics_lock);
}

/* A plugin sees only EACCES; what it was refused says more to whoever reads its error. */
static void add_denial(pst_error *error)
{
    char denied[DOOR_TEXT_MAX];
    door_denied(denied, sizeof denied);
    size_t len = strnlen(error->message, sizeof error->message);
    if (*denied && len + 4 < sizeof error->message)
        snprintf(error->message + len, sizeof error->message - len, " (%s)", denied);
}

static void put_error(frame_writer *w, const pst_error *error)
{
    frame_error e = {.vendor_code = error->vendor_code, .retry_after_ms = error->retry_after_ms};
    memcpy(e.where, error->where, sizeof e.where);
    memcpy(e.message, error->message, sizeof e.message);
    frame_put(w, FRAME_ERROR, 0, &e, sizeof e);
}

static void announce_arena(session *s)
{
    if (s->out.fd < 0)
        return;
    wire_header head = wire_header_make(WIRE_ARENA, s->epoch, 0);
    head.arena_len = s->out.size;
    if (!wire_send(WIRE_SOCKET_FD, &head, NULL, s->out.fd, 0))
        _exit(0);
    close(s->out.fd);
    s->out.fd = -1;
}

void session_answer(session *s, uint64_t sequence, pst_status status, frame_writer *w, const pst_error *error)
{
    pst_error too_large = {.struct_size = sizeof too_large};
    if (status >= 0 && w->failed) {
        status = pst_fail(&too_large, PST_E_RESOURCE, NULL,
                          "the answer does not fit into memory, or is too large");
        error = &too_large;
    }
    if (status < 0) {
        pst_error explained = *error;
        add_denial(&explained);
        *w = session_writer(s);
        put_error(w, &explained);
    }
    if (s->plugin && s->metrics)
        put_metrics(s, w);
    announce_arena(s);
    wire_header head = wire_header_make(WIRE_RESULT, s->epoch, sequence);
    head.status = status;
    head.arena_len = w->failed ? 0 : w->len;
    atomic_store(&s->in_call, false);
    if (!wire_send(WIRE_SOCKET_FD, &head, NULL, -1, 0))
        _exit(0);
}

bool session_configure(session *s, const char *name, const char *workspace, const char *config)
{
    s->config = json_loads(config, JSON_DECODE_ANY, NULL);
    s->name = strdup(name);
    s->workspace = strdup(workspace);
    s->metrics = calloc(s->plugin->n_metrics + 1, sizeof *s->metrics);
    s->host.instance_name = s->name;
    s->host.workspace = s->workspace;
    return s->config && s->name && s->workspace && s->metrics;
}
