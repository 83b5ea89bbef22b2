/* The data-plane side of a workspace: from one definition to the next, table by table. Every step may be
 * repeated, so an apply that was cut off is simply done again. Internal to the module. */
#ifndef PENSTOCK_CONTROL_WORKSPACE_TABLES_H
#define PENSTOCK_CONTROL_WORKSPACE_TABLES_H
#include "control/control.h"
#include "control/definition.h"

typedef struct tables_change {
    const definition *from; /* NULL = none yet; with the columns of its featurestores */
    const definition *to;
    const char *role, *password;
    bool rewrite; /* columns may be converted */
} tables_change;

/* Makes and alters the tables of `to`; *ret_columns is what definition_with_columns wants (a new reference).
 */
status_class tables_apply(control *c, const tables_change *change, json_t **ret_columns, status *st);
/* Drops what `from` has and `to` has not. */
status_class tables_drop_removed(control *c, const tables_change *change, status *st);
#endif
