/* The libpq driver. Sockets are non-blocking and every wait is a poll() with a deadline, so a server that is
 * stopped or a cable that is cut ends in STATUS_TIMEOUT. After a transport failure the session is marked
 * broken and only closed. */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/clock.h"
#include "store/connection.h"
#include "store/rows_result.h"

#define COPY_CHUNK 65536
#define PG_EPOCH_US 946684800000000LL

typedef struct session {
    PGconn *conn;
    arena *scratch; /* parameters of the running call */
    bool broken;
} session;

/* ---- errors ---- */

static status_class class_of_sqlstate(const char *s, const char *message)
{
    static const struct {
        const char *prefix;
        status_class class;
    } map[] = {
        {"57P", STATUS_UNAVAILABLE},   {"53", STATUS_UNAVAILABLE}, {"08", STATUS_UNAVAILABLE},
        {"55P03", STATUS_UNAVAILABLE}, {"40", STATUS_UNAVAILABLE}, {"23505", STATUS_CONFLICT},
        {"22", STATUS_INVALID},        {"23", STATUS_INVALID},     {"42501", STATUS_DENIED},
        {"28", STATUS_DENIED},         {"3D", STATUS_NOT_FOUND},   {"42", STATUS_INVALID},
        {"54", STATUS_LIMIT},          {"25", STATUS_CONFLICT},    {"0A", STATUS_UNSUPPORTED},
        {"55", STATUS_CONFLICT},       {"2BP", STATUS_CONFLICT},
    };
    if (strcmp(s, "57014") == 0)
        return strstr(message, "timeout") ? STATUS_TIMEOUT : STATUS_CANCELLED;
    for (size_t i = 0; i < sizeof map / sizeof *map; i++)
        if (strncmp(s, map[i].prefix, strlen(map[i].prefix)) == 0)
            return map[i].class;
    return STATUS_INTERNAL;
}

static int line_length(const char *message)
{
    return (int)strcspn(message, "\n");
}

static status_class broken(session *s, const char *name, connection_failure *failure, status *st)
{
    const char *m = PQerrorMessage(s->conn);
    s->broken = true;
    failure->sqlstate[0] = '\0';
    return status_set(st, STATUS_UNAVAILABLE, "%s: %.*s", name, *m ? line_length(m) : 19,
                      *m ? m : "the connection ended");
}

static status_class fail(session *s, const PGresult *r, const char *name, connection_failure *failure,
                         status *st)
{
    const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
    if (PQresultStatus(r) == PGRES_PIPELINE_ABORTED)
        return status_set(st, STATUS_CANCELLED, "%s: an earlier statement failed", name);
    const char *place = PQresultErrorField(r, PG_DIAG_COLUMN_NAME);
    if (!state || !message)
        return broken(s, name, failure, st);
    snprintf(failure->sqlstate, sizeof failure->sqlstate, "%s", state);
    return status_at(st, class_of_sqlstate(state, message), place, "%s: %s", name, message);
}

/* ---- waiting ---- */

static int64_t deadline_in(int64_t ms)
{
    return clock_monotonic_us() + ms * 1000;
}

/* Waits for `events`; STATUS_TIMEOUT marks the session broken: nobody knows what the server will still do. */
static status_class wait_for(session *s, short events, int64_t deadline, const char *name, status *st)
{
    for (;;) {
        int64_t left_us = deadline - clock_monotonic_us();
        struct pollfd p = {.fd = PQsocket(s->conn), .events = events};
        int n = left_us > 0 ? poll(&p, 1, (int)((left_us + 999) / 1000)) : 0;
        if (n > 0)
            return STATUS_OK;
        if (n < 0 && errno == EINTR)
            continue;
        s->broken = true;
        if (n < 0)
            return status_errno(st, errno, name);
        return status_set(st, STATUS_TIMEOUT, "%s: no answer from PostgreSQL in time", name);
    }
}

/* Sends all that libpq has buffered, reading meanwhile so that the server never blocks on us. */
static status_class flush(session *s, int64_t deadline, const char *name, connection_failure *failure,
                          status *st)
{
    for (;;) {
        int more = PQflush(s->conn);
        if (more == 0)
            return STATUS_OK;
        if (more < 0)
            return broken(s, name, failure, st);
        status_class ret = wait_for(s, POLLIN | POLLOUT, deadline, name, st);
        if (ret != STATUS_OK)
            return ret;
        if (!PQconsumeInput(s->conn))
            return broken(s, name, failure, st);
    }
}

