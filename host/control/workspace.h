/* Templates and workspaces: stored versions, plan and apply, creation with everything that belongs to it on
 * the data plane (login, tables, marks, ledger), the local layer, pause, deletion. All functions block: lanes
 * only.
 *
 * A change is: plan (compare, store with an id for an hour) → apply (only while the workspace's generation is
 * the one it was planned for). Tables are changed first, additively and repeatably, then the control plane in
 * one transaction that checks the generation again; a crash between them leaves tables that the next apply
 * finds as it wants them. */
#ifndef PENSTOCK_CONTROL_WORKSPACE_H
#define PENSTOCK_CONTROL_WORKSPACE_H
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "control/control.h"
#include "control/definition.h"
#include "control/evolution.h"
#include "store/roles.h"

#define PLAN_LIFE_US (3600LL * 1000000)

/* ---- templates ---- */

/* Stores a checked version; the same body again is fine, another one under a version that exists is
 * STATUS_CONFLICT. `report` (may be NULL) receives what is wrong: STATUS_INVALID. */
status_class template_put(control *c, json_t *body, const char *actor, template_report **report, status *st);
/* The body of a version, NULL = the newest; a new reference. *ret_version in the arena. */
status_class template_get(control *c, const char *key, const char *version, arena *a,
                          const char **ret_version, json_t **ret_body, status *st);
/* [{key, title, version, versions, created}]; with `key` its versions: [{version, hash, created}]. New
 * references. */
status_class template_list(control *c, const char *key, json_t **ret, status *st);

/* ---- workspaces ---- */

typedef struct workspace {
    int32_t wid;
    const char *id, *key, *title, *template, *version, *state;
    int64_t generation, created_us;
    bool paused;
    const char *role;
    char *password;               /* of the role; only from workspace_load, wiped by workspace_free */
    const definition *definition; /* only from workspace_load */
} workspace;

typedef struct workspace_request {
    const char *key, *title;        /* title NULL = the key */
    const char *template, *version; /* version NULL = the newest */
    json_t *parameters, *local;     /* NULL = none */
} workspace_request;

/* Makes it, all of it or nothing. The result is as from workspace_load. */
status_class workspace_create(control *c, const workspace_request *request, const char *actor,
                              workspace **ret, status *st);
/* By wid, or by key or ws_ id (then wid 0). */
status_class workspace_load(control *c, int32_t wid, const char *name, workspace **ret, status *st);
void workspace_free(workspace *w); /* NULL is fine */
/* Every live workspace, ready to run: calls visit for each; one that cannot be read is reported by its status
 * and skipped. */
status_class workspace_load_all(control *c, void (*visit)(void *arg, workspace *w, const status *problem),
                                void *arg, status *st);
/* [{wid, id, key, title, template, version, state, paused, generation, created}]; a new reference. */
status_class workspace_list(control *c, json_t **ret, status *st);
status_class workspace_pause(control *c, int32_t wid, bool paused, const char *actor, status *st);
/* Tables, login and rows of the control plane go. The wid is never used again. */
status_class workspace_delete(control *c, int32_t wid, const char *actor, status *st);

/* ---- plan and apply ---- */

typedef struct plan_request {
    const char *version; /* of the template the workspace has; NULL = stays */
    json_t *parameters;  /* replaces the given values; NULL = stay */
    json_t *local;       /* replaces the local layer (JSON null takes it away); NULL = stays */
} plan_request;

typedef struct stored_plan {
    const char *id; /* plan_<ulid> */
    int32_t wid;
    int64_t generation, expires_us;
    bool applied;
    json_t *changes; /* evolution_json */
} stored_plan;

/* Plans and stores; the result lives in the arena but for changes, a new reference. With a refused change the
 * plan is stored as well, but cannot be applied. */
status_class workspace_plan(control *c, int32_t wid, const plan_request *request, arena *a, stored_plan *ret,
                            template_report **report, status *st);
status_class plan_load(control *c, const char *id, arena *a, stored_plan *ret, status *st);
/* STATUS_CONFLICT: the generation moved, the plan is older than an hour or was applied; STATUS_INVALID: it
 * holds refused changes, or destructive ones and `destroy` is false. */
status_class plan_apply(control *c, const char *id, bool destroy, const char *actor, workspace **ret,
                        status *st);
#endif
