/* A small client of Penstock's REST API over libcurl: one request at a time, JSON in and out, problems as
 * statuses.
 *
 * One thread. Responses are the caller's, released with answer_release. Secrets never reach the debug output.
 */
#ifndef PENSTOCK_CLI_CLIENT_H
#define PENSTOCK_CLI_CLIENT_H
#include <jansson.h>
#include <stdbool.h>

#include "base/status.h"
#include "base/text.h"
#include "command.h"

#define CLIENT_BODY_MAX (256U << 20) /* of an answer */
#define CLIENT_TRIES_MAX 6           /* of a request that the server is too busy for */

typedef struct client client;

typedef struct request {
    const char *method, *path; /* path from "/api/v1/…"; segments escaped by the caller (path_make) */
    const json_t *json;        /* body; or: */
    const char *body, *type;
    size_t len;
    const char *if_match;
    const char *accept;  /* NULL = JSON */
    bool once;           /* creates or triggers: carries an Idempotency-Key */
    bool busy_is_answer; /* no second try on 429 and 503 (readyz, doctor) */
} request;

typedef struct answer {
    long http;
    text body;
    json_t *json; /* NULL if the body is not JSON */
    char etag[128], location[512], request_id[64];
} answer;

client *client_create(const char *url, const char *key, long timeout_s, bool debug, status *st);
void client_free(client *c);
/* STATUS_OK for 2xx. Otherwise the class of the problem: text, place and hint are the server's; the answer is
 * filled too if there was one. STATUS_UNAVAILABLE if nobody answers, STATUS_TIMEOUT if too late. */
status_class client_call(client *c, const request *r, answer *ret, status *st);
void answer_release(answer *a);

/* The invocation's client, made on first use from its context. */
client *client_of(invocation *inv, status *st);
/* "/api/v1" + `template` with {ws} and {0}, {1} … put in, escaped. False + status if no workspace is named.
 */
status_class path_make(invocation *inv, const char *template, text *out, status *st);
void path_escape(text *out, const char *segment);
#endif
