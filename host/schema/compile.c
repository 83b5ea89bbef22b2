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
#include "schema/metaschema.h"
#include "schema/uri.h"

#define DRAFT_7_URI "http://json-schema.org/draft-07/schema"
#define DRAFT_2020_12_URI "https://json-schema.org/draft/2020-12/schema"
#define METASCHEMA_CHAIN_MAX 8
#define POINTER_STEPS_MAX 512

/* ---- places */

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
    const schema_node *chain[SCHEMA_NESTING_MAX * 2 + POINTER_STEPS_MAX];
    size_t depth = 0;
    text t = {0};
    for (; n && n->keyword && depth < sizeof chain / sizeof *chain; n = n->parent)
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

/* ---- nodes by the JSON they come from */

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

/* ---- identities */

/* The first one of a name stays. */
static void remember(json_t *map, const char *key, size_t index)
{
    if (!json_object_get(map, key))
        (void)json_object_set_new(map, key, json_integer((json_int_t)index));
}

static json_t *document_find(compiler *c, const char *uri)
{
    json_t *document = schema_registry_find(c->options->registry, uri);
    if (document) {
        json_array_append(c->schema->owned, document);
        return document;
    }
    document = metaschema_find(uri);
    if (document)
        json_array_append_new(c->schema->owned, document);
    return document;
}

static uint32_t vocabulary_of(const char *uri)
{
    static const struct {
        const char *name;
        uint32_t vocabulary;
    } known[] = {
        {"core", VOCABULARY_CORE},
        {"applicator", VOCABULARY_APPLICATOR},
        {"unevaluated", VOCABULARY_UNEVALUATED},
        {"validation", VOCABULARY_VALIDATION},
        {"meta-data", VOCABULARY_META},
        {"format-annotation", VOCABULARY_FORMAT_ANNOTATION},
        {"format-assertion", VOCABULARY_FORMAT_ASSERTION},
        {"content", VOCABULARY_CONTENT},
    };
    static const char prefix[] = "https://json-schema.org/draft/2020-12/vocab/";
    if (strncmp(uri, prefix, sizeof prefix - 1) != 0)
        return 0;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].name, uri + sizeof prefix - 1) == 0)
            return known[i].vocabulary;
    return 0;
}

static status_class vocabularies_read(compiler *c, schema_node *n, const json_t *map, uint32_t *out)
{
    const char *uri;
    json_t *needed;
    *out = VOCABULARY_CORE;
    json_object_foreach((json_t *)map, uri, needed)
    {
        uint32_t vocabulary = vocabulary_of(uri);
        if (!vocabulary && json_is_true(needed))
            return compiler_fail(c, n, "$schema", STATUS_UNSUPPORTED, "vocabulary %.100s is not known", uri);
        *out |= vocabulary;
    }
    return STATUS_OK;
}

/* Draft and vocabularies from a `$schema`; metaschemas of one's own are followed to the draft they build on.
 */
static status_class dialect_read(compiler *c, schema_node *n, const char *uri, schema_draft *draft,
                                 uint32_t *vocabularies)
{
    const json_t *map = NULL;
    for (int i = 0; i < METASCHEMA_CHAIN_MAX; i++) {
        char *bare = arena_string(c->arena, uri);
        if (!uri_split_fragment(c->arena, bare))
            break;
        bool draft_7 = strcmp(bare, DRAFT_7_URI) == 0;
        if (draft_7 || strcmp(bare, DRAFT_2020_12_URI) == 0) {
            *draft = draft_7 ? SCHEMA_DRAFT_7 : SCHEMA_DRAFT_2020_12;
            *vocabularies = VOCABULARY_ALL;
            return map ? vocabularies_read(c, n, map, vocabularies) : STATUS_OK;
        }
        const json_t *metaschema = document_find(c, bare);
        uri = json_string_value(json_object_get(metaschema, "$schema"));
        if (!uri)
            break;
        if (!map)
            map = json_object_get(metaschema, "$vocabulary");
    }
    return compiler_fail(c, n, "$schema", STATUS_UNSUPPORTED,
                         "a `$schema` that is neither draft 2020-12 nor draft 7");
}

static resource *resource_make(compiler *c, const char *uri, const json_t *root, const resource *outer)
{
    resource *r = arena_zero(c->arena, 1, sizeof *r);
    r->uri = uri;
    r->root = root;
    r->index = c->n_resources;
    r->draft = outer ? outer->draft : c->options->draft;
    r->vocabularies = outer ? outer->vocabularies : (uint32_t)VOCABULARY_ALL;
    if (c->n_resources == c->resources_room) {
        c->resources_room = c->resources_room ? c->resources_room * 2 : 16;
        c->resources = memory_grow(c->resources, c->resources_room * sizeof(resource *));
    }
    c->resources[c->n_resources] = r;
    remember(c->uris, uri, c->n_resources++);
    return r;
}

