/* Rows as JSON. Numbers are written with as few digits as read back to the same value; times are cut into
 * their fields here, because gmtime's year is an int and its answer depends on the C library's tables. */
#include "penstock/sink.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_FIRST = 256 };

/* ---- A text that grows ---- */

static bool reserve(pst_text *t, size_t more)
{
    size_t cap = t->cap ? t->cap : TEXT_FIRST;
    if (t->failed)
        return false;
    if (t->len + more < t->cap)
        return true;
    while (cap <= t->len + more)
        cap *= 2;
    char *data = realloc(t->data, cap);
    t->failed = !data;
    if (data) {
        t->data = data;
        t->cap = cap;
    }
    return data != NULL;
}

void pst_text_add(pst_text *t, const void *data, size_t len)
{
    len = data ? len : 0;
    if (!reserve(t, len))
        return;
    if (len)
        memcpy(t->data + t->len, data, len);
    t->len += len;
    t->data[t->len] = '\0';
}

void pst_text_add_string(pst_text *t, const char *s)
{
    pst_text_add(t, s, strlen(s));
}

void pst_text_add_json(pst_text *t, const char *s, size_t len)
{
    static const char hex[] = "0123456789abcdef";
    size_t from = 0;
    len = s ? len : 0;
    pst_text_add(t, "\"", 1);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c >= ' ' && c != '"' && c != '\\')
            continue;
        char escape[] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
        pst_text_add(t, s + from, i - from);
        if (c < ' ') {
            pst_text_add(t, escape, sizeof escape);
        } else {
            escape[1] = (char)c;
            pst_text_add(t, escape, 2);
        }
        from = i + 1;
    }
    pst_text_add(t, s + from, len - from);
    pst_text_add(t, "\"", 1);
}

void pst_text_clear(pst_text *t)
{
    t->len = 0;
    t->failed = false;
    if (t->data)
        t->data[0] = '\0';
}

void pst_text_free(pst_text *t)
{
    free(t->data);
    memset(t, 0, sizeof *t);
}

/* ---- Rows ---- */

pst_status pst_rows_open(const struct ArrowSchema *schema, const struct ArrowArray *array, pst_rows *out,
                         pst_error *error)
{
    pst_status status = PST_OK;
    memset(out, 0, sizeof *out);
    size_t n = (size_t)array->n_children;
    out->columns = calloc(n + 1, sizeof *out->columns);
    if (!out->columns)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory for a batch");
    for (size_t i = 0; i < n && !status; i++)
        status = pst_column_at(schema, array, i, &out->columns[i], error);
    out->n_columns = n;
    out->n_rows = (uint32_t)array->length;
    return status;
}

void pst_rows_close(pst_rows *rows)
{
    free(rows->columns);
    memset(rows, 0, sizeof *rows);
}

const pst_column *pst_rows_find(const pst_rows *rows, const char *name)
{
    for (size_t i = 0; i < rows->n_columns; i++)
        if (!strcmp(rows->columns[i].name, name))
            return &rows->columns[i];
    return NULL;
}

void pst_rows_hide(pst_rows *rows, const char *name)
{
    const pst_column *found = pst_rows_find(rows, name);
    if (!found)
        return;
    size_t at = (size_t)(found - rows->columns);
    rows->n_columns--;
    memmove(&rows->columns[at], &rows->columns[at + 1], (rows->n_columns - at) * sizeof *rows->columns);
}

/* ---- Cells ---- */

static int64_t floor_divide(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a % b < 0) != (b < 0));
}

/* Days since 1970-01-01 → the calendar: years begin in March here, so that a leap day ends one. */
static void date_of(int64_t days, int *year, int *month, int *day)
{
    days += 719468;
    int64_t era = floor_divide(days, 146097), in_era = days - era * 146097;
    int64_t of_era = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    int64_t in_year = in_era - (365 * of_era + of_era / 4 - of_era / 100), part = (5 * in_year + 2) / 153;
    *day = (int)(in_year - (153 * part + 2) / 5 + 1);
    *month = (int)(part < 10 ? part + 3 : part - 9);
    *year = (int)(of_era + era * 400 + (*month <= 2));
}

