/* What connectors with sockets of their own share: a TCP connection, plain or under TLS (tls.h). Sockets
 * never block; waiting is in one place and ends with the call's deadline or cancel. Errors of the far side
 * name the setting `where`. Static library; each plugin has its own copy. One thread. */
#ifndef CONNECTORS_TCP_H
#define CONNECTORS_TCP_H
#include <stddef.h>
#include <stdint.h>

#include "penstock/batch.h"

typedef struct tcp_place {
    char host[256], port[8];
    const char *where; /* the setting that names it, for errors: "/broker" */
} tcp_place;

typedef struct tcp tcp;
typedef struct tcp_layer { /* what lies over the socket; the meanings are those of the functions below */
    pst_status (*receive)(tcp *w, void *out, size_t cap, size_t *n_out, pst_error *error);
    pst_status (*send)(tcp *w, const void *data, size_t len, size_t *n_out, short *wants, pst_error *error);
    int (*pending)(const tcp *w); /* bytes that need no wait */
    void (*close)(tcp *w);
} tcp_layer;

struct tcp {
    const pst_host *host;
    const tcp_place *place;
    int fd;                 /* -1 = closed */
    const tcp_layer *layer; /* NULL = plain */
    void *state;            /* of the layer */
};

/* "name", "name:port", "[v6]:port": false if it is nothing of the kind. `port` is taken where none is said.
 */
bool tcp_place_parse(const char *text, const char *port, tcp_place *out);

/* Tries the addresses of the name in order, for a few seconds each. `place` must outlive the connection. */
pst_status tcp_open(tcp *w, const pst_host *host, const pst_call *call, const tcp_place *place,
                    pst_error *error);
/* Before closing, where what was sent last matters: says that nothing more comes, and takes in what the far
 * side is still sending, until it has read all of ours and closes, for `wait_us` at most. To close with bytes
 * unread would break its connection before it has read them. */
void tcp_finish(tcp *w, int64_t wait_us);
void tcp_close(tcp *w); /* closed is fine; so is fd -1 and zeroed else */

/* What there is, at most `cap` bytes. PST_IDLE: nothing now. The end of the stream is PST_E_UNAVAILABLE. */
pst_status tcp_receive(tcp *w, void *out, size_t cap, size_t *n_out, pst_error *error);
/* All of it, waiting for the far side a few seconds at most. */
pst_status tcp_send(tcp *w, const pst_call *call, const void *data, size_t len, pst_error *error);
/* PST_OK: there may be something to receive. PST_IDLE: not within `wait_us`. */
pst_status tcp_wait(tcp *w, const pst_call *call, int64_t wait_us, pst_error *error);

/* For layers: until the socket turns readable or writable (`events` of poll), PST_IDLE when `end_us` has
 * passed. */
pst_status tcp_wait_until(tcp *w, const pst_call *call, short events, int64_t end_us, pst_error *error);
#endif
