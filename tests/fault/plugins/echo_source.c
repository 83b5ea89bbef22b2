/* A source of numbered rows with a column of every type; its cursor is the number of the next row as text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trouble.h"

extern const char config_schema[];

enum { METRIC_ROWS, METRIC_ACKS };
static const pst_metric metrics[] = {
    {.name = "rows", .unit = "", .help = "rows handed over", .kind = PST_COUNTER},
    {.name = "acked", .unit = "", .help = "number of the row that was acked last", .kind = PST_GAUGE},
};

typedef struct echo {
    const pst_host *host;
    int64_t rows, next;
    bool raw, away, streams;
    int64_t rejects, pace_ms;
    trouble trouble;
    bool paused; /* a read was answered with rows; the next one is idle, so that the rows keep a pace */
} echo;

static int64_t cursor_number(pst_bytes cursor)
{
    char text[32] = {0};
    if (cursor.len && cursor.len < sizeof text)
        memcpy(text, cursor.data, cursor.len);
    return strtoll(text, NULL, 10);
}

/* Logs how often this instance was opened, over all its cells and hosts. */
static pst_status remember(const echo *e, const pst_call *call, pst_error *error)
{
    const pst_state_service *state = e->host->get_service(e->host, PST_SERVICE_STATE);
    char text[32] = "";
    size_t len;
    uint64_t version;
    pst_status status = state->get(e->host, call, "opened", text, sizeof text - 1, &len, &version, error);
    if (status != PST_OK)
        return status;
    int n = snprintf(text, sizeof text, "%lld", strtoll(text, NULL, 10) + 1);
    const pst_field field = {"times", text};
    e->host->log(e->host, PST_LOG_INFO, "remembered", &field, 1);
    return state->put(e->host, call, "opened", (pst_bytes){text, (size_t)n}, version, 0, NULL, error);
}

static pst_status on_open(void *self, const pst_call *call, pst_bytes resume_after, pst_error *error)
{
    echo *e = self;
    char token[64];
    size_t len;
    e->next = cursor_number(resume_after);
    const pst_field fields[] = {{"cursor", resume_after.len ? "given" : "none"}};
    e->host->log(e->host, PST_LOG_INFO, "opened", fields, 1);
    if (e->host->config_flag(e->host, "/remember")) {
        pst_status kept = remember(e, call, error);
        if (kept != PST_OK)
            return kept;
    }
    if (!e->host->config_has(e->host, "/token"))
        return PST_OK;
    pst_status status = e->host->secret(e->host, call, "/token", token, sizeof token, &len, error);
    if (status == PST_OK && strcmp(token, "open sesame") != 0)
        return pst_fail(error, PST_E_AUTH, "/token", "the far side refuses the token");
    return status;
}

static void put_row(pst_builder *b, const int *c, int64_t n)
{
    char name[32];
    snprintf(name, sizeof name, "row %lld", (long long)n);
    pst_builder_set_int(b, c[0], 1767225600000000 + n * 1000000);
    pst_builder_set_int(b, c[1], n);
    if (n % 3)
        pst_builder_set_real(b, c[2], (double)n / 2);
    pst_builder_set_text(b, c[3], name);
    pst_builder_set_flag(b, c[4], n % 2);
    pst_builder_set_int(b, c[5], n);
    pst_builder_set_text(b, c[6], "2026-01-31");
    pst_builder_set_text(b, c[7], "00112233-4455-6677-8899-aabbccddeeff");
    pst_builder_set_text(b, c[8], "{\"a\":[1,2]}");
    pst_builder_row(b);
}

static pst_builder *builder_make(int *c)
{
    static const struct {
        const char *name;
        pst_type type;
    } columns[] = {{"time", PST_TIME}, {"n", PST_INTEGER},   {"value", PST_NUMBER},
                   {"name", PST_TEXT}, {"odd", PST_BOOLEAN}, {"small", PST_INT32},
                   {"day", PST_DATE},  {"id", PST_UUID},     {"doc", PST_JSON}};
    pst_builder *b = pst_builder_create();
    for (size_t i = 0; b && i < sizeof columns / sizeof columns[0]; i++)
        c[i] = pst_builder_column(b, columns[i].name, columns[i].type);
    return b;
}

static void fill_raw(echo *e, pst_builder *b, uint32_t max_rows)
{
    int payload = pst_builder_column(b, "_payload", PST_BINARY),
        meta = pst_builder_column(b, "_meta", PST_TEXT);
    for (uint32_t i = 0; i < max_rows && e->next < e->rows; i++, e->next++) {
        char line[32];
        int len = snprintf(line, sizeof line, "%lld;\xff\n", (long long)e->next);
        pst_builder_set_bytes(b, payload, line, (size_t)len);
        pst_builder_set_text(b, meta, "n;junk");
        pst_builder_row(b);
    }
}

