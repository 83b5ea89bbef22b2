/* Rules of the three classes of stores: their schemas describe tables, their keys exist, their SQL reads what
 * they say it reads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/name.h"
#include "base/utc.h"
#include "control/bucket.h"
#include "control/definition_read.h"
#include "control/schedule.h"
#include "control/template_checker.h"
#include "schema/row_plan.h"
#include "store/sql_guard.h"

static const char *text_at(const json_t *body, const char *field)
{
    return json_string_value(json_object_get(body, field));
}

/* ---- columns ---- */

static row_plan *plan_of(template_checker *c, object_class class, const char *key, json_t *body)
{
    status st;
    schema *compiled = schema_compile(json_object_get(body, "schema"), NULL, &st);
    row_plan *plan = compiled ? row_plan_make(compiled, &st) : NULL;
    if (plan)
        return plan;
    const char *field = arena_printf(c->arena, "schema%s", st.where);
    checker_problem(c, class, key, field, "%s", st.text);
    if (*st.hint)
        checker_hint(c, "%s", st.hint);
    return NULL;
}

static const plan_column *find_column(const row_plan *plan, const char *name)
{
    uint32_t hint = 0;
    int32_t i = row_plan_find(plan, name, strlen(name), &hint);
    return i < 0 ? NULL : &plan->columns[i];
}

static const char *nearest_column(const row_plan *plan, const char *name)
{
    const char *names[200];
    size_t n = 0;
    for (; n < plan->n_columns && n < 200; n++)
        names[n] = plan->columns[n].name;
    return name_suggest(name, names, n);
}

/* The column, which must exist; with `required` it must stand in every row. */
static const plan_column *need_column(template_checker *c, object_class class, const char *key,
                                      const char *field, const row_plan *plan, const char *name,
                                      bool required)
{
    const plan_column *column = find_column(plan, name);
    if (!column) {
        checker_problem(c, class, key, field, "the schema has no property \"%s\"", name);
        const char *near = nearest_column(plan, name);
        if (near)
            checker_hint(c, "did you mean %s?", near);
    } else if (required && (!column->required || column->nullable)) {
        checker_problem(c, class, key, field, "the column %s may be missing, so it cannot be part of a key",
                        name);
        checker_hint(c, "name it under the schema's `required`, and do not let it be null");
    } else if (required && column->type == COLUMN_JSON) {
        checker_problem(c, class, key, field, "the column %s is JSON, so it cannot be part of a key", name);
    }
    return column;
}

static void need_columns(template_checker *c, object_class class, const char *key, const char *field,
                         const row_plan *plan, const json_t *names)
{
    for (size_t i = 0; i < json_array_size(names); i++)
        need_column(c, class, key, arena_printf(c->arena, "%s/%zu", field, i), plan,
                    json_string_value(json_array_get(names, i)), true);
}

static bool holds(const json_t *list, const char *word)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(json_string_value(json_array_get(list, i)), word) == 0)
            return true;
    return false;
}

/* ---- datastore ---- */

static void note_path(template_checker *c, const char *key, const row_plan *plan)
{
    template_report *r = c->report;
    template_path *grown = arena_zero(c->arena, r->n_paths + 1, sizeof *grown);
    if (r->n_paths)
        memcpy(grown, r->paths, r->n_paths * sizeof *grown);
    grown[r->n_paths++] = (template_path){
        .store = arena_string(c->arena, key),
        .fast = plan->flat,
        .reason = plan->flat ? NULL
                             : arena_printf(c->arena, "%s (schema%s)",
                                            plan->flat_reason ? plan->flat_reason : "not flat",
                                            plan->flat_where ? plan->flat_where : "")};
    r->paths = grown;
}

static void check_time(template_checker *c, const char *key, const json_t *body, const row_plan *plan)
{
    const char *time = text_at(body, "time");
    if (time) {
        const plan_column *column = need_column(c, CLASS_DATASTORE, key, "time", plan, time, true);
        if (column && column->type != COLUMN_TIMESTAMP) {
            checker_problem(c, CLASS_DATASTORE, key, "time", "the column %s is no point in time", time);
            checker_hint(c, "give it {type: string, format: date-time}");
        }
        return;
    }
    static const char *const need[] = {"retention", "accept", "expect"};
    for (size_t i = 0; i < sizeof need / sizeof *need; i++)
        if (json_object_get(body, need[i])) {
            checker_problem(c, CLASS_DATASTORE, key, need[i], "%s needs an event time", need[i]);
            checker_hint(c, "name the column with `time:`");
        }
}

