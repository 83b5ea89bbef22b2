/* ODBC's types as kinds of values, and what the driver's catalogue functions say of tables. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "session.h"

/* ---- Columns ---- */

static driver_kind kind_of(SQLSMALLINT type)
{
    static const struct {
        SQLSMALLINT type;
        driver_kind kind;
    } kinds[] = {{SQL_BIT, DRIVER_BOOLEAN},
                 {SQL_TINYINT, DRIVER_INTEGER},
                 {SQL_SMALLINT, DRIVER_INTEGER},
                 {SQL_INTEGER, DRIVER_INTEGER},
                 {SQL_BIGINT, DRIVER_INTEGER},
                 {SQL_REAL, DRIVER_NUMBER},
                 {SQL_FLOAT, DRIVER_NUMBER},
                 {SQL_DOUBLE, DRIVER_NUMBER},
                 {SQL_DECIMAL, DRIVER_NUMBER},
                 {SQL_NUMERIC, DRIVER_NUMBER},
                 {SQL_TYPE_TIMESTAMP, DRIVER_LOCAL},
                 {SQL_TYPE_DATE, DRIVER_DATE},
                 {SQL_GUID, DRIVER_UUID},
                 {SQL_BINARY, DRIVER_REFUSED},
                 {SQL_VARBINARY, DRIVER_REFUSED},
                 {SQL_LONGVARBINARY, DRIVER_REFUSED}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].type == type)
            return kinds[i].kind;
    return DRIVER_TEXT;
}

uint64_t catalogue_shape(odbc *o)
{
    uint64_t h = 0xcbf29ce484222325U;
    SQLSMALLINT n = 0, len, type = 0, digits, nullable;
    SQLULEN size;
    SQLNumResultCols(o->statement, &n);
    for (SQLSMALLINT i = 0; i < n; i++) {
        SQLCHAR name[DRIVER_NAME_MAX] = "";
        SQLDescribeCol(o->statement, (SQLUSMALLINT)(i + 1), name, sizeof name, &len, &type, &size, &digits,
                       &nullable);
        for (const SQLCHAR *c = name; *c; c++)
            h = (h ^ *c) * 0x100000001b3U;
        h = (h ^ (uint16_t)type) * 0x100000001b3U;
    }
    return h;
}

static void do_describe(void *arg)
{
    odbc *o = arg;
    SQLFreeStmt(o->statement, SQL_CLOSE);
    if (!session_well(o, SQLPrepare(o->statement, (SQLCHAR *)o->text.data, SQL_NTS), SQL_HANDLE_STMT,
                      o->statement) ||
        !session_well(o, SQLNumResultCols(o->statement, &o->n_columns), SQL_HANDLE_STMT, o->statement))
        return;
    for (SQLSMALLINT i = 0; i < o->n_columns && i < DRIVER_COLUMNS_MAX; i++) {
        driver_column *c = &o->columns[i];
        SQLSMALLINT len, type, digits, nullable;
        SQLULEN size;
        *c = (driver_column){0};
        if (!session_well(o,
                          SQLDescribeCol(o->statement, (SQLUSMALLINT)(i + 1), (SQLCHAR *)c->name,
                                         sizeof c->name, &len, &type, &size, &digits, &nullable),
                          SQL_HANDLE_STMT, o->statement))
            return;
        c->native = type;
        c->kind = kind_of(type);
        SQLColAttribute(o->statement, (SQLUSMALLINT)(i + 1), SQL_DESC_TYPE_NAME, c->type, sizeof c->type,
                        &len, NULL);
    }
    o->shape = catalogue_shape(o);
}

pst_status catalogue_describe(driver *d, const pst_call *call, const char *query, driver_column *out,
                              size_t *n_out, pst_error *error)
{
    odbc *o = of(d);
    wording_clear(&o->text);
    wording_add_text(&o->text, WORDING_PLAIN, query);
    pst_status st = session_do(o, call, do_describe, error);
    if (!st && (o->n_columns <= 0 || o->n_columns > DRIVER_COLUMNS_MAX))
        st = pst_fail(error, PST_E_CONFIG, "/query", "%d columns; 1 to %d are expected", o->n_columns,
                      DRIVER_COLUMNS_MAX);
    *n_out = st ? 0 : (size_t)o->n_columns;
    memcpy(out, o->columns, *n_out * sizeof *out);
    return st;
}

/* ---- Tables ---- */

static bool is_system(const char *schema)
{
    return !strcasecmp(schema, "information_schema") || !strcasecmp(schema, "sys") ||
           !strncmp(schema, "pg_", 3);
}

static void take_text(odbc *o, SQLUSMALLINT column, char *out)
{
    SQLLEN len;
    *out = '\0';
    SQLGetData(o->statement, column, SQL_C_CHAR, out, DRIVER_NAME_MAX, &len);
}

static char *schema_of(odbc *o, size_t index)
{
    return o->names + index * 2 * DRIVER_NAME_MAX;
}

