#include "statement.h"

#include <stdio.h>
#include <string.h>

#include "value.h"

static const char *text_at(const pst_host *host, const char *list, size_t index)
{
    char path[64];
    snprintf(path, sizeof path, "%s/%zu", list, index);
    return host->config_text(host, path);
}

pst_status setup_read(const pst_host *host, setup *out, pst_error *error)
{
    *out = (setup){.table = host->config_text(host, "/table"),
                   .query = host->config_text(host, "/query"),
                   .cursor = host->config_text(host, "/cursor"),
                   .start = host->config_text(host, "/start"),
                   .overlap = host->config_real(host, "/overlap"),
                   .n_keys = host->config_count(host, "/key"),
                   .n_parameters = host->config_count(host, "/parameters")};
    if (out->table && out->query)
        return pst_fail(error, PST_E_CONFIG, "/query", "a table or a query, not both");
    if (out->n_keys > MARK_KEYS_MAX)
        return pst_fail(error, PST_E_CONFIG, "/key", "at most %d columns", MARK_KEYS_MAX);
    if (out->n_parameters > DRIVER_PARAMETERS_MAX / 2)
        return pst_fail(error, PST_E_CONFIG, "/parameters", "at most %d", DRIVER_PARAMETERS_MAX / 2);
    if (!out->cursor && (out->start || out->overlap > 0))
        return pst_fail(error, PST_E_CONFIG, out->start ? "/start" : "/overlap",
                        "it is for a cursor column: name one");
    for (size_t i = 0; i < out->n_keys; i++)
        out->keys[i] = text_at(host, "/key", i);
    for (size_t i = 0; i < out->n_parameters; i++)
        out->parameters[i] = text_at(host, "/parameters", i);
    return PST_OK;
}

static void add(wording *w, const char *text)
{
    wording_add_text(w, WORDING_PLAIN, text);
}

/* "schema.table" */
static void add_table(driver *d, const char *name, wording *out)
{
    const char *dot = strchr(name, '.');
    char schema[DRIVER_NAME_MAX];
    if (dot && (size_t)(dot - name) < sizeof schema) {
        snprintf(schema, sizeof schema, "%.*s", (int)(dot - name), name);
        d->functions->quote(d, out, schema);
        add(out, ".");
        name = dot + 1;
    }
    d->functions->quote(d, out, name);
}

void statement_query(driver *d, const setup *s, wording *out)
{
    size_t len = s->query ? strlen(s->query) : 0;
    while (len && strchr(" \t\r\n;", s->query[len - 1]))
        len--;
    if (s->query) {
        wording_add(out, WORDING_PLAIN, s->query, len);
        return;
    }
    add(out, "SELECT * FROM ");
    add_table(d, s->table, out);
}

/* ---- A poll ---- */

static void add_column(driver *d, const driver_column *c, wording *out)
{
    add(out, "q.");
    d->functions->quote(d, out, c->name);
}

/* q."c" > ?  with its parameter */
static void add_test(driver *d, statement *st, const driver_column *c, const char *operator,
                     driver_value value)
{
    add_column(d, c, &st->text);
    add(&st->text, operator);
    st->parameters[st->n++] = (driver_parameter){value, c};
    d->functions->mark(d, &st->text, st->n);
}

/* Behind the last key of a crowded value: c > v OR (c = v AND (k1 > a OR (k1 = a AND k2 > b))). */
static void add_behind_key(driver *d, const layout *l, const mark *m, statement *st)
{
    const driver_column *cursor = &l->columns[l->cursor];
    driver_value at = {m->value, m->value_len};
    add_test(d, st, cursor, " > ", at);
    add(&st->text, " OR (");
    add_test(d, st, cursor, " = ", at);
    for (uint32_t i = 0; i < m->n_keys; i++) {
        add(&st->text, " AND (");
        add_test(d, st, &l->columns[l->keys[i]], " > ", mark_key(m, i));
        if (i + 1 < m->n_keys) {
            add(&st->text, " OR (");
            add_test(d, st, &l->columns[l->keys[i]], " = ", mark_key(m, i));
        }
    }
    for (uint32_t i = 0; i + 1 < 2 * m->n_keys; i++)
        add(&st->text, ")");
    add(&st->text, ")");
}

static bool add_from_mark(driver *d, const setup *s, const layout *l, const mark *m, statement *st)
{
    const driver_column *cursor = &l->columns[l->cursor];
    driver_value at = {m->value, m->value_len};
    if (m->crowded && s->overlap <= 0) {
        add_behind_key(d, l, m, st);
        return true;
    }
    if (s->overlap > 0) {
        int64_t order;
        if (!value_order(cursor->kind, at, &order))
            return false;
        at.len = value_of_order(cursor->kind, order - value_overlap(cursor->kind, s->overlap), st->from);
        at.data = st->from;
    }
    add_test(d, st, cursor, " >= ", at);
    return true;
}

static void begin(const setup *s, statement *out)
{
    statement_clear(out);
    for (size_t i = 0; i < s->n_parameters; i++) {
        const char *p = s->parameters[i];
        out->parameters[out->n++] = (driver_parameter){{p, p ? strlen(p) : 0}, NULL};
    }
}

/* Columns as they were described. */
static void add_from_query(driver *d, const setup *s, wording *out)
{
    add(out, "SELECT q.* FROM (");
    statement_query(d, s, out);
    add(out, "\n) q WHERE ");
}

void statement_behind(driver *d, const setup *s, const layout *l, const mark *m, statement *out)
{
    const driver_column *cursor = &l->columns[l->cursor];
    begin(s, out);
    add_from_query(d, s, &out->text);
    add_test(d, out, cursor, " < ", (driver_value){m->value, m->value_len});
}

bool statement_poll(driver *d, const setup *s, const layout *l, const mark *m, statement *out)
{
    const driver_column *cursor = &l->columns[l->cursor];
    bool ok = true;
    begin(s, out);
    if (!s->cursor) {
        statement_query(d, s, &out->text);
        return true;
    }
    add_from_query(d, s, &out->text);
    if (*m->column)
        ok = add_from_mark(d, s, l, m, out);
    else if (s->start)
        add_test(d, out, cursor, " >= ", (driver_value){s->start, strlen(s->start)});
    else {
        add_column(d, cursor, &out->text);
        add(&out->text, " IS NOT NULL");
    }
    add(&out->text, " ORDER BY ");
    add_column(d, cursor, &out->text);
    for (size_t i = 0; i < s->n_keys; i++) {
        add(&out->text, ", ");
        add_column(d, &l->columns[l->keys[i]], &out->text);
    }
    return ok;
}

void statement_clear(statement *st)
{
    wording_clear(&st->text);
    st->n = 0;
}
