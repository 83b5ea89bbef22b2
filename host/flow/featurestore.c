#include "flow/featurestore.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/fault.h"
#include "base/text.h"
#include "control/definition_table.h"
#include "flow/dirty_marks.h"
#include "flow/live_stage.h"
#include "store/copy.h"

enum {
    STEP_ARENA_BYTES = 65536,
    BLOCK_RANGES = 4 /* fewer are as quick one by one */,
    PARAMS_MAX = 2 * (TABLE_KEY_COLUMNS_MAX + 2) + 8
};

typedef struct step {
    const featurestore_plan *f; /* whose rows are computed */
    connection *c;
    arena *arena;
    dirty_key *keys;
    uint32_t n_keys;
    int64_t *range_starts, *range_ends;
    const char *const **range_entities; /* as in dirty_key */
    uint32_t n_ranges;
} step;

/* ---- ranges of the sources that the keys need ---- */

static bool same_entity(const dirty_key *a, const dirty_key *b, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(a->entity[i], b->entity[i]) != 0)
            return false;
    return true;
}

/* Keys are sorted by entity, then bucket: neighbours whose ranges touch become one. */
static void merge_ranges(step *s)
{
    const defined_featurestore *d = s->f->defined;
    s->range_starts = arena_zero(s->arena, s->n_keys, sizeof(int64_t));
    s->range_ends = arena_zero(s->arena, s->n_keys, sizeof(int64_t));
    s->range_entities = arena_zero(s->arena, s->n_keys, sizeof(char *));
    s->n_ranges = 0;
    for (uint32_t i = 0; i < s->n_keys; i++) {
        int64_t start = s->keys[i].bucket_us - d->reach_before_us;
        int64_t end = bucket_end(&s->f->bucket, s->keys[i].bucket_us) + d->reach_after_us;
        uint32_t last = s->n_ranges - 1;
        if (i > 0 && same_entity(&s->keys[i - 1], &s->keys[i], s->f->table.n_entity) &&
            start <= s->range_ends[last]) {
            s->range_ends[last] = end;
            continue;
        }
        s->range_starts[s->n_ranges] = start;
        s->range_ends[s->n_ranges] = end;
        s->range_entities[s->n_ranges++] = s->keys[i].entity;
    }
}

/* ---- parameters ---- */

static int64_t *bucket_times(step *s)
{
    int64_t *times = arena_zero(s->arena, s->n_keys, sizeof *times);
    for (uint32_t i = 0; i < s->n_keys; i++)
        times[i] = s->keys[i].bucket_us;
    return times;
}

static value key_times(step *s)
{
    return copy_times_value(s->arena, bucket_times(s), s->n_keys);
}

static value key_entities(step *s, uint32_t part)
{
    const char **texts = arena_zero(s->arena, s->n_keys, sizeof *texts);
    for (uint32_t i = 0; i < s->n_keys; i++)
        texts[i] = s->keys[i].entity[part];
    return value_texts(texts, s->n_keys);
}

static value range_entities(step *s, uint32_t part)
{
    const char **texts = arena_zero(s->arena, s->n_ranges, sizeof *texts);
    for (uint32_t i = 0; i < s->n_ranges; i++)
        texts[i] = s->range_entities[i][part];
    return value_texts(texts, s->n_ranges);
}

/* What the host knows under a name that the author's SQL may use. */
static value host_parameter(step *s, const char *name)
{
    const defined_featurestore *d = s->f->defined;
    if (strcmp(name, "bucket") == 0)
        return value_text(d->interval);
    return value_text(d->timezone);
}

/* The block that all ranges lie in: the hull of their times, the entities once each. */
typedef struct block {
    int64_t from_us, to_us;
    uint32_t n_entities, *firsts; /* number of the first range of each entity */
    bool dense;                   /* at least half of it is dirty */
} block;

static block block_of(step *s)
{
    block b = {INT64_MAX, INT64_MIN, 0, arena_zero(s->arena, s->n_ranges + 1, sizeof(uint32_t)), false};
    double dirty = 0;
    for (uint32_t i = 0; i < s->n_ranges; i++) {
        dirty_key one = {0, s->range_entities[i]}, last = {0, i ? s->range_entities[i - 1] : NULL};
        if (i == 0 || !same_entity(&one, &last, s->f->table.n_entity))
            b.firsts[b.n_entities++] = i;
        b.from_us = s->range_starts[i] < b.from_us ? s->range_starts[i] : b.from_us;
        b.to_us = s->range_ends[i] > b.to_us ? s->range_ends[i] : b.to_us;
        dirty += (double)(s->range_ends[i] - s->range_starts[i]);
    }
    b.dense = s->n_ranges >= BLOCK_RANGES && dirty * 2 >= (double)(b.to_us - b.from_us) * b.n_entities;
    return b;
}

