#include "flow/inferencestore.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/batch_builder.h"
#include "base/clock.h"
#include "base/text.h"
#include "base/utc.h"
#include "control/definition_table.h"
#include "flow/dirty_marks.h"
#include "flow/infer_rows.h"
#include "flow/live_stage.h"
#include "store/copy.h"

enum { STEP_ARENA_BYTES = 65536, RUN_GAP = 4, RUN_PARAMS_MAX = TABLE_KEY_COLUMNS_MAX + 3 };

typedef struct step {
    const model_plan *m;
    const champion *best;
    const poison_place *place;
    connection *c;
    const char *run;
    arena *arena;
    text buffer;
    uint64_t rows, poison;
    int64_t *from_us, *to_us; /* what was scored, of which entities */
    const char *const **entities;
    uint32_t n_scored;
    uint32_t retry_after_ms;
} step;

/* A stretch of one entity's time that is scored in one call. */
typedef struct stretch {
    const char *const *entity;
    int64_t first_us, last_us; /* dirty buckets */
} stretch;

/* ---- reading: from W rows before the first dirty bucket to W rows after the last ---- */

static void add_same_entity(text *sql, const store_table *t, unsigned first)
{
    for (uint32_t i = 0; i < t->n_entity; i++) {
        sql_identifier(sql, t->columns[t->entity[i]].name);
        text_printf(sql, " = $%u::%s AND ", first + i, column_sql_type(t->columns[t->entity[i]].type));
    }
}

static void add_neighbour(text *sql, const store_table *t, const char *pick, const char *compare,
                          const char *order)
{
    char label[TABLE_LABEL_SIZE];
    table_label(label, t);
    text_printf(sql, "(SELECT %s(b) FROM (SELECT ", pick);
    sql_identifier(sql, t->columns[t->time_column].name);
    text_printf(sql, " AS b FROM %s WHERE ", label);
    add_same_entity(sql, t, 4);
    sql_identifier(sql, t->columns[t->time_column].name);
    text_printf(sql, " %s ORDER BY 1 %s LIMIT $3) x)", compare, order);
}

static const char *stretch_condition(arena *a, const store_table *t)
{
    text sql = {0};
    add_same_entity(&sql, t, 4);
    sql_identifier(&sql, t->columns[t->time_column].name);
    text_add(&sql, " >= coalesce(");
    add_neighbour(&sql, t, "min", "< $1", "DESC");
    text_add(&sql, ", $1) AND ");
    sql_identifier(&sql, t->columns[t->time_column].name);
    text_add(&sql, " <= coalesce(");
    add_neighbour(&sql, t, "max", "> $2", "ASC");
    text_add(&sql, ", $2)");
    const char *out = arena_string_n(a, sql.data, sql.len);
    text_free(&sql);
    return out;
}

static status_class read_stretch(step *s, const stretch *r, feature_rows *out, status *st)
{
    const store_table *t = &s->m->from->table;
    value params[RUN_PARAMS_MAX] = {value_time_us(r->first_us), value_time_us(r->last_us),
                                    value_integer(s->best->context)};
    for (uint32_t i = 0; i < t->n_entity; i++)
        params[3 + i] = value_text(r->entity[i]);
    return feature_rows_read(s->c, t, stretch_condition(s->arena, t), params, 3 + t->n_entity, s->arena, out,
                             st);
}

/* ---- writing ---- */

static status_class remove_old(step *s, const stretch *r, int64_t last_us, status *st)
{
    const store_table *t = s->m->table;
    char label[TABLE_LABEL_SIZE];
    text sql = {0};
    value params[RUN_PARAMS_MAX] = {value_time_us(r->first_us), value_time_us(last_us)};
    table_label(label, t);
    text_printf(&sql, "DELETE FROM %s WHERE ", label);
    add_same_entity(&sql, t, 3);
    sql_identifier(&sql, t->columns[t->time_column].name);
    text_add(&sql, " BETWEEN $1 AND $2");
    for (uint32_t i = 0; i < t->n_entity; i++)
        params[2 + i] = value_text(r->entity[i]);
    statement remove = {"remove scores to be computed again", sql.data};
    status_class class = connection_run(s->c, &remove, params, 2 + t->n_entity, NULL, st);
    text_free(&sql);
    return class;
}

/* Where each column of the inferencestore comes from. */
typedef struct source {
    const column *column; /* of the features or of the answer; NULL = the host's own, or absent */
    bool features;        /* its rows are those of the features, not of the answer */
} source;

