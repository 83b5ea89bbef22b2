#include "flow/build_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/fault.h"
#include "base/text.h"

enum { LOCK_TIMEOUT_MS = 2000 };

static const char *const kinds[] = {"", "first", "beside", "backfill"};

static const statement read_object = {"read what a featurestore was built as",
                                      "SELECT hash, body::text FROM penstock.object WHERE wid = $1::int AND "
                                      "class = 'featurestore' AND key = $2"};
static const statement read_build = {
    "read a build",
    "SELECT kind, hash, lower, upper, cursor, paused, rows, busy_us, started, coalesce(problem, '') FROM "
    "penstock.build WHERE wid = $1::int AND key = $2"};
static const statement read_horizon = {"read how far a store is complete",
                                       "SELECT horizon FROM penstock.object WHERE wid = $1::int AND class = "
                                       "$2 AND key = $3 AND horizon IS NOT NULL"};
static const statement insert_build = {"begin a build",
                                       "INSERT INTO penstock.build (wid, key, kind, hash, lower, upper, "
                                       "cursor) VALUES ($1::int, $2, $3, $4, $5, $6,"
                                       " $6) ON CONFLICT (wid, key) DO UPDATE SET kind = excluded.kind, hash "
                                       "= excluded.hash, lower = excluded.lower,"
                                       " upper = excluded.upper, cursor = excluded.cursor, paused = false, "
                                       "rows = 0, busy_us = 0, problem = NULL,"
                                       " started = now(), changed = now()"};
static const statement update_build = {"move a build",
                                       "UPDATE penstock.build SET cursor = $3, rows = $4, busy_us = $5, "
                                       "problem = nullif($6, ''), changed = now()"
                                       " WHERE wid = $1::int AND key = $2"};
static const statement delete_build = {"end a build",
                                       "DELETE FROM penstock.build WHERE wid = $1::int AND key = $2"};
static const statement pause_build = {
    "pause a build",
    "UPDATE penstock.build SET paused = $3, changed = now() WHERE wid = $1::int AND key = $2"};
static const statement note_object = {
    "note what a featurestore is built as",
    "INSERT INTO penstock.object (wid, class, key, generation, hash, body) VALUES ($1::int, 'featurestore', "
    "$2, $3,"
    " $4, $5::jsonb) ON CONFLICT (wid, class, key) DO UPDATE SET generation = excluded.generation,"
    " hash = excluded.hash, body = excluded.body, changed = now()"};
static const statement forget_object = {"let a featurestore be built again",
                                        "UPDATE penstock.object SET hash = '', changed = now() WHERE wid = "
                                        "$1::int AND class = 'featurestore' AND key ="
                                        " $2"};
static const statement forget_build = {
    "let a build begin again",
    "UPDATE penstock.build SET hash = '', changed = now() WHERE wid = $1::int AND key = $2"};
static const statement widen_build = {
    "widen a backfill",
    "UPDATE penstock.build SET lower = least(lower, $3), upper = greatest(upper, $4), cursor ="
    " greatest(upper, $4), changed = now() WHERE wid = $1::int AND key = $2 AND kind = 'backfill' AND"
    " hash <> ''"};

/* ---- reading ---- */

static void take_build(const rows *r, build_record *out)
{
    build_progress *p = &out->progress;
    out->has_build = true;
    for (int k = BUILD_FIRST; k <= BUILD_BACKFILL; k++)
        if (strcmp(kinds[k], rows_text(r, 0, 0)) == 0)
            p->kind = (build_kind)k;
    snprintf(out->build_hash, sizeof out->build_hash, "%s", rows_text(r, 0, 1));
    p->lower_us = rows_time_us(r, 0, 2);
    p->upper_us = rows_time_us(r, 0, 3);
    p->cursor_us = rows_time_us(r, 0, 4);
    p->paused = rows_boolean(r, 0, 5);
    p->rows = (uint64_t)rows_integer(r, 0, 6);
    p->busy_us = rows_integer(r, 0, 7);
    p->started_us = rows_time_us(r, 0, 8);
    snprintf(p->problem, sizeof p->problem, "%.255s", rows_text(r, 0, 9));
}

static status_class read_horizons(connection *c, const featurestore_plan *f, build_record *out, status *st)
{
    status_class class = STATUS_OK;
    for (uint32_t i = 0; i < f->defined->n_from && class == STATUS_OK; i++) {
        rows *r = NULL;
        value params[] = {value_integer(f->plan->wid), value_text(class_name(f->defined->from[i].class)),
                          value_text(f->defined->from[i].key)};
        class = connection_run(c, &read_horizon, params, 3, &r, st);
        if (class == STATUS_OK && rows_count(r) > 0 && rows_time_us(r, 0, 0) > out->oldest_us)
            out->oldest_us = rows_time_us(r, 0, 0);
        rows_free(r);
    }
    return class;
}

