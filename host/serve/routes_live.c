/* GET …/{datastores,featurestores,inferencestores}/{k}/events: the rows of a store as they are committed, as
 * Server-Sent Events.
 *
 * The handler opens the watch, reads what lies behind Last-Event-ID out of the table page by page (the watch
 * keeps what comes meanwhile), and leaves the stream to the live hub. A client that does not keep up gets an
 * event `end` with the reason and comes back with the last id it has. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "flow/live_stage.h"
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
    object_class class;
    char store[LIVE_STORE_SIZE]; /* as the hub knows it */
    const char *columns[CHOICES_MAX];
    live_filter filters[CHOICES_MAX];
    const char *last; /* the id that is come back with; NULL = from now on */
    uint64_t since;   /* the same of a datastore */
} live_request;

static bool has_column(const store_table *t, const char *name)
{
    for (uint32_t i = 0; i < t->n_columns; i++)
        if (strcmp(t->columns[i].name, name) == 0)
            return true;
    return t->has_extra && strcmp(name, "_extra") == 0;
}

static bool add_column(http_request *r, const store_table *t, live_request *out, const char *name)
{
    if (!has_column(t, name) || out->wish.n_columns == CHOICES_MAX) {
        problem_answer_text(r, 400, "columns: the store has no column %.80s, or more than %d were named",
                            name, CHOICES_MAX);
        return false;
    }
    out->columns[out->wish.n_columns++] = name;
    return true;
}

static bool read_columns(http_request *r, const store_table *t, live_request *out)
{
    const char *given = http_request_query(r, "columns");
    char *rest = arena_string(r->arena, given ? given : ""), *name;
    while ((name = strsep(&rest, ",")))
        if (*name && !add_column(r, t, out, name))
            return false;
    return true;
}

static bool read_filters(http_request *r, const store_table *t, live_request *out)
{
    for (unsigned i = 0; i < r->n_query; i++) {
        const char *name = r->query[i].name;
        size_t len = strlen(name);
        if (strncmp(name, "filter[", 7) != 0 || name[len - 1] != ']')
            continue;
        const char *column = arena_string_n(r->arena, name + 7, len - 8);
        if (!has_column(t, column) || out->wish.n_filters == CHOICES_MAX) {
            problem_answer_text(r, 400, "filter: the store has no column %.80s", column);
            return false;
        }
        out->filters[out->wish.n_filters++] = (live_filter){column, r->query[i].value};
    }
    return true;
}

static bool read_since(http_request *r, live_request *out)
{
    const char *given = http_request_header(r, "Last-Event-ID");
    char *end;
    if (!given || !*given)
        given = http_request_query(r, "after");
    if (!given || !*given)
        return true;
    out->last = given;
    if (out->class != CLASS_DATASTORE) {
        if (!live_stage_is_id(given))
            problem_answer_text(r, 400, "Last-Event-ID is the id of an event of this stream");
        return live_stage_is_id(given);
    }
    unsigned long long id = strtoull(given, &end, 10);
    if (*end || given[0] < '0' || given[0] > '9' || id > INT64_MAX) {
        problem_answer_text(r, 400, "Last-Event-ID is the id of an event, or a row's _seq");
        return false;
    }
    out->since = id;
    if (id == 0)
        out->last = NULL;
    return true;
}

static bool read_wish(http_request *r, live_request *out)
{
    const char *key = http_request_param(r, "k");
    const flow_plan *plan = resource_plan(r);
    if (!plan)
        return false;
    const store_table *t = flow_plan_table(plan, out->class, key);
    bool fine = t && read_columns(r, t, out) && read_filters(r, t, out) && read_since(r, out);
    if (!t)
        resource_missing(r, class_name(out->class), key);
    else if (out->class == CLASS_DATASTORE)
        snprintf(out->store, sizeof out->store, "%s", key);
    else
        live_stage_name(out->store, t);
    flow_plan_release(plan);
    out->wish.wid = (int32_t)r->wid;
    out->wish.store = out->store;
    out->wish.owner = r->who ? r->who->id : "";
    out->wish.columns = out->columns;
    out->wish.filters = out->filters;
    return fine;
}

/* ---- the past ---- */

/* What a stream needs once the request is not ours any more. */
typedef struct past {
    flow *flow;
    const live_watch *watch;
    http_stream *stream;
    int32_t wid;
    object_class class;
    char *key, *last; /* last NULL = from now on */
    uint64_t since;   /* of a datastore */
    live_place place; /* of the others */
    const char *after;
    bool whole; /* it was the last page */
} past;

/* The next page, into an arena of its own: the cursor outlives it. */
static status_class read_page(past *p, arena *a, metric_result *page, status *st)
{
    status_class class;
    if (p->class == CLASS_DATASTORE) {
        class = flow_store_since(p->flow, p->wid, p->key, p->since, PAGE, a, page, &p->since, st);
        p->whole = page->rows.n_rows < PAGE;
        return class;
    }
    store_query q = {.class = p->class,
                     .key = p->key,
                     .limit = PAGE,
                     .after = p->after,
                     .system = true,
                     .since = p->place.whole ? NULL : p->place.since};
    class = flow_store_rows(p->flow, p->wid, &q, a, page, &p->after, st);
    p->whole = !p->after;
    return class;
}