/* The next result, or NULL at the end of a statement's results. */
static status_class next_result(session *s, int64_t deadline, const char *name, PGresult **out,
                                connection_failure *failure, status *st)
{
    *out = NULL;
    while (PQisBusy(s->conn)) {
        status_class ret = wait_for(s, POLLIN, deadline, name, st);
        if (ret != STATUS_OK)
            return ret;
        if (!PQconsumeInput(s->conn))
            return broken(s, name, failure, st);
    }
    *out = PQgetResult(s->conn);
    return STATUS_OK;
}

/* ---- opening ---- */

typedef struct keywords {
    const char *keys[16], *values[16];
    unsigned n;
} keywords;

static void keyword(keywords *k, const char *key, const char *word)
{
    if (!word || !*word)
        return;
    k->keys[k->n] = key;
    k->values[k->n++] = word;
}

static PGconn *start(const connection_options *o)
{
    char port[8] = "", settings[256];
    keywords k = {.n = 0};
    if (o->port)
        snprintf(port, sizeof port, "%u", o->port);
    snprintf(settings, sizeof settings,
             "-c jit=off -c timezone=UTC -c datestyle=ISO -c intervalstyle=iso_8601 -c bytea_output=hex "
             "-c extra_float_digits=1 -c statement_timeout=%lld%s",
             (long long)o->timeout_ms, o->read_only ? " -c default_transaction_read_only=on" : "");
    keyword(&k, "dbname", o->dsn); /* expanded; what follows overrides it */
    keyword(&k, "host", o->host);
    keyword(&k, "port", port);
    keyword(&k, "dbname", o->database);
    keyword(&k, "user", o->user);
    keyword(&k, "password", o->password);
    keyword(&k, "application_name", o->application ? o->application : "penstock");
    keyword(&k, "client_encoding", "UTF8");
    keyword(&k, "options", settings);
    if (!o->dsn)
        keyword(&k, "passfile", "/nonexistent"); /* the logins here are ours, never a person's ~/.pgpass */
    return PQconnectStartParams(k.keys, k.values, o->dsn != NULL);
}

static status_class finish_connecting(session *s, int64_t deadline, connection_failure *failure, status *st)
{
    PostgresPollingStatusType step = PGRES_POLLING_WRITING;
    if (!s->conn || PQstatus(s->conn) == CONNECTION_BAD)
        step = PGRES_POLLING_FAILED;
    while (step != PGRES_POLLING_OK && step != PGRES_POLLING_FAILED) {
        status_class ret =
            wait_for(s, step == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline, "connect", st);
        if (ret != STATUS_OK)
            return ret;
        step = PQconnectPoll(s->conn);
    }
    if (step == PGRES_POLLING_OK)
        return STATUS_OK;
    const char *m = s->conn ? PQerrorMessage(s->conn) : "out of memory";
    broken(s, "connect", failure, st);
    if (strstr(m, "authentication failed") || strstr(m, "permission denied") || strstr(m, "no pg_hba.conf"))
        st->class = STATUS_DENIED;
    else if (strstr(m, "does not exist"))
        st->class = strstr(m, "role") ? STATUS_DENIED : STATUS_NOT_FOUND;
    return st->class;
}

static void ignore_notice(void *arg, const PGresult *r)
{
    (void)arg;
    (void)r;
}

static void libpq_close(void *handle)
{
    session *s = handle;
    if (s->broken && s->conn && PQsocket(s->conn) >= 0)
        shutdown(PQsocket(s->conn), SHUT_RDWR); /* so that the farewell cannot wait for a stopped server */
    PQfinish(s->conn);
    arena_free(s->scratch);
    free(s);
}

static status_class libpq_open(const connection_options *o, void **out, connection_failure *failure,
                               status *st)
{
    session *s = memory_zero(1, sizeof *s);
    s->scratch = arena_create(0);
    s->conn = start(o);
    status_class ret = finish_connecting(s, deadline_in(o->connect_timeout_ms), failure, st);
    if (ret != STATUS_OK) {
        libpq_close(s);
        return ret;
    }
    PQsetnonblocking(s->conn, 1);
    PQsetNoticeReceiver(s->conn, ignore_notice, NULL);
    *out = s;
    return STATUS_OK;
}

/* ---- parameters ---- */

typedef struct parameters {
    Oid *types;
    const char **values;
    int *lengths, *formats;
} parameters;

