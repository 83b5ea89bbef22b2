/* What line_reader.c (names and values) and line_time.c (the time and the end of a line) share. */
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

static inline void line_skip_blanks(line_reader *r)
{
    while (r->p < r->end && *r->p == ' ')
        r->p++;
}
#endif
