#include "flow/retention.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/text.h"
#include "base/utc.h"
#include "control/definition_table.h"
#include "flow/ledger.h"

enum { LOCK_TIMEOUT_MS = 2000, DELETE_STEPS = 64 };

/* ---- what may go ---- */

static void hold(retention_store *s, int64_t until_us, const char *who, const char *why)
{
    if (until_us >= s->until_us)
        return;
    s->until_us = until_us;
    snprintf(s->held_by, sizeof s->held_by, "%.50s %s", who, why);
}

static status_class read_oldest_mark(const retention_parts *p, const char *name, bool *any_out,
                                     int64_t *us_out, status *st)
{
    char sql[120];
    rows *r = NULL;
    snprintf(sql, sizeof sql, "SELECT min(bucket) FROM penstock.dirty_wid%d WHERE dependant = $1",
             p->plan->wid);
    statement look = {"find the oldest mark", sql};
    value name_value = value_text(name);
    status_class class = connection_run(p->c, &look, &name_value, 1, &r, st);
    *any_out = class == STATUS_OK && !rows_null(r, 0, 0);
    if (*any_out)
        *us_out = rows_time_us(r, 0, 0);
    rows_free(r);
    return class;
}

static const statement read_built = {
    "see whether a featurestore is built",
    "SELECT EXISTS (SELECT 1 FROM penstock.object WHERE wid = $1::int AND class = 'featurestore' AND key = "
    "$2 AND"
    " hash <> '') AND NOT EXISTS (SELECT 1 FROM penstock.build WHERE wid = $1::int AND key = $2)"};

static status_class hold_for_build(const retention_parts *p, const dependant *d, retention_store *s,
                                   status *st)
{
    rows *r = NULL;
    if (d->class != CLASS_FEATURESTORE)
        return STATUS_OK;
    value params[] = {value_integer(p->plan->wid),
                      value_text(p->plan->featurestores[d->index].defined->object.key)};
    status_class class = connection_run(p->c, &read_built, params, 2, &r, st);
    if (class == STATUS_OK && !rows_boolean(r, 0, 0))
        hold(s, INT64_MIN, d->name, "is being built");
    rows_free(r);
    return class;
}

static status_class hold_for_dependants(const retention_parts *p, const dependant *list, uint32_t n,
                                        retention_store *s, status *st)
{
    status_class class = STATUS_OK;
    for (uint32_t i = 0; i < n && class == STATUS_OK; i++) {
        bool any;
        int64_t oldest_us;
        class = read_oldest_mark(p, list[i].name, &any, &oldest_us, st);
        if (class == STATUS_OK && any)
            hold(s, oldest_us - list[i].before_us, list[i].name, "has rows to compute");
        if (class == STATUS_OK)
            class = hold_for_build(p, &list[i], s, st);
    }
    return class;
}

/* The oldest row; *any_out false when there is none. */
static status_class read_oldest_row(const retention_parts *p, const store_table *t, bool *any_out,
                                    int64_t *us_out, status *st)
{
    char label[TABLE_LABEL_SIZE];
    text sql = {0};
    rows *r = NULL;
    table_label(label, t);
    text_add(&sql, "SELECT min(");
    sql_identifier(&sql, t->columns[t->time_column].name);
    text_printf(&sql, ") FROM %s", label);
    statement look = {"find the oldest row", sql.data};
    status_class class = connection_run(p->c, &look, NULL, 0, &r, st);
    *any_out = class == STATUS_OK && !rows_null(r, 0, 0);
    if (*any_out)
        *us_out = rows_time_us(r, 0, 0);
    rows_free(r);
    text_free(&sql);
    return class;
}

static status_class read_horizon(const retention_parts *p, retention_store *s, status *st)
{
    static const statement look = {"read a store's horizon",
                                   "SELECT horizon FROM penstock.object WHERE wid = $1::int AND class = $2 "
                                   "AND key = $3 AND horizon IS NOT NULL"};
    rows *r = NULL;
    value params[] = {value_integer(p->plan->wid), value_text(store_class_schema(s->table->class)),
                      value_text(s->table->key)};
    status_class class = connection_run(p->c, &look, params, 3, &r, st);
    s->horizon_us = class == STATUS_OK && rows_count(r) > 0 ? rows_time_us(r, 0, 0) : INT64_MIN;
    rows_free(r);
    return class;
}