static void put_be64(arena *a, parameters *p, unsigned i, Oid type, uint64_t bits)
{
    uint64_t be = htobe64(bits);
    p->types[i] = type;
    p->values[i] = arena_copy(a, &be, sizeof be);
    p->lengths[i] = sizeof be;
    p->formats[i] = 1;
}

static void put_bytes(parameters *p, unsigned i, Oid type, const void *data, size_t len)
{
    p->types[i] = type;
    p->values[i] = len ? data : "";
    p->lengths[i] = (int)len;
    p->formats[i] = 1;
}

static void append_be32(text *t, uint32_t n)
{
    uint32_t be = htonl(n);
    text_add_n(t, &be, sizeof be);
}

static void put_texts(arena *a, parameters *p, unsigned i, const value *v)
{
    text t = {0};
    append_be32(&t, v->len > 0);
    append_be32(&t, 1);
    append_be32(&t, 25);
    if (v->len > 0) {
        append_be32(&t, (uint32_t)v->len);
        append_be32(&t, 1);
    }
    for (size_t k = 0; k < v->len; k++) {
        const char *word = v->texts[k];
        append_be32(&t, word ? (uint32_t)strlen(word) : UINT32_MAX);
        if (word)
            text_add(&t, word);
    }
    put_bytes(p, i, 1009, arena_copy(a, t.data, t.len), t.len);
    text_free(&t);
}

static void put_value(arena *a, parameters *p, unsigned i, const value *v)
{
    uint64_t bits;
    switch (v->kind) {
    case VALUE_NULL:
        break;
    case VALUE_TEXT:
        p->values[i] = arena_string_n(a, v->data, v->len);
        break;
    case VALUE_INTEGER:
        put_be64(a, p, i, 20, (uint64_t)v->integer);
        break;
    case VALUE_NUMBER:
        memcpy(&bits, &v->number, sizeof bits);
        put_be64(a, p, i, 701, bits);
        break;
    case VALUE_BOOLEAN:
        put_bytes(p, i, 16, v->integer ? "\1" : "\0", 1);
        break;
    case VALUE_TIME:
        put_be64(a, p, i, 1184, (uint64_t)(v->integer - PG_EPOCH_US));
        break;
    case VALUE_BYTES:
        put_bytes(p, i, 17, v->data, v->len);
        break;
    case VALUE_TEXTS:
        put_texts(a, p, i, v);
        break;
    case VALUE_BINARY:
        put_bytes(p, i, v->oid, v->data, v->len);
        break;
    }
}

static status_class make_parameters(arena *a, const driver_request *r, parameters *p,
                                    connection_failure *failure, status *st)
{
    p->types = arena_zero(a, r->n_params + 1, sizeof *p->types);
    p->values = arena_zero(a, r->n_params + 1, sizeof *p->values);
    p->lengths = arena_zero(a, r->n_params + 1, sizeof *p->lengths);
    p->formats = arena_zero(a, r->n_params + 1, sizeof *p->formats);
    for (unsigned i = 0; i < r->n_params; i++) {
        const value *v = &r->params[i];
        if (v->kind == VALUE_TEXT && v->len && memchr(v->data, 0, v->len)) {
            memcpy(failure->sqlstate, "22021", 6);
            return status_set(st, STATUS_INVALID, "%s: parameter $%u holds U+0000", r->name, i + 1);
        }
        put_value(a, p, i, v);
    }
    return STATUS_OK;
}

/* ---- statements ---- */

static status_class send_request(session *s, const driver_request *r, connection_failure *failure, status *st)
{
    parameters p;
    int sent = 0, n = (int)r->n_params;
    status_class ret = make_parameters(s->scratch, r, &p, failure, st);
    if (ret != STATUS_OK)
        return ret;
    switch (r->action) {
    case DRIVER_ONCE:
        sent = PQsendQueryParams(s->conn, r->sql, n, p.types, p.values, p.lengths, p.formats, 0);
        break;
    case DRIVER_SCRIPT:
        sent = PQsendQuery(s->conn, r->sql);
        break;
    case DRIVER_PREPARE:
        sent = PQsendPrepare(s->conn, r->prepared, r->sql, n, p.types);
        break;
    case DRIVER_RUN:
        sent = PQsendQueryPrepared(s->conn, r->prepared, n, p.values, p.lengths, p.formats, 0);
        break;
    }
    return sent ? STATUS_OK : broken(s, r->name, failure, st);
}

static bool is_error(const PGresult *r)
{
    ExecStatusType t = PQresultStatus(r);
    return t == PGRES_FATAL_ERROR || t == PGRES_BAD_RESPONSE || t == PGRES_PIPELINE_ABORTED;
}

