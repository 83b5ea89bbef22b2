/* API keys: `psk_` and 32 random characters. Only the BLAKE2b hash is stored; the key is shown once. A key
 * has scopes, may expire, can be revoked. Lookups go by the hash, so nothing about a key leaks through
 * timing. */
#ifndef PENSTOCK_CONTROL_KEY_H
#define PENSTOCK_CONTROL_KEY_H
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "store/connection.h"

#define KEY_TEXT_SIZE 37

typedef struct key_record {
    char id[32]; /* key_<ulid> */
    char name[80];
    json_t *
        scopes; /* [{wid, verbs: ["read", …] | ["*"], reference}]; wid 0 = every workspace and the platform */
} key_record;

#define KEY_HASH_TEXT_SIZE 65
/* What is stored of a key, as hex digits. */
void key_hash_text(const char *key, char out[KEY_HASH_TEXT_SIZE]);
/* The prefix and 32 random characters. */
void key_random(const char prefix[5], char out[KEY_TEXT_SIZE]);
/* `expires_us` 0 = never. The key is written to `text`, its id to `id` (both may then be shown once). */
status_class key_create(connection *c, const char *name, json_t *scopes, int64_t expires_us,
                        char key[KEY_TEXT_SIZE], char id[32], status *st);
/* STATUS_DENIED: there is none, or it expired or was revoked. The record's scopes are a new reference. */
status_class key_verify(connection *c, const char *key, key_record *ret, status *st);
status_class key_revoke(connection *c, const char *id, status *st);
/* [{id, name, scopes, created, expires, revoked}]; a new reference. */
status_class key_list(connection *c, json_t **ret, status *st);
/* On a fresh control plane (no key at all): makes one that may do everything and writes it to `path` (0600).
 * *ret_made says whether it did. */
status_class key_ensure_admin(connection *c, const char *path, bool *ret_made, status *st);
#endif
