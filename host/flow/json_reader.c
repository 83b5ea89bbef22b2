/* Strings are looked through 16 bytes at a time for what ends or interrupts them; most need no copy. Nested
 * values are walked with a small stack of bits instead of recursion, so depth costs nothing but the limit. */
#include "flow/json_reader.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "base/arena.h"
#include "base/text.h"
#include "flow/json_names.h"

#define HUGE_EXPONENT 1000 /* numbers beyond 10^±1000 are not put into jsonb */

void json_reader_limits(json_reader *r, uint32_t depth_max, uint32_t members_max, size_t text_max,
                        size_t number_max)
{
    assert(depth_max > 0 && depth_max <= JSON_READER_DEPTH_MAX);
    r->depth_max = depth_max;
    r->members_max = members_max;
    r->text_max = text_max;
    r->number_max = number_max;
}

void json_reader_open(json_reader *r, uint32_t depth_max, uint32_t members_max, size_t text_max,
                      size_t number_max)
{
    *r = (json_reader){.names = json_names_create()};
    json_reader_limits(r, depth_max, members_max, text_max, number_max);
}

void json_reader_close(json_reader *r)
{
    json_names_free(r->names);
    free(r->unescaped);
    *r = (json_reader){0};
}

size_t json_reader_bytes(const json_reader *r)
{
    return r->unescaped_cap + json_names_bytes(r->names);
}

void json_reader_text(json_reader *r, const char *data, const char *end, const char *limit)
{
    r->p = data;
    r->end = end;
    r->limit = limit;
    r->error = JSON_OK;
    json_reader_row(r);
}

void json_reader_row(json_reader *r)
{
    r->members = r->objects = 0;
    r->duplicate = r->has_nul = r->huge_number = false;
    json_names_clear(r->names);
}

bool json_reader_fail(json_reader *r, json_error error, const char *at)
{
    if (r->error == JSON_OK) {
        r->error = error;
        r->at = at;
    }
    return false;
}

bool json_reader_seen(json_reader *r, uint32_t object, const char *name, size_t len)
{
    return json_names_add(r->names, object, name, len);
}

const char *json_error_text(json_error error)
{
    static const char *const texts[] = {
        [JSON_OK] = "no error",
        [JSON_SYNTAX] = "not JSON from here",
        [JSON_UTF8] = "not UTF-8",
        [JSON_DEPTH] = "nested too deeply",
        [JSON_TEXT_LONG] = "text longer than the limit",
        [JSON_NUMBER_LONG] = "number longer than the limit",
        [JSON_MEMBERS] = "more members than the limit",
        [JSON_VALUE_LONG] = "value longer than the limit",
    };
    return texts[error];
}

/* ---- strings ---- */

/* The first quote, backslash or control character. *high: a byte beyond ASCII came before it. */
static inline const char *scan_string(const char *p, const char *limit, unsigned *high)
{
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'), control = _mm_set1_epi8(0x1f);
    for (; limit - p >= 16; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i stop = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash)),
                                    _mm_cmpeq_epi8(_mm_min_epu8(v, control), v));
        unsigned stops = (unsigned)_mm_movemask_epi8(stop), beyond = (unsigned)_mm_movemask_epi8(v);
        if (stops) {
            unsigned n = (unsigned)__builtin_ctz(stops);
            *high |= beyond & ((1U << n) - 1);
            return p + n;
        }
        *high |= beyond;
    }
#endif
    for (; p < limit; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '"' || c == '\\' || c < 0x20)
            break;
        *high |= c & 0x80;
    }
    return p;
}