static void check_natural_key(template_checker *c, const char *key, const json_t *body)
{
    const json_t *unique = json_object_get(body, "unique");
    const char *time = text_at(body, "time"), *partition = text_at(body, "partition");
    bool unpartitioned = partition && strcmp(partition, "none") == 0;
    if (!unique && json_object_get(body, "on_conflict")) {
        checker_problem(c, CLASS_DATASTORE, key, "on_conflict", "without `unique` rows never collide");
        checker_hint(c, "name the natural key with `unique:`, or leave on_conflict out");
    }
    if (!unique && json_object_get(body, "version"))
        checker_problem(c, CLASS_DATASTORE, key, "version", "without `unique` there is nothing to correct");
    if (unique && !unpartitioned && !(time && holds(unique, time))) {
        checker_problem(c, CLASS_DATASTORE, key, "unique", "the natural key does not hold the event time");
        checker_hint(c, time ? "add %s to it, or say partition: none" : "say partition: none%s",
                     time ? time : "");
    }
    if (!time && partition && !unpartitioned && strcmp(partition, "auto") != 0)
        checker_problem(c, CLASS_DATASTORE, key, "partition", "partitions need an event time");
}

static void check_window(template_checker *c, const char *key, const json_t *body)
{
    int64_t cadence = 0;
    const char *text_of = text_at(json_object_get(body, "expect"), "cadence");
    if (text_of && (!duration_parse(text_of, strlen(text_of), &cadence) || cadence <= 0))
        checker_problem(c, CLASS_DATASTORE, key, "expect/cadence", "the cadence must be longer than nothing");
}

void check_datastore(template_checker *c, const char *key, json_t *body)
{
    row_plan *plan = plan_of(c, CLASS_DATASTORE, key, body);
    if (!plan)
        return;
    check_time(c, key, body, plan);
    need_columns(c, CLASS_DATASTORE, key, "entity", plan, json_object_get(body, "entity"));
    need_columns(c, CLASS_DATASTORE, key, "unique", plan, json_object_get(body, "unique"));
    if (text_at(body, "version"))
        need_column(c, CLASS_DATASTORE, key, "version", plan, text_at(body, "version"), false);
    check_natural_key(c, key, body);
    check_window(c, key, body);
    note_path(c, key, plan);
    row_plan_free(plan);
}

/* ---- SQL ---- */

const struct sql_statement *check_sql(template_checker *c, object_class class, const char *key,
                                      const char *field, const char *sql, const char *const *params,
                                      unsigned n_params)
{
    status st;
    const sql_statement *checked = NULL;
    const sql_guard_options options = {.params = params, .n_params = n_params};
    if (sql_guard_check(c->arena, sql, strlen(sql), &options, &checked, &st) == STATUS_OK)
        return checked;
    unsigned line = 1, column = 1, before = c->report->n_problems;
    sscanf(st.where, "%u:%u", &line, &column);
    checker_problem(c, class, key, field, "%s", st.text);
    if (c->report->n_problems == before)
        return NULL;
    template_problem *p = &c->report->problems[before];
    if (c->tree) {
        char where[256];
        yaml_tree_where_inside(c->tree, p->pointer, line, column, where, sizeof where);
        p->where = arena_string(c->arena, where);
    }
    if (*st.hint)
        checker_hint(c, "%s", st.hint);
    return NULL;
}

/* ---- featurestore ---- */

static bool names_reference(const json_t *from, const sql_reference *r)
{
    char text_of[128];
    snprintf(text_of, sizeof text_of, "%s:%s", r->store_class, r->key);
    return holds(from, text_of);
}

static bool reads(const sql_statement *s, const char *reference)
{
    char text_of[128];
    for (uint32_t i = 0; i < s->n_references; i++) {
        snprintf(text_of, sizeof text_of, "%s:%s", s->references[i].store_class, s->references[i].key);
        if (strcmp(text_of, reference) == 0)
            return true;
    }
    return false;
}

static void check_references(template_checker *c, const char *key, const json_t *body, const sql_statement *s)
{
    const json_t *from = json_object_get(body, "from");
    for (uint32_t i = 0; i < s->n_references; i++)
        if (!names_reference(from, &s->references[i])) {
            checker_problem(c, CLASS_FEATURESTORE, key, "sql",
                            "the SQL reads %s:%s, which `from` does not name", s->references[i].store_class,
                            s->references[i].key);
            checker_hint(c, "add it to `from`, so that its changes are noticed");
        }
    for (size_t i = 0; i < json_array_size(from); i++) {
        const char *reference = json_string_value(json_array_get(from, i));
        if (!reads(s, reference))
            checker_problem(c, CLASS_FEATURESTORE, key, arena_printf(c->arena, "from/%zu", i),
                            "the SQL does not read %s", reference);
    }
}

/* False only when the statement names all its columns and this one is not among them. */
static bool may_give(const sql_statement *s, const char *column)
{
    for (uint32_t i = 0; i < s->n_columns; i++)
        if (!s->columns[i] || strcmp(s->columns[i], column) == 0)
            return true;
    return s->n_columns == 0;
}

