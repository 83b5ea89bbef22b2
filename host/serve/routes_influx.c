/* What InfluxDB's clients expect of a server that they write to: /api/v2/write, /ping, /health. The bucket is
 * the workspace, a measurement a datastore, tags and fields its columns; the organisation is not looked at.
 *
 * One body may hold rows of many stores: they are durable together or not at all. Lines that do not fit are
 * kept as dead letters, the others are taken; the answer is then 400 with the first such line, on which
 * clients do not send again. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "flow/intake.h"
#include "serve/auth.h"
#include "serve/problem.h"
#include "serve/resource.h"
#include "serve/resources.h"
#include "serve/row_request.h"
#include "serve/verdict.h"

#define VERSION_HEADER "X-Influxdb-Version"

typedef struct write_request {
    http_request *request;
    const flow_plan *plan;
} write_request;

/* ---- the answer ---- */

static void refused_body(const intake_verdict *v, text *out)
{
    text message = {0};
    const intake_reject *first = v->n_rejects ? v->rejects : NULL;
    text_printf(&message, "%s: %" PRIu64 " of %" PRIu64 " lines were refused",
                v->accepted ? "partial write" : "nothing was written", v->rejected, v->received);
    if (first)
        text_printf(&message, "; line %" PRIu64 ": %s: %s", first->line, first->code, first->detail);
    text_add(out, "{\"code\":\"invalid\",\"message\":");
    text_add_json_string(out, message.data, message.len);
    if (first)
        text_printf(out, ",\"line\":%" PRIu64, first->line);
    text_add(out, ",\"verdict\":");
    verdict_body(v, out);
    text_add(out, "}\n");
    text_free(&message);
}

/* On the journal's thread: never blocks. */
static void on_verdict(void *arg, const intake_verdict *v)
{
    write_request *w = arg;
    http_request *r = w->request;
    const flow_plan *plan = w->plan; /* the request, and `w` with it, is gone once it is answered */
    text body = {0};
    if (v->st.class != STATUS_OK) {
        problem_answer_as(r, verdict_refusal_status(v), &v->st);
    } else {
        if (v->repeated)
            http_header(r, "Idempotency-Replayed", "true");
        if (v->rejected)
            refused_body(v, &body);
        http_answer(r, v->rejected ? 400 : 204, v->rejected ? "application/json" : NULL,
                    v->rejected ? &body : NULL);
    }
    flow_plan_release(plan);
}

/* ---- the request ---- */

/* A workspace that one may not see does not exist; one in which one may write nothing is forbidden. */
static bool find_bucket(http_request *r)
{
    const char *bucket = http_request_query(r, "bucket");
    if (!bucket || !*bucket) {
        problem_answer_text(r, 400, "bucket is missing: the workspace to write to");
        return false;
    }
    r->wid = directory_find(r->services->directory, bucket);
    if (!r->wid || !auth_sees(r->who, r->wid)) {
        problem_answer_text(r, 404, "there is no bucket (workspace) of this name");
        return false;
    }
    bool writes = false;
    for (unsigned i = 0; i < r->who->n_scopes; i++) {
        const scope *s = &r->who->scopes[i];
        writes = writes || ((s->verbs & VERB_WRITE) && (s->wid == 0 || s->wid == r->wid));
    }
    if (!writes) {
        problem_answer_text(r, 403, "the key may not write to this workspace");
        return false;
    }
    if (directory_paused(r->services->directory, (int32_t)r->wid)) {
        problem_answer_text(r, 409, "the workspace is paused: it takes no rows");
        return false;
    }
    return true;
}

/* A store that the key may not write to is as unknown as one that is not there. */
static const datastore_plan *find_store(void *arg, const char *measurement)
{
    const write_request *w = arg;
    const http_request *r = w->request;
    char reference[sizeof "datastore:" + NAME_KEY_MAX];
    snprintf(reference, sizeof reference, "datastore:%s", measurement);
    return auth_permits(r->who, VERB_WRITE, reference, r->wid) ? flow_plan_datastore(w->plan, measurement)
                                                               : NULL;
}

