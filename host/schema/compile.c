/* Compiling goes in two steps. Finding: a walk over the places where the drafts put subschemas makes a node
 * for each, knows its base URI and notes identities and anchors. Then node after node gets its keywords; a
 * reference to a document (or to an odd place) that was not walked yet adds nodes to the end of the list. No
 * recursion besides the walk's, which is bounded by the nesting limit. */
#include "schema/compile.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/compiler.h"
#include "schema/uri.h"

#define POINTER_STEPS_MAX 512
#define CHAIN_MAX (SCHEMA_NESTING_MAX * 2 + POINTER_STEPS_MAX)

/* ---- places ---- */

static void pointer_add(text *out, const char *token)
{
    for (; *token; token++) {
        if (*token == '~')
            text_add(out, "~0");
        else if (*token == '/')
            text_add(out, "~1");
        else
            text_add_char(out, *token);
    }
}

char *node_pointer(const schema_node *n, arena *a)
{
    const schema_node *chain[CHAIN_MAX];
    size_t depth = 0;
    text t = {0};
    for (; n && n->keyword && depth < CHAIN_MAX; n = n->parent)
        chain[depth++] = n;
    while (depth-- > 0) {
        text_printf(&t, "/%s", chain[depth]->keyword);
        if (chain[depth]->member) {
            text_add_char(&t, '/');
            pointer_add(&t, chain[depth]->member);
        } else if (chain[depth]->index >= 0) {
            text_printf(&t, "/%lld", (long long)chain[depth]->index);
        }
    }
    char *pointer = arena_string(a, text_or_empty(&t));
    text_free(&t);
    return pointer;
}

status_class compiler_fail(compiler *c, const schema_node *n, const char *keyword, status_class class,
                           const char *fmt, ...)
{
    char message[400];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    const char *document = n ? n->document : "";
    const char *where =
        arena_printf(c->arena, "%s%s%s%s%s", document, *document ? "#" : "",
                     n ? node_pointer(n, c->arena) : "", keyword ? "/" : "", keyword ? keyword : "");
    return status_at(c->st, class, where, "schema: %s", message);
}

/* ---- nodes by the JSON they come from ---- */

static void slots_grow(compiler *c)
{
    size_t room = c->slots_room ? c->slots_room * 2 : 256;
    node_slot *slots = memory_zero(room, sizeof *slots);
    for (size_t i = 0; i < c->slots_room; i++) {
        if (!c->slots[i].key)
            continue;
        size_t at = (size_t)(((uintptr_t)c->slots[i].key >> 4) * 0x9e3779b97f4a7c15ULL >> 20) & (room - 1);
        while (slots[at].key)
            at = (at + 1) & (room - 1);
        slots[at] = c->slots[i];
    }
    free(c->slots);
    c->slots = slots;
    c->slots_room = room;
}

static node_slot *slot_of(compiler *c, const json_t *key)
{
    if (c->n_slots * 2 >= c->slots_room)
        slots_grow(c);
    size_t at = (size_t)(((uintptr_t)key >> 4) * 0x9e3779b97f4a7c15ULL >> 20) & (c->slots_room - 1);
    while (c->slots[at].key && c->slots[at].key != key)
        at = (at + 1) & (c->slots_room - 1);
    return &c->slots[at];
}

static schema_node *node_make(compiler *c, const json_t *source, schema_node *parent, const char *keyword,
                              const char *member, int64_t index)
{
    schema *s = c->schema;
    schema_node *n = arena_zero(c->arena, 1, sizeof *n);
    n->source = source;
    n->parent = parent;
    n->document = parent ? parent->document : "";
    n->resource = parent ? parent->resource : NULL;
    n->keyword = keyword;
    n->member = member;
    n->index = index;
    n->is_boolean = json_is_boolean(source);
    n->verdict = json_is_true(source);
    if (s->n_nodes == s->nodes_room) {
        s->nodes_room = s->nodes_room ? s->nodes_room * 2 : 64;
        s->nodes = memory_grow(s->nodes, s->nodes_room * sizeof(schema_node *));
    }
    s->nodes[s->n_nodes++] = n;
    return n;
}