/* All results of one statement: the first error, or the last result. */
static status_class collect(session *s, const driver_request *r, int64_t deadline, rows **out,
                            connection_failure *failure, status *st)
{
    PGresult *kept = NULL, *result;
    status_class ret;
    while ((ret = next_result(s, deadline, r->name, &result, failure, st)) == STATUS_OK && result) {
        if (kept && is_error(kept)) {
            PQclear(result);
            continue;
        }
        PQclear(kept);
        kept = result;
        if (PQresultStatus(result) == PGRES_COPY_IN)
            PQputCopyEnd(s->conn, "COPY needs the copy functions");
    }
    if (ret == STATUS_OK && !kept)
        ret = broken(s, r->name, failure, st);
    if (ret == STATUS_OK && is_error(kept))
        ret = fail(s, kept, r->name, failure, st);
    if (ret == STATUS_OK)
        *out = rows_from_result(kept);
    else
        PQclear(kept);
    return ret;
}

static status_class exec_one(session *s, const driver_request *r, int64_t deadline, rows **out,
                             connection_failure *failure, status *st)
{
    status_class ret = send_request(s, r, failure, st);
    if (ret == STATUS_OK)
        ret = flush(s, deadline, r->name, failure, st);
    if (ret == STATUS_OK)
        ret = collect(s, r, deadline, out, failure, st);
    if (ret == STATUS_OK || s->broken)
        return ret;
    if (PQstatus(s->conn) == CONNECTION_BAD)
        s->broken = true;
    return ret;
}

/* In one piece where it is short (libpq sends by itself what grows long): each piece wakes the server. */
static status_class send_all(session *s, const driver_request *requests, unsigned n, unsigned *failed,
                             int64_t deadline, connection_failure *failure, status *st)
{
    for (unsigned i = 0; i < n; i++) {
        status_class ret = send_request(s, &requests[i], failure, st);
        *failed = i;
        if (ret != STATUS_OK)
            return ret;
    }
    if (!PQpipelineSync(s->conn))
        return broken(s, "pipeline", failure, st);
    return flush(s, deadline, "pipeline", failure, st);
}

/* Reads every answer up to the sync, keeping the first failure (the ones after it are only "aborted"). */
static status_class collect_all(session *s, const driver_request *requests, unsigned n, rows **results,
                                unsigned *failed, int64_t deadline, connection_failure *failure, status *st)
{
    status_class first = STATUS_OK;
    for (unsigned i = 0; i < n && !s->broken; i++) {
        status later;
        connection_failure later_failure;
        bool ok = first == STATUS_OK;
        status_class ret =
            collect(s, &requests[i], deadline, &results[i], ok ? failure : &later_failure, ok ? st : &later);
        if (ok && ret != STATUS_OK) {
            first = ret;
            *failed = i;
        }
    }
    if (!s->broken) {
        PGresult *sync = NULL;
        status later;
        connection_failure later_failure;
        next_result(s, deadline, "pipeline", &sync, &later_failure, &later);
        if (!sync || PQresultStatus(sync) != PGRES_PIPELINE_SYNC)
            s->broken = true;
        PQclear(sync);
    }
    return first;
}

static status_class exec_pipeline(session *s, const driver_request *requests, unsigned n, rows **results,
                                  unsigned *failed, int64_t deadline, connection_failure *failure, status *st)
{
    if (!PQenterPipelineMode(s->conn))
        return broken(s, "pipeline", failure, st);
    status_class ret = send_all(s, requests, n, failed, deadline, failure, st);
    if (ret != STATUS_OK) {
        s->broken = true; /* half a pipeline is on its way: the session cannot be used again */
        return ret;
    }
    ret = collect_all(s, requests, n, results, failed, deadline, failure, st);
    if (s->broken && ret == STATUS_OK)
        ret = broken(s, "pipeline", failure, st);
    if (!s->broken && !PQexitPipelineMode(s->conn))
        s->broken = true;
    return ret;
}

static status_class libpq_exec(void *handle, const driver_request *requests, unsigned n, rows **results,
                               unsigned *failed, int64_t wait_ms, connection_failure *failure, status *st)
{
    session *s = handle;
    int64_t deadline = deadline_in(wait_ms);
    arena_reset(s->scratch);
    if (n == 1)
        return exec_one(s, requests, deadline, results, failure, st);
    return exec_pipeline(s, requests, n, results, failed, deadline, failure, st);
}

/* ---- COPY ---- */

