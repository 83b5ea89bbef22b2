#include "control/alert_state.h"

#include <math.h>

static const statement read_states = {
    "read alert states",
    "SELECT alert, labels, phase, before, since_us, episode_us, last_us, received_us, value, acked_by"
    " FROM control.alert_state WHERE wid = $1::int AND ($2::text IS NULL OR alert = $2) ORDER BY alert, "
    "labels"};
static const statement save_state = {
    "save an alert's state",
    "INSERT INTO control.alert_state (wid, alert, labels, phase, before, since_us, episode_us, last_us, "
    "received_us,"
    " value) VALUES ($1::int, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (wid, alert, labels) DO "
    "UPDATE SET"
    " phase = excluded.phase, before = excluded.before, since_us = excluded.since_us, episode_us = "
    "excluded.episode_us,"
    " last_us = excluded.last_us, received_us = excluded.received_us, value = excluded.value,"
    " acked = CASE WHEN excluded.episode_us = alert_state.episode_us THEN alert_state.acked END,"
    " acked_by = CASE WHEN excluded.episode_us = alert_state.episode_us THEN alert_state.acked_by END"};
static const statement ack_state = {"acknowledge an alert",
                                    "UPDATE control.alert_state SET acked = now(), acked_by = $4"
                                    " WHERE wid = $1::int AND alert = $2 AND labels = $3"};

static alert_record record_of(const rows *r, uint32_t i, arena *a)
{
    return (alert_record){.alert = arena_string(a, rows_text(r, i, 0)),
                          .labels = arena_string(a, rows_text(r, i, 1)),
                          .phase = arena_string(a, rows_text(r, i, 2)),
                          .before = arena_string(a, rows_text(r, i, 3)),
                          .since_us = rows_integer(r, i, 4),
                          .episode_us = rows_integer(r, i, 5),
                          .last_us = rows_integer(r, i, 6),
                          .received_us = rows_integer(r, i, 7),
                          .value = rows_number(r, i, 8),
                          .acked_by = arena_string(a, rows_text(r, i, 9))};
}

status_class alert_states_read(connection *c, int32_t wid, const char *alert, arena *a, alert_record **out,
                               uint32_t *n_out, status *st)
{
    rows *r;
    value params[] = {value_integer(wid), value_text(alert)};
    status_class class = connection_run(c, &read_states, params, 2, &r, st);
    if (class != STATUS_OK)
        return class;
    *n_out = rows_count(r);
    *out = arena_zero(a, *n_out, sizeof **out);
    for (uint32_t i = 0; i < *n_out; i++)
        (*out)[i] = record_of(r, i, a);
    rows_free(r);
    return STATUS_OK;
}

status_class alert_state_save(connection *c, int32_t wid, const alert_record *r, status *st)
{
    value params[] = {value_integer(wid),
                      value_text(r->alert),
                      value_text(r->labels),
                      value_text(r->phase),
                      value_text(r->before),
                      value_integer(r->since_us),
                      value_integer(r->episode_us),
                      value_integer(r->last_us),
                      value_integer(r->received_us),
                      isnan(r->value) ? value_null() : value_number(r->value)};
    return connection_run(c, &save_state, params, sizeof params / sizeof *params, NULL, st);
}

status_class alert_state_ack(connection *c, int32_t wid, const char *alert, const char *labels,
                             const char *by, status *st)
{
    rows *r;
    value params[] = {value_integer(wid), value_text(alert), value_text(labels), value_text(by)};
    status_class class = connection_run(c, &ack_state, params, 4, &r, st);
    if (class != STATUS_OK)
        return class;
    int64_t n = rows_affected(r);
    rows_free(r);
    return n ? STATUS_OK
             : status_set(st, STATUS_NOT_FOUND, "there is no alert %.80s with labels %.200s", alert, labels);
}
