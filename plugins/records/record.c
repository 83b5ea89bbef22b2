/* One pass over the bytes; it starts again when more have come, which is bounded by the limit of a record. */
#include "record.h"

#include <stdint.h>
#include <string.h>

static record_cut whole(const char *data, size_t end, size_t taken, size_t *len_out, size_t *taken_out)
{
    *len_out = end && data[end - 1] == '\r' ? end - 1 : end;
    *taken_out = taken;
    return RECORD_WHOLE;
}

static record_cut unclosed(const char *data, size_t len, size_t *len_out, size_t *taken_out)
{
    const char *end = memchr(data, '\n', len);
    size_t at = end ? (size_t)(end - data) : len;
    whole(data, at, end ? at + 1 : at, len_out, taken_out);
    return RECORD_UNCLOSED;
}

static bool is_separator(char c)
{
    return c == ',' || c == ';' || c == '\t' || c == '|';
}

record_cut record_find(const char *data, size_t len, bool quotes, bool last, size_t limit, size_t *len_out,
                       size_t *taken_out)
{
    bool quoted = false;
    for (size_t i = 0; i < len; i++) {
        char c = data[i];
        if (quotes && c == '"') {
            if (quoted && i + 1 < len && data[i + 1] == '"')
                i++;
            else if (quoted && i + 1 == len && !last)
                return RECORD_MORE; /* the next byte says whether it closes */
            else if (quoted)
                quoted = false;
            else
                quoted = i == 0 || is_separator(data[i - 1]);
        } else if (c == '\n' && !quoted) {
            return i > limit ? RECORD_LONG : whole(data, i, i + 1, len_out, taken_out);
        }
        if (i > limit && quoted)
            return unclosed(data, len, len_out, taken_out);
        if (i > limit)
            return RECORD_LONG;
    }
    if (!last)
        return RECORD_MORE;
    return quoted ? unclosed(data, len, len_out, taken_out) : whole(data, len, len, len_out, taken_out);
}
