/* Lists are made whole and cut here: what they show lies in memory (a definition has at most 5,000 objects)
 * or was bounded by its query. */
#include "serve/resource.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/name.h"
#include "base/utc.h"
#include "control/audit.h"
#include "control/relative_time.h"
#include "serve/auth.h"
#include "serve/document.h"
#include "serve/negotiate.h"
#include "serve/problem.h"

enum { BORROW_WAIT_MS = 5000 };

const flow_plan *resource_plan(http_request *r)
{
    const flow_plan *plan = flow_plan_of(r->services->flow, (int32_t)r->wid);
    if (!plan)
        problem_answer_text(r, 404, "the workspace does not run on this host");
    return plan;
}

void resource_missing(http_request *r, const char *what, const char *key)
{
    problem_answer_text(r, 404, "there is no %s %.80s in this workspace", what, key);
}

/* ---- in ---- */

/* jansson recurses as deep as the text nests; what is deeper than any document of ours is refused first. */
static bool too_deep(const char *s, size_t len)
{
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < len; i++) {
        if (in_string)
            in_string = s[i] != '"';
        else if (s[i] == '"')
            in_string = true;
        else if (s[i] == '[' || s[i] == '{')
            depth++;
        else if ((s[i] == ']' || s[i] == '}') && depth)
            depth--;
        if (in_string && s[i] == '\\')
            i++;
        if (depth > RESOURCE_DEPTH_MAX)
            return true;
    }
    return false;
}

json_t *resource_body(http_request *r)
{
    json_error_t error;
    char where[48];
    status st;
    if (too_deep(r->body, r->body_len)) {
        problem_answer_text(r, 400, "the body nests deeper than %d", RESOURCE_DEPTH_MAX);
        return NULL;
    }
    json_t *body = json_loadb(r->body, r->body_len, JSON_REJECT_DUPLICATES, &error);
    if (json_is_object(body))
        return body;
    if (body) {
        status_set(&st, STATUS_INVALID, "the body must be a JSON object");
    } else {
        snprintf(where, sizeof where, "%d:%d", error.line, error.column);
        status_at(&st, STATUS_INVALID, where, "the body is no JSON: line %d, column %d: %s", error.line,
                  error.column, error.text);
    }
    json_decref(body);
    problem_answer(r, &st);
    return NULL;
}

void resource_refuse(http_request *r, const char *pointer, const char *fmt, ...)
{
    status st = {.class = STATUS_INVALID};
    va_list args;
    va_start(args, fmt);
    vsnprintf(st.text, sizeof st.text, fmt, args);
    va_end(args);
    snprintf(st.where, sizeof st.where, "%s", pointer);
    problem_answer_as(r, 422, &st);
}

bool resource_text(http_request *r, const json_t *body, const char *name, bool needed, const char **out)
{
    const json_t *v = json_object_get(body, name);
    char pointer[80];
    snprintf(pointer, sizeof pointer, "/%s", name);
    *out = json_string_value(v);
    if (*out && strlen(*out) == json_string_length(v))
        return true;
    if (!needed && (!v || json_is_null(v)))
        return true;
    resource_refuse(r, pointer, v ? "%s must be a text without U+0000" : "%s must be given", name);
    return false;
}

bool resource_time(http_request *r, const char *name, int64_t *us_out)
{
    const char *given = http_request_query(r, name);
    *us_out = 0;
    if (!given || relative_time_parse(given, clock_wall_us(), us_out))
        return true;
    problem_answer_text(r, 400, "%s is a time: 2026-01-02T03:04:05Z, now, now-24h", name);
    return false;
}

/* ---- out ---- */

json_t *resource_time_json(int64_t us)
{
    char at[UTC_TEXT_SIZE];
    if (!us)
        return json_null();
    utc_format(us, at);
    return json_string(at);
}

static void write_answer(text *out, const json_t *document)
{
    document_write(out, document);
    text_add_char(out, '\n');
}

void resource_tag(const json_t *document, char out[32])
{
    text body = {0};
    write_answer(&body, document);
    etag_make(body.data, body.len, out);
    text_free(&body);
}

void resource_answer(http_request *r, int http_status, json_t *document)
{
    text body = {0};
    char tag[32];
    write_answer(&body, document);
    json_decref(document);
    etag_make(body.data, body.len, tag);
    bool plain_get = http_status == 200 && (r->method == HTTP_GET || r->method == HTTP_HEAD);
    if (!plain_get || !etag_unchanged(r, tag))
        http_answer(r, http_status, "application/json", &body);
    text_free(&body);
}

void resource_failed(http_request *r, const char *prefix, const status *st)
{
    status told = *st;
    if (st->class != STATUS_INVALID) {
        problem_answer(r, st);
        return;
    }
    if (st->where[0] == '/' || st->where[0] == '\0')
        snprintf(told.where, sizeof told.where, "%s%s", prefix, st->where);
    problem_answer_as(r, 422, &told);
}

static bool text_equals(const json_t *v, const char *wanted)
{
    text written = {0};
    if (json_is_string(v))
        return strcmp(json_string_value(v), wanted) == 0;
    document_write(&written, v);
    bool same = strcmp(text_or_empty(&written), wanted) == 0;
    text_free(&written);
    return same;
}

