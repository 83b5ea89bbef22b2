/* The connector: PostgreSQL behind what all connectors over tables share. A query is described by preparing
 * it, read through a server-side cursor, and its rows are taken off the wire one by one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalogue.h"
#include "penstock/define.h"
#include "server.h"
#include "tables.h"

enum { FETCH_FIRST = 500, FETCH_BYTES = 2 << 20 };

typedef struct sql {
    driver base;
    server server;
    PGresult *row;
    bool fetching, shut;      /* shut: the cursor gave less than was asked for */
    uint32_t asked, got;      /* of this FETCH */
    uint64_t rows, row_bytes; /* of this cursor */
    uint64_t shape;           /* of the columns as they were described */
} sql;

static sql *of(driver *d)
{
    return (sql *)d;
}

static void forget_row(sql *s)
{
    PQclear(s->row);
    s->row = NULL;
}

static void on_disconnect(driver *d)
{
    forget_row(of(d));
    server_close(&of(d)->server);
    of(d)->fetching = false;
}

static void on_free(driver *d)
{
    on_disconnect(d);
    free(d);
}

static pst_status on_connect(driver *d, const pst_call *call, pst_error *error)
{
    return server_open(&of(d)->server, call, error);
}

static void on_quote(driver *d, wording *w, const char *name)
{
    (void)d;
    wording_add_text(w, WORDING_PLAIN, "\"");
    for (; *name; name++)
        wording_add_text(w, WORDING_PLAIN, *name == '"' ? "\"\"" : (char[]){*name, '\0'});
    wording_add_text(w, WORDING_PLAIN, "\"");
}

static void on_mark(driver *d, wording *w, size_t number)
{
    char text[24];
    (void)d;
    snprintf(text, sizeof text, "$%zu", number);
    wording_add_text(w, WORDING_PLAIN, text);
}

/* ---- Columns ---- */

/* Which columns these are: their names and types, hashed. */
static uint64_t shape_of(const PGresult *r)
{
    uint64_t h = 0xcbf29ce484222325U;
    for (int i = 0; i < PQnfields(r); i++) {
        for (const char *name = PQfname(r, i); *name; name++)
            h = (h ^ (uint8_t)*name) * 0x100000001b3U;
        h = (h ^ PQftype(r, i)) * 0x100000001b3U;
    }
    return h;
}

static pst_status take_columns(sql *s, const pst_call *call, const PGresult *r, driver_column *out,
                               size_t *n_out, pst_error *error)
{
    int n = PQnfields(r);
    *n_out = 0;
    s->shape = shape_of(r);
    if (n <= 0)
        return pst_fail(error, PST_E_CONFIG, "/query", "it gives no rows: a SELECT is expected");
    if (n > DRIVER_COLUMNS_MAX)
        return pst_fail(error, PST_E_CONFIG, "/query", "%d columns; at most %d", n, DRIVER_COLUMNS_MAX);
    for (int i = 0; i < n; i++) {
        driver_column *c = &out[(*n_out)++];
        *c = (driver_column){.native = (int)PQftype(r, i), .kind = catalogue_kind(PQftype(r, i))};
        snprintf(c->name, sizeof c->name, "%s", PQfname(r, i));
        snprintf(c->type, sizeof c->type, "%s", catalogue_name(PQftype(r, i)));
    }
    return catalogue_ask(&s->server, call, out, *n_out, error);
}

static pst_status on_describe(driver *d, const pst_call *call, const char *query, driver_column *out,
                              size_t *n_out, pst_error *error)
{
    sql *s = of(d);
    PGresult *r = NULL;
    const char *where = d->host->config_has(d->host, "/query") ? "/query" : "/table";
    pst_status st = PQsendPrepare(s->server.conn, "", query, 0, NULL)
                        ? server_finish(&s->server, call, where, NULL, error)
                        : server_lost(&s->server, error);
    if (!st)
        st = PQsendDescribePrepared(s->server.conn, "") ? server_finish(&s->server, call, where, &r, error)
                                                        : server_lost(&s->server, error);
    if (!st)
        st = take_columns(s, call, r, out, n_out, error);
    PQclear(r);
    return st;
}

/* ---- Rows ---- */

/* Types are as the query implies; values are texts. */
static pst_status declare(sql *s, const char *statement, const driver_parameter *parameters, size_t n,
                          pst_error *error)
{
    const char *values[DRIVER_PARAMETERS_MAX] = {0};
    wording texts[DRIVER_PARAMETERS_MAX] = {0}, all = {0};
    bool ok = true;
    for (size_t i = 0; i < n; i++) {
        wording_add(&texts[i], WORDING_PLAIN, parameters[i].value.data, parameters[i].value.len);
        values[i] = parameters[i].value.data ? wording_text(&texts[i]) : NULL;
        ok = ok && !texts[i].failed;
    }
    wording_add_text(&all, WORDING_PLAIN, "DECLARE penstock NO SCROLL CURSOR FOR ");
    wording_add_text(&all, WORDING_PLAIN, statement);
    ok = ok && !all.failed;
    int sent =
        ok && PQsendQueryParams(s->server.conn, wording_text(&all), (int)n, NULL, values, NULL, NULL, 0);
    for (size_t i = 0; i < n; i++)
        wording_free(&texts[i]);
    wording_free(&all);
    return sent ? PST_OK
           : ok ? server_lost(&s->server, error)
                : pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
}

