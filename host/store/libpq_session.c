#include "store/libpq_session.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"

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

status_class libpq_session_lost(libpq_session *s, const char *name, connection_failure *failure, status *st)
{
    const char *m = PQerrorMessage(s->conn);
    s->broken = true;
    failure->sqlstate[0] = '\0';
    return status_set(st, STATUS_UNAVAILABLE, "%s: %.*s", name, *m ? line_length(m) : 19,
                      *m ? m : "the connection ended");
}

status_class libpq_session_fail(libpq_session *s, const PGresult *r, const char *name,
                                connection_failure *failure, status *st)
{
    const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
    if (PQresultStatus(r) == PGRES_PIPELINE_ABORTED)
        return status_set(st, STATUS_CANCELLED, "%s: an earlier statement failed", name);
    const char *place = PQresultErrorField(r, PG_DIAG_COLUMN_NAME);
    if (!state || !message)
        return libpq_session_lost(s, name, failure, st);
    snprintf(failure->sqlstate, sizeof failure->sqlstate, "%s", state);
    return status_at(st, class_of_sqlstate(state, message), place, "%s: %s", name, message);
}

/* ---- waiting ---- */

int64_t libpq_deadline(int64_t ms)
{
    return clock_monotonic_us() + ms * 1000;
}

/* Waits for `events`; STATUS_TIMEOUT marks the session broken: nobody knows what the server will still do. */
static status_class wait_for(libpq_session *s, short events, int64_t deadline, const char *name, status *st)
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

status_class libpq_session_flush(libpq_session *s, int64_t deadline, const char *name,
                                 connection_failure *failure, status *st)
{
    for (;;) {
        int more = PQflush(s->conn);
        if (more == 0)
            return STATUS_OK;
        if (more < 0)
            return libpq_session_lost(s, name, failure, st);
        status_class ret = wait_for(s, POLLIN | POLLOUT, deadline, name, st);
        if (ret != STATUS_OK)
            return ret;
        if (!PQconsumeInput(s->conn))
            return libpq_session_lost(s, name, failure, st);
    }
}

status_class libpq_session_next(libpq_session *s, int64_t deadline, const char *name, PGresult **out,
                                connection_failure *failure, status *st)
{
    *out = NULL;
    while (PQisBusy(s->conn)) {
        status_class ret = wait_for(s, POLLIN, deadline, name, st);
        if (ret != STATUS_OK)
            return ret;
        if (!PQconsumeInput(s->conn))
            return libpq_session_lost(s, name, failure, st);
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

static status_class finish_connecting(libpq_session *s, int64_t deadline, connection_failure *failure,
                                      status *st)
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
    libpq_session_lost(s, "connect", failure, st);
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

void libpq_session_close(void *handle)
{
    libpq_session *s = handle;
    if (s->broken && s->conn && PQsocket(s->conn) >= 0)
        shutdown(PQsocket(s->conn), SHUT_RDWR); /* so that the farewell cannot wait for a stopped server */
    PQfinish(s->conn);
    arena_free(s->scratch);
    free(s);
}

status_class libpq_session_open(const connection_options *o, void **out, connection_failure *failure,
                                status *st)
{
    libpq_session *s = memory_zero(1, sizeof *s);
    s->scratch = arena_create(0);
    s->conn = start(o);
    status_class ret = finish_connecting(s, libpq_deadline(o->connect_timeout_ms), failure, st);
    if (ret != STATUS_OK) {
        libpq_session_close(s);
        return ret;
    }
    PQsetnonblocking(s->conn, 1);
    PQsetNoticeReceiver(s->conn, ignore_notice, NULL);
    *out = s;
    return STATUS_OK;
}
