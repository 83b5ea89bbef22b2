/* Two statements. */
#include "control/audit.h"

#include <stdlib.h>

static const statement add_entry = {
    "record a deed",
    "INSERT INTO control.audit (wid, actor, verb, object, detail) VALUES ($1, $2, $3, $4, $5::json)"};
static const statement list_entries = {
    "list deeds",
    "SELECT coalesce(json_agg(row_to_json(t)), '[]') FROM (SELECT seq, at, wid, actor, verb, object, detail"
    " FROM control.audit WHERE ($1::int = 0 OR wid = $1::int) AND ($2::bigint = 0 OR seq < $2::bigint)"
    " ORDER BY seq DESC LIMIT $3::bigint) t"};

status_class audit_add(connection *c, int32_t wid, const char *actor, const char *verb, const char *object,
                       const json_t *detail, status *st)
{
    char *form = detail ? json_dumps(detail, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    const value params[] = {value_integer(wid), value_text(actor), value_text(verb), value_text(object),
                            value_text(form)};
    status_class class = connection_run(c, &add_entry, params, 5, NULL, st);
    free(form);
    return class;
}

status_class audit_list(connection *c, int32_t wid, int64_t before_seq, unsigned limit, json_t **ret,
                        status *st)
{
    rows *r = NULL;
    const value params[] = {value_integer(wid), value_integer(before_seq), value_integer(limit)};
    status_class class = connection_run(c, &list_entries, params, 3, &r, st);
    if (class == STATUS_OK)
        *ret = json_loads(rows_text(r, 0, 0), 0, NULL);
    rows_free(r);
    return class;
}
