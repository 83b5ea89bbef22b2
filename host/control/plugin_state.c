/* Each function is one statement, a put that found nothing to change one more, to say why. */
#include "control/plugin_state.h"

static const statement get_state = {
    "read a plugin's state",
    "SELECT version, blob FROM control.plugin_state WHERE wid = $1 AND instance = $2 AND key = $3"
    " AND (expires IS NULL OR expires > now())"};
/* $6: also over what is there. A new key only while there is room ($7). */
static const statement put_state = {
    "keep a plugin's state",
    "INSERT INTO control.plugin_state AS s (wid, instance, key, version, expires, blob)"
    " SELECT $1, $2, $3, nextval('control.plugin_state_version'), $4, $5"
    " WHERE (SELECT count(*) FROM control.plugin_state WHERE wid = $1 AND instance = $2 AND key <> $3) < $7"
    " ON CONFLICT (wid, instance, key) DO UPDATE SET version = excluded.version, expires = excluded.expires,"
    " blob = excluded.blob, updated = now() WHERE $6 OR s.expires <= now() RETURNING version"};
static const statement replace_state = {
    "replace a plugin's state",
    "UPDATE control.plugin_state SET version = nextval('control.plugin_state_version'), expires = $4, blob = "
    "$5,"
    " updated = now() WHERE wid = $1 AND instance = $2 AND key = $3 AND version = $6"
    " AND (expires IS NULL OR expires > now()) RETURNING version"};
static const statement drop_expired = {
    "drop a plugin's expired states",
    "DELETE FROM control.plugin_state WHERE wid = $1 AND instance = $2 AND expires <= now()"};
static const statement count_states = {
    "count a plugin's states",
    "SELECT count(*) FROM control.plugin_state WHERE wid = $1 AND instance = $2 AND key <> $3"};
static const statement remove_state = {
    "remove a plugin's state",
    "DELETE FROM control.plugin_state WHERE wid = $1 AND instance = $2 AND key = $3"
    " AND ($4 OR version = $5 OR expires <= now())"};
static const statement list_states = {
    "list a plugin's states",
    "SELECT key, version FROM control.plugin_state WHERE wid = $1 AND instance = $2"
    " AND starts_with(key, $3) AND ($4::text IS NULL OR key > $4) AND (expires IS NULL OR expires > now())"
    " ORDER BY key LIMIT $5"};
static const statement forget_states = {"forget a plugin's states",
                                        "DELETE FROM control.plugin_state WHERE wid = $1 AND instance = $2"};

static status_class conflict(const char *key, status *st)
{
    return status_set(st, STATUS_CONFLICT, "another version of \"%.128s\" is there", key);
}

status_class plugin_state_get(connection *c, const secret_key *k, const plugin_state_owner *owner,
                              const char *key, text *value_out, uint64_t *version_out, status *st)
{
    rows *r = NULL;
    *version_out = 0;
    const value params[] = {value_integer(owner->wid), value_text(owner->instance), value_text(key)};
    status_class class = connection_run(c, &get_state, params, 3, &r, st);
    if (class == STATUS_OK && rows_count(r)) {
        size_t len;
        arena *a = arena_create(0);
        const uint8_t *blob = rows_bytes(r, 0, 1, a, &len);
        class = secret_open(k, blob, len, value_out, st);
        *version_out = (uint64_t)rows_integer(r, 0, 0);
        arena_free(a);
    }
    rows_free(r);
    return class;
}

/* A put changed nothing. */
static status_class explain_put(connection *c, const plugin_state_owner *owner, const char *key, status *st)
{
    rows *r = NULL;
    const value params[] = {value_integer(owner->wid), value_text(owner->instance), value_text(key)};
    status_class class = connection_run(c, &count_states, params, 3, &r, st);
    if (class == STATUS_OK)
        class = rows_integer(r, 0, 0) >= PLUGIN_STATE_KEYS_MAX
                    ? status_set(st, STATUS_LIMIT, "the instance has %d keys already", PLUGIN_STATE_KEYS_MAX)
                    : conflict(key, st);
    rows_free(r);
    return class;
}