status_class build_read(connection *c, const featurestore_plan *f, build_record *out, status *st)
{
    rows *r = NULL;
    value params[] = {value_integer(f->plan->wid), value_text(f->defined->object.key)};
    *out = (build_record){.oldest_us = INT64_MIN};
    status_class class = connection_run(c, &read_object, params, 2, &r, st);
    if (class != STATUS_OK)
        return class;
    out->has_object = rows_count(r) > 0;
    if (out->has_object) {
        snprintf(out->hash, sizeof out->hash, "%s", rows_text(r, 0, 0));
        out->body = memory_string(rows_text(r, 0, 1));
    }
    rows_free(r);
    class = connection_run(c, &read_build, params, 2, &r, st);
    if (class == STATUS_OK) {
        if (rows_count(r) > 0)
            take_build(r, out);
        rows_free(r);
        class = read_horizons(c, f, out, st);
    }
    if (class != STATUS_OK)
        build_record_free(out);
    return class;
}

void build_record_free(build_record *r)
{
    free(r->body);
    r->body = NULL;
}

status_class build_source_bounds(connection *c, const store_table *t, int64_t *lower, int64_t *upper,
                                 status *st)
{
    char label[TABLE_LABEL_SIZE];
    rows *r = NULL;
    text sql = {0};
    table_label(label, t);
    text_add(&sql, "SELECT min(");
    sql_identifier(&sql, t->columns[t->time_column].name);
    text_add(&sql, "), max(");
    sql_identifier(&sql, t->columns[t->time_column].name);
    text_printf(&sql, ") FROM %s", label);
    statement look = {"find the first and last row of a source", sql.data};
    status_class class = connection_run(c, &look, NULL, 0, &r, st);
    if (class == STATUS_OK && !rows_null(r, 0, 0)) {
        *lower = rows_time_us(r, 0, 0) < *lower ? rows_time_us(r, 0, 0) : *lower;
        *upper = rows_time_us(r, 0, 1) > *upper ? rows_time_us(r, 0, 1) : *upper;
    }
    rows_free(class == STATUS_OK ? r : NULL);
    text_free(&sql);
    return class;
}

/* ---- tables ---- */

status_class build_make_next(connection *c, const store_table *t, const char *role, status *st)
{
    char label[TABLE_LABEL_SIZE], next[TABLE_LABEL_SIZE];
    store_table beside = *t;
    text sql = {0};
    beside.part = "next";
    table_label(label, t);
    table_label(next, &beside);
    text_printf(
        &sql,
        "BEGIN; SET LOCAL lock_timeout = %d; DROP TABLE IF EXISTS %s; CREATE TABLE %s (LIKE %s INCLUDING "
        "ALL); GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO ",
        LOCK_TIMEOUT_MS, next, next, label, next);
    sql_identifier(&sql, role);
    text_add(&sql, "; COMMIT");
    status_class class = connection_script(c, "make the table beside", sql.data, st);
    if (class != STATUS_OK)
        connection_rollback(c);
    text_free(&sql);
    return class;
}

/* LIKE gives indexes names of its own; they get those that the store's are known by: one for each, in order.
 */
static const statement list_indexes = {
    "list the indexes of a table",
    "SELECT i.relname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indrelid ="
    " to_regclass($1::text) ORDER BY x.indisunique DESC, i.oid"};

static status_class index_names(connection *c, const char *label, rows **out, status *st)
{
    value name = value_text(label);
    return connection_run(c, &list_indexes, &name, 1, out, st);
}

static status_class exec_text(connection *c, text *sql, status *st)
{
    status_class class = connection_exec(c, sql->data, NULL, 0, NULL, st);
    text_clear(sql);
    return class;
}

static status_class rename_indexes(connection *c, const char *schema, const rows *was, const rows *is,
                                   text *sql, status *st)
{
    status_class class = STATUS_OK;
    for (uint32_t i = 0; i < rows_count(was) && i < rows_count(is) && class == STATUS_OK; i++) {
        text_printf(sql, "ALTER INDEX \"%s\".", schema);
        sql_identifier(sql, rows_text(is, i, 0));
        text_add(sql, " RENAME TO ");
        sql_identifier(sql, rows_text(was, i, 0));
        class = exec_text(c, sql, st);
    }
    return class;
}

static status_class keep_older(connection *c, const store_table *t, const char *next, const char *label,
                               int64_t lower_us, text *sql, status *st)
{
    value lower = value_time_us(lower_us);
    text_printf(sql, "INSERT INTO %s SELECT * FROM %s WHERE ", next, label);
    sql_identifier(sql, t->columns[t->time_column].name);
    text_add(sql, " < $1");
    status_class class = connection_exec(c, sql->data, &lower, 1, NULL, st);
    text_clear(sql);
    return class;
}

