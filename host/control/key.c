/* 32 characters of a 32-letter alphabet: 160 bits. */
#include "control/key.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/disk.h"
#include "base/random.h"

#define KEY_RANDOM 32
#define HASH_BYTES 32

static const statement add_key = {
    "make an API key",
    "INSERT INTO control.api_key (id, name, hash, scopes, expires) VALUES ($1, $2, $3, $4::json, $5)"};
static const statement find_key = {
    "verify an API key", "SELECT id, name, scopes::text FROM control.api_key"
                         " WHERE hash = $1 AND revoked IS NULL AND (expires IS NULL OR expires > now())"};
static const statement revoke_key = {
    "revoke an API key", "UPDATE control.api_key SET revoked = now() WHERE id = $1 AND revoked IS NULL"};
static const statement list_keys = {
    "list API keys",
    "SELECT coalesce(json_agg(json_build_object('id', id, 'name', name, 'scopes', scopes, 'created',"
    " created, 'expires', expires, 'revoked', revoked) ORDER BY created, id), '[]') FROM control.api_key"};
static const statement any_key = {"look for API keys", "SELECT EXISTS (SELECT FROM control.api_key)"};

static void hash_key(const char *key, unsigned char out[HASH_BYTES])
{
    crypto_generichash(out, HASH_BYTES, (const unsigned char *)key, strlen(key),
                       (const unsigned char *)"penstock api key", 16);
}

void key_hash_text(const char *key, char out[KEY_HASH_TEXT_SIZE])
{
    unsigned char hash[HASH_BYTES];
    hash_key(key, hash);
    sodium_bin2hex(out, KEY_HASH_TEXT_SIZE, hash, sizeof hash);
}

void key_random(const char prefix[5], char out[KEY_TEXT_SIZE])
{
    static const char alphabet[] = "abcdefghijkmnpqrstuvwxyz23456789";
    unsigned char bytes[KEY_RANDOM];
    random_bytes(bytes, sizeof bytes);
    memcpy(out, prefix, 4);
    for (int i = 0; i < KEY_RANDOM; i++)
        out[4 + i] = alphabet[bytes[i] & 31];
    out[4 + KEY_RANDOM] = '\0';
    sodium_memzero(bytes, sizeof bytes);
}

/* An array of {wid?, verbs: [word…], reference?}. */
static status_class check_scopes(const json_t *scopes, status *st)
{
    static const char *const verbs[] = {"*",    "read",  "write", "delete",  "run",
                                        "send", "start", "ack",   "approve", "admin"};
    size_t n = json_array_size(scopes);
    bool fine = json_is_array(scopes) && n >= 1 && n <= 16;
    for (size_t i = 0; fine && i < n; i++) {
        const json_t *s = json_array_get(scopes, i), *words = json_object_get(s, "verbs"),
                     *wid = json_object_get(s, "wid");
        fine = json_array_size(words) > 0 && (!wid || json_is_integer(wid));
        for (size_t k = 0; fine && k < json_array_size(words); k++) {
            const char *word = json_string_value(json_array_get(words, k));
            bool known = false;
            for (size_t v = 0; v < sizeof verbs / sizeof *verbs; v++)
                known = known || (word && strcmp(word, verbs[v]) == 0);
            fine = known;
        }
    }
    if (fine)
        return STATUS_OK;
    status_at(st, STATUS_INVALID, "/scopes",
              "the key's scopes cannot be used: 1 to 16 of {wid, verbs, reference}");
    return status_hint(st, "verbs: read write delete run send start ack approve admin, or * for all");
}

status_class key_create(connection *c, const char *name, json_t *scopes, int64_t expires_us,
                        char key[KEY_TEXT_SIZE], char id[32], status *st)
{
    unsigned char hash[HASH_BYTES];
    char ulid[27];
    status_class class = check_scopes(scopes, st);
    if (class != STATUS_OK)
        return class;
    if (!*name || strlen(name) >= sizeof((key_record *)0)->name)
        return status_at(st, STATUS_INVALID, "/name", "the key cannot have this name: 1 to 79 bytes");
    key_random("psk_", key);
    hash_key(key, hash);
    ulid_make(ulid);
    snprintf(id, 32, "key_%s", ulid);
    char *scopes_text = json_dumps(scopes, JSON_COMPACT);
    const value params[] = {value_text(id), value_text(name), value_bytes(hash, sizeof hash),
                            value_text(scopes_text), expires_us ? value_time_us(expires_us) : value_null()};
    class = connection_run(c, &add_key, params, 5, NULL, st);
    free(scopes_text);
    return class;
}

status_class key_verify(connection *c, const char *key, key_record *ret, status *st)
{
    unsigned char hash[HASH_BYTES];
    rows *r = NULL;
    hash_key(key, hash);
    const value params[] = {value_bytes(hash, sizeof hash)};
    status_class class = connection_run(c, &find_key, params, 1, &r, st);
    if (class != STATUS_OK)
        return class;
    if (rows_count(r) == 0) {
        class = status_set(st, STATUS_DENIED, "the API key is not known, expired or revoked");
    } else {
        snprintf(ret->id, sizeof ret->id, "%s", rows_text(r, 0, 0));
        snprintf(ret->name, sizeof ret->name, "%s", rows_text(r, 0, 1));
        ret->scopes = json_loads(rows_text(r, 0, 2), 0, NULL);
    }
    rows_free(r);
    return class;
}

status_class key_revoke(connection *c, const char *id, status *st)
{
    rows *r = NULL;
    const value params[] = {value_text(id)};
    status_class class = connection_run(c, &revoke_key, params, 1, &r, st);
    if (class == STATUS_OK && rows_affected(r) == 0)
        class = status_set(st, STATUS_NOT_FOUND, "there is no working API key \"%.40s\"", id);
    rows_free(r);
    return class;
}

status_class key_list(connection *c, json_t **ret, status *st)
{
    rows *r = NULL;
    status_class class = connection_run(c, &list_keys, NULL, 0, &r, st);
    if (class == STATUS_OK)
        *ret = json_loads(rows_text(r, 0, 0), 0, NULL);
    rows_free(r);
    return class;
}

status_class key_ensure_admin(connection *c, const char *path, bool *ret_made, status *st)
{
    char key[KEY_TEXT_SIZE], line[KEY_TEXT_SIZE + 1], id[32];
    rows *r = NULL;
    *ret_made = false;
    status_class class = connection_run(c, &any_key, NULL, 0, &r, st);
    bool any = class == STATUS_OK && rows_boolean(r, 0, 0);
    rows_free(r);
    if (class != STATUS_OK || any)
        return class;
    json_t *scopes = json_pack("[{s:i, s:[s], s:s}]", "wid", 0, "verbs", "*", "reference", "*");
    class = key_create(c, "first admin", scopes, 0, key, id, st);
    json_decref(scopes);
    if (class != STATUS_OK)
        return class;
    int len = snprintf(line, sizeof line, "%s\n", key);
    class = disk_write(path, line, (size_t)len, 0600, st);
    sodium_memzero(key, sizeof key);
    sodium_memzero(line, sizeof line);
    *ret_made = class == STATUS_OK;
    return class;
}
