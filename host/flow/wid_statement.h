/* Statements on a workspace's own tables: `#` in the text stands for the workspace's number, which is part of
 * their names. */
#ifndef PENSTOCK_FLOW_WID_STATEMENT_H
#define PENSTOCK_FLOW_WID_STATEMENT_H
#include "store/connection.h"

status_class wid_statement_run(connection *c, const statement *s, int32_t wid, const value *params,
                               unsigned n, rows **out, status *st);
#endif
