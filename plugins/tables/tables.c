/* Life and settings; what a query's columns are, and which of them the settings mean. */
#include "tables.h"

#include <stdlib.h>
#include <string.h>

#include "tables_private.h"
#include "value.h"

void tables_free(void *self)
{
    tables *t = self;
    if (!t)
        return;
    if (t->d)
        t->d->functions->free(t->d);
    pst_builder_free(t->builder);
    wording_free(&t->statement.text);
    free(t);
}

pst_status tables_create(const pst_host *host, driver *d, void **self_out, pst_error *error)
{
    tables *t = d ? calloc(1, sizeof *t) : NULL;
    if (!t) {
        if (d)
            d->functions->free(d);
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    }
    t->host = host;
    t->d = d;
    t->json = host->get_service(host, PST_SERVICE_JSON);
    t->every_us = host->config_int(host, "/every_s") * 1000000;
    t->silence_us = host->config_int(host, "/statement_timeout_ms") * 1000 + DRIVER_QUICK_US;
    t->max_row_bytes = (size_t)host->config_int(host, "/max_row_bytes");
    pst_status st = setup_read(host, &t->set, error);
    if (st)
        tables_free(t);
    else
        *self_out = t;
    return st;
}

/* ---- Columns ---- */

static pst_status find(tables *t, const char *name, const char *where, size_t *out, pst_error *error)
{
    for (size_t i = 0; i < t->columns.n; i++)
        if (!strcmp(t->columns.columns[i].name, name)) {
            *out = i;
            return PST_OK;
        }
    return pst_fail(error, PST_E_CONFIG, where, "the rows have no column %.100s", name);
}

static pst_status find_all(tables *t, pst_error *error)
{
    const setup *s = &t->set;
    pst_status st = s->cursor ? find(t, s->cursor, "/cursor", &t->columns.cursor, error) : PST_OK;
    for (size_t i = 0; !st && i < s->n_keys; i++)
        st = find(t, s->keys[i], "/key", &t->columns.keys[i], error);
    if (st || !s->cursor)
        return st;
    const driver_column *c = &t->columns.columns[t->columns.cursor];
    bool line = c->kind == DRIVER_INTEGER || c->kind == DRIVER_TIME || c->kind == DRIVER_LOCAL ||
                c->kind == DRIVER_DATE;
    if (s->overlap > 0 && !line)
        return pst_fail(error, PST_E_CONFIG, "/overlap",
                        "%s is of type %s: an overlap is for times and whole numbers", c->name, c->type);
    if (c->kind == DRIVER_BOOLEAN || c->kind == DRIVER_JSON)
        return pst_fail(error, PST_E_CONFIG, "/cursor", "%s is of type %s, which does not grow", c->name,
                        c->type);
    return PST_OK;
}

static pst_status make_builder(tables *t, pst_error *error)
{
    pst_builder_free(t->builder);
    t->builder = pst_builder_create();
    if (!t->builder)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    for (size_t i = 0; i < t->columns.n; i++) {
        const driver_column *c = &t->columns.columns[i];
        if (c->kind == DRIVER_REFUSED)
            return pst_fail(error, PST_E_CONFIG, t->set.query ? "/query" : "/table",
                            "column %s is of type %s, which no row can hold; in a query write %s", c->name,
                            c->type,
                            strchr(c->type, '[') ? "to_json(column) or unnest it"
                                                 : "encode(column, 'base64'), or leave it out");
        t->cells[i] = pst_builder_column(t->builder, c->name, value_type(c->kind));
        if (t->cells[i] < 0)
            return pst_fail(error, PST_E_CONFIG, t->set.query ? "/query" : "/table",
                            "column %s is there twice, or its name is too long: name it with AS", c->name);
    }
    return PST_OK;
}

pst_status tables_describe(tables *t, const pst_call *call, pst_error *error)
{
    const char *zone = t->host->config_text(t->host, "/timezone");
    wording query = {0};
    if (t->described)
        return PST_OK;
    if (zone && !value_zone(zone))
        return pst_fail(error, PST_E_CONFIG, "/timezone", "this machine knows no zone %.100s", zone);
    if (!t->set.table && !t->set.query)
        return pst_fail(error, PST_E_CONFIG, "/table", "name a table or a query");
    statement_query(t->d, &t->set, &query);
    pst_status st = query.failed ? pst_fail(error, PST_E_RESOURCE, NULL, "no memory")
                                 : t->d->functions->describe(t->d, call, wording_text(&query),
                                                             t->columns.columns, &t->columns.n, error);
    wording_free(&query);
    st = st ? st : find_all(t, error);
    st = st ? st : make_builder(t, error);
    t->described = !st;
    return st;
}

void tables_tell(tables *t, const pst_call *call, const char *text)
{
    const pst_health_service *health = t->host->get_service(t->host, PST_SERVICE_HEALTH);
    if (health)
        health->tell(t->host, call, text);
}

/* ---- Interfaces ---- */

static pst_status on_check(void *self, const pst_call *call, pst_error *error)
{
    tables *t = self;
    pst_status st = t->d->functions->connect(t->d, call, error);
    return st || (!t->set.table && !t->set.query) ? st : tables_describe(t, call, error);
}

static pst_status on_discover(void *self, const pst_call *call, pst_blob *json_out, pst_error *error)
{
    tables *t = self;
    pst_status st = t->d->functions->connect(t->d, call, error);
    return st ? st : listing_write(t, call, json_out, error);
}

const void *tables_interface(const char *id)
{
    static const pst_source source = {
        sizeof source, PST_SOURCE_REPLAYS | PST_SOURCE_BOUNDED, poll_open, poll_read, NULL, poll_close,
        poll_skip};
    static const pst_check check = {sizeof check, 0, on_check};
    static const pst_discover discover = {sizeof discover, 0, on_discover};
    if (!strcmp(id, PST_IF_SOURCE))
        return &source;
    if (!strcmp(id, PST_IF_CHECK))
        return &check;
    return !strcmp(id, PST_IF_DISCOVER) ? &discover : NULL;
}
