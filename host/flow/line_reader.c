/* Lexing byte by byte with one table of which byte ends what. A part without a backslash is a slice of the
 * input; one with a backslash is rewritten into a buffer that is kept. */
#include "flow/line_reader.h"

#include <math.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

enum { STOP_NAME = 1, STOP_KEY = 2, STOP_TOKEN = 4 }; /* measurement; keys and tag values; values */

static const uint8_t stops[256] = {
    [' '] = STOP_NAME | STOP_KEY | STOP_TOKEN,
    [','] = STOP_NAME | STOP_KEY | STOP_TOKEN,
    ['\n'] = STOP_NAME | STOP_KEY | STOP_TOKEN,
    ['='] = STOP_KEY,
    ['\\'] = STOP_NAME | STOP_KEY,
};

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

/* UTF-8 without NUL. Most bodies are ASCII: those go by sixteen bytes. */
static bool is_sound(const char *p, size_t len)
{
#if defined(__SSE2__)
    const __m128i zero = _mm_setzero_si128();
    for (; len >= 16; p += 16, len -= 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        if (_mm_movemask_epi8(_mm_or_si128(v, _mm_cmpeq_epi8(v, zero))))
            break;
    }
#endif
    return utf8_valid(p, len) && !memchr(p, '\0', len);
}

static inline uint64_t differ8(const char *a, const char *b)
{
    uint64_t x, y;
    memcpy(&x, a, 8);
    memcpy(&y, b, 8);
    return x ^ y;
}

static inline uint32_t differ4(const char *a, const char *b)
{
    uint32_t x, y;
    memcpy(&x, a, 4);
    memcpy(&y, b, 4);
    return x ^ y;
}

/* memcmp without a call, for names: n > 0. The last words overlap the ones before. */
static inline bool same(const char *a, const char *b, size_t n)
{
    if (n < 4)
        return a[0] == b[0] && a[n / 2] == b[n / 2] && a[n - 1] == b[n - 1];
    if (n < 8)
        return !(differ4(a, b) | differ4(a + n - 4, b + n - 4));
    for (size_t i = 0; i + 8 < n; i += 8)
        if (differ8(a + i, b + i))
            return false;
    return !differ8(a + n - 8, b + n - 8);
}

void line_reader_text(line_reader *r, const char *data, size_t len, const line_limits *limits)
{
    r->p = r->line = r->line_end = data;
    r->end = data + len;
    r->limits = *limits;
    r->sound = is_sound(data, len);
}

void line_reader_close(line_reader *r)
{
    text_free(&r->key);
    text_free(&r->value);
    text_free(&r->number);
}

size_t line_reader_bytes(const line_reader *r)
{
    return r->key.cap + r->value.cap + r->number.cap;
}

static bool fault(line_reader *r, const char *code, const char *at, const char *detail)
{
    r->code = code;
    r->at = at;
    r->detail = detail;
    return false;
}

/* ---- lines ---- */

static const char *newline_from(const line_reader *r, const char *p)
{
    const char *newline = memchr(p, '\n', (size_t)(r->end - p));
    return newline ? newline : r->end;
}

static inline bool ends_line(const line_reader *r, const char *p)
{
    return p == r->end || *p == '\n' || (*p == '\r' && p + 1 < r->end && p[1] == '\n');
}

static inline void skip_blanks(line_reader *r)
{
    while (r->p < r->end && *r->p == ' ')
        r->p++;
}

bool line_reader_next(line_reader *r)
{
    for (;;) {
        skip_blanks(r);
        if (r->p == r->end)
            return false;
        if (*r->p == '#')
            r->p = newline_from(r, r->p);
        else if (!ends_line(r, r->p))
            break;
        else
            r->p += *r->p == '\r';
        r->p += r->p < r->end;
    }
    r->line = r->line_end = r->p;
    r->in_fields = false;
    r->parts = 0;
    return true;
}

/* ---- names ---- */

static bool escapes(char c, uint8_t stop)
{
    return c == ',' || c == ' ' || (c == '=' && stop == STOP_KEY);
}

/* The rest of a name from its first backslash on. */
static bool rewrite_name(line_reader *r, const char *start, const char *p, uint8_t stop, text *to,
                         line_text *out)
{
    text_clear(to);
    text_add_n(to, start, (size_t)(p - start));
    while (p < r->end && (*p == '\\' || !(stops[(uint8_t)*p] & stop))) {
        if (*p == '\\' && p + 1 < r->end && escapes(p[1], stop))
            p++;
        if (to->len == r->limits.text_bytes) {
            r->p = p;
            return fault(r, "too_long", start, "a name or value is longer than the limit");
        }
        text_add_char(to, *p++);
    }
    r->p = p;
    *out = (line_text){to->data, to->len};
    return true;
}