static void write_lines(http_request *r)
{
    intake_order order = {.origin = "influx", .request_id = r->id, .lane = JOURNAL_LIVE};
    text plain = {0};
    const char *body;
    size_t len;
    const flow_plan *plan =
        find_bucket(r) && row_request_precision(r, &order.precision) ? resource_plan(r) : NULL;
    if (!plan)
        return;
    if (!row_request_body(r, &plain, &body, &len) ||
        !row_request_key(r, "write", body, len, &order.idempotency_key)) {
        flow_plan_release(plan);
        text_free(&plain);
        return;
    }
    write_request *w = arena_alloc(r->arena, sizeof *w);
    *w = (write_request){r, plan};
    order.plan = plan;
    order.rows_max = r->services->request_rows;
    order.find = find_store;
    order.find_arg = w;
    order.done = on_verdict;
    order.arg = w;
    intake_lines(flow_intake(r->services->flow), &order, body, len);
    text_free(&plain); /* r is not ours any more */
}

static void ping(http_request *r)
{
    http_header(r, VERSION_HEADER, "penstock");
    http_answer(r, 204, NULL, NULL);
}

static void health(http_request *r)
{
    status st = {0};
    text body = {0};
    bool ready = flow_ready(r->services->flow, &st);
    const char *message = ready ? "ready for writes" : st.text;
    text_add(&body, "{\"name\":\"penstock\",\"message\":");
    text_add_json_string(&body, message, strlen(message));
    text_printf(&body, ",\"status\":\"%s\",\"version\":\"%s\"}\n", ready ? "pass" : "fail",
                r->services->version ? r->services->version : "");
    http_header(r, VERSION_HEADER, "penstock");
    http_answer(r, ready ? 200 : 503, "application/json", &body);
}

/* ---- the table ---- */

#define ANY_TYPE "text/plain,application/octet-stream,application/x-www-form-urlencoded,*/*"

static const route_parameter write_parameters[] = {
    {"bucket", NULL, "The workspace: its key or ws_ id"},
    {"org", NULL, "Not looked at"},
    {"precision", "{\"enum\":[\"ns\",\"us\",\"ms\",\"s\"],\"default\":\"ns\"}", "Unit of the times"},
};

#define HEALTH_SCHEMA                                                                                       \
    "{\"type\":\"object\",\"required\":[\"name\",\"message\",\"status\"],\"properties\":{\"name\":{"        \
    "\"type\":"                                                                                             \
    "\"string\"},\"message\":{\"type\":\"string\"},\"status\":{\"enum\":[\"pass\",\"fail\"]},\"version\":{" \
    "\"type\":\"string\"}}}"

static const route table[] = {
    {.method = HTTP_POST,
     .path = "/api/v2/write",
     .name = "influx_write",
     .tag = "rows",
     .summary = "Rows in line protocol for several datastores, as InfluxDB's clients send them",
     .description = "The bucket is the workspace, each measurement a datastore, tags and fields its columns. "
                    "204 when every "
                    "line is durable; 400 with the first bad line when some were refused: those are kept as "
                    "dead letters "
                    "(without a store of that name under _unknown), the others were taken. A key is taken as "
                    "`Authorization: Token psk_…`; stores that it may not write to count as unknown.",
     .flags = ROUTE_ROWS | ROUTE_ANY_KEY,
     .verb = VERB_WRITE,
     .reference = "datastore:*",
     .where = ROUTE_ON_LANE,
     .body_limit = ROW_REQUEST_BYTES,
     .request_types = ANY_TYPE,
     .request_schema = "{\"type\":\"string\"}",
     .success = 204,
     .parameters = write_parameters,
     .n_parameters = sizeof write_parameters / sizeof *write_parameters,
     .handler = write_lines},
    {.method = HTTP_GET,
     .path = "/ping",
     .name = "influx_ping",
     .tag = "about",
     .summary = "The process runs, as InfluxDB's clients ask",
     .success = 204,
     .handler = ping},
    {.method = HTTP_GET,
     .path = "/health",
     .name = "influx_health",
     .tag = "about",
     .summary = "Rows can be taken, as InfluxDB's clients ask (503 when not)",
     .response_schema = HEALTH_SCHEMA,
     .success = 200,
     .handler = health},
};

void routes_influx(route_table *t)
{
    route_table_add(t, table, sizeof table / sizeof *table);
}
