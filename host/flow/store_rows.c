#include "flow/store_rows.h"

#include <stdlib.h>
#include <string.h>

#include "base/batch_json.h"
#include "base/text.h"
#include "control/definition_table.h"
#include "store/copy.h"

enum { LIMIT_MAX = 10000, KEY_MAX = TABLE_KEY_COLUMNS_MAX + 1 };

/* What rows are ordered by: entity, time, and _seq where keys may repeat. */
typedef struct order {
    const char *names[KEY_MAX + 1];
    column_type types[KEY_MAX + 1];
    uint32_t n;
} order;

static order order_of(const store_table *t)
{
    order o = {.n = 0};
    for (uint32_t i = 0; i < t->n_entity; i++) {
        o.names[o.n] = t->columns[t->entity[i]].name;
        o.types[o.n++] = t->columns[t->entity[i]].type;
    }
    if (t->time_column >= 0) {
        o.names[o.n] = t->columns[t->time_column].name;
        o.types[o.n++] = COLUMN_TIMESTAMP;
    }
    if (t->class == STORE_DATASTORE) {
        o.names[o.n] = "_seq";
        o.types[o.n++] = COLUMN_INTEGER;
    }
    return o;
}

static void add_names(text *sql, const order *o)
{
    for (uint32_t i = 0; i < o->n; i++) {
        text_add(sql, i ? ", " : "");
        sql_identifier(sql, o->names[i]);
    }
}

static void add_columns(text *sql, const store_table *t, bool system)
{
    for (uint32_t i = 0; i < t->n_columns; i++) {
        if (!system && t->columns[i].name[0] == '_')
            continue;
        text_add(sql, sql->data[sql->len - 1] == ' ' ? "" : ", ");
        sql_identifier(sql, t->columns[i].name);
    }
    if (t->has_extra)
        text_add(sql, ", \"_extra\"");
    if (system && t->class == STORE_DATASTORE)
        text_add(sql, ", \"_seq\", \"_received\"");
}

typedef struct query {
    text sql;
    value params[KEY_MAX + 5];
    unsigned n;
} query;

static void add_bounds(query *out, const store_table *t, const store_query *q)
{
    const char *time = t->time_column >= 0 ? t->columns[t->time_column].name : NULL;
    int64_t bounds[] = {q->from_us, q->to_us};
    for (int i = 0; i < 2 && time; i++) {
        if (!bounds[i])
            continue;
        text_add(&out->sql, " AND ");
        sql_identifier(&out->sql, time);
        out->params[out->n++] = value_time_us(bounds[i]);
        text_printf(&out->sql, i ? " < $%u" : " >= $%u", out->n);
    }
}

/* (a, b, c) > ($1, $2, $3): the cursor is a JSON array of the last key's values as text. */
static status_class add_cursor(query *out, const order *o, const json_t *key, status *st)
{
    if (json_array_size(key) != o->n)
        return status_set(st, STATUS_INVALID, "the cursor does not belong to this store");
    text_add(&out->sql, " AND (");
    add_names(&out->sql, o);
    text_add(&out->sql, ") > (");
    for (uint32_t i = 0; i < o->n; i++) {
        const char *part = json_string_value(json_array_get(key, i));
        if (!part)
            return status_set(st, STATUS_INVALID, "the cursor does not belong to this store");
        out->params[out->n++] = value_text(part);
        text_printf(&out->sql, "%s$%u::%s", i ? ", " : "", out->n, column_sql_type(o->types[i]));
    }
    text_add_char(&out->sql, ')');
    return STATUS_OK;
}

/* The key of the page's last row; its columns stand behind the asked ones, as text. */
static const char *cursor_of(const rows *found, uint32_t row, uint32_t first, uint32_t n, arena *a)
{
    text out = {0};
    text_add_char(&out, '[');
    for (uint32_t i = 0; i < n; i++) {
        const char *part = rows_text(found, row, first + i);
        text_add(&out, i ? "," : "");
        text_add_json_string(&out, part ? part : "", part ? strlen(part) : 0);
    }
    text_add_char(&out, ']');
    const char *copy = arena_string_n(a, out.data, out.len);
    text_free(&out);
    return copy;
}

/* Rows that were written by this transaction or a later one. A row that has not been touched for more than
 * 2³¹ transactions may look so, too. */
static void add_since(query *out, const store_query *q)
{
    if (!q->since)
        return;
    out->params[out->n++] = value_text(q->since);
    text_printf(&out->sql, " AND age(xmin) BETWEEN 0 AND age($%u::xid)", out->n);
}

static void start_query(query *out, const store_table *t, const store_query *q, const order *o)
{
    char label[TABLE_LABEL_SIZE];
    table_label(label, t);
    text_add(&out->sql, "SELECT ");
    add_columns(&out->sql, t, q->system);
    for (uint32_t i = 0; i < o->n; i++) {
        text_add(&out->sql, ", ");
        sql_identifier(&out->sql, o->names[i]);
        text_printf(&out->sql, "::text AS \"cursor %u\"", i);
    }
    text_printf(&out->sql, " FROM %s WHERE true", label);
    add_bounds(out, t, q);
    add_since(out, q);
}

