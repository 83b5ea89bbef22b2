/* Compiled JSON Schema, drafts 2020-12 and 7: a document becomes a graph of nodes that schema_validate walks.
 *
 * The draft is chosen by `$schema`, else by the options. References are resolved while compiling, against the
 * document itself, the caller's registry and the metaschemas of both drafts, which are built in; nothing is
 * ever fetched. A schema that is not well-formed, that refers to something unknown or to itself without end,
 * or that is beyond a limit is refused with a JSON Pointer in status.where.
 *
 * A compiled schema is immutable and may be used by any number of threads. It keeps a reference to the
 * document, which must not be changed afterwards. */
#ifndef PENSTOCK_SCHEMA_COMPILE_H
#define PENSTOCK_SCHEMA_COMPILE_H
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct schema schema;
typedef struct schema_registry schema_registry;

typedef enum schema_draft { SCHEMA_DRAFT_2020_12 = 0, SCHEMA_DRAFT_7 } schema_draft;

#define SCHEMA_NODES_MAX 50000U   /* subschemas of one compiled schema */
#define SCHEMA_NESTING_MAX 256U   /* subschemas inside each other */
#define SCHEMA_STEPS_MAX 4000000U /* keyword applications of one validation */
#define SCHEMA_DEPTH_MAX 1000U    /* subschemas being applied at the same time */

typedef struct schema_limits { /* 0 = the default above; for patterns see schema/pattern.h */
    uint32_t nodes, nesting, depth;
    uint64_t steps;
} schema_limits;

typedef struct schema_options {
    schema_draft draft;     /* of documents without `$schema` */
    bool format_annotation; /* true: `format` never fails, as the drafts have it by default */
    /* further documents that `$ref` may reach; NULL = none; only used while compiling */
    const schema_registry *registry;
    schema_limits limits;
} schema_options;

/* Documents by URI. Not thread-safe while it is filled. */
schema_registry *schema_registry_create(void);
void schema_registry_free(schema_registry *r); /* NULL is fine */
/* Takes a reference to the document; a second one under the same URI replaces it. */
void schema_registry_add(schema_registry *r, const char *uri, json_t *document);
/* Documents of the registry, or NULL. */
json_t *schema_registry_find(const schema_registry *r, const char *uri);

/* `options` may be NULL: 2020-12, formats asserted, default limits. NULL and `st` on failure. */
schema *schema_compile(json_t *document, const schema_options *options, status *st);
void schema_free(schema *s); /* NULL is fine */

json_t *schema_document(const schema *s); /* borrowed */
#endif
