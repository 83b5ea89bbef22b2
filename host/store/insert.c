#include "store/insert.h"

#include <assert.h>

#include "base/batch_builder.h"
#include "store/copy.h"

static uint32_t columns_of(const store_table *t)
{
    return t->n_columns + (t->has_extra ? 1 : 0);
}

static column_type type_of(const store_table *t, uint32_t i)
{
    return i < t->n_columns ? t->columns[i].type : COLUMN_JSON;
}

static const char *make_sql(arena *a, const store_table *t)
{
    char label[TABLE_LABEL_SIZE];
    text sql = {0};
    uint32_t n = columns_of(t);
    table_label(label, t);
    text_printf(&sql, "INSERT INTO %s (", label);
    for (uint32_t i = 0; i < n; i++) {
        sql_identifier(&sql, i < t->n_columns ? t->columns[i].name : "_extra");
        text_add(&sql, ", ");
    }
    text_add(&sql, "\"_seq\", \"_received\") SELECT * FROM unnest(");
    for (uint32_t i = 0; i < n; i++)
        text_printf(&sql, "$%u::%s[], ", i + 1, column_sql_type(type_of(t, i)));
    text_printf(&sql, "$%u::bigint[], $%u::timestamptz[])", n + 1, n + 2);
    const char *kept = arena_string_n(a, sql.data, sql.len);
    text_free(&sql);
    return kept;
}

static value array_of(arena *a, const column *c, uint32_t n)
{
    text bytes = {0};
    copy_encode_array(&bytes, c, &(copy_rows){.order = NULL}, n);
    value v = value_binary(column_array_oid(c->type), arena_copy(a, bytes.data, bytes.len), bytes.len);
    text_free(&bytes);
    return v;
}

/* All parts one behind the other. */
static batch_builder *join(arena *a, const store_table *t, const insert_part *parts, uint32_t n)
{
    uint32_t n_columns = columns_of(t), longest = 0;
    column_type *types = arena_alloc(a, (n_columns + 1) * sizeof *types);
    for (uint32_t i = 0; i < n_columns; i++)
        types[i] = type_of(t, i);
    for (uint32_t i = 0; i < n; i++)
        longest = parts[i].rows->n_rows > longest ? parts[i].rows->n_rows : longest;
    uint32_t *all = arena_alloc(a, (longest + 1) * sizeof *all);
    for (uint32_t i = 0; i < longest; i++)
        all[i] = i;
    batch_builder *joined = batch_builder_create(types, n_columns);
    for (uint32_t i = 0; i < n; i++)
        batch_builder_copy_rows(joined, parts[i].rows, all, parts[i].rows->n_rows);
    return joined;
}

statement insert_rows(arena *a, const store_table *table, const insert_part *parts, uint32_t n,
                      value **params_out, unsigned *n_params_out)
{
    assert(n > 0 && table->class == STORE_DATASTORE);
    batch_builder *joined = join(a, table, parts, n);
    batch rows = batch_builder_freeze(joined);
    int64_t *seq = arena_alloc(a, (rows.n_rows + 1) * sizeof *seq),
            *received_us = arena_alloc(a, (rows.n_rows + 1) * sizeof *received_us);
    for (uint32_t i = 0, at = 0; i < n; i++)
        for (uint32_t k = 0; k < parts[i].rows->n_rows; k++, at++) {
            seq[at] = parts[i].first_seq + k;
            received_us[at] = parts[i].received_us;
        }
    value *params = arena_alloc(a, (rows.n_columns + 2) * sizeof *params);
    for (uint32_t i = 0; i < rows.n_columns; i++)
        params[i] = array_of(a, &rows.columns[i], rows.n_rows);
    params[rows.n_columns] = array_of(a, &(column){.type = COLUMN_INTEGER, .values = seq}, rows.n_rows);
    params[rows.n_columns + 1] =
        array_of(a, &(column){.type = COLUMN_TIMESTAMP, .values = received_us}, rows.n_rows);
    *params_out = params;
    *n_params_out = rows.n_columns + 2;
    batch_builder_free(joined);
    return (statement){"store a few rows", make_sql(a, table)};
}
