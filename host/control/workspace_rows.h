/* Rows of workspaces and their objects: what creation and apply share. Internal to the module. */
#ifndef PENSTOCK_CONTROL_WORKSPACE_ROWS_H
#define PENSTOCK_CONTROL_WORKSPACE_ROWS_H
#include "control/workspace.h"

/* definition_to_json as text, to be freed. */
char *workspace_document_text(const definition *d);
/* One row for each object that is new, changed or gone between the two (`from` may be NULL). */
status_class workspace_add_objects(connection *db, const definition *from, const definition *to, status *st);
/* A local layer against its template; NULL and JSON null are fine. `report` may be NULL. */
status_class workspace_check_local(control *c, json_t *body, json_t *local, template_report **report,
                                   status *st);
/* The document of a live workspace (a new reference), and its row lock with `lock`. */
status_class workspace_document(connection *db, int32_t wid, bool lock, int64_t *ret_generation, json_t **ret,
                                status *st);
#endif
