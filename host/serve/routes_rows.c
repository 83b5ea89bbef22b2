/* …/rows of every class of store: rows in (datastores, the hot path) and rows out.
 *
 * In: the handler inflates and hands the body to intake on whatever lane it runs on, so several bodies are
 * decoded side by side (a short one on the loop itself); the answer is written by intake's callback on the
 * journal's or a writer's thread. The Idempotency-Key goes into the journal with the rows, not into the
 * control plane. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "serve/negotiate.h"
#include "serve/problem.h"
#include "serve/resource.h"
#include "serve/resources.h"
#include "serve/result.h"
#include "serve/route.h"
#include "serve/row_request.h"
#include "serve/verdict.h"

enum { EXPORT_PAGE = 10000, QUICK_BODY = 4096 };

/* ---- in ---- */

typedef struct sent_rows {
    http_request *request;
    const flow_plan *plan;
    bool waits;
} sent_rows;

/* On the journal's or a writer's thread, or on the lane: never blocks. */
static void on_verdict(void *arg, const intake_verdict *v)
{
    sent_rows *sent = arg;
    http_request *r = sent->request;
    const flow_plan *plan = sent->plan; /* the request, and `sent` with it, is gone once it is answered */
    if (v->st.class == STATUS_OK) {
        text body = {0};
        if (v->repeated)
            http_header(r, "Idempotency-Replayed", "true");
        verdict_body(v, &body);
        http_answer(r, verdict_status(v, sent->waits), "application/json", &body);
    } else {
        problem_answer_as(r, verdict_refusal_status(v), &v->st);
    }
    flow_plan_release(plan);
}

static bool read_format(http_request *r, decode_format *out)
{
    const char *given = http_request_query(r, "format"), *type = http_request_header(r, "Content-Type");
    if (given) {
        if (decode_format_parse(given, out))
            return true;
        problem_answer_text(r, 400, "format is json, ndjson, csv, lp, collectd-json or putval");
        return false;
    }
    *out = DECODE_JSON;
    if (type && negotiate_takes(type, "application/x-ndjson"))
        *out = DECODE_NDJSON;
    else if (type && negotiate_takes(type, "text/csv"))
        *out = DECODE_CSV;
    else if (type && negotiate_takes(type, "text/plain"))
        *out = DECODE_LINES;
    return true;
}

static bool read_order(http_request *r, const flow_plan *plan, intake_order *order)
{
    const char *key = http_request_param(r, "k");
    order->store = flow_plan_datastore(plan, key);
    order->origin = "http";
    order->request_id = r->id;
    order->lane = JOURNAL_LIVE;
    order->rows_max = r->services->request_rows;
    order->deadline_us = clock_monotonic_us() + ROW_REQUEST_WAIT_US;
    if (!order->store) {
        resource_missing(r, "datastore", key);
        return false;
    }
    if (directory_paused(r->services->directory, (int32_t)r->wid)) {
        problem_answer_text(r, 409, "the workspace is paused: it takes no rows");
        return false;
    }
    order->decode = order->store->decode;
    return read_format(r, &order->format) && row_request_precision(r, &order->precision) &&
           row_request_wait(r, &order->wait_stored);
}

/* A few rows whose checks take no time: decoding them costs less than waking a lane for it. A workspace that
 * rests is woken on a lane. */
static bool append_is_quick(http_request *r)
{
    if (r->body_len > QUICK_BODY || http_request_header(r, "Content-Encoding"))
        return false;
    const flow_plan *plan = flow_plan_awake(r->services->flow, (int32_t)r->wid);
    const datastore_plan *store = plan ? flow_plan_datastore(plan, http_request_param(r, "k")) : NULL;
    bool quick = store && decode_plan_is_plain(store->decode);
    flow_plan_release(plan);
    return quick;
}

static void rows_append(http_request *r)
{
    intake_order order = {0};
    text plain = {0};
    const char *body;
    size_t len;
    const flow_plan *plan = resource_plan(r);
    if (!plan)
        return;
    if (!read_order(r, plan, &order) || !row_request_body(r, &plain, &body, &len) ||
        !row_request_key(r, order.store->table.key, body, len, &order.idempotency_key)) {
        flow_plan_release(plan);
        text_free(&plain);
        return;
    }
    sent_rows *sent = arena_alloc(r->arena, sizeof *sent);
    *sent = (sent_rows){r, plan, order.wait_stored};
    order.done = on_verdict;
    order.arg = sent;
    intake_body(flow_intake(r->services->flow), &order, body, len);
    text_free(&plain); /* r is not ours any more */
}

