/* The consumer is made by us and never changed: one that is there with other settings needs a person. Numbers
 * of a stream that was deleted and made again begin anew, so its moment of creation is part of the place that
 * a cursor is of. */
#include "stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECOND_NS = 1000000000, LOOK_US = 2000000 };

/* ---- What is there ---- */

static const char *consumer_of(const session *l)
{
    const char *name = l->host->config_text(l->host, "/consumer");
    return name ? name : l->own_name;
}

static uint64_t place_of(const session *l, const jsStreamInfo *info)
{
    char created[32];
    uint64_t hash = UINT64_C(14695981039346656037);
    snprintf(created, sizeof created, "%lld", (long long)info->Created);
    const char *const texts[] = {info->Config->Name, created, consumer_of(l)};
    for (size_t k = 0; k < 3; k++)
        for (const char *c = texts[k];; c++) {
            hash = (hash ^ (unsigned char)*c) * UINT64_C(1099511628211);
            if (!*c)
                break;
        }
    return hash;
}

/* A stream whose numbers are lower than ours was put back to an older state: what comes now is new. */
static void distrust_numbers(const session *l, taken *t, const jsStreamInfo *info)
{
    if (taken_highest(t) <= info->State.LastSeq)
        return;
    l->host->log(l->host, PST_LOG_WARN,
                 "the stream ends before what was read of it: it was put back, and is read anew", NULL, 0);
    taken_forget(t);
}

static pst_status find_stream(const session *l, taken *t, pst_bytes cursor, pst_error *error)
{
    const char *name = l->host->config_text(l->host, "/stream");
    jsStreamInfo *info = NULL;
    jsErrCode code = 0;
    char what[300];
    snprintf(what, sizeof what, "the stream %.200s", name);
    natsStatus s = js_GetStreamInfo(&info, l->stream, name, NULL, &code);
    if (s == NATS_NOT_FOUND)
        return pst_fail(error, PST_E_CONFIG, "/stream", "there is no stream %.200s", name);
    if (s)
        return session_fail(s, "/stream", what, error);
    bool good = taken_open(t, place_of(l, info), cursor.data, cursor.len);
    if (good)
        distrust_numbers(l, t, info);
    jsStreamInfo_Destroy(info);
    return good ? PST_OK : pst_fail(error, PST_E_DATA, NULL, "the cursor is not one of this connector");
}

/* ---- The consumer ---- */

static pst_status judge_consumer(const session *l, const jsConsumerConfig *c, pst_error *error)
{
    const char *filter = l->host->config_text(l->host, "/subjects/0"), *theirs = c->FilterSubject;
    if (c->DeliverSubject && *c->DeliverSubject)
        return pst_fail(error, PST_E_CONFIG, "/consumer",
                        "the consumer %.100s pushes: one that is pulled is needed", consumer_of(l));
    if (c->AckPolicy != js_AckExplicit)
        return pst_fail(error, PST_E_CONFIG, "/consumer", "the consumer %.100s must acknowledge explicitly",
                        consumer_of(l));
    if (strcmp(filter ? filter : "", theirs ? theirs : "") != 0)
        return pst_fail(error, PST_E_CONFIG, "/subjects",
                        "the consumer %.100s at the server reads \"%.100s\": name another consumer",
                        consumer_of(l), theirs && *theirs ? theirs : "all subjects");
    return PST_OK;
}

static natsStatus make_consumer(const session *l, const taken *t, jsErrCode *code)
{
    const pst_host *host = l->host;
    jsConsumerConfig c;
    jsConsumerConfig_Init(&c);
    c.Durable = consumer_of(l);
    c.AckPolicy = js_AckExplicit;
    c.AckWait = host->config_int(host, "/ack_wait_s") * SECOND_NS;
    c.MaxAckPending = host->config_int(host, "/in_flight");
    c.FilterSubject = host->config_text(host, "/subjects/0");
    c.DeliverPolicy = strcmp(host->config_text(host, "/start"), "new") != 0 ? js_DeliverAll : js_DeliverNew;
    if (taken_floor(t)) { /* it was there, and was deleted: it goes on where we are */
        c.DeliverPolicy = js_DeliverByStartSequence;
        c.OptStartSeq = taken_floor(t) + 1;
    }
    return js_AddConsumer(NULL, l->stream, host->config_text(host, "/stream"), &c, NULL, code);
}

