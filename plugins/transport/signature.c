#include "signature.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>

enum { SECRET_MAX = 4096 };

pst_status signature_make(const pst_host *host, const pst_call *call, const char *path, const void *body,
                          size_t len, char out[SIGNATURE_SIZE], pst_error *error)
{
    char key[SECRET_MAX], seconds[24], hex[2 * crypto_auth_hmacsha256_BYTES + 1];
    unsigned char mac[crypto_auth_hmacsha256_BYTES];
    size_t key_len = 0;
    if (sodium_init() < 0)
        return pst_fail(error, PST_E_INTERNAL, NULL, "libsodium does not start");
    pst_status st = host->secret(host, call, path, key, sizeof key, &key_len, error);
    if (st)
        return st;
    int digits = snprintf(seconds, sizeof seconds, "%" PRId64, host->wall_us(host) / 1000000);
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, (const unsigned char *)key, key_len);
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)seconds, (size_t)digits);
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)".", 1);
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)body, len);
    crypto_auth_hmacsha256_final(&state, mac);
    sodium_memzero(key, sizeof key);
    sodium_memzero(&state, sizeof state);
    sodium_bin2hex(hex, sizeof hex, mac, sizeof mac);
    snprintf(out, SIGNATURE_SIZE, "t=%s,v1=%s", seconds, hex);
    return PST_OK;
}
