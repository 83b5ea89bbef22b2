#include "flow/refresh_sql.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "control/definition_table.h"
#include "store/sql_guard.h"

static const char *const host_parameters[] = {"bucket", "timezone"};

typedef struct resolve_context {
    const flow_plan *plan;
    arena *arena;
} resolve_context;

static const store_table *referenced(const flow_plan *plan, const char *section, const char *key)
{
    return flow_plan_table(plan, class_parse(section, strlen(section)), key);
}

/* Every reference stays unqualified: the statement around defines a CTE of that name. */
static status_class on_reference(void *arg, const char *section, const char *key, sql_target *out, status *st)
{
    resolve_context *r = arg;
    if (!referenced(r->plan, section, key))
        return status_set(st, STATUS_NOT_FOUND, "there is no %s named %s", section, key);
    *out = (sql_target){.relation = arena_printf(r->arena, "%s:%s", section, key)};
    return STATUS_OK;
}

static void add_identifier(text *sql, const char *prefix, const char *name)
{
    text_add(sql, prefix);
    sql_identifier(sql, name);
}

/* "e1, e2" … of a prefix. */
static void add_entity_names(text *sql, const char *prefix, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        text_printf(sql, ", %s%u", prefix, i + 1);
}

static void add_arrays(text *sql, unsigned first, uint32_t n_times, uint32_t n_entity)
{
    for (uint32_t i = 0; i < n_times + n_entity; i++)
        text_printf(sql, "%s$%u::%s[]", i ? ", " : "", first + i, i < n_times ? "timestamptz" : "text");
}

static void add_key_tables(text *sql, const featurestore_plan *f, unsigned first)
{
    uint32_t n = f->table.n_entity;
    text_add(sql, "WITH \"penstock keys\" AS MATERIALIZED (SELECT * FROM unnest(");
    add_arrays(sql, first, 1, n);
    text_add(sql, ") AS k(b0");
    add_entity_names(sql, "e", n);
    text_add(sql, ")), \"penstock ranges\" AS MATERIALIZED (SELECT * FROM unnest(");
    add_arrays(sql, first + 1 + n, 2, n);
    text_add(sql, ") AS k(r0, r1");
    add_entity_names(sql, "e", n);
    text_add(sql, "))");
}

/* The same keys, alone: their sources are read in one block. */
static void add_block_keys(text *sql, const featurestore_plan *f, unsigned first)
{
    uint32_t n = f->table.n_entity;
    text_add(sql, "WITH \"penstock keys\" AS MATERIALIZED (SELECT * FROM unnest(");
    add_arrays(sql, first, 1, n);
    text_add(sql, ") AS k(b0");
    add_entity_names(sql, "e", n);
    text_add(sql, "))");
}

/* True if the store has an event time and every entity column of the featurestore: then only the ranges are
 * read. */
static bool is_restricted(const featurestore_plan *f, const store_table *source)
{
    if (source->time_column < 0)
        return false;
    for (uint32_t i = 0; i < f->table.n_entity; i++)
        if (table_column_find(source, f->table.columns[f->table.entity[i]].name) < 0)
            return false;
    return true;
}

static void add_source(text *sql, const featurestore_plan *f, const sql_reference *reference,
                       const store_table *source)
{
    char label[TABLE_LABEL_SIZE], name[TABLE_NAME_SIZE + 20];
    table_label(label, source);
    snprintf(name, sizeof name, "%s:%s", reference->store_class, reference->key);
    add_identifier(sql, ", ", name);
    if (!is_restricted(f, source)) {
        text_printf(sql, " AS NOT MATERIALIZED (SELECT * FROM %s)", label);
        return;
    }
    text_printf(sql,
                " AS NOT MATERIALIZED (SELECT s.* FROM \"penstock ranges\" k CROSS JOIN LATERAL"
                " (SELECT * FROM %s t WHERE ",
                label);
    for (uint32_t i = 0; i < f->table.n_entity; i++) {
        const char *part = f->table.columns[f->table.entity[i]].name;
        add_identifier(sql, "t.", part);
        text_printf(sql, " = k.e%u::%s AND ", i + 1,
                    column_sql_type(source->columns[table_column_find(source, part)].type));
    }
    const char *time = source->columns[source->time_column].name;
    add_identifier(sql, "t.", time);
    add_identifier(sql, " >= k.r0 AND t.", time);
    text_add(sql,
             " < k.r1 OFFSET 0) s)"); /* OFFSET 0: one index scan a range, whatever the planner guesses */
}

