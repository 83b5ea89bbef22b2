#include "store/table_ddl.h"

#include <string.h>

#include "store/seq_index.h"

#define PLAIN_BYTES_MAX 6000 /* of one row, all PLAIN columns together: a page holds about 8,000 */

static bool is_fixed(column_type type)
{
    return type != COLUMN_TEXT && type != COLUMN_JSON;
}

static bool in_list(const uint32_t *list, uint32_t n, uint32_t i)
{
    for (uint32_t k = 0; k < n; k++)
        if (list[k] == i)
            return true;
    return false;
}

/* Key columns are bounded by the index (2,700 bytes); model names by us. */
static uint32_t bound_of(const store_table *t, uint32_t i)
{
    const table_column *c = &t->columns[i];
    if (c->type != COLUMN_TEXT)
        return UINT32_MAX;
    if (t->class == STORE_INFERENCESTORE && (strcmp(c->name, "_model") == 0 || strcmp(c->name, "_run") == 0))
        return 64;
    if (in_list(t->unique, t->n_unique, i) || in_list(t->entity, t->n_entity, i))
        return c->max_bytes ? c->max_bytes : 256;
    return c->max_bytes ? c->max_bytes : UINT32_MAX;
}

bool table_column_plain(const store_table *t, uint32_t column)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i <= column; i++) {
        uint32_t bound = bound_of(t, i);
        if (bound == UINT32_MAX || sum + bound > PLAIN_BYTES_MAX) {
            if (i == column)
                return false;
            continue;
        }
        sum += bound;
    }
    return true;
}

bool table_column_required(const store_table *t, uint32_t i)
{
    return !t->columns[i].nullable || in_list(t->unique, t->n_unique, i) ||
           (t->partition != PARTITION_NONE && (int32_t)i == t->time_column);
}

void table_ddl_column(text *sql, const store_table *t, uint32_t i)
{
    const table_column *c = &t->columns[i];
    sql_identifier(sql, c->name);
    text_printf(sql, " %s", column_sql_type(c->type));
    if (c->type == COLUMN_TEXT)
        text_add(sql, " COLLATE \"C\"");
    if (table_column_required(t, i))
        text_add(sql, " NOT NULL");
}

static void add_table(text *sql, const store_table *t)
{
    char label[TABLE_LABEL_SIZE];
    const char *comma = "";
    table_label(label, t);
    text_printf(sql, "CREATE TABLE %s (", label);
    for (uint32_t i = 0; i < t->n_columns; i++)
        if (is_fixed(t->columns[i].type)) {
            text_add(sql, comma);
            table_ddl_column(sql, t, i);
            comma = ", ";
        }
    if (t->class == STORE_DATASTORE)
        text_printf(sql, "%s\"_seq\" bigint NOT NULL, \"_received\" timestamptz NOT NULL", comma);
    text_add(sql, ")");
    if (t->partition != PARTITION_NONE) {
        text_add(sql, " PARTITION BY RANGE (");
        sql_identifier(sql, t->columns[t->time_column].name);
        text_add(sql, ")");
    }
}

/* The second step: text and JSON, with their storage, in one ALTER (the TOAST table is decided at its end).
 */
static void add_long_columns(text *sql, const store_table *t)
{
    char label[TABLE_LABEL_SIZE];
    text body = {0};
    table_label(label, t);
    for (uint32_t i = 0; i < t->n_columns; i++) {
        if (is_fixed(t->columns[i].type))
            continue;
        text_add(&body, body.len ? ", ADD COLUMN " : " ADD COLUMN ");
        table_ddl_column(&body, t, i);
        if (!table_column_plain(t, i))
            continue;
        text_add(&body, ", ALTER COLUMN ");
        sql_identifier(&body, t->columns[i].name);
        text_add(&body, " SET STORAGE PLAIN");
    }
    if (t->has_extra)
        text_add(&body, body.len ? ", ADD COLUMN \"_extra\" jsonb" : " ADD COLUMN \"_extra\" jsonb");
    if (body.len)
        text_printf(sql, "; ALTER TABLE %s%s", label, body.data);
    text_free(&body);
}

/* ---- indexes ---- */

static void begin_index(text *sql, const store_table *t, bool unique, const char *what, const char *method)
{
    char label[TABLE_LABEL_SIZE], name[TABLE_NAME_SIZE];
    table_label(label, t);
    table_name(name, t->key, what, t->wid);
    text_printf(sql, "; CREATE %sINDEX \"%s\" ON %s USING %s (", unique ? "UNIQUE " : "", name, label,
                method);
}

static void add_index_column(text *sql, const store_table *t, uint32_t i, const char **comma)
{
    text_add(sql, *comma);
    sql_identifier(sql, t->columns[i].name);
    *comma = ", ";
}

/* The natural key, entity first and time last: that is how rows are sorted and how metrics ask. */
static void add_key_index(text *sql, const store_table *t)
{
    const char *comma = "";
    begin_index(sql, t, true, "key", "btree");
    for (uint32_t i = 0; i < t->n_entity; i++)
        if (in_list(t->unique, t->n_unique, t->entity[i]))
            add_index_column(sql, t, t->entity[i], &comma);
    for (uint32_t i = 0; i < t->n_unique; i++)
        if (!in_list(t->entity, t->n_entity, t->unique[i]) && (int32_t)t->unique[i] != t->time_column)
            add_index_column(sql, t, t->unique[i], &comma);
    if (t->time_column >= 0 && in_list(t->unique, t->n_unique, (uint32_t)t->time_column) &&
        !in_list(t->entity, t->n_entity, (uint32_t)t->time_column))
        add_index_column(sql, t, (uint32_t)t->time_column, &comma);
    text_add(sql, ")");
}

static void add_entity_index(text *sql, const store_table *t)
{
    const char *comma = "";
    begin_index(sql, t, false, "entity", "btree");
    for (uint32_t i = 0; i < t->n_entity; i++)
        add_index_column(sql, t, t->entity[i], &comma);
    if (t->time_column >= 0 && !in_list(t->entity, t->n_entity, (uint32_t)t->time_column))
        add_index_column(sql, t, (uint32_t)t->time_column, &comma);
    text_add(sql, ")");
}

static void add_indexes(text *sql, const store_table *t)
{
    const char *comma = "";
    if (t->n_unique)
        add_key_index(sql, t);
    else if (t->n_entity)
        add_entity_index(sql, t);
    if (t->class != STORE_INFERENCESTORE && t->time_column >= 0) { /* builds and retention work by time */
        begin_index(sql, t, false, "time", "brin");
        add_index_column(sql, t, (uint32_t)t->time_column, &comma);
        text_add(sql, ") WITH (pages_per_range = 32, autosummarize = on)");
    }
    if (t->seq_index && t->class == STORE_DATASTORE)
        seq_index_sql(sql, t);
}

void table_ddl_create(text *sql, const store_table *t)
{
    add_table(sql, t);
    add_long_columns(sql, t);
    add_indexes(sql, t);
}
