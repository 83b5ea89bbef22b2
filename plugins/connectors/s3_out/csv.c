#include "csv.h"

#include <string.h>

static void add_quoted(const char *data, size_t len, pst_text *out)
{
    bool plain = data && len > 0;
    for (size_t i = 0; i < len && plain; i++)
        plain = data[i] != '"' && data[i] != ',' && data[i] != '\n' && data[i] != '\r';
    if (plain) {
        pst_text_add(out, data, len);
        return;
    }
    pst_text_add(out, "\"", 1);
    for (size_t i = 0; data && i < len; i++)
        pst_text_add(out, data[i] == '"' ? "\"\"" : &data[i], data[i] == '"' ? 2 : 1);
    pst_text_add(out, "\"", 1);
}

/* Numbers, times and booleans as in JSON, without the quotes that some of them have there. */
static void add_json(const pst_column *c, uint32_t row, pst_text *cell, pst_text *out)
{
    pst_text_clear(cell);
    pst_cell_json(c, row, 0, cell);
    bool quoted = cell->len >= 2 && cell->data[0] == '"';
    if (cell->len)
        pst_text_add(out, cell->data + quoted, cell->len - 2 * (size_t)quoted);
    out->failed = out->failed || cell->failed;
}

static void add_cell(const pst_column *c, uint32_t row, pst_text *cell, pst_text *out)
{
    if (pst_column_null(c, row))
        return;
    if (c->type >= PST_TEXT) {
        pst_bytes bytes = pst_column_bytes(c, row);
        add_quoted(bytes.data, bytes.len, out);
    } else {
        add_json(c, row, cell, out);
    }
}

void csv_write(const pst_rows *rows, pst_text *out)
{
    pst_text cell = {0};
    for (size_t i = 0; i < rows->n_columns; i++) {
        pst_text_add(out, ",", i > 0);
        add_quoted(rows->columns[i].name, strlen(rows->columns[i].name), out);
    }
    pst_text_add(out, "\n", 1);
    for (uint32_t row = 0; row < rows->n_rows; row++) {
        for (size_t i = 0; i < rows->n_columns; i++) {
            pst_text_add(out, ",", i > 0);
            add_cell(&rows->columns[i], row, &cell, out);
        }
        pst_text_add(out, "\n", 1);
    }
    pst_text_free(&cell);
}
