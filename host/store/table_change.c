#include "store/table_change.h"

#include <stdio.h>
#include <string.h>

#include "store/table_ddl.h"

static const table_column *find_column(const store_table *t, const char *name, uint32_t *at)
{
    for (uint32_t i = 0; i < t->n_columns; i++)
        if (strcmp(t->columns[i].name, name) == 0) {
            *at = i;
            return &t->columns[i];
        }
    return NULL;
}

typedef struct change_list {
    table_change *list;
    uint32_t n, max;
} change_list;

static void add_change(change_list *l, table_change_kind kind, const char *name, const char *detail)
{
    if (l->n < l->max) {
        l->list[l->n].kind = kind;
        snprintf(l->list[l->n].column, sizeof l->list[l->n].column, "%s", name);
        snprintf(l->list[l->n].detail, sizeof l->list[l->n].detail, "%s", detail);
    }
    l->n++;
}

static void compare_column(change_list *l, const store_table *from, const store_table *to, uint32_t i)
{
    uint32_t k;
    const table_column *old = &from->columns[i], *new = find_column(to, old->name, &k);
    if (!new)
        add_change(l, CHANGE_REFUSED, old->name, "a column cannot be removed");
    else if (old->type == COLUMN_INTEGER && new->type == COLUMN_NUMBER)
        add_change(l, CHANGE_WIDEN_INTEGER, old->name, "integer to number rewrites the table");
    else if (old->type != new->type)
        add_change(l, CHANGE_REFUSED, old->name, "a column cannot change its type");
    else if (old->nullable && !new->nullable)
        add_change(l, CHANGE_REFUSED, old->name, "stored rows may have no value here");
    else if ((!old->nullable && new->nullable) || (table_column_plain(from, i) && !table_column_plain(to, k)))
        add_change(l, CHANGE_LOOSEN, old->name, "takes more than before");
}

static bool same_names(const store_table *a, const uint32_t *list_a, uint32_t n_a, const store_table *b,
                       const uint32_t *list_b, uint32_t n_b)
{
    if (n_a != n_b)
        return false;
    for (uint32_t i = 0; i < n_a; i++)
        if (strcmp(a->columns[list_a[i]].name, b->columns[list_b[i]].name) != 0)
            return false;
    return true;
}

static const char *time_name(const store_table *t)
{
    return t->time_column >= 0 ? t->columns[t->time_column].name : "";
}

uint32_t table_compare(const store_table *from, const store_table *to, table_change *out, uint32_t max)
{
    change_list l = {out, 0, max};
    uint32_t at;
    for (uint32_t i = 0; i < from->n_columns; i++)
        compare_column(&l, from, to, i);
    for (uint32_t i = 0; i < to->n_columns; i++) {
        if (find_column(from, to->columns[i].name, &at))
            continue;
        bool fine = to->columns[i].nullable;
        add_change(&l, fine ? CHANGE_ADD_COLUMN : CHANGE_REFUSED, to->columns[i].name,
                   fine ? "new column" : "a new column must be nullable: stored rows have no value for it");
    }
    if (!from->has_extra && to->has_extra)
        add_change(&l, CHANGE_ADD_COLUMN, "_extra", "additional properties are taken from now on");
    if (!same_names(from, from->unique, from->n_unique, to, to->unique, to->n_unique))
        add_change(&l, CHANGE_REFUSED, "", "the natural key cannot change");
    if (!same_names(from, from->entity, from->n_entity, to, to->entity, to->n_entity))
        add_change(&l, CHANGE_REFUSED, "", "the entity cannot change");
    if (strcmp(time_name(from), time_name(to)) != 0)
        add_change(&l, CHANGE_REFUSED, "", "the event time cannot change");
    if ((from->partition == PARTITION_NONE) != (to->partition == PARTITION_NONE))
        add_change(&l, CHANGE_REFUSED, "", "a table cannot become partitioned, or cease to be");
    return l.n;
}

void table_change_sql(text *sql, const store_table *to, const table_change *change)
{
    uint32_t at = 0;
    const table_column *c = find_column(to, change->column, &at);
    text_add(sql, sql->len ? ", " : "");
    if (!c) {
        text_add(sql, "ADD COLUMN \"_extra\" jsonb");
        return;
    }
    switch (change->kind) {
    case CHANGE_ADD_COLUMN:
        text_add(sql, "ADD COLUMN ");
        table_ddl_column(sql, to, at);
        if (table_column_plain(to, at)) {
            text_add(sql, ", ALTER COLUMN ");
            sql_identifier(sql, c->name);
            text_add(sql, " SET STORAGE PLAIN");
        }
        return;
    case CHANGE_LOOSEN:
        text_add(sql, "ALTER COLUMN ");
        sql_identifier(sql, c->name);
        text_add(sql, table_column_required(to, at) ? " SET NOT NULL" : " DROP NOT NULL");
        if (c->type == COLUMN_TEXT && !table_column_plain(to, at)) {
            text_add(sql, ", ALTER COLUMN ");
            sql_identifier(sql, c->name);
            text_add(sql, " SET STORAGE EXTENDED");
        }
        return;
    case CHANGE_WIDEN_INTEGER:
        text_add(sql, "ALTER COLUMN ");
        sql_identifier(sql, c->name);
        text_add(sql, " TYPE double precision");
        return;
    case CHANGE_REFUSED:
        return;
    }
}
