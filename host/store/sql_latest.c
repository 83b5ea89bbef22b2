#include "store/sql_latest.h"

#include <string.h>

/* "name" or "table.name"; NULL: no plain column. */
static const char *column_name(const PgQuery__Node *n)
{
    if (!n || n->node_case != PG_QUERY__NODE__NODE_COLUMN_REF || n->column_ref->n_fields == 0)
        return NULL;
    const PgQuery__Node *last = n->column_ref->fields[n->column_ref->n_fields - 1];
    return last->node_case == PG_QUERY__NODE__NODE_STRING ? last->string->sval : NULL;
}

static bool is_star(const PgQuery__Node *n)
{
    if (n->node_case != PG_QUERY__NODE__NODE_COLUMN_REF || n->column_ref->n_fields == 0)
        return false;
    return n->column_ref->fields[n->column_ref->n_fields - 1]->node_case == PG_QUERY__NODE__NODE_A_STAR;
}

/* One store whose columns keep their names. */
static bool is_plain_store(const PgQuery__Node *n)
{
    return n->node_case == PG_QUERY__NODE__NODE_RANGE_VAR &&
           !(n->range_var->alias && n->range_var->alias->n_colnames);
}

static bool is_bare(const PgQuery__SelectStmt *s)
{
    return s->n_from_clause == 1 && is_plain_store(s->from_clause[0]) &&
           s->op == PG_QUERY__SET_OPERATION__SETOP_NONE && !s->with_clause && !s->where_clause &&
           !s->n_group_clause && !s->having_clause && !s->n_window_clause && !s->n_values_lists &&
           !s->limit_count && !s->limit_offset;
}

static bool is_one_of(const char *name, const char *const *names, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* The order names output columns before those of the table: none of its names may be given to another column.
 */
static bool targets_are_columns(const PgQuery__SelectStmt *s, const char *const *ordered, uint32_t n)
{
    for (size_t i = 0; i < s->n_target_list; i++) {
        const PgQuery__Node *node = s->target_list[i];
        if (node->node_case != PG_QUERY__NODE__NODE_RES_TARGET)
            return false;
        const PgQuery__ResTarget *t = node->res_target;
        const char *from = column_name(t->val);
        if (t->n_indirection || (!from && !is_star(t->val)))
            return false;
        if (t->name && t->name[0] && from && strcmp(t->name, from) != 0 && is_one_of(t->name, ordered, n))
            return false;
    }
    return true;
}

/* Names of DISTINCT ON; behind them that of the time which is ordered downwards. NULL: not of this form. */
static const char **ordered_names(arena *a, const PgQuery__SelectStmt *s)
{
    size_t n = s->n_distinct_clause;
    const char **names = arena_zero(a, n + 2, sizeof *names);
    for (size_t i = 0; i < n; i++)
        if (!(names[i] = column_name(s->distinct_clause[i])))
            return NULL;
    if (n == 0 || s->n_sort_clause <= n)
        return NULL;
    for (size_t i = 0; i <= n; i++) {
        const PgQuery__Node *node = s->sort_clause[i];
        const PgQuery__SortBy *by = node->node_case == PG_QUERY__NODE__NODE_SORT_BY ? node->sort_by : NULL;
        const char *name = by ? column_name(by->node) : NULL;
        if (!name || by->n_use_op)
            return NULL;
        if (i == n && by->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_DESC)
            names[n] = name;
        else if (i == n || !is_one_of(name, names, (uint32_t)n))
            return NULL;
    }
    return names;
}

void sql_latest_find(arena *a, const PgQuery__ParseResult *parsed, sql_statement *out)
{
    const PgQuery__SelectStmt *s = parsed->stmts[0]->stmt->select_stmt;
    const char **names = is_bare(s) ? ordered_names(a, s) : NULL;
    uint32_t n = (uint32_t)s->n_distinct_clause;
    if (!names || !targets_are_columns(s, names, n + 1))
        return;
    out->latest_by = names;
    out->n_latest_by = n;
    out->latest_time = names[n];
}