static inline bool read_name(line_reader *r, uint8_t stop, text *rewritten, line_text *out)
{
    const char *start = r->p, *p = start;
    while (p < r->end && !(stops[(uint8_t)*p] & stop))
        p++;
    if (p < r->end && *p == '\\')
        return rewrite_name(r, start, p, stop, rewritten, out);
    r->p = p;
    *out = (line_text){start, (size_t)(p - start)};
    return out->len <= r->limits.text_bytes ||
           fault(r, "too_long", start, "a name or value is longer than the limit");
}

bool line_reader_measurement(line_reader *r, line_text *out)
{
    const char *at = r->p;
    size_t hoped = r->expected.len;
    r->as_expected = hoped && (size_t)(r->end - at) > hoped && (at[hoped] == ',' || at[hoped] == ' ') &&
                     same(at, r->expected.data, hoped);
    if (r->as_expected) {
        *out = (line_text){at, hoped};
        r->p = at + hoped;
        return true;
    }
    if (!read_name(r, STOP_NAME, &r->key, out))
        return false;
    return out->len > 0 || fault(r, "missing_measurement", at, "the line has no measurement");
}

static inline bool count_part(line_reader *r)
{
    return ++r->parts <= r->limits.parts ||
           fault(r, "too_many_members", r->p, "more tags and fields than a row may have");
}

/* `what` is the code of an empty key, `without` of one without a value. */
__attribute__((always_inline)) static inline bool read_key(line_reader *r, line_text *key, const char *what,
                                                           const char *without)
{
    const char *at = r->part_at = r->p;
    size_t hoped = r->expected.len;
    r->as_expected = hoped && (size_t)(r->end - at) > hoped && at[hoped] == '=' &&
                     same(at, r->expected.data, hoped) && count_part(r);
    if (r->as_expected) {
        *key = (line_text){at, hoped};
        r->p = at + hoped + 1;
        return true;
    }
    if (!count_part(r) || !read_name(r, STOP_KEY, &r->key, key))
        return false;
    if (key->len == 0)
        return fault(r, what, at, "a name is missing here");
    if (r->p == r->end || *r->p != '=')
        return fault(r, without, r->p, "`=` and a value are missing here");
    r->p++;
    return true;
}

line_step line_reader_tag(line_reader *r, line_text *key, line_text *value)
{
    if (r->p == r->end || *r->p != ',')
        return LINE_NONE;
    r->p++;
    if (!read_key(r, key, "missing_tag_key", "missing_tag_value"))
        return LINE_BAD;
    const char *at = r->p;
    if (!read_name(r, STOP_KEY, &r->value, value))
        return LINE_BAD;
    if (r->p < r->end && *r->p == '=') {
        fault(r, "bad_tag", r->p, "`=` in a tag's value must be escaped");
        return LINE_BAD;
    }
    if (value->len > 0)
        return LINE_GOT;
    fault(r, "missing_tag_value", at, "the tag has no value");
    return LINE_BAD;
}

/* ---- values ---- */

/* The first quote behind `p` that no backslash escapes; NULL if there is none. */
static const char *closing_quote(const line_reader *r, const char *p)
{
    for (; p < r->end; p++) {
        if (*p == '"')
            return p;
        if (*p == '\\' && p + 1 < r->end && (p[1] == '"' || p[1] == '\\'))
            p++;
    }
    return NULL;
}

static void rewrite_string(text *to, const char *p, const char *end)
{
    text_clear(to);
    text_reserve(to, (size_t)(end - p) + 1);
    for (; p < end; p++) {
        if (*p == '\\' && p + 1 < end && (p[1] == '"' || p[1] == '\\'))
            p++;
        to->data[to->len++] = *p;
    }
    to->data[to->len] = '\0';
}

/* The first quote or backslash; NULL if there is none. */
static inline const char *plain_end(const char *p, const char *end)
{
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\');
    for (; end - p >= 16; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        int found = _mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash)));
        if (found)
            return p + __builtin_ctz((unsigned)found);
    }
#endif
    while (p < end && *p != '"' && *p != '\\')
        p++;
    return p < end ? p : NULL;
}

static bool read_string(line_reader *r, line_value *out)
{
    const char *start = r->p + 1, *stop = plain_end(start, r->end);
    bool escaped = stop && *stop == '\\';
    const char *quote = escaped ? closing_quote(r, stop) : stop;
    if (!quote) {
        r->p = newline_from(r, start); /* only this line is lost */
        r->in_fields = false;
        return fault(r, "bad_value", start - 1, "the quote is not closed");
    }
    r->p = quote + 1;
    out->kind = LINE_STRING;
    out->string = (line_text){start, (size_t)(quote - start)};
    if (out->string.len > r->limits.text_bytes)
        return fault(r, "too_long", start - 1, "a name or value is longer than the limit");
    if (escaped) {
        rewrite_string(&r->value, start, quote);
        out->string = (line_text){r->value.data, r->value.len};
    }
    return true;
}

