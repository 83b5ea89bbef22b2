#include "control/delivery.h"

#define DELIVERY_COLUMNS \
    "id, wid, alert, labels, event, notifier, message::text, state, attempt, fence, due, error, external"

static const statement add_one = {
    "queue a delivery",
    "INSERT INTO control.delivery (id, wid, alert, labels, event, notifier, message, state, created)"
    " VALUES ($1, $2::int, $3, $4, $5, $6, $7::json, 'ready', clock_timestamp()) ON CONFLICT (id) DO "
    "NOTHING"};
static const statement claim_some = {
    "claim deliveries",
    "WITH claimed AS (UPDATE control.delivery SET state = 'claimed', attempt = attempt + 1, fence = fence + "
    "1,"
    " lease_until = now() + $3::bigint * interval '1 microsecond'"
    " WHERE id IN (SELECT id FROM control.delivery WHERE due <= now() AND ($1::int = 0 OR wid = $1::int)"
    " AND (state = 'ready' OR (state = 'claimed' AND lease_until < now()))"
    " ORDER BY due, created LIMIT $2::int FOR UPDATE SKIP LOCKED) RETURNING *)"
    " SELECT " DELIVERY_COLUMNS " FROM claimed ORDER BY created"}; /* told in the order of the events */
static const statement finish_one = {
    "finish a delivery",
    "UPDATE control.delivery SET state = $3, error = $4, external = $5, lease_until = NULL,"
    " due = now() + $6::bigint * interval '1 microsecond',"
    " finished = CASE WHEN $3 IN ('sent', 'failed') THEN now() END WHERE id = $1 AND fence = $2"};
static const statement next_due = {
    "find the next delivery",
    "SELECT (extract(epoch FROM min(greatest(due, lease_until)) - now()) * 1000000)::bigint"
    " FROM control.delivery WHERE state IN ('ready', 'claimed') AND ($1::int = 0 OR wid = $1::int)"};
static const statement list_some = {"list deliveries",
                                    "SELECT " DELIVERY_COLUMNS " FROM control.delivery"
                                    " WHERE wid = $1::int ORDER BY created DESC, id LIMIT $2::int"};

status_class delivery_add(connection *c, const delivery *d, status *st)
{
    value params[] = {value_text(d->id),     value_integer(d->wid), value_text(d->alert),
                      value_text(d->labels), value_text(d->event),  value_text(d->notifier),
                      value_text(d->message)};
    return connection_run(c, &add_one, params, sizeof params / sizeof *params, NULL, st);
}

static delivery delivery_of(const rows *r, uint32_t i, arena *a)
{
    return (delivery){.id = arena_string(a, rows_text(r, i, 0)),
                      .wid = (int32_t)rows_integer(r, i, 1),
                      .alert = arena_string(a, rows_text(r, i, 2)),
                      .labels = arena_string(a, rows_text(r, i, 3)),
                      .event = arena_string(a, rows_text(r, i, 4)),
                      .notifier = arena_string(a, rows_text(r, i, 5)),
                      .message = arena_string(a, rows_text(r, i, 6)),
                      .state = arena_string(a, rows_text(r, i, 7)),
                      .attempt = rows_integer(r, i, 8),
                      .fence = rows_integer(r, i, 9),
                      .due_us = rows_time_us(r, i, 10),
                      .error = arena_string(a, rows_text(r, i, 11)),
                      .external = arena_string(a, rows_text(r, i, 12))};
}

static status_class run_list(connection *c, const statement *s, const value *params, unsigned n, arena *a,
                             delivery **out, uint32_t *n_out, status *st)
{
    rows *r;
    status_class class = connection_run(c, s, params, n, &r, st);
    if (class != STATUS_OK)
        return class;
    *n_out = rows_count(r);
    *out = arena_zero(a, *n_out, sizeof **out);
    for (uint32_t i = 0; i < *n_out; i++)
        (*out)[i] = delivery_of(r, i, a);
    rows_free(r);
    return STATUS_OK;
}

status_class deliveries_claim(connection *c, int32_t wid, uint32_t limit, int64_t lease_us, arena *a,
                              delivery **out, uint32_t *n_out, status *st)
{
    value params[] = {value_integer(wid), value_integer(limit), value_integer(lease_us)};
    return run_list(c, &claim_some, params, 3, a, out, n_out, st);
}

status_class deliveries_next(connection *c, int32_t wid, int64_t *in_us_out, status *st)
{
    rows *r;
    value params[] = {value_integer(wid)};
    status_class class = connection_run(c, &next_due, params, 1, &r, st);
    if (class != STATUS_OK)
        return class;
    *in_us_out = rows_null(r, 0, 0) ? INT64_MAX : rows_integer(r, 0, 0);
    rows_free(r);
    return STATUS_OK;
}

status_class deliveries_list(connection *c, int32_t wid, uint32_t limit, arena *a, delivery **out,
                             uint32_t *n_out, status *st)
{
    value params[] = {value_integer(wid), value_integer(limit)};
    return run_list(c, &list_some, params, 2, a, out, n_out, st);
}

static status_class finish(connection *c, const delivery *d, const char *state, const char *error,
                           const char *external, int64_t in_us, status *st)
{
    rows *r;
    value params[] = {value_text(d->id), value_integer(d->fence), value_text(state),
                      value_text(error), value_text(external),    value_integer(in_us)};
    status_class class = connection_run(c, &finish_one, params, 6, &r, st);
    if (class != STATUS_OK)
        return class;
    int64_t n = rows_affected(r);
    rows_free(r);
    return n ? STATUS_OK
             : status_set(st, STATUS_CONFLICT, "delivery %s was taken over by another host", d->id);
}

status_class delivery_sent(connection *c, const delivery *d, const char *external, status *st)
{
    return finish(c, d, "sent", NULL, external && *external ? external : NULL, 0, st);
}

status_class delivery_failed(connection *c, const delivery *d, const char *error, status *st)
{
    return finish(c, d, "failed", error, NULL, 0, st);
}

status_class delivery_retry(connection *c, const delivery *d, const char *error, int64_t in_us, status *st)
{
    return finish(c, d, "ready", error, NULL, in_us, st);
}
