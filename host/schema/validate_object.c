/* Keywords about objects. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/evaluation.h"

/* ---- objects ---- */

bool check_min_properties(evaluation *e, const frame *f, const node_keyword *k)
{
    return !json_is_object(f->value) || json_object_size(f->value) >= k->as.count ||
           evaluation_fail(e, f, k, "must have at least %llu properties", (unsigned long long)k->as.count);
}

bool check_max_properties(evaluation *e, const frame *f, const node_keyword *k)
{
    return !json_is_object(f->value) || json_object_size(f->value) <= k->as.count ||
           evaluation_fail(e, f, k, "must have at most %llu properties", (unsigned long long)k->as.count);
}

static bool check_names(evaluation *e, const frame *f, const node_keyword *k, const json_t *names)
{
    bool valid = true;
    if (!evaluation_spend(e, json_array_size(names)))
        return false;
    for (size_t i = 0; i < json_array_size(names) && (valid || evaluation_wants_more(e)); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        if (!json_object_get(f->value, name))
            valid = evaluation_fail(e, f, k, "property %.100s is required", name);
    }
    return valid;
}

bool check_required(evaluation *e, const frame *f, const node_keyword *k)
{
    return !json_is_object(f->value) || check_names(e, f, k, k->value);
}

bool check_dependencies(evaluation *e, const frame *f, const node_keyword *k)
{
    bool valid = true;
    if (!json_is_object(f->value))
        return true;
    for (uint32_t i = 0; i < k->as.members.n && (valid || evaluation_wants_more(e)); i++) {
        const node_member *m = &k->as.members.items[i];
        if (json_object_get(f->value, m->name))
            valid = (m->names ? check_names(e, f, k, m->names) : evaluation_apply(e, f, m->node)) && valid;
    }
    return valid;
}

bool check_property_names(evaluation *e, const frame *f, const node_keyword *k)
{
    const char *key;
    json_t *value;
    bool valid = true;
    if (!json_is_object(f->value))
        return true;
    json_object_foreach((json_t *)f->value, key, value)
    {
        json_t *name = json_string(key);
        valid = evaluation_apply_part(e, f, k->as.node, name, key, 0) && valid;
        json_decref(name);
        if (!valid && !evaluation_wants_more(e))
            break;
    }
    return valid;
}

static int member_compare(const void *name, const void *m)
{
    return strcmp(name, ((const node_member *)m)->name);
}

const node_member *node_member_find(const node_keyword *properties, const char *name)
{
    if (!properties || properties->as.members.n == 0)
        return NULL;
    return bsearch(name, properties->as.members.items, properties->as.members.n, sizeof(node_member),
                   member_compare);
}

bool check_properties(evaluation *e, const frame *f, const node_keyword *k)
{
    const char *key;
    json_t *value;
    bool valid = true;
    if (!json_is_object(f->value))
        return true;
    json_object_foreach((json_t *)f->value, key, value)
    {
        const node_member *m = node_member_find(k, key);
        if (!m)
            continue;
        evaluation_mark_member(e, f, key);
        valid = evaluation_apply_part(e, f, m->node, value, key, 0) && valid;
        if (!valid && !evaluation_wants_more(e))
            break;
    }
    return valid;
}

bool check_pattern_properties(evaluation *e, const frame *f, const node_keyword *k)
{
    const char *key;
    json_t *value;
    bool valid = true;
    if (!json_is_object(f->value))
        return true;
    json_object_foreach((json_t *)f->value, key, value)
    {
        bool marked = false;
        for (uint32_t i = 0; i < k->as.members.n && (valid || evaluation_wants_more(e)) && !e->stop; i++) {
            const node_member *m = &k->as.members.items[i];
            if (!evaluation_matches(e, m->pattern, key, strlen(key)))
                continue;
            if (!marked)
                evaluation_mark_member(e, f, key);
            marked = true;
            valid = evaluation_apply_part(e, f, m->node, value, key, 0) && valid;
        }
    }
    return valid;
}

static bool matches_any(evaluation *e, const node_keyword *patterns, const char *key)
{
    for (uint32_t i = 0; patterns && i < patterns->as.members.n && !e->stop; i++)
        if (evaluation_matches(e, patterns->as.members.items[i].pattern, key, strlen(key)))
            return true;
    return false;
}

/* A member that the schema is false for is better reported by name. */
static bool apply_rest(evaluation *e, const frame *f, const node_keyword *k, const schema_node *n,
                       const char *key, const json_t *value)
{
    if (n->is_boolean && !n->verdict)
        return evaluation_fail(e, f, k, "property %.100s is not allowed", key);
    return evaluation_apply_part(e, f, n, value, key, 0);
}

bool check_additional_properties(evaluation *e, const frame *f, const node_keyword *k)
{
    const char *key;
    json_t *value;
    bool valid = true;
    if (!json_is_object(f->value))
        return true;
    json_object_foreach((json_t *)f->value, key, value)
    {
        if (!evaluation_spend(e, 1))
            return false;
        if (node_member_find(k->as.additional.properties, key) ||
            matches_any(e, k->as.additional.patterns, key))
            continue;
        evaluation_mark_member(e, f, key);
        valid = apply_rest(e, f, k, k->as.additional.node, key, value) && valid;
        if (!valid && !evaluation_wants_more(e))
            break;
    }
    return valid;
}

bool check_unevaluated_properties(evaluation *e, const frame *f, const node_keyword *k)
{
    const char *key;
    json_t *value;
    bool valid = true;
    size_t end = e->n_marks;
    if (!json_is_object(f->value))
        return true;
    if (!evaluation_spend(e, end - f->base))
        return false;
    evaluation_sort_marks(e, f);
    json_object_foreach((json_t *)f->value, key, value)
    {
        if (evaluation_is_marked(e, f->base, end, key))
            continue;
        evaluation_mark_member(e, f, key);
        valid = apply_rest(e, f, k, k->as.node, key, value) && valid;
        if (!valid && !evaluation_wants_more(e))
            break;
    }
    return valid;
}