/* ---- out ---- */

static bool read_query(http_request *r, object_class class, store_query *q)
{
    page_request page;
    const flow_plan *plan = resource_plan(r);
    const char *key = http_request_param(r, "k");
    if (!plan)
        return false;
    bool there = definition_object(plan->definition, class, key) != NULL;
    flow_plan_release(plan);
    if (!there) {
        resource_missing(r, class_name(class), key);
        return false;
    }
    const char *system = http_request_query(r, "system");
    *q = (store_query){.class = class, .key = key, .system = system && strcmp(system, "true") == 0};
    if (!resource_time(r, "from", &q->from_us) || !resource_time(r, "to", &q->to_us) ||
        !page_request_read(r, &page))
        return false;
    q->limit = page.limit;
    q->after = page.after;
    return true;
}

static void answer_page(http_request *r, const store_query *q)
{
    metric_result found = {0};
    const char *after;
    status st;
    text body = {0};
    if (flow_store_rows(r->services->flow, (int32_t)r->wid, q, r->arena, &found, &after, &st)) {
        problem_answer(r, &st);
        return;
    }
    text_add_char(&body, '{');
    result_members(&body, &found, negotiate_int64_as_text(r));
    text_add(&body, ",\"next\":");
    const char *next = after ? page_next(r, after) : NULL;
    if (next)
        text_add_json_string(&body, next, strlen(next));
    text_add(&body, next ? "}\n" : "null}\n");
    metric_result_free(&found);
    http_answer(r, 200, "application/json", &body);
}

typedef struct export
{
    flow *flow;
    int32_t wid;
    store_query query;
    char *key;
    result_form form;
    metric_result found;
    text lines;
    arena *arena; /* of the page at hand; `query.after` lies in it */
}
export;

/* The next page into `lines`; *more_out false after the last. */
static status_class export_page(export *e, bool first, bool *more_out, status *st)
{
    arena *page = arena_create(0);
    const char *next = NULL;
    status_class class = flow_store_rows(e->flow, e->wid, &e->query, page, &e->found, &next, st);
    if (class == STATUS_OK) {
        text_clear(&e->lines);
        result_lines(&e->lines, &e->found, e->form, first);
        metric_result_free(&e->found);
    }
    arena_free(e->arena);
    e->arena = page;
    e->query.after = next;
    *more_out = next != NULL;
    return class;
}

/* What fails after the first page cuts the connection, so that nobody takes a part for the whole. */
static void export_send(export *e, http_stream *out, bool more)
{
    status st;
    bool whole = true, there = http_stream_write(out, e->lines.data, e->lines.len);
    while (there && more && whole) {
        whole = export_page(e, false, &more, &st) == STATUS_OK;
        if (whole)
            there = http_stream_write(out, e->lines.data, e->lines.len);
        else
            log_status(LOG_LEVEL_WARN, "http", "an export of rows was cut off", &st);
    }
    http_stream_end(out, whole);
}

static void answer_export(http_request *r, const store_query *q, result_form form)
{
    status st;
    bool more;
    export e = {.flow = r->services->flow, .wid = (int32_t)r->wid, .query = *q, .form = form};
    if (!result_export_begin()) {
        problem_answer_text(r, 429, "%d exports run already", RESULT_EXPORTS_MAX);
        return;
    }
    e.key = memory_string(q->key);
    e.query.key = e.key;
    e.query.limit = EXPORT_PAGE;
    if (export_page(&e, true, &more, &st) == STATUS_OK)
        export_send(&e, http_answer_stream(r, 200, form == RESULT_CSV ? "text/csv" : "application/x-ndjson"),
                    more);
    else
        problem_answer(r, &st);
    result_export_end();
    arena_free(e.arena);
    text_free(&e.lines);
    free(e.key);
}

static void rows_read(http_request *r)
{
    store_query q;
    const object_class *class = r->route->data;
    if (!read_query(r, *class, &q))
        return;
    result_form form =
        result_form_of(negotiate_type(http_request_header(r, "Accept"), RESULT_TYPES, r->arena));
    if (form == RESULT_JSON)
        answer_page(r, &q);
    else
        answer_export(r, &q, form);
}

/* ---- the table ---- */

