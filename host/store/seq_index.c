#include "store/seq_index.h"

#include <stdio.h>

#include "store/ddl.h"

enum { BUILD_TIMEOUT_MS = 12 * 3600 * 1000 };

static const char *using(const store_table *t)
{
    return t->n_unique ? "btree (\"_seq\")"
                       : "brin (\"_seq\") WITH (pages_per_range = 32, autosummarize = on)";
}

static void name_of(char out[TABLE_NAME_SIZE], const store_table *t)
{
    table_name(out, t->key, "seq", t->wid);
}

void seq_index_sql(text *sql, const store_table *t)
{
    char label[TABLE_LABEL_SIZE], name[TABLE_NAME_SIZE];
    table_label(label, t);
    name_of(name, t);
    text_printf(sql, "; CREATE INDEX \"%s\" ON %s USING %s", name, label, using(t));
}

static status_class run(connection *c, const char *what, text *sql, status *st)
{
    status_class class = connection_script(c, what, text_or_empty(sql), st);
    text_free(sql);
    return class;
}

status_class seq_index_drop(connection *c, const store_table *t, status *st)
{
    char name[TABLE_NAME_SIZE];
    text sql = {0};
    name_of(name, t);
    text_printf(&sql, "DROP INDEX IF EXISTS %s.\"%s\"", store_class_schema(t->class), name);
    status_class class = ddl_run(c, "drop the index on _seq", &sql, st);
    text_free(&sql);
    return class;
}

static status_class build(connection *c, const store_table *t, const char *name, const char *table,
                          status *st)
{
    text sql = {0};
    text_printf(&sql, "CREATE INDEX CONCURRENTLY \"%s\" ON %s USING %s", name, table, using(t));
    return run(c, "build the index on _seq", &sql, st);
}

/* The table's own index, of no rows: it is valid when each partition's is part of it. Partitions that come
 * have one from the start. */
static status_class build_top(connection *c, const store_table *t, const char *name, status *st)
{
    char label[TABLE_LABEL_SIZE];
    text sql = {0};
    table_label(label, t);
    text_printf(&sql, "CREATE INDEX \"%s\" ON ONLY %s USING %s", name, label, using(t));
    status_class class = ddl_run(c, "begin the index on _seq", &sql, st);
    text_free(&sql);
    return class;
}

static status_class build_partition(connection *c, const store_table *t, const char *top, const char *table,
                                    const char *id, status *st)
{
    char name[TABLE_NAME_SIZE];
    const char *schema = store_class_schema(t->class);
    text sql = {0};
    snprintf(name, sizeof name, "_seq_%s", id);
    text_printf(&sql, "DROP INDEX IF EXISTS %s.\"%s\"", schema, name);
    status_class class = run(c, "drop what is left of an index", &sql, st);
    if (class == STATUS_OK)
        class = build(c, t, name, table, st);
    text_printf(&sql, "ALTER INDEX %s.\"%s\" ATTACH PARTITION %s.\"%s\"", schema, top, schema, name);
    if (class == STATUS_OK)
        class = run(c, "attach the index of a partition", &sql, st);
    text_free(&sql);
    return class;
}

/* Retention took it meanwhile. */
static bool is_gone(connection *c, const char *id)
{
    static const statement ask = {"look for a partition",
                                  "SELECT NOT EXISTS (SELECT FROM pg_class WHERE oid = $1::text::oid)"};
    const value param = value_text(id);
    status ignored;
    rows *found = NULL;
    bool gone =
        connection_run(c, &ask, &param, 1, &found, &ignored) == STATUS_OK && rows_boolean(found, 0, 0);
    rows_free(found);
    return gone;
}

static status_class build_partitions(connection *c, const store_table *t, const char *name, status *st)
{
    static const statement list = {
        "list the partitions without an index on _seq",
        "SELECT i.inhrelid::regclass::text, i.inhrelid::text FROM pg_inherits i WHERE i.inhparent = "
        "$1::text::regclass AND NOT EXISTS (SELECT FROM pg_inherits x JOIN pg_index d ON d.indexrelid = "
        "x.inhrelid WHERE x.inhparent = $2::text::regclass AND d.indrelid = i.inhrelid) ORDER BY 1"};
    char label[TABLE_LABEL_SIZE], index[TABLE_LABEL_SIZE];
    rows *found;
    table_label(label, t);
    snprintf(index, sizeof index, "%s.\"%s\"", store_class_schema(t->class), name);
    const value params[] = {value_text(label), value_text(index)};
    status_class class = connection_run(c, &list, params, 2, &found, st);
    if (class != STATUS_OK)
        return class;
    for (uint32_t i = 0; i < rows_count(found) && class == STATUS_OK; i++) {
        class = build_partition(c, t, name, rows_text(found, i, 0), rows_text(found, i, 1), st);
        if (class != STATUS_OK && is_gone(c, rows_text(found, i, 1)))
            class = STATUS_OK;
    }
    rows_free(found);
    return class;
}

static status_class build_anew(connection *c, const store_table *t, status *st)
{
    char label[TABLE_LABEL_SIZE], name[TABLE_NAME_SIZE];
    table_label(label, t);
    name_of(name, t);
    status_class class = seq_index_drop(c, t, st);
    if (class != STATUS_OK)
        return class;
    if (t->partition == PARTITION_NONE)
        return build(c, t, name, label, st);
    class = build_top(c, t, name, st);
    return class == STATUS_OK ? build_partitions(c, t, name, st) : class;
}

status_class seq_index_build(connection *c, const store_table *t, status *st)
{
    status ignored;
    status_class class = connection_set_timeout(c, BUILD_TIMEOUT_MS, st);
    if (class == STATUS_OK)
        class = build_anew(c, t, st);
    connection_set_timeout(c, CONNECTION_TIMEOUT_MS, &ignored);
    return class;
}
