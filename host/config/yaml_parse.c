/* Builds a tree by walking libyaml's events once, top down. Two structures grow side by side: the jansson
 * values and the places (yaml_place.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/text.h"
#include "config/yaml_scalar.h"
#include "config/yaml_tree_private.h"

typedef struct anchor anchor;
struct anchor {
    const char *name;
    json_t *value; /* borrowed; NULL while it is still being built */
    yaml_node *node;
    anchor *next; /* later ones first: an anchor may be defined again */
};

/* State of one parse. */
typedef struct builder {
    yaml_parser_t parser;
    yaml_tree *tree;
    const char *file;
    anchor *anchors;
    size_t nodes;
    status *st;
} builder;

static status_class build_node(builder *b, const yaml_event_t *event, yaml_node *place, unsigned depth,
                               json_t **ret);

/* ---- errors ---- */

static status_class fail_mark(builder *b, status_class class, yaml_mark_t mark, const char *cause)
{
    char where[sizeof b->st->where];
    snprintf(where, sizeof where, "%s:%zu:%zu", b->file, mark.line + 1, mark.column + 1);
    return status_at(b->st, class, where, "the YAML cannot be read: %s", cause);
}

/* Bytes that are no text: libyaml only gives the offset. */
static yaml_mark_t mark_of_offset(const yaml_parser_t *p)
{
    yaml_mark_t m = {0};
    const unsigned char *s = p->input.string.start;
    size_t n = (size_t)(p->input.string.end - s);
    for (size_t i = 0; i < n && i < p->problem_offset; i++) {
        m.column = s[i] == '\n' ? 0 : m.column + ((s[i] & 0xC0) != 0x80);
        m.line += s[i] == '\n';
    }
    return m;
}

static status_class fail_parser(builder *b)
{
    const yaml_parser_t *p = &b->parser;
    if (p->error == YAML_READER_ERROR)
        return fail_mark(b, STATUS_INVALID, mark_of_offset(p), p->problem);
    status_class class =
        fail_mark(b, STATUS_INVALID, p->problem_mark, p->problem ? p->problem : "it ends too early");
    if (p->problem && strstr(p->problem, "cannot start any token"))
        status_hint(b->st,
                    "indent with blanks, never with tabs; put text that begins with a sign into quotes");
    else if (p->problem && strstr(p->problem, "mapping values are not allowed"))
        status_hint(b->st, "put text that contains \": \" into quotes, or check the indentation");
    else if (p->context)
        status_hint(b->st, "it happened %s that begins at line %zu", p->context, p->context_mark.line + 1);
    return class;
}

static status_class next_event(builder *b, yaml_event_t *ret)
{
    if (!yaml_parser_parse(&b->parser, ret)) {
        memset(ret, 0, sizeof *ret);
        return fail_parser(b);
    }
    return STATUS_OK;
}

/* ---- nodes ---- */

static status_class count_nodes(builder *b, size_t more, yaml_mark_t mark)
{
    b->nodes += more;
    if (b->nodes > YAML_NODES_MAX)
        return fail_mark(b, STATUS_LIMIT, mark, "more than 200000 values");
    return STATUS_OK;
}

static yaml_node *add_child(builder *b, yaml_node *parent, const char *key, yaml_mark_t mark)
{
    return yaml_place_add(b->tree->arena, parent, key, (uint32_t)mark.line + 1, (uint32_t)mark.column + 1);
}

static anchor *remember_anchor(builder *b, const yaml_char_t *name, yaml_node *place)
{
    if (!name)
        return NULL;
    anchor *a = arena_zero(b->tree->arena, 1, sizeof *a);
    a->name = arena_string(b->tree->arena, (const char *)name);
    a->node = place;
    a->next = b->anchors;
    b->anchors = a;
    return a;
}

/* ---- scalars ---- */

typedef enum tag_kind {
    TAG_NONE,
    TAG_TEXT,
    TAG_NULL,
    TAG_BOOLEAN,
    TAG_INTEGER,
    TAG_NUMBER,
    TAG_FOREIGN
} tag_kind;