static pst_status find_consumer(const session *l, const taken *t, pst_error *error)
{
    const char *stream = l->host->config_text(l->host, "/stream");
    jsConsumerInfo *info = NULL;
    jsErrCode code = 0;
    char what[200];
    snprintf(what, sizeof what, "the consumer %.130s", consumer_of(l));
    natsStatus s = js_GetConsumerInfo(&info, l->stream, stream, consumer_of(l), NULL, &code);
    if (s == NATS_NOT_FOUND)
        s = make_consumer(l, t, &code);
    if (s)
        return session_fail(s, "/consumer", what, error);
    pst_status st = info ? judge_consumer(l, info->Config, error) : PST_OK;
    jsConsumerInfo_Destroy(info);
    return st;
}

static pst_status begin_pull(stream *s, pst_error *error)
{
    const session *l = s->session;
    jsSubOptions options;
    jsErrCode code = 0;
    jsSubOptions_Init(&options);
    options.Stream = l->host->config_text(l->host, "/stream");
    options.Consumer = consumer_of(l);
    natsStatus n = js_PullSubscribe(&s->pull, l->stream, l->host->config_text(l->host, "/subjects/0"),
                                    consumer_of(l), NULL, &options, &code);
    return n ? session_fail(n, "/consumer", "reading the stream", error) : PST_OK;
}

pst_status stream_open(stream *s, session *l, taken *t, pst_bytes cursor, pst_error *error)
{
    *s = (stream){.session = l};
    pst_status st = find_stream(l, t, cursor, error);
    if (!st)
        st = find_consumer(l, t, error);
    return st ? st : begin_pull(s, error);
}

void stream_close(stream *s)
{
    for (size_t i = 0; i < s->n; i++)
        natsMsg_Destroy(s->waiting[i]);
    for (int i = s->at_ahead; i < s->n_ahead; i++)
        natsMsg_Destroy(s->fetched.Msgs[i]);
    free(s->fetched.Msgs);
    free(s->waiting);
    natsSubscription_Destroy(s->pull);
    *s = (stream){0};
}

/* ---- Messages ---- */

/* A pull from a consumer that is gone looks like one that has nothing. */
static pst_status look_for_consumer(stream *s, pst_error *error)
{
    const session *l = s->session;
    jsConsumerInfo *info = NULL;
    jsErrCode code = 0;
    int64_t now = l->host->now_us(l->host);
    if (now - s->looked_us < LOOK_US)
        return PST_OK;
    s->looked_us = now;
    natsStatus n = js_GetConsumerInfo(&info, l->stream, l->host->config_text(l->host, "/stream"),
                                      consumer_of(l), NULL, &code);
    jsConsumerInfo_Destroy(info);
    return n == NATS_NOT_FOUND ? pst_fail(error, PST_E_UNAVAILABLE, "/consumer",
                                          "the consumer %.130s is gone; it is made again", consumer_of(l))
                               : PST_OK;
}

pst_status stream_next(stream *s, int max, int64_t wait_ms, natsMsg **out, pst_error *error)
{
    jsErrCode code = 0;
    *out = NULL;
    if (s->at_ahead == s->n_ahead) {
        free(s->fetched.Msgs);
        s->fetched = (natsMsgList){0};
        natsStatus n =
            wait_ms ? natsSubscription_Fetch(&s->fetched, s->pull, max, wait_ms, &code) : NATS_TIMEOUT;
        s->at_ahead = 0;
        s->n_ahead = n ? 0 : s->fetched.Count;
        if (n == NATS_TIMEOUT || n == NATS_NOT_FOUND)
            return wait_ms ? look_for_consumer(s, error) : PST_OK;
        if (n)
            return session_fail(n, "/stream", "reading the stream", error);
    }
    *out = s->fetched.Msgs[s->at_ahead];
    s->fetched.Msgs[s->at_ahead++] = NULL;
    return PST_OK;
}

bool stream_keep(stream *s, natsMsg *m)
{
    if (s->n == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 256;
        natsMsg **more = realloc(s->waiting, cap * sizeof *more);
        if (!more)
            return false;
        s->waiting = more;
        s->cap = cap;
    }
    s->waiting[s->n++] = m;
    return true;
}

void stream_cut(stream *s, uint64_t batch)
{
    s->batch = batch;
}

/* The answer to the last one says that all have arrived, since the server takes them in order. */
pst_status stream_ack(stream *s, uint64_t batch, pst_error *error)
{
    jsErrCode code = 0;
    natsStatus n = NATS_OK;
    if (batch < s->batch || !s->n)
        return PST_OK;
    for (size_t i = 0; !n && i + 1 < s->n; i++)
        n = natsMsg_Ack(s->waiting[i], NULL);
    if (!n)
        n = natsMsg_AckSync(s->waiting[s->n - 1], NULL, &code);
    for (size_t i = 0; i < s->n; i++)
        natsMsg_Destroy(s->waiting[i]);
    s->n = 0;
    return n ? session_fail(n, "/stream", "acknowledging what is stored", error) : PST_OK;
}
