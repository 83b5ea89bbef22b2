/* The route table: the one place that says which paths there are, who may use them, what goes in and out, and
 * which function answers. The router, the permission check, openapi.json and the docs page are all made from
 * it.
 *
 * A resource is one file, routes_<resource>.c, with a static table and a function that adds it:
 *
 *   static const route table[] = {
 *       {HTTP_POST, "/api/v1/workspaces/{ws}/datastores/{k}/rows", .name = "datastore_rows_append",
 *        .tag = "rows", .summary = "Append rows", .verb = VERB_WRITE, .reference = "datastore:{k}",
 *        .where = ROUTE_ON_LOOP, .body_limit = 16 << 20, .request_types =
 * "application/json,application/x-ndjson,text/csv", .request_schema = rows_request_schema, .response_schema =
 * rows_response_schema, .success = 202, .handler = rows_append},
 *   };
 *   void routes_rows(route_table *t) { route_table_add(t, table, sizeof table / sizeof *table); }
 *
 * Templates: whole segments "{name}" take one segment, a last segment "{name*}" takes the rest; literal
 * segments win over parameters. "{name}:verb" takes a segment that ends in ":verb" (custom actions). */
#ifndef PENSTOCK_SERVE_ROUTE_H
#define PENSTOCK_SERVE_ROUTE_H
#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "serve/http.h"

typedef enum verb {
    VERB_NONE = 0, /* anybody, no key asked */
    VERB_READ = 1 << 0,
    VERB_WRITE = 1 << 1,
    VERB_DELETE = 1 << 2,
    VERB_RUN = 1 << 3,
    VERB_SEND = 1 << 4,
    VERB_START = 1 << 5,
    VERB_ACK = 1 << 6,
    VERB_APPROVE = 1 << 7,
    VERB_ADMIN = 1 << 8,
    VERB_ALL = (1 << 9) - 1,
} verb;
const char *verb_name(verb v);
bool verb_parse(const char *word, verb *verb_out);

enum {                                /* route.flags */
       ROUTE_ADMIN_LISTENER = 1 << 0, /* no key is asked on the admin listener */
       ROUTE_IDEMPOTENT = 1 << 1,     /* asks for an Idempotency-Key */
       ROUTE_IDEMPOTENT_OPTIONAL = 1 << 2,
       ROUTE_IF_MATCH = 1 << 3,      /* refuses without If-Match (428) */
       ROUTE_LIST = 1 << 4,          /* takes limit and cursor */
       ROUTE_HIDDEN = 1 << 5,        /* not in openapi.json (docs page, UI files) */
       ROUTE_ANY_WORKSPACE = 1 << 6, /* the {ws} need not exist (it is being made) */
       ROUTE_ANY_KEY = 1 << 7,       /* every valid key may ask; the handler shows what it may see */
       ROUTE_ROWS = 1 << 8,          /* its body_limit is a setting: router_config.rows_body */
};
typedef enum route_where {
    ROUTE_ON_LOOP,
    ROUTE_ON_LANE
} route_where; /* a lane may block, the loop must not */

typedef void (*route_handler)(http_request *r);

typedef struct route_parameter {
    const char *name, *schema, *summary; /* query parameters; schema is JSON Schema text */
} route_parameter;

typedef struct route {
    http_method method;
    const char *path;
    const char *name; /* operationId, unique */
    const char *tag, *summary, *description;
    verb verb;
    const char *reference; /* "class:{k}", "class:*" or "platform:*"; {k} names a parameter */
    unsigned flags;
    route_where where;
    size_t body_limit;           /* 0 = the server's default; ignored without a request schema */
    const char *request_types;   /* comma-separated; NULL = application/json */
    const char *request_schema;  /* JSON Schema text; NULL = takes no body */
    const char *response_types;  /* NULL = application/json */
    const char *response_schema; /* NULL = no body */
    int success;                 /* 200, 201, 202, 204 */
    const route_parameter *parameters;
    unsigned n_parameters;
    const void *data; /* for one handler that serves several rows of the table */
    route_handler handler;
    bool (*quick)(http_request *r); /* ROUTE_ON_LANE: true = it runs on the loop this time, where a wake-up
                                       and a change of threads would cost more than itself. NULL = never */
} route;

typedef struct route_table route_table;
route_table *route_table_create(void);
void route_table_free(route_table *t);
/* The rows must outlive the table. A path or name that is there already, or a bad template, ends the process:
 * our bug. */
void route_table_add(route_table *t, const route *routes, size_t n);
size_t route_table_size(const route_table *t);
const route *route_table_at(const route_table *t, size_t i);

typedef struct route_match {
    const route *route; /* NULL = no such path, or not this method */
    unsigned row;
    unsigned allowed; /* bit (1 << method) for each method that the path has; 0 = no such path */
    http_pair params[HTTP_PARAMS_MAX]; /* values in the arena */
    unsigned n_params;
} route_match;
/* HEAD is answered by GET's route. `path` is unescaped segment by segment, so "%2F" inside a segment stays
 * part of it: it is the raw path that is given. */
void route_table_match(const route_table *t, http_method method, const char *raw_path, arena *a,
                       route_match *match_out);

/* Resources that need nothing from below. */
void routes_home(route_table *t);    /* GET / */
void routes_health(route_table *t);  /* /healthz /readyz */
void routes_metrics(route_table *t); /* /metrics (admin) */
void routes_openapi(route_table *t); /* /openapi.json /docs */
#endif