static tag_kind tag_of(const yaml_char_t *tag)
{
    static const char *const names[] = {"", "!", "null", "bool", "int", "float"};
    static const char core[] = "tag:yaml.org,2002:";
    if (!tag)
        return TAG_NONE;
    const char *t = (const char *)tag;
    if (strcmp(t, "!") == 0 || strcmp(t, "tag:yaml.org,2002:str") == 0)
        return TAG_TEXT;
    if (strncmp(t, core, sizeof core - 1) != 0)
        return TAG_FOREIGN;
    for (tag_kind k = TAG_NULL; k <= TAG_NUMBER; k++)
        if (strcmp(t + sizeof core - 1, names[k]) == 0)
            return k;
    return TAG_FOREIGN;
}

static bool fits_tag(tag_kind tag, const json_t *v)
{
    switch (tag) {
    case TAG_NULL:
        return json_is_null(v);
    case TAG_BOOLEAN:
        return json_is_boolean(v);
    case TAG_INTEGER:
        return json_is_integer(v);
    case TAG_NUMBER:
        return json_is_number(v);
    default:
        return true;
    }
}

static status_class build_text(builder *b, const yaml_event_t *e, json_t **ret)
{
    const char *value = (const char *)e->data.scalar.value;
    if (memchr(value, 0, e->data.scalar.length))
        return fail_mark(b, STATUS_INVALID, e->start_mark, "the character U+0000 is not allowed");
    *ret = json_stringn(value, e->data.scalar.length);
    return *ret ? STATUS_OK : fail_mark(b, STATUS_INVALID, e->start_mark, "the text is not UTF-8");
}

static status_class build_scalar(builder *b, const yaml_event_t *e, json_t **ret)
{
    tag_kind tag = tag_of(e->data.scalar.tag);
    if (tag == TAG_FOREIGN)
        return fail_mark(b, STATUS_INVALID, e->start_mark, "tags are not allowed, only values as they are");
    bool plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (tag == TAG_TEXT || (tag == TAG_NONE && !plain))
        return build_text(b, e, ret);
    switch (yaml_scalar_resolve((const char *)e->data.scalar.value, e->data.scalar.length, ret)) {
    case YAML_SCALAR_RANGE:
        return fail_mark(b, STATUS_INVALID, e->start_mark, "the number is too large, infinite or no number");
    case YAML_SCALAR_VALUE:
        if (fits_tag(tag, *ret))
            return STATUS_OK;
        json_decref(*ret);
        *ret = NULL;
        return fail_mark(b, STATUS_INVALID, e->start_mark, "the value is not what its tag says");
    default:
        if (tag != TAG_NONE)
            return fail_mark(b, STATUS_INVALID, e->start_mark, "the value is not what its tag says");
        return build_text(b, e, ret);
    }
}

/* ---- collections ---- */

static status_class check_collection(builder *b, const yaml_event_t *e, const yaml_char_t *tag,
                                     const char *own, unsigned depth)
{
    if (tag && strcmp((const char *)tag, own) != 0 && strcmp((const char *)tag, "!") != 0)
        return fail_mark(b, STATUS_INVALID, e->start_mark, "tags are not allowed, only values as they are");
    if (depth >= YAML_DEPTH_MAX)
        return fail_mark(b, STATUS_LIMIT, e->start_mark, "nested deeper than 64 levels");
    return STATUS_OK;
}

static status_class build_sequence(builder *b, yaml_node *place, unsigned depth, json_t **ret)
{
    json_t *list = json_array();
    for (;;) {
        yaml_event_t e;
        json_t *item = NULL;
        status_class class = next_event(b, &e);
        if (class == STATUS_OK && e.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&e);
            *ret = list;
            return STATUS_OK;
        }
        if (class == STATUS_OK)
            class = build_node(b, &e, add_child(b, place, NULL, e.start_mark), depth + 1, &item);
        yaml_event_delete(&e);
        if (class != STATUS_OK) {
            json_decref(list);
            return class;
        }
        json_array_append_new(list, item);
    }
}