static unsigned bind_block(step *s, const block *b, value *out)
{
    unsigned n = 0;
    out[n++] = value_time_us(b->from_us);
    out[n++] = value_time_us(b->to_us);
    for (uint32_t part = 0; part < s->f->table.n_entity; part++) {
        const char **texts = arena_zero(s->arena, b->n_entities, sizeof *texts);
        for (uint32_t i = 0; i < b->n_entities; i++)
            texts[i] = s->range_entities[b->firsts[i]][part];
        out[n++] = value_texts(texts, b->n_entities);
    }
    return n;
}

static unsigned bind_values(step *s, const block *b, value *out)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < s->f->n_params; i++)
        out[n++] = host_parameter(s, s->f->params[i]);
    out[n++] = key_times(s);
    for (uint32_t i = 0; i < s->f->table.n_entity; i++)
        out[n++] = key_entities(s, i);
    if (b->dense)
        return n + bind_block(s, b, out + n);
    out[n++] = copy_times_value(s->arena, s->range_starts, s->n_ranges);
    out[n++] = copy_times_value(s->arena, s->range_ends, s->n_ranges);
    for (uint32_t i = 0; i < s->f->table.n_entity; i++)
        out[n++] = range_entities(s, i);
    return n;
}

/* ---- the statements of a step ---- */

static status_class delete_keys(step *s, status *st)
{
    char label[TABLE_LABEL_SIZE];
    text sql = {0};
    value params[TABLE_KEY_COLUMNS_MAX + 1];
    const store_table *t = &s->f->table;
    unsigned n = 0;
    table_label(label, t);
    text_printf(&sql, "DELETE FROM %s t USING unnest($1::timestamptz[]", label);
    for (uint32_t i = 0; i < t->n_entity; i++)
        text_printf(&sql, ", $%u::text[]", i + 2);
    text_add(&sql, ") AS k(b0");
    for (uint32_t i = 0; i < t->n_entity; i++)
        text_printf(&sql, ", e%u", i + 1);
    text_add(&sql, ") WHERE t.");
    sql_identifier(&sql, t->columns[t->time_column].name);
    text_add(&sql, " = k.b0");
    params[n++] = key_times(s);
    for (uint32_t i = 0; i < t->n_entity; i++) {
        text_add(&sql, " AND t.");
        sql_identifier(&sql, t->columns[t->entity[i]].name);
        text_printf(&sql, " = k.e%u::%s", i + 1, column_sql_type(t->columns[t->entity[i]].type));
        params[n++] = key_entities(s, i);
    }
    statement remove = {"remove features to be computed again", sql.data};
    status_class class = connection_run(s->c, &remove, params, n, NULL, st);
    text_free(&sql);
    return class;
}

static status_class insert_keys(step *s, uint64_t *rows_out, status *st)
{
    value params[PARAMS_MAX];
    rows *done;
    block b = block_of(s);
    statement insert = {"compute features", b.dense ? s->f->block_sql : s->f->refresh_sql};
    status_class class = connection_run(s->c, &insert, params, bind_values(s, &b, params), &done, st);
    if (class != STATUS_OK)
        return status_wrap(st, "featurestore %s", s->f->defined->object.key);
    *rows_out = (uint64_t)rows_affected(done);
    rows_free(done);
    return STATUS_OK;
}

