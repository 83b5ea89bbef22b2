/* The keywords of both drafts as one table, and what each is turned into. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "schema/compiler.h"

#define DRAFT_NEW (1U << SCHEMA_DRAFT_2020_12)
#define DRAFT_OLD (1U << SCHEMA_DRAFT_7)
#define DRAFT_BOTH (DRAFT_NEW | DRAFT_OLD)

static status_class bad(compiler *c, schema_node *n, node_keyword *k, const char *what)
{
    return compiler_fail(c, n, k->name, STATUS_INVALID, "%s %s", k->name, what);
}

/* ---- shapes ---- */

static status_class compile_schema(compiler *c, schema_node *n, node_keyword *k)
{
    k->as.node = compiler_child(c, n, k->value, k->name, NULL, -1);
    return STATUS_OK;
}

static status_class compile_list(compiler *c, schema_node *n, node_keyword *k)
{
    size_t count = json_array_size(k->value);
    if (count == 0)
        return bad(c, n, k, "must hold at least one schema");
    const schema_node **items = arena_zero(c->arena, count, sizeof(schema_node *));
    for (size_t i = 0; i < count; i++)
        items[i] = compiler_child(c, n, json_array_get(k->value, i), k->name, NULL, (int64_t)i);
    k->as.list.items = items;
    k->as.list.n = (uint32_t)count;
    return STATUS_OK;
}

static int member_compare(const void *a, const void *b)
{
    return strcmp(((const node_member *)a)->name, ((const node_member *)b)->name);
}

static status_class compile_members(compiler *c, schema_node *n, node_keyword *k)
{
    const char *name;
    json_t *sub;
    uint32_t count = 0;
    node_member *items = arena_zero(c->arena, json_object_size(k->value) + 1, sizeof *items);
    json_object_foreach((json_t *)k->value, name, sub)
    {
        items[count].name = name;
        if (json_is_array(sub))
            items[count].names = sub;
        else
            items[count].node = compiler_child(c, n, sub, k->name, name, -1);
        count++;
    }
    qsort(items, count, sizeof *items, member_compare);
    k->as.members.items = items;
    k->as.members.n = count;
    return STATUS_OK;
}

static status_class compile_pattern_members(compiler *c, schema_node *n, node_keyword *k)
{
    compile_members(c, n, k);
    for (uint32_t i = 0; i < k->as.members.n; i++) {
        node_member *m = &k->as.members.items[i];
        json_t *name = json_string(m->name);
        m->pattern = compiler_pattern(c, n, k->name, name);
        json_decref(name);
        if (!m->pattern)
            return c->st->class;
    }
    return STATUS_OK;
}

static bool are_names(const json_t *array)
{
    if (!json_is_array(array))
        return false;
    for (size_t i = 0; i < json_array_size(array); i++)
        if (!json_is_string(json_array_get(array, i)))
            return false;
    return true;
}

static status_class compile_dependencies(compiler *c, schema_node *n, node_keyword *k)
{
    compile_members(c, n, k);
    for (uint32_t i = 0; i < k->as.members.n; i++)
        if (k->as.members.items[i].names && !are_names(k->as.members.items[i].names))
            return bad(c, n, k, "takes schemas and arrays of names");
    return STATUS_OK;
}

static status_class compile_dependent_required(compiler *c, schema_node *n, node_keyword *k)
{
    const char *name;
    json_t *names;
    if (!json_is_object(k->value))
        return bad(c, n, k, "must be an object of arrays of names");
    json_object_foreach((json_t *)k->value, name, names)
    {
        if (!are_names(names))
            return bad(c, n, k, "must be an object of arrays of names");
    }
    return compile_members(c, n, k);
}

static status_class compile_required(compiler *c, schema_node *n, node_keyword *k)
{
    return are_names(k->value) ? STATUS_OK : bad(c, n, k, "must be an array of names");
}

/* ---- references ---- */

static status_class compile_ref(compiler *c, schema_node *n, node_keyword *k)
{
    if (!json_is_string(k->value))
        return bad(c, n, k, "must be a string");
    k->as.node = compiler_resolve(c, n, k->name, json_string_value(k->value));
    return k->as.node ? STATUS_OK : c->st->class;
}

