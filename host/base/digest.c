#include "base/digest.h"

#include <sodium.h>

void digest_text(char out[DIGEST_TEXT_SIZE], const void *data, size_t len)
{
    unsigned char hash[16];
    crypto_generichash(hash, sizeof hash, data, len, NULL, 0);
    sodium_bin2hex(out, DIGEST_TEXT_SIZE, hash, sizeof hash);
}
