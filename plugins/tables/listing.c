/* [{stream, title, key, schema, time, entity, unique, config}]: a table each, with what its catalogue says of
 * its columns: which is the event time, which may be the cursor column, what the primary key is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tables_private.h"

enum { TABLES_MOST = 500 };

typedef struct listed {
    driver_column column;
    bool never_null;
    int key_place;
} listed;

typedef struct listing {
    const tables *t;
    wording w;
    char schema[DRIVER_NAME_MAX], table[DRIVER_NAME_MAX];
    size_t n_tables, n;
    listed columns[DRIVER_COLUMNS_MAX];
} listing;

/* ---- What a column may be for ---- */

static int rank_in(const char *name, const char *const *names)
{
    for (int i = 0; names[i]; i++)
        if (!strcasecmp(name, names[i]))
            return i;
    return 1000;
}

static bool is_time(const listed *c)
{
    return c->column.kind == DRIVER_TIME || c->column.kind == DRIVER_LOCAL;
}

static bool is_whole(const listed *c)
{
    return c->column.kind == DRIVER_INTEGER || c->column.kind == DRIVER_TEXT || c->column.kind == DRIVER_UUID;
}

/* The column that fits and has the best name; any that fits when `any`. */
static const listed *best(const listing *l, bool (*fits)(const listed *), const char *const *names, bool any)
{
    const listed *found = NULL;
    int rank = any ? 1001 : 1000;
    for (size_t i = 0; i < l->n; i++) {
        const listed *c = &l->columns[i];
        int r = rank_in(c->column.name, names);
        if (!fits(c) || !c->never_null || r >= rank)
            continue;
        rank = r;
        found = c;
    }
    return found;
}

static const listed *column_named(const listing *l, const char *name)
{
    for (size_t i = 0; name && i < l->n; i++)
        if (!strcmp(l->columns[i].column.name, name))
            return &l->columns[i];
    return NULL;
}

/* What grows: the time of the last change, else of the entry, else a number that is the whole key. */
static const listed *cursor_of(const listing *l)
{
    static const char *const changes[] = {"updated_at", "modified_at", "changed_at", "last_modified",
                                          "updated",    "modified",    "changed",    "inserted_at",
                                          "created_at", "received_at", "created",    "time",
                                          "timestamp",  "ts",          "at",         NULL};
    const listed *configured = column_named(l, l->t->set.cursor), *time = best(l, is_time, changes, true),
                 *key = NULL;
    size_t n_keys = 0;
    for (size_t i = 0; i < l->n; i++)
        if (l->columns[i].key_place) {
            key = &l->columns[i];
            n_keys++;
        }
    if (configured || time)
        return configured ? configured : time;
    return n_keys == 1 && key->column.kind == DRIVER_INTEGER ? key : NULL;
}

static const listed *time_of(const listing *l)
{
    static const char *const names[] = {"time",        "timestamp",   "ts",         "at",      "measured_at",
                                        "observed_at", "recorded_at", "event_time", "read_at", "created_at",
                                        "inserted_at", "updated_at",  NULL};
    const listed *cursor = cursor_of(l), *named = best(l, is_time, names, false);
    if (named || (cursor && is_time(cursor)))
        return named ? named : cursor;
    return best(l, is_time, names, true);
}

static const listed *entity_of(const listing *l)
{
    static const char *const names[] = {"device_id",  "device",  "sensor_id",  "sensor",  "asset_id", "asset",
                                        "machine_id", "machine", "station_id", "station", "meter_id", "meter",
                                        "site_id",    "site",    "unit_id",    "tag",     NULL};
    return best(l, is_whole, names, false);
}

/* ---- JSON ---- */

static void put(listing *l, const char *text)
{
    wording_add_text(&l->w, WORDING_PLAIN, text);
}

static void put_text(listing *l, const char *text)
{
    put(l, "\"");
    wording_add_text(&l->w, WORDING_JSON, text);
    put(l, "\"");
}

static void put_name(listing *l, const char *before, const listed *c)
{
    put(l, before);
    put_text(l, c->column.name);
}

static void put_type(listing *l, const listed *c)
{
    static const struct {
        const char *type, *format;
    } types[] = {[DRIVER_BOOLEAN] = {"boolean", NULL},     [DRIVER_INTEGER] = {"integer", NULL},
                 [DRIVER_NUMBER] = {"number", NULL},       [DRIVER_TIME] = {"string", "date-time"},
                 [DRIVER_LOCAL] = {"string", "date-time"}, [DRIVER_DATE] = {"string", "date"},
                 [DRIVER_UUID] = {"string", "uuid"},       [DRIVER_TEXT] = {"string", NULL}};
    bool typed = c->column.kind != DRIVER_JSON;
    put(l, "{");
    if (typed) {
        put(l, c->never_null ? "\"type\":\"" : "\"type\":[\"");
        put(l, types[c->column.kind].type);
        put(l, c->never_null ? "\"" : "\",\"null\"]");
    }
    if (typed && types[c->column.kind].format) {
        put(l, ",\"format\":");
        put_text(l, types[c->column.kind].format);
    }
    put(l, "}");
}

