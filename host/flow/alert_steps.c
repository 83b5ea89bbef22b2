/* First the newest step of each entity, then all steps between what was seen and that one. */
#include "flow/alert_steps.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/batch_json.h"
#include "base/text.h"
#include "base/utc.h"
#include "control/definition_table.h"
#include "flow/alert.h"
#include "store/copy.h"

enum { RAW_QUIET_US = 60000000 };

typedef struct scan {
    const alert_scan *of;
    bool by_entity;
} scan;

const char *alert_labels(const metric_plan *metric, const metric_result *r, uint32_t row, arena *a)
{
    text out = {0};
    text_list labels = metric->defined->labels;
    text_add_char(&out, '{');
    for (uint32_t i = 0; i < labels.n; i++) {
        int at = metric_result_find(r, labels.items[i]);
        text_add(&out, i ? "," : "");
        text_add_json_string(&out, labels.items[i], strlen(labels.items[i]));
        text_add_char(&out, ':');
        if (at >= 0)
            batch_value_json(&out, &r->rows.columns[at], row);
        else
            text_add(&out, "null");
    }
    text_add_char(&out, '}');
    const char *copy = arena_string_n(a, out.data, out.len);
    text_free(&out);
    return copy;
}

/* Labels of the metric as columns of the driver: the same set in either order. */
static bool labels_are_entity(const metric_plan *metric)
{
    const store_table *t = metric->driver;
    text_list labels = metric->defined->labels;
    if (labels.n != t->n_entity || labels.n == 0)
        return false;
    for (uint32_t i = 0; i < labels.n; i++) {
        int32_t at = table_column_find(t, labels.items[i]);
        bool found = false;
        for (uint32_t k = 0; k < t->n_entity; k++)
            found = found || (int32_t)t->entity[k] == at;
        if (!found)
            return false;
    }
    return true;
}

/* The start of the step that a row of the driver belongs to. */
static void add_step_start(text *sql, const scan *s)
{
    const store_table *t = s->of->metric->driver;
    const char *time = t->columns[t->time_column].name;
    if (s->of->metric->driver_width_us) {
        sql_identifier(sql, time);
        return;
    }
    text_printf(sql, "date_bin('%" PRId64 " microseconds', ", s->of->width_us);
    sql_identifier(sql, time);
    text_add(sql, ", 'epoch')");
}

static void add_label_columns(text *sql, const scan *s)
{
    for (uint32_t i = 0; i < s->of->metric->defined->labels.n && s->by_entity; i++) {
        text_add(sql, ", ");
        sql_identifier(sql, s->of->metric->defined->labels.items[i]);
    }
}

/* Raw rows have no bucket to complete: the newest step counts once nothing came for the entity for a minute.
 */
static void add_raw_newest(text *sql, const scan *s)
{
    text_add(sql, "max(");
    add_step_start(sql, s);
    text_printf(sql,
                ") + CASE WHEN max(_received) < $1 THEN '%" PRId64 " microseconds'::interval ELSE '0' END",
                s->of->width_us);
}

/* a, b of the entity; with a prefix p.a, p.b. */
static void add_entity(text *sql, const store_table *t, const char *prefix)
{
    for (uint32_t i = 0; i < t->n_entity; i++) {
        text_printf(sql, "%s%s", i ? ", " : "", prefix);
        sql_identifier(sql, t->columns[t->entity[i]].name);
    }
}

/* Derived rows, by their key's index: from one entity to the next, and the newest of each, however many rows
 * there are. */
static void add_derived_newest(text *sql, const scan *s)
{
    char label[TABLE_LABEL_SIZE];
    const store_table *t = s->of->metric->driver;
    table_label(label, t);
    text_add(sql, "WITH RECURSIVE e AS ((SELECT ");
    add_entity(sql, t, "");
    text_printf(sql, " FROM %s ORDER BY ", label);
    add_entity(sql, t, "");
    text_add(sql, " LIMIT 1) UNION ALL SELECT n.* FROM e CROSS JOIN LATERAL (SELECT ");
    add_entity(sql, t, "t.");
    text_printf(sql, " FROM %s t WHERE (", label);
    add_entity(sql, t, "t.");
    text_add(sql, ") > (");
    add_entity(sql, t, "e.");
    text_add(sql, ") ORDER BY ");
    add_entity(sql, t, "t.");
    text_add(sql, " LIMIT 1) n) SELECT n.newest");
    add_label_columns(sql, s);
    text_add(sql, " FROM e CROSS JOIN LATERAL (SELECT ");
    sql_identifier(sql, t->columns[t->time_column].name);
    text_printf(sql, " AS newest FROM %s t WHERE (", label);
    add_entity(sql, t, "t.");
    text_add(sql, ") = (");
    add_entity(sql, t, "e.");
    text_add(sql, ") ORDER BY ");
    sql_identifier(sql, t->columns[t->time_column].name);
    text_add(sql, " DESC LIMIT 1) n");
}

