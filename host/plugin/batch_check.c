/* Text is checked as one run: if the whole is UTF-8 and no offset points into the middle of a character,
 * every value is. */
#include "plugin/batch_check.h"

#include <jansson.h>
#include <string.h>

#include "base/batch.h"
#include "base/text.h"
#include "base/utc.h"

static status_class wrong(const checked_column *c, uint32_t row, const char *why, status *st)
{
    char where[100];
    snprintf(where, sizeof where, "%.60s:%u", c->name, row);
    return status_at(st, STATUS_INVALID, where, "column %.60s, row %u: %s", c->name, row, why);
}

static status_class wrong_size(const checked_column *c, const char *what, status *st)
{
    return status_at(st, STATUS_INVALID, c->name, "column %.60s: %s has the wrong size", c->name, what);
}

static uint64_t expected_values(const checked_column *c)
{
    uint64_t n = c->n_rows;
    switch (c->type) {
    case PST_BOOLEAN:
        return (n + 7) / 8;
    case PST_INT32:
        return n * 4;
    case PST_INTEGER:
    case PST_NUMBER:
    case PST_TIME:
        return n * 8;
    default:
        return (n + 1) * sizeof(int32_t);
    }
}

static bool is_null(const checked_column *c, uint32_t row)
{
    return c->valid.len && !bitmap_get(c->valid.data, row);
}

/* One pass without branches; only a column that fails is searched for the row to blame. */
static status_class check_offsets(const checked_column *c, status *st)
{
    const int32_t *offsets = c->values.data;
    int backwards = offsets[0] < 0;
    for (uint32_t i = 0; i < c->n_rows; i++)
        backwards |= offsets[i + 1] < offsets[i];
    if (!backwards && (uint64_t)offsets[c->n_rows] <= c->data.len)
        return STATUS_OK;
    if (offsets[0] < 0)
        return wrong(c, 0, "its offset is negative", st);
    for (uint32_t i = 0; i < c->n_rows; i++)
        if (offsets[i + 1] < offsets[i])
            return wrong(c, i, "offsets go backwards", st);
    return wrong(c, c->n_rows ? c->n_rows - 1 : 0, "its offset points behind the data", st);
}

static status_class check_text(const checked_column *c, status *st)
{
    const int32_t *offsets = c->values.data;
    const char *data = c->data.data;
    size_t begin = (size_t)offsets[0], end = (size_t)offsets[c->n_rows];
    if (end == begin)
        return STATUS_OK;
    bool ascii;
    if (!utf8_clean(data + begin, end - begin, &ascii))
        return utf8_valid(data + begin, end - begin) ? wrong(c, 0, "the text holds U+0000", st)
                                                     : wrong(c, 0, "the text is not UTF-8", st);
    if (ascii)
        return STATUS_OK;
    uint32_t n = c->n_rows;
    while ((size_t)offsets[n - 1] == end) /* empty at the end: there is no byte to look at */
        n--;
    int inside = 0;
    for (uint32_t i = 0; i < n; i++)
        inside |= ((uint8_t)data[offsets[i]] & 0xC0) == 0x80;
    for (uint32_t i = 0; inside && i < n; i++)
        if (((uint8_t)data[offsets[i]] & 0xC0) == 0x80)
            return wrong(c, i, "the value begins inside a character", st);
    return STATUS_OK;
}

static status_class check_json(const checked_column *c, status *st)
{
    const int32_t *offsets = c->values.data;
    const char *data = c->data.data;
    for (uint32_t i = 0; i < c->n_rows; i++) {
        if (is_null(c, i))
            continue;
        json_t *value =
            json_loadb(data + offsets[i], (size_t)(offsets[i + 1] - offsets[i]), JSON_DECODE_ANY, NULL);
        if (!value)
            return wrong(c, i, "the value is not JSON", st);
        json_decref(value);
    }
    return STATUS_OK;
}

static status_class check_times(const checked_column *c, status *st)
{
    const int64_t *times = c->values.data;
    /* Of the distances to both ends one is negative outside; where that one wraps, the other is. */
    uint64_t signs = 0;
    for (uint32_t i = 0; i < c->n_rows; i++)
        signs |= ((uint64_t)times[i] - (uint64_t)UTC_MIN_US) | ((uint64_t)UTC_MAX_US - (uint64_t)times[i]);
    for (uint32_t i = 0; signs >> 63 && i < c->n_rows; i++)
        if ((times[i] < UTC_MIN_US || times[i] > UTC_MAX_US) && !is_null(c, i))
            return wrong(c, i, "the time lies outside the years 0001 to 9999", st);
    return STATUS_OK;
}

status_class batch_check_column(const checked_column *c, status *st)
{
    if (c->type < PST_BOOLEAN || c->type > PST_DECIMAL)
        return status_at(st, STATUS_INVALID, c->name, "column %.60s: type %d is not known", c->name, c->type);
    if (c->valid.len && c->valid.len != ((uint64_t)c->n_rows + 7) / 8)
        return wrong_size(c, "the null bitmap", st);
    if (c->values.len != expected_values(c))
        return wrong_size(c, c->type >= PST_TEXT ? "the offsets" : "the values", st);
    if (c->type == PST_TIME)
        return check_times(c, st);
    if (c->type < PST_TEXT)
        return STATUS_OK;
    if (c->type == PST_BINARY && !c->raw)
        return status_at(st, STATUS_INVALID, c->name, "column %.60s: bytes are only for raw batches",
                         c->name);
    status_class class = check_offsets(c, st);
    if (class == STATUS_OK && !c->raw)
        class = check_text(c, st);
    if (class == STATUS_OK && c->type == PST_JSON)
        class = check_json(c, st);
    return class;
}
