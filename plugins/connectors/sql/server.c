/* libpq wants files for certificates and keys; the bytes are put into files in memory, which it finds under
 * /proc/self/fd. */
#include "server.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "driver.h"

enum { SECRET_MAX = 4096, MATERIALS = 3, PARAMETERS = 24, RETRY_MS = 2000 };
static const char *const nowhere = "/proc/self/nowhere"; /* a file that is not there */
static const char *const machines_authorities = "/etc/ssl/certs/ca-certificates.crt";

pst_status server_configure(server *srv, const pst_host *host, pst_error *error)
{
    const char *address = host->config_text(host, "/address");
    *srv = (server){.host = host, .place.where = "/address"};
    if (!address || !tcp_place_parse(address, "5432", &srv->place))
        return pst_fail(error, PST_E_CONFIG, "/address", "host or host:port is expected");
    setenv("HOME", nowhere, 1); /* libpq would look into /etc/passwd for it */
    return PST_OK;
}

void server_close(server *srv)
{
    PQfinish(srv->conn);
    srv->conn = NULL;
}

/* ---- Trust ---- */

typedef struct trust { /* the files in memory, while a connection is made */
    int fds[MATERIALS];
    char paths[MATERIALS][32];
} trust;

static const struct {
    const char *setting, *parameter;
} materials[MATERIALS] = {
    {"/tls/ca", "sslrootcert"}, {"/tls/certificate", "sslcert"}, {"/tls/key", "sslkey"}};

static void trust_end(trust *t)
{
    for (int i = 0; i < MATERIALS; i++)
        if (t->fds[i] >= 0)
            close(t->fds[i]);
}

static pst_status keep_bytes(trust *t, int which, const pst_blob *bytes, pst_error *error)
{
    const char *at = bytes->data;
    int fd = t->fds[which] = memfd_create("tls", MFD_CLOEXEC);
    bool ok = fd >= 0 && fchmod(fd, S_IRUSR | S_IWUSR) == 0; /* what libpq asks of a key */
    for (size_t left = bytes->len; ok && left;) {
        ssize_t n = write(fd, at, left);
        ok = n > 0;
        at += ok ? n : 0;
        left -= ok ? (size_t)n : 0;
    }
    snprintf(t->paths[which], sizeof t->paths[which], "/proc/self/fd/%d", fd);
    return ok ? PST_OK
              : pst_fail(error, PST_E_RESOURCE, materials[which].setting, "no file in memory for it: %s",
                         strerror(errno));
}

static pst_status trust_begin(trust *t, const pst_host *host, const pst_call *call, pst_error *error)
{
    const pst_material_service *material = host->get_service(host, PST_SERVICE_MATERIAL);
    pst_status st = PST_OK;
    for (int i = 0; i < MATERIALS; i++)
        t->fds[i] = -1;
    for (int i = 0; !st && i < MATERIALS; i++) {
        pst_blob bytes = {.struct_size = sizeof bytes};
        if (!host->config_has(host, materials[i].setting))
            continue;
        if (!material)
            return pst_fail(error, PST_E_UNSUPPORTED, materials[i].setting,
                            "this host hands over no certificates");
        st = material->fetch(host, call, materials[i].setting, &bytes, error);
        if (!st) {
            st = keep_bytes(t, i, &bytes, error);
            bytes.release(&bytes);
        }
    }
    return st;
}

/* ---- Connecting ---- */

typedef struct parameters {
    const char *names[PARAMETERS + 1], *values[PARAMETERS + 1];
    size_t n;
} parameters;

static void add(parameters *p, const char *name, const char *value)
{
    p->names[p->n] = name;
    p->values[p->n++] = value;
}

/* Everything that libpq would otherwise take from the environment or from files. */
static void fill(parameters *p, const server *srv, const trust *t, const char *password)
{
    const pst_host *host = srv->host;
    bool tls = host->config_has(host, "/tls");
    add(p, "host", srv->place.host);
    add(p, "port", srv->place.port);
    add(p, "dbname", host->config_text(host, "/database"));
    add(p, "user", host->config_text(host, "/user"));
    add(p, "password", password);
    add(p, "passfile", nowhere);
    add(p, "client_encoding", "UTF8");
    add(p, "application_name", "penstock");
    add(p, "gssencmode", "disable");
    add(p, "tcp_user_timeout", "10000");
    add(p, "keepalives_idle", "5"); /* a machine that is gone while its answer is waited for */
    add(p, "keepalives_interval", "2");
    add(p, "keepalives_count", "3");
    add(p, "sslmode", tls ? "verify-full" : "disable");
    if (tls && t->fds[0] < 0)
        add(p, "sslrootcert", machines_authorities);
    for (int i = 0; i < MATERIALS; i++)
        if (t->fds[i] >= 0)
            add(p, materials[i].parameter, t->paths[i]);
}

