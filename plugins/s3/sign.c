/* The canonical request is hashed as it is written, and never stands in memory. */
#include "sign.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define ALGORITHM "AWS4-HMAC-SHA256"
enum { DATE_LEN = 8, HASH_BYTES = crypto_hash_sha256_BYTES };

static void to_hex(const unsigned char bytes[HASH_BYTES], char out[SIGN_HASH_MAX])
{
    for (size_t i = 0; i < HASH_BYTES; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

void sign_hash(const void *data, size_t len, char out[SIGN_HASH_MAX])
{
    unsigned char hash[HASH_BYTES];
    crypto_hash_sha256(hash, data, len);
    to_hex(hash, out);
}

void sign_time(int64_t at_us, char out[SIGN_TIME_MAX])
{
    time_t at = (time_t)(at_us / 1000000);
    struct tm parts;
    gmtime_r(&at, &parts);
    strftime(out, SIGN_TIME_MAX, "%Y%m%dT%H%M%SZ", &parts);
}

/* ---- The canonical request ---- */

static void hash_text(crypto_hash_sha256_state *s, const char *text, size_t len)
{
    crypto_hash_sha256_update(s, (const unsigned char *)text, len);
}

static void hash_line(crypto_hash_sha256_state *s, const char *text)
{
    hash_text(s, text, strlen(text));
    hash_text(s, "\n", 1);
}

/* Without blanks around it, and with one blank for several. */
static void hash_value(crypto_hash_sha256_state *s, const char *value)
{
    bool begun = false;
    while (*value) {
        size_t blanks = strspn(value, " \t"), word = strcspn(value + blanks, " \t");
        if (word && blanks && begun)
            hash_text(s, " ", 1);
        hash_text(s, value + blanks, word);
        begun = begun || word;
        value += blanks + word;
    }
    hash_text(s, "\n", 1);
}

/* A parameter without a value gets its `=`. */
static void hash_query(crypto_hash_sha256_state *s, const char *query)
{
    while (*query) {
        size_t len = strcspn(query, "&");
        hash_text(s, query, len);
        if (!memchr(query, '=', len))
            hash_text(s, "=", 1);
        query += len;
        if (*query == '&')
            hash_text(s, query++, 1);
    }
    hash_text(s, "\n", 1);
}

/* "host;range;x-amz-date" */
static bool name_headers(const sign_request *r, char *out, size_t cap)
{
    size_t at = 0;
    for (size_t i = 0; i < r->n_headers && at < cap; i++)
        at += (size_t)snprintf(out + at, cap - at, "%s%s", i ? ";" : "", r->headers[i].name);
    return at < cap;
}

static void hash_request(const sign_request *r, const char *names, char out[SIGN_HASH_MAX])
{
    crypto_hash_sha256_state s;
    unsigned char hash[HASH_BYTES];
    crypto_hash_sha256_init(&s);
    hash_line(&s, r->method);
    hash_line(&s, r->path);
    hash_query(&s, r->query);
    for (size_t i = 0; i < r->n_headers; i++) {
        hash_text(&s, r->headers[i].name, strlen(r->headers[i].name));
        hash_text(&s, ":", 1);
        hash_value(&s, r->headers[i].value);
    }
    hash_text(&s, "\n", 1);
    hash_line(&s, names);
    hash_text(&s, r->payload, strlen(r->payload));
    crypto_hash_sha256_final(&s, hash);
    to_hex(hash, out);
}

/* ---- The signature ---- */

static void mac(const void *key, size_t key_len, const char *text, unsigned char out[HASH_BYTES])
{
    crypto_auth_hmacsha256_state s;
    crypto_auth_hmacsha256_init(&s, key, key_len);
    crypto_auth_hmacsha256_update(&s, (const unsigned char *)text, strlen(text));
    crypto_auth_hmacsha256_final(&s, out);
    sodium_memzero(&s, sizeof s);
}

/* False: the secret is too long to be one. */
static bool derive(const sign_key *key, const char *date, unsigned char out[HASH_BYTES])
{
    char first[512];
    int len = snprintf(first, sizeof first, "AWS4%s", key->secret);
    bool fits = len < (int)sizeof first;
    if (fits) {
        mac(first, (size_t)len, date, out);
        mac(out, HASH_BYTES, key->region, out);
        mac(out, HASH_BYTES, key->service, out);
        mac(out, HASH_BYTES, "aws4_request", out);
    }
    sodium_memzero(first, sizeof first);
    return fits;
}

bool sign_authorize(const sign_request *r, const sign_key *key, const char *time, char out[SIGN_OUT_MAX])
{
    char names[256], date[DATE_LEN + 1], scope[160], request[SIGN_HASH_MAX], to_sign[512], hex[SIGN_HASH_MAX];
    unsigned char signing[HASH_BYTES], signature[HASH_BYTES];
    snprintf(date, sizeof date, "%.*s", DATE_LEN, time);
    if (!name_headers(r, names, sizeof names) ||
        snprintf(scope, sizeof scope, "%s/%s/%s/aws4_request", date, key->region, key->service) >=
            (int)sizeof scope ||
        !derive(key, date, signing))
        return false;
    hash_request(r, names, request);
    snprintf(to_sign, sizeof to_sign, ALGORITHM "\n%s\n%s\n%s", time, scope, request);
    mac(signing, sizeof signing, to_sign, signature);
    sodium_memzero(signing, sizeof signing);
    to_hex(signature, hex);
    return snprintf(out, SIGN_OUT_MAX, ALGORITHM " Credential=%s/%s,SignedHeaders=%s,Signature=%s",
                    key->access, scope, names, hex) < SIGN_OUT_MAX;
}