static bool anchor_is_valid(const char *s)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    return *s && strchr(letters, *s) &&
           s[1 + strspn(s + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "_-.0123456789")] == '\0';
}

static status_class anchor_note(compiler *c, schema_node *n, const char *keyword, const char *name)
{
    if (!name || !anchor_is_valid(name))
        return compiler_fail(c, n, keyword, STATUS_INVALID, "an anchor's name is needed");
    remember(c->anchors, arena_printf(c->arena, "%s#%s", n->resource->uri, name), c->schema->n_nodes - 1);
    if (strcmp(keyword, "$dynamicAnchor") == 0) {
        resource *r = (resource *)n->resource;
        dynamic_anchor *d = arena_zero(c->arena, 1, sizeof *d);
        *d = (dynamic_anchor){.name = name, .node = n, .next = r->dynamic};
        r->dynamic = d;
    }
    return STATUS_OK;
}

/* `$id`: a new resource, or in draft 7 perhaps an anchor. */
static status_class identity_note(compiler *c, schema_node *n, const char *id, schema_draft draft)
{
    if (!id)
        return compiler_fail(c, n, "$id", STATUS_INVALID, "must be a string");
    char *uri = uri_resolve(c->arena, n->resource ? n->resource->uri : "", id);
    const char *fragment = uri_split_fragment(c->arena, uri);
    if (!fragment || (*fragment && draft != SCHEMA_DRAFT_7))
        return compiler_fail(c, n, "$id", STATUS_INVALID, "must have no fragment");
    if (!n->resource || id[0] != '#')
        n->resource = resource_make(c, uri, n->source, n->resource);
    return *fragment ? anchor_note(c, n, "$id", fragment) : STATUS_OK;
}

static status_class dialect_note(compiler *c, schema_node *n)
{
    const json_t *dialect = json_object_get(n->source, "$schema");
    resource *r = (resource *)n->resource;
    if (!dialect || r->root != n->source)
        return STATUS_OK;
    if (!json_is_string(dialect))
        return compiler_fail(c, n, "$schema", STATUS_INVALID, "must be a string");
    return dialect_read(c, n, json_string_value(dialect), &r->draft, &r->vocabularies);
}

/* The draft a schema object is to be read by, before its `$id` is looked at. */
static schema_draft draft_before(compiler *c, const schema_node *n)
{
    const char *uri = json_string_value(json_object_get(n->source, "$schema"));
    if (uri && strncmp(uri, DRAFT_7_URI, sizeof DRAFT_7_URI - 1) == 0)
        return SCHEMA_DRAFT_7;
    if (uri && strcmp(uri, DRAFT_2020_12_URI) == 0)
        return SCHEMA_DRAFT_2020_12;
    return n->resource ? n->resource->draft : c->options->draft;
}

static status_class identities_note(compiler *c, schema_node *n)
{
    schema_draft draft = draft_before(c, n);
    const json_t *id = json_object_get(n->source, "$id");
    bool hidden = draft == SCHEMA_DRAFT_7 && json_object_get(n->source, "$ref");
    if (id && !hidden && identity_note(c, n, json_string_value(id), draft) != STATUS_OK)
        return c->st->class;
    if (dialect_note(c, n) != STATUS_OK)
        return c->st->class;
    static const char *const anchors[] = {"$anchor", "$dynamicAnchor"};
    for (int i = 0; i < 2 && n->resource->draft != SCHEMA_DRAFT_7; i++) {
        const json_t *anchor = json_object_get(n->source, anchors[i]);
        if (anchor && anchor_note(c, n, anchors[i], json_string_value(anchor)) != STATUS_OK)
            return c->st->class;
    }
    return STATUS_OK;
}

/* ---- the walk */

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
    if (identities_note(c, n) != STATUS_OK)
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
    n->resource = resource_make(c, uri, document, NULL);
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

/* ---- references */

resource *compiler_resource(compiler *c, const char *uri)
{
    const json_t *known = json_object_get(c->uris, uri);
    if (known)
        return c->resources[json_integer_value(known)];
    const json_t *document = document_find(c, uri);
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

/* ---- the whole */

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

schema_draft schema_draft_of(const schema *s)
{
    return s->draft;
}
