/* A session of libpq: opening one, waiting for its server, and what its failures mean.
 *
 * Sockets are non-blocking and every wait is a poll() with a deadline, so a server that is stopped or a cable
 * that is cut ends in STATUS_TIMEOUT. After a transport failure the session is broken and only closed. A
 * session belongs to one lane at a time. Private to the libpq driver (connection_libpq.c). */
#ifndef PENSTOCK_STORE_LIBPQ_SESSION_H
#define PENSTOCK_STORE_LIBPQ_SESSION_H
#include <libpq-fe.h>

#include "base/arena.h"
#include "store/connection.h"

typedef struct libpq_session {
    PGconn *conn;
    arena *scratch; /* parameters of the running call */
    bool broken;
} libpq_session;

int64_t libpq_deadline(int64_t ms); /* so long from now, on the monotonic clock, in µs */

/* Fits connection_driver; *out is a libpq_session. */
status_class libpq_session_open(const connection_options *o, void **out, connection_failure *failure,
                                status *st);
void libpq_session_close(void *handle);

/* Sends all that libpq has buffered, reading meanwhile so that the server never blocks on us. `name` is what
 * is being done, for errors, here and below. */
status_class libpq_session_flush(libpq_session *s, int64_t deadline, const char *name,
                                 connection_failure *failure, status *st);
/* The next result, for PQclear; NULL at the end of a statement's results. */
status_class libpq_session_next(libpq_session *s, int64_t deadline, const char *name, PGresult **out,
                                connection_failure *failure, status *st);
/* STATUS_UNAVAILABLE; the session is broken. */
status_class libpq_session_lost(libpq_session *s, const char *name, connection_failure *failure, status *st);
/* What an error that the server sent means, by its SQLSTATE. */
status_class libpq_session_fail(libpq_session *s, const PGresult *r, const char *name,
                                connection_failure *failure, status *st);
#endif