static void copy_value(batch_builder *b, uint32_t at, column_type type, const column *from, uint32_t row)
{
    if (column_is_null(from, row)) {
        batch_builder_null(b, at);
        return;
    }
    switch (from->type) {
    case COLUMN_BOOLEAN:
        batch_builder_boolean(b, at, bitmap_get(from->values, row));
        break;
    case COLUMN_INTEGER:
        if (type == COLUMN_NUMBER)
            batch_builder_number(b, at, (double)((const int64_t *)from->values)[row]);
        else
            batch_builder_int64(b, at, ((const int64_t *)from->values)[row]);
        break;
    case COLUMN_TIMESTAMP:
        batch_builder_int64(b, at, ((const int64_t *)from->values)[row]);
        break;
    case COLUMN_NUMBER:
        batch_builder_number(b, at, ((const double *)from->values)[row]);
        break;
    case COLUMN_DATE:
        batch_builder_date(b, at, ((const int32_t *)from->values)[row]);
        break;
    case COLUMN_UUID:
        batch_builder_uuid(b, at, (const uint8_t *)from->values + (size_t)16 * row);
        break;
    case COLUMN_TEXT:
    case COLUMN_JSON:
        batch_builder_text(b, at, from->data + from->offsets[row],
                           (size_t)(from->offsets[row + 1] - from->offsets[row]));
        break;
    }
}

static void put_provenance(step *s, batch_builder *b, uint32_t first, int64_t read_us)
{
    const char *model = s->m->defined->object.key;
    batch_builder_text(b, first, model, strlen(model));
    batch_builder_int64(b, first + 1, s->best->version);
    batch_builder_text(b, first + 2, s->run, strlen(s->run));
    batch_builder_int64(b, first + 3, read_us);
}

static int name_index(const char *const *names, uint32_t n, const char *name)
{
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return (int)i;
    return -1;
}

static status_class find_sources(step *s, const feature_rows *features, const instance_batch *answer,
                                 source *out, status *st)
{
    const store_table *t = s->m->table;
    for (uint32_t i = 0; i + INFERENCE_SYSTEM_COLUMNS < t->n_columns; i++) {
        int from_answer = instance_batch_column(answer, t->columns[i].name);
        int from_features = name_index(features->names, features->rows.n_columns, t->columns[i].name);
        const column *c = from_answer >= 0     ? &answer->rows.columns[from_answer]
                          : from_features >= 0 ? &features->rows.columns[from_features]
                                               : NULL;
        if (c && c->type != t->columns[i].type &&
            !(c->type == COLUMN_INTEGER && t->columns[i].type == COLUMN_NUMBER))
            return status_set(st, STATUS_INVALID,
                              "model %s: its answer's column %s is of another type than the store's",
                              s->m->defined->object.key, t->columns[i].name);
        out[i] = (source){c, from_answer < 0};
    }
    return STATUS_OK;
}

static status_class insert_scores(step *s, const feature_rows *features, const infer_part *part,
                                  int64_t read_us, status *st)
{
    const instance_batch *answer = part->answer;
    const store_table *t = s->m->table;
    uint32_t n_own = t->n_columns - INFERENCE_SYSTEM_COLUMNS;
    source *sources = arena_zero(s->arena, t->n_columns, sizeof *sources);
    column_type *types = arena_zero(s->arena, t->n_columns, sizeof *types);
    text sql = {0};
    status_class class = find_sources(s, features, answer, sources, st);
    if (class != STATUS_OK)
        return class;
    for (uint32_t i = 0; i < t->n_columns; i++)
        types[i] = t->columns[i].type;
    batch_builder *b = batch_builder_create(types, t->n_columns);
    for (uint32_t row = 0; row < answer->rows.n_rows; row++) {
        for (uint32_t i = 0; i < n_own; i++)
            if (sources[i].column)
                copy_value(b, i, types[i], sources[i].column, sources[i].features ? part->rows[row] : row);
        put_provenance(s, b, n_own, read_us);
        batch_builder_end_row(b);
    }
    batch scored = batch_builder_freeze(b);
    copy_encode(&s->buffer, &scored, &(copy_rows){.system = false});
    copy_statement(&sql, t);
    class = copy_send(s->c, sql.data, &s->buffer, NULL, st);
    s->rows += scored.n_rows;
    text_free(&sql);
    batch_builder_free(b);
    return class;
}

/* ---- scoring ---- */

static status_class score_rows(step *s, const feature_rows *features, uint32_t skip, int64_t read_us,
                               status *st)
{
    infer_order order = {
        .m = s->m, .best = s->best, .place = *s->place, .run = s->run, .features = features, .skip = skip};
    infer_parts parts;
    status_class class = infer_rows(&order, s->arena, &parts, st);
    s->poison += parts.n_poison;
    s->retry_after_ms = parts.retry_after_ms;
    for (uint32_t i = 0; i < parts.n && class == STATUS_OK; i++)
        class = insert_scores(s, features, &parts.items[i], read_us, st);
    infer_parts_free(&parts);
    return class;
}

