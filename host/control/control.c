/* Which stack this is. */
#include "control/control.h"

#include <stdio.h>

static const statement read_stack = {"read the stack's id", "SELECT id::text FROM control.stack"};

status_class control_identify(control *c, status *st)
{
    connection *db = NULL;
    rows *r = NULL;
    status_class class = pool_borrow(c->control, NULL, CONTROL_WAIT_MS, &db, st);
    if (class != STATUS_OK)
        return class;
    class = connection_run(db, &read_stack, NULL, 0, &r, st);
    if (class == STATUS_OK) {
        snprintf(c->stack_id, sizeof c->stack_id, "%s", rows_text(r, 0, 0));
        snprintf(c->stack8, sizeof c->stack8, "%.8s", c->stack_id);
    }
    rows_free(r);
    pool_return(c->control, db);
    return class;
}
