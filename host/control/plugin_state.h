/* A few durable values of plugin instances, by workspace, instance and key, each with a version that grows.
 * Values are sealed under the master key, since tokens are among them. What has expired is not there. They go
 * with their instance (workspace_add_objects) and their workspace. */
#ifndef PENSTOCK_CONTROL_PLUGIN_STATE_H
#define PENSTOCK_CONTROL_PLUGIN_STATE_H
#include "base/status.h"
#include "base/text.h"
#include "control/secret.h"
#include "store/connection.h"

#define PLUGIN_STATE_KEYS_MAX 1000 /* of one instance */
#define PLUGIN_STATE_ANY UINT64_MAX

typedef struct plugin_state_owner {
    int32_t wid;
    const char *instance;
} plugin_state_owner;

/* *version_out 0: there is none. Wipe the text after use. */
status_class plugin_state_get(connection *c, const secret_key *k, const plugin_state_owner *owner,
                              const char *key, text *value_out, uint64_t *version_out, status *st);
/* `expected`: 0 = none is there, PLUGIN_STATE_ANY, or the version that is there; else CONFLICT. LIMIT: too
 * many keys. expires_us 0 = never. */
status_class plugin_state_put(connection *c, const secret_key *k, const plugin_state_owner *owner,
                              const char *key, const void *value, size_t len, uint64_t expected,
                              int64_t expires_us, uint64_t *version_out, status *st);
/* Not there is fine with PLUGIN_STATE_ANY and 0. */
status_class plugin_state_remove(connection *c, const plugin_state_owner *owner, const char *key,
                                 uint64_t expected, status *st);
/* The first `most` keys by bytes that begin with `prefix`, after the key `after` (NULL = from the first). */
status_class plugin_state_list(connection *c, const plugin_state_owner *owner, const char *prefix,
                               const char *after, uint32_t most,
                               void (*on_key)(void *arg, const char *key, uint64_t version), void *arg,
                               status *st);
/* All of an instance. */
status_class plugin_state_forget(connection *c, const plugin_state_owner *owner, status *st);
#endif
