/* Who a schema is: base URI and resource by `$id`, names by `$anchor`, draft and vocabularies by `$schema`.
 */
#include <string.h>

#include "schema/compiler.h"
#include "schema/metaschema.h"
#include "schema/uri.h"

#define DRAFT_7_URI "http://json-schema.org/draft-07/schema"
#define DRAFT_2020_12_URI "https://json-schema.org/draft/2020-12/schema"
#define METASCHEMA_CHAIN_MAX 8

/* The first one of a name stays. */
static void remember(json_t *map, const char *key, size_t index)
{
    if (!json_object_get(map, key))
        (void)json_object_set_new(map, key, json_integer((json_int_t)index));
}

json_t *compiler_document(compiler *c, const char *uri)
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
        const json_t *metaschema = compiler_document(c, bare);
        uri = json_string_value(json_object_get(metaschema, "$schema"));
        if (!uri)
            break;
        if (!map)
            map = json_object_get(metaschema, "$vocabulary");
    }
    return compiler_fail(c, n, "$schema", STATUS_UNSUPPORTED,
                         "a `$schema` that is neither draft 2020-12 nor draft 7");
}

resource *compiler_resource_make(compiler *c, const char *uri, const json_t *root, const resource *outer)
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
        n->resource = compiler_resource_make(c, uri, n->source, n->resource);
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

status_class compiler_identify(compiler *c, schema_node *n)
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
