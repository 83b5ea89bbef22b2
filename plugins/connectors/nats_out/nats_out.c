/* A sink that publishes to JetStream: a row is a JSON object on a subject that may name its entity, its id
 * the Nats-Msg-Id, which is the same on every try: within the stream's window of duplicates the server keeps
 * it once. PST_OK when the stream has confirmed every row. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cell.h"
#include "penstock/define.h"
#include "session.h"

enum { RESERVE_US = 3000000, STEP_MS = 200, SUBJECT_MAX = 2000 };

typedef struct outgoing {
    const pst_host *host;
    session session;
    pst_text subject, value, part;
    pthread_mutex_t lock; /* of what follows: answers come on a thread of libnats */
    natsStatus failed;
    char why[200];
} outgoing;

/* On a thread of libnats: a row was not confirmed. */
static void on_publish_error(jsCtx *js, jsPubAckErr *e, void *arg)
{
    outgoing *o = arg;
    (void)js;
    pthread_mutex_lock(&o->lock);
    if (!o->failed) {
        o->failed = e->Err;
        snprintf(o->why, sizeof o->why, "%s", e->ErrText ? e->ErrText : natsStatus_GetText(e->Err));
    }
    pthread_mutex_unlock(&o->lock);
}

static pst_status on_create(const pst_host *host, void **self, pst_error *error)
{
    outgoing *o = calloc(1, sizeof *o);
    if (!o)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    o->host = host;
    session_init(&o->session, host);
    o->session.on_publish_error = on_publish_error;
    o->session.publish_arg = o;
    pthread_mutex_init(&o->lock, NULL);
    *self = o;
    return PST_OK;
}

static void on_destroy(void *self)
{
    outgoing *o = self;
    if (!o)
        return;
    session_end(&o->session);
    pst_text_free(&o->subject);
    pst_text_free(&o->value);
    pst_text_free(&o->part);
    pthread_mutex_destroy(&o->lock);
    free(o);
}

static pst_status begin(outgoing *o, const pst_call *call, pst_error *error)
{
    if (o->session.connection && session_state(&o->session, error) == PST_OK)
        return PST_OK;
    session_close(&o->session);
    return session_open(&o->session, call, error);
}

/* ---- Rows ---- */

/* A token: what cannot stand in one is _, and so is nothing. */
static void add_token(outgoing *o, const pst_column *c, uint32_t row)
{
    pst_text_clear(&o->part);
    if (c)
        cell_add(c, row, &o->part);
    for (size_t i = 0; i < o->part.len; i++)
        if ((unsigned char)o->part.data[i] <= ' ' || strchr(".*>", o->part.data[i]) ||
            o->part.data[i] == 0x7f)
            o->part.data[i] = '_';
    if (o->part.len)
        pst_text_add(&o->subject, o->part.data, o->part.len);
    else
        pst_text_add_string(&o->subject, "_");
}

static void make_subject(outgoing *o, const pst_rows *rows, uint32_t row)
{
    char name[64];
    pst_text_clear(&o->subject);
    for (const char *c = o->host->config_text(o->host, "/subject"); *c; c++) {
        size_t len = *c == '{' ? strcspn(c + 1, "}") : 0;
        if (*c != '{' || c[len + 1] != '}' || len >= sizeof name) {
            pst_text_add(&o->subject, c, 1);
            continue;
        }
        snprintf(name, sizeof name, "%.*s", (int)len, c + 1);
        add_token(o, pst_rows_find(rows, name), row);
        c += len + 1;
    }
}

static natsStatus publish(outgoing *o, const pst_outgoing *batch, const pst_rows *rows, uint32_t row)
{
    char id[PST_ROW_ID_SIZE];
    natsMsg *m = NULL;
    jsPubOptions options;
    pst_row_id(o->host, batch, pst_row_seq(rows, row), id);
    make_subject(o, rows, row);
    pst_text_clear(&o->value);
    pst_row_json(rows, row, PST_ROW_FINITE, &o->value);
    if (o->value.failed || o->subject.failed || o->part.failed)
        return NATS_NO_MEMORY;
    if (o->subject.len > SUBJECT_MAX)
        return NATS_INVALID_SUBJECT;
    jsPubOptions_Init(&options);
    options.MsgId = id;
    options.ExpectStream = o->host->config_text(o->host, "/stream");
    natsStatus s = natsMsg_Create(&m, o->subject.data, NULL, o->value.data, (int)o->value.len);
    s = s ? s : js_PublishMsgAsync(o->session.stream, &m, &options);
    natsMsg_Destroy(m); /* NULL when it was taken over */
    return s;
}