/* "schema.table" or "table"; NULL is any. */
static bool is_wanted(const odbc *o, const char *schema, const char *table)
{
    const char *dot = o->table ? strchr(o->table, '.') : NULL;
    if (is_system(schema))
        return false;
    if (dot && (strncmp(schema, o->table, (size_t)(dot - o->table)) != 0 || schema[dot - o->table]))
        return false;
    return !o->table || !strcmp(table, dot ? dot + 1 : o->table);
}

/* Tables and views, not what else the catalogue calls so: indices, sequences. */
static void list_tables(odbc *o)
{
    SQLFreeStmt(o->statement, SQL_CLOSE);
    if (!session_well(o,
                      SQLTables(o->statement, NULL, 0, NULL, 0, (SQLCHAR *)"%", SQL_NTS,
                                (SQLCHAR *)"TABLE,VIEW", SQL_NTS),
                      SQL_HANDLE_STMT, o->statement))
        return;
    while (o->n_tables < TABLES_MAX && SQL_SUCCEEDED(SQLFetch(o->statement))) {
        char *schema = schema_of(o, o->n_tables);
        take_text(o, 2, schema);
        take_text(o, 3, schema + DRIVER_NAME_MAX);
        o->n_tables += is_wanted(o, schema, schema + DRIVER_NAME_MAX);
    }
}

static void list_columns(odbc *o, size_t table)
{
    char number[DRIVER_NAME_MAX], *schema = schema_of(o, table), *name = schema + DRIVER_NAME_MAX;
    SQLFreeStmt(o->statement, SQL_CLOSE);
    SQLCHAR *wanted = *schema ? (SQLCHAR *)schema : NULL;
    if (!session_well(o,
                      SQLColumns(o->statement, NULL, 0, wanted, SQL_NTS, (SQLCHAR *)name, SQL_NTS,
                                 (SQLCHAR *)"%", SQL_NTS),
                      SQL_HANDLE_STMT, o->statement))
        return;
    while (o->n_listed < LISTED_MAX && SQL_SUCCEEDED(SQLFetch(o->statement))) {
        driver_listed *one = &o->listed[o->n_listed];
        char of_table[DRIVER_NAME_MAX];
        *one = (driver_listed){.schema = schema, .table = name};
        take_text(o, 3, of_table); /* the name was a pattern: _ is any character */
        take_text(o, 4, one->column.name);
        take_text(o, 5, number);
        one->column.kind = kind_of((SQLSMALLINT)atoi(number));
        take_text(o, 6, one->column.type);
        take_text(o, 11, number);
        one->never_null = atoi(number) == SQL_NO_NULLS;
        o->n_listed += !strcmp(of_table, name);
    }
}

static void do_list(void *arg)
{
    odbc *o = arg;
    o->n_tables = o->n_listed = 0;
    list_tables(o);
    for (size_t i = 0; !o->failed && i < o->n_tables; i++)
        list_columns(o, i);
}

static void mark_key(odbc *o, size_t from, const char *name, int place)
{
    for (size_t i = from; i < o->n_listed && !strcmp(o->listed[i].table, o->listed[from].table) &&
                          !strcmp(o->listed[i].schema, o->listed[from].schema);
         i++)
        if (!strcmp(o->listed[i].column.name, name))
            o->listed[i].key_place = place;
}

static void do_keys(void *arg)
{
    odbc *o = arg;
    char name[DRIVER_NAME_MAX], place[DRIVER_NAME_MAX];
    for (size_t i = 0; i < o->n_listed; i++) {
        const driver_listed *one = &o->listed[i], *before = i ? &o->listed[i - 1] : NULL;
        if (before && !strcmp(before->table, one->table) && !strcmp(before->schema, one->schema))
            continue;
        SQLFreeStmt(o->statement, SQL_CLOSE);
        SQLPrimaryKeys(o->statement, NULL, 0, (SQLCHAR *)one->schema, SQL_NTS, (SQLCHAR *)one->table,
                       SQL_NTS);
        while (SQL_SUCCEEDED(SQLFetch(o->statement))) {
            take_text(o, 4, name);
            take_text(o, 5, place);
            mark_key(o, i, name, atoi(place));
        }
    }
    SQLFreeStmt(o->statement, SQL_CLOSE);
}

pst_status catalogue_list(driver *d, const pst_call *call, const char *table, driver_on_listed on_listed,
                          void *arg, pst_error *error)
{
    odbc *o = of(d);
    o->table = table;
    o->listed = o->listed ? o->listed : calloc(LISTED_MAX, sizeof *o->listed);
    o->names = o->names ? o->names : calloc(TABLES_MAX + 1, 2 * (size_t)DRIVER_NAME_MAX);
    if (!o->listed || !o->names)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    pst_status st = session_do(o, call, do_list, error);
    st = st ? st : session_do(o, call, do_keys, error);
    bool more = true;
    for (size_t i = 0; !st && more && i < o->n_listed; i++)
        more = on_listed(arg, &o->listed[i]);
    return st;
}
