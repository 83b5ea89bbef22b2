/* The one seam to databases. A connection is a session; it blocks, so it belongs to one lane at a time.
 *
 * Every wait is bounded on the client's side: by the statement timeout plus a short grace, or by the connect
 * timeout, so a server that was stopped gives STATUS_TIMEOUT, never a hang. After a transport error or such a
 * timeout the connection is broken: every further call gives STATUS_UNAVAILABLE; close it (a pool does so by
 * itself). Errors: the status text is "statement's name: PostgreSQL's message"; connection_failure tells the
 * SQLSTATE and whether the outcome of a COMMIT is unknown. Sessions run with jit=off, timezone UTC, ISO
 * dates, standard strings. A driver does the work: libpq in the host, a fake in unit tests. */
#ifndef PENSTOCK_STORE_CONNECTION_H
#define PENSTOCK_STORE_CONNECTION_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/text.h"
#include "store/rows.h"

#define CONNECTION_PREPARED_MAX 200
#define CONNECTION_TIMEOUT_MS 30000
#define CONNECTION_CONNECT_TIMEOUT_MS 5000
#define CONNECTION_GRACE_MS 2000 /* what the client waits beyond the server's statement_timeout */

typedef struct connection connection;

typedef struct connection_options {
    const char *host; /* name, address or socket folder; NULL = take everything from `dsn` */
    const char *dsn;  /* libpq keywords or URI for outside servers; the fields below override it */
    const char *database, *user, *password;
    uint16_t port;           /* 0 = default */
    const char *application; /* shown by the server; NULL = "penstock" */
    int64_t timeout_ms;      /* per statement; 0 = CONNECTION_TIMEOUT_MS */
    int64_t connect_timeout_ms;
    bool read_only; /* every transaction READ ONLY */
} connection_options;

typedef enum value_kind {
    VALUE_NULL,
    VALUE_TEXT, /* any type in its text form: the server infers it (text, uuid, date, jsonb, numeric …) */
    VALUE_INTEGER,
    VALUE_NUMBER,
    VALUE_BOOLEAN,
    VALUE_TIME,   /* microseconds since 1970 */
    VALUE_BYTES,  /* bytea */
    VALUE_TEXTS,  /* text[] */
    VALUE_BINARY, /* ready binary form of the type `oid` */
} value_kind;

typedef struct value {
    value_kind kind;
    uint32_t oid; /* VALUE_BINARY */
    size_t len;   /* bytes, or elements of VALUE_TEXTS */
    union {
        int64_t integer;
        double number;
        const void *data;
        const char *const *texts;
    };
} value;

static inline value value_null(void)
{
    return (value){.kind = VALUE_NULL};
}
value value_text(const char *s); /* NULL gives null */
static inline value value_text_n(const char *s, size_t len)
{
    return (value){.kind = VALUE_TEXT, .len = len, .data = s};
}
static inline value value_integer(int64_t n)
{
    return (value){.kind = VALUE_INTEGER, .integer = n};
}
static inline value value_number(double n)
{
    return (value){.kind = VALUE_NUMBER, .number = n};
}
static inline value value_boolean(bool b)
{
    return (value){.kind = VALUE_BOOLEAN, .integer = b};
}
static inline value value_time_us(int64_t us)
{
    return (value){.kind = VALUE_TIME, .integer = us};
}
static inline value value_bytes(const void *data, size_t len)
{
    return (value){.kind = VALUE_BYTES, .len = len, .data = data};
}
static inline value value_texts(const char *const *texts, size_t n)
{
    return (value){.kind = VALUE_TEXTS, .len = n, .texts = texts};
}
static inline value value_binary(uint32_t oid, const void *data, size_t len)
{
    return (value){.kind = VALUE_BINARY, .oid = oid, .len = len, .data = data};
}

/* A statement that is prepared once per connection; when there are more than CONNECTION_PREPARED_MAX, most of
 * the others are parsed for each call. Recognised by its text, so a statement may also be built for one call.
 */
typedef struct statement {
    const char *name; /* what it does, for errors: "claim jobs" */
    const char *sql;
} statement;

/* Why the last call on this connection failed. */
typedef struct connection_failure {
    char sqlstate[6];    /* "" when the server did not say */
    bool commit_unknown; /* COMMIT was sent, its answer never came */
} connection_failure;

status_class connection_open(const connection_options *options, connection **out, status *st);
void connection_close(connection *c); /* NULL is fine */

/* One statement, parsed anew. `out` may be NULL. `params` are $1…$n. Errors name the statement by its first
 * words. */