static pst_status on_read(void *self, const pst_call *call, uint32_t max_rows, pst_batch *out,
                          pst_error *error)
{
    echo *e = self;
    int columns[9];
    char cursor[32];
    if (e->away) {
        error->retry_after_ms = 1234;
        error->vendor_code = 42;
        return pst_fail(error, PST_E_UNAVAILABLE, NULL, "the far side is away");
    }
    if (e->next >= e->rows) {
        out->next_in_ms = 777;
        return PST_END;
    }
    if (e->paused) {
        e->paused = false;
        out->next_in_ms = (uint32_t)e->pace_ms;
        return PST_IDLE;
    }
    e->paused = e->pace_ms > 0;
    pst_status status = trouble_call(&e->trouble, call, error);
    for (int64_t n = e->next; status == PST_OK && n < e->next + max_rows && n < e->rows; n++)
        status = trouble_row(&e->trouble, call, (double)n, error);
    if (status != PST_OK)
        return status;
    pst_builder *b = e->raw ? pst_builder_create() : builder_make(columns);
    if (!b)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    int64_t first = e->next;
    if (e->raw)
        fill_raw(e, b, max_rows);
    for (uint32_t i = 0; !e->raw && i < max_rows && e->next < e->rows; i++, e->next++)
        put_row(b, columns, e->next);
    for (int64_t i = 0; i < e->rejects; i++)
        pst_builder_reject(b, "bad\0line", 8, i ? NULL : "column 2", "it is no row");
    int len = snprintf(cursor, sizeof cursor, "%lld", (long long)e->next);
    e->host->observe(e->host, METRIC_ROWS, (double)(e->next - first));
    status = pst_builder_finish(b, e->streams && first % 2 ? "odd" : NULL, (pst_bytes){cursor, (size_t)len},
                                e->raw ? PST_BATCH_RAW : 0, out, error);
    pst_builder_free(b);
    if (status == PST_OK)
        trouble_bend(&e->trouble, out);
    return status;
}

static pst_status on_skip(void *self, const pst_call *call, uint32_t max, pst_batch *out, pst_error *error)
{
    (void)call;
    echo *e = self;
    char record[32], cursor[32];
    if (e->host->config_flag(e->host, "/no_skip"))
        return pst_fail(error, PST_E_UNSUPPORTED, NULL, "it was told not to skip");
    pst_builder *b = pst_builder_create();
    for (uint32_t i = 0; i < max && e->next < e->rows; i++, e->next++) {
        int len = snprintf(record, sizeof record, "{\"n\":%lld}", (long long)e->next);
        pst_builder_reject(b, record, (size_t)len, NULL, "passed over undecoded");
    }
    int len = snprintf(cursor, sizeof cursor, "%lld", (long long)e->next);
    pst_status status = pst_builder_finish(b, NULL, (pst_bytes){cursor, (size_t)len}, 0, out, error);
    pst_builder_free(b);
    return status;
}

static pst_status on_ack(void *self, const pst_call *call, pst_bytes durable_up_to, pst_error *error)
{
    (void)call, (void)error;
    echo *e = self;
    e->host->observe(e->host, METRIC_ACKS, (double)cursor_number(durable_up_to));
    return PST_OK;
}

static void on_close(void *self)
{
    (void)self;
}

static pst_status on_discover(void *self, const pst_call *call, pst_blob *json_out, pst_error *error)
{
    (void)self, (void)call, (void)error;
    static char answer[] =
        "[{\"stream\": \"odd\", \"title\": \"Odd rows\", \"example\": [{\"time\": "
        "\"2026-03-28T17:00:00Z\", \"n\": 1, \"value\": 1.5}]}, {\"stream\": \"Odd\", \"example\": "
        "\"{\\\"n\\\": 2}\"}, {\"stream\": \"silent\"}]";
    json_out->data = answer;
    json_out->len = sizeof answer - 1;
    return PST_OK;
}

