#include "control/definition_table.h"

#include <assert.h>
#include <string.h>

const char *const inference_system_columns[INFERENCE_SYSTEM_COLUMNS] = {"_model", "_version", "_run",
                                                                        "_features"};
static const column_type inference_system_types[INFERENCE_SYSTEM_COLUMNS] = {COLUMN_TEXT, COLUMN_INTEGER,
                                                                             COLUMN_TEXT, COLUMN_TIMESTAMP};

int32_t table_column_find(const store_table *table, const char *name)
{
    for (uint32_t i = 0; i < table->n_columns; i++)
        if (strcmp(table->columns[i].name, name) == 0)
            return (int32_t)i;
    return -1;
}

static table_column *copy_columns(arena *a, const store_column *columns, uint32_t n, uint32_t more)
{
    table_column *out = arena_zero(a, n + more, sizeof *out);
    for (uint32_t i = 0; i < n; i++) {
        out[i].name = columns[i].name;
        out[i].type = columns[i].type;
        out[i].nullable = !columns[i].required;
    }
    return out;
}

/* Names → indexes; names that are no columns were refused when the template was checked. */
static uint32_t *indexes(arena *a, const store_table *table, text_list names)
{
    uint32_t *out = arena_zero(a, names.n, sizeof *out);
    for (uint32_t i = 0; i < names.n; i++) {
        int32_t at = table_column_find(table, names.items[i]);
        assert(at >= 0);
        out[i] = (uint32_t)at;
    }
    return out;
}

static bool list_has(text_list list, const char *word)
{
    for (uint32_t i = 0; i < list.n; i++)
        if (strcmp(list.items[i], word) == 0)
            return true;
    return false;
}

static partition_width partition_of(const defined_datastore *d)
{
    static const partition_width widths[] = {
        [PARTITION_CHOICE_AUTO] = PARTITION_MONTH,  [PARTITION_CHOICE_NONE] = PARTITION_NONE,
        [PARTITION_CHOICE_DAY] = PARTITION_DAY,     [PARTITION_CHOICE_WEEK] = PARTITION_WEEK,
        [PARTITION_CHOICE_MONTH] = PARTITION_MONTH, [PARTITION_CHOICE_YEAR] = PARTITION_YEAR,
    };
    bool possible = d->time && (d->unique.n == 0 || list_has(d->unique, d->time));
    return possible ? widths[d->partition] : PARTITION_NONE;
}

void datastore_table(arena *a, int32_t wid, const defined_datastore *d, store_table *out)
{
    *out =
        (store_table){.class = STORE_DATASTORE, .key = d->object.key, .wid = wid, .n_columns = d->n_columns};
    out->columns = copy_columns(a, d->columns, d->n_columns, 0);
    out->time_column = d->time ? table_column_find(out, d->time) : -1;
    out->entity = indexes(a, out, d->entity);
    out->n_entity = d->entity.n;
    out->unique = indexes(a, out, d->unique);
    out->n_unique = d->unique.n;
    out->conflict = d->on_conflict;
    out->version_column = d->version ? table_column_find(out, d->version) : -1;
    out->partition = partition_of(d);
    out->has_extra = d->extra;
    out->seq_index = d->read_by_seq;
}

/* The key of a derived store: its first timestamp is the time, the rest is the entity. */
static void derived_key(arena *a, store_table *out, text_list key)
{
    uint32_t *entity = arena_zero(a, key.n, sizeof *entity);
    out->unique = indexes(a, out, key);
    out->n_unique = key.n;
    out->conflict = CONFLICT_KEEP_LAST;
    out->time_column = -1;
    out->version_column = -1;
    for (uint32_t i = 0; i < key.n; i++) {
        uint32_t at = out->unique[i];
        if (out->time_column < 0 && out->columns[at].type == COLUMN_TIMESTAMP)
            out->time_column = (int32_t)at;
        else
            entity[out->n_entity++] = at;
    }
    out->entity = entity;
}

status_class featurestore_table(arena *a, int32_t wid, const defined_featurestore *f, store_table *out,
                                status *st)
{
    if (f->n_columns == 0)
        return status_set(st, STATUS_INVALID, "featurestore %s: the columns of its SQL are not known",
                          f->object.key);
    *out = (store_table){
        .class = STORE_FEATURESTORE, .key = f->object.key, .wid = wid, .n_columns = f->n_columns};
    out->columns = copy_columns(a, f->columns, f->n_columns, 0);
    derived_key(a, out, f->key);
    return STATUS_OK;
}

void inferencestore_table(arena *a, int32_t wid, const defined_inferencestore *i, store_table *out)
{
    table_column *columns = copy_columns(a, i->columns, i->n_columns, INFERENCE_SYSTEM_COLUMNS);
    for (uint32_t k = 0; k < INFERENCE_SYSTEM_COLUMNS; k++)
        columns[i->n_columns + k] = (table_column){
            .name = inference_system_columns[k], .type = inference_system_types[k], .nullable = true};
    *out = (store_table){.class = STORE_INFERENCESTORE,
                         .key = i->object.key,
                         .wid = wid,
                         .columns = columns,
                         .n_columns = i->n_columns + INFERENCE_SYSTEM_COLUMNS};
    derived_key(a, out, i->key);
}