status_class connection_exec(connection *c, const char *sql, const value *params, unsigned n, rows **out,
                             status *st);
/* The same, prepared. */
status_class connection_run(connection *c, const statement *s, const value *params, unsigned n, rows **out,
                            status *st);
/* Several statements separated by `;`, without parameters, as one implicit transaction: set-up and
 * migrations. */
status_class connection_script(connection *c, const char *name, const char *sql, status *st);

/* Statements sent without waiting between them. All or nothing inside an open transaction; outside one they
 * form one implicit transaction. On failure every result is freed and NULL and *failed_out (may be NULL) is
 * the one at fault. */
typedef struct statement_call {
    const statement *statement;
    const value *params;
    unsigned n_params;
    rows *result; /* out */
} statement_call;
status_class connection_pipeline(connection *c, statement_call *calls, unsigned n, unsigned *failed_out,
                                 status *st);

/* For a session that does the same few things to very many tables, as a writer does: it keeps up to so many
 * statements prepared, plans each of them once, whatever the values, and reads tables by their indexes, also
 * those that were empty when the plan was made. For good: a pool does not lend it to others afterwards. */
status_class connection_repeat(connection *c, uint32_t statements_max, status *st);
bool connection_repeats(const connection *c);

status_class connection_begin(connection *c, status *st); /* READ COMMITTED */
/* On STATUS_UNAVAILABLE/TIMEOUT ask connection_failure(c)->commit_unknown. */
status_class connection_commit(connection *c, status *st);
void connection_rollback(connection *c); /* fine when nothing is open or the connection is broken */

/* COPY … FROM STDIN (FORMAT binary): begin, any number of data calls, end. After a failed call the COPY is
 * over. copy_end with a reason aborts it (and the transaction). */
status_class connection_copy_begin(connection *c, const char *sql, status *st);
status_class connection_copy_data(connection *c, const void *data, size_t len, status *st);
status_class connection_copy_end(connection *c, const char *abort_reason, int64_t *rows_out, status *st);

/* Changes the statement timeout of this session (one round trip when it differs). */
status_class connection_set_timeout(connection *c, int64_t timeout_ms, status *st);
/* Asks the server to end what runs. [any thread], returns at once; the running call gives STATUS_CANCELLED.
 */
void connection_cancel(connection *c);
bool connection_broken(const connection *c);
bool connection_in_transaction(const connection *c);
const connection_failure *connection_failure_of(const connection *c);
/* SQLSTATE class 22 or 23, or 54000 (a key too long for its index, a document too large): this row cannot be
 * stored, another one may. */
bool connection_row_refused(const connection *c);
/* The SCRAM verifier for a password, so that the server never sees the plain text. */
status_class connection_scram(connection *c, const char *user, const char *password, text *out, status *st);

/* Drivers. `handle` is the driver's own session. Every function that fails fills *failure and *st. */
typedef enum driver_action {
    DRIVER_ONCE,    /* sql with parameters, parsed for this call */
    DRIVER_SCRIPT,  /* several statements, no parameters; alone in its call */
    DRIVER_PREPARE, /* sql under the name `prepared` */
    DRIVER_RUN,     /* the statement known as `prepared` */
} driver_action;

typedef struct driver_request {
    driver_action action;
    const char *name; /* for errors */
    const char *sql, *prepared;
    const value *params;
    unsigned n_params;
} driver_request;

typedef struct connection_driver {
    status_class (*open)(const connection_options *options, void **handle_out, connection_failure *failure,
                         status *st);
    /* n requests in one go; results[i] set on success only, *failed_out tells which one failed. */
    status_class (*exec)(void *handle, const driver_request *requests, unsigned n, rows **results,
                         unsigned *failed_out, int64_t wait_ms, connection_failure *failure, status *st);
    status_class (*copy_begin)(void *handle, const char *sql, int64_t wait_ms, connection_failure *failure,
                               status *st);
    status_class (*copy_data)(void *handle, const void *data, size_t len, int64_t wait_ms,
                              connection_failure *failure, status *st);
    status_class (*copy_end)(void *handle, const char *abort_reason, int64_t wait_ms, int64_t *rows_out,
                             connection_failure *failure, status *st);
    void (*cancel)(void *handle);
    bool (*broken)(void *handle);
    bool (*in_transaction)(void *handle);
    status_class (*scram)(void *handle, const char *user, const char *password, text *out, status *st);
    void (*close)(void *handle);
} connection_driver;

extern const connection_driver connection_libpq;
/* Puts another driver in place for connections opened from now on (NULL = libpq). Start-up and tests only. */
void connection_use(const connection_driver *driver);
#endif
