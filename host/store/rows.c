/* Results of statements. The libpq driver's rows read straight from its PGresult; a fake's rows are copied
 * cells. Values are text, because that form is lossless, the same for every type and what JSON answers want
 * anyway. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/utc.h"
#include "store/rows_result.h"

enum {
    OID_BOOL = 16,
    OID_BYTEA = 17,
    OID_INT8 = 20,
    OID_INT2 = 21,
    OID_INT4 = 23,
    OID_OID = 26,
    OID_JSON = 114,
    OID_FLOAT4 = 700,
    OID_FLOAT8 = 701,
    OID_DATE = 1082,
    OID_TIMESTAMP = 1114,
    OID_TIMESTAMPTZ = 1184,
    OID_NUMERIC = 1700,
    OID_UUID = 2950,
    OID_JSONB = 3802,
};

struct rows {
    PGresult *result; /* NULL for made rows */
    uint32_t n_rows, n_columns;
    int64_t affected;
    char **names, **cells;
};

rows *rows_from_result(PGresult *result)
{
    rows *r = memory_zero(1, sizeof *r);
    r->result = result;
    r->n_rows = (uint32_t)PQntuples(result);
    r->n_columns = (uint32_t)PQnfields(result);
    r->affected = strtoll(PQcmdTuples(result), NULL, 10);
    if (strcmp(PQcmdStatus(result), "ROLLBACK") == 0)
        r->affected = -1; /* how a COMMIT that was refused shows */
    return r;
}

static char *copy_or_null(const char *s)
{
    return s ? memory_string(s) : NULL;
}

rows *rows_make(const char *const *names, uint32_t n_columns, const char *const *cells, uint32_t n_rows,
                int64_t affected)
{
    rows *r = memory_zero(1, sizeof *r);
    size_t n_cells = (size_t)n_columns * n_rows;
    r->n_rows = n_rows;
    r->n_columns = n_columns;
    r->affected = affected;
    r->names = memory_zero(n_columns + 1, sizeof *r->names);
    r->cells = memory_zero(n_cells + 1, sizeof *r->cells);
    for (uint32_t i = 0; i < n_columns; i++)
        r->names[i] = copy_or_null(names[i]);
    for (size_t i = 0; i < n_cells; i++)
        r->cells[i] = copy_or_null(cells[i]);
    return r;
}

void rows_free(rows *r)
{
    if (!r)
        return;
    PQclear(r->result);
    for (uint32_t i = 0; r->names && i < r->n_columns; i++)
        free(r->names[i]);
    for (size_t i = 0; r->cells && i < (size_t)r->n_columns * r->n_rows; i++)
        free(r->cells[i]);
    free(r->names);
    free(r->cells);
    free(r);
}

uint32_t rows_count(const rows *r)
{
    return r->n_rows;
}

uint32_t rows_columns(const rows *r)
{
    return r->n_columns;
}

int64_t rows_affected(const rows *r)
{
    return r->affected;
}

const char *rows_name(const rows *r, uint32_t col)
{
    assert(col < r->n_columns);
    return r->result ? PQfname(r->result, (int)col) : r->names[col];
}

int rows_find(const rows *r, const char *name)
{
    for (uint32_t i = 0; i < r->n_columns; i++)
        if (strcmp(rows_name(r, i), name) == 0)
            return (int)i;
    return -1;
}

static uint32_t rows_oid(const rows *r, uint32_t col)
{
    assert(col < r->n_columns);
    return r->result ? PQftype(r->result, (int)col) : 25;
}

column_type rows_type(const rows *r, uint32_t col)
{
    switch (rows_oid(r, col)) {
    case OID_BOOL:
        return COLUMN_BOOLEAN;
    case OID_INT2:
    case OID_INT4:
    case OID_INT8:
    case OID_OID:
        return COLUMN_INTEGER;
    case OID_FLOAT4:
    case OID_FLOAT8:
    case OID_NUMERIC:
        return COLUMN_NUMBER;
    case OID_TIMESTAMP:
    case OID_TIMESTAMPTZ:
        return COLUMN_TIMESTAMP;
    case OID_DATE:
        return COLUMN_DATE;
    case OID_UUID:
        return COLUMN_UUID;
    case OID_JSON:
    case OID_JSONB:
        return COLUMN_JSON;
    default:
        return COLUMN_TEXT;
    }
}

bool rows_null(const rows *r, uint32_t row, uint32_t col)
{
    assert(row < r->n_rows && col < r->n_columns);
    if (r->result)
        return PQgetisnull(r->result, (int)row, (int)col);
    return r->cells[(size_t)row * r->n_columns + col] == NULL;
}

