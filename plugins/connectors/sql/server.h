/* A connection to PostgreSQL by libpq, without ever blocking: what waits, waits in one place and ends with
 * the call's deadline or cancel. Sockets and names go the way of all plugins (the broker); libpq reads no
 * file of the machine: no ~/.pgpass, no service file, no certificates but those of the settings, which lie in
 * memory. */
#ifndef SQL_SERVER_H
#define SQL_SERVER_H
#include <libpq-fe.h>

#include "tcp.h"

typedef struct server {
    const pst_host *host;
    tcp_place place;
    PGconn *conn; /* NULL = closed */
} server;

/* Reads the settings. */
pst_status server_configure(server *srv, const pst_host *host, pst_error *error);
pst_status server_open(server *srv, const pst_call *call, pst_error *error); /* OK when it is open and well */
void server_close(server *srv);

/* The next result of what was sent; NULL: there are no more. PST_IDLE: not within `wait_us`. */
pst_status server_result(server *srv, const pst_call *call, int64_t wait_us, PGresult **out,
                         pst_error *error);
/* Results of what was sent until there are no more; the last one is the caller's to clear. A failure of any:
 * the status, with where. */
pst_status server_finish(server *srv, const pst_call *call, const char *where, PGresult **last,
                         pst_error *error);
pst_status server_run(server *srv, const pst_call *call, const char *sql, pst_error *error);
/* What a failed result means. */
pst_status server_failed(server *srv, const PGresult *result, const char *where, pst_error *error);
/* Nothing could be sent, or the connection is lost. */
pst_status server_lost(server *srv, pst_error *error);
#endif
