#include "flow/dirty_marks.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/fault.h"
#include "store/copy.h"

typedef struct target {
    int32_t wid;
    const char *name;
} target;

struct dirty_marks {
    dirty_set *set;
    target *targets; /* by dirty_mark.dependant */
    uint32_t n_targets, cap_targets;
    int64_t seq; /* newest row */
    arena *arena;
};

dirty_marks *dirty_marks_create(void)
{
    dirty_marks *m = memory_zero(1, sizeof *m);
    m->set = dirty_create();
    m->arena = arena_create(0);
    return m;
}

void dirty_marks_free(dirty_marks *m)
{
    if (!m)
        return;
    dirty_free(m->set);
    arena_free(m->arena);
    free(m->targets);
    free(m);
}

void dirty_marks_clear(dirty_marks *m)
{
    dirty_clear(m->set);
    arena_reset(m->arena);
    m->n_targets = 0;
    m->seq = 0;
}

static uint32_t target_number(dirty_marks *m, int32_t wid, const char *name)
{
    for (uint32_t i = 0; i < m->n_targets; i++)
        if (m->targets[i].wid == wid && strcmp(m->targets[i].name, name) == 0)
            return i;
    if (m->n_targets == m->cap_targets) {
        m->cap_targets = m->cap_targets ? m->cap_targets * 2 : 16;
        m->targets = memory_grow(m->targets, m->cap_targets * sizeof *m->targets);
    }
    m->targets[m->n_targets] = (target){wid, arena_string(m->arena, name)};
    return m->n_targets++;
}

static int64_t oldest_bucket(const dependant *d, int64_t received_us)
{
    if (received_us == INT64_MIN || d->horizon_us == DEFINITION_ANY)
        return INT64_MIN;
    return received_us - d->horizon_us;
}

void dirty_marks_add(dirty_marks *m, int32_t wid, const dependant *dependants, uint32_t n, const batch *rows,
                     int64_t seq, int64_t received_us, uint32_t *too_late_out)
{
    for (uint32_t i = 0; i < n; i++) {
        const dependant *d = &dependants[i];
        dirty_rule rule = {.dependant = target_number(m, wid, d->name),
                           .time_column = d->time_column,
                           .n_entity = d->n_entity,
                           .entity_columns = d->entity_columns,
                           .bucket = d->bucket,
                           .before_us = d->before_us,
                           .after_us = d->after_us,
                           .oldest_us = oldest_bucket(d, received_us)};
        uint32_t too_late = dirty_add(m->set, rows, &rule);
        if (too_late_out)
            too_late_out[i] = too_late;
    }
    m->seq = seq > m->seq ? seq : m->seq;
}

/* A text[] literal, {"a","b"}, of n NUL-terminated parts that follow one another. */
static void entity_literal(text *out, const char *parts, uint32_t n)
{
    text_add_char(out, '{');
    for (uint32_t i = 0; i < n; i++, parts += strlen(parts) + 1) {
        text_add(out, i ? ",\"" : "\"");
        for (const char *p = parts; *p; p++) {
            if (*p == '"' || *p == '\\')
                text_add_char(out, '\\');
            text_add_char(out, *p);
        }
        text_add_char(out, '"');
    }
    text_add_char(out, '}');
}

typedef struct insert_lists {
    const char **names, **entities;
    int64_t *buckets;
    uint32_t n;
} insert_lists;

static insert_lists collect(dirty_marks *m, int32_t wid)
{
    uint32_t count = dirty_count(m->set);
    insert_lists lists = {arena_zero(m->arena, count, sizeof(char *)),
                          arena_zero(m->arena, count, sizeof(char *)),
                          arena_zero(m->arena, count, sizeof(int64_t)), 0};
    text literal = {0};
    for (uint32_t i = 0; i < count; i++) {
        dirty_mark mark = dirty_at(m->set, i);
        if (m->targets[mark.dependant].wid != wid)
            continue;
        text_clear(&literal);
        entity_literal(&literal, mark.parts, mark.n_parts);
        lists.names[lists.n] = m->targets[mark.dependant].name;
        lists.entities[lists.n] = arena_string_n(m->arena, literal.data, literal.len);
        lists.buckets[lists.n++] = mark.bucket_us;
    }
    text_free(&literal);
    return lists;
}

enum { MARK_PARAMS = 4, WORKSPACES_A_TRIP = 32 };

static statement_call insert_call(dirty_marks *m, int32_t wid)
{
    insert_lists lists = collect(m, wid);
    statement *insert = arena_zero(m->arena, 1, sizeof *insert);
    value *params = arena_zero(m->arena, MARK_PARAMS, sizeof *params);
    const char *sql = arena_printf(
        m->arena,
        "INSERT INTO penstock.dirty_wid%d (dependant, bucket, entity, seq)"
        " SELECT d, b, e::text[], $4 FROM unnest($1::text[], $2::timestamptz[], $3::text[]) AS u(d, b, e)",
        wid);
    *insert = (statement){"write dirty marks", sql};
    params[0] = value_texts(lists.names, lists.n);
    params[1] = copy_times_value(m->arena, lists.buckets, lists.n);
    params[2] = value_texts(lists.entities, lists.n);
    params[3] = value_integer(m->seq);
    return (statement_call){insert, params, MARK_PARAMS, NULL};
}