static pst_status on_check(void *self, const pst_call *call, pst_error *error)
{
    echo *e = self;
    char token[64];
    size_t len;
    if (e->host->config_flag(e->host, "/leak") &&
        e->host->secret(e->host, call, "/token", token, sizeof token, &len, error) == PST_OK)
        return pst_fail(error, PST_E_AUTH, "/token", "it was refused with the token %s", token);
    const pst_json_service *json = e->host->get_service(e->host, PST_SERVICE_JSON);
    pst_json *d = json ? json->parse(e->host, (pst_bytes){"{\"page\": [7]}", 13}, error) : NULL;
    bool fine = d && json->integer(d, "/page/0") == 7 &&
                !e->host->get_service(e->host, "penstock.unknown/9") &&
                e->host->config_int(e->host, "/nested/depth") == 3;
    if (json)
        json->discard(d);
    return fine ? PST_OK
                : pst_fail(error, PST_E_INTERNAL, NULL, "services or config are not what they should be");
}

/* Push: a body of N is answered with N rows in each of two batches. */
static int64_t pushed_rows, pushed_batches;

static pst_status on_receive(void *self, const pst_call *call, const pst_request *request, pst_reply *reply,
                             pst_error *error)
{
    echo *e = self;
    pst_status status = trouble_call(&e->trouble, call, error);
    if (status == PST_OK)
        status = trouble_bytes(&e->trouble, call, request->body.data, request->body.len, error);
    if (status != PST_OK)
        return status;
    bool kind = false;
    for (size_t i = 0; i < request->n_headers; i++)
        kind = kind || strcmp(request->headers[i].key, "x-kind") == 0;
    if (!kind)
        return pst_fail(error, PST_E_DATA, NULL, "no header x-kind");
    pushed_rows = cursor_number(request->body);
    pushed_batches = 2;
    static char body[] = "thanks";
    reply->http_status = 202;
    snprintf(reply->content_type, sizeof reply->content_type, "text/plain");
    reply->body.data = body;
    reply->body.len = sizeof body - 1;
    return PST_OK;
}

static pst_status on_next(void *self, const pst_call *call, pst_batch *out, pst_error *error)
{
    (void)self, (void)call;
    int columns[9];
    if (pushed_batches-- <= 0)
        return PST_END;
    pst_builder *b = builder_make(columns);
    for (int64_t i = 0; b && i < pushed_rows; i++)
        put_row(b, columns, i);
    pst_status status = b ? pst_builder_finish(b, "pushed", (pst_bytes){0}, 0, out, error) : PST_E_RESOURCE;
    pst_builder_free(b);
    return status;
}

static const pst_source source = {.struct_size = sizeof source,
                                  .flags = PST_SOURCE_REPLAYS | PST_SOURCE_BOUNDED,
                                  .open = on_open,
                                  .read = on_read,
                                  .ack = on_ack,
                                  .close = on_close,
                                  .skip = on_skip};
static const pst_push push = {.struct_size = sizeof push, .receive = on_receive, .next = on_next};
static const pst_discover discover = {.struct_size = sizeof discover, .discover = on_discover};
static const pst_check check = {.struct_size = sizeof check, .check = on_check};

static const void *get_interface(const char *id)
{
    return !strcmp(id, PST_IF_SOURCE)     ? (const void *)&source
           : !strcmp(id, PST_IF_PUSH)     ? (const void *)&push
           : !strcmp(id, PST_IF_DISCOVER) ? (const void *)&discover
           : !strcmp(id, PST_IF_CHECK)    ? (const void *)&check
                                          : NULL;
}

static pst_status create(const pst_host *host, void **self, pst_error *error)
{
    if (host->config_flag(host, "/refuse"))
        return pst_fail(error, PST_E_CONFIG, "/refuse", "it was told to refuse");
    echo *e = calloc(1, sizeof *e);
    if (!e)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    *e = (echo){.host = host,
                .rows = host->config_int(host, "/rows"),
                .raw = host->config_flag(host, "/raw"),
                .away = host->config_flag(host, "/away"),
                .streams = !host->config_flag(host, "/one_stream"),
                .rejects = host->config_int(host, "/rejects"),
                .pace_ms = host->config_int(host, "/pace_ms")};
    trouble_read(&e->trouble, host);
    *self = e;
    return PST_OK;
}

PST_EXPORT const pst_plugin penstock_plugin_v1 = {.struct_size = sizeof(pst_plugin),
                                                  .abi_minor = PST_ABI_MINOR,
                                                  .id = "org.penstock.test.echo-source",
                                                  .kind = PST_KIND_CONNECTOR,
                                                  .version = "1.0.0",
                                                  .title = "Echo source",
                                                  .licence = "Apache-2.0",
                                                  .config_schema = config_schema,
                                                  .metrics = metrics,
                                                  .n_metrics = 2,
                                                  .get_interface = get_interface,
                                                  .create = create,
                                                  .destroy = free};