static status_class compile_dynamic_ref(compiler *c, schema_node *n, node_keyword *k)
{
    if (!json_is_string(k->value))
        return bad(c, n, k, "must be a string");
    const char *reference = json_string_value(k->value), *fragment = strchr(reference, '#');
    const schema_node *target = compiler_resolve(c, n, k->name, reference);
    if (!target)
        return c->st->class;
    k->as.dynamic.node = target;
    k->as.dynamic.anchor = NULL;
    for (const dynamic_anchor *d = target->resource->dynamic; d && fragment; d = d->next)
        if (strcmp(d->name, fragment + 1) == 0 && d->node == target)
            k->as.dynamic.anchor = d->name;
    return STATUS_OK;
}

/* ---- assertions ---- */

static uint32_t type_bit(const char *name)
{
    static const char *const names[] = {"null", "boolean", "integer", "number", "string", "array", "object"};
    for (unsigned i = 0; name && i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0)
            return 1U << i;
    return 0;
}

static status_class compile_type(compiler *c, schema_node *n, node_keyword *k)
{
    size_t count = json_is_array(k->value) ? json_array_size(k->value) : 1;
    for (size_t i = 0; i < count; i++) {
        const json_t *name = json_is_array(k->value) ? json_array_get(k->value, i) : k->value;
        uint32_t bit = type_bit(json_string_value(name));
        if (!bit)
            return bad(c, n, k,
                       "must be null, boolean, integer, number, string, array, object, or some of them");
        k->as.types |= bit;
    }
    return count ? STATUS_OK : bad(c, n, k, "must name a type");
}

static status_class compile_enum(compiler *c, schema_node *n, node_keyword *k)
{
    if (!json_is_array(k->value))
        return bad(c, n, k, "must be an array");
    k->as.set = value_set_make(c->arena, k->value);
    return STATUS_OK;
}

static status_class compile_number(compiler *c, schema_node *n, node_keyword *k)
{
    return json_is_number(k->value) ? STATUS_OK : bad(c, n, k, "must be a number");
}

static status_class compile_multiple_of(compiler *c, schema_node *n, node_keyword *k)
{
    if (!json_is_number(k->value) || json_number_value(k->value) <= 0)
        return bad(c, n, k, "must be a number above 0");
    k->as.divisor = decimal_of_json(k->value);
    return STATUS_OK;
}

static bool read_count(const json_t *value, uint64_t *out)
{
    if (!json_is_number(value) || !number_is_integer(value) || json_number_value(value) < 0)
        return false;
    if (json_is_integer(value))
        *out = (uint64_t)json_integer_value(value);
    else
        *out =
            json_real_value(value) < 18446744073709551615.0 ? (uint64_t)json_real_value(value) : UINT64_MAX;
    return true;
}

static status_class compile_count(compiler *c, schema_node *n, node_keyword *k)
{
    return read_count(k->value, &k->as.count) ? STATUS_OK
                                              : bad(c, n, k, "must be a whole number, not below 0");
}

static status_class compile_unique(compiler *c, schema_node *n, node_keyword *k)
{
    if (!json_is_boolean(k->value))
        return bad(c, n, k, "must be true or false");
    if (json_is_false(k->value))
        k->kind = KEYWORD_NOTHING;
    return STATUS_OK;
}

static status_class compile_pattern(compiler *c, schema_node *n, node_keyword *k)
{
    if (!json_is_string(k->value))
        return bad(c, n, k, "must be a string");
    k->as.pattern = compiler_pattern(c, n, k->name, k->value);
    return k->as.pattern ? STATUS_OK : c->st->class;
}

static status_class compile_format(compiler *c, schema_node *n, node_keyword *k)
{
    if (!json_is_string(k->value))
        return bad(c, n, k, "must be a string");
    bool asserted = !c->options->format_annotation || n->resource->vocabularies & VOCABULARY_FORMAT_ASSERTION;
    k->as.format = format_by_name(json_string_value(k->value));
    if (!asserted || k->as.format == FORMAT_NONE)
        k->kind = KEYWORD_NOTHING;
    return STATUS_OK;
}

