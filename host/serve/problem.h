/* Errors as application/problem+json (RFC 9457): type (a page of the docs), title, status, detail, instance,
 * request_id, hint, limit{name, value, set_by} where one was met, and errors[{pointer, code, detail}]. Every
 * refusal of the API goes through here. [any thread] */
#ifndef PENSTOCK_SERVE_PROBLEM_H
#define PENSTOCK_SERVE_PROBLEM_H
#include "base/limit.h"
#include "base/status.h"
#include "serve/http.h"

#define PROBLEM_TYPE_BASE "https://penstock.dev/problems/"

typedef struct problem_error {
    const char *pointer, *code, *detail; /* copied */
} problem_error;

/* 400 INVALID (malformed), 404, 409, 403, 429, 503 …; STATUS_INTERNAL shows no text of ours, only the request
 * id. */
int problem_status(status_class class);
/* Answers with what went wrong: the mapping above; `where` becomes errors[0].pointer, or the limit that it
 * names (base/limit.h), `hint` the hint. */
void problem_answer(http_request *r, const status *st);
/* The same with another HTTP status, e.g. 422 for what was understood and is wrong, 412, 428. */
void problem_answer_as(http_request *r, int http_status, const status *st);
__attribute__((format(printf, 3, 4))) void problem_answer_text(http_request *r, int http_status,
                                                               const char *fmt, ...);
void problem_answer_errors(http_request *r, int http_status, const status *st, const problem_error *errors,
                           size_t n_errors);
/* The path for logs and problems: the token of a hook is a secret. */
const char *problem_path(const http_request *r);
#endif
