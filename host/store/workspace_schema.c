#include "store/workspace_schema.h"

#include <stdio.h>
#include <string.h>

#include "store/ddl.h"
#include "store/roles.h"
#include "store/seq_index.h"
#include "store/table_ddl.h"

/* ---- stores ---- */

static void add_grants(text *sql, const store_table *t, const char *role)
{
    char label[TABLE_LABEL_SIZE];
    if (!role)
        return;
    table_label(label, t);
    text_printf(sql, "; GRANT %s ON %s TO ",
                t->class == STORE_DATASTORE ? "SELECT" : "SELECT, INSERT, UPDATE, DELETE", label);
    sql_identifier(sql, role);
}

static status_class store_exists(connection *c, const store_table *t, bool *exists_out, status *st)
{
    static const statement ask = {"look for a store", "SELECT to_regclass($1::text) IS NOT NULL"};
    char label[TABLE_LABEL_SIZE];
    rows *r;
    table_label(label, t);
    value name = value_text(label);
    status_class ret = connection_run(c, &ask, &name, 1, &r, st);
    if (ret == STATUS_OK)
        *exists_out = rows_boolean(r, 0, 0);
    rows_free(ret == STATUS_OK ? r : NULL);
    return ret;
}

/* The table that is there already must have the columns that it should have. */
static status_class check_shape(connection *c, const store_table *t, status *st)
{
    static const statement ask = {"compare a store",
                                  "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
                                  "WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped"};
    char label[TABLE_LABEL_SIZE];
    rows *r;
    table_label(label, t);
    value name = value_text(label);
    status_class ret = connection_run(c, &ask, &name, 1, &r, st);
    if (ret != STATUS_OK)
        return ret;
    for (uint32_t i = 0; i < t->n_columns && ret == STATUS_OK; i++) {
        const char *want = t->columns[i].type == COLUMN_TIMESTAMP ? "timestamp with time zone"
                                                                  : column_sql_type(t->columns[i].type);
        const char *has = NULL;
        for (uint32_t k = 0; k < rows_count(r); k++)
            if (strcmp(rows_text(r, k, 0), t->columns[i].name) == 0)
                has = rows_text(r, k, 1);
        if (!has || strcmp(has, want) != 0)
            ret = status_at(st, STATUS_CONFLICT, t->columns[i].name,
                            "%s: the table is there, but column %s is %s", label, t->columns[i].name,
                            has ? has : "not");
    }
    rows_free(r);
    return ret;
}

status_class store_create(connection *c, const store_table *t, const char *role, status *st)
{
    text sql = {0};
    bool there = false;
    status_class ret = table_check(t, st);
    if (ret == STATUS_OK)
        ret = store_exists(c, t, &there, st);
    if (ret != STATUS_OK)
        return ret;
    if (there) {
        ret = check_shape(c, t, st);
        text_add(&sql, "SELECT 1");
    } else {
        table_ddl_create(&sql, t);
    }
    add_grants(&sql, t, role);
    if (ret == STATUS_OK)
        ret = ddl_run(c, "make a store", &sql, st);
    text_free(&sql);
    return ret;
}

status_class store_drop(connection *c, store_class class, const char *key, int32_t wid, status *st)
{
    char label[TABLE_LABEL_SIZE];
    text sql = {0};
    store_table t = {.class = class, .key = key, .wid = wid};
    table_label(label, &t);
    text_printf(&sql, "DROP TABLE IF EXISTS %s", label);
    status_class ret = ddl_run(c, "drop a store", &sql, st);
    text_free(&sql);
    return ret;
}

static status_class check_changes(const store_table *to, const table_change *list, uint32_t n,
                                  bool allow_rewrite, status *st)
{
    for (uint32_t i = 0; i < n; i++) {
        if (list[i].kind == CHANGE_REFUSED || (list[i].kind == CHANGE_WIDEN_INTEGER && !allow_rewrite))
            return status_at(st, STATUS_CONFLICT, list[i].column, "%s %s: %s", store_class_schema(to->class),
                             to->key, list[i].detail);
    }
    return STATUS_OK;
}

status_class store_alter(connection *c, const store_table *from, const store_table *to, bool allow_rewrite,
                         status *st)
{
    table_change list[TABLE_COLUMNS_MAX];
    char label[TABLE_LABEL_SIZE];
    text body = {0}, sql = {0};
    uint32_t n = table_compare(from, to, list, TABLE_COLUMNS_MAX);
    n = n > TABLE_COLUMNS_MAX ? TABLE_COLUMNS_MAX : n;
    status_class ret = table_check(to, st);
    if (ret == STATUS_OK)
        ret = check_changes(to, list, n, allow_rewrite, st);
    if (ret != STATUS_OK)
        return ret;
    table_label(label, to);
    for (uint32_t i = 0; i < n; i++)
        table_change_sql(&body, to, &list[i]);
    text_printf(&sql, "SELECT 1%s", "");
    if (body.len)
        text_printf(&sql, "; ALTER TABLE %s %s", label, body.data);
    if (body.len)
        ret = ddl_run(c, "change a store", &sql, st);
    if (ret == STATUS_OK && to->seq_index && !from->seq_index)
        ret = seq_index_build(c, to, st);
    if (ret == STATUS_OK && !to->seq_index && from->seq_index)
        ret = seq_index_drop(c, to, st);
    text_free(&body);
    text_free(&sql);
    return ret;
}

