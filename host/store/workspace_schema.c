/* DDL from descriptions. A table is made in two steps: first the columns of fixed width, then ALTER TABLE
 * adds the text and JSON ones, with STORAGE PLAIN where the longest value is known to be short. So a store
 * without long text has no TOAST table (two relations less, for every partition), and the fixed columns lie
 * packed at the front of the row. */
#include "store/workspace_schema.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "store/roles.h"

#define PLAIN_BYTES_MAX 6000 /* of one row, all PLAIN columns together: a page holds about 8,000 */
#define RETRY_PAUSE_MS 50

/* ---- running DDL ---- */

/* Wraps it into a transaction with a lock timeout; tries again when the lock could not be had. */
static status_class run_ddl(connection *c, const char *name, const text *body, status *st)
{
    text sql = {0};
    status_class ret = STATUS_OK;
    text_printf(&sql, "BEGIN; SET LOCAL lock_timeout = %d; SET LOCAL client_min_messages = error; ",
                SCHEMA_LOCK_TIMEOUT_MS);
    text_add_n(&sql, text_or_empty(body), body->len);
    text_add(&sql, "; COMMIT");
    for (int attempt = 0; attempt < SCHEMA_TRIES; attempt++) {
        ret = connection_script(c, name, sql.data, st);
        if (ret != STATUS_OK)
            connection_rollback(c);
        if (ret != STATUS_UNAVAILABLE || connection_broken(c))
            break;
        nanosleep(&(struct timespec){.tv_nsec = RETRY_PAUSE_MS * 1000000L * (attempt + 1)}, NULL);
    }
    text_free(&sql);
    return ret;
}

/* ---- columns ---- */

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

/* Which columns are PLAIN: in order, while the row still fits a page. */
static bool is_plain(const store_table *t, uint32_t column_number)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i <= column_number; i++) {
        uint32_t bound = bound_of(t, i);
        if (bound == UINT32_MAX || sum + bound > PLAIN_BYTES_MAX) {
            if (i == column_number)
                return false;
            continue;
        }
        sum += bound;
    }
    return true;
}

static void add_definition(text *sql, const store_table *t, uint32_t i)
{
    const table_column *c = &t->columns[i];
    sql_identifier(sql, c->name);
    text_printf(sql, " %s", column_sql_type(c->type));
    if (c->type == COLUMN_TEXT)
        text_add(sql, " COLLATE \"C\"");
    bool must = !c->nullable || in_list(t->unique, t->n_unique, i) ||
                (t->partition != PARTITION_NONE && (int32_t)i == t->time_column);
    if (must)
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
            add_definition(sql, t, i);
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
        add_definition(&body, t, i);
        if (!is_plain(t, i))
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

static void add_seq_index(text *sql, const store_table *t)
{
    begin_index(sql, t, false, "seq", t->n_unique ? "btree" : "brin");
    text_add(sql, "\"_seq\")");
}

static void drop_seq_index(text *sql, const store_table *t)
{
    char name[TABLE_NAME_SIZE];
    table_name(name, t->key, "seq", t->wid);
    text_add(sql, "; DROP INDEX IF EXISTS ");
    sql_identifier(sql, store_class_schema(t->class));
    text_add_char(sql, '.');
    sql_identifier(sql, name);
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
        add_seq_index(sql, t);
}

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

status_class store_exists(connection *c, const store_table *t, bool *exists_out, status *st)
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
        add_table(&sql, t);
        add_long_columns(&sql, t);
        add_indexes(&sql, t);
    }
    add_grants(&sql, t, role);
    if (ret == STATUS_OK)
        ret = run_ddl(c, "make a store", &sql, st);
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
    status_class ret = run_ddl(c, "drop a store", &sql, st);
    text_free(&sql);
    return ret;
}

/* ---- change ---- */

static const table_column *find_column(const store_table *t, const char *name, uint32_t *at)
{
    for (uint32_t i = 0; i < t->n_columns; i++)
        if (strcmp(t->columns[i].name, name) == 0) {
            *at = i;
            return &t->columns[i];
        }
    return NULL;
}

typedef struct change_list {
    table_change *list;
    uint32_t n, max;
} change_list;

static void add_change(change_list *l, table_change_kind kind, const char *name, const char *detail)
{
    if (l->n < l->max) {
        l->list[l->n].kind = kind;
        snprintf(l->list[l->n].column, sizeof l->list[l->n].column, "%s", name);
        snprintf(l->list[l->n].detail, sizeof l->list[l->n].detail, "%s", detail);
    }
    l->n++;
}

