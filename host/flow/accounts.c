#include "flow/accounts.h"

#include "flow/wid_statement.h"

static value time_or_null(int64_t us)
{
    return us ? value_time_us(us) : value_null();
}

status_class accounts_ledger(connection *c, int32_t wid, int64_t from_us, int64_t to_us, rows **out,
                             status *st)
{
    static const statement sql = {
        "read the ledger",
        "SELECT store, sum(received)::bigint AS received, sum(stored)::bigint AS stored,"
        " sum(updated)::bigint AS updated, sum(duplicate)::bigint AS duplicate,"
        " sum(rejected)::bigint AS rejected, sum(dropped)::bigint AS dropped,"
        " sum(purged)::bigint AS purged, sum(too_late)::bigint AS too_late,"
        " sum(expired)::bigint AS expired, sum(letters)::bigint AS letters,"
        " sum(letter_bytes)::bigint AS letter_bytes, sum(unkept)::bigint AS unkept,"
        " bool_and(received = stored + duplicate + rejected + dropped) AS balanced"
        " FROM penstock.ledger_wid#"
        " WHERE ($1::timestamptz IS NULL OR minute >= $1) AND ($2::timestamptz IS NULL OR minute < $2)"
        " GROUP BY store ORDER BY store"};
    const value params[] = {time_or_null(from_us), time_or_null(to_us)};
    return wid_statement_run(c, &sql, wid, params, 2, out, st);
}

/* Statistics are lost in a crash; then the last VACUUM's or ANALYZE's count stands in. */
status_class accounts_stores(connection *c, int32_t wid, rows **out, status *st)
{
    static const statement sql = {
        "measure the stores",
        "SELECT n.nspname || ':' || regexp_replace(t.relname, '_wid#$', '') AS store,"
        " sum(greatest(pg_stat_get_live_tuples(p.oid), p.reltuples::bigint, 0))::bigint AS rows,"
        " sum(pg_total_relation_size(p.oid))::bigint AS bytes"
        " FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace CROSS JOIN LATERAL"
        " (SELECT t.oid UNION ALL SELECT inhrelid FROM pg_inherits WHERE inhparent = t.oid) AS part (oid)"
        " JOIN pg_class p ON p.oid = part.oid AND p.relkind = 'r'"
        " WHERE n.nspname IN ('datastore', 'featurestore', 'inferencestore') AND t.relkind IN ('r', 'p')"
        " AND NOT t.relispartition AND t.relname ~ '^[a-z0-9]+(_[a-z0-9]+)*_wid#$' GROUP BY 1"};
    return wid_statement_run(c, &sql, wid, NULL, 0, out, st);
}

status_class accounts_marks(connection *c, int32_t wid, rows **out, status *st)
{
    static const statement sql = {"count dirty marks", "SELECT dependant, count(*) AS marks FROM"
                                                       " penstock.dirty_wid# GROUP BY dependant"};
    return wid_statement_run(c, &sql, wid, NULL, 0, out, st);
}