static status_class look_at(const retention_parts *p, const store_table *t, int64_t retention_us,
                            const dependant *list, uint32_t n, retention_store *s, status *st)
{
    int64_t now_us = p->waiting_us && p->waiting_us < p->now_us ? p->waiting_us : p->now_us;
    *s = (retention_store){.table = t, .retention_us = retention_us, .wish_us = p->now_us - retention_us};
    s->until_us = s->wish_us;
    if (now_us < p->now_us)
        hold(s, now_us - retention_us, "the journal", "has rows to write");
    status_class class = read_horizon(p, s, st);
    return class == STATUS_OK ? hold_for_dependants(p, list, n, s, st) : class;
}

/* Every store that has a time and a retention. */
static status_class look_at_all(const retention_parts *p, arena *a, retention_store **out, uint32_t *n_out,
                                status *st)
{
    const definition *d = p->plan->definition;
    retention_store *list =
        arena_zero(a, d->n_datastores + d->n_featurestores + d->n_inferencestores + 1, sizeof *list);
    uint32_t n = 0;
    status_class class = STATUS_OK;
    for (uint32_t i = 0; i < d->n_datastores && class == STATUS_OK; i++) {
        const datastore_plan *s = &p->plan->datastores[i];
        if (d->datastores[i].retention_us != DEFINITION_ANY && s->table.time_column >= 0)
            class = look_at(p, &s->table, d->datastores[i].retention_us, s->dependants, s->n_dependants,
                            &list[n++], st);
    }
    for (uint32_t i = 0; i < d->n_featurestores && class == STATUS_OK; i++) {
        const featurestore_plan *s = &p->plan->featurestores[i];
        dependant itself = {.class = CLASS_FEATURESTORE, .index = i, .name = s->name};
        if (d->featurestores[i].retention_us == DEFINITION_ANY || !s->refresh_sql)
            continue;
        class = look_at(p, &s->table, d->featurestores[i].retention_us, s->dependants, s->n_dependants,
                        &list[n], st);
        if (class == STATUS_OK)
            class = hold_for_build(p, &itself, &list[n++], st);
    }
    for (uint32_t i = 0; i < d->n_inferencestores && class == STATUS_OK; i++)
        if (d->inferencestores[i].retention_us != DEFINITION_ANY &&
            p->plan->inferencestores[i].time_column >= 0)
            class = look_at(p, &p->plan->inferencestores[i], d->inferencestores[i].retention_us, NULL, 0,
                            &list[n++], st);
    *out = list;
    *n_out = n;
    return class;
}

/* ---- partitions and rows ---- */

static bool deletes_rows(const retention_store *s)
{
    int64_t from, to;
    if (s->table->partition == PARTITION_NONE)
        return true;
    partition_range(s->table->partition, s->until_us, &from, &to);
    return to - from > s->retention_us / 10;
}

static status_class count_before(const retention_parts *p, const store_table *t, int64_t until_us,
                                 uint64_t *out, status *st)
{
    char label[TABLE_LABEL_SIZE];
    text sql = {0};
    rows *r = NULL;
    value until = value_time_us(until_us);
    table_label(label, t);
    text_printf(&sql, "SELECT count(*) FROM %s WHERE ", label);
    sql_identifier(&sql, t->columns[t->time_column].name);
    text_add(&sql, " < $1");
    statement count = {"count rows that are old", sql.data};
    status_class class = connection_run(p->c, &count, &until, 1, &r, st);
    if (class == STATUS_OK)
        *out = (uint64_t)rows_integer(r, 0, 0);
    rows_free(r);
    text_free(&sql);
    return class;
}

/* Where the rows that go end: `until`, or the end of the last partition that goes whole. INT64_MIN: nothing.
 */
