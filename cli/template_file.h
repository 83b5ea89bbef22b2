/* A template on this machine: one YAML file or a folder of them, and its way to the server.
 *
 * The server speaks of JSON Pointers; here they are turned back into file:line:column. */
#ifndef PENSTOCK_CLI_TEMPLATE_FILE_H
#define PENSTOCK_CLI_TEMPLATE_FILE_H
#include "base/status.h"
#include "client.h"
#include "command.h"
#include "config/yaml_tree.h"

/* The plan of applying the tree to `workspace` (NULL = publish, and upgrade every workspace with `all`).
 * `ret` is the plan document: {id, changes: [{op, object, detail, destructive}], …}. */
status_class template_file_plan(invocation *inv, const yaml_tree *tree, const char *workspace, bool all,
                                answer *ret, status *st);
/* Does exactly what the plan says; follows its job. */
status_class template_plan_apply(invocation *inv, const char *plan_id, status *st);
/* Reads, plans and applies without asking. */
status_class template_file_publish(invocation *inv, const char *path, status *st);
#endif
