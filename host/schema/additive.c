/* Both schemas are compared place by place: top level, then columns by name, then a column's keywords. Each
 * keyword has a direction in which it only gets looser; what has none must stay equal. */
#include "schema/additive.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "schema/number.h"
#include "schema/value.h"

typedef struct comparison {
    arena *arena;
    schema_changes changes;
    uint32_t room;
    const char *prefix;  /* "/properties/pressure" or "" */
    const char *subject; /* "column pressure" or "rows" */
} comparison;

__attribute__((format(printf, 4, 5))) static void note(comparison *c, schema_change_kind kind,
                                                       const char *keyword, const char *fmt, ...)
{
    char sentence[240];
    va_list args;
    va_start(args, fmt);
    vsnprintf(sentence, sizeof sentence, fmt, args);
    va_end(args);
    if (c->changes.n == c->room) {
        uint32_t room = c->room ? c->room * 2 : 16;
        schema_change *items = arena_zero(c->arena, room, sizeof *items);
        if (c->changes.n)
            memcpy(items, c->changes.items, c->changes.n * sizeof *items);
        c->changes.items = items;
        c->room = room;
    }
    c->changes.items[c->changes.n++] = (schema_change){
        .kind = kind,
        .where = arena_printf(c->arena, "%s%s%s", c->prefix, *keyword ? "/" : "", keyword),
        .sentence = arena_printf(c->arena, "%s: %s", c->subject, sentence),
    };
    if (kind > c->changes.worst)
        c->changes.worst = kind;
}

static bool same(const json_t *a, const json_t *b)
{
    uint64_t steps = 0;
    return a && b ? value_equal(a, b, &steps) : a == b;
}

static const char *shown(comparison *c, const json_t *v)
{
    char *dump = v ? json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    const char *out = dump ? arena_printf(c->arena, "%.60s", dump) : "none";
    free(dump);
    return out;
}

/* ---- keywords of a column ---- */

/* What a keyword that says nothing means: no bound. */
typedef enum direction {
    LOOSER_UP,   /* maximum, maxLength: a greater value is looser */
    LOOSER_DOWN, /* minimum */
    LOOSER_GONE, /* pattern, format, multipleOf: equal or gone */
    ANNOTATION,
} direction;

static const struct rule {
    const char *keyword;
    direction direction;
} rules[] = {
    {"maximum", LOOSER_UP},
    {"exclusiveMaximum", LOOSER_UP},
    {"maxLength", LOOSER_UP},
    {"minimum", LOOSER_DOWN},
    {"exclusiveMinimum", LOOSER_DOWN},
    {"minLength", LOOSER_DOWN},
    {"maxItems", LOOSER_UP},
    {"minItems", LOOSER_DOWN},
    {"maxProperties", LOOSER_UP},
    {"minProperties", LOOSER_DOWN},
    {"pattern", LOOSER_GONE},
    {"uniqueItems", LOOSER_GONE},
    {"title", ANNOTATION},
    {"description", ANNOTATION},
    {"default", ANNOTATION},
    {"examples", ANNOTATION},
    {"$comment", ANNOTATION},
    {"unit", ANNOTATION},
    {"deprecated", ANNOTATION},
    {"readOnly", ANNOTATION},
    {"writeOnly", ANNOTATION},
    {"$schema", ANNOTATION},
    {"$id", ANNOTATION},
};

static const struct rule *rule_find(const char *keyword)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (strcmp(rules[i].keyword, keyword) == 0)
            return &rules[i];
    return NULL;
}

static bool is_looser(direction d, const json_t *was, const json_t *is)
{
    if (!is)
        return true;
    if (!was || d == LOOSER_GONE || !json_is_number(was) || !json_is_number(is))
        return false;
    int order = number_compare(is, was);
    return d == LOOSER_UP ? order > 0 : order < 0;
}

static void compare_rule(comparison *c, const struct rule *r, const json_t *was, const json_t *is)
{
    if (r->direction == ANNOTATION) {
        note(c, SCHEMA_ADDITIVE, r->keyword, "%s changes", r->keyword);
        return;
    }
    bool looser = is_looser(r->direction, was, is);
    note(c, looser ? SCHEMA_ADDITIVE : SCHEMA_BREAKING, r->keyword, "%s goes from %s to %s%s", r->keyword,
         shown(c, was), shown(c, is), looser ? "" : ", which refuses rows that were accepted");
}

