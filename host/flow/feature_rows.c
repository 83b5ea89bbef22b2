#include "flow/feature_rows.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/utc.h"

static void put_uuid(batch_builder *b, uint32_t col, const char *s)
{
    uint8_t id[16] = {0};
    int at = 0;
    for (const char *p = s; *p && at < 32; p++) {
        if (*p == '-')
            continue;
        unsigned digit = (unsigned)(*p <= '9' ? *p - '0' : (*p | 32) - 'a' + 10);
        id[at / 2] = (uint8_t)(at % 2 ? id[at / 2] | digit : digit << 4);
        at++;
    }
    batch_builder_uuid(b, col, id);
}

static void put(batch_builder *b, uint32_t col, column_type type, const rows *from, uint32_t row,
                uint32_t source)
{
    if (rows_null(from, row, source)) {
        batch_builder_null(b, col);
        return;
    }
    switch (type) {
    case COLUMN_BOOLEAN:
        batch_builder_boolean(b, col, rows_boolean(from, row, source));
        break;
    case COLUMN_INTEGER:
        batch_builder_int64(b, col, rows_integer(from, row, source));
        break;
    case COLUMN_NUMBER:
        batch_builder_number(b, col, rows_number(from, row, source));
        break;
    case COLUMN_TIMESTAMP:
        batch_builder_int64(b, col, rows_time_us(from, row, source));
        break;
    case COLUMN_DATE:
        batch_builder_date(b, col, (int32_t)(rows_time_us(from, row, source) / UTC_DAY_US));
        break;
    case COLUMN_UUID:
        put_uuid(b, col, rows_text(from, row, source));
        break;
    case COLUMN_TEXT:
    case COLUMN_JSON:
        batch_builder_text(b, col, rows_text(from, row, source), rows_length(from, row, source));
        break;
    }
}

batch_builder *rows_to_batch(const rows *from, const column_type *types, uint32_t n_columns)
{
    batch_builder *b = batch_builder_create(types, n_columns);
    for (uint32_t row = 0; row < rows_count(from); row++) {
        for (uint32_t col = 0; col < n_columns; col++)
            put(b, col, types[col], from, row, col);
        batch_builder_end_row(b);
    }
    return b;
}

/* SELECT entity AS "_entity", time AS "_time", every column … ORDER BY entity, time. Several entity columns
 * are joined by U+001F, which orders and tells apart as the columns do. */
static void make_query(text *sql, const store_table *t, const char *where)
{
    char label[TABLE_LABEL_SIZE];
    table_label(label, t);
    text_add(sql, "SELECT concat_ws(E'\\x1f'");
    for (uint32_t i = 0; i < t->n_entity; i++) {
        text_add(sql, ", ");
        sql_identifier(sql, t->columns[t->entity[i]].name);
    }
    text_add(sql, ") AS \"_entity\", ");
    sql_identifier(sql, t->columns[t->time_column].name);
    text_add(sql, " AS \"_time\"");
    for (uint32_t i = 0; i < t->n_columns; i++) {
        text_add(sql, ", ");
        sql_identifier(sql, t->columns[i].name);
    }
    text_printf(sql, " FROM %s WHERE %s ORDER BY ", label, where ? where : "true");
    for (uint32_t i = 0; i < t->n_entity; i++) {
        sql_identifier(sql, t->columns[t->entity[i]].name);
        text_add(sql, ", ");
    }
    sql_identifier(sql, t->columns[t->time_column].name);
}

status_class feature_rows_read(connection *c, const store_table *table, const char *where,
                               const value *params, unsigned n_params, arena *a, feature_rows *out,
                               status *st)
{
    text sql = {0};
    rows *found;
    uint32_t n = table->n_columns + 2;
    const char **names = arena_zero(a, n, sizeof *names);
    column_type *types = arena_zero(a, n, sizeof *types);
    names[0] = "_entity", types[0] = COLUMN_TEXT;
    names[1] = "_time", types[1] = COLUMN_TIMESTAMP;
    for (uint32_t i = 0; i < table->n_columns; i++) {
        names[i + 2] = table->columns[i].name;
        types[i + 2] = table->columns[i].type;
    }
    make_query(&sql, table, where);
    statement read = {"read features", sql.data};
    status_class class = connection_run(c, &read, params, n_params, &found, st);
    text_free(&sql);
    if (class != STATUS_OK)
        return class;
    out->builder = rows_to_batch(found, types, n);
    out->rows = batch_builder_freeze(out->builder);
    out->names = names;
    rows_free(found);
    return STATUS_OK;
}

void feature_rows_free(feature_rows *f)
{
    batch_builder_free(f->builder);
    *f = (feature_rows){0};
}
