/* Workspaces as the API shows them: the object, and the status document that says how its stores, connectors,
 * models and alerts are (docs/cli.md). */
#ifndef PENSTOCK_SERVE_WORKSPACE_FORM_H
#define PENSTOCK_SERVE_WORKSPACE_FORM_H
#include <jansson.h>

#include "control/workspace.h"
#include "serve/http.h"
#include "serve/services.h"

/* "active", "paused", "creating", "deleting". */
const char *workspace_form_state(const char *state, bool paused);
/* {key, id, title, template, version, state, generation, created}; with the definition also parameters. */
json_t *workspace_form(const workspace *w);

/* What the flow says of a workspace with what the two databases know beside it: `stores` get rows, bytes and
 * waiting, `alerts` every label set that is not ok. A part that cannot be asked is left out of it. A new
 * reference; NULL when it does not run here. [lane] */
json_t *workspace_form_status(services *s, int32_t wid);
/* The `stores` of that document alone. A new reference; NULL when it does not run here. [lane] */
json_t *workspace_form_stores(services *s, int32_t wid);
/* `state` of a connector as people see it: backfilling until it has caught up with the present, then live. */
const char *connector_form_state(const char *source_state, double newest_age_s, double last_rows_age_s);
#endif
