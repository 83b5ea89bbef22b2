#include "signature.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <string.h>

void signature_begin(void)
{
    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL);
}

/* ---- as text ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static size_t read_hex(const char *s, size_t len, unsigned char *out, size_t cap)
{
    if (len % 2 || len / 2 > cap)
        return 0;
    for (size_t i = 0; i < len; i += 2) {
        int high = hex_digit(s[i]), low = hex_digit(s[i + 1]);
        if (high < 0 || low < 0)
            return 0;
        out[i / 2] = (unsigned char)(high * 16 + low);
    }
    return len / 2;
}

static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    c = c == '-' ? '+' : c == '_' ? '/' : c;
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

static size_t read_base64(const char *s, size_t len, unsigned char *out, size_t cap)
{
    unsigned bits = 0;
    size_t n = 0;
    while (len && s[len - 1] == '=')
        len--;
    for (size_t i = 0; i < len; i++) {
        int digit = base64_digit(s[i]);
        if (digit < 0 || n == cap)
            return 0;
        bits = bits << 6 | (unsigned)digit;
        if (i % 4 != 0)
            out[n++] = (unsigned char)(bits >> (i % 4 == 1 ? 4 : i % 4 == 2 ? 2 : 0));
    }
    return len % 4 == 1 ? 0 : n;
}

size_t signature_read(signature_text form, const char *s, size_t len, unsigned char *out, size_t cap)
{
    return form == SIGNATURE_HEX ? read_hex(s, len, out, cap) : read_base64(s, len, out, cap);
}

/* ---- judging ---- */

bool signature_same(const void *a, size_t a_len, const void *b, size_t b_len)
{
    return a_len == b_len && CRYPTO_memcmp(a, b, a_len) == 0;
}

bool signature_hmac(const void *key, size_t key_len, const void *text, size_t len, const unsigned char *given,
                    size_t given_len)
{
    unsigned char ours[EVP_MAX_MD_SIZE];
    unsigned ours_len = 0;
    return HMAC(EVP_sha256(), key, (int)key_len, text, len, ours, &ours_len) &&
           signature_same(ours, ours_len, given, given_len);
}

signature_key *signature_key_read(const char *pem)
{
    BIO *in = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = in ? PEM_read_bio_PUBKEY(in, NULL, NULL, NULL) : NULL;
    BIO_free(in);
    ERR_clear_error();
    if (key && EVP_PKEY_get_base_id(key) == EVP_PKEY_EC)
        return key;
    EVP_PKEY_free(key);
    return NULL;
}

void signature_key_free(signature_key *k)
{
    EVP_PKEY_free(k);
}

/* Both numbers one after the other, as JOSE writes them, to DER. */
static unsigned char *to_der(const unsigned char *raw, size_t len, int *der_len)
{
    unsigned char *der = NULL;
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw, (int)(len / 2), NULL), *s = BN_bin2bn(raw + len / 2, (int)(len / 2), NULL);
    *der_len = 0;
    if (pair && r && s && ECDSA_SIG_set0(pair, r, s)) {
        r = s = NULL;
        *der_len = i2d_ECDSA_SIG(pair, &der);
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(pair);
    return der;
}

static bool verify(signature_key *k, const void *text, size_t len, const unsigned char *der, size_t der_len)
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    bool good = c && EVP_DigestVerifyInit(c, NULL, EVP_sha256(), NULL, k) == 1 &&
                EVP_DigestVerify(c, der, der_len, text, len) == 1;
    EVP_MD_CTX_free(c);
    ERR_clear_error();
    return good;
}

bool signature_ecdsa(signature_key *k, const void *text, size_t len, const unsigned char *given,
                     size_t given_len)
{
    size_t raw_len = 2 * ((size_t)(EVP_PKEY_get_bits(k) + 7) / 8);
    int der_len;
    if (verify(k, text, len, given, given_len))
        return true;
    if (given_len != raw_len)
        return false;
    unsigned char *der = to_der(given, given_len, &der_len);
    bool good = der_len > 0 && verify(k, text, len, der, (size_t)der_len);
    OPENSSL_free(der);
    return good;
}