static const char *token_end(const line_reader *r, const char *p)
{
    while (p < r->end && !(stops[(uint8_t)*p] & STOP_TOKEN))
        p++;
    return p < r->end && *p == '\n' && p[-1] == '\r' ? p - 1 : p;
}

static bool read_boolean(line_reader *r, line_value *out)
{
    static const char *const words[] = {"t", "T", "true",  "True",  "TRUE",
                                        "f", "F", "false", "False", "FALSE"};
    const char *end = token_end(r, r->p);
    size_t len = (size_t)(end - r->p);
    for (int i = 0; i < 10; i++)
        if (strlen(words[i]) == len && memcmp(words[i], r->p, len) == 0) {
            out->kind = LINE_BOOL;
            out->truth = i < 5;
            r->p = end;
            return true;
        }
    return fault(r, "bad_value", r->p, "neither number, boolean nor string in quotes");
}

/* Does what decimal_read found, with its suffix at `p`, hold what the suffix says? */
static bool suffix_fits(line_reader *r, char suffix, const char *at, line_value *out)
{
    const number_text *n = &out->number;
    int64_t whole;
    out->kind = suffix == 'i' ? LINE_INT : suffix == 'u' ? LINE_UINT : LINE_FLOAT;
    if (out->kind == LINE_FLOAT) {
        bool plain = n->exact && n->exponent <= 280; /* nineteen digits and that are finite */
        return plain || isfinite(decimal_double(n)) ||
               fault(r, "out_of_range", at, "no double is that large");
    }
    if (!n->integral_text || (out->kind == LINE_UINT && n->negative))
        return fault(r, "bad_value", at,
                     out->kind == LINE_UINT ? "an unsigned integer has digits only"
                                            : "an integer has a sign and digits only");
    if (out->kind == LINE_INT)
        return decimal_int64(n, &whole) == DECIMAL_FITS ||
               fault(r, "out_of_range", at, "the integer does not fit 64 bits");
    bool fits = n->len < 20 || (n->len == 20 && memcmp(n->text, "18446744073709551615", 20) <= 0);
    return fits || fault(r, "out_of_range", at, "the unsigned integer does not fit 64 bits");
}

/* The same number in JSON's grammar: no leading zeros, digits on both sides of a point. `whole`: there must
 * be no point. */
static void normalise(text *to, const char *p, const char *end, bool whole)
{
    text_clear(to);
    if (p < end && *p == '-')
        text_add_char(to, *p++);
    while (end - p > 1 && *p == '0' && (unsigned)(p[1] - '0') <= 9)
        p++;
    if (p < end && *p == '.')
        text_add_char(to, '0');
    for (; p < end; p++) {
        bool digit_before = p[-1] >= '0' && p[-1] <= '9',
             digit_behind = p + 1 < end && p[1] >= '0' && p[1] <= '9';
        if (*p == '.' && !whole && digit_before && !digit_behind)
            continue; /* "1." and "1.e5" */
        text_add_char(to, *p);
    }
}

static bool read_odd_number(line_reader *r, line_value *out)
{
    const char *at = r->p, *end = token_end(r, at);
    size_t len = (size_t)(end - at);
    if (len > r->limits.number_bytes)
        return fault(r, "too_long", at, "the number is longer than the limit");
    char suffix = len && (end[-1] == 'i' || end[-1] == 'u') ? end[-1] : '\0';
    normalise(&r->number, at, end - (suffix != '\0'), suffix != '\0');
    const char *text = text_or_empty(&r->number);
    if (decimal_read(text, text + r->number.len, &out->number) != text + r->number.len)
        return fault(r, "bad_value", at, "neither number, boolean nor string in quotes");
    r->p = end;
    return suffix_fits(r, suffix, at, out);
}

static inline bool read_number(line_reader *r, line_value *out)
{
    const char *at = r->p, *p = decimal_read(at, r->end, &out->number);
    char suffix = p && p < r->end && (*p == 'i' || *p == 'u') ? *p : '\0';
    if (!p || (size_t)(p - at) > r->limits.number_bytes)
        return read_odd_number(r, out);
    p += suffix != '\0';
    if (!ends_line(r, p) && *p != ',' && *p != ' ')
        return read_odd_number(r, out);
    r->p = p;
    out->kind = LINE_FLOAT;
    return (!suffix && out->number.exact && out->number.exponent <= 0) || suffix_fits(r, suffix, at, out);
}

static inline bool read_value(line_reader *r, line_value *out)
{
    char c = ends_line(r, r->p) ? ',' : *r->p;
    out->at = r->p;
    switch (c) {
    case ',':
    case ' ':
        return fault(r, "missing_field_value", r->p, "the field has no value");
    case '"':
        return read_string(r, out);
    case '-':
    case '.':
        return read_number(r, out);
    default:
        return (unsigned)(c - '0') <= 9 ? read_number(r, out) : read_boolean(r, out);
    }
}

