/* One comparison for each class, chosen by a table; whatever a comparison does not allow is refused with the
 * reason and, where there is one, the way out. */
#include "control/evolution.h"

#include <stdlib.h>
#include <string.h>

#include "schema/additive.h"

typedef struct comparer {
    arena *arena;
    const definition *from, *to;
    bool major; /* the template takes a new major version, or is another template */
    plan_change *changes;
    uint32_t n, cap;
} comparer;

static plan_change *add(comparer *c, plan_action action, const defined_object *o, const char *reason)
{
    if (c->n == c->cap) {
        plan_change *grown = arena_zero(c->arena, c->cap ? 2 * c->cap : 64, sizeof *grown);
        if (c->n)
            memcpy(grown, c->changes, c->n * sizeof *grown);
        c->cap = c->cap ? 2 * c->cap : 64;
        c->changes = grown;
    }
    c->changes[c->n] = (plan_change){.action = action,
                                     .class = o->class,
                                     .key = arena_string(c->arena, o->key),
                                     .reason = arena_string(c->arena, reason)};
    return &c->changes[c->n++];
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_list(text_list a, text_list b)
{
    bool same = a.n == b.n;
    for (uint32_t i = 0; same && i < a.n; i++)
        same = strcmp(a.items[i], b.items[i]) == 0;
    return same;
}

/* ---- stores ---- */

static void compare_schemas(comparer *c, const defined_object *o, const json_t *was, const json_t *is)
{
    schema_changes changes = schema_compare(was, is, c->arena);
    const char *first = NULL;
    for (uint32_t i = 0; i < changes.n; i++)
        if (changes.items[i].kind == changes.worst && !first)
            first = changes.items[i].sentence;
    plan_action action = changes.worst == SCHEMA_BREAKING ? PLAN_REFUSE : PLAN_CHANGE;
    add(c, action, o, first)->rewrite = changes.worst == SCHEMA_REWRITE;
}

/* Why the table of the one cannot become the table of the other; NULL = it can. */
static const char *other_table(const defined_datastore *was, const defined_datastore *is)
{
    if (!same_text(was->time, is->time))
        return "the event time is another column";
    if (!same_list(was->entity, is->entity))
        return "the entity changes";
    if (!same_list(was->unique, is->unique))
        return "the natural key changes";
    if (was->partition != is->partition)
        return "the partitions change";
    return NULL;
}

static void compare_datastore(comparer *c, const defined_object *a, const defined_object *b)
{
    const defined_datastore *was = (const defined_datastore *)a, *is = (const defined_datastore *)b;
    const char *reason = other_table(was, is);
    bool narrower = is->accept_past_us < was->accept_past_us || is->accept_future_us < was->accept_future_us;
    bool shorter = is->retention_us < was->retention_us;
    if (reason)
        add(c, PLAN_REFUSE, b, reason);
    else if (narrower && !shorter && !c->major)
        add(c, PLAN_REFUSE, b, "rows that were accepted would be rejected: `accept` gets narrower");
    else if (!json_equal(was->schema, is->schema))
        compare_schemas(c, b, was->schema, is->schema);
    else
        add(c, PLAN_CHANGE, b, shorter ? "older rows will be deleted: the retention gets shorter" : NULL);
    c->changes[c->n - 1].destructive = shorter;
}

static bool column_stays(const defined_featurestore *is, const store_column *column)
{
    for (uint32_t i = 0; i < is->n_columns; i++)
        if (strcmp(is->columns[i].name, column->name) == 0)
            return is->columns[i].type == column->type;
    return false;
}

/* The columns are known only once the new SQL was described; until then the check is left to applying. */
static void compare_featurestore(comparer *c, const defined_object *a, const defined_object *b)
{
    const defined_featurestore *was = (const defined_featurestore *)a, *is = (const defined_featurestore *)b;
    if (!same_list(was->key, is->key)) {
        add(c, PLAN_REFUSE, b, "the key changes");
        return;
    }
    for (uint32_t i = 0; is->n_columns && i < was->n_columns; i++)
        if (!column_stays(is, &was->columns[i])) {
            add(c, PLAN_REFUSE, b,
                arena_printf(c->arena, "the column %s is gone or has another type", was->columns[i].name));
            return;
        }
    bool recompute = !same_text(was->sql, is->sql) || !same_text(was->bucket, is->bucket) ||
                     !same_text(was->timezone, is->timezone) || was->reach_before_us != is->reach_before_us ||
                     was->reach_after_us != is->reach_after_us;
    bool shorter = is->retention_us < was->retention_us;
    add(c, PLAN_CHANGE, b,
        shorter ? "older rows will be deleted: the retention gets shorter"
        : recompute
            ? "its rows are computed again beside the old ones, which stay until the new ones are whole"
            : NULL);
    c->changes[c->n - 1].destructive = shorter;
}

static void compare_inferencestore(comparer *c, const defined_object *a, const defined_object *b)
{
    const defined_inferencestore *was = (const defined_inferencestore *)a,
                                 *is = (const defined_inferencestore *)b;
    if (!same_list(was->key, is->key))
        add(c, PLAN_REFUSE, b, "the key changes");
    else if (json_equal(was->schema, is->schema))
        add(c, PLAN_CHANGE, b,
            is->retention_us < was->retention_us ? "older rows will be deleted: the retention gets shorter"
                                                 : NULL);
    else
        compare_schemas(c, b, was->schema, is->schema);
    c->changes[c->n - 1].destructive =
        c->changes[c->n - 1].destructive || is->retention_us < was->retention_us;
}

/* ---- the rest ---- */

static const metric_parameter *parameter_of(const defined_metric *m, const char *name)
{
    for (uint32_t i = 0; i < m->n_params; i++)
        if (strcmp(m->params[i].name, name) == 0)
            return &m->params[i];
    return NULL;
}

/* Why callers of the metric would break; NULL = they do not. */
static const char *breaks_callers(comparer *c, const defined_metric *was, const defined_metric *is)
{
    for (uint32_t i = 0; i < was->n_params; i++) {
        const metric_parameter *p = parameter_of(is, was->params[i].name);
        if (!p || p->type != was->params[i].type)
            return arena_printf(c->arena, "the parameter %s is gone or has another type",
                                was->params[i].name);
        if (was->params[i].value && !p->value)
            return arena_printf(c->arena, "the parameter %s has no default any more", p->name);
    }
    for (uint32_t i = 0; i < is->n_params; i++)
        if (!is->params[i].value && !parameter_of(was, is->params[i].name))
            return arena_printf(c->arena, "the new parameter %s has no default", is->params[i].name);
    return same_list(was->labels, is->labels) ? NULL : "the labels change";
}

static void compare_metric(comparer *c, const defined_object *a, const defined_object *b)
{
    const char *reason = breaks_callers(c, (const defined_metric *)a, (const defined_metric *)b);
    bool refused = reason && !c->major && b->origin == ORIGIN_TEMPLATE;
    add(c, refused ? PLAN_REFUSE : PLAN_CHANGE, b, reason);
}

static void compare_freely(comparer *c, const defined_object *a, const defined_object *b)
{
    (void)a;
    add(c, PLAN_CHANGE, b, NULL);
}

typedef void (*comparison)(comparer *c, const defined_object *was, const defined_object *is);
static const struct {
    comparison compare;
    bool relied_on; /* others may use it: not removed within a major version */
    bool holds_rows;
} classes[CLASS_COUNT] = {
    [CLASS_DATASTORE] = {compare_datastore, true, true},
    [CLASS_FEATURESTORE] = {compare_featurestore, true, true},
    [CLASS_INFERENCESTORE] = {compare_inferencestore, true, true},
    [CLASS_MODEL] = {compare_freely, true, false},
    [CLASS_METRIC] = {compare_metric, true, false},
    [CLASS_CONNECTOR] = {compare_freely, false, false},
    [CLASS_NOTIFIER] = {compare_freely, false, false},
    [CLASS_ALERT] = {compare_freely, false, false},
    [CLASS_DASHBOARD] = {compare_freely, false, false},
    [CLASS_REPORT] = {compare_freely, false, false},
    [CLASS_TEST] = {compare_freely, false, false},
    [CLASS_SINK] = {compare_freely, false, false},
};

static bool visit_new(void *arg, const defined_object *is)
{
    comparer *c = arg;
    const defined_object *was = c->from ? definition_object(c->from, is->class, is->key) : NULL;
    if (!was)
        add(c, PLAN_ADD, is, NULL);
    else if (strcmp(was->hash, is->hash) != 0)
        classes[is->class].compare(c, was, is);
    return true;
}

static bool visit_old(void *arg, const defined_object *was)
{
    comparer *c = arg;
    if (definition_object(c->to, was->class, was->key))
        return true;
    if (classes[was->class].relied_on && was->origin == ORIGIN_TEMPLATE && !c->major) {
        add(c, PLAN_REFUSE, was, "it may not disappear: that needs a new major version of the template");
        return true;
    }
    bool rows_go = classes[was->class].holds_rows;
    add(c, PLAN_REMOVE, was, rows_go ? "its rows are deleted" : NULL)->destructive = rows_go;
    return true;
}

static bool is_new_major(const definition *from, const definition *to)
{
    if (!from || !same_text(from->template_key, to->template_key))
        return true;
    return strtol(to->template_version, NULL, 10) > strtol(from->template_version, NULL, 10);
}

const evolution *evolution_plan(const definition *from, const definition *to, arena *a)
{
    comparer c = {.arena = a, .from = from, .to = to, .major = is_new_major(from, to)};
    definition_each(to, visit_new, &c);
    if (from)
        definition_each(from, visit_old, &c);
    evolution *e = arena_zero(a, 1, sizeof *e);
    *e = (evolution){.changes = c.changes, .n_changes = c.n};
    for (uint32_t i = 0; i < c.n; i++) {
        e->n_of[c.changes[i].action]++;
        e->refused |= c.changes[i].action == PLAN_REFUSE;
        e->destructive |= c.changes[i].destructive;
        e->rewrite |= c.changes[i].rewrite;
    }
    return e;
}

/* ---- showing ---- */

static const char signs[] = {'+', '~', '-', '!'};

void evolution_text(const evolution *e, text *out)
{
    for (uint32_t i = 0; i < e->n_changes; i++) {
        const plan_change *c = &e->changes[i];
        text_printf(out, "%c %s:%s", signs[c->action], class_name(c->class), c->key);
        if (c->reason)
            text_printf(out, "  %s", c->reason);
        text_add(out, c->destructive ? "  (destructive)\n" : "\n");
    }
    text_printf(out, "%u to add, %u to change, %u to remove, %u refused\n", e->n_of[PLAN_ADD],
                e->n_of[PLAN_CHANGE], e->n_of[PLAN_REMOVE], e->n_of[PLAN_REFUSE]);
}

json_t *evolution_json(const evolution *e)
{
    static const char *const words[] = {"add", "change", "remove", "refuse"};
    json_t *list = json_array();
    for (uint32_t i = 0; i < e->n_changes; i++) {
        const plan_change *c = &e->changes[i];
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:b, s:b, s:s?}", "action", words[c->action],
                                              "class", class_name(c->class), "key", c->key, "destructive",
                                              c->destructive, "rewrite", c->rewrite, "reason", c->reason));
    }
    return json_pack("{s:o, s:i, s:i, s:i, s:i}", "changes", list, "added", (int)e->n_of[PLAN_ADD], "changed",
                     (int)e->n_of[PLAN_CHANGE], "removed", (int)e->n_of[PLAN_REMOVE], "refused",
                     (int)e->n_of[PLAN_REFUSE]);
}
