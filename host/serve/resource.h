/* What the handlers of resources have in common: the workspace's plan, JSON bodies in, objects and lists out,
 * times in parameters. Functions that return false or NULL have answered with a problem; functions that
 * answer take the document's reference. On lanes. */
#ifndef PENSTOCK_SERVE_RESOURCE_H
#define PENSTOCK_SERVE_RESOURCE_H
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "flow/plan.h"
#include "serve/http.h"
#include "serve/services.h"

#define RESOURCE_DEPTH_MAX 64

/* The plan of {ws}, retained; 404 when the workspace does not run here. */
const flow_plan *resource_plan(http_request *r);
/* {param} names no object of that class: answers 404 with the nearest key of the list. */
void resource_missing(http_request *r, const char *what, const char *key);

/* The body as JSON object. 400 with line:column when it is none. */
json_t *resource_body(http_request *r);
/* A text member: `*out` NULL when absent and not `needed`. 422 with its pointer. */
bool resource_text(http_request *r, const json_t *body, const char *name, bool needed, const char **out);
/* 422 with pointer, code and sentence. */
__attribute__((format(printf, 3, 4))) void resource_refuse(http_request *r, const char *pointer,
                                                           const char *fmt, ...);

/* ?name=: RFC 3339 or relative to now; *us_out 0 when absent. 400. */
bool resource_time(http_request *r, const char *name, int64_t *us_out);
json_t *resource_time_json(int64_t us); /* RFC 3339 text; null for 0 */

/* What was refused by the control plane: 422 for bad input, else as its class says. `prefix` (may be "") goes
 * before its pointer. */
void resource_failed(http_request *r, const char *prefix, const status *st);

/* One object; a GET gets an ETag and If-None-Match. */
void resource_answer(http_request *r, int http_status, json_t *document);
/* The ETag that resource_answer gives a document; it is only looked at. */
void resource_tag(const json_t *document, char out[32]);
/* {items, next} of a page that was cut by whoever made it; `last` is the text that page_request.after brings
 * back, NULL at the end. */
void resource_page(http_request *r, json_t *items, const char *last);
/* {items, next}: those items that ?filter[member]=text lets pass, one page of them. `key` is the member that
 * tells items apart: the cursor is its text. */
void resource_list(http_request *r, json_t *items, const char *key);

/* A row of one of our own tables as an object: integers, times and texts by the columns' names. */
json_t *resource_row_json(const rows *found, uint32_t row);
json_t *resource_rows_json(const rows *found, uint32_t n);

/* Who does it, for the audit. */
const char *resource_actor(const http_request *r);
/* What was done to the workspace, in its audit; `detail` is taken over. A failure is logged, since it is
 * done. */
void resource_audit(http_request *r, const char *verb, const char *object, json_t *detail);
/* A connection of the control plane's service login; give it back with pool_return. 503. */
connection *resource_control(http_request *r);
connection *resource_data(http_request *r);

/* Schema texts that several tables use. */
#define RESOURCE_LIST_SCHEMA(item)                                                                          \
    "{\"type\":\"object\",\"required\":[\"items\",\"next\"],\"properties\":{\"items\":{\"type\":\"array\"," \
    "\"items\":" item "},\"next\":{\"type\":[\"string\",\"null\"]}}}"
#define RESOURCE_TEXT "{\"type\":\"string\"}"
#define RESOURCE_TEXT_OR_NULL "{\"type\":[\"string\",\"null\"]}"
#define RESOURCE_TIME_OR_NULL "{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"}"
#define RESOURCE_INTEGER "{\"type\":\"integer\"}"
#define RESOURCE_INTEGER_OR_NULL "{\"type\":[\"integer\",\"null\"]}"
#endif
