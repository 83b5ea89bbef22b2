/* A sink that posts rows: a batch is one request, its id the Idempotency-Key, so a receiver that keeps the
 * keys it has seen takes each batch once. What answers mean is in pull_post; an answer of 2xx may name rows
 * that are not taken:
 * {"refused": [{"row": 3, "reason": "no such pump"}]}, counted from 0. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "penstock/define.h"
#include "penstock/sink.h"
#include "signature.h"

enum { HEADERS_MAX = 4, REASON_MAX = 200 };

typedef struct webhook {
    const pst_host *host;
    pull_client client;
    bool array; /* the body is one JSON array, not a row a line */
    pst_text body;
} webhook;

static pst_status on_create(const pst_host *host, void **self, pst_error *error)
{
    const char *format = host->config_text(host, "/format");
    webhook *w = calloc(1, sizeof *w);
    if (!w)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    *self = w;
    w->host = host;
    w->array = format && !strcmp(format, "json");
    return pull_open(&w->client, host, error);
}

static void on_destroy(void *self)
{
    webhook *w = self;
    if (!w)
        return;
    pull_close(&w->client);
    pst_text_free(&w->body);
    free(w);
}

static pst_status write_body(webhook *w, const pst_outgoing *batch, uint32_t *n_rows, pst_error *error)
{
    pst_rows rows;
    pst_status st = pst_rows_open(batch->schema, batch->array, &rows, error);
    pst_text_clear(&w->body);
    for (uint32_t i = 0; !st && i < rows.n_rows; i++) {
        pst_text_add_string(&w->body, !w->array ? "" : i ? "," : "[");
        pst_row_json(&rows, i, PST_ROW_FINITE, &w->body);
        pst_text_add_string(&w->body, w->array ? "" : "\n");
    }
    pst_text_add_string(&w->body, w->array ? "]" : "");
    *n_rows = rows.n_rows;
    pst_rows_close(&rows);
    return st || !w->body.failed ? st : pst_fail(error, PST_E_RESOURCE, NULL, "no memory for a batch");
}

/* Rows that the answer names. One that is no such document says nothing: all were taken. */
static pst_status read_refused(const webhook *w, uint32_t n_rows, pst_refused *refused, size_t cap, size_t *n,
                               pst_error *error)
{
    const pst_json_service *json = w->host->get_service(w->host, PST_SERVICE_JSON);
    const transport_body *said = &w->client.answer.body;
    pst_error ignored = {.struct_size = sizeof ignored};
    pst_status st = PST_OK;
    if (!json || !said->len || said->data[0] != '{')
        return PST_OK;
    pst_json *d = json->parse(w->host, (pst_bytes){said->data, said->len}, &ignored);
    size_t count = json->count(d, "/refused");
    for (size_t i = 0; i < count && !st; i++) {
        char path[48];
        snprintf(path, sizeof path, "/refused/%zu", i);
        const pst_json *one = json->find(d, path);
        const char *reason = json->text(one, "/reason");
        int64_t row = json->kind(one, "/row") == PST_JSON_INTEGER ? json->integer(one, "/row") : -1;
        if (row < 0 || row >= n_rows)
            st = pst_fail(error, PST_E_UNAVAILABLE, NULL, "%s refuses a row that is not in the batch",
                          w->client.answer.place);
        else if (!pst_refuse(refused, cap, n, (uint32_t)row, "%.*s", REASON_MAX, reason ? reason : "refused"))
            st = pst_fail(error, PST_E_DATA, NULL, "%s refuses too many rows of a batch",
                          w->client.answer.place);
    }
    json->discard(d);
    return st;
}

static pst_status on_write(void *self, const pst_call *call, const pst_outgoing *batch, pst_refused *refused,
                           size_t cap, size_t *n_refused, pst_error *error)
{
    webhook *w = self;
    char signature[SIGNATURE_SIZE], n_text[24];
    uint32_t n_rows = 0;
    pst_field headers[HEADERS_MAX] = {
        {"Idempotency-Key", batch->batch_id}, {"Penstock-Store", batch->store}, {"Penstock-Rows", n_text}};
    pull_request r = {.url = w->host->config_text(w->host, "/url"),
                      .type = w->array ? "application/json" : "application/x-ndjson",
                      .headers = headers,
                      .n_headers = 3};
    pst_status st = write_body(w, batch, &n_rows, error);
    snprintf(n_text, sizeof n_text, "%u", n_rows);
    if (!st && w->host->config_has(w->host, "/secret")) {
        st = signature_make(w->host, call, "/secret", w->body.data, w->body.len, signature, error);
        headers[r.n_headers++] = (pst_field){"Penstock-Signature", signature};
    }
    r.body = w->body.data;
    r.body_len = w->body.len;
    if (!st)
        st = pull_post(&w->client, call, &r, error);
    return st ? st : read_refused(w, n_rows, refused, cap, n_refused, error);
}

/* Asks what the URL allows (OPTIONS), with all that a batch goes with but rows. What is said there about
 * methods and bodies is no matter: that somebody answers, is trusted, and does not refuse us. */
static pst_status on_check(void *self, const pst_call *call, pst_error *error)
{
    static const long fine[] = {400, 405, 411, 415, 422, 501};
    webhook *w = self;
    char signature[SIGNATURE_SIZE];
    pst_field headers[1];
    pull_request r = {.url = w->host->config_text(w->host, "/url"), .method = "OPTIONS", .headers = headers};
    pst_status st = PST_OK;
    if (w->host->config_has(w->host, "/secret")) {
        st = signature_make(w->host, call, "/secret", "", 0, signature, error);
        headers[r.n_headers++] = (pst_field){"Penstock-Signature", signature};
    }
    if (st)
        return st;
    st = pull_ask(&w->client, call, &r, error);
    for (size_t i = 0; st && i < sizeof fine / sizeof *fine; i++)
        st = w->client.answer.status == fine[i] ? PST_OK : st;
    return st;
}

static const void *on_get_interface(const char *id)
{
    static const pst_sink sink = {.struct_size = sizeof sink, .write = on_write};
    static const pst_check check = {.struct_size = sizeof check, .check = on_check};
    return !strcmp(id, PST_IF_SINK) ? (const void *)&sink : !strcmp(id, PST_IF_CHECK) ? &check : NULL;
}

PST_PLUGIN(.id = "org.penstock.connector.webhook-out", .kind = PST_KIND_CONNECTOR, .version = "1.0.0",
           .title = "Webhook that rows go out to", .licence = "Apache-2.0", .get_interface = on_get_interface,
           .create = on_create, .destroy = on_destroy);
