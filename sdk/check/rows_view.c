#include "check/rows_view.h"

#include <stdlib.h>
#include <string.h>

#include "base/batch_json.h"

static column_type type_of(pst_type type)
{
    switch (type) {
    case PST_BOOLEAN:
        return COLUMN_BOOLEAN;
    case PST_INTEGER:
        return COLUMN_INTEGER;
    case PST_NUMBER:
        return COLUMN_NUMBER;
    case PST_TIME:
        return COLUMN_TIMESTAMP;
    case PST_JSON:
        return COLUMN_JSON;
    default:
        return COLUMN_TEXT;
    }
}

void rows_view_make(const pst_batch *b, rows_view *out)
{
    size_t n = (size_t)b->array.n_children;
    out->names = calloc(n + 1, sizeof *out->names);
    out->columns = calloc(n + 1, sizeof *out->columns);
    for (size_t i = 0; i < n; i++) {
        pst_column c;
        pst_column_at(&b->schema, &b->array, i, &c, NULL);
        out->names[i] = c.name;
        out->columns[i] = (column){.type = type_of(c.type),
                                   .valid = c.valid,
                                   .values = c.values,
                                   .offsets = c.offsets,
                                   .data = c.data};
    }
    out->rows =
        (batch){.n_rows = (uint32_t)b->array.length, .n_columns = (uint32_t)n, .columns = out->columns};
}

void rows_view_free(rows_view *v)
{
    free(v->names);
    free(v->columns);
    memset(v, 0, sizeof *v);
}

instance_input rows_view_input(const rows_view *v, const char *name)
{
    return (instance_input){.name = name, .columns = v->names, .rows = &v->rows};
}

void rows_view_write(const instance_batch *b, text *out)
{
    for (uint32_t row = 0; row < b->rows.n_rows; row++) {
        batch_row_json(out, &b->rows, b->names, row);
        text_add_char(out, '\n');
    }
}