static int64_t border_of(const retention_store *s, const rows *partitions, uint32_t *n_whole_out)
{
    int64_t border = deletes_rows(s) ? s->until_us : INT64_MIN;
    *n_whole_out = 0;
    for (uint32_t i = 0; i < rows_count(partitions); i++) {
        if (rows_integer(partitions, i, 1) > s->until_us)
            continue;
        ++*n_whole_out;
        border = rows_integer(partitions, i, 1) > border ? rows_integer(partitions, i, 1) : border;
    }
    return border;
}

static status_class find_what_goes(const retention_parts *p, retention_store *s, rows **partitions_out,
                                   int64_t *border_out, int64_t *oldest_out, status *st)
{
    bool any;
    *partitions_out = NULL;
    *border_out = INT64_MIN;
    status_class class = read_oldest_row(p, s->table, &any, oldest_out, st);
    if (class != STATUS_OK || s->until_us == INT64_MIN)
        return class;
    class = partitions_list(p->c, s->table, partitions_out, st);
    if (class != STATUS_OK)
        return class;
    *border_out = border_of(s, *partitions_out, &s->partitions);
    if (s->partitions == 0 && (!any || *oldest_out >= *border_out))
        *border_out = INT64_MIN;
    return STATUS_OK;
}

status_class retention_preview(const retention_parts *p, arena *a, retention_store **out, uint32_t *n_out,
                               status *st)
{
    status_class class = look_at_all(p, a, out, n_out, st);
    for (uint32_t i = 0; i < *n_out && class == STATUS_OK; i++) {
        rows *partitions;
        int64_t border, oldest;
        class = find_what_goes(p, &(*out)[i], &partitions, &border, &oldest, st);
        rows_free(partitions);
        if (class == STATUS_OK && border != INT64_MIN)
            class = count_before(p, (*out)[i].table, border, &(*out)[i].rows, st);
    }
    return class;
}

/* ---- doing it ---- */

static status_class book(const retention_parts *p, const store_table *t, uint64_t n, status *st)
{
    char name[96];
    ledger_book *b = ledger_book_create(LEDGER_OTHERS);
    snprintf(name, sizeof name, "%s:%s", store_class_schema(t->class), t->key);
    ledger_book_add(b, p->plan->wid, t->class == STORE_DATASTORE ? t->key : name, p->now_us,
                    &(ledger_counts){.expired = n});
    status_class class = ledger_book_write(b, p->c, st);
    ledger_book_free(b);
    return class;
}

static status_class move_horizon(const retention_parts *p, retention_store *s, int64_t border_us, status *st)
{
    static const statement move = {
        "move a store's horizon",
        "INSERT INTO penstock.object (wid, class, key, generation, hash, body, horizon) VALUES ($1::int, $2, "
        "$3, $4,"
        " '', '{}', $5) ON CONFLICT (wid, class, key) DO UPDATE SET horizon = greatest(object.horizon,"
        " excluded.horizon), changed = now()"};
    value params[] = {value_integer(p->plan->wid), value_text(store_class_schema(s->table->class)),
                      value_text(s->table->key), value_integer(p->plan->definition->generation),
                      value_time_us(border_us)};
    s->horizon_us = border_us > s->horizon_us ? border_us : s->horizon_us;
    return connection_run(p->c, &move, params, 5, NULL, st);
}

/* One of the two in a transaction with its booking. */
typedef struct removal {
    const char *partition; /* NULL = rows before `until` */
    int64_t until_us;
} removal;

static status_class remove_inside(const retention_parts *p, retention_store *s, const removal *what,
                                  text *sql, status *st)
{
    char label[TABLE_LABEL_SIZE];
    rows *r = NULL;
    value until = value_time_us(what->until_us);
    status_class class;
    uint64_t n = 0;
    if (what->partition) {
        class = partition_drop(p->c, s->table, what->partition, LOCK_TIMEOUT_MS, &n, st);
    } else {
        table_label(label, s->table);
        text_printf(sql, "DELETE FROM %s WHERE ", label);
        sql_identifier(sql, s->table->columns[s->table->time_column].name);
        text_add(sql, " < $1");
        statement expire = {"delete old rows", sql->data};
        class = connection_run(p->c, &expire, &until, 1, &r, st);
        n = class == STATUS_OK ? (uint64_t)rows_affected(r) : 0;
        rows_free(r);
    }
    if (class == STATUS_OK && n > 0)
        class = book(p, s->table, n, st);
    s->rows += class == STATUS_OK ? n : 0;
    return class;
}