static status_class check_key(builder *b, const yaml_event_t *e, const yaml_node *place, const json_t *object)
{
    if (e->type != YAML_SCALAR_EVENT)
        return fail_mark(b, STATUS_INVALID, e->start_mark, "a key must be text");
    const char *key = (const char *)e->data.scalar.value;
    tag_kind tag = tag_of(e->data.scalar.tag);
    if (tag != TAG_NONE && tag != TAG_TEXT)
        return fail_mark(b, STATUS_INVALID, e->start_mark, "a key must be text without a tag");
    if (e->data.scalar.anchor)
        return fail_mark(b, STATUS_INVALID, e->start_mark, "anchors stand before values, not before keys");
    if (memchr(key, 0, e->data.scalar.length))
        return fail_mark(b, STATUS_INVALID, e->start_mark, "the character U+0000 is not allowed");
    if (e->data.scalar.length > YAML_KEY_MAX)
        return fail_mark(b, STATUS_LIMIT, e->start_mark, "a key is longer than 1024 bytes");
    if (!json_object_get(object, key))
        return STATUS_OK;
    char cause[160];
    const yaml_node *earlier = yaml_place_child(place, key, strlen(key));
    snprintf(cause, sizeof cause, "the key \"%.60s\" stands twice, first in line %u", key,
             earlier ? earlier->key_line : 0);
    return fail_mark(b, STATUS_INVALID, e->start_mark, cause);
}

/* The value of `key` whose event has just been read. */
static status_class build_member(builder *b, const yaml_event_t *key, yaml_node *place, unsigned depth,
                                 json_t *object)
{
    yaml_event_t e;
    json_t *value = NULL;
    status_class class = check_key(b, key, place, object);
    if (class != STATUS_OK || (class = next_event(b, &e)) != STATUS_OK)
        return class;
    char *name = arena_string(b->tree->arena, (const char *)key->data.scalar.value);
    yaml_node *child = add_child(b, place, name, key->start_mark);
    class = build_node(b, &e, child, depth + 1, &value);
    yaml_event_delete(&e);
    if (class == STATUS_OK && json_object_set_new(object, name, value) != 0)
        class = fail_mark(b, STATUS_INVALID, key->start_mark, "the key is not UTF-8");
    return class;
}

static status_class build_mapping(builder *b, yaml_node *place, unsigned depth, json_t **ret)
{
    json_t *object = json_object();
    for (;;) {
        yaml_event_t e;
        status_class class = next_event(b, &e);
        bool end = class == STATUS_OK && e.type == YAML_MAPPING_END_EVENT;
        if (class == STATUS_OK && !end)
            class = build_member(b, &e, place, depth, object);
        yaml_event_delete(&e);
        if (end) {
            *ret = object;
            return STATUS_OK;
        }
        if (class != STATUS_OK) {
            json_decref(object);
            return class;
        }
    }
}

/* ---- aliases ---- */

static status_class build_alias(builder *b, const yaml_event_t *e, yaml_node *place, unsigned depth,
                                json_t **ret)
{
    const char *name = (const char *)e->data.alias.anchor;
    for (const anchor *a = b->anchors; a; a = a->next) {
        if (strcmp(a->name, name) != 0)
            continue;
        if (!a->value)
            return fail_mark(b, STATUS_INVALID, e->start_mark, "an alias stands inside the value it repeats");
        if (yaml_place_height(a->node) + depth > YAML_DEPTH_MAX)
            return fail_mark(b, STATUS_LIMIT, e->start_mark, "nested deeper than 64 levels");
        status_class class = count_nodes(b, yaml_place_count(a->node), e->start_mark);
        if (class != STATUS_OK)
            return class;
        yaml_place_copy(b->tree->arena, a->node, place);
        *ret = json_deep_copy(a->value);
        return STATUS_OK;
    }
    return fail_mark(b, STATUS_INVALID, e->start_mark, "an alias to an anchor that was not defined before");
}

/* ---- the walk ---- */

