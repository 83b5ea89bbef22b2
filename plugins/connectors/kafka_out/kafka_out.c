/* A sink that produces records: a row is a JSON object, its key a column or the row's id, which stands in the
 * header `penstock-id` too and is the same on every try. The producer is idempotent and waits for all
 * replicas (acks=all), so within a try nothing is lost, doubled or out of order; a batch that comes again
 * comes with the same ids. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cell.h"
#include "client.h"
#include "penstock/define.h"

enum { POLL_MS = 20, RESERVE_US = 3000000, PURGE_MS = 1000 };

typedef struct fate { /* of a row */
    rd_kafka_resp_err_t err;
    bool done;
} fate;

typedef struct outgoing {
    const pst_host *host;
    client client;
    fate *fates;
    uint32_t cap, left; /* left: that have no answer yet */
    pst_text key, value;
} outgoing;

static pst_status on_create(const pst_host *host, void **self, pst_error *error)
{
    outgoing *o = calloc(1, sizeof *o);
    if (!o)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    o->host = host;
    client_init(&o->client, host);
    *self = o;
    return PST_OK;
}

static void on_destroy(void *self)
{
    outgoing *o = self;
    if (!o)
        return;
    client_end(&o->client);
    pst_text_free(&o->key);
    pst_text_free(&o->value);
    free(o->fates);
    free(o);
}

/* ---- The producer ---- */

static outgoing *of_client(client *c)
{
    return (outgoing *)((char *)c - offsetof(outgoing, client));
}

/* In client_serve. */
static void on_delivered(rd_kafka_t *kafka, const rd_kafka_message_t *m, void *opaque)
{
    outgoing *o = of_client(opaque);
    fate *f = &o->fates[(uintptr_t)m->_private];
    (void)kafka;
    *f = (fate){m->err, true};
    o->left--;
}

static pst_status set_producer(const outgoing *o, rd_kafka_conf_t *conf, pst_error *error)
{
    char longest[24];
    snprintf(longest, sizeof longest, "%lld", (long long)o->host->config_int(o->host, "/max_message_bytes"));
    const char *const all[][2] = {{"enable.idempotence", "true"},
                                  {"acks", "all"},
                                  {"linger.ms", "5"},
                                  {"message.timeout.ms", "20000"},
                                  {"compression.codec", o->host->config_text(o->host, "/compression")},
                                  {"message.max.bytes", longest}};
    pst_status st = PST_OK;
    for (size_t i = 0; !st && i < sizeof all / sizeof all[0]; i++)
        st = client_set(conf, all[i][0], all[i][1], error);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivered);
    return st;
}

/* The topic is there, and a broker answers. */
static pst_status look(outgoing *o, const pst_call *call, bool strict, pst_error *error)
{
    const rd_kafka_metadata_t *found = NULL;
    char unlisted[300];
    pst_status st = client_wait(&o->client, call, false, &found, error);
    if (st)
        return st;
    client_unlisted(&o->client, found, unlisted, sizeof unlisted);
    rd_kafka_metadata_destroy(found);
    if (strict && unlisted[0])
        st = pst_fail(error, PST_E_CONFIG, "/brokers",
                      "the cluster says that brokers are at %s too: list them, nothing else is reached",
                      unlisted);
    return st;
}

static pst_status begin(outgoing *o, const pst_call *call, bool strict, pst_error *error)
{
    if (o->client.kafka)
        return PST_OK;
    rd_kafka_conf_t *conf = client_settings(&o->client, call, error);
    pst_status st = conf ? set_producer(o, conf, error) : PST_E_CONFIG;
    if (conf && st)
        rd_kafka_conf_destroy(conf);
    if (!st)
        st = client_open(&o->client, RD_KAFKA_PRODUCER, conf, error);
    if (!st)
        st = look(o, call, strict, error);
    if (st)
        client_close(&o->client, false);
    return st;
}

/* ---- Rows ---- */

static bool is_of_row(rd_kafka_resp_err_t err)
{
    return err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE || err == RD_KAFKA_RESP_ERR_INVALID_MSG ||
           err == RD_KAFKA_RESP_ERR_INVALID_RECORD;
}

static rd_kafka_resp_err_t produce(outgoing *o, const pst_outgoing *batch, const pst_rows *rows,
                                   const pst_column *key, uint32_t row)
{
    char id[PST_ROW_ID_SIZE];
    size_t id_len = pst_row_id(o->host, batch, pst_row_seq(rows, row), id);
    pst_text_clear(&o->key);
    pst_text_clear(&o->value);
    if (key)
        cell_add(key, row, &o->key);
    else
        pst_text_add(&o->key, id, id_len);
    pst_row_json(rows, row, PST_ROW_FINITE, &o->value);
    if (o->key.failed || o->value.failed)
        return RD_KAFKA_RESP_ERR__FAIL;
    return rd_kafka_producev(
        o->client.kafka, RD_KAFKA_V_TOPIC(o->host->config_text(o->host, "/topic")),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(o->key.data, o->key.len),
        RD_KAFKA_V_VALUE(o->value.data, o->value.len), RD_KAFKA_V_HEADER("penstock-id", id, id_len),
        RD_KAFKA_V_HEADER("penstock-store", batch->store, strlen(batch->store)),
        RD_KAFKA_V_OPAQUE((void *)(uintptr_t)row), /* NOLINT(performance-no-int-to-ptr) */
        RD_KAFKA_V_END);
}

