/* Tokens of hooks: `psh_` and 32 random characters, the unguessable part of the address that a sender posts
 * to. Only their hash is stored; the token is shown once. They go with their connector. */
#ifndef PENSTOCK_CONTROL_HOOK_TOKEN_H
#define PENSTOCK_CONTROL_HOOK_TOKEN_H
#include "base/name.h"
#include "control/key.h"

#define HOOK_HASH_BYTES 32
#define HOOK_OVERLAP_MAX_S (7 * 86400) /* how long the old token may still work */

typedef struct hook_token {
    unsigned char hash[HOOK_HASH_BYTES];
    int32_t wid;
    char connector[NAME_KEY_MAX + 1];
    int64_t created_us, expires_us; /* 0 = never */
} hook_token;

void hook_token_hash(const char *token, unsigned char out[HOOK_HASH_BYTES]);
/* A new one; those before it end at `old_until_us`. `token` is for the caller's answer only. */
status_class hook_token_rotate(connection *c, int32_t wid, const char *connector, int64_t old_until_us,
                               char token[KEY_TEXT_SIZE], status *st);
/* Those that work, of one workspace or (wid 0) of all; the list lies in the arena. */
status_class hook_token_list(connection *c, int32_t wid, arena *a, hook_token **out, uint32_t *n_out,
                             status *st);
status_class hook_token_forget(connection *c, int32_t wid, const char *connector, status *st);
#endif
