/* Datastores and inferencestores have their columns from their schemas. Those of a featurestore are found out
 * by having PostgreSQL describe its SQL, on the workspace's own login, against the tables that it reads: so
 * these come first. */
#include "control/workspace_tables.h"

#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "control/definition_table.h"
#include "store/sql_guard.h"
#include "store/workspace_schema.h"

typedef struct worker {
    control *control;
    const tables_change *change;
    connection *service;
    arena *arena;
    json_t *columns; /* of all featurestores, by key */
    status *st;
} worker;

/* ---- tables ---- */

static status_class make_or_alter(worker *w, const store_table *was, const store_table *is)
{
    status_class class = was ? store_alter(w->service, was, is, w->change->rewrite, w->st)
                             : store_create(w->service, is, w->change->role, w->st);
    if (class == STATUS_OK)
        return class;
    return status_wrap(w->st, "the table of %s:%s cannot be %s", store_class_schema(is->class), is->key,
                       was ? "changed" : "made");
}

static status_class apply_datastore(worker *w, const defined_datastore *is)
{
    store_table before, after;
    const definition *from = w->change->from;
    const defined_datastore *was = from ? definition_datastore(from, is->object.key) : NULL;
    datastore_table(w->arena, w->change->to->wid, is, &after);
    if (was)
        datastore_table(w->arena, w->change->to->wid, was, &before);
    return make_or_alter(w, was ? &before : NULL, &after);
}

static status_class apply_inferencestore(worker *w, const defined_inferencestore *is)
{
    store_table before, after;
    const definition *from = w->change->from;
    const defined_inferencestore *was = from ? definition_inferencestore(from, is->object.key) : NULL;
    inferencestore_table(w->arena, w->change->to->wid, is, &after);
    if (was)
        inferencestore_table(w->arena, w->change->to->wid, was, &before);
    return make_or_alter(w, was ? &before : NULL, &after);
}

/* ---- featurestores ---- */

static status_class on_reference(void *arg, const char *section, const char *key, sql_target *out, status *st)
{
    worker *w = arg;
    object_class class = class_parse(section, strlen(section));
    if (!definition_object(w->change->to, class, key))
        return status_set(st, STATUS_NOT_FOUND, "there is no %s \"%s\"", section, key);
    char *name = arena_alloc(w->arena, TABLE_NAME_SIZE);
    table_name(name, key, NULL, w->change->to->wid);
    *out = (sql_target){.schema = class_name(class), .relation = name};
    return STATUS_OK;
}

static status_class describe_on(worker *w, connection *c, const defined_featurestore *f,
                                const sql_statement *s, rows **ret)
{
    value params[2];
    text sql = {0};
    for (uint32_t i = 0; i < s->n_params; i++)
        params[i] = value_text(strcmp(s->params[i], "bucket") == 0 ? f->interval : f->timezone);
    text_printf(&sql, "SELECT * FROM (%s) q LIMIT 0", s->sql);
    status_class class = connection_exec(c, sql.data, params, s->n_params, ret, w->st);
    text_free(&sql);
    return class;
}

static bool is_key(const defined_featurestore *f, const char *name)
{
    for (uint32_t i = 0; i < f->key.n; i++)
        if (strcmp(f->key.items[i], name) == 0)
            return true;
    return false;
}

static json_t *columns_json(const defined_featurestore *f, const rows *r)
{
    static const char *const words[] = {
        [COLUMN_BOOLEAN] = "boolean",     [COLUMN_INTEGER] = "integer", [COLUMN_NUMBER] = "number",
        [COLUMN_TIMESTAMP] = "timestamp", [COLUMN_DATE] = "date",       [COLUMN_UUID] = "uuid",
        [COLUMN_TEXT] = "text",           [COLUMN_JSON] = "json"};
    json_t *list = json_array();
    for (uint32_t i = 0; i < rows_columns(r); i++)
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:b}", "name", rows_name(r, i), "type",
                                        words[rows_type(r, i)], "required", is_key(f, rows_name(r, i))));
    return list;
}

static status_class check_described(worker *w, const defined_featurestore *f, const json_t *columns)
{
    for (uint32_t k = 0; k < f->key.n; k++) {
        size_t i = 0;
        while (i < json_array_size(columns) &&
               strcmp(json_string_value(json_object_get(json_array_get(columns, i), "name")),
                      f->key.items[k]) != 0)
            i++;
        if (i == json_array_size(columns))
            return status_set(w->st, STATUS_INVALID, "the SQL of featurestore %s gives no column \"%s\"",
                              f->object.key, f->key.items[k]);
    }
    return STATUS_OK;
}

static status_class describe(worker *w, const defined_featurestore *f, json_t **ret)
{
    static const char *const names[] = {"bucket", "timezone"};
    const sql_guard_options options = {on_reference, w, names, 2};
    const sql_statement *s;
    rows *r = NULL;
    connection *c = NULL;
    status_class class = sql_guard_check(w->arena, f->sql, strlen(f->sql), &options, &s, w->st);
    if (class != STATUS_OK)
        return status_wrap(w->st, "featurestore %s", f->object.key);
    const pool_login login = {.user = w->change->role, .password = w->change->password, .read_only = true};
    class = pool_borrow(w->control->data, &login, CONTROL_WAIT_MS, &c, w->st);
    if (class != STATUS_OK)
        return class;
    class = describe_on(w, c, f, s, &r);
    pool_return(w->control->data, c);
    if (class != STATUS_OK)
        return status_wrap(w->st, "the SQL of featurestore %s", f->object.key);
    *ret = columns_json(f, r);
    rows_free(r);
    class = check_described(w, f, *ret);
    if (class != STATUS_OK)
        json_decref(*ret);
    return class;
}