/* Blanks before the first field; behind a field a comma brings the next one. */
line_step line_reader_field(line_reader *r, line_text *key, line_value *value)
{
    if (!r->in_fields) {
        skip_blanks(r);
        if (ends_line(r, r->p)) {
            fault(r, "missing_fields", r->p, "the line has no fields");
            return LINE_BAD;
        }
        r->in_fields = true;
    } else if (r->p == r->end || *r->p != ',') {
        return LINE_NONE;
    } else {
        r->p++;
    }
    if (!read_key(r, key, "missing_field_key", "missing_field_value") || !read_value(r, value))
        return LINE_BAD;
    if (ends_line(r, r->p) || *r->p == ',' || *r->p == ' ')
        return LINE_GOT;
    fault(r, "bad_value", r->p, "this does not belong to the value");
    return LINE_BAD;
}

/* ---- the time and the end ---- */

/* Either side of 1970. As in InfluxDB the two least and the greatest int64 are no times. */
#define TIME_MOST_NS (UINT64_MAX / 2 - 1)

static line_step bad(line_reader *r, const char *code, const char *at, const char *detail)
{
    fault(r, code, at, detail);
    return LINE_BAD;
}

/* Eight digits at once, little-endian; false if one of them is none. */
static inline bool eight_digits(const char *p, uint64_t *out)
{
    uint64_t v;
    memcpy(&v, p, 8);
    if (((v & 0xF0F0F0F0F0F0F0F0) | (((v + 0x0606060606060606) & 0xF0F0F0F0F0F0F0F0) >> 4)) !=
        0x3333333333333333)
        return false;
    v = (v & 0x0F0F0F0F0F0F0F0F) * 2561 >> 8;
    v = (v & 0x00FF00FF00FF00FF) * 6553601 >> 16;
    *out = (v & 0x0000FFFF0000FFFF) * 42949672960001 >> 32;
    return true;
}

/* The digits at r->p; *over: they are no uint64. */
static uint64_t read_digits(line_reader *r, bool *over)
{
    const char *from = r->p, *p = from;
    uint64_t value = 0, eight;
    for (; r->end - p >= 8 && eight_digits(p, &eight); p += 8)
        value = value * 100000000 + eight;
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
    skip_blanks(r);
    if (none || !ends_line(r, r->p))
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
        return fault(r, "too_long", r->line, "the row is longer than the limit");
    if (r->sound || (utf8_valid(r->line, len) && !memchr(r->line, '\0', len)))
        return true;
    const char *at = unsound_at(r->line, r->line_end);
    return at < r->line_end && *at == '\0' ? fault(r, "nul_byte", at, "U+0000 cannot be stored")
                                           : fault(r, "invalid_utf8", at, "not UTF-8");
}

line_step line_reader_time(line_reader *r, line_precision precision, int64_t *ns_out)
{
    line_step step = LINE_NONE;
    skip_blanks(r);
    r->part_at = r->p;
    if (!ends_line(r, r->p))
        step = read_time(r, precision, ns_out);
    if (step == LINE_BAD)
        return step;
    r->line_end = r->p;
    return check_line(r) ? step : LINE_BAD;
}

/* To the blank between tags and fields, or the line's end. */
static const char *skip_tags(const line_reader *r, const char *p)
{
    for (; p < r->end && *p != ' ' && *p != '\n'; p++)
        if (*p == '\\' && p + 1 < r->end && escapes(p[1], STOP_KEY))
            p++;
    return p;
}

/* To the line's end; strings are passed over as a whole, so that no part of one is taken for a line. */
static const char *skip_fields(const line_reader *r, const char *p)
{
    while (p < r->end && *p != '\n') {
        if (*p == '\\' && p + 1 < r->end && escapes(p[1], STOP_KEY)) {
            p += 2;
        } else if (*p == '=' && p + 1 < r->end && p[1] == '"') {
            const char *quote = closing_quote(r, p + 2);
            p = quote ? quote + 1 : newline_from(r, p);
        } else {
            p++;
        }
    }
    return p;
}

void line_reader_skip(line_reader *r)
{
    const char *p = r->p;
    if (r->line_end == r->line) { /* not read to its end */
        if (!(r->p < r->end && *r->p == '\n')) {
            if (!r->in_fields)
                p = skip_tags(r, p);
            p = skip_fields(r, p);
        }
        r->p = p;
        r->line_end = p > r->line && p < r->end && p[-1] == '\r' ? p - 1 : p;
    }
    r->p += r->p < r->end && *r->p == '\r';
    r->p += r->p < r->end;
}