/* A column stays a column of text, number … only if its format does not decide otherwise. */
static bool format_is_typed(const json_t *format)
{
    const char *name = json_string_value(format);
    return name && (strcmp(name, "date-time") == 0 || strcmp(name, "date") == 0 || strcmp(name, "uuid") == 0);
}

static void compare_format(comparison *c, const json_t *was, const json_t *is)
{
    bool retyped = format_is_typed(was) || format_is_typed(is);
    if (retyped)
        note(c, SCHEMA_BREAKING, "format", "format goes from %s to %s, which is another column type",
             shown(c, was), shown(c, is));
    else
        note(c, is ? SCHEMA_BREAKING : SCHEMA_ADDITIVE, "format", "format goes from %s to %s", shown(c, was),
             shown(c, is));
}

/* Every old multiple is a new one if the old divisor is a multiple of the new. */
static void compare_multiple_of(comparison *c, const json_t *was, const json_t *is)
{
    bool sane = json_is_number(was) && json_is_number(is) && json_number_value(is) > 0;
    bool looser = !is || (sane && decimal_is_multiple(decimal_of_json(was), decimal_of_json(is)));
    note(c, looser ? SCHEMA_ADDITIVE : SCHEMA_BREAKING, "multipleOf", "multipleOf goes from %s to %s",
         shown(c, was), shown(c, is));
}

static bool all_in(const json_t *some, const json_t *all)
{
    for (size_t i = 0; i < json_array_size(some); i++) {
        bool found = false;
        for (size_t k = 0; k < json_array_size(all) && !found; k++)
            found = same(json_array_get(some, i), json_array_get(all, k));
        if (!found)
            return false;
    }
    return true;
}

static void compare_enum(comparison *c, const json_t *was, const json_t *is)
{
    if (same(was, is))
        return;
    if (!is || (was && all_in(was, is))) {
        note(c, SCHEMA_ADDITIVE, "enum",
             is ? "the enum takes further values" : "any value of the type is allowed now");
        return;
    }
    note(c, SCHEMA_BREAKING, "enum", "the enum no longer takes every value it took");
}

/* ---- types ---- */

typedef struct type_set {
    bool null, integer, number, string, boolean, object, array;
} type_set;

static void type_add(type_set *t, const char *name)
{
    t->null |= strcmp(name, "null") == 0;
    t->integer |= strcmp(name, "integer") == 0;
    t->number |= strcmp(name, "number") == 0;
    t->string |= strcmp(name, "string") == 0;
    t->boolean |= strcmp(name, "boolean") == 0;
    t->object |= strcmp(name, "object") == 0;
    t->array |= strcmp(name, "array") == 0;
}

static type_set types_of(const json_t *schema)
{
    type_set t = {0};
    const json_t *type = json_object_get(schema, "type");
    if (json_is_string(type))
        type_add(&t, json_string_value(type));
    for (size_t i = 0; i < json_array_size(type); i++)
        if (json_is_string(json_array_get(type, i)))
            type_add(&t, json_string_value(json_array_get(type, i)));
    if (!type)
        t = (type_set){true, true, true, true, true, true, true};
    return t;
}

/* The type of the table's column, as far as `type` decides it: one scalar type, or JSON. */
static const char *storage_of(type_set t)
{
    int scalars = t.string + t.boolean + (t.number || t.integer);
    if (t.object || t.array || scalars != 1)
        return "json";
    return t.string ? "string" : t.boolean ? "boolean" : t.number ? "number" : "integer";
}

static bool types_include(type_set all, type_set some)
{
    return (!some.null || all.null) && (!some.integer || all.integer || all.number) &&
           (!some.number || all.number) && (!some.string || all.string) && (!some.boolean || all.boolean) &&
           (!some.object || all.object) && (!some.array || all.array);
}

