/* Names, types and checks that follow from a store's description. */
#include "store/table.h"

#include <stdio.h>
#include <string.h>

#include "base/name.h"

static const char *const schemas[] = {"datastore", "featurestore", "inferencestore"};

const char *store_class_schema(store_class class)
{
    return schemas[class];
}

bool store_class_parse(const char *word, store_class *out)
{
    for (unsigned i = 0; i < sizeof schemas / sizeof *schemas; i++)
        if (strcmp(word, schemas[i]) == 0) {
            *out = (store_class)i;
            return true;
        }
    return false;
}

void table_name(char out[TABLE_NAME_SIZE], const char *key, const char *what, int32_t wid)
{
    if (what)
        snprintf(out, TABLE_NAME_SIZE, "%s__%s_wid%d", key, what, wid);
    else
        snprintf(out, TABLE_NAME_SIZE, "%s_wid%d", key, wid);
}

void table_label(char out[TABLE_LABEL_SIZE], const store_table *table)
{
    char name[TABLE_NAME_SIZE];
    table_name(name, table->key, table->part, table->wid);
    snprintf(out, TABLE_LABEL_SIZE, "\"%s\".\"%s\"", store_class_schema(table->class), name);
}

const char *column_sql_type(column_type type)
{
    static const char *const names[] = {
        [COLUMN_BOOLEAN] = "boolean",
        [COLUMN_INTEGER] = "bigint",
        [COLUMN_NUMBER] = "double precision",
        [COLUMN_TIMESTAMP] = "timestamptz",
        [COLUMN_DATE] = "date",
        [COLUMN_UUID] = "uuid",
        [COLUMN_TEXT] = "text",
        [COLUMN_JSON] = "jsonb",
    };
    return names[type];
}

uint32_t column_oid(column_type type)
{
    static const uint32_t oids[] = {
        [COLUMN_BOOLEAN] = 16, [COLUMN_INTEGER] = 20, [COLUMN_NUMBER] = 701, [COLUMN_TIMESTAMP] = 1184,
        [COLUMN_DATE] = 1082,  [COLUMN_UUID] = 2950,  [COLUMN_TEXT] = 25,    [COLUMN_JSON] = 3802,
    };
    return oids[type];
}

uint32_t column_array_oid(column_type type)
{
    static const uint32_t oids[] = {
        [COLUMN_BOOLEAN] = 1000, [COLUMN_INTEGER] = 1016, [COLUMN_NUMBER] = 1022, [COLUMN_TIMESTAMP] = 1185,
        [COLUMN_DATE] = 1182,    [COLUMN_UUID] = 2951,    [COLUMN_TEXT] = 1009,   [COLUMN_JSON] = 3807,
    };
    return oids[type];
}

static void quote(text *out, const char *s, char mark)
{
    text_add_char(out, mark);
    for (; *s; s++) {
        if (*s == mark)
            text_add_char(out, mark);
        text_add_char(out, *s);
    }
    text_add_char(out, mark);
}

void sql_identifier(text *out, const char *name)
{
    quote(out, name, '"');
}

void sql_literal(text *out, const char *value)
{
    if (strchr(value, '\\')) {
        /* with E'' the meaning does not hang on standard_conforming_strings */
        text_add(out, " E'");
        for (; *value; value++) {
            if (*value == '\'' || *value == '\\')
                text_add_char(out, *value);
            text_add_char(out, *value);
        }
        text_add_char(out, '\'');
        return;
    }
    quote(out, value, '\'');
}

static bool all_below(const uint32_t *list, uint32_t n, uint32_t limit)
{
    for (uint32_t i = 0; i < n; i++)
        if (list[i] >= limit)
            return false;
    return true;
}

static status_class check_partition(const store_table *t, status *st)
{
    if (t->partition == PARTITION_NONE)
        return STATUS_OK;
    if (t->class != STORE_DATASTORE)
        return status_set(st, STATUS_INVALID, "%s: only datastores are partitioned", t->key);
    if (t->time_column < 0)
        return status_set(st, STATUS_INVALID, "%s: partitions need an event time", t->key);
    for (uint32_t i = 0; i < t->n_unique; i++)
        if (t->unique[i] == (uint32_t)t->time_column)
            return STATUS_OK;
    if (t->n_unique == 0)
        return STATUS_OK;
    status_set(st, STATUS_INVALID, "%s: the natural key of a partitioned store must hold its event time",
               t->key);
    return status_hint(st, "add the time to `unique`, or say `partition: none`");
}

static status_class check_columns(const store_table *t, status *st)
{
    for (uint32_t i = 0; i < t->n_columns; i++) {
        const char *name = t->columns[i].name;
        if (!name || !*name || strlen(name) > 59)
            return status_set(st, STATUS_INVALID, "%s: column %u: names have 1 to 59 bytes", t->key, i + 1);
        if (t->columns[i].type < COLUMN_BOOLEAN || t->columns[i].type > COLUMN_JSON)
            return status_set(st, STATUS_INVALID, "%s: column %s has no type", t->key, name);
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(name, t->columns[k].name) == 0)
                return status_set(st, STATUS_INVALID, "%s: column %s is there twice", t->key, name);
        if (t->class == STORE_DATASTORE &&
            (strcmp(name, "_seq") == 0 || strcmp(name, "_received") == 0 || strcmp(name, "_extra") == 0))
            return status_set(st, STATUS_INVALID, "%s: column %s is the system's", t->key, name);
    }
    return STATUS_OK;
}

status_class table_check(const store_table *t, status *st)
{
    if (!t->key || !name_is_key(t->key) || t->wid <= 0)
        return status_set(st, STATUS_INVALID, "store: bad key or workspace number");
    if (t->n_columns > TABLE_COLUMNS_MAX)
        return status_set(st, STATUS_LIMIT, "%s: %u columns, at most %d", t->key, t->n_columns,
                          TABLE_COLUMNS_MAX);
    status_class ret = check_columns(t, st);
    if (ret != STATUS_OK)
        return ret;
    if (t->n_entity > TABLE_KEY_COLUMNS_MAX || t->n_unique > TABLE_KEY_COLUMNS_MAX)
        return status_set(st, STATUS_LIMIT, "%s: a key has at most %d columns", t->key,
                          TABLE_KEY_COLUMNS_MAX);
    if (!all_below(t->entity, t->n_entity, t->n_columns) ||
        !all_below(t->unique, t->n_unique, t->n_columns) || t->time_column >= (int32_t)t->n_columns ||
        t->version_column >= (int32_t)t->n_columns)
        return status_set(st, STATUS_INVALID, "%s: a key, time or version names a column that is not there",
                          t->key);
    if (t->time_column >= 0 && t->columns[t->time_column].type != COLUMN_TIMESTAMP)
        return status_set(st, STATUS_INVALID, "%s: the event time must be a timestamp", t->key);
    if ((t->n_unique == 0) != (t->conflict == CONFLICT_APPEND))
        return status_set(st, STATUS_INVALID, "%s: on_conflict and the natural key belong together", t->key);
    if (t->class != STORE_DATASTORE && t->n_unique == 0)
        return status_set(st, STATUS_INVALID, "%s: a %s needs a key", t->key, store_class_schema(t->class));
    return check_partition(t, st);
}