/* Every filter[member]=text of the query. A member that the item does not have is null. */
static bool item_passes(const http_request *r, const json_t *item)
{
    for (unsigned i = 0; i < r->n_query; i++) {
        const char *name = r->query[i].name;
        size_t len = strlen(name);
        if (len < 9 || strncmp(name, "filter[", 7) != 0 || name[len - 1] != ']')
            continue;
        const char *member = arena_string_n(r->arena, name + 7, len - 8);
        if (!text_equals(json_object_get(item, member), r->query[i].value))
            return false;
    }
    return true;
}

static const char *cursor_of(const http_request *r, const json_t *item, const char *key)
{
    text written = {0};
    const json_t *v = json_object_get(item, key);
    if (json_is_string(v))
        return json_string_value(v);
    document_write(&written, v);
    const char *kept = arena_string(r->arena, text_or_empty(&written));
    text_free(&written);
    return kept;
}

/* Number of the first item of the page; the size of the list when the cursor's item is gone. */
static size_t page_begin(const http_request *r, const json_t *items, const char *key, const char *after)
{
    if (!after)
        return 0;
    for (size_t i = 0; i < json_array_size(items); i++)
        if (strcmp(cursor_of(r, json_array_get(items, i), key), after) == 0)
            return i + 1;
    return SIZE_MAX;
}

void resource_list(http_request *r, json_t *items, const char *key)
{
    page_request page;
    text body = {0};
    if (!page_request_read(r, &page))
        goto end;
    size_t i = page_begin(r, items, key, page.after), n = json_array_size(items);
    if (i == SIZE_MAX) {
        problem_answer_text(r, 410, "the item that this cursor stands at is gone: begin the list again");
        goto end;
    }
    unsigned taken = 0;
    const json_t *last = NULL;
    text_add(&body, "{\"items\":[");
    for (; i < n && taken <= page.limit; i++) {
        json_t *item = json_array_get(items, i);
        if (!item_passes(r, item))
            continue;
        if (taken++ == page.limit)
            break;
        text_add(&body, last ? "," : "");
        document_write(&body, item);
        last = item;
    }
    text_add(&body, "],\"next\":");
    const char *next = taken > page.limit ? page_next(r, cursor_of(r, last, key)) : NULL;
    if (next)
        text_add_json_string(&body, next, strlen(next));
    text_add(&body, next ? "}\n" : "null}\n");
    http_answer(r, 200, "application/json", &body);
end:
    text_free(&body);
    json_decref(items);
}

void resource_page(http_request *r, json_t *items, const char *last)
{
    text body = {0};
    text_add(&body, "{\"items\":");
    document_write(&body, items);
    json_decref(items);
    text_add(&body, ",\"next\":");
    const char *next = last ? page_next(r, last) : NULL;
    if (next)
        text_add_json_string(&body, next, strlen(next));
    text_add(&body, next ? "}\n" : "null}\n");
    http_answer(r, 200, "application/json", &body);
}

/* ---- databases ---- */

const char *resource_actor(const http_request *r)
{
    return r->who ? r->who->id : "";
}

void resource_audit(http_request *r, const char *verb, const char *object, json_t *detail)
{
    status st;
    connection *c = resource_control(r);
    if (c && audit_add(c, (int32_t)r->wid, resource_actor(r), verb, object, detail, &st) != STATUS_OK)
        log_status(LOG_LEVEL_ERROR, "serve", "the audit has no record of what was done", &st);
    pool_return(r->services->control->control, c);
    json_decref(detail);
}

static connection *borrow(http_request *r, pool *p)
{
    connection *c = NULL;
    status st;
    if (pool_borrow(p, NULL, BORROW_WAIT_MS, &c, &st) == STATUS_OK)
        return c;
    if (st.class == STATUS_LIMIT)
        st.class = STATUS_UNAVAILABLE;
    problem_answer(r, &st);
    return NULL;
}

connection *resource_control(http_request *r)
{
    return borrow(r, r->services->control->control);
}

connection *resource_data(http_request *r)
{
    return borrow(r, r->services->control->data);
}

/* ---- rows of our own tables ---- */

json_t *resource_row_json(const rows *found, uint32_t row)
{
    json_t *v = json_object();
    for (uint32_t i = 0; i < rows_columns(found); i++) {
        json_t *cell;
        if (rows_null(found, row, i))
            cell = json_null();
        else if (rows_type(found, i) == COLUMN_INTEGER)
            cell = json_integer(rows_integer(found, row, i));
        else if (rows_type(found, i) == COLUMN_TIMESTAMP)
            cell = resource_time_json(rows_time_us(found, row, i));
        else
            cell = json_string(rows_text(found, row, i));
        json_object_set_new(v, rows_name(found, i), cell);
    }
    return v;
}

json_t *resource_rows_json(const rows *found, uint32_t n)
{
    json_t *items = json_array();
    for (uint32_t i = 0; i < n; i++)
        json_array_append_new(items, resource_row_json(found, i));
    return items;
}