static void compare_type(comparison *c, const json_t *was_schema, const json_t *is_schema)
{
    const json_t *was = json_object_get(was_schema, "type"), *is = json_object_get(is_schema, "type");
    type_set old = types_of(was_schema), new = types_of(is_schema);
    const char *from = storage_of(old), *to = storage_of(new);
    if (same(was, is) || memcmp(&old, &new, sizeof old) == 0)
        return;
    if (!types_include(new, old))
        note(c, SCHEMA_BREAKING, "type", "type goes from %s to %s, which refuses rows that were accepted",
             shown(c, was), shown(c, is));
    else if (strcmp(from, to) == 0)
        note(c, SCHEMA_ADDITIVE, "type", "type goes from %s to %s", shown(c, was), shown(c, is));
    else if (strcmp(from, "integer") == 0 && strcmp(to, "number") == 0)
        note(c, SCHEMA_REWRITE, "type", "integer becomes number, the column is rewritten");
    else
        note(c, SCHEMA_BREAKING, "type", "the column's type goes from %s to %s", from, to);
}

/* ---- one column ---- */

static bool is_special(const char *keyword)
{
    static const char *const special[] = {
        "type", "enum", "format", "multipleOf", "properties", "required", "additionalProperties"};
    for (size_t i = 0; i < sizeof special / sizeof *special; i++)
        if (strcmp(special[i], keyword) == 0)
            return true;
    return false;
}

static void compare_keyword(comparison *c, const char *keyword, const json_t *was, const json_t *is)
{
    const struct rule *r = rule_find(keyword);
    if (same(was, is))
        return;
    if (r)
        compare_rule(c, r, was, is);
    else if (strncmp(keyword, "x-", 2) == 0)
        note(c, SCHEMA_ADDITIVE, keyword, "%s changes", keyword);
    else
        note(c, SCHEMA_BREAKING, keyword, "%.60s changes, and what that means for old rows cannot be told",
             keyword);
}

/* Keywords but those with functions of their own. */
static void compare_keywords(comparison *c, const json_t *was, const json_t *is)
{
    const char *keyword;
    json_t *value;
    json_object_foreach((json_t *)is, keyword, value)
    {
        if (!is_special(keyword))
            compare_keyword(c, keyword, json_object_get(was, keyword), value);
    }
    json_object_foreach((json_t *)was, keyword, value)
    {
        if (!is_special(keyword) && !json_object_get(is, keyword))
            compare_keyword(c, keyword, value, NULL);
    }
}

/* Object rules inside a JSON column: equal or nothing can be told, apart from their disappearing. */
static void compare_inner(comparison *c, const json_t *was, const json_t *is)
{
    static const char *const keywords[] = {"properties", "required", "additionalProperties"};
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++) {
        const json_t *old = json_object_get(was, keywords[i]), *new = json_object_get(is, keywords[i]);
        if (same(old, new))
            continue;
        bool dropped = i > 0 && !new;
        note(c, dropped ? SCHEMA_ADDITIVE : SCHEMA_BREAKING, keywords[i], "%s inside the column changes",
             keywords[i]);
    }
}

static void compare_column(comparison *c, const json_t *was, const json_t *is)
{
    if (same(was, is))
        return;
    if (!json_is_object(was) || !json_is_object(is)) {
        bool looser = json_is_true(is) && strcmp(storage_of(types_of(was)), "json") == 0;
        note(c, looser ? SCHEMA_ADDITIVE : SCHEMA_BREAKING, "", "the schema of the column changes");
        return;
    }
    compare_type(c, was, is);
    compare_enum(c, json_object_get(was, "enum"), json_object_get(is, "enum"));
    const json_t *old = json_object_get(was, "format"), *new = json_object_get(is, "format");
    if (!same(old, new))
        compare_format(c, old, new);
    old = json_object_get(was, "multipleOf");
    new = json_object_get(is, "multipleOf");
    if (!same(old, new))
        compare_multiple_of(c, old, new);
    compare_keywords(c, was, is);
    compare_inner(c, was, is);
}

/* ---- the top level ---- */

static bool names_have(const json_t *names, const char *name)
{
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *mine = json_string_value(json_array_get(names, i));
        if (mine && strcmp(mine, name) == 0)
            return true;
    }
    return false;
}

