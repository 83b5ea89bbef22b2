/* Where the server is and who we are there: named contexts in one small YAML file, mode 0600.
 *
 *   current: default
 *   contexts:
 *     default: {url: "http://127.0.0.1:8080", key: psk_…, workspace: demo}
 *
 * The file is $PENSTOCK_CONFIG, or ~/.config/penstock/config.yaml. PENSTOCK_URL, PENSTOCK_KEY and
 * PENSTOCK_WORKSPACE win over it, flags over both. */
#ifndef PENSTOCK_CLI_CONTEXT_H
#define PENSTOCK_CLI_CONTEXT_H
#include <jansson.h>

#include "base/status.h"
#include "command.h"

typedef struct context {
    json_t *file;                             /* {current, contexts: {name: {url, key, workspace}}} */
    char path[4096];                          /* of the file */
    const char *name, *url, *key, *workspace; /* in force; borrowed; "" if not known */
} context;

/* A file that is not there counts as empty. STATUS_INVALID for a wrong one, STATUS_DENIED if others may read
 * it. */
status_class context_read(const char *path, context *c, status *st);
status_class context_write(const context *c, status *st);
/* Adds or changes one; NULL leaves a value as it is. With `use` it becomes the current one. */
void context_put(context *c, const char *name, const char *url, const char *key, const char *workspace,
                 bool use);
void context_release(context *c);
/* The path that is in force when none is given. */
void context_path(char *out, size_t size);

/* The invocation's context, read on the first call: file, then environment, then flags. NULL and `st` on
 * failure. */
context *context_of(invocation *inv, status *st);
/* The workspace to work on; NULL and a usage error if none is named. */
const char *workspace_of(invocation *inv, status *st);
#endif
