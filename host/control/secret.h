/* Secrets: sealed by libsodium's secretbox under the master key of the stack, <state>/master.key (0600, made
 * on first use). A blob names its key, so keys can be rotated. Values go to plugin instances and nowhere
 * else: not into logs, errors, lists or backups of this table. */
#ifndef PENSTOCK_CONTROL_SECRET_H
#define PENSTOCK_CONTROL_SECRET_H
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "base/text.h"
#include "store/connection.h"

#define SECRET_BYTES_MAX 65536
#define SECRET_NAME_MAX 64

typedef struct secret_key secret_key;

/* Reads or makes the master key. */
status_class secret_key_open(const char *state_folder, secret_key **ret, status *st);
void secret_key_free(secret_key *k); /* wipes it; NULL is fine */

/* key id (8) + nonce (24) + box, in the arena. */
const uint8_t *secret_seal(const secret_key *k, const void *value, size_t len, arena *a, size_t *ret_len);
/* STATUS_DENIED when the blob was changed or sealed under another key. Wipe the text after use (secret_wipe).
 */
status_class secret_open(const secret_key *k, const void *blob, size_t len, text *out, status *st);
void secret_wipe(text *value); /* overwrites and frees */

#define SECRET_MAC_BYTES 32
/* HMAC-SHA-512/256 under a key that is derived for that purpose. */
void secret_sign(const secret_key *k, const char *purpose, const void *data, size_t len,
                 uint8_t out[SECRET_MAC_BYTES]);

/* The table: per workspace, or wid 0 = of the platform. Names as keys. */
status_class secret_set(connection *c, const secret_key *k, int32_t wid, const char *name, const void *value,
                        size_t len, status *st);
/* The workspace's own, else the platform's. STATUS_NOT_FOUND. */
status_class secret_get(connection *c, const secret_key *k, int32_t wid, const char *name, text *out,
                        status *st);
status_class secret_delete(connection *c, int32_t wid, const char *name, status *st);
/* [{name, updated}], never values; a new reference. */
status_class secret_list(connection *c, int32_t wid, json_t **ret, status *st);
#endif