/* A copy of the featurestore that knows its columns. */
static defined_featurestore described(worker *w, const defined_featurestore *f, const json_t *columns)
{
    size_t n = json_array_size(columns);
    store_column *own = arena_zero(w->arena, n, sizeof *own);
    static const char *const words[] = {"",     "boolean", "integer", "number", "timestamp",
                                        "date", "uuid",    "text",    "json"};
    for (size_t i = 0; i < n; i++) {
        const json_t *c = json_array_get(columns, i);
        own[i].name = json_string_value(json_object_get(c, "name"));
        own[i].required = json_is_true(json_object_get(c, "required"));
        for (column_type t = COLUMN_BOOLEAN; t <= COLUMN_JSON; t++)
            if (strcmp(words[t], json_string_value(json_object_get(c, "type"))) == 0)
                own[i].type = t;
    }
    defined_featurestore copy = *f;
    copy.columns = own;
    copy.n_columns = (uint32_t)n;
    return copy;
}

static status_class apply_featurestore(worker *w, const defined_featurestore *f)
{
    store_table before, after;
    json_t *columns = NULL;
    const definition *from = w->change->from;
    const defined_featurestore *was = from ? definition_featurestore(from, f->object.key) : NULL;
    status_class class = describe(w, f, &columns);
    if (class != STATUS_OK)
        return class;
    json_object_set_new(w->columns, f->object.key, columns);
    defined_featurestore is = described(w, f, columns);
    class = featurestore_table(w->arena, w->change->to->wid, &is, &after, w->st);
    if (class == STATUS_OK && was)
        class = featurestore_table(w->arena, w->change->to->wid, was, &before, w->st);
    return class == STATUS_OK ? make_or_alter(w, was ? &before : NULL, &after) : class;
}

/* ---- all ---- */

/* A sink that is new begins anew: one of its name that was removed may have noted its place once more. */
static status_class begin_sink(worker *w, const defined_sink *is)
{
    static const statement forget = {
        "forget where a sink stood",
        "DELETE FROM penstock.sink WHERE wid = $1::int AND sink = $2 AND store = $3"};
    const defined_sink *was = w->change->from ? definition_sink(w->change->from, is->object.key) : NULL;
    if (was && !strcmp(was->from.key, is->from.key))
        return STATUS_OK;
    value params[] = {value_integer(w->change->to->wid), value_text(is->object.key),
                      value_text(is->from.key)};
    return connection_run(w->service, &forget, params, 3, NULL, w->st);
}

static status_class apply_all(worker *w)
{
    const definition *to = w->change->to;
    status_class class = STATUS_OK;
    for (uint32_t i = 0; i < to->n_datastores && class == STATUS_OK; i++)
        class = apply_datastore(w, &to->datastores[i]);
    for (uint32_t i = 0; i < to->n_inferencestores && class == STATUS_OK; i++)
        class = apply_inferencestore(w, &to->inferencestores[i]);
    for (uint32_t i = 0; i < to->n_featurestores && class == STATUS_OK; i++)
        class = apply_featurestore(w, &to->featurestores[i]);
    for (uint32_t i = 0; i < to->n_sinks && class == STATUS_OK; i++)
        class = begin_sink(w, &to->sinks[i]);
    return class;
}

status_class tables_apply(control *c, const tables_change *change, json_t **ret_columns, status *st)
{
    worker w = {.control = c, .change = change, .st = st};
    status_class class = pool_borrow(c->data, NULL, CONTROL_WAIT_MS, &w.service, st);
    if (class != STATUS_OK)
        return class;
    w.arena = arena_create(0);
    w.columns = json_object();
    class = apply_all(&w);
    if (class == STATUS_OK)
        *ret_columns = json_incref(w.columns);
    json_decref(w.columns);
    arena_free(w.arena);
    pool_return(c->data, w.service);
    return class;
}

/* Where a sink stood that is not there any more, or reads another store now. */
static bool forget_sink(worker *w, const defined_object *o)
{
    static const statement forget = {
        "forget a sink's position",
        "DELETE FROM penstock.sink WHERE wid = $1::int AND sink = $2 AND store <> $3"};
    const defined_sink *is = definition_sink(w->change->to, o->key);
    value params[] = {value_integer(w->change->to->wid), value_text(o->key),
                      value_text(is ? is->from.key : "")};
    return connection_run(w->service, &forget, params, 3, NULL, w->st) == STATUS_OK;
}

static bool drop_if_removed(void *arg, const defined_object *o)
{
    worker *w = arg;
    static const store_class of[] = {[CLASS_DATASTORE] = STORE_DATASTORE,
                                     [CLASS_FEATURESTORE] = STORE_FEATURESTORE,
                                     [CLASS_INFERENCESTORE] = STORE_INFERENCESTORE};
    if (o->class == CLASS_SINK)
        return forget_sink(w, o);
    if (o->class > CLASS_INFERENCESTORE || definition_object(w->change->to, o->class, o->key))
        return true;
    return store_drop(w->service, of[o->class], o->key, w->change->to->wid, w->st) == STATUS_OK;
}

status_class tables_drop_removed(control *c, const tables_change *change, status *st)
{
    worker w = {.control = c, .change = change, .st = st};
    if (!change->from)
        return STATUS_OK;
    status_class class = pool_borrow(c->data, NULL, CONTROL_WAIT_MS, &w.service, st);
    if (class != STATUS_OK)
        return class;
    st->class = STATUS_OK;
    definition_each(change->from, drop_if_removed, &w);
    pool_return(c->data, w.service);
    return st->class;
}