/* The keys as rows of the featurestore's table: only the key columns are there. */
static batch keys_as_rows(step *s)
{
    const store_table *t = &s->f->table;
    column *columns = arena_zero(s->arena, t->n_columns, sizeof *columns);
    int64_t *times = arena_zero(s->arena, s->n_keys, sizeof *times);
    for (uint32_t k = 0; k < s->n_keys; k++)
        times[k] = s->keys[k].bucket_us;
    columns[t->time_column] = (column){.type = COLUMN_TIMESTAMP, .values = times};
    for (uint32_t i = 0; i < t->n_entity; i++) {
        int32_t *offsets = arena_zero(s->arena, s->n_keys + 1, sizeof *offsets);
        text data = {0};
        for (uint32_t k = 0; k < s->n_keys; k++) {
            text_add(&data, s->keys[k].entity[i]);
            offsets[k + 1] = (int32_t)data.len;
        }
        columns[t->entity[i]] = (column){.type = COLUMN_TEXT,
                                         .offsets = offsets,
                                         .data = arena_copy(s->arena, text_or_empty(&data), data.len)};
        text_free(&data);
    }
    return (batch){s->n_keys, t->n_columns, columns};
}

static status_class mark_dependants(step *s, status *st)
{
    if (s->f->n_dependants == 0)
        return STATUS_OK;
    dirty_marks *marks = dirty_marks_create();
    batch keys = keys_as_rows(s);
    dirty_marks_add(marks, s->f->plan->wid, s->f->dependants, s->f->n_dependants, &keys, 0, INT64_MIN, NULL);
    status_class class = dirty_marks_write(marks, s->c, st);
    dirty_marks_free(marks);
    return class;
}

/* The claimed keys as keys of this definition: marks may have been made by one with other buckets. Keys whose
 * sources are not complete any more stay as they are; *too_late_out counts them. */
static step step_for(const featurestore_plan *f, const step *claimed, int64_t oldest_us,
                     uint64_t *too_late_out)
{
    step s = {.f = f, .c = claimed->c, .arena = claimed->arena};
    s.keys = arena_zero(s.arena, claimed->n_keys, sizeof *s.keys);
    for (uint32_t i = 0; i < claimed->n_keys; i++) {
        dirty_key k = {bucket_start(&f->bucket, claimed->keys[i].bucket_us), claimed->keys[i].entity};
        const dirty_key *last = s.n_keys ? &s.keys[s.n_keys - 1] : NULL;
        if (k.bucket_us - f->defined->reach_before_us < oldest_us)
            ++*too_late_out;
        else if (!last || last->bucket_us != k.bucket_us || !same_entity(last, &k, f->table.n_entity))
            s.keys[s.n_keys++] = k;
    }
    return s;
}

static status_class recompute(step *s, uint64_t *rows_out, status *st)
{
    if (s->n_keys == 0)
        return STATUS_OK;
    merge_ranges(s);
    status_class class = delete_keys(s, st);
    return class == STATUS_OK ? insert_keys(s, rows_out, st) : class;
}

static status_class recompute_both(const step *claimed, const refresh_order *o, refresh_result *out,
                                   status *st)
{
    status_class class = STATUS_OK;
    uint64_t ignored = 0;
    if (o->serving) {
        step s = step_for(o->serving, claimed, o->oldest_us, &out->too_late);
        for (uint32_t i = 0; i < s.n_keys; i++)
            out->oldest_us = s.keys[i].bucket_us < out->oldest_us ? s.keys[i].bucket_us : out->oldest_us;
        class = recompute(&s, &out->rows, st);
        if (class == STATUS_OK && s.n_keys > 0)
            class = mark_dependants(&s, st);
    }
    if (class == STATUS_OK && o->beside) {
        step s = step_for(o->beside, claimed, o->oldest_us, o->serving ? &ignored : &out->too_late);
        class = recompute(&s, o->serving ? &ignored : &out->rows, st);
    }
    return class;
}

/* With the fault "mark_order" the marks go after the computation instead of before it. */
static status_class remove_late(const step *s, status *st)
{
#ifdef PENSTOCK_FAULTS
    if (fault_active("mark_order"))
        return dirty_marks_remove_late(s->c, s->f->plan->wid, s->f->name, st);
#endif
    (void)s, (void)st;
    return STATUS_OK;
}

static status_class step_inside(const refresh_order *o, step *s, refresh_result *out, status *st)
{
    dirty_claim claim = {0};
    status_class class = dirty_marks_claim(s->c, s->f->plan->wid, s->f->name, s->f->table.n_entity,
                                           FEATURESTORE_KEYS_A_STEP, s->arena, &claim, st);
    s->keys = claim.keys;
    s->n_keys = claim.n;
    out->keys = claim.n;
    out->more = claim.more;
    if (class == STATUS_OK && s->n_keys > 0)
        class = recompute_both(s, o, out, st);
    return class == STATUS_OK ? remove_late(s, st) : class;
}

