/* Versions of a workspace's models: draft, shadow, champion (at most one), retired; promotions are an
 * append-only history. The artifact's bytes lie in a file named by its hash; this is the record of it. */
#ifndef PENSTOCK_CONTROL_MODEL_VERSION_H
#define PENSTOCK_CONTROL_MODEL_VERSION_H
#include <stdbool.h>

#include "base/arena.h"
#include "store/connection.h"

typedef struct model_version {
    const char *model;
    int64_t version;
    const char *state;    /* draft, shadow, champion, retired */
    const char *artifact; /* hash, and name of the file */
    int64_t bytes;
    const char *training; /* JSON: run, parameters, data range, rows, scores */
    int64_t created_us;
} model_version;

/* Adds the next version as a draft; *version_out is its number. `v->version`, `state` and `created_us` are
 * ignored. */
status_class model_version_add(connection *c, int32_t wid, const model_version *v, int64_t *version_out,
                               status *st);
/* Makes it the champion (the former one retires) and records who and why. Its own transaction.
 * STATUS_NOT_FOUND. */
status_class model_version_promote(connection *c, int32_t wid, const char *model, int64_t version,
                                   const char *actor, const char *reason, status *st);
/* *found_out false: no champion yet. */
status_class model_version_champion(connection *c, int32_t wid, const char *model, arena *a,
                                    model_version *out, bool *found_out, status *st);
/* Of one model, or of all (`model` NULL), newest first. */
status_class model_versions_list(connection *c, int32_t wid, const char *model, arena *a, model_version **out,
                                 uint32_t *n_out, status *st);
#endif