/* All rows are handed to the library; a full queue is waited for. */
static pst_status hand_over(outgoing *o, const pst_call *call, const pst_outgoing *batch,
                            const pst_rows *rows, pst_error *error)
{
    const char *name = o->host->config_text(o->host, "/key");
    const pst_column *key = name ? pst_rows_find(rows, name) : NULL;
    if (name && !key)
        return pst_fail(error, PST_E_CONFIG, "/key", "the store %.100s has no column %.63s", batch->store,
                        name);
    for (uint32_t row = 0; row < rows->n_rows;) {
        rd_kafka_resp_err_t err = produce(o, batch, rows, key, row);
        if (err == RD_KAFKA_RESP_ERR__QUEUE_FULL && !o->host->cancelled(o->host, call)) {
            client_serve(&o->client, POLL_MS);
            continue;
        }
        o->left += !err;
        o->fates[row++] = (fate){err, err != RD_KAFKA_RESP_ERR_NO_ERROR};
        if (err && !is_of_row(err))
            return pst_fail(error, client_class(err), "/topic", "producing failed: %s",
                            rd_kafka_err2str(err));
    }
    return PST_OK;
}

static pst_status await(outgoing *o, const pst_call *call, pst_error *error)
{
    while (o->left) {
        client_serve(&o->client, POLL_MS);
        client_probe(&o->client);
        pst_status st = client_state(&o->client, error);
        if (!st && o->host->cancelled(o->host, call))
            st = pst_fail(error, PST_E_CANCELLED, NULL, "the call was cancelled");
        if (!st && o->host->now_us(o->host) > call->deadline_us - RESERVE_US)
            st = pst_fail(error, PST_E_UNAVAILABLE, "/brokers",
                          "the brokers did not confirm the rows in time");
        if (st)
            return st;
    }
    return PST_OK;
}

/* What became of the rows: refused ones are named, anything else fails the batch. */
static pst_status judge(const outgoing *o, uint32_t n_rows, pst_refused *refused, size_t cap, size_t *n,
                        pst_error *error)
{
    for (uint32_t row = 0; row < n_rows; row++) {
        rd_kafka_resp_err_t err = o->fates[row].err;
        if (is_of_row(err) && !pst_refuse(refused, cap, n, row, "%s", rd_kafka_err2str(err)))
            return pst_fail(error, PST_E_DATA, NULL, "too many rows of a batch are refused");
        if (err && !is_of_row(err))
            return pst_fail(error, client_class(err), "/topic", "a record was not taken: %s",
                            rd_kafka_err2str(err));
    }
    return PST_OK;
}

/* Nothing of a batch that failed may arrive behind the next try of it. */
static void give_up(outgoing *o)
{
    if (o->client.kafka) {
        rd_kafka_purge(o->client.kafka, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_flush(o->client.kafka, PURGE_MS);
    }
    client_close(&o->client, false);
}

static pst_status write_rows(outgoing *o, const pst_call *call, const pst_outgoing *batch,
                             const pst_rows *rows, pst_refused *refused, size_t cap, size_t *n,
                             pst_error *error)
{
    fate *more = rows->n_rows > o->cap ? realloc(o->fates, rows->n_rows * sizeof *more) : o->fates;
    if (rows->n_rows && !more)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory for a batch");
    o->cap = rows->n_rows > o->cap ? rows->n_rows : o->cap;
    o->fates = more;
    o->left = 0;
    pst_status st = begin(o, call, false, error);
    if (!st)
        st = hand_over(o, call, batch, rows, error);
    if (!st)
        st = await(o, call, error);
    if (!st)
        st = judge(o, rows->n_rows, refused, cap, n, error);
    if (st && st != PST_E_DATA)
        give_up(o);
    return st;
}

static pst_status on_write(void *self, const pst_call *call, const pst_outgoing *batch, pst_refused *refused,
                           size_t cap, size_t *n_refused, pst_error *error)
{
    pst_rows rows;
    pst_status st = pst_rows_open(batch->schema, batch->array, &rows, error);
    if (!st)
        st = write_rows(self, call, batch, &rows, refused, cap, n_refused, error);
    pst_rows_close(&rows);
    return st;
}

static pst_status on_check(void *self, const pst_call *call, pst_error *error)
{
    outgoing *o = self;
    client_close(&o->client, false);
    return begin(o, call, true, error);
}

static const void *on_get_interface(const char *id)
{
    static const pst_sink sink = {.struct_size = sizeof sink, .write = on_write};
    static const pst_check check = {.struct_size = sizeof check, .check = on_check};
    return !strcmp(id, PST_IF_SINK) ? (const void *)&sink : !strcmp(id, PST_IF_CHECK) ? &check : NULL;
}

PST_PLUGIN(.id = "org.penstock.connector.kafka-out", .kind = PST_KIND_CONNECTOR, .version = "1.0.0",
           .title = "Kafka that rows go out to", .licence = "Apache-2.0", .get_interface = on_get_interface,
           .create = on_create, .destroy = on_destroy);