static status_class remove_some(const retention_parts *p, retention_store *s, const removal *what, status *st)
{
    text sql = {0};
    status_class class = connection_begin(p->c, st);
    if (class == STATUS_OK) {
        class = remove_inside(p, s, what, &sql, st);
        if (class == STATUS_OK)
            class = connection_commit(p->c, st);
        else
            connection_rollback(p->c);
    }
    text_free(&sql);
    return class;
}

static status_class remove_rows(const retention_parts *p, retention_store *s, int64_t border_us, status *st)
{
    bool any;
    int64_t oldest_us;
    status_class class = read_oldest_row(p, s->table, &any, &oldest_us, st);
    if (class != STATUS_OK || !any || oldest_us >= border_us)
        return class;
    int64_t step_us = (border_us - oldest_us) / DELETE_STEPS;
    step_us = step_us > UTC_DAY_US ? step_us : UTC_DAY_US;
    for (int64_t until_us = oldest_us; class == STATUS_OK && until_us < border_us;) {
        until_us = border_us - until_us > step_us ? until_us + step_us : border_us;
        class = remove_some(p, s, &(removal){.until_us = until_us}, st);
    }
    return class;
}

static status_class expire_store(const retention_parts *p, retention_store *s, status *st)
{
    rows *partitions = NULL;
    int64_t border_us, oldest_us;
    status_class class = find_what_goes(p, s, &partitions, &border_us, &oldest_us, st);
    if (class == STATUS_OK && border_us != INT64_MIN)
        class = move_horizon(p, s, border_us, st); /* before a row is gone */
    uint32_t n = partitions ? rows_count(partitions) : 0;
    for (uint32_t i = 0; class == STATUS_OK && border_us != INT64_MIN && i < n; i++)
        if (rows_integer(partitions, i, 1) <= s->until_us)
            class = remove_some(p, s, &(removal){.partition = rows_text(partitions, i, 2)}, st);
    if (class == STATUS_OK && border_us != INT64_MIN && deletes_rows(s))
        class = remove_rows(p, s, border_us, st);
    if (n > 0)
        partition_cache_forget(p->partitions, s->table);
    rows_free(partitions);
    return class;
}

/* ---- the lease ---- */

static const statement add_task = {
    "make the task of retention",
    "INSERT INTO penstock.task (id, wid, kind, once_key, due) VALUES ('retention_wid' || $1::text, $2::int,"
    " 'retention', 'retention', $3) ON CONFLICT DO NOTHING"};
static const statement take_task = {"take the task of retention",
                                    "UPDATE penstock.task SET state = 'claimed', owner = $3, fence = fence + "
                                    "1, attempt = attempt + 1, lease_until ="
                                    " $4 WHERE wid = $1::int AND kind = 'retention' AND due <= $2 AND (state "
                                    "= 'ready' OR (state = 'claimed' AND"
                                    " lease_until < $2)) RETURNING fence"};
static const statement end_task = {"end the task of retention",
                                   "UPDATE penstock.task SET state = 'ready', owner = NULL, lease_until = "
                                   "NULL, due = $3, cause = $4 WHERE wid ="
                                   " $1::int AND kind = 'retention' AND fence = $2"};
static const statement renew_task = {
    "renew the lease of retention",
    "UPDATE penstock.task SET lease_until = $3 WHERE wid = $1::int AND kind = 'retention' AND fence = $2"};

static status_class add(const retention_parts *p, status *st)
{
    char number[16];
    snprintf(number, sizeof number, "%d", p->plan->wid);
    value params[] = {value_text(number), value_integer(p->plan->wid), value_time_us(p->now_us)};
    return connection_run(p->c, &add_task, params, 3, NULL, st);
}

