/* One state machine over characters: outside quotes, inside, and after a quote that may be doubled. */
#include "base/csv.h"

#include <string.h>

void csv_start(csv_reader *r, FILE *from, char separator)
{
    memset(r, 0, sizeof *r);
    r->from = from;
    r->separator = separator;
    r->next_line = 1;
}

void csv_release(csv_reader *r)
{
    text_free(&r->bytes);
}

static status_class wrong(const csv_reader *r, status *st, const char *why)
{
    char where[32];
    snprintf(where, sizeof where, "line %llu", (unsigned long long)r->line);
    return status_at(st, STATUS_INVALID, where, "%s", why);
}

static status_class cell_begin(csv_reader *r, status *st)
{
    if (r->n_cells == CSV_COLUMNS_MAX)
        return wrong(r, st, "too many columns");
    r->starts[r->n_cells++] = r->bytes.len;
    return STATUS_OK;
}

/* Reads the quoted part after its first quote; the character behind the last quote is left for the caller. */
static status_class quoted_read(csv_reader *r, int *after_out, status *st)
{
    for (int c; (c = getc(r->from)) != EOF;) {
        if (r->bytes.len > CSV_RECORD_MAX)
            return wrong(r, st, "the record is too long; is a quote missing?");
        if (c == '\n')
            r->next_line++;
        if (c != '"') {
            text_add_char(&r->bytes, (char)c);
            continue;
        }
        c = getc(r->from);
        if (c != '"') {
            *after_out = c;
            return STATUS_OK;
        }
        text_add_char(&r->bytes, '"');
    }
    return wrong(r, st, "the quote is never closed");
}

/* One cell; *end_out is what ended it: the separator, '\n' or EOF. */
static status_class cell_read(csv_reader *r, int first, int *end_out, status *st)
{
    int c = first;
    if (cell_begin(r, st) != STATUS_OK)
        return st->class;
    if (c == '"' && quoted_read(r, &c, st) != STATUS_OK)
        return st->class;
    for (; c != EOF && c != '\n' && c != r->separator; c = getc(r->from)) {
        if (r->bytes.len > CSV_RECORD_MAX)
            return wrong(r, st, "the record is too long");
        text_add_char(&r->bytes, (char)c);
    }
    if (c != r->separator && r->bytes.len > r->starts[r->n_cells - 1] &&
        r->bytes.data[r->bytes.len - 1] == '\r')
        r->bytes.data[--r->bytes.len] = '\0';
    text_add_char(&r->bytes, '\0');
    *end_out = c;
    return STATUS_OK;
}

status_class csv_next(csv_reader *r, bool *more_out, status *st)
{
    int c;
    *more_out = false;
    while ((c = getc(r->from)) == '\n' || c == '\r')
        r->next_line += c == '\n';
    r->line = r->next_line;
    r->n_cells = 0;
    text_clear(&r->bytes);
    if (c == EOF)
        return STATUS_OK;
    for (;;) {
        int end = EOF;
        if (cell_read(r, c, &end, st) != STATUS_OK)
            return st->class;
        if (end != r->separator)
            break;
        c = getc(r->from);
    }
    r->next_line++;
    *more_out = true;
    return STATUS_OK;
}

const char *csv_cell(const csv_reader *r, size_t i)
{
    return i < r->n_cells ? r->bytes.data + r->starts[i] : "";
}

int csv_find(const csv_reader *r, const char *name)
{
    for (size_t i = 0; i < r->n_cells; i++) {
        if (strcmp(csv_cell(r, i), name) == 0)
            return (int)i;
    }
    return -1;
}