static const char *pointer_to(comparison *c, const char *name)
{
    text t = {0};
    text_add(&t, "/properties/");
    for (; *name; name++) {
        if (*name == '~' || *name == '/')
            text_add(&t, *name == '~' ? "~0" : "~1");
        else
            text_add_char(&t, *name);
    }
    const char *pointer = arena_string(c->arena, t.data);
    text_free(&t);
    return pointer;
}

static void enter(comparison *c, const char *name)
{
    c->prefix = name ? pointer_to(c, name) : "";
    c->subject = name ? arena_printf(c->arena, "column %.80s", name) : "rows";
}

static bool lets_in(const json_t *schema)
{
    return !json_is_false(json_object_get(schema, "additionalProperties"));
}

/* Old rows may have carried a property of that name, of any kind, in `_extra`. */
static void compare_new_column(comparison *c, const json_t *was_root, const json_t *is_root, const char *name)
{
    if (names_have(json_object_get(is_root, "required"), name))
        note(c, SCHEMA_BREAKING, "", "new and required, so rows without it are refused");
    else if (lets_in(was_root))
        note(c, SCHEMA_ADDITIVE, "", "new; a property of that name was kept in _extra so far");
    else
        note(c, SCHEMA_ADDITIVE, "", "new");
}

static void compare_columns(comparison *c, const json_t *was_root, const json_t *is_root)
{
    const json_t *was = json_object_get(was_root, "properties"), *is = json_object_get(is_root, "properties");
    const char *name;
    json_t *column;
    json_object_foreach((json_t *)is, name, column)
    {
        const json_t *old = json_object_get(was, name);
        enter(c, name);
        if (old)
            compare_column(c, old, column);
        else
            compare_new_column(c, was_root, is_root, name);
    }
    json_object_foreach((json_t *)was, name, column)
    {
        if (json_object_get(is, name))
            continue;
        enter(c, name);
        note(c, SCHEMA_BREAKING, "", "removed");
    }
    enter(c, NULL);
}

static void compare_required(comparison *c, const json_t *was_root, const json_t *is_root)
{
    const json_t *was = json_object_get(was_root, "required"), *is = json_object_get(is_root, "required");
    const json_t *old_columns = json_object_get(was_root, "properties");
    for (size_t i = 0; i < json_array_size(is); i++) {
        const char *name = json_string_value(json_array_get(is, i));
        bool known = name && json_object_get(old_columns, name); /* a new column has been named already */
        if (known && !names_have(was, name))
            note(c, SCHEMA_BREAKING, "required", "%.80s becomes required", name);
    }
    for (size_t i = 0; i < json_array_size(was); i++) {
        const char *name = json_string_value(json_array_get(was, i));
        if (name && !names_have(is, name))
            note(c, SCHEMA_ADDITIVE, "required", "%.80s is no longer required", name);
    }
}

static void compare_additional(comparison *c, const json_t *was_root, const json_t *is_root)
{
    const json_t *was = json_object_get(was_root, "additionalProperties");
    const json_t *is = json_object_get(is_root, "additionalProperties");
    bool was_open = !was || json_is_true(was), is_open = !is || json_is_true(is);
    if (same(was, is) || (was_open && is_open))
        return;
    if (is_open)
        note(c, SCHEMA_ADDITIVE, "additionalProperties",
             "further properties are allowed now, kept in _extra");
    else
        note(c, SCHEMA_BREAKING, "additionalProperties", "further properties are limited more than before");
}

static const json_t *as_object(const json_t *schema, json_t *empty)
{
    return json_is_object(schema) ? schema : empty;
}

schema_changes schema_compare(const json_t *old_schema, const json_t *new_schema, arena *a)
{
    json_t *empty = json_object();
    comparison c = {.arena = a};
    const json_t *was = as_object(old_schema, empty), *is = as_object(new_schema, empty);
    enter(&c, NULL);
    if (json_is_false(new_schema) && !json_is_false(old_schema))
        note(&c, SCHEMA_BREAKING, "", "no row is accepted any more");
    compare_type(&c, was, is);
    compare_enum(&c, json_object_get(was, "enum"), json_object_get(is, "enum"));
    compare_columns(&c, was, is);
    compare_required(&c, was, is);
    compare_additional(&c, was, is);
    compare_keywords(&c, was, is);
    json_decref(empty);
    return c.changes;
}