/* NULL: it was read and sent; else why not. */
static const char *send_rows(past *p)
{
    text events = {0};
    const char *why = NULL;
    uint64_t rows = 0;
    arena *last = NULL; /* holds the cursor */
    while (!why && !p->whole) {
        metric_result page = {0};
        status st;
        arena *a = arena_create(0);
        text_clear(&events);
        if (read_page(p, a, &page, &st) != STATUS_OK) {
            log_status(LOG_LEVEL_WARN, "live", "the past of a live view cannot be read", &st);
            why = "unavailable";
        } else {
            rows += page.rows.n_rows;
            live_events(p->watch, &page, &events);
            metric_result_free(&page);
        }
        if (!why && rows > PAST_MAX)
            why = "too_far_behind";
        else if (!why && events.len && !http_stream_write(p->stream, events.data, events.len))
            why = "gone";
        arena_free(last);
        last = a;
    }
    arena_free(last);
    text_free(&events);
    return why;
}

/* Of a store that is computed: where it is now, what is new since, and then the id of that place. */
static const char *send_computed(past *p)
{
    status st;
    char id[LIVE_ID_SIZE + 8];
    if (flow_store_place(p->flow, p->wid, p->class, p->key, p->last, &p->place, &st) != STATUS_OK) {
        log_status(LOG_LEVEL_WARN, "live", "the place of a live view cannot be read", &st);
        return "unavailable";
    }
    const char *why = p->last ? send_rows(p) : NULL;
    int n = snprintf(id, sizeof id, "id: %s\n\n", p->place.id);
    return why || http_stream_write(p->stream, id, (size_t)n) ? why : "gone";
}

static const char *send_past(past *p)
{
    if (p->class != CLASS_DATASTORE)
        return send_computed(p);
    return p->last ? send_rows(p) : NULL;
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

/* The stream of a watch that was opened; the request is not ours any more. */
static void stream(past *p, live_watch *w, http_stream *s)
{
    static const char hello[] = "retry: 3000\n: live\n\n";
    p->watch = w;
    p->stream = s;
    live_attach(w, s);
    http_stream_write(s, hello, sizeof hello - 1);
    const char *why = send_past(p);
    if (why)
        live_cancel(w, why);
    else
        go_live(w, s);
}

static void follow(http_request *r)
{
    live_request wanted = {.class = *(const object_class *)r->route->data};
    live_watch *w;
    status st;
    if (!read_wish(r, &wanted))
        return;
    bool returns = wanted.last != NULL;
    if (returns && !result_export_begin()) {
        problem_answer_text(r, 429, "%d exports run already", RESULT_EXPORTS_MAX);
        return;
    }
    past p = {.flow = r->services->flow,
              .wid = (int32_t)r->wid,
              .class = wanted.class,
              .key = memory_string(http_request_param(r, "k")),
              .last = returns ? memory_string(wanted.last) : NULL,
              .since = wanted.since};
    wanted.wish.send = on_events;
    wanted.wish.end = on_end;
    if (live_open(flow_live(p.flow), &wanted.wish, &w, &st) != STATUS_OK) {
        problem_answer(r, &st);
    } else {
        http_header(r, "Cache-Control", "no-store");
        http_header(r, "X-Accel-Buffering", "no");
        stream(&p, w, http_answer_stream(r, 200, "text/event-stream"));
    }
    if (returns)
        result_export_end();
    free(p.key);
    free(p.last);
}

/* ---- the table ---- */

static const object_class classes[] = {CLASS_DATASTORE, CLASS_FEATURESTORE, CLASS_INFERENCESTORE};

static const route_parameter parameters[] = {
    {"columns", NULL, "Only these, separated by commas (and _seq, _received)"},
    {"filter[column]", NULL, "Only rows whose column has this text"},
    {"after", NULL, "As Last-Event-ID, for clients that cannot send it"},
};

#define ENDS                                                                                           \
    "`end` says why the stream is over: too_slow, too_far_behind (read the rows instead), restarted, " \
    "stopped, unavailable."
#define COMPUTED                                                                                             \
    "Server-Sent Events: `row` says what the row with this key is now. An id stands for what was committed " \
    "when it was given; with it as Last-Event-ID every row that was written since is sent first, in its "    \
    "newest form. A row may come more than once; rows that went away are not told. " ENDS

#define EVENTS_ROUTE(section, word, number, said, told)                                                     \
    {                                                                                                       \
        .method = HTTP_GET, .path = "/api/v1/workspaces/{ws}/" section "/{k}/events",                       \
        .name = word "_events", .tag = "rows", .summary = (said), .description = (told), .verb = VERB_READ, \
        .reference = word ":{k}", .where = ROUTE_ON_LANE, .response_types = "text/event-stream",            \
        .response_schema = "{\"type\":\"string\"}", .success = 200, .parameters = parameters,               \
        .n_parameters = sizeof parameters / sizeof *parameters, .data = &classes[number], .handler = follow \
    }

static const route table[] = {
    EVENTS_ROUTE("datastores", "datastore", 0, "New rows of a datastore as they are committed",
                 "Server-Sent Events: `row` with the row as JSON object, `_seq` and `_received` in it. "
                 "The id of an event is "
                 "the _seq up to which nothing is still to come; with it as Last-Event-ID everything "
                 "since is sent first. A "
                 "row may come twice, its _seq tells. " ENDS),
    EVENTS_ROUTE("featurestores", "featurestore", 1, "Rows of a featurestore as they are computed", COMPUTED),
    EVENTS_ROUTE("inferencestores", "inferencestore", 2, "Rows of an inferencestore as they are scored",
                 COMPUTED),
};

void routes_live(route_table *t)
{
    route_table_add(t, table, sizeof table / sizeof *table);
}
