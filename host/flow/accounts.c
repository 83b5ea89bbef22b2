/* Each statement is written once; `#` in it stands for the workspace's number, which is part of the names of
 * its tables. */
#include "flow/accounts.h"

static status_class run(connection *c, const char *name, const char *sql, int32_t wid, const value *params,
                        unsigned n, rows **out, status *st)
{
    text made = {0};
    for (const char *at = sql; *at; at++) {
        if (*at == '#')
            text_printf(&made, "%d", (int)wid);
        else
            text_add_char(&made, *at);
    }
    statement s = {name, made.data};
    status_class class = connection_run(c, &s, params, n, out, st);
    text_free(&made);
    return class;
}

static value time_or_null(int64_t us)
{
    return us ? value_time_us(us) : value_null();
}

status_class accounts_ledger(connection *c, int32_t wid, int64_t from_us, int64_t to_us, rows **out,
                             status *st)
{
    static const char sql[] =
        "SELECT store, sum(received)::bigint AS received, sum(stored)::bigint AS stored,"
        " sum(updated)::bigint AS updated, sum(duplicate)::bigint AS duplicate,"
        " sum(rejected)::bigint AS rejected, sum(dropped)::bigint AS dropped,"
        " sum(too_late)::bigint AS too_late, sum(expired)::bigint AS expired FROM penstock.ledger_wid#"
        " WHERE ($1::timestamptz IS NULL OR minute >= $1) AND ($2::timestamptz IS NULL OR minute < $2)"
        " GROUP BY store ORDER BY store";
    const value params[] = {time_or_null(from_us), time_or_null(to_us)};
    return run(c, "read the ledger", sql, wid, params, 2, out, st);
}

status_class accounts_dead_letters(connection *c, int32_t wid, const char *store, const char *before,
                                   uint32_t limit, rows **out, status *st)
{
    static const char sql[] =
        "SELECT id, store, code, pointer, detail, received, origin, request FROM penstock.dead_letter_wid#"
        " WHERE ($1::text IS NULL OR store = $1) AND ($2::text IS NULL OR id < $2)"
        " ORDER BY id DESC LIMIT $3";
    const value params[] = {value_text(store), value_text(before), value_integer(limit)};
    return run(c, "list dead letters", sql, wid, params, 3, out, st);
}

status_class accounts_dead_letter(connection *c, int32_t wid, const char *id, rows **out, status *st)
{
    static const char sql[] = "SELECT id, store, code, pointer, detail, received, origin, request, body"
                              " FROM penstock.dead_letter_wid# WHERE id = $1";
    const value params[] = {value_text(id)};
    return run(c, "read a dead letter", sql, wid, params, 1, out, st);
}

/* Statistics are lost in a crash; then the last VACUUM's or ANALYZE's count stands in. */
status_class accounts_stores(connection *c, int32_t wid, rows **out, status *st)
{
    static const char sql[] =
        "SELECT n.nspname || ':' || regexp_replace(t.relname, '_wid#$', '') AS store,"
        " sum(greatest(pg_stat_get_live_tuples(p.oid), p.reltuples::bigint, 0))::bigint AS rows,"
        " sum(pg_total_relation_size(p.oid))::bigint AS bytes"
        " FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace CROSS JOIN LATERAL"
        " (SELECT t.oid UNION ALL SELECT inhrelid FROM pg_inherits WHERE inhparent = t.oid) AS part (oid)"
        " JOIN pg_class p ON p.oid = part.oid AND p.relkind = 'r'"
        " WHERE n.nspname IN ('datastore', 'featurestore', 'inferencestore') AND t.relkind IN ('r', 'p')"
        " AND NOT t.relispartition AND t.relname ~ '^[a-z0-9]+(_[a-z0-9]+)*_wid#$' GROUP BY 1";
    return run(c, "measure the stores", sql, wid, NULL, 0, out, st);
}

status_class accounts_marks(connection *c, int32_t wid, rows **out, status *st)
{
    static const char sql[] = "SELECT dependant, count(*) AS marks FROM"
                              " penstock.dirty_wid# GROUP BY dependant";
    return run(c, "count dirty marks", sql, wid, NULL, 0, out, st);
}