/* ---- applicators that look at their neighbours ---- */

static status_class compile_items(compiler *c, schema_node *n, node_keyword *k)
{
    if (json_is_array(k->value)) { /* draft 7 only: the walk refused it otherwise */
        k->kind = KEYWORD_PREFIX_ITEMS;
        return json_array_size(k->value) ? compile_list(c, n, k) : STATUS_OK;
    }
    k->as.items.node = compiler_child(c, n, k->value, k->name, NULL, -1);
    if (n->resource->draft != SCHEMA_DRAFT_7)
        k->as.items.from = json_array_size(json_object_get(n->source, "prefixItems"));
    return STATUS_OK;
}

static status_class compile_additional_items(compiler *c, schema_node *n, node_keyword *k)
{
    const json_t *items = json_object_get(n->source, "items");
    if (!json_is_array(items)) {
        k->kind = KEYWORD_NOTHING;
        return STATUS_OK;
    }
    k->as.items.node = compiler_child(c, n, k->value, k->name, NULL, -1);
    k->as.items.from = json_array_size(items);
    return STATUS_OK;
}

static status_class compile_contains(compiler *c, schema_node *n, node_keyword *k)
{
    bool newer = n->resource->draft != SCHEMA_DRAFT_7;
    const json_t *min = newer ? json_object_get(n->source, "minContains") : NULL;
    const json_t *max = newer ? json_object_get(n->source, "maxContains") : NULL;
    k->as.contains.node = compiler_child(c, n, k->value, k->name, NULL, -1);
    k->as.contains.min = 1;
    k->as.contains.max = UINT64_MAX;
    k->as.contains.marks = newer;
    if (min && !read_count(min, &k->as.contains.min))
        return compiler_fail(c, n, "minContains", STATUS_INVALID, "must be a whole number, not below 0");
    if (max && !read_count(max, &k->as.contains.max))
        return compiler_fail(c, n, "maxContains", STATUS_INVALID, "must be a whole number, not below 0");
    return STATUS_OK;
}

static status_class compile_additional(compiler *c, schema_node *n, node_keyword *k)
{
    k->as.additional.node = compiler_child(c, n, k->value, k->name, NULL, -1);
    return STATUS_OK;
}

static const schema_node *optional_child(compiler *c, schema_node *n, const char *name)
{
    const json_t *sub = json_object_get(n->source, name);
    return sub ? compiler_child(c, n, sub, name, NULL, -1) : NULL;
}

static status_class compile_if(compiler *c, schema_node *n, node_keyword *k)
{
    k->as.branch.condition = compiler_child(c, n, k->value, k->name, NULL, -1);
    k->as.branch.then = optional_child(c, n, "then");
    k->as.branch.otherwise = optional_child(c, n, "else");
    return STATUS_OK;
}

static status_class compile_unevaluated(compiler *c, schema_node *n, node_keyword *k)
{
    n->unevaluated = true;
    return compile_schema(c, n, k);
}

/* ---- the table, ascending by name ---- */