static status_class put_once(connection *c, const value *params, bool replaces, uint64_t *version_out,
                             bool *done_out, status *st)
{
    rows *r = NULL;
    status_class class =
        connection_run(c, replaces ? &replace_state : &put_state, params, replaces ? 6 : 7, &r, st);
    *done_out = class == STATUS_OK && rows_count(r) == 1;
    if (*done_out)
        *version_out = (uint64_t)rows_integer(r, 0, 0);
    rows_free(r);
    return class;
}

status_class plugin_state_put(connection *c, const secret_key *k, const plugin_state_owner *owner,
                              const char *key, const void *value, size_t len, uint64_t expected,
                              int64_t expires_us, uint64_t *version_out, status *st)
{
    arena *a = arena_create(0);
    bool replaces = expected != 0 && expected != PLUGIN_STATE_ANY, done;
    size_t sealed_len;
    const uint8_t *sealed = secret_seal(k, value, len, a, &sealed_len);
    const struct value params[] = {value_integer(owner->wid),
                                   value_text(owner->instance),
                                   value_text(key),
                                   expires_us ? value_time_us(expires_us) : value_null(),
                                   value_bytes(sealed, sealed_len),
                                   replaces ? value_integer((int64_t)expected)
                                            : value_boolean(expected == PLUGIN_STATE_ANY),
                                   value_integer(PLUGIN_STATE_KEYS_MAX)};
    status_class class = put_once(c, params, replaces, version_out, &done, st);
    if (class == STATUS_OK && !done && !replaces) { /* what has expired takes no room */
        class = connection_run(c, &drop_expired, params, 2, NULL, st);
        if (class == STATUS_OK)
            class = put_once(c, params, replaces, version_out, &done, st);
    }
    if (class == STATUS_OK && !done)
        class = replaces ? conflict(key, st) : explain_put(c, owner, key, st);
    arena_free(a);
    return class;
}

status_class plugin_state_remove(connection *c, const plugin_state_owner *owner, const char *key,
                                 uint64_t expected, status *st)
{
    rows *r = NULL;
    const value params[] = {value_integer(owner->wid), value_text(owner->instance), value_text(key),
                            value_boolean(expected == PLUGIN_STATE_ANY), value_integer((int64_t)expected)};
    status_class class = connection_run(c, &remove_state, params, 5, &r, st);
    bool removed = class == STATUS_OK && rows_affected(r) > 0;
    rows_free(r);
    if (class != STATUS_OK || removed || expected == PLUGIN_STATE_ANY)
        return class;
    class = connection_run(c, &get_state, params, 3, &r, st);
    if (class == STATUS_OK && (expected || rows_count(r)))
        class = conflict(key, st);
    rows_free(r);
    return class;
}

status_class plugin_state_list(connection *c, const plugin_state_owner *owner, const char *prefix,
                               const char *after, uint32_t most,
                               void (*on_key)(void *arg, const char *key, uint64_t version), void *arg,
                               status *st)
{
    rows *r = NULL;
    const value params[] = {value_integer(owner->wid), value_text(owner->instance), value_text(prefix),
                            value_text(after), value_integer(most)};
    status_class class = connection_run(c, &list_states, params, 5, &r, st);
    for (uint32_t i = 0; class == STATUS_OK && i < rows_count(r); i++)
        on_key(arg, rows_text(r, i, 0), (uint64_t)rows_integer(r, i, 1));
    rows_free(r);
    return class;
}

status_class plugin_state_forget(connection *c, const plugin_state_owner *owner, status *st)
{
    const value params[] = {value_integer(owner->wid), value_text(owner->instance)};
    return connection_run(c, &forget_states, params, 2, NULL, st);
}
