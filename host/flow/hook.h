/* A hook: what comes in from outside for one connector, request by request. The plugin judges a request and
 * hands over batches and an answer; the answer goes out after the batches are durable in the journal, so the
 * sender's "accepted" is ours.
 *
 * A body that kills the plugin is tried once more in a fresh cell; if that one dies too, the body is kept as
 * a dead letter and the sender is told 202, since sending it again could only do the same. Whenever nothing
 * was taken the answer is 429 or 503 with Retry-After. A request whose rows are for several stores is durable
 * store by store: after a refusal the sender sends all of it again.
 *
 * Requests of one hook run one after another on its lane; their answers wait for the journal side by side. */
#ifndef PENSTOCK_FLOW_HOOK_H
#define PENSTOCK_FLOW_HOOK_H
#include "flow/source.h"

#define HOOK_WAITING_MAX 256U  /* requests of one hook that are not answered yet */
#define HOOK_RATE_DEFAULT 100U /* requests a second of one hook; twice as many at once after a pause */

typedef struct hook hook;

typedef struct hook_answer { /* borrowed for the call */
    int http_status;
    const char *content_type; /* of the plugin: printable ASCII, "" = none */
    const char *body;
    size_t len;
    const status *refused; /* nothing, or not all, was taken: why; 429 or 503. NULL = the plugin's answer */
} hook_answer;
/* Once a request, on any thread; must not block. */
typedef void (*hook_done)(void *arg, const hook_answer *answer);

/* The plugin's instance is the hook's from now on, unless it is lent by a source of the same connector. */
hook *hook_create(const source_parts *parts, const defined_connector *defined, bool lent,
                  unsigned per_second);
/* Refuses what waits, ends the lane. Requests that wait for the journal are answered later. NULL is fine. */
void hook_free(hook *h);
hook *hook_retain(hook *h);
void hook_release(hook *h);
/* `q` is borrowed until `done`. [any], never blocks */
void hook_receive(hook *h, const instance_request *q, hook_done done, void *arg);
/* After a while without requests it gives the plan back, until the next one. [any], cheap: called by the
 * flow's tick. */
void hook_tick(hook *h, int64_t now_us);
void hook_pause(hook *h, bool paused); /* [any] */
source_look hook_look(hook *h);        /* [any] */
#endif