/* OFFSET 0: the condition on the bucket stays outside. Inside it would be evaluated for each source row, and
 * the planner would think that it leaves hardly any, and sort them. */
static void add_insert(text *sql, const featurestore_plan *f, const char *author)
{
    char label[TABLE_LABEL_SIZE];
    table_label(label, &f->table);
    text_printf(sql, " INSERT INTO %s (", label);
    for (uint32_t i = 0; i < f->table.n_columns; i++)
        add_identifier(sql, i ? ", " : "", f->table.columns[i].name);
    text_add(sql, ") SELECT ");
    for (uint32_t i = 0; i < f->table.n_columns; i++)
        add_identifier(sql, i ? ", q." : "q.", f->table.columns[i].name);
    text_printf(sql, " FROM (SELECT * FROM (%s) a OFFSET 0) q WHERE ", author);
}

static void add_key_filter(text *sql, const featurestore_plan *f)
{
    text_add_char(sql, '(');
    add_identifier(sql, "q.", f->table.columns[f->table.time_column].name);
    for (uint32_t i = 0; i < f->table.n_entity; i++)
        add_identifier(sql, ", q.", f->table.columns[f->table.entity[i]].name);
    text_add(sql, ") IN (SELECT b0");
    for (uint32_t i = 0; i < f->table.n_entity; i++)
        text_printf(sql, ", e%u::%s", i + 1, column_sql_type(f->table.columns[f->table.entity[i]].type));
    text_add(sql, " FROM \"penstock keys\")");
}

static status_class check_key(const featurestore_plan *f, const sql_statement *checked, status *st)
{
    const defined_featurestore *d = f->defined;
    if (f->table.time_column < 0)
        return status_set(st, STATUS_INVALID, "featurestore %s: its key has no bucket column", d->object.key);
    if (checked->uses_neighbours && d->reach_before_us == 0 && d->reach_after_us == 0) {
        status_set(st, STATUS_INVALID, "featurestore %s: its SQL looks at neighbouring rows", d->object.key);
        return status_hint(st, "declare how far: reach: {before: 1h, after: 1h}");
    }
    int64_t width_us = bucket_nominal_us(&f->bucket), reach_us = d->reach_before_us + d->reach_after_us;
    if (width_us && reach_us / width_us > REFRESH_BUCKETS_A_ROW_MAX) {
        status_set(st, STATUS_LIMIT,
                   "featurestore %s: with its reach a row would dirty %lld buckets, at most %d",
                   d->object.key, (long long)(reach_us / width_us), REFRESH_BUCKETS_A_ROW_MAX);
        return status_hint(st, "a wider bucket, or a shorter reach");
    }
    if (!width_us && reach_us) {
        status_set(st, STATUS_INVALID, "featurestore %s: a reach needs buckets", d->object.key);
        return status_hint(st, "bucket: 1m, or a width that fits the rows");
    }
    return STATUS_OK;
}

/* ---- many keys that lie together ---- */

/* Behind the keys: from, to, then one array of values for each entity column. */
static void add_block_source(text *sql, const featurestore_plan *f, const sql_reference *reference,
                             const store_table *source, unsigned from)
{
    char label[TABLE_LABEL_SIZE], name[TABLE_NAME_SIZE + 20];
    table_label(label, source);
    snprintf(name, sizeof name, "%s:%s", reference->store_class, reference->key);
    add_identifier(sql, ", ", name);
    text_printf(sql, " AS NOT MATERIALIZED (SELECT * FROM %s", label);
    if (is_restricted(f, source)) {
        const char *time = source->columns[source->time_column].name;
        add_identifier(sql, " WHERE ", time);
        text_printf(sql, " >= $%u::timestamptz AND ", from);
        sql_identifier(sql, time);
        text_printf(sql, " < $%u::timestamptz", from + 1);
        for (uint32_t i = 0; i < f->table.n_entity; i++) {
            const char *part = f->table.columns[f->table.entity[i]].name;
            add_identifier(sql, " AND ", part);
            text_printf(sql, " = ANY ($%u::text[]::%s[])", from + 2 + i,
                        column_sql_type(source->columns[table_column_find(source, part)].type));
        }
    }
    text_add_char(sql, ')');
}

