/* Where the service penstock.state keeps what plugins put: a durable store that the app gives to the set of
 * instances, or, where there is none (the command line, tests), memory that lives as long as the set. */
#ifndef PENSTOCK_PLUGIN_STATE_KEEPER_H
#define PENSTOCK_PLUGIN_STATE_KEEPER_H
#include <stdint.h>

#include "base/status.h"
#include "base/text.h"

#define STATE_ANY UINT64_MAX

/* Every function takes the workspace and the instance first; they may block on the database, for short. */
typedef struct state_keeper {
    /* *version_out 0: there is none. The text is wiped by the caller. */
    status_class (*get)(void *self, const char *workspace, const char *instance, const char *key,
                        text *value_out, uint64_t *version_out, status *st);
    /* CONFLICT: another version is there than `expected` (0 = none, STATE_ANY). LIMIT: too many keys. */
    status_class (*put)(void *self, const char *workspace, const char *instance, const char *key,
                        const void *value, size_t len, uint64_t expected, int64_t expires_us,
                        uint64_t *version_out, status *st);
    status_class (*remove)(void *self, const char *workspace, const char *instance, const char *key,
                           uint64_t expected, status *st);
    /* The first `most` keys by bytes that begin with `prefix` and come after `after` (NULL = none). */
    status_class (*list)(void *self, const char *workspace, const char *instance, const char *prefix,
                         const char *after, uint32_t most,
                         void (*on_key)(void *arg, const char *key, uint64_t version), void *arg, status *st);
    void *self;
} state_keeper;

/* The one in memory. */
state_keeper state_memory_create(void);
void state_memory_free(state_keeper *keeper); /* zeroed is fine */
#endif
