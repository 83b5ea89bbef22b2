/* Lexing byte by byte with one table of which byte ends what. A part without a backslash is a slice of the
 * input; one with a backslash is rewritten into a buffer that is kept. */
#include <math.h>
#include <string.h>

#include "flow/line_private.h"

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

#if defined(__SSE2__)
static inline __m128i load16(const char *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

/* Have the 64 bytes at `p` neither NUL nor anything beyond ASCII? */
static inline bool plain64(const char *p)
{
    __m128i a = load16(p), b = load16(p + 16), c = load16(p + 32), d = load16(p + 48);
    __m128i least = _mm_min_epu8(_mm_min_epu8(a, b), _mm_min_epu8(c, d));
    __m128i any = _mm_or_si128(_mm_or_si128(a, b), _mm_or_si128(c, d));
    return !_mm_movemask_epi8(_mm_or_si128(any, _mm_cmpeq_epi8(least, _mm_setzero_si128())));
}
#endif

/* UTF-8 without NUL. Most bodies are ASCII: those go by 64 bytes. */
static bool is_sound(const char *p, size_t len)
{
#if defined(__SSE2__)
    for (; len >= 64 && plain64(p); p += 64)
        len -= 64;
#endif
    return utf8_valid(p, len) && !memchr(p, '\0', len);
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

/* ---- lines ---- */

bool line_reader_next(line_reader *r)
{
    for (;;) {
        line_skip_blanks(r);
        if (r->p == r->end)
            return false;
        if (*r->p == '#')
            r->p = line_newline_from(r, r->p);
        else if (!line_ends(r, r->p))
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
            return line_fault(r, "too_long", start, "a name or value is longer than the limit");
        }
        text_add_char(to, *p++);
    }
    r->p = p;
    *out = (line_text){to->data, to->len};
    return true;
}

/* The first byte that ends or interrupts a name. */
static inline const char *name_end(const char *p, const char *end, uint8_t stop)
{
#if defined(__SSE2__)
    for (; end - p >= 16; p += 16) {
        __m128i v = load16(p), found = _mm_cmpeq_epi8(v, _mm_set1_epi8(','));
        found = _mm_or_si128(found, _mm_cmpeq_epi8(v, _mm_set1_epi8(' ')));
        found = _mm_or_si128(found, _mm_cmpeq_epi8(v, _mm_set1_epi8('\n')));
        found = _mm_or_si128(found, _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));
        if (stop == STOP_KEY)
            found = _mm_or_si128(found, _mm_cmpeq_epi8(v, _mm_set1_epi8('=')));
        int mask = _mm_movemask_epi8(found);
        if (mask)
            return p + __builtin_ctz((unsigned)mask);
    }
#endif
    while (p < end && !(stops[(uint8_t)*p] & stop))
        p++;
    return p;
}

static inline bool read_name(line_reader *r, uint8_t stop, text *rewritten, line_text *out)
{
    const char *start = r->p, *p = name_end(start, r->end, stop);
    if (p < r->end && *p == '\\')
        return rewrite_name(r, start, p, stop, rewritten, out);
    r->p = p;
    *out = (line_text){start, (size_t)(p - start)};
    return out->len <= r->limits.text_bytes ||
           line_fault(r, "too_long", start, "a name or value is longer than the limit");
}

bool line_reader_measurement(line_reader *r, line_text *out)
{
    const char *at = r->p;
    if (!read_name(r, STOP_NAME, &r->key, out))
        return false;
    return out->len > 0 || line_fault(r, "missing_measurement", at, "the line has no measurement");
}

static inline bool count_part(line_reader *r)
{
    return ++r->parts <= r->limits.parts ||
           line_fault(r, "too_many_members", r->p, "more tags and fields than a row may have");
}

/* `what` is the code of an empty key, `without` of one without a value. */
static bool read_key(line_reader *r, line_text *key, const char *what, const char *without)
{
    const char *at = r->p;
    if (!count_part(r) || !read_name(r, STOP_KEY, &r->key, key))
        return false;
    if (key->len == 0)
        return line_fault(r, what, at, "a name is missing here");
    if (r->p == r->end || *r->p != '=')
        return line_fault(r, without, r->p, "`=` and a value are missing here");
    r->p++;
    return true;
}

bool line_read_tag_key(line_reader *r, line_text *key)
{
    return read_key(r, key, "missing_tag_key", "missing_tag_value");
}

