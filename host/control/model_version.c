#include "control/model_version.h"

#define VERSION_COLUMNS "model, version, state, artifact, bytes, training::text, created"

static const statement add_one = {"add a model version",
                                  "INSERT INTO control.model_version (wid, model, version, state, artifact, "
                                  "bytes, training) SELECT $1::int, $2,"
                                  " coalesce(max(version), 0) + 1, 'draft', $3, $4, $5::json FROM "
                                  "control.model_version WHERE wid = $1::int AND model = $2"
                                  " RETURNING version"};
static const statement retire_champion = {"retire the champion",
                                          "UPDATE control.model_version SET state = 'retired' WHERE wid = "
                                          "$1::int AND model = $2 AND state = 'champion'"};
static const statement crown = {"promote a model version",
                                "UPDATE control.model_version SET state = 'champion'"
                                " WHERE wid = $1::int AND model = $2 AND version = $3::int"};
static const statement record_promotion = {
    "record a promotion", "INSERT INTO control.model_promotion (wid, model, version, actor, reason)"
                          " VALUES ($1::int, $2, $3::int, $4, $5)"};
static const statement read_champion = {"read the champion",
                                        "SELECT " VERSION_COLUMNS " FROM control.model_version"
                                        " WHERE wid = $1::int AND model = $2 AND state = 'champion'"};
static const statement list_versions = {"list model versions",
                                        "SELECT " VERSION_COLUMNS " FROM control.model_version"
                                        " WHERE wid = $1::int AND ($2::text IS NULL OR model = $2)"
                                        " ORDER BY model, version DESC"};

status_class model_version_add(connection *c, int32_t wid, const model_version *v, int64_t *version_out,
                               status *st)
{
    rows *r;
    value params[] = {value_integer(wid), value_text(v->model), value_text(v->artifact),
                      value_integer(v->bytes), value_text(v->training)};
    status_class class = connection_run(c, &add_one, params, 5, &r, st);
    if (class != STATUS_OK)
        return class;
    *version_out = rows_integer(r, 0, 0);
    rows_free(r);
    return STATUS_OK;
}

static status_class promote_inside(connection *c, int32_t wid, const char *model, int64_t version,
                                   const char *actor, const char *reason, status *st)
{
    rows *r;
    value params[] = {value_integer(wid), value_text(model), value_integer(version), value_text(actor),
                      value_text(reason)};
    status_class class = connection_run(c, &retire_champion, params, 2, NULL, st);
    if (class == STATUS_OK)
        class = connection_run(c, &crown, params, 3, &r, st);
    if (class != STATUS_OK)
        return class;
    int64_t n = rows_affected(r);
    rows_free(r);
    if (n == 0)
        return status_set(st, STATUS_NOT_FOUND, "model %.60s has no version %lld", model, (long long)version);
    return connection_run(c, &record_promotion, params, 5, NULL, st);
}

status_class model_version_promote(connection *c, int32_t wid, const char *model, int64_t version,
                                   const char *actor, const char *reason, status *st)
{
    status_class class = connection_begin(c, st);
    if (class != STATUS_OK)
        return class;
    class = promote_inside(c, wid, model, version, actor, reason, st);
    if (class == STATUS_OK)
        return connection_commit(c, st);
    connection_rollback(c);
    return class;
}

static model_version version_of(const rows *r, uint32_t i, arena *a)
{
    return (model_version){.model = arena_string(a, rows_text(r, i, 0)),
                           .version = rows_integer(r, i, 1),
                           .state = arena_string(a, rows_text(r, i, 2)),
                           .artifact = arena_string(a, rows_text(r, i, 3)),
                           .bytes = rows_integer(r, i, 4),
                           .training = arena_string(a, rows_text(r, i, 5)),
                           .created_us = rows_time_us(r, i, 6)};
}

status_class model_version_champion(connection *c, int32_t wid, const char *model, arena *a,
                                    model_version *out, bool *found_out, status *st)
{
    rows *r;
    value params[] = {value_integer(wid), value_text(model)};
    status_class class = connection_run(c, &read_champion, params, 2, &r, st);
    if (class != STATUS_OK)
        return class;
    *found_out = rows_count(r) > 0;
    if (*found_out)
        *out = version_of(r, 0, a);
    rows_free(r);
    return STATUS_OK;
}

status_class model_versions_list(connection *c, int32_t wid, const char *model, arena *a, model_version **out,
                                 uint32_t *n_out, status *st)
{
    rows *r;
    value params[] = {value_integer(wid), value_text(model)};
    status_class class = connection_run(c, &list_versions, params, 2, &r, st);
    if (class != STATUS_OK)
        return class;
    *n_out = rows_count(r);
    *out = arena_zero(a, *n_out, sizeof **out);
    for (uint32_t i = 0; i < *n_out; i++)
        (*out)[i] = version_of(r, i, a);
    rows_free(r);
    return STATUS_OK;
}
