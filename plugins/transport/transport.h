/* What plugins share of libcurl: handles with safe settings, a transfer that obeys deadline and cancel, and
 * what an outcome means for retrying. Static library; each plugin has its own copy. One transfer at a time;
 * connections are kept for the next one. libcurl is loaded by the first transport_begin (late.h): nothing of
 * it is called before. */
#ifndef PLUGINS_TRANSPORT_H
#define PLUGINS_TRANSPORT_H
#include <curl/curl.h>

#include "penstock/batch.h"

typedef struct transport_body { /* an answer's body; data is the owner's to free, and used again */
    char *data;
    size_t len, cap, most; /* most: more bytes than that break the transfer off */
    bool too_long;
} transport_body;

typedef struct transport {
    CURL *curl;
    CURLM *multi;
    const pst_host *host;
    const char *verb;                                         /* for messages: "sending to" */
    transport_body *body;                                     /* NULL: the answer's body is of no use */
    void (*on_line)(void *arg, const char *line, size_t len); /* each header line of the answer, or NULL */
    void (*on_wait)(void *arg, int64_t waited_us);            /* about four times a second, or NULL */
    void *arg;
    long limit_ms;           /* of one transfer; 0 = what the call's deadline leaves */
    const char *detail;      /* CURLOPT_ERRORBUFFER, if it is set, or NULL */
    uint32_t retry_after_ms; /* of the answer's Retry-After, 0 = none */
    int refusals;            /* SMTP: answers of 4xx and 5xx seen */
    char refusal[200];       /* the last of them, printable */
} transport;

/* `protocols`: e.g. "http,https"; no redirects, certificates checked, no proxy or netrc from the environment.
 * `place`: for messages, e.g. the host's name; never a URL with its path, which may hold a token. */
pst_status transport_begin(transport *t, const pst_host *host, const char *protocols, pst_error *error);
void transport_end(transport *t); /* zeroed is fine */

/* Runs the transfer. PST_OK: there was an answer (its code is *answer_out); else what libcurl's failure
 * means. */
pst_status transport_run(transport *t, const pst_call *call, const char *place, long *answer_out,
                         pst_error *error);
/* What an HTTP answer means: 2xx OK, 429 and 5xx UNAVAILABLE with Retry-After, 401 and 403 AUTH, … */
pst_status transport_http_status(const transport *t, const char *place, long answer, pst_error *error);

/* Is the text free of control characters (CR and LF above all)? */
bool transport_is_line(const char *text);
#endif