static int hex4(const char *p, const char *end)
{
    int value = 0;
    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

static size_t put_utf8(char *out, unsigned c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* Behind \u. Returns the code point and moves *p on; -1 for bad digits and lone surrogates. */
static int unicode_escape(const char **p, const char *end)
{
    int first = hex4(*p, end);
    if (first < 0 || (first >= 0xdc00 && first <= 0xdfff))
        return -1;
    *p += 4;
    if (first < 0xd800 || first > 0xdbff)
        return first;
    if (end - *p < 6 || (*p)[0] != '\\' || (*p)[1] != 'u')
        return -1;
    int second = hex4(*p + 2, end);
    if (second < 0xdc00 || second > 0xdfff)
        return -1;
    *p += 6;
    return 0x10000 + (first - 0xd800) * 0x400 + (second - 0xdc00);
}

/* At the character behind the backslash. Returns what it wrote, 0 = not an escape. */
static size_t unescape(const char **p, const char *end, char *out, bool *has_nul)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (*p == end)
        return 0;
    char c = *(*p)++;
    if (c == 'u') {
        int point = unicode_escape(p, end);
        *has_nul |= point == 0;
        return point < 0 ? 0 : put_utf8(out, (unsigned)point);
    }
    const char *found = c ? strchr(from, c) : NULL;
    if (!found)
        return 0;
    *out = to[found - from];
    return 1;
}

static void reserve(json_reader *r, size_t len)
{
    if (r->unescaped_cap >= len)
        return;
    r->unescaped_cap = len * 2 + 64;
    r->unescaped = memory_grow(r->unescaped, r->unescaped_cap);
}

/* Strings with escapes or bytes beyond ASCII, and all that are broken. `p` is where the scan stopped. */
static bool string_slow(json_reader *r, const char *start, const char *p, unsigned high, json_text *out)
{
    const char *from = start;
    size_t len = 0;
    bool copied = false;
    *out = (json_text){0};
    while (p < r->end && *p == '\\') {
        reserve(r, len + (size_t)(p - from) + 8);
        memcpy(r->unescaped + len, from, (size_t)(p - from));
        len += (size_t)(p - from);
        const char *escape = p++;
        size_t n = unescape(&p, r->end, r->unescaped + len, &out->has_nul);
        if (n == 0)
            return json_reader_fail(r, JSON_SYNTAX, escape);
        len += n;
        copied = true;
        from = p;
        if (len > r->text_max)
            return json_reader_fail(r, JSON_TEXT_LONG, start - 1);
        p = scan_string(p, r->limit, &high);
    }
    if (p >= r->end || *p != '"')
        return json_reader_fail(r, JSON_SYNTAX, p < r->end ? p : r->end);
    if (high && !utf8_valid(start, (size_t)(p - start)))
        return json_reader_fail(r, JSON_UTF8, start - 1);
    if (len + (size_t)(p - from) > r->text_max)
        return json_reader_fail(r, JSON_TEXT_LONG, start - 1);
    if (copied) {
        reserve(r, len + (size_t)(p - from) + 1);
        memcpy(r->unescaped + len, from, (size_t)(p - from));
    }
    out->data = copied ? r->unescaped : start;
    out->len = len + (size_t)(p - from);
    r->p = p + 1;
    return true;
}

bool json_reader_string(json_reader *r, json_text *out)
{
    const char *start = r->p + 1;
    unsigned high = 0;
    const char *p = scan_string(start, r->limit, &high);
    if (p < r->end && *p == '"' && !high && (size_t)(p - start) <= r->text_max) {
        *out = (json_text){.data = start, .len = (size_t)(p - start)};
        r->p = p + 1;
        return true;
    }
    return string_slow(r, start, p, high, out);
}

/* ---- scalars ---- */

bool json_reader_number(json_reader *r, number_text *out)
{
    const char *p = decimal_read(r->p, r->end, out);
    if (!p)
        return json_reader_fail(r, JSON_SYNTAX, r->p);
    if (out->len > r->number_max)
        return json_reader_fail(r, JSON_NUMBER_LONG, r->p);
    r->p = p;
    return true;
}

bool json_reader_literal(json_reader *r, const char *word, size_t len)
{
    if ((size_t)(r->end - r->p) < len || memcmp(r->p, word, len) != 0)
        return json_reader_fail(r, JSON_SYNTAX, r->p);
    r->p += len;
    return true;
}

/* ---- whole values ---- */

typedef struct walk {
    uint32_t depth, level; /* level 0: no container of ours is open */
    uint64_t is_object[JSON_READER_DEPTH_MAX / 64];
    uint32_t object[JSON_READER_DEPTH_MAX]; /* its number, for the names */
    json_sink *sink;
} walk;

static bool emit(json_reader *r, json_sink *sink, const char *from, size_t len)
{
    if (!sink || !sink->data)
        return true;
    if (sink->cap - sink->len < len)
        return json_reader_fail(r, JSON_VALUE_LONG, from);
    memcpy(sink->data + sink->len, from, len);
    sink->len += len;
    return true;
}

static bool in_object(const walk *w)
{
    uint32_t top = w->level - 1;
    return w->is_object[top / 64] >> (top % 64) & 1;
}

static bool open_container(json_reader *r, walk *w, bool object)
{
    if (w->depth + w->level + 1 > r->depth_max)
        return json_reader_fail(r, JSON_DEPTH, r->p);
    uint64_t bit = UINT64_C(1) << (w->level % 64), *word = &w->is_object[w->level / 64];
    *word = object ? *word | bit : *word & ~bit;
    w->object[w->level] = ++r->objects;
    w->level++;
    return emit(r, w->sink, r->p++, 1);
}

/* A member's name and the colon. */
static bool member_name(json_reader *r, walk *w)
{
    json_text name;
    json_reader_space(r);
    const char *from = r->p;
    if (r->p >= r->end || *r->p != '"')
        return json_reader_fail(r, JSON_SYNTAX, r->p);
    if (!json_reader_string(r, &name))
        return false;
    if (++r->members > r->members_max)
        return json_reader_fail(r, JSON_MEMBERS, from);
    if (json_reader_seen(r, w->object[w->level - 1], name.data, name.len) && !r->duplicate) {
        r->duplicate = true;
        r->duplicate_at = from;
    }
    r->has_nul |= name.has_nul;
    return emit(r, w->sink, from, (size_t)(r->p - from)) && json_reader_take(r, ':') &&
           emit(r, w->sink, ":", 1);
}

static bool scalar(json_reader *r, json_sink *sink)
{
    const char *from = r->p;
    json_text text;
    number_text number;
    bool ok;
    switch (*from) {
    case '"':
        ok = json_reader_string(r, &text);
        r->has_nul |= ok && text.has_nul;
        break;
    case 't':
        ok = json_reader_literal(r, "true", 4);
        break;
    case 'f':
        ok = json_reader_literal(r, "false", 5);
        break;
    case 'n':
        ok = json_reader_literal(r, "null", 4);
        break;
    default:
        ok = json_reader_number(r, &number);
        r->huge_number |= ok && (number.exponent > HUGE_EXPONENT || number.exponent < -HUGE_EXPONENT);
    }
    return ok && emit(r, sink, from, (size_t)(r->p - from));
}

/* After a complete value: commas and closing brackets, up to where the next value must stand (or level 0). */
static bool after_value(json_reader *r, walk *w)
{
    while (w->level > 0) {
        json_reader_space(r);
        char close = in_object(w) ? '}' : ']';
        if (r->p >= r->end || (*r->p != ',' && *r->p != close))
            return json_reader_fail(r, JSON_SYNTAX, r->p);
        char c = *r->p;
        if (!emit(r, w->sink, r->p++, 1))
            return false;
        if (c == ',')
            return !in_object(w) || member_name(r, w);
        w->level--;
    }
    return true;
}

/* One value, or the opening of a container and what leads to its first value. */
static bool next_value(json_reader *r, walk *w)
{
    json_reader_space(r);
    if (r->p >= r->end)
        return json_reader_fail(r, JSON_SYNTAX, r->p);
    char c = *r->p;
    if (c != '{' && c != '[')
        return scalar(r, w->sink) && after_value(r, w);
    if (!open_container(r, w, c == '{'))
        return false;
    json_reader_space(r);
    if (r->p < r->end && *r->p == (c == '{' ? '}' : ']')) {
        w->level--;
        return emit(r, w->sink, r->p++, 1) && after_value(r, w);
    }
    return c == '[' || member_name(r, w);
}

bool json_reader_value(json_reader *r, uint32_t depth, json_sink *sink)
{
    walk w; /* object[] is written before it is read */
    w.depth = depth;
    w.level = 0;
    w.sink = sink;
    memset(w.is_object, 0, sizeof w.is_object);
    do {
        if (!next_value(r, &w))
            return false;
    } while (w.level > 0);
    return true;
}
