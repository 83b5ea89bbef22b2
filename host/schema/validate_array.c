/* Keywords about arrays. */
#include "schema/evaluation.h"

/* ---- arrays ---- */

bool check_min_items(evaluation *e, const frame *f, const node_keyword *k)
{
    return !json_is_array(f->value) || json_array_size(f->value) >= k->as.count ||
           evaluation_fail(e, f, k, "must have at least %llu items", (unsigned long long)k->as.count);
}

bool check_max_items(evaluation *e, const frame *f, const node_keyword *k)
{
    return !json_is_array(f->value) || json_array_size(f->value) <= k->as.count ||
           evaluation_fail(e, f, k, "must have at most %llu items", (unsigned long long)k->as.count);
}

bool check_unique_items(evaluation *e, const frame *f, const node_keyword *k)
{
    uint64_t steps = 0;
    size_t a, b;
    if (!json_is_array(f->value))
        return true;
    bool found = value_find_duplicate(f->value, e->schema->limits.steps, &steps, &a, &b);
    if (!evaluation_spend(e, steps))
        return false;
    return !found || evaluation_fail(e, f, k, "items %zu and %zu are equal", a, b);
}

static bool apply_items(evaluation *e, const frame *f, const schema_node *n, size_t from)
{
    bool valid = true;
    for (size_t i = from; i < json_array_size(f->value); i++) {
        if (evaluation_apply_part(e, f, n, json_array_get(f->value, i), NULL, i))
            continue;
        valid = false;
        if (!evaluation_wants_more(e))
            break;
    }
    return valid;
}

bool check_prefix_items(evaluation *e, const frame *f, const node_keyword *k)
{
    bool valid = true;
    size_t n = json_is_array(f->value) ? json_array_size(f->value) : 0;
    if (n > k->as.list.n)
        n = k->as.list.n;
    for (size_t i = 0; i < n && (valid || evaluation_wants_more(e)); i++)
        valid =
            evaluation_apply_part(e, f, k->as.list.items[i], json_array_get(f->value, i), NULL, i) && valid;
    evaluation_mark_items(e, f, 0, n);
    return valid;
}

bool check_items(evaluation *e, const frame *f, const node_keyword *k)
{
    if (!json_is_array(f->value))
        return true;
    evaluation_mark_items(e, f, k->as.items.from, json_array_size(f->value));
    return apply_items(e, f, k->as.items.node, k->as.items.from);
}

bool check_contains(evaluation *e, const frame *f, const node_keyword *k)
{
    uint64_t found = 0;
    if (!json_is_array(f->value))
        return true;
    for (size_t i = 0; i < json_array_size(f->value) && !e->stop; i++) {
        e->quiet++;
        bool fits = evaluation_apply_part(e, f, k->as.contains.node, json_array_get(f->value, i), NULL, i);
        e->quiet--;
        found += fits;
        if (fits && k->as.contains.marks)
            evaluation_mark_items(e, f, i, i + 1);
        if (found > k->as.contains.max ||
            (!f->marking && found >= k->as.contains.min && k->as.contains.max == UINT64_MAX))
            break;
    }
    if (found < k->as.contains.min)
        return evaluation_fail(e, f, k, "must contain at least %llu such items",
                               (unsigned long long)k->as.contains.min);
    return found <= k->as.contains.max || evaluation_fail(e, f, k, "must contain at most %llu such items",
                                                          (unsigned long long)k->as.contains.max);
}

bool check_unevaluated_items(evaluation *e, const frame *f, const node_keyword *k)
{
    bool valid = true;
    size_t next = 0, size = json_is_array(f->value) ? json_array_size(f->value) : 0, end = e->n_marks;
    if (!evaluation_spend(e, end - f->base))
        return false;
    evaluation_sort_marks(e, f);
    for (size_t m = f->base; m <= end && (valid || evaluation_wants_more(e)); m++) {
        size_t to = m < end && e->marks[m].from < size ? e->marks[m].from : m < end ? 0 : size;
        for (; next < to && (valid || evaluation_wants_more(e)); next++)
            valid =
                evaluation_apply_part(e, f, k->as.node, json_array_get(f->value, next), NULL, next) && valid;
        if (m < end && e->marks[m].to > next)
            next = e->marks[m].to;
    }
    evaluation_mark_items(e, f, 0, size);
    return valid;
}