static void compare_column(change_list *l, const store_table *from, const store_table *to, uint32_t i)
{
    uint32_t k;
    const table_column *old = &from->columns[i], *new = find_column(to, old->name, &k);
    if (!new)
        add_change(l, CHANGE_REFUSED, old->name, "a column cannot be removed");
    else if (old->type == COLUMN_INTEGER && new->type == COLUMN_NUMBER)
        add_change(l, CHANGE_WIDEN_INTEGER, old->name, "integer to number rewrites the table");
    else if (old->type != new->type)
        add_change(l, CHANGE_REFUSED, old->name, "a column cannot change its type");
    else if (old->nullable && !new->nullable)
        add_change(l, CHANGE_REFUSED, old->name, "stored rows may have no value here");
    else if ((!old->nullable && new->nullable) || (is_plain(from, i) && !is_plain(to, k)))
        add_change(l, CHANGE_LOOSEN, old->name, "takes more than before");
}

static bool same_names(const store_table *a, const uint32_t *list_a, uint32_t n_a, const store_table *b,
                       const uint32_t *list_b, uint32_t n_b)
{
    if (n_a != n_b)
        return false;
    for (uint32_t i = 0; i < n_a; i++)
        if (strcmp(a->columns[list_a[i]].name, b->columns[list_b[i]].name) != 0)
            return false;
    return true;
}

static const char *time_name(const store_table *t)
{
    return t->time_column >= 0 ? t->columns[t->time_column].name : "";
}

uint32_t table_compare(const store_table *from, const store_table *to, table_change *out, uint32_t max)
{
    change_list l = {out, 0, max};
    uint32_t at;
    for (uint32_t i = 0; i < from->n_columns; i++)
        compare_column(&l, from, to, i);
    for (uint32_t i = 0; i < to->n_columns; i++) {
        if (find_column(from, to->columns[i].name, &at))
            continue;
        bool fine = to->columns[i].nullable;
        add_change(&l, fine ? CHANGE_ADD_COLUMN : CHANGE_REFUSED, to->columns[i].name,
                   fine ? "new column" : "a new column must be nullable: stored rows have no value for it");
    }
    if (!from->has_extra && to->has_extra)
        add_change(&l, CHANGE_ADD_COLUMN, "_extra", "additional properties are taken from now on");
    if (!same_names(from, from->unique, from->n_unique, to, to->unique, to->n_unique))
        add_change(&l, CHANGE_REFUSED, "", "the natural key cannot change");
    if (!same_names(from, from->entity, from->n_entity, to, to->entity, to->n_entity))
        add_change(&l, CHANGE_REFUSED, "", "the entity cannot change");
    if (strcmp(time_name(from), time_name(to)) != 0)
        add_change(&l, CHANGE_REFUSED, "", "the event time cannot change");
    if ((from->partition == PARTITION_NONE) != (to->partition == PARTITION_NONE))
        add_change(&l, CHANGE_REFUSED, "", "a table cannot become partitioned, or cease to be");
    return l.n;
}

static void add_one_change(text *sql, const store_table *to, const table_change *change)
{
    uint32_t at = 0;
    const table_column *c = find_column(to, change->column, &at);
    text_add(sql, sql->len ? ", " : "");
    if (!c) {
        text_add(sql, "ADD COLUMN \"_extra\" jsonb");
        return;
    }
    switch (change->kind) {
    case CHANGE_ADD_COLUMN:
        text_add(sql, "ADD COLUMN ");
        add_definition(sql, to, at);
        if (is_plain(to, at)) {
            text_add(sql, ", ALTER COLUMN ");
            sql_identifier(sql, c->name);
            text_add(sql, " SET STORAGE PLAIN");
        }
        return;
    case CHANGE_LOOSEN:
        text_add(sql, "ALTER COLUMN ");
        sql_identifier(sql, c->name);
        text_add(sql,
                 c->nullable && !in_list(to->unique, to->n_unique, at) ? " DROP NOT NULL" : " SET NOT NULL");
        if (c->type == COLUMN_TEXT && !is_plain(to, at)) {
            text_add(sql, ", ALTER COLUMN ");
            sql_identifier(sql, c->name);
            text_add(sql, " SET STORAGE EXTENDED");
        }
        return;
    case CHANGE_WIDEN_INTEGER:
        text_add(sql, "ALTER COLUMN ");
        sql_identifier(sql, c->name);
        text_add(sql, " TYPE double precision");
        return;
    case CHANGE_REFUSED:
        return;
    }
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
        add_one_change(&body, to, &list[i]);
    text_printf(&sql, "SELECT 1%s", "");
    if (body.len)
        text_printf(&sql, "; ALTER TABLE %s %s", label, body.data);
    if (to->seq_index && !from->seq_index)
        add_seq_index(&sql, to);
    if (!to->seq_index && from->seq_index)
        drop_seq_index(&sql, to);
    if (body.len || to->seq_index != from->seq_index)
        ret = run_ddl(c, "change a store", &sql, st);
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
    ret = run_ddl(c, "make a workspace's tables", &sql, st);
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
        ret = run_ddl(c, "drop a workspace's table", &sql, st);
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