static status_class libpq_copy_begin(void *handle, const char *sql, int64_t wait_ms,
                                     connection_failure *failure, status *st)
{
    session *s = handle;
    int64_t deadline = deadline_in(wait_ms);
    PGresult *result = NULL, *end;
    if (!PQsendQuery(s->conn, sql))
        return broken(s, "copy", failure, st);
    status_class ret = flush(s, deadline, "copy", failure, st);
    if (ret == STATUS_OK)
        ret = next_result(s, deadline, "copy", &result, failure, st);
    if (ret == STATUS_OK && PQresultStatus(result) == PGRES_COPY_IN)
        goto done;
    if (ret == STATUS_OK)
        ret = fail(s, result, "copy", failure, st);
    while (!s->broken && next_result(s, deadline, "copy", &end, failure, &(status){0}) == STATUS_OK && end)
        PQclear(end);
done:
    PQclear(result);
    return ret;
}

static status_class libpq_copy_data(void *handle, const void *data, size_t len, int64_t wait_ms,
                                    connection_failure *failure, status *st)
{
    session *s = handle;
    const char *p = data;
    int64_t deadline = deadline_in(wait_ms);
    while (len > 0) {
        size_t n = len < COPY_CHUNK ? len : COPY_CHUNK;
        int put = PQputCopyData(s->conn, p, (int)n);
        if (put < 0)
            return broken(s, "copy", failure, st);
        if (put > 0) {
            p += n;
            len -= n;
        }
        status_class ret = flush(s, deadline, "copy", failure, st);
        if (ret != STATUS_OK)
            return ret;
    }
    return STATUS_OK;
}

static status_class libpq_copy_end(void *handle, const char *abort_reason, int64_t wait_ms, int64_t *rows_out,
                                   connection_failure *failure, status *st)
{
    session *s = handle;
    int64_t deadline = deadline_in(wait_ms);
    rows *result = NULL;
    status_class ret = STATUS_OK;
    if (PQputCopyEnd(s->conn, abort_reason) < 0)
        return broken(s, "copy", failure, st);
    ret = flush(s, deadline, "copy", failure, st);
    if (ret == STATUS_OK)
        ret = collect(s, &(driver_request){.name = "copy"}, deadline, &result, failure, st);
    if (ret == STATUS_OK && rows_out)
        *rows_out = rows_affected(result);
    rows_free(result);
    return ret;
}

/* ---- the rest ---- */

static void *cancel_thread(void *arg)
{
    char ignored[256];
    PQcancel(arg, ignored, sizeof ignored);
    PQfreeCancel(arg);
    return NULL;
}

/* PQcancel waits for the postmaster, which may be the very thing that is stuck: it gets a thread to wait on.
 */
static void libpq_cancel(void *handle)
{
    session *s = handle;
    PGcancel *cancel = PQgetCancel(s->conn);
    pthread_t thread;
    if (!cancel)
        return;
    if (pthread_create(&thread, NULL, cancel_thread, cancel) != 0)
        PQfreeCancel(cancel);
    else
        pthread_detach(thread);
}

static bool libpq_broken(void *handle)
{
    session *s = handle;
    return s->broken || PQstatus(s->conn) == CONNECTION_BAD;
}

static bool libpq_in_transaction(void *handle)
{
    session *s = handle;
    PGTransactionStatusType t = PQtransactionStatus(s->conn);
    return t == PQTRANS_INTRANS || t == PQTRANS_INERROR || t == PQTRANS_ACTIVE;
}

static int libpq_server_version(void *handle)
{
    return PQserverVersion(((session *)handle)->conn);
}

static status_class libpq_scram(void *handle, const char *user, const char *password, text *out, status *st)
{
    session *s = handle;
    char *verifier = PQencryptPasswordConn(s->conn, password, user, "scram-sha-256");
    if (!verifier)
        return status_set(st, STATUS_INTERNAL, "password verifier: %s", PQerrorMessage(s->conn));
    text_clear(out);
    text_add(out, verifier);
    PQfreemem(verifier);
    return STATUS_OK;
}

const connection_driver connection_libpq = {
    .open = libpq_open,
    .exec = libpq_exec,
    .copy_begin = libpq_copy_begin,
    .copy_data = libpq_copy_data,
    .copy_end = libpq_copy_end,
    .cancel = libpq_cancel,
    .broken = libpq_broken,
    .in_transaction = libpq_in_transaction,
    .server_version = libpq_server_version,
    .scram = libpq_scram,
    .close = libpq_close,
};
