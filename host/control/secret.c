/* Blob: 8 bytes of key id (a hash of the key), 24 of nonce, then the box. The nonce is random: with 24 bytes
 * it never repeats in practice. */
#include "control/secret.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/disk.h"
#include "base/name.h"
#include "base/random.h"

#define ID_BYTES 8
#define HEAD_BYTES (ID_BYTES + crypto_secretbox_NONCEBYTES)

struct secret_key {
    unsigned char key[crypto_secretbox_KEYBYTES];
    unsigned char id[ID_BYTES];
};

/* ---- the master key ---- */

static status_class make_key_file(const char *path, status *st)
{
    unsigned char key[crypto_secretbox_KEYBYTES];
    char hex[2 * sizeof key + 2];
    random_bytes(key, sizeof key);
    sodium_bin2hex(hex, sizeof hex - 1, key, sizeof key);
    hex[sizeof hex - 2] = '\n';
    status_class class = disk_write(path, hex, sizeof hex - 1, 0600, st);
    sodium_memzero(key, sizeof key);
    sodium_memzero(hex, sizeof hex);
    return class;
}

static status_class read_key_file(const char *path, secret_key *k, status *st)
{
    text content = {0};
    size_t len = 0;
    status_class class = disk_read(path, 200, &content, st);
    if (class == STATUS_OK && (sodium_hex2bin(k->key, sizeof k->key, content.data ? content.data : "",
                                              content.len, "\n", &len, NULL) != 0 ||
                               len != sizeof k->key))
        class = status_at(st, STATUS_INVALID, path, "the master key cannot be read: it is not 64 hex digits");
    secret_wipe(&content);
    return class;
}

status_class secret_key_open(const char *state_folder, secret_key **ret, status *st)
{
    char path[4096];
    if (sodium_init() < 0)
        return status_set(st, STATUS_INTERNAL, "libsodium does not start");
    snprintf(path, sizeof path, "%s/master.key", state_folder);
    status_class class = disk_exists(path) ? STATUS_OK : make_key_file(path, st);
    secret_key *k = memory_zero(1, sizeof *k);
    if (class == STATUS_OK)
        class = read_key_file(path, k, st);
    if (class != STATUS_OK) {
        secret_key_free(k);
        return class;
    }
    unsigned char digest[crypto_generichash_BYTES];
    crypto_generichash(digest, sizeof digest, k->key, sizeof k->key, NULL, 0);
    memcpy(k->id, digest, ID_BYTES);
    *ret = k;
    return STATUS_OK;
}

void secret_key_free(secret_key *k)
{
    if (!k)
        return;
    sodium_memzero(k, sizeof *k);
    free(k);
}

/* ---- blobs ---- */

const uint8_t *secret_seal(const secret_key *k, const void *value, size_t len, arena *a, size_t *ret_len)
{
    uint8_t *blob = arena_alloc(a, HEAD_BYTES + crypto_secretbox_MACBYTES + len);
    memcpy(blob, k->id, ID_BYTES);
    random_bytes(blob + ID_BYTES, crypto_secretbox_NONCEBYTES);
    crypto_secretbox_easy(blob + HEAD_BYTES, value, len, blob + ID_BYTES, k->key);
    *ret_len = HEAD_BYTES + crypto_secretbox_MACBYTES + len;
    return blob;
}

status_class secret_open(const secret_key *k, const void *blob, size_t len, text *out, status *st)
{
    const uint8_t *b = blob;
    if (len < HEAD_BYTES + crypto_secretbox_MACBYTES)
        return status_set(st, STATUS_DENIED, "the secret cannot be opened: it is cut short");
    if (sodium_memcmp(b, k->id, ID_BYTES) != 0) {
        status_set(st, STATUS_DENIED, "the secret cannot be opened: it was sealed under another master key");
        return status_hint(st, "put the master.key of that time back, or set the secret again");
    }
    size_t n = len - HEAD_BYTES - crypto_secretbox_MACBYTES;
    text_clear(out);
    text_reserve(out, n + 1);
    if (crypto_secretbox_open_easy((unsigned char *)out->data, b + HEAD_BYTES, len - HEAD_BYTES, b + ID_BYTES,
                                   k->key) != 0)
        return status_set(st, STATUS_DENIED, "the secret cannot be opened: it was changed");
    out->len = n;
    out->data[n] = '\0';
    return STATUS_OK;
}

