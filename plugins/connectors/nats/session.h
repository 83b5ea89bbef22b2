/* A connection to one of the servers, by libnats, which makes its own sockets and threads. It never connects
 * again by itself: what was on its way would be unknown; the host opens the connector anew. */
#ifndef NATS_SESSION_H
#define NATS_SESSION_H
#include <nats/nats.h>
#include <pthread.h>

#include "credential.h"

typedef struct session {
    const pst_host *host;
    natsConnection *connection; /* NULL = closed */
    jsCtx *stream;
    char own_name[CREDENTIAL_NAME_MAX];
    jsPubAckErrHandler on_publish_error; /* of what is published; set before session_open, or NULL */
    void *publish_arg;
    pthread_mutex_t lock; /* of what follows: libnats calls on its own threads */
    char refused[300];    /* what the server does not permit; "" = nothing */
} session;

void session_init(session *l, const pst_host *host);
void session_end(session *l); /* zeroed is fine */
/* The servers in turn, until one takes us. */
pst_status session_open(session *l, const pst_call *call, pst_error *error);
void session_close(session *l);
/* PST_OK, or why nothing can come. */
pst_status session_state(session *l, pst_error *error);
/* What a failure of the library means. */
pst_status session_fail(natsStatus s, const char *where, const char *what, pst_error *error);
int64_t session_patience_ms(const session *l);
#endif