static bool seen_before(const dirty_marks *m, uint32_t i)
{
    for (uint32_t k = 0; k < i; k++)
        if (m->targets[k].wid == m->targets[i].wid)
            return true;
    return false;
}

/* Those of many workspaces in one round trip: a turn may write for hundreds. */
status_class dirty_marks_write(dirty_marks *m, connection *c, status *st)
{
    statement_call calls[WORKSPACES_A_TRIP];
    status_class class = STATUS_OK;
    uint32_t i = 0, all = dirty_count(m->set) > 0 ? m->n_targets : 0;
    while (i < all && class == STATUS_OK) {
        unsigned n = 0;
        for (; i < all && n < WORKSPACES_A_TRIP; i++)
            if (!seen_before(m, i))
                calls[n++] = insert_call(m, m->targets[i].wid);
        if (n > 0)
            class = connection_pipeline(c, calls, n, NULL, st);
        for (unsigned k = 0; k < n; k++)
            rows_free(calls[k].result);
    }
    return class;
}

/* ---- the refresher's side ---- */

static int compare_keys(const void *left, const void *right, void *arg)
{
    const dirty_key *a = left, *b = right;
    uint32_t n_entity = *(const uint32_t *)arg;
    for (uint32_t i = 0; i < n_entity; i++) {
        int order = strcmp(a->entity[i], b->entity[i]);
        if (order)
            return order;
    }
    return a->bucket_us < b->bucket_us ? -1 : a->bucket_us > b->bucket_us;
}

static uint32_t keys_read(const rows *found, uint32_t n_entity, arena *a, dirty_key **keys_out)
{
    dirty_key *keys = arena_zero(a, rows_count(found), sizeof *keys);
    uint32_t n = 0, kept = 0;
    for (uint32_t i = 0; i < rows_count(found); i++) {
        uint32_t parts;
        const char *const *entity = (const char *const *)rows_texts(found, i, 1, a, &parts);
        if (parts == n_entity)
            keys[n++] = (dirty_key){rows_time_us(found, i, 0), entity};
    }
    qsort_r(keys, n, sizeof *keys, compare_keys, &n_entity);
    for (uint32_t i = 0; i < n; i++)
        if (kept == 0 || compare_keys(&keys[kept - 1], &keys[i], &n_entity) != 0)
            keys[kept++] = keys[i];
    *keys_out = keys;
    return kept;
}

status_class dirty_marks_claim(connection *c, int32_t wid, const char *name, uint32_t n_entity,
                               uint32_t limit, arena *a, dirty_claim *out, status *st)
{
    char sql[320];
    rows *found;
    /* The marks as they lie, up to the last of the first $2: two scans whatever the planner believes. With
     * `ctid = ANY (array)` a plan made while the table was empty compares each mark with all of them. */
    snprintf(
        sql, sizeof sql,
        "DELETE FROM penstock.dirty_wid%d WHERE dependant = $1 AND ctid <= (SELECT max(ctid) FROM (SELECT"
        " ctid FROM penstock.dirty_wid%d WHERE dependant = $1 LIMIT $2) first) RETURNING bucket, entity",
        wid, wid);
    if (fault_active("mark_order"))
        snprintf(sql, sizeof sql,
                 "SELECT bucket, entity FROM penstock.dirty_wid%d WHERE dependant = $1 LIMIT $2", wid);
    statement claim = {"claim dirty marks", sql};
    value params[] = {value_text(name), value_integer(limit)};
    status_class class = connection_run(c, &claim, params, 2, &found, st);
    if (class != STATUS_OK)
        return class;
    out->n = keys_read(found, n_entity, a, &out->keys);
    out->more = rows_count(found) >= limit;
    rows_free(found);
    return STATUS_OK;
}

#ifdef PENSTOCK_FAULTS
status_class dirty_marks_remove_late(connection *c, int32_t wid, const char *name, status *st)
{
    char sql[160];
    snprintf(sql, sizeof sql, "DELETE FROM penstock.dirty_wid%d WHERE dependant = $1", wid);
    value params[] = {value_text(name)};
    return connection_exec(c, sql, params, 1, NULL, st);
}
#endif

status_class dirty_marks_all(connection *c, int32_t wid, const store_table *source, const dependant *d,
                             int64_t from_us, int64_t to_us, status *st)
{
    char label[TABLE_LABEL_SIZE];
    text sql = {0};
    table_label(label, source);
    text_printf(
        &sql, "INSERT INTO penstock.dirty_wid%d (dependant, bucket, entity, seq) SELECT DISTINCT $1, ", wid);
    assert(bucket_nominal_us(d->bucket) == 0); /* those with buckets of their own are built, not marked */
    sql_identifier(&sql, source->columns[d->time_column].name);
    text_add(&sql, ", ARRAY[");
    for (uint32_t i = 0; i < d->n_entity; i++) {
        text_add(&sql, i ? ", " : "");
        sql_identifier(&sql, source->columns[d->entity_columns[i]].name);
        text_add(&sql, "::text");
    }
    text_printf(&sql, "]::text[], 0 FROM %s WHERE ", label);
    sql_identifier(&sql, source->columns[d->time_column].name);
    text_add(&sql, " BETWEEN $2 AND $3");
    value params[] = {value_text(d->name), value_time_us(from_us), value_time_us(to_us)};
    statement mark = {"mark everything dirty", sql.data};
    status_class class = connection_run(c, &mark, params, 3, NULL, st);
    text_free(&sql);
    return class;
}
