/* GET …/datastores/{k}/events: the rows of a store as they are committed, as Server-Sent Events.
 *
 * The handler opens the watch, reads what lies behind Last-Event-ID out of the table page by page (the watch
 * keeps what comes meanwhile), and leaves the stream to the live hub. A client that does not keep up gets an
 * event `end` with the reason and comes back with the last id it has. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "flow/live.h"
#include "serve/auth.h"
#include "serve/problem.h"
#include "serve/resource.h"
#include "serve/resources.h"
#include "serve/result.h"

enum {
    PAGE = 2000,
    PAST_MAX = 100000,                           /* rows that a return may lie back */
    STREAM_FULL = HTTP_STREAM_OFFER_ROOM - 1024, /* the rest is for the last event */
    CHOICES_MAX = 64,                            /* columns, filters */
};

/* ---- the stream ---- */

static void say_end(http_stream *s, const char *why)
{
    char event[128];
    int n = snprintf(event, sizeof event, "event: end\ndata: {\"reason\":\"%s\"}\n\n", why);
    http_stream_offer(s, event, (size_t)n);
    http_stream_end(s, true);
}

static bool on_events(void *arg, const char *events, size_t len)
{
    http_stream *s = arg;
    if (http_stream_waiting(s) + len <= STREAM_FULL)
        return http_stream_offer(s, events, len);
    static const char slow[] = "event: end\ndata: {\"reason\":\"too_slow\"}\n\n";
    http_stream_offer(s, slow, sizeof slow - 1);
    return false;
}

/* Without a reason it was said already, or nobody is there to hear it. */
static void on_end(void *arg, const char *why)
{
    if (why)
        say_end(arg, why);
    else
        http_stream_end(arg, true);
}

/* ---- the request ---- */

typedef struct live_request {
    live_wish wish;
    const char *columns[CHOICES_MAX];
    live_filter filters[CHOICES_MAX];
    uint64_t since; /* 0 = from now on */
} live_request;

static bool has_column(const datastore_plan *d, const char *name)
{
    for (const char *at = d->names; at < d->names + d->names_len; at += strlen(at) + 1)
        if (strcmp(at, name) == 0)
            return true;
    return false;
}

static bool add_column(http_request *r, const datastore_plan *d, live_request *out, const char *name)
{
    if (!has_column(d, name) || out->wish.n_columns == CHOICES_MAX) {
        problem_answer_text(r, 400, "columns: the store has no column %.80s, or more than %d were named",
                            name, CHOICES_MAX);
        return false;
    }
    out->columns[out->wish.n_columns++] = name;
    return true;
}

static bool read_columns(http_request *r, const datastore_plan *d, live_request *out)
{
    const char *given = http_request_query(r, "columns");
    char *rest = arena_string(r->arena, given ? given : ""), *name;
    while ((name = strsep(&rest, ",")))
        if (*name && !add_column(r, d, out, name))
            return false;
    return true;
}

static bool read_filters(http_request *r, const datastore_plan *d, live_request *out)
{
    for (unsigned i = 0; i < r->n_query; i++) {
        const char *name = r->query[i].name;
        size_t len = strlen(name);
        if (strncmp(name, "filter[", 7) != 0 || name[len - 1] != ']')
            continue;
        const char *column = arena_string_n(r->arena, name + 7, len - 8);
        if (!has_column(d, column) || out->wish.n_filters == CHOICES_MAX) {
            problem_answer_text(r, 400, "filter: the store has no column %.80s", column);
            return false;
        }
        out->filters[out->wish.n_filters++] = (live_filter){column, r->query[i].value};
    }
    return true;
}

static bool read_since(http_request *r, uint64_t *out)
{
    const char *given = http_request_header(r, "Last-Event-ID");
    char *end;
    if (!given || !*given)
        given = http_request_query(r, "after");
    *out = 0;
    if (!given || !*given)
        return true;
    unsigned long long id = strtoull(given, &end, 10);
    if (*end || given[0] < '0' || given[0] > '9' || id > INT64_MAX) {
        problem_answer_text(r, 400, "Last-Event-ID is the id of an event, or a row's _seq");
        return false;
    }
    *out = id;
    return true;
}

