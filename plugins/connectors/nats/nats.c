/* The connector: messages of subjects, or of a stream of JetStream, become raw payloads with subject, headers
 * and number beside them. Of a stream, what is durable is acknowledged, and which messages that were is the
 * cursor; of subjects alone nothing can be asked for again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"
#include "look.h"
#include "message.h"
#include "penstock/define.h"
#include "reading.h"
#include "stream.h"

enum {
    BATCH_MESSAGES = 2000, /* fewer than the cursor has room for, even if none are neighbours */
    WAIT_MS = 100,
    IDLE_MS = 20
};

typedef struct nats {
    const pst_host *host;
    session session;
    stream stream;
    core core;
    taken taken;
    reading reading;
    facts facts;
    bool of_stream, trial;
    bool looked;     /* a trial has shown what there is */
    int64_t dropped; /* that was told */
    uint8_t cursor[TAKEN_CURSOR_MAX];
} nats;

static void on_close(void *self)
{
    nats *n = self;
    stream_close(&n->stream);
    core_close(&n->core);
    session_close(&n->session);
}

static void on_destroy(void *self)
{
    nats *n = self;
    if (!n)
        return;
    on_close(n);
    session_end(&n->session);
    reading_end(&n->reading);
    free(n);
}

static pst_status check_settings(const nats *n, pst_error *error)
{
    size_t subjects = n->host->config_count(n->host, "/subjects");
    if (n->of_stream && subjects > 1)
        return pst_fail(error, PST_E_CONFIG, "/subjects",
                        "with a stream at most one subject says which of its messages");
    return n->of_stream || subjects
               ? PST_OK
               : pst_fail(error, PST_E_CONFIG, "/subjects", "a stream or subjects are needed");
}

static pst_status on_create(const pst_host *host, void **self, pst_error *error)
{
    nats *n = calloc(1, sizeof *n);
    if (!n)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    n->host = host;
    n->of_stream = host->config_has(host, "/stream");
    n->trial = credential_is_trial(host);
    session_init(&n->session, host);
    pst_status st = reading_init(&n->reading, host, error);
    if (!st)
        st = check_settings(n, error);
    if (st)
        on_destroy(n);
    else
        *self = n;
    return st;
}

static pst_status on_open(void *self, const pst_call *call, pst_bytes resume, pst_error *error)
{
    nats *n = self;
    on_close(n);
    n->looked = false;
    n->dropped = 0;
    pst_status st = session_open(&n->session, call, error);
    if (!st && n->of_stream && !n->trial)
        st = stream_open(&n->stream, &n->session, &n->taken, resume, error);
    else if (!st && !taken_open(&n->taken, 0, resume.data, resume.len))
        st = pst_fail(error, PST_E_DATA, NULL, "the cursor is not one of this connector");
    if (!st && !n->of_stream)
        st = core_open(&n->core, &n->session, error);
    if (st)
        on_close(n);
    return reading_failed(&n->reading, st, error);
}

/* ---- reading ---- */

static void add_message(nats *n, natsMsg *m, uint64_t number, int64_t time_ns)
{
    size_t len = (size_t)natsMsg_GetDataLength(m);
    if (!n->reading.aside && len)
        message_describe(m, number, time_ns, &n->facts);
    reading_add(&n->reading, len ? natsMsg_GetData(m) : NULL, len, n->facts.text, natsMsg_GetSubject(m));
}

/* A message that was handed over before is acknowledged with this batch, and makes no row. */
static pst_status take_of_stream(nats *n, natsMsg *m, pst_error *error)
{
    jsMsgMetaData *meta = NULL;
    natsStatus s = natsMsg_GetMetaData(&meta, m);
    if (!s && !stream_keep(&n->stream, m))
        s = NATS_NO_MEMORY;
    if (s) {
        natsMsg_Destroy(m);
        jsMsgMetaData_Destroy(meta);
        return session_fail(s, "/stream", "a message of the stream", error);
    }
    if (!taken_has(&n->taken, meta->Sequence.Stream)) {
        taken_add(&n->taken, meta->Sequence.Stream);
        add_message(n, m, meta->Sequence.Stream, meta->Timestamp);
    }
    jsMsgMetaData_Destroy(meta);
    n->reading.events++;
    return PST_OK;
}

static pst_status gather_stream(nats *n, uint32_t max, pst_error *error)
{
    pst_status st = PST_OK;
    while (!st && reading_has_room(&n->reading, max)) {
        natsMsg *m;
        st = stream_next(&n->stream, (int)(max - n->reading.events), n->reading.events ? 0 : WAIT_MS, &m,
                         error);
        if (!st && !m)
            break;
        if (!st)
            st = take_of_stream(n, m, error);
    }
    return st;
}

