#include "flow/live_event.h"

#include <string.h>

#include "base/batch_json.h"

static int find_name(const char *const *names, uint32_t n, const char *name)
{
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return (int)i;
    return -1;
}

static bool passes(const live_wish *w, const batch *b, const char *const *names, uint32_t row)
{
    text value = {0};
    bool fits = true;
    for (uint32_t i = 0; i < w->n_filters && fits; i++) {
        const live_filter *f = &w->filters[i];
        int at = find_name(names, b->n_columns, f->column);
        text_clear(&value);
        if (at >= 0)
            batch_value_text(&value, &b->columns[at], row);
        fits =
            at >= 0 && !column_is_null(&b->columns[at], row) && strcmp(text_or_empty(&value), f->text) == 0;
    }
    text_free(&value);
    return fits;
}

static void add_members(const live_wish *w, const batch *b, const char *const *names, uint32_t row, text *out)
{
    const char *comma = "";
    for (uint32_t i = 0; i < b->n_columns; i++) {
        bool system = strcmp(names[i], "_seq") == 0 || strcmp(names[i], "_received") == 0;
        if (!system && w->n_columns && find_name(w->columns, w->n_columns, names[i]) < 0)
            continue;
        text_add(out, comma);
        text_add_json_string(out, names[i], strlen(names[i]));
        text_add_char(out, ':');
        batch_value_json(out, &b->columns[i], row);
        comma = ",";
    }
}

void live_event_add(const live_wish *w, const batch *rows, const char *const *names, const char *id,
                    text *out)
{
    uint32_t last = UINT32_MAX;
    for (uint32_t row = rows->n_rows; row-- > 0 && last == UINT32_MAX;)
        if (passes(w, rows, names, row))
            last = row;
    for (uint32_t row = 0; last != UINT32_MAX && row <= last; row++) {
        if (row != last && !passes(w, rows, names, row))
            continue;
        text_add(out, "event: row\n");
        if (row == last && id[0])
            text_printf(out, "id: %s\n", id);
        text_add(out, "data: {");
        add_members(w, rows, names, row, out);
        text_add(out, "}\n\n");
    }
}
