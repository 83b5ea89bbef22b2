/* The graph that schema_compile makes and schema_validate walks; private to this folder.
 *
 * Every subschema is a node with the keywords it applies, in an order in which annotations are there when
 * they are needed (unevaluated* last). A resource is a schema with an identity of its own (a document's root
 * or `$id`); nodes know theirs, which is all that `$dynamicRef` needs at run time. Everything lives in the
 * schema's arena. */
#ifndef PENSTOCK_SCHEMA_NODE_H
#define PENSTOCK_SCHEMA_NODE_H
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/text.h"
#include "schema/compile.h"
#include "schema/format.h"
#include "schema/number.h"
#include "schema/pattern.h"
#include "schema/value.h"

typedef struct schema_node schema_node;

typedef enum keyword_kind {
    KEYWORD_NOTHING = 0, /* annotations and places that only hold subschemas */
    KEYWORD_REF,
    KEYWORD_DYNAMIC_REF,
    KEYWORD_TYPE,
    KEYWORD_ENUM,
    KEYWORD_CONST,
    KEYWORD_MINIMUM,
    KEYWORD_MAXIMUM,
    KEYWORD_EXCLUSIVE_MINIMUM,
    KEYWORD_EXCLUSIVE_MAXIMUM,
    KEYWORD_MULTIPLE_OF,
    KEYWORD_MIN_LENGTH,
    KEYWORD_MAX_LENGTH,
    KEYWORD_PATTERN,
    KEYWORD_FORMAT,
    KEYWORD_MIN_ITEMS,
    KEYWORD_MAX_ITEMS,
    KEYWORD_UNIQUE_ITEMS,
    KEYWORD_MIN_PROPERTIES,
    KEYWORD_MAX_PROPERTIES,
    KEYWORD_REQUIRED,
    KEYWORD_DEPENDENT_REQUIRED,
    KEYWORD_DEPENDENT_SCHEMAS,
    KEYWORD_DEPENDENCIES,
    KEYWORD_PROPERTY_NAMES,
    KEYWORD_PROPERTIES,
    KEYWORD_PATTERN_PROPERTIES,
    KEYWORD_ADDITIONAL_PROPERTIES,
    KEYWORD_PREFIX_ITEMS, /* also the array form of draft 7's `items` */
    KEYWORD_ITEMS,        /* the rest; also `additionalItems` of draft 7 */
    KEYWORD_CONTAINS,
    KEYWORD_ALL_OF,
    KEYWORD_ANY_OF,
    KEYWORD_ONE_OF,
    KEYWORD_NOT,
    KEYWORD_IF,
    KEYWORD_UNEVALUATED_ITEMS,
    KEYWORD_UNEVALUATED_PROPERTIES,
    KEYWORD_COUNT,
} keyword_kind;

enum {
    TYPE_NULL = 1U << 0,
    TYPE_BOOLEAN = 1U << 1,
    TYPE_INTEGER = 1U << 2,
    TYPE_NUMBER = 1U << 3,
    TYPE_STRING = 1U << 4,
    TYPE_ARRAY = 1U << 5,
    TYPE_OBJECT = 1U << 6,
};

typedef struct node_member {
    const char *name;
    const schema_node *node; /* or NULL (dependencies: then names) */
    const json_t *names;     /* array of strings */
    const pattern *pattern;  /* patternProperties */
} node_member;

typedef struct node_keyword {
    keyword_kind kind;
    const char *name;
    const json_t *value;
    union {
        const schema_node *node;
        struct {
            const schema_node **items;
            uint32_t n;
        } list;
        struct {
            node_member *items; /* properties: ascending by name */
            uint32_t n;
        } members;
        struct {
            const schema_node *node;
            uint64_t min, max;
            bool marks; /* 2020-12: contained items count as evaluated */
        } contains;
        struct {
            const schema_node *condition, *then, *otherwise;
        } branch;
        struct {
            const struct node_keyword *properties, *patterns; /* of the same node, or NULL */
            const schema_node *node;
        } additional;
        struct {
            const schema_node *node;
            uint64_t from;
        } items;
        struct {
            const char *anchor; /* NULL: behaves as $ref */
            const schema_node *node;
        } dynamic;
        uint64_t count;
        uint32_t types;
        decimal divisor;
        const value_set *set;
        const pattern *pattern;
        format_kind format;
    } as;
} node_keyword;

typedef struct dynamic_anchor {
    const char *name;
    const json_t *target;
    const schema_node *node;
    struct dynamic_anchor *next;
} dynamic_anchor;

enum {
    VOCABULARY_CORE = 1U << 0,
    VOCABULARY_APPLICATOR = 1U << 1,
    VOCABULARY_UNEVALUATED = 1U << 2,
    VOCABULARY_VALIDATION = 1U << 3,
    VOCABULARY_META = 1U << 4,
    VOCABULARY_FORMAT_ANNOTATION = 1U << 5,
    VOCABULARY_FORMAT_ASSERTION = 1U << 6,
    VOCABULARY_CONTENT = 1U << 7,
    VOCABULARY_ALL = 0xbf, /* all but format assertion, which must be asked for */
};

typedef struct resource {
    const char *uri; /* absolute where there is one, no fragment; "" without */
    const json_t *root;
    size_t index; /* among the compiler's */
    schema_draft draft;
    uint32_t vocabularies;
    dynamic_anchor *dynamic;
} resource;

struct schema_node {
    const json_t *source;
    const resource *resource;
    const schema_node *parent; /* enclosing subschema, NULL for a document's root */
    const char *document;      /* URI under which the document was found; "" for the one compiled */
    const char *keyword;       /* place in the parent: keyword, then member or index */
    const char *member;        /* NULL = none */
    int64_t index;             /* -1 = none */
    node_keyword *keywords;
    uint32_t n_keywords;
    bool is_boolean, verdict; /* `true` and `false` as schemas */
    bool unevaluated;         /* has an unevaluated… keyword: its keywords must leave marks */
    uint8_t colour;           /* while looking for endless references */
};

struct schema {
    arena *arena;
    json_t *document;
    json_t *owned; /* array that keeps the other documents alive */
    const schema_node *root;
    schema_draft draft;
    schema_limits limits;
    pattern **patterns;
    size_t n_patterns, patterns_room;
    schema_node **nodes;
    size_t n_nodes, nodes_room;
};

/* JSON Pointer of the node within its document, in the arena. */
char *node_pointer(const schema_node *n, arena *a);
/* The entry of a `properties` keyword, or NULL. */
const node_member *node_member_find(const node_keyword *properties, const char *name);
/* Verdict of one node on a value; used by deep columns of a row plan. See schema_validate. */
struct schema_errors;
status_class node_validate(const schema *s, const schema_node *n, const json_t *value,
                           struct schema_errors *errors, status *st);
#endif