/* ---- the workspace's own tables ---- */

/* %1$d is the wid. Text that is short by nature is PLAIN, so marks and ledger have no TOAST table; no
 * identity columns, whose sequences are relations too. Marks have no index: they are few, and writing them is
 * on the hot path. */
static const char workspace_tables[] =
    "CREATE TABLE penstock.dirty_wid%1$d (bucket timestamptz, seq bigint NOT NULL) "
    "WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 2000); "
    "ALTER TABLE penstock.dirty_wid%1$d ADD COLUMN dependant text COLLATE \"C\" NOT NULL, "
    "ADD COLUMN entity text[] COLLATE \"C\", "
    "ALTER COLUMN dependant SET STORAGE PLAIN, ALTER COLUMN entity SET STORAGE PLAIN; "
    "CREATE TABLE penstock.ledger_wid%1$d (minute timestamptz NOT NULL, received bigint NOT NULL DEFAULT 0, "
    "stored bigint NOT NULL DEFAULT 0, updated bigint NOT NULL DEFAULT 0, duplicate bigint NOT NULL DEFAULT "
    "0, "
    "rejected bigint NOT NULL DEFAULT 0, dropped bigint NOT NULL DEFAULT 0, too_late bigint NOT NULL DEFAULT "
    "0, expired bigint NOT NULL DEFAULT 0, letters bigint NOT NULL DEFAULT 0, letter_bytes bigint NOT NULL "
    "DEFAULT 0, unkept bigint NOT NULL DEFAULT 0, purged bigint NOT NULL DEFAULT 0, keeper smallint NOT NULL "
    "DEFAULT 0) WITH (fillfactor = 70); "
    "ALTER TABLE penstock.ledger_wid%1$d ADD COLUMN store text COLLATE \"C\" NOT NULL, "
    "ALTER COLUMN store SET STORAGE PLAIN, ADD PRIMARY KEY (store, minute, keeper); "
    "CREATE TABLE penstock.dead_letter_wid%1$d (id text COLLATE \"C\" PRIMARY KEY, store text NOT NULL, "
    "received timestamptz NOT NULL, origin text, request text, code text NOT NULL, pointer text, detail "
    "text, body bytea, fixed timestamptz, form text, header bytea, attempts integer NOT NULL DEFAULT 0, "
    "revision bigint NOT NULL DEFAULT 1, signal text, tried timestamptz, correction bytea, fixed_by text)";

status_class workspace_schema_create(connection *c, int32_t wid, const char *role, status *st)
{
    static const statement ask = {"look for a workspace", "SELECT to_regclass($1::text) IS NOT NULL"};
    char name[TABLE_NAME_SIZE];
    text sql = {0};
    rows *r;
    snprintf(name, sizeof name, "penstock.dead_letter_wid%d", wid);
    value label = value_text(name);
    status_class ret = connection_run(c, &ask, &label, 1, &r, st);
    if (ret != STATUS_OK)
        return ret;
    bool there = rows_boolean(r, 0, 0);
    rows_free(r);
    if (there)
        text_add(&sql, "SELECT 1");
    else
        text_printf(&sql, workspace_tables, wid);
    if (role) {
        text_printf(&sql, "; GRANT SELECT, INSERT, DELETE ON penstock.dirty_wid%d TO ", wid);
        sql_identifier(&sql, role);
    }
    ret = ddl_run(c, "make a workspace's tables", &sql, st);
    text_free(&sql);
    return ret;
}

status_class workspace_schema_drop(connection *c, int32_t wid, status *st)
{
    static const statement list = {
        "list a workspace's tables",
        "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname IN ('datastore', 'featurestore', 'inferencestore', 'penstock') "
        "AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname ~ ('_wid' || $1::text || '$')"};
    char number[16];
    rows *r;
    snprintf(number, sizeof number, "%d", wid);
    value which = value_text(number), wid_value = value_integer(wid);
    status_class ret = connection_run(c, &list, &which, 1, &r, st);
    if (ret != STATUS_OK)
        return ret;
    for (uint32_t i = 0; i < rows_count(r) && ret == STATUS_OK; i++) {
        text sql = {0};
        text_add(&sql, "DROP TABLE IF EXISTS ");
        sql_identifier(&sql, rows_text(r, i, 0));
        text_add(&sql, ".");
        sql_identifier(&sql, rows_text(r, i, 1));
        ret = ddl_run(c, "drop a workspace's table", &sql, st);
        text_free(&sql);
    }
    rows_free(r);
    if (ret == STATUS_OK)
        ret = connection_exec(c, "DELETE FROM penstock.position WHERE wid = $1::bigint", &wid_value, 1, NULL,
                              st);
    if (ret == STATUS_OK)
        ret = connection_exec(c, "DELETE FROM penstock.sink WHERE wid = $1::bigint", &wid_value, 1, NULL, st);
    return ret;
}
