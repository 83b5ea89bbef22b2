/* Builds the JSON by hand: errors must not fail for want of a library. */
#include "serve/problem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

typedef struct kind {
    int status;
    const char *name, *title;
} kind;

enum { KIND_INTERNAL = 19 }; /* its row below */
static const kind kinds[] = {
    {400, "malformed", "The request is malformed"},
    {401, "unauthenticated", "A valid key is needed"},
    {403, "forbidden", "The key does not allow this"},
    {404, "not-found", "There is no such thing here"},
    {405, "method-not-allowed", "This path does not take this method"},
    {406, "not-acceptable", "No offered format is acceptable"},
    {408, "timeout", "The request took too long"},
    {409, "conflict", "The state does not allow this"},
    {410, "gone", "This is gone"},
    {411, "length-required", "A Content-Length is needed"},
    {412, "precondition-failed", "The object has changed"},
    {413, "too-large", "The body is too large"},
    {414, "uri-too-long", "The address is too long"},
    {415, "unsupported-media-type", "This body format is not taken here"},
    {417, "expectation-failed", "This expectation cannot be met"},
    {422, "invalid", "The request is understood and wrong"},
    {428, "precondition-required", "A precondition is needed"},
    {429, "limit", "A limit is reached"},
    {431, "headers-too-large", "The headers are too large"},
    {500, "internal", "Something went wrong here"},
    {501, "not-implemented", "This is not offered"},
    {503, "unavailable", "Not available now"},
    {504, "upstream-timeout", "It took too long"},
};

static const kind *kind_of(int status)
{
    const kind *found = &kinds[KIND_INTERNAL];
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].status == status)
            found = &kinds[i];
    return found;
}

int problem_status(status_class class)
{
    switch (class) {
    case STATUS_INVALID:
        return 400;
    case STATUS_NOT_FOUND:
        return 404;
    case STATUS_CONFLICT:
        return 409;
    case STATUS_DENIED:
        return 403;
    case STATUS_LIMIT:
        return 429;
    case STATUS_UNAVAILABLE:
    case STATUS_CANCELLED:
        return 503;
    case STATUS_TIMEOUT:
        return 504;
    case STATUS_UNSUPPORTED:
        return 501;
    default:
        return 500;
    }
}

static void add_member(text *out, const char *name, const char *value)
{
    if (!value || !*value)
        return;
    text_printf(out, ",\"%s\":", name);
    text_add_json_string(out, value, strlen(value));
}

/* InfluxDB's clients look for a code and a message. */
#define INFLUX_PREFIX "/api/v2/"
#define HOOKS_PREFIX "/hooks/"

static const char *influx_code(int http_status)
{
    switch (http_status) {
    case 401:
        return "unauthorized";
    case 403:
        return "forbidden";
    case 404:
        return "not found";
    case 409:
        return "conflict";
    case 413:
        return "request too large";
    case 429:
        return "too many requests";
    case 503:
        return "unavailable";
    default:
        return http_status < 500 ? "invalid" : "internal error";
    }
}

static void add_errors(text *out, const problem_error *errors, size_t n)
{
    text_add(out, ",\"errors\":[");
    for (size_t i = 0; i < n; i++) {
        const char *pointer = errors[i].pointer ? errors[i].pointer : "";
        text_add(out, i ? ",{\"pointer\":" : "{\"pointer\":");
        text_add_json_string(out, pointer, strlen(pointer));
        add_member(out, "code", errors[i].code);
        add_member(out, "detail", errors[i].detail);
        text_add_char(out, '}');
    }
    text_add_char(out, ']');
}

const char *problem_path(const http_request *r)
{
    bool hook = r->path && strncmp(r->path, HOOKS_PREFIX, sizeof HOOKS_PREFIX - 1) == 0;
    return hook ? HOOKS_PREFIX "…" : r->path;
}

static void add_limit(text *out, const limit *l)
{
    text_printf(out, ",\"limit\":{\"name\":\"%s\",\"value\":%" PRIu64 ",\"set_by\":\"%s\"}", l->name,
                l->value, l->set_by);
}

static void add_body(text *out, const http_request *r, int http_status, const char *detail, const char *hint)
{
    const kind *k = kind_of(http_status);
    text_printf(out, "{\"type\":\"" PROBLEM_TYPE_BASE "%s\",\"title\":\"%s\",\"status\":%d", k->name,
                k->title, http_status);
    add_member(out, "detail", detail);
    add_member(out, "instance", problem_path(r));
    add_member(out, "request_id", r->id);
    add_member(out, "hint", hint);
    if (r->path && strncmp(r->path, INFLUX_PREFIX, sizeof INFLUX_PREFIX - 1) == 0) {
        add_member(out, "code", influx_code(http_status));
        add_member(out, "message", detail);
    }
}

/* Seconds until it makes sense to try again. */
static void add_retry(http_request *r, int http_status, const limit *l)
{
    unsigned usual = http_status == 429 ? 1 : 5;
    if (http_status == 429 || http_status == 503)
        http_header_printf(r, "Retry-After", "%u", l->retry_s ? l->retry_s : usual);
}

void problem_answer_errors(http_request *r, int http_status, const status *st, const problem_error *errors,
                           size_t n_errors)
{
    text body = {0};
    limit met;
    bool limited = limit_get(st, &met);
    bool ours =
        st->class == STATUS_INTERNAL; /* may tell of our insides: it stands in the log under the request id */
    add_body(&body, r, http_status,
             ours ? "an internal error; the log has more under this request_id" : st->text,
             ours ? NULL : st->hint);
    if (limited)
        add_limit(&body, &met);
    if (n_errors)
        add_errors(&body, errors, n_errors);
    text_add(&body, "}\n");
    add_retry(r, http_status, &met);
    http_header(r, "Cache-Control", "no-store");
    http_answer(r, http_status, "application/problem+json", &body);
}

void problem_answer_as(http_request *r, int http_status, const status *st)
{
    limit met;
    problem_error one = {.pointer = st->where, .code = status_class_name(st->class), .detail = st->text};
    problem_answer_errors(r, http_status, st, &one,
                          st->where[0] && st->class != STATUS_INTERNAL && !limit_get(st, &met));
}

void problem_answer(http_request *r, const status *st)
{
    problem_answer_as(r, problem_status(st->class), st);
}

void problem_answer_text(http_request *r, int http_status, const char *fmt, ...)
{
    status st = {.class = STATUS_INVALID};
    va_list args;
    va_start(args, fmt);
    vsnprintf(st.text, sizeof st.text, fmt, args);
    va_end(args);
    problem_answer_as(r, http_status, &st);
}
