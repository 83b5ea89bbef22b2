/* A publication: a template version that is about to be stored, and the workspaces that are to be brought to
 * it. Planned first (checked, compared with what runs, kept for an hour under an id), applied later as
 * exactly that. All functions block: lanes only. */
#ifndef PENSTOCK_CONTROL_PUBLICATION_H
#define PENSTOCK_CONTROL_PUBLICATION_H
#include "control/workspace.h"

#define PUBLICATION_ID_PREFIX "publication_"

typedef struct publication {
    const char *id;
    int64_t expires_us;
    bool applied;
    json_t *changes; /* [{op, object, detail, destructive}] */
} publication;

typedef struct publication_request {
    json_t *body;          /* the template */
    const char *workspace; /* key or ws_ id of one to bring along; NULL = none */
    bool all;              /* every workspace of the template */
} publication_request;

/* `report` (may be NULL) receives what is wrong with the template: STATUS_INVALID. The result lives in the
 * arena but for changes, a new reference. */
status_class publication_plan(control *c, const publication_request *request, arena *a, publication *ret,
                              template_report **report, status *st);
status_class publication_load(control *c, const char *id, arena *a, publication *ret, status *st);
/* STATUS_CONFLICT: applied already, older than an hour, or a workspace has changed since. *ret_wids (arena)
 * are the workspaces that were changed, also when a later one failed. */
status_class publication_apply(control *c, const char *id, bool destroy, const char *actor, arena *a,
                               int32_t **ret_wids, uint32_t *ret_n, status *st);
#endif