/* Who watches is told what the keys are now. A COMMIT before this one whose answer was lost has ended: its
 * marks had to be waited for. */
static void tell(const refresh_order *o, const step *claimed)
{
    uint64_t ignored = 0;
    if (!o->serving)
        return;
    live_stage_settled(o->live, &o->serving->table);
    if (!live_stage_watched(o->live, &o->serving->table))
        return;
    step s = step_for(o->serving, claimed, o->oldest_us, &ignored);
    const int64_t *times = bucket_times(&s);
    const char *const **entities = arena_zero(s.arena, s.n_keys + 1, sizeof *entities);
    for (uint32_t i = 0; i < s.n_keys; i++)
        entities[i] = s.keys[i].entity;
    if (s.n_keys > 0)
        live_stage_tell(o->live, s.c, &s.f->table, &(store_ranges){times, times, entities, s.n_keys});
}

status_class featurestore_step(const refresh_order *o, connection *c, refresh_result *out, status *st)
{
    const featurestore_plan *f = o->serving ? o->serving : o->beside;
    *out = (refresh_result){.oldest_us = INT64_MAX};
    if (!f->refresh_sql)
        return status_set(st, STATUS_UNSUPPORTED, "%s", f->problem);
    status_class class = connection_begin(c, st);
    if (class != STATUS_OK)
        return class;
    step s = {.f = f, .c = c, .arena = arena_create(STEP_ARENA_BYTES)};
    class = step_inside(o, &s, out, st);
    if (class != STATUS_OK)
        connection_rollback(c);
    else if ((class = connection_commit(c, st)) == STATUS_OK)
        tell(o, &s);
    else if (o->serving)
        live_stage_unsettled(o->live, &o->serving->table);
    arena_free(s.arena);
    return class;
}

/* ---- a stretch of time ---- */

static status_class delete_range(const featurestore_plan *f, connection *c, const value *bounds, status *st)
{
    char label[TABLE_LABEL_SIZE];
    text sql = {0};
    table_label(label, &f->table);
    text_printf(&sql, "DELETE FROM %s WHERE ", label);
    sql_identifier(&sql, f->table.columns[f->table.time_column].name);
    text_add(&sql, " >= $1 AND ");
    sql_identifier(&sql, f->table.columns[f->table.time_column].name);
    text_add(&sql, " < $2");
    statement remove = {"remove features of a stretch", sql.data};
    status_class class = connection_run(c, &remove, bounds, 2, NULL, st);
    text_free(&sql);
    return class;
}

static status_class range_inside(const featurestore_plan *f, connection *c, int64_t lower_us,
                                 int64_t upper_us, uint64_t *rows_out, status *st)
{
    const defined_featurestore *d = f->defined;
    value bounds[] = {value_time_us(lower_us), value_time_us(upper_us)}, params[PARAMS_MAX];
    unsigned n = 0;
    rows *done;
    step s = {.f = f};
    for (uint32_t i = 0; i < f->n_params; i++)
        params[n++] = host_parameter(&s, f->params[i]);
    params[n++] = bounds[0];
    params[n++] = bounds[1];
    params[n++] = value_time_us(lower_us - d->reach_before_us);
    params[n++] = value_time_us(upper_us + d->reach_after_us);
    status_class class = delete_range(f, c, bounds, st);
    if (class != STATUS_OK)
        return class;
    statement insert = {"compute features of a stretch", f->range_sql};
    class = connection_run(c, &insert, params, n, &done, st);
    if (class != STATUS_OK)
        return status_wrap(st, "featurestore %s", d->object.key);
    *rows_out = (uint64_t)rows_affected(done);
    rows_free(done);
    return STATUS_OK;
}

status_class featurestore_range(const featurestore_plan *f, connection *c, int64_t lower_us, int64_t upper_us,
                                uint64_t *rows_out, status *st)
{
    *rows_out = 0;
    if (!f->range_sql)
        return status_set(st, STATUS_UNSUPPORTED, "%s", f->problem);
    status_class class = connection_begin(c, st);
    if (class != STATUS_OK)
        return class;
    class = range_inside(f, c, lower_us, upper_us, rows_out, st);
    if (class == STATUS_OK)
        return connection_commit(c, st);
    connection_rollback(c);
    return class;
}