static status_class change_places(connection *c, const store_table *t, const char *next, const char *label,
                                  text *sql, status *st)
{
    char name[TABLE_NAME_SIZE];
    rows *was = NULL, *is = NULL;
    status_class class = index_names(c, label, &was, st);
    if (class == STATUS_OK)
        class = index_names(c, next, &is, st);
    table_name(name, t->key, NULL, t->wid);
    if (class == STATUS_OK) {
        text_printf(sql, "DROP TABLE %s", label);
        class = exec_text(c, sql, st);
    }
    if (class == STATUS_OK) {
        text_printf(sql, "ALTER TABLE %s RENAME TO \"%s\"", next, name);
        class = exec_text(c, sql, st);
    }
    if (class == STATUS_OK)
        class = rename_indexes(c, store_class_schema(t->class), was, is, sql, st);
    rows_free(was);
    rows_free(is);
    return class;
}

status_class build_switch(connection *c, const store_table *t, int64_t lower_us, bool copy_older, status *st)
{
    char label[TABLE_LABEL_SIZE], next[TABLE_LABEL_SIZE];
    store_table beside = *t;
    text sql = {0};
    beside.part = "next";
    table_label(label, t);
    table_label(next, &beside);
    text_printf(&sql, "SET LOCAL lock_timeout = %d", LOCK_TIMEOUT_MS);
    status_class class = exec_text(c, &sql, st);
    if (class == STATUS_OK && copy_older)
        class = keep_older(c, t, next, label, lower_us, &sql, st);
    if (class == STATUS_OK)
        class = change_places(c, t, next, label, &sql, st);
    text_free(&sql);
    return class;
}

/* ---- writing ---- */

status_class build_insert(connection *c, const featurestore_plan *f, const build_progress *p,
                          const char *hash, status *st)
{
    value params[] = {value_integer(f->plan->wid), value_text(f->defined->object.key),
                      value_text(kinds[p->kind]),  value_text(hash),
                      value_time_us(p->lower_us),  value_time_us(p->upper_us)};
    return connection_run(c, &insert_build, params, 6, NULL, st);
}

status_class build_update(connection *c, const featurestore_plan *f, const build_progress *p, status *st)
{
    value params[] = {value_integer(f->plan->wid), value_text(f->defined->object.key),
                      value_time_us(p->cursor_us), value_integer((int64_t)p->rows),
                      value_integer(p->busy_us),   value_text(p->problem)};
    return connection_run(c, &update_build, params, 6, NULL, st);
}

status_class build_delete(connection *c, const featurestore_plan *f, status *st)
{
    value params[] = {value_integer(f->plan->wid), value_text(f->defined->object.key)};
    return connection_run(c, &delete_build, params, 2, NULL, st);
}

status_class build_set_paused(connection *c, const featurestore_plan *f, bool paused, bool *found_out,
                              status *st)
{
    rows *r = NULL;
    value params[] = {value_integer(f->plan->wid), value_text(f->defined->object.key), value_boolean(paused)};
    status_class class = connection_run(c, &pause_build, params, 3, &r, st);
    *found_out = class == STATUS_OK && rows_affected(r) > 0;
    rows_free(r);
    return class;
}

status_class build_note_object(connection *c, const featurestore_plan *f, const char *hash, const char *body,
                               status *st)
{
    value params[] = {value_integer(f->plan->wid), value_text(f->defined->object.key),
                      value_integer(f->plan->definition->generation), value_text(hash), value_text(body)};
    return connection_run(c, &note_object, params, 5, NULL, st);
}

status_class build_forget(connection *c, const featurestore_plan *f, status *st)
{
    value params[] = {value_integer(f->plan->wid), value_text(f->defined->object.key)};
    status_class class = connection_run(c, &forget_object, params, 2, NULL, st);
    if (class != STATUS_OK || fault_active("build_again"))
        return class;
    return connection_run(c, &forget_build, params, 2, NULL, st);
}

status_class build_widen(connection *c, const featurestore_plan *f, int64_t lower_us, int64_t upper_us,
                         bool *found_out, status *st)
{
    rows *r = NULL;
    value params[] = {value_integer(f->plan->wid), value_text(f->defined->object.key),
                      value_time_us(lower_us), value_time_us(upper_us)};
    status_class class = connection_run(c, &widen_build, params, 4, &r, st);
    *found_out = class == STATUS_OK && rows_affected(r) > 0;
    rows_free(r);
    return class;
}

status_class build_clear(connection *c, const store_table *t, status *st)
{
    char label[TABLE_LABEL_SIZE];
    text sql = {0};
    table_label(label, t);
    text_printf(&sql, "DELETE FROM %s", label);
    status_class class = exec_text(c, &sql, st);
    text_free(&sql);
    return class;
}
