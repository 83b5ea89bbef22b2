/* The parts of the reader, for those who want to look at a name before it is read: line_reader.c (names and
 * values), line_time.c (the time and the end of a line), decode_line.c and line_router.c. */
#ifndef PENSTOCK_FLOW_LINE_PRIVATE_H
#define PENSTOCK_FLOW_LINE_PRIVATE_H
#include <string.h>

#include "flow/line_reader.h"

static inline bool line_fault(line_reader *r, const char *code, const char *at, const char *detail)
{
    r->code = code;
    r->at = at;
    r->detail = detail;
    return false;
}

static inline const char *line_newline_from(const line_reader *r, const char *p)
{
    const char *newline = memchr(p, '\n', (size_t)(r->end - p));
    return newline ? newline : r->end;
}

static inline bool line_ends(const line_reader *r, const char *p)
{
    return p == r->end || *p == '\n' || (*p == '\r' && p + 1 < r->end && p[1] == '\n');
}

/* Where a field's value may end. */
static inline bool line_behind_value(const line_reader *r, const char *p)
{
    return (p < r->end && (*p == ',' || *p == ' ')) || line_ends(r, p);
}

static inline uint64_t line_differ8(const char *a, const char *b)
{
    uint64_t x, y;
    memcpy(&x, a, 8);
    memcpy(&y, b, 8);
    return x ^ y;
}

static inline uint32_t line_differ4(const char *a, const char *b)
{
    uint32_t x, y;
    memcpy(&x, a, 4);
    memcpy(&y, b, 4);
    return x ^ y;
}

/* memcmp without a call, for names: n > 0. The last words overlap the ones before and are looked at first,
 * because names of one kind differ at their ends. */
static inline bool line_same(const char *a, const char *b, size_t n)
{
    if (n < 4)
        return a[0] == b[0] && a[n / 2] == b[n / 2] && a[n - 1] == b[n - 1];
    if (n < 8)
        return !(line_differ4(a, b) | line_differ4(a + n - 4, b + n - 4));
    if (line_differ8(a + n - 8, b + n - 8))
        return false;
    for (size_t i = 0; i + 8 < n; i += 8)
        if (line_differ8(a + i, b + i))
            return false;
    return true;
}

/* `name` (len > 0, without characters to escape) and something behind it stand here. */
static inline bool line_has(const line_reader *r, const char *name, size_t len)
{
    return (size_t)(r->end - r->p) > len && line_same(r->p, name, len);
}

/* Passes over the measurement `name` if it is the one that stands here. */
static inline bool line_takes_measurement(line_reader *r, const char *name, size_t len)
{
    if (!len || !line_has(r, name, len) || (r->p[len] != ',' && r->p[len] != ' '))
        return false;
    r->p += len;
    return true;
}

/* Passes over the key `name` and its `=` if they stand here. */
static inline bool line_takes_key(line_reader *r, const char *name, size_t len)
{
    if (!len || !line_has(r, name, len) || r->p[len] != '=' || r->parts >= r->limits.parts)
        return false;
    r->p += len + 1;
    r->parts++;
    return true;
}

/* To the key of the next tag or field, which is then r->part_at; LINE_NONE: there is none. */
static inline line_step line_open_tag(line_reader *r)
{
    if (r->p == r->end || *r->p != ',')
        return LINE_NONE;
    r->part_at = ++r->p;
    return LINE_GOT;
}
line_step line_open_first_field(line_reader *r);
static inline line_step line_open_field(line_reader *r)
{
    return r->in_fields ? line_open_tag(r) : line_open_first_field(r);
}

/* Each goes behind what it reads; false: a fault. */
bool line_read_tag_key(line_reader *r, line_text *key);
bool line_read_field_key(line_reader *r, line_text *key);
bool line_read_tag_value(line_reader *r, line_text *value);
bool line_read_field_value(line_reader *r, line_value *value);

static inline void line_skip_blanks(line_reader *r)
{
    while (r->p < r->end && *r->p == ' ')
        r->p++;
}
#endif