/* ---- the walk ---- */

static status_class walk(compiler *c, schema_node *n, unsigned depth);

static status_class walk_one(compiler *c, schema_node *parent, const json_t *sub, const char *keyword,
                             const char *member, int64_t index, unsigned depth)
{
    if (json_is_boolean(sub))
        return STATUS_OK;
    if (!json_is_object(sub)) {
        schema_node at = {.parent = parent,
                          .document = parent->document,
                          .keyword = keyword,
                          .member = member,
                          .index = index};
        return compiler_fail(c, &at, NULL, STATUS_INVALID, "a schema must be an object or a boolean");
    }
    node_slot *slot = slot_of(c, sub);
    if (slot->key)
        return STATUS_OK;
    schema_node *n = node_make(c, sub, parent, keyword, member, index);
    *slot = (node_slot){.key = sub, .node = n};
    c->n_slots++;
    return walk(c, n, depth + 1);
}

static status_class walk_list(compiler *c, schema_node *n, const char *keyword, const json_t *value,
                              unsigned depth)
{
    if (!json_is_array(value))
        return compiler_fail(c, n, keyword, STATUS_INVALID, "must be an array of schemas");
    for (size_t i = 0; i < json_array_size(value); i++)
        if (walk_one(c, n, json_array_get(value, i), keyword, NULL, (int64_t)i, depth) != STATUS_OK)
            return c->st->class;
    return STATUS_OK;
}

static status_class walk_map(compiler *c, schema_node *n, const char *keyword, const json_t *value,
                             bool names, unsigned depth)
{
    const char *member;
    json_t *sub;
    if (!json_is_object(value))
        return compiler_fail(c, n, keyword, STATUS_INVALID, "must be an object of schemas");
    json_object_foreach((json_t *)value, member, sub)
    {
        if (names && json_is_array(sub))
            continue;
        if (walk_one(c, n, sub, keyword, member, -1, depth) != STATUS_OK)
            return c->st->class;
    }
    return STATUS_OK;
}

static status_class walk_keyword(compiler *c, schema_node *n, const keyword_rule *rule, const json_t *value,
                                 unsigned depth)
{
    switch (rule->shape) {
    case SHAPE_SCHEMA:
        return walk_one(c, n, value, rule->name, NULL, -1, depth);
    case SHAPE_LIST:
        return walk_list(c, n, rule->name, value, depth);
    case SHAPE_SCHEMA_OR_LIST:
        return json_is_array(value) ? walk_list(c, n, rule->name, value, depth)
                                    : walk_one(c, n, value, rule->name, NULL, -1, depth);
    case SHAPE_MAP:
        return walk_map(c, n, rule->name, value, false, depth);
    case SHAPE_DEPENDENCIES:
        return walk_map(c, n, rule->name, value, true, depth);
    case SHAPE_NONE:
        break;
    }
    return STATUS_OK;
}

static status_class walk(compiler *c, schema_node *n, unsigned depth)
{
    const char *name;
    json_t *value;
    if (depth > c->schema->limits.nesting)
        return compiler_fail(c, NULL, NULL, STATUS_LIMIT, "subschemas are nested more than %u deep",
                             c->schema->limits.nesting);
    if (c->schema->n_nodes > c->schema->limits.nodes)
        return compiler_fail(c, NULL, NULL, STATUS_LIMIT, "more than %u subschemas", c->schema->limits.nodes);
    if (compiler_identify(c, n) != STATUS_OK)
        return c->st->class;
    json_object_foreach((json_t *)n->source, name, value)
    {
        const keyword_rule *rule = keyword_rule_find(name, n->resource->draft);
        if (rule && walk_keyword(c, n, rule, value, depth) != STATUS_OK)
            return c->st->class;
    }
    return STATUS_OK;
}