static void add_time(int64_t us, uint32_t how, pst_text *out)
{
    char at[64];
    int year, month, day;
    int64_t days = floor_divide(us, INT64_C(86400000000)), rest = us - days * INT64_C(86400000000);
    date_of(days, &year, &month, &day);
    int seconds = (int)(rest / 1000000);
    bool spaced = how & PST_ROW_SPACE_TIMES;
    snprintf(at, sizeof at, "\"%04d-%02d-%02d%c%02d:%02d:%02d.%06d%s\"", year, month, day, spaced ? ' ' : 'T',
             seconds / 3600, seconds / 60 % 60, seconds % 60, (int)(rest % 1000000), spaced ? "" : "Z");
    pst_text_add_string(out, at);
}

static void add_number(double value, uint32_t how, pst_text *out)
{
    char digits[40];
    if (!isfinite(value)) {
        pst_text_add_string(out, how & PST_ROW_FINITE ? "null"
                                 : isnan(value)       ? "\"NaN\""
                                 : value > 0          ? "\"Infinity\""
                                                      : "\"-Infinity\"");
        return;
    }
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, value);
        if (strtod(digits, NULL) == value)
            break;
    }
    pst_text_add_string(out, digits);
}

void pst_cell_json(const pst_column *c, uint32_t row, uint32_t how, pst_text *out)
{
    char digits[24];
    pst_bytes view;
    if (pst_column_null(c, row)) {
        pst_text_add(out, "null", 4);
        return;
    }
    switch (c->type) {
    case PST_BOOLEAN:
        pst_text_add_string(out, pst_column_flag(c, row) ? "true" : "false");
        return;
    case PST_INT32:
    case PST_INTEGER:
        snprintf(digits, sizeof digits, "%" PRId64, pst_column_int(c, row));
        pst_text_add_string(out, digits);
        return;
    case PST_NUMBER:
        add_number(pst_column_real(c, row), how, out);
        return;
    case PST_TIME:
        add_time(pst_column_int(c, row), how, out);
        return;
    case PST_JSON:
        view = pst_column_bytes(c, row);
        pst_text_add(out, view.data, view.len);
        return;
    default:
        view = pst_column_bytes(c, row);
        pst_text_add_json(out, view.len ? view.data : "", view.len);
    }
}

void pst_row_json(const pst_rows *rows, uint32_t row, uint32_t how, pst_text *out)
{
    char before = '{';
    for (size_t i = 0; i < rows->n_columns; i++) {
        const pst_column *c = &rows->columns[i];
        if (how & PST_ROW_SKIP_NULLS && pst_column_null(c, row))
            continue;
        pst_text_add(out, &before, 1);
        before = ',';
        pst_text_add_json(out, c->name, strlen(c->name));
        pst_text_add(out, ":", 1);
        pst_cell_json(c, row, how, out);
    }
    pst_text_add_string(out, before == '{' ? "{}" : "}");
}

/* ---- Ids and refused rows ---- */

size_t pst_row_id(const pst_host *host, const pst_outgoing *rows, uint64_t seq, char out[PST_ROW_ID_SIZE])
{
    int len = snprintf(out, PST_ROW_ID_SIZE, "%.60s/%.70s/%" PRIu64, host->workspace ? host->workspace : "",
                       rows->store, seq);
    return (size_t)len;
}

uint64_t pst_row_seq(const pst_rows *rows, uint32_t row)
{
    const pst_column *c = pst_rows_find(rows, "_seq");
    return c && c->type == PST_INTEGER ? (uint64_t)pst_column_int(c, row) : 0;
}

bool pst_refuse(pst_refused *refused, size_t cap, size_t *n_refused, uint32_t row, const char *format, ...)
{
    va_list args;
    if (*n_refused == cap)
        return false;
    pst_refused *one = &refused[(*n_refused)++];
    one->row = row;
    va_start(args, format);
    vsnprintf(one->reason, sizeof one->reason, format, args);
    va_end(args);
    return true;
}
