/* Lists, single objects and deletions: what most nouns are, told as data. A command's `data` points at a
 * `resource`. */
#ifndef PENSTOCK_CLI_RESOURCE_H
#define PENSTOCK_CLI_RESOURCE_H
#include "client.h"
#include "command.h"
#include "output.h"

typedef struct resource_query { /* a flag that goes to the server as it is; .flag NULL ends a table */
    const char *flag, *name;
} resource_query;

typedef struct resource {
    const char *path;              /* as path_make takes it: "/workspaces/{ws}/alerts/{0}" */
    const char *columns;           /* of a list */
    const char *done;              /* said after a change: "deleted" */
    const resource_query *queries; /* of a list; NULL = none */
} resource;

/* GET, all pages; --limit N stops after N, --filter f=v goes to the server. */
int resource_list(invocation *inv);
int resource_show(invocation *inv);   /* GET one object */
int resource_delete(invocation *inv); /* GET for its ETag, DELETE; follows a job */
int resource_post(invocation *inv);   /* POST without a body (":pause") */

/* The objects of every page into a new array; NULL on failure. */
json_t *resource_items(invocation *inv, const char *path, long limit, status *st);
/* One request with the invocation's client; the path is a template of path_make. */
status_class resource_call(invocation *inv, request *r, const char *path, answer *ret, status *st);
extern const flag resource_list_flags[];
#endif