/* In which encoding the far side speaks is not agreed yet, and it may be no PostgreSQL at all. */
static void first_line(char *out, size_t size, const char *said)
{
    snprintf(out, size, "%.*s", (int)strcspn(said, "\n"), said);
    for (; *out; out++)
        *out = (char)(*out < ' ' || *out > '~' ? '?' : *out);
}

/* What a failure to connect means: a code in the server's words (it was told to say one), or libpq's. */
static pst_status refused(server *srv, pst_error *error)
{
    static const char *const trouble_with_tls[] = {"certificate", "does not support SSL", "SSL error",
                                                   "private key"};
    const char *said = PQerrorMessage(srv->conn);
    const char *fatal = strstr(said, "FATAL:");
    char line[300];
    first_line(line, sizeof line, said);
    if (fatal) {
        fatal += strspn(fatal + 6, " ") + 6;
        first_line(line, sizeof line, fatal);
        if (!strncmp(fatal, "28", 2))
            return pst_fail(error, PST_E_AUTH, "/password", "%s:%s refuses user %s: %s", srv->place.host,
                            srv->place.port, srv->host->config_text(srv->host, "/user"), line);
        if (!strncmp(fatal, "3D", 2))
            return pst_fail(error, PST_E_CONFIG, "/database", "%s:%s: %s", srv->place.host, srv->place.port,
                            line);
    }
    for (size_t i = 0;
         srv->host->config_has(srv->host, "/tls") && i < sizeof trouble_with_tls / sizeof *trouble_with_tls;
         i++)
        if (strstr(said, trouble_with_tls[i]))
            return pst_fail(
                error, PST_E_CONFIG, "/tls", "%s%s", line,
                strstr(said, "verify failed") ? " (expired, or of an authority that is not trusted)" : "");
    if (strstr(said, "no password supplied"))
        return pst_fail(error, PST_E_AUTH, "/password", "%s:%s wants a password", srv->place.host,
                        srv->place.port);
    pst_status st = pst_fail(error, PST_E_UNAVAILABLE, "/address", "%s", line);
    error->retry_after_ms = RETRY_MS;
    return st;
}

static pst_status wait_for(server *srv, const pst_call *call, short events, int64_t end_us, pst_error *error)
{
    tcp w = {.host = srv->host, .place = &srv->place, .fd = PQsocket(srv->conn)};
    return tcp_wait_until(&w, call, events, end_us, error);
}

static pst_status no_answer(server *srv, pst_error *error)
{
    pst_status st = pst_fail(error, PST_E_UNAVAILABLE, "/address", "%s:%s does not answer", srv->place.host,
                             srv->place.port);
    error->retry_after_ms = RETRY_MS;
    return st;
}

static pst_status connect_to(server *srv, const pst_call *call, const parameters *p, pst_error *error)
{
    srv->conn = PQconnectStartParams(p->names, p->values, 0);
    if (!srv->conn)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    PQsetErrorVerbosity(srv->conn, PQERRORS_VERBOSE); /* so that it says the code */
    PostgresPollingStatusType wants = PGRES_POLLING_WRITING;
    while (PQstatus(srv->conn) != CONNECTION_BAD && wants != PGRES_POLLING_OK &&
           wants != PGRES_POLLING_FAILED) {
        int64_t end = srv->host->now_us(srv->host) + DRIVER_QUICK_US;
        pst_status st = wait_for(srv, call, wants == PGRES_POLLING_READING ? POLLIN : POLLOUT, end, error);
        if (st == PST_IDLE)
            return no_answer(srv, error);
        if (st)
            return st;
        wants = PQconnectPoll(srv->conn);
    }
    if (PQstatus(srv->conn) != CONNECTION_OK)
        return refused(srv, error);
    PQsetErrorVerbosity(srv->conn, PQERRORS_TERSE);
    return PQsetnonblocking(srv->conn, 1) ? server_lost(srv, error) : PST_OK;
}