/* Makes the nodes of a whole document that was found under `uri`. */
static schema_node *document_walk(compiler *c, const json_t *document, const char *uri)
{
    if (!json_is_object(document) && !json_is_boolean(document)) {
        compiler_fail(c, NULL, NULL, STATUS_INVALID, "%.100s%sa schema must be an object or a boolean", uri,
                      *uri ? ": " : "");
        return NULL;
    }
    schema_node *n = node_make(c, document, NULL, NULL, NULL, -1);
    n->document = uri;
    n->resource = compiler_resource_make(c, uri, document, NULL);
    if (n->is_boolean)
        return n;
    node_slot *slot = slot_of(c, document);
    if (!slot->key) {
        *slot = (node_slot){.key = document, .node = n};
        c->n_slots++;
    }
    if (walk(c, n, 1) != STATUS_OK)
        return NULL;
    json_object_set_new(c->uris, uri, json_integer((json_int_t)n->resource->index));
    return n;
}

/* ---- references ---- */

/* By absolute URI without fragment; loads it if it is not known yet. NULL: there is none, or c->st. */
static resource *compiler_resource(compiler *c, const char *uri)
{
    const json_t *known = json_object_get(c->uris, uri);
    if (known)
        return c->resources[json_integer_value(known)];
    const json_t *document = compiler_document(c, uri);
    if (!document) {
        status_set(c->st, STATUS_NOT_FOUND, "there is no schema %.200s", uri);
        return NULL;
    }
    if (!document_walk(c, document, uri))
        return NULL;
    known = json_object_get(c->uris, uri);
    assert(known);
    return c->resources[json_integer_value(known)];
}

schema_node *compiler_child(compiler *c, schema_node *n, const json_t *sub, const char *keyword,
                            const char *member, int64_t index)
{
    node_slot *slot = json_is_object(sub) ? slot_of(c, sub) : NULL;
    if (slot) {
        assert(slot->key); /* the walk was here */
        return slot->node;
    }
    return node_make(c, sub, n, keyword, member, index);
}

/* Unescapes one token of a JSON Pointer; p moves behind it. */
static char *pointer_token(arena *a, const char **p)
{
    size_t len = strcspn(*p, "/"), n = 0;
    char *token = arena_alloc(a, len + 1);
    for (size_t i = 0; i < len; i++) {
        if ((*p)[i] == '~' && i + 1 < len && ((*p)[i + 1] == '0' || (*p)[i + 1] == '1'))
            token[n++] = (*p)[++i] == '0' ? '~' : '/';
        else
            token[n++] = (*p)[i];
    }
    token[n] = '\0';
    *p += len;
    return token;
}

static const json_t *pointer_step(const json_t *at, const char *token)
{
    if (json_is_object(at))
        return json_object_get(at, token);
    size_t digits = strspn(token, "0123456789");
    if (!json_is_array(at) || digits == 0 || digits > 9 || token[digits])
        return NULL;
    return json_array_get(at, (size_t)strtoul(token, NULL, 10));
}

/* The schema at a JSON Pointer into a resource, which may be a place where the drafts expect none. */
static schema_node *pointer_resolve(compiler *c, const resource *r, const char *pointer)
{
    const json_t *at = r->root;
    schema_node *nearest = NULL;
    const char *p = pointer, *rest = pointer;
    for (unsigned steps = 0; at; steps++) {
        node_slot *slot = json_is_object(at) ? slot_of(c, at) : NULL;
        if (slot && slot->key) {
            nearest = slot->node;
            rest = p;
        }
        if (*p == '\0' || steps > POINTER_STEPS_MAX)
            break;
        p++;
        at = pointer_step(at, pointer_token(c->arena, &p));
    }
    if (!at || *p || !nearest)
        return NULL;
    if (at == nearest->source)
        return nearest;
    const char *place = arena_string(c->arena, rest + 1);
    if (json_is_boolean(at))
        return node_make(c, at, nearest, place, NULL, -1);
    if (walk_one(c, nearest, at, place, NULL, -1, 1) != STATUS_OK)
        return NULL;
    return slot_of(c, at)->node;
}

