/* A queue for each subject, kept by libnats; they are asked in turn. */
#include "core.h"

#include <poll.h>
#include <stdio.h>

enum { PENDING_MESSAGES = 100000, PENDING_BYTES = 32 * 1024 * 1024 };

static natsStatus subscribe(core *c, const char *subject)
{
    const session *l = c->session;
    const char *queue = l->host->config_text(l->host, "/queue");
    natsSubscription **one = &c->subjects[c->n];
    natsStatus s = queue ? natsConnection_QueueSubscribeSync(one, l->connection, subject, queue)
                         : natsConnection_SubscribeSync(one, l->connection, subject);
    if (!s)
        c->n++;
    return s ? s : natsSubscription_SetPendingLimits(*one, PENDING_MESSAGES, PENDING_BYTES);
}

pst_status core_open(core *c, session *l, pst_error *error)
{
    char path[32];
    size_t n = l->host->config_count(l->host, "/subjects");
    *c = (core){.session = l};
    if (!n)
        return pst_fail(error, PST_E_CONFIG, "/subjects", "a stream or subjects are needed");
    for (size_t i = 0; i < n && i < CORE_SUBJECTS_MAX; i++) {
        snprintf(path, sizeof path, "/subjects/%zu", i);
        natsStatus s = subscribe(c, l->host->config_text(l->host, path));
        if (s)
            return session_fail(s, path, "subscribing", error);
    }
    natsStatus s = natsConnection_FlushTimeout(l->connection,
                                               session_patience_ms(l)); /* a refusal came before the answer */
    return s ? session_fail(s, "/servers", "subscribing", error) : session_state(l, error);
}

void core_close(core *c)
{
    for (size_t i = 0; i < c->n; i++)
        natsSubscription_Destroy(c->subjects[i]);
    *c = (core){0};
}

static natsMsg *take(core *c)
{
    natsMsg *m = NULL;
    for (size_t i = 0; i < c->n && !m; i++) {
        size_t at = (c->turn + i) % c->n;
        if (natsSubscription_NextMsg(&m, c->subjects[at], 0) == NATS_OK)
            c->turn = at;
    }
    return m;
}

pst_status core_next(core *c, const pst_call *call, int64_t wait_ms, natsMsg **out, pst_error *error)
{
    *out = take(c);
    if (*out || !wait_ms)
        return PST_OK;
    struct pollfd cancel = {.fd = call->cancel_fd, .events = POLLIN};
    natsStatus s = c->n == 1 ? natsSubscription_NextMsg(out, c->subjects[0], wait_ms) : NATS_TIMEOUT;
    if (c->n != 1)
        poll(&cancel, call->cancel_fd >= 0, (int)wait_ms);
    if (s && s != NATS_TIMEOUT)
        return session_fail(s, "/servers", "listening", error);
    return c->session->host->cancelled(c->session->host, call)
               ? pst_fail(error, PST_E_CANCELLED, NULL, "the call was cancelled")
               : PST_OK;
}

int64_t core_dropped(const core *c)
{
    int64_t all = 0, one = 0;
    for (size_t i = 0; i < c->n; i++)
        all += natsSubscription_GetDropped(c->subjects[i], &one) == NATS_OK ? one : 0;
    return all;
}

pst_status core_try(session *l, pst_error *error)
{
    core c = {0};
    pst_status st = core_open(&c, l, error);
    core_close(&c);
    return st;
}