static const char *make_block_sql(arena *a, const flow_plan *plan, const featurestore_plan *f,
                                  const sql_statement *checked)
{
    text sql = {0};
    unsigned first = checked->n_params + 1, from = first + 1 + f->table.n_entity;
    add_block_keys(&sql, f, first);
    text_printf(&sql, ", \"penstock block\" AS (SELECT $%u::timestamptz AS r0, $%u::timestamptz AS r1", from,
                from + 1);
    for (uint32_t i = 0; i < f->table.n_entity; i++)
        text_printf(&sql, ", $%u::text[] AS e%u", from + 2 + i, i + 1);
    text_add_char(&sql, ')');
    for (uint32_t i = 0; i < checked->n_references; i++) {
        const sql_reference *r = &checked->references[i];
        add_block_source(&sql, f, r, referenced(plan, r->store_class, r->key), from);
    }
    add_insert(&sql, f, checked->sql);
    add_key_filter(&sql, f);
    const char *copy = arena_string_n(a, sql.data, sql.len);
    text_free(&sql);
    return copy;
}

/* ---- a stretch of time ---- */

/* The source between the last two parameters, when it would be restricted for keys, too. */
static void add_range_source(text *sql, const featurestore_plan *f, const sql_reference *reference,
                             const store_table *source, unsigned read_from)
{
    char label[TABLE_LABEL_SIZE], name[TABLE_NAME_SIZE + 20];
    table_label(label, source);
    snprintf(name, sizeof name, "%s:%s", reference->store_class, reference->key);
    sql_identifier(sql, name);
    text_printf(sql, " AS NOT MATERIALIZED (SELECT * FROM %s", label);
    if (is_restricted(f, source)) {
        const char *time = source->columns[source->time_column].name;
        add_identifier(sql, " WHERE ", time);
        text_printf(sql, " >= $%u::timestamptz AND ", read_from);
        sql_identifier(sql, time);
        text_printf(sql, " < $%u::timestamptz", read_from + 1);
    }
    text_add_char(sql, ')');
}

static const char *make_range_sql(arena *a, const flow_plan *plan, const featurestore_plan *f,
                                  const sql_statement *checked)
{
    text sql = {0};
    unsigned first = checked->n_params + 1;
    const char *bucket = f->table.columns[f->table.time_column].name;
    text_printf(&sql, "WITH \"penstock range\" AS (SELECT $%u::timestamptz AS r0, $%u::timestamptz AS r1)",
                first + 2, first + 3);
    for (uint32_t i = 0; i < checked->n_references; i++) {
        const sql_reference *r = &checked->references[i];
        text_add(&sql, ", ");
        add_range_source(&sql, f, r, referenced(plan, r->store_class, r->key), first + 2);
    }
    add_insert(&sql, f, checked->sql);
    add_identifier(&sql, "q.", bucket);
    text_printf(&sql, " >= $%u::timestamptz AND ", first);
    add_identifier(&sql, "q.", bucket);
    text_printf(&sql, " < $%u::timestamptz", first + 1);
    const char *copy = arena_string_n(a, sql.data, sql.len);
    text_free(&sql);
    return copy;
}

status_class refresh_sql_make(arena *a, const flow_plan *plan, featurestore_plan *f, status *st)
{
    resolve_context context = {plan, a};
    sql_guard_options options = {on_reference, &context, host_parameters,
                                 sizeof host_parameters / sizeof *host_parameters};
    const sql_statement *checked;
    text sql = {0};
    status_class class = sql_guard_check(a, f->defined->sql, strlen(f->defined->sql), &options, &checked, st);
    if (class == STATUS_OK)
        class = check_key(f, checked, st);
    if (class != STATUS_OK)
        return class;
    add_key_tables(&sql, f, checked->n_params + 1);
    for (uint32_t i = 0; i < checked->n_references; i++) {
        const sql_reference *r = &checked->references[i];
        add_source(&sql, f, r, referenced(plan, r->store_class, r->key));
    }
    add_insert(&sql, f, checked->sql);
    add_key_filter(&sql, f);
    f->block_sql = make_block_sql(a, plan, f, checked);
    f->range_sql = make_range_sql(a, plan, f, checked);
    f->refresh_sql = arena_string_n(a, sql.data, sql.len);
    f->params = checked->params;
    f->n_params = checked->n_params;
    text_free(&sql);
    return STATUS_OK;
}
