/* The connector: whatever database has an ODBC driver, behind what all connectors over tables share. Rows are
 * fetched in blocks by a job, while the plugin's call waits a second at most. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "penstock/define.h"
#include "session.h"
#include "tables.h"

static void on_free(driver *d)
{
    odbc *o = of(d);
    session_disconnect(d);
    wording_free(&o->text);
    wording_free(&o->bytes);
    free(o->columns);
    free(o->cells);
    free(o->listed);
    free(o->names);
    free(o);
}

static void on_quote(driver *d, wording *w, const char *name)
{
    const char *q = of(d)->quote;
    wording_add_text(w, WORDING_PLAIN, q);
    for (; *name; name++) {
        wording_add(w, WORDING_PLAIN, name, 1);
        if (*q && *name == *q)
            wording_add(w, WORDING_PLAIN, name, 1);
    }
    wording_add_text(w, WORDING_PLAIN, q);
}

static void on_mark(driver *d, wording *w, size_t number)
{
    (void)d;
    (void)number;
    wording_add_text(w, WORDING_PLAIN, "?");
}

/* ---- Rows ---- */

static bool bind(odbc *o, size_t i)
{
    const driver_parameter *p = &o->parameters[i];
    SQLSMALLINT type = p->like ? (SQLSMALLINT)p->like->native : SQL_VARCHAR;
    SQLULEN size = p->value.len ? p->value.len : 1;
    return session_well(o,
                        SQLBindParameter(o->statement, (SQLUSMALLINT)(i + 1), SQL_PARAM_INPUT, SQL_C_CHAR,
                                         type, size, type == SQL_TYPE_TIMESTAMP ? 6 : 0, o->values[i],
                                         (SQLLEN)p->value.len, &o->lengths[i]),
                        SQL_HANDLE_STMT, o->statement);
}

static pst_status on_begin(driver *d, const pst_call *call, const char *query,
                           const driver_parameter *parameters, size_t n, pst_error *error)
{
    odbc *o = of(d);
    (void)call;
    wording_clear(&o->text);
    wording_add_text(&o->text, WORDING_PLAIN, query);
    o->n_parameters = n;
    for (size_t i = 0; i < n; i++) {
        o->parameters[i] = parameters[i];
        free(o->values[i]);
        o->values[i] =
            strndup(parameters[i].value.data ? parameters[i].value.data : "", parameters[i].value.len);
        if (!o->values[i] || o->text.failed)
            return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
        o->lengths[i] = parameters[i].value.data ? (SQLLEN)parameters[i].value.len : SQL_NULL_DATA;
    }
    o->executed = o->last = false;
    o->rows = o->next = 0;
    return PST_OK;
}

static bool execute(odbc *o)
{
    SQLFreeStmt(o->statement, SQL_CLOSE);
    SQLFreeStmt(o->statement, SQL_RESET_PARAMS);
    uintptr_t seconds = (uintptr_t)(o->base.host->config_int(o->base.host, "/statement_timeout_ms") / 1000);
    SQLSetStmtAttr(o->statement, SQL_ATTR_QUERY_TIMEOUT,
                   (SQLPOINTER)seconds, /* NOLINT(performance-no-int-to-ptr) */
                   0);
    bool ok = session_well(o, SQLPrepare(o->statement, (SQLCHAR *)o->text.data, SQL_NTS), SQL_HANDLE_STMT,
                           o->statement);
    for (size_t i = 0; ok && i < o->n_parameters; i++)
        ok = bind(o, i);
    ok = ok && session_well(o, SQLExecute(o->statement), SQL_HANDLE_STMT, o->statement);
    if (ok && catalogue_shape(o) != o->shape) { /* values would be in wrong columns */
        o->failed = true;
        o->state[0] = '\0';
        snprintf(o->words, sizeof o->words, "the columns have changed: they are looked at anew");
    }
    return ok && !o->failed;
}

/* A value in pieces, behind what is in the block. */
static bool take_value(odbc *o, SQLUSMALLINT column, cell *out)
{
    char piece[CHUNK_BYTES];
    SQLLEN left;
    SQLRETURN code;
    *out = (cell){o->bytes.len, 0};
    while (SQL_SUCCEEDED(code = SQLGetData(o->statement, column, SQL_C_CHAR, piece, sizeof piece, &left))) {
        if (left == SQL_NULL_DATA) {
            out->len = SIZE_MAX;
            return true;
        }
        size_t len = strnlen(piece, sizeof piece - 1);
        wording_add(&o->bytes, WORDING_PLAIN, piece, len);
        out->len += len;
        if (code == SQL_SUCCESS)
            return true;
    }
    return code == SQL_NO_DATA || session_well(o, code, SQL_HANDLE_STMT, o->statement);
}

