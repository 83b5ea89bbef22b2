#include "base/batch_json.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/utc.h"

static void add_number(text *out, double value)
{
    if (isfinite(value))
        text_add_json_number(out, value);
    else
        text_add(out, isnan(value) ? "\"NaN\"" : value > 0 ? "\"Infinity\"" : "\"-Infinity\"");
}

static void add_uuid(text *out, const uint8_t *id)
{
    text_add_char(out, '"');
    for (int i = 0; i < 16; i++)
        text_printf(out, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", id[i]);
    text_add_char(out, '"');
}

static void add_text(text *out, const column *c, uint32_t row)
{
    size_t len = (size_t)(c->offsets[row + 1] - c->offsets[row]);
    if (c->type == COLUMN_JSON)
        text_add_n(out, c->data + c->offsets[row], len);
    else
        text_add_json_string(out, c->data + c->offsets[row], len);
}

void batch_value_json(text *out, const column *c, uint32_t row)
{
    char time[UTC_TEXT_SIZE];
    if (column_is_null(c, row)) {
        text_add(out, "null");
        return;
    }
    switch (c->type) {
    case COLUMN_BOOLEAN:
        text_add(out, bitmap_get(c->values, row) ? "true" : "false");
        break;
    case COLUMN_INTEGER:
        text_printf(out, "%" PRId64, ((const int64_t *)c->values)[row]);
        break;
    case COLUMN_NUMBER:
        add_number(out, ((const double *)c->values)[row]);
        break;
    case COLUMN_TIMESTAMP:
        utc_format(((const int64_t *)c->values)[row], time);
        text_printf(out, "\"%s\"", time);
        break;
    case COLUMN_DATE:
        utc_format_date(((const int32_t *)c->values)[row], time);
        text_printf(out, "\"%s\"", time);
        break;
    case COLUMN_UUID:
        add_uuid(out, (const uint8_t *)c->values + (size_t)16 * row);
        break;
    case COLUMN_TEXT:
    case COLUMN_JSON:
        add_text(out, c, row);
        break;
    }
}

void batch_value_text(text *out, const column *c, uint32_t row)
{
    if (column_is_null(c, row))
        return;
    if (c->type == COLUMN_TEXT || c->type == COLUMN_JSON) {
        text_add_n(out, c->data + c->offsets[row], (size_t)(c->offsets[row + 1] - c->offsets[row]));
        return;
    }
    text value = {0};
    batch_value_json(&value, c, row);
    bool quoted = value.data[0] == '"';
    text_add_n(out, value.data + quoted, value.len - 2 * (size_t)quoted);
    text_free(&value);
}

void batch_row_json(text *out, const batch *b, const char *const *names, uint32_t row)
{
    bool first = true;
    text_add_char(out, '{');
    for (uint32_t i = 0; i < b->n_columns; i++) {
        if (!column_is_present(&b->columns[i], row))
            continue;
        text_add(out, first ? "" : ",");
        text_add_json_string(out, names[i], strlen(names[i]));
        text_add_char(out, ':');
        batch_value_json(out, &b->columns[i], row);
        first = false;
    }
    text_add_char(out, '}');
}