#define VERDICT_SCHEMA                                                                                       \
    "{\"type\":\"object\",\"required\":[\"received\",\"accepted\",\"rejected\",\"errors\"],\"properties\":{" \
    "\"received\":{\"type\":\"integer\"},\"accepted\":{\"type\":\"integer\"},\"rejected\":{\"type\":"        \
    "\"integer\"},\"stored\":{\"type\":\"integer\"},\"duplicate\":{\"type\":\"integer\"},\"dead\":{"         \
    "\"type\":\"integer\"},\"repeated\":{\"type\":\"boolean\"},\"errors\":{\"type\":\"array\",\"items\":{"   \
    "\"type\":\"object\",\"required\":[\"row\",\"pointer\",\"code\",\"detail\"],\"properties\":{\"row\":{"   \
    "\"type\":\"integer\"},\"line\":{\"type\":\"integer\"},\"column\":{\"type\":\"integer\"},\"pointer\":{"  \
    "\"type\":\"string\"},\"code\":{\"type\":\"string\"},\"detail\":{\"type\":\"string\"}}}}}}"

static const object_class classes[] = {CLASS_DATASTORE, CLASS_FEATURESTORE, CLASS_INFERENCESTORE};

static const route_parameter append_parameters[] = {
    {"format", "{\"enum\":[\"json\",\"ndjson\",\"csv\",\"lp\",\"collectd-json\",\"putval\"]}",
     "Instead of Content-Type"},
    {"precision", "{\"enum\":[\"ns\",\"us\",\"ms\",\"s\"],\"default\":\"ns\"}",
     "Unit of the times in line protocol"},
    {"wait", "{\"enum\":[\"journal\",\"stored\"],\"default\":\"journal\"}",
     "Answer 202 when the rows are durable in the journal, or 200 when they are in their table"},
};
static const route_parameter read_parameters[] = {
    {"from", NULL, "Event time from which on: RFC 3339, now-24h, now/d …"},
    {"to", NULL, "Event time before which"},
    {"system", "{\"type\":\"boolean\",\"default\":false}", "With _seq, _received …"},
    {"int64", "{\"enum\":[\"number\",\"string\"]}", "How integers are written in JSON"},
};

#define READ_ROUTE(section, word, number)                                                                 \
    {                                                                                                     \
        .method = HTTP_GET, .path = "/api/v1/workspaces/{ws}/" section "/{k}/rows", .name = word "_rows", \
        .tag = "rows", .summary = "Rows of a " word " in the order of its key",                           \
        .description =                                                                                    \
            "JSON is one page; CSV and NDJSON are everything in one stream, whatever limit says.",        \
        .verb = VERB_READ, .reference = word ":{k}", .flags = ROUTE_LIST, .where = ROUTE_ON_LANE,         \
        .response_types = RESULT_TYPES, .response_schema = RESULT_SCHEMA, .success = 200,                 \
        .parameters = read_parameters, .n_parameters = sizeof read_parameters / sizeof *read_parameters,  \
        .data = &classes[number], .handler = rows_read                                                    \
    }

static const route table[] = {
    {.method = HTTP_POST,
     .path = "/api/v1/workspaces/{ws}/datastores/{k}/rows",
     .name = "datastore_rows_append",
     .tag = "rows",
     .summary = "Append rows; each is judged by itself",
     .description =
         "A JSON array of objects (or one object), NDJSON, CSV with a header line, InfluxDB line protocol "
         "(text/plain) whose measurement is the store, or what collectd's write_http sends; "
         "Content-Encoding gzip or zstd. Rows that do not fit are listed in errors and kept as dead letters, "
         "the others "
         "are taken. An Idempotency-Key is optional; the same key and body again within 24 hours takes "
         "nothing and repeats the counts.",
     .verb = VERB_WRITE,
     .reference = "datastore:{k}",
     .flags = ROUTE_ROWS,
     .where = ROUTE_ON_LANE,
     .body_limit = ROW_REQUEST_BYTES,
     .request_types = "application/json,application/x-ndjson,text/csv,text/plain",
     .request_schema = "{\"type\":[\"array\",\"object\"]}",
     .response_schema = VERDICT_SCHEMA,
     .success = 202,
     .parameters = append_parameters,
     .n_parameters = sizeof append_parameters / sizeof *append_parameters,
     .handler = rows_append,
     .quick = append_is_quick},
    READ_ROUTE("datastores", "datastore", 0),
    READ_ROUTE("featurestores", "featurestore", 1),
    READ_ROUTE("inferencestores", "inferencestore", 2),
};

void routes_rows(route_table *t)
{
    route_table_add(t, table, sizeof table / sizeof *table);
}