static void check_output(template_checker *c, const char *key, const json_t *body, const sql_statement *s)
{
    const json_t *keys = json_object_get(body, "key");
    for (size_t i = 0; i < json_array_size(keys); i++) {
        const char *column = json_string_value(json_array_get(keys, i));
        if (!may_give(s, column))
            checker_problem(c, CLASS_FEATURESTORE, key, arena_printf(c->arena, "key/%zu", i),
                            "the SQL gives no column \"%s\"", column);
    }
    for (uint32_t i = 0; i < s->n_columns; i++)
        if (s->columns[i] && s->columns[i][0] == '_')
            checker_problem(c, CLASS_FEATURESTORE, key, "sql", "the column \"%s\" begins with an underscore",
                            s->columns[i]);
    if (s->uses_neighbours && !json_object_get(body, "reach")) {
        checker_problem(c, CLASS_FEATURESTORE, key, "sql",
                        "the SQL looks at neighbouring rows, but there is no `reach`");
        checker_hint(c, "say how far: reach: {before: 1h}");
    }
}

static void check_bucket(template_checker *c, const char *key, const json_t *body)
{
    bucket_rule rule;
    status st;
    const char *bucket = text_at(body, "bucket");
    bool in_key = holds(json_object_get(body, "key"), "bucket");
    if (bucket && bucket_rule_read(bucket, NULL, &rule, &st) != STATUS_OK)
        checker_problem(c, CLASS_FEATURESTORE, key, "bucket", "\"%s\" is no width", bucket);
    if (bucket && !in_key) {
        checker_problem(c, CLASS_FEATURESTORE, key, "key", "the key does not hold the bucket");
        checker_hint(c, "key: [bucket, …], and give the bucket that name in the SQL");
    }
    if (!bucket && in_key)
        checker_problem(c, CLASS_FEATURESTORE, key, "key",
                        "the key holds a bucket, but `bucket` says no width");
}

void check_timezone(template_checker *c, object_class class, const char *key, const json_t *from,
                    const char *at)
{
    status st;
    const zone *z;
    const char *name = text_at(from, "timezone");
    if (!name || zone_find(name, &z, &st) == STATUS_OK)
        return;
    checker_problem(c, class, key, at, "%s", st.text);
    if (*st.hint)
        checker_hint(c, "%s", st.hint);
}

void check_schedule(template_checker *c, object_class class, const char *key, const json_t *rule,
                    const char *at)
{
    status st;
    cron_rule parsed;
    int64_t every = 0;
    const char *cron = text_at(rule, "cron"), *text_of = text_at(rule, "every");
    const char *prefix = at ? arena_printf(c->arena, "%s/", at) : "";
    check_timezone(c, class, key, rule, arena_printf(c->arena, "%stimezone", prefix));
    if (cron && text_of)
        checker_problem(c, class, key, arena_printf(c->arena, "%scron", prefix),
                        "`every` and `cron` exclude each other");
    else if (cron && cron_parse(cron, &parsed, &st) != STATUS_OK)
        checker_problem(c, class, key, arena_printf(c->arena, "%scron", prefix), "%s", st.text);
    else if (cron && !cron_fires(&parsed))
        checker_problem(c, class, key, arena_printf(c->arena, "%scron", prefix), "no such day ever comes");
    if (text_of && (!duration_parse(text_of, strlen(text_of), &every) || every < UTC_SECOND_US))
        checker_problem(c, class, key, arena_printf(c->arena, "%severy", prefix), "the least is one second");
}

void check_featurestore(template_checker *c, const char *key, json_t *body)
{
    static const char *const params[] = {"bucket", "timezone"};
    const json_t *from = json_object_get(body, "from");
    unsigned before = c->report->n_problems;
    for (size_t i = 0; i < json_array_size(from); i++)
        checker_need_reference(c, json_string_value(json_array_get(from, i)), CLASS_FEATURESTORE, key,
                               arena_printf(c->arena, "from/%zu", i));
    check_bucket(c, key, body);
    check_timezone(c, CLASS_FEATURESTORE, key, body, "timezone");
    check_schedule(c, CLASS_FEATURESTORE, key, json_object_get(body, "refresh"), "refresh");
    const sql_statement *s = check_sql(c, CLASS_FEATURESTORE, key, "sql", text_at(body, "sql"), params, 2);
    if (!s || c->report->n_problems > before)
        return;
    check_references(c, key, body, s);
    check_output(c, key, body, s);
}

void check_inferencestore(template_checker *c, const char *key, json_t *body)
{
    row_plan *plan = plan_of(c, CLASS_INFERENCESTORE, key, body);
    if (!plan)
        return;
    const json_t *keys = json_object_get(body, "key");
    for (size_t i = 0; i < json_array_size(keys); i++)
        need_column(c, CLASS_INFERENCESTORE, key, arena_printf(c->arena, "key/%zu", i), plan,
                    json_string_value(json_array_get(keys, i)), false);
    row_plan_free(plan);
}
