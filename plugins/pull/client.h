/* One question to a server over HTTP and its answer, as every connector that pulls needs it: the provider's
 * rate (penstock.limit), headers and credential (login.h), TLS and proxy (trust.h), redirects, conditional
 * requests, limits of time and bytes, errors that say what to try. Reads these settings of the connector:
 *
 *   url, headers, auth, tls, proxy, redirect_to, rate, timeout_ms, max_answer_bytes
 *
 * The credential goes to the origin of `url` only; other origins are asked when redirect_to names them. One
 * thread. */
#ifndef PULL_CLIENT_H
#define PULL_CLIENT_H
#include "login.h"
#include "transport.h"
#include "url.h"
#include "wording.h"

enum { PULL_ETAG_MAX = 200, PULL_PLACE_MAX = 200, PULL_ORIGIN_MAX = 300 };

typedef struct pull_request {
    const char *url;
    const char *body, *type;  /* posted; NULL = GET */
    size_t body_len;          /* 0 = up to its NUL */
    const pst_field *headers; /* beside those that are configured; not sent to other origins */
    size_t n_headers;
    const char *method; /* instead of GET or POST, or NULL */
    bool as_it_is;      /* dots in the path stay, and nothing is unpacked */
    void (*on_line)(void *arg, const char *line, size_t len); /* each header line of the answer, or NULL */
    void *arg;
    const char *etag, *modified; /* of the answer that is known already, or NULL */
    const char *user, *password; /* sent as basic authorization, or NULL */
    bool bare;                   /* without the configured headers and credential */
} pull_request;

typedef struct pull_answer { /* lives until the next question */
    long status;             /* 2xx, or 304 if etag or modified were given; 0 = none */
    transport_body body;
    char etag[PULL_ETAG_MAX], modified[64];
    char link[PULL_URL_MAX];    /* the Link headers, joined */
    char url[PULL_URL_MAX];     /* where it came from, after redirects */
    char place[PULL_PLACE_MAX]; /* the same for messages: no query, no user */
} pull_answer;

typedef struct pull_client {
    const pst_host *host;
    transport t;
    login login;
    pst_rate rate;
    char provider[128], home[PULL_ORIGIN_MAX];
    char trouble[PST_HEALTH_TEXT_MAX];
    const pst_call *call;       /* of the question that runs */
    const pull_request *asking; /* that one */
    bool waits;                 /* and people have been told */
    pull_answer answer;
} pull_client;

/* Checks the settings; no I/O. pull_close also after a failure; zeroed is fine. */
pst_status pull_open(pull_client *c, const pst_host *host, pst_error *error);
void pull_close(pull_client *c);
/* Ends connections; certificates and files are fetched again by the next question. */
void pull_rest(pull_client *c);

/* Asks; answers are in c->answer, also those that are a failure (then its status is set). A refused token is
 * renewed once. PST_E_UNAVAILABLE with retry_after_ms: the far side, or the rate, says when. */
pst_status pull_ask(pull_client *c, const pst_call *call, const pull_request *r, pst_error *error);
/* Posts rows: pull_ask, but what the far side does not take (400, 409, 413, 415, 422) is PST_E_DATA: it comes
 * again in halves. */
pst_status pull_post(pull_client *c, const pst_call *call, const pull_request *r, pst_error *error);
/* One transfer, nothing followed and nothing judged: for login.c. */
pst_status pull_exchange(pull_client *c, const pst_call *call, const pull_request *r, pst_error *error);
/* What the status of the answer means. */
pst_status pull_judge(const pull_client *c, pst_error *error);
/* PST_E_CONFIG: neither the origin of `url` nor named by redirect_to. */
pst_status pull_allowed(const pull_client *c, const char *url, bool *home_out, pst_error *error);
/* The value of the header `name` ("etag:"), if `line` is that one and it fits; with `join` behind a comma. */
void pull_take(const char *line, size_t len, const char *name, char *out, size_t cap, bool join);
/* What people should know while it works; "" = nothing. */
void pull_tell(pull_client *c, const pst_call *call, const char *text);
#endif
