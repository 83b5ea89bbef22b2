/* A sink that inserts rows over ClickHouse's HTTP interface, as JSONEachRow: one request a batch, which is
 * one block of the table or none. Columns are written as the table takes them (table.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "penstock/define.h"
#include "table.h"
#include "wording.h"

typedef struct sink {
    const pst_host *host;
    pull_client client;
    table table;
    bool leave_out;
    pst_text body;
} sink;

static pst_status on_create(const pst_host *host, void **self, pst_error *error)
{
    const char *missing = host->config_text(host, "/missing");
    sink *s = calloc(1, sizeof *s);
    if (!s)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    *self = s;
    s->host = host;
    s->leave_out = missing && !strcmp(missing, "leave_out");
    pst_status st = table_open(&s->table, host, error);
    return st ? st : pull_open(&s->client, host, error);
}

static void on_destroy(void *self)
{
    sink *s = self;
    if (!s)
        return;
    pull_close(&s->client);
    table_close(&s->table);
    pst_text_free(&s->body);
    free(s);
}

/* ---- rows ---- */

/* Takes out of the rows what the table does not have. */
static pst_status fit_columns(const sink *s, pst_rows *rows, pst_error *error)
{
    static const char *const own[] = {"_extra", "_seq", "_received"};
    for (size_t i = 0; i < rows->n_columns;) {
        const char *name = rows->columns[i].name;
        bool may_miss = s->leave_out;
        for (size_t k = 0; k < sizeof own / sizeof *own; k++)
            may_miss = may_miss || !strcmp(name, own[k]);
        if (table_find(&s->table, name)) {
            i++;
            continue;
        }
        if (!may_miss)
            return pst_fail(error, PST_E_CONFIG, "/missing",
                            "the table %s.%s has no column %s: add it, or say missing: leave_out",
                            s->table.database, s->table.name, name);
        pst_rows_hide(rows, name);
    }
    return PST_OK;
}

/* "2026-01-31 12:00:00.000000" → the same in whole seconds */
static void add_seconds(const pst_column *c, uint32_t row, pst_text *out)
{
    enum { FRACTION = 8 }; /* .000000" */
    pst_cell_json(c, row, PST_ROW_SPACE_TIMES, out);
    if (out->failed)
        return;
    out->len -= FRACTION;
    pst_text_add(out, "\"", 1);
}

static void add_cell(const sink *s, const pst_column *c, uint32_t row, pst_text *out)
{
    const table_column *as = c->type == PST_TIME ? table_find(&s->table, c->name) : NULL;
    if (as && as->time == TIME_SECONDS)
        add_seconds(c, row, out);
    else
        pst_cell_json(c, row,
                      (as && as->time == TIME_MICROSECONDS ? PST_ROW_SPACE_TIMES : 0) | PST_ROW_FINITE, out);
}

static void add_row(const sink *s, const pst_rows *rows, uint32_t row, pst_text *out)
{
    const char *before = "{";
    for (size_t i = 0; i < rows->n_columns; i++) {
        const pst_column *c = &rows->columns[i];
        if (pst_column_null(c, row))
            continue;
        pst_text_add_string(out, before);
        pst_text_add_json(out, c->name, strlen(c->name));
        pst_text_add(out, ":", 1);
        if (c->type == PST_JSON) { /* a text, for a column of type String */
            pst_bytes v = pst_column_bytes(c, row);
            pst_text_add_json(out, v.data, v.len);
        } else {
            add_cell(s, c, row, out);
        }
        before = ",";
    }
    pst_text_add_string(out, *before == '{' ? "{}\n" : "}\n");
}

static pst_status write_body(sink *s, const pst_outgoing *batch, pst_error *error)
{
    pst_rows rows;
    pst_status st = pst_rows_open(batch->schema, batch->array, &rows, error);
    pst_text_clear(&s->body);
    if (!st)
        st = fit_columns(s, &rows, error);
    for (uint32_t i = 0; !st && i < rows.n_rows; i++)
        add_row(s, &rows, i, &s->body);
    pst_rows_close(&rows);
    return st || !s->body.failed ? st : pst_fail(error, PST_E_RESOURCE, NULL, "no memory for a batch");
}

static pst_status on_write(void *self, const pst_call *call, const pst_outgoing *batch, pst_refused *refused,
                           size_t cap, size_t *n_refused, pst_error *error)
{
    sink *s = self;
    char query[320];
    wording more = {0};
    (void)refused, (void)cap, (void)n_refused;
    pst_status st = table_look(&s->table, &s->client, call, error);
    if (!st)
        st = write_body(s, batch, error);
    snprintf(query, sizeof query, "INSERT INTO %s.%s FORMAT JSONEachRow", s->table.database, s->table.name);
    if (!st && s->table.deduplicates) {
        wording_add_text(&more, WORDING_PLAIN, "&insert_deduplication_token=");
        wording_add_text(&more, WORDING_URL, batch->batch_id);
    }
    if (!st)
        st = table_ask(&s->table, &s->client, call, query, wording_text(&more), &s->body, error);
    wording_free(&more);
    if (st == PST_E_CONFIG || st == PST_E_DATA)
        s->table.known = false; /* somebody may have altered it */
    return st;
}

static pst_status on_check(void *self, const pst_call *call, pst_error *error)
{
    sink *s = self;
    s->table.known = false;
    return table_look(&s->table, &s->client, call, error);
}

static const void *on_get_interface(const char *id)
{
    static const pst_sink sink_if = {.struct_size = sizeof sink_if, .write = on_write};
    static const pst_check check = {.struct_size = sizeof check, .check = on_check};
    return !strcmp(id, PST_IF_SINK) ? (const void *)&sink_if : !strcmp(id, PST_IF_CHECK) ? &check : NULL;
}

PST_PLUGIN(.id = "org.penstock.connector.clickhouse", .kind = PST_KIND_CONNECTOR, .version = "1.0.0",
           .title = "ClickHouse", .licence = "Apache-2.0", .get_interface = on_get_interface,
           .create = on_create, .destroy = on_destroy);