static const yaml_char_t *anchor_name(const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_SCALAR_EVENT:
        return e->data.scalar.anchor;
    case YAML_SEQUENCE_START_EVENT:
        return e->data.sequence_start.anchor;
    case YAML_MAPPING_START_EVENT:
        return e->data.mapping_start.anchor;
    default:
        return NULL;
    }
}

static status_class build_value(builder *b, const yaml_event_t *e, yaml_node *place, unsigned depth,
                                json_t **ret)
{
    status_class class;
    switch (e->type) {
    case YAML_SCALAR_EVENT:
        return build_scalar(b, e, ret);
    case YAML_ALIAS_EVENT:
        return build_alias(b, e, place, depth, ret);
    case YAML_SEQUENCE_START_EVENT:
        class = check_collection(b, e, e->data.sequence_start.tag, YAML_SEQ_TAG, depth);
        return class == STATUS_OK ? build_sequence(b, place, depth, ret) : class;
    case YAML_MAPPING_START_EVENT:
        class = check_collection(b, e, e->data.mapping_start.tag, YAML_MAP_TAG, depth);
        return class == STATUS_OK ? build_mapping(b, place, depth, ret) : class;
    default:
        return fail_mark(b, STATUS_INVALID, e->start_mark, "a value is missing");
    }
}

static uint8_t inset_of(const yaml_event_t *e)
{
    if (e->type != YAML_SCALAR_EVENT)
        return 0;
    switch (e->data.scalar.style) {
    case YAML_LITERAL_SCALAR_STYLE:
        return YAML_LITERAL;
    case YAML_SINGLE_QUOTED_SCALAR_STYLE:
    case YAML_DOUBLE_QUOTED_SCALAR_STYLE:
        return 1;
    default:
        return 0;
    }
}

static status_class build_node(builder *b, const yaml_event_t *e, yaml_node *place, unsigned depth,
                               json_t **ret)
{
    place->line = (uint32_t)e->start_mark.line + 1;
    place->column = (uint32_t)e->start_mark.column + 1;
    status_class class = count_nodes(b, 1, e->start_mark);
    if (class != STATUS_OK)
        return class;
    place->inset = inset_of(e);
    anchor *a = remember_anchor(b, anchor_name(e), place);
    class = build_value(b, e, place, depth, ret);
    if (class == STATUS_OK && a)
        a->value = *ret;
    return class;
}

/* STREAM-START (DOCUMENT-START node DOCUMENT-END)? STREAM-END */
static status_class build_document(builder *b)
{
    yaml_event_t e;
    status_class class;
    bool done = false;
    while (!done && (class = next_event(b, &e)) == STATUS_OK) {
        if (e.type == YAML_DOCUMENT_START_EVENT && b->tree->root)
            class = fail_mark(b, STATUS_INVALID, e.start_mark, "more than one document");
        else if (e.type == YAML_STREAM_END_EVENT)
            done = true;
        else if (e.type != YAML_STREAM_START_EVENT && e.type != YAML_DOCUMENT_START_EVENT &&
                 e.type != YAML_DOCUMENT_END_EVENT)
            class = build_node(b, &e, b->tree->places, 0, &b->tree->root);
        yaml_event_delete(&e);
        if (class != STATUS_OK)
            return class;
    }
    if (class == STATUS_OK && !b->tree->root)
        b->tree->root = json_null();
    return class;
}

status_class yaml_tree_parse(const char *file, const char *data, size_t len, yaml_tree **ret_tree, status *st)
{
    if (len > YAML_BYTES_MAX)
        return status_at(st, STATUS_LIMIT, file, "the YAML cannot be read: it is larger than 4 MiB");
    builder b = {.tree = yaml_tree_create(file), .st = st};
    b.file = b.tree->places->file;
    if (!yaml_parser_initialize(&b.parser))
        abort();
    yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&b.parser, (const unsigned char *)data, len);
    status_class class = build_document(&b);
    yaml_parser_delete(&b.parser);
    if (class != STATUS_OK) {
        yaml_tree_free(b.tree);
        return class;
    }
    *ret_tree = b.tree;
    return STATUS_OK;
}
