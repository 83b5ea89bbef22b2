/* The connection string is made of the settings; the driver is named by its file, so that none of the
 * machine's lists is read. */
#include "session.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum { CANCEL_MS = 500, HANG_UP_MS = 50, DESCRIPTORS_MAX = 1024 };

/* ---- Jobs ---- */

static void note_failure(odbc *o, SQLSMALLINT kind, SQLHANDLE handle)
{
    SQLCHAR state[6] = "", words[WORDS_MAX] = "";
    SQLINTEGER native;
    SQLSMALLINT len;
    o->failed = true;
    SQLGetDiagRec(kind, handle, 1, state, &native, words, sizeof words, &len);
    snprintf(o->state, sizeof o->state, "%s", (char *)state);
    snprintf(o->words, sizeof o->words, "%.*s", (int)strcspn((char *)words, "\n"), (char *)words);
}

bool session_well(odbc *o, SQLRETURN code, SQLSMALLINT kind, SQLHANDLE handle)
{
    if (!SQL_SUCCEEDED(code))
        note_failure(o, kind, handle);
    return SQL_SUCCEEDED(code);
}

pst_status session_failed(odbc *o, pst_error *error)
{
    static const char *const trouble_with_tls[] = {"certificate", "does not support SSL", "SSL error"};
    bool query = !strncmp(o->state, "42", 2) || !strncmp(o->state, "22", 2) || !strncmp(o->state, "07", 2);
    if (!strncmp(o->state, "28", 2) || strstr(o->words, "password"))
        return pst_fail(error, PST_E_AUTH, "/password", "%s", o->words);
    if (!strncmp(o->state, "IM", 2) || strstr(o->words, "Can't open lib"))
        return pst_fail(error, PST_E_CONFIG, "/driver", "%s (%s)", o->words, o->state);
    if (query)
        return pst_fail(error, PST_E_CONFIG,
                        o->base.host->config_has(o->base.host, "/query") ? "/query" : "/table", "%s (%s)",
                        o->words, o->state);
    for (size_t i = 0; i < sizeof trouble_with_tls / sizeof *trouble_with_tls; i++)
        if (strstr(o->words, trouble_with_tls[i]))
            return pst_fail(error, PST_E_CONFIG, "/connection", "%s", o->words);
    pst_status st = pst_fail(error, PST_E_UNAVAILABLE, "/address", "%s (%s)", o->words, o->state);
    error->retry_after_ms = RETRY_MS;
    return st;
}

/* To its end, or the deadline; PST_IDLE becomes "no answer". */
pst_status session_do(odbc *o, const pst_call *call, void (*work)(void *), pst_error *error)
{
    o->failed = false;
    if (!o->job.running && !job_start(&o->job, work, o))
        return pst_fail(error, PST_E_RESOURCE, NULL, "no thread");
    pst_status st = job_wait(&o->job, o->base.host, call, DRIVER_QUICK_US, error);
    if (st == PST_IDLE) {
        st = pst_fail(error, PST_E_UNAVAILABLE, "/address", "%s:%s does not answer", o->place.host,
                      o->place.port);
        error->retry_after_ms = RETRY_MS;
    }
    return st || !o->failed ? st : session_failed(o, error);
}

/* ---- Connecting ---- */

static void drop_handles(odbc *o)
{
    if (o->statement)
        SQLFreeHandle(SQL_HANDLE_STMT, o->statement);
    if (o->dbc) {
        SQLDisconnect(o->dbc);
        SQLFreeHandle(SQL_HANDLE_DBC, o->dbc);
    }
    if (o->env)
        SQLFreeHandle(SQL_HANDLE_ENV, o->env);
    o->statement = o->dbc = o->env = NULL;
}

static void do_cancel(void *arg)
{
    odbc *o = arg;
    SQLCancel(o->statement); /* the one call that another thread may make */
}

/* This process has no connections but the driver's: a call that waits on one sees its end. */
static void hang_up(void)
{
    struct rlimit most = {0};
    getrlimit(RLIMIT_NOFILE, &most);
    for (int fd = 3; fd < DESCRIPTORS_MAX && (rlim_t)fd < most.rlim_cur; fd++) {
        struct sockaddr_storage of_whom = {0};
        socklen_t len = sizeof of_whom;
        if (getsockname(fd, (struct sockaddr *)&of_whom, &len) == 0 &&
            (of_whom.ss_family == AF_INET || of_whom.ss_family == AF_INET6))
            shutdown(fd, SHUT_RDWR);
    }
}

/* The server is asked to stop what it does for us; where it does not, its connections end. */
static void end_jobs(odbc *o)
{
    if (o->job.running && o->statement && job_start(&o->cancel, do_cancel, o))
        job_within(&o->job, CANCEL_MS);
    while (!job_within(&o->job, HANG_UP_MS) || !job_within(&o->cancel, HANG_UP_MS))
        hang_up();
    job_end(&o->job);
    job_end(&o->cancel);
}

