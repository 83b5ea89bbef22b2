/* Keys are remembered by a BLAKE2b hash keyed with bytes drawn at start, in a small table with two places a
 * slot. */
#include "serve/auth.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/random.h"

#define GRACE_US (AUTH_GRACE_MS * INT64_C(1000))
enum { SLOTS = 1024, WAYS = 2, KEY_MAX = 200 };

typedef struct entry {
    uint8_t hash[32];
    int64_t until_us, verified_us;
    bool asking; /* the control plane is being asked again */
    principal who;
} entry;

struct auth_cache {
    pthread_mutex_t lock;
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
    pthread_mutex_init(&c->lock, NULL);
    random_bytes(c->secret, sizeof c->secret);
    c->ttl_us = (ttl_ms ? ttl_ms : 10000) * INT64_C(1000);
    return c;
}

static void clear_locked(auth_cache *c)
{
    for (unsigned i = 0; i < SLOTS; i++)
        for (unsigned w = 0; w < WAYS; w++) {
            free(c->entries[i][w]);
            c->entries[i][w] = NULL;
        }
}

void auth_cache_clear(auth_cache *c)
{
    pthread_mutex_lock(&c->lock);
    clear_locked(c);
    pthread_mutex_unlock(&c->lock);
}

void auth_cache_free(auth_cache *c)
{
    if (!c)
        return;
    clear_locked(c);
    pthread_mutex_destroy(&c->lock);
    sodium_memzero(c->secret, sizeof c->secret);
    free(c);
}

static entry **slot_of(auth_cache *c, const char *key, uint8_t hash[32])
{
    crypto_generichash(hash, 32, (const unsigned char *)key, strlen(key), c->secret, sizeof c->secret);
    return c->entries[(hash[0] | hash[1] << 8) % SLOTS];
}

/* Under the lock; NULL = not there. */
static entry **place_of(auth_cache *c, const char *key)
{
    uint8_t hash[32];
    entry **slot = slot_of(c, key, hash);
    for (unsigned w = 0; w < WAYS; w++)
        if (slot[w] && sodium_memcmp(slot[w]->hash, hash, 32) == 0)
            return &slot[w];
    return NULL;
}

/* While the question is under way the old answer holds: the control plane may be slow or stopped. */
static auth_known judge(entry *e, int64_t now, int64_t ttl_us)
{
    if (e->asking)
        return now - e->verified_us < GRACE_US ? AUTH_KNOWN : AUTH_UNKNOWN;
    if (e->until_us <= now)
        return AUTH_UNKNOWN;
    e->asking = e->until_us - now < ttl_us / 2;
    return e->asking ? AUTH_KNOWN_ASK : AUTH_KNOWN;
}

auth_known auth_cache_find(auth_cache *c, const char *key, principal *principal_out)
{
    pthread_mutex_lock(&c->lock);
    entry **place = place_of(c, key);
    auth_known known = place ? judge(*place, clock_monotonic_us(), c->ttl_us) : AUTH_UNKNOWN;
    if (known)
        *principal_out = (*place)->who;
    pthread_mutex_unlock(&c->lock);
    return known;
}

/* As long as the cache remembers, but no longer than what is known may be old. */
static int64_t until_of(const auth_cache *c, int64_t now, int64_t verified_us)
{
    int64_t until_us = now + c->ttl_us, end_us = verified_us + GRACE_US;
    return until_us < end_us ? until_us : end_us;
}

void auth_cache_put(auth_cache *c, const char *key, const principal *who)
{
    uint8_t hash[32];
    int64_t now = clock_monotonic_us();
    pthread_mutex_lock(&c->lock);
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
    int64_t verified_us = now - who->age_us;
    *slot[oldest] =
        (entry){.until_us = until_of(c, now, verified_us), .verified_us = verified_us, .who = *who};
    memcpy(slot[oldest]->hash, hash, 32);
    pthread_mutex_unlock(&c->lock);
}

void auth_cache_drop(auth_cache *c, const char *key)
{
    pthread_mutex_lock(&c->lock);
    entry **place = place_of(c, key);
    if (place) {
        free(*place);
        *place = NULL;
    }
    pthread_mutex_unlock(&c->lock);
}

bool auth_cache_hold(auth_cache *c, const char *key, principal *principal_out)
{
    int64_t now = clock_monotonic_us();
    pthread_mutex_lock(&c->lock);
    entry **place = place_of(c, key);
    bool holds = place && now - (*place)->verified_us < GRACE_US;
    if (place)
        (*place)->asking = false;
    if (holds) {
        (*place)->until_us = until_of(c, now, (*place)->verified_us);
        *principal_out = (*place)->who;
    }
    pthread_mutex_unlock(&c->lock);
    return holds;
}
