/* Applies nodes to values. One function a keyword; a frame on the C stack for each subschema being applied.
 *
 * Annotations for unevaluated… are marks on one stack: what a subschema evaluated of the value in hand lies
 * above the height at which its node began, and is cut off again when a branch fails. So merging costs
 * nothing, and a node sees its own keywords' marks but never its cousins'. */
#include "schema/validate.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "schema/node.h"

/* What was evaluated: one member (its key's address) or the items [from, to). */
typedef struct mark {
    uintptr_t from, to;
} mark;

typedef struct evaluation {
    const schema *schema;
    uint64_t steps;
    uint32_t depth;
    unsigned quiet; /* > 0: in a branch whose failure is no error yet */
    schema_errors *errors;
    arena *scratch;
    status *st;
    bool failed;       /* an error has been written to st */
    status_class stop; /* not OK: give up */
    mark *marks;
    size_t n_marks, marks_room;
} evaluation;

typedef struct scope { /* resources entered, innermost first */
    const resource *resource;
    const struct scope *outer;
} scope;

typedef struct place { /* where in the value */
    const struct place *outer;
    const char *key;
    size_t index;
} place;

typedef struct frame {
    const schema_node *node;
    const json_t *value;
    const place *place;
    const scope *scope;
    const struct frame *outer;
    size_t base; /* marks above belong to this frame */
    bool marking;
} frame;

static bool evaluate(evaluation *e, const schema_node *n, const frame *outer, const json_t *value,
                     const place *at, bool marking);

/* ---- errors */

static void place_write(const place *at, text *out)
{
    if (!at)
        return;
    place_write(at->outer, out);
    if (!at->key) {
        text_printf(out, "/%zu", at->index);
        return;
    }
    text_add_char(out, '/');
    for (const char *c = at->key; *c; c++) {
        if (*c == '~' || *c == '/')
            text_add(out, *c == '~' ? "~0" : "~1");
        else
            text_add_char(out, *c);
    }
}

static const char *place_text(const place *at, arena *a)
{
    text t = {0};
    place_write(at, &t);
    const char *pointer = arena_string(a, text_or_empty(&t));
    text_free(&t);
    return pointer;
}

static bool wants_more(const evaluation *e)
{
    return !e->quiet && e->errors && e->errors->n < e->errors->max;
}

/* Notes an error and answers false. */
__attribute__((format(printf, 4, 5))) static bool fail(evaluation *e, const frame *f, const node_keyword *k,
                                                       const char *fmt, ...)
{
    char sentence[320];
    va_list args;
    if (e->quiet || e->stop || (e->failed && !wants_more(e)))
        return false;
    va_start(args, fmt);
    vsnprintf(sentence, sizeof sentence, fmt, args);
    va_end(args);
    if (!e->failed)
        status_at(e->st, STATUS_INVALID, place_text(f->place, e->scratch), "%s", sentence);
    e->failed = true;
    if (!wants_more(e))
        return false;
    arena *a = e->errors->arena;
    e->errors->items[e->errors->n++] = (schema_error){
        .instance = place_text(f->place, a),
        .schema = arena_printf(a, "%s#%s%s%s", f->node->document, node_pointer(f->node, e->scratch),
                               k ? "/" : "", k ? k->name : ""),
        .keyword = k ? k->name : "false",
        .sentence = arena_string(a, sentence),
    };
    return false;
}

static bool give_up(evaluation *e, status_class class, const char *why)
{
    if (e->stop)
        return false;
    e->stop = class;
    status_set(e->st, class, "schema: %s", why);
    return false;
}

static bool spend(evaluation *e, uint64_t steps)
{
    e->steps += steps;
    if (e->steps > e->schema->limits.steps)
        return give_up(e, STATUS_LIMIT, "checking takes more steps than allowed");
    return true;
}

/* ---- marks */