static pst_status gather_core(nats *n, const pst_call *call, uint32_t max, pst_error *error)
{
    pst_status st = PST_OK;
    while (!st && reading_has_room(&n->reading, max)) {
        natsMsg *m;
        st = core_next(&n->core, call, n->reading.events ? 0 : WAIT_MS, &m, error);
        if (st || !m)
            break;
        add_message(n, m, 0, 0);
        n->reading.events++;
        natsMsg_Destroy(m);
    }
    return st;
}

/* What the stream has at its end, once; nothing is acknowledged. */
static pst_status gather_trial(nats *n, pst_error *error)
{
    natsMsg *messages[LOOK_MESSAGES];
    size_t count = 0;
    pst_status st = n->looked ? PST_OK : look_at_end(&n->session, messages, &count, error);
    for (size_t i = 0; i < count; i++) {
        add_message(n, messages[i], natsMsg_GetSequence(messages[i]), natsMsg_GetTime(messages[i]));
        natsMsg_Destroy(messages[i]);
        n->reading.events++;
    }
    n->looked = true;
    return st;
}

static void tell_health(nats *n, const pst_call *call)
{
    char text[PST_HEALTH_TEXT_MAX];
    const pst_health_service *health = n->host->get_service(n->host, PST_SERVICE_HEALTH);
    int64_t dropped = core_dropped(&n->core);
    if (!health || dropped == n->dropped)
        return;
    n->dropped = dropped;
    snprintf(text, sizeof text, "%lld messages came faster than they could be stored, and were dropped",
             (long long)dropped);
    health->tell(n->host, call, text);
}

static pst_status gather(nats *n, const pst_call *call, uint32_t max_rows, pst_error *error)
{
    uint32_t max = max_rows < BATCH_MESSAGES ? max_rows : BATCH_MESSAGES;
    pst_status st = session_state(&n->session, error);
    if (st)
        return st;
    if (!n->of_stream)
        return gather_core(n, call, max, error);
    return n->trial ? gather_trial(n, error) : gather_stream(n, max, error);
}

static pst_status on_read(void *self, const pst_call *call, uint32_t max_rows, pst_batch *out,
                          pst_error *error)
{
    nats *n = self;
    if (!n->session.connection)
        return pst_fail(error, PST_E_UNAVAILABLE, "/servers", "there is no connection");
    reading_begin(&n->reading);
    pst_status st = gather(n, call, max_rows, error);
    if (st && !n->reading.events)
        return reading_failed(&n->reading, st, error);
    if (!n->reading.events) {
        tell_health(n, call);
        out->next_in_ms = IDLE_MS;
        return PST_IDLE;
    }
    stream_cut(&n->stream, n->taken.batch); /* what failed fails again in the next read */
    size_t len = taken_cut(&n->taken, n->cursor);
    return reading_finish(&n->reading, NULL, (pst_bytes){n->cursor, len}, PST_BATCH_RAW, out, error);
}

static pst_status on_skip(void *self, const pst_call *call, uint32_t max, pst_batch *out, pst_error *error)
{
    return reading_skip(&((nats *)self)->reading, on_read, self, call, max, out, error);
}

static pst_status on_ack(void *self, const pst_call *call, pst_bytes durable, pst_error *error)
{
    nats *n = self;
    uint64_t batch = taken_batch(durable.data, durable.len);
    (void)call;
    if (!batch)
        return pst_fail(error, PST_E_DATA, NULL, "the cursor is not one of this connector");
    return n->session.connection ? reading_failed(&n->reading, stream_ack(&n->stream, batch, error), error)
                                 : PST_OK;
}

/* ---- the plugin ---- */

static pst_status on_check(void *self, const pst_call *call, pst_error *error)
{
    nats *n = self;
    on_close(n);
    return look_connection(&n->session, call, error);
}

static pst_status on_discover(void *self, const pst_call *call, pst_blob *json_out, pst_error *error)
{
    nats *n = self;
    on_close(n);
    return look_discover(&n->session, call, json_out, error);
}

static const void *on_get_interface(const char *id)
{
    static const pst_source source = {sizeof source, PST_SOURCE_ACKS, on_open, on_read,
                                      on_ack,        on_close,        on_skip};
    static const pst_check check = {sizeof check, 0, on_check};
    static const pst_discover discover = {sizeof discover, 0, on_discover};
    return reading_interface(id, &source, &check, &discover);
}

PST_PLUGIN(.id = "org.penstock.connector.nats", .kind = PST_KIND_CONNECTOR, .version = "1.0.0",
           .title = "NATS", .licence = "Apache-2.0", .get_interface = on_get_interface, .create = on_create,
           .destroy = on_destroy);
