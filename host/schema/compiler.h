/* State of one run of schema_compile; private to this folder. compile.c finds subschemas, identities and
 * references; keyword_rule.c turns keywords into what the validator applies. */
#ifndef PENSTOCK_SCHEMA_COMPILER_H
#define PENSTOCK_SCHEMA_COMPILER_H
#include "schema/node.h"

/* Where subschemas stand in a keyword's value. */
typedef enum keyword_shape {
    SHAPE_NONE,
    SHAPE_SCHEMA,
    SHAPE_LIST,           /* array of schemas */
    SHAPE_MAP,            /* object of schemas */
    SHAPE_SCHEMA_OR_LIST, /* `items` of draft 7 */
    SHAPE_DEPENDENCIES,   /* object of schemas or arrays of names */
} keyword_shape;

typedef struct compiler compiler;

typedef struct keyword_rule {
    const char *name;
    uint8_t drafts; /* 1 << schema_draft */
    uint8_t vocabulary;
    keyword_shape shape;
    keyword_kind kind;
    status_class (*compile)(compiler *c, schema_node *n,
                            node_keyword *k); /* k has kind, name and value; NULL: nothing to do */
} keyword_rule;

typedef struct node_slot {
    const json_t *key;
    schema_node *node;
} node_slot;

struct compiler {
    schema *schema;
    arena *arena;
    const schema_options *options;
    status *st;
    resource **resources;
    size_t n_resources, resources_room;
    json_t *uris;    /* URI → index of resource */
    json_t *anchors; /* "URI#name" → index of node */
    node_slot *slots;
    size_t n_slots, slots_room;
};

/* The rule of a keyword in that draft, or NULL. */
const keyword_rule *keyword_rule_find(const char *name, schema_draft draft);
/* Fills n->keywords. */
status_class keyword_compile_all(compiler *c, schema_node *n);

/* The node of a subschema of `n` that stands at keyword[/member or /index]. Never NULL. */
schema_node *compiler_child(compiler *c, schema_node *n, const json_t *sub, const char *keyword,
                            const char *member, int64_t index);
/* The node that a reference means, or NULL and c->st. */
schema_node *compiler_resolve(compiler *c, schema_node *n, const char *keyword, const char *reference);
/* A document of the registry or a metaschema, kept alive by the schema; NULL if there is none. */
json_t *compiler_document(compiler *c, const char *uri);
resource *compiler_resource_make(compiler *c, const char *uri, const json_t *root, const resource *outer);
/* Notes `$id`, `$schema` and anchors of the node that was made last; sets its resource. */
status_class compiler_identify(compiler *c, schema_node *n);
pattern *compiler_pattern(compiler *c, schema_node *n, const char *keyword, const json_t *text);
__attribute__((format(printf, 5, 6))) status_class compiler_fail(compiler *c, const schema_node *n,
                                                                 const char *keyword, status_class class,
                                                                 const char *fmt, ...);
/* STATUS_INVALID if a schema applies itself to the same value without end. */
status_class compiler_check_loops(compiler *c);
#endif