static void mark_add(evaluation *e, uintptr_t from, uintptr_t to)
{
    if (e->n_marks == e->marks_room) {
        e->marks_room = e->marks_room ? e->marks_room * 2 : 64;
        e->marks = memory_grow(e->marks, e->marks_room * sizeof(mark));
    }
    e->marks[e->n_marks++] = (mark){.from = from, .to = to};
}

static void mark_items(evaluation *e, const frame *f, size_t from, size_t to)
{
    if (f->marking && from < to)
        mark_add(e, from, to);
}

static void mark_member(evaluation *e, const frame *f, const char *key)
{
    if (f->marking)
        mark_add(e, (uintptr_t)key, (uintptr_t)key + 1);
}

static int mark_compare(const void *a, const void *b)
{
    const mark *x = a, *y = b;
    return (x->from > y->from) - (x->from < y->from);
}

static void marks_sort(evaluation *e, const frame *f)
{
    if (e->n_marks > f->base + 1)
        qsort(e->marks + f->base, e->n_marks - f->base, sizeof(mark), mark_compare);
}

static bool member_is_marked(const evaluation *e, size_t base, size_t end, const char *key)
{
    mark wanted = {.from = (uintptr_t)key};
    return end > base && bsearch(&wanted, e->marks + base, end - base, sizeof(mark), mark_compare);
}

/* ---- applying subschemas */

/* To a part of the value: marks are about another value then. */
static bool apply_part(evaluation *e, const frame *f, const schema_node *n, const json_t *part,
                       const char *key, size_t index)
{
    place at = {.outer = f->place, .key = key, .index = index};
    size_t height = e->n_marks;
    bool valid = evaluate(e, n, f, part, &at, false);
    e->n_marks = height;
    return valid;
}

/* To the value itself, as a branch: its errors are not reported, its marks go when it fails. */
static bool apply_branch(evaluation *e, const frame *f, const schema_node *n)
{
    size_t height = e->n_marks;
    e->quiet++;
    bool valid = evaluate(e, n, f, f->value, f->place, f->marking);
    e->quiet--;
    if (!valid)
        e->n_marks = height;
    return valid;
}

static bool apply_in_place(evaluation *e, const frame *f, const schema_node *n)
{
    return evaluate(e, n, f, f->value, f->place, f->marking);
}

/* ---- references */

static bool check_ref(evaluation *e, const frame *f, const node_keyword *k)
{
    return apply_in_place(e, f, k->as.node);
}

static bool check_dynamic_ref(evaluation *e, const frame *f, const node_keyword *k)
{
    const schema_node *target = k->as.dynamic.node;
    for (const scope *s = f->scope; s && k->as.dynamic.anchor; s = s->outer)
        for (const dynamic_anchor *d = s->resource->dynamic; d; d = d->next)
            if (strcmp(d->name, k->as.dynamic.anchor) == 0)
                target = d->node; /* the outermost one stays */
    return apply_in_place(e, f, target);
}

/* ---- assertions on any value */

static uint32_t types_of(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        return TYPE_OBJECT;
    case JSON_ARRAY:
        return TYPE_ARRAY;
    case JSON_STRING:
        return TYPE_STRING;
    case JSON_INTEGER:
        return TYPE_INTEGER | TYPE_NUMBER;
    case JSON_REAL:
        return number_is_integer(v) ? TYPE_INTEGER | TYPE_NUMBER : TYPE_NUMBER;
    case JSON_TRUE:
    case JSON_FALSE:
        return TYPE_BOOLEAN;
    default:
        return TYPE_NULL;
    }
}

static bool check_type(evaluation *e, const frame *f, const node_keyword *k)
{
    char names[96];
    static const char *const words[] = {"null", "boolean", "integer", "number", "string", "array", "object"};
    if (types_of(f->value) & k->as.types)
        return true;
    if (e->quiet)
        return false;
    size_t n = 0;
    for (unsigned i = 0; i < sizeof words / sizeof *words; i++)
        if (k->as.types & 1U << i)
            n += (size_t)snprintf(names + n, sizeof names - n, "%s%s", n ? " or " : "", words[i]);
    return fail(e, f, k, "must be %s", names);
}

