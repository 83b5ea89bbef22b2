/* Keys are remembered by a BLAKE2b hash keyed with bytes drawn at start, in a small table with two places a
 * slot. */
#include "serve/auth.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/random.h"

enum { SLOTS = 1024, WAYS = 2, KEY_MAX = 200 };

typedef struct entry {
    uint8_t hash[32];
    int64_t until_us;
    principal who;
} entry;

struct auth_cache {
    uint8_t secret[32];
    int64_t ttl_us;
    entry *entries[SLOTS][WAYS];
};

/* ---- the header ---- */

static bool is_ours(const char *key)
{
    size_t len = strlen(key);
    return strncmp(key, "psk_", 4) == 0 && len > 20 && len <= KEY_MAX;
}

static char *basic_password(const char *coded, arena *a)
{
    size_t len = strlen(coded), n;
    if (len > 512)
        return NULL;
    unsigned char *plain = arena_alloc(a, len + 1);
    if (sodium_base642bin(plain, len, coded, len, NULL, &n, NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
        return NULL;
    plain[n] = 0;
    char *colon = strchr((char *)plain, ':');
    return colon && strlen((char *)plain) == n ? colon + 1 : NULL;
}

char *auth_key_of(const char *authorization, arena *a)
{
    if (!authorization)
        return NULL;
    size_t word = strcspn(authorization, " ");
    const char *rest = authorization + word + strspn(authorization + word, " ");
    char *key = NULL;
    if ((word == 6 && strncasecmp(authorization, "Bearer", 6) == 0) ||
        (word == 5 && strncasecmp(authorization, "Token", 5) == 0))
        key = arena_string(a, rest);
    else if (word == 5 && strncasecmp(authorization, "Basic", 5) == 0)
        key = basic_password(rest, a);
    return key && is_ours(key) ? key : NULL;
}

/* ---- scopes ---- */

static bool reference_matches(const char *scope, const char *reference)
{
    if (!*scope || strcmp(scope, "*") == 0)
        return true;
    size_t len = strlen(scope);
    if (len >= 2 && strcmp(scope + len - 2, ":*") == 0)
        return strncmp(scope, reference, len - 1) == 0;
    return strcmp(scope, reference) == 0;
}

bool auth_permits(const principal *who, verb v, const char *reference, int64_t wid)
{
    for (unsigned i = 0; i < who->n_scopes; i++) {
        const scope *s = &who->scopes[i];
        if ((s->wid == 0 || s->wid == wid) && (s->verbs & (unsigned)v) &&
            reference_matches(s->reference, reference))
            return true;
    }
    return false;
}

bool auth_sees(const principal *who, int64_t wid)
{
    for (unsigned i = 0; i < who->n_scopes; i++)
        if ((who->scopes[i].wid == 0 || who->scopes[i].wid == wid) && who->scopes[i].verbs)
            return true;
    return false;
}

/* ---- cache ---- */

auth_cache *auth_cache_create(unsigned ttl_ms)
{
    auth_cache *c = memory_zero(1, sizeof *c);
    random_bytes(c->secret, sizeof c->secret);
    c->ttl_us = (ttl_ms ? ttl_ms : 10000) * INT64_C(1000);
    return c;
}

void auth_cache_clear(auth_cache *c)
{
    for (unsigned i = 0; i < SLOTS; i++)
        for (unsigned w = 0; w < WAYS; w++) {
            free(c->entries[i][w]);
            c->entries[i][w] = NULL;
        }
}

void auth_cache_free(auth_cache *c)
{
    if (!c)
        return;
    auth_cache_clear(c);
    sodium_memzero(c->secret, sizeof c->secret);
    free(c);
}

static entry **slot_of(auth_cache *c, const char *key, uint8_t hash[32])
{
    crypto_generichash(hash, 32, (const unsigned char *)key, strlen(key), c->secret, sizeof c->secret);
    return c->entries[(hash[0] | hash[1] << 8) % SLOTS];
}

bool auth_cache_find(auth_cache *c, const char *key, principal *principal_out)
{
    uint8_t hash[32];
    entry **slot = slot_of(c, key, hash);
    int64_t now = clock_monotonic_us();
    for (unsigned w = 0; w < WAYS; w++) {
        entry *e = slot[w];
        if (e && sodium_memcmp(e->hash, hash, 32) == 0 && e->until_us > now) {
            *principal_out = e->who;
            return true;
        }
    }
    return false;
}

void auth_cache_put(auth_cache *c, const char *key, const principal *who)
{
    uint8_t hash[32];
    entry **slot = slot_of(c, key, hash);
    unsigned oldest = 0;
    for (unsigned w = 0; w < WAYS; w++) {
        if (!slot[w] || memcmp(slot[w]->hash, hash, 32) == 0) {
            oldest = w;
            break;
        }
        if (slot[w]->until_us < slot[oldest]->until_us)
            oldest = w;
    }
    if (!slot[oldest])
        slot[oldest] = memory_alloc(sizeof(entry));
    *slot[oldest] = (entry){.until_us = clock_monotonic_us() + c->ttl_us, .who = *who};
    memcpy(slot[oldest]->hash, hash, 32);
}
