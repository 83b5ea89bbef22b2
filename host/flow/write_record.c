#include "flow/write_record.h"

#include <assert.h>
#include <string.h>

#include "flow/intake.h"

static const char *const *split_names(arena *a, const char *names, size_t len, uint32_t *n_out)
{
    const char **out = arena_zero(a, len / 2 + 1, sizeof *out);
    uint32_t n = 0;
    for (size_t at = 0; at < len; at += strlen(names + at) + 1)
        out[n++] = names + at;
    *n_out = n;
    return out;
}

const char *const *write_record_names(const write_record *r, arena *a)
{
    uint32_t n;
    return split_names(a, r->store->names, r->store->names_len, &n);
}

/* A column of n absent nulls; integers that became numbers are converted. */
static column absent_column(arena *a, column_type type, uint32_t n)
{
    size_t bits = n / 8 + 1, width = column_width(type) ? column_width(type) : 1;
    uint8_t *none = arena_zero(a, bits, 1);
    return (column){.type = type,
                    .valid = none,
                    .present = none,
                    .values = arena_zero(a, n + 1, width),
                    .offsets = arena_zero(a, n + 1, sizeof(int32_t)),
                    .data = ""};
}

static column arranged_column(arena *a, const column *from, column_type type, uint32_t n)
{
    if (from->type == type)
        return *from;
    assert(from->type == COLUMN_INTEGER && type == COLUMN_NUMBER); /* the only change of type there is */
    double *numbers = arena_zero(a, n + 1, sizeof *numbers);
    for (uint32_t i = 0; i < n; i++)
        numbers[i] = (double)((const int64_t *)from->values)[i];
    column out = *from;
    out.type = type;
    out.values = numbers;
    return out;
}

static int find_name(const char *const *names, uint32_t n, const char *name)
{
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return (int)i;
    return -1;
}

batch write_record_arrange(const datastore_plan *store, const journal_record *record, arena *a)
{
    const journal_field *field = journal_record_field(record, JOURNAL_FIELD_COLUMNS);
    assert(field);
    if (field->len == store->names_len && memcmp(field->data, store->names, field->len) == 0)
        return record->rows;
    uint32_t n_from, n_to;
    const char *const *from = split_names(a, field->data, field->len, &n_from);
    const char *const *to = split_names(a, store->names, store->names_len, &n_to);
    column *columns = arena_zero(a, n_to, sizeof *columns);
    for (uint32_t i = 0; i < n_to; i++) {
        int at = find_name(from, n_from, to[i]);
        column_type type = i < store->table.n_columns ? store->table.columns[i].type : COLUMN_JSON;
        columns[i] = at < 0 ? absent_column(a, type, record->rows.n_rows)
                            : arranged_column(a, &record->rows.columns[at], type, record->rows.n_rows);
    }
    return (batch){record->rows.n_rows, n_to, columns};
}

ledger_counts write_record_counts(const write_record *r)
{
    const journal_record *j = r->record;
    if (r->is_letter)
        return (ledger_counts){0}; /* it was received before */
    return (ledger_counts){.received = j->count_received,
                           .stored = (int64_t)r->stored,
                           .updated = (int64_t)r->updated,
                           .duplicate = (int64_t)r->duplicate,
                           .rejected = j->kind == JOURNAL_REJECTED ? j->count_rejected : (int64_t)r->dead,
                           .dropped = j->count_dropped};
}