const char *rows_text(const rows *r, uint32_t row, uint32_t col)
{
    if (rows_null(r, row, col))
        return NULL;
    if (r->result)
        return PQgetvalue(r->result, (int)row, (int)col);
    return r->cells[(size_t)row * r->n_columns + col];
}

size_t rows_length(const rows *r, uint32_t row, uint32_t col)
{
    if (rows_null(r, row, col))
        return 0;
    if (r->result)
        return (size_t)PQgetlength(r->result, (int)row, (int)col);
    return strlen(r->cells[(size_t)row * r->n_columns + col]);
}

int64_t rows_integer(const rows *r, uint32_t row, uint32_t col)
{
    const char *s = rows_text(r, row, col);
    if (!s)
        return 0;
    char *end;
    long long n = strtoll(s, &end, 10);
    assert(end != s && *end == '\0');
    return n;
}

double rows_number(const rows *r, uint32_t row, uint32_t col)
{
    const char *s = rows_text(r, row, col);
    if (!s)
        return NAN;
    char *end;
    double d = strtod(s, &end); /* takes NaN, Infinity and -Infinity as PostgreSQL writes them */
    assert(end != s && *end == '\0');
    return d;
}

bool rows_boolean(const rows *r, uint32_t row, uint32_t col)
{
    const char *s = rows_text(r, row, col);
    return s && *s == 't';
}

static unsigned digits(const char *s, int n)
{
    unsigned value = 0;
    for (int i = 0; i < n; i++) {
        assert(s[i] >= '0' && s[i] <= '9');
        value = value * 10 + (unsigned)(s[i] - '0');
    }
    return value;
}

/* "YYYY-MM-DD[ HH:MM:SS[.ffffff][+00]]"; sessions run in UTC with ISO dates. */
int64_t rows_time_us(const rows *r, uint32_t row, uint32_t col)
{
    const char *s = rows_text(r, row, col);
    if (!s)
        return 0;
    if (*s == 'i')
        return INT64_MAX;
    size_t len = strlen(s);
    if (*s == '-' || (len > 3 && strcmp(s + len - 3, " BC") == 0))
        return INT64_MIN;
    int32_t days = utc_days_from_civil((int)digits(s, 4), digits(s + 5, 2), digits(s + 8, 2));
    int64_t us = days * UTC_DAY_US;
    if (s[10] == '\0')
        return us;
    us += (digits(s + 11, 2) * 3600LL + digits(s + 14, 2) * 60LL + digits(s + 17, 2)) * UTC_SECOND_US;
    if (s[19] != '.')
        return us;
    int64_t unit = UTC_SECOND_US;
    for (const char *p = s + 20; *p >= '0' && *p <= '9' && unit > 1; p++)
        us += (*p - '0') * (unit /= 10);
    return us;
}

/* One element of PostgreSQL's array text: plain, "quoted" or NULL. Returns what follows it. */
static const char *array_element(const char *s, arena *a, char **out)
{
    size_t room = strcspn(s, ",}") + 1;
    if (*s != '"') {
        *out = room == 5 && strncmp(s, "NULL", 4) == 0 ? NULL : arena_string_n(a, s, room - 1);
        return s + room - 1;
    }
    const char *end = s + 1;
    while (*end && *end != '"')
        end += *end == '\\' && end[1] ? 2 : 1;
    char *word = arena_alloc(a, (size_t)(end - s));
    size_t n = 0;
    for (const char *p = s + 1; p < end; p++) {
        if (*p == '\\')
            p++;
        word[n++] = *p;
    }
    word[n] = '\0';
    *out = word;
    return *end ? end + 1 : end;
}

char **rows_texts(const rows *r, uint32_t row, uint32_t col, arena *a, uint32_t *n_out)
{
    const char *s = rows_text(r, row, col);
    *n_out = 0;
    if (!s || *s != '{' || s[1] == '}')
        return NULL;
    size_t most = 1;
    for (const char *p = s; *p; p++)
        most += *p == ',';
    char **list = arena_alloc(a, most * sizeof *list);
    uint32_t n = 0;
    for (s++; *s; s++) {
        s = array_element(s, a, &list[n++]);
        if (*s != ',')
            break;
    }
    *n_out = n;
    return list;
}

uint8_t *rows_bytes(const rows *r, uint32_t row, uint32_t col, arena *a, size_t *len_out)
{
    const char *s = rows_text(r, row, col);
    *len_out = 0;
    if (!s)
        return NULL;
    size_t len;
    unsigned char *plain = PQunescapeBytea((const unsigned char *)s, &len);
    assert(plain != NULL);
    uint8_t *copy = arena_copy(a, plain, len);
    PQfreemem(plain);
    *len_out = len;
    return copy;
}