static void put_schema(listing *l)
{
    bool first = true;
    put(l, "\"schema\":{\"type\":\"object\",\"additionalProperties\":false,\"required\":[");
    for (size_t i = 0; i < l->n; i++)
        if (l->columns[i].never_null && l->columns[i].column.kind != DRIVER_REFUSED) {
            put_name(l, first ? "" : ",", &l->columns[i]);
            first = false;
        }
    put(l, "],\"properties\":{");
    first = true;
    for (size_t i = 0; i < l->n; i++) {
        if (l->columns[i].column.kind == DRIVER_REFUSED)
            continue;
        put_name(l, first ? "" : ",", &l->columns[i]);
        put(l, ":");
        put_type(l, &l->columns[i]);
        first = false;
    }
    put(l, "}}");
}

static void put_key_columns(listing *l, const listed *but)
{
    bool first = true;
    for (int place = 1; place <= MARK_KEYS_MAX; place++)
        for (size_t i = 0; i < l->n; i++) {
            if (l->columns[i].key_place != place || &l->columns[i] == but)
                continue;
            put_name(l, first ? "" : ",", &l->columns[i]);
            first = false;
        }
}

static size_t key_size(const listing *l, const listed *but)
{
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++)
        n += l->columns[i].key_place && l->columns[i].key_place <= MARK_KEYS_MAX && &l->columns[i] != but;
    return n;
}

static void put_roles(listing *l)
{
    const listed *time = time_of(l), *entity = entity_of(l);
    if (time)
        put_name(l, ",\"time\":", time);
    if (time && entity && entity != time) {
        put_name(l, ",\"entity\":[", entity);
        put(l, "]");
    }
    if (time && key_size(l, time)) {
        put(l, ",\"unique\":[");
        put_key_columns(l, time);
        put_name(l, ",", time);
        put(l, "]");
    }
}

static void put_config(listing *l, const char *stream)
{
    const listed *cursor = cursor_of(l);
    put(l, ",\"config\":{\"table\":");
    put_text(l, stream);
    if (cursor)
        put_name(l, ",\"cursor\":", cursor);
    if (cursor && key_size(l, cursor)) {
        put(l, ",\"key\":[");
        put_key_columns(l, cursor);
        put(l, "]");
    }
    put(l, "}");
}

/* The table whose columns are together. */
static void put_table(listing *l)
{
    char stream[2 * DRIVER_NAME_MAX + 1];
    const tables *t = l->t;
    bool one = t->set.table || t->set.query;
    snprintf(stream, sizeof stream, "%s%s%s", l->schema, *l->schema ? "." : "", l->table);
    if (!l->n)
        return;
    put(l, l->n_tables++ ? ",{\"stream\":" : "{\"stream\":");
    put_text(l, one ? "" : stream);
    put(l, ",\"title\":");
    put_text(l, *stream ? stream : "the query");
    put(l, ",\"key\":");
    put_text(l, *l->table ? l->table : "rows");
    put(l, ",");
    put_schema(l);
    put_roles(l);
    if (!t->set.query)
        put_config(l, stream);
    put(l, "}");
    l->n = 0;
}

static bool on_listed(void *arg, const driver_listed *one)
{
    listing *l = arg;
    if (strcmp(l->schema, one->schema) != 0 || strcmp(l->table, one->table) != 0)
        put_table(l);
    snprintf(l->schema, sizeof l->schema, "%s", one->schema);
    snprintf(l->table, sizeof l->table, "%s", one->table);
    if (l->n < DRIVER_COLUMNS_MAX)
        l->columns[l->n++] = (listed){one->column, one->never_null, one->key_place};
    return l->n_tables < TABLES_MOST && !l->w.failed;
}

/* The columns of a query: nothing is known of its nulls but what the settings imply. */
static pst_status list_query(listing *l, tables *t, const pst_call *call, pst_error *error)
{
    pst_status st = tables_describe(t, call, error);
    for (size_t i = 0; !st && i < t->columns.n; i++) {
        listed *c = &l->columns[l->n++];
        *c = (listed){.column = t->columns.columns[i], .never_null = t->set.cursor && i == t->columns.cursor};
        for (size_t k = 0; k < t->set.n_keys; k++)
            if (t->columns.keys[k] == i) {
                c->key_place = (int)k + 1;
                c->never_null = true;
            }
    }
    return st;
}

pst_status listing_write(tables *t, const pst_call *call, pst_blob *json_out, pst_error *error)
{
    listing *l = calloc(1, sizeof *l);
    if (!l)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    l->t = t;
    put(l, "[");
    pst_status st = t->set.query ? list_query(l, t, call, error)
                                 : t->d->functions->list(t->d, call, t->set.table, on_listed, l, error);
    put_table(l);
    put(l, "]");
    if (!st && l->w.failed)
        st = pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    else if (!st && !l->n_tables)
        st = pst_fail(error, PST_E_CONFIG, t->set.table ? "/table" : NULL,
                      "there is no table that this user may read");
    if (!st)
        st = pst_blob_set(json_out, l->w.data, l->w.len, error);
    wording_free(&l->w);
    free(l);
    return st;
}