schema_node *compiler_resolve(compiler *c, schema_node *n, const char *keyword, const char *reference)
{
    char *uri = uri_resolve(c->arena, n->resource->uri, reference);
    const char *fragment = uri_split_fragment(c->arena, uri);
    c->st->class = STATUS_OK;
    const resource *r = fragment ? compiler_resource(c, uri) : NULL;
    schema_node *found = NULL;
    if (r && *fragment != '\0' && *fragment != '/') {
        const json_t *index = json_object_get(c->anchors, arena_printf(c->arena, "%s#%s", r->uri, fragment));
        found = index ? c->schema->nodes[json_integer_value(index)] : NULL;
    } else if (r && json_is_boolean(r->root)) {
        found = *fragment ? NULL : node_make(c, r->root, n, keyword, NULL, -1);
    } else if (r) {
        found = pointer_resolve(c, r, fragment);
    }
    if (!found && (c->st->class == STATUS_OK || c->st->class == STATUS_NOT_FOUND))
        compiler_fail(c, n, keyword, STATUS_INVALID, "%.200s refers to nothing that is known here",
                      reference);
    return found;
}

pattern *compiler_pattern(compiler *c, schema_node *n, const char *keyword, const json_t *value)
{
    schema *s = c->schema;
    status why;
    pattern *p = pattern_compile(json_string_value(value), json_string_length(value), &why);
    if (!p) {
        compiler_fail(c, n, keyword, why.class, "%s", why.text);
        return NULL;
    }
    if (s->n_patterns == s->patterns_room) {
        s->patterns_room = s->patterns_room ? s->patterns_room * 2 : 16;
        s->patterns = memory_grow(s->patterns, s->patterns_room * sizeof(pattern *));
    }
    s->patterns[s->n_patterns++] = p;
    return p;
}

/* ---- the whole ---- */

static status_class compile_nodes(compiler *c)
{
    for (size_t i = 0; i < c->schema->n_nodes; i++) {
        schema_node *n = c->schema->nodes[i];
        if (!n->is_boolean && keyword_compile_all(c, n) != STATUS_OK)
            return c->st->class;
        if (c->schema->n_nodes > 2 * (size_t)c->schema->limits.nodes)
            return compiler_fail(c, NULL, NULL, STATUS_LIMIT, "more than %u subschemas",
                                 c->schema->limits.nodes);
    }
    return compiler_check_loops(c);
}

static schema_limits limits_fill(schema_limits l)
{
    l.nodes = l.nodes ? l.nodes : SCHEMA_NODES_MAX;
    l.nesting = l.nesting && l.nesting < SCHEMA_NESTING_MAX ? l.nesting : SCHEMA_NESTING_MAX;
    l.depth = l.depth ? l.depth : SCHEMA_DEPTH_MAX;
    l.steps = l.steps ? l.steps : SCHEMA_STEPS_MAX;
    return l;
}

static schema *schema_make(json_t *document, const schema_options *options)
{
    schema *s = memory_zero(1, sizeof *s);
    s->arena = arena_create(0);
    s->document = json_incref(document);
    s->owned = json_array();
    s->limits = limits_fill(options->limits);
    return s;
}

static void compiler_end(compiler *c)
{
    json_decref(c->uris);
    json_decref(c->anchors);
    free(c->resources);
    free(c->slots);
}

schema *schema_compile(json_t *document, const schema_options *options, status *st)
{
    static const schema_options defaults;
    options = options ? options : &defaults;
    schema *s = schema_make(document, options);
    compiler c = {.schema = s,
                  .arena = s->arena,
                  .options = options,
                  .st = st,
                  .uris = json_object(),
                  .anchors = json_object()};
    schema_node *root = document_walk(&c, document, "");
    bool fine = root && compile_nodes(&c) == STATUS_OK;
    if (fine) {
        s->root = root;
        s->draft = root->resource->draft;
    }
    compiler_end(&c);
    if (fine)
        return s;
    schema_free(s);
    return NULL;
}

void schema_free(schema *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n_patterns; i++)
        pattern_free(s->patterns[i]);
    free(s->patterns);
    free(s->nodes);
    json_decref(s->document);
    json_decref(s->owned);
    arena_free(s->arena);
    free(s);
}

json_t *schema_document(const schema *s)
{
    return s->document;
}
