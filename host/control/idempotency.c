/* One insert decides who is first; everybody else reads. */
#include "control/idempotency.h"

static const statement forget_old = {
    "forget old Idempotency-Keys",
    "DELETE FROM control.idempotency WHERE created < now() - interval '24 hours'"
    " OR (who = $1 AND key = $2 AND status IS NULL AND created < now() - interval '10 minutes')"};
static const statement take_key = {
    "take an Idempotency-Key",
    "INSERT INTO control.idempotency (who, key, hash) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"};
static const statement read_key = {
    "read an Idempotency-Key",
    "SELECT hash = $3, status, body FROM control.idempotency WHERE who = $1 AND key = $2"};
static const statement keep_answer = {
    "keep an answer", "UPDATE control.idempotency SET status = $3, body = $4 WHERE who = $1 AND key = $2"};
static const statement forget_key = {"forget an Idempotency-Key",
                                     "DELETE FROM control.idempotency WHERE who = $1 AND key = $2"};

static status_class read_earlier(connection *c, const value *params, idempotency_state *state_out,
                                 int *http_status_out, text *body_out, status *st)
{
    rows *r = NULL;
    status_class class = connection_run(c, &read_key, params, 3, &r, st);
    if (class != STATUS_OK)
        return class;
    *state_out =
        IDEMPOTENCY_UNDER_WAY; /* also when it was forgotten this very moment: the client comes again */
    if (rows_count(r) && !rows_boolean(r, 0, 0)) {
        *state_out = IDEMPOTENCY_DIFFERS;
    } else if (rows_count(r) && !rows_null(r, 0, 1)) {
        *state_out = IDEMPOTENCY_ANSWERED;
        *http_status_out = (int)rows_integer(r, 0, 1);
        if (!rows_null(r, 0, 2))
            text_add_n(body_out, rows_text(r, 0, 2), rows_length(r, 0, 2));
    }
    rows_free(r);
    return STATUS_OK;
}

status_class idempotency_start(connection *c, const char *who, const char *key, const uint8_t hash[32],
                               idempotency_state *state_out, int *http_status_out, text *body_out, status *st)
{
    rows *r = NULL;
    const value params[] = {value_text(who), value_text(key), value_bytes(hash, 32)};
    status_class class = connection_run(c, &forget_old, params, 2, NULL, st);
    if (class == STATUS_OK)
        class = connection_run(c, &take_key, params, 3, &r, st);
    bool first = class == STATUS_OK && rows_affected(r) > 0;
    rows_free(r);
    *state_out = IDEMPOTENCY_FIRST;
    return class != STATUS_OK || first ? class
                                       : read_earlier(c, params, state_out, http_status_out, body_out, st);
}

status_class idempotency_finish(connection *c, const char *who, const char *key, int http_status,
                                const char *body, size_t len, status *st)
{
    const value params[] = {value_text(who), value_text(key), value_integer(http_status),
                            body ? value_text_n(body, len) : value_null()};
    return http_status ? connection_run(c, &keep_answer, params, 4, NULL, st)
                       : connection_run(c, &forget_key, params, 2, NULL, st);
}
