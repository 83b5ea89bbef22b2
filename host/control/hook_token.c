#include "control/hook_token.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

static const statement rotate = {
    "rotate a hook's token",
    "WITH gone AS (DELETE FROM control.hook WHERE wid = $1 AND connector = $2 AND expires <= now()),"
    " old AS (UPDATE control.hook SET expires = least(expires, $4)"
    " WHERE wid = $1 AND connector = $2 AND (expires IS NULL OR expires > now()))"
    " INSERT INTO control.hook (hash, wid, connector) VALUES ($3, $1, $2)"};
static const statement list = {"list the tokens of hooks",
                               "SELECT hash, wid, connector, created, expires FROM control.hook"
                               " WHERE (wid = $1 OR $1 = 0) AND (expires IS NULL OR expires > now())"
                               " ORDER BY wid, connector, created"};
static const statement forget = {"forget a hook's tokens",
                                 "DELETE FROM control.hook WHERE wid = $1 AND connector = $2"};

void hook_token_hash(const char *token, unsigned char out[HOOK_HASH_BYTES])
{
    crypto_generichash(out, HOOK_HASH_BYTES, (const unsigned char *)token, strlen(token),
                       (const unsigned char *)"penstock hook token", 19);
}

status_class hook_token_rotate(connection *c, int32_t wid, const char *connector, int64_t old_until_us,
                               char token[KEY_TEXT_SIZE], status *st)
{
    unsigned char hash[HOOK_HASH_BYTES];
    key_random("psh_", token);
    hook_token_hash(token, hash);
    const value params[] = {value_integer(wid), value_text(connector), value_bytes(hash, sizeof hash),
                            value_time_us(old_until_us)};
    return connection_run(c, &rotate, params, 4, NULL, st);
}

static void read_token(const rows *r, uint32_t row, arena *a, hook_token *out)
{
    size_t len;
    const uint8_t *hash = rows_bytes(r, row, 0, a, &len);
    if (len == sizeof out->hash)
        memcpy(out->hash, hash, len);
    out->wid = (int32_t)rows_integer(r, row, 1);
    snprintf(out->connector, sizeof out->connector, "%s", rows_text(r, row, 2));
    out->created_us = rows_time_us(r, row, 3);
    out->expires_us = rows_time_us(r, row, 4);
}

status_class hook_token_list(connection *c, int32_t wid, arena *a, hook_token **out, uint32_t *n_out,
                             status *st)
{
    rows *r = NULL;
    const value params[] = {value_integer(wid)};
    status_class class = connection_run(c, &list, params, 1, &r, st);
    if (class != STATUS_OK)
        return class;
    *n_out = rows_count(r);
    *out = arena_zero(a, *n_out + 1, sizeof **out);
    for (uint32_t i = 0; i < *n_out; i++)
        read_token(r, i, a, &(*out)[i]);
    rows_free(r);
    return STATUS_OK;
}

status_class hook_token_forget(connection *c, int32_t wid, const char *connector, status *st)
{
    const value params[] = {value_integer(wid), value_text(connector)};
    return connection_run(c, &forget, params, 2, NULL, st);
}
