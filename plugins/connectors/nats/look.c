#include "look.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"
#include "listing.h"
#include "message.h"

/* Messages that were deleted leave gaps, so a few more numbers are tried. */
static size_t newest(session *l, const char *stream, const jsStreamState *state, natsMsg *out[LOOK_MESSAGES])
{
    size_t n = 0;
    uint64_t number = state->LastSeq;
    for (int tries = 0; number && number >= state->FirstSeq && tries < 2 * LOOK_MESSAGES && n < LOOK_MESSAGES;
         tries++, number--) {
        jsErrCode code = 0;
        n += js_GetMsg(&out[n], l->stream, stream, number, NULL, &code) == NATS_OK;
    }
    for (size_t low = 0; low + 1 < n - low; low++) {
        natsMsg *m = out[low];
        out[low] = out[n - 1 - low];
        out[n - 1 - low] = m;
    }
    return n;
}

static pst_status find(session *l, const char *name, jsStreamInfo **out, pst_error *error)
{
    jsErrCode code = 0;
    natsStatus s = js_GetStreamInfo(out, l->stream, name, NULL, &code);
    if (s == NATS_NOT_FOUND)
        return pst_fail(error, PST_E_CONFIG, "/stream", "there is no stream %.200s", name);
    return s ? session_fail(s, "/stream", "the stream", error) : PST_OK;
}

pst_status look_at_end(session *l, natsMsg *out[LOOK_MESSAGES], size_t *n_out, pst_error *error)
{
    const char *name = l->host->config_text(l->host, "/stream");
    jsStreamInfo *info = NULL;
    pst_status st = find(l, name, &info, error);
    *n_out = st ? 0 : newest(l, name, &info->State, out);
    jsStreamInfo_Destroy(info);
    return st;
}

pst_status look_connection(session *l, const pst_call *call, pst_error *error)
{
    const char *name = l->host->config_text(l->host, "/stream");
    jsStreamInfo *info = NULL;
    pst_status st = session_open(l, call, error);
    if (!st && name)
        st = find(l, name, &info, error);
    if (!st && !name)
        st = core_try(l, error);
    jsStreamInfo_Destroy(info);
    session_close(l);
    return st;
}

/* ---- discover ---- */

typedef struct look {
    session *session;
    listing *found;
    facts beside;
} look;

static void show(look *k, int at, natsMsg *m)
{
    message_describe(m, natsMsg_GetSequence(m), natsMsg_GetTime(m), &k->beside);
    listing_example(k->found, at, natsMsg_GetData(m), (size_t)natsMsg_GetDataLength(m), k->beside.text);
    natsMsg_Destroy(m);
}

static void list_stream(look *k, const jsStreamInfo *info)
{
    natsMsg *messages[LOOK_MESSAGES];
    char title[160];
    int len = snprintf(title, sizeof title, "%llu messages, subjects", (unsigned long long)info->State.Msgs);
    for (int i = 0; i < info->Config->SubjectsLen && (size_t)len < sizeof title; i++)
        len += snprintf(title + len, sizeof title - (size_t)len, " %s", info->Config->Subjects[i]);
    int at = listing_stream(k->found, info->Config->Name, title);
    size_t n = at < 0 ? 0 : newest(k->session, info->Config->Name, &info->State, messages);
    for (size_t i = 0; i < n; i++)
        show(k, at, messages[i]);
}

/* A server without JetStream has no streams. */
static void list_streams(look *k)
{
    jsStreamInfoList *all = NULL;
    jsErrCode code = 0;
    if (js_Streams(&all, k->session->stream, NULL, &code) != NATS_OK)
        return;
    for (int i = 0; i < all->Count; i++)
        list_stream(k, all->List[i]);
    jsStreamInfoList_Destroy(all);
}

static pst_status listen(look *k, const pst_call *call, pst_error *error)
{
    core c = {0};
    const pst_host *host = k->session->host;
    int64_t end = host->now_us(host) + host->config_int(host, "/discover_s") * 1000000;
    int at = listing_stream(k->found, "", "what is published on the subjects");
    pst_status st = core_open(&c, k->session, error);
    while (!st && host->now_us(host) < end) {
        natsMsg *m = NULL;
        st = core_next(&c, call, 100, &m, error);
        if (m)
            show(k, at, m);
    }
    core_close(&c);
    return st;
}

pst_status look_discover(session *l, const pst_call *call, pst_blob *json_out, pst_error *error)
{
    look *k = calloc(1, sizeof *k);
    listing *found = k ? listing_create(l->host) : NULL;
    if (!found) {
        free(k);
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    }
    pst_status st = session_open(l, call, error);
    if (!st) {
        k->session = l;
        k->found = found;
        list_streams(k);
    }
    if (!st && !l->host->config_has(l->host, "/stream") && l->host->config_count(l->host, "/subjects"))
        st = listen(k, call, error);
    if (!st)
        st = listing_finish(found, json_out, error);
    listing_free(found);
    free(k);
    session_close(l);
    return st;
}