/* Raw rows, and a store as a whole. */
static void add_grouped_newest(text *sql, const scan *s, bool raw)
{
    char label[TABLE_LABEL_SIZE];
    table_label(label, s->of->metric->driver);
    text_add(sql, "SELECT ");
    if (raw) {
        add_raw_newest(sql, s);
    } else {
        text_add(sql, "max(");
        add_step_start(sql, s);
        text_add_char(sql, ')');
    }
    text_add(sql, " AS newest");
    add_label_columns(sql, s);
    text_printf(sql, " FROM %s", label);
    for (uint32_t i = 0; i < s->of->metric->defined->labels.n && s->by_entity; i++) {
        text_add(sql, i ? ", " : " GROUP BY ");
        sql_identifier(sql, s->of->metric->defined->labels.items[i]);
    }
}

/* Newest step of each entity: what lies before it is complete. */
static status_class read_newest(const scan *s, metric_result *out, status *st)
{
    text sql = {0};
    rows *found;
    bool raw = s->of->metric->driver->class == STORE_DATASTORE;
    value quiet = value_time_us(s->of->now_us - RAW_QUIET_US);
    if (raw || !s->by_entity)
        add_grouped_newest(&sql, s, raw);
    else
        add_derived_newest(&sql, s);
    statement newest = {"find the newest steps", sql.data};
    status_class class = connection_run(s->of->data, &newest, &quiet, raw ? 1 : 0, &found, st);
    text_free(&sql);
    if (class != STATUS_OK)
        return class;
    metric_result_of_rows(found, s->of->arena, out);
    rows_free(found);
    return STATUS_OK;
}

/* Where to look for steps: of each entity (or of the store as a whole) those in (after, newest). */
typedef struct lookout {
    int64_t *after_us, *newest_us;
    const char **labels;                          /* NULL = the store as a whole */
    const char **entities[TABLE_KEY_COLUMNS_MAX]; /* by label, then by entity; as text */
    uint32_t n;
} lookout;

static lookout lookout_create(const scan *s, uint32_t n)
{
    lookout l = {.after_us = arena_zero(s->of->arena, n + 1, sizeof(int64_t)),
                 .newest_us = arena_zero(s->of->arena, n + 1, sizeof(int64_t)),
                 .labels = arena_zero(s->of->arena, n + 1, sizeof(char *))};
    for (uint32_t i = 0; i < s->of->metric->defined->labels.n && s->by_entity; i++)
        l.entities[i] = arena_zero(s->of->arena, n + 1, sizeof(char *));
    return l;
}

static int64_t look_after(const scan *s, int64_t last_us)
{
    const bucket_rule *b = s->of->metric->driver_bucket;
    return last_us == INT64_MIN ? UTC_MIN_US : b ? bucket_start(b, last_us - 1) : last_us - s->of->width_us;
}

static void add_lookout(const scan *s, lookout *l, const metric_result *newest, uint32_t row)
{
    const char *labels = s->by_entity ? alert_labels(s->of->metric, newest, row, s->of->arena) : NULL;
    for (uint32_t i = 0; i < s->of->metric->defined->labels.n && s->by_entity; i++) {
        text plain = {0};
        const column *c = &newest->rows.columns[i + 1];
        if (column_is_null(c, row))
            return; /* nothing equals it */
        batch_value_text(&plain, c, row);
        l->entities[i][l->n] = arena_string(s->of->arena, text_or_empty(&plain));
        text_free(&plain);
    }
    l->labels[l->n] = labels;
    l->after_us[l->n] = look_after(s, alert_lives_last(s->of->lives, labels ? labels : "{}"));
    l->newest_us[l->n++] = ((const int64_t *)newest->rows.columns[0].values)[row];
}

