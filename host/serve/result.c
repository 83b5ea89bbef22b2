/* CSV and NDJSON come from flow/metric; a page's header line is cut off again where it is not the first. */
#include "serve/result.h"

#include <stdatomic.h>
#include <string.h>

#include "base/batch_json.h"

result_form result_form_of(const char *media_type)
{
    if (media_type && strcmp(media_type, "text/csv") == 0)
        return RESULT_CSV;
    if (media_type && strcmp(media_type, "application/x-ndjson") == 0)
        return RESULT_NDJSON;
    return RESULT_JSON;
}

static void add_cell(text *out, const column *c, uint32_t row, bool int64_as_text)
{
    bool quoted = int64_as_text && c->type == COLUMN_INTEGER && !column_is_null(c, row);
    if (quoted)
        text_add_char(out, '"');
    batch_value_json(out, c, row);
    if (quoted)
        text_add_char(out, '"');
}

static void add_row(text *out, const batch *rows, uint32_t row, bool int64_as_text)
{
    text_add_char(out, '[');
    for (uint32_t i = 0; i < rows->n_columns; i++) {
        if (i)
            text_add_char(out, ',');
        add_cell(out, &rows->columns[i], row, int64_as_text);
    }
    text_add_char(out, ']');
}

void result_members(text *out, const metric_result *m, bool int64_as_text)
{
    text_add(out, "\"columns\":[");
    for (uint32_t i = 0; i < m->rows.n_columns; i++) {
        text_add(out, i ? ",{\"name\":" : "{\"name\":");
        text_add_json_string(out, m->names[i], strlen(m->names[i]));
        text_printf(out, ",\"type\":\"%s\"}", column_type_name(m->rows.columns[i].type));
    }
    text_add(out, "],\"rows\":[");
    for (uint32_t row = 0; row < m->rows.n_rows; row++) {
        if (row)
            text_add_char(out, ',');
        add_row(out, &m->rows, row, int64_as_text);
    }
    text_add_char(out, ']');
}

/* Length of the header line with its end. A quoted name may hold one. */
static size_t header_length(const text *csv)
{
    bool quoted = false;
    for (size_t i = 0; i + 1 < csv->len; i++) {
        if (csv->data[i] == '"')
            quoted = !quoted;
        else if (!quoted && csv->data[i] == '\r' && csv->data[i + 1] == '\n')
            return i + 2;
    }
    return csv->len;
}

void result_lines(text *out, const metric_result *m, result_form form, bool header)
{
    if (form == RESULT_NDJSON) {
        metric_result_ndjson(m, out);
    } else if (header) {
        metric_result_csv(m, out);
    } else {
        text csv = {0};
        metric_result_csv(m, &csv);
        size_t skip = header_length(&csv);
        text_add_n(out, csv.data + skip, csv.len - skip);
        text_free(&csv);
    }
}

static atomic_int exports;

bool result_export_begin(void)
{
    if (atomic_fetch_add(&exports, 1) < RESULT_EXPORTS_MAX)
        return true;
    atomic_fetch_sub(&exports, 1);
    return false;
}

void result_export_end(void)
{
    atomic_fetch_sub(&exports, 1);
}