bool line_read_tag_value(line_reader *r, line_text *value)
{
    const char *at = r->p;
    if (!read_name(r, STOP_KEY, &r->value, value))
        return false;
    if (r->p < r->end && *r->p == '=')
        return line_fault(r, "bad_tag", r->p, "`=` in a tag's value must be escaped");
    return value->len > 0 || line_fault(r, "missing_tag_value", at, "the tag has no value");
}

line_step line_reader_tag(line_reader *r, line_text *key, line_text *value)
{
    line_step step = line_open_tag(r);
    if (step != LINE_GOT)
        return step;
    return line_read_tag_key(r, key) && line_read_tag_value(r, value) ? LINE_GOT : LINE_BAD;
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
        __m128i v = load16(p);
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
        r->p = line_newline_from(r, start); /* only this line is lost */
        r->in_fields = false;
        return line_fault(r, "bad_value", start - 1, "the quote is not closed");
    }
    r->p = quote + 1;
    out->kind = LINE_STRING;
    out->string = (line_text){start, (size_t)(quote - start)};
    if (out->string.len > r->limits.text_bytes)
        return line_fault(r, "too_long", start - 1, "a name or value is longer than the limit");
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
    return line_fault(r, "bad_value", r->p, "neither number, boolean nor string in quotes");
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
               line_fault(r, "out_of_range", at, "no double is that large");
    }
    if (!n->integral_text || (out->kind == LINE_UINT && n->negative))
        return line_fault(r, "bad_value", at,
                          out->kind == LINE_UINT ? "an unsigned integer has digits only"
                                                 : "an integer has a sign and digits only");
    if (out->kind == LINE_INT)
        return decimal_int64(n, &whole) == DECIMAL_FITS ||
               line_fault(r, "out_of_range", at, "the integer does not fit 64 bits");
    bool fits = n->len < 20 || (n->len == 20 && memcmp(n->text, "18446744073709551615", 20) <= 0);
    return fits || line_fault(r, "out_of_range", at, "the unsigned integer does not fit 64 bits");
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
        return line_fault(r, "too_long", at, "the number is longer than the limit");
    char suffix = len && (end[-1] == 'i' || end[-1] == 'u') ? end[-1] : '\0';
    normalise(&r->number, at, end - (suffix != '\0'), suffix != '\0');
    const char *text = text_or_empty(&r->number);
    if (decimal_read(text, text + r->number.len, &out->number) != text + r->number.len)
        return line_fault(r, "bad_value", at, "neither number, boolean nor string in quotes");
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
    if (!line_behind_value(r, p))
        return read_odd_number(r, out);
    r->p = p;
    out->kind = LINE_FLOAT;
    return (!suffix && out->number.exact && out->number.exponent <= 0) || suffix_fits(r, suffix, at, out);
}

static inline bool read_value(line_reader *r, line_value *out)
{
    char c = r->p < r->end ? *r->p : ',';
    out->at = r->p;
    if ((unsigned)(c - '0') <= 9 || c == '-' || c == '.')
        return read_number(r, out);
    if (c == '"')
        return read_string(r, out);
    if (line_behind_value(r, r->p))
        return line_fault(r, "missing_field_value", r->p, "the field has no value");
    return read_boolean(r, out);
}

/* ---- fields ---- */

bool line_read_field_key(line_reader *r, line_text *key)
{
    return read_key(r, key, "missing_field_key", "missing_field_value");
}

bool line_read_field_value(line_reader *r, line_value *value)
{
    return read_value(r, value) && (line_behind_value(r, r->p) ||
                                    line_fault(r, "bad_value", r->p, "this does not belong to the value"));
}

line_step line_open_first_field(line_reader *r)
{
    line_skip_blanks(r);
    if (line_ends(r, r->p)) {
        line_fault(r, "missing_fields", r->p, "the line has no fields");
        return LINE_BAD;
    }
    r->in_fields = true;
    r->part_at = r->p;
    return LINE_GOT;
}

line_step line_reader_field(line_reader *r, line_text *key, line_value *value)
{
    line_step step = line_open_field(r);
    if (step != LINE_GOT)
        return step;
    return line_read_field_key(r, key) && line_read_field_value(r, value) ? LINE_GOT : LINE_BAD;
}

/* ---- behind a fault ---- */

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
            p = quote ? quote + 1 : line_newline_from(r, p);
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