static pst_status hand_over(outgoing *o, const pst_outgoing *batch, const pst_rows *rows,
                            pst_refused *refused, size_t cap, size_t *n, pst_error *error)
{
    for (uint32_t row = 0; row < rows->n_rows; row++) {
        natsStatus s = publish(o, batch, rows, row);
        if (s == NATS_MAX_PAYLOAD || s == NATS_INVALID_SUBJECT) {
            if (!pst_refuse(refused, cap, n, row, "%s", natsStatus_GetText(s)))
                return pst_fail(error, PST_E_DATA, NULL, "too many rows of a batch are refused");
        } else if (s) {
            return session_fail(s, "/subject", "publishing", error);
        }
    }
    return PST_OK;
}

static pst_status judge(outgoing *o, pst_error *error)
{
    pthread_mutex_lock(&o->lock);
    pst_status st = !o->failed ? PST_OK
                    : o->failed == NATS_NO_RESPONDERS
                        ? pst_fail(error, PST_E_UNAVAILABLE, "/subject", "no stream takes the subject")
                        : pst_fail(error, PST_E_UNAVAILABLE, "/subject", "a row was not taken: %s", o->why);
    pthread_mutex_unlock(&o->lock);
    return st;
}

static pst_status await(outgoing *o, const pst_call *call, pst_error *error)
{
    jsPubOptions options;
    jsPubOptions_Init(&options);
    options.MaxWait = STEP_MS;
    natsStatus s;
    while ((s = js_PublishAsyncComplete(o->session.stream, &options)) == NATS_TIMEOUT) {
        pst_status st = session_state(&o->session, error);
        if (!st)
            st = judge(o, error);
        if (!st && o->host->cancelled(o->host, call))
            st = pst_fail(error, PST_E_CANCELLED, NULL, "the call was cancelled");
        if (!st && o->host->now_us(o->host) > call->deadline_us - RESERVE_US)
            st =
                pst_fail(error, PST_E_UNAVAILABLE, "/servers", "the server did not confirm the rows in time");
        if (st)
            return st;
    }
    return s ? session_fail(s, "/servers", "publishing", error) : judge(o, error);
}

static pst_status on_write(void *self, const pst_call *call, const pst_outgoing *batch, pst_refused *refused,
                           size_t cap, size_t *n_refused, pst_error *error)
{
    outgoing *o = self;
    pst_rows rows;
    o->failed = NATS_OK; /* nothing is on its way */
    pst_status st = pst_rows_open(batch->schema, batch->array, &rows, error);
    if (!st)
        st = begin(o, call, error);
    if (!st)
        st = hand_over(o, batch, &rows, refused, cap, n_refused, error);
    if (!st)
        st = await(o, call, error);
    pst_rows_close(&rows);
    if (st)
        session_close(&o->session); /* what is on its way of it ends with the connection */
    return st;
}

static pst_status on_check(void *self, const pst_call *call, pst_error *error)
{
    outgoing *o = self;
    session_close(&o->session);
    return begin(o, call, error);
}

static const void *on_get_interface(const char *id)
{
    static const pst_sink sink = {.struct_size = sizeof sink, .write = on_write};
    static const pst_check check = {.struct_size = sizeof check, .check = on_check};
    return !strcmp(id, PST_IF_SINK) ? (const void *)&sink : !strcmp(id, PST_IF_CHECK) ? &check : NULL;
}

PST_PLUGIN(.id = "org.penstock.connector.nats-out", .kind = PST_KIND_CONNECTOR, .version = "1.0.0",
           .title = "NATS that rows go out to", .licence = "Apache-2.0", .get_interface = on_get_interface,
           .create = on_create, .destroy = on_destroy);