static void do_fetch(void *arg)
{
    odbc *o = arg;
    o->rows = o->next = 0;
    wording_clear(&o->bytes);
    if (!o->executed && !execute(o))
        return;
    o->executed = true;
    while (o->rows < o->most && o->bytes.len < BLOCK_BYTES) {
        SQLRETURN code = SQLFetch(o->statement);
        o->last = code == SQL_NO_DATA;
        if (o->last || !session_well(o, code, SQL_HANDLE_STMT, o->statement))
            return;
        for (SQLSMALLINT i = 0; i < o->n_columns; i++)
            if (!take_value(o, (SQLUSMALLINT)(i + 1), &o->cells[o->rows * (size_t)o->n_columns + (size_t)i]))
                return;
        o->rows++;
    }
}

static bool make_room(odbc *o)
{
    void *cells = realloc(o->cells, (size_t)o->most * (size_t)o->n_columns * sizeof *o->cells);
    if (!cells)
        return false;
    o->cells = cells;
    return true;
}

static pst_status fetch(odbc *o, const pst_call *call, uint32_t most, pst_error *error)
{
    if (!o->job.running) {
        o->most = most < BLOCK_ROWS ? most : BLOCK_ROWS;
        o->failed = false;
        if (!make_room(o) || !job_start(&o->job, do_fetch, o))
            return pst_fail(error, PST_E_RESOURCE, NULL, "no memory, or no thread");
    }
    pst_status st = job_wait(&o->job, o->base.host, call, DRIVER_SLICE_US, error);
    if (!st && o->bytes.failed)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    return st || !o->failed ? st : session_failed(o, error);
}

static pst_status on_next(driver *d, const pst_call *call, uint32_t most, driver_value *values,
                          pst_error *error)
{
    odbc *o = of(d);
    while (o->job.running || o->next == o->rows) {
        if (!o->job.running && o->last)
            return PST_END;
        pst_status st = fetch(o, call, most, error);
        if (st)
            return st;
    }
    const cell *row = &o->cells[o->next++ * (size_t)o->n_columns];
    for (SQLSMALLINT i = 0; i < o->n_columns; i++) {
        values[i] = (driver_value){0};
        if (row[i].len != SIZE_MAX)
            values[i] = (driver_value){wording_text(&o->bytes) + row[i].at, row[i].len};
    }
    return PST_OK;
}

static void do_end(void *arg)
{
    odbc *o = arg;
    SQLFreeStmt(o->statement, SQL_CLOSE);
    session_well(o, SQLEndTran(SQL_HANDLE_DBC, o->dbc, SQL_ROLLBACK), SQL_HANDLE_DBC, o->dbc);
}

static pst_status on_end(driver *d, const pst_call *call, pst_error *error)
{
    return session_do(of(d), call, do_end, error);
}

/* ---- The plugin ---- */

static pst_status on_create(const pst_host *host, void **self, pst_error *error)
{
    static const driver_functions functions = {on_free, session_connect,    session_disconnect, on_quote,
                                               on_mark, catalogue_describe, on_begin,           on_next,
                                               on_end,  catalogue_list};
    odbc *o = calloc(1, sizeof *o);
    if (!o)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    o->base = (driver){&functions, host};
    o->job.done_fd = o->cancel.done_fd = -1;
    o->place.where = "/address";
    o->columns = calloc(DRIVER_COLUMNS_MAX, sizeof *o->columns);
    setenv("ODBCSYSINI", "/proc/self/nowhere",
           1); /* the driver is named by its file; the machine's lists are not read */
    setenv("HOME", "/proc/self/nowhere", 1);
    const char *address = host->config_text(host, "/address");
    pst_status st = PST_OK;
    if (!o->columns)
        st = pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    else if (!address || !tcp_place_parse(address, "0", &o->place))
        st = pst_fail(error, PST_E_CONFIG, "/address", "host:port is expected");
    if (!st)
        return tables_create(host, &o->base, self, error);
    on_free(&o->base);
    return st;
}

PST_PLUGIN(.id = "org.penstock.connector.odbc", .kind = PST_KIND_CONNECTOR, .version = "1.0.0",
           .title = "ODBC", .licence = "Apache-2.0", .get_interface = tables_interface, .create = on_create,
           .destroy = tables_free);
