#include "control/alert_state.h"

#include <inttypes.h>
#include <math.h>

static const statement read_states = {
    "read alert states",
    "SELECT alert, labels, phase, before, since_us, episode_us, last_us, received_us, value, acked_by"
    " FROM control.alert_state WHERE wid = $1::int AND ($2::text IS NULL OR alert = $2) ORDER BY alert, "
    "labels"};
static const statement save_states = {
    "save states of alerts",
    "INSERT INTO control.alert_state (wid, alert, labels, phase, before, since_us, episode_us, last_us, "
    "received_us, value) SELECT $1::int, u.* FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], "
    "$6::text[]::bigint[], $7::text[]::bigint[], $8::text[]::bigint[], $9::text[]::bigint[], "
    "$10::text[]::float8[]) u ON CONFLICT (wid, alert, labels) DO UPDATE SET"
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

enum { SAVED_COLUMNS = 9 };

static void save_columns(const alert_record *r, arena *a, const char *out[SAVED_COLUMNS])
{
    const int64_t times_us[] = {r->since_us, r->episode_us, r->last_us, r->received_us};
    out[0] = r->alert;
    out[1] = r->labels;
    out[2] = r->phase;
    out[3] = r->before;
    for (int i = 0; i < 4; i++)
        out[4 + i] = arena_printf(a, "%" PRId64, times_us[i]);
    out[8] = isnan(r->value) ? NULL : arena_printf(a, "%.17g", r->value);
}

status_class alert_states_save(connection *c, int32_t wid, const alert_record *records, uint32_t n, arena *a,
                               status *st)
{
    const char **columns[SAVED_COLUMNS], *one[SAVED_COLUMNS];
    value params[1 + SAVED_COLUMNS] = {value_integer(wid)};
    for (int k = 0; k < SAVED_COLUMNS; k++)
        columns[k] = arena_zero(a, n + 1, sizeof(char *));
    for (uint32_t i = 0; i < n; i++) {
        save_columns(&records[i], a, one);
        for (int k = 0; k < SAVED_COLUMNS; k++)
            columns[k][i] = one[k];
    }
    for (int k = 0; k < SAVED_COLUMNS; k++)
        params[1 + k] = value_texts(columns[k], n);
    return n ? connection_run(c, &save_states, params, 1 + SAVED_COLUMNS, NULL, st) : STATUS_OK;
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
