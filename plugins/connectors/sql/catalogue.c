#include "catalogue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The types that every PostgreSQL has under these numbers; all others are asked. */
static const struct {
    Oid type;
    driver_kind kind;
    const char *name;
} types[] = {{16, DRIVER_BOOLEAN, "boolean"},
             {20, DRIVER_INTEGER, "bigint"},
             {21, DRIVER_INTEGER, "smallint"},
             {23, DRIVER_INTEGER, "integer"},
             {26, DRIVER_INTEGER, "oid"},
             {700, DRIVER_NUMBER, "real"},
             {701, DRIVER_NUMBER, "double precision"},
             {1700, DRIVER_NUMBER, "numeric"},
             {1082, DRIVER_DATE, "date"},
             {1114, DRIVER_LOCAL, "timestamp"},
             {1184, DRIVER_TIME, "timestamptz"},
             {2950, DRIVER_UUID, "uuid"},
             {114, DRIVER_JSON, "json"},
             {3802, DRIVER_JSON, "jsonb"},
             {25, DRIVER_TEXT, "text"},
             {1043, DRIVER_TEXT, "varchar"},
             {1042, DRIVER_TEXT, "char"},
             {19, DRIVER_TEXT, "name"},
             {17, DRIVER_REFUSED, "bytea"}};
enum { N_TYPES = sizeof types / sizeof *types };

driver_kind catalogue_kind(Oid type)
{
    for (size_t i = 0; i < N_TYPES; i++)
        if (types[i].type == type)
            return types[i].kind;
    return 0;
}

const char *catalogue_name(Oid type)
{
    for (size_t i = 0; i < N_TYPES; i++)
        if (types[i].type == type)
            return types[i].name;
    return "";
}

/* Arrays, rows and ranges of them have no place in a row; what else there is (enums, inet, intervals) is
 * text. */
static driver_kind kind_by_category(char category)
{
    return category == 'A' || category == 'C' || category == 'R' || category == 'P' ? DRIVER_REFUSED
                                                                                    : DRIVER_TEXT;
}

static pst_status ask_one(server *srv, const pst_call *call, driver_column *c, pst_error *error)
{
    static const char sql[] =
        "SELECT typcategory, format_type(oid, NULL) FROM pg_catalog.pg_type WHERE oid = $1";
    char number[16];
    const char *values[] = {number};
    PGresult *r = NULL;
    snprintf(number, sizeof number, "%u", (unsigned)c->native);
    pst_status st = PQsendQueryParams(srv->conn, sql, 1, (Oid[]){26}, values, NULL, NULL, 0)
                        ? server_finish(srv, call, NULL, &r, error)
                        : server_lost(srv, error);
    bool found = !st && PQntuples(r) == 1;
    if (!st) {
        c->kind = found ? kind_by_category(*PQgetvalue(r, 0, 0)) : DRIVER_REFUSED;
        snprintf(c->type, sizeof c->type, "%s", found ? PQgetvalue(r, 0, 1) : "an unknown type");
    }
    PQclear(r);
    return st;
}

pst_status catalogue_ask(server *srv, const pst_call *call, driver_column *columns, size_t n,
                         pst_error *error)
{
    pst_status st = PST_OK;
    for (size_t i = 0; !st && i < n; i++)
        if (!columns[i].kind)
            st = ask_one(srv, call, &columns[i], error);
    return st;
}

/* ---- Tables ---- */

/* A domain is what it is made of. `$1`: a name, or schema.name, or null. */
static const char list_sql[] =
    "SELECT n.nspname, c.relname, a.attname, coalesce(nullif(t.typbasetype, 0), t.oid), t.typcategory,"
    "       pg_catalog.format_type(a.atttypid, NULL), a.attnotnull,"
    "       coalesce(pg_catalog.array_position(k.conkey, a.attnum), 0)"
    "  FROM pg_catalog.pg_class c"
    "  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    "  JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
    "  JOIN pg_catalog.pg_type t ON t.oid = a.atttypid"
    "  LEFT JOIN pg_catalog.pg_constraint k ON k.conrelid = c.oid AND k.contype = 'p'"
    " WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition"
    "   AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'"
    "   AND pg_catalog.has_table_privilege(c.oid, 'SELECT') AND pg_catalog.has_schema_privilege(n.oid, "
    "'USAGE')"
    "   AND ($1::text IS NULL OR n.nspname || '.' || c.relname = $1"
    "        OR (c.relname = $1 AND pg_catalog.pg_table_is_visible(c.oid)))"
    " ORDER BY 1, 2, a.attnum LIMIT 50000";

static driver_listed listed_of(const PGresult *r, int row)
{
    Oid type = (Oid)strtoul(PQgetvalue(r, row, 3), NULL, 10);
    driver_listed one = {.schema = PQgetvalue(r, row, 0),
                         .table = PQgetvalue(r, row, 1),
                         .never_null = *PQgetvalue(r, row, 6) == 't',
                         .key_place = atoi(PQgetvalue(r, row, 7))};
    one.column.kind = catalogue_kind(type);
    if (!one.column.kind)
        one.column.kind = kind_by_category(*PQgetvalue(r, row, 4));
    snprintf(one.column.name, sizeof one.column.name, "%s", PQgetvalue(r, row, 2));
    snprintf(one.column.type, sizeof one.column.type, "%s", PQgetvalue(r, row, 5));
    return one;
}

pst_status catalogue_list(server *srv, const pst_call *call, const char *table, driver_on_listed on_listed,
                          void *arg, pst_error *error)
{
    const char *values[] = {table};
    PGresult *r = NULL;
    pst_status st = PQsendQueryParams(srv->conn, list_sql, 1, NULL, values, NULL, NULL, 0)
                        ? server_finish(srv, call, NULL, &r, error)
                        : server_lost(srv, error);
    bool more = true;
    for (int i = 0; !st && more && i < PQntuples(r); i++) {
        const driver_listed one = listed_of(r, i);
        more = on_listed(arg, &one);
    }
    PQclear(r);
    return st;
}