static uint32_t rows_before(const feature_rows *features, int64_t us)
{
    const int64_t *times = features->rows.columns[1].values;
    uint32_t n = 0;
    while (n < features->rows.n_rows && times[n] < us)
        n++;
    return n;
}

static status_class score_stretch(step *s, const stretch *r, status *st)
{
    feature_rows features = {0};
    int64_t read_us = clock_wall_us();
    status_class class = read_stretch(s, r, &features, st);
    if (class != STATUS_OK)
        return class;
    uint32_t skip = rows_before(&features, r->first_us), n = features.rows.n_rows;
    int64_t last_us = n > skip ? ((const int64_t *)features.rows.columns[1].values)[n - 1] : r->last_us;
    last_us = last_us > r->last_us ? last_us : r->last_us;
    s->from_us[s->n_scored] = r->first_us;
    s->to_us[s->n_scored] = last_us;
    s->entities[s->n_scored++] = r->entity;
    class = remove_old(s, r, last_us, st);
    if (class == STATUS_OK && n > skip)
        class = score_rows(s, &features, skip, read_us, st);
    feature_rows_free(&features);
    return class;
}

static bool same_stretch(const step *s, const dirty_key *a, const dirty_key *b)
{
    for (uint32_t i = 0; i < s->m->from->table.n_entity; i++)
        if (strcmp(a->entity[i], b->entity[i]) != 0)
            return false;
    return b->bucket_us - a->bucket_us <=
           (int64_t)RUN_GAP * (s->best->context + 1) * bucket_nominal_us(&s->m->from->bucket);
}

static status_class score_keys(step *s, const dirty_key *keys, uint32_t n, status *st)
{
    status_class class = STATUS_OK;
    uint32_t first = 0;
    s->from_us = arena_zero(s->arena, n + 1, sizeof *s->from_us);
    s->to_us = arena_zero(s->arena, n + 1, sizeof *s->to_us);
    s->entities = arena_zero(s->arena, n + 1, sizeof *s->entities);
    for (uint32_t i = 0; i < n && class == STATUS_OK; i++) {
        if (i + 1 < n && same_stretch(s, &keys[i], &keys[i + 1]))
            continue;
        stretch r = {keys[first].entity, keys[first].bucket_us, keys[i].bucket_us};
        class = score_stretch(s, &r, st);
        first = i + 1;
    }
    return class;
}

/* After a commit; one before it whose answer was lost has ended, since its marks had to be waited for. */
static void tell(const step *s, live_hub *live)
{
    live_stage_settled(live, s->m->table);
    if (s->n_scored > 0)
        live_stage_tell(live, s->c, s->m->table,
                        &(store_ranges){s->from_us, s->to_us, s->entities, s->n_scored});
}

status_class inferencestore_step(const model_plan *m, const champion *best, const poison_place *place,
                                 live_hub *live, connection *c, const char *run, inference_result *out,
                                 status *st)
{
    dirty_claim claim = {0};
    int64_t oldest_us = INT64_MAX;
    *out = (inference_result){.oldest_us = INT64_MAX};
    status_class class = connection_begin(c, st);
    if (class != STATUS_OK)
        return class;
    step s = {
        .m = m, .best = best, .place = place, .c = c, .run = run, .arena = arena_create(STEP_ARENA_BYTES)};
    class = dirty_marks_claim(c, m->plan->wid, m->name, m->from->table.n_entity, INFERENCE_KEYS_A_STEP,
                              s.arena, &claim, st);
    if (class == STATUS_OK)
        class = score_keys(&s, claim.keys, claim.n, st);
    if (class != STATUS_OK)
        connection_rollback(c);
    else if ((class = connection_commit(c, st)) != STATUS_OK)
        live_stage_unsettled(live, m->table);
    else
        tell(&s, live);
    for (uint32_t i = 0; i < claim.n; i++)
        oldest_us = claim.keys[i].bucket_us < oldest_us ? claim.keys[i].bucket_us : oldest_us;
    *out = (inference_result){claim.n, s.rows, claim.more, s.poison, oldest_us, s.retry_after_ms};
    text_free(&s.buffer);
    arena_free(s.arena);
    return class;
}

status_class inferencestore_mark_all(const model_plan *m, connection *c, status *st)
{
    for (uint32_t i = 0; i < m->from->n_dependants; i++)
        if (strcmp(m->from->dependants[i].name, m->name) == 0)
            return dirty_marks_all(c, m->plan->wid, &m->from->table, &m->from->dependants[i], UTC_MIN_US,
                                   UTC_MAX_US, st);
    return STATUS_OK;
}
