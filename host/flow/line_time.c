/* A point's time, and with it the end of its line: digits are read eight at once. */
#include "flow/line_private.h"

bool line_precision_parse(const char *word, line_precision *out)
{
    static const char *const words[] = {"ns", "us", "ms", "s"};
    for (int i = 0; i < 4; i++)
        if (strcmp(word, words[i]) == 0) {
            *out = (line_precision)i;
            return true;
        }
    return false;
}

/* Either side of 1970. As in InfluxDB the two least and the greatest int64 are no times. */
#define TIME_MOST_NS (UINT64_MAX / 2 - 1)

static line_step bad(line_reader *r, const char *code, const char *at, const char *detail)
{
    line_fault(r, code, at, detail);
    return LINE_BAD;
}

/* The digits at r->p; *over: they are no uint64. */
static uint64_t read_digits(line_reader *r, bool *over)
{
    const char *from = r->p, *p = from;
    uint64_t value = 0, eight;
    for (; r->end - p >= 8 && !decimal_odd(eight = decimal_load(p)); p += 8)
        value = value * 100000000 + decimal_eight(eight);
    for (; p < r->end && (unsigned)(*p - '0') <= 9; p++)
        value = value * 10 + (unsigned)(*p - '0');
    r->p = p;
    for (; from < p && *from == '0'; from++)
        ;
    *over = p - from > 19; /* nineteen digits always fit */
    return value;
}

static line_step read_time(line_reader *r, line_precision precision, int64_t *ns_out)
{
    static const uint64_t units[] = {1, 1000, 1000000, 1000000000};
    const char *at = r->p;
    bool negative = *at == '-', over;
    r->p += negative;
    const char *digits = r->p;
    uint64_t value = read_digits(r, &over);
    bool none = r->p == digits;
    line_skip_blanks(r);
    if (none || !line_ends(r, r->p))
        return bad(r, "bad_timestamp", at, "the time is a whole number, the last thing on the line");
    if (over || __builtin_mul_overflow(value, units[precision], &value) || value > TIME_MOST_NS)
        return bad(r, "timestamp_out_of_range", at, "the time lies outside the years 1677 to 2262");
    *ns_out = negative ? -(int64_t)value : (int64_t)value;
    return LINE_GOT;
}

static const char *unsound_at(const char *p, const char *end)
{
    while (p < end && *p) { /* a character is at most four bytes */
        size_t n = 1;
        while (n <= 4 && p + n <= end && !utf8_valid(p, n))
            n++;
        if (n > 4 || p + n > end)
            break;
        p += n;
    }
    return p;
}

static bool check_line(line_reader *r)
{
    size_t len = (size_t)(r->line_end - r->line);
    if (len > r->limits.line_bytes)
        return line_fault(r, "too_long", r->line, "the row is longer than the limit");
    if (r->sound || (utf8_valid(r->line, len) && !memchr(r->line, '\0', len)))
        return true;
    const char *at = unsound_at(r->line, r->line_end);
    return at < r->line_end && *at == '\0' ? line_fault(r, "nul_byte", at, "U+0000 cannot be stored")
                                           : line_fault(r, "invalid_utf8", at, "not UTF-8");
}

line_step line_reader_time(line_reader *r, line_precision precision, int64_t *ns_out)
{
    line_step step = LINE_NONE;
    line_skip_blanks(r);
    r->part_at = r->p;
    if (!line_ends(r, r->p))
        step = read_time(r, precision, ns_out);
    if (step == LINE_BAD)
        return step;
    r->line_end = r->p;
    return check_line(r) ? step : LINE_BAD;
}
