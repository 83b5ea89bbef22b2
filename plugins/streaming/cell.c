#include "cell.h"

void cell_add(const pst_column *c, uint32_t row, pst_text *out)
{
    bool text = c->type == PST_TEXT || c->type == PST_DATE || c->type == PST_UUID || c->type == PST_DECIMAL;
    if (pst_column_null(c, row))
        return;
    if (text) {
        pst_bytes b = pst_column_bytes(c, row);
        pst_text_add(out, b.data, b.len);
        return;
    }
    pst_text json = {0};
    pst_cell_json(c, row, 0, &json);
    bool quoted = json.len >= 2 && json.data[0] == '"';
    pst_text_add(out, json.data + quoted, json.len - 2 * (size_t)quoted);
    out->failed = out->failed || json.failed;
    pst_text_free(&json);
}