void session_disconnect(driver *d)
{
    odbc *o = of(d);
    end_jobs(o);
    drop_handles(o);
    for (size_t i = 0; i < DRIVER_PARAMETERS_MAX; i++) {
        free(o->values[i]);
        o->values[i] = NULL;
    }
    o->rows = o->next = 0;
}

/* In braces only where it must be: some drivers do not take them off everywhere. */
static void add_attribute(odbc *o, const char *name, const char *value)
{
    bool braces = strpbrk(value, "[]{}(),;?*=!@ ");
    wording_add_text(&o->text, WORDING_PLAIN, name);
    wording_add_text(&o->text, WORDING_PLAIN, braces ? "={" : "=");
    for (; *value; value++) /* a brace is doubled */
        wording_add_text(&o->text, WORDING_PLAIN, *value == '}' ? "}}" : (char[]){*value, '\0'});
    wording_add_text(&o->text, WORDING_PLAIN, braces ? "};" : ";");
}

static pst_status connection_string(odbc *o, const pst_call *call, pst_error *error)
{
    const pst_host *host = o->base.host;
    char password[SECRET_MAX], path[DRIVER_NAME_MAX + 16];
    size_t len = 0;
    wording_clear(&o->text);
    wording_add_text(&o->text, WORDING_PLAIN, "Driver=");
    wording_add_text(&o->text, WORDING_PLAIN, host->config_text(host, "/driver"));
    wording_add_text(&o->text, WORDING_PLAIN, ";");
    for (size_t i = 0; i < host->config_count(host, "/connection"); i++) {
        const char *name = host->config_key(host, "/connection", i);
        snprintf(path, sizeof path, "/connection/%s", name);
        const char *value = host->config_text(host, path);
        add_attribute(o, name,
                      !strcmp(value, "{host}")   ? o->place.host
                      : !strcmp(value, "{port}") ? o->place.port
                                                 : value);
    }
    if (host->config_has(host, "/user"))
        add_attribute(o, "UID", host->config_text(host, "/user"));
    pst_status st = PST_OK;
    if (host->config_has(host, "/password"))
        st = host->secret(host, call, "/password", password, sizeof password, &len, error);
    if (!st && len)
        add_attribute(o, "PWD", password);
    explicit_bzero(password, sizeof password);
    return st;
}

static void do_connect(void *arg)
{
    odbc *o = arg;
    SQLSMALLINT len;
    if (!SQL_SUCCEEDED(SQLAllocHandle(SQL_HANDLE_ENV, SQL_NULL_HANDLE, &o->env)) ||
        !session_well(o, SQLSetEnvAttr(o->env, SQL_ATTR_ODBC_VERSION, (SQLPOINTER)SQL_OV_ODBC3, 0),
                      SQL_HANDLE_ENV, o->env) ||
        !session_well(o, SQLAllocHandle(SQL_HANDLE_DBC, o->env, &o->dbc), SQL_HANDLE_ENV, o->env))
        return;
    SQLSetConnectAttr(o->dbc, SQL_ATTR_LOGIN_TIMEOUT, (SQLPOINTER)3, 0);
    SQLSetConnectAttr(o->dbc, SQL_ATTR_ACCESS_MODE, (SQLPOINTER)SQL_MODE_READ_ONLY, 0);
    if (!session_well(o,
                      SQLDriverConnect(o->dbc, NULL, (SQLCHAR *)o->text.data, (SQLSMALLINT)o->text.len, NULL,
                                       0, &len, SQL_DRIVER_NOPROMPT),
                      SQL_HANDLE_DBC, o->dbc) ||
        !session_well(o, SQLSetConnectAttr(o->dbc, SQL_ATTR_AUTOCOMMIT, (SQLPOINTER)SQL_AUTOCOMMIT_OFF, 0),
                      SQL_HANDLE_DBC, o->dbc) ||
        !session_well(o, SQLAllocHandle(SQL_HANDLE_STMT, o->dbc, &o->statement), SQL_HANDLE_DBC, o->dbc))
        return;
    if (!SQL_SUCCEEDED(SQLGetInfo(o->dbc, SQL_IDENTIFIER_QUOTE_CHAR, o->quote, sizeof o->quote, &len)) ||
        *o->quote == ' ')
        o->quote[0] = '\0';
}

pst_status session_connect(driver *d, const pst_call *call, pst_error *error)
{
    odbc *o = of(d);
    if (o->statement)
        return PST_OK;
    session_disconnect(d);
    setlocale(LC_CTYPE, "C.UTF-8"); /* by which drivers give texts */
    pst_status st = connection_string(o, call, error);
    st = st ? st : session_do(o, call, do_connect, error);
    wording_clear(&o->text);
    if (st)
        session_disconnect(d);
    return st;
}