void secret_wipe(text *value)
{
    if (value->data)
        sodium_memzero(value->data, value->cap);
    text_free(value);
}

/* ---- the table ---- */

static const statement set_secret = {
    "set a secret", "INSERT INTO control.secret (wid, name, blob) VALUES ($1, $2, $3)"
                    " ON CONFLICT (wid, name) DO UPDATE SET blob = excluded.blob, updated = now()"};
static const statement get_secret = {
    "read a secret",
    "SELECT blob FROM control.secret WHERE wid IN ($1::int, 0) AND name = $2 ORDER BY wid DESC LIMIT 1"};
static const statement delete_secret = {"delete a secret",
                                        "DELETE FROM control.secret WHERE wid = $1 AND name = $2"};
static const statement list_secrets = {
    "list secrets",
    "SELECT coalesce(json_agg(json_build_object('name', name, 'updated',"
    " to_char(updated AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')) ORDER BY name), '[]')"
    " FROM control.secret WHERE wid = $1"};

static status_class check_name(const char *name, status *st)
{
    if (*name && strlen(name) <= SECRET_NAME_MAX &&
        strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-.") == strlen(name))
        return STATUS_OK;
    return status_at(st, STATUS_INVALID, "/name",
                     "the secret cannot have this name: lower case letters, digits, _ - . only");
}

status_class secret_set(connection *c, const secret_key *k, int32_t wid, const char *name, const void *value,
                        size_t len, status *st)
{
    status_class class = check_name(name, st);
    if (class != STATUS_OK)
        return class;
    if (len > SECRET_BYTES_MAX)
        return status_set(st, STATUS_LIMIT, "the secret is too large: more than %d bytes", SECRET_BYTES_MAX);
    size_t sealed_len;
    arena *a = arena_create(0);
    const uint8_t *sealed = secret_seal(k, value, len, a, &sealed_len);
    const struct value params[] = {value_integer(wid), value_text(name), value_bytes(sealed, sealed_len)};
    class = connection_run(c, &set_secret, params, 3, NULL, st);
    arena_free(a);
    return class;
}

status_class secret_get(connection *c, const secret_key *k, int32_t wid, const char *name, text *out,
                        status *st)
{
    rows *r = NULL;
    const value params[] = {value_integer(wid), value_text(name)};
    status_class class = connection_run(c, &get_secret, params, 2, &r, st);
    if (class != STATUS_OK)
        return class;
    arena *a = arena_create(0);
    size_t len;
    if (rows_count(r) == 0)
        class = status_set(st, STATUS_NOT_FOUND, "there is no secret \"%.64s\"", name);
    else {
        const uint8_t *blob = rows_bytes(r, 0, 0, a, &len);
        class = secret_open(k, blob, len, out, st);
    }
    arena_free(a);
    rows_free(r);
    return class;
}

status_class secret_delete(connection *c, int32_t wid, const char *name, status *st)
{
    rows *r = NULL;
    const value params[] = {value_integer(wid), value_text(name)};
    status_class class = connection_run(c, &delete_secret, params, 2, &r, st);
    if (class == STATUS_OK && rows_affected(r) == 0)
        class = status_set(st, STATUS_NOT_FOUND, "there is no secret \"%.64s\"", name);
    rows_free(r);
    return class;
}

status_class secret_list(connection *c, int32_t wid, json_t **ret, status *st)
{
    rows *r = NULL;
    const value params[] = {value_integer(wid)};
    status_class class = connection_run(c, &list_secrets, params, 1, &r, st);
    if (class == STATUS_OK)
        *ret = json_loads(rows_text(r, 0, 0), 0, NULL);
    rows_free(r);
    return class;
}

void secret_sign(const secret_key *k, const char *purpose, const void *data, size_t len,
                 uint8_t out[SECRET_MAC_BYTES])
{
    unsigned char derived[crypto_auth_KEYBYTES];
    _Static_assert(SECRET_MAC_BYTES == crypto_auth_BYTES, "the size of a signature");
    crypto_generichash(derived, sizeof derived, (const unsigned char *)purpose, strlen(purpose), k->key,
                       sizeof k->key);
    crypto_auth(out, data, len, derived);
    sodium_memzero(derived, sizeof derived);
}
