/* Connections kept open, per login: borrowing one costs nothing, opening one about 6 ms. Thread-safe.
 * Bounded in all; when the bound is reached an idle connection (of any login) is closed, mostly the one used
 * last, so that of more logins than places some keep theirs; when none is idle the borrower waits. Broken
 * connections are dropped on return; one left inside a transaction is rolled back. */
#ifndef PENSTOCK_STORE_POOL_H
#define PENSTOCK_STORE_POOL_H
#include <stdint.h>

#include "store/connection.h"

#define POOL_CONNECTIONS_MAX 40
#define POOL_PER_LOGIN_MAX 8
#define POOL_IDLE_MS 300000

typedef struct pool pool;

typedef struct pool_options {
    connection_options base;  /* address and timeouts; login fields are the defaults; copied */
    unsigned connections_max; /* 0 = POOL_CONNECTIONS_MAX */
    unsigned per_login_max;   /* 0 = POOL_PER_LOGIN_MAX */
    int64_t idle_ms;          /* 0 = POOL_IDLE_MS; idle ones older than this are closed by the next call */
} pool_options;

typedef struct pool_login {
    const char *database, *user, *password; /* NULL = the pool's own */
    bool read_only;
} pool_login;

typedef struct pool_figures {
    unsigned open, idle, logins, waiting;
    uint64_t opened, borrowed, evicted, broken;
} pool_figures;

pool *pool_create(const pool_options *options);
void pool_free(pool *p); /* every connection must have been returned; NULL is fine */
/* `login` NULL = the base login. Waits at most `wait_ms` for a free one: then STATUS_LIMIT. */
status_class pool_borrow(pool *p, const pool_login *login, int64_t wait_ms, connection **out, status *st);
void pool_return(pool *p, connection *c); /* NULL is fine */
/* Closes a login's idle connections now and the others on return: its role is about to be dropped or changed.
 */
void pool_forget(pool *p, const char *user);
pool_figures pool_look(pool *p);
#endif