static bool read_wish(http_request *r, live_request *out)
{
    const char *key = http_request_param(r, "k");
    const flow_plan *plan = resource_plan(r);
    if (!plan)
        return false;
    const datastore_plan *d = flow_plan_datastore(plan, key);
    bool fine = d && read_columns(r, d, out) && read_filters(r, d, out) && read_since(r, &out->since);
    if (!d)
        resource_missing(r, "datastore", key);
    flow_plan_release(plan);
    out->wish.wid = (int32_t)r->wid;
    out->wish.store = key;
    out->wish.owner = r->who ? r->who->id : "";
    out->wish.columns = out->columns;
    out->wish.filters = out->filters;
    return fine;
}

/* ---- the past ---- */

/* NULL: it was read and sent; else why not. */
static const char *send_past(flow *f, const live_watch *w, http_stream *s, int32_t wid, const char *store,
                             uint64_t since)
{
    text events = {0};
    const char *why = NULL;
    uint64_t rows = 0, last = since;
    uint32_t n = PAGE;
    while (!why && n == PAGE) {
        metric_result page = {0};
        status st;
        arena *a = arena_create(0);
        text_clear(&events);
        n = 0;
        if (flow_store_since(f, wid, store, since, PAGE, a, &page, &last, &st) != STATUS_OK) {
            log_status(LOG_LEVEL_WARN, "live", "the past of a live view cannot be read", &st);
            why = "unavailable";
        } else {
            n = page.rows.n_rows;
            live_events(w, &page, &events);
            metric_result_free(&page);
        }
        rows += n;
        since = last;
        if (!why && rows > PAST_MAX)
            why = "too_far_behind";
        else if (!why && events.len && !http_stream_write(s, events.data, events.len))
            why = "gone";
        arena_free(a);
    }
    text_free(&events);
    return why;
}

static void go_live(live_watch *w, http_stream *s)
{
    text events = {0};
    while (live_take(w, &events))
        if (!http_stream_write(s, events.data, events.len)) {
            live_cancel(w, NULL);
            break;
        }
    text_free(&events);
}

static void follow(http_request *r)
{
    live_request wanted = {.since = 0};
    live_watch *w;
    status st;
    flow *f = r->services->flow;
    if (!read_wish(r, &wanted))
        return;
    if (wanted.since && !result_export_begin()) {
        problem_answer_text(r, 429, "%d exports run already", RESULT_EXPORTS_MAX);
        return;
    }
    char *store = memory_string(wanted.wish.store);
    wanted.wish.send = on_events;
    wanted.wish.end = on_end;
    if (live_open(flow_live(f), &wanted.wish, &w, &st) != STATUS_OK) {
        problem_answer(r, &st);
    } else {
        static const char hello[] = "retry: 3000\n: live\n\n";
        http_header(r, "Cache-Control", "no-store");
        http_header(r, "X-Accel-Buffering", "no");
        int32_t wid = (int32_t)r->wid;
        http_stream *s = http_answer_stream(r, 200, "text/event-stream"); /* r is not ours any more */
        live_attach(w, s);
        http_stream_write(s, hello, sizeof hello - 1);
        const char *why = wanted.since ? send_past(f, w, s, wid, store, wanted.since) : NULL;
        if (why)
            live_cancel(w, why);
        else
            go_live(w, s);
    }
    if (wanted.since)
        result_export_end();
    free(store);
}

/* ---- the table ---- */

static const route_parameter parameters[] = {
    {"columns", NULL, "Only these, separated by commas (and _seq, _received)"},
    {"filter[column]", NULL, "Only rows whose column has this text"},
    {"after", NULL, "As Last-Event-ID, for clients that cannot send it"},
};

static const route table[] = {
    {.method = HTTP_GET,
     .path = "/api/v1/workspaces/{ws}/datastores/{k}/events",
     .name = "datastore_events",
     .tag = "rows",
     .summary = "New rows of a datastore as they are committed",
     .description = "Server-Sent Events: `row` with the row as JSON object, `_seq` and `_received` in it. "
                    "The id of an event is "
                    "the _seq up to which nothing is still to come; with it as Last-Event-ID everything "
                    "since is sent first. A "
                    "row may come twice, its _seq tells. `end` says why the stream is over: too_slow, "
                    "too_far_behind (read the "
                    "rows instead), restarted, stopped, unavailable.",
     .verb = VERB_READ,
     .reference = "datastore:{k}",
     .where = ROUTE_ON_LANE,
     .response_types = "text/event-stream",
     .response_schema = "{\"type\":\"string\"}",
     .success = 200,
     .parameters = parameters,
     .n_parameters = sizeof parameters / sizeof *parameters,
     .handler = follow},
};

void routes_live(route_table *t)
{
    route_table_add(t, table, sizeof table / sizeof *table);
}
