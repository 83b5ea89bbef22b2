/* Applies nodes to values. One function a keyword; a frame on the C stack for each subschema being applied.
 *
 * Annotations for unevaluated… are marks on one stack: what a subschema evaluated of the value in hand lies
 * above the height at which its node began, and is cut off again when a branch fails. So merging costs
 * nothing, and a node sees its own keywords' marks but never its cousins'. */
#include "schema/evaluation.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"

static bool evaluate(evaluation *e, const schema_node *n, const frame *outer, const json_t *value,
                     const place *at, bool marking);

/* ---- errors ---- */

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

bool evaluation_wants_more(const evaluation *e)
{
    return !e->quiet && e->errors && e->errors->n < e->errors->max;
}

__attribute__((format(printf, 4, 5))) bool evaluation_fail(evaluation *e, const frame *f,
                                                           const node_keyword *k, const char *fmt, ...)
{
    char sentence[320];
    va_list args;
    if (e->quiet || e->stop || (e->failed && !evaluation_wants_more(e)))
        return false;
    va_start(args, fmt);
    vsnprintf(sentence, sizeof sentence, fmt, args);
    va_end(args);
    if (!e->failed)
        status_at(e->st, STATUS_INVALID, place_text(f->place, e->scratch), "%s", sentence);
    e->failed = true;
    if (!evaluation_wants_more(e))
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

bool evaluation_give_up(evaluation *e, status_class class, const char *why)
{
    if (e->stop)
        return false;
    e->stop = class;
    status_set(e->st, class, "schema: %s", why);
    return false;
}

bool evaluation_spend(evaluation *e, uint64_t steps)
{
    e->steps += steps;
    if (e->steps > e->schema->limits.steps)
        return evaluation_give_up(e, STATUS_LIMIT, "checking takes more steps than allowed");
    return true;
}

/* ---- marks ---- */

static void mark_add(evaluation *e, uintptr_t from, uintptr_t to)
{
    if (e->n_marks == e->marks_room) {
        e->marks_room = e->marks_room ? e->marks_room * 2 : 64;
        e->marks = memory_grow(e->marks, e->marks_room * sizeof(mark));
    }
    e->marks[e->n_marks++] = (mark){.from = from, .to = to};
}

void evaluation_mark_items(evaluation *e, const frame *f, size_t from, size_t to)
{
    if (f->marking && from < to)
        mark_add(e, from, to);
}

void evaluation_mark_member(evaluation *e, const frame *f, const char *key)
{
    if (f->marking)
        mark_add(e, (uintptr_t)key, (uintptr_t)key + 1);
}

static int mark_compare(const void *a, const void *b)
{
    const mark *x = a, *y = b;
    return (x->from > y->from) - (x->from < y->from);
}

void evaluation_sort_marks(evaluation *e, const frame *f)
{
    if (e->n_marks > f->base + 1)
        qsort(e->marks + f->base, e->n_marks - f->base, sizeof(mark), mark_compare);
}

bool evaluation_is_marked(const evaluation *e, size_t base, size_t end, const char *key)
{
    mark wanted = {.from = (uintptr_t)key};
    return end > base && bsearch(&wanted, e->marks + base, end - base, sizeof(mark), mark_compare);
}

/* ---- applying subschemas ---- */

bool evaluation_apply_part(evaluation *e, const frame *f, const schema_node *n, const json_t *part,
                           const char *key, size_t index)
{
    place at = {.outer = f->place, .key = key, .index = index};
    size_t height = e->n_marks;
    bool valid = evaluate(e, n, f, part, &at, false);
    e->n_marks = height;
    return valid;
}

/* To the value itself, as a branch: its errors are not reported, its marks go when it fails. */
static bool evaluation_apply_branch(evaluation *e, const frame *f, const schema_node *n)
{
    size_t height = e->n_marks;
    e->quiet++;
    bool valid = evaluate(e, n, f, f->value, f->place, f->marking);
    e->quiet--;
    if (!valid)
        e->n_marks = height;
    return valid;
}

bool evaluation_apply(evaluation *e, const frame *f, const schema_node *n)
{
    return evaluate(e, n, f, f->value, f->place, f->marking);
}

/* ---- references ---- */

bool check_ref(evaluation *e, const frame *f, const node_keyword *k)
{
    return evaluation_apply(e, f, k->as.node);
}

bool check_dynamic_ref(evaluation *e, const frame *f, const node_keyword *k)
{
    const schema_node *target = k->as.dynamic.node;
    for (const scope *s = f->scope; s && k->as.dynamic.anchor; s = s->outer)
        for (const dynamic_anchor *d = s->resource->dynamic; d; d = d->next)
            if (strcmp(d->name, k->as.dynamic.anchor) == 0)
                target = d->node; /* the outermost one stays */
    return evaluation_apply(e, f, target);
}

/* ---- logic ---- */

bool check_all_of(evaluation *e, const frame *f, const node_keyword *k)
{
    bool valid = true;
    for (uint32_t i = 0; i < k->as.list.n && (valid || evaluation_wants_more(e)); i++)
        valid = evaluation_apply(e, f, k->as.list.items[i]) && valid;
    return valid;
}

/* With marks wanted, every branch must be looked at. */
bool check_any_of(evaluation *e, const frame *f, const node_keyword *k)
{
    bool valid = false;
    for (uint32_t i = 0; i < k->as.list.n && (!valid || f->marking) && !e->stop; i++)
        valid = evaluation_apply_branch(e, f, k->as.list.items[i]) || valid;
    return valid || evaluation_fail(e, f, k, "fits none of the %u alternatives", k->as.list.n);
}

bool check_one_of(evaluation *e, const frame *f, const node_keyword *k)
{
    uint32_t fits[2] = {0, 0}, n = 0;
    for (uint32_t i = 0; i < k->as.list.n && n < 2 && !e->stop; i++)
        if (evaluation_apply_branch(e, f, k->as.list.items[i]))
            fits[n++] = i;
    if (n == 2)
        return evaluation_fail(e, f, k, "fits alternatives %u and %u, must fit exactly one", fits[0],
                               fits[1]);
    return n == 1 || evaluation_fail(e, f, k, "fits none of the %u alternatives", k->as.list.n);
}

bool check_not(evaluation *e, const frame *f, const node_keyword *k)
{
    size_t height = e->n_marks;
    bool fits = evaluation_apply_branch(e, f, k->as.node);
    e->n_marks = height;
    return !fits || evaluation_fail(e, f, k, "must not fit the schema under `not`");
}

bool check_if(evaluation *e, const frame *f, const node_keyword *k)
{
    const schema_node *next =
        evaluation_apply_branch(e, f, k->as.branch.condition) ? k->as.branch.then : k->as.branch.otherwise;
    return !next || e->stop || evaluation_apply(e, f, next);
}

/* ---- the walk ---- */

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
            return evaluation_give_up(e, STATUS_INVALID,
                                      "a reference applies itself to the same value without end");
    return evaluation_give_up(e, STATUS_LIMIT,
                              "subschemas are applied inside each other deeper than allowed");
}

static bool apply_keywords(evaluation *e, const frame *f)
{
    bool valid = true;
    for (uint32_t i = 0; i < f->node->n_keywords; i++) {
        const node_keyword *k = &f->node->keywords[i];
        if (!checks[k->kind](e, f, k))
            valid = false;
        if (e->stop || (!valid && !evaluation_wants_more(e)))
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
    if (e->stop || !evaluation_spend(e, 1 + n->n_keywords))
        return false;
    if (n->is_boolean)
        return n->verdict || evaluation_fail(e, &f, NULL, "nothing is allowed here");
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