static pst_status on_begin(driver *d, const pst_call *call, const char *statement,
                           const driver_parameter *parameters, size_t n, pst_error *error)
{
    sql *s = of(d);
    const char *where = d->host->config_has(d->host, "/query") ? "/query" : "/table";
    s->fetching = s->shut = false;
    s->rows = s->row_bytes = 0;
    pst_status st = server_run(&s->server, call, "BEGIN READ ONLY", error);
    st = st ? st : declare(s, statement, parameters, n, error);
    return st ? st : server_finish(&s->server, call, where, NULL, error);
}

/* As many rows as fill some MiB, by what those before them took. */
static pst_status fetch(sql *s, uint32_t most, pst_error *error)
{
    char text[64];
    uint64_t average = s->rows ? s->row_bytes / s->rows + 1 : FETCH_BYTES / FETCH_FIRST;
    uint64_t n = FETCH_BYTES / average + 1;
    s->asked = n < most ? (uint32_t)n : most;
    s->got = 0;
    snprintf(text, sizeof text, "FETCH FORWARD %u FROM penstock", s->asked);
    s->fetching = PQsendQuery(s->server.conn, text) && PQsetSingleRowMode(s->server.conn);
    return s->fetching ? PST_OK : server_lost(&s->server, error);
}

/* Rows by an old description would have values in wrong columns. */
static pst_status changed(sql *s, pst_error *error)
{
    const pst_host *host = s->base.host;
    pst_status st = pst_fail(error, PST_E_UNAVAILABLE, host->config_has(host, "/query") ? "/query" : "/table",
                             "its columns have changed: they are looked at anew");
    error->retry_after_ms = 1;
    return st;
}

static void take_values(sql *s, driver_value *values)
{
    int n = PQnfields(s->row);
    for (int i = 0; i < n && i < DRIVER_COLUMNS_MAX; i++) {
        values[i] = (driver_value){0};
        if (!PQgetisnull(s->row, 0, i))
            values[i] = (driver_value){PQgetvalue(s->row, 0, i), (size_t)PQgetlength(s->row, 0, i)};
        s->row_bytes += values[i].len + 8;
    }
    s->rows++;
    s->got++;
}

/* One result of the FETCH: a row (PST_OK with s->row), its end (PST_OK without), or a failure. */
static pst_status take_result(sql *s, const pst_call *call, pst_error *error)
{
    PGresult *r;
    forget_row(s);
    pst_status st = server_result(&s->server, call, DRIVER_SLICE_US, &r, error);
    if (st)
        return st;
    if (!r) {
        s->fetching = false;
        s->shut = s->got < s->asked;
    } else if (PQresultStatus(r) == PGRES_SINGLE_TUPLE) {
        s->row = r;
        return PST_OK;
    } else if (PQresultStatus(r) == PGRES_FATAL_ERROR) {
        st = server_failed(&s->server, r,
                           s->base.host->config_has(s->base.host, "/query") ? "/query" : "/table", error);
    }
    PQclear(r);
    return st;
}

static pst_status on_next(driver *d, const pst_call *call, uint32_t most, driver_value *values,
                          pst_error *error)
{
    sql *s = of(d);
    for (;;) {
        if (!s->fetching && s->shut)
            return PST_END;
        pst_status st = s->fetching ? PST_OK : fetch(s, most, error);
        st = st ? st : take_result(s, call, error);
        if (st)
            return st;
        if (s->row && s->got == 0 && shape_of(s->row) != s->shape)
            return changed(s, error);
        if (s->row) {
            take_values(s, values);
            return PST_OK;
        }
    }
}

static pst_status on_end(driver *d, const pst_call *call, pst_error *error)
{
    sql *s = of(d);
    forget_row(s);
    pst_status st = s->fetching ? server_finish(&s->server, call, NULL, NULL, error) : PST_OK;
    s->fetching = false;
    return st ? st : server_run(&s->server, call, "COMMIT", error);
}

static pst_status on_list(driver *d, const pst_call *call, const char *table, driver_on_listed on_listed,
                          void *arg, pst_error *error)
{
    return catalogue_list(&of(d)->server, call, table, on_listed, arg, error);
}

/* ---- The plugin ---- */

static pst_status on_create(const pst_host *host, void **self, pst_error *error)
{
    static const driver_functions functions = {on_free,     on_connect, on_disconnect, on_quote, on_mark,
                                               on_describe, on_begin,   on_next,       on_end,   on_list};
    sql *s = calloc(1, sizeof *s);
    if (!s)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    s->base = (driver){&functions, host};
    pst_status st = server_configure(&s->server, host, error);
    if (!st)
        return tables_create(host, &s->base, self, error);
    free(s);
    return st;
}

PST_PLUGIN(.id = "org.penstock.connector.sql", .kind = PST_KIND_CONNECTOR, .version = "1.0.0",
           .title = "PostgreSQL", .licence = "Apache-2.0", .get_interface = tables_interface,
           .create = on_create, .destroy = tables_free);