#define CORE VOCABULARY_CORE
#define APPLY VOCABULARY_APPLICATOR
#define VALID VOCABULARY_VALIDATION
static const keyword_rule rules[] = {
    {"$defs", DRAFT_NEW, CORE, SHAPE_MAP, KEYWORD_NOTHING, NULL},
    {"$dynamicRef", DRAFT_NEW, CORE, SHAPE_NONE, KEYWORD_DYNAMIC_REF, compile_dynamic_ref},
    {"$ref", DRAFT_BOTH, CORE, SHAPE_NONE, KEYWORD_REF, compile_ref},
    {"additionalItems", DRAFT_OLD, APPLY, SHAPE_SCHEMA, KEYWORD_ITEMS, compile_additional_items},
    {"additionalProperties", DRAFT_BOTH, APPLY, SHAPE_SCHEMA, KEYWORD_ADDITIONAL_PROPERTIES,
     compile_additional},
    {"allOf", DRAFT_BOTH, APPLY, SHAPE_LIST, KEYWORD_ALL_OF, compile_list},
    {"anyOf", DRAFT_BOTH, APPLY, SHAPE_LIST, KEYWORD_ANY_OF, compile_list},
    {"const", DRAFT_BOTH, VALID, SHAPE_NONE, KEYWORD_CONST, NULL},
    {"contains", DRAFT_BOTH, APPLY, SHAPE_SCHEMA, KEYWORD_CONTAINS, compile_contains},
    {"contentSchema", DRAFT_NEW, VOCABULARY_CONTENT, SHAPE_SCHEMA, KEYWORD_NOTHING, NULL},
    {"definitions", DRAFT_BOTH, CORE, SHAPE_MAP, KEYWORD_NOTHING, NULL},
    {"dependencies", DRAFT_BOTH, APPLY, SHAPE_DEPENDENCIES, KEYWORD_DEPENDENCIES, compile_dependencies},
    {"dependentRequired", DRAFT_NEW, VALID, SHAPE_NONE, KEYWORD_DEPENDENT_REQUIRED,
     compile_dependent_required},
    {"dependentSchemas", DRAFT_NEW, APPLY, SHAPE_MAP, KEYWORD_DEPENDENT_SCHEMAS, compile_members},
    {"else", DRAFT_BOTH, APPLY, SHAPE_SCHEMA, KEYWORD_NOTHING, NULL},
    {"enum", DRAFT_BOTH, VALID, SHAPE_NONE, KEYWORD_ENUM, compile_enum},
    {"exclusiveMaximum", DRAFT_BOTH, VALID, SHAPE_NONE, KEYWORD_EXCLUSIVE_MAXIMUM, compile_number},
    {"exclusiveMinimum", DRAFT_BOTH, VALID, SHAPE_NONE, KEYWORD_EXCLUSIVE_MINIMUM, compile_number},
    {"format", DRAFT_BOTH, VOCABULARY_FORMAT_ANNOTATION | VOCABULARY_FORMAT_ASSERTION, SHAPE_NONE,
     KEYWORD_FORMAT, compile_format},
    {"if", DRAFT_BOTH, APPLY, SHAPE_SCHEMA, KEYWORD_IF, compile_if},
    {"items", DRAFT_NEW, APPLY, SHAPE_SCHEMA, KEYWORD_ITEMS, compile_items},
    {"items", DRAFT_OLD, APPLY, SHAPE_SCHEMA_OR_LIST, KEYWORD_ITEMS, compile_items},
    {"maxContains", DRAFT_NEW, VALID, SHAPE_NONE, KEYWORD_NOTHING, compile_count},
    {"maxItems", DRAFT_BOTH, VALID, SHAPE_NONE, KEYWORD_MAX_ITEMS, compile_count},
    {"maxLength", DRAFT_BOTH, VALID, SHAPE_NONE, KEYWORD_MAX_LENGTH, compile_count},
    {"maxProperties", DRAFT_BOTH, VALID, SHAPE_NONE, KEYWORD_MAX_PROPERTIES, compile_count},
    {"maximum", DRAFT_BOTH, VALID, SHAPE_NONE, KEYWORD_MAXIMUM, compile_number},
    {"minContains", DRAFT_NEW, VALID, SHAPE_NONE, KEYWORD_NOTHING, compile_count},
    {"minItems", DRAFT_BOTH, VALID, SHAPE_NONE, KEYWORD_MIN_ITEMS, compile_count},
    {"minLength", DRAFT_BOTH, VALID, SHAPE_NONE, KEYWORD_MIN_LENGTH, compile_count},
    {"minProperties", DRAFT_BOTH, VALID, SHAPE_NONE, KEYWORD_MIN_PROPERTIES, compile_count},
    {"minimum", DRAFT_BOTH, VALID, SHAPE_NONE, KEYWORD_MINIMUM, compile_number},
    {"multipleOf", DRAFT_BOTH, VALID, SHAPE_NONE, KEYWORD_MULTIPLE_OF, compile_multiple_of},
    {"not", DRAFT_BOTH, APPLY, SHAPE_SCHEMA, KEYWORD_NOT, compile_schema},
    {"oneOf", DRAFT_BOTH, APPLY, SHAPE_LIST, KEYWORD_ONE_OF, compile_list},
    {"pattern", DRAFT_BOTH, VALID, SHAPE_NONE, KEYWORD_PATTERN, compile_pattern},
    {"patternProperties", DRAFT_BOTH, APPLY, SHAPE_MAP, KEYWORD_PATTERN_PROPERTIES, compile_pattern_members},
    {"prefixItems", DRAFT_NEW, APPLY, SHAPE_LIST, KEYWORD_PREFIX_ITEMS, compile_list},
    {"properties", DRAFT_BOTH, APPLY, SHAPE_MAP, KEYWORD_PROPERTIES, compile_members},
    {"propertyNames", DRAFT_BOTH, APPLY, SHAPE_SCHEMA, KEYWORD_PROPERTY_NAMES, compile_schema},
    {"required", DRAFT_BOTH, VALID, SHAPE_NONE, KEYWORD_REQUIRED, compile_required},
    {"then", DRAFT_BOTH, APPLY, SHAPE_SCHEMA, KEYWORD_NOTHING, NULL},
    {"type", DRAFT_BOTH, VALID, SHAPE_NONE, KEYWORD_TYPE, compile_type},
    {"unevaluatedItems", DRAFT_NEW, VOCABULARY_UNEVALUATED, SHAPE_SCHEMA, KEYWORD_UNEVALUATED_ITEMS,
     compile_unevaluated},
    {"unevaluatedProperties", DRAFT_NEW, VOCABULARY_UNEVALUATED, SHAPE_SCHEMA, KEYWORD_UNEVALUATED_PROPERTIES,
     compile_unevaluated},
    {"uniqueItems", DRAFT_BOTH, VALID, SHAPE_NONE, KEYWORD_UNIQUE_ITEMS, compile_unique},
};