static void take_page(const rows *found, uint32_t n_key, uint32_t limit, arena *a, metric_result *out,
                      const char **next_out)
{
    uint32_t n_columns = rows_columns(found) - n_key, n = rows_count(found);
    metric_result_of_rows(found, a, out);
    out->rows.n_columns = n_columns;
    *next_out = n > limit ? cursor_of(found, limit - 1, n_columns, n_key, a) : NULL;
    out->rows.n_rows = n > limit ? limit : n;
}

status_class store_rows_read(const store_table *table, connection *c, const store_query *q, arena *a,
                             metric_result *out, const char **next_out, status *st)
{
    order o = order_of(table);
    query built = {.n = 0};
    rows *found;
    uint32_t limit = q->limit == 0 || q->limit > LIMIT_MAX ? LIMIT_MAX : q->limit;
    json_t *after = q->after ? json_loads(q->after, 0, NULL) : NULL;
    status_class class = STATUS_OK;
    start_query(&built, table, q, &o);
    if (q->after)
        class = add_cursor(&built, &o, after, st);
    if (class == STATUS_OK) {
        text_add(&built.sql, " ORDER BY ");
        add_names(&built.sql, &o);
        text_printf(&built.sql, " LIMIT %u", limit + 1);
        statement read = {"read a store", built.sql.data};
        class = connection_run(c, &read, built.params, built.n, &found, st);
    }
    if (class == STATUS_OK) {
        take_page(found, o.n, limit, a, out, next_out);
        rows_free(found);
    }
    json_decref(after);
    text_free(&built.sql);
    return class;
}

status_class store_rows_since(const store_table *table, connection *c, uint64_t seq, uint32_t limit, arena *a,
                              metric_result *out, uint64_t *last_out, status *st)
{
    return store_rows_between(table, c, seq, INT64_MAX, limit, a, out, last_out, st);
}

status_class store_rows_between(const store_table *table, connection *c, uint64_t seq, uint64_t upto,
                                uint32_t limit, arena *a, metric_result *out, uint64_t *last_out, status *st)
{
    char label[TABLE_LABEL_SIZE];
    text sql = {0};
    rows *found;
    value params[] = {value_integer((int64_t)seq), value_integer((int64_t)upto)};
    table_label(label, table);
    text_add(&sql, "SELECT ");
    add_columns(&sql, table, true);
    text_printf(&sql, " FROM %s WHERE \"_seq\" > $1 AND \"_seq\" <= $2 ORDER BY \"_seq\" LIMIT %u", label,
                limit);
    statement read = {"read what is new in a store", sql.data};
    status_class class = connection_run(c, &read, params, 2, &found, st);
    text_free(&sql);
    if (class != STATUS_OK)
        return class;
    metric_result_of_rows(found, a, out);
    rows_free(found);
    *last_out = seq;
    uint32_t column = table->n_columns + table->has_extra; /* `_seq` stands behind them */
    if (out->rows.n_rows)
        *last_out = (uint64_t)((const int64_t *)out->rows.columns[column].values)[out->rows.n_rows - 1];
    return STATUS_OK;
}

static void ranges_sql(text *sql, const store_table *t, bool all, uint32_t limit)
{
    char label[TABLE_LABEL_SIZE];
    uint32_t n = all ? 0 : t->n_entity;
    table_label(label, t);
    text_add(sql, "SELECT ");
    for (uint32_t i = 0; i < t->n_columns; i++) {
        text_add(sql, i ? ", t." : "t.");
        sql_identifier(sql, t->columns[i].name);
    }
    text_printf(sql, " FROM unnest($1::timestamptz[], $2::timestamptz[]");
    for (uint32_t i = 0; i < n; i++)
        text_printf(sql, ", $%u::text[]", i + 3);
    text_add(sql, ") AS r(b0, b1");
    for (uint32_t i = 0; i < n; i++)
        text_printf(sql, ", e%u", i + 1);
    text_printf(sql, ") JOIN %s t ON t.", label);
    sql_identifier(sql, t->columns[t->time_column].name);
    text_add(sql, " BETWEEN r.b0 AND r.b1");
    for (uint32_t i = 0; i < n; i++) {
        text_add(sql, " AND t.");
        sql_identifier(sql, t->columns[t->entity[i]].name);
        text_printf(sql, " = r.e%u::%s", i + 1, column_sql_type(t->columns[t->entity[i]].type));
    }
    text_printf(sql, " LIMIT %u", limit);
}

status_class store_rows_ranges(const store_table *table, connection *c, const store_ranges *ranges,
                               uint32_t limit, arena *a, metric_result *out, status *st)
{
    text sql = {0};
    rows *found;
    value params[KEY_MAX + 2] = {copy_times_value(a, ranges->from_us, ranges->n),
                                 copy_times_value(a, ranges->to_us, ranges->n)};
    unsigned n = 2;
    for (uint32_t part = 0; ranges->entities && part < table->n_entity; part++) {
        const char **texts = arena_zero(a, ranges->n + 1, sizeof *texts);
        for (uint32_t i = 0; i < ranges->n; i++)
            texts[i] = ranges->entities[i][part];
        params[n++] = value_texts(texts, ranges->n);
    }
    ranges_sql(&sql, table, !ranges->entities, limit);
    statement read = {"read what was computed", sql.data};
    status_class class = connection_run(c, &read, params, n, &found, st);
    text_free(&sql);
    if (class != STATUS_OK)
        return class;
    metric_result_of_rows(found, a, out);
    rows_free(found);
    return STATUS_OK;
}