static bool check_enum(evaluation *e, const frame *f, const node_keyword *k)
{
    uint64_t steps = 0;
    bool found = value_set_has(k->as.set, f->value, &steps);
    if (!spend(e, steps))
        return false;
    return found || fail(e, f, k, "must be one of the %u values of the enum", k->as.set->n);
}

static bool check_const(evaluation *e, const frame *f, const node_keyword *k)
{
    uint64_t steps = 0;
    bool same = value_equal(f->value, k->value, &steps);
    if (!spend(e, steps))
        return false;
    return same || fail(e, f, k, "must be the constant of the schema");
}

/* ---- numbers */

static bool fail_bound(evaluation *e, const frame *f, const node_keyword *k, const char *words)
{
    if (e->quiet)
        return false;
    char *bound = json_dumps(k->value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    bool result = fail(e, f, k, "must be %s %s", words, bound ? bound : "");
    free(bound);
    return result;
}

static bool check_minimum(evaluation *e, const frame *f, const node_keyword *k)
{
    return !json_is_number(f->value) || number_compare(f->value, k->value) >= 0 ||
           fail_bound(e, f, k, "at least");
}

static bool check_maximum(evaluation *e, const frame *f, const node_keyword *k)
{
    return !json_is_number(f->value) || number_compare(f->value, k->value) <= 0 ||
           fail_bound(e, f, k, "at most");
}

static bool check_exclusive_minimum(evaluation *e, const frame *f, const node_keyword *k)
{
    return !json_is_number(f->value) || number_compare(f->value, k->value) > 0 ||
           fail_bound(e, f, k, "greater than");
}

static bool check_exclusive_maximum(evaluation *e, const frame *f, const node_keyword *k)
{
    return !json_is_number(f->value) || number_compare(f->value, k->value) < 0 ||
           fail_bound(e, f, k, "less than");
}

static bool check_multiple_of(evaluation *e, const frame *f, const node_keyword *k)
{
    return !json_is_number(f->value) || decimal_is_multiple(decimal_of_json(f->value), k->as.divisor) ||
           fail_bound(e, f, k, "a multiple of");
}

/* ---- strings */

static bool check_min_length(evaluation *e, const frame *f, const node_keyword *k)
{
    if (!json_is_string(f->value) ||
        utf8_length(json_string_value(f->value), json_string_length(f->value)) >= k->as.count)
        return true;
    return fail(e, f, k, "must have at least %llu characters", (unsigned long long)k->as.count);
}

static bool check_max_length(evaluation *e, const frame *f, const node_keyword *k)
{
    if (!json_is_string(f->value) ||
        utf8_length(json_string_value(f->value), json_string_length(f->value)) <= k->as.count)
        return true;
    return fail(e, f, k, "must have at most %llu characters", (unsigned long long)k->as.count);
}

static bool matches(evaluation *e, const pattern *p, const char *s, size_t len)
{
    pattern_result result = spend(e, 1 + len / 64) ? pattern_match(p, s, len) : PATTERN_NO;
    if (result == PATTERN_LIMIT)
        return give_up(e, STATUS_LIMIT, "a regular expression takes more work than allowed");
    return result == PATTERN_YES;
}

static bool check_pattern(evaluation *e, const frame *f, const node_keyword *k)
{
    if (!json_is_string(f->value) ||
        matches(e, k->as.pattern, json_string_value(f->value), json_string_length(f->value)))
        return true;
    return fail(e, f, k, "must match %.200s", json_string_value(k->value));
}

static bool check_format(evaluation *e, const frame *f, const node_keyword *k)
{
    if (!json_is_string(f->value) ||
        format_check(k->as.format, json_string_value(f->value), json_string_length(f->value)))
        return true;
    return fail(e, f, k, "must be a %s", format_name(k->as.format));
}

/* ---- arrays */

static bool check_min_items(evaluation *e, const frame *f, const node_keyword *k)
{
    return !json_is_array(f->value) || json_array_size(f->value) >= k->as.count ||
           fail(e, f, k, "must have at least %llu items", (unsigned long long)k->as.count);
}

static bool check_max_items(evaluation *e, const frame *f, const node_keyword *k)
{
    return !json_is_array(f->value) || json_array_size(f->value) <= k->as.count ||
           fail(e, f, k, "must have at most %llu items", (unsigned long long)k->as.count);
}

static bool check_unique_items(evaluation *e, const frame *f, const node_keyword *k)
{
    uint64_t steps = 0;
    size_t a, b;
    if (!json_is_array(f->value))
        return true;
    bool found = value_find_duplicate(f->value, e->schema->limits.steps, &steps, &a, &b);
    if (!spend(e, steps))
        return false;
    return !found || fail(e, f, k, "items %zu and %zu are equal", a, b);
}

static bool apply_items(evaluation *e, const frame *f, const schema_node *n, size_t from)
{
    bool valid = true;
    for (size_t i = from; i < json_array_size(f->value); i++) {
        if (apply_part(e, f, n, json_array_get(f->value, i), NULL, i))
            continue;
        valid = false;
        if (!wants_more(e))
            break;
    }
    return valid;
}

static bool check_prefix_items(evaluation *e, const frame *f, const node_keyword *k)
{
    bool valid = true;
    size_t n = json_is_array(f->value) ? json_array_size(f->value) : 0;
    if (n > k->as.list.n)
        n = k->as.list.n;
    for (size_t i = 0; i < n && (valid || wants_more(e)); i++)
        valid = apply_part(e, f, k->as.list.items[i], json_array_get(f->value, i), NULL, i) && valid;
    mark_items(e, f, 0, n);
    return valid;
}

static bool check_items(evaluation *e, const frame *f, const node_keyword *k)
{
    if (!json_is_array(f->value))
        return true;
    mark_items(e, f, k->as.items.from, json_array_size(f->value));
    return apply_items(e, f, k->as.items.node, k->as.items.from);
}

static bool check_contains(evaluation *e, const frame *f, const node_keyword *k)
{
    uint64_t found = 0;
    if (!json_is_array(f->value))
        return true;
    for (size_t i = 0; i < json_array_size(f->value) && !e->stop; i++) {
        e->quiet++;
        bool fits = apply_part(e, f, k->as.contains.node, json_array_get(f->value, i), NULL, i);
        e->quiet--;
        found += fits;
        if (fits && k->as.contains.marks)
            mark_items(e, f, i, i + 1);
        if (found > k->as.contains.max ||
            (!f->marking && found >= k->as.contains.min && k->as.contains.max == UINT64_MAX))
            break;
    }
    if (found < k->as.contains.min)
        return fail(e, f, k, "must contain at least %llu such items", (unsigned long long)k->as.contains.min);
    return found <= k->as.contains.max ||
           fail(e, f, k, "must contain at most %llu such items", (unsigned long long)k->as.contains.max);
}

static bool check_unevaluated_items(evaluation *e, const frame *f, const node_keyword *k)
{
    bool valid = true;
    size_t next = 0, size = json_is_array(f->value) ? json_array_size(f->value) : 0, end = e->n_marks;
    if (!spend(e, end - f->base))
        return false;
    marks_sort(e, f);
    for (size_t m = f->base; m <= end && (valid || wants_more(e)); m++) {
        size_t to = m < end && e->marks[m].from < size ? e->marks[m].from : m < end ? 0 : size;
        for (; next < to && (valid || wants_more(e)); next++)
            valid = apply_part(e, f, k->as.node, json_array_get(f->value, next), NULL, next) && valid;
        if (m < end && e->marks[m].to > next)
            next = e->marks[m].to;
    }
    mark_items(e, f, 0, size);
    return valid;
}

/* ---- objects */

static bool check_min_properties(evaluation *e, const frame *f, const node_keyword *k)
{
    return !json_is_object(f->value) || json_object_size(f->value) >= k->as.count ||
           fail(e, f, k, "must have at least %llu properties", (unsigned long long)k->as.count);
}

static bool check_max_properties(evaluation *e, const frame *f, const node_keyword *k)
{
    return !json_is_object(f->value) || json_object_size(f->value) <= k->as.count ||
           fail(e, f, k, "must have at most %llu properties", (unsigned long long)k->as.count);
}

static bool check_names(evaluation *e, const frame *f, const node_keyword *k, const json_t *names)
{
    bool valid = true;
    if (!spend(e, json_array_size(names)))
        return false;
    for (size_t i = 0; i < json_array_size(names) && (valid || wants_more(e)); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        if (!json_object_get(f->value, name))
            valid = fail(e, f, k, "property %.100s is required", name);
    }
    return valid;
}

static bool check_required(evaluation *e, const frame *f, const node_keyword *k)
{
    return !json_is_object(f->value) || check_names(e, f, k, k->value);
}

static bool check_dependencies(evaluation *e, const frame *f, const node_keyword *k)
{
    bool valid = true;
    if (!json_is_object(f->value))
        return true;
    for (uint32_t i = 0; i < k->as.members.n && (valid || wants_more(e)); i++) {
        const node_member *m = &k->as.members.items[i];
        if (json_object_get(f->value, m->name))
            valid = (m->names ? check_names(e, f, k, m->names) : apply_in_place(e, f, m->node)) && valid;
    }
    return valid;
}

static bool check_property_names(evaluation *e, const frame *f, const node_keyword *k)
{
    const char *key;
    json_t *value;
    bool valid = true;
    if (!json_is_object(f->value))
        return true;
    json_object_foreach((json_t *)f->value, key, value)
    {
        json_t *name = json_string(key);
        valid = apply_part(e, f, k->as.node, name, key, 0) && valid;
        json_decref(name);
        if (!valid && !wants_more(e))
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

static bool check_properties(evaluation *e, const frame *f, const node_keyword *k)
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
        mark_member(e, f, key);
        valid = apply_part(e, f, m->node, value, key, 0) && valid;
        if (!valid && !wants_more(e))
            break;
    }
    return valid;
}

static bool check_pattern_properties(evaluation *e, const frame *f, const node_keyword *k)
{
    const char *key;
    json_t *value;
    bool valid = true;
    if (!json_is_object(f->value))
        return true;
    json_object_foreach((json_t *)f->value, key, value)
    {
        bool marked = false;
        for (uint32_t i = 0; i < k->as.members.n && (valid || wants_more(e)) && !e->stop; i++) {
            const node_member *m = &k->as.members.items[i];
            if (!matches(e, m->pattern, key, strlen(key)))
                continue;
            if (!marked)
                mark_member(e, f, key);
            marked = true;
            valid = apply_part(e, f, m->node, value, key, 0) && valid;
        }
    }
    return valid;
}

static bool matches_any(evaluation *e, const node_keyword *patterns, const char *key)
{
    for (uint32_t i = 0; patterns && i < patterns->as.members.n && !e->stop; i++)
        if (matches(e, patterns->as.members.items[i].pattern, key, strlen(key)))
            return true;
    return false;
}

/* A member that the schema is false for is better reported by name. */
static bool apply_rest(evaluation *e, const frame *f, const node_keyword *k, const schema_node *n,
                       const char *key, const json_t *value)
{
    if (n->is_boolean && !n->verdict)
        return fail(e, f, k, "property %.100s is not allowed", key);
    return apply_part(e, f, n, value, key, 0);
}

static bool check_additional_properties(evaluation *e, const frame *f, const node_keyword *k)
{
    const char *key;
    json_t *value;
    bool valid = true;
    if (!json_is_object(f->value))
        return true;
    json_object_foreach((json_t *)f->value, key, value)
    {
        if (!spend(e, 1))
            return false;
        if (node_member_find(k->as.additional.properties, key) ||
            matches_any(e, k->as.additional.patterns, key))
            continue;
        mark_member(e, f, key);
        valid = apply_rest(e, f, k, k->as.additional.node, key, value) && valid;
        if (!valid && !wants_more(e))
            break;
    }
    return valid;
}

static bool check_unevaluated_properties(evaluation *e, const frame *f, const node_keyword *k)
{
    const char *key;
    json_t *value;
    bool valid = true;
    size_t end = e->n_marks;
    if (!json_is_object(f->value))
        return true;
    if (!spend(e, end - f->base))
        return false;
    marks_sort(e, f);
    json_object_foreach((json_t *)f->value, key, value)
    {
        if (member_is_marked(e, f->base, end, key))
            continue;
        mark_member(e, f, key);
        valid = apply_rest(e, f, k, k->as.node, key, value) && valid;
        if (!valid && !wants_more(e))
            break;
    }
    return valid;
}

/* ---- logic */

static bool check_all_of(evaluation *e, const frame *f, const node_keyword *k)
{
    bool valid = true;
    for (uint32_t i = 0; i < k->as.list.n && (valid || wants_more(e)); i++)
        valid = apply_in_place(e, f, k->as.list.items[i]) && valid;
    return valid;
}

/* With marks wanted, every branch must be looked at. */
static bool check_any_of(evaluation *e, const frame *f, const node_keyword *k)
{
    bool valid = false;
    for (uint32_t i = 0; i < k->as.list.n && (!valid || f->marking) && !e->stop; i++)
        valid = apply_branch(e, f, k->as.list.items[i]) || valid;
    return valid || fail(e, f, k, "fits none of the %u alternatives", k->as.list.n);
}

static bool check_one_of(evaluation *e, const frame *f, const node_keyword *k)
{
    uint32_t fits[2] = {0, 0}, n = 0;
    for (uint32_t i = 0; i < k->as.list.n && n < 2 && !e->stop; i++)
        if (apply_branch(e, f, k->as.list.items[i]))
            fits[n++] = i;
    if (n == 2)
        return fail(e, f, k, "fits alternatives %u and %u, must fit exactly one", fits[0], fits[1]);
    return n == 1 || fail(e, f, k, "fits none of the %u alternatives", k->as.list.n);
}

static bool check_not(evaluation *e, const frame *f, const node_keyword *k)
{
    size_t height = e->n_marks;
    bool fits = apply_branch(e, f, k->as.node);
    e->n_marks = height;
    return !fits || fail(e, f, k, "must not fit the schema under `not`");
}

static bool check_if(evaluation *e, const frame *f, const node_keyword *k)
{
    const schema_node *next =
        apply_branch(e, f, k->as.branch.condition) ? k->as.branch.then : k->as.branch.otherwise;
    return !next || e->stop || apply_in_place(e, f, next);
}

/* ---- the walk */

static bool (*const checks[KEYWORD_COUNT])(evaluation *, const frame *, const node_keyword *) = {
    [KEYWORD_REF] = check_ref,
    [KEYWORD_DYNAMIC_REF] = check_dynamic_ref,
    [KEYWORD_TYPE] = check_type,
    [KEYWORD_ENUM] = check_enum,
    [KEYWORD_CONST] = check_const,
    [KEYWORD_MINIMUM] = check_minimum,
    [KEYWORD_MAXIMUM] = check_maximum,
    [KEYWORD_EXCLUSIVE_MINIMUM] = check_exclusive_minimum,
    [KEYWORD_EXCLUSIVE_MAXIMUM] = check_exclusive_maximum,
    [KEYWORD_MULTIPLE_OF] = check_multiple_of,
    [KEYWORD_MIN_LENGTH] = check_min_length,
    [KEYWORD_MAX_LENGTH] = check_max_length,
    [KEYWORD_PATTERN] = check_pattern,
    [KEYWORD_FORMAT] = check_format,
    [KEYWORD_MIN_ITEMS] = check_min_items,
    [KEYWORD_MAX_ITEMS] = check_max_items,
    [KEYWORD_UNIQUE_ITEMS] = check_unique_items,
    [KEYWORD_MIN_PROPERTIES] = check_min_properties,
    [KEYWORD_MAX_PROPERTIES] = check_max_properties,
    [KEYWORD_REQUIRED] = check_required,
    [KEYWORD_DEPENDENT_REQUIRED] = check_dependencies,
    [KEYWORD_DEPENDENT_SCHEMAS] = check_dependencies,
    [KEYWORD_DEPENDENCIES] = check_dependencies,
    [KEYWORD_PROPERTY_NAMES] = check_property_names,
    [KEYWORD_PROPERTIES] = check_properties,
    [KEYWORD_PATTERN_PROPERTIES] = check_pattern_properties,
    [KEYWORD_ADDITIONAL_PROPERTIES] = check_additional_properties,
    [KEYWORD_PREFIX_ITEMS] = check_prefix_items,
    [KEYWORD_ITEMS] = check_items,
    [KEYWORD_CONTAINS] = check_contains,
    [KEYWORD_ALL_OF] = check_all_of,
    [KEYWORD_ANY_OF] = check_any_of,
    [KEYWORD_ONE_OF] = check_one_of,
    [KEYWORD_NOT] = check_not,
    [KEYWORD_IF] = check_if,
    [KEYWORD_UNEVALUATED_ITEMS] = check_unevaluated_items,
    [KEYWORD_UNEVALUATED_PROPERTIES] = check_unevaluated_properties,
};

/* Too deep: because the same schema came back to the same value, or just too deep? */
static bool fail_depth(evaluation *e, const frame *f)
{
    for (const frame *o = f->outer; o && o->value == f->value; o = o->outer)
        if (o->node == f->node)
            return give_up(e, STATUS_INVALID, "a reference applies itself to the same value without end");
    return give_up(e, STATUS_LIMIT, "subschemas are applied inside each other deeper than allowed");
}

static bool apply_keywords(evaluation *e, const frame *f)
{
    bool valid = true;
    for (uint32_t i = 0; i < f->node->n_keywords; i++) {
        const node_keyword *k = &f->node->keywords[i];
        if (!checks[k->kind](e, f, k))
            valid = false;
        if (e->stop || (!valid && !wants_more(e)))
            return false;
    }
    return valid;
}

static bool evaluate(evaluation *e, const schema_node *n, const frame *outer, const json_t *value,
                     const place *at, bool marking)
{
    const scope *around = outer ? outer->scope : NULL;
    scope mine = {.resource = n->resource, .outer = around};
    frame f = {.node = n,
               .value = value,
               .place = at,
               .scope = around && around->resource == n->resource ? around : &mine,
               .outer = outer,
               .base = e->n_marks,
               .marking = marking || n->unevaluated};
    if (e->stop || !spend(e, 1 + n->n_keywords))
        return false;
    if (n->is_boolean)
        return n->verdict || fail(e, &f, NULL, "nothing is allowed here");
    if (e->depth >= e->schema->limits.depth)
        return fail_depth(e, &f);
    e->depth++;
    bool valid = apply_keywords(e, &f);
    e->depth--;
    if (!valid)
        e->n_marks = f.base;
    return valid && !e->stop;
}

status_class node_validate(const schema *s, const schema_node *n, const json_t *value, schema_errors *errors,
                           status *st)
{
    evaluation e = {.schema = s, .errors = errors, .st = st};
    if (errors) {
        errors->n = 0;
        if (errors->max && !errors->items)
            errors->items = arena_zero(errors->arena, errors->max, sizeof *errors->items);
    }
    e.scratch = arena_create(0);
    bool valid = evaluate(&e, n, NULL, value, NULL, false);
    arena_free(e.scratch);
    free(e.marks);
    if (e.stop)
        return e.stop;
    return valid ? STATUS_OK : STATUS_INVALID;
}

status_class schema_validate(const schema *s, const json_t *value, schema_errors *errors, status *st)
{
    return node_validate(s, s->root, value, errors, st);
}