/* How the session is: nothing is written, texts have one form, and who is gone is noticed. */
static pst_status settle(server *srv, const pst_call *call, pst_error *error)
{
    char sql[400];
    long long timeout = srv->host->config_int(srv->host, "/statement_timeout_ms");
    snprintf(sql, sizeof sql,
             "SET default_transaction_read_only = on; SET statement_timeout = %lld; SET TimeZone = 'UTC';"
             "SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'iso_8601'; SET extra_float_digits = 1;"
             "SET idle_in_transaction_session_timeout = 300000;%s",
             timeout,
             PQserverVersion(srv->conn) >= 140000 ? "SET client_connection_check_interval = 2000" : "");
    return server_run(srv, call, sql, error);
}

pst_status server_open(server *srv, const pst_call *call, pst_error *error)
{
    char password[SECRET_MAX] = "";
    trust t;
    size_t len = 0;
    if (srv->conn && PQstatus(srv->conn) == CONNECTION_OK)
        return PST_OK;
    server_close(srv);
    pst_status st = trust_begin(&t, srv->host, call, error);
    if (!st && srv->host->config_has(srv->host, "/password"))
        st = srv->host->secret(srv->host, call, "/password", password, sizeof password, &len, error);
    parameters p = {0};
    fill(&p, srv, &t, password);
    st = st ? st : connect_to(srv, call, &p, error);
    explicit_bzero(password, sizeof password);
    trust_end(&t);
    st = st ? st : settle(srv, call, error);
    if (st)
        server_close(srv);
    return st;
}

/* ---- Answers ---- */

pst_status server_lost(server *srv, pst_error *error)
{
    const char *said = PQerrorMessage(srv->conn);
    pst_status st =
        pst_fail(error, PST_E_UNAVAILABLE, "/address", "%s:%s: %.*s", srv->place.host, srv->place.port,
                 (int)strcspn(said, "\n"), *said ? said : "the connection is lost");
    error->retry_after_ms = RETRY_MS;
    return st;
}

pst_status server_failed(server *srv, const PGresult *result, const char *where, pst_error *error)
{
    const char *code = PQresultErrorField(result, PG_DIAG_SQLSTATE),
               *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (!code || !text)
        return server_lost(srv, error);
    if (!strcmp(code, "57014"))
        return pst_fail(error, PST_E_UNAVAILABLE, where,
                        "the query was cancelled: %s; an index on the cursor column, or statement_timeout_ms",
                        text);
    bool away = !strncmp(code, "08", 2) || !strncmp(code, "53", 2) || !strncmp(code, "57", 2) ||
                !strncmp(code, "58", 2) || !strncmp(code, "40", 2) || !strncmp(code, "55", 2) ||
                !strncmp(code, "XX", 2) || !strcmp(code, "25P03");
    pst_status st = pst_fail(error, away ? PST_E_UNAVAILABLE : PST_E_CONFIG, where, "%s:%s says %s (%s)",
                             srv->place.host, srv->place.port, text, code);
    if (away)
        error->retry_after_ms = RETRY_MS;
    return st;
}

/* What is to be sent goes, what comes is read, until libpq has a result or needs none. */
pst_status server_result(server *srv, const pst_call *call, int64_t wait_us, PGresult **out, pst_error *error)
{
    int64_t end = srv->host->now_us(srv->host) + wait_us;
    int unsent;
    *out = NULL;
    while ((unsent = PQflush(srv->conn)) > 0 || (unsent == 0 && PQisBusy(srv->conn))) {
        pst_status st = wait_for(srv, call, (short)(POLLIN | (unsent ? POLLOUT : 0)), end, error);
        if (st)
            return st;
        if (!PQconsumeInput(srv->conn))
            return server_lost(srv, error);
    }
    if (unsent < 0)
        return server_lost(srv, error);
    *out = PQgetResult(srv->conn);
    return PST_OK;
}

pst_status server_finish(server *srv, const pst_call *call, const char *where, PGresult **last,
                         pst_error *error)
{
    PGresult *kept = NULL, *next;
    pst_status st;
    for (;;) {
        st = server_result(srv, call, DRIVER_QUICK_US, &next, error);
        if (st == PST_IDLE)
            st = no_answer(srv, error);
        if (st || !next)
            break;
        PQclear(kept);
        kept = next;
        if (PQresultStatus(kept) == PGRES_FATAL_ERROR) {
            st = server_failed(srv, kept, where, error);
            break;
        }
    }
    if (!st && last)
        *last = kept;
    else
        PQclear(kept);
    return st;
}

pst_status server_run(server *srv, const pst_call *call, const char *sql, pst_error *error)
{
    return PQsendQuery(srv->conn, sql) ? server_finish(srv, call, NULL, NULL, error)
                                       : server_lost(srv, error);
}