/* The steps of all entities in one statement, an index scan for each. */
static void add_steps_sql(text *sql, const scan *s, const metric_result *newest)
{
    char label[TABLE_LABEL_SIZE];
    const store_table *t = s->of->metric->driver;
    text_list names = s->of->metric->defined->labels;
    uint32_t n = s->by_entity ? names.n : 0;
    table_label(label, t);
    text_add(sql, "SELECT k.i, s.at FROM unnest($2::timestamptz[], $3::timestamptz[]");
    for (uint32_t i = 0; i < n; i++)
        text_printf(sql, ", $%u::text[]", i + 4);
    text_add(sql, ") WITH ORDINALITY AS k(after, newest");
    for (uint32_t i = 0; i < n; i++)
        text_printf(sql, ", e%u", i + 1);
    text_add(sql, ", i) CROSS JOIN LATERAL (SELECT DISTINCT ");
    add_step_start(sql, s);
    text_printf(sql, " AS at FROM %s t WHERE ", label);
    sql_identifier(sql, t->columns[t->time_column].name);
    text_printf(sql, " >= k.after + '%" PRId64 " microseconds'::interval AND ",
                s->of->metric->driver_width_us ? 1 : s->of->width_us);
    sql_identifier(sql, t->columns[t->time_column].name);
    text_add(sql, " < k.newest");
    for (uint32_t i = 0; i < n; i++) {
        text_add(sql, " AND t.");
        sql_identifier(sql, names.items[i]);
        text_printf(sql, " = k.e%u::%s", i + 1, column_sql_type(newest->rows.columns[i + 1].type));
    }
    text_add(sql, " ORDER BY 1 LIMIT $1) s ORDER BY 2, 1 LIMIT $1");
}

/* Oldest first, whatever the entity, so that a moment is asked for once for all of them; and one more than
 * there are turns for. */
static status_class read_steps(const scan *s, const metric_result *newest, const lookout *l, alert_steps *out,
                               status *st)
{
    text sql = {0};
    rows *found;
    value params[TABLE_KEY_COLUMNS_MAX + 3] = {value_integer(ALERT_STEPS_A_TURN + 1),
                                               copy_times_value(s->of->arena, l->after_us, l->n),
                                               copy_times_value(s->of->arena, l->newest_us, l->n)};
    unsigned n = 3;
    for (uint32_t i = 0; i < s->of->metric->defined->labels.n && s->by_entity; i++)
        params[n++] = value_texts(l->entities[i], l->n);
    add_steps_sql(&sql, s, newest);
    statement read = {"find steps", sql.data};
    status_class class = connection_run(s->of->data, &read, params, n, &found, st);
    text_free(&sql);
    if (class != STATUS_OK)
        return class;
    out->n = rows_count(found);
    out->items = arena_zero(s->of->arena, out->n + 1, sizeof *out->items);
    for (uint32_t i = 0; i < out->n; i++) {
        uint32_t entity = (uint32_t)rows_integer(found, i, 0) - 1;
        out->items[i] = (alert_moment){rows_time_us(found, i, 1), l->labels[entity], entity};
    }
    memcpy(out->entities, l->entities, sizeof out->entities);
    rows_free(found);
    return STATUS_OK;
}

static int compare_steps(const void *left, const void *right)
{
    const alert_moment *a = left, *b = right;
    return a->at_us < b->at_us ? -1 : a->at_us > b->at_us;
}

status_class alert_steps_read(const alert_scan *of, alert_steps *out, status *st)
{
    const scan whole = {of, labels_are_entity(of->metric)}, *s = &whole;
    metric_result newest = {0};
    *out = (alert_steps){0};
    if (of->metric->driver->class != STORE_DATASTORE && of->from_us == INT64_MAX)
        return STATUS_OK;
    status_class class = read_newest(s, &newest, st);
    if (class == STATUS_OK) {
        lookout l = lookout_create(s, newest.rows.n_rows);
        for (uint32_t row = 0; row < newest.rows.n_rows; row++)
            if (!column_is_null(&newest.rows.columns[0], row))
                add_lookout(s, &l, &newest, row);
        class = l.n ? read_steps(s, &newest, &l, out, st) : STATUS_OK;
    }
    metric_result_free(&newest);
    out->more = out->n > ALERT_STEPS_A_TURN;
    if (out->n > 1)
        qsort(out->items, out->n, sizeof *out->items, compare_steps);
    return class;
}