const keyword_rule *keyword_rule_find(const char *name, schema_draft draft)
{
    size_t from = 0, to = sizeof rules / sizeof *rules;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (strcmp(rules[middle].name, name) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    for (; from < sizeof rules / sizeof *rules && strcmp(rules[from].name, name) == 0; from++)
        if (rules[from].drafts & 1U << draft)
            return &rules[from];
    return NULL;
}

static int keyword_compare(const void *a, const void *b)
{
    return (int)((const node_keyword *)a)->kind - (int)((const node_keyword *)b)->kind;
}

static const node_keyword *keyword_of_kind(const schema_node *n, keyword_kind kind)
{
    for (uint32_t i = 0; i < n->n_keywords; i++)
        if (n->keywords[i].kind == kind)
            return &n->keywords[i];
    return NULL;
}

/* Kinds are numbered in the order in which keywords must be applied. */
static void keywords_order(schema_node *n)
{
    qsort(n->keywords, n->n_keywords, sizeof *n->keywords, keyword_compare);
    node_keyword *additional = (node_keyword *)keyword_of_kind(n, KEYWORD_ADDITIONAL_PROPERTIES);
    if (!additional)
        return;
    additional->as.additional.properties = keyword_of_kind(n, KEYWORD_PROPERTIES);
    additional->as.additional.patterns = keyword_of_kind(n, KEYWORD_PATTERN_PROPERTIES);
}

status_class keyword_compile_all(compiler *c, schema_node *n)
{
    const char *name;
    json_t *value;
    schema_draft draft = n->resource->draft;
    bool only_ref = draft == SCHEMA_DRAFT_7 && json_object_get(n->source, "$ref");
    n->keywords = arena_zero(c->arena, json_object_size(n->source) + 1, sizeof *n->keywords);
    json_object_foreach((json_t *)n->source, name, value)
    {
        const keyword_rule *rule = keyword_rule_find(name, draft);
        if (!rule || (only_ref && rule->kind != KEYWORD_REF) ||
            !(rule->vocabulary & n->resource->vocabularies))
            continue;
        node_keyword *k = &n->keywords[n->n_keywords];
        *k = (node_keyword){.kind = rule->kind, .name = rule->name, .value = value};
        if (rule->compile && rule->compile(c, n, k) != STATUS_OK)
            return c->st->class;
        n->n_keywords += k->kind != KEYWORD_NOTHING;
    }
    keywords_order(n);
    return STATUS_OK;
}
