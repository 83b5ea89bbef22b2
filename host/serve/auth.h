/* Who asks, and may they? A key comes as `Authorization: Bearer psk_…`, `Token psk_…`, or as a Basic
 * password. It is verified by a function of the control plane (which may block, so on a lane) and remembered
 * for auth_source.cache_ms under a keyed hash; the key itself is kept nowhere and written nowhere. A key in
 * use is asked for again, beside the request, when half of that time has passed, so no request waits for it.
 * While the control plane cannot answer, a key that it knew within the last AUTH_GRACE_MS stays good: ingest
 * goes on.
 *
 * A principal holds scope records; each allows verbs on references of one workspace or of all. The check
 * reads only the verb and reference of the route table. Missing rights inside a workspace that the principal
 * may not see at all look like a workspace that does not exist (404). */
#ifndef PENSTOCK_SERVE_AUTH_H
#define PENSTOCK_SERVE_AUTH_H
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "serve/route.h"

#define PRINCIPAL_SCOPES_MAX 16
#define AUTH_GRACE_MS (15 * 60 * 1000) /* how old what we know of a key may get while nobody can be asked */

typedef struct scope {
    int64_t wid;        /* 0 = every workspace and the platform */
    unsigned verbs;     /* of enum verb */
    char reference[96]; /* "" or "*" = all, "class:*", "class:key" */
} scope;

typedef struct principal {
    char kind[12];  /* user key host instance public */
    char id[40];    /* "key_…", for logs and audit */
    int64_t age_us; /* how long ago this was known to be so: keys out of a snapshot */
    unsigned n_scopes;
    scope scopes[PRINCIPAL_SCOPES_MAX];
} principal;

typedef struct auth_source {
    void *self;
    /* A lane; may block. STATUS_DENIED = no such key, expired or revoked; STATUS_UNAVAILABLE = cannot tell
     * now. */
    status_class (*key_verify)(void *self, const char *key, principal *principal_out, status *st);
    /* Loop thread, must not block: a workspace's key or ws_ id → wid. STATUS_NOT_FOUND. */
    status_class (*workspace_find)(void *self, const char *name, int64_t *wid_out, status *st);
    /* Loop thread: whether routes with these flags can be served now; `st` says why not. NULL = all. */
    bool (*admits)(void *self, unsigned route_flags, status *st);
    unsigned cache_ms; /* how long a revoked key may still work while the control plane answers; 0 = 10 s */
} auth_source;

/* The key in an Authorization header's value, in the arena; NULL = none or not one of ours. */
char *auth_key_of(const char *authorization, arena *a);
/* Whether a scope allows it. `wid` 0 = an object of the platform. */
bool auth_permits(const principal *who, verb v, const char *reference, int64_t wid);
/* Whether there is any scope that reaches into the workspace. */
bool auth_sees(const principal *who, int64_t wid);

/* Cache of verified keys; any thread. */
typedef struct auth_cache auth_cache;
typedef enum auth_known {
    AUTH_UNKNOWN,
    AUTH_KNOWN,
    AUTH_KNOWN_ASK, /* the caller verifies the key again and tells the cache what came out; only one is asked
                     */
} auth_known;
auth_cache *auth_cache_create(unsigned ttl_ms);
void auth_cache_free(auth_cache *c);
auth_known auth_cache_find(auth_cache *c, const char *key, principal *principal_out);
void auth_cache_put(auth_cache *c, const char *key, const principal *who);
/* It is no key any more. */
void auth_cache_drop(auth_cache *c, const char *key);
/* Nobody could tell. True: it was verified within AUTH_GRACE_MS, is remembered on, and *principal_out is who.
 */
bool auth_cache_hold(auth_cache *c, const char *key, principal *principal_out);
void auth_cache_clear(auth_cache *c);
#endif