/* The fault "lease": who holds it is not asked. */
static const statement take_anyway = {
    "take the task of retention without asking",
    "UPDATE penstock.task SET state = 'claimed', owner = $3, fence = fence + 1, lease_until = $4 WHERE wid ="
    " $1::int AND kind = 'retention' AND due <= $2 RETURNING fence"};

static status_class take(const retention_parts *p, int64_t *fence_out, bool *taken_out, status *st)
{
    rows *r = NULL;
    value params[] = {value_integer(p->plan->wid), value_time_us(p->now_us), value_text(p->host),
                      value_time_us(p->now_us + RETENTION_LEASE_US)};
    status_class class = add(p, st);
    if (class == STATUS_OK)
        class = connection_run(p->c, fault_active("lease") ? &take_anyway : &take_task, params, 4, &r, st);
    *taken_out = class == STATUS_OK && rows_count(r) > 0;
    if (*taken_out)
        *fence_out = rows_integer(r, 0, 0);
    rows_free(r);
    return class;
}

/* Time goes on while it runs. */
static status_class renew(const retention_parts *p, int64_t fence, int64_t began_us, status *st)
{
    rows *r = NULL;
    int64_t until_us = p->now_us + (clock_monotonic_us() - began_us) + RETENTION_LEASE_US;
    value params[] = {value_integer(p->plan->wid), value_integer(fence), value_time_us(until_us)};
    status_class class = connection_run(p->c, &renew_task, params, 3, &r, st);
    if (class == STATUS_OK && rows_affected(r) == 0)
        class = status_set(st, STATUS_CONFLICT, "retention runs on another host now");
    rows_free(r);
    return class;
}

status_class retention_run(const retention_parts *p, arena *a, retention_store **out, uint32_t *n_out,
                           bool *ran_out, status *st)
{
    int64_t fence = 0, began_us = clock_monotonic_us();
    status ignored;
    *n_out = 0;
    status_class class = take(p, &fence, ran_out, st);
    if (class != STATUS_OK || !*ran_out)
        return class;
    class = look_at_all(p, a, out, n_out, st);
    for (uint32_t i = 0; i < *n_out && class == STATUS_OK; i++) {
        class = renew(p, fence, began_us, st);
        if (class == STATUS_OK)
            class = expire_store(p, &(*out)[i], st);
    }
    value params[] = {
        value_integer(p->plan->wid), value_integer(fence),
        value_time_us(p->now_us + (class == STATUS_OK ? RETENTION_EVERY_US : RETENTION_LEASE_US)),
        class == STATUS_OK ? value_null() : value_text(st->text)};
    status_class ended = connection_run(p->c, &end_task, params, 4, NULL, class == STATUS_OK ? st : &ignored);
    return class == STATUS_OK ? ended : class;
}

status_class retention_ask(const retention_parts *p, status *st)
{
    static const statement ask = {
        "make retention due",
        "UPDATE penstock.task SET due = least(due, $2) WHERE wid = $1::int AND kind = 'retention'"};
    value params[] = {value_integer(p->plan->wid), value_time_us(p->now_us)};
    status_class class = add(p, st);
    return class == STATUS_OK ? connection_run(p->c, &ask, params, 2, NULL, st) : class;
}

/* ---- what people see ---- */

static void set_time(json_t *o, const char *key, int64_t us)
{
    char out[UTC_TEXT_SIZE];
    if (us < UTC_MIN_US)
        return;
    utc_format(us, out);
    json_object_set_new(o, key, json_string(out));
}

json_t *retention_json(const retention_store *stores, uint32_t n)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < n; i++) {
        const retention_store *s = &stores[i];
        char kept[UTC_TEXT_SIZE];
        duration_format(s->retention_us, kept);
        json_t *o = json_pack("{s:s+++, s:s, s:I, s:I}", "store", store_class_schema(s->table->class), ":",
                              s->table->key, "", "retention", kept, "partitions", (json_int_t)s->partitions,
                              "rows", (json_int_t)s->rows);
        set_time(o, "keeps_from", s->wish_us);
        set_time(o, "horizon", s->horizon_us);
        if (s->held_by[0])
            json_object_set_new(o, "held_by", json_string(s->held_by));
        json_array_append_new(list, o);
    }
    return list;
}
